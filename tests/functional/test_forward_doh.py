"""Upstreams by HTTPS: `https://` and `doh_method` of `forward` (RFC 8484)."""
import shutil
import ssl
import subprocess

import dns.flags
import dns.rcode
import pytest

from doh_upstream import TYPE, Doh, HttpServer, send
from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import addresses, free_port, refused_configuration, wait_for

NAME = "www.example.com."
ONCE = "max_connect_attempts 1"  # to ask again, where the scripted server is late, would be another request, or connection


@pytest.fixture
def doh(pki):
    doh = Doh(pki, port=free_port())
    doh.script.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.80")
    yield doh
    doh.http.stop()


@pytest.fixture
def serve(start, pki):
    def with_options(to: str, options: str = "", more: str = ""):
        return start(f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tworkers 1\n\tforward . {to} {{\n\t\ttls {pki}/ca.pem\n\t\t{options}\n\t}}\n\t{more}\n}}\n")
    return with_options


@pytest.mark.parametrize("method", ["", "POST", "GET"])
def test_a_question_and_its_answer(serve, doh, method):
    """By POST unless GET is asked for; with id 0, so that HTTP's caches know the question again."""
    vigie = serve(doh.text, ONCE + (f"\n\t\tdoh_method {method}" if method else ""))
    reply = vigie.ask(NAME)
    assert addresses(reply) == ["192.0.2.80"] and reply.flags & dns.flags.RA
    [request] = doh.requests
    assert request.headers[":method"] == (method or "POST") and request.headers["accept"] == TYPE
    assert request.path.split("?")[0] == "/dns-query" and ("?" in request.path) == (method == "GET") == (not request.body)
    assert request.headers.get("content-type") == (None if method == "GET" else TYPE)
    [(transport, name, _, query)] = doh.script.log
    assert (transport, name, query.id, query.edns) == ("https", NAME, 0, 0)


def test_a_server_without_http2(serve, pki):
    doh = Doh(pki, protocols=("http/1.1",))
    doh.script.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.80")
    try:
        vigie = serve(doh.text, ONCE)
        for name in (NAME, NAME, NAME):
            assert addresses(vigie.ask(name)) == ["192.0.2.80"]
        assert doh.http.accepted == 1
    finally:
        doh.http.stop()


def test_age_is_taken_off_the_ttls(serve, doh):
    """RFC 8484 section 5.1: what HTTP's caches held it for counts. What is no number counts nothing."""
    doh.script.answers[NAME, "A"] = Reply(f"{NAME} 60 IN CNAME other.example.", "other.example. 10 IN A 192.0.2.81")
    vigie = serve(doh.text)
    for age, ttls in (("25", [35, 0]), ("999999999999999999999", [0, 0]), ("soon", [60, 10]), ("-5", [60, 10])):
        doh.faults[NAME] = lambda response, answer: send(response, answer, Age=age)
        assert [rrset.ttl for rrset in vigie.ask(NAME, size=1232).answer] == ttls


FAULTS = {
    "status 400": lambda response, answer: send(response, answer, status=400),
    "status 503": lambda response, answer: send(response, answer, status=503),
    "no DNS message": lambda response, answer: send(response, answer, content_type="text/html"),
    "no DNS message ": lambda response, answer: send(response, answer, content_type="application/dns-messages"),
    "too long": lambda response, answer: send(response, answer + bytes(70000)),
    "too short": lambda response, answer: send(response, answer[:11]),
    "too short ": lambda response, answer: send(response, b""),
    "does not answer the question": lambda response, answer: send(response, answer[:13] + b"x" + answer[14:]),
    "HTTPS: ": lambda response, answer: (response.start(200, {"Content-Type": TYPE}), response.write(answer[:20]), response.close()),
    "HTTPS:  ": lambda response, answer: response.reset(),
}


@pytest.mark.parametrize("why", FAULTS)
def test_faults(serve, doh, upstream, why):
    """The client hears why; another upstream answers instead."""
    doh.faults[NAME] = FAULTS[why]
    vigie = serve(doh.text, "max_fails 0")
    reply = vigie.ask(NAME, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and any(why.strip() in (option.text or "") for option in reply.options), reply
    doh.script.answers["good.example.com.", "A"] = Reply("good.example.com. 60 IN A 192.0.2.9")
    assert addresses(vigie.ask("good.example.com.")) == ["192.0.2.9"], "the next question is another one"
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.7")
    both = serve(f"{doh.text} {upstream.text}", "policy sequential")
    assert addresses(both.ask(NAME)) == ["192.0.2.7"]


def test_a_connection_that_ends_is_made_anew(serve, doh):
    vigie = serve(doh.text)
    for _ in range(3):
        before = doh.http.accepted
        assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
        assert doh.http.accepted > before
        doh.http.disconnect()


def test_a_connection_that_is_dead_is_left(serve, doh, upstream):
    """It says nothing any more, and the kernel does not know yet: queries go to a new one."""
    silent = {}
    doh.faults["first.example.com."] = lambda response, answer: silent.update(it=response._connection) or send(response, answer)
    vigie = serve(doh.text, "max_fails 0\n\t\tmax_connect_attempts 2")
    vigie.ask("first.example.com.")
    before = doh.http.accepted
    mute = lambda response, answer: None if response._connection is silent["it"] else send(response, answer)  # noqa: E731
    doh.faults[NAME] = mute
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
    assert doh.http.accepted == before + 1


def test_an_upstream_that_is_gone_and_comes_back(serve, doh, pki):
    """The breaker opens, probes go by HTTPS, too, and the first answer closes it."""
    vigie = serve(doh.text)
    assert vigie.ask(NAME).answer
    port = doh.http.port
    doh.http.stop()
    vigie.wait_until(lambda: vigie.ask(NAME) and "does not answer" in vigie.log(), "the breaker to open")
    assert "being probed" in str(vigie.ask(NAME, size=1232).options[0])
    doh.http = HttpServer(doh._handle, pki / "server.pem", pki / "server.key", port=port)
    vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
    vigie.wait_for_log("answers again")
    assert any(name == "." for _, name, _, _ in doh.script.log)


def test_another_upstream_answers_for_a_slow_one(serve, doh, upstream):
    doh.script.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.80", delay=3)
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.7")
    vigie = serve(f"{doh.text} {upstream.text}", "policy sequential\n\t\tmax_connect_attempts 2")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.7"]
    assert len(doh.requests) == 1


@pytest.mark.parametrize("to, options, works", [
    ("https://127.0.0.1%dns.example.com:{port}", "", True),
    ("https://127.0.0.1:{port}", "tls_servername dns.example.com", True),
    ("https://127.0.0.1:{port}", "", True),
    ("https://127.0.0.1%other.example.com:{port}", "", False),
    ("https://127.0.0.1:{port}", "tls_servername other.example.com", False),
])
def test_the_certificate_is_for_the_name_or_the_address(serve, doh, to, options, works):
    vigie = serve(to.format(port=doh.http.port), options)
    reply = vigie.ask(NAME, size=1232)
    assert bool(reply.answer) == works and bool(doh.requests) == works
    if works:
        assert doh.requests[0].headers[":authority"] == ("127.0.0.1" if "dns" not in to + options else "dns.example.com") + f":{doh.http.port}"
    else:
        assert any("HTTPS: SSL: no alternative certificate subject name matches" in (option.text or "") for option in reply.options), reply


def test_other_certificates(start, doh, pki):
    """The system's CAs do not know this one."""
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tforward . {doh.text}\n}}\n")
    reply = vigie.ask(NAME, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and not doh.requests and "certificate" in str(reply.options[0])


def test_the_clients_certificate_is_shown(start, doh, pki):
    doh.http._context.verify_mode = ssl.CERT_REQUIRED
    doh.http._context.load_verify_locations(pki / "ca.pem")
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tforward . {doh.text} {{\n\t\ttls {pki}/client.pem {pki}/client.key {pki}/ca.pem\n\t}}\n}}\n")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


def test_a_host_name_and_the_metrics(serve, doh):
    http = free_port()
    with Upstream() as resolver:
        resolver.default = Reply()
        resolver.answers["dns.example.com.", "A"] = Reply("dns.example.com. 60 IN A 127.0.0.1")
        vigie = serve(f"https://dns.example.com:{doh.http.port}", f"resolver {resolver.text}\n\t\t{ONCE}", f"prometheus 127.0.0.1:{http}")
        vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
        vigie.ask(NAME)
    page = Page(f"127.0.0.1:{http}")
    to = f"127.0.0.1:{doh.http.port}"
    assert page.value("vigie_forward_queries_total", to=to, proto="https") == len(doh.requests) == 2
    assert page.value("coredns_proxy_conn_cache_misses_total", to=to, proto="https") == 1
    assert page.value("coredns_proxy_conn_cache_hits_total", to=to, proto="https") == 1


def test_a_real_server(serve, pki, upstream, tmp_path):
    """dnsdist: answers of all sizes, by POST and GET."""
    upstream.answers[NAME, "A"] = Reply(f"{NAME} 60 IN A 192.0.2.80")
    texts = [f'big.example.com. 60 IN TXT "{number} {"x" * 200}"' for number in range(200)]
    upstream.answers["big.example.com.", "TXT"] = Reply(*texts)
    port, plain = free_port(), free_port()
    (tmp_path / "dnsdist.conf").write_text(f"""setLocal("127.0.0.1:{plain}")
newServer({{address="{upstream.text}", tcpOnly=true, checkInterval=3600}})
getServer(0):setUp()
addDOHLocal("127.0.0.1:{port}", "{pki}/server.pem", "{pki}/server.key", "/dns-query")
""")
    program = shutil.which("dnsdist")
    assert program, "dnsdist is not installed: see TEST_PACKAGES in tests/lib.sh"
    with subprocess.Popen([program, "--supervised", "--disable-syslog", "-C", tmp_path / "dnsdist.conf"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL) as dnsdist:
        try:
            for method in ("POST", "GET"):
                vigie = serve(f"https://127.0.0.1:{port}", f"doh_method {method}")
                vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
                assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]
                assert len(vigie.ask("big.example.com.", "TXT", tcp=True).answer[0]) == 200
        finally:
            dnsdist.kill()


@pytest.mark.parametrize("to, options, error", [
    ("https://127.0.0.1/path", "", "'https://127.0.0.1/path' is neither an address"),
    ("https://127.0.0.1", "doh_method PUT", "'doh_method' takes GET or POST, not 'PUT'"),
    ("https://127.0.0.1", "doh_method", "'doh_method'"),
])
def test_mistakes(tmp_path, to, options, error):
    assert error in refused_configuration(tmp_path, f".:PORT {{\n\tforward . {to} {{\n\t\t{options}\n\t}}\n}}\n")
