"""Upstreams: which server a connection gets, what happens where one cannot be
had, and who waits. With one worker and with two, as all of it is one state."""

import re
import signal
import socket
import subprocess

import pytest

from weirtest import (DEADLINE, SCALE, Backend, Reader, echo, ended,
                      eventually, free_port, is_reset, is_root,
                      read_exactly, reset)

LOGGED = "access_log = on\n"


def config(servers, keys="", listener=""):
    rows = "".join(f"server = {s}\n" for s in servers)
    return (f"[upstream u]\n{rows}{keys}\n"
            f"[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = u\naccess_log = on\n{listener}")


def workers(n):
    return {"workers": n}


def say(w, text=b"hello", **kw):
    """One connection that is answered; where from is its server's affair."""
    c = w.connect(**kw)
    c.sendall(text)
    assert read_exactly(c, len(text)) == text
    return c


def name_of(name):
    """A handler that tells who it is, and then echoes."""
    def handler(conn):
        conn.sendall(name.encode())
        echo(conn)
    return handler


def ask(w, **kw):
    """Which server a new connection gets; the connection stays open."""
    c = w.connect(**kw)
    return c.recv(1).decode(), c


def answers(w, count, **kw):
    """Who answers so many connections, one after the other."""
    got = []
    for _ in range(count):
        name, c = ask(w, **kw)
        c.close()
        got.append(name)
    return "".join(got)


@pytest.fixture
def named(backend):
    """named("abc"): a server for each letter, which tells its name."""
    return lambda names: [backend(name_of(n)) for n in names]


def closed_server():
    """An address where nobody is."""
    return f"127.0.0.1:{free_port()}"


# ---- who is next ----


@pytest.mark.parametrize("n", [1, 2])
def test_round_robin_is_exact_by_weight(weir, named, n):
    weights = {"a": 1, "b": 2, "c": 3, "d": 5, "e": 9}
    servers = named(weights)
    w = weir(config(f"{s.address} weight={x}"
                    for s, x in zip(servers, weights.values())),
             keys=workers(n))
    got = answers(w, 200)
    assert {x: got.count(x) for x in weights} == {
        x: 10 * k for x, k in weights.items()}


def test_round_robin_is_smooth(weir, named):
    a, b, c = named("abc")
    w = weir(config([f"{a.address} weight=5", b.address, c.address]))
    got = answers(w, 14)
    assert "aaaa" not in got and got.count("b") == got.count("c") == 2


def test_least_conn_takes_the_one_with_the_fewest(weir, named):
    a, b, c = named("abc")
    w = weir(config([a.address, b.address, c.address],
                    "balance = least_conn\n"))
    held = [ask(w) for _ in range(6)]
    assert sorted(x for x, _ in held) == list("aabbcc")
    for name, conn in held:
        if name == "b":
            conn.close()
    w.wait_figures(connections=4)
    assert answers(w, 2) in ("bb",)


def test_random_keeps_the_difference_small(weir, named):
    servers = named("abcd")
    w = weir(config([s.address for s in servers], "balance = random\n"))
    held = "".join(ask(w)[0] for _ in range(80))
    assert all(12 <= held.count(x) <= 28 for x in "abcd"), held


def test_a_client_stays_with_its_server(weir, named):
    servers = named("abcde")
    w = weir(config([s.address for s in servers], "balance = source\n"),
             keys=workers(2))
    hosts = [f"127.0.0.{i}" for i in range(2, 32)]
    first = {h: answers(w, 1, source=h) for h in hosts}
    assert len(set(first.values())) > 1
    assert all(set(answers(w, 3, source=h)) == {first[h]} for h in hosts[:10])
    gone = first[hosts[0]]
    servers["abcde".index(gone)].close()
    after = {h: answers(w, 1, source=h) for h in hosts}
    moved = {h for h in hosts if after[h] != first[h]}
    assert moved == {h for h in hosts if first[h] == gone}


@pytest.mark.skipif(not is_root(), reason="becoming another user needs root")
def test_a_user_of_a_unix_socket_stays_with_its_server(weir, named, folder):
    servers = named("abcde")
    path = folder / "s"
    text = config([s.address for s in servers], "balance = source\n")
    w = weir(text.replace("127.0.0.1:0\nmode", f"unix:{path}\n"
                          "unix_mode = 0666\nmode"))

    def asked_as(user):
        r = subprocess.run(["setpriv", f"--reuid={user}", "--clear-groups",
                            "nc", "-N", "-U", str(path)], input=b"",
                           capture_output=True, timeout=DEADLINE)
        return r.stdout.decode()
    first = [asked_as(user) for user in range(2, 14)]
    assert len(set(first)) > 1
    assert asked_as(2) == first[0]
    assert answers(w, 1) == asked_as(0)


def test_backups_come_when_nobody_else_can(weir, named):
    a, b = named("ab")
    w = weir(config([a.address, f"{b.address} backup"], "fail_timeout = 1h\n"))
    assert answers(w, 4) == "aaaa"
    a.close()
    assert answers(w, 4) == "bbbb"


def test_one_that_is_down_by_configuration_gets_nothing(weir, named):
    a, b = named("ab")
    w = weir(config([f"{a.address} down", b.address]))
    assert answers(w, 6) == "bbbbbb"
    assert not a.connections


def test_weight_0_gets_nothing_new(weir, named):
    a, b = named("ab")
    w = weir(config([a.address, f"{b.address} weight=0"]))
    assert answers(w, 6) == "aaaaaa"


# ---- one that cannot be connected to ----


@pytest.mark.parametrize("n", [1, 2])
def test_what_was_sent_early_reaches_the_next_server(weir, backend, n):
    good = backend(echo)
    dead = closed_server()
    w = weir(config([dead, good.address], "balance = round_robin\n"),
             keys=workers(n))
    for i in range(8):
        say(w, b"early %d" % i).close()
    lines = w.access(8)
    assert {x["server"] for x in lines} == {good.address}
    tried = [x["tried"] for x in lines]
    # Down by one failure, for all workers, it is not tried again.
    assert tried.count(f"{dead},{good.address}") == 1, tried
    assert tried.count(good.address) == 7
    assert len(w.log_find("server is down")) == 1


def test_no_more_retries_than_configured(weir, backend):
    dead = [closed_server() for _ in range(4)]
    good = backend(echo)
    w = weir(config([*dead, good.address],
                    "retries = 1\nmax_fails = 0\n"))
    assert ended(w.connect())
    (line,) = w.access()
    assert line["end"] == "connect_failed"
    assert len(line["tried"].split(",")) == 2


def test_one_that_is_alone_is_never_taken_down(weir):
    dead = closed_server()
    w = weir(config([dead], "fail_timeout = 1h\n"))
    for _ in range(3):
        assert ended(w.connect())
    assert [x["end"] for x in w.access(3)] == ["connect_failed"] * 3
    assert all(x["tried"] == dead for x in w.access(3))
    assert not w.log_find("server is down")


def test_all_that_fail_are_no_server(weir):
    dead = [closed_server(), closed_server()]
    w = weir(config(dead, "fail_timeout = 1h\n"))
    for _ in range(3):
        assert ended(w.connect())
    lines = w.access(3)
    assert [x["end"] for x in lines] == ["connect_failed", "no_server",
                                         "no_server"]
    assert lines[2]["server"] == "-" and lines[2]["upstream"] == "u"


def test_max_fails_counts_within_fail_timeout(weir, backend):
    good = backend(echo)
    dead = closed_server()
    w = weir(config([f"{dead} max_fails=3", good.address],
                    "fail_timeout = 1h\n"))
    for _ in range(12):
        say(w).close()
    tried = [x["tried"] for x in w.access(12)]
    assert sum(dead in x for x in tried) == 3, tried


def test_one_that_flaps_is_tried_again_by_one_at_a_time(weir, backend):
    good = backend(name_of("g"))
    port = free_port()
    w = weir(config([f"127.0.0.1:{port}", good.address],
                    f"fail_timeout = {int(300 * SCALE)}ms\n"))
    assert answers(w, 4) == "gggg"
    assert len(w.wait_log("server is down")) == 1
    back = Backend(name_of("b"), port=port)
    try:
        eventually(lambda: "b" in answers(w, 2), "the server is used again")
        w.wait_log("server is up")
        got = answers(w, 10)
        assert got.count("b") == got.count("g") == 5
    finally:
        back.close()


def test_one_that_leaves_during_a_connect(weir, backend, blackhole):
    hole, good = blackhole(), backend(echo)
    w = weir(config([f"{hole.address} weight=100", good.address],
                    "balance = round_robin\n",
                    f"connect_timeout = {int(300 * SCALE)}ms\n"))
    say(w, b"kept").close()
    line = w.access()[0]
    assert line["end"] in ("client", "upstream")
    assert line["tried"].endswith(good.address)


# ---- nobody is usable ----


@pytest.mark.parametrize("how", ["accept", "reset"])
def test_when_down(weir, how):
    w = weir(config([f"{closed_server()} down"], "",
                    f"when_down = {how}\n"))
    try:
        was_reset = is_reset(w.connect())
    except ConnectionResetError: # so soon
        was_reset = True
    assert was_reset is (how == "reset")
    assert w.access()[0]["end"] == "no_server"


# ---- full ----


@pytest.mark.parametrize("n", [1, 2])
def test_a_full_server_lets_the_next_in_when_one_leaves(weir, named, n):
    (a,) = named("a")
    w = weir(config([f"{a.address} max_connections=2"],
                    f"queue = 10\nqueue_timeout = {int(30 * SCALE)}s\n"),
             keys=workers(n))
    first, second = ask(w)[1], ask(w)[1]
    third, fourth = w.connect(), w.connect()
    third.sendall(b"3")
    fourth.sendall(b"4")
    eventually(lambda: len(w.connections()) == 4, "all four are there")
    assert len(a.connections) == 2
    first.close()
    second.close()
    for c, text in (third, b"a3"), (fourth, b"a4"):
        assert read_exactly(c, 2) == text
    assert len(a.connections) == 4


@pytest.mark.parametrize("n", [1, 2])
def test_a_server_never_has_more_than_it_may(weir, backend, n):
    import threading
    lock, now, most = threading.Lock(), [0], [0]

    def count(conn):
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        conn.sendall(conn.recv(1))
        with lock:
            now[0] -= 1
        conn.close()
    servers = [backend(count) for _ in range(2)]
    w = weir(config([f"{s.address} max_connections=3" for s in servers],
                    f"queue = 1000\nqueue_timeout = {int(50 * SCALE)}s\n"),
             keys=workers(n))
    clients = [w.connect() for _ in range(60)]
    for c in clients:
        c.sendall(b"x")
        c.shutdown(socket.SHUT_WR)
    readers = [Reader(c) for c in clients]
    assert all(r.result() == b"x" for r in readers)
    assert most[0] <= 6


@pytest.mark.parametrize("n", [1, 2])
def test_places_go_to_who_came_first(weir, backend, n):
    order = []

    def note(conn):
        order.append(conn.recv(1))
        conn.sendall(order[-1])
        conn.recv(1)
        conn.close()
    server = backend(note)
    w = weir(config([f"{server.address} max_connections=1"],
                    f"queue = 10\nqueue_timeout = {int(50 * SCALE)}s\n"),
             keys=workers(n))

    def queued():
        return w.ctl("upstreams")[0]["queued"]

    clients = []
    for i in range(9):
        clients.append(w.connect())
        clients[-1].sendall(b"%d" % i)
        eventually(lambda i=i: queued() == i and order, f"{i} wait")
    for i, c in enumerate(clients):
        assert c.recv(1) == b"%d" % i
        c.close()
    assert order == [b"%d" % i for i in range(9)]


def test_one_too_many_for_the_queue(weir, named):
    (a,) = named("a")
    w = weir(config([f"{a.address} max_connections=1"], "queue = 1\n"
                    f"queue_timeout = {int(30 * SCALE)}s\n"))
    held = ask(w)[1]
    waits = w.connect()
    eventually(lambda: len(w.connections()) == 2, "one waits")
    assert ended(w.connect())
    assert w.access()[0]["end"] == "no_server"
    held.close()
    assert waits.recv(1) == b"a"


def test_who_waits_too_long_is_closed(weir, named):
    (a,) = named("a")
    w = weir(config([f"{a.address} max_connections=1"], "queue = 5\n"
                    f"queue_timeout = {int(200 * SCALE)}ms\n"))
    held = ask(w)[1]
    assert ended(w.connect())
    assert w.access()[0]["end"] == "no_server"
    held.close()


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_client_that_leaves_while_it_waits_gives_up_its_place(
        weir, named, how):
    (a,) = named("a")
    w = weir(config([f"{a.address} max_connections=1"], "queue = 1\n"
                    f"queue_timeout = {int(50 * SCALE)}s\n"))
    held = ask(w)[1]
    waits = w.connect()
    eventually(lambda: len(w.connections()) == 2, "one waits")
    (reset if how == "reset" else socket.socket.close)(waits)
    eventually(lambda: len(w.connections()) == 1, "it is gone")
    waits = w.connect()
    eventually(lambda: len(w.connections()) == 2, "there is room to wait")
    held.close()
    assert waits.recv(1) == b"a"
    assert len(a.connections) == 2


def test_one_that_has_asked_and_ended_its_side_still_waits(weir, backend):
    a = backend(echo)
    w = weir(config([f"{a.address} max_connections=1"], "queue = 1\n"
                    f"queue_timeout = {int(50 * SCALE)}s\n"))
    held = say(w)
    waits = w.connect()
    waits.sendall(b"question")
    waits.shutdown(socket.SHUT_WR)
    eventually(lambda: len(w.connections()) == 2, "one waits")
    held.close()
    assert Reader(waits).result() == b"question"


def test_full_primaries_before_a_backup_are_a_reason_to_take_it(weir, named):
    a, b = named("ab")
    w = weir(config([f"{a.address} max_connections=1", f"{b.address} backup"]))
    held = ask(w)
    assert held[0] == "a"
    assert answers(w, 2) == "bb"


# ---- a listener's own addresses ----


def test_addresses_of_a_listener_are_tried_in_their_order(weir, named):
    a, b = named("ab")
    w = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {a.address}\nupstream = {b.address}\n{LOGGED}")
    assert answers(w, 3) == "aaa"
    a.close()
    assert answers(w, 3) == "bbb"
    # A line is written at the end, and one may end before the one before it.
    tried = sorted(x["tried"] for x in w.access(6))
    assert tried == sorted([f"{a.address},{b.address}", b.address, b.address,
                            a.address, a.address, a.address])


def test_where_all_of_them_fail_each_is_tried_each_time(weir):
    one, two = closed_server(), closed_server()
    w = weir("[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
             f"upstream = {one}\nupstream = {two}\n{LOGGED}")
    for _ in range(3):
        assert ended(w.connect())
    lines = w.access(3)
    assert {x["tried"] for x in lines} == {f"{one},{two}"}
    assert {x["end"] for x in lines} == {"connect_failed"}
    assert re.fullmatch(r"\d+", lines[0]["connect_ms"])


# ---- what weirctl says ----


def upstream_of(w, name="u"):
    return next(x for x in w.ctl("upstreams") if x["name"] == name)


def server_of(w, name):
    return next(x for x in upstream_of(w)["servers"] if x["name"] == name)


@pytest.mark.parametrize("n", [1, 2])
def test_a_server_is_taken_out_for_maintenance_and_back(weir, named, n):
    a, b = named("ab")
    w = weir(config([f"{a.address} name=one", f"{b.address} name=two"]),
             keys=workers(n))
    name, held = ask(w)
    assert name == "a"
    w.ctl("server u one drain")
    assert answers(w, 4) == "bbbb"
    assert server_of(w, "one")["state"] == "drain"
    held.sendall(b"goes on")
    assert read_exactly(held, 7) == b"goes on"
    w.ctl("server u one down")
    assert answers(w, 4) == "bbbb"
    assert server_of(w, "one")["state"] == "down"
    w.ctl("server u one up")
    assert sorted(answers(w, 6)) == list("aaabbb")
    w.ctl("server u two weight 0")
    assert answers(w, 4) == "aaaa"
    w.ctl("server u two weight 3")
    got = answers(w, 8)
    assert (got.count("a"), got.count("b")) == (2, 6)
    assert server_of(w, "two")["weight"] == 3


def test_figures_of_servers(weir, named):
    a, b = named("ab")
    dead = closed_server()
    w = weir(config([f"{a.address} name=one max_connections=1", dead,
                     f"{b.address} name=two backup"],
                    "queue = 3\nfail_timeout = 1h\n"))
    name, held = ask(w)
    assert name == "a"
    other = ask(w)
    assert other[0] == "b"  # dead is tried first, and is down
    held.sendall(b"xyz")
    assert read_exactly(held, 3) == b"xyz"
    one, two = server_of(w, "one"), server_of(w, "two")
    assert (one["connections"], one["total"], one["failures"]) == (1, 1, 0)
    assert (one["bytes_in"], one["bytes_out"]) in ((4, 3), (3, 4))
    assert (two["backup"], one["backup"]) == (True, False)
    gone = server_of(w, dead)
    assert (gone["state"], gone["total"], gone["failures"]) == ("down", 0, 1)
    assert upstream_of(w)["balance"] == "round_robin"


@pytest.mark.parametrize("n", [1, 2])
def test_a_reload_tells_the_connections_of_upstreams(weir, named, n):
    a, b = named("ab")
    w = weir(config([f"{a.address} name=one"])
             + f"[upstream v]\nserver = {b.address}\n", keys=workers(n))
    held = [ask(w)[1] for _ in range(3)]
    with open(w.config_path) as f:
        old = f.read()

    def told():
        return {s["name"]: (s["change"], s["connections"])
                for s in w.ctl("reload")["sections"]
                if s["section"] == "upstream"}
    w.write_config(old.replace("[upstream u]\n",
                               f"[upstream u]\nserver = {b.address}\n"))
    assert told() == {"u": ("changed", 3), "v": ("kept", 0)}
    w.write_config(old.replace("[upstream u]", "[upstream w]")
                   .replace("upstream = u", "upstream = w"))
    assert told() == {"u": ("removed", 3), "v": ("kept", 0), "w": ("added", 0)}
    for c in held:
        c.sendall(b"goes on")
        assert read_exactly(c, 7) == b"goes on"


@pytest.mark.parametrize("n", [1, 2])
def test_a_reload_keeps_what_weirctl_said(weir, named, n):
    a, b, c = named("abc")
    text = config([f"{a.address} name=one", f"{b.address} name=two"])
    w = weir(text, keys=workers(n))
    assert set(answers(w, 4)) == {"a", "b"}
    w.ctl("server u one down")
    w.ctl("server u two weight 3")
    with open(w.config_path) as f:
        old = f.read()
    w.write_config(old.replace("[listener f]",
                               "[upstream v]\nserver = 127.0.0.1:1\n"
                               "[listener f]")
                   .replace("[upstream u]\n",
                            f"[upstream u]\nserver = {c.address} name=new\n"))
    w.send_signal(signal.SIGHUP)
    eventually(lambda: set(answers(w, 6)) == {"b", "c"}, "the new one is used")
    assert sorted(answers(w, 12)) == ["b"] * 9 + ["c"] * 3
    assert server_of(w, "one")["state"] == "down"
    assert server_of(w, "two")["weight"] == 3
