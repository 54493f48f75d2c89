"""Listening sockets in systemd's store, over a restart. The manager is played
here: it keeps what FDSTORE=1 brings and passes it to the next process."""

import array
import os
import re
import signal
import socket
import threading

from weirtest import DEADLINE, eventually, read_exactly

STARTED = ["sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh"]


class Store:
    """A service manager with a store of descriptors."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.env = {"NOTIFY_SOCKET": address}
        self.kept = []  # (name, descriptor)
        self.seen = []
        self.parents = {}  # of each MAINPID, at that moment
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def same(self, a, b):
        return os.fstat(a).st_ino == os.fstat(b).st_ino

    def message(self, text, fds):
        lines = text.splitlines()
        name = next((x[7:] for x in lines if x.startswith("FDNAME=")), None)
        if "FDSTORE=1" in lines:
            assert re.fullmatch(r"[!-9;-~]{1,255}", name), name
            for fd in fds:
                if any(self.same(fd, x) for _, x in self.kept):
                    os.close(fd)
                else:
                    self.kept.append((name, fd))
        elif "FDSTOREREMOVE=1" in lines:
            for x in [x for x in self.kept if x[0] == name]:
                self.kept.remove(x)
                os.close(x[1])
        for pid in [x[8:] for x in lines if x.startswith("MAINPID=")]:
            with open(f"/proc/{pid}/stat") as f:
                self.parents[int(pid)] = int(f.read().rsplit(")")[-1].split()[1])
        self.seen += lines

    def run(self):
        while not self.over.is_set():
            try:
                data, control, _, _ = self.socket.recvmsg(
                    4096, socket.CMSG_SPACE(1024))
            except OSError:
                return
            fds = array.array("i")
            for _, _, part in control:
                fds.frombytes(part)
            for fd in fds:
                os.set_inheritable(fd, False)
            self.message(data.decode(), list(fds))

    def passing(self):
        """What the next process is started with."""
        kept = list(self.kept)

        def setup():
            high = [os.dup2(fd, 100 + i) for i, (_, fd) in enumerate(kept)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)
                os.close(fd)
        return {"setup": setup, "close_fds": False, "launcher": STARTED,
                "env": {**self.env, "LISTEN_FDS": str(len(kept)),
                        "LISTEN_FDNAMES": ":".join(n for n, _ in kept)}}

    def close(self):
        self.over.set()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for _, fd in self.kept:
            os.close(fd)


def config(folder, more=""):
    return ("[listener t]\nlisten = 127.0.0.1:0\nmode = echo\n"
            f"[listener u]\nlisten = {folder}/u.sock\nmode = echo\n{more}")


def ask(c):
    c.sendall(b"question")
    assert read_exactly(c, 8) == b"question"


def test_a_restart_refuses_nobody(make, folder):
    control = {"control": f"{folder}/control"}
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env, keys=control).start()
    eventually(lambda: len(s.kept) == 3 and "READY=1" in s.seen, "all kept")
    port = w.port("t")
    ask(w.connect("t"))
    w.stop()
    assert os.path.exists(folder / "u.sock")
    # Nobody serves, and who comes now is served by the next one.
    waiting = [w.connect("t"), w.connect("u")]
    asking = socket.socket(socket.AF_UNIX)
    asking.connect(control["control"])
    asking.sendall(b"ping\n")
    w2 = make(config(folder), keys=control, **s.passing()).start()
    w2.control_path = control["control"]
    assert w2.port("t") == port
    for c in (*waiting, w2.connect("t"), w2.connect("u")):
        ask(c)
        c.close()
    w.sockets.clear()
    asking.settimeout(DEADLINE)
    assert b'"ok":true' in asking.recv(1000)
    asking.close()
    eventually(lambda: w2.listener("t")["accepted"] == 2, "both accepted")
    assert len(s.kept) == 3
    w2.stop()
    s.close()


def test_what_is_not_listened_on_any_more_is_forgotten(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env).start()
    eventually(lambda: len(s.kept) == 3 and "READY=1" in s.seen, "all kept")
    port = w.port("t")
    w.stop()
    s.seen.clear()
    w2 = make("[listener new]\nlisten = 127.0.0.1:0\nmode = echo\n",
              **s.passing()).start()
    eventually(lambda: "READY=1" in s.seen, "ready")
    eventually(lambda: len(s.kept) == 2, "two kept")
    assert {n for n, _ in s.kept} == {
        "weir=new=127.0.0.1%3A0", f"weir=={w2.control_path}"}
    with socket.socket() as c:
        assert c.connect_ex(("127.0.0.1", port)) != 0
    w2.stop()
    s.close()


def test_a_stale_file_of_a_real_stop_is_replaced(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env).start()
    eventually(lambda: "READY=1" in s.seen, "ready")
    w.stop()
    s.close()
    w2 = make(config(folder)).start()
    ask(w2.connect("u"))
    w2.stop()
    assert not os.path.exists(folder / "u.sock")


def test_a_socket_that_lost_its_file_is_not_taken_up(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env).start()
    eventually(lambda: "READY=1" in s.seen, "ready")
    w.stop()
    os.unlink(folder / "u.sock")
    w2 = make(config(folder), **s.passing()).start()
    ask(w2.connect("u"))
    ask(w2.connect("t"))
    w2.stop()
    s.close()


def test_the_end_counts_down_and_asks_for_time(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env, keys={"drain_timeout": "90s"}).start()
    c = w.connect("t")
    ask(c)
    w.send_signal(signal.SIGTERM)
    eventually(lambda: any(re.fullmatch(
        r"STATUS=stopping, 1 connections, (90|89|88) s left", x)
        for x in s.seen), f"a countdown in {s.seen}")
    extended = [int(x.split("=")[1]) for x in s.seen
                if x.startswith("EXTEND_TIMEOUT_USEC=")]
    assert extended and 90e6 <= extended[0] <= 110e6
    c.close()
    w.wait(0)
    s.close()


def upgrade(s, w):
    """Its new main process."""
    s.seen.clear()
    w.send_signal(signal.SIGUSR2)
    eventually(lambda: "READY=1" in s.seen, "ready again")
    new = next(int(x[8:]) for x in s.seen if x.startswith("MAINPID="))
    assert new == int(open(w.pid_path).read())
    return new


def end(s, w, new):
    os.kill(new, signal.SIGTERM)
    eventually(lambda: not os.path.exists(w.pid_path), "its end")
    w.err.join()
    w.status = 0
    s.close()


def test_an_upgrade_tells_who_serves(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder, "[listener x]\nlisten = 127.0.0.1:0\n"
                    "mode = pipe\npipe = exec:cat\n"),
             env=s.env, wrap=False).start()
    eventually(lambda: len(s.kept) == 4 and "READY=1" in s.seen, "ready")
    stays = w.connect("x")
    ask(stays)
    new = upgrade(s, w)
    # A manager waits for no main process but its own children.
    assert s.parents[new] != w.process.pid
    eventually(lambda: len(s.kept) == 4, "all kept")
    # The old one drains, and is not to be heard.
    ask(stays)
    stays.close()
    assert w.process.wait(DEADLINE) == 0
    assert not any(x.startswith(("STOPPING", "EXTEND")) for x in s.seen)
    end(s, w, new)


def test_an_upgrade_forgets_what_is_not_listened_on_any_more(make, folder):
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env, wrap=False).start()
    eventually(lambda: len(s.kept) == 3 and "READY=1" in s.seen, "ready")
    port = w.port("t")
    text = open(w.config_path).read()
    w.write_config(text.replace(config(folder), config(folder).split("\n", 3)[3]))
    new = upgrade(s, w)
    eventually(lambda: len(s.kept) == 2, f"{s.kept}")
    assert w.process.wait(DEADLINE) == 0
    with socket.socket() as c:
        assert c.connect_ex(("127.0.0.1", port)) != 0
    end(s, w, new)


def test_a_reload_tells_only_what_has_changed(make, folder):
    many = "".join(f"[listener l{i}]\nlisten = 127.0.0.1:0\nmode = echo\n"
                   for i in range(40))
    s = Store(f"{folder}/notify")
    w = make(config(folder), env=s.env).start()
    eventually(lambda: len(s.kept) == 3 and "READY=1" in s.seen, "ready")
    s.seen.clear()
    text = open(w.config_path).read()
    w.write_config(text + many)
    w.ctl("reload")
    eventually(lambda: len(s.kept) == 43, "all kept")
    assert s.seen.count("FDSTORE=1") == 40
    assert "FDSTOREREMOVE=1" not in s.seen
    w.write_config(text)
    w.ctl("reload")
    eventually(lambda: len(s.kept) == 3, "three kept")
    assert s.seen.count("FDSTORE=1") == 40
    assert s.seen.count("FDSTOREREMOVE=1") == 40
    w.stop()
    s.close()
