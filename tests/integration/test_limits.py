"""How many, how fast, from whom."""

import os
import resource
import socket
import subprocess
import sys
import threading
import time

import pytest

from weirtest import (DEADLINE, MEASURABLE, Reader, echo, ended,
                      eventually, is_root, read_all, read_exactly, reset)

ECHO = "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\naccess_log = on\n"


def served(c):
    """Whether weir reads this client and answers it now."""
    c.sendall(b"?")
    return c.recv(1) == b"?"


def unserved(c):
    """Whether this client waits: a byte that was sent is not answered, though
    weir answered others that came after it."""
    c.setblocking(False)
    try:
        c.recv(1, socket.MSG_PEEK)
        return False
    except BlockingIOError:
        return True
    finally:
        c.settimeout(DEADLINE)


# ---- max_connections ----

@pytest.mark.valgrind
def test_max_connections_rejects_by_default(weir):
    w = weir(ECHO + "max_connections = 2\n")
    a, b = w.connect(), w.connect()
    assert served(a) and served(b)
    assert ended(w.connect())
    w.wait_figures(connections=2, rejected=1, max_connections=2)
    assert w.access()[0]["end"] == "limit"
    a.close()
    w.wait_figures(connections=1)
    assert served(w.connect())


@pytest.mark.valgrind
def test_max_connections_wait_leaves_clients_in_the_backlog(weir):
    w = weir(ECHO + "max_connections = 2\non_limit = wait\n")
    a, b = w.connect(), w.connect()
    assert served(a) and served(b)
    waits = w.connect()
    waits.sendall(b"!")
    eventually(lambda: w.listener()["state"] == "waiting", "it to wait")
    assert served(a) and served(b)
    assert unserved(waits)
    assert w.ctl("count l") == 2
    a.close()
    assert waits.recv(1) == b"!"
    assert w.listener()["rejected"] == 0


def test_waiting_clients_are_served_in_their_order(weir):
    w = weir(ECHO + "max_connections = 1\non_limit = wait\n")
    clients = [w.connect() for _ in range(5)]
    for c in clients:
        c.sendall(b"x")
    for c in clients:
        assert c.recv(1) == b"x"
        c.close()
    w.wait_figures(connections=0, accepted=5, connections_peak=1)


def test_a_client_that_leaves_the_backlog_takes_no_place(weir):
    w = weir(ECHO + "max_connections = 1\non_limit = wait\n")
    a = w.connect()
    assert served(a)
    for _ in range(3):
        reset(w.connect())
    last = w.connect()
    last.sendall(b"x")
    a.close()
    assert last.recv(1) == b"x"


@pytest.mark.parametrize("on_limit", ["reject", "wait"])
def test_max_connections_of_all_listeners_together(weir, on_limit):
    w = weir(ECHO + f"on_limit = {on_limit}\n"
             + ECHO.replace("[listener l]", "[listener m]")
             + f"on_limit = {on_limit}\n", keys={"max_connections": "3"})
    open_ones = [w.connect("l"), w.connect("m"), w.connect("l")]
    assert all(served(c) for c in open_ones)
    more = w.connect("m")
    if on_limit == "reject":
        assert ended(more)
        w.wait_figures("m", rejected=1)
    else:
        more.sendall(b"x")
        assert all(served(c) for c in open_ones)
        assert unserved(more)
        open_ones[0].close()
        assert more.recv(1) == b"x"
    assert w.ctl("count") == 3


# ---- max_per_source ----

@pytest.mark.valgrind
def test_max_per_source_rejects_only_that_source(weir):
    w = weir(ECHO + "max_per_source = 1\non_limit = wait\n")
    a = w.connect(source="127.0.0.2")
    assert served(a)
    assert ended(w.connect(source="127.0.0.2"))
    assert served(w.connect(source="127.0.0.3"))
    w.wait_figures(connections=2, rejected=1)
    assert w.access()[0]["end"] == "limit"
    a.close()
    w.wait_figures(connections=1)
    assert served(w.connect(source="127.0.0.2"))


def test_max_per_source_of_a_dual_stack_listener_knows_ipv4(weir):
    w = weir("[listener l]\nlisten = *:0\nmode = echo\nmax_per_source = 1\n")
    first = w.connect(address=f"127.0.0.1:{w.port()}", source="127.0.0.2")
    assert served(first)
    other = w.connect(address=f"127.0.0.1:{w.port()}", source="127.0.0.3")
    assert served(other)
    assert ended(w.connect(address=f"127.0.0.1:{w.port()}",
                           source="127.0.0.3"))


@pytest.mark.skipif(not is_root(), reason="a network namespace needs root")
def test_max_per_source_counts_an_ipv6_64_as_one(folder):
    # In a network of its own, where addresses may be given out freely.
    r = subprocess.run(
        ["unshare", "-n", sys.executable, "-B", "-c", """
import subprocess, sys, tempfile
for a in ("lo",):
    subprocess.run(["ip", "link", "set", a, "up"], check=True)
for a in ("fd01::1/64", "fd01::2/64", "fd02::1/64"):
    subprocess.run(["ip", "-6", "addr", "add", a, "dev", "lo", "nodad"],
                   check=True)
sys.path.insert(0, sys.argv[1])
import weirtest
w = weirtest.Weir(sys.argv[2], '''[listener l]
listen = [::]:0
mode = echo
max_per_source = 1
''').start()
to = f"[::1]:{w.port()}"
def served(c):
    c.sendall(b"?")
    return c.recv(1) == b"?"
a = w.connect(address=to, source="fd01::1")
assert served(a)
assert weirtest.ended(w.connect(address=to, source="fd01::2"))
assert served(w.connect(address=to, source="fd02::1"))
w.wait_figures(connections=2, rejected=1)
w.finish()
""", os.path.dirname(os.path.abspath(__file__)), str(folder / "w")],
        capture_output=True, text=True, timeout=DEADLINE * 3)
    assert r.returncode == 0, r.stderr


# ---- max_rate ----

def test_max_rate_lets_the_rest_wait_and_loses_none(weir):
    rate, count = 40, 30
    w = weir(ECHO + f"max_rate = {rate}\n")
    began = time.monotonic()
    clients = [w.connect() for _ in range(count)]
    for c in clients:
        c.sendall(b"x")
    for c in clients:
        assert c.recv(1) == b"x"
    took = time.monotonic() - began
    # At most a tenth of a second's worth at once, and then so many a second.
    assert took >= (count - 1 - rate / 10) / rate - 0.1
    w.wait_figures(accepted=count, rejected=0)


def test_max_rate_does_not_slow_open_connections(weir):
    w = weir(ECHO + "max_rate = 1\n")
    first = w.connect()
    assert served(first)
    others = [w.connect() for _ in range(3)]
    for _ in range(20):
        assert served(first)
    for c in others:
        c.close()


# ---- allow, deny ----

@pytest.mark.valgrind
def test_deny_closes_and_counts(weir):
    w = weir(ECHO + "deny = 127.0.0.2\n")
    assert ended(w.connect(source="127.0.0.2"))
    assert served(w.connect(source="127.0.0.3"))
    w.wait_figures(denied=1, connections=1)
    [line] = w.access()
    assert line["end"] == "denied"
    assert line["client"].startswith("127.0.0.2:")


def test_who_is_denied_costs_no_upstream_and_one_line(weir, backend):
    b = backend(echo)
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\naccess_log = on\n"
             "deny = 127.0.0.2\n", keys={"log_level": "debug"})
    before = len(w.log_lines())
    for _ in range(10):
        assert ended(w.connect(source="127.0.0.2"))
    w.wait_figures(denied=10)
    assert len(w.access(10)) == 10
    assert len(w.log_lines()) == before + 10
    assert served(w.connect(source="127.0.0.3"))
    assert len(b.connections) == 1


@pytest.mark.parametrize("rules,allowed", [
    (["allow = 127.0.0.2"], False),
    (["allow = 127.0.0.3"], True),
    (["allow = 127.0.0.0/8", "deny = all"], True),
    (["deny = 127.0.0.3", "allow = 127.0.0.0/8"], False),
    (["allow = 127.0.0.3", "deny = 127.0.0.0/8"], True),
    (["deny = all"], False),
    (["deny = 127.0.0.0/31", "allow = all"], True),
    (["deny = 127.0.0.2/31", "allow = all"], False),
    (["allow = ::1", "allow = 10.0.0.0/8"], False),
    (["deny = ::/0"], True),
    (["allow = all"], True),
])
def test_the_first_row_that_matches_decides(weir, rules, allowed):
    w = weir(ECHO + "\n".join(rules) + "\n")
    c = w.connect(source="127.0.0.3")
    assert served(c) if allowed else ended(c)
    w.wait_figures(denied=0 if allowed else 1)


@pytest.mark.parametrize("rules,allowed", [
    (["deny = ::1"], False), (["allow = ::1"], True),
    (["allow = fd00::/8"], False), (["allow = ::/127"], True),
    (["deny = 0.0.0.0/0"], True),
])
def test_rows_of_ipv6(weir, rules, allowed):
    w = weir(ECHO.replace("127.0.0.1:0", "[::1]:0") + "\n".join(rules) + "\n")
    c = w.connect()
    assert served(c) if allowed else ended(c)


def test_ipv4_rows_hold_on_a_dual_stack_listener(weir):
    w = weir("[listener l]\nlisten = *:0\nmode = echo\ndeny = 127.0.0.2\n")
    to = f"127.0.0.1:{w.port()}"
    assert ended(w.connect(address=to, source="127.0.0.2"))
    assert served(w.connect(address=to, source="127.0.0.3"))


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
@pytest.mark.parametrize("rules,root,nobody", [
    (["allow = user:root"], True, False),
    (["deny = user:root"], False, True),
    (["allow = user:nobody"], False, True),
    (["allow = group:root"], True, False),
    (["deny = group:nogroup"], True, False),
    (["allow = 127.0.0.1"], False, False),
    (["deny = user:nobody", "allow = all"], True, False),
])
def test_rows_of_users_on_a_unix_socket(weir, folder, rules, root, nobody):
    path = folder / "s"
    w = weir(f"[listener l]\nlisten = unix:{path}\nmode = echo\n"
             "unix_mode = 0666\n" + "\n".join(rules) + "\n")
    c = w.connect()
    assert served(c) if root else ended(c)
    r = subprocess.run(["setpriv", "--reuid=nobody", "--regid=nogroup",
                        "--clear-groups", "nc", "-N", "-U", str(path)],
                       input=b"hi", capture_output=True, timeout=DEADLINE)
    assert r.stdout == (b"hi" if nobody else b"")


# ---- rates of bytes ----

def seconds_for(count, action):
    began = time.monotonic()
    action(count)
    return time.monotonic() - began


def slows(took):
    """took(RATE) is the time of 1 MB: at 1 MB/s, of which a tenth comes at
    once, well above that at a rate which is no limit. A machine that is busy
    may be slow once in a while."""
    slow = took("1m/s")
    assert slow >= 0.8
    assert any(took("100m/s") < slow / 2 for _ in range(5))


@pytest.mark.parametrize("splice", ["auto", "off"])
@pytest.mark.parametrize("to", ["forward", "null"])
def test_rate_in_slows_what_a_client_sends(weir, backend, to, splice):
    b = backend(lambda conn: (read_all(conn), conn.close()))
    way = {"forward": f"mode = forward\nupstream = {b.address}\n",
           "null": "mode = pipe\npipe = null\n"}[to]

    def took(rate):
        w = weir("[listener l]\nlisten = 127.0.0.1:0\n" + way +
                 f"rate_in = {rate}\nsplice = {splice}\n")

        def send(count):
            c = w.connect()
            c.sendall(b"x" * count)
            c.shutdown(socket.SHUT_WR)
            assert read_all(c) == b""
        return seconds_for(1 << 20, send)
    slows(took)


@pytest.mark.parametrize("splice", ["auto", "off"])
def test_rate_out_slows_what_a_client_gets(weir, backend, splice):
    b = backend(lambda conn: (conn.sendall(b"x" * (1 << 20)), conn.close()))

    def took(rate):
        w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
                 f"upstream = {b.address}\nrate_out = {rate}\n"
                 f"splice = {splice}\n")
        return seconds_for(1 << 20,
                           lambda count: read_exactly(w.connect(), count))
    slows(took)


@pytest.mark.parametrize("rates", [("1m/s", "100m/s"), ("100m/s", "1m/s")])
def test_an_echo_has_the_lower_of_both_rates(weir, rates):
    w = weir(ECHO + "rate_in = %s\nrate_out = %s\n" % rates)

    def back(count):
        c = w.connect()
        sender = threading.Thread(target=c.sendall, args=(bytes(count),))
        sender.start()
        read_exactly(c, count)
        sender.join()
    assert seconds_for(1 << 19, back) >= 0.25


def test_rates_are_of_each_client_alone(weir, backend):
    b = backend(lambda conn: (read_all(conn), conn.close()))
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\nrate_in = 1m/s\n")

    def send(c):
        c.sendall(b"x" * (1 << 19))
        c.shutdown(socket.SHUT_WR)
        read_all(c)
    alone = seconds_for(1, lambda _: send(w.connect()))
    clients = [w.connect() for _ in range(12)]
    began = time.monotonic()
    threads = [threading.Thread(target=send, args=(c,)) for c in clients]
    for t in threads:
        t.start()
    for t in threads:
        t.join(DEADLINE * 3)
        assert not t.is_alive()
    # Together they take about as long as one, not twelve times.
    assert time.monotonic() - began < 3 * alone + 1


def test_rate_in_does_not_slow_the_other_direction(weir, backend):
    b = backend(lambda conn: (conn.sendall(b"x" * (8 << 20)), conn.recv(1)))
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\nrate_in = 1k/s\n")
    assert seconds_for(8 << 20, lambda n: read_exactly(w.connect(), n)) < 6000


# ---- many, and too many ----

def nofile(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def take_descriptors(w, left):
    """Lower the limit of the running weir, so that it has so many left."""
    limit = max(w.descriptors()) + 1 + left
    resource.prlimit(w.pid, resource.RLIMIT_NOFILE, (limit, limit))


def raise_own_limit(count):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= count or hard == resource.RLIM_INFINITY, (
        f"the limit of descriptors is {hard}, the test needs {count}")
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


def test_two_thousand_connections_at_once(weir):
    raise_own_limit(5000)
    w = weir(ECHO.replace("access_log = on\n", ""))
    clients = [w.connect() for _ in range(2000)]
    w.wait_figures(connections=2000)
    for i, c in enumerate(clients):
        c.sendall(i.to_bytes(4, "big"))
    for i, c in enumerate(clients):
        assert read_exactly(c, 4) == i.to_bytes(4, "big")
    for c in clients:
        c.close()
    w.wait_figures(connections=0, accepted=2000, closed=2000, bytes_in=8000,
                   bytes_out=8000, connections_peak=2000)


def test_two_thousand_forwarded_connections_at_once(weir, backend):
    raise_own_limit(10000)
    b = backend(backlog=4096)
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")
    clients = [w.connect() for _ in range(2000)]
    eventually(lambda: len(b.connections) == 2000, "all at the backend")
    for i, c in enumerate(clients):
        c.sendall(i.to_bytes(4, "big"))
    got = {read_exactly(s, 4) for s in b.connections}
    assert got == {i.to_bytes(4, "big") for i in range(2000)}
    for c in clients:
        c.close()
    for s in b.connections:
        s.close()
    w.wait_figures(connections=0, closed=2000, bytes_in=8000)


def test_out_of_descriptors_rests_and_goes_on(weir):
    w = weir(ECHO.replace("access_log = on\n", ""))
    take_descriptors(w, 20)
    clients = [w.connect() for _ in range(60)]
    for c in clients:
        c.sendall(b"x")
    w.wait_log("(?i)descriptor|EMFILE|too many open files")
    served_now = []

    def some():
        served_now[:] = [c for c in clients if not unserved(c)]
        return len(served_now) > 5
    eventually(some, "some to be served")
    if MEASURABLE:
        before = w.cpu_ticks()
        # What is measured is the time that passes.
        threading.Event().wait(0.5)
        assert w.cpu_ticks() - before <= 5, "it spins"
    noise = w.log_find("(?i)too many open files|EMFILE|out of descriptors")
    assert len(noise) <= 3, noise
    # All are served in the end, as others leave.
    left = list(clients)
    while left:
        ready = eventually(lambda: [c for c in left if not unserved(c)],
                           f"the next of {len(left)} to be served")
        for c in ready:
            assert c.recv(1) == b"x"
            c.close()
            left.remove(c)
    w.wait_figures(connections=0, accepted=60)


def test_the_limit_of_descriptors_bounds_max_connections(weir):
    # Without max_connections weir accepts what the limit allows, no more, and
    # never runs out.
    w = weir(ECHO.replace("access_log = on\n", ""), setup=nofile(300))
    clients = []
    for _ in range(320):
        c = w.connect()
        clients.append(c)
    figures = eventually(
        lambda: (lambda f: f if f["rejected"] else None)(w.listener()),
        "some to be rejected")
    assert 5 <= figures["connections_peak"] < 300
    assert not w.log_find("(?i)too many open files|EMFILE")
    for c in clients:
        c.close()
    w.wait_figures(connections=0)
    assert served(w.connect())


def test_forwarding_out_of_descriptors_recovers(weir, backend):
    b = backend(echo)
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")
    take_descriptors(w, 25)
    clients = [w.connect() for _ in range(50)]
    readers = []
    for c in clients:
        try:
            c.sendall(b"x")
            c.shutdown(socket.SHUT_WR)
        except OSError:
            continue
        readers.append(Reader(c))
    for r in readers:
        r.join(DEADLINE * 3)
        assert not r.is_alive()
    w.wait_figures(connections=0)
    c = w.connect()
    c.sendall(b"again")
    assert read_exactly(c, 5) == b"again"


@pytest.mark.skipif(not MEASURABLE, reason="memory means nothing here")
def test_connections_that_ended_leave_no_memory(weir, backend):
    b = backend(echo)
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")

    def round_of(count):
        for _ in range(count):
            c = w.connect()
            c.sendall(b"x")
            assert c.recv(1) == b"x"
            w.sockets.remove(c)
            c.close()
        w.wait_figures(connections=0)
    round_of(200)
    before = w.rss()
    round_of(1500)
    assert w.rss() - before < 1 << 20


