#!/usr/bin/env python3
"""The pause that a client sees while a proxy is reloaded or replaced.

    pause.py [--weir PATH] [--seconds 6] [--every 0.5] [--clients 4]
             [--connections 0] [--workers 1]

Clients ask one question at a time through the proxy, each on a connection that
stays; another one makes a connection for each question. Meanwhile the proxy is
told again and again to take its configuration anew, or to let a new process
take over. Printed are percentiles of the time of an answer, the longest one,
and how many connections were refused or broken; first without any of it.

With --connections so many silent connections are open beside them.
Figures of two runs are not to be compared: see what stands beside.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def echo_server():
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(4096)

    def serve(conn):
        with conn:
            try:
                conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while data := conn.recv(4096):
                    conn.sendall(data)
            except OSError:
                pass

    def accept():
        while True:
            conn, _ = s.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()
    threading.Thread(target=accept, daemon=True).start()
    return s.getsockname()[1]


class Proxy:
    """pid() is who gets signals; what a subclass does not know it lacks."""

    actions = ()

    def __init__(self, program, folder, port, target, workers):
        self.program, self.folder = program, folder
        self.port, self.target, self.workers = port, target, workers
        self.children = []

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def run(self, *command):
        self.children.append(subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True))
        return self.children[-1]

    def pid_from(self, name):
        for _ in range(500):
            try:
                with open(os.path.join(self.folder, name)) as f:
                    return int(f.read())
            except (OSError, ValueError):
                time.sleep(0.01)
        raise RuntimeError(f"{self.program}: no {name}")

    def stop(self):
        for child in self.children:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()


class Weir(Proxy):
    actions = ("reload", "upgrade")

    def start(self):
        conf = self.write("weir.conf", f"""[weir]
control = off
log_level = error
pid_file = {self.folder}/pid
workers = {self.workers}
[listener l]
listen = 127.0.0.1:{self.port}
mode = forward
upstream = 127.0.0.1:{self.target}
""")
        self.run(self.program, "-c", conf)

    def act(self, action):
        pid = self.pid_from("pid")
        if action == "reload":
            os.kill(pid, signal.SIGHUP)
            return True
        os.kill(pid, signal.SIGUSR2)
        for _ in range(200):
            if self.pid_from("pid") != pid:
                return True
            time.sleep(0.01)
        raise RuntimeError("weir: no upgrade")


class HAProxy(Proxy):
    actions = ("reload",)

    def start(self):
        self.conf = self.write("haproxy.cfg", f"""global
  nbthread {self.workers}
  stats socket {self.folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
  mode tcp
  timeout client 1h
  timeout server 1h
  timeout connect 5s
listen l
  bind 127.0.0.1:{self.port}
  server s 127.0.0.1:{self.target}
""")
        self.master = self.run(self.program, "-W", "-q", "-f", self.conf)

    def act(self, action):
        # The program is started anew for that, too.
        os.kill(self.master.pid, signal.SIGUSR2)
        return True


class Nginx(Proxy):
    actions = ("reload", "upgrade")

    def start(self):
        module = "/usr/lib/nginx/modules/ngx_stream_module.so"
        load = f"load_module {module};" if os.path.exists(module) else ""
        self.conf = self.write("nginx.conf", f"""{load}
worker_processes {self.workers};
pid {self.folder}/pid;
error_log /dev/null;
events {{ worker_connections 20000; }}
stream {{
  server {{
    listen 127.0.0.1:{self.port};
    proxy_pass 127.0.0.1:{self.target};
    proxy_timeout 1h;
  }}
}}
""")
        # In the foreground it heeds no SIGUSR2: it takes that for an upgrade
        # whose old process is still there.
        self.run(self.program, "-c", self.conf)

    def stop(self):
        names = [n for n in ("pid", "pid.oldbin")
                 if os.path.exists(os.path.join(self.folder, n))]
        pids = [self.pid_from(n) for n in names]
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        for _ in range(500):
            if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
                break
            time.sleep(0.01)
        super().stop()

    def act(self, action):
        pid = self.pid_from("pid")
        if action == "reload":
            os.kill(pid, signal.SIGHUP)
            return True
        # The one before stays with its connections, and until it has ended
        # there is no other upgrade.
        if os.path.exists(os.path.join(self.folder, "pid.oldbin")):
            return False
        os.kill(pid, signal.SIGUSR2)
        for _ in range(200):
            if self.pid_from("pid") != pid:
                os.kill(pid, signal.SIGQUIT)
                return True
            time.sleep(0.01)
        return False


class Client(threading.Thread):
    def __init__(self, port, over, anew):
        super().__init__()
        self.port, self.over, self.anew = port, over, anew
        self.times, self.broken = [], 0
        self.start()

    def connect(self):
        s = socket.create_connection(("127.0.0.1", self.port), 5)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, s):
        s.sendall(b"q" * 64)
        left = 64
        while left:
            data = s.recv(left)
            if not data:
                raise ConnectionError("ended")
            left -= len(data)

    def run(self):
        s = None
        while not self.over.is_set():
            began = time.monotonic()
            try:
                if s is None:
                    s = self.connect()
                self.ask(s)
                self.times.append(time.monotonic() - began)
                if self.anew:
                    s.close()
                    s = None
            except OSError:
                self.broken += 1
                s = None
            time.sleep(0.0005)


def measure(proxy, action, a):
    over = threading.Event()
    silent = [socket.create_connection(("127.0.0.1", proxy.port))
              for _ in range(a.connections)]
    clients = [Client(proxy.port, over, n == 0) for n in range(a.clients)]
    end = time.monotonic() + a.seconds
    acts = 0
    while time.monotonic() < end:
        time.sleep(a.every)
        if action and proxy.act(action):
            acts += 1
    over.set()
    for c in clients:
        c.join()
    for s in silent:
        s.close()
    times = sorted(t for c in clients for t in c.times)
    at = [times[min(int(len(times) * q), len(times) - 1)] * 1000
          for q in (0.5, 0.99, 0.999)]
    print(f"{type(proxy).__name__.lower():10}{action or '-':10}{acts:5}"
          f"{len(times):9}" + "".join(f"{x:9.2f}" for x in at)
          + f"{times[-1] * 1000:9.2f}{sum(c.broken for c in clients):9}",
          flush=True)


def main():
    p = argparse.ArgumentParser(usage=__doc__)
    p.add_argument("--weir", default="src/weir")
    p.add_argument("--seconds", type=float, default=6)
    p.add_argument("--every", type=float, default=0.5)
    p.add_argument("--clients", type=int, default=4)
    p.add_argument("--connections", type=int, default=0)
    p.add_argument("--workers", type=int, default=1)
    a = p.parse_args()
    target = echo_server()
    print(f"{'proxy':10}{'action':10}{'acts':>5}{'answers':>9}{'p50 ms':>9}"
          f"{'p99':>9}{'p99.9':>9}{'longest':>9}{'broken':>9}")
    for kind, program in ((Weir, a.weir), (HAProxy, shutil.which("haproxy")),
                          (Nginx, shutil.which("nginx"))):
        if program is None:
            print(f"{kind.__name__.lower()}: not installed")
            continue
        for action in (None, *kind.actions):
            folder = tempfile.mkdtemp(prefix="weir-pause-")
            proxy = kind(program, folder, free_port(), target, a.workers)
            try:
                proxy.start()
                for _ in range(500):
                    try:
                        socket.create_connection(
                            ("127.0.0.1", proxy.port)).close()
                        break
                    except OSError:
                        time.sleep(0.01)
                measure(proxy, action, a)
            finally:
                proxy.stop()
                shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
