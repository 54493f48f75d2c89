#!/usr/bin/env python3
"""What weir costs while nothing happens, beside the proxies that are installed.

    idle.py [--weir PATH] [--connections N] [--rounds N] [--weir-only]
            [--mode forward|echo] [--workers N] [--set "KEY = VALUE"]...

Two figures a proxy, measured in one run on 127.0.0.1 and shown as ratios to
weir's, since only those mean anything on another machine:

  idle   resident memory that one idle forwarded connection adds
  start  from exec to the first connection that is answered

Proxies that are not installed are left out and named. --mode, --workers and
--set, a line more for its listener, are weir's alone.
"""

import argparse
import os
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server(threading.Thread):
    """Accepts, says one byte, and keeps every connection."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(4096)
        self.port = self.listener.getsockname()[1]
        self.kept = []
        self.start()

    def run(self):
        while True:
            conn, _ = self.listener.accept()
            conn.sendall(b"!")
            self.kept.append(conn)


def command(name, program, port, server, folder, options):
    """The command of a proxy that forwards port to the server's."""
    path = os.path.join(folder, f"{name}.conf")
    if name == "weir":
        text = (f"[weir]\ncontrol = off\nlog_level = error\n"
                f"workers = {options.workers}\n[listener l]\n"
                f"listen = 127.0.0.1:{port}\nmode = {options.mode}\n")
        if options.mode == "forward":
            text += f"upstream = 127.0.0.1:{server}\n"
        text += "".join(line + "\n" for line in options.set)
        args = [program, "-c", path]
    elif name == "haproxy":
        text = ("global\n maxconn 8000\ndefaults\n mode tcp\n"
                " timeout connect 5s\n timeout client 1h\n timeout server 1h\n"
                f"listen l\n bind 127.0.0.1:{port}\n"
                f" server s 127.0.0.1:{server}\n")
        args = [program, "-q", "-db", "-f", path]
    else:
        module = "/usr/lib/nginx/modules/ngx_stream_module.so"
        text = (f"load_module {module};\n" if os.path.exists(module) else "")
        text += (f"pid {folder}/nginx.pid;\nerror_log stderr error;\n"
                 "daemon off;\nmaster_process off;\n"
                 "events {{ worker_connections 20000; }}\n"
                 "stream {{ server {{ listen 127.0.0.1:{}; proxy_pass "
                 "127.0.0.1:{}; proxy_timeout 1h; }} }}\n").format(port, server)
        args = [program, "-e", "stderr", "-c", path]
    with open(path, "w") as f:
        f.write(text)
    return args


def resident(pid):
    """Resident bytes of a process and its children."""
    with open(f"/proc/{pid}/statm") as f:
        total = int(f.read().split()[1]) * resource.getpagesize()
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        for child in f.read().split():
            total += resident(int(child))
    return total


def connect(port, process, echo):
    while True:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args[0]} ended with "
                               f"{process.returncode}")
        try:
            s = socket.create_connection(("127.0.0.1", port), 10)
        except ConnectionRefusedError:
            time.sleep(0.0005)
            continue
        if echo:
            s.sendall(b"!")
        if s.recv(1) == b"!":
            return s
        s.close()


def measure(name, program, connections, server, options):
    """(bytes a connection, seconds to start) of one round."""
    with tempfile.TemporaryDirectory(prefix="weir-idle-") as folder:
        port = free_port()
        args = command(name, program, port, server.port, folder, options)
        began = time.perf_counter()
        process = subprocess.Popen(args, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        clients = []
        echo = options.mode == "echo"
        try:
            clients.append(connect(port, process, echo))
            start = time.perf_counter() - began
            # What the first ones make it allocate for good is not theirs.
            clients += [connect(port, process, echo) for _ in range(50)]
            before = resident(process.pid)
            clients += [connect(port, process, echo) for _ in range(connections)]
            idle = (resident(process.pid) - before) / connections
        finally:
            for c in (*clients, *server.kept):
                c.close()
            server.kept.clear()
            process.kill()
            process.wait()
        return idle, start


def main():
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weir", default=os.path.join(here, "build/src/weir"))
    parser.add_argument("--connections", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weir-only", action="store_true")
    parser.add_argument("--mode", choices=("forward", "echo"),
                        default="forward")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--set", action="append", default=[],
                        metavar="'KEY = VALUE'")
    options = parser.parse_args()

    # Libtool's wrapper is a shell script, and would be measured with it.
    real = os.path.join(os.path.dirname(options.weir), ".libs", "weir")
    if os.path.exists(real):
        options.weir = real
        os.environ["LD_LIBRARY_PATH"] = os.path.join(
            os.path.dirname(real), "..", "..", ".libs")

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < 3 * options.connections:
        sys.exit(f"the limit of {hard} descriptors is too low for "
                 f"{options.connections} connections")

    programs = {"weir": options.weir, "haproxy": shutil.which("haproxy"),
                "nginx": shutil.which("nginx") or shutil.which(
                    "nginx", path="/usr/sbin:/sbin")}
    if options.weir_only:
        programs = {"weir": options.weir}
    absent = [n for n, p in programs.items() if not p]
    if absent:
        print("not installed:", ", ".join(absent))
    server = Server()
    rounds = {n: [] for n, p in programs.items() if p}
    for _ in range(options.rounds):
        for name, values in rounds.items():
            values.append(measure(name, programs[name], options.connections,
                                  server, options))
    mine = [statistics.median(x) for x in zip(*rounds["weir"])]
    print(f"{'':10}{'idle':>12}{'x weir':>8}{'start':>12}{'x weir':>8}")
    for name, values in rounds.items():
        idle, start = [statistics.median(x) for x in zip(*values)]
        print(f"{name:10}{idle / 1024:8.2f} KiB{idle / mine[0]:8.2f}"
              f"{start * 1000:9.1f} ms{start / mine[1]:8.2f}")


if __name__ == "__main__":
    main()
