"""Where the upstreams of `forward` come from: files that change, and host names."""
import re
import signal
import socket
from pathlib import Path

import dns.message
import dns.rcode
import pytest

from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import addresses, free_port, own_file, read_frame, refused_configuration, wait_for

NAME = "www.example.com."
HOST = "dns.corp.example."
UP = "vigie_forward_upstream_up"


def answer(last: int, **fields) -> Reply:
    return Reply(f"{NAME} 60 IN A 192.0.2.{last}", **fields)


@pytest.fixture
def upstreams():
    with Upstream() as first, Upstream() as second:
        first.answers[NAME, "A"], second.answers[NAME, "A"] = answer(1), answer(2)
        yield first, second


@pytest.fixture
def resolver():
    with Upstream() as resolver:
        resolver.default = Reply()
        yield resolver


@pytest.fixture
def serve(start):
    """Starts a server with a `forward`; returns it and a function that scrapes it."""
    def with_upstreams(to: str, options: str = "", more: str = ""):
        http = free_port()
        vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\terrors\n\tprometheus 127.0.0.1:{http}\n\tforward . {to} {{\n\t\t{options}\n\t}}\n\t{more}\n}}\n")
        return vigie, lambda: Page(f"127.0.0.1:{http}")
    return with_upstreams


def write(file: Path, *servers: Upstream) -> None:
    """Another file takes its place, as kubelet and resolvconf do it."""
    new = file.with_suffix(".new")
    new.write_text("search example\n" + "".join(f"nameserver {each.text}\n" for each in servers))
    new.rename(file)


def members(page: Page) -> set[str]:
    return {sample.labels["to"] for sample in page.samples(UP)}


def test_a_file_is_read_again_when_it_changes(serve, upstreams, resolver, tmp_path):
    """Who stays a member keeps what is known of it; a question that an old one is asked gets its answer."""
    (first, second), third = upstreams, resolver
    file = tmp_path / "resolv.conf"
    write(file, second, first)
    vigie, scrape = serve(str(file), "policy sequential\n\t\tmax_fails 0\n\t\tprefer_udp")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.2"]
    second.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.9", delay=3.5)
    first.answers["slow.example.com.", "A"] = Reply(drop=True)
    third.answers["slow.example.com.", "A"] = Reply(drop=True)
    third.answers[NAME, "A"] = answer(1)  # it is asked where the first one is late
    with socket.create_connection((vigie.address, vigie.port), timeout=20) as client:
        query = dns.message.make_query("slow.example.com.", "A").to_wire()
        client.sendall(len(query).to_bytes(2, "big") + query)  # by TCP a client waits as long as it takes
        wait_for(lambda: first.asked("slow.example.com."), "the slow question to be put to both")
        before = scrape()
        write(file, first, third)
        vigie.wait_for_log(r"resolv.conf stands for 2 upstreams now")
        assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
        page = scrape()
        assert members(page) == {first.text, third.text}
        asked = before.value("vigie_forward_queries_total", to=first.text)
        assert page.value("vigie_forward_queries_total", to=first.text) > asked > 0, "it is the same upstream as before"
        client.settimeout(20)
        assert addresses(dns.message.from_wire(read_frame(client))) == ["192.0.2.9"]
    assert "stay as they were" not in vigie.log()


def test_a_file_that_is_empty_or_gone(serve, upstreams, tmp_path):
    """What it said stays, with a line; then it is as good as ever."""
    first, second = upstreams
    file = tmp_path / "resolv.conf"
    write(file, first)
    vigie, scrape = serve(str(file))
    assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
    file.unlink()
    vigie.wait_for_log(r"WARNING.*resolv.conf: no such file or directory; its upstreams stay as they were")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
    write(file)
    vigie.wait_for_log(r"WARNING.*resolv.conf: names no nameserver; its upstreams stay as they were")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
    write(file, second)
    vigie.wait_for_log(r"resolv.conf stands for 1 upstreams now")
    assert addresses(vigie.ask(NAME)) == ["192.0.2.2"] and members(scrape()) == {second.text}
    assert len(re.findall("stay as they were", vigie.log())) == 2


def test_who_is_named_twice_is_one(serve, upstreams, tmp_path):
    first, _ = upstreams
    write(tmp_path / "resolv.conf", first)
    _, scrape = serve(f"{first.text} {tmp_path / 'resolv.conf'}")
    assert len(scrape().samples(UP)) == 1


def test_host_names_are_looked_up(serve, upstreams, resolver):
    """By `resolver`, until there is an address, and again; they stay while nobody knows better."""
    first, _ = upstreams
    resolver.answers[HOST, "A"] = resolver.answers[HOST, "AAAA"] = Reply(rcode="SERVFAIL")
    vigie, scrape = serve(f"dns.corp.example:{first.port}", f"resolver {resolver.text}")
    vigie.wait_for_log(rf"the upstream {HOST} is not known: its name could not be looked up")
    reply = vigie.ask(NAME, size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL and "no upstream is known" in str(reply.options[0])
    resolver.answers[HOST, "A"] = Reply(f"{HOST} 2 IN CNAME a.example.", "a.example. 2 IN A 127.0.0.1")
    vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
    assert set(resolver.asked(HOST)) == {"udp"} and members(scrape()) == {first.text}
    # It moves: the address that is in the answer now is the only one.
    with Upstream("127.0.0.2", port=first.port) as other:
        other.answers[NAME, "A"] = answer(3)
        resolver.answers[HOST, "A"] = Reply(f"{HOST} 2 IN A 127.0.0.2")
        vigie.wait_until(lambda: addresses(vigie.ask(NAME)) == ["192.0.2.3"], "the new address")
        assert members(scrape()) == {other.text}
        resolver.answers[HOST, "A"] = Reply(rcode="NXDOMAIN")
        rounds = len(resolver.asked(HOST))
        vigie.wait_until(lambda: len(resolver.asked(HOST)) > rounds + 2, "another look-up")
        assert addresses(vigie.ask(NAME)) == ["192.0.2.3"]
    assert vigie.log().count("is not known") == 1 and vigie.log().count("stands for 1 upstreams now") == 2


def test_both_families_and_many_addresses(serve, upstreams, resolver):
    """IPv4 first; an answer in another order is no change."""
    first, _ = upstreams
    four = [f"{HOST} 1 IN A 127.0.3.{number}" for number in (2, 1, 10)]
    resolver.answers[HOST, "A"] = [Reply(*four), Reply(*reversed(four))]
    resolver.answers[HOST, "AAAA"] = Reply(f"{HOST} 1 IN AAAA ::1")
    vigie, scrape = serve(f"dns.corp.example:{first.port}", f"resolver {resolver.text}\n\t\tmax_fails 0")
    wait_for(lambda: members(scrape()), "the upstreams")
    assert members(scrape()) == {f"127.0.3.{number}:{first.port}" for number in (1, 2, 10)} | {f"[::1]:{first.port}"}
    wait_for(lambda: len(resolver.asked(HOST, "A")) >= 2, "another look-up")
    assert vigie.log().count("upstreams now") == 1


def test_the_systems_resolvers(tmp_path, start):
    """Those of /etc/resolv.conf, when `resolver` names none; a host that is not known keeps nobody from starting."""
    servers = re.findall(r"^\s*nameserver\s+\S", Path("/etc/resolv.conf").read_text(), re.MULTILINE) if Path("/etc/resolv.conf").exists() else []
    corefile = ".:PORT {\n\tbind 127.0.0.1\n\tforward . dns.vigie.invalid\n\twhoami\n}\n"
    if servers:
        start(corefile).wait_for_log("the upstream dns.vigie.invalid. is not known")
    else:
        error = refused_configuration(tmp_path, corefile)
        assert "Corefile:3: 'dns.vigie.invalid' is a host name, and /etc/resolv.conf names nobody to look it up: name one with 'resolver'" in error


def test_the_systems_resolvers_change(serve, upstreams, resolver, tmp_path, monkeypatch):
    """/etc/resolv.conf is read again: who stands there then is asked for the addresses of hosts."""
    first, second = upstreams
    file = own_file(tmp_path, monkeypatch, "/etc/resolv.conf")
    file.write_text(f"nameserver {resolver.text}\n")
    resolver.answers[HOST, "A"] = Reply(f"{HOST} 1 IN A 127.0.0.1")
    vigie, _ = serve(f"dns.corp.example:{first.port}")
    vigie.wait_until(lambda: addresses(vigie.ask(NAME)) == ["192.0.2.1"], "an answer")
    second.answers[HOST, "A"] = Reply(f"{HOST} 1 IN A 127.0.0.1")
    file.write_text(f"# another one\nnameserver {second.text}\n")
    wait_for(lambda: second.asked(HOST, "A"), "a question to the new resolver")
    asked = len(resolver.asked(HOST))
    wait_for(lambda: len(second.asked(HOST, "A")) > 1, "another one")
    assert len(resolver.asked(HOST)) == asked and addresses(vigie.ask(NAME)) == ["192.0.2.1"]


def test_a_reload_waits_for_addresses(serve, upstreams, resolver):
    """The configuration that answers goes on until the next one knows its upstreams."""
    first, _ = upstreams
    resolver.answers[HOST, "A"] = Reply(f"{HOST} 60 IN A 127.0.0.1", delay=0.3)
    vigie, _ = serve(f"dns.corp.example:{first.port}", f"resolver {resolver.text}", more="log")
    vigie.wait_until(lambda: vigie.ask(NAME).answer, "an answer")
    vigie.corefile.write_text(vigie.corefile.read_text().replace("\tlog\n", ""))
    vigie.process.send_signal(signal.SIGUSR1)
    while "Reloading complete" not in vigie.log():
        assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
    assert addresses(vigie.ask(NAME)) == ["192.0.2.1"]
    assert vigie.log().count("stands for 1 upstreams now") == 2


@pytest.mark.parametrize("to, options, error", [
    ("10.0.0.256", "", "'10.0.0.256' is neither an address, nor a host name, nor a file"),
    ("dir/missing", "", "'dir/missing' is neither an address, nor a host name, nor a file"),
    ("dns.example", "resolver dns2.example", "'resolver' takes addresses such as 10.0.0.1 or 10.0.0.1:53, not 'dns2.example'"),
    ("dns.example", "resolver", "'resolver'"),
    ("udp://10.0.0.1", "", "'udp://10.0.0.1' is neither an address"),
    ("tls://dns.example%other.example", "tls_servername dns.example\n\t\tresolver 10.0.0.1", "has a server name, and 'tls_servername' gives another, 'dns.example'"),
    ("/dev/null", "", "file '/dev/null' names no nameserver"),
])
def test_mistakes(tmp_path, to, options, error):
    assert error in refused_configuration(tmp_path, f".:PORT {{\n\tforward . {to} {{\n\t\t{options}\n\t}}\n}}\n")
