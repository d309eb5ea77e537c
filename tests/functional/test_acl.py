"""`acl`: who may ask what."""
import socket

import dns.edns
import dns.message
import dns.rcode
import pytest

from test_metrics import Page
from vigie_process import free_port, refused_configuration

NAME = "www.example.org."


@pytest.fixture
def acl(start):
    def make(*rules: str):
        text = "\n".join(f"\tacl {rule}" for rule in rules)
        return start(f".:PORT {{\n\tbind 127.0.0.1 127.0.0.2 ::1\n{text}\n\twhoami\n}}\n")
    return make


def asks(vigie, source: str = "127.0.0.1", name: str = NAME, rdtype: str = "A") -> dns.message.Message | None:
    """Asks from an address; None: silence (a query behind it is answered)."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    to = ("::1" if ":" in source else "127.0.0.1", vigie.port)
    query = dns.message.make_query(name, rdtype, use_edns=0, id=1)
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.bind((source, 0))
        client.connect(to)
        client.settimeout(20)
        client.send(query.to_wire())
        client.send(bytes(12))  # no question: a format error, which acl has no part in
        reply = client.recv(4096)
        if reply[:2] == bytes(2):
            return None
        client.recv(4096)
        return dns.message.from_wire(reply)


def outcome(reply: dns.message.Message | None) -> str:
    if reply is None:
        return "drop"
    codes = [option.code for option in reply.options if option.otype == dns.edns.OptionType.EDE]
    if reply.rcode() == dns.rcode.REFUSED and codes == [15]:
        return "block"
    if reply.rcode() == dns.rcode.NOERROR and codes == [17] and not reply.additional:
        return "filter"
    return "allow" if reply.rcode() == dns.rcode.NOERROR and reply.additional else f"? {reply}"


@pytest.mark.parametrize("action", ["allow", "block", "filter", "drop", "DROP"])
def test_actions(acl, action):
    assert outcome(asks(acl(f"{{\n\t\t{action}\n\t}}"))) == action.lower()


def test_types(acl):
    vigie = acl("{\n\t\tblock type A MX\n\t\tfilter TYPE TYPE65\n\t}")
    assert [outcome(asks(vigie, rdtype=rdtype)) for rdtype in ("A", "MX", "AAAA", "HTTPS")] == [
        "block", "block", "allow", "filter"]


@pytest.mark.parametrize("line", ["block type *", "block net *", "block type A * net *", "block type A net 127.0.0.1 *"])
def test_stars(acl, line):
    assert outcome(asks(acl(f"{{\n\t\t{line}\n\t}}"))) == "block"


def test_networks(acl):
    """The first line that matches decides."""
    vigie = acl("{\n\t\tallow net 127.0.0.8/29\n\t\tblock net 127.0.0.0/24\n\t\tdrop net ::1 127.0.1.1\n\t}")
    assert [outcome(asks(vigie, source)) for source in ("127.0.0.8", "127.0.0.15", "127.0.0.16", "127.0.0.7", "127.0.1.1",
                                                        "127.0.1.2", "::1")] == [
        "allow", "allow", "block", "block", "drop", "allow", "drop"]


def test_all_of_one_family(acl):
    assert outcome(asks(acl("{\n\t\tblock net ::/0\n\t}"))) == "allow", "::/0 holds no v4 address"


def test_type_and_network(acl):
    vigie = acl("{\n\t\tblock net 127.0.0.0/8 type A\n\t}")
    assert [outcome(asks(vigie, rdtype="A")), outcome(asks(vigie, rdtype="AAAA")), outcome(asks(vigie, "::1"))] == [
        "block", "allow", "allow"]


def test_zones(acl):
    vigie = acl("a.example.org 10.0.0.0/8 {\n\t\tblock\n\t}")
    assert [outcome(asks(vigie, name=name)) for name in ("a.example.org.", "x.A.example.org.", "b.example.org.",
                                                         "1.0.0.10.in-addr.arpa.")] == [
        "block", "block", "allow", "block"]


def test_several(acl):
    """What the first allows is allowed; what it says nothing of goes to the second."""
    vigie = acl("{\n\t\tallow type A\n\t}", "example.org {\n\t\tblock\n\t}", "{\n\t\tfilter\n\t}")
    assert [outcome(asks(vigie, name=name, rdtype=rdtype)) for name, rdtype in (
        (NAME, "A"), (NAME, "MX"), ("example.net.", "MX"))] == ["allow", "block", "filter"]


def test_metrics(start):
    address = f"127.0.0.1:{free_port()}"
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	prometheus {address}
	acl example.org example.net {{
		allow type A
		block type MX
		filter type TXT
		drop type SRV
	}}
	whoami
}}
""")
    for name, rdtype, count in (("a.example.org.", "A", 1), ("example.com.", "MX", 1), ("example.org.", "MX", 2),
                                ("example.net.", "MX", 3), ("example.org.", "TXT", 1), ("example.net.", "SRV", 1)):
        for _ in range(count):
            asks(vigie, name=name, rdtype=rdtype)
    scrape = Page(address)
    server = f"dns://127.0.0.1:{vigie.port}"

    def value(action, **labels):
        return scrape.value(f"coredns_acl_{action}_requests_total", server=server, view="", **labels)
    assert value("allowed") == 2
    assert [value(action, zone=f"example.{zone}.") for zone in ("org", "net") for action in ("blocked", "filtered", "dropped")
            ] == [2, 1, 0, 3, 0, 1]


@pytest.mark.parametrize("line, sentence", [
    ("bolck", "unknown option 'bolck' of 'acl': did you mean 'block'?"),
    ("block type", "nothing stands behind 'type'"),
    ("block net type A", "nothing stands behind 'net'"),
    ("block type NOSUCH", "'NOSUCH' is no record type, such as A or MX"),
    ("block net 10.0.0.0/33", "'10.0.0.0/33' is neither an address nor a network such as 10.0.0.0/8"),
    ("block net 10.0.0/8", "'10.0.0/8' is neither an address nor a network such as 10.0.0.0/8"),
    ("block 10.0.0.0/8", "'block' takes 'type TYPES…' and 'net NETWORKS…', not '10.0.0.0/8'"),
])
def test_mistakes(tmp_path, line, sentence):
    assert f"Corefile:3: {sentence}" in refused_configuration(tmp_path, f".:PORT {{\nacl {{\n{line}\n}}\n}}\n")
