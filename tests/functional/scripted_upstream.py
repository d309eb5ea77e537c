"""A name server that does as it is told: the upstream behind `forward` in the tests.

    with Upstream() as upstream:
        upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
        ... ask vigie ...
        assert upstream.asked("www.example.com.", "A") == ["udp"]

What it has no answer for is NXDOMAIN. A test may change `answers` at any time; a value that is a list is given out one
after another, its last one for ever. By UDP and TCP on one port; with `tls=(certificate, key)` by TLS on `tls_port`, too.

Tests count what they ask vigie to ask. When this process has to wait for its CPU, vigie asks again, as it should: what
comes by UDP while an answer is overdue that the script does not delay is answered, and not counted, nor what follows by TCP.
"""
import contextlib
import dataclasses
import select
import socket
import ssl
import struct
import threading
import time

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>
PATIENT = 0.005      # seconds: less than vigie waits before it asks again
MOMENT = 0.5         # seconds: for what was under way to be read


@dataclasses.dataclass
class Reply:
    """One scripted answer. `records` are in zone file form, of the answer section."""
    records: tuple[str, ...] = ()
    rcode: str = "NOERROR"
    authority: tuple[str, ...] = ()
    additional: tuple[str, ...] = ()
    truncated: bool = False      # by UDP only: TC, and no records
    delay: float = 0             # seconds
    drop: bool = False           # no answer at all; by TCP the connection closes
    error: tuple[int, str] | None = None  # an extended DNS error: code and text
    wrong_id: bool = False       # the id is not the query's
    wrong_port: bool = False     # by UDP: sent from another port
    wrong_question: bool = False # the question is another one
    lower: bool = False          # the question in lower case
    no_question: bool = False    # a header alone
    no_edns: bool = False        # an OPT record is not understood: FORMERR to it
    copies: int = 1              # how often it is sent
    before: tuple[bytes, ...] = ()  # by UDP: datagrams that are sent first, as they are; b"ID" stands for the query's id
    raw: bytes | None = None     # these bytes instead of a message, behind the query's id
    wire: bytes | None = None    # a whole message, whose id and question become the query's; TC where UDP is too small
    reset: bool = False          # by TCP: RST instead of an answer
    drip: float = 0              # by TCP: seconds between two bytes of the answer
    only: str | None = None      # "udp", "tcp" or "tls": the other transports get no answer

    def __init__(self, *records: str, **fields):
        self.records = records
        for field in dataclasses.fields(self)[1:]:
            setattr(self, field.name, fields.pop(field.name, field.default))
        assert not fields, fields


NXDOMAIN = Reply(rcode="NXDOMAIN", authority=(". 60 IN SOA ns.example. host.example. 1 2 3 4 60",))


@dataclasses.dataclass
class Asked:
    """A question by UDP, when it came, and when it was answered, by the clock of the kernel's time stamps."""
    script: Reply
    came: float
    answered: float = float("inf")
    repeated: bool = False

    def is_repeated_by(self, came: float) -> bool:
        """By one that vigie had to send, because the answer was not there in time: never at once."""
        at_once = not (self.script.delay or self.script.drop) and self.script.only in (None, "udp")
        return at_once and self.came + PATIENT < came < self.answered

    def leads_to_tcp(self) -> bool:
        """As the last of those."""
        return self.repeated and time.time() < self.answered + MOMENT


class Upstream:
    def __init__(self, address: str = "127.0.0.1", answers: dict[tuple[str, str], Reply | list[Reply]] | None = None,
                 tls: tuple[str, str] | None = None, port: int = 0):
        self.answers = dict(answers or {})
        self.default = NXDOMAIN
        self.log: list[tuple[str, str, str, dns.message.Message]] = []  # transport, name, type, the query
        self.sources: list[tuple[str, int]] = []                        # of all datagrams, in their order
        self.connections = {"tcp": 0, "tls": 0}                         # that were accepted
        self.resumed = 0                                                # of those by TLS
        self.answered: list[str] = []                                   # names, once their answers by UDP were sent
        self.deepest = 0                                                # queries that waited at one time on one connection
        self._lock = threading.Lock()
        self._newest: dict[bytes, Asked] = {}
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in range(100):  # one free number for both transports
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._tcp = socket.socket(family, socket.SOCK_STREAM)
            self._udp.bind((address, port))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp.bind((address, self.port))
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._udp.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self._tcp.listen(64)
        self._tls = None
        if tls:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(*tls)
            self._tls = socket.socket(family, socket.SOCK_STREAM)
            self._tls.bind((address, 0))
            self._tls.listen(64)
            self.tls_port = self._tls.getsockname()[1]
        self.address = address
        self.text = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    def __enter__(self) -> "Upstream":
        self._udp.settimeout(0.2)
        self._spawn(self._serve_udp)
        self._spawn(self._accept, self._tcp, "tcp")
        if self._tls:
            self._spawn(self._accept, self._tls, "tls")
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        for connection in self._open:  # a thread may wait there for long
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in (self._udp, self._tcp, self._tls):
            if each:
                each.close()

    @property
    def open(self) -> int:
        """Connections that neither side has closed."""
        return sum(connection.fileno() >= 0 for connection in list(self._open))

    def asked(self, name: str, rdtype: str | None = None) -> list[str]:
        """The transports by which a name was asked, in order."""
        return [transport for transport, asked, kind, _ in list(self.log)
                if asked == name.lower() and rdtype in (None, kind)]

    def _spawn(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _script(self, transport: str, query: dns.message.Message) -> Reply:
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.log.append((transport, name, kind, query))
        script = self.answers.get((name, kind), self.default)
        if isinstance(script, list):
            script = script.pop(0) if len(script) > 1 else script[0]
        return script

    def _ask_by_udp(self, packet: bytes, query: dns.message.Message, came: float) -> Asked:
        key = packet[2:].lower()
        asked = self._newest.get(key)
        if asked and asked.is_repeated_by(came):
            asked.repeated = True
            return asked
        self._newest[key] = Asked(self._script("udp", query), came)
        return self._newest[key]

    @staticmethod
    def _message(script: Reply, transport: str, query: dns.message.Message) -> bytes:
        if script.no_edns and query.edns >= 0:
            query.use_edns(False)
            script = Reply(rcode="FORMERR", no_question=script.no_question)
        reply = dns.message.make_response(query, recursion_available=True)
        if script.error:
            reply.use_edns(0, options=[dns.edns.EDEOption(*script.error)])
        reply.set_rcode(dns.rcode.from_text(script.rcode))
        if script.truncated and transport == "udp":
            reply.flags |= dns.flags.TC
        else:
            for section, records in ((reply.answer, script.records), (reply.authority, script.authority),
                                     (reply.additional, script.additional)):
                for record in records:
                    owner, ttl, rdclass, rdtype, rdata = record.split(maxsplit=4)
                    section.append(dns.rrset.from_text(owner, int(ttl), rdclass, rdtype, rdata))
        if script.wrong_id:
            reply.id ^= 0x5555
        if script.wrong_question:
            reply.question = [dns.rrset.RRset(dns.name.from_text("another.example.net."), 1, 1)]
        if script.lower:
            for rrset in reply.question:
                rrset.name = dns.name.from_text(rrset.name.to_text().lower())
        wire = reply.to_wire(max_size=65535)
        return wire[:4] + bytes(8) if script.no_question and reply.rcode() else wire

    @staticmethod
    def _fitted(wire: bytes, transport: str, query: dns.message.Message, packet: bytes) -> bytes:
        behind = 12 + len(query.question[0].name.to_wire()) + 4
        if transport == "udp" and len(wire) > (max(query.payload, 512) if query.edns >= 0 else 512):
            return packet[:2] + bytes([wire[2] | 2, wire[3]]) + b"\0\1" + bytes(6) + packet[12:behind]
        return packet[:2] + wire[2:12] + packet[12:behind] + wire[behind:]

    def respond(self, transport: str, packet: bytes) -> tuple[Reply, bytes | None]:
        query = dns.message.from_wire(packet)
        with self._lock:
            asked = self._newest.get(packet[2:].lower())
            script = asked.script if asked and asked.leads_to_tcp() else self._script(transport, query)
        return script, self._answer(script, transport, query, packet)

    def _answer(self, script: Reply, transport: str, query: dns.message.Message, packet: bytes) -> bytes | None:
        if script.delay and self._stopping.wait(script.delay):
            return None
        if script.drop or script.only not in (None, transport):
            return None
        if script.raw is not None:
            return packet[:2] + script.raw
        if script.wire is not None:
            return self._fitted(script.wire, transport, query, packet)
        return self._message(script, transport, query)

    def _serve_udp(self) -> None:
        def one(packet: bytes, client, came: float) -> None:
            query = dns.message.from_wire(packet)
            with self._lock:
                asked = self._ask_by_udp(packet, query, came)
            script, answer = asked.script, self._answer(asked.script, "udp", query, packet)
            if answer is None:
                return
            asked.answered = min(asked.answered, time.time())
            for datagram in script.before:
                self._udp.sendto(datagram.replace(b"ID", packet[:2], 1), client)
            if script.wrong_port:
                with socket.socket(self._udp.family, socket.SOCK_DGRAM) as other:
                    other.bind((self.address, 0))
                    other.sendto(answer, client)
                return
            for _ in range(script.copies):
                self._udp.sendto(answer, client)
            self.answered.append(query.question[0].name.to_text().lower())

        while not self._stopping.is_set():
            try:
                packet, [(_, _, stamp)], _, client = self._udp.recvmsg(65535, socket.CMSG_SPACE(16))
            except TimeoutError:
                continue
            if len(packet) > 2 and packet[2] & 0x80:
                continue  # an answer: somebody else's stray, or a forger's who tries all ports of this machine
            self.sources.append(client[:2])
            seconds, nanoseconds = struct.unpack("@ll", stamp)
            self._spawn(one, packet, client, seconds + nanoseconds / 1e9)

    def _accept(self, listener: socket.socket, transport: str) -> None:
        listener.settimeout(0.2)
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            self.connections[transport] += 1
            self._spawn(self._serve_connection, connection, transport)

    def _serve_connection(self, connection: socket.socket, transport: str) -> None:
        """Each query in a thread of its own: replies go out in the order in which they are ready."""
        connection.settimeout(20)
        if transport == "tls":
            try:
                connection = self._context.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()
                return
            self.resumed += connection.session_reused
        self._open.append(connection)
        lock = threading.Lock()  # a TLS connection must not be read and written at once
        waiting = 0

        def one(packet: bytes) -> None:
            nonlocal waiting
            script, answer = self.respond(transport, packet)
            with lock:
                waiting -= 1
                try:
                    if script.reset:
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    if script.reset or answer is None:
                        connection.close()
                        return
                    frame = (struct.pack("!H", len(answer)) + answer) * script.copies
                    connection.settimeout(20)
                    if not script.drip:
                        connection.sendall(frame)
                    for byte in frame if script.drip else b"":
                        connection.sendall(bytes([byte]))
                        if self._stopping.wait(script.drip):
                            return
                except OSError:
                    return

        data = b""
        with connection:
            while not self._stopping.is_set():
                try:
                    if not select.select([connection], [], [], 0.2)[0]:
                        continue
                    with lock:
                        connection.settimeout(0)
                        part = connection.recv(65535)  # a TLS record whole: none of it stays where select cannot see it
                except (BlockingIOError, ssl.SSLWantReadError):
                    continue
                except (OSError, ValueError):  # closed by a reply that says so
                    return
                if not part:
                    return
                data += part
                while len(data) >= 2 and len(data) >= 2 + (size := struct.unpack("!H", data[:2])[0]):
                    with lock:
                        waiting += 1
                        self.deepest = max(self.deepest, waiting)
                    self._spawn(one, data[2:2 + size])
                    data = data[2 + size:]
