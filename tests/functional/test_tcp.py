"""DNS over TCP: pipelining, time and space."""
import re
import resource
import socket
import struct
import threading
import time

import dns.message
import pytest

from scripted_upstream import Reply
from vigie_process import PATIENCE, Vigie, read_exactly, read_frame, records, wait_for

WEB = "web.default.svc.cluster.local."
HUGE = "five-thousand.default.svc.cluster.local."
IDLE = 10  # VIGIE_TCP_IDLE_MS
CLIENT_CONNECTIONS = 256  # VIGIE_TCP_CLIENT_CONNECTIONS_MAX
CONNECTIONS = 2048  # VIGIE_TCP_CONNECTIONS_MAX
PENDING = 128  # VIGIE_TCP_PENDING_MAX


def frame(name: str = WEB, rdtype: str = "A", number: int = 1) -> bytes:
    wire = dns.message.make_query(name, rdtype, id=number).to_wire()
    return struct.pack("!H", len(wire)) + wire


def number_of(wire: bytes) -> int:
    return struct.unpack("!H", wire[:2])[0]


@pytest.fixture
def vigie(request, start, snapshot, upstream):
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.1", delay=0.5)
    return start(f""".:PORT {{
	bind 127.0.0.1
	workers 1
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	forward . {upstream.text}
	{getattr(request, "param", "")}
}}
""")


def connect(vigie: Vigie, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", vigie.port), timeout=PATIENCE, source_address=(source, 0))


def ended(connection: socket.socket) -> bool:
    """Whether the server has closed."""
    connection.settimeout(0.001)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_pipelining(vigie):
    with connect(vigie) as connection:
        for count in (2, 500):
            connection.sendall(b"".join(frame(number=number) for number in range(count)))
            assert sorted(number_of(read_frame(connection)) for _ in range(count)) == list(range(count))


def test_byte_by_byte(vigie):
    with connect(vigie) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in frame(number=1) + frame(number=2):
            connection.sendall(bytes([byte]))
            time.sleep(0.001)  # segments of one byte
        assert [number_of(read_frame(connection)) for _ in range(2)] == [1, 2]


def test_answers_may_overtake_each_other(vigie):
    with connect(vigie) as connection:
        connection.sendall(frame("slow.example.com.", number=1) + frame(number=2))
        assert [number_of(read_frame(connection)) for _ in range(2)] == [2, 1]


def test_many_slow_queries_of_one_connection(vigie, upstream):
    """More than VIGIE_TCP_PENDING_MAX at once: reading stops until some are answered, and all are."""
    count = 300
    with connect(vigie) as connection:
        connection.sendall(b"".join(frame("slow.example.com.", number=number) for number in range(count)))
        connection.sendall(frame(number=count))
        order = [number_of(read_frame(connection)) for _ in range(count + 1)]
    assert sorted(order) == list(range(count + 1))
    assert order.index(count) >= count - PENDING, "it would be answered at once, had it been read"


def test_half_closed_by_the_client(vigie):
    """A client that has said all may shut its side down: no answer is owed, and nothing is left behind."""
    with connect(vigie) as connection:
        connection.sendall(frame())
        assert number_of(read_frame(connection)) == 1
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""


def test_frames_that_are_no_queries(vigie):
    with connect(vigie) as connection:
        connection.sendall(struct.pack("!H", 0) + struct.pack("!H", 5) + b"short" + frame(number=7))
        assert number_of(read_frame(connection)) == 7


def test_a_client_that_goes_away_is_forgotten(vigie, upstream):
    """The answer of a suspended query has nowhere to go."""
    with connect(vigie) as connection:
        connection.sendall(frame("slow.example.com."))
        wait_for(lambda: upstream.asked("slow.example.com."), "the query upstream")
    time.sleep(0.7)  # the upstream's answer comes in the meantime
    assert records(vigie.ask(WEB, tcp=True).answer) == [f"{WEB} A 10.96.0.10"]


def test_idle_connections_are_closed(vigie):
    """10 s without a whole query; a client that asks now and then stays."""
    with connect(vigie) as silent, connect(vigie) as dripping, connect(vigie) as asking:
        began = time.monotonic()
        closed: dict[str, float] = {}
        drip = iter(frame(HUGE))
        while time.monotonic() - began < IDLE + 4:
            for name, connection in (("silent", silent), ("dripping", dripping)):
                if name not in closed and ended(connection):
                    closed[name] = time.monotonic() - began
            if "dripping" not in closed:
                try:
                    dripping.sendall(bytes([next(drip)]))
                except ConnectionError:
                    pass
            asking.sendall(frame())
            asking.settimeout(PATIENCE)
            assert number_of(read_frame(asking)) == 1
            time.sleep(0.5)
        assert closed.keys() == {"silent", "dripping"}
        assert all(IDLE - 0.5 < after < IDLE + 3 for after in closed.values()), closed


def test_connections_of_one_client(vigie):
    connections = [connect(vigie) for _ in range(CLIENT_CONNECTIONS)]
    try:
        for connection in connections:
            connection.sendall(frame())
            read_frame(connection)
        with connect(vigie) as beyond:
            beyond.settimeout(IDLE / 2)  # at once, not when it was idle for long
            assert beyond.recv(1) == b""
        with connect(vigie, "127.0.0.2") as other:
            other.sendall(frame())
            assert number_of(read_frame(other)) == 1
        connections.pop().close()

        def there_is_room() -> bool:
            with connect(vigie) as again:
                try:
                    again.sendall(frame())
                    return number_of(read_frame(again)) == 1
                except (EOFError, ConnectionError):
                    return False
        wait_for(there_is_room, "room for a new connection")
    finally:
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("vigie", ["timeouts {\n\t\tread 60s\n\t\tidle 60s\n\t}"], indirect=True, ids=["patient"])
def test_connections_in_all(vigie):
    """Beyond VIGIE_TCP_CONNECTIONS_MAX the one that is idle for longest makes room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, CONNECTIONS + 512), hard))
    connections: list[socket.socket] = []
    try:
        for number in range(CONNECTIONS):
            connection = connect(vigie, f"127.0.1.{1 + number // CLIENT_CONNECTIONS}")
            connection.sendall(frame())
            read_frame(connection)
            connections.append(connection)
        connections[0].sendall(frame())
        read_frame(connections[0])
        with connect(vigie, "127.0.2.1") as one_more:
            one_more.sendall(frame())
            assert number_of(read_frame(one_more)) == 1
            wait_for(lambda: ended(connections[1]), "the oldest to be closed")
            assert not ended(connections[0]) and not ended(connections[2]) and not ended(connections[-1])
    finally:
        for connection in connections:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def reluctant(vigie: Vigie, source: str = "127.0.0.1") -> socket.socket:
    """A connection with next to no room for answers."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", vigie.port))
    return connection


def resident(vigie: Vigie) -> int:
    """Bytes of memory."""
    return int(open(f"/proc/{vigie.process.pid}/statm").read().split()[1]) * resource.getpagesize()


def test_one_slow_reader(vigie):
    """It is cut off after the idle time, costs little memory, and nobody else waits."""
    with reluctant(vigie) as slow:
        before = resident(vigie)
        slow.setblocking(False)
        queries = frame(HUGE) * 100000
        began = time.monotonic()
        sent = 0
        while time.monotonic() - began < IDLE + 5:
            try:
                sent += slow.send(queries[sent:])
            except BlockingIOError:
                pass
            except ConnectionError:
                break
            asked = time.monotonic()
            assert vigie.ask(WEB, tcp=True).answer
            assert time.monotonic() - asked < 2
            time.sleep(0.05)
        else:
            raise AssertionError("not cut off")
        assert IDLE - 1 < time.monotonic() - began
        assert sent < len(queries), "its queries were read on and on"
        assert resident(vigie) - before < 8 << 20


def test_slow_readers_of_one_client_together(vigie):
    """VIGIE_TCP_CLIENT_BYTES_MAX of unread answers, over all of a client's connections."""
    slow = [reluctant(vigie, "127.0.0.3") for _ in range(120)]
    try:
        before = resident(vigie)

        def pour(connection: socket.socket) -> None:
            try:
                connection.settimeout(PATIENCE)
                connection.sendall(frame(HUGE) * 400)
            except OSError:
                pass
        threads = [threading.Thread(target=pour, args=(connection,)) for connection in slow]
        began = time.monotonic()
        for thread in threads:
            thread.start()

        def cut_off() -> int:
            assert vigie.ask(WEB).answer
            stats = vigie.ask("stats.vigie.", "TXT", "CH", tcp=True).to_text()
            return int(re.search(r"(\d+) slow", stats)[1])
        wait_for(cut_off, "some to be cut off", patience=IDLE - 2)
        assert time.monotonic() - began < IDLE - 1
        assert resident(vigie) - before < 64 << 20
    finally:
        for connection in slow:
            connection.shutdown(socket.SHUT_RDWR) if connection.fileno() >= 0 else None
            connection.close()
        for thread in threads:
            thread.join()


def test_a_whole_message_of_65535_bytes(vigie):
    with connect(vigie) as connection:
        connection.sendall(frame(HUGE))
        size = struct.unpack("!H", read_exactly(connection, 2))[0]
        assert 65000 < size <= 65535
        assert dns.message.from_wire(read_exactly(connection, size)).answer
