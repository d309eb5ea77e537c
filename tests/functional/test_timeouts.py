"""The `timeouts` directive: how long TCP connections may stay, and how many queries one may have."""
import contextlib
import socket
import time

import pytest

from test_tcp import HUGE, connect, ended, frame, number_of, reluctant
from vigie_process import Vigie, read_frame, wait_for


@pytest.fixture
def serve(start, snapshot):
    def with_options(*options: str) -> Vigie:
        lines = "\n\t\t".join(options)
        return start(f""".:PORT {{
	bind 127.0.0.1
	workers 1
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	timeouts {{
		{lines}
	}}
}}
""")
    return with_options


def seconds_until_closed(connection: socket.socket, began: float) -> float:
    wait_for(lambda: ended(connection), "the end of the connection")
    return time.monotonic() - began


def test_read_and_idle(serve):
    """`read` bounds a query that is not whole, and the first one; `idle` what comes behind a query."""
    vigie = serve("read 1s", "idle 4s")
    began = time.monotonic()
    with connect(vigie) as idle:
        idle.sendall(frame())
        read_frame(idle)
        assert 3.5 < seconds_until_closed(idle, began)
    with connect(vigie) as silent:
        assert seconds_until_closed(silent, time.monotonic()) < 3.5
    with connect(vigie) as half:
        half.sendall(frame() + frame()[:9])
        read_frame(half)
        assert seconds_until_closed(half, time.monotonic()) < 3.5


def test_a_query_that_drips(serve):
    """The time is for the whole of it, however often a byte comes."""
    with connect(serve("read 1s", "idle 60s")) as slow:
        slow.sendall(frame())
        read_frame(slow)
        with contextlib.suppress(ConnectionError):
            for byte in frame()[:-1]:
                slow.sendall(bytes([byte]))
                time.sleep(0.1)
                if ended(slow):
                    return
            pytest.fail("what took four seconds and more was waited for")


def test_write(serve):
    """A client that asks much and reads nothing."""
    vigie = serve("write 1s", "idle 60s", "read 60s")
    with reluctant(vigie) as slow:
        slow.setblocking(False)
        began = time.monotonic()
        queries = frame(HUGE) * 1000

        def cut_off() -> bool:
            try:
                slow.send(queries)
            except BlockingIOError:
                pass
            except ConnectionError:
                return True
            return False
        wait_for(cut_off, "the slow reader to be cut off")
        assert time.monotonic() - began < 8


def test_maxtcpqueries(serve):
    """The last answer comes whole, whatever the client has sent beyond it."""
    vigie = serve("maxtcpqueries 3")
    with connect(vigie) as connection:
        for number in range(2):
            connection.sendall(frame(number=number))
            assert number_of(read_frame(connection)) == number
            assert not ended(connection)
        connection.settimeout(20)
        connection.sendall(frame(HUGE, number=2) + frame(number=3) * 50)
        assert number_of(read_frame(connection)) == 2
        assert connection.recv(1) == b""
    serve("maxtcpqueries -1")
