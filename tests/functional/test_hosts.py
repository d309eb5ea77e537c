"""`hosts`: names from a file like /etc/hosts and from the Corefile."""
import os

import dns.rcode
import pytest

from scripted_upstream import Reply
from test_metrics import Page
from vigie_process import addresses, free_port, records, refused_configuration

HOSTS = """# comment
127.0.0.1\tlocalhost
192.0.2.10 web.example.org web   # aliases
192.0.2.11 web.example.org
192.0.2.10 web.example.org
2001:db8::10 WEB.example.org v6.example.org
fe80::1%eth0 link.example.org
not.an.address web.example.org
192.0.2.12
192.0.2.20 *.wild.example.org
192.0.2.21 own.wild.example.org
192.0.2.30 other.example.net
"""


@pytest.fixture
def hosts(start, tmp_path):
    """A function that serves a hosts file with these options."""
    def make(options: str = "", more: str = "", arguments: str = "", text: str | None = HOSTS, keys: str = ".:PORT"):
        file = tmp_path / "hosts"
        if text is not None:
            file.write_text(text)
        return start(f"{keys} {{\n\tbind 127.0.0.1\n\thosts {file} {arguments} {{\n{options}\n\t}}\n{more}\n}}\n")
    return make


def test_addresses(hosts):
    vigie = hosts()
    reply = vigie.ask("Web.Example.Org.")
    assert addresses(reply) == ["192.0.2.10", "192.0.2.11"], "in the file's order, none twice"
    assert reply.flags & dns.flags.AA and reply.answer[0].ttl == 3600
    assert reply.answer[0].name.to_text() == "Web.Example.Org."
    assert addresses(vigie.ask("web.example.org.", "AAAA")) == ["2001:db8::10"]
    assert addresses(vigie.ask("web.")) == ["192.0.2.10"]
    assert addresses(vigie.ask("link.example.org.", "AAAA")) == ["fe80::1"]
    assert addresses(vigie.ask("localhost.")) == ["127.0.0.1"]


@pytest.mark.parametrize("name, rdtype", [("web.example.org.", "TXT"), ("v6.example.org.", "A"), ("web.", "AAAA"),
                                          ("web.example.org.", "ANY"), ("a.wild.example.org.", "HTTPS")])
def test_a_listed_name_without_the_type(hosts, name, rdtype):
    reply = hosts().ask(name, rdtype)
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, []) and reply.flags & dns.flags.AA


def test_reverse_names(hosts):
    vigie = hosts()
    assert records(vigie.ask("10.2.0.192.in-addr.arpa.", "PTR").answer) == [
        "10.2.0.192.in-addr.arpa. PTR web.", "10.2.0.192.in-addr.arpa. PTR web.example.org."]
    assert len(vigie.ask("0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "PTR").answer[0]) == 2
    assert vigie.ask("20.2.0.192.in-addr.arpa.", "PTR").rcode() == dns.rcode.REFUSED, "none for wildcards"


def test_names_that_are_not_listed(hosts):
    reply = hosts().ask("absent.example.org.", size=1232)
    assert reply.rcode() == dns.rcode.SERVFAIL
    assert [option.text for option in reply.options] == ["hosts: the name is not listed"]


def test_wildcards(hosts):
    vigie = hosts()
    assert addresses(vigie.ask("any.wild.example.org.")) == ["192.0.2.20"]
    assert addresses(vigie.ask("own.wild.example.org.")) == ["192.0.2.21"]
    for name in ("wild.example.org.", "deep.any.wild.example.org."):
        assert vigie.ask(name).rcode() == dns.rcode.SERVFAIL


def test_zones(hosts, upstream):
    upstream.answers["other.example.net.", "A"] = Reply("other.example.net. 60 IN A 192.0.2.99")
    vigie = hosts(arguments="example.org", more=f"\tforward . {upstream.text}")
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.10", "192.0.2.11"]
    assert addresses(vigie.ask("other.example.net.")) == ["192.0.2.99"], "another zone is not this directive's"
    assert vigie.ask("absent.example.org.").rcode() == dns.rcode.SERVFAIL
    assert records(vigie.ask("30.2.0.192.in-addr.arpa.", "PTR").answer) == []


def test_the_zones_of_the_block(hosts):
    vigie = hosts(keys="example.org:PORT in-addr.arpa:PORT")
    assert records(vigie.ask("10.2.0.192.in-addr.arpa.", "PTR").answer) == [
        "10.2.0.192.in-addr.arpa. PTR web.example.org."], "`web` is in no zone of this block"


def test_lines_of_the_corefile(hosts):
    vigie = hosts("192.0.2.40 inline.example.org alias\n\t192.0.2.41 web.example.org\n\t::1 \"inline.example.org\"")
    assert addresses(vigie.ask("inline.example.org.")) == ["192.0.2.40"]
    assert addresses(vigie.ask("alias.")) == ["192.0.2.40"]
    assert addresses(vigie.ask("inline.example.org.", "AAAA")) == ["::1"]
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.10", "192.0.2.11", "192.0.2.41"]


def test_ttl(hosts):
    vigie = hosts("ttl 60")
    assert vigie.ask("web.example.org.").answer[0].ttl == 60
    assert vigie.ask("10.2.0.192.in-addr.arpa.", "PTR").answer[0].ttl == 60


def test_no_reverse(hosts):
    assert hosts("no_reverse").ask("10.2.0.192.in-addr.arpa.", "PTR").rcode() == dns.rcode.REFUSED


def test_fallthrough(hosts, upstream):
    upstream.answers["absent.example.org.", "A"] = Reply("absent.example.org. 60 IN A 192.0.2.99")
    vigie = hosts("fallthrough", more=f"\tforward . {upstream.text}")
    assert addresses(vigie.ask("absent.example.org.")) == ["192.0.2.99"]
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.10", "192.0.2.11"]
    assert vigie.ask("web.example.org.", "TXT").answer == [] and not upstream.asked("web.example.org.")


def test_fallthrough_of_some_zones(hosts, upstream):
    for zone in ("org", "net"):
        upstream.answers[f"absent.example.{zone}.", "A"] = Reply(f"absent.example.{zone}. 60 IN A 192.0.2.99")
    vigie = hosts("fallthrough example.net", more=f"\tforward . {upstream.text}")
    assert addresses(vigie.ask("absent.example.net.")) == ["192.0.2.99"]
    assert vigie.ask("absent.example.org.").rcode() == dns.rcode.SERVFAIL


def test_fallthrough_of_other_types(hosts, upstream):
    upstream.answers["web.example.org.", "TXT"] = Reply('web.example.org. 60 IN TXT "there"')
    vigie = hosts("fallthrough\n\t\tfallthrough_unsupported", more=f"\tforward . {upstream.text}")
    assert records(vigie.ask("web.example.org.", "TXT").answer) == ['web.example.org. TXT "there"']
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.10", "192.0.2.11"]


def test_the_file_is_read_again(hosts, tmp_path):
    """Changed in place, replaced as a ConfigMap's symbolic link is, removed, back again."""
    file = tmp_path / "hosts"
    vigie = hosts("reload 50ms\n\t\t192.0.2.40 inline.example.org")

    def becomes(*expected: str) -> None:
        vigie.wait_until(lambda: addresses(vigie.ask("web.example.org.")) == list(expected), f"{expected}")
    with file.open("a") as text:
        text.write("192.0.2.50 web.example.org\n")
    becomes("192.0.2.10", "192.0.2.11", "192.0.2.50")
    (tmp_path / "next").write_text("192.0.2.60 web.example.org\n")
    os.replace(tmp_path / "next", file)
    becomes("192.0.2.60")
    file.unlink()
    becomes()
    vigie.wait_for_log(r"\[WARNING\] plugin/hosts: File does not exist: .*/hosts$")
    assert addresses(vigie.ask("inline.example.org.")) == ["192.0.2.40"], "the Corefile's lines stay"
    file.write_text("192.0.2.70 web.example.org\n")
    becomes("192.0.2.70")


def test_a_path_below_the_root(start, tmp_path):
    (tmp_path / "hosts").write_text("192.0.2.70 web.example.org\n")
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\troot {tmp_path}\n\thosts hosts\n}}\n")
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.70"]


def test_a_file_that_comes_later(hosts, tmp_path):
    vigie = hosts("reload 50ms", text=None)
    vigie.wait_for_log("File does not exist")
    (tmp_path / "hosts").write_text("192.0.2.70 web.example.org\n")
    vigie.wait_until(lambda: addresses(vigie.ask("web.example.org.")) == ["192.0.2.70"], "the file's address")


def test_reload_never(hosts, tmp_path):
    vigie = hosts("reload 0s")
    with (tmp_path / "hosts").open("a") as text:
        text.write("192.0.2.50 web.example.org\n")
    assert addresses(vigie.ask("web.example.org.")) == ["192.0.2.10", "192.0.2.11"]


def test_what_is_no_line_is_said(hosts):
    """A file is other people's: what it says wrongly is left out and counted in the log."""
    vigie = hosts(text="not.an.address web.example.org\n192.0.2.1 good.example.org\n192.0.2.2\n\n# 1\n" + "x" * 5000)
    vigie.wait_for_log("3 lines without an address or a name are left out")
    assert addresses(vigie.ask("good.example.org.")) == ["192.0.2.1"]


def test_a_large_file(hosts):
    """Blocklists have hundreds of thousands of lines."""
    vigie = hosts(text="".join(f"0.0.0.0 a{number}.ads.example\n" for number in range(150_000)))
    for number in (0, 1, 77_777, 149_999):
        assert addresses(vigie.ask(f"a{number}.ads.example.")) == ["0.0.0.0"]
    assert vigie.ask("a150000.ads.example.").rcode() == dns.rcode.SERVFAIL
    reply = vigie.ask("0.0.0.0.in-addr.arpa.", "PTR")
    assert reply.flags & dns.flags.TC, "150,000 names have one address"
    assert len(vigie.ask("0.0.0.0.in-addr.arpa.", "PTR", tcp=True).answer[0]) > 1000


def test_metrics(hosts, tmp_path):
    """Names with their addresses and addresses with their names are counted, wildcards and doubles not twice."""
    address = f"127.0.0.1:{free_port()}"
    hosts(more=f"\tprometheus {address}")
    scrape = Page(address)
    file = tmp_path / "hosts"
    assert scrape.value("coredns_hosts_entries", hostsfile=str(file)) == 10 + 9
    assert abs(scrape.value("coredns_hosts_reload_timestamp_seconds", hostsfile=str(file)) - file.stat().st_mtime) < 0.001


@pytest.mark.parametrize("options, sentence", [
    ("ttl", "Corefile:3: 'ttl' needs 1 argument, not 0"),
    ("ttl 0", "Corefile:3: '0' is not a number from 1 to 65535"),
    ("reload soon", "Corefile:3: 'soon' is not a duration"),
    ("10.0.0 web", "Corefile:3: '10.0.0' is not an IP address"),
    ("10.0.0.1/8 web", "Corefile:3: '10.0.0.1/8' is not an IP address"),
    ("10.0.0.1", "Corefile:3: '10.0.0.1' needs at least 1 argument, not 0"),
    ("10.0.0.1 a..b", "Corefile:3: 'a..b' is no host name"),
    ("falltrough", "Corefile:3: unknown option 'falltrough' of 'hosts': did you mean 'fallthrough'?"),
    ("no_reverse yes", "Corefile:3: 'yes' is one argument too many for 'no_reverse'"),
    ("fallthrough_unsupported", "Corefile:2: 'fallthrough_unsupported' of 'hosts' needs 'fallthrough'"),
])
def test_mistakes(tmp_path, options, sentence):
    log = refused_configuration(tmp_path, f".:PORT {{\nhosts /etc/hosts {{\n{options}\n}}\n}}\n")
    assert sentence in log


def test_a_folder_is_no_file(tmp_path):
    assert f"Corefile:2: 'hosts': '{tmp_path}' is a directory" in refused_configuration(
        tmp_path / "vigie", f".:PORT {{\nhosts {tmp_path}\n}}\n")
