"""What the integration tests are made of: a weir that runs, peers for it, and
waiting until something is so.

Nothing here sleeps for luck: eventually() polls for a condition up to a
deadline, and every deadline is multiplied by WEIR_TIME_SCALE (sanitizers,
valgrind). Ports are always the system's pick; weir's own are read in its log.
"""

import contextlib
import ctypes
import errno
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = pathlib.Path(os.environ.get("WEIR_TOP_BUILDDIR", TOP / "build"))
PROGRAM = os.environ.get("WEIR_PROGRAM", str(BUILD / "src" / "weir"))
CTL = os.environ.get("WEIRCTL_PROGRAM", str(BUILD / "src/weirctl/weirctl"))
WRAP = shlex.split(os.environ.get("WEIR_WRAP", ""))
SCALE = float(os.environ.get("WEIR_TIME_SCALE", "1"))
DEADLINE = 10 * SCALE

SANITIZER_REPORT = re.compile(
    r"(ERROR: AddressSanitizer|ERROR: LeakSanitizer|runtime error:|"
    r"==\d+== (Invalid|Conditional jump|Use of uninit|Syscall param|"
    r"[\d,]+ .*bytes in .* lost)).*"
)


def built(path):
    """A program of the build tree, without libtool's wrapper before it: the
    process that is started must be weir itself."""
    path = pathlib.Path(path)
    real = path.parent / ".libs" / path.name
    return str(real if real.exists() else path)


def public_copy(folder):
    """The program and its library where every user may read them: the build
    folder may be in somebody's home. Returns the program's path, and what its
    environment must have."""
    for path in (built(PROGRAM), BUILD / ".libs" / "libweir.so.0"):
        shutil.copy(path, folder)
    return str(folder / "weir"), {"LD_LIBRARY_PATH": str(folder)}


def environment(extra=None):
    env = dict(os.environ)
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                 "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
                 "JOURNAL_STREAM"):
        env.pop(name, None)
    env["LD_LIBRARY_PATH"] = str(BUILD / ".libs")
    env["LC_ALL"] = "C.UTF-8"
    env.update(extra or {})
    return env


def sanitized():
    with open(built(PROGRAM), "rb") as f:
        return b"__asan_init" in f.read()


if not os.path.exists(built(PROGRAM)):
    raise RuntimeError(f"{PROGRAM}: no such program; build it, or set "
                       "WEIR_TOP_BUILDDIR or WEIR_PROGRAM")

# Whether figures of memory and processor time are those of the program alone.
MEASURABLE = not WRAP and not sanitized()


def eventually(condition, what, deadline=None):
    """Poll until condition() is true, and return what it returned."""
    end = time.monotonic() + (deadline or DEADLINE)
    pause = 0.002
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within the deadline: {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.05)


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


def is_root():
    return os.geteuid() == 0


def free_range(count, host="127.0.0.1"):
    """The first of so many neighbouring free ports, of those that the system
    does not pick for anybody: they are still free a moment later, and nobody
    is met there by chance."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as f:
            least = int(f.read().split()[0])
    except OSError:
        least = 32768
    for _ in range(200):
        first = (random.randrange(10000, least - count)
                 if least > 11000 else random.randrange(1024, 65536 - count))
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    s = stack.enter_context(socket.socket(family))
                    # As weir does: what only waits in TIME_WAIT is free.
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind((host, port))
            except (OSError, OverflowError):
                continue
        return first
    raise AssertionError("no range of free ports")


def free_port(host="127.0.0.1"):
    """One of them: for programs that cannot pick one, and where nobody is."""
    return free_range(1, host)


def split_address(text):
    """(family, address) for socket.connect() of an address as weir shows it."""
    if text.startswith("unix:@"):
        return socket.AF_UNIX, "\0" + text[6:]
    if text.startswith("unix:"):
        return socket.AF_UNIX, text[5:]
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return (socket.AF_INET6 if ":" in host else socket.AF_INET,
            (host, int(port)))


def reachable(text):
    """The same, with the any address turned into a loopback one."""
    family, address = split_address(text)
    if family != socket.AF_UNIX:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0])
        address = (host, address[1])
    return family, address


def parse_fields(line):
    """The key=value pairs of a text log line."""
    fields = {}
    for key, value in re.findall(r'(?:^|\s)([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)',
                                 line):
        if value.startswith('"'):
            value = value[1:-1].encode().decode("unicode_escape")
        fields[key] = value
    return fields


class Lines:
    """A stream read by a thread, line by line, so that nobody waits for us."""

    def __init__(self, stream):
        self.stream = stream
        self.lines = []
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.stream:
            self.lines.append(line.decode(errors="replace").rstrip("\n"))

    def text(self):
        return "\n".join(self.lines)

    def join(self):
        self.thread.join(DEADLINE)
        self.stream.close()


class Weir:
    """One weir. config is a configuration without [weir], to which that
    section is added from keys; or None where args say it all."""

    def __init__(self, folder, config=None, args=(), env=None, keys=None,
                 setup=None, wrap=True, cwd=None, raw=False, launcher=(),
                 close_fds=True, stdin=subprocess.DEVNULL, program=PROGRAM):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.control_path = str(self.folder / "control.sock")
        self.pid_path = str(self.folder / "pid")
        self.config_path = str(self.folder / "weir.conf")
        self.keys = {"control": self.control_path, "pid_file": self.pid_path,
                     "drain_timeout": "2s", **(keys or {})}
        self.sockets = []
        self.copies = []
        self.process = None
        self.status = None
        self.base = None
        self.names = []
        args = [str(a) for a in args]
        if config is not None:
            if not raw:
                section = "".join(f"{k} = {v}\n" for k, v in self.keys.items()
                                  if v is not None)
                config = f"[weir]\n{section}\n{config}"
            self.write_config(config)
            self.names = re.findall(r"^\[listener ([^]]+)\]", config, re.M)
            args = ["-c", self.config_path, *args]
        else:
            first = [x for k, v in self.keys.items() if v is not None
                     for x in ("-o", f"{k}={v}")]
            self.names = [f"cli{i + 1}" for i in range(args.count("-l"))]
            args = [*first, *args]
        self.command = [*launcher, *(WRAP if wrap else ()), built(program),
                        *args]
        self.env = environment(env)
        self.setup = setup
        self.cwd = cwd
        self.close_fds = close_fds
        self.stdin = stdin

    def write_config(self, text):
        with open(self.config_path, "w") as f:
            f.write(text)

    def spawn(self):
        self.process = subprocess.Popen(
            self.command, stdin=self.stdin, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=self.env, preexec_fn=self.setup,
            cwd=self.cwd or self.folder, close_fds=self.close_fds)
        self.err = Lines(self.process.stderr)
        self.out = Lines(self.process.stdout)
        return self

    def start(self):
        """Start, and return once every listener is bound."""
        self.spawn()
        eventually(self.ready, f"{self.command}: ready\n{self.tail()}")
        self.base = self.descriptors()
        return self

    def tail(self):
        return self.err.text()[-4000:]

    def ready(self):
        if self.process.poll() is not None:
            self.err.join()
            raise AssertionError(
                f"ended with {self.process.returncode} at start:\n{self.tail()}")
        if self.keys.get("pid_file"):
            try:
                if not pathlib.Path(self.keys["pid_file"]).read_text().strip():
                    return False
            except FileNotFoundError:
                return False
        if not self.names:  # of one whose log cannot be read
            return True
        # Listeners are told one by one, and read so: "ready" comes after all.
        return (self.log_find(r' ready version=|"message": ?"ready"')
                and all(self.addresses(n) for n in self.names))

    # ---- its log ----

    def log_lines(self):
        """The log: stderr, or the file it was told to write."""
        log = str(self.keys.get("log") or "")
        if log.startswith("file:") and log != "file:/dev/full":
            try:
                with open(log[5:], errors="replace") as f:
                    return f.read().splitlines()
            except FileNotFoundError:
                return []
        return list(self.err.lines)

    def log_find(self, pattern):
        return [x for x in self.log_lines() if re.search(pattern, x)]

    def wait_log(self, pattern, count=1):
        return eventually(
            lambda: (lambda x: x if len(x) >= count else None)(
                self.log_find(pattern)),
            f"log line /{pattern}/ x{count} in:\n{self.tail()}")

    def addresses(self, name):
        """Where a listener is bound, as the log tells."""
        found = []
        for line in self.log_lines():
            if line.startswith("{"):
                fields = json.loads(line)
                if fields.get("message") != "listening":
                    continue
            elif "listening listener=" in line:
                fields = parse_fields(line)
            else:
                continue
            if fields.get("listener") == name:
                found.append(fields["address"])
        return found

    def address(self, name=None, index=0):
        return self.addresses(name or self.names[0])[index]

    def port(self, name=None, index=0):
        return split_address(self.address(name, index))[1][1]

    def access(self, count=1):
        """The access log's lines, once there are so many."""
        def lines():
            found = []
            for line in self.log_lines():
                if line.startswith("{"):
                    fields = json.loads(line)
                else:
                    fields = parse_fields(line)
                if "end" in fields and "bytes_in" in fields:
                    found.append(fields)
            return found if len(found) >= count else None
        return eventually(lines, f"{count} lines of access log in:\n"
                          + "\n".join(self.log_lines()))

    # ---- clients ----

    def connect(self, name=None, index=0, source=None, address=None,
                timeout=None):
        family, to = reachable(address or self.address(name, index))
        s = socket.socket(family)
        s.settimeout(timeout or DEADLINE)
        if source:
            s.bind((source, 0))
        s.connect(to)
        self.sockets.append(s)
        return s

    # ---- control ----

    def ctl_raw(self, data, count=1, half_close=False):
        """Send bytes to the control socket; the answers as objects."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(self.control_path)
            s.sendall(data)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            f = s.makefile("rb")
            return [json.loads(f.readline()) for _ in range(count)]

    def ctl(self, request):
        answer = self.ctl_raw(request.encode() + b"\n")[0]
        assert answer["ok"] is True, answer
        return answer["data"]

    def ctl_error(self, request):
        answer = self.ctl_raw(request.encode() + b"\n")[0]
        assert answer["ok"] is False, answer
        assert answer["error"]
        return answer["error"]

    def listener(self, name=None):
        name = name or self.names[0]
        return next(x for x in self.ctl("listeners") if x["name"] == name)

    def connections(self):
        return self.ctl("connections")

    def wait_figures(self, name=None, **want):
        """Wait until the figures of a listener are these; returns them all."""
        seen = {}

        def same():
            seen.update(self.listener(name))
            return all(seen[k] == v for k, v in want.items())
        try:
            eventually(same, "figures")
        except AssertionError:
            got = {k: seen.get(k) for k in want}
            raise AssertionError(f"figures: wanted {want}, got {got}") from None
        return seen

    def weirctl(self, *args, check=True):
        r = subprocess.run([built(CTL), "-s", self.control_path, *args],
                           env=environment(), capture_output=True, text=True,
                           timeout=DEADLINE)
        if check:
            assert r.returncode == 0, (r.stdout, r.stderr)
        return r

    # ---- the process ----

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process.poll() is None

    def descriptors(self):
        """{fd: what it is} of the process."""
        found = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found[int(fd)] = os.readlink(f"/proc/{self.pid}/fd/{fd}")
        return found

    def rss(self):
        """Resident memory, in bytes."""
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1]) * 1024

    def cpu_ticks(self):
        with open(f"/proc/{self.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    def kernel_sockets(self):
        """Copies of the process's sockets, to look at their options."""
        libc = ctypes.CDLL(None, use_errno=True)
        copies = []
        pidfd = os.pidfd_open(self.pid)
        for fd, what in sorted(self.descriptors().items()):
            if not what.startswith("socket:"):
                continue
            copy = libc.syscall(438, pidfd, fd, 0)  # pidfd_getfd
            if copy < 0 and ctypes.get_errno() == errno.EBADF:
                continue  # it has been closed meanwhile: weirctl's, say
            if copy < 0:
                raise OSError(ctypes.get_errno(), "pidfd_getfd")
            copies.append(socket.socket(fileno=copy))
        os.close(pidfd)
        self.copies.extend(copies)
        return copies

    def kernel_listener(self, name=None):
        """A copy of the listening socket of a listener."""
        family, address = split_address(self.address(name))
        return next(s for s in self.kernel_sockets() if s.family == family
                    and s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                    and s.getsockname()[:2] == address)

    # ---- its end ----

    def send_signal(self, number):
        os.kill(self.pid, number)

    def wait(self, status=0, deadline=None):
        """Wait for its end, which must be clean."""
        try:
            self.status = self.process.wait(deadline or DEADLINE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still runs:\n{self.tail()}") from None
        self.err.join()
        self.out.join()
        report = SANITIZER_REPORT.search(self.err.text())
        assert not report, self.err.text()
        assert self.status == status, (
            f"ended with {self.status}, not {status}:\n{self.tail()}")
        return self

    def no_leak(self):
        """Every descriptor that connections took has been given back. Kernel
        pipes may be kept for the next bulk transfer, a few of them."""
        def settled():
            now = self.descriptors()
            extra = [w for fd, w in now.items() if not w.startswith("pipe:")]
            base = [w for w in self.base.values() if not w.startswith("pipe:")]
            pipes = len(now) - len(extra)
            base_pipes = len(self.base) - len(base)
            return len(extra) <= len(base) and pipes <= base_pipes + 64
        eventually(settled, f"descriptors back at {self.base}: "
                   f"{self.descriptors()}")

    def stop(self, signum=signal.SIGTERM, status=0):
        for s in (*self.sockets, *self.copies):
            s.close()
        self.sockets.clear()
        self.copies.clear()
        if self.alive():
            self.send_signal(signum)
        return self.wait(status)

    def finish(self):
        """At the end of a test: a weir that still runs has lost nothing and
        stops cleanly."""
        if self.process is None or self.status is not None:
            return
        # With a reset, as a FIN alone ends no connection on both sides.
        for s in self.copies:
            s.close()
        for s in self.sockets:
            reset(s)
        self.copies.clear()
        self.sockets.clear()
        try:
            if self.alive():
                if self.base is not None:
                    self.no_leak()
                self.send_signal(signal.SIGTERM)
            self.wait()
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()


# ---- peers ----

class Backend:
    """A server of ours: each connection is given to handler(conn) in a thread
    of its own. Without a handler nothing is done with it."""

    def __init__(self, handler=None, host="127.0.0.1", path=None, backlog=128,
                 port=0):
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
            self.at = None
        else:
            self.listener = socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.at = self.listener.getsockname()
            port = self.at[1]
            self.address = (f"[{host}]:{port}" if ":" in host
                            else f"{host}:{port}")
            self.port = port
        self.listener.listen(backlog)
        self.handler = handler
        self.connections = []
        self.peers = []
        self.errors = []
        self.threads = []
        self.closed = False
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                conn, peer = self.listener.accept()
            except OSError:
                return
            conn.settimeout(DEADLINE)
            self.peers.append(peer)
            self.connections.append(conn)
            if self.handler:
                t = threading.Thread(target=self.run, args=(conn,), daemon=True)
                self.threads.append(t)
                t.start()

    def run(self, conn):
        try:
            self.handler(conn)
        except OSError as e:
            self.errors.append(e)

    def wait(self, index=0):
        """The connection of that number, once it is there."""
        eventually(lambda: len(self.connections) > index,
                   f"connection {index} at the backend")
        return self.connections[index]

    def hold(self):
        """Who knocks on is refused: the port stays bound until we are gone, as
        another test beside this one would get it. One that shares it with us
        may listen."""
        if self.at is None:
            return
        self.holder = socket.socket(self.listener.family)
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            self.holder.bind(self.at)

    def close(self):
        if self.closed:
            return
        self.closed = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hold()
        for c in self.connections:
            with contextlib.suppress(OSError):
                c.shutdown(socket.SHUT_RDWR)
            c.close()
        self.accepting.join(DEADLINE)
        for t in self.threads:
            t.join(DEADLINE)


class Blackhole:
    """An address that never answers: a listening socket whose queue is full,
    so that the kernel drops what else comes."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.fillers = []
        for _ in range(16):
            s = socket.socket()
            s.settimeout(0.1)
            self.fillers.append(s)
            try:
                s.connect(("127.0.0.1", self.port))
            except TimeoutError:
                return
        raise AssertionError("the queue of a listening socket never fills")

    def close(self):
        for s in (*self.fillers, self.listener):
            s.close()


def echo(conn):
    while data := conn.recv(65536):
        conn.sendall(data)
    conn.shutdown(socket.SHUT_WR)


def answer_at_end(conn):
    """Read until the client's end, and only then send it all back."""
    data = read_all(conn)
    conn.sendall(data)
    conn.close()


def read_all(conn):
    """Everything up to the peer's FIN."""
    parts = []
    while data := conn.recv(262144):
        parts.append(data)
    return b"".join(parts)


def read_exactly(conn, count):
    parts = []
    while count:
        data = conn.recv(min(count, 262144))
        assert data, f"ended {count} bytes too early"
        parts.append(data)
        count -= len(data)
    return b"".join(parts)


def reset(conn):
    """Close with a TCP reset."""
    if conn.fileno() >= 0:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                        struct.pack("ii", 1, 0))
        conn.close()


def is_reset(conn):
    """Whether the peer's end was a reset (else it was a FIN)."""
    try:
        while conn.recv(65536):
            pass
        return False
    except ConnectionResetError:
        return True


def ended(conn):
    """The peer has ended it, in one way or the other; nothing came before."""
    try:
        return conn.recv(65536) == b""
    except (ConnectionResetError, BrokenPipeError):
        return True


def fill(conn, limit=1 << 30):
    """Send until nobody takes any more for a while; how much was taken."""
    block = b"x" * 262144
    sent = 0
    old = conn.gettimeout()
    conn.settimeout(0.5 * SCALE)
    try:
        while sent < limit:
            sent += conn.send(block[:limit - sent])
    except TimeoutError:
        pass
    finally:
        conn.settimeout(old)
    return sent


def pattern(count, seed=1):
    """Bytes that are no repetition of a block, so that a piece that is lost,
    doubled or out of place shows."""
    words = (count + 3) // 4
    import array
    a = array.array("I", range(seed * 2654435761 % 1000003,
                               seed * 2654435761 % 1000003 + words))
    return a.tobytes()[:count]


class Reader(threading.Thread):
    """Reads a socket to its end in the background."""

    def __init__(self, conn):
        super().__init__(daemon=True)
        self.conn = conn
        self.data = b""
        self.error = None
        self.start()

    def run(self):
        try:
            self.data = read_all(self.conn)
        except OSError as e:
            self.error = e

    def result(self):
        self.join(DEADLINE * 3)
        assert not self.is_alive(), "the end never came"
        if self.error:
            raise self.error
        return self.data


def run(command, **kw):
    """Run a peer to its end."""
    kw.setdefault("timeout", 3 * DEADLINE)
    kw.setdefault("capture_output", True)
    return subprocess.run([str(c) for c in command], **kw)


def weir_once(*args, env=None, stdin=None, setup=None, cwd=None):
    """Run weir to its end: -t, -T, -V and command lines that are wrong."""
    r = subprocess.run([*WRAP, built(PROGRAM), *map(str, args)],
                       capture_output=True, text=True, timeout=DEADLINE,
                       errors="surrogateescape",
                       env=environment(env), input=stdin, preexec_fn=setup,
                       cwd=cwd)
    assert not SANITIZER_REPORT.search(r.stderr), r.stderr
    return r


def socket_mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)
