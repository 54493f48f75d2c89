"""Active health checks: what takes a server down, what brings it back, and
that each is asked by one process alone."""

import socket
import threading

import pytest

from weirtest import (SCALE, Backend, echo, ended, eventually, read_exactly,
                      split_address)

FAST = (f"health_interval = {int(50 * SCALE)}ms\n"
        f"health_timeout = {int(300 * SCALE)}ms\n")


class Checked(Backend):
    """A server whose health is as it is told: it answers checks ("ping") by
    how, and counts them; others it serves."""

    def __init__(self, name):
        self.how = "well"
        self.checks = 0
        self.name = name
        self.bare = 0
        super().__init__(self.serve)

    def serve(self, conn):
        data = conn.recv(4)
        if not data:
            self.bare += 1
            return
        if data != b"ping":
            conn.sendall(self.name + data)
            echo(conn)
            return
        self.checks += 1
        if self.how == "hang":
            conn.recv(1)
        elif self.how == "close":
            conn.close()
        elif self.how == "wrong":
            conn.sendall(b"I am not well\n")
            conn.close()
        elif self.how == "endless":
            conn.sendall(b"I am so ill. " * 5000)
            conn.recv(1)
        else:
            conn.sendall(b"po")
            conn.sendall(b"ng\n")


@pytest.fixture
def checked(make):
    made = []

    def new(name):
        made.append(Checked(name))
        return made[-1]
    yield new
    for b in made:
        b.close()


def config(servers, keys="", listener=""):
    rows = "".join(f"server = {s}\n" for s in servers)
    return (f"[upstream u]\n{rows}{FAST}{keys}\n"
            "[listener f]\nlisten = 127.0.0.1:0\nmode = forward\n"
            f"upstream = u\naccess_log = on\n{listener}")


SEND_EXPECT = 'health_check = send "ping" expect "pong"\n'


def ask(w):
    c = w.connect()
    c.sendall(b"who?")
    name = read_exactly(c, 1)
    c.close()
    return name


@pytest.mark.parametrize("how", ["hang", "close", "wrong", "endless"])
def test_one_that_answers_wrongly_goes_down_and_comes_back(
        weir, checked, how):
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, b.address], SEND_EXPECT))
    eventually(lambda: a.checks > 1 and b.checks > 1, "both are checked")
    assert {ask(w) for _ in range(4)} == {b"a", b"b"}
    a.how = how
    (line,) = w.wait_log("server is down")
    assert f"address={a.address} " in line and "upstream=u" in line
    reason = {"hang": "no answer within", "close": "closed without",
              "wrong": "not what is expected",
              "endless": "the answer is long"}[how]
    assert reason in line
    assert {ask(w) for _ in range(4)} == {b"b"}
    a.how = "well"
    w.wait_log("server is up")
    eventually(lambda: {ask(w) for _ in range(4)} == {b"a", b"b"}, "both")
    assert len(w.log_find("server is (up|down)")) == 2


def test_tcp_is_a_connection_alone(weir, backend, checked):
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, b.address], "health_check = tcp\n"))
    eventually(lambda: a.bare > 2 and b.bare > 2, "checks")
    a.close()
    (line,) = w.wait_log("server is down")
    assert "refused" in line
    assert {ask(w) for _ in range(4)} == {b"b"}
    assert [x["tried"] for x in w.access(4)] == [b.address] * 4


def test_a_server_that_is_down_at_the_start_is_known_soon(weir, checked):
    a, b = checked(b"a"), checked(b"b")
    a.how = "close"
    w = weir(config([a.address, b.address], SEND_EXPECT + "fall = 1000\n"))
    w.wait_log("server is down")
    assert {ask(w) for _ in range(4)} == {b"b"}


def test_fall_and_rise_count_in_a_row(weir, checked):
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, b.address],
                    SEND_EXPECT + "fall = 3\nrise = 4\n"))
    eventually(lambda: a.checks > 0, "checked")
    for _ in range(2):  # one at a time is not enough
        a.how = "close"
        before = a.checks
        eventually(lambda: a.checks > before, "a bad one")
        a.how = "well"
        before = a.checks
        eventually(lambda: a.checks > before + 1, "a good one")
    assert not w.log_find("server is down")
    a.how = "close"
    before = a.checks
    w.wait_log("server is down")
    assert a.checks - before >= 3
    before = a.checks  # the last of these may be under way
    a.how = "well"
    w.wait_log("server is up")
    assert a.checks - before >= 3


def test_all_down_is_no_server_at_once(weir, checked):
    a = checked(b"a")
    a.how = "close"
    w = weir(config([a.address], SEND_EXPECT))
    w.wait_log("server is down")
    assert ended(w.connect())
    (line,) = w.access()
    assert (line["end"], line["tried"]) == ("no_server", "-")


@pytest.mark.parametrize("on_down", ["keep", "close"])
def test_open_connections_of_one_that_goes_down(weir, checked, on_down):
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, f"{b.address} backup"],
                    SEND_EXPECT + f"on_down = {on_down}\n"))
    c = w.connect()
    c.sendall(b"who?")
    assert read_exactly(c, 5) == b"awho?"
    a.how = "close"
    w.wait_log("server is down")
    if on_down == "close":
        assert ended(c)
        assert w.access()[0]["end"] == "upstream"
    else:
        c.sendall(b"still?")
        assert read_exactly(c, 6) == b"still?"


def test_two_workers_check_once(weir, checked):
    """So many checks in so long as one process makes, and both know."""
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, b.address],
                    SEND_EXPECT.replace("50", "100")), keys={"workers": 2})
    eventually(lambda: b.checks >= 4, "checks of b")
    first_a, first_b = a.checks, b.checks
    eventually(lambda: b.checks >= first_b + 10, "more of them")
    # Both have the same interval; a process more would make it twice as many.
    assert a.checks - first_a <= 14
    a.how = "close"
    w.wait_log("server is down")
    assert {ask(w) for _ in range(12)} == {b"b"}
    assert len(w.log_find("server is down")) == 1
    a.how = "well"
    w.wait_log("server is up")
    eventually(lambda: {ask(w) for _ in range(8)} == {b"a", b"b"}, "both")


def test_slow_start_takes_the_weight_up(weir, checked):
    a, b = checked(b"a"), checked(b"b")
    w = weir(config([a.address, b.address],
                    SEND_EXPECT + "slow_start = 1h\n"))
    eventually(lambda: a.checks > 0 and b.checks > 0, "checked")
    a.how = "close"
    w.wait_log("server is down")
    a.how = "well"
    w.wait_log("server is up")
    got = [ask(w) for _ in range(60)]
    assert got.count(b"b") >= 58


def test_a_check_that_is_under_way_at_the_end_harms_nobody(weir, checked):
    a = checked(b"a")
    a.how = "hang"
    w = weir(config([a.address], SEND_EXPECT
                    + "health_timeout = 1h\n".replace("1h", "30s"))
             .replace(f"health_timeout = {int(300 * SCALE)}ms\n", "", 1))
    eventually(lambda: a.checks == 1, "one is under way")
    w.stop()


def test_checks_do_not_pile_up(weir, checked):
    a = checked(b"a")
    a.how = "hang"
    w = weir(config([a.address], SEND_EXPECT))
    eventually(lambda: a.checks > 3, "some that time out")
    assert threading.active_count() < 60
    assert len([x for x in w.descriptors().values()
                if x.startswith("socket:")]) < 20


def refused(w):
    """Whether nobody listens: the system says no."""
    try:
        w.connect().close()
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_when_down_close_is_a_refusal_until_one_is_back(
        weir, checked, workers):
    a = checked(b"a")
    w = weir(config([a.address], SEND_EXPECT, "when_down = close\n"),
             keys={"workers": workers})
    assert ask(w) == b"a"
    a.how = "close"
    w.wait_log("clients are refused")
    eventually(lambda: refused(w), "clients are refused")
    a.how = "well"
    w.wait_log("clients may come again")
    eventually(lambda: not refused(w), "clients come again")
    assert ask(w) == b"a"
    assert len(set(w.addresses("f"))) == 1


def test_when_down_close_is_not_opened_by_hand(weir, checked):
    a = checked(b"a")
    w = weir(config([a.address], SEND_EXPECT, "when_down = close\n"))
    assert ask(w) == b"a"
    a.how = "close"
    w.wait_log("clients are refused")
    assert "opens by itself" in w.ctl_error("open f")
    # By hand it is closed for good, until it is opened by hand.
    assert w.ctl("close f") == "closed"
    assert "opens by itself" in w.ctl_error("open f")
    assert refused(w)
    assert not w.log_find("clients may come again")
    a.how = "well"
    w.wait_log("clients may come again")
    eventually(lambda: not refused(w), "clients come again")
    assert ask(w) == b"a"


def test_when_down_close_is_over_with_a_reload(weir, checked):
    a = checked(b"a")
    w = weir(config([a.address], SEND_EXPECT, "when_down = close\n"))
    assert ask(w) == b"a"
    a.how = "close"
    w.wait_log("clients are refused")
    eventually(lambda: refused(w), "clients are refused")
    with open(w.config_path) as f:
        text = f.read()
    w.write_config(text.replace("when_down = close", "when_down = accept"))
    w.ctl("reload")
    eventually(lambda: not refused(w), "clients are accepted, and closed")


def test_when_down_close_takes_its_port_again_as_soon_as_it_can(
        weir, checked):
    a = checked(b"a")
    w = weir(config([a.address], SEND_EXPECT, "when_down = close\n"))
    where = split_address(w.address("f"))[1]
    assert ask(w) == b"a"
    a.how = "close"
    w.wait_log("clients are refused")
    eventually(lambda: refused(w), "clients are refused")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(where)
        other.listen()
        a.how = "well"
        w.wait_log("the address is in use, trying again")
    eventually(lambda: not refused(w), "clients come again")
    assert ask(w) == b"a"
    assert len(w.log_find("trying again")) == 1
