"""The command line: what is typed, what is printed, which status comes back."""

import os
import re
import resource
import signal
import socket
import subprocess

import pytest

from weirtest import (DEADLINE, PROGRAM, TOP, built, environment,
                      eventually, free_port, is_root, public_copy, read_all, read_exactly,
                      weir_once)

ECHO = "[listener e]\nlisten = 127.0.0.1:0\nmode = echo\n"


def config(folder, text, name="c.conf"):
    path = folder / name
    path.write_text(text, errors="surrogateescape")
    return path


# ---- one-liners ----

@pytest.mark.valgrind
def test_listen_and_echo(make):
    w = make(None, ["-l", "127.0.0.1:0", "-e"]).start()
    c = w.connect("cli1")
    c.sendall(b"x")
    assert c.recv(1) == b"x"


def test_listen_and_forward_tries_in_order(make, backend):
    b = backend(lambda conn: conn.sendall(b"me"))
    w = make(None, ["-l", "127.0.0.1:0", "-f",
                    f"127.0.0.1:{free_port()},{b.address}"]).start()
    assert read_exactly(w.connect("cli1"), 2) == b"me"


def test_listen_and_pipe(make):
    w = make(None, ["-l", "127.0.0.1:0", "-P", "exec:/bin/echo hi"]).start()
    assert read_all(w.connect("cli1")) == b"hi\n"


@pytest.mark.valgrind
def test_each_listen_is_a_listener_with_its_options(make, folder):
    w = make(None, ["-l", "127.0.0.1:0", "-e", "-o", r"greeting=one\n",
                    "--listen", f"unix:{folder}/s", "--echo",
                    "--option", r"greeting=two\n"])
    w.names = ["cli1", "cli2"]
    w.start()
    assert read_exactly(w.connect("cli1"), 4) == b"one\n"
    assert read_exactly(w.connect("cli2"), 4) == b"two\n"
    assert [x["name"] for x in w.ctl("listeners")] == ["cli1", "cli2"]


def test_an_option_before_any_listen_is_of_weir(make, folder):
    w = make(None, ["-o", "log_format=json", "-l", "127.0.0.1:0", "-e"])
    w.start()
    assert all(x.startswith("{") for x in w.err.lines)


def test_an_option_goes_before_the_file(make):
    w = make(ECHO, ["-o", "log_format=json"], keys={"log_format": "text"})
    w.start()
    assert w.err.lines[-1].startswith("{")


def test_a_file_and_listeners_of_the_command_line_exclude_each_other(folder):
    r = weir_once("-c", config(folder, ECHO), "-l", "127.0.0.1:0", "-e")
    assert r.returncode == 2
    assert "-c" in r.stderr and "-l" in r.stderr


def test_configuration_from_standard_input(make, folder):
    r, wr = os.pipe()
    w = make(None, ["-c", "-"], stdin=r)
    os.write(wr, ECHO.encode())
    os.close(wr)
    w.names = ["e"]
    w.start()
    os.close(r)
    c = w.connect("e")
    c.sendall(b"x")
    assert c.recv(1) == b"x"


# ---- -t, -T ----

@pytest.mark.valgrind
def test_t_says_that_a_configuration_is_ok(folder):
    path = config(folder, "[weir]\nmax_connections = 100\n" + ECHO)
    r = weir_once("-t", "-c", path)
    assert r.returncode == 0
    said = r.stdout + r.stderr
    assert f"{path}: configuration ok" in said
    needs = re.search(r"needs (\d+) descriptors", said)
    assert needs and int(needs[1]) > 100, said


@pytest.mark.valgrind
def test_t_tells_every_mistake_with_file_and_line(folder):
    path = config(folder, "[weir]\nworker = 2\n\n[listener a]\nmode = ecko\n"
                  "listen = 127.0.0.1:99999\ntimeout = 10mm\n\n[listner b]\n")
    r = weir_once("-t", "-c", path)
    assert r.returncode == 2
    assert r.stdout == ""
    lines = r.stderr.splitlines()
    for number, word, near in ((2, "worker", "workers"), (5, "ecko", "echo"),
                               (6, "99999", ""), (7, "10mm", ""),
                               (9, "listner", "listener")):
        found = [x for x in lines if x.startswith(f"{path}:{number}: ")]
        assert len(found) == 1, (number, r.stderr)
        assert word in found[0] and near in found[0]
    # In the order of the file.
    numbers = [int(m[1]) for m in (re.match(rf"{path}:(\d+): ", x)
                                   for x in lines) if m]
    assert numbers == sorted(numbers)


def descriptors(limit):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def test_t_warns_where_the_limit_of_descriptors_is_lower(folder):
    path = config(folder, "[weir]\nmax_connections = 5000\n" + ECHO)
    r = weir_once("-t", "-c", path, setup=descriptors(1000))
    assert r.returncode == 0
    needs = [int(x) for x in re.findall(r"\d+", r.stderr)]
    assert 1000 in needs and any(5000 <= n < 30000 for n in needs)
    assert re.search("(?i)warning.*limit", r.stderr)


@pytest.mark.parametrize("keys", ["", "max_connections = 5000\n",
                                  "workers = 3\n"])
def test_t_says_where_the_limit_allows_no_start(folder, keys):
    path = config(folder, f"[weir]\ncontrol = off\n{keys}{ECHO}")
    r = weir_once("-t", "-c", path, setup=descriptors(100))
    assert r.returncode == 0
    few = int(re.search(r"warning: .* 100, allows no connection: weir will not "
                        r"start with fewer than (\d+);", r.stderr)[1])
    # And that is so.
    assert "allows no connection" not in weir_once(
        "-t", "-c", path, setup=descriptors(few)).stderr
    r = weir_once("-c", path, setup=descriptors(few - 1))
    assert r.returncode == 1
    assert f"needed={few}" in r.stderr


def test_t_opens_no_port_and_touches_nothing(folder):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        path = config(folder, "[weir]\npid_file = "
                      f"{folder}/pid\ncontrol = {folder}/ctl\nlog = file:"
                      f"{folder}/log\n[listener a]\nmode = echo\n"
                      f"listen = 127.0.0.1:{s.getsockname()[1]}\n"
                      f"listen = unix:{folder}/s\n")
        assert weir_once("-t", "-c", path).returncode == 0
    assert sorted(p.name for p in folder.iterdir()) == ["c.conf"]


def test_t_of_a_file_that_is_not_there(folder):
    r = weir_once("-t", "-c", folder / "none.conf")
    assert r.returncode == 2
    assert f"{folder}/none.conf" in r.stderr


def test_t_of_the_example(folder):
    r = weir_once("-t", "-c", TOP / "etc" / "weir.conf")
    assert r.returncode == 0, r.stderr


@pytest.mark.valgrind
def test_dump_is_a_configuration_with_the_same_meaning(folder):
    path = config(folder, f"""
[weir]
drain_timeout = 90s
log_format = json
[defaults]
timeout = 5m
deny = 10.0.0.0/8
[listener a]
listen = 127.0.0.1:8124
listen = unix:{folder}/a
mode = echo
greeting = he said \\"hi\\"; \\x00\\xff\\r\\n
allow = all
[listener b]
listen = *:8000-8009
mode = forward
upstream = 127.0.0.1:1
upstream = localhost:2
timeout = off
buffer = 1m
rate_in = 10k/s
[listener c]
listen = [::1]:9
mode = pipe
pipe = exec:/bin/echo 'a b' "c"
""")
    first = weir_once("-T", "-c", path)
    assert first.returncode == 0, first.stderr
    again = config(folder, first.stdout, "again.conf")
    second = weir_once("-T", "-c", again)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout
    assert weir_once("-t", "-c", again).returncode == 0
    sections = re.split(r"(?m)^(?=\[)", first.stdout)
    a = next(s for s in sections if s.startswith("[listener a]"))
    b = next(s for s in sections if s.startswith("[listener b]"))
    for key, value in (("timeout", "5m"), ("backlog", "511"),
                       ("buffer", "64k"), ("half_close_timeout", "5m"),
                       ("connect_timeout", "5s"), ("no_delay", "yes"),
                       ("keep_alive", "60s"), ("unix_mode", "0660"),
                       ("allow_half_open", "yes"), ("on_limit", "reject")):
        assert re.search(rf"(?m)^{key} = {value}$", a), (key, a)
    assert re.search(r"(?m)^timeout = (off|0)$", b)
    assert re.search(r"(?m)^rate_in = 10k/s$", b)
    assert "drain_timeout = 90s" in first.stdout


def test_a_dump_of_the_command_line_is_what_the_flags_stand_for(folder, make):
    r = weir_once("-T", "-o", "log_level=warn", "-l", "127.0.0.1:0", "-e",
                  "-o", r"greeting=hello\r\n", "-l", f"unix:{folder}/s", "-f",
                  "127.0.0.1:1,127.0.0.1:2")
    assert r.returncode == 0, r.stderr
    for text in ("[listener cli1]", "[listener cli2]", "mode = echo",
                 "mode = forward", "upstream = 127.0.0.1:1",
                 "upstream = 127.0.0.1:2", "log_level = warn"):
        assert text in r.stdout
    path = config(folder, r.stdout)
    assert weir_once("-T", "-c", path).stdout == r.stdout


def test_a_dump_with_mistakes_is_none(folder):
    r = weir_once("-T", "-c", config(folder, "[listener a]\nmode = echo\n"))
    assert r.returncode == 2
    assert r.stdout == ""


# ---- -V, -h, and what is wrong ----

@pytest.mark.valgrind
@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_version(flag):
    r = weir_once(flag)
    assert r.returncode == 0
    assert re.search(r"^weir \d+\.\d+", r.stdout)
    assert re.search(r"libevent 2\.1\.\d+", r.stdout)
    assert re.search(r"inih \S+", r.stdout)


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help(flag):
    r = weir_once(flag)
    assert r.returncode == 0
    for option in ("-c", "--config", "-t", "-T", "-l", "--listen", "-e", "-f",
                   "-P", "-o", "-d", "-p", "-v", "-q", "-V"):
        assert option in r.stdout, option


@pytest.mark.valgrind
@pytest.mark.parametrize("args", [
    ["--no-such-option"], ["-Z"], ["-l"], ["-e"], ["-f", "127.0.0.1:1"],
    ["-l", "127.0.0.1:0"], ["-l", "127.0.0.1:0", "-e", "-f", "127.0.0.1:1"],
    ["-l", "nonsense", "-e"], ["-l", "127.0.0.1:0", "-P", "nonsense"],
    ["-l", "127.0.0.1:0", "-e", "-o", "nonsense=1"],
    ["-l", "127.0.0.1:0", "-e", "-o", "timeout"],
    ["-l", "127.0.0.1:0", "-e", "-o", "timeout=x"],
    ["-o", "timeout=3s", "-l", "127.0.0.1:0", "-e"],
    ["-l", "127.0.0.1:0", "-e", "surplus"],
    ["-c", "/no/such/file.conf"],
    ["-w", "x", "-l", "127.0.0.1:0", "-e"],
])
def test_a_mistake_in_the_command_line_is_status_2(args):
    r = weir_once(*args)
    assert r.returncode == 2, (args, r.stderr)
    assert r.stderr.strip()
    assert r.stdout == ""


def test_a_key_that_is_almost_right_is_named(folder):
    r = weir_once("-l", "127.0.0.1:0", "-e", "-o", "timeuot=3s")
    assert "timeuot" in r.stderr and "timeout" in r.stderr.replace(
        "timeuot", "")


def test_no_listener_at_all_is_told(folder):
    r = weir_once("-t", "-c", config(folder, "[weir]\n"))
    assert "no listener" in r.stderr


# ---- -d, -p, -q, -v ----

def end_daemon(pid):
    os.kill(pid, signal.SIGTERM)

    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    eventually(gone, "the daemon to end")


@pytest.mark.parametrize("flags,log", [
    (["-d", "-p"], "stderr"), (["--daemon", "--pid-file"], "file:{}/log")])
def test_daemon_detaches_once_it_is_bound(folder, flags, log):
    pid_path = folder / "pid"
    path = config(folder, "[weir]\ncontrol = off\n"
                  f"log = {log.format(folder)}\n[listener e]\n"
                  f"listen = unix:{folder}/s\nmode = echo\n")
    r = subprocess.run([built(PROGRAM), "-c", path, flags[0], flags[1],
                        pid_path], env=environment(), timeout=DEADLINE,
                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE)
    assert r.returncode == 0, r.stderr
    pid = int(pid_path.read_text())
    try:
        # It was bound before the command came back.
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE)
            s.connect(f"{folder}/s")
            s.sendall(b"x")
            assert s.recv(1) == b"x"
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        assert int(fields[4]) == 0, "no terminal controls it"
        assert int(fields[3]) != os.getsid(0), "a session of its own"
        # Paths of the configuration may be relative.
        assert os.readlink(f"/proc/{pid}/cwd") == os.getcwd()
        assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"
    finally:
        end_daemon(pid)
    assert not pid_path.exists()
    assert not (folder / "s").exists()


def test_daemon_a_failure_to_bind_is_the_commands_status(folder):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        r = weir_once("-d", "-p", folder / "pid", "-o", "control=off", "-o",
                      f"log=file:{folder}/log", "-l",
                      f"127.0.0.1:{s.getsockname()[1]}", "-e")
    assert r.returncode == 1
    assert "in use" in r.stderr + (folder / "log").read_text()
    assert not (folder / "pid").exists()


def test_pid_file_holds_the_pid_and_is_removed(make):
    w = make(ECHO).start()
    with open(w.pid_path) as f:
        assert f.read() == f"{w.pid}\n"
    w.stop()
    assert not os.path.exists(w.pid_path)


def test_pid_file_of_a_dead_one_is_replaced(make, folder):
    (folder / "pid").write_text("999999999\n")
    w = make(ECHO, keys={"pid_file": str(folder / "pid")})
    w.spawn()
    w.wait_log("ready")
    assert (folder / "pid").read_text() == f"{w.pid}\n"


def test_pid_file_that_cannot_be_written(make, folder):
    make(ECHO, keys={"pid_file": f"{folder}/no/pid"}).spawn().wait(1)


def test_quiet_logs_errors_only(make):
    w = make(ECHO, ["-q"])
    w.names = []
    w.start()
    w.stop()
    assert not [x for x in w.err.lines if "info" in x.lower()]
    assert not w.addresses("e")


def test_verbose_logs_more(make):
    for flags, shown in (([], False), (["-v"], True)):
        w = make(ECHO, flags, keys={"log_level": "warn"})
        w.names = []
        w.start()
        w.stop()
        assert bool(w.addresses("e")) == shown


# ---- user, control ----

needs_root = pytest.mark.skipif(not is_root(), reason="needs root")


@needs_root
@pytest.mark.parametrize("group", [None, "daemon"])
def test_user_and_group_after_binding(make, folder, group):
    import grp
    import pwd
    keys = {"user": "nobody"}
    if group:
        keys["group"] = group
    place = folder / "sockets"
    place.mkdir()
    w = make(ECHO + f"listen = unix:{place}/s\n", keys=keys).start()
    # Who is served is served by the user that weir became.
    c = w.connect()
    c.sendall(b"x")
    assert c.recv(1) == b"x"
    with open(f"/proc/{w.pid}/status") as f:
        status = dict(line.split(":", 1) for line in f.read().splitlines())
    uid = str(pwd.getpwnam("nobody").pw_uid)
    gid = str(grp.getgrnam(group).gr_gid if group
              else pwd.getpwnam("nobody").pw_gid)
    assert status["Uid"].split() == [uid] * 4
    assert status["Gid"].split() == [gid] * 4
    assert "0" not in status["Groups"].split()
    assert int(status["CapEff"], 16) == 0


@needs_root
def test_a_user_that_is_not_known_is_a_mistake(folder):
    r = weir_once("-t", "-c", config(folder, "[weir]\nuser = no-such-user\n"
                                     + ECHO))
    assert r.returncode == 2
    assert "no-such-user" in r.stderr


def test_control_socket_is_for_its_owner_alone(weir):
    w = weir(ECHO)
    assert os.stat(w.control_path).st_mode & 0o777 == 0o600


def test_control_that_was_set_and_cannot_be_made_is_an_error(make, folder):
    w = make(ECHO, keys={"control": f"{folder}/no/such/folder/c"})
    w.spawn().wait(1)
    assert w.log_find("no/such/folder")


def test_control_off_is_none(make):
    w = make(ECHO, keys={"control": "off"}).start()
    sockets = [s for s in w.kernel_sockets() if s.family == socket.AF_UNIX]
    assert not sockets


@needs_root
def test_the_default_control_socket_that_cannot_be_made_is_a_warning(
        make, folder):
    # As nobody, /run/weir cannot be made.
    program, env = public_copy(folder)
    w = make(ECHO, program=program, env=env, keys={"control": None, "pid_file": None},
             launcher=["setpriv", "--reuid=nobody", "--regid=nogroup",
                       "--clear-groups"])
    w.start()
    w.wait_log(r"warn.*control")
    c = w.connect()
    c.sendall(b"x")
    assert c.recv(1) == b"x"
