"""A signed zone: the signatures and proofs that come with its answers, checked as a validator would."""
import subprocess

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest

from test_file import zone

ORIGIN = dns.name.from_text("example.org.")


@pytest.fixture(scope="module")
def signed(tmp_path_factory) -> tuple[str, dict]:
    """The zone file of test_file.py, signed by ldns-signzone, and its keys."""
    folder = tmp_path_factory.mktemp("signed")
    lines = [line for line in zone().splitlines() if not line.startswith(("www\tIN\t300", "svc", "unknown", "two\t600"))]
    (folder / "db").write_text("\n".join(lines) + "\nwww A 192.0.2.80\nsecure NS ns.secure\n"
                               "secure DS 1 13 2 " + "ab" * 32 + "\nns.secure A 192.0.2.54\n")
    run = lambda *arguments: subprocess.run(arguments, cwd=folder, check=True, capture_output=True, text=True).stdout
    key = run("ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "example.org").strip()
    run("ldns-signzone", "-o", "example.org", "-f", "signed", "db", key)
    text = (folder / "signed").read_text()
    keys = dns.rrset.from_text_list(ORIGIN, 300, "IN", "DNSKEY",
                                    [(folder / f"{key}.key").read_text().split("DNSKEY", 1)[1].split(";")[0].strip()])
    return text, {ORIGIN: keys}


@pytest.fixture
def vigie(start, tmp_path, signed):
    (tmp_path / "signed").write_text(signed[0])
    return start(f"""example.org:PORT {{
	bind 127.0.0.1
	root {tmp_path}
	file signed
}}
""")


def ask(vigie, name: str, rdtype: str = "A") -> dns.message.Message:
    query = dns.message.make_query(f"{name}.example.org." if name else ORIGIN, rdtype, want_dnssec=True, payload=4096)
    return vigie.exchange(query, tcp=True)


def covered(reply: dns.message.Message, section, keys) -> set[tuple[str, str]]:
    """Owner and type of each set of the section that is signed; all signatures must be good."""
    sets = set()
    for signature in section:
        if signature.rdtype != dns.rdatatype.RRSIG:
            continue
        rrset = reply.find_rrset(section, signature.name, signature.rdclass, signature.covers)
        dns.dnssec.validate(rrset, signature, keys)
        sets.add((signature.name.to_text(), dns.rdatatype.to_text(signature.covers)))
    return sets


def nsecs(reply: dns.message.Message) -> list[tuple[dns.name.Name, dns.name.Name]]:
    return [(rrset.name, rrset[0].next) for rrset in reply.authority if rrset.rdtype == dns.rdatatype.NSEC]


def is_denied(reply: dns.message.Message, name: str) -> bool:
    """Whether one of the NSEC records says that there is nothing at the name."""
    asked = dns.name.from_text(name)
    return any(owner < asked and (asked < following or following == ORIGIN) for owner, following in nsecs(reply))


def test_positive(vigie, signed):
    reply = ask(vigie, "www")
    assert covered(reply, reply.answer, signed[1]) == {("www.example.org.", "A")}
    assert covered(reply, reply.authority, signed[1]) == {("example.org.", "NS")}
    reply = ask(vigie, "alias")
    assert covered(reply, reply.answer, signed[1]) == {("alias.example.org.", "CNAME"), ("www.example.org.", "A")}
    reply = ask(vigie, "mail", "MX")
    assert covered(reply, reply.additional, signed[1]) == {("mx1.example.org.", "A")}
    reply = ask(vigie, "", "DNSKEY")
    assert covered(reply, reply.answer, signed[1]) == {("example.org.", "DNSKEY")}
    assert any(rrset.covers == dns.rdatatype.A for rrset in ask(vigie, "www", "RRSIG").answer)


def test_without_do_there_are_none(vigie):
    for name, rdtype in (("www", "A"), ("missing", "A"), ("www", "TXT"), ("child", "A")):
        reply = vigie.ask(f"{name}.example.org.", rdtype, size=4096)
        assert not [rrset for rrset in reply.answer + reply.authority + reply.additional
                    if rrset.rdtype in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC)]


def test_nxdomain(vigie, signed):
    reply = ask(vigie, "missing.www")
    assert covered(reply, reply.authority, signed[1]) >= {("example.org.", "SOA"), ("www.example.org.", "NSEC")}
    assert is_denied(reply, "missing.www.example.org.") and is_denied(reply, "*.www.example.org.")
    reply = ask(vigie, "a")  # the name and the wildcard are denied by different records, or by the same
    assert is_denied(reply, "a.example.org.") and is_denied(reply, "*.example.org.")


def test_nodata(vigie, signed):
    reply = ask(vigie, "www", "TXT")
    assert covered(reply, reply.authority, signed[1]) == {("example.org.", "SOA"), ("www.example.org.", "NSEC")}
    reply = ask(vigie, "deep.ent")  # no owner of its own: the NSEC before it spans it
    assert reply.rcode() == 0 and is_denied(reply, "deep.ent.example.org.")


def test_wildcard(vigie, signed):
    reply = ask(vigie, "any.wild")
    assert covered(reply, reply.answer, signed[1]) == {("any.wild.example.org.", "A")}
    assert is_denied(reply, "any.wild.example.org.")
    reply = ask(vigie, "any.wild", "MX")
    assert is_denied(reply, "any.wild.example.org.")
    assert dns.name.from_text("*.wild.example.org.") in [owner for owner, _ in nsecs(reply)]


def test_referrals(vigie, signed):
    reply = ask(vigie, "host.secure")
    assert covered(reply, reply.authority, signed[1]) == {("secure.example.org.", "DS")}
    reply = ask(vigie, "host.child")  # not signed: the NSEC says so
    assert covered(reply, reply.authority, signed[1]) == {("child.example.org.", "NSEC")}
    reply = ask(vigie, "secure", "DS")
    assert covered(reply, reply.answer, signed[1]) == {("secure.example.org.", "DS")}
    reply = ask(vigie, "child", "DS")
    assert reply.flags & dns.flags.AA
    assert covered(reply, reply.authority, signed[1]) == {("example.org.", "SOA"), ("child.example.org.", "NSEC")}


def test_dname(vigie, signed):
    reply = ask(vigie, "www.old")
    assert covered(reply, reply.answer, signed[1]) == {("old.example.org.", "DNAME"), ("www.new.example.org.", "A")}
