"""Where weir listens: every form of ADDRESS, and the options of sockets."""

import contextlib
import os
import signal
import socket
import stat
import subprocess
import threading

import pytest

from weirtest import (DEADLINE, built, ended, eventually, free_port, free_range,
                      has_ipv6, is_root, read_exactly, run, socket_mode, PROGRAM)

needs_root = pytest.mark.skipif(not is_root(), reason="needs root")


def listener(*listen, more="", name="a"):
    lines = "".join(f"listen = {x}\n" for x in listen)
    return f"[listener {name}]\nmode = echo\n{lines}{more}"


def works(w, address=None, **kw):
    c = w.connect(address=address, **kw)
    c.sendall(b"ping")
    assert read_exactly(c, 4) == b"ping"
    c.close()


def refused(host, port):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as s:
        s.settimeout(DEADLINE)
        return s.connect_ex((host, port)) != 0


# ---- TCP ----

@pytest.mark.valgrind
def test_port_0_is_told_in_the_log_and_by_control(weir):
    w = weir(listener("127.0.0.1:0"))
    assert w.port() != 0
    assert w.listener()["addresses"] == [f"127.0.0.1:{w.port()}"]
    works(w)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
@pytest.mark.parametrize("form", ["*:{}", ":{}"])
def test_the_any_address_is_both_families(weir, form):
    w = weir(listener(form.format(0)))
    works(w, f"127.0.0.1:{w.port()}")
    works(w, f"[::1]:{w.port()}")


def test_0_0_0_0_is_ipv4_alone(weir):
    w = weir(listener("0.0.0.0:0"))
    assert w.address().startswith("0.0.0.0:")
    works(w, f"127.0.0.1:{w.port()}")
    assert refused("::1", w.port())


@pytest.mark.parametrize("only", ["no", "yes"])
def test_ipv6_only(weir, only):
    w = weir(listener("[::]:0", more=f"ipv6_only = {only}\n"))
    works(w, f"[::1]:{w.port()}")
    if only == "yes":
        assert refused("127.0.0.1", w.port())
    else:
        works(w, f"127.0.0.1:{w.port()}")


def test_a_name_binds_every_address_it_resolves_to(weir):
    w = weir(listener("localhost:0"))
    want = {i[4][0] for i in socket.getaddrinfo("localhost", 0,
                                                type=socket.SOCK_STREAM)}
    eventually(lambda: len(w.addresses("a")) == len(want), "all its addresses")
    hosts = {x.rpartition(":")[0].strip("[]") for x in w.addresses("a")}
    assert hosts == want
    for i in range(len(want)):
        works(w, w.addresses("a")[i])


def test_a_name_that_is_not_known_is_a_failure_at_start(make):
    w = make(listener("no-such-host.invalid:0")).spawn()
    w.wait(1, deadline=DEADLINE * 4)
    assert w.log_find("no-such-host.invalid")


@needs_root
def test_without_ipv6_localhost_and_any_are_ipv4(make, folder):
    launcher = ["unshare", "-n", "sh", "-c",
                "ip link set lo up && "
                "sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && exec \"$@\"",
                "sh"]
    w = make(listener("localhost:0", "*:0")
             + listener(f"unix:{folder}/u", name="u"), launcher=launcher)
    w.start()
    hosts = [x.rpartition(":")[0] for x in sorted(w.addresses("a"))]
    # The kernel may still have [::] itself, for IPv4.
    assert hosts in (["0.0.0.0", "127.0.0.1"], ["127.0.0.1", "[::]"])
    works(w, w.address("u"))
    for address in w.addresses("a"):
        r = run(["nsenter", "-t", w.pid, "-n", "nc", "-N", "127.0.0.1",
                 address.rpartition(":")[2]], input=b"ping")
        assert r.stdout == b"ping"


def test_a_range_is_one_socket_each(weir):
    first = free_range(4)
    w = weir(listener(f"127.0.0.1:{first}-{first + 3}"))
    assert sorted(w.listener()["addresses"]) == [
        f"127.0.0.1:{p}" for p in range(first, first + 4)]
    for port in range(first, first + 4):
        works(w, f"127.0.0.1:{port}")


def test_several_addresses_of_all_kinds(weir, folder):
    w = weir(listener("127.0.0.1:0", "[::1]:0", f"unix:{folder}/a",
                      f"{folder}/b", f"unix:@{folder.name}"))
    assert len(w.addresses("a")) == 5
    for address in w.addresses("a"):
        works(w, address)
    assert w.listener()["accepted"] == 5


@pytest.mark.valgrind
def test_a_port_in_use_is_a_failure_with_its_address(make):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        w = make(listener(f"127.0.0.1:{port}")).spawn().wait(1)
    [line] = w.log_find(f"127.0.0.1:{port}")
    assert "in use" in line


def test_nothing_listens_where_one_of_many_fails(make, folder):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        make(listener(f"unix:{folder}/first", f"127.0.0.1:{port}")).spawn(
        ).wait(1)
    assert not (folder / "first").exists()
    assert not list(folder.glob("*/pid"))


def test_restarting_on_the_same_port_at_once_works(make):
    port = free_port()
    for _ in range(3):
        w = make(listener(f"127.0.0.1:{port}")).start()
        c = w.connect()
        c.sendall(b"x")
        assert c.recv(1) == b"x"
        w.send_signal(signal.SIGQUIT)  # weir ends first: TIME_WAIT is on its side
        assert ended(c)
        w.wait()


def test_bind_retry_waits_for_the_port(make):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        w = make(listener(f"127.0.0.1:{port}", more="bind_retry = 50ms\n"))
        w.spawn()
        w.wait_log("(?i)in use")
        assert w.alive()
        assert not os.path.exists(w.pid_path)
    eventually(w.ready, "it to have the port")
    w.base = w.descriptors()
    works(w)
    assert len(w.log_find("(?i)in use")) <= 20


def test_bind_retry_can_be_stopped(make):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        w = make(listener(f"127.0.0.1:{s.getsockname()[1]}",
                          more="bind_retry = 1h\n")).spawn()
        w.wait_log("(?i)in use")
        w.send_signal(signal.SIGTERM)
        w.wait(0)


@pytest.mark.parametrize("backlog", [None, 7])
def test_backlog(weir, backlog):
    w = weir(listener("127.0.0.1:0",
                      more=f"backlog = {backlog}\n" if backlog else ""))
    with open("/proc/sys/net/core/somaxconn") as f:
        want = min(backlog or 511, int(f.read()))
    r = subprocess.run(["ss", "-Hltn", f"sport = :{w.port()}"],
                       capture_output=True, text=True, check=True)
    assert r.stdout.split()[2] == str(want)


@pytest.mark.parametrize("key,level,option,want", [
    ("reuse_port", socket.SOL_SOCKET, socket.SO_REUSEPORT, 1),
    ("freebind", socket.IPPROTO_IP, 15, 1),
    ("fast_open", socket.IPPROTO_TCP, socket.TCP_FASTOPEN, None),
    ("defer_accept", socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, None),
])
def test_socket_options_are_set_and_by_default_not(weir, key, level, option,
                                                   want):
    w = weir(listener("127.0.0.1:0", more=f"{key} = yes\n", name="on")
             + listener("127.0.0.1:0", name="off"))
    value = w.kernel_listener("on").getsockopt(level, option)
    assert value == want if want is not None else value > 0
    assert w.kernel_listener("off").getsockopt(level, option) == 0


def test_so_reuseaddr_is_always_set(weir):
    w = weir(listener("127.0.0.1:0"))
    assert w.kernel_listener().getsockopt(socket.SOL_SOCKET,
                                          socket.SO_REUSEADDR)


@pytest.mark.parametrize("line,level,option,value", [
    ("transparent = yes", socket.IPPROTO_IP, 19, 1),
    ("mark = 42", socket.SOL_SOCKET, 36, 42),
    ("interface = lo", socket.SOL_SOCKET, 25, b"lo\0"),
])
def test_socket_options_that_need_a_privilege(make, line, level, option, value):
    with socket.socket() as s:
        try:
            s.setsockopt(level, option, value)
            may = True
        except PermissionError:
            may = False
    w = make(listener("127.0.0.1:0", more=line + "\n"))
    if not may:
        w.spawn().wait(1)
        assert w.log_find("(?i)not permitted|permission")
        return
    w.start()
    s = w.kernel_listener()
    got = (s.getsockopt(level, option, 16) if isinstance(value, bytes)
           else s.getsockopt(level, option))
    assert got == value
    works(w)


def test_freebind_binds_an_address_that_is_not_there_yet(weir, make):
    w = weir(listener("203.0.113.7:0", more="freebind = yes\n"))
    assert w.address().startswith("203.0.113.7:")
    make(listener("203.0.113.7:0")).spawn().wait(1)


def test_exclusive_works(weir):
    w = weir(listener("127.0.0.1:0", more="exclusive = yes\n"))
    works(w)


# ---- unix ----

@pytest.mark.valgrind
def test_a_socket_file_is_removed_at_the_end(weir, folder):
    path = folder / "s"
    w = weir(listener(f"unix:{path}"))
    works(w)
    assert stat.S_ISSOCK(path.stat().st_mode)
    w.stop()
    assert not path.exists()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGQUIT, signal.SIGINT])
def test_a_socket_file_is_removed_however_it_ends(weir, folder, how):
    path = folder / "s"
    w = weir(listener(f"unix:{path}"))
    w.stop(how)
    assert not path.exists()


@pytest.mark.valgrind
def test_a_stale_socket_file_is_replaced(make, folder):
    path = folder / "s"
    w = make(listener(f"unix:{path}")).start()
    w.process.kill()
    w.process.wait()
    w.status = -9
    assert path.exists()
    works(make(listener(f"unix:{path}")).start())


@pytest.mark.parametrize("backlog_full", [False, True])
def test_a_socket_file_in_use_is_an_error(make, folder, backlog_full):
    path = folder / "s"
    with contextlib.ExitStack() as stack:
        s = stack.enter_context(socket.socket(socket.AF_UNIX))
        s.bind(str(path))
        s.listen(0)
        if backlog_full:
            # Its owner is busy: that is no sign that nobody is there.
            c = stack.enter_context(socket.socket(socket.AF_UNIX))
            c.connect(str(path))
        inode = path.stat().st_ino
        w = make(listener(f"unix:{path}")).spawn().wait(1)
        assert path.stat().st_ino == inode
    assert w.log_find("in use")


def test_a_file_that_is_no_socket_is_an_error_and_stays(make, folder):
    path = folder / "precious"
    path.write_text("data")
    w = make(listener(f"unix:{path}")).spawn().wait(1)
    assert path.read_text() == "data"
    assert w.log_find("precious")


def test_a_folder_that_is_not_there(make, folder):
    w = make(listener(f"unix:{folder}/no/s")).spawn().wait(1)
    assert w.log_find("/no/s")


def test_a_path_too_long_for_a_socket_is_a_mistake(make, folder):
    w = make(listener(f"unix:{folder}/{'x' * 120}")).spawn()
    w.process.wait(DEADLINE)
    w.wait(w.process.returncode)
    assert w.status in (1, 2)
    assert w.log_find("x{50}|too long")


def test_only_its_own_socket_file_is_removed(weir, folder):
    path = folder / "s"
    w = weir(listener(f"unix:{path}"))
    path.rename(folder / "moved")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        w.stop()
        assert path.exists()


@pytest.mark.parametrize("mode,want", [(None, 0o660), ("0600", 0o600),
                                       ("0777", 0o777), ("666", 0o666)])
def test_unix_mode_whatever_the_umask(weir, folder, mode, want):
    path = folder / "s"
    weir(listener(f"unix:{path}",
                  more=f"unix_mode = {mode}\n" if mode else ""),
         setup=lambda: os.umask(0o027))
    assert socket_mode(path) == want


def test_unix_mode_is_set_before_anyone_can_connect(make, folder):
    path = folder / "s"
    seen = set()
    stop = threading.Event()

    def watch():
        while not stop.is_set():
            with contextlib.suppress(FileNotFoundError):
                with socket.socket(socket.AF_UNIX) as s:
                    if s.connect_ex(str(path)) == 0:
                        seen.add(socket_mode(path))
    t = threading.Thread(target=watch)
    t.start()
    try:
        for _ in range(5):
            w = make(listener(f"unix:{path}", more="unix_mode = 0600\n"),
                     setup=lambda: os.umask(0)).start()
            w.stop()
    finally:
        stop.set()
        t.join()
    assert seen <= {0o600}


@needs_root
def test_unix_user_and_group(weir, folder):
    path = folder / "s"
    weir(listener(f"unix:{path}", more="unix_user = nobody\n"
                  "unix_group = nogroup\n"))
    import grp
    import pwd
    st = path.stat()
    assert st.st_uid == pwd.getpwnam("nobody").pw_uid
    assert st.st_gid == grp.getgrnam("nogroup").gr_gid


def test_an_abstract_socket_in_use_is_an_error(make, folder):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("\0" + folder.name)
        s.listen()
        make(listener(f"unix:@{folder.name}")).spawn().wait(1)


# ---- inherited ----

def passing(*sockets):
    """Give these sockets to the program as descriptors 3, 4, ..."""
    def setup():
        copies = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(sockets)]
        for i, fd in enumerate(copies):
            os.dup2(fd, 3 + i, inheritable=True)
    return setup


@pytest.mark.parametrize("listening", [True, False])
@pytest.mark.parametrize("family", ["tcp", "unix"])
def test_fd_bound_and_listened_on_or_not(weir, folder, family, listening):
    if family == "unix":
        s = socket.socket(socket.AF_UNIX)
        s.bind(str(folder / "s"))
    else:
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
    with s:
        if listening:
            s.listen()
        w = weir(listener("fd:3"), setup=passing(s), close_fds=False)
        works(w)
        w.stop()
    if family == "unix":
        assert (folder / "s").exists(), "the file is not weir's to remove"


def test_fd_that_is_no_socket(make):
    w = make(listener("fd:0")).spawn().wait(1)
    assert w.log_find("fd:0")


def test_fd_that_is_not_open(make):
    w = make(listener("fd:77")).spawn().wait(1)
    assert w.log_find("fd:77")


def test_fd_that_is_a_datagram_socket(make):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        w = make(listener("fd:3"), setup=passing(s), close_fds=False)
        w.spawn().wait(1)
    assert w.log_find("fd:3")


SYSTEMD = ["sh", "-c", 'LISTEN_PID=$$; export LISTEN_PID; exec "$@"', "sh"]


def systemd(make, config, sockets, names, **kw):
    return make(config, setup=passing(*sockets), close_fds=False,
                launcher=SYSTEMD,
                env={"LISTEN_FDS": str(len(sockets)),
                     "LISTEN_FDNAMES": ":".join(names)}, **kw)


def bound(count):
    made = []
    for _ in range(count):
        s = socket.socket()
        s.bind(("127.0.0.1", 0))
        s.listen()
        made.append(s)
    return made, [s.getsockname()[1] for s in made]


@pytest.mark.valgrind
def test_systemd_sockets_by_name(make):
    sockets, ports = bound(3)
    w = systemd(make, listener("systemd:web") + listener("systemd:admin",
                                                         name="b"),
                sockets, ["web", "admin", "web"]).start()
    for s in sockets:
        s.close()
    assert sorted(w.listener("a")["addresses"]) == sorted(
        f"127.0.0.1:{p}" for p in (ports[0], ports[2]))
    assert w.listener("b")["addresses"] == [f"127.0.0.1:{ports[1]}"]
    for p in ports:
        works(w, f"127.0.0.1:{p}")


def test_systemd_without_a_name_is_all(make):
    sockets, ports = bound(2)
    w = systemd(make, listener("systemd:"), sockets, ["x", "y"]).start()
    for s in sockets:
        s.close()
    for p in ports:
        works(w, f"127.0.0.1:{p}")


def test_systemd_a_name_that_was_not_passed(make):
    sockets, _ = bound(1)
    w = systemd(make, listener("systemd:web"), sockets, ["other"])
    w.spawn().wait(1)
    assert w.log_find("web")
    sockets[0].close()


def test_systemd_sockets_for_another_process_are_not_taken(make):
    sockets, _ = bound(1)
    w = make(listener("systemd:"), setup=passing(*sockets), close_fds=False,
             env={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    w.spawn().wait(1)
    sockets[0].close()


def test_systemd_socket_activate(make, spawn, folder):
    port = free_port()
    w = make(listener("systemd:web"))
    p = spawn(["systemd-socket-activate", "-l", f"127.0.0.1:{port}",
               "--fdname=web", *[x for k in ("LD_LIBRARY_PATH",)
                                 for x in ("-E", f"{k}={w.env[k]}")],
               built(PROGRAM), "-c", w.config_path])
    eventually(lambda: not refused("127.0.0.1", port), "systemd to listen")
    with socket.create_connection(("127.0.0.1", port), DEADLINE) as c:
        c.sendall(b"activated")
        assert read_exactly(c, 9) == b"activated"
    p.send_signal(signal.SIGTERM)
    assert p.wait(DEADLINE) == 0
