"""Real programs on both sides of weir: what people put behind a proxy."""

import hashlib
import http.server
import json
import socket
import subprocess

import threading

import pytest

from weirtest import (DEADLINE, eventually, free_port, pattern, run)


def forward(port, more=""):
    return ("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = 127.0.0.1:{port}\n{more}")


def answers(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis(spawn, folder):
    port = free_port()
    spawn(["redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "",
           "--appendonly", "no", "--dir", folder])
    eventually(lambda: answers(port), "redis to listen")
    return port


def test_redis_benchmark(weir, redis):
    w = weir(forward(redis))
    r = run(["redis-benchmark", "-p", w.port(), "-n", "3000", "-c", "30",
             "-t", "ping,set,get", "--csv"])
    assert r.returncode == 0, r.stdout
    assert r.stdout.count(b"\n") >= 4
    assert b"rror" not in r.stdout + r.stderr
    r = run(["redis-cli", "-p", w.port(), "--pipe"],
            input=b"".join(b"SET key%d %d\r\n" % (i, i) for i in range(20000)))
    assert b"errors: 0, replies: 20000" in r.stdout
    r = run(["redis-cli", "-p", w.port(), "dbsize"])
    assert int(r.stdout) >= 20000
    w.wait_figures(connections=0, errors=0)


def test_redis_large_values(weir, redis):
    w = weir(forward(redis))
    value = pattern(4 << 20)
    r = run(["redis-cli", "-p", w.port(), "-x", "set", "big"], input=value)
    assert r.stdout == b"OK\n"
    r = run(["redis-cli", "-p", w.port(), "get", "big"])
    assert r.stdout == value + b"\n"


@pytest.mark.parametrize("direction", [[], ["-R"], ["--bidir"]])
def test_iperf3(weir, spawn, direction):
    port = free_port()
    spawn(["iperf3", "-s", "-1", "-B", "127.0.0.1", "-p", port])
    w = weir(forward(port))

    def measured():
        r = run(["iperf3", "-c", "127.0.0.1", "-p", w.port(), "-n", "64M",
                 "-P", "2", "-J", *direction])
        result = json.loads(r.stdout) if r.returncode == 0 else {"error": r}
        # Some failures have status 0, too.
        return None if "error" in result else result
    # Until its server listens, a try is refused. It serves one, so that no
    # other failure is tried again with success.
    result = eventually(measured, "iperf3 to finish", 3 * DEADLINE)
    # With --bidir the amount is shared by both ways, as it happens.
    assert result["end"]["sum_received"]["bytes"] > 8 << 20
    w.wait_figures(connections=0)


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = pattern(3 << 20)

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self):
        data = self.rfile.read(int(self.headers["Content-Length"]))
        text = hashlib.sha256(data).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def web(make):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    t = threading.Thread(target=server.serve_forever, daemon=True)
    t.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.mark.valgrind
def test_curl_gets_and_posts(weir, web, folder):
    w = weir(forward(web))
    url = f"http://127.0.0.1:{w.port()}/"
    r = run(["curl", "-sS", url, url])
    assert r.returncode == 0 and r.stdout == Quiet.body * 2
    data = pattern(2 << 20)
    r = run(["curl", "-sS", "--data-binary", "@-", url], input=data)
    assert r.stdout.decode() == hashlib.sha256(data).hexdigest()


def test_curl_on_a_unix_socket(weir, web, folder):
    w = weir(forward(web).replace("127.0.0.1:0", f"unix:{folder}/web", 1))
    r = run(["curl", "-sS", "--unix-socket", folder / "web", "http://x/"])
    assert r.stdout == Quiet.body
    w.wait_figures(accepted=1)


def test_curl_parallel(weir, web):
    w = weir(forward(web))
    url = f"http://127.0.0.1:{w.port()}/[1-40]"
    r = run(["curl", "-sS", "-Z", "--parallel-max", "10", "-o", "/dev/null",
             "-w", "%{http_code} %{size_download}\n", url])
    assert r.returncode == 0
    assert r.stdout.decode().split("\n")[:-1] == [
        f"200 {len(Quiet.body)}"] * 40


def test_socat_both_ways_of_a_unix_socket(weir, folder, spawn):
    spawn(["socat", "-t", "30", f"UNIX-LISTEN:{folder}/back,fork", "EXEC:cat"])
    eventually((folder / "back").exists, "socat to listen")
    w = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = unix:{folder}/back\n")
    data = pattern(1 << 20)
    r = run(["socat", "-t", "30", "-", f"TCP:127.0.0.1:{w.port()}"],
            input=data)
    assert hashlib.sha256(r.stdout).digest() == hashlib.sha256(data).digest()


def test_nc_as_a_server_gets_the_clients_end(weir, spawn):
    port = free_port()
    p = spawn(["nc", "-l", "-N", "127.0.0.1", port], stdin=subprocess.PIPE,
              stderr=subprocess.DEVNULL)
    w = weir(forward(port))

    def listens():
        with open("/proc/net/tcp") as f:
            return f":{port:04X} 00000000:0000 0A" in f.read()
    eventually(listens, "nc to listen")
    c = w.connect()
    c.sendall(b"to nc\n")
    c.shutdown(socket.SHUT_WR)
    p.stdin.close()
    p.stdin = None
    assert p.stdout.read() == b"to nc\n"
    assert p.wait(DEADLINE) == 0


def test_a_chain_of_three_weirs(weir, backend):
    from weirtest import answer_at_end, read_all
    b = backend(answer_at_end)
    first = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
                 f"upstream = {b.address}\n")
    second = weir(forward(first.port()))
    third = weir(forward(second.port()))
    c = third.connect()
    c.sendall(b"through all")
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"through all"


