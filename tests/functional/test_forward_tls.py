"""Upstreams by TLS: `tls://`, `tls` and `tls_servername` of `forward`."""
import dns.rcode
import pytest

from scripted_upstream import Reply, Upstream
from vigie_process import addresses, refused_configuration

NAME = "www.example.com."
GOOD = Reply(f"{NAME} 60 IN A 192.0.2.80")


@pytest.fixture
def upstream(pki):
    with Upstream(tls=(pki / "server.pem", pki / "server.key"), answers={(NAME, "A"): GOOD}) as upstream:
        yield upstream


@pytest.fixture
def serve(start):
    def with_options(to: str, options: str, more: str = ""):
        return start(f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tworkers 1\n\tforward . {to} {{\n\t\t{options}\n\t}}\n\t{more}\n}}\n")
    return with_options


@pytest.mark.parametrize("name", ["%dns.example.com", ""], ids=["name", "address"])
def test_the_certificate_is_for_the_name_or_the_address(serve, upstream, pki, name):
    vigie = serve(f"tls://127.0.0.1{name}:{upstream.tls_port}", f"tls {pki}/ca.pem")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"]


@pytest.mark.parametrize("options", ["", "tls_servername dns.example.com\n\t\t"], ids=["its name", "tls_servername"])
def test_a_host_shows_a_certificate_for_its_name(serve, upstream, pki, options):
    """Or for the name that is given."""
    with Upstream() as resolver:
        resolver.default = Reply()
        host = "other.example.com" if options else "dns.example.com"
        resolver.answers[f"{host}.", "A"] = Reply(f"{host}. 60 IN A 127.0.0.1")
        vigie = serve(f"tls://{host}:{upstream.tls_port}", f"tls {pki}/ca.pem\n\t\t{options}resolver {resolver.text}")
        vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
        if options:
            return
        vigie.stop()
        resolver.answers["other.example.com.", "A"] = Reply("other.example.com. 60 IN A 127.0.0.1")
        vigie = serve(f"tls://other.example.com:{upstream.tls_port}", f"tls {pki}/ca.pem\n\t\tresolver {resolver.text}")
        vigie.wait_for_log("stands for 1 upstreams now")
        assert "certificate: " in str(vigie.ask(NAME, size=1232).options[0])


@pytest.mark.parametrize("options", ["tls {pki}/ca.pem\n\t\ttls_servername other.example.com", "tls", "tls {pki}/client.pem {pki}/client.key"],
                         ids=["another name", "the system's CAs", "a client certificate alone"])
def test_a_certificate_that_does_not_fit(serve, upstream, pki, options):
    """Nothing is asked, and the client hears why."""
    vigie = serve(f"tls://127.0.0.1:{upstream.tls_port}", options.format(pki=pki))
    reply = vigie.ask(NAME, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and upstream.log == []
    assert any("TLS: certificate: " in (option.text or "") for option in reply.options)


def test_an_expired_certificate(serve, pki):
    with Upstream(tls=(pki / "expired.pem", pki / "server.key")) as upstream:
        reply = serve(f"tls://127.0.0.1:{upstream.tls_port}", f"tls {pki}/ca.pem").ask(NAME, size=1232)
        assert reply.rcode() == dns.rcode.SERVFAIL and upstream.log == []
        assert "certificate has expired" in str(reply.options[0])


def test_a_client_certificate(serve, upstream, pki):
    upstream._context.load_verify_locations(pki / "ca.pem")
    upstream._context.verify_mode = __import__("ssl").CERT_REQUIRED
    to = f"tls://127.0.0.1:{upstream.tls_port}"
    assert serve(to, f"tls {pki}/ca.pem").ask(NAME).rcode() == dns.rcode.SERVFAIL
    assert addresses(serve(to, f"tls {pki}/client.pem {pki}/client.key {pki}/ca.pem").ask(NAME)) == ["192.0.2.80"]


@pytest.mark.parametrize("to, options, error", [
    ("tls://127.0.0.1%a.example:853", "tls_servername b.example", "upstream 'tls://127.0.0.1%a.example:853' has a server name, and 'tls_servername' gives another, 'b.example'"),
    ("tls://127.0.0.1", "tls /nonexistent/ca.pem", "'tls': CA file '/nonexistent/ca.pem': No such file or directory"),
    ("tls://127.0.0.1", "tls /nonexistent/c.pem /nonexistent/k.pem", "'tls': certificate '/nonexistent/c.pem': No such file or directory"),
    ("tls://127.0.0.1", "tls a b c d", "'d' is one argument too many"),
])
def test_mistakes(tmp_path, to, options, error):
    assert error in refused_configuration(tmp_path, f".:PORT {{\n\tforward . {to} {{\n\t\t{options}\n\t}}\n}}\n")
