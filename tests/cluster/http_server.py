"""HTTP/1.1 and HTTP/2 over TLS for the stub API server and for DNS by HTTPS: one thread for each connection and for each request of HTTP/2.

A server of its own, because the tests need to do what a good server cannot be brought to: cut a response anywhere,
reset, say nothing, drip.
"""
import contextlib
import select
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import h2.exceptions


class Gone(Exception):
    """The client, or the test, ended the response."""


class Response:
    """What a handler writes its response to. `status` and headers first, then bytes, then `end`."""

    def __init__(self, path: str, headers: dict[str, str]):
        self.path = path
        self.headers = headers
        self.body = b""  # of the request
        self.gone = threading.Event()

    def start(self, status: int, headers: dict[str, str] | None = None) -> None:
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Ends the connection (HTTP/1.1) or the stream (HTTP/2) in the midst of the response."""
        raise NotImplementedError

    def reset(self) -> None:
        """The same with a TCP reset."""
        raise NotImplementedError


Handler = Callable[[Response], None]


def make_certificate(folder: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that signs itself, for 127.0.0.1, `localhost` and `api.test`, and its key."""
    certificate, key = folder / "server.crt", folder / "server.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:api.test",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class _Connection(ssl.SSLSocket):
    """One reader or writer at a time: OpenSSL does not bear both at once."""

    def serialize(self) -> None:
        self._turn = threading.Lock()

    def receive(self) -> bytes:
        """What has come, once there is something; b"": the end."""
        while True:
            select.select([self], [], [])
            with self._turn, contextlib.suppress(BlockingIOError, ssl.SSLWantReadError):
                self.settimeout(0)
                return self.recv(65536)  # a TLS record whole: none of it stays where select cannot see it

    def say(self, data: bytes) -> None:
        with self._turn:
            self.settimeout(None)
            self.sendall(data)


class _Response1(Response):
    def __init__(self, path: str, headers: dict[str, str], connection: _Connection):
        super().__init__(path, headers)
        self._connection = connection

    def _send(self, data: bytes) -> None:
        if self.gone.is_set():
            raise Gone
        try:
            self._connection.say(data)
        except OSError as error:
            self.gone.set()
            raise Gone from error

    def start(self, status: int, headers: dict[str, str] | None = None) -> None:
        headers = {"Content-Type": "application/json", **(headers or {})}
        lines = [f"HTTP/1.1 {status} X", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._send("\r\n".join([*lines, "", ""]).encode())

    def write(self, data: bytes) -> None:
        if data:
            self._send(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def end(self) -> None:
        self._send(b"0\r\n\r\n")

    def close(self) -> None:
        self.gone.set()
        _shut(self._connection)

    def reset(self) -> None:
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.gone.set()
        self._connection.close()


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Connection2:
    """One HTTP/2 connection. Its lock guards h2's state and the order of writes; `changed` tells of windows."""

    def __init__(self, connection: _Connection, handler: Handler):
        self.socket = connection
        self.handler = handler
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.responses: dict[int, _Response2] = {}
        self.frozen = False  # takes part in nothing, and is not closed

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and not self.frozen:
            self.socket.say(data)

    def serve(self) -> None:
        with self.lock:
            self.h2.initiate_connection()
            self.flush()
        try:
            while data := self.socket.receive():
                if self.frozen:
                    continue
                with self.lock:
                    for event in self.h2.receive_data(data):
                        self._take(event)
                    self.flush()
                    self.changed.notify_all()
        except (OSError, ValueError, h2.exceptions.ProtocolError):
            pass
        finally:
            with self.lock:
                for response in self.responses.values():
                    response.gone.set()
                self.changed.notify_all()

    def _take(self, event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            headers = {name.lower(): value for name, value in event.headers}
            self.responses[event.stream_id] = _Response2(headers[":path"], headers, self, event.stream_id)
        elif isinstance(event, h2.events.DataReceived):
            self.responses[event.stream_id].body += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            threading.Thread(target=_run, args=(self.handler, self.responses[event.stream_id]), daemon=True).start()
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self.responses:
            self.responses[event.stream_id].gone.set()


class _Response2(Response):
    def __init__(self, path: str, headers: dict[str, str], connection: _Connection2, stream: int):
        super().__init__(path, headers)
        self._connection = connection
        self._stream = stream

    def _do(self, action: Callable[[h2.connection.H2Connection], None]) -> None:
        with self._connection.lock:
            if self.gone.is_set():
                raise Gone
            try:
                action(self._connection.h2)
                self._connection.flush()
            except (OSError, h2.exceptions.ProtocolError) as error:
                self.gone.set()
                raise Gone from error

    def start(self, status: int, headers: dict[str, str] | None = None) -> None:
        headers = {"Content-Type": "application/json", **(headers or {})}
        fields = [(":status", str(status)), *((name.lower(), value) for name, value in headers.items())]
        self._do(lambda connection: connection.send_headers(self._stream, fields))

    def write(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            with self._connection.lock:
                room = 0
                while not self.gone.is_set():
                    try:
                        room = self._connection.h2.local_flow_control_window(self._stream)
                    except h2.exceptions.ProtocolError:
                        self.gone.set()
                        break
                    if room > 0:
                        break
                    self._connection.changed.wait(1)
                piece = data[at:at + min(room, self._connection.h2.max_outbound_frame_size)]
                self._do(lambda connection: connection.send_data(self._stream, piece))
                at += len(piece)

    def end(self) -> None:
        self._do(lambda connection: connection.end_stream(self._stream))

    def close(self) -> None:
        with contextlib.suppress(Gone):
            self._do(lambda connection: connection.reset_stream(self._stream))
        self.gone.set()

    def reset(self) -> None:
        self._connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        _shut(self._connection.socket)
        self.gone.set()


def _run(handler: Handler, response: Response) -> None:
    with contextlib.suppress(Gone):
        handler(response)


class HttpServer:
    """Serves `handler` on an address. `protocols` as ALPN names them, the preferred one first."""

    def __init__(self, handler: Handler, certificate: Path, key: Path, port: int = 0,
                 protocols: tuple[str, ...] = ("h2", "http/1.1"), address: str = "127.0.0.1"):
        self.handler = handler
        self.protocols = protocols
        self.accepted = 0    # connections so far
        self.resumed = 0     # of them, those with a session of TLS that was there
        self.silent = False  # new connections are accepted, and nothing is said on them
        self.use_certificate(certificate, key)
        self._connections: dict[socket.socket, None] = {}
        self._connections2: dict[_Connection2, None] = {}
        self._listener = socket.create_server((address, port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def use_certificate(self, certificate: Path, key: Path) -> None:
        """For new connections."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sslsocket_class = _Connection
        context.load_cert_chain(certificate, key)
        context.set_alpn_protocols(list(self.protocols))
        self._context = context

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            self._connections[connection] = None
            if not self.silent:
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            connection = self._context.wrap_socket(plain, server_side=True)
        except OSError:
            plain.close()
            return
        finally:
            self._connections.pop(plain, None)
        connection.serialize()
        self._connections[connection] = None
        self.resumed += connection.session_reused
        try:
            if connection.selected_alpn_protocol() == "h2":
                two = _Connection2(connection, self.handler)
                self._connections2[two] = None
                two.serve()
                del self._connections2[two]
            else:
                self._serve1(connection)
        except (OSError, Gone, ValueError):
            pass
        finally:
            self._connections.pop(connection, None)
            connection.close()

    def _serve1(self, connection: _Connection) -> None:
        data = b""
        while True:
            while b"\r\n\r\n" not in data:
                more = connection.receive()
                if not more:
                    return
                data += more
            head, _, data = data.partition(b"\r\n\r\n")
            request, *lines = head.decode().split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            response = _Response1(request.split(" ")[1], headers, connection)
            length = int(headers.get("content-length", 0))
            while len(data) < length:
                more = connection.receive()
                if not more:
                    return
                data += more
            response.body, data = data[:length], data[length:]
            self.handler(response)
            if response.gone.is_set():
                return

    def freeze(self) -> None:
        """Nothing more is sent or read on the connections of HTTP/2 that there are, and they stay open."""
        for connection in self._connections2.copy():
            connection.frozen = True

    def disconnect(self) -> None:
        """Ends every connection that there is."""
        for connection in self._connections.copy():
            _shut(connection)

    def stop(self) -> None:
        """Nobody listens any more, as with a server that was killed."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self.disconnect()
