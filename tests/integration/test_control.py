"""The control socket and weirctl."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest

from weirtest import (CTL, DEADLINE, MEASURABLE, built, echo, ended,
                      environment, eventually, free_port, is_root, read_exactly)

ECHO = "[listener a]\nlisten = 127.0.0.1:0\nmode = echo\n"
TWO = ECHO + "[listener b]\nlisten = 127.0.0.1:0\nmode = echo\n"


def served(c):
    c.sendall(b"?")
    return c.recv(1) == b"?"


def control_client(w):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(DEADLINE)
    s.connect(w.control_path)
    w.sockets.append(s)
    return s


# ---- what is asked ----

@pytest.mark.valgrind
def test_ping_and_version(weir):
    w = weir(ECHO)
    assert w.ctl("ping") == "pong"
    assert re.match(r"\d+\.\d+", w.ctl("version"))


@pytest.mark.valgrind
def test_stats_has_everything(weir):
    w = weir(TWO, keys={"max_connections": "100"})
    c = w.connect("a")
    assert served(c)
    stats = w.ctl("stats")
    assert {"version", "pid", "uptime_s", "state", "connections", "workers",
            "listeners", "upstreams"} <= set(stats)
    assert stats["pid"] == w.pid
    assert stats["state"] == "running"
    assert stats["connections"] == 1
    assert [x["name"] for x in stats["listeners"]] == ["a", "b"]
    a = stats["listeners"][0]
    want = {"name": "a", "mode": "echo", "addresses": [w.address("a")],
            "state": "open", "connections": 1, "connections_peak": 1,
            "max_connections": 0, "accepted": 1, "rejected": 0, "denied": 0,
            "closed": 0, "errors": 0, "timeouts": 0, "bytes_in": 1,
            "bytes_out": 1, "buffered": 0}
    assert {k: a[k] for k in want} == want
    [worker] = stats["workers"]
    assert worker["connections"] == 1 and worker["restarts"] == 0
    assert w.ctl("listeners") == stats["listeners"]
    assert w.ctl("upstreams") == stats["upstreams"]


@pytest.mark.valgrind
def test_connections_shows_each_open_one(weir, backend):
    b = backend(echo)
    w = weir(TWO + "[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")
    clients = {n: w.connect(n) for n in ("a", "b", "f")}
    for c in clients.values():
        c.sendall(b"1234")
        assert read_exactly(c, 4) == b"1234"
    found = {x["listener"]: x for x in w.ctl("connections")}
    assert set(found) == {"a", "b", "f"}
    for name, c in clients.items():
        x = found[name]
        assert x["client"] == "%s:%d" % c.getsockname()
        assert x["server"] == (b.address if name == "f" else "-")
        assert (x["bytes_in"], x["bytes_out"]) == (4, 4)
        assert x["state"] == "open"
        assert x["age_s"] >= x["idle_s"] >= 0
    assert [x["listener"] for x in w.ctl("connections f")] == ["f"]
    assert w.ctl("count") == 3 and w.ctl("count f") == 1


def test_states_of_a_connection(weir, blackhole, backend):
    b = backend()
    w = weir("[listener c]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {blackhole().address}\n"
             "[listener p]\nlisten = 127.0.0.1:0\nmode = pipe\npipe = peer\n"
             "[listener h]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")
    w.connect("c")
    w.connect("p")
    half = w.connect("h")
    b.wait()
    half.shutdown(socket.SHUT_WR)

    def states():
        return {x["listener"]: x["state"] for x in w.ctl("connections")}
    eventually(lambda: states() == {"c": "connecting", "p": "waiting",
                                    "h": "half-closed"}, "their states")


def test_many_requests_on_one_connection_are_answered_in_order(weir):
    w = weir(ECHO)
    answers = w.ctl_raw(b"ping\ncount\nversion\nnonsense\nping\n", 5)
    assert [x["ok"] for x in answers] == [True, True, True, False, True]
    assert answers[0]["data"] == answers[4]["data"] == "pong"
    assert answers[1]["data"] == 0


def test_a_request_in_pieces_and_with_cr(weir):
    w = weir(ECHO)
    s = control_client(w)
    for piece in (b"pi", b"n", b"g\r", b"\n"):
        s.sendall(piece)
    assert json.loads(s.makefile().readline()) == {"ok": True, "data": "pong"}


# ---- what is done ----

@pytest.mark.valgrind
def test_kill_destroys_one_connection(weir):
    w = weir(ECHO)
    a, b = w.connect(), w.connect()
    assert served(a) and served(b)
    entry = next(x for x in w.connections()
                 if x["client"] == "%s:%d" % a.getsockname())
    w.ctl(f"kill {entry['id']}")
    assert ended(a)
    assert served(b)
    w.ctl_error(f"kill {entry['id']}")
    w.ctl_error("kill")
    w.ctl_error("kill x")
    w.ctl_error("kill -1")
    w.ctl_error("kill 99999999999999999999999")


@pytest.mark.valgrind
def test_close_refuses_new_clients_and_open_takes_them_again(weir):
    w = weir(TWO.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}", 1))
    a = w.connect("a")
    assert served(a)
    w.ctl("close a")
    assert w.listener("a")["state"] == "closed"
    with pytest.raises(ConnectionRefusedError):
        w.connect("a")
    assert served(a)
    assert served(w.connect("b"))
    w.ctl_error("close a")
    assert w.ctl("open a") == "opened"
    assert w.listener("a")["state"] == "open"
    assert w.listener("a")["addresses"] == [w.address("a")]
    assert served(w.connect("a"))
    assert served(a)
    w.ctl_error("open a")
    assert w.listener("a")["accepted"] == 2


def test_close_and_open_of_a_unix_socket(weir, folder):
    path = folder / "s"
    w = weir(f"[listener a]\nlisten = unix:{path}\nmode = echo\n")
    w.ctl("close a")
    assert not path.exists()
    w.ctl("open a")
    assert path.exists()
    assert served(w.connect())


def test_a_listener_that_cannot_be_opened_again(weir):
    w = weir(TWO.replace("127.0.0.1:0", f"127.0.0.1:{free_port()}", 1))
    w.ctl("close a")
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", w.port("a")))
        s.listen()
        error = w.ctl_error("open a")
        assert f"127.0.0.1:{s.getsockname()[1]}" in error
        assert "in use" in error
        w.wait_log("cannot listen")
        assert w.listener("a")["state"] == "closed"
        assert served(w.connect("b"))


def test_unknown_names_are_errors_with_the_nearest(weir):
    w = weir("[listener website]\nlisten = 127.0.0.1:0\nmode = echo\n")
    for request in ("count", "connections", "close", "open"):
        error = w.ctl_error(f"{request} webiste")
        assert "webiste" in error and "website" in error
    assert "ping" in w.ctl_error("pnig")


def test_set_log_level(weir):
    w = weir(ECHO + "access_log = on\n")
    w.ctl("set log_level warn")
    w.connect().close()
    w.wait_figures(connections=0, accepted=1)
    w.ctl("set log_level info")
    w.connect().close()
    assert len(w.access()) == 1
    assert "loud" in w.ctl_error("set log_level loud")
    w.ctl("set log_level error")
    w.connect().close()
    w.wait_figures(connections=0, accepted=3)
    assert len(w.access()) == 1


@pytest.mark.valgrind
def test_shutdown_is_graceful(weir):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    c = w.connect()
    assert served(c)
    w.ctl("shutdown")
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    assert served(c)
    c.close()
    w.wait(0)


def test_shutdown_now_destroys(weir):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    c = w.connect()
    assert served(c)
    w.ctl("shutdown now")
    assert ended(c)
    w.wait(0)
    assert not os.path.exists(w.control_path)


def test_health(weir):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    assert w.ctl("health") == "up"
    assert w.weirctl("health").returncode == 0
    c = w.connect()
    assert served(c)
    w.ctl("shutdown")
    eventually(lambda: w.ctl("health") == "drain", "it to drain")
    assert w.weirctl("health", check=False).returncode == 1
    c.close()
    w.wait(0)
    assert w.weirctl("health", check=False).returncode == 2


def test_drain_tells_balancers_and_serves_on(weir):
    w = weir(TWO)
    c = w.connect("a")
    assert served(c)
    assert w.ctl("drain") == "drain"
    assert w.weirctl("health", check=False).returncode == 1
    assert w.ctl("stats")["state"] == "running"
    assert served(c) and served(w.connect("b"))
    assert w.ctl("undrain") == "up"
    assert w.weirctl("health").returncode == 0
    w.ctl("close b")
    assert w.ctl("health") == "down"
    assert w.ctl("drain") == "drain"
    assert w.ctl("undrain") == "down"


def test_config_tells_values_and_where_they_come_from(weir):
    w = weir(ECHO + "backlog = 77\n[listener b]\nlisten = 127.0.0.1:0\n"
             "mode = pipe\npipe = null\n", keys={"drain_timeout": "3s"})

    def values():
        return {(r["section"], r["name"], r["key"]): (r["value"], r["from"])
                for r in w.ctl("config")}
    before = values()
    text = open(w.config_path).read().split("\n")

    def where(line):
        return f"{w.config_path}:{text.index(line) + 1}"
    assert before["listener", "a", "backlog"] == ("77", where("backlog = 77"))
    assert before["listener", "b", "pipe"] == ("null", where("pipe = null"))
    assert before["listener", "b", "backlog"] == ("511", "default")
    assert before["weir", "", "drain_timeout"] == (
        "3s", where("drain_timeout = 3s"))
    w.ctl("set log_level debug")
    w.ctl("close b")
    w.ctl("drain")
    after = values()
    assert {k: v for k, v in after.items() if before.get(k) != v} == {
        ("weir", "", "log_level"): ("debug", "runtime"),
        ("weir", "", "health"): ("drain", "runtime"),
        ("listener", "b", "state"): ("closed", "runtime")}


@pytest.mark.parametrize("flags, level, origin", [
    (["-v"], "debug", "-v"), (["-v", "-o", "log_level=debug"], "debug", "-o")])
def test_config_tells_of_a_log_level_that_flags_made(
        weir, flags, level, origin):
    w = weir(ECHO, args=flags)

    def told():
        return next((r["value"], r["from"]) for r in w.ctl("config")
                    if r["key"] == "log_level")
    assert told() == (level, origin)
    w.ctl("set log_level warn")
    assert told() == ("warn", "runtime")


# ---- reload ----

@pytest.mark.parametrize("workers", [1, 2])
def test_reload_tells_what_it_did_and_would_do(weir, workers):
    w = weir(TWO, keys={"workers": workers})
    c = w.connect("a")
    assert served(c)
    w.base = w.descriptors()
    old = open(w.config_path).read()
    w.write_config(old.replace("mode = echo", "mode = echo\nbacklog = 77", 1)
                   + "[listener c]\nlisten = 127.0.0.1:0\nmode = echo\n")
    want = {("listener", "a"): ("changed", 1), ("listener", "b"): ("kept", 0),
            ("listener", "c"): ("added", 0)}

    def told(data):
        assert (data["kept"], data["added"], data["removed"],
                data["changed"]) == (1, 1, 0, 1)
        sections = {(s["section"], s["name"]): (s["change"], s["connections"])
                    for s in data["sections"] if s["section"] != "weir"}
        assert sections == want
        [key] = data["keys"]
        assert (key["name"], key["key"], key["before"], key["after"],
                key["effect"]) == ("a", "backlog", "511", "77", "live")
        assert key["from"].startswith(w.config_path + ":")
    check = w.ctl("reload check")
    assert check["done"] is False
    told(check)
    assert [x["name"] for x in w.ctl("listeners")] == ["a", "b"]
    done = w.ctl("reload")
    assert done["done"] is True
    told(done)
    assert [x["name"] for x in w.ctl("listeners")] == ["a", "b", "c"]
    assert served(c)
    out = w.weirctl("reload").stdout
    assert re.search(r"^changed +0$", out, re.M) and "kept\n" not in out
    w.write_config(old + "[listener d]\nmode = echo\nbaklog = 1\n")
    for request in "reload check", "reload":
        error = w.ctl_error(request)
        assert "nothing" in error.splitlines()[0]
        assert sum(f"{w.config_path}:" in x for x in error.splitlines()) == 2
        assert "backlog" in error
    assert [x["name"] for x in w.ctl("listeners")] == ["a", "b", "c"]
    r = w.weirctl("reload", check=False)
    assert r.returncode == 1 and "baklog" in r.stderr
    w.write_config(old)
    assert w.ctl("reload")["removed"] == 1
    eventually(lambda: len(w.ctl("listeners")) == 2, "c to be gone")


# ---- several workers ----

def test_a_worker_that_is_stopped_is_left_out_and_said(weir):
    w = weir(ECHO, keys={"workers": "2"})
    clients = [w.connect() for _ in range(12)]
    assert all(served(c) for c in clients)
    first, second = w.ctl("workers")
    w.base = w.descriptors()
    os.kill(first["pid"], signal.SIGSTOP)
    try:
        [answer] = w.ctl_raw(b"connections\n")
        assert answer["ok"] and "1 worker did not answer" in answer["warning"]
        assert len(answer["data"]) == second["connections"]
        assert w.ctl("count") == 12
        states = {x["pid"]: x["state"] for x in w.ctl("workers")}
        assert states[first["pid"]] == "silent"
        assert states[second["pid"]] == "serving"
        r = w.weirctl("listeners")
        assert "did not answer" in r.stderr and "a " in r.stdout
    finally:
        os.kill(first["pid"], signal.SIGCONT)
    eventually(lambda: [x["state"] for x in w.ctl("workers")] ==
               ["serving"] * 2, "it to answer again")
    assert len(w.ctl("connections")) == 12


# ---- what nobody should do ----

@pytest.mark.valgrind
@pytest.mark.parametrize("line", [
    b"\xff\xfe\x00garbage", b"{\"json\": 1}", b"stats stats", b"GET / HTTP/1.1",
    b"ping " * 100, b"\0", b"kill 1 2 3 4 5 6 7 8 9 10 11",
])
def test_garbage_is_answered_and_the_next_request_too(weir, line):
    w = weir(ECHO)
    first, second = w.ctl_raw(line + b"\nping\n", 2)
    assert first["ok"] is False and first["error"]
    assert second == {"ok": True, "data": "pong"}


def test_half_a_line_and_gone(weir):
    w = weir(ECHO)
    for _ in range(20):
        s = control_client(w)
        s.sendall(b"shutdo")
        s.close()
    s = control_client(w)
    s.sendall(b"shutdown now")  # no end of line: no request
    s.shutdown(socket.SHUT_WR)
    while s.recv(4096):
        pass
    assert w.ctl("ping") == "pong"


def test_a_line_of_a_megabyte(weir):
    w = weir(ECHO)
    s = control_client(w)
    before = w.rss()
    try:
        s.sendall(b"x" * (1 << 20) + b"\n")
        answer = s.makefile().readline()
        if answer:
            assert json.loads(answer)["ok"] is False
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert w.ctl("ping") == "pong"
    if MEASURABLE:
        assert w.rss() - before < 1 << 20


def test_a_client_that_never_reads_its_answers(weir):
    w = weir(ECHO)
    s = control_client(w)
    s.settimeout(0.3)
    before = w.rss()
    sent = 0
    try:
        while sent < 64 << 20:
            sent += s.send(b"stats\n" * 1000)
    except (TimeoutError, BrokenPipeError, ConnectionResetError):
        pass
    assert sent < 64 << 20
    assert w.ctl("ping") == "pong"
    assert served(w.connect())
    if MEASURABLE:
        assert w.rss() - before < 4 << 20


def test_many_control_clients_leave_nothing_behind(weir):
    w = weir(ECHO)
    clients = [control_client(w) for _ in range(30)]
    for s in clients:
        s.sendall(b"ping\n")
    for s in clients:
        assert b"pong" in s.recv(1000)
        s.close()
    w.no_leak()


def test_too_many_control_clients_do_not_stop_the_proxy(weir):
    w = weir(ECHO)
    for _ in range(300):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(DEADLINE)
        w.sockets.append(s)
        s.connect(w.control_path)
    assert served(w.connect())


def test_a_client_that_stays_does_not_hold_up_the_end(weir):
    w = weir(ECHO)
    control_client(w)
    w.send_signal(signal.SIGTERM)
    w.wait(0)


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
def test_another_user_may_not_ask(weir):
    w = weir(ECHO)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup",
                        "--clear-groups", "nc", "-U", w.control_path],
                       input=b"ping\n", capture_output=True, timeout=DEADLINE)
    assert r.returncode != 0 and b"pong" not in r.stdout


# ---- weirctl ----

@pytest.mark.parametrize("request_", ["ping", "version", "stats", "listeners",
                                      "upstreams", "workers", "connections",
                                      "count", "health", "help"])
def test_weirctl_prints_every_request_for_people_and_as_json(weir, request_):
    w = weir(ECHO)
    assert served(w.connect())
    people = w.weirctl(request_)
    assert people.stdout.endswith("\n") or request_ == "upstreams"
    assert people.stderr == ""
    data = json.loads(w.weirctl("--json", request_).stdout)
    if request_ not in ("stats", "connections"):
        assert data == w.ctl(request_)


def test_weirctl_tables_show_names_and_figures(weir):
    w = weir(TWO)
    c = w.connect("a")
    assert served(c)
    out = w.weirctl("listeners").stdout
    assert w.address("a") in out and w.address("b") in out
    out = w.weirctl("connections").stdout
    assert "%s:%d" % c.getsockname() in out
    assert w.weirctl("count").stdout.strip() == "1"
    assert w.weirctl("count", "b").stdout.strip() == "0"


def test_weirctl_an_error_is_status_1_on_stderr(weir):
    w = weir(ECHO)
    r = w.weirctl("kill", "12345", check=False)
    assert r.returncode == 1
    assert r.stdout == ""
    assert "12345" in r.stderr


def test_weirctl_without_a_weir(folder):
    r = subprocess.run([built(CTL), "-s", folder / "none", "ping"],
                       env=environment(), capture_output=True, text=True,
                       timeout=DEADLINE)
    assert r.returncode == 1
    assert f"{folder}/none" in r.stderr


@pytest.mark.parametrize("args", [[], ["-Z"], ["-s"], ["-t", "x", "ping"],
                                  ["pi\nng"], [""]])
def test_weirctl_a_mistake_in_the_command_line_is_status_2(args):
    r = subprocess.run([built(CTL), *args], env=environment(),
                       capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode == 2
    assert r.stderr and not r.stdout


def test_weirctl_does_what_it_is_told(weir):
    w = weir(ECHO)
    w.weirctl("close", "a")
    assert w.listener()["state"] == "closed"
    w.weirctl("open", "a")
    w.weirctl("set", "log_level", "debug")
    w.weirctl("shutdown")
    w.wait(0)


@pytest.mark.parametrize("flag,word", [("-h", "usage"), ("-V", "weirctl")])
def test_weirctl_help_and_version(flag, word):
    r = subprocess.run([built(CTL), flag], env=environment(),
                       capture_output=True, text=True, timeout=DEADLINE)
    assert r.returncode == 0 and word in r.stdout


def test_weirctl_is_silent_where_nobody_wants_the_rest(weir):
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n")
    r, to = os.pipe()
    os.close(r)
    done = subprocess.run([built(CTL), "-s", w.control_path, "config"],
                          env=environment(), stdout=to, stderr=subprocess.PIPE,
                          timeout=DEADLINE)
    os.close(to)
    assert done.returncode == 1
    assert done.stderr == b""
