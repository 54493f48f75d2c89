#!/bin/sh
# The systemd units are accepted without a word, say what is promised of them,
# and lock the daemon in: an exposure of 2.0 at most.
set -eu

top=${WEIR_TOP_BUILDDIR:-.}

command -v systemd-analyze >/dev/null || {
	echo "systemd-analyze is not installed" >&2
	exit 77
}
# Older ones can judge only what is loaded.
systemd-analyze security --help 2>/dev/null | grep -q -e --offline || {
	echo "this systemd-analyze cannot look at a file" >&2
	exit 77
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/check_units.XXXXXX")
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
	echo "$*" >&2
	exit 1
}

cd "$top"
grep -h '@[a-z]*@' systemd/weir.service systemd/weir.socket &&
    fail "a place was not filled in"

# The program stands where make install will put it, which may not be yet;
# verify asks only that there be one.
printf '#!/bin/sh\n' >"$folder/weir"
printf '#!/bin/sh\n' >"$folder/weirctl"
chmod 755 "$folder/weir" "$folder/weirctl"
sed -e "s|^ExecStart=[^ ]*/weir |ExecStart=$folder/weir |" \
    -e "s|^ExecReload=[^ ]*/weirctl |ExecReload=$folder/weirctl |" \
    systemd/weir.service >"$folder/weir.service"
cp systemd/weir.socket "$folder/weir.socket"
grep -q "^ExecStart=$folder/weir -c /" "$folder/weir.service" ||
    fail "ExecStart= does not start weir with a configuration"

systemd-analyze verify --man=no "$folder/weir.service" \
    "$folder/weir.socket" >"$folder/verify" 2>&1 || {
	cat "$folder/verify" >&2
	fail "systemd-analyze verify fails"
}
# What it has to say about the host's own units is not ours.
if grep -F -e weir -e "$folder" "$folder/verify" >&2; then
	fail "systemd-analyze verify complains"
fi

systemd-analyze security --no-pager --offline=true --threshold=20 \
    "$folder/weir.service" >"$folder/security" 2>&1 || {
	cat "$folder/security" >&2
	fail "the exposure is above 2.0"
}
# It must have been judged at all.
grep -q 'exposure level for weir.service: [01]\.[0-9]\|level for .*: 2\.0' \
    "$folder/security" || {
	cat "$folder/security" >&2
	fail "there is no verdict"
}
tail -n 1 "$folder/security"
