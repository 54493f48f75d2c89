#!/bin/sh
# build.sh DIR [CONFIGURE-OPTION...]: build weir in DIR, inside the checkout,
# from whatever state the checkout is in: ./configure is made where it is
# missing, and run where DIR has no Makefile or was configured with other
# options. The rest is make's affair.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd -P)
case $root in
*[!A-Za-z0-9/._+,@%:=~-]*)
	echo "build.sh: $root: autotools cannot work in a path with blanks or" >&2
	echo "build.sh: shell characters in it; move the checkout elsewhere" >&2
	exit 1
	;;
esac
if [ $# -lt 1 ]; then
	echo "usage: build.sh DIR [CONFIGURE-OPTION...]" >&2
	exit 2
fi
dir=$1
shift

if [ ! -x configure ] || [ ! -e Makefile.in ] || [ ! -e build-aux/ltmain.sh ]; then
	sh autogen.sh
fi
mkdir -p "$dir"
cd "$dir"
# A build folder that was moved or copied here is of no use either.
options="$root $*"
if [ ! -e Makefile ] || [ "$(cat .options 2>/dev/null)" != "$options" ]; then
	rm -f .options
	if ! "$root/configure" -q "$@" >configure.out 2>&1; then
		cat configure.out >&2
		exit 1
	fi
	printf '%s\n' "$options" >.options
fi
exec make -s -j"${JOBS:-2}"
