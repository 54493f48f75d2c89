"""The PROXY protocol: headers of clients, and headers to servers."""

import os
import socket
import struct
import time

import pytest

from fronttest import (SIGNATURE, get, has, read_exactly, read_line, read_v2,
                       start_haproxy, start_nginx, tlv, v1, v2)
from weirtest import SCALE, echo, ended, eventually, has_ipv6, read_all

LISTENER = """[listener l]
listen = 127.0.0.1:0
mode = forward
access_log = on
"""


def forward(backend, *lines):
    return LISTENER + "\n".join([f"upstream = {backend.address}", *lines, ""])


def header_only(backend, *lines):
    return forward(backend, "accept_proxy = all", *lines)


# ---- in ----

@pytest.mark.valgrind
@pytest.mark.parametrize("header", [v1(), v2()], ids=["v1", "v2"])
def test_a_header_tells_who_the_client_is(weir, backend, header):
    w = weir(header_only(b := backend()))
    c = w.connect()
    c.sendall(header + b"hello")
    server = b.wait()
    assert read_exactly(server, 5) == b"hello"
    assert w.connections()[0]["client"] == "192.0.2.1:56324"
    c.close()
    server.close()
    line = w.access()[0]
    assert line["client"] == "192.0.2.1:56324"
    assert line["end"] == "client"


@pytest.mark.parametrize(
    "header", [v1("2001:db8::1", "::1"), v2(tlvs=tlv(2, b"example.org"))],
    ids=["v1", "v2"])
def test_a_header_may_come_a_byte_at_a_time(weir, backend, header):
    w = weir(header_only(b := backend()))
    c = w.connect()
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in header:
        assert not b.connections
        c.sendall(bytes([byte]))
    c.sendall(b"first")
    c.sendall(b" second")
    assert read_exactly(b.wait(), 12) == b"first second"
    assert w.connections()[0]["client"].endswith(":56324")


def test_elsewhere_it_is_never_looked_for(weir, backend):
    w = weir(forward(b := backend(), "accept_proxy = 192.0.2.0/24",
                     "accept_proxy = ::1"))
    c = w.connect()
    c.sendall(v1())
    assert read_exactly(b.wait(), len(v1())) == v1()
    client = "%s:%d" % c.getsockname()
    assert w.connections()[0]["client"] == client


@pytest.mark.parametrize("bytes_", [
    b"GET / HTTP/1.0\r\n\r\n",
    b"PROXY TCP4 1.2.3.4\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n",
    b"PROXY UNKNOWN " + b"x" * 120,
    b"\r\n\r\n\0\r\nQUIX",
    SIGNATURE + b"\x31\x11\0\0",
    SIGNATURE + b"\x21\x11\xff\xff",
    v2(tlvs=tlv(3, b"abcd")),
    v2(tlvs=b"\1\0"),
])
def test_a_broken_header_closes_and_reaches_no_server(weir, backend, bytes_):
    w = weir(header_only(b := backend()))
    c = w.connect()
    c.sendall(bytes_)
    assert ended(c)
    line = w.access()[0]
    assert line["end"] == "proxy_header"
    assert line["server"] == "-"
    w.wait_figures(connections=0, accepted=1, closed=1)
    assert not b.connections


@pytest.mark.parametrize("part", [b"", v1()[:-1], v2()[:20]],
                         ids=["nothing", "v1", "v2"])
def test_a_header_that_never_comes_is_not_waited_for(weir, backend, part):
    w = weir(header_only(b := backend(), "handshake_timeout = 150ms"))
    c = w.connect()
    c.sendall(part)
    eventually(lambda: w.connections()[0]["state"] == "handshake"
               or w.access(), "it to wait")
    assert ended(c)
    assert w.access()[0]["end"] == "proxy_header"
    assert not b.connections


def test_who_only_looks_whether_the_port_is_open_has_just_left(weir, backend):
    w = weir(header_only(b := backend()))
    w.connect().close()
    assert w.access()[0]["end"] == "client"
    c = w.connect()
    c.sendall(b"PROXY")
    c.shutdown(socket.SHUT_WR)
    assert ended(c)
    assert w.access(2)[1]["end"] == "client"
    assert not b.connections


@pytest.mark.parametrize("header", [
    b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n",
    SIGNATURE + b"\x20\0\0\0", v2(command=0x20),
    SIGNATURE + b"\x21\0\0\2??"])
def test_local_and_unknown_keep_the_connections_own(weir, backend, header):
    w = weir(header_only(b := backend(), "allow = 127.0.0.1"))
    c = w.connect()
    c.sendall(header + b"x")
    assert read_exactly(b.wait(), 1) == b"x"
    assert w.connections()[0]["client"] == "%s:%d" % c.getsockname()


def test_a_half_closed_client_is_served_behind_its_header(weir, backend):
    w = weir(header_only(b := backend(echo)))
    c = w.connect()
    c.sendall(v1() + b"all at once")
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"all at once"
    assert w.access()[0]["end"] == "client"
    assert b.connections


# ---- access and limits ----

def test_access_goes_by_the_headers_address(weir, backend):
    w = weir(header_only(b := backend(), "deny = 192.0.2.0/24",
                         "deny = 2001:db8::/32"))
    for header in (v1(), v2(), v1("2001:db8::7", "::1")):
        c = w.connect()
        c.sendall(header + b"let me in")
        assert ended(c)
    for line in w.access(3):
        assert line["end"] == "denied"
        assert line["server"] == "-"
    w.wait_figures(denied=3, connections=0)
    assert not b.connections
    c = w.connect()
    c.sendall(v1("203.0.113.9") + b"x")
    assert read_exactly(b.wait(), 1) == b"x"
    assert len(w.log_find("end=denied")) == 3


def test_the_proxys_own_address_may_be_denied_and_is_not_asked(weir, backend):
    w = weir(header_only(b := backend(), "allow = 192.0.2.1"))
    c = w.connect()
    c.sendall(v1() + b"x")
    assert read_exactly(b.wait(), 1) == b"x"
    c = w.connect()
    c.sendall(b"PROXY UNKNOWN\r\n")
    assert ended(c)
    assert w.access()[0]["end"] == "denied"


def test_max_per_source_counts_by_the_header(weir, backend):
    w = weir(header_only(b := backend(), "max_per_source = 1"))
    first, second, other = w.connect(), w.connect(), w.connect()
    first.sendall(v1(from_port=1) + b"1")
    assert read_exactly(b.wait(), 1) == b"1"
    second.sendall(v2(from_port=2) + b"2")
    assert ended(second)
    assert w.access()[0]["end"] == "limit"
    other.sendall(v1("192.0.2.2") + b"3")
    assert read_exactly(b.wait(1), 1) == b"3"
    first.close()
    b.connections[0].close()
    w.access(2)
    again = w.connect()
    again.sendall(v1() + b"4")
    assert read_exactly(b.wait(2), 1) == b"4"
    w.wait_figures(rejected=1)


def test_who_says_nothing_yet_is_counted(weir, backend):
    w = weir(header_only(backend(), "max_connections = 1"))
    w.connect()
    w.wait_figures(connections=1)
    assert ended(w.connect())
    assert w.access()[0]["end"] == "limit"


def test_many_that_stall_are_ended(weir, backend):
    count = int(os.environ.get("WEIR_STALLS", "200"))
    w = weir(header_only(b := backend(), "handshake_timeout = 1s",
                         "backlog = 4096"))
    for _ in range(count):
        w.connect().sendall(v1()[:20])
    w.wait_figures(accepted=count)
    w.wait_figures(connections=0, closed=count)
    assert {x["end"] for x in w.access(count)} == {"proxy_header"}
    assert not b.connections


# ---- out ----

def test_version_1_is_sent_first(weir, backend):
    w = weir(forward(b := backend(), "send_proxy = v1"))
    c = w.connect()
    c.sendall(b"hello")
    server = b.wait()
    host, port = c.getsockname()
    assert read_line(server).decode() == (
        f"PROXY TCP4 {host} 127.0.0.1 {port} {w.port()}\r\n")
    assert read_exactly(server, 5) == b"hello"


def test_version_2_is_sent_first(weir, backend):
    w = weir(forward(b := backend(), "send_proxy = v2"))
    c = w.connect()
    c.sendall(b"hello")
    server = b.wait()
    source, destination, tlvs = read_v2(server)
    assert source == c.getsockname()
    assert destination == ("127.0.0.1", w.port())
    number = w.connections()[0]["id"]
    assert tlvs[5].decode().endswith(f"-{number}")
    assert set(tlvs) == {5}
    assert read_exactly(server, 5) == b"hello"


def test_each_server_that_is_tried_gets_its_own(weir, backend):
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))
    b = backend()
    w = weir(LISTENER + "upstream = 127.0.0.1:%d\nupstream = %s\n"
             "send_proxy = v1\n" % (closed.getsockname()[1], b.address))
    c = w.connect()
    c.sendall(b"hello")
    server = b.wait()
    assert read_line(server).startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")
    assert read_exactly(server, 5) == b"hello"
    closed.close()


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6_clients_are_told(weir, backend):
    b = backend()
    w = weir("[defaults]\nmode = forward\nupstream = %s\n"
             "[listener one]\nlisten = [::1]:0\nsend_proxy = v1\n"
             "[listener two]\nlisten = [::1]:0\nsend_proxy = v2\n"
             % b.address)
    c = w.connect("one")
    assert read_line(b.wait()).decode() == (
        f"PROXY TCP6 ::1 ::1 {c.getsockname()[1]} {w.port('one')}\r\n")
    c = w.connect("two")
    source, destination, _ = read_v2(b.wait(1))
    assert source == c.getsockname()[:2]
    assert destination == ("::1", w.port("two"))


def test_unix_clients_are_unknown_or_unix(weir, backend, folder):
    b = backend()
    w = weir("[defaults]\nmode = forward\nupstream = %s\n"
             "[listener one]\nlisten = %s/1.sock\nsend_proxy = v1\n"
             "[listener two]\nlisten = %s/2.sock\nsend_proxy = v2\n"
             % (b.address, folder, folder))
    w.connect("one")
    assert read_line(b.wait()) == b"PROXY UNKNOWN\r\n"
    w.connect("two")
    source, destination, _ = read_v2(b.wait(1))
    assert source == ""
    assert destination == f"{folder}/2.sock"


def test_a_unix_listener_takes_headers_too(weir, backend, folder):
    b = backend()
    w = weir("[listener l]\nlisten = %s/l.sock\nmode = forward\nupstream = %s\n"
             "accept_proxy = all\nsend_proxy = v1\naccess_log = on\n"
             % (folder, b.address))
    c = w.connect()
    c.sendall(v2())
    assert read_line(b.wait()) == v1()
    assert w.connections()[0]["client"] == "192.0.2.1:56324"


@pytest.mark.valgrind
def test_what_a_header_says_is_passed_on(weir, backend):
    ssl = tlv(0x20, b"\7\0\0\0\0" + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"cn"))
    said = tlv(1, b"h2") + tlv(2, b"example.org") + tlv(5, b"id") + ssl
    b = backend()
    w = weir("[defaults]\nmode = forward\nupstream = %s\naccept_proxy = all\n"
             "[listener one]\nlisten = 127.0.0.1:0\nsend_proxy = v1\n"
             "[listener two]\nlisten = 127.0.0.1:0\nsend_proxy = v2\n"
             % b.address)
    w.connect("one").sendall(v2(tlvs=said) + b"x")
    assert read_line(b.wait()) == v1()
    w.connect("two").sendall(v2(tlvs=said) + b"x")
    server = b.wait(1)
    source, destination, tlvs = read_v2(server)
    assert source == ("192.0.2.1", 56324)
    assert destination == ("198.51.100.2", 443)
    assert tlvs[1] == b"h2" and tlvs[2] == b"example.org" and tlvs[5] == b"id"
    assert tlv(0x20, tlvs[0x20]) == ssl
    assert read_exactly(server, 1) == b"x"


def test_of_a_local_header_the_connections_own_is_sent(weir, backend):
    w = weir(header_only(b := backend(), "send_proxy = v1"))
    c = w.connect()
    c.sendall(b"PROXY UNKNOWN\r\n")
    host, port = c.getsockname()
    assert read_line(b.wait()).decode() == (
        f"PROXY TCP4 {host} 127.0.0.1 {port} {w.port()}\r\n")


# ---- beside others ----

@pytest.mark.skipif(not has("haproxy"), reason="no haproxy here")
def test_haproxy_sends_and_takes_headers(weir, spawn, folder):
    """weir between two HAProxys: the second sees whom the first has told."""
    w = None

    def answer():
        return start_haproxy(spawn, folder / "b", """frontend f1
  mode http
  bind 127.0.0.1:{p0} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[fc_pp_unique_id]"
""")

    (folder / "a").mkdir()
    (folder / "b").mkdir()
    behind, = answer()
    for out in ("v1", "v2"):
        w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
                 f"upstream = 127.0.0.1:{behind}\nsend_proxy = {out}\n"
                 "accept_proxy = 127.0.0.1\n")
        text = "".join(f"""listen f{i}
  mode tcp
  bind 127.0.0.1:{{p{i}}}
  server s 127.0.0.1:{w.port()} {how}
""" for i, how in enumerate(("send-proxy", "send-proxy-v2",
                             "send-proxy-v2 proxy-v2-options crc32c,unique-id"
                             )))
        for port in start_haproxy(spawn, folder / "a", text):
            s = socket.create_connection(("127.0.0.1", port))
            seen = get(None, sock=s)
            host, source = seen.split()[0].rsplit(":", 1)
            assert host == "127.0.0.1"
            assert int(source) not in (port, w.port())
        # And one by which we have waited for HAProxy to listen: it ended at
        # once, so HAProxy may not have passed it on.
        assert w.listener()["accepted"] in (3, 4)


@pytest.mark.skipif(not has("haproxy"), reason="no haproxy here")
def test_haproxy_is_told_the_very_client(weir, spawn, folder):
    port, = start_haproxy(spawn, folder, """frontend f
  mode http
  bind 127.0.0.1:{p0} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port] %[dst]:%[dst_port]"
""")
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = 127.0.0.1:{port}\nsend_proxy = v2\n"
             "accept_proxy = all\n")
    c = w.connect()
    c.sendall(v2())
    assert get(None, sock=c) == "192.0.2.1:56324 198.51.100.2:443"
    c = w.connect()
    c.sendall(v1("2001:db8::1", "2001:db8::2"))
    assert get(None, sock=c) == "2001:db8::1:56324 2001:db8::2:443"


@pytest.mark.skipif(
    not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"),
    reason="no nginx with its stream module here")
def test_nginx_sends_and_takes_headers(weir, spawn, folder):
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    behind, = start_nginx(spawn, folder / "b", """http {
  access_log off;
  server {
    listen 127.0.0.1:{p0} proxy_protocol;
    return 200 "$proxy_protocol_addr:$proxy_protocol_port";
  }
}
""")
    for out in ("v1", "v2"):
        w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
                 f"upstream = 127.0.0.1:{behind}\nsend_proxy = {out}\n"
                 "accept_proxy = all\naccess_log = on\n")
        c = w.connect()
        c.sendall(v1())
        assert get(None, sock=c) == "192.0.2.1:56324"
        port, = start_nginx(spawn, folder / "a", """stream {
  server {
    listen 127.0.0.1:{p0};
    proxy_pass 127.0.0.1:%d;
    proxy_protocol on;
  }
}
""" % w.port())
        s = socket.create_connection(("127.0.0.1", port))
        client = "%s:%d" % s.getsockname()
        assert get(None, sock=s) == client
        # There is one more, by which we have waited for nginx to listen.
        assert client in [x["client"] for x in w.access(3)]


def test_time_is_one_for_header_and_hello(weir, backend):
    """A client that takes its time with both has no more of it."""
    w = weir(header_only(b := backend(), "handshake_timeout = 400ms",
                         f"sni = a.example {b.address}"))
    began = time.monotonic()
    c = w.connect()
    c.sendall(v1())
    c.sendall(b"\x16\x03\x01")
    assert ended(c)
    assert time.monotonic() - began < 30 * SCALE
    line = w.access()[0]
    assert line["end"] == "tls_failed"
    assert line["client"] == "192.0.2.1:56324"


def test_a_unix_user_is_the_clients_own_not_the_proxys(weir, folder):
    """A header may tell of the socket that somebody connected to there; as
    what user that was it does not."""
    w = weir(f"[listener l]\nlisten = {folder}/l.sock\nmode = echo\n"
             f"accept_proxy = all\nallow = user:{os.geteuid()}\n")
    ends = b"".join(x.ljust(108, b"\0") for x in (b"/tmp/a", b"/tmp/b"))
    c = w.connect()
    c.sendall(SIGNATURE + b"\x21\x31" + struct.pack("!H", len(ends)) + ends)
    assert ended(c)
    w.wait_figures(denied=1)
    c = w.connect()
    c.sendall(SIGNATURE + b"\x20\0\0\0" + b"local")
    assert read_exactly(c, 5) == b"local"
