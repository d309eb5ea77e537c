"""What `forward` counts, with traffic to upstreams that answer, fail and stay silent."""
import subprocess

import dns.rcode
import pytest

from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import free_port, wait_for

NAME = "www.example.com."


@pytest.fixture
def serve(start):
    """Starts a server with a `forward`; returns it and a function that scrapes it."""
    def with_upstreams(to: str, options: str):
        http = free_port()
        vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tworkers 1\n\tprometheus 127.0.0.1:{http}\n\tforward . {to} {{\n\t\t{options}\n\t}}\n}}\n")
        return vigie, lambda: Page(f"127.0.0.1:{http}")
    return with_upstreams


def test_replies_of_an_upstream(serve, upstream):
    """By rcode and transport, connections that were used again, and messages that were passed over."""
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.80")
    upstream.answers["broken.example.com.", "A"] = Reply(rcode="SERVFAIL")
    upstream.answers["forged.example.com.", "A"] = Reply("forged.example.com. 60 IN A 192.0.2.80", before=(b"ID" + bytes(3),))
    vigie, scrape = serve(upstream.text, "policy sequential\n\t\tmax_connect_attempts 1")  # a retry would count, too
    for name in (NAME, NAME, "broken.example.com.", "forged.example.com."):
        vigie.ask(name)
    for _ in range(3):
        vigie.ask(NAME, tcp=True)
    page = scrape()
    proxy = {"proxy_name": "forward", "to": upstream.text}
    replies = "coredns_proxy_request_duration_seconds"
    assert page.value(f"{replies}_count", **proxy, rcode="NOERROR") == 6
    assert page.value(f"{replies}_count", **proxy, rcode="SERVFAIL") == 1
    assert page.value(f"{replies}_bucket", **proxy, rcode="NOERROR", le="+Inf") == 6
    assert 0 < page.value(f"{replies}_sum", **proxy, rcode="NOERROR") < 60
    assert page.value("vigie_forward_queries_total", to=upstream.text, proto="udp") == len(upstream.sources)
    assert page.value("vigie_forward_queries_total", to=upstream.text, proto="tcp") == 3
    assert page.value("coredns_proxy_conn_cache_misses_total", **proxy, proto="tcp") == upstream.connections["tcp"]
    assert page.value("coredns_proxy_conn_cache_hits_total", **proxy, proto="tcp") == 3 - upstream.connections["tcp"]
    assert page.value("vigie_forward_spurious_replies_total", to=upstream.text) == 1
    assert page.value("vigie_forward_upstream_up", to=upstream.text) == 1
    assert 0 < page.value("vigie_forward_rtt_seconds", to=upstream.text) < 60
    assert page.value("coredns_proxy_healthcheck_failures_total", **proxy) == 0
    assert page.value("coredns_forward_healthcheck_broken_total") == 0
    checked = subprocess.run(["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_upstream_of_several_blocks(start, upstream):
    """As of NodeLocal DNSCache: what it is asked adds up, whether it is up does not."""
    http = free_port()
    upstream.default = Reply()
    vigie = start("".join(f"{zone}:PORT {{\n\tbind 127.0.0.1\n\tprometheus 127.0.0.1:{http}\n\tforward . {upstream.text}\n}}\n"
                          for zone in ("a.test", "b.test", "c.test")))
    for zone in ("a.test.", "b.test."):
        vigie.ask(zone)
    page = Page(f"127.0.0.1:{http}")
    assert page.value("vigie_forward_queries_total", to=upstream.text) >= 2
    assert [sample.value for sample in page.samples("vigie_forward_upstream_up", to=upstream.text)] == [1]


def test_an_upstream_that_fails(serve, upstream):
    """One of two becomes silent: failed probes, and it is down; then the other one: questions that nobody takes."""
    with Upstream() as other:
        other.default = Reply()
        upstream.default = Reply(drop=True)
        vigie, scrape = serve(f"{upstream.text} {other.text}", "policy sequential\n\t\tmax_fails 1")

        def is_up(each: Upstream) -> float:
            return scrape().value("vigie_forward_upstream_up", to=each.text)

        wait_for(lambda: vigie.ask(NAME) and is_up(upstream) == 0, "the silent upstream to be given up")
        page = scrape()
        assert page.value("coredns_proxy_healthcheck_failures_total", proxy_name="forward", to=upstream.text) >= 1
        assert page.value("coredns_proxy_healthcheck_failures_total", proxy_name="forward", to=other.text) == 0
        assert page.value("vigie_forward_upstream_up", to=other.text) == 1
        assert page.value("coredns_proxy_request_duration_seconds_count", to=upstream.text) == 0
        assert page.value("coredns_proxy_request_duration_seconds_count", to=other.text) >= 1
        assert page.value("coredns_forward_healthcheck_broken_total") == 0
        other.default = Reply(drop=True)
        wait_for(lambda: vigie.ask(NAME) and is_up(other) == 0, "the other one to be given up")
        before = scrape().value("coredns_forward_healthcheck_broken_total")
        assert vigie.ask(NAME).rcode() == dns.rcode.SERVFAIL
        assert scrape().value("coredns_forward_healthcheck_broken_total") == before + 1
        upstream.default = other.default = Reply()
        wait_for(lambda: is_up(upstream) and is_up(other), "both to be up again")


def test_questions_that_wait_and_that_are_refused(serve, upstream):
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.80", delay=4)
    vigie, scrape = serve(upstream.text, "max_concurrent 2\n\t\tmax_fails 0")
    query = b"\x00\x01\x01\x00\x00\x01" + bytes(6) + b"\x04slow\x07example\x03com\x00\x00\x01\x00\x01"
    with vigie.udp_socket() as client:
        client.send(query)
        client.send(query)
        page = wait_for(lambda: (page := scrape()).value("vigie_forward_waiting") == 2 and page, "two that wait")
        assert page.value("vigie_forward_inflight") == 1
        assert vigie.ask(NAME).rcode() == dns.rcode.REFUSED
        assert scrape().value("coredns_forward_max_concurrent_rejects_total") == 1
