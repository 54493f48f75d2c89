"""Reload: another configuration while clients are served."""

import asyncio
import contextlib
import hashlib
import os
import pathlib
import random
import signal
import socket
import time

import pytest

from fronttest import Authority, client_context
from weirtest import (DEADLINE, MEASURABLE, SCALE, Backend, echo, ended,
                      eventually, free_port, free_range, is_root, public_copy,
                      read_exactly, reachable, socket_mode)

# How long clients are served while it is reloaded.
SECONDS = float(os.environ.get("WEIR_RELOAD_SECONDS", "1"))


def listener(*addresses, name="a", more=""):
    lines = "".join(f"listen = {a}\n" for a in addresses)
    return f"[listener {name}]\n{lines}mode = echo\n{more}"


def change(w, config):
    """Write the configuration anew, with the same [weir]."""
    section = "".join(f"{k} = {v}\n" for k, v in w.keys.items()
                      if v is not None)
    w.write_config(f"[weir]\n{section}\n{config}")


def outcomes(w):
    return w.log_find(r"info reloaded |not reloaded")


def hangup(w):
    """SIGHUP, and wait for what comes of it: True when it was reloaded."""
    before = len(outcomes(w))
    w.send_signal(signal.SIGHUP)
    eventually(lambda: len(outcomes(w)) > before,
               f"the end of the reload in:\n{w.tail()}")
    return "info reloaded" in outcomes(w)[before]


def reload(w, config=None):
    if config is not None:
        change(w, config)
    w.base = None  # it may have other ones now
    assert hangup(w), w.tail()


def refused(w, config, pattern):
    """A reload that must fail and change nothing; why is in the log."""
    before = w.ctl("listeners")
    descriptors = w.descriptors()
    change(w, config)
    assert not hangup(w)
    assert w.log_find(pattern), w.tail()
    after = w.ctl("listeners")
    assert [x["addresses"] for x in before] == [x["addresses"] for x in after]
    eventually(lambda: len(w.descriptors()) <= len(descriptors),
               "no descriptor is left of it")


def works(w, address, data=b"ping"):
    c = w.connect(address=address)
    c.sendall(data)
    assert read_exactly(c, len(data)) == data
    return c


def bound(w, name="a"):
    return w.listener(name)["addresses"]


def doors(w):
    """The listening sockets, as the kernel knows them."""
    copies = w.kernel_sockets()
    found = {os.fstat(s.fileno()).st_ino for s in copies
             if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)}
    # A copy that is kept would keep its port, too.
    while w.copies:
        w.copies.pop().close()
    return found


def refuses(w, address):
    """Wait until nobody listens there any more."""
    def gone():
        try:
            w.connect(address=address, timeout=1)
        except OSError:
            return True
        w.sockets.pop().close()
        return False
    eventually(gone, f"{address} to be closed")


def inode(path):
    return os.stat(path).st_ino


def names(w):
    return [x["name"] for x in w.ctl("listeners")]


# ---- what stays ----

@pytest.mark.valgrind
def test_nothing_changes_when_nothing_has_changed(weir, folder):
    path = folder / "s"
    w = weir(listener("127.0.0.1:0", f"unix:{path}"))
    c = works(w, bound(w)[0])
    before, sockets = bound(w), doors(w)
    for _ in range(3):
        assert hangup(w)
    assert bound(w) == before
    assert doors(w) == sockets
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    assert w.log_find("reloaded kept=1 added=0 removed=0 changed=0")


@pytest.mark.valgrind
def test_counters_and_connections_go_on(weir):
    w = weir(listener("127.0.0.1:0"))
    clients = [works(w, w.address(), b"12345") for _ in range(3)]
    reload(w, listener("127.0.0.1:0", more="timeout = 1h\nbuffer = 4k\n"))
    f = w.listener()
    assert f["accepted"] == f["connections"] == 3
    assert f["bytes_in"] == 15
    clients.append(works(w, w.address(), b"678"))
    assert w.listener()["accepted"] == 4
    for c in clients:
        c.sendall(b"still")
        assert read_exactly(c, 5) == b"still"


def test_a_connection_keeps_what_it_began_under(weir, backend):
    old, new = backend(echo), backend(echo)
    text = "[listener a]\nlisten = 127.0.0.1:0\nmode = forward\n"
    w = weir(text + f"upstream = {old.address}\n")
    c = works(w, w.address())
    reload(w, text + f"upstream = {new.address}\ntimeout = 200ms\n")
    d = works(w, w.address())
    assert len(old.connections) == len(new.connections) == 1
    assert ended(d), "the new one has the new time limit"
    c.sendall(b"and the old one none")
    assert read_exactly(c, 20) == b"and the old one none"


def test_access_logs_are_of_when_it_began(weir, folder):
    one, two = folder / "one", folder / "two"
    w = weir(listener("127.0.0.1:0", more=f"access_log = file:{one}\n"))
    c = works(w, w.address())
    reload(w, listener("127.0.0.1:0", more=f"access_log = file:{two}\n"))
    works(w, w.address(), b"second").close()
    eventually(lambda: "bytes_in=6" in two.read_text(), "its line")
    c.close()
    eventually(lambda: "bytes_in=4" in one.read_text(), "the line of the old")
    assert "bytes_in=4" not in two.read_text()
    reload(w, listener("127.0.0.1:0"))
    eventually(lambda: not [x for x in w.descriptors().values()
                            if x in (str(one), str(two))],
               "both files to be closed")


# ---- added, removed, moved ----

@pytest.mark.valgrind
def test_listeners_are_added_and_removed(weir, folder):
    path = folder / "s"
    w = weir(listener("127.0.0.1:0"))
    reload(w, listener("127.0.0.1:0")
           + listener("127.0.0.1:0", f"unix:{path}", name="b"))
    b = bound(w, "b")
    for address in b:
        works(w, address)
    c = works(w, b[0])
    reload(w, listener("127.0.0.1:0"))
    for address in b:
        refuses(w, address)
    assert not path.exists()
    # It is there for as long as it has a connection, and serves that.
    assert w.listener("b")["state"] == "closed"
    c.sendall(b"going on")
    assert read_exactly(c, 8) == b"going on"
    assert "no listener" in w.ctl_error("open b")
    for s in w.sockets:
        s.close()
    eventually(lambda: names(w) == ["a"], "it to be gone")
    assert w.ctl("stats")["connections"] == 0


def test_a_listener_that_comes_back_goes_on_counting(weir):
    a, b = listener("127.0.0.1:0"), listener("127.0.0.1:0", name="b")
    w = weir(a + b)
    c = works(w, w.address("b"))
    reload(w, a)
    reload(w, a + b)
    works(w, bound(w, "b")[0])
    assert w.listener("b")["accepted"] == 2
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    reload(w, a)
    reload(w, a + b)
    assert names(w) == ["a", "b"]


def test_a_socket_goes_from_a_listener_to_another(weir, folder):
    port, path = free_port(), folder / "s"
    w = weir(listener(f"127.0.0.1:{port}", f"unix:{path}", name="old"))
    sockets, file = doors(w), inode(path)
    reload(w, listener(f"unix:{path}", f"127.0.0.1:{port}", name="new"))
    assert doors(w) == sockets
    assert inode(path) == file
    works(w, f"127.0.0.1:{port}")
    works(w, f"unix:{path}")
    assert w.listener("new")["accepted"] == 2
    assert names(w) == ["new"]


def test_two_listeners_swap_their_ports(weir):
    one, two = free_port(), free_port()
    text = "127.0.0.1:{}"
    w = weir(listener(text.format(one), more="greeting = a\n")
             + listener(text.format(two), name="b", more="greeting = b\n"))
    reload(w, listener(text.format(two), more="greeting = a\n")
           + listener(text.format(one), name="b", more="greeting = b\n"))
    assert w.connect(address=text.format(one)).recv(1) == b"b"
    assert w.connect(address=text.format(two)).recv(1) == b"a"


def test_a_port_of_any_address_becomes_one_of_a_single_one(weir):
    port = free_port("::")
    w = weir(listener(f"*:{port}"))
    reload(w, listener(f"127.0.0.1:{port}"))
    assert bound(w) == [f"127.0.0.1:{port}"]
    works(w, bound(w)[0])
    assert [s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
            for s in w.kernel_sockets() if s.family == socket.AF_INET
            and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)] == [0]
    while w.copies:
        w.copies.pop().close()
    reload(w, listener(f"*:{port}"))
    works(w, f"127.0.0.1:{port}")
    assert [x.rpartition(":")[2] for x in bound(w)] == [str(port)]


def test_ranges_grow_and_shrink(weir):
    first = free_range(4)
    w = weir(listener(f"127.0.0.1:{first}-{first + 1}"))
    sockets = doors(w)
    reload(w, listener(f"127.0.0.1:{first}-{first + 3}"))
    assert doors(w) > sockets
    assert len(bound(w)) == 4
    for address in bound(w):
        works(w, address)
    reload(w, listener(f"127.0.0.1:{first + 1}-{first + 2}"))
    assert [int(x.rpartition(":")[2]) for x in bound(w)] == [
        first + 1, first + 2]


def test_who_waits_at_a_listener_that_goes_is_served(weir):
    # Nobody is accepted from it, and then it is closed.
    w = weir(listener("127.0.0.1:0")
             + listener("127.0.0.1:0", name="b",
                        more="max_connections = 1\non_limit = wait\n"))
    first = works(w, w.address("b"))
    waiting = [w.connect("b") for _ in range(5)]
    reload(w, listener("127.0.0.1:0"))
    first.close()
    for c in waiting:
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
        c.close()


@pytest.mark.parametrize("was, becomes", [
    ("max_connections = 1\non_limit = wait\n", "max_connections = 9\n"),
    ("max_connections = 1\non_limit = wait\n", ""),
    ("max_rate = 1\n", ""),
])
def test_who_waits_at_a_limit_that_goes_is_served(weir, was, becomes):
    w = weir(listener("127.0.0.1:0", more=was))
    works(w, w.address())
    waiting = [w.connect() for _ in range(5)]
    w.wait_figures(state="waiting")
    reload(w, listener("127.0.0.1:0", more=becomes))
    for c in waiting:
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
    w.wait_figures(state="open")


def test_a_limit_at_which_clients_wait_may_come(weir):
    w = weir(listener("127.0.0.1:0"))
    reload(w, listener("127.0.0.1:0",
                       more="max_connections = 1\non_limit = wait\n"))
    first = works(w, w.address())
    waiting = w.connect()
    w.wait_figures(state="waiting")
    waiting.sendall(b"x")
    first.close()
    assert read_exactly(waiting, 1) == b"x"


def test_one_that_was_closed_stays_closed(weir):
    port = free_port()
    w = weir(listener(f"127.0.0.1:{port}"))
    w.ctl("close a")
    reload(w, listener(f"127.0.0.1:{port}", more="timeout = 1h\n"))
    assert w.listener()["state"] == "closed"
    with pytest.raises(OSError):
        w.connect(timeout=1)
    other = free_port()
    reload(w, listener(f"127.0.0.1:{other}"))
    assert w.listener()["state"] == "closed"
    with pytest.raises(OSError):
        w.connect(address=f"127.0.0.1:{other}", timeout=1)
    w.ctl("open a")
    works(w, f"127.0.0.1:{other}")


# ---- unix ----

@pytest.mark.valgrind
def test_a_socket_file_stays_and_its_mode_changes(weir, folder):
    path = folder / "s"
    w = weir(listener(f"unix:{path}", more="unix_mode = 0600\n"))
    file = inode(path)
    reload(w, listener(f"unix:{path}", more="unix_mode = 0666\n"))
    assert inode(path) == file
    assert socket_mode(path) == 0o666
    works(w, f"unix:{path}")
    w.stop()
    assert not path.exists()


def test_an_abstract_socket_stays(weir, folder):
    name = f"unix:@{folder.name}"
    w = weir(listener(name))
    reload(w, listener(name, more="timeout = 1h\n"))
    works(w, name)


# ---- inherited ----

def passing(*sockets):
    def setup():
        copies = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(copies):
            os.dup2(fd, 3 + i, inheritable=True)
    return setup


def test_inherited_descriptors_stay(weir):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
        w = weir(listener("fd:3"), setup=passing(s), close_fds=False)
    reload(w, listener("fd:3", more="timeout = 1h\n"))
    works(w, f"127.0.0.1:{port}")
    reload(w, listener("fd:3", name="b"))
    works(w, f"127.0.0.1:{port}")
    refused(w, listener("fd:9"), "fd:9.*needs a restart")
    works(w, f"127.0.0.1:{port}")


def test_sockets_of_systemd_stay_and_are_taken_up(weir):
    made = []
    for _ in range(2):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen()
        made.append(s)
    ports = [s.getsockname()[1] for s in made]
    w = weir(listener("systemd:one"), setup=passing(*made), close_fds=False,
             launcher=["sh", "-c",
                       'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh"],
             env={"LISTEN_FDS": "2", "LISTEN_FDNAMES": "one:two"})
    for s in made:
        s.close()
    reload(w, listener("systemd:one", more="timeout = 1h\n")
           + listener("systemd:two", name="b"))
    for port in ports:
        works(w, f"127.0.0.1:{port}")
    reload(w, listener("systemd:"))
    for port in ports:
        works(w, f"127.0.0.1:{port}")
    refused(w, listener("systemd:three"), "systemd:three.*no socket")


# ---- names ----

def test_names_are_looked_up(weir):
    w = weir(listener("127.0.0.1:0"))
    reload(w, listener("localhost:0"))
    for address in bound(w):
        works(w, address)
    before = bound(w)
    reload(w, listener("localhost:0", more="timeout = 1h\n"))
    assert bound(w) == before


def test_a_name_that_is_not_known_is_a_mistake(weir):
    w = weir(listener("127.0.0.1:0"))
    refused(w, listener("127.0.0.1:0") + listener("no.such.invalid:0",
                                                  name="b"),
            r"weir\.conf:\d+: listen: cannot look up no\.such\.invalid:0")


# ---- options of sockets ----

def test_options_of_a_socket_that_stays_are_changed(weir):
    w = weir(listener("127.0.0.1:0"))
    reload(w, listener("127.0.0.1:0", more="backlog = 7\ndefer_accept = yes\n"
                       "fast_open = yes\nreuse_port = yes\n"
                       "no_delay = no\nkeep_alive = 33s\n"))
    s = w.kernel_listener()
    assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT)
    assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN)
    assert s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
    assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33
    assert not s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    works(w, w.address())


def test_what_cannot_be_changed_is_said_until_it_is_so(weir):
    port = free_port("::1")
    w = weir(listener(f"[::1]:{port}"))
    pattern = "needs a restart.*key=ipv6_only"
    reload(w, listener(f"[::1]:{port}", more="ipv6_only = yes\n"))
    assert len(w.log_find(pattern)) == 1
    reload(w, listener(f"[::1]:{port}",
                       more="ipv6_only = yes\ntimeout = 1h\n"))
    assert len(w.log_find(pattern)) == 2
    reload(w, listener(f"[::1]:{port}"))
    reload(w)
    assert len(w.log_find(pattern)) == 2
    works(w, w.address())


def test_keys_of_the_start_need_a_restart(weir):
    w = weir(listener("127.0.0.1:0"))
    own = w.keys["pid_file"]
    w.keys["pid_file"] = own + ".other"
    reload(w, listener("127.0.0.1:0"))
    reload(w)
    assert len(w.log_find("needs a restart.*key=pid_file")) == 2
    w.keys["pid_file"] = own
    reload(w, listener("127.0.0.1:0"))
    assert len(w.log_find("needs a restart")) == 2


def test_keys_of_weir_that_are_live(weir, folder):
    w = weir(listener("127.0.0.1:0", more="access_log = on\n"))
    w.keys["log_level"] = "debug"
    w.keys["max_connections"] = "1"
    reload(w, listener("127.0.0.1:0"))
    c = works(w, w.address())
    assert ended(w.connect())
    w.keys["max_connections"] = "2"
    reload(w, listener("127.0.0.1:0"))
    works(w, w.address())
    # Another log.
    path = folder / "log"
    w.keys["log"] = f"file:{path}"
    change(w, listener("127.0.0.1:0"))
    w.send_signal(signal.SIGHUP)
    eventually(lambda: path.exists() and "reloaded" in path.read_text(),
               "the end of it in the new log")
    c.close()


# ---- mistakes ----

def test_a_mistake_changes_nothing(weir):
    w = weir(listener("127.0.0.1:0"))
    c = works(w, w.address())
    refused(w, listener("127.0.0.1:0", more="timeout = 10mm\n"),
            r"weir\.conf:\d+: timeout: .*10mm")
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    refused(w, "", "there is no listener")
    os.unlink(w.config_path)
    assert not hangup(w)
    reload(w, listener("127.0.0.1:0"))


@pytest.mark.valgrind
def test_a_port_that_is_taken_changes_nothing(weir, folder):
    w = weir(listener("127.0.0.1:0"))
    path, other = folder / "s", folder / "other"
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        refused(w, listener("127.0.0.1:0", f"unix:{path}")
                + listener(f"127.0.0.1:{port}", name="b",
                           more=f"access_log = file:{other}\n")
                + listener(f"unix:{folder}/no/s", name="c"),
                rf"weir\.conf:\d+: listen: cannot listen on 127\.0\.0\.1:"
                rf"{port}: ")
        assert w.log_find(r"listen: cannot listen on unix:.*/no/s: ")
    assert not path.exists()
    works(w, w.address())
    reload(w, listener("127.0.0.1:0", f"unix:{path}")
           + listener(f"127.0.0.1:{port}", name="b"))
    works(w, f"127.0.0.1:{port}")
    works(w, f"unix:{path}")


def test_a_file_of_log_that_cannot_be_opened_changes_nothing(weir, folder):
    w = weir(listener("127.0.0.1:0"))
    refused(w, listener("127.0.0.1:0",
                        more=f"access_log = file:{folder}/no/log\n"),
            r"weir\.conf:\d+: access_log: cannot open .*/no/log")
    keys, w.keys = w.keys, {**w.keys, "log": f"file:{folder}/no/log"}
    change(w, listener("127.0.0.1:0", more="timeout = 1h\n"))
    w.keys = keys
    assert not hangup(w)
    assert w.log_find("log: cannot open .*/no/log")
    works(w, w.address())


def test_standard_input_cannot_be_read_again(make):
    w = make(None, args=["-c", "-"], stdin=-1, keys={
        "control": None, "pid_file": None, "drain_timeout": None})
    w.command = [*w.command[:1], "-c", "-"]
    w.names = ["a"]
    w.spawn()
    w.process.stdin.write(
        f"[weir]\ncontrol = {w.control_path}\n{listener('127.0.0.1:0')}"
        .encode())
    w.process.stdin.close()
    eventually(w.ready, "it to listen")
    w.wait_log("info ready")
    assert not hangup(w)
    assert w.log_find("standard input cannot be read again")


def test_a_command_line_is_read_again(weir):
    w = weir(args=["-l", "127.0.0.1:0", "-e"])
    reload(w)
    works(w, w.address("cli1"))


# ---- when ----

def test_signals_in_a_row_are_one_or_the_next(weir):
    w = weir(listener("127.0.0.1:0"))
    for i in range(20):
        change(w, listener("127.0.0.1:0", more=f"timeout = {i + 1}h\n"))
        w.send_signal(signal.SIGHUP)
    eventually(lambda: w.log_find("key=timeout .*value=20h"),
               "the last to be in force")


def test_none_while_draining(weir):
    w = weir(listener("127.0.0.1:0"), keys={"drain_timeout": "1h"})
    c = works(w, w.address())
    w.send_signal(signal.SIGTERM)
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    assert not hangup(w)
    assert w.log_find("weir is draining")
    c.close()
    w.wait(0)


def test_the_manager_is_told(make, folder):
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        s.bind(str(path))
        s.settimeout(DEADLINE)
        w = make(listener("127.0.0.1:0"), env={"NOTIFY_SOCKET": str(path)})
        w.start()
        told = []

        def hear(text):
            while not told or not told[-1].startswith(text):
                told.append(s.recv(4096).decode())
            return told[-1]
        hear("READY=1")
        for config in (listener("127.0.0.1:0"), "nonsense"):
            change(w, config)
            hangup(w)
            if config == "nonsense":
                break
            usec = int(hear("RELOADING=1").split("MONOTONIC_USEC=")[1]
                       .split()[0])
            assert 0 <= time.monotonic() - usec / 1e6 <= DEADLINE
            hear("READY=1")
        w.stop()
        hear("STOPPING=1")
    assert sum(x.startswith("RELOADING=1") for x in told) == 1


# ---- under load ----

class Clients:
    """Clients that send, and check what comes back; some stay, some come and
    go. Whatever goes wrong is in errors."""

    def __init__(self, addresses, stay, come):
        self.addresses = [reachable(a) for a in addresses]
        self.stay, self.come = stay, come
        self.errors = []
        self.opened = [0] * len(self.addresses)
        self.rounds = self.connects = 0
        self.over = False

    async def open(self, which):
        which %= len(self.addresses)
        family, to = self.addresses[which]
        self.opened[which] += 1
        if family == socket.AF_UNIX:
            return await asyncio.open_unix_connection(to)
        return await asyncio.open_connection(*to[:2])

    async def talk(self, reader, writer, rng):
        data = rng.randbytes(rng.choice((1, 100, 5000)))
        writer.write(data)
        back = await reader.readexactly(len(data))
        assert hashlib.md5(back).digest() == hashlib.md5(data).digest()
        self.rounds += 1

    async def staying(self, which):
        rng = random.Random(which)
        reader, writer = await self.open(which)
        while not self.over:
            await self.talk(reader, writer, rng)
            await asyncio.sleep(0.01 * SCALE)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()

    async def coming(self, which):
        rng = random.Random(which)
        while not self.over:
            reader, writer = await self.open(which)
            self.connects += 1
            await self.talk(reader, writer, rng)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await asyncio.sleep(0.005 * SCALE)

    async def guard(self, what):
        try:
            await what
        except (OSError, AssertionError, asyncio.IncompleteReadError) as e:
            self.errors.append(repr(e))

    async def run(self, meanwhile):
        tasks = [asyncio.create_task(self.guard(self.staying(i)))
                 for i in range(self.stay)]
        tasks += [asyncio.create_task(self.guard(self.coming(i)))
                  for i in range(self.come)]
        await asyncio.get_running_loop().run_in_executor(None, meanwhile)
        self.over = True
        await asyncio.wait_for(asyncio.gather(*tasks), 3 * DEADLINE)


def keep_reloading(w, config, seconds):
    """Reload every 50 ms, always something else; how often."""
    end = time.monotonic() + seconds * SCALE
    before = len(outcomes(w))
    count = 0
    while time.monotonic() < end:
        change(w, config(count))
        w.send_signal(signal.SIGHUP)
        count += 1
        time.sleep(0.05 * SCALE)
    reload(w, config(count))
    assert not w.log_find("not reloaded"), w.tail()
    return len(outcomes(w)) - before


@pytest.mark.parametrize("workers", [1, 2])
def test_under_load_no_client_sees_anything(weir, folder, workers):
    port, path, first = free_port(), folder / "s", free_range(3)

    def config(i):
        more = f"timeout = {i + 10}s\nbacklog = {100 + i % 50}\n"
        text = listener(f"127.0.0.1:{port}", more=more)
        # This one's name changes, not its sockets.
        text += listener(f"unix:{path}", f"127.0.0.1:{first}",
                         name="bc"[i % 2], more=more)
        if i % 3:
            text += listener(f"127.0.0.1:{first + i % 3}", name="d")
        return text
    w = weir(config(0), keys={"workers": workers})
    clients = Clients([f"127.0.0.1:{port}", f"unix:{path}",
                       f"127.0.0.1:{first}"], stay=200, come=6)
    reloads = []
    asyncio.run(clients.run(
        lambda: reloads.append(keep_reloading(w, config, SECONDS))))
    assert not clients.errors, clients.errors[:5]
    assert reloads[0] >= 3
    assert clients.connects > 20
    # The one that keeps its name has counted on.
    assert w.listener("a")["accepted"] == clients.opened[0]


def test_memory_and_descriptors_do_not_grow(weir):
    port = free_port()

    def config(i):
        return listener(f"127.0.0.1:{port}", more=f"timeout = {i + 1}s\n"
                        ) + listener("127.0.0.1:0", name=f"b{i}")
    w = weir(config(0))
    works(w, w.address())

    def some(first, count):
        for i in range(first, first + count):
            reload(w, config(i))
    some(1, 20)
    before, rss = len(w.descriptors()), w.rss()
    some(21, 40)
    # The last client of the control socket may be there at either time.
    eventually(lambda: len(w.descriptors()) <= before, "what is closed is gone")
    if MEASURABLE:
        assert w.rss() - rss < 256 << 10
    assert names(w) == ["a", "b60"]


# ---- with workers ----

def pids(w):
    return sorted(x["pid"] for x in w.ctl("workers")
                  if x["state"] != "draining")


def test_workers_take_part(weir, folder):
    path, port = folder / "s", free_port()
    w = weir(listener(f"127.0.0.1:{port}"), keys={"workers": 2})
    eventually(lambda: len(pids(w)) == 2, "both")
    before = pids(w)
    clients = [works(w, w.address()) for _ in range(10)]
    reload(w, listener(f"127.0.0.1:{port}", more="greeting = new\n")
           + listener(f"unix:{path}", name="b"))
    assert pids(w) == before
    for c in clients:
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
    for _ in range(20):
        assert read_exactly(w.connect(address=f"127.0.0.1:{port}"), 3) == b"new"
        works(w, f"unix:{path}")
    assert w.listener("a")["accepted"] == 30
    assert w.listener("b")["accepted"] == 20
    reload(w, listener(f"127.0.0.1:{port}"))
    refuses(w, f"unix:{path}")
    for c in w.sockets:
        c.close()
    eventually(lambda: names(w) == ["a"], "the other one to be gone")
    assert w.log_find("not reloaded") == []


def test_a_mistake_changes_nothing_in_any_worker(weir):
    w = weir(listener("127.0.0.1:0"), keys={"workers": 2})
    c = works(w, w.address())
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        refused(w, listener("127.0.0.1:0", more="greeting = new\n")
                + listener(f"127.0.0.1:{s.getsockname()[1]}", name="b"),
                "cannot listen on")
    for _ in range(10):
        works(w, w.address())
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_certificate_that_cannot_be_read_changes_nothing(
        weir, folder, workers):
    authority = Authority(folder)
    certificate, key = authority.sign("a.example")
    lost = folder / "lost.pem"

    def config(certificate, more=""):
        return listener("127.0.0.1:0", more=more) + listener(
            "127.0.0.1:0", name="t", more=f"tls = on\ntls_key = {key}\n"
            f"tls_certificate = {certificate}\n")
    w = weir(config(certificate), keys={"workers": workers})
    if workers > 1:
        eventually(lambda: len(pids(w)) == workers, "all of them")
    before = pids(w)
    for broken, why in ((lost, "No such file"), (key, "certificate")):
        refused(w, config(broken, "greeting = new\n"),
                rf"weir.conf:\d+: tls_certificate: .*{broken}.*{why}")
    assert pids(w) == before
    context = client_context(authority.path)
    for _ in range(4 * workers):
        works(w, w.address())
        with context.wrap_socket(w.connect("t"),
                                 server_hostname="a.example") as c:
            c.sendall(b"x")
            assert c.recv(1) == b"x"


def test_a_worker_that_is_killed_meanwhile_is_replaced_by_one_of_the_new(weir):
    w = weir(listener("127.0.0.1:0"), keys={"workers": 2})
    eventually(lambda: len(pids(w)) == 2, "both")
    killed, other = pids(w)
    c = works(w, w.address())
    # Stopped, it holds up the reload, which then is under way for sure.
    os.kill(killed, signal.SIGSTOP)
    change(w, listener("127.0.0.1:0", more="greeting = new\n"))
    w.send_signal(signal.SIGHUP)
    w.ctl("ping")
    os.kill(killed, signal.SIGKILL)
    w.wait_log("info reloaded")
    eventually(lambda: len(pids(w)) == 2 and killed not in pids(w),
               "another in its place")
    assert other in pids(w)
    for _ in range(20):
        assert read_exactly(w.connect(), 3) == b"new"
    c.close()
    w.base = None


@pytest.mark.skipif(not is_root(), reason="needs root")
@pytest.mark.parametrize("workers", [1, 2])
def test_without_privileges(weir, folder, workers):
    """What they were needed for cannot be had any more, and that is said."""
    program, env = public_copy(folder)
    folder.chmod(0o755)
    w = weir(listener("127.0.0.1:0"), program=program, env=env,
             keys={"workers": workers, "user": "nobody"})
    os.chmod(os.path.dirname(w.config_path), 0o755)
    c = works(w, w.address())
    reload(w, listener("127.0.0.1:0", more="greeting = new\n")
           + listener("127.0.0.1:0", name="b"))
    works(w, w.address("b"))
    assert read_exactly(w.connect(), 3) == b"new"
    change(w, listener("127.0.0.1:0") + listener("127.0.0.1:1", name="low"))
    assert not hangup(w)
    assert w.log_find(r"weir.conf:\d+: listen: cannot listen on 127.0.0.1:1: "
                      ".*ermission"), w.tail()
    assert read_exactly(w.connect(), 3) == b"new"
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    w.keys["user"] = "root"
    reload(w, listener("127.0.0.1:0"))
    assert w.log_find("needs a restart.*key=user")


def test_a_worker_that_is_stopped_is_replaced(weir):
    w = weir(listener("127.0.0.1:0"), keys={"workers": 2})
    eventually(lambda: len(pids(w)) == 2, "both")
    stopped, other = pids(w)
    os.kill(stopped, signal.SIGSTOP)
    reload(w, listener("127.0.0.1:0", more="greeting = new\n"))
    assert w.log_find("a worker is killed")
    eventually(lambda: len(pids(w)) == 2 and stopped not in pids(w),
               "another in its place")
    assert other in pids(w)
    for _ in range(20):
        assert read_exactly(w.connect(), 3) == b"new"
    w.base = None


def test_the_number_of_workers_changes(weir):
    text = listener("127.0.0.1:0") + listener("127.0.0.1:0", name="r",
                                              more="reuse_port = yes\n")
    w = weir(text, keys={"workers": 2})
    eventually(lambda: len(pids(w)) == 2, "both")
    clients = [works(w, w.address(n)) for n in "ar" for _ in range(10)]
    w.keys["workers"] = 3
    reload(w, text)
    eventually(lambda: len(pids(w)) == 3, "a third one")
    clients += [works(w, w.address(n)) for n in "ar" for _ in range(10)]
    w.keys["workers"] = 2
    reload(w, text)
    assert len(pids(w)) == 2
    for c in clients:
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
    for n in "ar" * 10:
        works(w, w.address(n))
    w.keys["workers"] = 1
    reload(w, text)
    assert len(pids(w)) == 1
    for n in "ar" * 5:
        works(w, w.address(n))
    w.keys["workers"] = 2
    reload(w, text)
    eventually(lambda: len(pids(w)) == 2, "two again")


def test_one_process_stays_one(weir):
    w = weir(listener("127.0.0.1:0"))
    w.keys["workers"] = 2
    reload(w, listener("127.0.0.1:0"))
    reload(w)
    assert len(w.log_find("needs a restart.*key=workers")) == 2
    works(w, w.address())
