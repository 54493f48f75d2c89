#!/usr/bin/env python3
"""How many instructions of its own weir needs for what it forwards.

    instructions.py [--weir PATH] [--peer PATH] [--libtool PATH] [--update]

Times say little on a machine that others use; instructions come out the same
to a few in a hundred, so that a step that costs some is seen at once. They are
counted by valgrind's callgrind, one client at a time:

  request      64 bytes there and 64 back
  connection   the same with a connection of its own
  megabyte     of a bulk stream

and compared with bench/instructions.txt, which --update writes anew. The exit
status is 1 where one has grown by more than its line there allows. The kernel's
are not among them: for those see "calls" of compare.py.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
from compare import load
from proxies import Running, free_port, weir

HERE = os.path.dirname(os.path.abspath(__file__))
REFERENCE = os.path.join(HERE, "instructions.txt")
WORKS = {"request": ("rtt", 1), "connection": ("conn", 1),
         "megabyte": ("bulk", 1e6)}
SECONDS = 2


def count(a, name, target):
    """Instructions for one unit of the work."""
    what, unit = WORKS[name]
    folder = tempfile.mkdtemp(dir=a.folder)
    port = free_port()
    argv = [*a.wrap, "valgrind", "--tool=callgrind", "--collect-atstart=no",
            "--toggle-collect=weir_loop_run", "--callgrind-out-file=/dev/null",
            *weir(a.weir, folder, port, target, 1, None)]
    with Running(argv, port, folder) as proxy:
        done = load(a, port, what, 1, SECONDS)[0]
        os.kill(proxy.process.pid, signal.SIGTERM)
        proxy.process.wait(60)
        with open(os.path.join(folder, "log")) as f:
            collected = re.search(r"Collected : (\d+)", f.read())
    if collected is None:
        raise RuntimeError("callgrind has not said what it counted")
    return int(collected[1]) / (done / unit)


def read_reference():
    reference = {}
    with open(REFERENCE) as f:
        for line in f:
            if not line.startswith("#"):
                name, value, percent = line.split()
                reference[name] = (float(value), float(percent))
    return reference


def update(found):
    with open(REFERENCE) as f:
        lines = f.readlines()
    with open(REFERENCE, "w") as f:
        for line in lines:
            name = line.split()[0]
            if name in found:
                line = f"{name} {found[name]:.0f} {line.split()[2]}\n"
            f.write(line)


def main():
    p = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--weir", default="weir")
    p.add_argument("--peer", default=os.path.join(HERE, "peer"))
    p.add_argument("--libtool", help="of the build folder, for a program that "
                   "is not installed")
    p.add_argument("--update", action="store_true")
    a = p.parse_args()
    a.wrap = [a.libtool, "--mode=execute"] if a.libtool else []
    if shutil.which("valgrind") is None:
        print("instructions: valgrind is not installed")
        return 0
    a.folder = tempfile.mkdtemp(prefix="weir-bench-")
    reference, found, bad = read_reference(), {}, False
    target = free_port()
    try:
        with Running([a.peer, "serve", str(target)], target, a.folder):
            for name in WORKS:
                found[name] = count(a, name, target)
                was, percent = reference[name]
                grown = (found[name] / was - 1) * 100
                over = grown > percent
                bad = bad or over
                print(f"{name:12s}{found[name]:10.0f}{grown:+8.1f} %"
                      f"   allowed +{percent:.0f} %"
                      f"{'   TOO MANY' if over else ''}", flush=True)
    finally:
        shutil.rmtree(a.folder, ignore_errors=True)
    if a.update:
        update(found)
        return 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
