"""Asks a server many questions at once, and makes answers comparable."""
import selectors
import socket
import struct
import time
from collections import Counter
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from questions import Question

WINDOW = 64  # questions under way at a time: few enough for no socket buffer to overflow
SILENCE = 5.0  # seconds after which an answer is no longer expected


class UdpAsker:
    def __init__(self, port: int):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(SILENCE)

    def ask(self, questions: list[Question]) -> list[bytes | None]:
        """The answer to each question; None where there was none."""
        answers: list[bytes | None] = [None] * len(questions)
        waiting: set[int] = set()
        upcoming = iter(range(len(questions)))
        while True:
            while len(waiting) < WINDOW and (number := next(upcoming, None)) is not None:
                self._socket.send(questions[number].wire(number))
                waiting.add(number)
            if not waiting:
                return answers
            try:
                answer = self._socket.recv(65535)
            except TimeoutError:
                waiting.clear()
                continue
            number = struct.unpack_from("!H", answer)[0]
            if number in waiting:
                waiting.remove(number)
                answers[number] = answer

    def close(self) -> None:
        self._socket.close()


class TcpAsker:
    def __init__(self, port: int):
        self._address = ("127.0.0.1", port)

    def ask(self, questions: list[Question]) -> list[bytes | None]:
        """The answer to each question. A question at which the server closes the connection has None."""
        answers: list[bytes | None] = [None] * len(questions)
        open_questions = list(range(len(questions)))
        while open_questions:
            with socket.create_connection(self._address, SILENCE) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                left = self._pipeline(connection, questions, open_questions, answers)
            open_questions = left
        return answers

    @staticmethod
    def _pipeline(connection: socket.socket, questions: list[Question], numbers: list[int],
                  answers: list[bytes | None]) -> list[int]:
        """Asks over one connection as far as it goes. Returns what is left to be asked."""
        waiting: dict[int, None] = {}
        position, data = 0, b""
        while position < len(numbers) or waiting:
            batch = b""
            while position < len(numbers) and len(waiting) < WINDOW // 2:
                wire = questions[numbers[position]].wire(numbers[position])
                batch += struct.pack("!H", len(wire)) + wire
                waiting[numbers[position]] = None
                position += 1
            try:
                connection.sendall(batch)
                more = connection.recv(1 << 16)
            except OSError:
                more = b""
            if not more:  # the first of those under way is the one that the server does not like
                return list(waiting)[1:] + numbers[position:]
            data += more
            while len(data) >= 2 and len(data) >= 2 + (size := struct.unpack_from("!H", data)[0]):
                answer, data = data[2:2 + size], data[2 + size:]
                number = struct.unpack_from("!H", answer)[0]
                if number in waiting:
                    del waiting[number]
                    answers[number] = answer
        return []

    def close(self) -> None:
        """Has nothing open between two calls."""


class TightLoop:
    """Asks several servers one question again and again, each as fast as it answers, until every one of them has said
    what was waited for."""

    def __init__(self, ports: list[int]):
        self._selector = selectors.DefaultSelector()
        self._sockets = []
        for place, port in enumerate(ports):
            one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            one.connect(("127.0.0.1", port))
            one.setblocking(False)
            self._sockets.append(one)
            self._selector.register(one, selectors.EVENT_READ, place)

    def until(self, question: Question, wanted, patience: float = 10.0) -> tuple[list[float], list[float]]:
        """For each server, at what time (time.monotonic) the first answer came for which `wanted` is true, and the
        longest time between two of its answers."""
        wire = question.wire(1)
        found: list[float | None] = [None] * len(self._sockets)
        start = time.monotonic()
        last, gaps = [start] * len(found), [0.0] * len(found)
        for one in self._sockets:
            one.send(wire)
        while None in found:
            assert time.monotonic() < start + patience, f"waited {patience} s in vain for {question}: {found}"
            for key, _ in self._selector.select(1.0):
                answer = key.fileobj.recv(65535)
                now = time.monotonic()
                gaps[key.data], last[key.data] = max(gaps[key.data], now - last[key.data]), now
                if wanted(answer):
                    found[key.data] = now
                else:
                    key.fileobj.send(wire)
        return found, gaps

    def close(self) -> None:
        self._selector.close()
        for one in self._sockets:
            one.close()


@dataclass(frozen=True)
class Answer:
    """What two servers must agree on. Sections are sorted (owner, type, TTL, RDATA), names in lower case and SOA serials
    zero; OPT stands beside them."""
    rcode: int
    flags: int
    answer: tuple
    authority: tuple
    additional: tuple
    edns: bool

    @property
    def truncated(self) -> bool:
        return bool(self.flags & dns.flags.TC)

    def __str__(self) -> str:
        text = [f"{dns.rcode.to_text(self.rcode)} {dns.flags.to_text(self.flags)}{'' if self.edns else ' without EDNS'}"]
        for title in ("answer", "authority", "additional"):
            text += [f"    {title}: {owner} {ttl} {dns.rdatatype.to_text(rdtype)} {data}"
                     for owner, rdtype, ttl, data, _ in getattr(self, title)]
        return "\n".join(text)


def _section(section) -> tuple:
    rows = []
    for rrset in section:
        owner = rrset.name.to_text().lower()
        for rdata in rrset:
            if rdata.rdtype == dns.rdatatype.SOA:
                rdata = rdata.replace(serial=0)
            rows.append((owner, int(rdata.rdtype), rrset.ttl, rdata.to_text().lower(), rdata.to_digestable()))
    return tuple(sorted(rows))


def parse(question: Question, data: bytes | None) -> Answer | str | None:
    """None: no answer. A text: what is wrong with it."""
    if data is None:
        return None
    try:
        message = dns.message.from_wire(data, ignore_trailing=False)
    except dns.exception.DNSException as error:
        return f"malformed: {error!r}"
    if not message.flags & dns.flags.QR:
        return "not a response"
    asked = question.wire(0)[12:-11]
    if data[12:12 + len(asked)] != asked:
        return "the question is not echoed as it was asked"
    twice = [row for section in (message.answer, message.authority, message.additional)
             for row, number in Counter(_section(section)).items() if number > 1]
    if twice:
        return f"a record twice: {twice[0]}"
    return Answer(message.rcode(), int(message.flags), _section(message.answer), _section(message.authority),
                  _section(message.additional), message.edns >= 0)
