"""TLS that ends at weir, and TLS that begins there."""

import contextlib
import os
import signal
import socket
import ssl

import pytest

from fronttest import (Authority, TlsBackend, client_context, client_hello,
                       echoes, get, has, listens, made_hello, read_exactly,
                       read_line, read_v2, records, server_context, start_haproxy, start_nginx,
                       tlv, v2)
from weirtest import (DEADLINE, MEASURABLE, answer_at_end, echo, ended,
                      eventually, free_port, reset, run, weir_once)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def tls_backend(make):
    made = []

    def new(*args, **kw):
        made.append(TlsBackend(*args, **kw))
        return made[-1]
    yield new
    for b in made:
        b.close()


def ending(backend, *pairs, **keys):
    """A listener that ends TLS, with these certificates."""
    lines = ["[listener l]", "listen = 127.0.0.1:0", "mode = forward",
             f"upstream = {backend.address}", "access_log = on", "tls = on"]
    for certificate, key in pairs:
        lines += [f"tls_certificate = {certificate}", f"tls_key = {key}"]
    lines += [f"{k} = {v}" for k, v in keys.items()]
    return "\n".join(lines) + "\n"


def beginning(backend, **keys):
    """A listener that speaks TLS to its upstream."""
    lines = ["[listener l]", "listen = 127.0.0.1:0", "mode = forward",
             f"upstream = {backend.address}", "access_log = on",
             "upstream_tls = on"]
    lines += [f"{k} = {v}" for k, v in keys.items()]
    return "\n".join(lines) + "\n"


def wrap(w, context, name="a.example", **kw):
    return context.wrap_socket(w.connect(), server_hostname=name, **kw)


def s_client(port, *args, text="", **kw):
    r = run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *args],
            input=text, text=True, **kw)
    return r.returncode, r.stdout + r.stderr


# ---- ended here ----

def test_clients_speak_tls_and_servers_do_not(weir, backend, authority):
    pair = authority.sign("a.example")
    w = weir(ending(backend(echo), pair))
    with wrap(w, client_context(authority.path)) as c:
        assert echoes(c, b"x" * 100000)
        version, cipher = c.version(), c.cipher()[0]
    line = w.access()[0]
    assert line["tls"] == f"{version}/{cipher}"
    assert line["sni"] == "a.example"
    assert line["end"] == "client"
    assert int(line["bytes_in"]) == int(line["bytes_out"]) == 100000


def test_certificates_are_chosen_by_name(weir, backend, authority):
    a = authority.sign("a.example")
    b = authority.sign("b.example", "*.b.example")
    w = weir(ending(backend(echo), a, b))
    for name, common in (("a.example", "a.example"),
                         ("x.b.example", "b.example"),
                         ("X.B.Example", "b.example")):
        with wrap(w, client_context(authority.path), name) as c:
            subject = dict(x[0] for x in c.getpeercert()["subject"])
            assert subject["commonName"] == common
    # Nobody's name gets the first one, and none at all, too.
    for name in ("c.example", None):
        with wrap(w, client_context(), name) as c:
            assert c.getpeercert(True) == ssl.PEM_cert_to_DER_cert(
                open(a[0]).read())


def test_a_request_may_end_before_its_answer(weir, backend, authority):
    """Half-close: close_notify one way, and the answer comes the other."""
    w = weir(ending(backend(answer_at_end), authority.sign("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority.path).wrap_bio(
        incoming, outgoing, server_hostname="a.example")
    c = w.connect()

    def drive(step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                if outgoing.pending:
                    c.sendall(outgoing.read())
                data = c.recv(65536)
                if not data:
                    raise
                incoming.write(data)

    drive(tls.do_handshake)
    request = b"y" * 200000
    tls.write(request)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.unwrap()  # says close_notify, and waits for the other's
    c.sendall(outgoing.read())
    c.shutdown(socket.SHUT_WR)
    answer = b""
    while len(answer) < len(request):
        answer += drive(lambda: tls.read(65536))
    assert answer == request


def test_a_client_that_leaves_without_close_notify_has_ended(weir, backend,
                                                             authority):
    b = backend(answer_at_end)
    w = weir(ending(b, authority.sign("a.example")))
    c = wrap(w, client_context(authority.path))
    c.sendall(b"all")
    raw = socket.socket(fileno=c.detach())
    raw.settimeout(DEADLINE)
    raw.shutdown(socket.SHUT_WR)
    assert raw.recv(65536)
    while raw.recv(65536):
        pass
    raw.close()
    assert w.access()[0]["end"] == "client"
    assert not b.errors


def test_a_record_that_is_cut_ends_the_connection(weir, backend, authority):
    b = backend()
    w = weir(ending(b, authority.sign("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority.path).wrap_bio(
        incoming, outgoing, server_hostname="a.example")
    c = w.connect()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            c.sendall(outgoing.read())
            incoming.write(c.recv(65536))
    tls.write(b"whole")
    tls.write(b"cut off")
    c.sendall(outgoing.read()[:-3])
    assert read_exactly(b.wait(), 5) == b"whole"
    reset(c)
    assert ended(b.connections[0])
    assert w.access()[0]["end"] == "reset"


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.0\r\n\r\n", bytes(100),
                                  b"\x16\x03\x01\0\4\2\0\0\0",
                                  b"\x80\x2e\x01\x03\x01" + bytes(60),
                                  b"\x16\x03\x01\0\4\1\2\1\x45",
                                  made_hello(b"a" * 300)])
def test_what_is_no_tls_is_closed_and_reaches_no_server(weir, backend,
                                                        authority, junk):
    b = backend()
    w = weir(ending(b, authority.sign("a.example")), keys={
        "log_level": "debug"})
    c = w.connect()
    c.sendall(junk)
    with contextlib.suppress(OSError):
        while c.recv(4096):
            pass
    line = w.access()[0]
    assert line["end"] == "tls_failed"
    assert line["tls"] == "-"
    assert not b.connections
    assert w.log_find("debug no TLS listener=l")
    assert not w.log_find(" (warn|error) ")


@pytest.mark.parametrize("each, at_once", [(1, True), (50, True), (50, False),
                                           (16384, False)])
def test_a_hello_may_come_in_pieces_and_records(weir, backend, authority,
                                                each, at_once):
    w = weir(ending(backend(echo), authority.sign("a.example")))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority.path).wrap_bio(
        incoming, outgoing, server_hostname="a.example")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    hello = records(outgoing.read()[5:], each)
    c = w.connect()
    for i in range(0, len(hello), len(hello) if at_once else 100):
        c.sendall(hello[i:i + (len(hello) if at_once else 100)])
    while True:
        incoming.write(c.recv(65536))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            pass
    tls.write(b"after all")
    c.sendall(outgoing.read())
    while True:
        try:
            assert tls.read(100) == b"after all"
            break
        except ssl.SSLWantReadError:
            incoming.write(c.recv(65536))


@pytest.mark.parametrize("part", [0, 1, 200])
@pytest.mark.parametrize("end", ["client", "reset"])
def test_who_leaves_before_its_hello_is_whole_has_just_left(
        weir, backend, authority, part, end):
    b = backend()
    w = weir(ending(b, authority.sign("a.example")), keys={
        "log_level": "debug"})
    c = w.connect()
    w.wait_figures(connections=1)
    c.sendall(client_hello("a.example")[:part])
    if end == "client":
        c.shutdown(socket.SHUT_WR)
        assert ended(c)
        w.wait_log("the peer ended the connection before its hello")
    else:
        reset(c)
    assert w.access()[0]["end"] == end
    assert not b.connections


def test_who_leaves_in_the_handshake_has_no_tls(weir, backend, authority):
    b = backend()
    w = weir(ending(b, authority.sign("a.example")))
    c = w.connect()
    c.sendall(client_hello("a.example"))
    assert c.recv(1)  # ours has come
    c.shutdown(socket.SHUT_WR)
    with contextlib.suppress(OSError):
        while c.recv(65536):
            pass
    assert w.access()[0]["end"] == "tls_failed"
    assert not b.connections


def test_an_altered_record_ends_the_connection(weir, backend, authority):
    b = backend()
    w = weir(ending(b, authority.sign("a.example")))
    c = wrap(w, client_context(authority.path))
    c.sendall(b"good")
    assert read_exactly(b.wait(), 4) == b"good"
    raw = socket.socket(fileno=c.detach())
    raw.settimeout(DEADLINE)
    raw.sendall(b"\x17\x03\x03\0\x20" + bytes(32))
    with contextlib.suppress(OSError):
        while raw.recv(4096):
            pass
    raw.close()
    assert ended(b.connections[0])
    w.access()


# ---- versions, ciphers, protocols ----

def scan_versions(port, ca):
    found = []
    for version in ("tls1", "tls1_1", "tls1_2", "tls1_3"):
        status, _ = s_client(port, f"-{version}", "-cipher",
                             "DEFAULT@SECLEVEL=0", "-CAfile", ca,
                             "-servername", "a.example")
        if status == 0:
            found.append(version)
    return found


@pytest.mark.parametrize("keys, spoken", [
    ({}, ["tls1_2", "tls1_3"]),
    ({"tls_min_version": "1.3"}, ["tls1_3"]),
    ({"tls_max_version": "1.2"}, ["tls1_2"]),
    ({"tls_min_version": "1.0", "tls_ciphers": "DEFAULT@SECLEVEL=0"},
     ["tls1", "tls1_1", "tls1_2", "tls1_3"]),
])
def test_versions(weir, backend, authority, keys, spoken):
    w = weir(ending(backend(echo), authority.sign("a.example"), **keys))
    assert scan_versions(w.port(), authority.path) == spoken


def test_ciphers(weir, backend, authority):
    w = weir(ending(backend(echo), authority.sign("a.example"),
                    tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
                    tls_ciphersuites="TLS_CHACHA20_POLY1305_SHA256"))
    wanted = {"-cipher": {"ECDHE-ECDSA-AES128-GCM-SHA256": True,
                          "ECDHE-ECDSA-AES256-GCM-SHA384": False,
                          "ECDHE-ECDSA-CHACHA20-POLY1305": False},
              "-ciphersuites": {"TLS_AES_128_GCM_SHA256": False,
                                "TLS_AES_256_GCM_SHA384": False,
                                "TLS_CHACHA20_POLY1305_SHA256": True}}
    for option, ciphers in wanted.items():
        version = "-tls1_2" if option == "-cipher" else "-tls1_3"
        for cipher, good in ciphers.items():
            status, out = s_client(w.port(), version, option, cipher)
            assert (status == 0) == good, (cipher, out)
            if good:
                assert f"Cipher is {cipher}" in out or cipher in out


def test_a_downgrade_is_refused(weir, backend, authority):
    w = weir(ending(backend(echo), authority.sign("a.example")))
    status, out = s_client(w.port(), "-tls1_2", "-fallback_scsv")
    assert status != 0
    assert "inappropriate fallback" in out
    assert w.access()[0]["end"] == "tls_failed"


def test_renegotiation_is_refused(weir, backend, authority):
    b = backend(echo)
    w = weir(ending(b, authority.sign("a.example"), tls_max_version="1.2"))
    status, out = s_client(w.port(), "-legacy_renegotiation", text="R\n")
    assert "RENEGOTIATING" in out
    assert status != 0 or "no renegotiation" in out, out
    w.wait_figures(connections=0)


def test_alpn(weir, backend, authority):
    w = weir(ending(backend(echo), authority.sign("a.example"),
                    tls_alpn="h2,http/1.1"))
    for offered, chosen in ((["http/1.1", "h2"], "h2"),
                            (["x", "http/1.1"], "http/1.1"), ([], None)):
        with wrap(w, client_context(authority.path, alpn=offered)) as c:
            assert c.selected_alpn_protocol() == chosen
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        wrap(w, client_context(authority.path, alpn=["x"]))


# ---- clients' certificates ----

def serves(w, context):
    """Whether a client gets as far as an answer; with TLS 1.3 it learns only
    then that its certificate was not good enough."""
    try:
        with wrap(w, context) as c:
            return echoes(c)
    except (ssl.SSLError, ConnectionResetError, AssertionError):
        return False


def test_clients_certificates(weir, backend, authority, folder):
    pair = authority.sign("a.example")
    me = authority.sign("me")
    (folder / "other").mkdir()
    stranger = Authority(folder / "other").sign("me")
    b = backend(echo)
    for verify, nobody, bad in (("off", True, True),
                                ("optional", True, False),
                                ("required", False, False)):
        w = weir(ending(b, pair, tls_client_verify=verify,
                        tls_client_ca=authority.path))
        ca = authority.path
        assert serves(w, client_context(ca, certificate=me)), verify
        assert serves(w, client_context(ca)) == nobody, verify
        assert serves(w, client_context(ca, certificate=stranger)) == bad
        ends = [x["end"] for x in w.access(3)]
        assert ends.count("tls_failed") == 2 - nobody - bad


# ---- resumption ----

@pytest.mark.parametrize("keys, resumed", [
    ({}, True), ({"tls_tickets": "off"}, True),
    ({"tls_tickets": "off", "tls_session_cache": "0"}, False)],
    ids=["tickets", "cache", "neither"])
def test_sessions_are_resumed(weir, backend, authority, keys, resumed):
    w = weir(ending(backend(echo), authority.sign("a.example"), **keys))
    for most in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = client_context(authority.path, most=most)
        with wrap(w, context) as c:
            assert echoes(c)
            assert not c.session_reused
            session = c.session
        with wrap(w, context, session=session) as c:
            assert echoes(c)
            assert c.session_reused == resumed, most


def resumed_by_many(w, context, session=None, least=12):
    """Connect until several workers serve; whether each client resumed what
    the one before it had, and the last session."""
    reused = []
    # While those of one worker are open, others get the rest.
    opened = []
    serving = 0
    while len(opened) < least or (serving < 2 and len(opened) < 200):
        c = wrap(w, context, session=session)
        assert echoes(c)
        reused.append(c.session_reused)
        session = c.session
        opened.append(c)
        serving = sum(x["connections"] > 0 for x in w.ctl("workers"))
    assert serving > 1
    for c in opened:
        c.close()
    w.wait_figures(connections=0)
    return reused, session


def test_each_worker_reads_the_tickets_of_all(weir, backend, authority):
    w = weir(ending(backend(echo), authority.sign("a.example")),
             keys={"workers": "3"})
    reused, _ = resumed_by_many(w, client_context(authority.path))
    assert reused == [False] + [True] * (len(reused) - 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2,
                                     ssl.TLSVersion.TLSv1_3])
def test_each_worker_has_the_sessions_of_all(weir, backend, authority,
                                             version):
    """Also who comes in the place of one that was killed, and after a
    reload."""
    w = weir(ending(backend(echo), authority.sign("a.example"),
                    tls_tickets="off"), keys={"workers": "3"})
    context = client_context(authority.path, most=version)
    reused, session = resumed_by_many(w, context)
    assert reused == [False] + [True] * (len(reused) - 1)
    before = {x["pid"] for x in w.ctl("workers")}
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: len({x["pid"] for x in w.ctl("workers")} - before) == 3,
               "all workers are new")
    w.ctl("reload")
    reused, _ = resumed_by_many(w, context, session)
    assert all(reused)


# ---- many ----

@pytest.mark.parametrize("said", [b"", client_hello("a.example")[:200]],
                         ids=["silent", "half"])
def test_handshakes_that_stall_are_ended_and_cost_little(weir, backend,
                                                         authority, said):
    # All end at once: their lines in the log have to fit into its pipe.
    count = int(os.environ.get("WEIR_STALLS",
                               "200" if MEASURABLE else "50"))
    b = backend(echo)
    w = weir(ending(b, authority.sign("a.example"),
                    handshake_timeout="2s", backlog=4096))
    with wrap(w, client_context(authority.path)) as c:
        assert echoes(c)
    w.access()
    before = w.rss()
    stalled = [w.connect() for _ in range(count)]
    for c in stalled:
        c.sendall(said)
    w.wait_figures(accepted=count + 1)
    with wrap(w, client_context(authority.path)) as c:
        assert echoes(c)
    grown = w.rss() - before
    w.wait_figures(connections=0, closed=count + 2)
    ends = [x["end"] for x in w.access(count + 2)]
    assert ends.count("tls_failed") == count
    assert len(b.connections) == 2
    if MEASURABLE:
        assert grown < 1024 * 1024 + count * 16384, grown


# ---- with a PROXY header ----

@pytest.mark.valgrind
@pytest.mark.parametrize("apart", [False, True], ids=["at once", "apart"])
def test_a_header_comes_before_the_handshake(weir, backend, authority, apart):
    b = backend(echo)
    w = weir(ending(b, authority.sign("a.example"), accept_proxy="all",
                    deny="192.0.2.66"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority.path).wrap_bio(
        incoming, outgoing, server_hostname="a.example")
    c = w.connect()
    if apart:
        c.sendall(v2()[:10])
        c.sendall(v2()[10:])
    else:
        outgoing.write(v2())
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            c.sendall(outgoing.read())
            incoming.write(c.recv(65536))
    tls.write(b"hello")
    c.sendall(outgoing.read())
    b.wait()
    assert w.connections()[0]["client"] == "192.0.2.1:56324"
    # Who is denied by it has no handshake.
    c = w.connect()
    c.sendall(v2("192.0.2.66") + client_hello())
    assert ended(c)
    assert w.access()[0]["end"] == "denied"
    assert len(b.connections) == 1


def test_servers_are_told_of_the_tls(weir, backend, authority):
    me = authority.sign("me")
    b = backend()
    w = weir(ending(b, authority.sign("a.example"), send_proxy="v2",
                    tls_alpn="h2", tls_client_verify="optional",
                    tls_client_ca=authority.path))
    cases = ((client_context(authority.path, certificate=me, alpn=["h2"]),
              7, 0, {1: b"h2", 2: b"a.example"}, b"me"),
             (client_context(authority.path), 1, 1, {2: b"a.example"}, None))
    for i, (context, flags, verify, plain, cn) in enumerate(cases):
        c = wrap(w, context)
        source, _, tlvs = read_v2(b.wait(i))
        assert source == c.getsockname()
        ssl_ = tlvs.pop(0x20)
        tlvs.pop(5)
        assert tlvs == plain
        assert ssl_[0] == flags
        assert int.from_bytes(ssl_[1:5], "big") == verify
        parts = ssl_[5:]
        assert tlv(0x21, c.version().encode()) in parts
        assert tlv(0x23, c.cipher()[0].encode()) in parts
        assert (tlv(0x22, cn) in parts) if cn else b"\x22" not in parts[:1]
        c.close()


# ---- begun here ----

def test_servers_are_verified_by_their_name(weir, tls_backend, authority):
    pair = authority.sign("a.example", "a.example", "127.0.0.1")
    b = tls_backend(server_context(pair))
    w = weir(beginning(b, upstream_tls_ca=authority.path))
    with w.connect() as c:
        assert echoes(c, b"x" * 100000)
    # An address is verified as one, and is no server name.
    assert b.seen[0]["sni"] is None
    w = weir(beginning(b, upstream_tls_ca=authority.path,
                       upstream_tls_name="a.example"))
    with w.connect() as c:
        assert echoes(c)
    assert b.seen[1]["sni"] == "a.example"
    w = weir(beginning(b, upstream_tls_ca=authority.path,
                       upstream_tls_name="a.example", upstream_tls_sni="no"))
    with w.connect() as c:
        assert echoes(c)
    assert b.seen[2]["sni"] is None


@pytest.mark.parametrize("keys, reason", [
    ({"upstream_tls_name": "b.example"}, "mismatch"),
    ({}, "certificate"),
])
def test_a_server_that_is_not_verified_is_not_used(weir, tls_backend,
                                                   authority, keys, reason):
    b = tls_backend(server_context(authority.sign("a.example")))
    if keys:
        keys["upstream_tls_ca"] = authority.path
    w = weir(beginning(b, **keys))
    c = w.connect()
    c.sendall(b"secret")
    assert ended(c)
    assert w.access()[0]["end"] == "tls_failed"
    assert b.seen == []
    assert reason in w.wait_log("warn cannot connect")[0]
    w = weir(beginning(b, upstream_tls_verify="no", **keys))
    with w.connect() as c:
        assert echoes(c)


def test_servers_may_ask_for_a_certificate_and_a_protocol(weir, tls_backend,
                                                          authority):
    pair = authority.sign("a.example", "127.0.0.1")
    certificate, key = authority.sign("me")
    b = tls_backend(server_context(pair, ca=authority.path,
                                   alpn=["h2", "http/1.1"]))
    w = weir(beginning(b, upstream_tls_ca=authority.path,
                       upstream_tls_certificate=certificate,
                       upstream_tls_key=key,
                       upstream_tls_alpn="http/1.1"))
    with w.connect() as c:
        assert echoes(c)
    seen = b.seen[0]
    assert seen["alpn"] == "http/1.1"
    assert (("commonName", "me"),) in seen["peer"]["subject"]


def test_keys_may_be_encrypted(weir, tls_backend, authority, folder):
    """That of the certificate shown to clients, and that shown to servers."""
    server, me = authority.sign("a.example"), authority.sign("me")
    for name, key in (("server", server[1]), ("me", me[1])):
        authority.openssl("ec", "-in", key, "-aes128", "-passout",
                          "pass:the " + name, "-out",
                          str(folder / f"{name}.locked"))
    (folder / "phrases").write_text("no\nthe server\nthe me\n")
    (folder / "wrong").write_text("no\nthe other\n")
    b = tls_backend(server_context(server, ca=authority.path))
    keys = {"tls": "on", "tls_certificate": server[0],
            "tls_key": folder / "server.locked",
            "tls_password_file": folder / "phrases",
            "upstream_tls_ca": authority.path,
            "upstream_tls_name": "a.example",
            "upstream_tls_certificate": me[0],
            "upstream_tls_key": folder / "me.locked",
            "upstream_tls_password_file": folder / "phrases"}
    w = weir(beginning(b, **keys))
    with wrap(w, client_context(authority.path)) as c:
        assert echoes(c)
    assert dict(x[0] for x in b.seen[0]["peer"]["subject"]) == {
        "commonName": "me"}
    path = folder / "bad.conf"
    for key in ("tls", "upstream_tls"):
        text = beginning(b, **{**keys, key + "_password_file":
                               folder / "wrong"})
        path.write_text(text)
        line = next(i for i, x in enumerate(text.splitlines(), 1)
                    if x.startswith(key + "_key "))
        r = weir_once("-t", "-c", path)
        assert r.returncode != 0
        assert f"bad.conf:{line}: {key}_key: " in r.stderr, r.stderr


@pytest.mark.parametrize("keys, spoken", [
    ({"upstream_tls_min_version": "1.3"}, None),
    ({"upstream_tls_max_version": "1.2",
      "upstream_tls_ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384"},
     "ECDHE-ECDSA-AES256-GCM-SHA384"),
])
def test_versions_and_ciphers_with_servers(weir, tls_backend, authority, keys,
                                           spoken):
    context = server_context(authority.sign("a.example"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    b = tls_backend(context)
    w = weir(beginning(b, upstream_tls_ca=authority.path,
                       upstream_tls_name="a.example", **keys))
    with w.connect() as c:
        if spoken is None:
            c.sendall(b"secret")
            assert ended(c)
            assert w.access()[0]["end"] == "tls_failed"
        else:
            assert echoes(c)
            assert b.seen[0]["cipher"] == spoken


@pytest.mark.parametrize("most", ["1.2", "1.3"])
def test_sessions_with_servers_are_resumed(weir, tls_backend, authority, most):
    pair = authority.sign("a.example", "127.0.0.1")
    b = tls_backend(server_context(pair))
    for reuse in ("yes", "no"):
        del b.seen[:]
        w = weir(beginning(b, upstream_tls_ca=authority.path,
                           upstream_tls_max_version=most,
                           upstream_tls_session_reuse=reuse))
        for _ in range(4):
            with w.connect() as c:
                assert echoes(c)
        seen = [x["reused"] for x in b.seen]
        assert seen == [False] + [reuse == "yes"] * 3


@pytest.mark.valgrind
def test_a_header_goes_in_clear_before_the_tls(weir, tls_backend, authority):
    pair = authority.sign("a.example", "127.0.0.1")
    b = tls_backend(server_context(pair), before=read_line)
    w = weir(beginning(b, upstream_tls_ca=authority.path, send_proxy="v1"))
    with w.connect() as c:
        assert echoes(c)
        port = c.getsockname()[1]
    assert b.seen[0]["header"].decode() == (
        f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {w.port()}\r\n")


def test_where_tls_fails_the_next_server_is_tried(weir, backend, tls_backend,
                                                  authority):
    def no_tls(conn):
        conn.recv(1)
        conn.sendall(b"220 hello\r\n")
        conn.close()

    plain = backend(no_tls)
    b = tls_backend(server_context(authority.sign("a.example", "127.0.0.1")))
    w = weir(beginning(plain, upstream_tls_ca=authority.path)
             + f"upstream = {b.address}\n")
    c = w.connect()
    c.sendall(b"hello")
    assert read_exactly(c, 5) == b"hello"
    c.close()
    assert w.access()[0]["tried"] == f"{plain.address},{b.address}"
    assert len(plain.connections) == 1


def test_a_server_that_never_answers_the_hello_is_given_up(weir, backend,
                                                           authority):
    b = backend()
    w = weir(beginning(b, upstream_tls_verify="no",
                       handshake_timeout="200ms"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "tls_failed"


@pytest.mark.valgrind
def test_tls_on_both_sides(weir, tls_backend, authority):
    pair = authority.sign("a.example", "a.example", "127.0.0.1")
    b = tls_backend(server_context(pair))
    w = weir(ending(b, pair, upstream_tls="on",
                    upstream_tls_ca=authority.path))
    with wrap(w, client_context(authority.path)) as c:
        assert echoes(c, b"x" * 300000)


# ---- beside others ----

@pytest.mark.skipif(not has("curl"), reason="no curl here")
def test_curl_and_s_server(weir, spawn, authority):
    certificate, key = authority.sign("web.example", "web.example",
                                      "127.0.0.1")
    port = free_port()
    spawn(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www",
           "-cert", certificate, "-key", key, "-quiet"])
    eventually(lambda: listens(port), "s_server listens")
    w = weir(f"""[listener both]
listen = 127.0.0.1:0
mode = forward
upstream = 127.0.0.1:{port}
upstream_tls = on
upstream_tls_ca = {authority.path}
tls = on
tls_certificate = {certificate}
tls_key = {key}
[listener plain]
listen = 127.0.0.1:0
mode = forward
upstream = 127.0.0.1:{port}
upstream_tls = on
upstream_tls_ca = {authority.path}
""")
    r = run(["curl", "-sS", "--cacert", authority.path, "--connect-to",
             f"web.example:443:127.0.0.1:{w.port('both')}",
             "https://web.example/"])
    assert r.returncode == 0, r.stderr.decode()
    assert b"Ciphers supported" in r.stdout
    assert "Ciphers supported" in get(("127.0.0.1", w.port("plain")))


@pytest.mark.skipif(not has("haproxy"), reason="no haproxy here")
def test_haproxy_on_either_side(weir, spawn, folder, authority):
    """A client's TLS ends at weir, which tells HAProxy of it; and weir's own
    is taken by HAProxy, behind a header in clear."""
    certificate, key = authority.sign("a.example", "a.example", "127.0.0.1")
    both = folder / "both.pem"
    both.write_text(open(certificate).read() + open(key).read())
    plain, secure = start_haproxy(spawn, folder, f"""frontend plain
  mode http
  bind 127.0.0.1:{{p0}} accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src_port] %[fc_pp_authority]"
frontend secure
  mode http
  bind 127.0.0.1:{{p1}} accept-proxy ssl crt {both}
  http-request return status 200 content-type text/plain lf-string "%[src_port] %[ssl_fc_sni]"
""")
    w = weir(f"""[defaults]
mode = forward
tls = on
tls_certificate = {certificate}
tls_key = {key}
send_proxy = v2
[listener plain]
listen = 127.0.0.1:0
upstream = 127.0.0.1:{plain}
[listener secure]
listen = 127.0.0.1:0
upstream = 127.0.0.1:{secure}
upstream_tls = on
upstream_tls_ca = {authority.path}
upstream_tls_name = a.example
""")
    for name in ("plain", "secure"):
        c = client_context(authority.path).wrap_socket(
            w.connect(name), server_hostname="a.example")
        port = c.getsockname()[1]
        assert get(None, sock=c) == f"{port} a.example"


@pytest.mark.skipif(
    not os.path.exists("/usr/lib/nginx/modules/ngx_stream_module.so"),
    reason="no nginx with its stream module here")
def test_nginx_on_either_side(weir, spawn, backend, folder, authority):
    # Before TLS nginx 1.22 takes no header of more than 108 bytes, which is
    # less than version 2 needs with what it says of a client's TLS.
    certificate, key = authority.sign("a.example", "a.example", "127.0.0.1")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    behind, = start_nginx(spawn, folder / "b", f"""http {{
  access_log off;
  server {{
    listen 127.0.0.1:{{p0}} ssl proxy_protocol;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    return 200 "$proxy_protocol_addr $ssl_server_name $ssl_protocol";
  }}
}}
""")
    w = weir(f"""[listener l]
listen = 127.0.0.1:0
mode = forward
tls = on
tls_certificate = {certificate}
tls_key = {key}
accept_proxy = all
upstream = 127.0.0.1:{behind}
upstream_tls = on
upstream_tls_ca = {authority.path}
upstream_tls_name = a.example
send_proxy = v1
""")
    port, = start_nginx(spawn, folder / "a", f"""stream {{
  server {{
    listen 127.0.0.1:{{p0}};
    proxy_pass 127.0.0.1:{w.port()};
    proxy_protocol on;
    proxy_ssl on;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {authority.path};
    proxy_ssl_name a.example;
    proxy_ssl_server_name on;
  }}
}}
""")
    assert get(("127.0.0.1", port)) == "127.0.0.1 a.example TLSv1.2"
