"""vigie and CoreDNS with the same Corefile, asked the same questions: the examples of CoreDNS' manual pages, one directive
after another. The answers agree but where docs/differences.md says otherwise."""
import dataclasses
import re
from collections import Counter
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest

from directive_cases import CASES, FILES, WORLD, Case
from processes import Process, free_ports, listens, wait_for
from servers import TOP, VIGIE

PATIENCE = 10


@dataclasses.dataclass(frozen=True)
class Answer:
    rcode: str
    flags: str
    sections: tuple[tuple[str, ...], ...]
    options: tuple[str, ...]
    edns: bool

    def __str__(self) -> str:
        lines = [f"{self.rcode} [{self.flags}]{'' if self.edns else ' without EDNS'}"]
        for title, section in zip(("answer", "authority", "additional"), self.sections):
            lines += [f"    {title}: {record}" for record in section]
        return "\n".join(lines + [f"    option: {option}" for option in self.options])


def records(section) -> tuple[str, ...]:
    """Sorted; the client's port, which `whoami` tells, is another one each time."""
    lines = sorted(f"{rrset.name.to_text()} {rrset.ttl} {dns.rdataclass.to_text(rrset.rdclass)} "
                   f"{dns.rdatatype.to_text(rrset.rdtype)} {rdata}" for rrset in section for rdata in rrset)
    return tuple(re.sub(r"^(_(?:udp|tcp)\..* SRV 0 0) \d+", r"\1 PORT", line) for line in lines)


def ask(port: int, question: str) -> Answer | None:
    """A question: NAME TYPE and, in any order, CLASS, tcp, norec, do, noedns, nsid, size=BYTES, from=ADDRESS. None: no
    answer."""
    name, rdtype, *more = question.split()
    settings = dict(word.split("=") for word in more if "=" in word)
    words = {word for word in more if "=" not in word}
    rdclass = next((word for word in words if word in ("CH", "HS")), "IN")
    options = [dns.edns.GenericOption(dns.edns.OptionType.NSID, b"")] if "nsid" in words else None
    query = dns.message.make_query(name, rdtype, rdclass, use_edns="noedns" not in words,
                                   payload=int(settings.get("size", 1232)), want_dnssec="do" in words, options=options)
    if "norec" in words:
        query.flags &= ~dns.flags.RD
    ask_by = dns.query.tcp if "tcp" in words else dns.query.udp
    try:
        reply = ask_by(query, "127.0.0.1", port=port, timeout=1 if "dropped" in words else PATIENCE,
                       source=settings.get("from", "127.0.0.1"))
    except (dns.exception.Timeout, EOFError, ConnectionError):
        return None
    sections = () if reply.flags & dns.flags.TC else (reply.answer, reply.authority, reply.additional)
    return Answer(dns.rcode.to_text(reply.rcode()), dns.flags.to_text(reply.flags),
                  tuple(records(section) for section in sections),  # how much of a cut answer is there says nothing
                  tuple(sorted(f"{option.otype} {option.to_wire().hex() if option.to_wire() else ''}"
                               for option in reply.options)), reply.edns >= 0)


class Server:
    def __init__(self, program: Path, folder: Path, corefile: str, ports: dict[str, int]):
        folder.mkdir(parents=True)
        for name, text in FILES.items():
            (folder / name).write_text(text)
        for word, value in sorted(ports.items(), reverse=True):  # UPSTREAM2 before UPSTREAM
            corefile = corefile.replace(word, str(value))
        (folder / "Corefile").write_text(corefile.replace("FOLDER", str(folder)))
        self.port = ports["PORT"]
        self.process = Process(program.name, [program, "-conf", folder / "Corefile"], folder)

    def __enter__(self) -> "Server":
        self.process.start()
        wait_for(lambda: self.process.check() or listens(self.port), f"{self.process.name} to listen\n{self.process.log()}")
        return self

    def __exit__(self, *_) -> None:
        self.process.stop()


@pytest.fixture(scope="module")
def coredns(control_plane) -> Path:
    return control_plane.tools / "coredns"


@pytest.fixture(scope="module")
def world(coredns, tmp_path_factory):
    """The upstreams: three CoreDNS servers with a zone each, at the ports of UPSTREAM, UPSTREAM2 and UPSTREAM3."""
    ports = dict(zip(WORLD, free_ports(len(WORLD))))
    text = "".join(f".:{ports[word]} {{\n    bind 127.0.0.1\n    file {word}.zone .\n}}\n" for word in WORLD)
    folder = tmp_path_factory.mktemp("world")
    for word, zone in WORLD.items():
        (folder / f"{word}.zone").write_text(zone)
    with Server(coredns, folder / "server", text.replace("file ", f"file {folder}/"),
                {"PORT": ports["UPSTREAM"]}):
        yield ports


# Each rule is named in its row of docs/differences.md. Those of the first kind take away from both answers what may differ;
# those of the second get the question, vigie's answer and CoreDNS', which differ still, and say whether that is why.


def recursion_is_available(answer: Answer) -> Answer:
    """vigie says RA where a block forwards; CoreDNS hands on what its upstream says."""
    return dataclasses.replace(answer, flags=" ".join(flag for flag in answer.flags.split() if flag != "RA"))


def the_reason_why(answer: Answer) -> Answer:
    """EDE, which vigie adds to every answer that is not plain success."""
    return dataclasses.replace(answer, options=tuple(one for one in answer.options if not one.startswith("15 ")))


def case_of_the_owner(answer: Answer) -> Answer:
    """vigie's records have the name as it was asked for."""
    return dataclasses.replace(answer, sections=tuple(tuple(record.lower() for record in section)
                                                      for section in answer.sections))


def answers_by_udp(question, ours, theirs):
    """At most 1232 bytes, whatever the client says."""
    return "TC" in ours.flags.split() and "TC" not in theirs.flags.split() and "size=" in question


def name_that_no_directive_answers(question, ours, theirs):
    return (ours.rcode, theirs.rcode) == ("REFUSED", "SERVFAIL")


def template_of_any_class(question, ours, theirs):
    """`template ANY …` in a block that neither forwards nor has `chaos`."""
    return theirs.rcode == "REFUSED" and question.endswith(" CH") and ours.rcode == "NXDOMAIN"


def authority_of_another_answer(question, ours, theirs):
    """`rewrite cname` puts a new target's records into the answer; the authority section was about the old one's."""
    return question.startswith("my-app.com ") and ours.sections[1] == () and without(
        theirs, TRIFLES).sections[::2] == without(ours, TRIFLES).sections[::2]


def answer_without_v4(question, ours, theirs):
    """`dns64` finds no A record: the answer to AAAA stands."""
    return question == "v6.example.org AAAA" and types(ours, 0) == {"AAAA"} and types(theirs, 0) == set()


def authority_of_synthesis(question, ours, theirs):
    """`dns64` keeps the AA of the answer to A."""
    flags = set(without(ours, TRIFLES).flags.split()) ^ set(without(theirs, TRIFLES).flags.split())
    return " AAAA" in question and flags == {"AA"} and ours.sections == theirs.sections


def any_of_a_zone(question, ours, theirs):
    return question.endswith(" ANY") and types(theirs, 0) == set() and len(types(ours, 0)) == 1


def soa_behind_the_cname(question, ours, theirs):
    """A negative answer carries the SOA."""
    return (types(ours, 0) == {"CNAME"} and types(ours, 1) == {"SOA"} and types(theirs, 1) == {"NS"}
            and ours.sections[0] == theirs.sections[0])


def name_servers_beside_a_cname(question, ours, theirs):
    """A CNAME out of the zone is not the answer that the zone's name servers stand behind."""
    return (types(ours, 0) == {"CNAME"} and types(ours, 1) == set() and types(theirs, 1) == {"NS"}
            and ours.sections[0] == theirs.sections[0])


def ttls_of_each_record(question, ours, theirs):
    """`cache` bounds the TTL of each record by itself, and touches no answer that it does not hold."""
    return without(ours, TRIFLES) != without(theirs, TRIFLES) and timeless(ours) == timeless(theirs)


def timeless(answer: Answer) -> Answer:
    sections = tuple(tuple(re.sub(r"^(\S+) \d+ ", r"\1 ", record) for record in section) for section in answer.sections)
    return dataclasses.replace(without(answer, TRIFLES), sections=sections)


def zones_of_localhost(question, ours, theirs):
    """`local` has whole zones, with AA, name servers and the SOA of the zone's own name."""
    return (re.match(r"(\S+\.)?localhost[. ]|\S+\.127\.in-addr\.arpa ", question) is not None
            and ours.rcode == theirs.rcode and ours.sections[0] == theirs.sections[0] and "AA" in ours.flags.split())


def types(answer: Answer, section: int) -> set[str]:
    """The types of the records in a section: none when the answer is cut."""
    return {record.split()[3] for section in answer.sections[section:section + 1] for record in section}


TRIFLES = [recursion_is_available, the_reason_why, case_of_the_owner]
RULES = [answers_by_udp, name_that_no_directive_answers, template_of_any_class, authority_of_another_answer,
         answer_without_v4, authority_of_synthesis, any_of_a_zone, soa_behind_the_cname,
         name_servers_beside_a_cname, ttls_of_each_record, zones_of_localhost]


def without(answer: Answer, trifles: list) -> Answer:
    for trifle in trifles:
        answer = trifle(answer)
    return answer


def explain(question: str, ours: Answer | None, theirs: Answer | None) -> list[str] | None:
    """The rules that a difference falls under; None when none explains it."""
    if ours == theirs:
        return []
    if ours is None or theirs is None:
        return None
    for rule in RULES:
        if rule(question, ours, theirs):
            return [rule.__name__]
    if without(ours, TRIFLES) != without(theirs, TRIFLES):
        return None
    return [trifle.__name__ for trifle in TRIFLES
            if without(ours, others := [one for one in TRIFLES if one is not trifle]) != without(theirs, others)]


_used: Counter[str] = Counter()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_answers_agree(case, coredns, world, tmp_path):
    unexplained = []
    ports = [dict(zip(("PORT", "SECOND"), pair)) | world for pair in zip(free_ports(2), free_ports(2))]
    with (Server(VIGIE, tmp_path / "vigie", case.corefile, ports[0]) as ours,
          Server(coredns, tmp_path / "coredns", case.corefile, ports[1]) as theirs):
        for question in case.questions:
            answers = [ask(server.port, question) for server in (ours, theirs)]
            rules = explain(question, *answers)
            if rules is None:
                unexplained.append(f"== {question}\nvigie:   {answers[0]}\nCoreDNS: {answers[1]}")
            else:
                _used.update(rules)
    assert not unexplained, "\n".join(unexplained)


def test_each_rule_is_used_and_documented():
    text = (TOP / "docs" / "differences.md").read_text()
    names = {rule.__name__ for rule in TRIFLES + RULES}
    assert {name for name in names if f"`{name}`" not in text} == set()
    assert names == set(_used), "each rule has its use"
