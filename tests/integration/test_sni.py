"""Routes by the hello of a TLS that is passed on: sni and alpn."""

import os
import socket
import ssl

import pytest

from fronttest import (Authority, TlsBackend, client_context, client_hello,
                       echoes, has, listens, made_hello, read_exactly,
                       records, server_context, v2)
from weirtest import MEASURABLE, ended, eventually, free_port, run

LISTENER = """[listener l]
listen = 127.0.0.1:0
mode = forward
access_log = on
"""


def routes(*rows, upstream=None):
    """sni and alpn rows, and perhaps an upstream for all others."""
    lines = [f"{key} = {what} {b.address}" for key, what, b in rows]
    if upstream:
        lines.append(f"upstream = {upstream.address}")
    return LISTENER + "\n".join(lines) + "\n"


def goes_to(w, hello, b, index=0):
    """A client that sends this; it must come to that backend as it is."""
    c = w.connect()
    c.sendall(hello)
    assert read_exactly(b.wait(index), len(hello)) == hello
    return c


# ---- which one ----

@pytest.mark.valgrind
def test_the_name_takes_the_upstream(weir, backend):
    a, b, rest = backend(), backend(), backend()
    w = weir(routes(("sni", "a.example", a), ("sni", "*.b.example", b),
                    upstream=rest))
    goes_to(w, client_hello("A.Example"), a)
    goes_to(w, client_hello("x.b.example"), b)
    goes_to(w, client_hello("y.x.B.example"), b, 1)
    goes_to(w, client_hello("b.example"), rest)
    goes_to(w, client_hello("xa.example"), rest, 1)
    goes_to(w, client_hello(), rest, 2)
    assert (len(a.connections), len(b.connections)) == (1, 2)


def test_the_first_row_that_matches_counts(weir, backend):
    a, b, c = backend(), backend(), backend()
    w = weir(routes(("sni", "*.example", a), ("alpn", "h2", b),
                    ("sni", "x.other", c)))
    goes_to(w, client_hello("x.example", ["h2"]), a)
    goes_to(w, client_hello("x.other", ["http/1.1", "h2"]), b)
    goes_to(w, client_hello("x.other", ["http/1.1"]), c)


def test_an_upstream_section_may_be_named(weir, backend):
    a = backend()
    w = weir(LISTENER + "sni = a.example front\n"
             f"[upstream front]\nserver = {a.address}\n")
    c = goes_to(w, client_hello("a.example"), a)
    c.close()
    a.connections[0].close()
    line = w.access()[0]
    assert line["upstream"] == "front"
    assert line["sni"] == "a.example"
    assert line["tls"] == "-"


def test_without_an_upstream_others_are_closed(weir, backend):
    a = backend()
    w = weir(routes(("sni", "a.example", a)))
    for i, data in enumerate((client_hello("b.example"), client_hello(),
                              b"GET / HTTP/1.0\r\n\r\n")):
        c = w.connect()
        c.sendall(data)
        assert ended(c)
        line = w.access(i + 1)[i]
        assert line["end"] == "no_server"
        assert line["server"] == "-"
    assert w.access(3)[0]["sni"] == "b.example"
    assert not a.connections


# ---- what is no hello ----

@pytest.mark.parametrize("data", [
    b"SSH-2.0-x\r\n", b"\r\n", b"\x80\x2e\x01\x03\x01", b"\x16\x02"])
def test_who_speaks_no_tls_takes_the_upstream(weir, backend, data):
    a, rest = backend(), backend()
    w = weir(routes(("sni", "a.example", a), upstream=rest))
    goes_to(w, data, rest)
    assert not a.connections


@pytest.mark.parametrize("hello", [
    made_hello(b"a" * 300), made_hello(b"a\0b"), made_hello(b""),
    b"\x16\x03\x01\0\0", b"\x16\x03\x01\x40\x01",
    b"\x16\x03\x01\0\4\2\0\0\0", b"\x16\x03\x01\0\4\1\xff\xff\xff"],
    ids=["300", "nul", "empty", "record-0", "record-16385", "server-hello",
         "length"])
def test_a_broken_hello_closes(weir, backend, hello):
    b = backend()
    w = weir(routes(("sni", "*.example", b), upstream=b))
    c = w.connect()
    c.sendall(hello)
    assert ended(c)
    assert w.access()[0]["end"] == "tls_failed"
    assert not b.connections


def test_a_name_of_255_bytes_is_one(weir, backend):
    name = ".".join(["a" * 63] * 3 + ["b" * 55]) + ".example"
    assert len(name) == 255
    b = backend()
    w = weir(routes(("sni", "*.example", b)))
    goes_to(w, made_hello(name.encode()), b)


def test_an_endless_hello_closes(weir, backend):
    b = backend()
    w = weir(routes(("sni", "*.example", b), upstream=b))
    c = w.connect()
    message = b"\x01\x00\xff\xf0" + bytes(65520)
    try:
        c.sendall(records(message, 500))
    except (ConnectionResetError, BrokenPipeError):
        pass
    assert ended(c)
    assert w.access()[0]["end"] == "tls_failed"
    assert not b.connections


@pytest.mark.parametrize("part", [b"", b"\x16", client_hello("a.example")[:99]])
def test_a_hello_that_never_comes_is_not_waited_for(weir, backend, part):
    b = backend()
    w = weir(routes(("sni", "*.example", b), upstream=b)
             + "handshake_timeout = 150ms\n")
    c = w.connect()
    c.sendall(part)
    assert ended(c)
    assert w.access()[0]["end"] == "tls_failed"
    assert not b.connections


def test_without_handshake_timeout_a_hello_is_waited_for(weir, backend):
    b = backend()
    w = weir(routes(("sni", "*.example", b)) + "handshake_timeout = off\n")
    hello = client_hello("a.example")
    c = w.connect()
    for part in (hello[:99], hello[99:]):
        # Each request is a turn of the loop, in which a timer would be over.
        for _ in range(3):
            eventually(lambda: w.connections()[0]["state"] == "handshake",
                       "it to wait")
        c.sendall(part)
    assert read_exactly(b.wait(), len(hello)) == hello


def test_who_leaves_before_its_hello_is_whole_reaches_nobody(weir, backend):
    b = backend()
    w = weir(routes(("sni", "*.example", b), upstream=b))
    w.connect().close()
    assert w.access()[0]["end"] == "client"
    c = w.connect()
    c.sendall(client_hello("a.example")[:50])
    c.shutdown(socket.SHUT_WR)
    assert ended(c)
    assert w.access(2)[1]["end"] == "client"
    assert not b.connections


# ---- how it comes ----

@pytest.mark.parametrize("each", [1, 7, 16384])
def test_it_may_come_in_pieces_and_records(weir, backend, each):
    a = backend()
    w = weir(routes(("sni", "a.example", a)))
    hello = records(client_hello("a.example")[5:], each)
    c = w.connect()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(0, len(hello), each if each > 1 else 3):
        c.sendall(hello[i:i + (each if each > 1 else 3)])
    c.sendall(b"and more")
    hello += b"and more"
    assert read_exactly(a.wait(), len(hello)) == hello


def test_it_may_come_a_byte_at_a_time(weir, backend):
    a = backend()
    w = weir(routes(("sni", "a.example", a)))
    hello = client_hello("a.example")
    c = w.connect()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(hello)):
        c.sendall(hello[i:i + 1])
    assert read_exactly(a.wait(), len(hello)) == hello


def test_a_small_buffer_is_no_bound_for_a_hello(weir, backend):
    a = backend()
    w = weir(routes(("sni", "a.example", a)) + "buffer = 1\n")
    goes_to(w, client_hello("a.example"), a)


def test_a_header_comes_before_the_hello(weir, backend):
    a = backend()
    w = weir(routes(("sni", "a.example", a)) + "accept_proxy = all\n"
             "send_proxy = v1\n")
    hello = client_hello("a.example")
    c = w.connect()
    c.sendall(v2() + hello)
    wanted = b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n" + hello
    assert read_exactly(a.wait(), len(wanted)) == wanted


def test_many_stalled_hellos_are_ended_and_cost_little(weir, backend):
    count = int(os.environ.get("WEIR_STALLS", "200"))
    b = backend()
    w = weir(routes(("sni", "*.example", b), upstream=b)
             + "handshake_timeout = 1500ms\nbacklog = 4096\n")
    before = w.rss()
    part = client_hello("a.example")[:400]
    for _ in range(count):
        w.connect().sendall(part)
    w.wait_figures(accepted=count)
    grown = w.rss() - before
    w.wait_figures(connections=0, closed=count)
    assert {x["end"] for x in w.access(count)} == {"tls_failed"}
    assert not b.connections
    if MEASURABLE:
        assert grown < 1024 * 1024 + count * 8192, grown


# ---- with real peers ----

@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def test_tls_goes_through(weir, make, folder, authority):
    one = TlsBackend(server_context(authority.sign("one.example")))
    two = TlsBackend(server_context(authority.sign("two.example")))
    try:
        w = weir(routes(("sni", "one.example", one),
                        ("sni", "two.example", two)))
        for name, b in (("one.example", one), ("two.example", two)):
            context = client_context(authority.path)
            with context.wrap_socket(w.connect(), server_hostname=name) as c:
                assert echoes(c, b"x" * 100000)
            eventually(lambda: b.seen, "the backend's side")
            assert b.seen[0]["sni"] == name
        with pytest.raises(ssl.SSLError):
            client_context(authority.path).wrap_socket(
                w.connect(), server_hostname="other.example")
    finally:
        one.close()
        two.close()


@pytest.mark.skipif(not has("curl"), reason="no curl here")
def test_curl_and_s_server(weir, spawn, folder, authority):
    certificate, key = authority.sign("web.example")
    port = free_port()
    spawn(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www",
           "-cert", certificate, "-key", key, "-quiet"])
    eventually(lambda: listens(port), "s_server listens")
    w = weir(LISTENER + f"sni = *.example 127.0.0.1:{port}\n")
    r = run(["curl", "-sS", "--cacert", authority.path, "--connect-to",
             f"web.example:443:127.0.0.1:{w.port()}", "https://web.example/"])
    assert r.returncode == 0, r.stderr.decode()
    assert b"Ciphers supported" in r.stdout
    assert w.access()[0]["sni"] == "web.example"
