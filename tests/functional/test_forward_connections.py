"""Connections to upstreams, whatever they are made of: TCP, TLS (RFC 7858) or HTTPS (RFC 8484)."""
import contextlib
import time

import dns.message
import pytest

from doh_upstream import Doh
from scripted_upstream import Reply, Upstream
from vigie_process import addresses, reload, wait_for

NAME = "www.example.com."


class Server:
    """One upstream by one transport: its script, what `forward` says to reach it, and its counters."""

    def __init__(self, transport: str, pki, upstream: Upstream, doh: Doh):
        self.transport = transport
        self.script = doh.script if transport == "https" else upstream
        self.to = {"tcp": upstream.text, "tls": f"tls://127.0.0.1:{upstream.tls_port}", "https": doh.text}[transport]
        self.options = "force_tcp" if transport == "tcp" else f"tls {pki}/ca.pem"
        self._http = doh.http if transport == "https" else None

    @property
    def connections(self) -> int:
        return self._http.accepted if self._http else self.script.connections[self.transport]

    @property
    def resumed(self) -> int:
        return self._http.resumed if self._http else self.script.resumed

    def corefile(self, options: str = "", more: str = "") -> str:
        return (f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tworkers 1\n\tforward . {self.to} {{\n\t\t{self.options}\n\t\t{options}\n\t}}\n"
                f"\t{more}\n}}\n")


@pytest.fixture(params=["tcp", "tls", "https"])
def server(request, pki):
    with Upstream(tls=(pki / "server.pem", pki / "server.key")) as upstream:
        doh = Doh(pki)
        server = Server(request.param, pki, upstream, doh)
        server.script.default = Reply(f"{NAME} 60 IN A 192.0.2.80")
        server.script.answers[NAME, "A"] = server.script.default
        yield server
        doh.http.stop()


def test_many_queries_on_one(start, server):
    """All at once, replies in any order (RFC 7766 section 6.2.1)."""
    for number in range(60):
        server.script.answers[f"{number}.{NAME}", "A"] = Reply(f"{number}.{NAME} 60 IN A 192.0.2.{number}", delay=0.6 - number / 100)
    vigie = start(server.corefile("max_connect_attempts 1"))
    assert addresses(vigie.ask(NAME)) == ["192.0.2.80"] and server.script.asked(NAME) == [server.transport]
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(vigie.udp_socket()) for _ in range(60)]
        for number, client in enumerate(clients):
            client.send(dns.message.make_query(f"{number}.{NAME}", "A", id=number).to_wire())
        for number, client in enumerate(clients):
            assert addresses(dns.message.from_wire(client.recv(512))) == [f"192.0.2.{number}"]
    assert server.connections <= 2  # age recycles it on a slow machine
    assert server.transport == "https" or server.script.deepest > 30


def test_they_take_turns(start, server):
    """After some time none takes new queries, so that another pod behind a Service's address gets some."""
    vigie = start(server.corefile("max_age 500ms"))
    vigie.wait_until(lambda: vigie.ask(NAME) and server.connections > 3, "connections that take turns under load")


def test_the_idle_are_closed(start, server):
    vigie = start(server.corefile("expire 300ms"))
    vigie.ask(NAME)
    vigie.wait_until(lambda: not time.sleep(0.7) and vigie.ask(NAME) and server.connections > 1, "a new connection after the idle one")


@pytest.mark.parametrize("server", ["tls", "https"], indirect=True)
def test_sessions_are_resumed(start, server):
    """A connection that follows another one needs no certificate any more."""
    vigie = start(server.corefile("expire 1ms"))
    for number in range(4):
        vigie.wait_until(lambda: vigie.ask(NAME) and server.connections > number, "another connection")
    wait_for(lambda: server.resumed >= server.connections - 2, "resumed sessions")


@pytest.mark.parametrize("server", ["tls", "https"], indirect=True)
def test_sessions_of_another_trust_are_not_resumed(start, server, pki):
    """Another `forward` to the same server trusts others: what was verified for the first is nothing to it."""
    other = f"forward other.example {server.to} {{\n\t\ttls {pki}/client.pem\n\t\tmax_fails 0\n\t}}"
    vigie = start(server.corefile("expire 1ms", other))
    vigie.wait_until(lambda: vigie.ask(NAME) and server.resumed > 0, "a resumed session")
    before = server.script.asked("other.example.")
    reply = vigie.ask("other.example.", size=1232)
    assert not reply.answer and "certificate" in str(reply.options[0]) and server.script.asked("other.example.") == before


OTHERWISE = {"tcp": "source_address 127.0.0.1", "tls": "tls_servername dns.example.com", "https": "doh_method GET"}


def test_they_outlive_a_reload(start, server):
    """What else changed does not matter; where it is another way to the server, there is a new one."""
    # To ask once more, where a reply takes its time, would be by another connection.
    lasting = "max_age 1h\n\t\texpire 1h\n\t\tmax_connect_attempts 1\n\t\t"
    vigie = start(server.corefile(lasting))
    assert vigie.ask(NAME).answer and server.connections == 1
    reload(vigie, server.corefile(lasting + "max_concurrent 7\n\t\tpolicy sequential", "loadbalance"))
    assert vigie.ask(NAME).answer and server.connections == 1
    reload(vigie, server.corefile(lasting + OTHERWISE[server.transport]))
    assert vigie.ask(NAME).answer and server.connections == 2
