"""A slow reader slows the writer down; weir's memory stays what it is."""

import socket
import threading

import pytest

from weirtest import (DEADLINE, MEASURABLE, SCALE, Reader, echo, eventually,
                      fill, pattern, read_all, read_exactly)

# What may be resident more than before, per connection that is held back:
# the buffer of 64k each way, and the allocator's own ways. Sanitizers keep
# shadows and quarantines, and still not 1 GB.
BOUND = 4 << 20 if MEASURABLE else 192 << 20


def forward(b, more=""):
    return ("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = {b.address}\n{more}")


@pytest.mark.parametrize("splice", ["auto", "off"])
def test_a_server_that_never_reads(weir, backend, splice):
    b = backend()
    w = weir(forward(b, f"splice = {splice}\n"))
    before = w.rss()
    c = w.connect()
    sent = fill(c)
    assert sent < 128 << 20, "nobody holds the client back"
    assert w.rss() - before < BOUND
    assert w.listener()["buffered"] <= 64 << 10
    # It goes on where it stopped.
    s = b.wait()
    reader = threading.Thread(target=read_exactly, args=(s, sent))
    reader.start()
    reader.join(DEADLINE * 3)
    assert not reader.is_alive()
    c.sendall(b"and more")
    assert read_exactly(s, 8) == b"and more"


def test_a_client_that_never_reads(weir, backend):
    b = backend()
    w = weir(forward(b))
    before = w.rss()
    c = w.connect()
    s = b.wait()
    sent = fill(s)
    assert sent < 128 << 20
    assert w.rss() - before < BOUND
    read_exactly(c, sent)
    s.sendall(b"end")
    s.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"end"


def test_a_slow_reader_while_a_gigabyte_waits(weir, backend):
    # The server would send 1 GB; the client takes a little of it at a time.
    def handler(conn):
        block = b"y" * (1 << 20)
        for _ in range(1024):
            conn.sendall(block)
    b = backend(handler)
    w = weir(forward(b))
    before = w.rss()
    c = w.connect()
    most = 0
    for _ in range(64):
        read_exactly(c, 1 << 20)
        most = max(most, w.rss())
    assert most - before < BOUND
    assert w.listener()["bytes_out"] < 256 << 20


def test_an_echo_client_that_never_reads(weir):
    w = weir("[listener e]\nlisten = 127.0.0.1:0\nmode = echo\n")
    before = w.rss()
    c = w.connect()
    sent = fill(c)
    assert sent < 128 << 20
    assert w.rss() - before < BOUND
    assert w.listener()["buffered"] <= 64 << 10
    read_exactly(c, sent)


@pytest.mark.parametrize("buffer", [4096, 1 << 20])
def test_buffer_bounds_what_is_held(weir, backend, buffer):
    b = backend()
    w = weir(forward(b, f"buffer = {buffer}\nsplice = off\n"))
    c = w.connect()
    s = b.wait()
    fill(c)
    fill(s)
    held = w.listener()["buffered"]
    assert 0 < held <= 2 * buffer


def test_a_hundred_that_are_held_back(weir, backend):
    b = backend()
    w = weir(forward(b, "buffer = 16k\n"))
    clients = [w.connect() for _ in range(100)]
    for c in clients:
        c.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    eventually(lambda: len(b.connections) == 100, "all at the backend")
    before = w.rss()
    for c in clients:
        c.setblocking(False)
    for _ in range(5):
        for c in clients:
            try:
                while c.send(b"x" * 65536):
                    pass
            except BlockingIOError:
                pass
    assert w.listener()["buffered"] <= 100 * 16384
    assert w.rss() - before < 100 * 32768 + BOUND


def test_one_that_is_held_back_holds_no_other_back(weir, backend):
    stuck = backend()
    works = backend(echo)
    w = weir(forward(stuck) + forward(works).replace("[listener f]",
                                                     "[listener g]"))
    fill(w.connect("f"))
    c = w.connect("g")
    reader = Reader(c)
    data = pattern(8 << 20)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data


@pytest.mark.skipif(not MEASURABLE, reason="times mean nothing here")
def test_being_held_back_costs_no_processor_time(weir, backend):
    b = backend()
    w = weir(forward(b))
    fill(w.connect())
    before = w.cpu_ticks()
    # The wait is the measurement: half a second in which nothing can move.
    threading.Event().wait(0.5 * SCALE)
    assert w.cpu_ticks() - before <= 5


def test_end_after_being_held_back_loses_nothing(weir, backend):
    b = backend()
    w = weir(forward(b))
    c = w.connect()
    sent = fill(c)
    c.shutdown(socket.SHUT_WR)
    s = b.wait()
    assert len(read_all(s)) == sent
    s.close()
    assert read_all(c) == b""
    w.wait_figures(connections=0, bytes_in=sent, buffered=0)
