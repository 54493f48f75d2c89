"""What weir tells systemd, on the socket that NOTIFY_SOCKET names."""

import os
import signal
import socket
import time

import pytest

from weirtest import DEADLINE, eventually

ECHO = "[listener n]\nlisten = 127.0.0.1:0\nmode = echo\n"


class Manager:
    """A service manager's end of the protocol."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(DEADLINE)
        self.env = {"NOTIFY_SOCKET": address.replace("\0", "@")}
        self.seen = []

    def wait(self, wanted):
        """Read until a message has that assignment; returns its line."""
        while True:
            for line in self.seen:
                if line.startswith(wanted):
                    return line
            self.seen += self.socket.recv(4096).decode().splitlines()

    def drain(self):
        self.socket.setblocking(False)
        try:
            while True:
                self.seen += self.socket.recv(4096).decode().splitlines()
        except BlockingIOError:
            self.socket.settimeout(DEADLINE)


@pytest.fixture(params=["path", "abstract"])
def manager(request, folder):
    m = Manager(f"{folder}/notify" if request.param == "path"
                else f"\0{folder.name}")
    yield m
    m.socket.close()


@pytest.mark.valgrind
def test_ready_status_and_stopping(weir, manager):
    w = weir(ECHO, env=manager.env)
    manager.wait("READY=1")
    manager.wait("STATUS=")
    w.send_signal(signal.SIGTERM)
    manager.wait("STOPPING=1")
    w.wait(0)
    manager.drain()
    names = [x for x in manager.seen if x in ("READY=1", "STOPPING=1")]
    assert names == ["READY=1", "STOPPING=1"]


def test_status_has_the_count_of_connections(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir(ECHO, env=m.env)
    m.wait("READY=1")
    clients = [w.connect() for _ in range(3)]
    eventually(lambda: m.drain() or any("3" in x for x in m.seen
                                        if x.startswith("STATUS=")),
               "3 connections in the status")
    m.seen.clear()
    for c in clients:
        c.close()
    eventually(lambda: m.drain() or any("0" in x or "no " in x for x in m.seen
                                        if x.startswith("STATUS=")),
               "none in the status")
    m.socket.close()


def test_ready_comes_only_once_all_is_bound(make, folder):
    m = Manager(f"{folder}/notify")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        w = make(f"[listener n]\nlisten = 127.0.0.1:{s.getsockname()[1]}\n"
                 "mode = echo\nbind_retry = 50ms\n", env=m.env).spawn()
        w.wait_log("(?i)in use")
        m.drain()
        assert "READY=1" not in m.seen
    m.wait("READY=1")
    # The PID file is written at the same moment.
    assert os.path.exists(w.pid_path)
    eventually(w.ready, "it to be ready")
    w.base = w.descriptors()
    m.socket.close()


def test_no_ready_where_binding_fails(make, folder):
    m = Manager(f"{folder}/notify")
    make("[listener n]\nlisten = unix:/no/such/folder/s\nmode = echo\n",
         env=m.env).spawn().wait(1)
    m.drain()
    assert "READY=1" not in m.seen
    m.socket.close()


@pytest.mark.valgrind
def test_watchdog_is_fed_twice_a_period(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir(ECHO, env={**m.env, "WATCHDOG_USEC": "200000"})
    m.wait("READY=1")
    for _ in range(4):
        m.seen.clear()
        m.wait("WATCHDOG=1")
    w.stop()
    m.socket.close()


def test_watchdog_of_another_process_is_not_ours(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir(ECHO, env={**m.env, "WATCHDOG_USEC": "20000",
                        "WATCHDOG_PID": "1"})
    m.wait("READY=1")
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        w.ctl("ping")
    m.drain()
    assert "WATCHDOG=1" not in m.seen
    m.socket.close()


def test_the_watchdog_is_fed_while_it_drains(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir(ECHO, env={**m.env, "WATCHDOG_USEC": "200000"},
             keys={"drain_timeout": "1h"})
    c = w.connect()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    m.wait("STOPPING=1")
    for _ in range(3):
        m.seen.clear()
        m.wait("WATCHDOG=1")
    c.close()
    w.wait(0)
    m.socket.close()


@pytest.mark.parametrize("value", ["/no/such/socket", "", "relative", "@"])
def test_a_manager_that_is_not_there_stops_nothing(weir, value):
    w = weir(ECHO, env={"NOTIFY_SOCKET": value, "WATCHDOG_USEC": "50000"})
    assert w.ctl("ping") == "pong"


def test_a_manager_that_never_reads_stops_nothing(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir(ECHO, env={**m.env, "WATCHDOG_USEC": "2000"})
    for _ in range(300):
        c = w.connect()
        c.sendall(b"x")
        assert c.recv(1) == b"x"
        c.close()
    assert w.ctl("ping") == "pong"
    m.socket.close()


def test_programs_are_not_told_of_the_manager(weir, folder):
    m = Manager(f"{folder}/notify")
    w = weir("[listener n]\nlisten = 127.0.0.1:0\nmode = pipe\n"
             "pipe = exec:/usr/bin/env\n",
             env={**m.env, "WATCHDOG_USEC": "9000000"})
    c = w.connect()
    seen = b""
    while data := c.recv(65536):
        seen += data
    for name in (b"NOTIFY_SOCKET=", b"WATCHDOG_USEC=", b"LISTEN_FDS="):
        assert name not in seen
    m.socket.close()
