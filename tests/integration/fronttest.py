"""What the tests of PROXY headers, hellos and TLS share: headers and hellos as
bytes, certificates, and both ends of TLS."""

import contextlib
import shutil
import socket
import ssl
import struct

from weirtest import DEADLINE, Backend, eventually, free_port, run

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


# ---- PROXY headers ----

def v1(source="192.0.2.1", destination="198.51.100.2", from_port=56324,
       to_port=443):
    family = "TCP6" if ":" in source else "TCP4"
    return (f"PROXY {family} {source} {destination} {from_port} {to_port}\r\n"
            ).encode()


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v2(source="192.0.2.1", destination="198.51.100.2", from_port=56324,
       to_port=443, tlvs=b"", command=0x21):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    body = (socket.inet_pton(family, source)
            + socket.inet_pton(family, destination)
            + struct.pack("!HH", from_port, to_port) + tlvs)
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body)) + body


def read_v2(conn):
    """A header of version 2 as (source, destination, {type: value}), where
    nothing is read of what stands behind it."""
    fixed = read_exactly(conn, 16)
    assert fixed[:12] == SIGNATURE and fixed[12] == 0x21, fixed
    body = read_exactly(conn, struct.unpack("!H", fixed[14:])[0])
    if fixed[13] == 0x31:
        ends = [body[i:i + 108].rstrip(b"\0").decode() for i in (0, 108)]
        rest = body[216:]
    elif fixed[13] in (0x11, 0x21):
        n, family = {0x11: (4, socket.AF_INET),
                     0x21: (16, socket.AF_INET6)}[fixed[13]]
        ports = struct.unpack("!HH", body[2 * n:2 * n + 4])
        ends = [(socket.inet_ntop(family, body[i * n:(i + 1) * n]), ports[i])
                for i in (0, 1)]
        rest = body[2 * n + 4:]
    else:
        return None, None, {}
    return ends[0], ends[1], read_tlvs(rest)


def read_tlvs(data):
    found = {}
    while data:
        kind, n = struct.unpack("!BH", data[:3])
        found[kind] = data[3:3 + n]
        data = data[3 + n:]
    return found


def read_exactly(conn, count):
    data = b""
    while len(data) < count:
        more = conn.recv(count - len(data))
        assert more, f"ended after {data!r}"
        data += more
    return data


def read_line(conn):
    data = b""
    while not data.endswith(b"\n"):
        more = conn.recv(1)
        assert more, f"ended after {data!r}"
        data += more
    return data


# ---- hellos ----

def client_hello(name=None, alpn=()):
    """What a client would send first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def records(message, each):
    """A message cut into records of so many bytes."""
    return b"".join(b"\x16\x03\x01" + struct.pack("!H", len(part)) + part
                    for part in (message[i:i + each]
                                 for i in range(0, len(message), each)))


def made_hello(name):
    """A hello with whatever name, the sort that no library makes."""
    entry = struct.pack("!BH", 0, len(name)) + name
    lists = struct.pack("!H", len(entry)) + entry
    extension = struct.pack("!HH", 0, len(lists)) + lists
    body = (b"\x03\x03" + bytes(32) + b"\0" + b"\0\2\x13\x01" + b"\1\0"
            + struct.pack("!H", len(extension)) + extension)
    return records(b"\1" + struct.pack("!I", len(body))[1:] + body, 16384)


# ---- certificates ----

class Authority:
    """A CA, and what it signs, as files in a folder."""

    def __init__(self, folder):
        self.folder = folder
        self.signed = {}
        self.path = str(folder / "ca.pem")
        self.openssl("req", "-x509", *self.key("ca"), "-subj", "/CN=test ca",
                     "-days", "2", "-out", self.path)

    def openssl(self, *args):
        r = run(["openssl", *args], cwd=self.folder)
        assert r.returncode == 0, r.stderr.decode()

    def key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                "-nodes", "-keyout", str(self.folder / f"{name}.key"))

    def sign(self, name, *names):
        """(certificate, key) for a CN and DNS names or IP addresses."""
        if (name, names) in self.signed:
            return self.signed[name, names]
        alt = ",".join(("IP:" if n[0].isdigit() else "DNS:") + n
                       for n in names or (name,))
        names = (name, names)
        name = f"{len(self.signed)}-{name}"
        path = self.folder / f"{name}.pem"
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={alt}\n")
        self.openssl("req", "-new", *self.key(name), "-subj", f"/CN={names[0]}",
                     "-out", f"{name}.csr")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-days", "1",
                     "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                     "-extfile", f"{name}.ext", "-out", str(path))
        self.signed[names] = str(path), str(self.folder / f"{name}.key")
        return self.signed[names]


def client_context(ca=None, certificate=None, alpn=(), least=None, most=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if least:
        context.minimum_version = least
    if most:
        context.maximum_version = most
    return context


def server_context(certificate, ca=None, alpn=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if ca:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class TlsBackend(Backend):
    """A server that speaks TLS and echoes. It keeps what it learned of each
    client in seen: {"sni", "alpn", "reused", "header", "peer"}."""

    def __init__(self, context, before=None, host="127.0.0.1"):
        self.seen = []
        self.context = context
        self.before = before
        context.sni_callback = self.on_sni
        super().__init__(self.serve, host=host)

    @staticmethod
    def on_sni(conn, name, context):
        conn.sni = name

    def serve(self, conn):
        header = self.before(conn) if self.before else None
        with self.context.wrap_socket(conn, server_side=True,
                                      suppress_ragged_eofs=True) as tls:
            peer = tls.getpeercert() if self.context.verify_mode else None
            self.seen.append({
                "sni": getattr(tls, "sni", None),
                "alpn": tls.selected_alpn_protocol(), "cipher": tls.cipher()[0],
                "reused": tls.session_reused, "header": header, "peer": peer})
            with contextlib.suppress(ssl.SSLError):
                while data := tls.recv(65536):
                    tls.sendall(data)


def echoes(conn, text=b"over there"):
    conn.sendall(text)
    return read_exactly(conn, len(text)) == text


# ---- other programs ----

def has(program):
    return shutil.which(program) is not None


def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def start_haproxy(spawn, folder, text):
    """HAProxy with what comes behind its global section; {p0}, {p1}, ... are
    ports, the list of which is returned. It is up when p0 is."""
    count = 1
    while "{p%d}" % count in text:
        count += 1
    ports = [free_port() for _ in range(count)]
    for i, port in enumerate(ports):
        text = text.replace("{p%d}" % i, str(port))
    path = folder / "haproxy.cfg"
    path.write_text("defaults\n  timeout connect 5s\n  timeout client 30s\n"
                    "  timeout server 30s\n" + text)
    process = spawn(["haproxy", "-db", "-f", path])
    eventually(lambda: listens(ports[0]) or process.poll() is not None,
               "haproxy listens")
    assert process.poll() is None, process.stdout.read().decode()
    return ports


def start_nginx(spawn, folder, text):
    """nginx with a stream {} or http {} block, likewise."""
    count = 1
    while "{p%d}" % count in text:
        count += 1
    ports = [free_port() for _ in range(count)]
    for i, port in enumerate(ports):
        text = text.replace("{p%d}" % i, str(port))
    path = folder / "nginx.conf"
    module = "/usr/lib/nginx/modules/ngx_stream_module.so"
    path.write_text(f"load_module {module};\n" * text.startswith("stream")
                    + f"daemon off;\nmaster_process off;\npid {folder}/n.pid;\n"
                    f"error_log stderr;\nevents {{}}\n{text}")
    process = spawn(["nginx", "-p", folder, "-e", "stderr", "-c", path])
    eventually(lambda: listens(ports[0]) or process.poll() is not None,
               "nginx listens")
    assert process.poll() is None, process.stdout.read().decode()
    return ports


def get(address, path="/", sock=None):
    """The body of an answer to a plain HTTP request."""
    with sock or socket.create_connection(address, DEADLINE) as s:
        s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        data = b""
        while more := s.recv(65536):
            data += more
    assert b" 200 " in data[:20], data
    return data.partition(b"\r\n\r\n")[2].decode().strip()
