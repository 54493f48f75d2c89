#!/usr/bin/env python3
"""What it costs to look at a TLS hello (sni) or to send a PROXY header, a new
connection for each request: weir, HAProxy and nginx without and with it.

    bench/front.py [--weir PROGRAM] [--peer PROGRAM] [--rounds N] [--seconds S]

The proxies run side by side and take turns in an order that is drawn anew for
each round. Printed are medians: connections a second, processor time of one by
the scheduler's account, and both beside the same proxy without the setting.
The plain row of a hello is forwarding it unseen.
"""

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import tempfile

import proxies
from proxies import BACKLOG, Running, find, free_port, write

HERE = os.path.dirname(os.path.abspath(__file__))
CLIENTS = 64


def weir(program, folder, port, target, setting):
    more = {"plain": f"upstream = 127.0.0.1:{target}",
            "sni": f"sni = bench.test 127.0.0.1:{target}",
            "v1": f"upstream = 127.0.0.1:{target}\nsend_proxy = v1",
            "v2": f"upstream = 127.0.0.1:{target}\nsend_proxy = v2"}[setting]
    return [program, "-q", "-c", write(folder, "weir.conf", f"""[weir]
control = off
max_connections = 9000
[listener bench]
listen = 127.0.0.1:{port}
mode = forward
backlog = {BACKLOG}
{more}
""")]


def haproxy(program, folder, port, target, setting):
    look = """tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    use_backend to if { req.ssl_sni -i bench.test }""" \
        if setting == "sni" else "default_backend to"
    send = {"v1": "send-proxy", "v2": "send-proxy-v2"}.get(setting, "")
    return [program, "-db", "-f", write(folder, "haproxy.cfg", f"""global
    maxconn 4500
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 300s
    timeout server 300s
frontend bench
    bind 127.0.0.1:{port} backlog {BACKLOG}
    {look}
backend to
    server s 127.0.0.1:{target} {send}
""")]


def nginx(program, folder, port, target, setting):
    if setting == "v2":
        return None  # it sends v1 alone
    module = (f"load_module {proxies.STREAM};"
              if os.path.exists(proxies.STREAM) else "")
    choose = "map $ssl_preread_server_name $to " \
        f"{{ bench.test 127.0.0.1:{target}; }}" if setting == "sni" else ""
    to = "$to; ssl_preread on" if setting == "sni" else f"127.0.0.1:{target}"
    proxy = "proxy_protocol on;" if setting == "v1" else ""
    return [program, "-p", folder, "-c", write(folder, "nginx.conf", f"""{module}
daemon off; worker_processes 1; pid {folder}/pid;
error_log {folder}/error.log; worker_rlimit_nofile 20000;
events {{ worker_connections 9000; }}
stream {{ {choose} server {{
  listen 127.0.0.1:{port} backlog={BACKLOG};
  proxy_pass {to}; proxy_timeout 300s; {proxy}
}} }}
""")]


PROXIES = {"weir": weir, "haproxy": haproxy, "nginx": nginx}
# What is asked with, and the settings that are compared.
ROWS = [("hello", ["plain", "sni"]), ("conn", ["plain", "v1", "v2"])]


def cpu(running):
    total = 0
    for pid in running.pids():
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                    total += int(f.read().split()[0])
    return total / 1e9


def one(a, running, work):
    before = cpu(running)
    out = subprocess.run(
        [a.peer, "load", str(running.port), work, str(CLIENTS),
         str(a.seconds)], stdout=subprocess.PIPE, text=True, check=True).stdout
    count, took = map(float, out.split()[:2])
    return count / took, (cpu(running) - before) * 1e6 / count


def start(stack, a, name, target, setting):
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    os.chmod(folder, 0o755)
    program, port = find(proxies.PROXIES, name, {"weir": a.weir}), free_port()
    if program is None:
        return None
    argv = PROXIES[name](program, folder, port, target, setting)
    return argv and stack.enter_context(Running(argv, port, folder))


def compare(a, target, work, settings):
    with contextlib.ExitStack() as stack:
        run = {(n, s): start(stack, a, n, target, s)
               for n in PROXIES for s in settings}
        run = {k: r for k, r in run.items() if r is not None}
        got = {k: [] for k in run}
        for i in range(a.rounds + 1):
            for k in random.sample(list(run), len(run)):
                figures = one(a, run[k], work)
                if i > 0:  # the first one warms up
                    got[k].append(figures)
    for name in PROXIES:
        if (name, "plain") not in got:
            print(f"{work:6} {name:8} is not installed")
            continue
        for setting in settings:
            if (name, setting) in got:
                show(work, name, setting, got)


def show(work, name, setting, got):
    rows, base = got[name, setting], got[name, "plain"]
    rate, cost = (statistics.median(r[i] for r in rows) for i in (0, 1))
    by = [statistics.median(r[i] / b[i] for r, b in zip(rows, base))
          for i in (0, 1)]
    beside = [statistics.median(r[1] / o[1]
                                for r, o in zip(got["weir", setting], rows))]
    print(f"{work:6} {name:8} {setting:6} {rate:8.0f} conn/s {cost:7.1f} us"
          f"   to plain {by[0]:.2f} · {by[1]:.2f}"
          f"   weir's us / these {beside[0]:.2f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--weir", default="weir")
    p.add_argument("--peer", default=os.path.join(HERE, "peer"))
    p.add_argument("--rounds", type=int, default=9)
    p.add_argument("--seconds", type=float, default=0.5)
    a = p.parse_args()
    target = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with Running([a.peer, "serve", str(target)], target, folder):
            for work, settings in ROWS:
                compare(a, target, work, settings)


if __name__ == "__main__":
    sys.exit(main())
