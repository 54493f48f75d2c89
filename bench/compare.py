#!/usr/bin/env python3
"""weir beside the proxies that a user would pick instead, on the same work.

    compare.py [--weir PATH] [--peer PATH] [--bound PATH]
               [--work bulk,rtt,...] [--proxies weir,haproxy,...]
               [--seconds 3] [--rounds 3] [--workers 1]
               [--connections 3000] [--json FILE]

  bulk, bulk8   1 or 8 streams                    Gbit/s      CPU s/GB
  rtt, rps      1 or 50 clients, 64 bytes         answers/s   CPU us each
  mixed         50 clients, answers of 4 KiB      answers/s   CPU us each
  conn          64 clients, a connection each     conn/s      CPU us each
  idle          open and silent connections       KiB of user memory each
  fairness      p99 of single requests beside 8 bulk streams, microseconds
  tls           a bulk stream, TLS terminated     Gbit/s      CPU s/GB
  handshakes    full TLS handshakes, one client   a second    CPU us each
  calls         system calls: a request alone, of 50 clients, a connection

All of it is on 127.0.0.1. Rounds go through the proxies by turns, so that what
else the machine does hits all of them; what is printed are medians, and the
median of the rounds' own ratios. Figures of two runs are not to be compared.
A proxy that is not installed, or cannot do a work, is left out and named.
"bound" is a forwarder that does nothing else (bound.c): how far weir is from
what is possible. "direct" is no proxy at all.
"""

import argparse
import json
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from proxies import (PROXIES, TLS_PROXIES, Running, family, find, free_port,
                     make_pem, version)

HERE = os.path.dirname(os.path.abspath(__file__))
WORKS = ("bulk,bulk8,rtt,rps,mixed,conn,idle,fairness,tls,handshakes,calls")

# work: (the load's name, clients, units in one of the figure, rate, cost)
LOADS = {
    "bulk": ("bulk", 1, 1e9, "Gbit/s", "CPU s/GB"),
    "bulk8": ("bulk", 8, 1e9, "Gbit/s", "CPU s/GB"),
    "rtt": ("rtt", 1, 1e6, "answers/s", "CPU us"),
    "rps": ("rtt", 50, 1e6, "answers/s", "CPU us"),
    "mixed": ("mixed", 50, 1e6, "answers/s", "CPU us"),
    "conn": ("conn", 64, 1e6, "conn/s", "CPU us"),
}


def load(a, port, what, clients, seconds):
    out = subprocess.run(
        [a.peer, "load", str(port), what, str(clients), str(seconds)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        timeout=seconds + 60, check=False)
    if out.returncode != 0:
        raise RuntimeError(out.stderr.strip())
    return [float(v) for v in out.stdout.split()]


# Each returns (rate, cost), or the figures of calls.

def plain(a, proxy, work):
    what, clients, unit, _, _ = LOADS[work]
    before = proxy.cpu()
    count, took = load(a, proxy.port, what, clients, a.seconds)[:2]
    rate = count * 8 / took / 1e9 if what == "bulk" else count / took
    return rate, (proxy.cpu() - before) / (count / unit)


def idle(a, proxy, _):
    before, held = proxy.memory(), []
    try:
        for _ in range(a.connections):
            held.append(socket.create_connection(("127.0.0.1", proxy.port)))
        for s in held:
            s.sendall(b"x" * 64)
        for s in held:
            if not s.recv(64):
                raise RuntimeError("a connection was lost")
        time.sleep(0.5)
        return (proxy.memory() - before) / a.connections, 0
    finally:
        for s in held:
            s.close()


def fairness(a, proxy, _):
    streams = subprocess.Popen(
        [a.peer, "load", str(proxy.port), "bulk", "8", str(a.seconds + 3)],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    figures = load(a, proxy.port, "slow", 1, a.seconds)
    count, took = streams.communicate()[0].split()[:2]
    return figures[3], float(count) * 8 / float(took) / 1e9


def tls(a, proxy, _):
    amount = int(a.seconds * 4e8)
    start, before = time.monotonic(), proxy.cpu()
    with subprocess.Popen(
            ["openssl", "s_client", "-quiet", "-connect",
             f"127.0.0.1:{proxy.port}"], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as client:
        client.stdin.write(b"b" * 64)
        client.stdin.flush()
        with subprocess.Popen(["head", "-c", str(amount)],
                              stdin=client.stdout,
                              stdout=subprocess.PIPE) as sink:
            client.stdout.close()
            got = 0
            while piece := sink.stdout.read(1 << 20):
                got += len(piece)
        took, used = time.monotonic() - start, proxy.cpu() - before
        client.kill()
    if got < amount:
        raise RuntimeError(f"only {got} of {amount} bytes came")
    return got * 8 / took / 1e9, used / (got / 1e9)


def handshakes(a, proxy, _):
    before = proxy.cpu()
    out = subprocess.run(
        ["openssl", "s_time", "-new", "-connect", f"127.0.0.1:{proxy.port}",
         "-time", str(max(1, int(a.seconds)))], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True, check=False).stdout
    found = re.search(r"(\d+) connections in (\d+) real seconds", out)
    if not found or int(found[1]) == 0:
        raise RuntimeError("no handshake was done")
    count = int(found[1])
    return (count / max(1, int(found[2])),
            (proxy.cpu() - before) / (count / 1e6))


def traced(a, proxy, what, clients):
    """System calls for each unit; epoll_wait and its like included."""
    out = os.path.join(a.folder, "strace")
    argv = ["strace", "-f", "-c", "-o", out]
    for pid in proxy.pids():
        argv += ["-p", str(pid)]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as tracer:
        tracer.stderr.readline()  # attached
        time.sleep(0.2)
        count = load(a, proxy.port, what, clients, 1)[0]
        time.sleep(0.2)
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    with open(out) as f:
        total = re.search(r"(\d+)\s+(?:\d+\s+)?total", f.read())
    return int(total[1]) / count


def calls(a, proxy, _):
    return (traced(a, proxy, "rtt", 1), traced(a, proxy, "rtt", 50),
            traced(a, proxy, "conn", 16))


SPECIAL = {"idle": idle, "fairness": fairness, "tls": tls,
           "handshakes": handshakes, "calls": calls}
TITLES = {
    "idle": "KiB a connection",
    "fairness": "p99 in us; Gbit/s of the bulk beside it",
    "tls": "Gbit/s; CPU s/GB",
    "handshakes": "a second; CPU us",
    "calls": "system calls a request alone; of 50; a connection",
}


class Direct:
    """No proxy at all."""

    def __init__(self, port):
        self.port = port

    @staticmethod
    def cpu():
        return 0

    @staticmethod
    def pids():
        return []


def measure(a, work, name, table, target):
    function = SPECIAL.get(work, plain)
    if name == "direct":
        return function(a, Direct(target), work)
    folder = tempfile.mkdtemp(dir=a.folder)
    os.chmod(folder, 0o755)
    port = free_port()
    _, command, _ = table[name]
    pem = a.pem if table is TLS_PROXIES else None
    argv = command(a.programs[name], folder, port, target, a.workers, pem)
    with Running(argv, port, folder) as proxy:
        return function(a, proxy, work)


def show(work, rows):
    title = TITLES.get(work) or f"{LOADS[work][3]}; {LOADS[work][4]}"
    print(f"\n{work} ({title})")
    mine = rows.get("weir")
    for name, values in rows.items():
        middle = [statistics.median(v) for v in zip(*values)]
        line = f"  {name:14s}" + "".join(f"{v:12.3f}" for v in middle)
        if mine and name != "weir" and len(mine) == len(values):
            line += "   weir/it"
            for i, value in enumerate(middle):
                if value > 0:
                    line += " %.2f" % statistics.median(
                        m[i] / v[i] for m, v in zip(mine, values) if v[i])
        print(line, flush=True)


def wanted(a, work):
    """The proxies that can do it, and how they are started."""
    table = TLS_PROXIES if work in ("tls", "handshakes") else PROXIES
    names = [n for n in a.proxies if n in table and n in a.programs]
    if work in LOADS or work == "fairness":
        names = [n for n in a.proxies if n == "direct"] + names
    return table, names


def survey(a):
    """What is installed, and in which version."""
    for name in a.proxies:
        table = PROXIES if name in PROXIES else TLS_PROXIES
        if name not in table:
            continue
        program = find(table, name, {"weir": a.weir, "bound": a.bound})
        if program is None:
            print(f"  {name}: not installed")
            continue
        a.programs[name] = program
        print(f"  {name} {version(program, table[name][2])}")


def arguments():
    p = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    everything = ["direct", *PROXIES, *TLS_PROXIES]
    p.add_argument("--weir", default="weir")
    p.add_argument("--peer", default=os.path.join(HERE, "peer"))
    p.add_argument("--bound", default=os.path.join(HERE, "bound"))
    p.add_argument("--work", default=WORKS)
    p.add_argument("--proxies", default=",".join(dict.fromkeys(everything)))
    p.add_argument("--seconds", type=float, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--workers", type=int, default=1)
    p.add_argument("--connections", type=int, default=3000)
    p.add_argument("--json")
    a = p.parse_args()
    a.proxies = a.proxies.split(",")
    a.works = a.work.split(",")
    for work in a.works:
        if work not in LOADS and work not in SPECIAL:
            p.error(f'"{work}" is no work; there are {WORKS}')
    a.programs = {}
    return a


def run(a, target):
    rows = {}
    for work in a.works:
        if work == "calls" and shutil.which("strace") is None:
            print("\ncalls: strace is not installed")
            continue
        table, names = wanted(a, work)
        rows[work] = {n: [] for n in names}
        for _ in range(1 if work == "calls" else a.rounds):
            for name in names:
                try:
                    rows[work][name].append(
                        measure(a, work, name, table, target))
                except (RuntimeError, OSError, TypeError) as err:
                    print(f"{work} {name}: {err}", file=sys.stderr)
        rows[work] = {n: v for n, v in rows[work].items() if v}
        show(work, rows[work])
    return rows


def main():
    a = arguments()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    print(f"{time.strftime('%Y-%m-%d')}, {os.cpu_count()} cores, "
          f"Linux {os.uname().release}, {a.workers} workers")
    survey(a)
    a.folder = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(a.folder, 0o755)
    target = free_port()
    try:
        a.pem = make_pem(a.folder) if shutil.which("openssl") else None
        with Running([a.peer, "serve", str(target)], target, a.folder):
            rows = run(a, target)
    finally:
        shutil.rmtree(a.folder, ignore_errors=True)
    if a.json:
        with open(a.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
