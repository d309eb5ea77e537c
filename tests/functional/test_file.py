"""The `file` and `root` directives: what a zone answers, and when it is read again."""
import os
import re
import time
from pathlib import Path

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from scripted_upstream import Reply
from vigie_process import Vigie, records, refused_configuration

def zone(extra: str = "", serial: int = 2017042745) -> str:
    return f"""$TTL 300
@	3600	IN	SOA	ns1.example.org. host.example.org. {serial} 7200 3600 1209600 60
	IN	NS	ns1
	NS	ns2.example.net.
ns1	A	192.0.2.1
	AAAA	2001:db8::1
www	IN	300	A	192.0.2.80	; the class before the TTL
	AAAA	2001:db8::80
Mixed	A	192.0.2.81
alias	CNAME	www
far	CNAME	alias
loop1	CNAME	loop2
loop2	CNAME	loop1
gone	CNAME	missing
out	CNAME	www.example.com.
out2	CNAME	out
mail	MX	10 mx1
	MX	20 mx1
	MX	30 mx.example.net.
mx1	A	192.0.2.25
_sip._tcp	SRV	0 0 5060 www
b.deep.ent	A	192.0.2.90
*.wild	A	192.0.2.91
	TXT	"text" ( "more"
	"parts" )
x.wild	TXT	"closer"
a.b.wild	TXT	"below an empty non-terminal"
*.wildalias	CNAME	www
child	NS	ns.child
	NS	ns.example.net.
ns.child	A	192.0.2.53
old	DNAME	new
www.new	A	192.0.2.92
old2	DNAME	example.com.
toold	CNAME	www.old
tochild	CNAME	host.child
svc	HTTPS	1 www alpn=h2,h3
e\\046f	A	192.0.2.93
unknown	TYPE65280	\\# 2 abcd
two	A	192.0.2.94
two	600	A	192.0.2.95
two	A	192.0.2.94
{extra}
"""


@pytest.fixture
def serve(start, tmp_path, upstream):
    """A function that serves a zone file as example.org."""
    upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.100")

    def with_zone(text: str | None = None, options: str = "", more: str = "", zones: str = "example.org") -> Vigie:
        (tmp_path / "db.example.org").write_text(zone() if text is None else text)
        return start(f""".:PORT {{
	bind 127.0.0.1
	file {tmp_path}/db.example.org {zones} {{
		{options}
	}}
	forward . {upstream.text}
	{more}
}}
""")
    return with_zone


def answer(vigie: Vigie, name: str, rdtype: str = "A") -> list[str] | str:
    reply = vigie.ask(name + ".example.org." if name else "example.org.", rdtype)
    if reply.rcode() != dns.rcode.NOERROR:
        return dns.rcode.to_text(reply.rcode())
    return records(reply.answer) or "NODATA"


def test_answers(serve):
    vigie = serve()
    reply = vigie.ask("www.example.org.")
    assert reply.flags & dns.flags.AA
    assert records(reply.answer) == ["www.example.org. A 192.0.2.80"]
    assert reply.answer[0].ttl == 300
    assert records(reply.authority) == ["example.org. NS ns1.example.org.", "example.org. NS ns2.example.net."]
    assert answer(vigie, "www", "AAAA") == ["www.example.org. AAAA 2001:db8::80"]
    assert answer(vigie, "mixed") == ["mixed.example.org. A 192.0.2.81"]
    assert answer(vigie, r"e\.f") == [r"e\.f.example.org. A 192.0.2.93"]
    assert answer(vigie, "unknown", "TYPE65280") == [r"unknown.example.org. TYPE65280 \# 2 abcd"]
    assert answer(vigie, "svc", "HTTPS") == ['svc.example.org. HTTPS 1 www.example.org. alpn="h2,h3"']


def test_records_of_one_set_have_one_ttl_and_stand_once(serve):
    reply = serve().ask("two.example.org.")
    assert records(reply.answer) == ["two.example.org. A 192.0.2.94", "two.example.org. A 192.0.2.95"]
    assert reply.answer[0].ttl == 300


def test_the_owner_has_the_case_of_the_question(serve):
    assert records(serve().ask("WwW.eXample.org.").answer) == ["WwW.eXample.org. A 192.0.2.80"]


def test_apex(serve):
    vigie = serve()
    reply = vigie.ask("example.org.", "SOA")
    assert records(reply.answer) == ["example.org. SOA ns1.example.org. host.example.org. 2017042745 7200 3600 "
                                     "1209600 60"]
    assert reply.answer[0].ttl == 3600
    reply = vigie.ask("example.org.", "NS")
    assert len(reply.answer[0]) == 2 and not reply.authority
    assert records(reply.additional) == ["ns1.example.org. A 192.0.2.1", "ns1.example.org. AAAA 2001:db8::1"]
    assert answer(vigie, "", "TXT") == "NODATA"


def test_negative_answers(serve):
    """With the SOA, whose TTL is that for which they may be kept; what is above an existing name exists."""
    vigie = serve()
    for name, rdtype, rcode in (("missing", "A", dns.rcode.NXDOMAIN), ("www", "TXT", dns.rcode.NOERROR),
                                ("ent", "A", dns.rcode.NOERROR), ("deep.ent", "A", dns.rcode.NOERROR),
                                ("a.deep.ent", "A", dns.rcode.NXDOMAIN), ("zzz.www", "A", dns.rcode.NXDOMAIN)):
        reply = vigie.ask(f"{name}.example.org.", rdtype)
        assert reply.rcode() == rcode, name
        assert not reply.answer and reply.flags & dns.flags.AA
        assert [(rrset.rdtype, rrset.ttl) for rrset in reply.authority] == [(dns.rdatatype.SOA, 60)]


def test_aliases(serve, upstream):
    vigie = serve()
    assert answer(vigie, "alias") == ["alias.example.org. CNAME www.example.org.", "www.example.org. A 192.0.2.80"]
    assert len(answer(vigie, "far")) == 3
    assert answer(vigie, "far", "CNAME") == ["far.example.org. CNAME alias.example.org."]
    assert set(answer(vigie, "loop1")) == {"loop1.example.org. CNAME loop2.example.org.",
                                           "loop2.example.org. CNAME loop1.example.org."}
    reply = vigie.ask("gone.example.org.")
    assert reply.rcode() == dns.rcode.NXDOMAIN and len(reply.answer) == 1 and reply.authority
    # The end is elsewhere: whoever serves it is asked.
    assert answer(vigie, "out2") == ["out.example.org. CNAME www.example.com.", "out2.example.org. CNAME out.example.org.",
                                     "www.example.com. A 192.0.2.100"]
    assert answer(vigie, "out", "AAAA") == "NXDOMAIN"


def test_wildcards(serve):
    vigie = serve()
    assert answer(vigie, "any.wild") == ["any.wild.example.org. A 192.0.2.91"]
    assert answer(vigie, "any.thing.wild") == ["any.thing.wild.example.org. A 192.0.2.91"]
    assert answer(vigie, "any.wild", "TXT") == ['any.wild.example.org. TXT "text" "more" "parts"']
    assert answer(vigie, "any.wild", "MX") == "NODATA"
    assert answer(vigie, "wild") == "NODATA"
    assert answer(vigie, "*.wild") == ["*.wild.example.org. A 192.0.2.91"]
    # A name that exists, or an empty non-terminal, is closer than the wildcard (RFC 4592 section 2.2.1).
    assert answer(vigie, "x.wild") == "NODATA"
    assert answer(vigie, "y.x.wild") == "NXDOMAIN"
    assert answer(vigie, "b.wild") == "NODATA"
    assert answer(vigie, "c.b.wild") == "NXDOMAIN"
    assert answer(vigie, "q.wildalias") == ["q.wildalias.example.org. CNAME www.example.org.",
                                            "www.example.org. A 192.0.2.80"]


def test_delegations(serve):
    vigie = serve()
    for name in ("child", "host.child", "ns.child"):
        reply = vigie.ask(f"{name}.example.org.")
        assert reply.rcode() == dns.rcode.NOERROR
        assert not reply.flags & dns.flags.AA and not reply.answer
        assert records(reply.authority) == ["child.example.org. NS ns.child.example.org.",
                                            "child.example.org. NS ns.example.net."]
        assert records(reply.additional) == ["ns.child.example.org. A 192.0.2.53"]
    reply = vigie.ask("child.example.org.", "DS")
    assert reply.flags & dns.flags.AA and reply.authority[0].rdtype == dns.rdatatype.SOA
    # An alias into the child: the alias is ours.
    reply = vigie.ask("tochild.example.org.")
    assert reply.flags & dns.flags.AA and len(reply.answer) == 1
    assert reply.authority[0].rdtype == dns.rdatatype.NS


def test_dname(serve):
    vigie = serve()
    assert answer(vigie, "www.old") == ["old.example.org. DNAME new.example.org.",
                                        "www.new.example.org. A 192.0.2.92",
                                        "www.old.example.org. CNAME www.new.example.org."]
    assert answer(vigie, "old", "DNAME") == ["old.example.org. DNAME new.example.org."]
    assert answer(vigie, "old") == "NODATA"
    assert answer(vigie, "nothing.old") == "NXDOMAIN"
    assert answer(vigie, "toold")[-1] == "www.old.example.org. CNAME www.new.example.org."
    assert answer(vigie, "www.old2") == ["old2.example.org. DNAME example.com.", "www.example.com. A 192.0.2.100",
                                         "www.old2.example.org. CNAME www.example.com."]
    # A name that would become too long (RFC 6672 section 2.2).
    label = "x" * 60
    assert serve(zone(f"short DNAME {label}.{label}.{label}.other")).ask(
        f"{label}.{'y' * 20}.short.example.org.").rcode() == dns.rcode.YXDOMAIN


def test_addresses_of_what_records_point_to(serve):
    vigie = serve()
    assert records(vigie.ask("mail.example.org.", "MX").additional) == ["mx1.example.org. A 192.0.2.25"]
    assert records(vigie.ask("_sip._tcp.example.org.", "SRV").additional) == [
        "www.example.org. A 192.0.2.80", "www.example.org. AAAA 2001:db8::80"]
    assert len(vigie.ask("svc.example.org.", "HTTPS").additional) == 2


def test_any_gets_one_set(serve):
    assert answer(serve(), "www", "ANY") == ["www.example.org. A 192.0.2.80"]


def test_truncation(serve):
    vigie = serve(zone("\n".join(f"many A 192.0.2.{number}" for number in range(200))))
    reply = vigie.ask("many.example.org.")
    assert reply.flags & dns.flags.TC and len(reply.to_wire()) <= 512
    assert len(vigie.ask("many.example.org.", tcp=True).answer[0]) == 200


def test_transfers_and_other_classes_are_refused(serve):
    vigie = serve()
    for rdtype, rdclass in (("AXFR", "IN"), ("IXFR", "IN"), ("TXT", "CH")):
        assert vigie.ask("example.org.", rdtype, rdclass, tcp=True).rcode() == dns.rcode.REFUSED


def test_other_zones_pass(serve):
    assert records(serve().ask("www.example.com.").answer) == ["www.example.com. A 192.0.2.100"]


def test_fallthrough(serve, upstream):
    upstream.answers["missing.example.org.", "A"] = Reply("missing.example.org. 60 IN A 192.0.2.101")
    upstream.answers["www.example.org.", "TXT"] = Reply("www.example.org. 60 IN TXT no")
    for option, expected in (("", "NXDOMAIN"), ("fallthrough", ["missing.example.org. A 192.0.2.101"]),
                             ("fallthrough example.org", ["missing.example.org. A 192.0.2.101"]),
                             ("fallthrough example.net", "NXDOMAIN")):
        vigie = serve(options=option)
        assert answer(vigie, "missing") == expected
        assert answer(vigie, "www", "TXT") == "NODATA"


def test_one_file_for_several_zones(serve, tmp_path):
    vigie = serve(f"@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n", zones="example.org example.net 192.0.2.0/24")
    for name in ("ns.example.org.", "ns.example.net.", "ns.2.0.192.in-addr.arpa."):
        assert records(vigie.ask(name).answer) == [f"{name} A 192.0.2.1"]


def test_the_zones_of_the_block(start, tmp_path):
    (tmp_path / "db").write_text("@ SOA ns host 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\n")
    vigie = start(f"""example.org:PORT example.net:PORT {{
	bind 127.0.0.1
	root {tmp_path}
	file db
}}
""")
    assert vigie.ask("ns.example.org.").answer and vigie.ask("ns.example.net.").answer


def test_the_longest_zone_wins(start, tmp_path):
    (tmp_path / "one").write_text("@ SOA ns host 1 2 3 4 5\n@ NS ns\n*.sub A 192.0.2.1\n")
    (tmp_path / "two").write_text("@ SOA ns host 1 2 3 4 5\n@ NS ns\nwww A 192.0.2.2\n")
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	root {tmp_path}
	file one example.org
	file two sub.example.org
}}
""")
    assert records(vigie.ask("www.sub.example.org.").answer) == ["www.sub.example.org. A 192.0.2.2"]
    assert vigie.ask("x.sub.example.org.").rcode() == dns.rcode.NXDOMAIN


def replace(path: Path, text: str) -> None:
    """As an editor or a ConfigMap does it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    os.replace(new, path)


def test_reload(serve, tmp_path):
    path = tmp_path / "db.example.org"
    vigie = serve(options="reload 100ms")
    replace(path, zone("fresh A 192.0.2.200"))  # the serial stays
    time.sleep(0.5)
    assert answer(vigie, "fresh") == "NXDOMAIN"
    replace(path, zone("fresh A 192.0.2.200", serial=2017042746))
    vigie.wait_until(lambda: answer(vigie, "fresh") != "NXDOMAIN", "the new zone")
    vigie.wait_for_log(r'Successfully reloaded zone "example.org." .* with 2017042746 SOA serial')
    # One that cannot be read changes nothing, and is complained of once.
    replace(path, zone("fresh A 192.0.2", serial=2017042747))
    vigie.wait_for_log(r"\[ERROR\] plugin/file: Zone .example.org.. stays as it was: .*db.example.org:\d+: 'fresh A")
    time.sleep(0.5)
    assert vigie.log().count("stays as it was") == 1
    assert answer(vigie, "fresh") == ["fresh.example.org. A 192.0.2.200"]
    path.unlink()
    vigie.wait_for_log("stays as it was: .*No such file")
    assert answer(vigie, "fresh") == ["fresh.example.org. A 192.0.2.200"]


def test_reload_never(serve, tmp_path):
    vigie = serve(options="reload 0")
    replace(tmp_path / "db.example.org", zone("fresh A 192.0.2.200", serial=2017042746))
    time.sleep(0.3)
    assert answer(vigie, "fresh") == "NXDOMAIN"


def test_reload_by_mtime(serve, tmp_path):
    vigie = serve(options="reload 100ms\n\t\treload_by_mtime")
    replace(tmp_path / "db.example.org", zone("fresh A 192.0.2.200"))
    vigie.wait_until(lambda: answer(vigie, "fresh") != "NXDOMAIN", "the new zone")


def test_a_file_that_comes_later(start, tmp_path):
    vigie = start(f"""example.org:PORT {{
	bind 127.0.0.1
	file {tmp_path}/later {{
		reload 100ms
	}}
}}
""")
    assert vigie.ask("www.example.org.").rcode() == dns.rcode.SERVFAIL
    (tmp_path / "later").write_text(zone())
    vigie.wait_until(lambda: vigie.ask("www.example.org.").answer, "the zone")


def test_includes_and_origins(serve, tmp_path):
    (tmp_path / "part").write_text("inner A 192.0.2.2\n$ORIGIN deeper\n@ A 192.0.2.3\n")
    vigie = serve("""$ORIGIN example.org.
@ 60 SOA ns host 1 2 3 4 5 ; the TTL of a record goes on
@ NS ns
$INCLUDE part sub
  A 192.0.2.9
$INCLUDE "part"
$ORIGIN rel
name A 192.0.2.4
""")
    assert answer(vigie, "inner.sub") == ["inner.sub.example.org. A 192.0.2.2"]
    assert answer(vigie, "deeper.sub") == ["deeper.sub.example.org. A 192.0.2.3"]
    assert answer(vigie, "inner") == ["inner.example.org. A 192.0.2.2"]
    assert answer(vigie, "name.rel") == ["name.rel.example.org. A 192.0.2.4"]
    assert answer(vigie, "") == ["example.org. A 192.0.2.9"]
    assert vigie.ask("inner.example.org.").answer[0].ttl == 60


GENERATED = r"""
$GENERATE 1-3 host$ A 10.0.0.$
$GENERATE 0-10/5 every${1,3}.sub 60 IN PTR n${20,0,x}-$.example.net.
$generate 254-255 hex${0,4,X} IN AAAA 2001:db8::${0,0,x} ; a comment with $
$GENERATE 8-8 oct${0,0,o} TXT "${-8} $$ \$ a"
last A 192.0.2.7
  AAAA 2001:db8::7
"""


def test_generate(serve):
    """Offsets, widths, bases and steps as BIND has them; the TTL is the zone's unless the line has one."""
    vigie = serve(SOA.replace("60", "300") + GENERATED)
    assert answer(vigie, "host2") == ["host2.example.org. A 10.0.0.2"]
    assert answer(vigie, "every006.sub", "PTR") == ["every006.sub.example.org. PTR n19-5.example.net."]
    assert answer(vigie, "hex00FE", "AAAA") == ["hex00FE.example.org. AAAA 2001:db8::fe"]
    assert answer(vigie, "oct10", "TXT") == ['oct10.example.org. TXT "0 $ $ a"']
    assert answer(vigie, "last", "AAAA") == ["last.example.org. AAAA 2001:db8::7"]
    assert answer(vigie, "host4") == answer(vigie, "every005.sub", "PTR") == "NXDOMAIN"
    assert vigie.ask("every001.sub.example.org.", "PTR").answer[0].ttl == 60
    assert vigie.ask("host1.example.org.").answer[0].ttl == 300


def test_generate_as_many_as_there_may_be(serve):
    vigie = serve(SOA + "$GENERATE 0-65535 h$ A 10.0.0.1\n")
    assert answer(vigie, "h0") == ["h0.example.org. A 10.0.0.1"]
    assert answer(vigie, "h65535") == ["h65535.example.org. A 10.0.0.1"]


SOA = "@ 60 SOA ns host 1 2 3 4 5\n@ NS ns\n"


@pytest.mark.parametrize("text, complaint", [
    ("@ NS ns\n", r"zone 'example.org.' has no SOA record"),
    ("", r"zone 'example.org.' has no SOA record"),
    (SOA + "@ SOA ns host 2 2 3 4 5\n", r"more than one SOA record"),
    (SOA + "www SOA ns host 2 2 3 4 5\n", r"has a SOA record below its origin"),
    (SOA + "www A 192.0.2\n", r"db.example.org:3: 'www A 192.0.2': "),
    (SOA + "www CH A 192.0.2.1\n", r"db.example.org:3: 'www CH A 192.0.2.1': the class is not IN"),
    (SOA + "$INCLUDE nothing\n", r"db.example.org:3: '\$INCLUDE nothing': No such file"),
    (SOA + "$INCLUDE\n", r"db.example.org:3: '\$INCLUDE': a file name is missing"),
    (SOA + "$INCLUDE db.example.org\n", r"too many files include each other"),
    (SOA + "$ORIGIN a..b.\n", r"db.example.org:3: '\$ORIGIN a..b.': "),
    (SOA + "$GENERATE 1-4\n", r"db.example.org:3: '\$GENERATE 1-4': there is no record behind the range"),
    (SOA + "$GENERATE\n", r"the range is not START-STOP or START-STOP/STEP"),
    (SOA + "$GENERATE 1-4/0 h$ A 10.0.0.1\n", r"the range is not START-STOP or START-STOP/STEP"),
    (SOA + "$GENERATE 1-x h$ A 10.0.0.1\n", r"the range is not START-STOP or START-STOP/STEP"),
    (SOA + "$GENERATE -1-4 h$ A 10.0.0.1\n", r"the range is not START-STOP or START-STOP/STEP"),
    (SOA + "$GENERATE 4-1 h$ A 10.0.0.1\n", r"the range ends before it begins"),
    (SOA + "$GENERATE 0-65536 h$ A 10.0.0.1\n", r"the range has more than 65536 numbers"),
    (SOA + "$GENERATE 1-4 h${1 A 10.0.0.1\n", r"the braces do not end"),
    (SOA + "$GENERATE 1-4 h${1,2,n} A 10.0.0.1\n", r"in braces is not OFFSET, OFFSET,WIDTH or OFFSET,WIDTH,BASE"),
    (SOA + "$GENERATE 1-4 h${1,256} A 10.0.0.1\n", r"in braces is not OFFSET"),
    (SOA + "$GENERATE 1-4 h${} A 10.0.0.1\n", r"in braces is not OFFSET"),
    (SOA + "$GENERATE 1-4 h${-2} A 10.0.0.1\n", r"a number is below 0"),
    (SOA + "$GENERATE 1-4 h$ A 10.0.0\n", r"db.example.org:3: '\$GENERATE 1-4 h\$ A 10.0.0': "),
    (SOA + f"$GENERATE 1-4 h$ TXT {'${0,255}' * 17}\n", r"the line that it makes is too long"),
    (SOA + "1.example.org. NSEC3PARAM 1 0 0 -\n", r"signed with NSEC3, which is not supported"),
])
def test_bad_zones(tmp_path, text, complaint):
    (tmp_path / "db.example.org").write_text(text)
    log = refused_configuration(tmp_path / "vigie", f"""example.org:PORT {{
	file {tmp_path}/db.example.org
}}
""")
    assert re.search(r"Corefile:2: '.*db.example.org': .*" + complaint, log), log


def test_names_outside_are_ignored(serve):
    vigie = serve(SOA + "www.example.net. A 192.0.2.1\nx.example.net. A 192.0.2.1\nwww A 192.0.2.2\n")
    assert answer(vigie, "www") == ["www.example.org. A 192.0.2.2"]
    vigie.wait_for_log(r"\[WARNING\] plugin/file: .*db.example.org:3: this owner is not in zone 'example.org.': ignored")
    assert vigie.log().count("is not in zone") == 1


@pytest.mark.parametrize("lines, complaint", [
    ("file", "Corefile:2: 'file' needs at least 1 argument, not 0"),
    ("file nothing {\n reload 0\n}", "Corefile:2: 'nothing': nothing: No such file"),
    ("file nothing a..b", "Corefile:2: 'a..b' is not a zone"),
    ("file nothing {\n reload\n}", "Corefile:3: 'reload' needs 1 argument, not 0"),
    ("file nothing {\n reload 5\n}", "Corefile:3: '5': this duration ends without a unit"),
    ("file nothing {\n reload_by_mtime x\n}", "Corefile:3: 'x' is one argument too many for 'reload_by_mtime'"),
    ("file nothing {\n fallthrough a..b\n}", "Corefile:3: 'a..b' is not a zone"),
    ("file nothing {\n wrong\n}", "Corefile:3: unknown option 'wrong' of 'file'"),
    ("file nothing a.org\n file nothing a.org", "Corefile:3: 'file': this block has a file for zone 'a.org.' already"),
    ("root", "Corefile:2: 'root' needs 1 argument, not 0"),
    ("root /etc/hostname", "Corefile:2: '/etc/hostname' is no folder"),
    ("root /\n root /", "Corefile:3: 'root' stands in this block already, at .*Corefile:2"),
])
def test_mistakes(tmp_path, lines, complaint):
    log = refused_configuration(tmp_path, f"example.org:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint, log), log
