#!/usr/bin/env python3
"""What a reload costs: time and processor time with many listeners, and memory
after many reloads.

    bench/reload.py [--weir PROGRAM] [--listeners N] [--reloads N] [--workers N]

Both are printed beside each other for a reload that changes nothing, one that
changes a key of each listener, and one that takes all listeners away and adds
as many others. It is seen in the log when a reload is over; processor time is
that of all of weir's processes. The sockets are files in memory: a file system
such as ext4 does not give out again what was deleted in the last seconds, and
looks for what it may give longer and longer.
"""

import argparse
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent


MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def config(folder, count, workers, more="", prefix="l", mode="echo"):
    """Unix sockets: their addresses are not used up."""
    to = f"upstream = {folder}/to\n" if mode == "forward" else ""
    return (f"[weir]\ncontrol = off\nworkers = {workers}\n"
            f"log = file:{folder}/log\n[defaults]\nmode = {mode}\n{more}\n"
            + "".join(f"[listener {prefix}{i}]\n"
                      f"listen = {folder}/{prefix}{i}\n{to}"
                      for i in range(count)))


class Weir:
    def __init__(self, program, folder, text):
        self.folder = folder
        self.conf = folder / "weir.conf"
        self.conf.write_text(text)
        self.process = subprocess.Popen([program, "-c", self.conf])
        self.wait(" info ready ", 1)

    def count(self, what):
        try:
            return (self.folder / "log").read_text().count(what)
        except FileNotFoundError:
            return 0

    def wait(self, what, count):
        while self.count(what) < count:
            if self.process.poll() is not None:
                raise SystemExit("weir has ended")
            time.sleep(0.002)

    def pids(self):
        pid = self.process.pid
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [pid, *map(int, children.split())]

    def cpu(self):
        """Seconds of processor time, by the scheduler's account."""
        return sum(int(pathlib.Path(f"/proc/{p}/schedstat").read_text()
                       .split()[0]) for p in self.pids()) / 1e9

    def rss(self):
        return sum(int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path(
            f"/proc/{p}/status").read_text())[1]) for p in self.pids())

    def reload(self, text=None):
        """Milliseconds as weir tells, and of processor time."""
        if text is not None:
            self.conf.write_text(text)
        (self.folder / "log").write_text("")
        before = self.cpu()
        self.process.send_signal(signal.SIGHUP)
        self.wait("duration_ms=", 1)
        if self.count("not reloaded"):
            raise SystemExit((self.folder / "log").read_text()[-2000:])
        spent = re.search(r"duration_ms=(\d+)",
                          (self.folder / "log").read_text())[1]
        return int(spent), (self.cpu() - before) * 1000

    def stop(self):
        self.process.terminate()
        self.process.wait()


def costs(program, count, workers, mode):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        folder = pathlib.Path(folder)

        def text(**how):
            return config(folder, count, workers, mode=mode, **how)

        w = Weir(program, folder, text())
        for name, new in (
                ("nothing changed", text()),
                ("a key of each", text(more="timeout = 1h")),
                ("all others", text(prefix="m")),
                ("and back", text())):
            ms, cpu = w.reload(new)
            print(f"{count:6} listeners  {mode:8} {name:16} {ms:6} ms"
                  f"  {cpu:8.1f} ms of CPU")
        w.stop()


def memory(program, reloads, workers):
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        folder = pathlib.Path(folder)
        texts = [config(folder, 20, workers, "timeout = 1h", p) for p in "lm"]
        w = Weir(program, folder, config(folder, 20, workers))
        for i in range(20):
            w.reload(texts[i % 2])
        first = w.rss()
        for i in range(reloads):
            w.reload(texts[i % 2])
        print(f"{reloads} reloads: {first} KiB before, {w.rss()} KiB after")
        w.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weir", default=str(
        pathlib.Path(os.environ.get("WEIR_TOP_BUILDDIR", TOP / "build"))
        / "src/weir"))
    parser.add_argument("--listeners", type=int, default=1000)
    parser.add_argument("--reloads", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    for mode in "echo", "forward":
        for count in (args.listeners // 10, args.listeners):
            costs(args.weir, count, args.workers, mode)
    memory(args.weir, args.reloads, args.workers)


if __name__ == "__main__":
    main()
