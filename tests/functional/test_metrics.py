"""`prometheus`: the page, read by Prometheus' own parser; what it counts, and what a bad client cannot do to it."""
import contextlib
import socket
import subprocess
import time

import dns.message
import pytest

from metrics_page import Page
from scripted_upstream import Reply
from vigie_process import PATIENCE, free_port, read_frame, refused_configuration, wait_for

WEB = "web.default.svc.cluster.local."


@pytest.fixture
def metrics(start, snapshot, upstream):
    """A server with one block for everything, and a function that scrapes it."""
    http = free_port()
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.1", delay=0.3)
    upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
    vigie = start(f""".:PORT cluster.local:PORT {{
	bind 127.0.0.1 ::1
	prometheus localhost:{http}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	forward example.com {upstream.text}
}}
""")
    return vigie, lambda: Page(f"127.0.0.1:{http}")


def test_the_page_is_well_formed(metrics):
    """By Prometheus' parser and by promtool, with traffic of all kinds counted."""
    vigie, scrape = metrics
    for rdtype in ("A", "AAAA", "SRV", "TYPE65280", "ANY"):
        vigie.ask(WEB, rdtype)
        vigie.ask(WEB, rdtype, tcp=True)
    vigie.ask("www.example.com.")
    page = scrape()
    assert page.value("coredns_build_info") == 1
    assert page.value("coredns_panics_total") == 0
    checked = subprocess.run(["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_what_is_counted_of_a_request(metrics):
    vigie, scrape = metrics
    server = f"dns://127.0.0.1:{vigie.port}"
    before = scrape()
    vigie.ask(WEB)
    vigie.ask(WEB, tcp=True)
    vigie.ask(WEB, "TYPE65280")
    vigie.ask("missing.default.svc.cluster.local.")
    vigie.ask("www.example.org.")
    vigie.exchange(dns.message.make_query(WEB, "AAAA", want_dnssec=True), address="::1")
    duration = "coredns_dns_request_duration_seconds_count"  # it is known a moment after the answer is on its way
    wait_for(lambda: scrape().value(duration) - before.value(duration) >= 6, "six durations")
    after = scrape()

    def more(name, **labels):
        return after.value(name, **labels) - before.value(name, **labels)

    place = {"server": server, "zone": "cluster.local.", "view": ""}
    v6 = {**place, "server": f"dns://[::1]:{vigie.port}"}
    assert more("coredns_dns_requests_total", **place, proto="udp", family="1", type="A") == 2
    assert more("coredns_dns_requests_total", **place, proto="tcp", family="1", type="A") == 1
    assert more("coredns_dns_requests_total", **place, proto="udp", family="1", type="other") == 1
    assert more("coredns_dns_requests_total", **v6, proto="udp", family="2", type="AAAA") == 1
    assert more("coredns_dns_requests_total", server=server, zone=".", type="A") == 1
    assert more("coredns_dns_requests_total") == 6
    assert more("coredns_dns_responses_total", **place, rcode="NOERROR", plugin="kubernetes") == 3
    assert more("coredns_dns_responses_total", **place, rcode="NXDOMAIN", plugin="kubernetes") == 1
    assert more("coredns_dns_responses_total", server=server, zone=".", rcode="REFUSED", plugin="") == 1
    assert more("coredns_dns_do_requests_total", **v6) == 1
    assert more("coredns_dns_do_requests_total") == 1
    for family in ("request_duration_seconds", "request_size_bytes", "response_size_bytes"):
        assert more(f"coredns_dns_{family}_count") == 6
        assert more(f"coredns_dns_{family}_bucket", le="+Inf") == 6
    assert more("vigie_queries_total", proto="udp") >= 5
    assert more("vigie_queries_total", proto="tcp") == 1


def test_sizes_are_those_on_the_wire(metrics):
    vigie, scrape = metrics
    before = scrape()
    query = dns.message.make_query(WEB, "SRV", use_edns=0, payload=1232)
    reply = vigie.exchange_wire(query.to_wire())
    after = scrape()

    def more(name):
        return after.value(name, proto="udp") - before.value(name, proto="udp")

    assert more("coredns_dns_request_size_bytes_sum") == len(query.to_wire())
    assert more("coredns_dns_response_size_bytes_sum") == len(reply)


def test_the_duration_of_what_waits_for_an_upstream(metrics):
    vigie, scrape = metrics
    before = scrape()
    vigie.ask("slow.example.com.")
    after = scrape()

    def more(name, **labels):
        return after.value(name, **labels) - before.value(name, **labels)

    assert more("coredns_dns_responses_total", plugin="forward", rcode="NOERROR") == 1
    assert more("coredns_dns_request_duration_seconds_sum") >= 0.29
    assert more("coredns_dns_request_duration_seconds_bucket", le="0.256") == 0
    assert more("coredns_dns_request_duration_seconds_count") == 1


def test_time_buckets_are_those_of_coredns(metrics):
    """Dashboards and alerts ask for quantiles of these."""
    vigie, scrape = metrics
    vigie.ask(WEB)
    page = scrape()
    bounds = {float(sample.labels["le"]) for sample in page.samples("coredns_dns_request_duration_seconds_bucket")}
    assert bounds == {0.00025 * 2 ** i for i in range(16)} | {float("inf")}
    bounds = {float(sample.labels["le"]) for sample in page.samples("coredns_dns_response_size_bytes_bucket")}
    assert bounds == {0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291, 16e3, 32e3, 48e3, 64e3, float("inf")}


def test_what_the_gate_refuses_is_counted(metrics):
    vigie, scrape = metrics
    before = scrape()
    vigie.exchange_wire(bytes([0, 0, 2 << 3]) + bytes(9))  # not what `start` asks, which another worker may still have to count
    name = "vigie_packets_refused_total"
    assert scrape().value(name, reason="opcode") - before.value(name, reason="opcode") == 1
    name = "vigie_loop_stall_seconds_count"  # it is known a moment after the answer is on its way
    wait_for(lambda: scrape().value(name) > before.value(name), "the turn to be counted")


def test_what_becomes_of_queries_and_connections(start, upstream):
    """Queries that are dropped, that no block serves, that wait; connections that come, stay and go."""
    http = free_port()
    upstream.answers["slow.a.test.", "A"] = Reply(drop=True)
    vigie = start(f"""a.test:PORT {{
	bind 127.0.0.1
	workers 2
	prometheus 127.0.0.1:{http}
	timeouts {{
		idle 1s
	}}
	acl dropped.a.test {{
		drop
	}}
	forward . {upstream.text}
}}
""")

    def metric(name: str, **labels) -> float:
        return Page(f"127.0.0.1:{http}").value(f"vigie_{name}", **labels)

    assert metric("workers") == 2
    assert metric("queries_dropped_total") == metric("queries_unserved_total") == metric("queries_suspended") == 0
    with vigie.udp_socket() as client:
        client.send(dns.message.make_query("dropped.a.test.", "A").to_wire())
        wait_for(lambda: metric("queries_dropped_total") == 1, "the dropped query")
    vigie.ask("www.b.test.")
    assert metric("queries_unserved_total") == 1
    assert metric("tcp_connections_accepted_total") == 0
    with socket.create_connection(("127.0.0.1", vigie.port)) as client:
        wait_for(lambda: metric("tcp_connections") == 1, "the connection")
        assert metric("tcp_connections_accepted_total") == 1
        client.settimeout(PATIENCE)
        client.sendall(dns.message.make_query("slow.a.test.", "A").to_wire(prepend_length=True))
        wait_for(lambda: metric("queries_suspended") == 1, "the query that waits")
        read_frame(client)
        wait_for(lambda: metric("queries_suspended") == 0, "the end of it")
        assert client.recv(1) == b""
        assert metric("tcp_connections_closed_total", reason="idle") == 1
        wait_for(lambda: metric("tcp_connections") == 0, "the end of the connection")


def test_the_process_is_measured(metrics):
    _, scrape = metrics
    page = scrape()
    assert 1e6 < page.value("process_resident_memory_bytes") < 8e9
    assert abs(page.value("process_start_time_seconds") - time.time()) < 3600
    assert 0 < page.value("process_open_fds") < page.value("process_max_fds")
    assert page.value("process_cpu_seconds_total") >= 0


def test_which_directives_are_there(metrics):
    vigie, scrape = metrics
    names = {sample.labels["name"] for sample in scrape().samples("coredns_plugin_enabled", zone="cluster.local.",
                                                                  server=f"dns://127.0.0.1:{vigie.port}")}
    assert {"prometheus", "kubernetes", "forward"} <= names


def test_health_is_measured(start):
    http, health = free_port(), free_port()
    start(f".:PORT {{\n\tbind 127.0.0.1\n\tprometheus 127.0.0.1:{http}\n\thealth 127.0.0.1:{health}\n}}\n")
    name = "coredns_health_request_duration_seconds"
    wait_for(lambda: Page(f"127.0.0.1:{http}").value(f"{name}_count") >= 2, "two looks")
    page = Page(f"127.0.0.1:{http}")
    assert {sample.labels["le"] for sample in page.samples(f"{name}_bucket")} == {"0.00025", "0.0025", "0.025", "0.25",
                                                                                  "2.5", "+Inf"}
    assert page.value(f"{name}_bucket", le="+Inf") == page.value(f"{name}_count")
    assert page.value("coredns_health_request_failures_total") == 0


def test_two_blocks_share_a_page(start, snapshot):
    http = free_port()
    block = """{zone}:PORT {{
	bind 127.0.0.1
	prometheus 127.0.0.1:{http}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
"""
    vigie = start("".join(block.format(zone=zone, http=http, snapshot=snapshot)
                          for zone in ("cluster.local", "example.org")))
    vigie.ask(WEB)
    vigie.ask("example.org.")
    page = Page(f"127.0.0.1:{http}")
    assert page.value("coredns_dns_requests_total", zone="cluster.local.") == 1
    assert page.value("coredns_dns_requests_total", zone="example.org.") == 1


@pytest.mark.parametrize("options, word", [(":9153 :9154", ":9154"), ("here", "here"), ("{\n bogus\n}", "bogus")])
def test_mistakes(tmp_path, options, word):
    log = refused_configuration(tmp_path, f".:{free_port()} {{\n\tbind 127.0.0.1\n\tprometheus {options}\n}}\n")
    assert "Corefile:3" in log or "Corefile:4" in log
    assert word in log


def test_a_client_that_never_reads(metrics):
    """It holds a connection, until it is closed; others are served, and DNS does not notice."""
    vigie, scrape = metrics
    port = int(scrape.__closure__[0].cell_contents)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        for _ in range(20):
            assert vigie.ask(WEB).answer
            assert scrape().value("coredns_build_info") == 1


def test_a_crowd_that_says_nothing(metrics):
    """Many more than may be there: the oldest make way for who comes next, and DNS does not notice."""
    vigie, scrape = metrics
    port = int(scrape.__closure__[0].cell_contents)
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port), PATIENCE))
            connection.sendall(b"GET /")
        assert scrape().value("coredns_build_info") == 1 and vigie.ask(WEB).answer
