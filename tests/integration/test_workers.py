"""Several processes that serve: what they share, and what is left when one of
them dies, is stopped, or has no descriptor left."""

import collections
import contextlib
import os
import re
import resource
import select
import signal
import socket
import stat
import threading
import time

import pytest

from weirtest import (DEADLINE, MEASURABLE, SCALE, ended, eventually,
                      is_root, public_copy, read_exactly)

ECHO = "[listener l]\nlisten = 127.0.0.1:0\nmode = echo\n"
TWO = {"workers": "2"}


@pytest.fixture
def weir(make):
    """weir(config, ...): started, and its workers serve. What the master has
    open then is what it must have at the end."""
    def start(*args, **kw):
        w = make(*args, **kw).start()
        wanted = w.keys["workers"]
        wait_workers(w, int(wanted) if wanted != "auto" else
                     len(os.sched_getaffinity(0)))
        w.base = w.descriptors()
        return w
    return start


def workers(w):
    """Those that serve: {pid: row}."""
    return {x["pid"]: x for x in w.ctl("workers")
            if x["state"] != "draining"}


def wait_workers(w, count=2, but=()):
    """So many serve, and none of these is among them."""
    def there():
        now = workers(w)
        return now if len(now) == count and not set(now) & set(but) else None
    return eventually(there, f"{count} workers without {but}:\n{w.tail()}")


def served(c):
    c.sendall(b"?")
    return c.recv(1) == b"?"


def holder(w, c):
    """The worker that has this connection: whose count goes down by it."""
    inode = None
    port = c.getsockname()[1]
    peer = c.getpeername()[1]
    for line in open("/proc/net/tcp").read().splitlines()[1:]:
        f = line.split()
        if (int(f[1].split(":")[1], 16), int(f[2].split(":")[1], 16)) == (
                peer, port):
            inode = f[9]
    for pid in workers(w):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]":
                    return pid
            except FileNotFoundError:
                pass
    raise AssertionError("no worker has it")


def clients_of_each(w, each=1, name=None):
    """At least so many clients in each worker: {pid: [clients]}."""
    found = collections.defaultdict(list)
    pids = set(workers(w))

    def more():
        c = w.connect(name)
        assert served(c)
        found[holder(w, c)].append(c)
        return all(len(found[p]) >= each for p in pids)
    # Who is woken first may be the same one many times in a row.
    eventually(more, "clients in each worker", 3 * DEADLINE)
    return found


def gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


# ---- one for all ----

@pytest.mark.valgrind
def test_workers_serve_and_are_told(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    rows = workers(w)
    assert set(rows) == set(found) and w.pid not in rows
    for pid, clients in found.items():
        assert rows[pid]["connections"] == len(clients)
        assert rows[pid]["restarts"] == 0
    count = sum(len(c) for c in found.values())
    assert w.ctl("count") == w.ctl("count l") == count
    f = w.listener()
    assert f["connections"] == f["accepted"] == count
    assert f["bytes_in"] == f["bytes_out"] == count
    assert f["state"] == "open"
    assert w.ctl("stats")["pid"] == w.pid
    ids = [x["id"] for x in w.connections()]
    assert len(set(ids)) == count


def test_auto_is_one_for_each_core(weir):
    w = weir(ECHO, keys={"workers": "auto"})
    cores = len(os.sched_getaffinity(0))
    assert len(w.ctl("workers")) == cores


@pytest.mark.parametrize("count", [500, pytest.param(2000, marks=pytest.mark.
                         skipif(not os.environ.get("WEIR_LONG"),
                                reason="WEIR_LONG is not set"))])
def test_the_load_is_shared(weir, count):
    w = weir(ECHO, keys=TWO)
    for _ in range(count):
        w.connect()
    w.wait_figures(connections=count)
    most = max(x["connections"] for x in workers(w).values())
    assert most <= count * 2 / 3, workers(w)


def test_connections_of_all_are_listed_and_killed(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w, 2)
    rows = {x["client"]: x["id"] for x in w.connections()}
    for clients in found.values():
        c = clients.pop()
        host, port = c.getsockname()
        assert w.ctl(f"kill {rows[f'{host}:{port}']}") == "killed"
        assert ended(c)
    for clients in found.values():
        assert all(served(c) for c in clients)
    assert "no connection" in w.ctl_error("kill 123456789")


def test_a_listener_is_closed_and_opened_in_all(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    assert w.ctl("close l") == "closed"
    for _ in range(4):
        with pytest.raises(ConnectionRefusedError):
            w.connect()
    assert w.listener()["state"] == "closed"
    assert all(served(c) for cs in found.values() for c in cs)
    assert w.ctl("open l") == "opened"
    assert w.listener()["state"] == "open"

    def both():
        return set(clients_of_each(w)) == set(found)
    eventually(both, "both to accept again")


def test_the_log_level_and_a_new_log_reach_all(weir, folder):
    path = folder / "access.log"
    w = weir(ECHO + f"access_log = file:{path}\n", keys=TWO)
    found = clients_of_each(w)
    path.rename(folder / "old.log")
    w.send_signal(signal.SIGUSR1)
    eventually(path.exists, "a new file")
    w.wait_log("figures listener=l")
    n = 0

    def all_in_new():
        # An order may be behind a connection that is closed at once.
        for clients in clients_of_each(w).values():
            for c in clients:
                c.close()
        return len(path.read_text().splitlines()) > 3
    eventually(all_in_new, "lines in the new file")
    for clients in found.values():
        for c in clients:
            c.close()
            n += 1
    w.wait_figures(connections=0)
    lines = (path.read_text() + (folder / "old.log").read_text()).splitlines()
    assert len(lines) == w.listener()["accepted"]


def test_lines_of_all_are_whole(weir, folder):
    path = folder / "access.log"
    w = weir(ECHO + f"access_log = file:{path}\n", keys=TWO)

    def some():
        for _ in range(100):
            with w.connect() as c:
                c.sendall(b"x")
                c.recv(1)
    threads = [threading.Thread(target=some) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    w.wait_figures(connections=0, accepted=400)
    lines = path.read_text().splitlines()
    assert len(lines) == 400
    row = re.compile(r"\S+ info connection id=\d+ listener=l client=127\.0\.0\."
                     r"1:\d+ .*end=\w+\S* ?.*$")
    assert all(row.match(x) for x in lines), lines[:3]
    assert len({re.search(r" id=(\d+)", x)[1] for x in lines}) == 400


# ---- limits of all together ----

@pytest.mark.valgrind
def test_max_connections_is_of_all_under_a_burst(weir):
    w = weir(ECHO + "max_connections = 20\n", keys=TWO)
    for _ in range(200):
        w.connect()
    f = eventually(lambda: (lambda f: f if f["accepted"] + f["rejected"] == 200
                            else None)(w.listener()), "all to be decided")
    assert f["accepted"] == f["connections"] == f["connections_peak"] == 20


def test_all_listeners_together_have_a_limit(weir):
    w = weir(ECHO + ECHO.replace("listener l", "listener m"),
             keys={**TWO, "max_connections": "10"})
    for i in range(60):
        w.connect("l" if i % 2 else "m")

    def decided():
        rows = w.ctl("listeners")
        return sum(r["accepted"] + r["rejected"] for r in rows) == 60
    eventually(decided, "all to be decided")
    assert w.ctl("count") == 10


def test_on_limit_wait_never_strands(weir):
    w = weir(ECHO + "max_connections = 3\non_limit = wait\n", keys=TWO)
    waiting = {w.connect() for _ in range(40)}
    for c in waiting:
        c.sendall(b"x")
    most = 0
    # Whoever is served leaves, and another one comes in, in any worker.
    while waiting:
        most = max(most, w.listener()["connections"])
        ready = select.select(waiting, [], [], DEADLINE)[0]
        assert ready
        for c in ready:
            assert c.recv(1) == b"x"
            c.close()
        waiting -= set(ready)
    f = w.wait_figures(connections=0, accepted=40, rejected=0)
    assert most <= 3 and f["connections_peak"] <= 3


def test_max_per_source_is_of_all(weir):
    w = weir(ECHO + "max_per_source = 4\n", keys=TWO)
    for source in ("127.0.0.1", "127.0.0.2"):
        for _ in range(20):
            w.connect(source=source)
    f = eventually(lambda: (lambda f: f if f["accepted"] + f["rejected"] == 40
                            else None)(w.listener()), "all to be decided")
    assert f["connections"] == f["accepted"] == 8


def test_a_killed_worker_gives_back_its_places(weir):
    w = weir(ECHO + "max_per_source = 6\nmax_connections = 6\n", keys=TWO)
    found = collections.defaultdict(list)
    for _ in range(6):
        c = w.connect()
        assert served(c)
        found[holder(w, c)].append(c)
    assert ended(w.connect())
    pid, lost = max(found.items(), key=lambda x: len(x[1]))
    os.kill(pid, signal.SIGKILL)
    wait_workers(w, but=[pid])
    w.wait_figures(connections=6 - len(lost))
    for _ in lost:
        assert served(w.connect())
    assert ended(w.connect())


def test_max_rate_is_of_all(weir):
    w = weir(ECHO + "max_rate = 20\n", keys=TWO)
    begin = time.monotonic()
    for _ in range(24):
        c = w.connect()
        assert served(c)
        c.close()
    # Two may be ahead of their time, and one in each worker more.
    assert time.monotonic() - begin > (24 - 2 - 2) / 20 * 0.8


# ---- death ----

def keep_talking(c, stop, result):
    """Send and check bytes until told to stop; the number of rounds."""
    n = 0
    data = os.urandom(20000)
    try:
        while not stop.is_set():
            c.sendall(data)
            if read_exactly(c, len(data)) != data:
                result.append("other bytes")
                return
            n += 1
        result.append(n)
    except OSError as e:
        result.append(repr(e))


@pytest.mark.valgrind
def test_a_killed_worker_takes_only_its_own_connections(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w, 2)
    victim = next(iter(found))
    before = w.listener()
    stop, results, threads = threading.Event(), [], []
    for pid, clients in found.items():
        for c in clients if pid != victim else ():
            results.append([])
            threads.append(threading.Thread(
                target=keep_talking, args=(c, stop, results[-1])))
            threads[-1].start()
    os.kill(victim, signal.SIGKILL)
    for c in found[victim]:
        assert ended(c)
    rows = wait_workers(w, but=[victim])
    lost = len(found[victim])
    f = w.wait_figures(connections=before["connections"] - lost,
                       closed=lost, errors=lost)
    assert f["accepted"] == before["accepted"]
    assert f["bytes_in"] >= before["bytes_in"]
    assert sorted(r["restarts"] for r in rows.values()) == [0, 1]
    stop.set()
    for t in threads:
        t.join()
    assert all(r and isinstance(r[0], int) and r[0] > 0 for r in results)
    assert served(w.connect())
    [line] = w.wait_log("a worker was killed")
    assert f"worker={victim}" in line and "signal=9" in line
    assert f"connections={lost}" in line
    # What was lost then was not destroyed by the end.
    for c in w.sockets:
        c.close()
    w.wait_figures(connections=0)
    w.stop()
    assert w.log_find("stopped, every connection had ended")


def test_one_that_dies_again_and_again_is_replaced_more_slowly(weir):
    w = weir(ECHO, keys=TWO)
    seen = set(workers(w))
    for _ in range(3):
        pid = next(iter(workers(w)))
        os.kill(pid, signal.SIGKILL)
        wait_workers(w, but=[pid])
        seen |= set(workers(w))
        assert served(w.connect())
    pauses = [int(re.search(r"pause_ms=(\d+)", x)[1])
              for x in w.log_find("a worker was killed")]
    assert pauses and all(p in (0, 100, 200, 400) for p in pauses), pauses


def test_one_that_comes_due_while_others_are_forked_is_too(weir):
    w = weir(ECHO, keys={"workers": "16"})
    # The second death of each has a pause before it is replaced, so that all
    # who died at once come due at once, and the first place a little later,
    # while the others are forked.
    for _ in range(3):
        dead = list(workers(w))
        first = eventually(lambda: [p for p in dead if w.log_find(
            f"a worker serves worker={p} place=0$")], "who has place 0")
        last = first[0]
        os.kill(w.pid, signal.SIGSTOP)
        for pid in dead:
            if pid != last:
                os.kill(pid, signal.SIGKILL)
        eventually(lambda: all(gone(p) for p in dead if p != last), "the dead")
        os.kill(w.pid, signal.SIGCONT)
        time.sleep(0.001)  # another one does no harm, but shows nothing
        os.kill(last, signal.SIGKILL)
        wait_workers(w, 16, but=dead)


@pytest.mark.valgrind
def test_workers_end_without_their_master(weir, make):
    w = weir(ECHO, keys={**TWO, "drain_timeout": "1s"})
    found = clients_of_each(w)
    pids = list(workers(w))
    w.process.kill()
    w.process.wait()
    w.status = -9
    # Who is connected may go on; nobody else comes in.
    assert all(served(c) for cs in found.values() for c in cs)

    def refused():
        try:
            w.connect().close()
            return False
        except ConnectionRefusedError:
            return True
    eventually(refused, "the port to be closed")
    for cs in found.values():
        for c in cs:
            c.close()
    for pid in pids:
        eventually(lambda: gone(pid), f"{pid} to end")


def test_one_that_is_asked_to_end_drains_and_is_replaced(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    victim = next(iter(found))
    os.kill(victim, signal.SIGTERM)
    wait_workers(w, but=[victim])
    # Its connections go on.
    assert all(served(c) for c in found[victim])
    assert victim in [x["pid"] for x in w.ctl("workers")]
    before = w.listener()
    for c in found[victim]:
        c.close()
    eventually(lambda: gone(victim), "it to end")
    w.wait_figures(connections=before["connections"] - len(found[victim]),
                   errors=0)
    assert not w.log_find("its connections are lost")


def test_one_that_is_stopped_holds_up_nothing(weir):
    w = weir(ECHO, keys={**TWO, "drain_timeout": "500ms"})
    found = clients_of_each(w)
    victim, other = list(found)
    os.kill(victim, signal.SIGSTOP)
    try:
        for _ in range(8):
            assert served(w.connect())
        assert all(served(c) for c in found[other])
        begin = time.monotonic()
        rows = w.connections()
        assert len(rows) >= len(found[other])
        assert w.ctl("count") >= len(rows)
        assert time.monotonic() - begin < 20 * SCALE
        w.send_signal(signal.SIGTERM)
        for s in w.sockets:
            s.close()
        w.wait()
        assert gone(victim)
        assert w.log_find("a worker is killed")
    finally:
        if not gone(victim):
            os.kill(victim, signal.SIGCONT)


def test_one_that_goes_on_answers_again(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    victim = next(iter(found))
    os.kill(victim, signal.SIGSTOP)
    w.connections()
    os.kill(victim, signal.SIGCONT)
    eventually(lambda: len(w.connections()) == w.ctl("count"),
               "all to be listed")
    assert all(served(c) for c in found[victim])


def test_one_without_descriptors_leaves_the_clients_to_others(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    victim = next(iter(found))
    used = len(os.listdir(f"/proc/{victim}/fd"))
    before = resource.prlimit(victim, resource.RLIMIT_NOFILE)
    resource.prlimit(victim, resource.RLIMIT_NOFILE, (used, before[1]))
    for _ in range(30):
        assert served(w.connect())
    rows = workers(w)
    assert rows[victim]["connections"] <= len(found[victim]) + 1
    assert len(w.connections()) == w.ctl("count")
    resource.prlimit(victim, resource.RLIMIT_NOFILE, before)
    eventually(lambda: (served(w.connect()), workers(w)[victim]["connections"]
                        > len(found[victim]) + 1)[1], "it to accept again")


# ---- the end ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_all_end_in_order(weir, number):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    pids = list(workers(w))
    w.send_signal(number)
    w.wait_log("stopping gracefully")
    assert all(served(c) for cs in found.values() for c in cs)
    for cs in found.values():
        for c in cs:
            c.close()
    w.sockets.clear()
    w.wait()
    assert all(gone(p) for p in pids)
    assert w.log_find("stopped, every connection had ended")


def test_what_is_left_is_destroyed_and_counted(weir):
    w = weir(ECHO, keys={**TWO, "drain_timeout": "200ms"})
    found = clients_of_each(w, 2)
    count = sum(len(c) for c in found.values())
    w.send_signal(signal.SIGTERM)
    w.wait()
    [line] = w.log_find("connections were destroyed")
    assert f"destroyed={count}" in line


@pytest.mark.parametrize("how", ["SIGQUIT", "twice", "shutdown now"])
def test_all_end_at_once(weir, how):
    w = weir(ECHO, keys={**TWO, "drain_timeout": "0"})
    found = clients_of_each(w)
    pids = list(workers(w))
    if how == "SIGQUIT":
        w.send_signal(signal.SIGQUIT)
    elif how == "twice":
        w.send_signal(signal.SIGTERM)
        w.wait_log("stopping gracefully")
        w.send_signal(signal.SIGTERM)
    else:
        w.ctl(how)
    for cs in found.values():
        assert all(ended(c) for c in cs)
    w.wait()
    assert all(gone(p) for p in pids)


def test_a_terminals_interrupt_is_the_masters(weir):
    w = weir(ECHO, keys=TWO)
    found = clients_of_each(w)
    for pid in workers(w):
        os.kill(pid, signal.SIGINT)
    assert all(served(c) for cs in found.values() for c in cs)
    assert set(workers(w)) == set(found)


# ---- who accepts ----

def accepting(pid):
    """Ports on which a process has a socket that listens."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            what = os.readlink(f"/proc/{pid}/fd/{fd}")
        except FileNotFoundError:
            continue
        if what.startswith("socket:"):
            inodes.add(what[8:-1])
    return [int(f[1].split(":")[1], 16) for f in
            (x.split() for x in open("/proc/net/tcp").readlines()[1:])
            if f[3] == "0A" and f[9] in inodes]


def test_an_exclusive_handle_is_one_workers(weir):
    w = weir(ECHO + "exclusive = yes\n", keys=TWO)
    for _ in range(30):
        assert served(w.connect())
    [pid] = [p for p, r in workers(w).items() if r["connections"] == 30]
    assert sum(w.port() in accepting(p) for p in workers(w)) == 1
    # And of whoever takes its place.
    os.kill(pid, signal.SIGKILL)
    wait_workers(w, but=[pid])
    for _ in range(5):
        assert served(w.connect())
    assert sum(w.port() in accepting(p) for p in workers(w)) == 1


def test_reuse_port_is_a_socket_for_each(weir):
    w = weir(ECHO + "reuse_port = yes\n", keys={"workers": "3"})
    assert len(w.addresses("l")) == 1
    assert len(w.listener()["addresses"]) == 1
    for pid in workers(w):
        assert accepting(pid).count(w.port()) == 1
    # The kernel spreads them; and who comes while one dies is not lost.
    assert accepting(w.pid).count(w.port()) == 3
    clients_of_each(w)
    victim = next(iter(workers(w)))
    os.kill(victim, signal.SIGKILL)
    clients = [w.connect() for _ in range(30)]
    assert all(served(c) for c in clients)
    wait_workers(w, 3, but=[victim])
    assert w.ctl("close l") == "closed"
    for _ in range(5):
        with pytest.raises(ConnectionRefusedError):
            w.connect()
    w.ctl("open l")
    assert w.listener()["state"] == "open"
    for _ in range(10):
        assert served(w.connect())


def test_closed_is_said_once_every_worker_has_closed(weir):
    w = weir(ECHO + "reuse_port = yes\nbacklog = 500\n", keys=TWO)
    late = next(iter(workers(w)))
    os.kill(late, signal.SIGSTOP)
    try:
        waiting = [w.connect() for _ in range(300)]
        said, began = [], time.monotonic()
        asker = threading.Thread(target=lambda: said.append(w.ctl("close l")))
        asker.start()
        eventually(lambda: accepting(w.pid).count(w.port()) == 0,
                   "the master to have closed")
    finally:
        os.kill(late, signal.SIGCONT)
    asker.join()
    # A worker that is silent for a second is not waited for.
    if time.monotonic() - began < 1:
        with pytest.raises(ConnectionRefusedError):
            w.connect()
    assert said == ["closed"]
    # Who waited at the door was let in before.
    assert all(served(c) for c in waiting)


@pytest.mark.parametrize("keys", ["", "reuse_port = yes\n",
                                  "bind_retry = 45m\n"])
def test_opened_is_not_said_of_one_that_cannot_be_bound(weir, keys):
    w = weir(ECHO + keys, keys=TWO)
    w.ctl("close l")
    with socket.socket() as s:
        # Without REUSEPORT nobody may share it.
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", w.port()))
        s.listen()
        error = w.ctl_error("open l")
        assert f"{w.address()}: Address already in use" in error
        assert ("tried again in 45m" in error) == ("retry" in keys)
        assert w.weirctl("open", "l", check=False).returncode == 1
        assert w.listener()["state"] == "closed"
    assert w.ctl("open l") == "opened"
    # Each worker accepts by now.
    for pid in workers(w):
        assert accepting(pid).count(w.port()) == 1
    assert served(w.connect())


def test_a_unix_socket_is_shared_and_removed_at_the_end(weir, folder):
    path = folder / "s"
    w = weir(f"[listener l]\nlisten = unix:{path}\nmode = echo\n", keys=TWO)
    for _ in range(40):
        assert served(w.connect())
    assert all(r["connections"] > 0 for r in workers(w).values())
    victim = next(iter(workers(w)))
    os.kill(victim, signal.SIGKILL)
    wait_workers(w, but=[victim])
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert served(w.connect())
    w.stop()
    assert not path.exists()


def test_sockets_of_systemd_are_shared(weir):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(5)

        def pass_on():
            os.dup2(s.fileno(), 3)
            os.environ["LISTEN_PID"] = str(os.getpid())
        w = weir("[listener l]\nlisten = fd:3\nmode = echo\n", keys=TWO,
                 setup=pass_on, close_fds=False)
        clients_of_each(w)
        w.ctl("close l")
        c = w.connect()
        c.sendall(b"?")
        w.ctl("open l")
        assert c.recv(1) == b"?"


# ---- modes that need more than one client, or a program ----

def test_peers_find_each_other(weir):
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = pipe\npipe = peer\n"
             "[listener m]\nlisten = 127.0.0.1:0\nmode = pipe\npipe = peer:n\n"
             "[listener n]\nlisten = 127.0.0.1:0\nmode = pipe\npipe = peer:m\n",
             keys=TWO)
    for first, second in (("l", "l"), ("n", "m")) * 6:
        a = w.connect(first)
        eventually(lambda: any(x["state"] == "waiting"
                               for x in w.connections()), "it to wait")
        b = w.connect(second)
        a.sendall(b"to b")
        assert read_exactly(b, 4) == b"to b"
        b.sendall(b"to a")
        assert read_exactly(a, 4) == b"to a"


def test_programs_end_with_their_worker(weir, folder):
    mark = folder / "pids"
    script = folder / "run"
    script.write_text(f"#!/bin/sh\necho $$ >> {mark}\nexec sleep 1000\n")
    script.chmod(0o755)
    w = weir("[listener l]\nlisten = 127.0.0.1:0\nmode = pipe\n"
             f"pipe = exec:{script}\n", keys=TWO)
    clients = [w.connect() for _ in range(6)]
    assert len(clients) == 6

    def pids():
        try:
            found = mark.read_text().split()
        except FileNotFoundError:
            return None
        return [int(p) for p in found] if len(found) == 6 else None
    running = eventually(pids, "six programs")
    parents = {p: int(open(f"/proc/{p}/stat").read().rpartition(")")[2]
                      .split()[1]) for p in running}
    victim = next(iter(parents.values()))
    os.kill(victim, signal.SIGKILL)
    for p in running:
        if parents[p] == victim:
            eventually(lambda: gone(p), f"program {p} to end")
        else:
            assert not gone(p)
    wait_workers(w, but=[victim])
    w.stop(signal.SIGQUIT)
    for p in running:
        eventually(lambda: gone(p), f"program {p} to end")


# ---- around them ----

@pytest.mark.skipif(not is_root(), reason="needs root")
def test_workers_have_no_privileges_either(weir, folder):
    program, env = public_copy(folder)
    w = weir(ECHO, keys={**TWO, "user": "nobody"}, program=program, env=env)
    victim, _ = workers(w)
    for pid in (w.pid, *workers(w)):
        assert os.stat(f"/proc/{pid}").st_uid != 0 or open(
            f"/proc/{pid}/status").read().split("Uid:")[1].split()[0] != "0"
    os.kill(victim, signal.SIGKILL)
    for pid in wait_workers(w, but=[victim]):
        uid = open(f"/proc/{pid}/status").read().split("Uid:")[1].split()[0]
        assert uid != "0"
    assert served(w.connect())


def test_in_the_background_the_pid_is_the_masters(make, folder):
    log = folder / "log"
    w = make(ECHO, keys={**TWO, "log": f"file:{log}"}, args=["-d"])
    w.spawn()
    assert w.process.wait(DEADLINE) == 0
    pid = int(open(w.pid_path).read())
    w.status = 0
    try:
        assert w.ctl("stats")["pid"] == pid
        pids = list(wait_workers(w))
        assert pid not in pids
        assert served(w.connect())
    finally:
        for s in w.sockets:
            s.close()
        os.kill(pid, signal.SIGTERM)
    for p in (pid, *pids):
        eventually(lambda: gone(p), f"{p} to end")
    assert not os.path.exists(w.pid_path)


@pytest.mark.valgrind
def test_a_question_that_is_under_way_is_the_masters_at_a_fork(weir):
    w = weir(ECHO, keys=TWO)
    stopped, victim = list(clients_of_each(w))
    os.kill(stopped, signal.SIGSTOP)
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        s.connect(w.control_path)
        s.sendall(b"connections\n")
        os.kill(victim, signal.SIGKILL)
        assert s.recv(1) == b"{"
    os.kill(stopped, signal.SIGCONT)
    wait_workers(w, but=[victim])
    assert served(w.connect())


def test_workers_keep_nothing_of_the_masters(weir):
    w = weir(ECHO, keys=TWO)
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(w.control_path)
        victim = next(iter(workers(w)))
        os.kill(victim, signal.SIGKILL)
        for pid in wait_workers(w, but=[victim]):
            fds = [os.readlink(f"/proc/{pid}/fd/{fd}")
                   for fd in os.listdir(f"/proc/{pid}/fd")]
            # A listening socket, the channel, and what stands for stderr.
            assert sum(x.startswith("socket:") for x in fds) == 2, fds
        # Who asked before the fork is still the master's.
        s.sendall(b"ping\n")
        assert b"pong" in s.recv(100)
    w.stop()
    assert not os.path.exists(w.control_path)


@pytest.mark.skipif(not MEASURABLE, reason="measured without a wrapper only")
def test_a_limit_that_is_waited_at_costs_little(weir):
    w = weir(ECHO + "max_connections = 1\non_limit = wait\n", keys=TWO)
    a = w.connect()
    assert served(a)
    waits = [w.connect() for _ in range(5)]
    assert waits

    def ticks():
        return sum(int(x) for p in workers(w) for x in
                   open(f"/proc/{p}/stat").read().rpartition(")")[2]
                   .split()[11:13])
    before = ticks()
    time.sleep(0.5)
    assert ticks() - before <= 5


def test_what_is_held_is_told_of_all(weir, backend):
    w = weir(f"[listener l]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {backend().address}\nsplice = off\nexclusive = yes\n",
             keys={"workers": 2})
    for _ in range(4):
        c = w.connect()
        c.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                c.send(b"x" * 65536)
    # Not now and then; though at first the kernels' buffers still grow.
    eventually(lambda: all(w.listener()["buffered"] > 0 for _ in range(20)),
               "what is held is told")
