"""RFC matrix: what is held, for how long, and what is given when nothing fresh is to be had (RFC 1035, 2181, 2308, 8020,
8767, 9520)."""
import time

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from rfc_matrix import own_name, rfc
from scripted_upstream import Reply, Upstream
from vigie_process import Vigie, addresses, records, wait_for

BOUNDS = "success 9984 604800 0\n denial 9984 10800 0"
STALE_TTL, WEEK = 30, 604800
CLIENT_WAIT = 1.9  # seconds: VIGIE_CLIENT_WAIT_MS


def soa(ttl: int, minimum: int) -> str:
    return f"example.com. {ttl} IN SOA ns.example.com. host.example.com. 1 2 3 4 {minimum}"


@pytest.fixture(scope="module")
def upstream():
    with Upstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def vigie(tmp_path_factory, upstream):
    """TTLs are what upstreams say they are."""
    with Vigie(tmp_path_factory.mktemp("cache"), f".:PORT {{\n bind 127.0.0.1\n cache {{\n {BOUNDS}\n }}\n forward . {upstream.text}\n}}\n") as vigie:
        yield vigie


@pytest.fixture
def name(request) -> str:
    return own_name(request)


def ttls(message: dns.message.Message) -> list[int]:
    return [rrset.ttl for section in (message.answer, message.authority) for rrset in section]


def error_of(message: dns.message.Message) -> int | None:
    codes = [int(option.code) for option in message.options if option.otype == dns.edns.OptionType.EDE]
    return codes[0] if codes else None


def until_asked_again(vigie, upstream, name: str) -> dns.message.Message:
    """Asks until that leads to a question upstream; the answer to it."""
    before = len(upstream.asked(name))
    answers = []
    wait_for(lambda: answers.append(vigie.ask(name, size=1232)) or len(upstream.asked(name)) > before, f"{name} to be asked for again")
    return answers[-1]


@rfc(1035, "3.2.1", "a TTL counts down while the record is held, and at its end the source is asked again")
@rfc(2308, "5", "so it is with denials: at zero they must not be used again")
@pytest.mark.parametrize("denial", [False, True], ids=["answer", "denial"])
def test_ttls_count_down(vigie, upstream, name, denial):
    upstream.answers[name, "A"] = Reply(rcode="NXDOMAIN", authority=(soa(3, 3),)) if denial else Reply(f"{name} 3 IN A 192.0.2.1")
    assert ttls(vigie.ask(name)) == [3]
    seen = set()
    while len(upstream.asked(name)) == 1:
        seen.update(ttls(vigie.ask(name)))
    assert seen <= {0, 1, 2, 3} and seen & {1, 2}  # a second may pass unseen


@rfc(1035, "3.2.1", "a record with TTL 0 is for the transaction under way and not held (where `success` has MINTTL 0)")
@rfc(8767, "7", "a record with TTL 0 is no stale data, either")
def test_ttl_zero_is_not_held(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 0 IN A 192.0.2.1")
    for count in (1, 2, 3):
        assert ttls(vigie.ask(name)) == [0] and len(upstream.asked(name)) == count
    upstream.answers[name, "A"] = Reply(rcode="SERVFAIL")
    assert vigie.ask(name).rcode() == dns.rcode.SERVFAIL


@rfc(1035, "7.4", "a reply that is truncated is not held")
def test_truncated_is_not_held(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1", truncated=True, only="udp")
    for count in (1, 2):
        assert vigie.ask(name).flags & dns.flags.TC
        assert upstream.asked(name).count("udp") == count


@rfc(1035, "7.4", "what is held is never preferred to what this server is an authority for")
def test_own_data_is_not_held(start, upstream, tmp_path):
    (tmp_path / "zone").write_text("@ 60 IN SOA ns host 1 2 3 4 5\n@ 60 IN NS ns\nns 60 IN A 192.0.2.1\n")
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache\n file {tmp_path}/zone example.com\n forward . {upstream.text}\n}}\n")
    first = vigie.ask("ns.example.com.")
    time.sleep(1.1)
    again = vigie.ask("ns.example.com.")
    assert first.flags & again.flags & dns.flags.AA and ttls(first) == ttls(again) == [60, 60], "nothing that ages"


@rfc(1035, "7.4", "an answer to a name with a star is for that name alone")
def test_stars_are_names(vigie, upstream, name):
    upstream.answers[f"*.{name}", "A"] = Reply(f"*.{name} 60 IN A 192.0.2.1")
    for _ in range(2):
        assert addresses(vigie.ask(f"*.{name}")) == ["192.0.2.1"] and addresses(vigie.ask(f"x.{name}")) == []
    assert len(upstream.asked(f"*.{name}")) == len(upstream.asked(f"x.{name}")) == 1


@rfc(2181, "5.2", "records of one set with different TTLs are held for the least of them")
def test_the_least_ttl_of_a_set(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(wire=uneven(name, 60, 1))
    vigie.ask(name)
    assert len(addresses(until_asked_again(vigie, upstream, name))) == 2  # within the patience of a test, not 60 s


def uneven(name: str, *each: int) -> bytes:
    """A reply whose addresses have these TTLs, which dnspython would not write."""
    reply = dns.message.make_response(dns.message.make_query(name, "A"))
    for number, ttl in enumerate(each):
        reply.answer.append(dns.rrset.from_text(name, ttl, "IN", "A", f"192.0.2.{number}"))
    return reply.to_wire()


@rfc(2181, "5.2", "a set is sent with one TTL")
@pytest.mark.parametrize("cache", ["", f"cache {{\n {BOUNDS}\n }}"], ids=["forwarded", "held"])
def test_a_set_has_one_ttl(start, upstream, name, cache):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n {cache}\n forward . {upstream.text}\n}}\n")
    upstream.answers[name, "A"] = Reply(wire=uneven(name, 60, 3000, 50))
    for tcp in (False, True):
        wire = vigie.exchange_wire(dns.message.make_query(name, "A").to_wire(), tcp=tcp)
        one, two, three = (int.from_bytes(wire[at:at + 4], "big") for at in (len(wire) - 16 * left - 10 for left in (2, 1, 0)))
        assert 40 < one == two == three <= 50


@rfc(2181, "5.4", "records of a reply and records that are held never become one set")
@rfc(1035, "7.4", "what is in a reply and what is held are not combined: one takes the place of the other")
def test_sets_are_not_merged(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 1 IN A 192.0.2.1")
    upstream.answers[name, "ANY"] = Reply(f"{name} 60 IN A 192.0.2.2", f"{name} 60 IN TXT x")
    assert addresses(vigie.ask(name, "ANY")) == ["192.0.2.2"] and addresses(vigie.ask(name)) == ["192.0.2.1"]
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.3")
    assert addresses(until_asked_again(vigie, upstream, name)) == ["192.0.2.3"]
    assert addresses(vigie.ask(name)) == ["192.0.2.3"] and addresses(vigie.ask(name, "ANY")) == ["192.0.2.2"]


@rfc(1035, "7.4", "what was not asked for is not held")
@rfc(2181, "5.4.1", "what stood in the authority or additional section of a reply is never given as an answer")
@rfc(5452, "6", "nothing that a reply says of other names is used, in whatever section it stands")
def test_nothing_is_harvested(vigie, upstream, name):
    victims = [f"{section}.{name}" for section in ("answer", "authority", "additional")]
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1", f"{victims[0]} 60 IN A 203.0.113.66",
                                        authority=(f"{victims[1]} 60 IN A 203.0.113.66", f"{name} 60 IN NS {victims[2]}"),
                                        additional=(f"{victims[2]} 60 IN A 203.0.113.66",))
    vigie.ask(name)
    for victim in victims:
        assert vigie.ask(victim).rcode() == dns.rcode.NXDOMAIN and upstream.asked(victim)
    assert vigie.ask(name, "NS").rcode() == dns.rcode.NXDOMAIN and upstream.asked(name, "NS")


@rfc(2308, "3", "the SOA of a denial comes with the least of its TTL and MINIMUM")
@rfc(2308, "8", "whoever holds anything holds denials as well")
@rfc(2308, "6", "and again from the cache, counted down")
@pytest.mark.parametrize("ttl, minimum, least", [(600, 40, 40), (30, 600, 30)])
def test_ttl_of_a_denial(vigie, upstream, name, ttl, minimum, least):
    for kind, reply in (("A", Reply(rcode="NXDOMAIN", authority=(soa(ttl, minimum),))), ("MX", Reply(authority=(soa(ttl, minimum),)))):
        upstream.answers[name, kind] = reply
        began = time.monotonic()
        for _ in range(3):
            message = vigie.ask(name, kind)
            assert [rrset.rdtype for rrset in message.authority] == [dns.rdatatype.SOA]
            assert least - 1 - (time.monotonic() - began) <= message.authority[0].ttl <= least
        assert len(upstream.asked(name, kind)) == 1


@rfc(2308, "5", "NODATA is held for its type alone")
def test_nodata_is_for_its_type(vigie, upstream, name):
    upstream.answers[name, "AAAA"] = Reply(authority=(soa(60, 60),))
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1")
    for _ in range(2):
        assert not vigie.ask(name, "AAAA").answer and addresses(vigie.ask(name)) == ["192.0.2.1"]
    assert len(upstream.asked(name, "AAAA")) == len(upstream.asked(name, "A")) == 1


@rfc(2308, "5", "the records that prove a denial are held with it")
@rfc(2308, "6", "records that prove a denial are in the authority section when it comes from the cache, beside the SOA")
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_proofs_of_denials(vigie, upstream, name, rcode):
    proof = f"{name} 60 IN NSEC zzz.{name} TXT RRSIG NSEC"
    signature = f"{name} 60 IN RRSIG NSEC 13 3 60 20370101000000 20260101000000 1 example.com. AAAA"
    upstream.answers[name, "A"] = Reply(rcode=rcode, authority=(soa(60, 60), proof, signature))
    query = dns.message.make_query(name, "A", want_dnssec=True)
    first = records(vigie.exchange(query).authority)
    assert len(first) == 3 and records(vigie.exchange(query).authority) == first and len(upstream.asked(name)) == 1


@rfc(2308, "5", "a denial without SOA is not held")
@pytest.mark.parametrize("rcode", ["NXDOMAIN", "NOERROR"])
def test_denials_without_soa(vigie, upstream, name, rcode):
    upstream.answers[name, "A"] = Reply(rcode=rcode)
    for count in (1, 2):
        vigie.ask(name)
        assert len(upstream.asked(name)) == count


@rfc(2308, "2.1", "a chain of CNAMEs that ends at a name that does not exist is a denial, and held as one with the chain")
def test_a_chain_to_nowhere(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN CNAME nowhere.example.com.", rcode="NXDOMAIN", authority=(soa(60, 60),))
    for _ in range(2):
        message = vigie.ask(name)
        assert message.rcode() == dns.rcode.NXDOMAIN and records(message.answer) == [f"{name} CNAME nowhere.example.com."]
    assert len(upstream.asked(name)) == 1


@rfc(2308, "7.1", "a failure of an upstream is held for at most five minutes")
@rfc(9520, "3.2", "a failure is held for a second at least and five minutes at most: `servfail` takes no more")
def test_no_failure_for_longer_than_five_minutes(tmp_path, start):
    from vigie_process import refused_configuration
    assert "'6m': failures may be cached for at most 5 minutes" in refused_configuration(tmp_path, ".:PORT {\n cache {\n servfail 6m\n }\n}\n")
    assert start(".:PORT {\n bind 127.0.0.1\n cache {\n servfail 5m\n }\n forward . 127.0.0.1:1\n}\n")


@rfc(2308, "7.2", "an upstream that is down is asked again, and not taken for dead for more than five minutes")
def test_a_dead_upstream_is_asked_again(start, name):
    with Upstream(answers={(name, "A"): Reply(f"{name} 60 IN A 192.0.2.1")}) as upstream:
        served, upstream.default = upstream.answers.pop((name, "A")), Reply(drop=True)
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n forward . {upstream.text} {{\n max_fails 1\n }}\n}}\n")
        vigie.wait_until(lambda: vigie.ask(name) and "does not answer" in vigie.log(), "the upstream to be given up")
        upstream.answers[name, "A"], upstream.default = served, Reply()
        vigie.wait_until(lambda: vigie.ask(name).answer, "an answer")


@rfc(2308, "7.2", "who is silent about one question is not taken for dead, and is asked the others")
def test_silence_is_about_one_question(start, name):
    with Upstream(answers={(name, "A"): Reply(f"{name} 60 IN A 192.0.2.1")}) as upstream:
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n forward . {upstream.text} {{\n max_fails 1\n }}\n}}\n")
        silent = [f"{number}.{name}" for number in range(8)]
        with vigie.udp_socket() as client:
            for one in silent:
                upstream.answers[one, "A"] = Reply(drop=True)
                client.send(dns.message.make_query(one, "A").to_wire())
            for _ in silent:
                assert dns.message.from_wire(client.recv(512)).rcode() == dns.rcode.SERVFAIL
        assert addresses(vigie.ask(name)) == ["192.0.2.1"] and "does not answer" not in vigie.log()


@rfc(8020, "3.2", "an NXDOMAIN hides no name below it, while nothing proves it: servers say it of names that have others below")
def test_nxdomain_is_for_one_name(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(rcode="NXDOMAIN", authority=(soa(60, 60),))
    upstream.answers[f"below.{name}", "A"] = Reply(f"below.{name} 60 IN A 192.0.2.1")
    assert vigie.ask(name).rcode() == dns.rcode.NXDOMAIN
    for _ in range(2):
        assert addresses(vigie.ask(f"below.{name}")) == ["192.0.2.1"]
        assert vigie.ask(name).rcode() == dns.rcode.NXDOMAIN


@rfc(8020, "2", "an NXDOMAIN of a name with CNAMEs is about the last one: the names before it exist")
def test_nxdomain_behind_a_cname(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN CNAME nowhere.example.com.", rcode="NXDOMAIN", authority=(soa(60, 60),))
    upstream.answers[name, "CNAME"] = Reply(f"{name} 60 IN CNAME nowhere.example.com.")
    vigie.ask(name)
    assert vigie.ask(name, "CNAME").rcode() == dns.rcode.NOERROR


@rfc(8020, "3.1", "a name of this server's own with names below it exists: NODATA, not NXDOMAIN")
def test_empty_non_terminals_exist(start, snapshot):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n snapshot {snapshot}\n }}\n}}\n")
    for above in ("svc.cluster.local.", "default.svc.cluster.local.", "pod.cluster.local."):
        assert vigie.ask(above).rcode() == dns.rcode.NOERROR
    assert vigie.ask("nothing.cluster.local.").rcode() == dns.rcode.NXDOMAIN


@rfc(2181, "8", "no TTL of more than 31 bits is sent")
@rfc(8767, "4", "a TTL with its top bit set is a large number; TTLs are capped, at a week where nothing lower is said")
def test_ttl_with_the_top_bit(vigie, upstream, name):
    for number, ttl in enumerate((1 << 31, 0xFFFFFFFF, 0x7FFFFFFF)):
        one = f"x{number}.{name}"
        reply = dns.message.make_response(dns.message.make_query(one, "A"))
        reply.answer.append(dns.rrset.from_text(one, 0x7FFFFFFF, "IN", "A", "192.0.2.1"))
        upstream.answers[one, "A"] = Reply(wire=reply.to_wire().replace(b"\x7f\xff\xff\xff", ttl.to_bytes(4, "big")))
        assert all(ttls(vigie.ask(one)) == [WEEK] for _ in range(2)) and len(upstream.asked(one)) == 1


@rfc(8767, "4", "stale data comes with a TTL above 0; 30 s is advised")
@rfc(8767, "4", "it is given when no upstream has an answer, and an error does not take its place")
@rfc(8914, "4.4", "EDE 3: Stale Answer")
@pytest.mark.parametrize("trouble", [Reply(rcode="SERVFAIL"), Reply(rcode="REFUSED"), Reply(rcode="NOTIMP"), Reply(drop=True)],
                         ids=["SERVFAIL", "REFUSED", "NOTIMP", "silence"])
def test_stale(vigie, upstream, name, trouble):
    upstream.answers[name, "A"] = Reply(f"{name} 1 IN A 192.0.2.1")
    vigie.ask(name)
    upstream.answers[name, "A"] = trouble
    message = until_asked_again(vigie, upstream, name)
    assert addresses(message) == ["192.0.2.1"] and ttls(message) == [STALE_TTL] and error_of(message) == 3


@rfc(8914, "4.20", "EDE 19: Stale NXDOMAIN Answer")
def test_stale_denial(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(rcode="NXDOMAIN", authority=(soa(1, 1),))
    vigie.ask(name)
    upstream.answers[name, "A"] = Reply(rcode="SERVFAIL")
    message = until_asked_again(vigie, upstream, name)
    assert message.rcode() == dns.rcode.NXDOMAIN and error_of(message) == 19


@rfc(8767, "5", "a client waits no longer than 1.8 s for something fresh; the question goes on, and what comes is held")
def test_client_response_timer(vigie, upstream, name):
    upstream.answers[name, "A"] = Reply(f"{name} 1 IN A 192.0.2.1")
    vigie.ask(name)
    upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.2", delay=3.5)
    began = time.monotonic()
    message = until_asked_again(vigie, upstream, name)
    assert addresses(message) == ["192.0.2.1"] and time.monotonic() - began > 1.8
    wait_for(lambda: addresses(vigie.ask(name)) == ["192.0.2.2"], "the fresh answer")


@rfc(8767, "4", "NOERROR and NXDOMAIN are the upstream's word and take the place of stale data, also when they deny it")
@pytest.mark.parametrize("word", [Reply(rcode="NXDOMAIN", authority=(soa(60, 60),)), Reply(authority=(soa(60, 60),)), Reply(rcode="NXDOMAIN")],
                         ids=["NXDOMAIN", "NODATA", "NXDOMAIN-without-SOA"])
def test_a_denial_ends_what_is_stale(vigie, upstream, name, word):
    upstream.answers[name, "A"] = Reply(f"{name} 1 IN A 192.0.2.1")
    vigie.ask(name)
    upstream.answers[name, "A"] = word
    until_asked_again(vigie, upstream, name)
    assert not vigie.ask(name).answer


@rfc(8767, "5", "a refresh that failed is not tried again at once, however many ask")
@rfc(9520, "3.2", "so the failure of a refresh is held, too")
def test_failure_recheck_timer(start, upstream, name):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache {{\n {BOUNDS}\n serve_stale 1h verify 1800ms 30s 300s\n }}\n forward . {upstream.text}\n}}\n")
    upstream.answers[name, "A"] = Reply(f"{name} 1 IN A 192.0.2.1")
    vigie.ask(name)
    upstream.answers[name, "A"] = Reply(rcode="SERVFAIL")
    until_asked_again(vigie, upstream, name)
    before = len(upstream.asked(name))
    for _ in range(100):
        assert addresses(vigie.ask(name)) == ["192.0.2.1"]
    assert len(upstream.asked(name)) == before


@rfc(9520, "3.1", "failures are held: the questions of others do not reach an upstream that has just failed")
@rfc(9520, "3.2", "so is a failure when upstreams say nothing at all")
@rfc(9520, "3.3", "when all name servers of a zone are silent, that is held")
@rfc(8914, "4.14", "EDE 13: Cached Error")
@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP", "FORMERR", None])
def test_failures_are_held(start, upstream, name, rcode):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache\n forward . {upstream.text} {{\n max_connect_attempts 1\n }}\n}}\n")
    upstream.answers[name, "A"] = Reply(rcode=rcode) if rcode else Reply(drop=True)
    failed = time.monotonic() + (0 if rcode else CLIENT_WAIT)  # or later
    vigie.ask(name)
    before = len(upstream.asked(name))
    while time.monotonic() < failed + 0.5:
        message = vigie.ask(name, size=1232)
        if time.monotonic() < failed + 1:  # it is held for a second
            assert dns.rcode.to_text(message.rcode()) == (rcode or "SERVFAIL") and error_of(message) == 13
            assert len(upstream.asked(name)) == before


@rfc(9520, "3.2", "for longer each time it fails again")
def test_failures_back_off(start, upstream, name):
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache {{\n servfail 5m\n }}\n forward . {upstream.text}\n}}\n")
    upstream.answers[name, "A"] = Reply(rcode="SERVFAIL")
    until_asked_again(vigie, upstream, name)
    failed, asked = 0.0, len(upstream.asked(name))
    while len(upstream.asked(name)) == asked:
        failed = time.monotonic()  # for the second time, or later
        vigie.ask(name)
    until_asked_again(vigie, upstream, name)
    assert time.monotonic() - failed > 1.9, "the second time for two seconds"


@rfc(2308, "7.1", "a failure is held for one name, type and class")
@rfc(9520, "3.2", "a failure is held under name, type and class: others are not touched by it")
def test_failures_are_for_one_question(vigie, upstream, name):
    upstream.answers[name, "AAAA"] = Reply(rcode="SERVFAIL")
    for other in (name, f"x.{name}"):
        upstream.answers[other, "A"] = Reply(f"{other} 60 IN A 192.0.2.1")
    assert vigie.ask(name, "AAAA").rcode() == dns.rcode.SERVFAIL
    assert addresses(vigie.ask(name)) == addresses(vigie.ask(f"x.{name}")) == ["192.0.2.1"]


@rfc(9520, "3.1", "a question is sent to one server by one transport three times at most")
def test_three_times_at_most(start, name):
    with Upstream() as silent:
        silent.default = Reply(drop=True)
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n forward . {silent.text} {{\n max_fails 0\n }}\n}}\n")
        assert vigie.ask(name).rcode() == dns.rcode.SERVFAIL
        time.sleep(3.3)  # it goes on without the client, to 5 s
        assert all(silent.asked(name).count(transport) <= 3 for transport in ("udp", "tcp"))
