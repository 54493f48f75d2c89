"""The echo server, as the people who try weir first meet it."""

import socket
import subprocess

import pytest

from weirtest import (DEADLINE, eventually, is_reset, pattern, read_all,
                      read_exactly, reset, Reader, run, ended)

ECHO = "[listener echo]\nlisten = 127.0.0.1:0\nmode = echo\n"
GREETS = ECHO + r"greeting = hello\r\n" + "\n"


@pytest.mark.valgrind
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "unix:echo.sock",
                                    "unix:@weir-test-{pid}"])
def test_echoes_what_it_gets_on_every_kind_of_address(weir, folder, listen):
    listen = listen.format(pid=folder.name)
    if listen == "unix:echo.sock":
        listen = f"unix:{folder}/echo.sock"
    w = weir(f"[listener echo]\nlisten = {listen}\nmode = echo\n")
    c = w.connect()
    for message in (b"a", b"bc\r\n", pattern(100_000)):
        c.sendall(message)
        assert read_exactly(c, len(message)) == message
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b""


@pytest.mark.valgrind
def test_greets_each_client_first(weir):
    w = weir(GREETS)
    for _ in range(3):
        c = w.connect()
        assert read_exactly(c, 7) == b"hello\r\n"
        c.sendall(b"me")
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b"me"


@pytest.mark.parametrize("written,sent", [
    (r"hello\r\n", b"hello\r\n"),
    (r"\x00\x01\xff", b"\x00\x01\xff"),
    (r"a\tb\\c", b"a\tb\\c"),
    (r"\101\0", b"A\x00"),
    ("é", "é".encode()),
])
def test_escapes_in_a_greeting_are_those_of_c(weir, written, sent):
    w = weir(ECHO + f"greeting = {written}\n")
    c = w.connect()
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == sent


def test_a_client_that_only_ends_gets_the_greeting_and_the_end(weir):
    w = weir(GREETS)
    c = w.connect()
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"hello\r\n"
    w.wait_figures(connections=0, accepted=1, closed=1, bytes_in=0, bytes_out=7)


def test_a_client_that_says_nothing_gets_the_greeting_and_stays(weir):
    w = weir(GREETS)
    silent = w.connect()
    assert read_exactly(silent, 7) == b"hello\r\n"
    other = w.connect()
    other.sendall(b"x")
    assert read_exactly(other, 8) == b"hello\r\nx"
    assert w.ctl("count") == 2
    silent.sendall(b"at last")
    assert read_exactly(silent, 7) == b"at last"


@pytest.mark.parametrize("buffer", ["1", "7", "64k", "1m"])
@pytest.mark.parametrize("splice", ["auto", "off"])
def test_megabytes_come_back_unchanged(weir, buffer, splice):
    size = {"1": 20_000, "7": 200_000}.get(buffer, 16 << 20)
    w = weir(ECHO + f"buffer = {buffer}\nsplice = {splice}\n")
    data = pattern(size)
    c = w.connect(timeout=3 * DEADLINE)
    reader = Reader(c)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data
    w.wait_figures(connections=0, bytes_in=size, bytes_out=size, closed=1,
                   errors=0, buffered=0)


@pytest.mark.valgrind
def test_one_byte_at_a_time_arrives_in_order(weir):
    w = weir(ECHO)
    c = w.connect()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    data = pattern(300)
    for i in range(len(data)):
        c.sendall(data[i:i + 1])
    assert read_exactly(c, len(data)) == data


@pytest.mark.valgrind
def test_a_reset_takes_nobody_else_down(weir):
    w = weir(GREETS)
    other = w.connect()
    for i in range(20):
        c = w.connect()
        if i % 2:
            c.sendall(b"x" * 1000)
        reset(c)
    assert read_exactly(other, 7) == b"hello\r\n"
    other.sendall(b"still here")
    assert read_exactly(other, 10) == b"still here"
    w.wait_figures(connections=1, accepted=21, closed=20)


def test_allow_half_open_no_ends_both_once_all_is_written(weir):
    w = weir(ECHO + "allow_half_open = no\n")
    data = pattern(3 << 20)
    c = w.connect()
    reader = Reader(c)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data


def test_many_clients_at_once_each_get_their_own_back(weir):
    w = weir(ECHO)
    clients = [w.connect() for _ in range(100)]
    for i, c in enumerate(clients):
        c.sendall(pattern(5000, i))
    for i, c in enumerate(clients):
        assert read_exactly(c, 5000) == pattern(5000, i)
    assert w.listener()["connections"] == 100
    assert w.listener()["connections_peak"] == 100


# ---- the programs that people have at hand ----

def test_telnet(weir, spawn):
    w = weir(GREETS)
    p = spawn(["telnet", "127.0.0.1", w.port()], stdin=subprocess.PIPE)
    # Without a terminal telnet speaks no protocol of its own on this port.
    p.stdin.write(b"good day\n")
    p.stdin.flush()
    seen = b""
    while b"good day" not in seen:
        line = p.stdout.readline()
        assert line, seen
        seen += line
    assert b"hello" in seen  # telnet keeps the CR to itself
    assert b"Connected to" in seen


def test_telnet_localhost_reaches_a_listener_on_localhost(weir, spawn):
    w = weir("[listener echo]\nlisten = localhost:0\nmode = echo\n"
             + r"greeting = hello\r\n")
    # The system picks a port for each address; ask for the first.
    assert w.addresses("echo")
    p = spawn(["telnet", *w.address().rsplit(":", 1)[0].strip("[]").split(),
               w.port()], stdin=subprocess.PIPE)
    eventually(lambda: b"hello" in p.stdout.readline(), "the greeting")


def test_nc_ends_its_side_and_gets_the_answer(weir):
    w = weir(GREETS)
    r = run(["nc", "-N", "127.0.0.1", w.port()], input=b"ping\n")
    assert (r.returncode, r.stdout) == (0, b"hello\r\nping\n")


def test_nc_on_a_unix_socket(weir, folder):
    w = weir(f"[listener echo]\nlisten = unix:{folder}/e\nmode = echo\n"
             + r"greeting = hello\r\n")
    assert w.address() == f"unix:{folder}/e"
    r = run(["nc", "-N", "-U", folder / "e"], input=b"ping\n")
    assert (r.returncode, r.stdout) == (0, b"hello\r\nping\n")


def test_socat_on_an_abstract_socket(weir, folder):
    w = weir(f"[listener echo]\nlisten = unix:@{folder.name}\nmode = echo\n")
    assert w.address() == f"unix:@{folder.name}"
    r = run(["socat", "-t", "10", "-", f"ABSTRACT-CONNECT:{folder.name}"],
            input=b"ping\n")
    assert (r.returncode, r.stdout) == (0, b"ping\n")


def test_a_client_that_vanishes_between_accept_and_read(weir):
    w = weir(GREETS)
    for _ in range(200):
        s = socket.socket()
        s.connect(("127.0.0.1", w.port()))
        reset(s)
    c = w.connect()
    assert read_exactly(c, 7) == b"hello\r\n"
    c.close()
    figures = w.wait_figures(connections=0)
    # The kernel may drop one that was reset before it was accepted.
    assert figures["accepted"] == figures["closed"] <= 201


def test_a_client_that_never_reads_is_reset_by_kill(weir):
    w = weir(ECHO)
    c = w.connect()
    c.sendall(b"x")
    [entry] = eventually(lambda: [x for x in w.connections() if x["bytes_in"]],
                         "its byte to be counted")
    w.ctl(f"kill {entry['id']}")
    assert is_reset(c) or ended(c)
    w.wait_figures(connections=0)
