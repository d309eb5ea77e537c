"""`cache`: what an upstream said once is said again, for as long as it may be."""
import hashlib
import signal
import socket
import time

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest

from scripted_upstream import Reply, Upstream
from test_metrics import Page
from vigie_process import PATIENCE, addresses, free_port, refused_configuration, wait_for

WWW = "www.example.com."
SOA = "example.com. 60 IN SOA ns.example.com. host.example.com. 1 2 3 4 7"


@pytest.fixture
def cached(start, upstream):
    """A function that starts a vigie with `cache` in front of the scripted upstream."""
    def make(options: str = "", more: str = "", zone: str = "."):
        return start(f"{zone}:PORT {{\n errors\n cache {options}\n forward . {upstream.text}\n{more}}}\n")
    return make


def ttls(message) -> list[int]:
    return [rrset.ttl for section in (message.answer, message.authority) for rrset in section]


def test_the_second_answer_comes_from_the_cache(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80", f"{WWW} 60 IN A 192.0.2.81")
    vigie = cached()
    first = vigie.ask(WWW)
    second = vigie.ask("WwW.eXample.com.")
    assert [str(r) for rrset in second.answer for r in rrset] == ["192.0.2.80", "192.0.2.81"]
    assert second.question[0].name.to_text() == "WwW.eXample.com."
    assert first.flags == second.flags and second.flags & dns.flags.RA
    assert upstream.asked(WWW) == ["udp"]
    assert vigie.ask(WWW, tcp=True).answer == first.answer
    assert upstream.asked(WWW) == ["udp"]


def test_type_class_do_and_cd_are_apart(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    upstream.answers[WWW, "AAAA"] = Reply(f"{WWW} 60 IN AAAA 2001:db8::80")
    vigie = cached()
    for count in (1, 2):
        for want_dnssec in (False, True):
            for check in (False, True):
                query = dns.message.make_query(WWW, "A", want_dnssec=want_dnssec)
                if check:
                    query.flags |= dns.flags.CD
                assert len(vigie.exchange(query).answer) == 1
        assert vigie.ask(WWW, "AAAA").answer
    assert len(upstream.asked(WWW, "A")) == 4
    assert len(upstream.asked(WWW, "AAAA")) == 1


def test_denials_follow_the_soa(cached, upstream):
    upstream.answers["no.example.com.", "A"] = Reply(rcode="NXDOMAIN", authority=(SOA,))
    upstream.answers[WWW, "MX"] = Reply(authority=(SOA,))
    vigie = cached()
    for name, kind, rcode in (("no.example.com.", "A", dns.rcode.NXDOMAIN), (WWW, "MX", dns.rcode.NOERROR)):
        for _ in range(3):
            message = vigie.ask(name, kind)
            assert message.rcode() == rcode
            assert 1 <= ttls(message)[0] <= 7  # MINIMUM, not the SOA's own TTL (RFC 2308 section 5)
        assert len(upstream.asked(name, kind)) == 1


def test_records_of_strangers(cached, upstream):
    """What a reply holds of names that the question does not lead to reaches neither client nor cache; addresses of the hosts
    that it names do."""
    http = free_port()
    bank = "bank.test. 60 IN A 203.0.113.66"
    upstream.answers[WWW, "A"] = Reply("a.example.net. 60 IN A 192.0.2.80", bank, f"{WWW} 60 IN CNAME a.example.net.",
                                       f"x.{WWW} 60 IN A 203.0.113.66", authority=(bank, "example.net. 60 IN NS ns.example.org."),
                                       additional=("ns.example.org. 60 IN A 192.0.2.53", bank))
    upstream.answers["_sip.example.com.", "SRV"] = Reply("_sip.example.com. 60 IN SRV 0 0 5060 sip.example.org.",
                                                         additional=("sip.example.org. 60 IN A 192.0.2.60",))
    vigie = cached(more=f" prometheus 127.0.0.1:{http}\n")
    for _ in range(2):
        message = vigie.ask(WWW)
        assert [rrset.to_text().split(" ", 1)[0] for rrset in (*message.answer, *message.authority, *message.additional)] == [
            "a.example.net.", WWW, "example.net.", "ns.example.org."]
        assert addresses(message) == ["192.0.2.80"]
        assert vigie.ask("_sip.example.com.", "SRV").additional
    assert upstream.asked(WWW) == upstream.asked("_sip.example.com.") == ["udp"]
    assert Page(f"127.0.0.1:{http}").value("vigie_forward_scrubbed_replies_total") == 1


def test_what_is_not_to_be_kept(cached, upstream):
    upstream.answers["nosoa.example.com.", "A"] = Reply(rcode="NXDOMAIN")
    upstream.answers["half.example.com.", "A"] = Reply("half.example.com. 60 IN CNAME other.example.com.")
    upstream.answers["foreign.example.com.", "A"] = Reply("other.example.com. 60 IN A 192.0.2.66")
    vigie = cached()
    for name in ("nosoa.example.com.", "half.example.com.", "foreign.example.com."):
        vigie.ask(name)
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.80")
        assert addresses(vigie.ask(name)) == ["192.0.2.80"]
    assert vigie.ask("other.example.com.").rcode() == dns.rcode.NXDOMAIN  # nothing was taken out of a reply


def test_a_chain_is_kept(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 300 IN CNAME a.example.com.", "a.example.com. 60 IN CNAME b.example.com.",
                                       "b.example.com. 90 IN A 192.0.2.80")
    vigie = cached()
    vigie.ask(WWW)
    assert len(vigie.ask(WWW).answer) == 3
    assert len(upstream.asked(WWW)) == 1


def test_a_whole_answer_is_kept_and_cut_for_each_client(cached, upstream):
    """From TCP after TC: 100 addresses, 1,629 bytes."""
    many = Reply(*(f"{WWW} 60 IN A 192.0.2.{i}" for i in range(100)), truncated=True)
    upstream.answers[WWW, "A"] = many
    vigie = cached()
    first = vigie.ask(WWW)  # 512 bytes
    assert first.flags & dns.flags.TC and 0 < len(first.answer[0]) < 100
    asked = len(upstream.asked(WWW))
    plain, edns, whole = vigie.ask(WWW), vigie.ask(WWW, size=4096), vigie.ask(WWW, tcp=True)
    assert plain.flags & dns.flags.TC and len(plain.answer[0]) == len(first.answer[0])
    assert edns.flags & dns.flags.TC and len(edns.answer[0]) == (1232 - 12 - 21 - 11) // 16
    assert not whole.flags & dns.flags.TC and len(whole.answer[0]) == 100
    assert len(upstream.asked(WWW)) == asked


def test_failures_are_kept_for_a_second(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(rcode="SERVFAIL")
    vigie = cached("{\n servfail 1s\n }")
    for _ in range(5):
        assert vigie.ask(WWW).rcode() == dns.rcode.SERVFAIL
    assert len(upstream.asked(WWW)) <= 2  # the five took less than two seconds, or this proves nothing
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    wait_for(lambda: vigie.ask(WWW).rcode() == dns.rcode.NOERROR, "the failure to be forgotten")


def test_servfail_0_keeps_none(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(rcode="SERVFAIL")
    vigie = cached("{\n servfail 0\n }")
    for count in (1, 2, 3):
        vigie.ask(WWW)
        assert len(upstream.asked(WWW)) == count


def test_bounds_of_ttls(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 3000 IN A 192.0.2.80")
    upstream.answers["short.example.com.", "A"] = Reply("short.example.com. 0 IN A 192.0.2.80")
    upstream.answers["no.example.com.", "A"] = Reply(rcode="NXDOMAIN", authority=(SOA.replace(" 7", " 700"),))
    vigie = cached("100")
    assert ttls(vigie.ask(WWW)) == [100]
    assert ttls(vigie.ask("short.example.com.")) == [5]
    assert ttls(vigie.ask("no.example.com.")) == [60]
    vigie = cached("{\n success 9984 50 20\n denial 9984 30\n }")
    assert ttls(vigie.ask(WWW)) == [50]
    assert ttls(vigie.ask("short.example.com.")) == [20]
    assert ttls(vigie.ask("no.example.com.")) == [30]


def test_keepttl(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 30 IN A 192.0.2.80")
    aged, kept = cached(), cached("{\n keepttl\n }")
    for vigie in (aged, kept):
        vigie.ask(WWW)
    wait_for(lambda: ttls(aged.ask(WWW))[0] < 30, "a TTL to age")
    assert ttls(kept.ask(WWW)) == [30]


def test_zones(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    upstream.answers["www.example.org.", "A"] = Reply("www.example.org. 60 IN A 192.0.2.80")
    vigie = cached("example.com")
    for _ in range(3):
        vigie.ask(WWW)
        vigie.ask("www.example.org.")
    assert len(upstream.asked(WWW)) == 1
    assert len(upstream.asked("www.example.org.")) == 3


def test_disable(cached, upstream):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    upstream.answers["www.example.org.", "A"] = Reply("www.example.org. 60 IN A 192.0.2.80")
    upstream.answers["no.example.com.", "A"] = upstream.answers["no.example.org.", "A"] = Reply(
        rcode="NXDOMAIN", authority=(SOA,))
    vigie = cached("{\n disable success example.com\n disable denial example.org\n }")
    for _ in range(3):
        for name in (WWW, "www.example.org.", "no.example.com.", "no.example.org."):
            vigie.ask(name)
    assert [len(upstream.asked(name)) for name in (WWW, "www.example.org.", "no.example.com.", "no.example.org.")] \
        == [3, 1, 1, 3]


def test_blocks_do_not_share_answers(start, upstream):
    """The same name may mean something else in another block, which asks another upstream."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    port = free_port()
    with Upstream(answers={(WWW, "A"): Reply(f"{WWW} 60 IN A 203.0.113.80")}) as other:
        vigie = start(f".:PORT {{\n bind 127.0.0.1\n cache\n forward . {upstream.text}\n}}\n"
                      f".:{port} {{\n bind 127.0.0.1\n cache\n forward . {other.text}\n}}\n")
        for _ in range(2):
            assert addresses(vigie.ask(WWW)) == ["192.0.2.80"]
            reply = dns.query.udp(dns.message.make_query(WWW, "A"), "127.0.0.1", port=port, timeout=PATIENCE, ignore_unexpected=True)
            assert addresses(reply) == ["203.0.113.80"]
        assert len(upstream.asked(WWW)) == len(other.asked(WWW)) == 1


def test_cluster_names_are_never_kept(start, upstream, snapshot):
    """Not by `cache` in front of `kubernetes`, whatever it is told."""
    http = free_port()
    vigie = start(f".:PORT {{\n cache 30\n prometheus 127.0.0.1:{http}\n"
                  f" kubernetes cluster.local {{\n snapshot {snapshot}\n ttl 30\n }}\n"
                  f" forward . {upstream.text}\n}}\n")
    for _ in range(3):
        assert ttls(vigie.ask("web.default.svc.cluster.local.")) == [30]
        assert vigie.ask("nothing.default.svc.cluster.local.").rcode() == dns.rcode.NXDOMAIN
    page = Page(f"127.0.0.1:{http}")
    assert page.value("coredns_cache_entries") == 0
    assert page.value("vigie_cache_stored_total") == 0
    assert page.value("coredns_cache_misses_total") == 0  # they are not even looked for
    assert not upstream.log


def test_metrics(start, upstream):
    http = free_port()
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    upstream.answers["no.example.com.", "A"] = Reply(rcode="NXDOMAIN", authority=(SOA,))
    vigie = start(f".:PORT {{\n cache {{\n budget 2MiB\n }}\n prometheus 127.0.0.1:{http}\n"
                  f" forward . {upstream.text}\n}}\nexample.org:PORT {{\n cache\n forward . {upstream.text}\n}}\n")
    for _ in range(3):
        vigie.ask(WWW)
    for _ in range(4):
        vigie.ask("no.example.com.")
    page = Page(f"127.0.0.1:{http}")
    labels = {"server": f"dns://:{vigie.port}", "zones": ".", "view": ""}
    for kind, hits in (("success", 2), ("denial", 3)):
        assert page.value("coredns_cache_hits_total", type=kind, **labels) == hits
        assert page.value("coredns_cache_entries", type=kind, **labels) == 1
        assert page.value("coredns_cache_evictions_total", type=kind, **labels) == 0
    assert page.value("coredns_cache_requests_total", **labels) == 7
    assert page.value("coredns_cache_misses_total", **labels) == 2
    assert page.value("coredns_cache_drops_total", **labels) == 0
    assert page.value("coredns_cache_requests_total", zones="example.org.") == 0
    assert page.value("vigie_cache_budget_bytes") == 2 << 20
    assert 0 < page.value("vigie_cache_bytes") < 2 << 20


def ede(message) -> tuple[int, str] | None:
    """The Extended DNS Error of an answer: its code and text."""
    for option in message.options:
        if option.otype == dns.edns.OptionType.EDE:
            return int(option.code), option.text or ""
    return None


def wait_for_the_end(vigie, name: str, upstream) -> dns.message.Message:
    """Of an answer's lifetime: until the upstream is asked for it again; the answer to the question that led to that."""
    before = len(upstream.asked(name))
    answers = []
    wait_for(lambda: answers.append(vigie.ask(name, size=1232)) or len(upstream.asked(name)) > before, f"{name} to be asked for again")
    return answers[-1]


def test_stale_when_the_upstream_fails(cached, upstream):
    """Without any option."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    upstream.answers["no.example.com.", "A"] = Reply(rcode="NXDOMAIN", authority=(SOA.replace(" 7", " 1"),))
    vigie = cached("{\n success 9984 3600 0\n denial 9984 1800 0\n }")
    for name in (WWW, "no.example.com."):
        vigie.ask(name)
        upstream.answers[name, "A"] = Reply(rcode="SERVFAIL")
        wait_for_the_end(vigie, name, upstream)
    message = vigie.ask(WWW, size=1232)
    assert [str(r) for rrset in message.answer for r in rrset] == ["192.0.2.80"] and ttls(message) == [30]
    assert ede(message)[0] == 3
    message = vigie.ask("no.example.com.", size=1232)
    assert message.rcode() == dns.rcode.NXDOMAIN and ede(message)[0] == 19
    # The failure is remembered, but not for long: then there is something fresh.
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.81")
    wait_for(lambda: [str(r) for rrset in vigie.ask(WWW).answer for r in rrset] == ["192.0.2.81"], "a fresh answer")


def test_metrics_of_what_fails(cached, upstream):
    """What is too long to be held, what is given after its lifetime, and refreshes that fail."""
    http = free_port()
    upstream.answers[WWW, "A"] = [Reply(f"{WWW} 1 IN A 192.0.2.80"), Reply(rcode="SERVFAIL")]
    upstream.answers["long.example.com.", "TXT"] = Reply(*[f"long.example.com. 60 IN TXT {number:0200}" for number in range(100)])
    vigie = cached("{\n success 9984 3600 0\n }", f"prometheus 127.0.0.1:{http}\n")
    assert len(vigie.ask("long.example.com.", "TXT", tcp=True).answer[0]) == 100
    page = Page(f"127.0.0.1:{http}")
    assert page.value("vigie_cache_refused_total") == 1 and page.value("vigie_cache_stored_total") == 0
    vigie.ask(WWW)
    wait_for_the_end(vigie, WWW, upstream)
    page = Page(f"127.0.0.1:{http}")
    for name in ("vigie_cache_stored_total", "coredns_cache_served_stale_total", "vigie_cache_refresh_failed_total"):
        assert page.value(name) > 0, name


def test_stale_when_the_upstream_is_slow(cached, upstream):
    """`verify 50ms`: the client waits so long, then gets what is stale; the refresh goes on and is kept."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    vigie = cached("{\n success 9984 3600 0\n serve_stale 1h verify 50ms 9s\n }")
    vigie.ask(WWW)
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.81", delay=1.5)
    message = wait_for_the_end(vigie, WWW, upstream)
    assert ttls(message) == [9] and ede(message)[0] == 3
    wait_for(lambda: ttls(vigie.ask(WWW))[0] > 9, "the refresh")
    assert [str(r) for rrset in vigie.ask(WWW).answer for r in rrset] == ["192.0.2.81"]


def test_a_refresh_may_be_late(cached, upstream):
    """Nobody waits for it as long as that; the next one has it."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    vigie = cached("{\n success 9984 3600 0\n serve_stale 1h verify 50ms 9s\n }")
    vigie.ask(WWW)
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.81", delay=2.5)
    wait_for_the_end(vigie, WWW, upstream)
    wait_for(lambda: ttls(vigie.ask(WWW))[0] > 9, "the refresh")
    assert [str(r) for rrset in vigie.ask(WWW).answer for r in rrset] == ["192.0.2.81"]


def test_stale_at_once(cached, upstream):
    """`immediate`: nobody waits, however slow the upstream is, and one refresh is under way at a time."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    vigie = cached("{\n success 9984 3600 0\n serve_stale\n }")
    vigie.ask(WWW)
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.81", delay=3)
    wait_for_the_end(vigie, WWW, upstream)
    for _ in range(10):
        assert ede(vigie.ask(WWW, size=1232))[0] == 3
    assert len(upstream.asked(WWW)) <= 1 + 6  # the first, and the packets of one exchange that is slow
    wait_for(lambda: ede(vigie.ask(WWW, size=1232)) is None, "the refresh")
    assert len(upstream.asked(WWW)) <= 1 + 6  # the first, and the packets of one exchange that is slow


def test_prefer_positive(cached, upstream):
    """A denial does not take the place of an answer that may still be given, with this policy alone."""
    for policy, rcode in (("serve_stale_policy prefer_positive", "NOERROR"), ("", "NXDOMAIN")):
        upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
        vigie = cached(f"{{\n success 9984 3600 0\n serve_stale 1h verify\n {policy}\n }}")
        assert vigie.ask(WWW).answer
        del upstream.answers[WWW, "A"]
        wait_for_the_end(vigie, WWW, upstream)
        assert dns.rcode.to_text(vigie.ask(WWW).rcode()) == rcode


def test_a_refresh_that_is_refused_here_is_tried_again_soon(start, upstream):
    """`max_concurrent` questions wait already: nobody was asked."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    vigie = start(f".:PORT {{\n bind 127.0.0.1\n workers 1\n cache {{\n success 9984 3600 0\n serve_stale\n }}\n"
                  f" forward . {upstream.text} {{\n max_concurrent 1\n max_fails 0\n }}\n}}\n")
    vigie.ask(WWW)
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.81")
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.82", delay=4)
    query = dns.message.make_query("slow.example.com.", "A")
    with socket.create_connection((vigie.address, vigie.port), PATIENCE) as slow:  # by TCP a client waits as long as it takes
        dns.query.send_tcp(slow, query)
        wait_for(lambda: upstream.asked("slow.example.com."), "the slow question")
        wait_for(lambda: ede(vigie.ask(WWW, size=1232)) is not None, "a stale answer")
        assert len(upstream.asked(WWW)) == 1
        dns.query.receive_tcp(slow)
    began = time.monotonic()
    wait_for(lambda: ede(vigie.ask(WWW, size=1232)) is None, "the refresh")
    assert time.monotonic() - began < 5, "a claim that is lost is held for 10 s"


def test_stale_without_an_upstream(start):
    """Nobody listens any more. The cache is asked for everything that it has seen."""
    with Upstream(port=free_port()) as upstream:
        for i in range(20):
            upstream.answers[f"n{i}.example.com.", "A"] = Reply(f"n{i}.example.com. 1 IN A 192.0.2.{i}")
        vigie = start(f".:PORT {{\n cache {{\n success 9984 3600 0\n }}\n forward . {upstream.text}\n}}\n")
        for i in range(20):
            vigie.ask(f"n{i}.example.com.")
    wait_for(lambda: ede(vigie.ask("n19.example.com.", size=1232)), "the last answer's end")
    for _ in range(3):
        for i in range(20):
            message = vigie.ask(f"n{i}.example.com.", size=1232)
            assert [str(r) for rrset in message.answer for r in rrset] == [f"192.0.2.{i}"]
    assert ede(message)[0] == 3


def test_refreshes_are_tried_while_upstreams_are_given_up(start, upstream):
    """They fail at once, and none keeps the next one from being tried: so what is stale is fresh as soon as they are back."""
    http = free_port()
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 1 IN A 192.0.2.80")
    vigie = start(f".:PORT {{\n prometheus 127.0.0.1:{http}\n cache {{\n success 9984 3600 0\n }}\n"
                  f" forward . {upstream.text} {{\n max_fails 1\n }}\n}}\n")
    vigie.ask(WWW)
    upstream.answers[WWW, "A"] = upstream.default = Reply(drop=True)
    wait_for(lambda: vigie.ask(WWW, size=1232) and "does not answer" in vigie.log(), "the upstream to be given up")
    failed = Page(f"127.0.0.1:{http}").value("vigie_cache_refresh_failed_total")
    wait_for(lambda: ede(vigie.ask(WWW, size=1232)) and Page(f"127.0.0.1:{http}").value("vigie_cache_refresh_failed_total") > failed + 4,
             "five more refreshes to fail")


def test_prefetch(start, upstream):
    http = free_port()
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 4 IN A 192.0.2.80")
    vigie = start(f".:PORT {{\n cache {{\n success 9984 3600 0\n prefetch 2 1m 90%\n }}\n prometheus 127.0.0.1:{http}\n"
                  f" forward . {upstream.text}\n}}\n")
    vigie.ask(WWW)
    wait_for(lambda: vigie.ask(WWW) and len(upstream.asked(WWW)) > 1, "a second question to the upstream")
    page = Page(f"127.0.0.1:{http}")
    assert page.value("coredns_cache_prefetch_total") >= 1
    assert page.value("coredns_cache_misses_total") == 1  # nobody waited for it
    assert page.value("coredns_cache_served_stale_total") == 0


def test_capacity(start, upstream):
    """No more answers of a block are held than it says; CoreDNS' least is 1024."""
    http = free_port()
    vigie = start(f".:PORT {{\n cache {{\n denial 10\n }}\n prometheus 127.0.0.1:{http}\n forward . {upstream.text}\n}}\n")
    for i in range(1300):
        vigie.ask(f"n{i}.example.com.")  # NXDOMAIN
    page = Page(f"127.0.0.1:{http}")
    assert 900 < page.value("coredns_cache_entries", type="denial") <= 1024
    assert page.value("coredns_cache_evictions_total", type="denial") >= 1300 - 1024
    hits = page.value("coredns_cache_hits_total", type="denial")
    assert vigie.ask("n1299.example.com.").rcode() == dns.rcode.NXDOMAIN
    assert Page(f"127.0.0.1:{http}").value("coredns_cache_hits_total", type="denial") == hits + 1


@pytest.mark.parametrize("options, sentence", [
    ("{\n budget 12\n }", "'12': a budget is from 1MiB to 1024GiB"),
    ("{\n budget 64MB\n }", "'64MB' is not a size, such as 64MiB"),
    ("0", "'0' is not a number from 1 to 604800"),
    ("{\n success\n }", "'success' needs at least 1 argument, not 0"),
    ("{\n success 1024 0\n }", "'0' is not a number from 1 to 604800"),
    ("{\n denial many\n }", "'many' is not a number"),
    ("{\n disable everything\n }", "'disable' takes success or denial, not 'everything'"),
    ("{\n servfail 6m\n }", "'6m': failures may be cached for at most 5 minutes"),
    ("-5", "'-5' is not a number from 1 to 604800"),
    ("{\n keepttl yes\n }", "'yes' is one argument too many for 'keepttl'"),
    ("{\n prefetch\n }", "'prefetch' needs at least 1 argument, not 0"),
    ("{\n prefetch 1 1m 10\n }", "'10' is not a percentage from 10% to 90%"),
    ("{\n prefetch 1 1m 91%\n }", "'91%' is not a percentage from 10% to 90%"),
    ("{\n serve_stale 1h now\n }", "'serve_stale' takes immediate or verify, not 'now'"),
    ("{\n serve_stale 1h immediate 1500ms\n }", "'1500ms': a TTL is a whole number of seconds"),
    ("{\n serve_stale 1h immediate 30s 10m\n }", "'10m' is longer than 300 seconds"),
    ("{\n serve_stale 1h immediate 30s 30s 30s\n }", "'30s' is one argument too many"),
    ("{\n serve_stale_policy prefer_positive\n }", "'serve_stale_policy' needs 'serve_stale'"),
    ("{\n serve_stale\n serve_stale_policy newest\n }", "'serve_stale_policy' takes prefer_positive, not 'newest'"),
    ("{\n persistent\n }", "unknown option 'persistent' of 'cache'"),
    ("\n cache", "'cache' stands in this block already"),
])
def test_mistakes(tmp_path, options, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n cache {options}\n}}\n")


def test_two_budgets(tmp_path):
    assert "another block gives the cache" in refused_configuration(
        tmp_path, "a.org:PORT {\n cache {\n budget 8MiB\n }\n}\nb.org:PORT {\n cache {\n budget 9MiB\n }\n}\n")


# the cache file

@pytest.fixture
def persistent(start, upstream, tmp_path):
    """A vigie with a cache file, and two names in its cache."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 600 IN A 192.0.2.80")
    upstream.answers["no.example.com.", "A"] = Reply(rcode="NXDOMAIN", authority=(SOA.replace(" 60 ", " 600 ").replace(" 7", " 600"),))
    vigie = start(f".:PORT {{\n errors\n cache {{\n  persist {tmp_path}/cache\n }}\n forward . {upstream.text}\n}}\n")
    vigie.wait_for_log("the cache file '.*/cache' is not used: No such file or directory")
    assert ttls(vigie.ask(WWW)) == [600]
    assert vigie.ask("no.example.com.").rcode() == dns.rcode.NXDOMAIN
    return vigie


def age_file(path, seconds: int) -> None:
    """A file as it would have been written so many seconds ago."""
    data = path.read_bytes()
    written = int.from_bytes(data[12:20], "big") - seconds
    body = data[:12] + written.to_bytes(8, "big") + data[20:-32]
    path.write_bytes(body + hashlib.blake2b(body, digest_size=32).digest())


def test_the_cache_outlives_the_process(persistent, upstream, tmp_path):
    persistent.stop()
    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / "cache.new").exists()
    age_file(tmp_path / "cache", 100)
    persistent.start()
    persistent.wait_for_log("2 answers from the cache file")
    answer = persistent.ask(WWW)
    assert [str(r) for rrset in answer.answer for r in rrset] == ["192.0.2.80"]
    assert 400 < answer.answer[0].ttl <= 500
    assert persistent.ask("no.example.com.").rcode() == dns.rcode.NXDOMAIN
    assert upstream.asked(WWW) == upstream.asked("no.example.com.") == ["udp"]


def test_what_has_run_out_meanwhile_is_asked_for_again(persistent, upstream, tmp_path):
    persistent.stop()
    age_file(tmp_path / "cache", 601)
    persistent.start()
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 600 IN A 192.0.2.81")
    assert str(persistent.ask(WWW).answer[0][0]) == "192.0.2.81"


def test_an_old_answer_of_the_file_when_the_upstream_fails(persistent, upstream, tmp_path):
    persistent.stop()
    age_file(tmp_path / "cache", 3600)
    upstream.answers[WWW, "A"] = Reply(rcode="SERVFAIL")
    persistent.start()
    answer = persistent.exchange(dns.message.make_query(WWW, "A", use_edns=0))
    assert ttls(answer) == [30] and ede(answer)[0] == dns.edns.EDECode.STALE_ANSWER


@pytest.mark.parametrize("what", ["cut", "empty", "bent", "rubbish", "version", "old", "future", "folder"])
def test_a_cache_file_that_is_refused(persistent, upstream, tmp_path, what):
    persistent.stop()
    file = tmp_path / "cache"
    good = file.read_bytes()
    if what == "folder":
        file.unlink()
        file.mkdir()
    elif what in ("old", "future"):
        age_file(file, 604900 if what == "old" else -100)
    else:
        file.write_bytes({"cut": good[:-40], "empty": b"", "rubbish": b"x" * 5000,
                          "bent": good[:90] + bytes([good[90] ^ 1]) + good[91:],
                          "version": good[:11] + b"\xff" + good[12:]}[what])
    persistent.start()
    persistent.wait_for_log("the cache file '.*/cache' is not used: ")
    assert persistent.log().count("cache file") == 1
    assert ttls(persistent.ask(WWW)) == [600]
    assert upstream.asked(WWW) == ["udp", "udp"]
    persistent.stop()
    if what != "folder":
        assert file.read_bytes()[:8] == b"vigiecch"


def test_the_cache_is_saved_from_time_to_time(start, upstream, tmp_path):
    """A process that is killed leaves what was saved last."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 600 IN A 192.0.2.80")
    vigie = start(f".:PORT {{\n cache {{\n  persist cache 1s\n }}\n forward . {upstream.text}\n}}\n"
                  f"other.test:PORT {{\n cache {{\n  persist cache 1s\n }}\n forward . {upstream.text}\n}}\n")
    vigie.ask(WWW)
    vigie.ask("www.other.test.")
    file = vigie.folder / "cache"
    wait_for(lambda: file.exists() and dns.name.from_text(WWW).to_wire() in file.read_bytes(), "the cache file")
    vigie.process.kill()
    vigie.process.wait()
    vigie.start()
    vigie.wait_for_log("[12] answers from the cache file 'cache'")
    assert vigie.ask(WWW).answer
    assert upstream.asked(WWW) == ["udp"]


def test_a_cache_file_that_cannot_be_written(start, upstream, tmp_path):
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 600 IN A 192.0.2.80")
    vigie = start(f".:PORT {{\n cache {{\n  persist {tmp_path}/no/cache 1s\n }}\n forward . {upstream.text}\n}}\n")
    vigie.ask(WWW)
    vigie.wait_for_log("cannot write the cache file '.*/no/cache': No such file or directory")
    assert vigie.ask(WWW).answer


@pytest.mark.parametrize("option, sentence", [
    ("persist", "'persist' needs"),
    ("persist a 1ms", "'1ms': the cache may be saved every second at most"),
    ("persist a 2d3h", "'2d3h'"),
    ("persist a 10m\n persist b 10m", "'b': another block saves the cache to 'a' every 600 s"),
])
def test_mistakes_of_persist(tmp_path, option, sentence):
    assert sentence in refused_configuration(tmp_path, f".:PORT {{\n cache {{\n{option}\n }}\n}}\n")


# over a reload

def test_a_reload_keeps_what_it_did_not_change(start, upstream):
    """The cache goes on for blocks that are the same behind `cache`, and begins anew for those that are not."""
    names = [f"www.{block}.test." for block in ("same", "logged", "ttl", "upstream", "gone")]
    for name in names:
        upstream.answers[name, "A"] = Reply(f"{name} 600 IN A 192.0.2.80")
    corefile = "".join(f"{block}.test:PORT {{\n {more}\n cache {ttl}\n forward . {upstream.text}\n}}\n"
                       for block, ttl, more in (("same", 300, ""), ("logged", 300, ""), ("ttl", 300, ""),
                                                ("upstream", 300, ""), ("gone", 300, "")))
    vigie = start(corefile)
    for name in names:
        assert ttls(vigie.ask(name)) == [300]
    with Upstream() as other:
        other.answers["www.upstream.test.", "A"] = Reply("www.upstream.test. 600 IN A 192.0.2.99")
        blocks = vigie.corefile.read_text().split("}\n")
        blocks[1] = blocks[1].replace("cache", "log\n cache")
        blocks[2] = blocks[2].replace("300", "200")
        blocks[3] = blocks[3].replace(upstream.text, other.text)
        for count in (1, 2):
            vigie.corefile.write_text("}\n".join(blocks[:4]) + "}\n" + f"new{count}.test:{vigie.port} {{\n whoami\n}}\n")
            vigie.process.send_signal(signal.SIGUSR1)
            vigie.wait_for_log("Reloading complete", count)
            for name in names[:2]:
                assert 200 < ttls(vigie.ask(name))[0] <= 300
            assert 100 < ttls(vigie.ask("www.ttl.test."))[0] <= 200
            assert str(vigie.ask("www.upstream.test.").answer[0][0]) == "192.0.2.99"
        assert other.asked("www.upstream.test.") == ["udp"]
    assert vigie.ask("www.gone.test.").rcode() == dns.rcode.REFUSED
    assert [len(upstream.asked(name)) for name in names] == [1, 1, 2, 1, 1]
