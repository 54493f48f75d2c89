"""The proxies that bench/compare.py and bench/instructions know: how each is
started to forward one port to another, and how it tells its version."""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

BACKLOG = 4096
PROXYD = "/lib/systemd/systemd-socket-proxyd"
STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port, process, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port}")


def family(pid):
    """The process and all that it has started."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(name))
    found, left = [], [pid]
    while left:
        found.append(left.pop())
        left += parents.get(found[-1], [])
    return found


class Running:
    """A program on a port; gone, with all it has started, after the with."""

    def __init__(self, argv, port, folder):
        with open(os.path.join(folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        self.port = port
        try:
            wait_for(port, self.process)
        except RuntimeError:
            self.stop()
            raise

    def pids(self):
        return family(self.process.pid)

    def cpu(self):
        """Seconds of processor time so far."""
        ticks = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat") as f:
                    values = f.read().rsplit(")", 1)[1].split()
            except OSError:
                continue
            ticks += sum(int(v) for v in values[11:15])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self):
        """User memory in KiB, shared pages in proportion."""
        total = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    total += int(re.search(r"Pss:\s+(\d+)", f.read())[1])
            except (OSError, TypeError):
                continue
        return total

    def stop(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as f:
        f.write(text)
    return path


# Each: (what, folder, port, target, workers, pem) -> the command. pem is None,
# or a file with a certificate and its key: then it terminates TLS.

def weir(program, folder, port, target, workers, pem):
    tls = f"tls = on\ntls_certificate = {pem}\n" if pem else ""
    return [program, "-q", "-c", write(folder, "weir.conf", f"""[weir]
workers = {workers}
control = off
max_connections = 9000
[listener bench]
listen = 127.0.0.1:{port}
mode = forward
backlog = {BACKLOG}
upstream = 127.0.0.1:{target}
{tls}""")]


def bound(program, folder, port, target, workers, pem):
    return [program, str(port), str(target), str(workers)]


def haproxy(program, folder, port, target, workers, pem, splice=True):
    return [program, "-db", "-f", write(folder, "haproxy.cfg", f"""global
    maxconn 4500
    nbthread {workers}
defaults
    mode tcp
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    {"option splice-auto" if splice else ""}
listen bench
    bind 127.0.0.1:{port} backlog {BACKLOG} {f"ssl crt {pem}" if pem else ""}
    server s 127.0.0.1:{target}
""")]


def haproxy_copy(*args):
    return haproxy(*args, splice=False)


def nginx(program, folder, port, target, workers, pem):
    module = f"load_module {STREAM};" if os.path.exists(STREAM) else ""
    ssl = (f"ssl_certificate {pem}; ssl_certificate_key {pem};" if pem else "")
    return [program, "-p", folder, "-c", write(folder, "nginx.conf", f"""{module}
daemon off; worker_processes {workers}; pid {folder}/pid;
error_log {folder}/error.log; worker_rlimit_nofile 20000;
events {{ worker_connections 9000; }}
stream {{ server {{
  listen 127.0.0.1:{port} {"ssl" if pem else ""} backlog={BACKLOG};
  proxy_pass 127.0.0.1:{target}; proxy_timeout 300s; {ssl}
}} }}
""")]


def rinetd(program, folder, port, target, workers, pem):
    return [program, "-f", "-c", write(
        folder, "rinetd.conf", f"127.0.0.1 {port} 127.0.0.1 {target}\n")]


def systemd(program, folder, port, target, workers, pem):
    return ["systemd-socket-activate", "-l", f"127.0.0.1:{port}", program,
            "-c", "9000", f"127.0.0.1:{target}"]


def socat(program, folder, port, target, workers, pem):
    return [program, "-b65536", f"TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,"
            f"fork,backlog={BACKLOG}", f"TCP:127.0.0.1:{target}"]


def node(program, folder, port, target, workers, pem):
    return [program, write(folder, "proxy.js", f"""
const net = require('net');
const options = {{allowHalfOpen: true, noDelay: true}};
net.createServer(options, client => {{
  const server = net.connect({{...options, port: {target}, host: '127.0.0.1'}});
  client.pipe(server).pipe(client);
  client.on('error', () => server.destroy());
  server.on('error', () => client.destroy());
}}).listen({{port: {port}, host: '127.0.0.1', backlog: {BACKLOG}}});
""")]


def stunnel(program, folder, port, target, workers, pem):
    return [program, write(folder, "stunnel.conf", f"""foreground = yes
pid =
debug = err
[bench]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{target}
cert = {pem}
""")]


def hitch(program, folder, port, target, workers, pem):
    return [program, f"--workers={workers}", f"--backlog={BACKLOG}", "--quiet",
            f"--frontend=[127.0.0.1]:{port}", f"--backend=[127.0.0.1]:{target}",
            "--user=nobody", pem]


# name: (program, how it is started, flags that make it tell its version). Those
# without a program are ours; bound is no proxy, but what forwarding costs at
# the least (bench/bound.c).
PROXIES = {
    "weir": (None, weir, ["-V"]),
    "bound": (None, bound, None),
    "haproxy": ("haproxy", haproxy, ["-v"]),
    "haproxy-copy": ("haproxy", haproxy_copy, ["-v"]),
    "nginx": ("nginx", nginx, ["-v"]),
    "rinetd": ("rinetd", rinetd, ["--version"]),
    "systemd": (PROXYD, systemd, ["--version"]),
    "socat": ("socat", socat, ["-V"]),
    "node": ("node", node, ["--version"]),
}
TLS_PROXIES = {
    "weir": (None, weir, ["-V"]),
    "haproxy": ("haproxy", haproxy, ["-v"]),
    "nginx": ("nginx", nginx, ["-v"]),
    "stunnel": ("stunnel4", stunnel, ["-version"]),
    "hitch": ("hitch", hitch, ["--version"]),
}


def find(table, name, own):
    """The program's path, or None where it is not installed; own has the paths
    of ours."""
    return shutil.which(table[name][0] or own[name])


def version(program, flags):
    if flags is None:
        return "of ours"
    out = subprocess.run([program, *flags], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                         text=True, check=False).stdout
    for line in out.splitlines():
        found = re.search(r"\d+\.\d[\w.+~-]*|\b\d{3}\b", line)
        if found:
            return found[0]
    return "?"


def make_pem(folder):
    """A certificate of its own and the key, in one file."""
    key, pem = os.path.join(folder, "key"), os.path.join(folder, "pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-keyout", key, "-out", pem],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(key) as f, open(pem, "a") as out:
        out.write(f.read())
    os.chmod(pem, 0o644)
    return pem
