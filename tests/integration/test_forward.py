"""Forwarding: bytes, ends and failures, passed on as they are."""

import socket

import pytest

from weirtest import (Backend, DEADLINE, Reader, answer_at_end, echo, ended,
                      eventually, free_port, is_reset, pattern, read_all,
                      read_exactly, reset)


def forward(upstream, more="", listen="127.0.0.1:0"):
    lines = "".join(f"upstream = {u}\n" for u in
                    ([upstream] if isinstance(upstream, str) else upstream))
    return f"[listener f]\nlisten = {listen}\nmode = forward\n{lines}{more}"


LOGGED = "access_log = on\n"



@pytest.mark.valgrind
@pytest.mark.parametrize("front", ["127.0.0.1:0", "[::1]:0", "unix"])
@pytest.mark.parametrize("back", ["127.0.0.1", "::1", "unix"])
def test_between_all_kinds_of_addresses(weir, backend, folder, front, back):
    if front == "unix":
        front = f"unix:{folder}/front"
    b = (backend(echo, path=f"{folder}/back") if back == "unix"
         else backend(echo, host=back))
    w = weir(forward(b.address, LOGGED, front))
    c = w.connect()
    data = pattern(200_000)
    reader = Reader(c)
    c.sendall(data)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == data
    [line] = w.access()
    assert line["server"] == line["tried"] == b.address
    assert line["end"] == "client"
    assert (line["bytes_in"], line["bytes_out"]) == ("200000", "200000")


@pytest.mark.parametrize("splice", ["auto", "off"])
def test_both_directions_at_once_unchanged(weir, backend, splice):
    down, up = pattern(48 << 20, 1), pattern(32 << 20, 2)
    got = []

    def handler(conn):
        reader = Reader(conn)
        conn.sendall(down)
        conn.shutdown(socket.SHUT_WR)
        got.append(reader.result())
    b = backend(handler)
    w = weir(forward(b.address, f"splice = {splice}\n"))
    c = w.connect(timeout=3 * DEADLINE)
    reader = Reader(c)
    c.sendall(up)
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == down
    assert eventually(lambda: got, "all at the backend")[0] == up
    w.wait_figures(connections=0, bytes_in=len(up), bytes_out=len(down),
                   buffered=0)


@pytest.mark.parametrize("buffer", ["1", "1k", "4m"])
def test_every_size_of_buffer_passes_all(weir, backend, buffer):
    size = 20_000 if buffer == "1" else 3_000_000
    b = backend(echo)
    w = weir(forward(b.address, f"buffer = {buffer}\n"))
    c = w.connect(timeout=3 * DEADLINE)
    reader = Reader(c)
    c.sendall(pattern(size))
    c.shutdown(socket.SHUT_WR)
    assert reader.result() == pattern(size)


# ---- ends ----

@pytest.mark.valgrind
def test_a_clients_end_is_passed_on_and_the_late_answer_arrives(weir, backend):
    b = backend(answer_at_end)
    w = weir(forward(b.address))
    c = w.connect()
    c.sendall(b"request")
    c.shutdown(socket.SHUT_WR)
    assert read_all(c) == b"request"


@pytest.mark.valgrind
def test_a_servers_end_is_passed_on_and_the_client_goes_on(weir, backend):
    got = []

    def handler(conn):
        conn.sendall(b"banner")
        conn.shutdown(socket.SHUT_WR)
        got.append(read_all(conn))
    b = backend(handler)
    w = weir(forward(b.address))
    c = w.connect()
    assert read_all(c) == b"banner"
    c.sendall(b"after your end")
    c.shutdown(socket.SHUT_WR)
    assert eventually(lambda: got, "the rest") == [b"after your end"]


def test_what_is_on_the_way_is_delivered_before_the_end(weir, backend):
    data = pattern(8 << 20)

    def handler(conn):
        conn.sendall(data)
        conn.close()
    b = backend(handler)
    w = weir(forward(b.address))
    c = w.connect()
    assert read_all(c) == data


@pytest.mark.parametrize("who", ["client", "server"])
def test_allow_half_open_no_one_end_ends_both(weir, backend, who):
    b = backend()
    w = weir(forward(b.address, "allow_half_open = no\n"))
    c = w.connect()
    s = b.wait()
    first, second = (c, s) if who == "client" else (s, c)
    first.sendall(b"the last words")
    first.shutdown(socket.SHUT_WR)
    assert read_all(second) == b"the last words"
    # The first was ended too, though the second has not ended its side.
    assert ended(first)
    w.wait_figures(connections=0)


@pytest.mark.valgrind
@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_is_passed_on_as_a_reset(weir, backend, who):
    b = backend()
    w = weir(forward(b.address, LOGGED))
    c = w.connect()
    s = b.wait()
    c.sendall(b"x")
    assert s.recv(1) == b"x"
    first, second = (c, s) if who == "client" else (s, c)
    reset(first)
    assert is_reset(second)
    [line] = w.access()
    assert line["end"] == "reset"
    assert not w.log_find(r"(^|\s)(error|warn)\s")


@pytest.mark.parametrize("who", ["client", "server"])
def test_a_reset_after_a_half_close_is_passed_on(weir, backend, who):
    b = backend()
    w = weir(forward(b.address))
    c = w.connect()
    s = b.wait()
    first, second = (c, s) if who == "client" else (s, c)
    second.shutdown(socket.SHUT_WR)
    assert first.recv(1) == b""
    reset(first)
    assert is_reset(second)
    w.wait_figures(connections=0)


def test_a_reset_reaches_a_side_that_is_being_held_back(weir, backend):
    b = backend()
    w = weir(forward(b.address))
    c = w.connect()
    s = b.wait()
    s.settimeout(0.2)
    with pytest.raises(TimeoutError):
        while True:
            s.send(b"x" * 262144)
    s.settimeout(DEADLINE)
    reset(c)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        while True:
            s.send(b"x" * 65536)
            if s.recv(1) == b"":
                break
    w.wait_figures(connections=0)


# ---- the upstream ----

def test_a_server_that_speaks_first(weir, backend):
    b = backend(lambda conn: conn.sendall(b"220 ready\r\n"))
    w = weir(forward(b.address))
    c = w.connect()
    assert read_exactly(c, 11) == b"220 ready\r\n"


def test_a_greeting_comes_before_what_the_server_says(weir, backend):
    b = backend(lambda conn: conn.sendall(b"banner"))
    w = weir(forward(b.address, r"greeting = hi\n" + "\n"))
    c = w.connect()
    assert read_exactly(c, 9) == b"hi\nbanner"


@pytest.mark.valgrind
def test_a_server_that_is_down_closes_the_client(weir):
    down = f"127.0.0.1:{free_port()}"
    w = weir(forward(down, LOGGED))
    for _ in range(3):
        assert ended(w.connect())
    lines = w.access(3)
    assert {x["end"] for x in lines} == {"connect_failed"}
    assert {x["tried"] for x in lines} == {down}
    w.wait_figures(connections=0, accepted=3, closed=3)
    assert w.alive()


def test_servers_are_tried_in_their_order(weir, backend):
    down = [f"127.0.0.1:{free_port()}" for _ in range(2)]
    b = backend(echo)
    w = weir(forward([*down, b.address], LOGGED))
    c = w.connect()
    c.sendall(b"found")
    assert read_exactly(c, 5) == b"found"
    c.close()
    [line] = w.access()
    assert line["tried"] == ",".join([*down, b.address])
    assert line["server"] == b.address


def test_the_first_server_is_taken_while_it_works(weir, backend):
    first, second = backend(echo), backend(echo)
    w = weir(forward([first.address, second.address]))
    for _ in range(4):
        c = w.connect()
        c.sendall(b"x")
        assert c.recv(1) == b"x"
    assert (len(first.connections), len(second.connections)) == (4, 0)


def test_a_server_on_a_unix_socket_that_is_not_there(weir, folder):
    w = weir(forward(f"unix:{folder}/nobody", LOGGED))
    assert ended(w.connect())
    [line] = w.access()
    assert line["end"] == "connect_failed"
    assert line["server"] == f"unix:{folder}/nobody"


def test_a_server_by_name(weir, backend):
    b = backend(echo)
    w = weir(forward(f"localhost:{b.port}", "family = 4\n" + LOGGED))
    c = w.connect()
    c.sendall(b"by name")
    assert read_exactly(c, 7) == b"by name"


def test_a_name_with_both_families_is_tried_on_both(weir, backend):
    b = backend(echo, host="127.0.0.1")  # nobody on [::1] at this port
    w = weir(forward(f"localhost:{b.port}"))
    c = w.connect()
    c.sendall(b"ok")
    assert read_exactly(c, 2) == b"ok"


def test_family_leaves_out_the_other_family(weir, backend):
    b = backend(echo, host="127.0.0.1")
    w = weir(forward(f"localhost:{b.port}", "family = 6\n" + LOGGED))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "connect_failed"
    assert not b.connections


def test_family_is_of_a_listener_where_several_share_an_upstream(
        weir, backend):
    b = backend(echo, host="127.0.0.1")
    w = weir(f"[upstream u]\nserver = localhost:{b.port}\n"
             + "".join(f"[listener f{n}]\nlisten = 127.0.0.1:0\n"
                       f"mode = forward\nupstream = u\nfamily = {n}\n"
                       for n in (4, 6)))
    c = w.connect("f4")
    c.sendall(b"four")
    assert read_exactly(c, 4) == b"four"
    assert ended(w.connect("f6"))
    assert len(b.connections) == 1


def test_a_name_that_does_not_exist_closes_the_client_not_weir(weir):
    w = weir(forward("no-such-host.invalid:80", LOGGED))
    assert ended(w.connect())
    [line] = w.access()
    # Which of the two is up to the name server, which may be silent.
    assert line["end"] in ("connect_failed", "connect_timeout")
    assert line["upstream"] == "no-such-host.invalid:80"
    assert w.alive()


def test_a_server_that_comes_up_later_is_found(weir, backend, folder):
    path = f"{folder}/later"
    w = weir(forward(f"unix:{path}"))
    assert ended(w.connect())
    backend(echo, path=path)
    c = w.connect()
    c.sendall(b"now")
    assert read_exactly(c, 3) == b"now"


def test_a_server_that_accepts_and_never_answers_harms_nobody(weir, backend):
    silent = backend()
    speaks = backend(echo)
    w = weir(forward(silent.address)
             + forward(speaks.address).replace("[listener f]", "[listener g]"))
    w.connect("f").sendall(b"anyone?")
    silent.wait()
    c = w.connect("g")
    c.sendall(b"x")
    assert c.recv(1) == b"x"


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_a_server_that_closes_at_once(weir, backend, how):
    b = backend(reset if how == "reset" else lambda conn: conn.close())
    w = weir(forward(b.address, LOGGED))
    for _ in range(10):
        try:
            c = w.connect()
        except ConnectionResetError:
            continue  # the reset was faster than the end of connect()
        assert ended(c)
        c.close()
    w.wait_figures(connections=0, accepted=10, closed=10)
    # A reset may come before weir has seen that it was connected.
    want = {"reset", "connect_failed"} if how == "reset" else {"upstream"}
    assert {x["end"] for x in w.access(10)} <= want


def test_clients_that_leave_while_weir_connects(weir, blackhole):
    w = weir(forward(blackhole().address, LOGGED))
    clients = [w.connect() for _ in range(10)]
    w.wait_figures(connections=10)
    for i, c in enumerate(clients):
        if i % 2:
            reset(c)
        else:
            c.close()
    # A client's FIN alone is no reason to give up: it may wait for an answer.
    # A reset is.
    w.wait_figures(accepted=10, connections=5)
    assert [x["end"] for x in w.access(5)] == ["reset"] * 5


@pytest.mark.valgrind
def test_data_sent_before_the_server_is_connected_is_kept(weir, folder):
    b = Backend(answer_at_end)
    try:
        w = weir(forward(b.address))
        data = pattern(1 << 20)
        c = w.connect()
        reader = Reader(c)
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        assert reader.result() == data
    finally:
        b.close()


@pytest.mark.parametrize("pause", ["yes", "no"])
def test_pause_on_connect(weir, blackhole, pause):
    w = weir(forward(blackhole().address, f"pause_on_connect = {pause}\n"
                     "buffer = 4k\n"))
    first = w.connect()
    first.sendall(b"x" * 1000)
    if pause == "no":
        eventually(lambda: w.connections()[0]["bytes_in"] == 1000,
                   "the bytes to be read while connecting")
    else:
        # What comes after on another connection has been handled, and the
        # first one's bytes still lie where they were.
        second = w.connect()
        second.sendall(b"y")
        w.wait_figures(connections=2)
        assert [x["bytes_in"] for x in w.connections()] == [0, 0]
    assert {x["state"] for x in w.connections()} == {"connecting"}


# ---- where connections come from ----

def test_local_address(weir, backend):
    b = backend(echo)
    w = weir(forward(b.address, "local_address = 127.0.0.5\n"))
    w.connect()
    b.wait()
    assert b.peers[0][0] == "127.0.0.5"


def test_local_port(weir, backend):
    b = backend(echo)
    port = free_port()
    w = weir(forward(b.address, f"local_port = {port}\n"))
    c = w.connect()
    b.wait()
    assert b.peers[0][1] == port
    # The backend closes first, so that the port is free again at once.
    b.connections[0].shutdown(socket.SHUT_RDWR)
    ended(c)


def test_a_local_address_that_is_not_ours_is_a_failure_to_connect(
        weir, backend):
    b = backend(echo)
    w = weir(forward(b.address, "local_address = 203.0.113.9\n" + LOGGED))
    assert ended(w.connect())
    assert w.access()[0]["end"] == "connect_failed"
