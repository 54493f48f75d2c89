"""The log and the access log: what stands in them, and when they cannot be
written."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess

import pytest

from weirtest import (DEADLINE, PROGRAM, answer_at_end, built, echo,
                      ended, environment, eventually, free_port, is_root,
                      parse_fields, read_all, read_exactly, reset)

ECHO = "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\naccess_log = on\n"
KEYS = {"id", "listener", "client", "upstream", "server", "tried",
        "connect_ms", "duration_ms", "bytes_in", "bytes_out", "end", "tls",
        "sni"}


def forward(address, more="", log="access_log = on\n"):
    return ("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = {address}\n{log}{more}")


@pytest.mark.valgrind
def test_text_is_level_message_and_fields(weir):
    w = weir(ECHO)
    [line] = w.log_find("listening listener=l")
    assert re.search(rf"(^|\s)info listening listener=l "
                     rf"address={re.escape(w.address())}$", line)


@pytest.mark.valgrind
def test_json_is_one_object_a_line(weir):
    w = weir(ECHO, keys={"log_format": "json"})
    c = w.connect()
    peer = "%s:%d" % c.getsockname()
    c.sendall(b"12345")
    assert read_exactly(c, 5) == b"12345"
    c.close()
    [entry] = w.access()
    w.stop()
    for line in w.err.lines:
        fields = json.loads(line)
        assert {"time", "level", "message"} <= set(fields)
    assert KEYS <= set(entry), KEYS - set(entry)
    assert entry["client"] == peer
    assert (entry["bytes_in"], entry["bytes_out"]) == (5, 5)
    assert entry["end"] == "client"


@pytest.mark.valgrind
def test_the_access_log_has_every_key(weir, backend):
    b = backend(echo)
    w = weir(forward(b.address))
    c = w.connect()
    client = "%s:%d" % c.getsockname()
    c.sendall(b"123")
    assert read_exactly(c, 3) == b"123"
    c.close()
    [line] = w.access()
    assert KEYS <= set(line), KEYS - set(line)
    assert line["listener"] == "l"
    assert line["client"] == client
    assert line["server"] == line["tried"] == b.address
    assert (line["bytes_in"], line["bytes_out"]) == ("3", "3")
    assert int(line["duration_ms"]) >= int(line["connect_ms"]) >= 0
    assert line["tls"] == line["sni"] == "-"


def test_no_access_log_is_the_default(weir):
    w = weir(ECHO.replace("access_log = on\n", ""))
    w.connect().close()
    w.wait_figures(connections=0, accepted=1)
    w.stop()
    assert not [x for x in w.err.lines if "end=" in x]


def test_ids_are_unique_and_those_of_control(weir):
    w = weir(ECHO)
    clients = [w.connect() for _ in range(5)]
    w.wait_figures(connections=5)
    ids = {x["id"] for x in w.connections()}
    assert len(ids) == 5
    for c in clients:
        c.close()
    assert {int(x["id"]) for x in w.access(5)} == ids


def test_an_access_log_of_its_own_in_the_format_of_the_log(weir, folder):
    path = folder / "access"
    w = weir(ECHO.replace("= on", f"= file:{path}"),
             keys={"log_format": "json"})
    w.connect().close()
    eventually(lambda: path.exists() and path.read_text(), "its line")
    [line] = path.read_text().splitlines()
    assert json.loads(line)["end"] == "client"
    assert not [x for x in w.err.lines if '"end"' in x]


def test_two_listeners_may_share_an_access_log(weir, folder):
    path = folder / "access"
    text = ECHO.replace("= on", f"= file:{path}")
    w = weir(text + text.replace("[listener l]", "[listener m]"))
    for _ in range(20):
        w.connect("l").close()
        w.connect("m").close()
    eventually(lambda: path.exists()
               and len(path.read_text().splitlines()) == 40, "40 lines")
    names = [parse_fields(x)["listener"] for x in path.read_text().splitlines()]
    assert sorted(names) == ["l"] * 20 + ["m"] * 20


def test_unix_clients_have_an_address_too(weir, folder):
    w = weir(f"[listener l]\nlisten = unix:{folder}/s\nmode = echo\n"
             "access_log = on\n")
    w.connect().close()
    [line] = w.access()
    assert line["client"].startswith("unix:")


def test_an_ipv4_client_of_a_dual_stack_listener_is_shown_as_ipv4(weir):
    w = weir("[listener l]\nlisten = *:0\nmode = echo\naccess_log = on\n")
    w.connect(address=f"127.0.0.1:{w.port()}").close()
    [line] = w.access()
    assert line["client"].startswith("127.0.0.1:")


# ---- end ----

def end_client(w, c, s):
    c.close()


def end_upstream(w, c, s):
    s.close()
    read_all(c)
    c.close()


def end_upstream_half(w, c, s):
    s.shutdown(socket.SHUT_WR)
    assert c.recv(1) == b""
    c.shutdown(socket.SHUT_WR)
    assert s.recv(1) == b""


def end_reset_client(w, c, s):
    reset(c)


def end_reset_upstream(w, c, s):
    reset(s)


def end_killed(w, c, s):
    w.ctl(f"kill {w.connections()[0]['id']}")


def end_idle(w, c, s):
    pass


@pytest.mark.valgrind
@pytest.mark.parametrize("how,more,end", [
    (end_client, "", "client"),
    (end_upstream, "", "upstream"),
    (end_upstream_half, "", "upstream"),
    (end_reset_client, "", "reset"),
    (end_reset_upstream, "", "reset"),
    (end_killed, "", "killed"),
    (end_idle, "timeout = 500ms\n", "timeout"),
    (end_idle, "lifetime = 500ms\n", "timeout"),
])
def test_end_and_the_exact_figures_after_it(weir, backend, how, more, end):
    b = backend()
    w = weir(forward(b.address, more))
    c = w.connect()
    s = b.wait()
    c.sendall(b"12345")
    assert read_exactly(s, 5) == b"12345"
    s.sendall(b"123")
    assert read_exactly(c, 3) == b"123"
    how(w, c, s)
    if how is end_client:
        assert s.recv(1) == b""
        s.close()
    [line] = w.access()
    assert line["end"] == end
    assert (line["bytes_in"], line["bytes_out"]) == ("5", "3")
    figures = w.wait_figures(connections=0)
    want = {"accepted": 1, "closed": 1, "connections_peak": 1, "rejected": 0,
            "denied": 0, "timeouts": int(end == "timeout"), "bytes_in": 5,
            "bytes_out": 3, "buffered": 0}
    assert {k: figures[k] for k in want} == want
    assert w.ctl("count") == 0 and w.connections() == []


@pytest.mark.parametrize("end,config", [
    ("denied", ECHO + "deny = all\n"),
    ("limit", ECHO + "max_per_source = 1\n"),
    ("connect_failed", "failed"),
    ("connect_timeout", "timeout"),
])
def test_end_of_those_that_were_never_joined(weir, blackhole, end, config):
    if config == "failed":
        config = forward(f"127.0.0.1:{free_port()}")
    elif config == "timeout":
        config = forward(blackhole().address, "connect_timeout = 200ms\n")
    w = weir(config)
    first = w.connect()
    if end == "limit":
        first.sendall(b"x")
        assert first.recv(1) == b"x"
        first = w.connect()
    assert ended(first)
    [line] = w.access()
    assert line["end"] == end
    assert (line["bytes_in"], line["bytes_out"]) == ("0", "0")
    if end in ("denied", "limit"):
        assert line["server"] == line["tried"] == "-"


def test_a_connect_that_failed_counts_as_an_error(weir):
    w = weir(forward(f"127.0.0.1:{free_port()}"))
    assert ended(w.connect())
    w.wait_figures(errors=1, closed=1, connections=0)


# ---- what peers do is no error ----

def test_probes_and_resets_are_no_errors_in_the_log(weir, backend):
    b = backend(answer_at_end)
    w = weir(forward(b.address, log=""))
    for i in range(20):
        c = w.connect()
        if i % 2:
            reset(c)
        else:
            c.close()
    w.wait_figures(connections=0)
    w.stop()
    noise = [x for x in w.err.lines if re.search(r"(^|\s)(error|warn)\s", x)]
    assert not noise


# ---- logs that cannot be written ----

@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_that_cannot_be_opened_again_is_named(weir, folder, workers):
    path = folder / "a.log"
    w = weir(f"[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
             f"access_log = file:{path}\n", keys={"workers": workers})
    path.unlink()
    path.mkdir()
    w.send_signal(signal.SIGUSR1)
    # Each process says it, and goes on with what it has.
    w.wait_log(f"cannot reopen a log file.* file={path} ",
               1 if workers == 1 else 1 + workers)


@pytest.mark.valgrind
@pytest.mark.parametrize("where", ["log", "access"])
def test_a_full_disk_stops_nothing(make, folder, where):
    keys = {"log": "file:/dev/full"} if where == "log" else {}
    path = folder / "s"
    text = f"[listener l]\nlisten = unix:{path}\nmode = echo\n"
    text += ("access_log = on\n" if where == "log"
             else "access_log = file:/dev/full\n")
    w = make(text, keys=keys)
    w.names = []  # its log may not tell where it listens
    w.start()
    for _ in range(50):
        c = w.connect(address=f"unix:{path}")
        c.sendall(b"x")
        assert c.recv(1) == b"x"
        c.close()
    w.wait_figures("l", connections=0, accepted=50)


def test_a_log_that_nobody_reads_stops_nothing(make, folder):
    # A pipe that is full: lines are dropped, not waited for.
    r, wr = os.pipe()
    os.set_blocking(wr, False)
    try:
        while True:
            os.write(wr, b"x" * 65536)
    except BlockingIOError:
        pass
    os.set_blocking(wr, True)
    p = subprocess.Popen(
        [built(PROGRAM), "-o", "control=off", "-o", f"pid_file={folder}/pid",
         "-l", f"unix:{folder}/s", "-e", "-o", "access_log=on"], stderr=wr,
        env=environment())
    os.close(wr)
    try:
        eventually((folder / "pid").exists, "it to start")
        for _ in range(200):
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(DEADLINE)
                s.connect(f"{folder}/s")
                s.sendall(b"x")
                assert s.recv(1) == b"x"
        p.send_signal(signal.SIGTERM)
        assert p.wait(DEADLINE) == 0
    finally:
        p.kill()
        os.close(r)


def test_a_log_file_that_cannot_be_opened_is_an_error_at_start(make, folder):
    w = make(ECHO, keys={"log": f"file:{folder}/no/log"})
    w.names = []
    w.spawn().wait(1)
    assert "no/log" in w.err.text()


def test_an_access_log_that_cannot_be_opened_is_an_error_at_start(
        make, folder):
    w = make(ECHO.replace("= on", f"= file:{folder}/no/log"))
    w.spawn().wait(1)
    assert "no/log" in w.err.text()


@pytest.mark.parametrize("level,shown", [("error", False), ("warn", False),
                                         ("info", True), ("debug", True)])
def test_log_level(make, level, shown):
    w = make(ECHO, keys={"log_level": level})
    w.names = []
    w.start()
    w.stop()
    assert bool(w.addresses("l")) == shown


def test_what_clients_say_cannot_forge_lines(weir, folder):
    # The name of a client's unix socket is its own choice.
    w = weir(f"[listener l]\nlisten = unix:{folder}/s\nmode = echo\n"
             "access_log = on\n")
    c = socket.socket(socket.AF_UNIX)
    c.settimeout(10)
    c.bind(b"\0evil\nerror forged end=drain bytes_in=1")
    c.connect(f"{folder}/s")
    c.close()
    w.access()
    assert not [x for x in w.log_lines() if x.startswith("error forged")]


needs_root = pytest.mark.skipif(not is_root(), reason="needs root")


def hidden(place):
    """A launcher that shows weir an empty folder there."""
    return ["unshare", "-m", "sh", "-c",
            f"mount -t tmpfs none {place} && exec \"$@\"", "sh"]


@contextlib.contextmanager
def logger(folder, path):
    """A datagram socket at that path, and the launcher of a weir that finds it
    there: where the real one is, it is hidden from weir; a plain container has
    none, and gets one for as long as the test runs."""
    launcher = []
    with contextlib.ExitStack() as stack:
        s = stack.enter_context(socket.socket(socket.AF_UNIX,
                                              socket.SOCK_DGRAM))
        s.settimeout(DEADLINE)
        if os.path.exists(path):
            mine = folder / "logger"
            s.bind(str(mine))
            launcher = ["unshare", "-m", "sh", "-c",
                        f"mount --bind {mine} {path} && exec \"$@\"", "sh"]
        else:
            parents = [p for p in pathlib.Path(path).parents if not p.exists()]
            os.makedirs(os.path.dirname(path), exist_ok=True)
            for p in reversed(parents):
                stack.callback(p.rmdir)
            s.bind(path)
            stack.callback(os.unlink, path)
        yield s, launcher


def receive(s, word):
    while True:
        data = s.recv(8192)
        if word in data:
            return data


@needs_root
def test_syslog_gets_the_lines(make, folder):
    with logger(folder, "/dev/log") as (s, launcher):
        w = make(ECHO, keys={"log": "syslog"}, launcher=launcher)
        w.names = []
        w.start()
        line = receive(s, b"listening listener=l")
        # <facility daemon * 8 + severity info>
        assert re.match(rb"<30>.*weir(\[\d+\])?: ", line), line
        w.stop()


@needs_root
def test_the_journal_gets_the_lines_and_stamps_them_itself(make, folder):
    with logger(folder, "/run/systemd/journal/socket") as (s, launcher):
        w = make(ECHO, keys={"log": "journal"}, launcher=launcher)
        w.names = []
        w.start()
        entry = receive(s, b"listening").decode()
        fields = dict(x.split("=", 1) for x in entry.splitlines() if "=" in x)
        assert fields["PRIORITY"] == "6"
        assert "listening listener=l" in fields["MESSAGE"]
        assert not re.match(r"\d{4}-", fields["MESSAGE"])
        w.stop()


def test_a_syslog_that_is_not_there_is_an_error_that_names_it(make):
    launcher = hidden("/dev") if os.path.exists("/dev/log") else []
    w = make(ECHO, keys={"log": "syslog"}, launcher=launcher)
    w.spawn().wait(1)
    assert w.log_find("/dev/log|syslog")
