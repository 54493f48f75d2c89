#!/bin/sh
# run.sh [WEIR-OPTION...]: build weir and run it in the foreground on the
# example configuration. Needs no root once what it is built with is there.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/.."
sh "$here/install-deps.sh" build
sh "$here/build.sh" build

cat <<'END'

weir runs on etc/weir.conf until you press Ctrl-C. In another terminal try:

    telnet localhost 8124         the echo server: says hello, and what you say
    nc -U /tmp/echo.sock          the same on a unix socket
    telnet localhost 8125         forwarded to the echo server
    telnet localhost 8126         twice, in two terminals: they are joined
    build/src/weirctl/weirctl -s build/control.sock stats

END
exec build/src/weir -o control="$(pwd)/build/control.sock" -c etc/weir.conf "$@"
