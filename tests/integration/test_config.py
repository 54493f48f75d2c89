"""The configuration file: what is read, and what is a mistake in which line."""

import re
import subprocess

import pytest

from weirtest import read_exactly, weir_once

ECHO = "[listener e]\nlisten = 127.0.0.1:0\nmode = echo\n"


def check(folder, text, env=None):
    path = folder / "c.conf"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path, weir_once("-t", "-c", path, env=env)


def mistakes(folder, text, env=None):
    """{line: message} of a configuration that has mistakes."""
    path, r = check(folder, text, env)
    assert r.returncode == 2, (r.returncode, r.stdout, r.stderr)
    found = {}
    for line in r.stderr.splitlines():
        m = re.match(rf"{re.escape(str(path))}:(\d+): (.+)", line)
        assert m, f"no FILE:LINE: before {line!r}"
        found.setdefault(int(m[1]), m[2])
    return found


def dumped(folder, text, env=None):
    path = folder / "c.conf"
    path.write_text(text)
    r = weir_once("-T", "-c", path, env=env)
    assert r.returncode == 0, r.stderr
    return r.stdout


@pytest.mark.parametrize("line,word", [
    ("tiemout = 3s", "timeout"), ("timeout = 3 parsecs", "parsecs"),
    ("timeout = -1", "-1"), ("timeout =", "timeout"), ("timeout = 1e3", "1e3"),
    ("buffer = 0", "buffer"), ("buffer = 64kk", "64kk"),
    ("buffer = 99999999999999999999g", "buffer"),
    ("rate_in = 5m", "rate_in"), ("rate_in = 5/s/s", "rate_in"),
    ("no_delay = maybe", "maybe"), ("no_delay = 2", "2"),
    ("family = 5", "5"), ("backlog = -3", "-3"), ("backlog = many", "many"),
    ("unix_mode = 0999", "0999"), ("unix_mode = 01777777", "unix_mode"),
    ("on_limit = drop", "drop"), ("splice = always", "always"),
    ("allow = 300.0.0.0/8", "300.0.0.0"), ("allow = 10.0.0.0/33", "33"),
    ("deny = ::/129", "129"), ("deny = user:no-such-user-here",
                               "no-such-user-here"),
    ("local_address = nonsense", "nonsense"), ("local_port = 70000", "70000"),
    ("mark = x", "x"), ("access_log = maybe", "maybe"),
    ("listen = 127.0.0.1", "127.0.0.1"), ("listen = :99999", "99999"),
    ("listen = 127.0.0.1:20-10", "20"), ("listen = unix:", "unix"),
    ("listen = fd:x", "fd"), ("listen = [::1:80", "[::1"),
    (r"greeting = \q", "q"), (r"greeting = \x", "x"),
    ("max_connections = lots", "lots"), ("keep_alive_count = 0",
                                         "keep_alive_count"),
])
def test_a_mistake_is_told_with_its_line_and_value(folder, line, word):
    found = mistakes(folder, ECHO + "\n" + line + "\n")
    assert 5 in found, found
    assert word in found[5]


@pytest.mark.parametrize("text,line,word", [
    ("[listener a]\nlisten = 127.0.0.1:0\n", 1, "mode"),
    ("[listener a]\nmode = echo\n", 1, "listen"),
    ("[listener a]\nlisten = :0\nmode = forward\n", 1, "upstream"),
    ("[listener a]\nlisten = :0\nmode = pipe\n", 1, "pipe"),
    ("[listener a]\nlisten = :0\nmode = pipe\npipe = peer:b\n", 4, "b"),
    ("[listener a]\nlisten = :0\nmode = pipe\npipe = exec:\n", 4, "exec"),
    ("[listener a]\nlisten = :0\nmode = pipe\npipe = file:\n", 4, "file"),
    ("[listener a]\nlisten = :0\nmode = pipe\npipe = tape:/x\n", 4, "tape"),
    (ECHO + ECHO, 4, "e"),
    (ECHO + "mode = echo\n", 4, "mode"),
    (ECHO + "[weir]\nlog_level = loud\n", 5, "loud"),
    (ECHO + "[weir]\nlog = paper\n", 5, "paper"),
    (ECHO + "[weir]\nworkers = -1\n", 5, "-1"),
    (ECHO + "[listener]\n", 4, "listener"),
    (ECHO + "[listener b c]\n", 4, "b c"),
    (ECHO + "[nonsense]\n", 4, "nonsense"),
    (ECHO + "this is no line\n", 4, "KEY = VALUE"),
    (ECHO + "[weir\n", 4, "]"),
    ("stray = 1\n" + ECHO, 1, "stray"),
    ("[listener a]\nlisten = 127.0.0.1:8124\nmode = echo\n[listener b]\n"
     "listen = 127.0.0.1:8124\nmode = echo\n", 5, "127.0.0.1:8124"),
    ("[listener a]\nlisten = unix:/tmp/x\nlisten = /tmp/x\nmode = echo\n", 3,
     "/tmp/x"),
])
def test_what_the_whole_must_hold(folder, text, line, word):
    found = mistakes(folder, text)
    assert line in found, found
    assert word in found[line]


@pytest.mark.valgrind
def test_a_line_that_is_too_long_is_a_mistake_and_no_other_key(folder):
    # Where a reader cuts lines, the rest would be a key of its own.
    for pad in (180, 190, 199, 500, 5000, 100_000):
        text = ECHO + "greeting = " + "x" * pad + "timeout = 1s\n"
        path, r = check(folder, text)
        if r.returncode == 0:
            out = dumped(folder, text)
            assert re.search(r"(?m)^timeout = (off|0)$", out)
            assert "x" * pad + "timeout = 1s" in out
        else:
            assert f"{path}:4: " in r.stderr, r.stderr


FORWARD = "[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
UPSTREAM = "[upstream app]\nserver = 127.0.0.1:1\n"


@pytest.mark.parametrize("text,line,word", [
    (FORWARD + "upstream = ap\n" + UPSTREAM, 4, '"app"'),
    (FORWARD + "upstream = localhost\n", 4, "HOST:PORT"),
    (FORWARD + "upstream = app\nupstream = a:1\n" + UPSTREAM, 4, "alone"),
    (FORWARD + "upstream = app\n[upstream app]\n", 5, "server"),
    (FORWARD + "upstream = app\n" + UPSTREAM + "server = a:1 wieght=2\n", 7,
     "weight"),
    (FORWARD + "upstream = app\n" + UPSTREAM + "server = a:1 name=x\n"
     "server = a:2 name=x\n", 8, "name=x"),
    (FORWARD + "upstream = app\n" + UPSTREAM + "health_check = udp\n", 7,
     "udp"),
    (FORWARD + "upstream = app\n" + UPSTREAM + "dns = localhost\n", 7,
     "localhost"),
    (FORWARD + "upstream = app\n" + UPSTREAM + "[upstream app]\n", 7, "app"),
    (FORWARD + "upstream = a:1\nsni = * a:1\n", 5, "*"),
    (FORWARD + "upstream = a:1\nalpn = h2\n", 5, "h2"),
    (FORWARD + "upstream = a:1\nsend_proxy = v3\n", 5, "v3"),
    (FORWARD + "upstream = a:1\naccept_proxy = 10.0.0.1/8\n", 5, "10.0.0.0/8"),
    (FORWARD + "upstream = /a\nupstream_tls = on\n", 5, "upstream_tls_name"),
    (ECHO + "sni = a.b c:1\n", 4, "forward"),
    (ECHO + "send_proxy = v2\n", 4, "forward"),
    (ECHO + "tls = on\n", 4, "tls_certificate"),
    (ECHO + "[weir]\nworkers = 65\n", 5, "64"),
])
def test_a_mistake_of_a_front_door_is_told(folder, text, line, word):
    found = mistakes(folder, text)
    assert word in found[line], found


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True,
                   stdin=subprocess.DEVNULL, capture_output=True)


def certificate(folder, name, *more):
    openssl(folder, "req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
            "-keyout", f"{name}.key", "-out", f"{name}.pem", *more)
    return folder / f"{name}.pem", folder / f"{name}.key"


def test_files_of_tls_are_checked_with_their_lines(folder):
    good, good_key = certificate(folder, "good", "-days", "2")
    _, other_key = certificate(folder, "other", "-days", "2")
    tls = ECHO + f"tls = on\ntls_certificate = {good}\n"
    _, r = check(folder, tls + f"tls_key = {good_key}\n")
    assert r.returncode == 0, r.stderr
    found = mistakes(folder, tls + f"tls_key = {other_key}\n")
    assert str(other_key) in " ".join(found.values()), found
    gone = folder / "gone.pem"
    assert str(gone) in mistakes(folder, tls + f"tls_key = {gone}\n")[6]
    found = mistakes(folder, tls + f"tls_key = {good_key}\n"
                     f"tls_client_verify = required\n"
                     f"tls_client_ca = {gone}\ntls_ciphers = x\n")
    assert set(found) == {8, 9}, found
    # Nothing of it is looked at to print it.
    assert str(gone) in dumped(folder, tls + f"tls_key = {gone}\n")


def test_an_expired_certificate_is_a_mistake_but_opens(folder, weir):
    (folder / "index").touch()
    (folder / "serial").write_text("01")
    (folder / "ca.conf").write_text(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\n"
        "new_certs_dir = .\ndefault_md = sha256\npolicy = p\n"
        "[p]\ncommonName = supplied\n")
    _, key = certificate(folder, "past")
    openssl(folder, "req", "-new", "-key", key, "-subj", "/CN=past", "-out",
            "past.csr")
    openssl(folder, "ca", "-batch", "-selfsign", "-config", "ca.conf",
            "-keyfile", key, "-in", "past.csr", "-out", "past.pem", "-notext",
            "-startdate", "20200101000000Z", "-enddate", "20210101000000Z")
    text = (ECHO + f"tls = on\ntls_certificate = {folder}/past.pem\n"
            f"tls_key = {key}\n")
    assert "expired at 2021-01-01" in mistakes(folder, text)[5]
    w = weir(text)
    assert w.log_find("expired at 2021-01-01"), w.log_lines()


def test_upstreams_are_dumped_and_read_again(folder):
    text = (FORWARD + "upstream = app\nsni = A.b 127.0.0.1:2\n"
            "accept_proxy = all\nsend_proxy = v2\n" + UPSTREAM +
            "server = [::1]:2 weight=3 backup name=two\n"
            r'health_check = send "a\r\n" expect "\"b"' "\n")
    out = dumped(folder, text)
    assert "upstream = app" in out and "[upstream app]" in out
    assert "sni = a.b 127.0.0.1:2" in out
    assert "server = [::1]:2 weight=3 backup name=two" in out
    assert dumped(folder, out) == out


def test_workers_are_a_number_or_auto(folder):
    assert "workers = auto" in dumped(folder, "[weir]\nworkers = auto\n" + ECHO)
    r = weir_once("-w", "7", "-T", "-l", "127.0.0.1:0", "-e")
    assert r.returncode == 0 and "workers = 7" in r.stdout, r.stderr


def test_a_name_of_a_section_is_not_cut(folder):
    long = "n" * 60
    path, r = check(folder, ECHO.replace("e]", long + "]"))
    if r.returncode == 0:
        assert f"[listener {long}]" in dumped(
            folder, ECHO.replace("e]", long + "]"))
    else:
        assert f"{path}:1: " in r.stderr


def test_comments_blanks_and_line_ends(folder, weir):
    w = weir("# a comment\n; another\n\n[listener e]\r\n  mode   =  echo  \r\n"
             "listen=127.0.0.1:0\ngreeting = hi # is this one?\n",)
    c = w.connect()
    assert read_exactly(c, 2) == b"hi"


def test_a_byte_order_mark_and_a_missing_last_line_end(folder):
    _, r = check(folder, b"\xef\xbb\xbf" + ECHO.rstrip("\n").encode())
    assert r.returncode == 0, r.stderr


def test_a_nul_byte_is_a_mistake(folder):
    found = mistakes(folder, ECHO.encode() + b"greeting = a\0b\n")
    assert 4 in found


def test_defaults_are_of_every_listener_after_them(folder):
    out = dumped(folder, "[listener first]\nlisten = :1\nmode = echo\n"
                 "[defaults]\ntimeout = 7s\nallow = 10.0.0.0/8\n"
                 "[listener second]\nlisten = :2\nmode = echo\n"
                 "[listener third]\nlisten = :3\nmode = echo\ntimeout = 8s\n")
    first, second, third = re.split(r"(?m)^\[listener .*\n", out)[1:]
    assert "allow = 10.0.0.0/8" not in first
    assert re.search(r"(?m)^timeout = (off|0)$", first)
    assert "timeout = 7s" in second and "allow = 10.0.0.0/8" in second
    assert "timeout = 8s" in third


def test_environment_variables(folder):
    text = ECHO + "greeting = ${WEIR_TEST_HELLO}!\n"
    out = dumped(folder, text, env={"WEIR_TEST_HELLO": "from outside"})
    assert "from outside!" in out
    found = mistakes(folder, text)
    assert "WEIR_TEST_HELLO" in found[4]


def test_include_reads_further_files_relative_to_this_one(folder):
    parts = folder / "parts"
    parts.mkdir()
    for name in ("b", "a"):
        (parts / f"{name}.conf").write_text(
            ECHO.replace("listener e", f"listener {name}"))
    text = "[weir]\ninclude = parts/*.conf\n" + ECHO
    out = dumped(folder, text)
    assert set(re.findall(r"\[listener (\w+)\]", out)) == {"a", "b", "e"}
    (parts / "a.conf").write_text("[listener a]\nmode = ecko\n")
    _, r = check(folder, text)
    assert r.returncode == 2
    assert re.search(r"parts/a\.conf:2: .*ecko", r.stderr), r.stderr


def test_an_include_that_includes_itself_ends(folder):
    text = "[weir]\ninclude = c.conf\n" + ECHO
    _, r = check(folder, text)
    assert r.returncode == 2


@pytest.mark.parametrize("key,written,shown", [
    ("timeout", "90", "90s"), ("timeout", "1500ms", "1500ms"),
    ("timeout", "2h", "2h"), ("timeout", "1d", "1d"), ("timeout", "0", "off"),
    ("buffer", "65536", "64k"), ("buffer", "1g", "1g"), ("buffer", "1", "1"),
    ("no_delay", "on", "yes"), ("no_delay", "false", "no"),
    ("rate_out", "1024/s", "1k/s"), ("rate_out", "0", "off"),
])
def test_values_are_shown_as_they_were_meant(folder, key, written, shown):
    out = dumped(folder, ECHO + f"{key} = {written}\n")
    value = re.search(rf"(?m)^{key} = (.*)$", out)[1]
    assert value == shown or dumped(
        folder, ECHO + f"{key} = {value}\n") == dumped(
            folder, ECHO + f"{key} = {shown}\n")


@pytest.mark.valgrind
@pytest.mark.parametrize("text", [
    b"[", b"]", b"=", b"[]", b"[listener \xff]\nmode = echo\n",
    b"\x00" * 1000, b"a" * 100_000, b"[weir]\n" * 10_000, bytes(range(256)),
    b"[listener a]\n" + b"listen = :0\n" * 1000,
], ids=lambda text: repr(text[:20]))
def test_nonsense_is_status_2_and_no_crash(folder, text):
    _, r = check(folder, text)
    assert r.returncode == 2, (r.returncode, r.stderr[:500])
    assert r.stderr


def test_a_file_that_cannot_be_read_is_told(folder):
    r = weir_once("-t", "-c", folder)
    assert r.returncode == 2
    assert str(folder) in r.stderr
