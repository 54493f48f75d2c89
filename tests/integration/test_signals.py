"""Signals and the end: what is let finish, what is cut off, what is left."""

import os
import signal
import socket
import subprocess

import pytest

from weirtest import (DEADLINE, PROGRAM, Backend, Reader, answer_at_end, built,
                      ended, environment, eventually, fill, is_reset, is_root,
                      pattern, read_all, read_exactly, reset, split_address)

ECHO = "[listener s]\nlisten = 127.0.0.1:0\nmode = echo\naccess_log = on\n"


def forward(address, more=""):
    return ("[listener s]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = {address}\naccess_log = on\n{more}")


@pytest.mark.valgrind
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGQUIT])
def test_ends_with_status_0_when_nothing_is_open(weir, signum):
    w = weir(ECHO)
    w.send_signal(signum)
    w.wait(0)
    assert not os.path.exists(w.control_path)


@pytest.mark.valgrind
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_graceful_stop_lets_open_connections_end(weir, signum):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    c = w.connect()
    c.sendall(b"before")
    assert read_exactly(c, 6) == b"before"
    w.send_signal(signum)
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    with pytest.raises(OSError):
        w.connect(timeout=1)
    c.sendall(b"still served")
    assert read_exactly(c, 12) == b"still served"
    assert w.alive()
    c.close()
    w.wait(0)
    assert w.access()[0]["end"] == "client"


def test_a_graceful_stop_writes_out_all_that_was_read(weir, backend):
    b = backend(answer_at_end)
    w = weir(forward(b.address), keys={"drain_timeout": "1h"})
    data = pattern(4 << 20)
    c = w.connect()
    reader = Reader(c)
    c.sendall(data)
    b.wait()
    w.send_signal(signal.SIGTERM)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data
    w.wait(0)


@pytest.mark.valgrind
def test_what_is_left_at_drain_timeout_is_destroyed_and_counted(weir):
    w = weir(ECHO, keys={"drain_timeout": "300ms"})
    clients = [w.connect() for _ in range(3)]
    w.wait_figures(connections=3)
    w.send_signal(signal.SIGTERM)
    for c in clients:
        assert ended(c)
    w.wait(0)
    assert {x["end"] for x in w.access(3)} == {"drain"}
    assert w.log_find(r"destroyed.*\b3\b|\b3\b.*destroyed")


def test_a_second_signal_ends_at_once(weir):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    c = w.connect()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    w.send_signal(signal.SIGTERM)
    assert ended(c)
    w.wait(0)


def test_drain_timeout_0_waits_for_ever(weir):
    w = weir(ECHO, keys={"drain_timeout": "0"})
    c = w.connect()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    c.sendall(b"x")
    assert c.recv(1) == b"x"
    c.close()
    w.wait(0)


@pytest.mark.valgrind
def test_sigquit_destroys_at_once(weir):
    w = weir(ECHO, keys={"drain_timeout": "1h"})
    clients = [w.connect() for _ in range(3)]
    w.wait_figures(connections=3)
    w.send_signal(signal.SIGQUIT)
    for c in clients:
        assert ended(c)
    w.wait(0)
    assert {x["end"] for x in w.access(3)} <= {"killed", "drain"}


# What a connection may be doing when SIGTERM comes.
STATES = {
    "idle": lambda w: w.connect(),
    "half-closed": lambda w: half_closed(w),
    "held back": lambda w: fill(w.connect()),
    "held back and ended": lambda w: filled_and_ended(w),
}


def half_closed(w):
    c = w.connect()
    c.shutdown(socket.SHUT_WR)


def filled_and_ended(w):
    c = w.connect()
    fill(c)
    c.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("state", sorted(STATES))
def test_sigterm_while_a_forwarded_connection_is(weir, backend, state):
    b = backend()
    w = weir(forward(b.address), keys={"drain_timeout": "300ms"})
    STATES[state](w)
    b.wait()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    w.wait(0)
    assert w.access()[0]["end"] == "drain"


@pytest.mark.parametrize("more", [
    pytest.param("mode = pipe\npipe = peer\n", id="waiting"),
    pytest.param("mode = pipe\npipe = exec:/bin/sleep 1000\n", id="program"),
    pytest.param("mode = echo\nrate_in = 1/s\n", id="slowed down"),
    pytest.param("mode = echo\nlifetime = 1h\ntimeout = 1h\n", id="timed"),
    pytest.param("mode = pipe\npipe = file:/dev/full\n", id="disk full"),
])
def test_sigterm_while_a_connection_is(weir, more):
    w = weir("[listener s]\nlisten = 127.0.0.1:0\naccess_log = on\n" + more,
             keys={"drain_timeout": "300ms"})
    c = w.connect()
    c.sendall(b"x" * 1000)
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    try:
        read_all(c)
    except ConnectionResetError:
        pass
    w.wait(0)
    assert w.access()[0]["end"] == "drain"


def test_sigterm_while_connecting(weir, blackhole):
    w = weir(forward(blackhole().address, "connect_timeout = 1h\n"),
             keys={"drain_timeout": "300ms"})
    c = w.connect()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    assert ended(c)
    w.wait(0)


def test_sigterm_while_clients_wait_in_the_backlog(weir):
    w = weir(ECHO + "max_connections = 1\non_limit = wait\n",
             keys={"drain_timeout": "300ms"})
    first, second = w.connect(), w.connect()
    w.wait_figures(connections=1)
    w.send_signal(signal.SIGTERM)
    assert ended(first) and ended(second)
    w.wait(0)


def test_sigterm_while_clients_come_and_go(weir):
    w = weir(ECHO, keys={"drain_timeout": "300ms"})
    address = split_address(w.address())[1]
    answered = 0
    for i in range(200):
        try:
            with socket.create_connection(address, DEADLINE) as c:
                c.sendall(b"x")
                if c.recv(1) == b"x":
                    answered += 1
        except OSError:
            break
        if i == 50:
            w.send_signal(signal.SIGTERM)
    w.wait(0)
    assert answered >= 50


def test_sigterm_during_a_bulk_transfer_delivers_all_of_it(weir):
    data = pattern(32 << 20)
    b = Backend(lambda conn: (conn.sendall(data), conn.close()))
    try:
        w = weir(forward(b.address), keys={"drain_timeout": "1h"})
        c = w.connect(timeout=3 * DEADLINE)
        head = read_exactly(c, 1 << 20)
        w.send_signal(signal.SIGTERM)
        assert head + read_all(c) == data
        c.close()
        w.wait(0, deadline=3 * DEADLINE)
    finally:
        b.close()


# ---- SIGUSR1 ----

@pytest.mark.valgrind
def test_sigusr1_opens_log_files_anew(weir, folder):
    log, access = folder / "log", folder / "access"
    w = weir("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n"
             f"access_log = file:{access}\n", keys={"log": f"file:{log}"})
    w.connect().close()
    eventually(lambda: "end=" in access.read_text(), "a line of access log")
    address = w.address()
    for path in (log, access):
        path.rename(f"{path}.1")
    w.send_signal(signal.SIGUSR1)
    eventually(lambda: log.exists() and access.exists(), "new files")
    w.connect(address=address).close()
    eventually(lambda: "end=" in access.read_text(), "a line in the new file")
    assert (folder / "access.1").read_text().count("end=") == 1


def test_sigusr1_logs_the_figures_of_each_listener(weir):
    w = weir(ECHO + ECHO.replace("[listener s]", "[listener t]"))
    c = w.connect("s")
    c.sendall(b"12345")
    assert read_exactly(c, 5) == b"12345"
    w.send_signal(signal.SIGUSR1)
    [line] = w.wait_log(r"listener=s .*accepted=1\b")
    assert "bytes_in=5" in line and "bytes_out=5" in line
    w.wait_log(r"listener=t .*accepted=0\b")
    w.connect("t")


def test_sigusr1_keeps_the_old_file_where_a_new_one_cannot_be_made(
        weir, folder):
    place = folder / "logs"
    place.mkdir()
    w = weir(ECHO, keys={"log": f"file:{place}/log"})
    address = w.address()
    place.rename(folder / "moved")
    w.send_signal(signal.SIGUSR1)
    w.connect(address=address).close()
    eventually(lambda: "end=" in (folder / "moved" / "log").read_text(),
               "the access log in the old file")


@pytest.mark.parametrize("signum", [signal.SIGPIPE])
def test_signals_that_are_ignored(weir, signum):
    w = weir(ECHO)
    w.send_signal(signum)
    c = w.connect()
    c.sendall(b"x")
    assert c.recv(1) == b"x"


def test_standard_error_that_is_closed_is_no_reason_to_end(folder, weir):
    w = weir(ECHO)
    address = split_address(w.address())[1]
    w.stop()
    r, wr = os.pipe()
    p = subprocess.Popen([built(PROGRAM), "-o", "control=off", "-o",
                          f"pid_file={folder}/p", "-l",
                          f"{address[0]}:{address[1]}", "-e", "-o",
                          "access_log=on"], stderr=wr, env=environment())
    os.close(wr)
    eventually((folder / "p").exists, "it to start")
    os.close(r)
    for _ in range(3):
        with socket.create_connection(address, DEADLINE) as c:
            c.sendall(b"x")
            assert c.recv(1) == b"x"
    p.send_signal(signal.SIGTERM)
    assert p.wait(DEADLINE) == 0


def test_a_program_started_with_signals_blocked_still_ends(make):
    w = make(ECHO, setup=lambda: signal.pthread_sigmask(
        signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}))
    w.start()
    w.send_signal(signal.SIGTERM)
    w.wait(0)


def test_a_reset_during_the_drain_ends_a_connection(weir, backend):
    b = backend()
    w = weir(forward(b.address), keys={"drain_timeout": "1h"})
    c = w.connect()
    s = b.wait()
    w.send_signal(signal.SIGTERM)
    eventually(lambda: w.ctl("stats")["state"] == "draining", "it to drain")
    reset(s)
    assert is_reset(c)
    w.wait(0)


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(x) for x in f.read().split()]


FIRST = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]


def may_be_first():
    """Root without privileges, or one in a chroot, may not mount /proc."""
    return is_root() and subprocess.run(
        [*FIRST, "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not may_be_first(), reason="no namespace of processes here")
@pytest.mark.parametrize("workers", [1, 2])
def test_process_1_of_a_container_reaps_and_is_not_replaced(spawn, workers):
    p = spawn([*FIRST, built(PROGRAM), "-w", workers, "-o", "control=off",
               "-l", "127.0.0.1:0", "-P",
               "exec:sh -c '(setsid sleep 0.1 &) ; (sleep 0.1 &) ; exec cat'"],
              env=environment())
    lines = []

    def read_to(text):
        for line in p.stdout:
            lines.append(line.decode())
            if text in lines[-1]:
                return
        raise AssertionError("".join(lines))
    read_to("ready ")
    [first] = children(p.pid)
    listening = next(x for x in lines if "listening" in x)
    address = split_address(listening.rsplit("address=", 1)[1].strip())[1]
    for _ in range(3):
        with socket.create_connection(address, DEADLINE) as c:
            c.sendall(b"x")
            c.shutdown(socket.SHUT_WR)
            assert read_all(c) == b"x"
    eventually(lambda: len(children(first)) == (workers if workers > 1 else 0),
               "nobody but workers to be left")
    os.kill(first, signal.SIGUSR2)
    read_to("upgrade refused")
    with socket.create_connection(address, DEADLINE) as c:
        c.sendall(b"y")
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b"y"
    os.kill(first, signal.SIGTERM)
    read_to("stopped, every connection had ended")
    assert p.wait(DEADLINE) == 0
