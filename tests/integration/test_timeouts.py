"""Times: idle, half-closed, too long alive, too long connecting."""

import contextlib
import socket
import threading
import time

import pytest

from weirtest import (DEADLINE, SCALE, echo, ended, eventually, fill,
                      free_port, is_reset, pattern, read_all, read_exactly)


def listener(mode, more=""):
    return (f"[listener t]\nlisten = 127.0.0.1:0\nmode = {mode}\n"
            f"access_log = on\n{more}")


def ms(value):
    return f"{int(value * SCALE)}ms"


def poke(conn, times, pause):
    """Send a byte and get it back, again and again."""
    for _ in range(times):
        conn.sendall(b"x")
        assert conn.recv(1) == b"x"
        # Time itself is what is tested.
        threading.Event().wait(pause)


@pytest.mark.valgrind
def test_an_idle_client_is_closed(weir):
    w = weir(listener("echo", f"timeout = {ms(300)}\n"))
    c = w.connect()
    began = time.monotonic()
    assert ended(c)
    assert time.monotonic() - began >= 0.25 * SCALE
    assert w.access()[0]["end"] == "timeout"
    w.wait_figures(connections=0, timeouts=1, closed=1)


def test_activity_starts_the_timeout_anew(weir):
    w = weir(listener("echo", f"timeout = {ms(1000)}\n"))
    c = w.connect()
    poke(c, 8, 0.15 * SCALE)
    w.wait_figures(connections=1, timeouts=0)
    assert ended(c)
    w.wait_figures(timeouts=1)


def test_activity_in_one_direction_is_enough(weir, backend):
    def drip(conn):
        for _ in range(8):
            conn.sendall(b"x")
            threading.Event().wait(0.15 * SCALE)
        conn.recv(1)
    b = backend(drip)
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"timeout = {ms(1000)}\n"))
    c = w.connect()
    assert read_exactly(c, 8) == b"x" * 8
    assert ended(c)
    w.wait_figures(timeouts=1, bytes_out=8)


def test_the_server_is_told_of_a_timeout(weir, backend):
    b = backend()
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"timeout = {ms(300)}\n"))
    w.connect()
    assert ended(b.wait())


def test_a_client_that_is_held_back_times_out(weir, backend):
    b = backend()
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"timeout = {ms(1000)}\n"))
    c = w.connect()
    with contextlib.suppress(ConnectionResetError):  # it may be over by then
        fill(c)
    w.wait_figures(connections=0, timeouts=1)


def test_no_timeout_is_the_default(weir):
    w = weir(listener("echo") + listener("echo", f"timeout = {ms(200)}\n")
             .replace("[listener t]", "[listener other]"))
    stays = w.connect("t")
    assert ended(w.connect("other"))
    stays.sendall(b"x")
    assert stays.recv(1) == b"x"


@pytest.mark.valgrind
def test_half_close_timeout_ends_a_server_that_never_answers(weir, backend):
    b = backend()
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"half_close_timeout = {ms(400)}\n"))
    c = w.connect()
    c.sendall(b"question")
    c.shutdown(socket.SHUT_WR)
    assert read_exactly(b.wait(), 8) == b"question"
    assert ended(c)
    assert w.access()[0]["end"] == "timeout"
    w.wait_figures(timeouts=1, connections=0)


def test_half_close_timeout_does_not_touch_who_has_not_ended(weir, backend):
    b = backend(echo)
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"half_close_timeout = {ms(200)}\n"))
    c = w.connect()
    poke(c, 3, 0.3 * SCALE)
    w.wait_figures(connections=1, timeouts=0)


def test_progress_starts_the_half_close_timeout_anew(weir, backend):
    def slow(conn):
        read_all(conn)
        for _ in range(8):
            conn.sendall(b"x" * 100)
            threading.Event().wait(0.15 * SCALE)
        conn.close()
    b = backend(slow)
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"half_close_timeout = {ms(1000)}\n"))
    c = w.connect()
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"x" * 800
    w.wait_figures(connections=0, timeouts=0)


def test_lifetime_ends_a_busy_connection(weir):
    w = weir(listener("echo", f"lifetime = {ms(600)}\n"))
    c = w.connect()
    began = time.monotonic()
    with pytest.raises((AssertionError, OSError)):
        poke(c, 1000, 0.01)
    assert time.monotonic() - began >= 0.5 * SCALE
    assert w.access()[0]["end"] == "timeout"
    w.wait_figures(connections=0, timeouts=1)


@pytest.mark.valgrind
def test_connect_timeout(weir, blackhole):
    hole = blackhole()
    w = weir(listener("forward", f"upstream = {hole.address}\n"
                      f"connect_timeout = {ms(300)}\n"))
    c = w.connect()
    began = time.monotonic()
    assert ended(c)
    assert time.monotonic() - began >= 0.25 * SCALE
    [line] = w.access()
    assert line["end"] == "connect_timeout"
    assert line["tried"] == hole.address


def test_connect_timeout_is_of_one_address_each(weir, blackhole, backend):
    hole, b = blackhole(), backend(echo)
    w = weir(listener("forward", f"upstream = {hole.address}\n"
                      f"upstream = {b.address}\nconnect_timeout = {ms(300)}\n"))
    c = w.connect()
    c.sendall(b"through")
    assert read_exactly(c, 7) == b"through"
    c.close()
    [line] = w.access()
    assert line["tried"] == f"{hole.address},{b.address}"
    assert int(line["connect_ms"]) >= 250 * SCALE
    assert int(line["duration_ms"]) >= int(line["connect_ms"])


def test_a_refused_connection_waits_for_no_timeout(weir):
    w = weir(listener("forward", f"upstream = 127.0.0.1:{free_port()}\n"
                      "connect_timeout = 1h\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "connect_failed"


def test_lifetime_counts_while_connecting(weir, blackhole):
    w = weir(listener("forward", f"upstream = {blackhole().address}\n"
                      f"connect_timeout = 0\nlifetime = {ms(400)}\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "timeout"


def test_user_timeout_and_keep_alive_reach_both_sides(weir, backend):
    b = backend(echo)
    w = weir(listener("forward", f"upstream = {b.address}\nkeep_alive = 70s\n"
                      "keep_alive_interval = 7s\nkeep_alive_count = 3\n"
                      "user_timeout = 9s\n"))
    c = w.connect()
    c.sendall(b"x")
    assert c.recv(1) == b"x"
    tcp = socket.IPPROTO_TCP
    sides = [s for s in w.kernel_sockets() if s.family == socket.AF_INET
             and not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    assert len(sides) == 2
    for s in sides:
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert s.getsockopt(tcp, socket.TCP_KEEPIDLE) == 70
        assert s.getsockopt(tcp, socket.TCP_KEEPINTVL) == 7
        assert s.getsockopt(tcp, socket.TCP_KEEPCNT) == 3
        assert s.getsockopt(tcp, socket.TCP_USER_TIMEOUT) == 9000


@pytest.mark.parametrize("more,alive,idle,no_delay", [
    ("", 1, 60, 1),
    ("keep_alive = off\nno_delay = no\n", 0, None, 0),
])
def test_keep_alive_and_no_delay_by_default_and_off(weir, backend, more, alive,
                                                    idle, no_delay):
    b = backend(echo)
    w = weir(listener("forward", f"upstream = {b.address}\n{more}"))
    c = w.connect()
    c.sendall(b"x")
    assert c.recv(1) == b"x"
    tcp = socket.IPPROTO_TCP
    sides = [s for s in w.kernel_sockets() if s.family == socket.AF_INET
             and not s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    assert len(sides) == 2
    for s in sides:
        # Of a connection that lives; one that is over at once needs none. The
        # number of probes is set last.
        if idle:
            eventually(lambda s=s: s.getsockopt(tcp, socket.TCP_KEEPCNT) == 6,
                       "keep-alive")
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == alive
        assert bool(s.getsockopt(tcp, socket.TCP_NODELAY)) == bool(no_delay)
        if idle:
            assert s.getsockopt(tcp, socket.TCP_KEEPIDLE) == idle
            assert s.getsockopt(tcp, socket.TCP_KEEPINTVL) == 10
            assert s.getsockopt(tcp, socket.TCP_KEEPCNT) == 6


def test_a_timeout_while_much_is_on_the_way_loses_nothing_before_it(
        weir, backend):
    data = pattern(4 << 20)
    b = backend(lambda conn: (conn.sendall(data), conn.recv(1)))
    w = weir(listener("forward", f"upstream = {b.address}\n"
                      f"timeout = {ms(1000)}\n"))
    c = w.connect(timeout=3 * DEADLINE)
    assert read_exactly(c, len(data)) == data
    assert ended(c) or is_reset(c)
