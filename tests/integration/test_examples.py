"""The programs of examples/, which the manual shows: each is started, spoken
to with what its users have at hand, and ends as it says."""

import os
import signal
import socket
import subprocess
import threading

import pytest

from weirtest import (BUILD, DEADLINE, SANITIZER_REPORT, SCALE, WRAP, Lines,
                      built, ended, environment, eventually, has_ipv6,
                      is_reset, pattern, reachable, read_all, read_exactly,
                      reset)

EXAMPLES = BUILD / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(),
                                reason="not run from a build folder")


class Example:
    def __init__(self, folder, name, *args):
        self.process = subprocess.Popen(
            [*WRAP, built(EXAMPLES / name), *map(str, args)], cwd=folder,
            env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out = Lines(self.process.stdout)
        self.err = Lines(self.process.stderr)
        self.sockets = []

    def said(self, start):
        """The rest of the first line that starts so, once there is one."""
        def look():
            for line in [*self.out.lines, *self.err.lines]:
                if line.startswith(start):
                    return line
            assert self.process.poll() is None, self.err.text()
            return None
        return eventually(look, f"{start} in {self.out.lines}")[len(start):]

    def address(self):
        return self.said("listening on ")

    def connect(self):
        family, to = reachable(self.address())
        s = socket.socket(family)
        self.sockets.append(s)
        s.settimeout(DEADLINE)
        s.connect(to)
        return s

    def finish(self, status):
        assert self.process.wait(DEADLINE) == status, self.err.text()
        self.out.join()
        self.err.join()

    def stop(self):
        for s in self.sockets:
            s.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(DEADLINE)
        self.out.join()
        self.err.join()
        assert not SANITIZER_REPORT.search(self.err.text()), self.err.text()


@pytest.fixture
def example(folder):
    """example(name, argument...): one that runs; ended with the test."""
    made = []

    def new(name, *args):
        made.append(Example(folder, name, *args))
        return made[-1]
    yield new
    for e in made:
        e.stop()


def run(folder, *command, stdin=b"", status=0):
    r = subprocess.run([str(c) for c in command], cwd=folder, input=stdin,
                       capture_output=True, timeout=DEADLINE,
                       env=environment())
    assert r.returncode == status, r.stderr.decode()
    return r


# ---- echo ----

@pytest.mark.valgrind
@pytest.mark.parametrize("at", ["127.0.0.1:0", "[::1]:0", "echo.sock",
                                "@weir-example"])
def test_echo_greets_and_sends_back(example, folder, at):
    if at == "[::1]:0" and not has_ipv6():
        pytest.skip("no IPv6")
    if at == "echo.sock":
        at = folder / at
    elif at.startswith("@"):
        at = f"unix:{at}-{folder.name}"
    e = example("echo", at)
    for _ in range(2):
        c = e.connect()
        assert read_exactly(c, 7) == b"hello\r\n"
        data = pattern(200_000)
        sender = threading.Thread(target=c.sendall, args=(data,))
        sender.start()
        assert read_exactly(c, len(data)) == data
        sender.join()
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b""


def test_echo_speaks_to_nc(example, folder):
    e = example("echo", "127.0.0.1:0")
    port = e.address().rpartition(":")[2]
    r = run(folder, "nc", "-N", "127.0.0.1", port, stdin=b"a line\n")
    assert r.stdout == b"hello\r\na line\n"
    path = folder / "echo.sock"
    e = example("echo", path)
    e.address()
    r = run(folder, "nc", "-NU", path, stdin=b"a line\n")
    assert r.stdout == b"hello\r\na line\n"


def test_echo_tells_of_a_client_that_was_lost(example):
    e = example("echo", "127.0.0.1:0")
    c = e.connect()
    assert read_exactly(c, 7) == b"hello\r\n"
    reset(c)
    assert "reset" in e.said("client lost: ").lower()
    assert read_exactly(e.connect(), 7) == b"hello\r\n"


def test_echo_says_why_it_cannot_listen(example):
    e = example("echo", "127.0.0.1:0")
    again = example("echo", e.address())
    again.finish(1)
    assert again.err.lines == ["cannot listen: Address already in use"]


@pytest.mark.parametrize("name,args", [
    ("echo", ["127.0.0.1:70000"]), ("echo", ["localhost:0"]),
    ("echo", ["127.0.0.1:8000-8009"]), ("client", ["127.0.0.1:1-2", "x"]),
    ("client", ["fd:3", "x"]), ("client", ["nonsense", "x"]),
    ("proxy", ["127.0.0.1:0", "example.org:80"]), ("proxy", ["x", "y"]),
    ("tls_echo", ["nonsense", "c", "k"]), ("handover", ["localhost:0"]),
    ("workers", ["127.0.0.1:70000"]),
])
def test_what_is_no_address_is_refused(example, name, args):
    e = example(name, *args)
    assert e.process.wait(DEADLINE) in (1, 2)
    e.err.join()
    [line] = e.err.lines
    assert any(line.startswith(f"{a}: ") and len(line) > len(a) + 10
               for a in args)


@pytest.mark.parametrize("name", ["client", "handover", "proxy", "resolve",
                                  "tls_echo", "workers"])
def test_without_arguments_the_usage_is_shown(example, name):
    e = example(name)
    e.finish(2)
    assert e.err.lines[0].startswith(f"usage: {name} ")


# ---- client ----

@pytest.mark.valgrind
@pytest.mark.parametrize("at", ["127.0.0.1:0", "echo.sock"])
def test_client_shows_what_a_server_answers(example, folder, at):
    e = example("echo", folder / at if at == "echo.sock" else at)
    c = example("client", e.address(), "how are you")
    c.finish(0)
    assert [x.rstrip("\r") for x in c.out.lines] == ["hello", "how are you"]


def test_client_looks_up_a_name(example):
    e = example("echo", "127.0.0.1:0")
    port = e.address().rpartition(":")[2]
    c = example("client", f"localhost:{port}", "by name")
    c.finish(0)
    assert c.out.lines[-1].rstrip("\r") == "by name"


@pytest.mark.valgrind
def test_client_says_why_it_has_no_answer(example, folder):
    c = example("client", folder / "nobody.sock", "hello?")
    c.finish(1)
    assert c.err.lines == ["No such file or directory"]


# ---- proxy ----

@pytest.mark.valgrind
def test_proxy_joins_both_ways_and_passes_half_closes_on(example):
    e = example("echo", "127.0.0.1:0")
    p = example("proxy", "127.0.0.1:0", e.address())
    c = p.connect()
    c.sendall(b"before the greeting")
    assert read_exactly(c, 26) == b"hello\r\nbefore the greeting"
    data = pattern(300_000)
    sender = threading.Thread(target=c.sendall, args=(data,))
    sender.start()
    assert read_exactly(c, len(data)) == data
    sender.join()
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b""


@pytest.mark.valgrind
def test_proxy_passes_resets_on(example, backend):
    b = backend(lambda conn: reset(conn) if conn.recv(1) else None)
    p = example("proxy", "127.0.0.1:0", f"127.0.0.1:{b.port}")
    c = p.connect()
    c.sendall(b"x")
    assert is_reset(c)


def test_proxy_resets_a_client_whose_server_cannot_be_reached(example, folder):
    p = example("proxy", "127.0.0.1:0", folder / "nobody.sock")
    for _ in range(2):
        try:
            assert is_reset(p.connect())
        except ConnectionResetError:
            pass  # sooner than the connection was known to be made


# ---- resolve ----

@pytest.mark.valgrind
def test_resolve_prints_addresses(example):
    r = example("resolve", "localhost")
    r.finish(0)
    assert "127.0.0.1" in r.out.lines
    r = example("resolve", "::1")
    r.finish(0)
    assert r.out.lines == ["::1"]


def test_resolve_says_why_it_cannot(example):
    r = example("resolve", "no..name")
    r.finish(1)
    assert r.out.lines == []
    assert r.err.lines == ["Invalid argument"]


# ---- tls_echo ----

@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    run(folder, "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
        "-subj", "/CN=localhost", "-days", "2", "-keyout", "key.pem",
        "-out", "cert.pem")
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_tls_echo_speaks_to_openssl(example, folder, spawn, certificate,
                                    version):
    e = example("tls_echo", "127.0.0.1:0", *certificate)
    client = spawn(["openssl", "s_client", "-quiet", "-verify_return_error",
                    version, "-CAfile", certificate[0], "-connect",
                    e.address()], stdin=subprocess.PIPE,
                   stderr=subprocess.DEVNULL, env=environment())
    assert client.stdout.readline() == b"hello\r\n"
    client.stdin.write(b"a line\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"a line\n"
    assert e.said("TLSv1." + version[-1])


@pytest.mark.valgrind
def test_tls_echo_lives_on_after_a_failed_handshake(example, certificate):
    e = example("tls_echo", "127.0.0.1:0", *certificate)
    for _ in range(2):
        c = e.connect()
        c.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert ended(c)
    assert "http request" in e.said("the TLS handshake failed: ")
    assert e.process.poll() is None


def test_tls_echo_names_the_file_it_cannot_use(example, certificate):
    e = example("tls_echo", "127.0.0.1:0", "/nonexistent/cert.pem",
                certificate[1])
    e.finish(1)
    assert "/nonexistent/cert.pem" in e.err.lines[0]


# ---- workers ----

def test_workers_share_a_handle_and_are_counted_together(example, folder):
    e = example("workers", folder / "workers.sock")
    clients, pids = [], set()

    def both():
        c = e.connect()
        clients.append(c)
        greeting = c.makefile("rb").readline()
        pids.add(int(greeting.split()[1]))
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
        return len(pids) == 2
    eventually(both, "each worker to accept", DEADLINE / 2)
    assert e.process.pid not in pids
    e.process.send_signal(signal.SIGUSR1)
    assert eventually(lambda: f"{len(clients)} connections" in e.out.lines,
                      f"{len(clients)} connections in {e.out.lines}")
    e.process.terminate()
    e.finish(0)
    for c in clients:
        assert ended(c)
    assert not (folder / "workers.sock").exists()


def test_workers_that_cannot_listen_say_so_once(example):
    e = example("workers", "127.0.0.1:0")
    again = example("workers", e.address())
    again.finish(1)
    assert again.err.lines == ["cannot listen: Address already in use"]


# ---- handover ----

@pytest.mark.parametrize("at", ["127.0.0.1:0", "handover.sock"])
def test_a_connection_is_handed_to_the_child(example, folder, at):
    e = example("handover", folder / at if at == "handover.sock" else at)
    pids = set()
    clients = []
    for _ in range(3):
        c = e.connect()
        clients.append(c)
        # It is there before anybody serves it, and none of it is lost.
        c.sendall(b"early ")
        f = c.makefile("rb")
        pids.add(int(f.readline().split()[2]))
        c.sendall(b"late\n")
        assert f.readline() == b"early late\n"
        c.shutdown(socket.SHUT_WR)
        assert f.read() == b""
    assert len(pids) == 1
    assert e.process.pid not in pids


def test_the_child_serves_on_when_its_parent_has_gone(example):
    e = example("handover", "127.0.0.1:0")
    c = e.connect()
    assert c.makefile("rb").readline().startswith(b"served by ")
    e.process.terminate()
    e.process.wait(DEADLINE)
    data = pattern(1000)
    c.sendall(data)
    assert read_exactly(c, len(data)) == data
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b""


def test_the_parent_ends_when_its_child_has_gone(example):
    e = example("handover", "127.0.0.1:0")
    c = e.connect()
    child = int(c.makefile("rb").readline().split()[2])
    os.kill(child, signal.SIGKILL)
    e.finish(1)
    assert e.err.lines == ["the child has ended"]
    assert ended(c)
