"""Names of servers: looked up by a real name server whose records change."""

import contextlib
import shutil
import signal
import socket
import time

import pytest

from fronttest import Authority, TlsBackend, echoes, server_context
from weirtest import (DEADLINE, SCALE, Backend, echo, ended, eventually,
                      free_port, is_root, read_exactly)

DNSMASQ = shutil.which("dnsmasq") or shutil.which("dnsmasq",
                                                  path="/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(DNSMASQ is None, reason="there is no dnsmasq")


def free_for_both():
    """One that is free for UDP and TCP: dnsmasq listens on both."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, \
                contextlib.suppress(OSError):
            udp.bind(("127.0.0.1", port))
            return port


class Names:
    """A dnsmasq of our own. hosts are addresses by name, in a file that it
    reads anew; services are lines of its configuration."""

    def __init__(self, folder, spawn):
        self.folder, self.spawn = folder, spawn
        self.process = None
        self.port = free_for_both()
        self.told = False

    @property
    def address(self):
        self.told = True
        return f"127.0.0.1:{self.port}"

    def set_hosts(self, hosts):
        with open(self.folder / "hosts", "w") as f:
            for name, addresses in hosts.items():
                f.writelines(f"{a} {name}\n" for a in addresses)
        if self.process:
            self.process.send_signal(signal.SIGHUP)

    def start(self, hosts=None, services=(), ttl=1):
        if hosts is not None:
            self.set_hosts(hosts)
        self.command = [
            DNSMASQ, "-k", "-C", "/dev/null", "-R", "-h",
            "--listen-address=127.0.0.1", "--bind-interfaces",
            "--pid-file=", f"--addn-hosts={self.folder}/hosts",
            "--local=/test/", f"--local-ttl={ttl}",
            *(["--user=root"] if is_root() else []),
            *(f"--srv-host={s}" for s in services)]
        self.process = self.spawn([*self.command, "-p", self.port])
        eventually(self.is_there, "dnsmasq answers")
        return self

    def is_there(self):
        if self.process.poll() is not None:  # the port was another's
            if not self.told:
                self.port = free_for_both()
            self.process = self.spawn([*self.command, "-p", self.port])
        question = (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
                    b"\x02no\x04test\x00\x00\x01\x00\x01")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.2)
            try:
                s.connect(("127.0.0.1", self.port))
                s.send(question)
                return s.recv(512)
            except OSError:
                return False

    def unread(self):
        """Bytes of questions that it has not read."""
        with open("/proc/net/udp") as f:
            rows = [x.split() for x in f.readlines()[1:]]
        return sum(int(x[4].split(":")[1], 16) for x in rows
                   if x[1] == f"0100007F:{self.port:04X}")

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process = None


@pytest.fixture
def names(folder, spawn):
    return Names(folder, spawn)


@pytest.fixture
def same_port(make):
    """same_port("abc"): servers on 127.0.0.2, .3 and so on, of one port,
    which tell their letters."""
    made = []

    def new(letters):
        port = 0
        for i, letter in enumerate(letters):
            b = Backend(teller(letter), host=f"127.0.0.{i + 2}", port=port)
            port = b.port
            made.append(b)
        return port, made
    yield new
    for b in made:
        b.close()


def teller(letter):
    def handler(conn):
        conn.sendall(letter.encode())
        echo(conn)
    return handler


def config(names, servers, keys="resolve = 200ms\n", listener=""):
    rows = "".join(f"server = {s}\n" for s in servers)
    return (f"[upstream u]\n{rows}dns = {names.address}\n{keys}\n"
            "[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = u\naccess_log = on\n{listener}")


def answers(w, count):
    got = []
    for _ in range(count):
        c = w.connect()
        got.append(c.recv(1).decode())
        c.close()
    return "".join(got)


def become(w, letters):
    """Sooner or later these answer, and no others."""
    eventually(lambda: set(answers(w, 2 * len(letters))) == set(letters),
               f"servers are {letters}")


@pytest.mark.parametrize("workers", [1, 2])
def test_addresses_come_and_go(weir, names, same_port, workers):
    port, _ = same_port("abc")
    names.start({"app.test": ["127.0.0.2", "127.0.0.3"]})
    w = weir(config(names, [f"app.test:{port}"]), keys={"workers": workers})
    become(w, "ab")
    assert sorted(answers(w, 6)) == list("aaabbb")
    names.set_hosts({"app.test": ["127.0.0.3", "127.0.0.4"]})
    become(w, "bc")
    names.set_hosts({"app.test": ["127.0.0.4"]})
    become(w, "c")


def test_the_time_to_live_counts_where_it_is_shorter(weir, names, same_port):
    port, _ = same_port("ab")
    names.start({"app.test": ["127.0.0.2"]}, ttl=1)
    w = weir(config(names, [f"app.test:{port}"], "resolve = 1h\n"))
    become(w, "a")
    names.set_hosts({"app.test": ["127.0.0.3"]})
    become(w, "b")


def test_a_failed_connect_asks_again_earlier(weir, names, same_port):
    port, servers = same_port("ab")
    names.start({"app.test": ["127.0.0.2"]}, ttl=3600)
    w = weir(config(names, [f"app.test:{port}"], "resolve = 1h\n"))
    become(w, "a")
    names.set_hosts({"app.test": ["127.0.0.3"]})
    assert answers(w, 3) == "aaa"
    servers[0].close()
    eventually(lambda: answers(w, 1) == "b", "the new one is found")


def test_what_weirctl_says_of_a_name_holds_for_its_next_addresses(
        weir, names, same_port):
    port, _ = same_port("abc")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}", f"127.0.0.4:{port} backup"]))
    become(w, "a")
    w.ctl(f"server u app.test:{port} down")
    become(w, "c")
    names.set_hosts({"app.test": ["127.0.0.2", "127.0.0.3"]})

    def states():
        return sorted(x["state"] for x in w.ctl("upstreams")[0]["servers"])
    eventually(lambda: len(states()) == 3, "its second address")
    assert states() == ["down", "down", "up"]
    assert set(answers(w, 4)) == {"c"}


def test_a_name_that_vanishes_takes_its_servers_away(
        weir, names, same_port):
    port, _ = same_port("a")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}"]))
    become(w, "a")
    names.set_hosts({})
    w.wait_log("the name has no addresses")
    assert ended(w.connect())
    eventually(lambda: [x for x in w.access(1) if x["end"] == "no_server"],
               "the access log tells of it")
    names.set_hosts({"app.test": ["127.0.0.2"]})
    become(w, "a")


def test_a_name_server_that_is_gone_leaves_the_last_answer(
        weir, names, same_port):
    port, _ = same_port("a")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}"]))
    become(w, "a")
    names.stop()
    w.wait_log("cannot resolve, the last answer stays")
    assert answers(w, 4) == "aaaa"
    assert len(w.log_find("cannot resolve")) == 1
    names.start()
    w.wait_log("resolved .*addresses=1", 2)


# How long a lookup is under way at least before it is given up.
GIVEN_UP_S = 4


def serves_meanwhile(w):
    """weir does as it is told, and nobody waits for a name."""
    begin, count = time.monotonic(), len(w.log_find("cannot resolve"))
    assert w.ctl("ping") == "pong"
    assert w.ctl("reload")["changed"] == 0
    assert w.weirctl("upstreams").stdout
    assert answers(w, 4) == "aaaa"
    if time.monotonic() - begin < GIVEN_UP_S:
        assert len(w.log_find("cannot resolve")) == count


@pytest.mark.parametrize("workers", [1, 2])
def test_a_silent_name_server_holds_nobody_up(
        weir, names, same_port, workers):
    port, _ = same_port("a")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}"]), keys={"workers": workers})
    become(w, "a")
    names.process.send_signal(signal.SIGSTOP)
    try:
        eventually(names.unread, "it is asked, and does not answer")
        serves_meanwhile(w)
        # A question that is under way is nothing to wait for at the end.
        w.stop()
    finally:
        names.process.kill()


def test_weir_starts_beside_a_silent_name_server(weir, names, backend):
    b = backend(teller("a"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(DEADLINE)
        s.bind(("127.0.0.1", 0))
        names.port = s.getsockname()[1]
        w = weir(config(names, ["app.test:80"], listener=(
            "[listener g]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = {b.address}\n")))
        assert b"\x03app\x04test" in s.recv(512)
        begin = time.monotonic()
        c = w.connect("f")
        for _ in range(2):
            assert w.ctl("reload")["changed"] == 0
            assert w.connect("g").recv(1) == b"a"
        if time.monotonic() - begin < GIVEN_UP_S:
            assert not w.log_find("cannot resolve")
        c.close()
        w.stop()


def test_a_connection_before_the_first_answer_waits_for_it(
        weir, names, same_port):
    port, _ = same_port("a")
    names.set_hosts({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}"], "resolve = 200ms\n",
                    f"connect_timeout = {int(30 * SCALE)}s\n"))
    c = w.connect()
    c.sendall(b"early")
    w.wait_log("cannot resolve")
    names.start()
    assert read_exactly(c, 6) == b"aearly"


def test_and_no_longer_than_connect_timeout(weir, names):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    names.port = silent.getsockname()[1]
    w = weir(config(names, ["app.test:80"], "",
                    f"connect_timeout = {int(200 * SCALE)}ms\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "no_server"
    silent.close()


def test_other_servers_do_not_wait_for_a_name(weir, names, backend):
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    names.port = silent.getsockname()[1]
    b = backend(teller("b"))
    w = weir(config(names, ["app.test:80", b.address]))
    assert answers(w, 4) == "bbbb"
    silent.close()


def test_records_of_a_service_have_priorities_and_weights(
        weir, names, same_port):
    port, servers = same_port("abc")
    hosts = {"a.test": ["127.0.0.2"], "b.test": ["127.0.0.3"],
             "c.test": ["127.0.0.4"]}
    names.start(hosts, [f"_app._tcp.test,a.test,{port},10,1",
                        f"_app._tcp.test,b.test,{port},10,3",
                        f"_app._tcp.test,c.test,{port},20,5"])
    w = weir(config(names, ["srv:_app._tcp.test"]))
    become(w, "ab")
    got = answers(w, 16)
    assert (got.count("a"), got.count("b")) == (4, 12)
    servers[0].close()
    servers[1].close()
    become(w, "c")


@pytest.mark.parametrize("name, good", [("app.test", True), ("a.test", False)])
def test_a_service_is_verified_by_its_domain(weir, names, folder, name, good):
    """And not by the host that its record names."""
    authority = Authority(folder)
    context = server_context(authority.sign(name))
    with contextlib.closing(TlsBackend(context)) as b:
        names.start({"a.test": ["127.0.0.1"]},
                    [f"_app._tcp.app.test,a.test,{b.port}"])
        w = weir(config(names, ["srv:_app._tcp.app.test"], listener=(
            f"upstream_tls = on\nupstream_tls_ca = {authority.path}\n")))
        with w.connect() as c:
            if good:
                assert echoes(c)
                assert b.seen[0]["sni"] == "app.test"
            else:
                c.sendall(b"secret")
                assert ended(c)
                assert w.access()[0]["end"] == "tls_failed"


def test_records_of_a_service_change(weir, names, same_port):
    port, _ = same_port("ab")
    hosts = {"a.test": ["127.0.0.2"], "b.test": ["127.0.0.3"]}
    names.start(hosts, [f"_app._tcp.test,a.test,{port}"])
    w = weir(config(names, ["srv:_app._tcp.test"]))
    become(w, "a")
    names.stop()
    names.start(hosts, [f"_app._tcp.test,b.test,{port}"])
    become(w, "b")
    names.stop()
    names.start(hosts)
    w.wait_log("the name has no addresses")
    assert ended(w.connect())


def test_name_servers_of_weir_are_asked_by_all(weir, names, same_port):
    port, _ = same_port("a")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = app.test:{port}\naccess_log = on\n",
             keys={"dns": names.address})
    assert answers(w, 2) == "aa"
    line = w.access(2)[0]
    assert line["upstream"] == f"app.test:{port}"
    assert line["server"] == f"127.0.0.2:{port}"


def test_a_family_that_a_name_does_not_have(weir, names, same_port):
    port, _ = same_port("a")
    names.start({"app.test": ["127.0.0.2"]})
    w = weir(config(names, [f"app.test:{port}"], listener="family = 6\n"))
    w.wait_log("the name has no addresses")
    assert ended(w.connect())
