"""pipe = TARGET: clients joined with each other, with programs, with files."""

import os
import pathlib
import signal
import socket
import stat
import threading

import pytest

from weirtest import (MEASURABLE, Reader, answer_at_end, ended, eventually,
                      fill, is_reset, pattern, read_all, read_exactly, reset)


def pipe(target, more="", name="p"):
    return (f"[listener {name}]\nlisten = 127.0.0.1:0\nmode = pipe\n"
            f"pipe = {target}\n{more}")


def script(folder, text, name="program"):
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def gone(pid):
    """Ended, or at least a zombie that somebody else will collect."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# ---- peer ----

@pytest.mark.valgrind
def test_two_clients_are_joined(weir):
    w = weir(pipe("peer"))
    a, b = w.connect(), w.connect()
    a.sendall(b"from a")
    b.sendall(b"from b")
    assert read_exactly(b, 6) == b"from a"
    assert read_exactly(a, 6) == b"from b"
    a.shutdown(socket.SHUT_WR)
    assert read_all(b) == b""
    b.sendall(b"late")
    b.shutdown(socket.SHUT_WR)
    assert read_all(a) == b"late"
    w.wait_figures(connections=0, closed=2, bytes_in=16, bytes_out=16)


@pytest.mark.valgrind
def test_the_first_client_waits_unread(weir):
    w = weir(pipe("peer"))
    a = w.connect()
    a.sendall(b"who is there")
    [entry] = eventually(lambda: [x for x in w.connections()
                                  if x["state"] == "waiting"], "it to wait")
    assert entry["bytes_in"] == 0
    b = w.connect()
    assert read_exactly(b, 12) == b"who is there"


def test_clients_are_joined_in_pairs(weir):
    w = weir(pipe("peer"))
    clients = [w.connect() for _ in range(6)]
    # All of them have been taken in their order, two and two.
    w.wait_figures(connections=6)
    for i, c in enumerate(clients):
        c.sendall(bytes([i]))
    for i, c in enumerate(clients):
        assert c.recv(1) == bytes([i ^ 1])


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_one_that_leaves_while_it_waits_is_not_joined(weir, how):
    w = weir(pipe("peer", "timeout = 1h\n"))
    a = w.connect()
    w.wait_figures(connections=1)
    if how == "reset":
        reset(a)
        w.wait_figures(connections=0)
    else:
        # A FIN alone is no leave: it may want to hear what the other says.
        a.sendall(b"last words")
        a.shutdown(socket.SHUT_WR)
    b = w.connect()
    if how == "reset":
        c = w.connect()
        b.sendall(b"b")
        assert c.recv(1) == b"b"
    else:
        assert read_all(b) == b"last words"
        b.sendall(b"heard")
        b.close()
        assert read_all(a) == b"heard"


@pytest.mark.parametrize("who", [0, 1])
def test_a_reset_reaches_the_peer(weir, who):
    w = weir(pipe("peer", "access_log = on\n"))
    clients = [w.connect(), w.connect()]
    clients[0].sendall(b"x")
    assert clients[1].recv(1) == b"x"
    reset(clients[who])
    assert is_reset(clients[1 - who])
    w.wait_figures(connections=0, closed=2)
    assert "reset" in {x["end"] for x in w.access(2)}


def test_timeout_ends_one_that_waits(weir):
    w = weir(pipe("peer", "timeout = 300ms\naccess_log = on\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "timeout"
    assert w.listener()["timeouts"] == 1


@pytest.mark.valgrind
def test_clients_of_two_listeners_are_joined(weir):
    w = weir(pipe("peer:right", name="left") + pipe("peer:left", name="right"))
    lefts = [w.connect("left") for _ in range(2)]
    w.wait_figures("left", connections=2)
    # Two of one side are not joined with each other.
    assert {x["state"] for x in w.connections()} == {"waiting"}
    right = w.connect("right")
    right.sendall(b"hello, left")
    assert read_exactly(lefts[0], 11) == b"hello, left"
    lefts[0].sendall(b"hello, right")
    assert read_exactly(right, 12) == b"hello, right"


def test_peers_exchange_megabytes_both_ways(weir):
    w = weir(pipe("peer"))
    a, b = w.connect(), w.connect()
    readers = [Reader(a), Reader(b)]
    data = [pattern(16 << 20, 1), pattern(16 << 20, 2)]
    # One after the other: each side's reader runs all the time.
    a.sendall(data[0])
    b.sendall(data[1])
    a.shutdown(socket.SHUT_WR)
    b.shutdown(socket.SHUT_WR)
    assert readers[0].result() == data[1]
    assert readers[1].result() == data[0]


# ---- exec ----

@pytest.mark.valgrind
def test_exec_joins_a_program_with_each_client(weir):
    w = weir(pipe("exec:/bin/cat", "access_log = on\n"))
    clients = [w.connect() for _ in range(3)]
    for i, c in enumerate(clients):
        c.sendall(bytes([i]) * 1000)
        c.shutdown(socket.SHUT_WR)
    for i, c in enumerate(clients):
        assert read_all(c) == bytes([i]) * 1000
    w.wait_figures(connections=0, closed=3, bytes_in=3000, bytes_out=3000)


def test_exec_has_arguments_and_no_shell(weir):
    w = weir(pipe("exec:/bin/echo one 'two three' $HOME *"))
    c = w.connect()
    assert read_all(c) == b"one two three $HOME *\n"


def test_exec_passes_a_late_answer(weir, folder):
    p = script(folder, "n=$(wc -c)\necho $n bytes\n")
    w = weir(pipe(f"exec:{p}"))
    c = w.connect()
    c.sendall(pattern(300_000))
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"300000 bytes\n"


def test_exec_megabytes_through_a_program(weir):
    w = weir(pipe("exec:/bin/cat"))
    c = w.connect()
    reader = Reader(c)
    data = pattern(16 << 20)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data


def test_exec_what_a_program_says_before_it_ends_arrives(weir):
    w = weir(pipe("exec:/usr/bin/head -c 2000000 /dev/zero"))
    c = w.connect()
    assert read_all(c) == bytes(2_000_000)
    c.close()
    w.wait_figures(connections=0, bytes_out=2_000_000)


def test_exec_standard_error_goes_to_the_log(weir, folder):
    p = script(folder, "echo to the log >&2\nread line\necho $line\n")
    w = weir(pipe(f"exec:{p}"))
    c = w.connect()
    w.wait_log("to the log")
    c.sendall(b"go\n")
    assert read_all(c) == b"go\n"


@pytest.mark.valgrind
@pytest.mark.parametrize("how", ["reset", "kill", "stop"])
def test_exec_is_killed_with_its_group_when_the_connection_ends(
        weir, folder, how):
    p = script(folder, f"sleep 1000 &\necho $! >{folder}/child.tmp\n"
               f"mv {folder}/child.tmp {folder}/child\necho $$\nwait\n")
    w = weir(pipe(f"exec:{p}"), keys={"drain_timeout": "100ms"})
    c = w.connect()
    program = int(c.makefile("rb").readline())
    child = int((folder / "child").read_text())
    assert not gone(program) and not gone(child)
    if how == "reset":
        reset(c)
    elif how == "kill":
        w.ctl(f"kill {w.connections()[0]['id']}")
    else:
        w.stop()
    eventually(lambda: gone(program) and gone(child), "both to be killed")


def test_exec_does_not_outlive_a_weir_that_is_killed(weir):
    w = weir(pipe("exec:sh -c 'trap \"\" TERM HUP; echo $$; exec sleep 1000'"))
    c = w.connect()
    program = int(c.makefile("rb").readline())
    assert not gone(program)
    w.status = -signal.SIGKILL
    w.send_signal(signal.SIGKILL)
    eventually(lambda: gone(program), "it to be killed")


@pytest.mark.parametrize("workers", [1, 2])
def test_exec_one_that_will_not_end_holds_up_no_stop(weir, workers):
    w = weir(pipe("exec:sh -c 'trap \"\" TERM; echo $$; exec sleep 1000'"),
             keys={"drain_timeout": "100ms", "workers": workers})
    program = int(w.connect().makefile("rb").readline())
    w.send_signal(signal.SIGTERM)
    w.wait()
    assert gone(program)
    assert w.log_find("stopped, .* destroyed=1$")
    assert not w.log_find(" error ")


def test_exec_leaves_no_zombies(weir):
    w = weir(pipe("exec:/bin/true", "access_log = on\n"))
    for _ in range(10):
        assert ended(w.connect())

    def children():
        with open(f"/proc/{w.pid}/task/{w.pid}/children") as f:
            return f.read().split()
    eventually(lambda: not children(), "its programs to be waited for")
    # The clients stay, silent: they are not waited for, and it was not they
    # who ended it, nor a timeout.
    assert {x["end"] for x in w.access(10)} == {"upstream"}
    w.wait_figures(timeouts=0)


def test_exec_gives_a_program_no_descriptor_of_ours(weir, folder):
    p = script(folder, "ls /proc/$$/fd\n")
    w = weir(pipe(f"exec:{p}"))
    names = set(read_all(w.connect()).split())
    # The shell itself holds its script open at 10 or 255.
    assert names <= {b"0", b"1", b"2", b"10", b"255"}


def test_exec_gives_a_program_default_signals(weir):
    w = weir(pipe("exec:/bin/cat /proc/self/status"))
    # Signals 32 and up are the C library's affair.
    masks = {line.split()[0]: int(line.split()[1], 16) & 0x7fffffff
             for line in read_all(w.connect()).decode().splitlines()
             if line.startswith(("SigBlk", "SigIgn", "SigCgt"))}
    assert masks == {"SigBlk:": 0, "SigIgn:": 0, "SigCgt:": 0}


def test_exec_of_a_program_that_is_not_there(weir):
    w = weir(pipe("exec:/no/such/program", "access_log = on\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "connect_failed"
    w.wait_log("/no/such/program")
    assert w.alive()


def test_exec_a_program_that_does_not_read_holds_the_client_back(weir):
    w = weir(pipe("exec:/bin/sleep 1000", "half_close_timeout = 1s\n"))
    c = w.connect()
    before = w.rss()
    sent = fill(c)
    assert sent < 64 << 20
    if MEASURABLE:
        assert w.rss() - before < 4 << 20
    other = w.connect()
    w.wait_figures(connections=2)
    reset(c)
    reset(other)
    w.wait_figures(connections=0)


# ---- file, fifo, stdout, null ----

@pytest.mark.valgrind
def test_file_appends_what_clients_send(weir, folder):
    path = folder / "collected"
    path.write_bytes(b"before\n")
    w = weir(pipe(f"file:{path}"))
    for text in (b"one\n", b"two\n"):
        c = w.connect()
        c.sendall(text)
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b""
    assert path.read_bytes() == b"before\none\ntwo\n"
    w.wait_figures(connections=0, bytes_in=8, bytes_out=0)


def test_file_takes_megabytes(weir, folder):
    path = folder / "collected"
    w = weir(pipe(f"file:{path}"))
    c = w.connect()
    data = pattern(16 << 20)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b""
    assert path.read_bytes() == data


def test_file_that_cannot_be_opened(weir, folder):
    w = weir(pipe(f"file:{folder}/no/such/folder", "access_log = on\n"))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "connect_failed"
    w.wait_log("/no/such/folder")


def test_a_full_disk_holds_the_client_back(weir):
    w = weir(pipe("file:/dev/full", "access_log = on\n")
             + "[listener e]\nlisten = 127.0.0.1:0\nmode = echo\n")
    c = w.connect("p")
    before = w.rss()
    assert fill(c) < 64 << 20
    w.wait_log("(?i)no space left")
    other = w.connect("e")
    other.sendall(b"x")
    assert other.recv(1) == b"x"
    if MEASURABLE:
        assert w.rss() - before < 4 << 20
        ticks = w.cpu_ticks()
        # What is measured is the time that passes.
        threading.Event().wait(0.5)
        assert w.cpu_ticks() - ticks <= 5
    assert len(w.log_find("(?i)no space left")) <= 3
    w.ctl(f"kill {w.ctl('connections p')[0]['id']}")
    assert ended(c)
    w.wait_figures("p", connections=0)


@pytest.mark.valgrind
def test_fifo_passes_to_who_reads_it(weir, folder):
    path = folder / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(fd, True)
    w = weir(pipe(f"fifo:{path}"))
    c = w.connect()
    c.sendall(b"through the fifo")
    with open(fd, "rb", buffering=0) as reader:
        got = b""
        while len(got) < 16:
            got += reader.read(100)
        assert got == b"through the fifo"
        c.close()
        w.wait_figures(connections=0)


def test_a_full_fifo_holds_the_client_back(weir, folder):
    path = folder / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    w = weir(pipe(f"fifo:{path}"))
    c = w.connect()
    before = w.rss()
    sent = fill(c)
    assert sent < 64 << 20
    if MEASURABLE:
        assert w.rss() - before < 4 << 20
    os.set_blocking(fd, True)
    c.shutdown(socket.SHUT_WR)
    with open(fd, "rb") as reader:
        assert len(reader.read(sent)) == sent
    w.wait_figures(connections=0, bytes_in=sent)


def test_a_fifo_whose_reader_leaves_ends_the_connection(weir, folder):
    path = folder / "fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    w = weir(pipe(f"fifo:{path}"))
    c = w.connect()
    fill(c, 1000)
    w.wait_figures(bytes_in=1000)
    os.close(fd)
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        while True:
            c.sendall(b"x" * 1000)
            if not c.recv(1):
                raise BrokenPipeError
    w.wait_figures(connections=0)
    assert w.alive()


def test_fifo_that_is_no_fifo(weir, folder):
    path = pathlib.Path(folder / "plain")
    path.write_bytes(b"")
    w = weir(pipe(f"fifo:{path}", "access_log = on\n"))
    c = w.connect()
    c.sendall(b"x")
    assert ended(c)
    assert not stat.S_ISFIFO(path.stat().st_mode)
    assert path.read_bytes() == b""


@pytest.mark.valgrind
def test_stdout_is_weirs_own(make):
    w = make(None, ["-l", "127.0.0.1:0", "-P", "stdout"]).start()
    for i in range(3):
        c = w.connect("cli1")
        c.sendall(f"line {i}\n".encode())
        c.shutdown(socket.SHUT_WR)
        assert read_all(c) == b""
    w.stop()
    assert w.out.lines == ["line 0", "line 1", "line 2"]


@pytest.mark.valgrind
def test_null_reads_all_and_says_nothing(weir):
    w = weir(pipe("null"))
    c = w.connect()
    c.sendall(pattern(8 << 20))
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b""
    w.wait_figures(connections=0, bytes_in=8 << 20, bytes_out=0, closed=1)


@pytest.mark.parametrize("target", ["null", "stdout", "exec:/bin/cat", "peer"])
def test_a_greeting_comes_first(weir, target):
    w = weir(pipe(target, r"greeting = hello\n" + "\n"))
    c = w.connect()
    assert read_exactly(c, 6) == b"hello\n"


def test_a_signal_to_a_program_does_not_reach_weir(weir, folder):
    p = script(folder, "kill -TERM 0\nsleep 1000\n")
    w = weir(pipe(f"exec:{p}"))
    for _ in range(3):
        assert ended(w.connect())
    assert w.alive()
    w.stop(signal.SIGTERM)


def test_upstream_answers_are_not_mixed_between_pairs(weir, backend):
    b = backend(answer_at_end)
    w = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {b.address}\n")
    clients = [w.connect() for _ in range(50)]
    for i, c in enumerate(clients):
        c.sendall(pattern(1000, i))
        c.shutdown(socket.SHUT_WR)
    for i, c in enumerate(clients):
        assert read_all(c) == pattern(1000, i)
