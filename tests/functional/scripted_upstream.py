"""A name server that does as it is told: the upstream behind `forward` in the tests.

    with Upstream() as upstream:
        upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
        ... ask vigie ...
        assert upstream.asked("www.example.com.", "A") == ["udp"]

What it has no answer for is NXDOMAIN. A test may change `answers` at any time.
"""
import dataclasses
import socket
import struct
import threading

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rrset


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
    raw: bytes | None = None     # these bytes instead of a message, behind the query's id
    only: str | None = None      # "udp" or "tcp": the other transport gets no answer

    def __init__(self, *records: str, **fields):
        self.records = records
        for field in dataclasses.fields(self)[1:]:
            setattr(self, field.name, fields.pop(field.name, field.default))
        assert not fields, fields


NXDOMAIN = Reply(rcode="NXDOMAIN", authority=(". 60 IN SOA ns.example. host.example. 1 2 3 4 60",))


class Upstream:
    def __init__(self, address: str = "127.0.0.1", answers: dict[tuple[str, str], Reply] | None = None):
        self.answers: dict[tuple[str, str], Reply] = dict(answers or {})
        self.default = NXDOMAIN
        self.log: list[tuple[str, str, str, dns.message.Message]] = []  # transport, name, type, the query
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        for _ in range(100):  # one free number for both transports
            self._udp = socket.socket(family, socket.SOCK_DGRAM)
            self._tcp = socket.socket(family, socket.SOCK_STREAM)
            self._udp.bind((address, 0))
            self.port = self._udp.getsockname()[1]
            try:
                self._tcp.bind((address, self.port))
                break
            except OSError:
                self._udp.close()
                self._tcp.close()
        self._tcp.listen(64)
        self.address = address
        self.text = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"

    def __enter__(self) -> "Upstream":
        self._udp.settimeout(0.2)
        self._tcp.settimeout(0.2)
        self._spawn(self._serve_udp)
        self._spawn(self._serve_tcp)
        return self

    def __exit__(self, *_) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        self._udp.close()
        self._tcp.close()

    def asked(self, name: str, rdtype: str | None = None) -> list[str]:
        """The transports by which a name was asked, in order."""
        return [transport for transport, asked, kind, _ in list(self.log)
                if asked == name.lower() and rdtype in (None, kind)]

    def _spawn(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _answer(self, transport: str, packet: bytes) -> bytes | None:
        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype)
        self.log.append((transport, name, kind, query))
        script = self.answers.get((name, kind), self.default)
        if script.delay and self._stopping.wait(script.delay):
            return None
        if script.drop or script.only not in (None, transport):
            return None
        if script.raw is not None:
            return packet[:2] + script.raw
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
        return reply.to_wire(max_size=65535)

    def _serve_udp(self) -> None:
        def one(packet: bytes, client) -> None:
            answer = self._answer("udp", packet)
            if answer is not None:
                self._udp.sendto(answer, client)

        while not self._stopping.is_set():
            try:
                packet, client = self._udp.recvfrom(65535)
            except TimeoutError:
                continue
            self._spawn(one, packet, client)

    def _serve_tcp(self) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = self._tcp.accept()
            except TimeoutError:
                continue
            self._spawn(self._serve_connection, connection)

    def _serve_connection(self, connection: socket.socket) -> None:
        connection.settimeout(0.2)
        data = b""
        with connection:
            while not self._stopping.is_set():
                try:
                    part = connection.recv(65535)
                except TimeoutError:
                    continue
                except ConnectionError:
                    return
                if not part:
                    return
                data += part
                while len(data) >= 2 and len(data) >= 2 + (size := struct.unpack("!H", data[:2])[0]):
                    answer = self._answer("tcp", data[2:2 + size])
                    data = data[2 + size:]
                    if answer is None:
                        return
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
