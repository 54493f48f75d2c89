"""SIGUSR2: a new program file takes over from the one that serves."""

import ctypes
import os
import random
import shutil
import signal
import socket
import threading
import time

import pytest

from weirtest import (DEADLINE, PROGRAM, SCALE, answer_at_end, built, echo,
                      eventually, pattern, read_all, read_exactly)

PR_SET_CHILD_SUBREAPER = 36
LONG = int(os.environ.get("WEIR_UPGRADES", "0"))


@pytest.fixture(autouse=True)
def reaper():
    """What an old program leaves becomes our child, to be waited for."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


class Adopted:
    """A process that became our child, as subprocess would have it."""

    def __init__(self, pid):
        self.pid = pid
        self.returncode = None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                return None  # the old program has not ended yet
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=None):
        eventually(lambda: self.poll() is not None, f"{self.pid} to end",
                   timeout)
        return self.returncode

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


def pid_of(w):
    with open(w.pid_path) as f:
        text = f.read().strip()
    return int(text) if text else None


def upgrade(w, wait=True):
    """Upgrade; w is the new program after it. Returns the old process."""
    old = w.process
    w.send_signal(signal.SIGUSR2)
    new = eventually(lambda: pid_of(w) not in (None, old.pid) and pid_of(w),
                     "another process in the pid file\n"
                     + "\n".join(w.log_lines()[-20:]))
    w.process = Adopted(new)
    if wait:
        assert old.wait(DEADLINE) == 0
    return old


def forward(address, more=""):
    return ("[listener s]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = {address}\naccess_log = on\n{more}")


@pytest.fixture
def up(make, folder):
    """up(config, ...): a weir of a program file of its own, which logs into a
    file."""
    program = folder / "program" / "weir"
    program.parent.mkdir()
    shutil.copy(built(PROGRAM), program)
    made = []

    def new(config, keys=None, env=None, **kw):
        log = folder / f"log{len(made)}"
        w = make(config, keys={"log": f"file:{log}", **(keys or {})},
                 env=env, program=program, wrap=False, **kw)
        w.program = program
        made.append(w)
        w.start()
        if (keys or {}).get("workers", 1) > 1:
            w.base = None  # workers are still being forked
        return w
    return new


# ---- what goes on ----

@pytest.mark.parametrize("workers", [1, 2])
def test_connections_go_on_in_the_new_program(up, backend, folder, workers):
    b = backend(echo)
    path = folder / "u.sock"
    w = up(forward(b.address) + f"[listener u]\nlisten = {path}\n"
           "mode = echo\n", keys={"workers": workers})
    first = w.pid
    tcp, unix = w.connect("s"), w.connect("u")
    for c in (tcp, unix):
        c.sendall(b"before")
        assert read_exactly(c, 6) == b"before"
    was = {x["id"]: x for x in w.connections()}
    upgrade(w)
    assert w.pid != first
    for c in (tcp, unix):
        c.sendall(b"after it")
        assert read_exactly(c, 8) == b"after it"
    now = {x["id"]: x for x in w.connections()}
    assert now.keys() == was.keys()
    for i, x in now.items():
        assert x["listener"] == was[i]["listener"]
        assert x["client"] == was[i]["client"]
        assert x["server"] == was[i]["server"]
        assert x["bytes_in"] == x["bytes_out"] == 14
        assert x["age_s"] >= was[i]["age_s"]
    for name in ("s", "u"):
        figures = w.listener(name)
        assert figures["accepted"] == figures["connections"] == 1
        assert figures["closed"] == figures["errors"] == 0
        assert figures["bytes_in"] == figures["bytes_out"] == 14
    assert w.ctl("count") == 2
    third = w.connect("s")
    assert max(x["id"] for x in w.connections()) > max(was)
    for c in (tcp, unix, third):
        c.close()
    w.wait_figures("s", connections=0, closed=2)
    assert [x["bytes_in"] for x in w.access(2) if x["bytes_in"] != "0"] == \
        ["14"]


@pytest.mark.parametrize("workers", [1, 2])
def test_held_bytes_and_half_closed_sides_go_along(up, backend, workers):
    b = backend(answer_at_end)
    w = up(forward(b.address), keys={"workers": workers})
    data = pattern(3 << 20)
    slow, half = w.connect(), w.connect()
    half.sendall(b"the question")
    half.shutdown(socket.SHUT_WR)
    assert read_all(half) == b"the question"
    sender = threading.Thread(target=lambda: (slow.sendall(data),
                                              slow.shutdown(socket.SHUT_WR)))
    sender.start()
    upgrade(w)
    assert read_all(slow) == data
    sender.join()
    w.wait_figures(connections=0)
    assert w.listener()["errors"] == 0


class Talker(threading.Thread):
    """Talks to an echo by way of weir, and checks each byte of the answers."""

    def __init__(self, w, seed, over, new=False):
        super().__init__()
        self.w = w
        self.random = random.Random(seed)
        self.data = pattern(1 << 20, seed % 250 + 1)
        self.over = over
        self.new = new
        self.talks = 0
        self.error = None
        self.start()

    def talk(self, c):
        at = self.random.randrange(len(self.data) // 2)
        count = self.random.choice((1, 100, 4096, 60000, 400000))
        piece = self.data[at:at + count]
        t = threading.Thread(target=c.sendall, args=(piece,))
        t.start()
        got = read_exactly(c, len(piece))
        t.join()
        assert got == piece, "other bytes came back"
        self.talks += 1

    def run(self):
        try:
            c = self.w.connect()
            while not self.over.is_set():
                self.talk(c)
                if self.new:
                    c.close()
                    c = self.w.connect()
            c.shutdown(socket.SHUT_WR)
            assert read_all(c) == b""
            c.close()
        except Exception as e:
            self.error = e


@pytest.mark.parametrize("workers", [1, 3])
def test_nothing_is_lost_or_refused_under_load(up, backend, workers):
    b = backend(echo)
    w = up(forward(b.address), keys={"workers": workers})
    over = threading.Event()
    talkers = [Talker(w, n, over, new=n % 3 == 0) for n in range(9)]
    for _ in range(LONG or 3):
        was = [t.talks for t in talkers]
        eventually(lambda: all(t.error or t.talks > n + 2
                               for t, n in zip(talkers, was)), "talk")
        upgrade(w, wait=False)
    over.set()
    for t in talkers:
        t.join()
    assert [t.error for t in talkers if t.error] == []
    w.wait_figures(connections=0)
    figures = w.listener()
    assert figures["accepted"] == figures["closed"]
    assert figures["errors"] == figures["rejected"] == 0


def test_what_cannot_move_stays_and_drains(up, folder):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = pipe\n"
           "pipe = exec:cat\n", keys={"drain_timeout": "1h"})
    c = w.connect()
    c.sendall(b"before")
    assert read_exactly(c, 6) == b"before"
    old = upgrade(w, wait=False)
    c.sendall(b"after")
    assert read_exactly(c, 5) == b"after"
    assert old.poll() is None
    w.wait_log("upgraded, the new program serves .*moved=0 stayed=1")
    assert w.listener()["connections"] == 1
    c.close()
    assert old.wait(DEADLINE) == 0
    w.wait_figures(connections=0, accepted=1, closed=1)


def test_the_configuration_is_read_again(up, backend, folder):
    b = backend(echo)
    w = up(forward(b.address) + "[listener gone]\nlisten = 127.0.0.1:0\n"
           "mode = echo\n", keys={"drain_timeout": "1h"})
    port, gone = w.port("s"), w.connect("gone")
    kept = w.connect("s")
    for c in (kept, gone):
        c.sendall(b"x")
        assert read_exactly(c, 1) == b"x"
    with open(w.config_path) as f:
        text = f.read()
    text = text[:text.index("[listener gone]")]
    w.write_config(text + "timeout = 1h\n[listener new]\n"
                   "listen = 127.0.0.1:0\nmode = echo\n")
    old = upgrade(w, wait=False)
    assert w.addresses("s")[-1] == f"127.0.0.1:{port}"
    for c in (kept, gone, w.connect("new")):
        c.sendall(b"y")
        assert read_exactly(c, 1) == b"y"
    assert {x["name"] for x in w.ctl("listeners")} == {"s", "new"}
    gone.close()
    assert old.wait(DEADLINE) == 0


def test_a_configuration_from_standard_input_is_handed_over(up, folder):
    source = folder / "typed.conf"
    source.write_text(
        f"[weir]\ncontrol = {folder}/weir0/control.sock\n"
        f"pid_file = {folder}/weir0/pid\nlog = file:{folder}/log0\n"
        "[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n")
    with open(source) as f:
        w = up(None, args=["-c", "-"], stdin=f)
    w.names = ["s"]
    source.unlink()
    c = w.connect("s")
    upgrade(w)
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    assert w.listener("s")["mode"] == "echo"


def test_a_closed_listener_stays_closed(up):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n"
           "[listener t]\nlisten = 127.0.0.1:0\nmode = echo\n")
    w.ctl("close s")
    upgrade(w)
    eventually(lambda: w.listener("s")["state"] == "closed", "closed")
    w.connect("t").close()
    with pytest.raises(OSError):
        w.connect("s")


def test_a_log_level_that_was_set_stays(up):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n")

    def level():
        return [(r["value"], r["from"]) for r in w.ctl("config")
                if r["key"] == "log_level"][0]
    w.ctl("set log_level debug")
    upgrade(w)
    assert level() == ("debug", "runtime")
    with open(w.config_path) as f:
        text = f.read()
    w.write_config(text.replace("[weir]\n", "[weir]\nlog_level = warn\n"))
    upgrade(w)
    assert level()[0] == "warn"


def test_files_are_the_new_programs(up, folder):
    path = folder / "u.sock"
    w = up(f"[listener s]\nlisten = {path}\nmode = echo\n")
    inode = os.stat(path).st_ino
    for _ in range(2):
        upgrade(w)
        assert os.stat(path).st_ino == inode
        assert os.stat(w.control_path)
    w.stop()
    for left in (path, w.control_path, w.pid_path):
        assert not os.path.exists(left)


# ---- when it fails ----

def script(w, text, mode=0o755):
    new = w.program.parent / "new"
    new.write_text(text)
    new.chmod(mode)
    os.rename(new, w.program)


@pytest.mark.parametrize("kind", ["exits", "hangs", "no program", "missing"])
def test_a_program_that_fails_leaves_the_old_one_serving(up, backend, kind):
    b = backend(echo)
    w = up(forward(b.address),
           env={"WEIR_UPGRADE_TIMEOUT": str(int(300 * SCALE))})
    c = w.connect()
    good = w.program.parent / "good"
    os.rename(w.program, good)
    why = {"exits": "exit status 3", "hangs": "not ready in time",
           "no program": "Permission denied",
           "missing": "No such file or directory"}[kind]
    if kind == "exits":
        script(w, "#!/bin/sh\nexit 3\n")
    elif kind == "hangs":
        script(w, "#!/bin/sh\nexec sleep 600\n")
    elif kind == "no program":
        script(w, "#!/bin/sh\n", 0o644)
    w.send_signal(signal.SIGUSR2)
    w.wait_log(f"upgrade failed, going on as before .*{why}")
    assert pid_of(w) == w.pid
    c.sendall(b"x")
    assert read_exactly(c, 1) == b"x"
    w.connect().close()
    # It can be tried again.
    os.rename(good, w.program)
    upgrade(w)
    c.sendall(b"y")
    assert read_exactly(c, 1) == b"y"


def test_a_mistake_in_the_configuration_leaves_the_old_one_serving(
        up, folder):
    w = up("[listener u]\nlisten = {folder}/u.sock\nmode = echo\n"
           "[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n".format(
               folder=folder))
    with open(w.config_path) as f:
        good = f.read()
    w.write_config(good + "nonsense = 1\n")
    w.send_signal(signal.SIGUSR2)
    w.wait_log("upgrade failed, going on as before .*unknown key.*nonsense")
    w.write_config(good.replace("log = file:", "log = file:/dev/null"))
    w.send_signal(signal.SIGUSR2)
    w.wait_log("upgrade failed, going on as before .*cannot open its log")
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    w.write_config(good + f"listen = 127.0.0.1:{taken.getsockname()[1]}\n")
    w.send_signal(signal.SIGUSR2)
    w.wait_log("upgrade failed, going on as before .*it cannot serve")
    assert w.log_find("cannot listen .*Address already in use")
    taken.close()
    for name in ("s", "u"):
        w.connect(name).close()
    assert w.ctl("ping")
    assert pid_of(w) == w.pid


def goes_on(c):
    """Whether a connection is served still, or was ended; nothing else."""
    c.settimeout(DEADLINE)
    try:
        c.sendall(b"y")
        got = c.recv(1)
    except ConnectionError:
        return False
    assert got in (b"y", b"")
    return got == b"y"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_killed_new_program_did_not_have_goes_on(up, backend, workers):
    """Killed at any moment: the old one serves on, with each connection that
    was not handed over. The others end with the one process that had them;
    workers end them when they have drained."""
    b = backend(echo)
    for after in (0.0, 0.002, 0.004, 0.006, 0.010):
        w = up(forward(b.address),
               keys={"workers": workers, "drain_timeout": "1h"})
        clients = [w.connect() for _ in range(40)]
        for c in clients:
            c.sendall(b"x")
            assert read_exactly(c, 1) == b"x"
        w.send_signal(signal.SIGUSR2)
        line = w.wait_log("upgrade, starting the program anew")[-1]
        new = int(line.rpartition("pid=")[2])
        time.sleep(after * SCALE)
        os.kill(new, signal.SIGKILL)
        eventually(lambda: w.log_find("upgrade failed")
                   or w.process.poll() is not None, "what came of it")
        on = [c for c in clients if goes_on(c)]
        if w.log_find("upgrade failed"):
            w.connect().close()
            if workers == 1:
                eventually(lambda: w.ctl("count") == len(on), "its count")
            else:
                assert len(on) == len(clients)
        elif workers > 1:
            assert len(on) == len(clients)
        for c in clients:
            c.close()
        if w.process.poll() is None:
            w.stop()
        else:
            w.status = w.process.returncode


def test_a_second_signal_is_refused(up):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n",
           env={"WEIR_UPGRADE_TIMEOUT": str(int(300 * SCALE))})
    script(w, "#!/bin/sh\nexec sleep 600\n")
    w.send_signal(signal.SIGUSR2)
    w.wait_log("starting the program anew")
    w.send_signal(signal.SIGUSR2)
    w.wait_log("SIGUSR2: an upgrade is under way")
    w.wait_log("upgrade failed")
    w.connect().close()


def test_a_reload_meanwhile_is_refused(up):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n",
           env={"WEIR_UPGRADE_TIMEOUT": str(int(300 * SCALE))})
    script(w, "#!/bin/sh\nexec sleep 600\n")
    w.send_signal(signal.SIGUSR2)
    w.wait_log("starting the program anew")
    w.send_signal(signal.SIGHUP)
    w.wait_log("an upgrade is under way: the new program reads")
    w.wait_log("upgrade failed")
    with w.connect() as c:
        c.sendall(b"still here")
        assert read_exactly(c, 10) == b"still here"


def test_an_upgrade_during_a_reload_is_refused(up):
    w = up("[listener s]\nlisten = 127.0.0.1:0\nmode = echo\n",
           keys={"workers": 2})
    stopped = eventually(lambda: [x["pid"] for x in w.ctl("workers")],
                         "the workers")[0]
    os.kill(stopped, signal.SIGSTOP)  # so that the reload takes a while
    w.send_signal(signal.SIGHUP)
    w.send_signal(signal.SIGUSR2)
    w.wait_log("SIGUSR2: a reload is under way")
    w.wait_log("info reloaded")
    assert not w.log_find("starting the program anew")
    with w.connect() as c:
        c.sendall(b"still here")
        assert read_exactly(c, 10) == b"still here"
