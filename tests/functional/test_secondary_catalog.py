"""`secondary { catalog }`: zones that appear and go as a catalog zone lists them (RFC 9432), from a scripted primary that may
do it wrong, and from Knot, which makes catalogs itself."""
import subprocess
import threading
import time

import dns.exception
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.zone
import pytest

from test_secondary import Primary, notify, reply_of
from vigie_process import PATIENCE, Vigie, free_port, records, reload, wait_for

CATALOG = "catalog.test."
LIMIT = 16  # transfers at a time (FOLLOWERS_ASKING_MAX)


def soa(origin: str, serial: int) -> str:
    return f"{origin} 60 IN SOA ns.test. host.test. {serial} 3600 3600 7200 60"


class Zones:
    """A primary of catalogs and of the zones that they list."""

    def __init__(self):
        self.zones: dict[str, list[str]] = {}
        self.asked: list[tuple[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.delay = 0.0
        self.lock = threading.Lock()
        self.primary = Primary(self.answer)
        self.address = f"127.0.0.1:{self.primary.port}"

    def answer(self, query):
        origin, rdtype = query.question[0].name.to_text(), query.question[0].rdtype
        with self.lock:
            self.asked.append((origin, dns.rdatatype.to_text(rdtype)))
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.delay)  # as a slow primary does
        with self.lock:
            self.at_once -= 1
        lines = self.zones.get(origin)
        if lines is None:
            return None
        return [reply_of(query, lines[0]) if rdtype == dns.rdatatype.SOA else reply_of(query, *lines, lines[0])]

    def zone(self, origin: str, serial: int = 1) -> None:
        self.zones[origin] = [soa(origin, serial), f"www.{origin} 60 IN TXT {serial}"]

    def catalog(self, serial: int, *records: str, origin: str = CATALOG, version: str = "2", **members: str) -> None:
        """`members`: label of a node and the zone that it names."""
        self.zones[origin] = [soa(origin, serial), f"{origin} 0 IN NS invalid.", *records,
                              *([f'version.{origin} 0 IN TXT "{version}"'] if version else []),
                              *(f"{label}.zones.{origin} 0 IN PTR {zone}" for label, zone in members.items())]


@pytest.fixture
def source():
    return Zones()


@pytest.fixture
def secondary(start, source):
    def make(options: str = "", more: str = "", catalog: str = "catalog") -> Vigie:
        return start(f""".:PORT {{
	bind 127.0.0.1
	secondary {CATALOG} {{
		transfer from {source.address}
		{catalog}
		{options}
	}}
	{more}
}}
""")
    return make


def seen(vigie: Vigie, origin: str) -> str:
    reply = vigie.ask(f"www.{origin}", "TXT")
    return reply.answer[0][0].to_text().strip('"') if reply.answer else dns.rcode.to_text(reply.rcode())


def wait_until_seen(vigie: Vigie, origin: str, what: str) -> None:
    wait_for(lambda: seen(vigie, origin) == what, f"{what} for {origin}\n{vigie.log()}")


def test_a_reload_keeps_members(secondary, source):
    source.zone("one.test.")
    source.catalog(1, a="one.test.")
    vigie = secondary()
    wait_until_seen(vigie, "one.test.", "1")
    text = vigie.corefile.read_text()
    zones, source.zones = source.zones, {}
    source.asked.clear()
    reload(vigie, text.replace("secondary", "nsid\n\tsecondary"))
    assert seen(vigie, "one.test.") == "1"
    wait_for(lambda: {origin for origin, _ in source.asked} == {CATALOG, "one.test."}, "questions for the serials")
    assert {rdtype for _, rdtype in source.asked} == {"SOA"}
    reload(vigie, text.replace("catalog\n", "\n"))  # a zone that is no catalog is another thing
    assert seen(vigie, "one.test.") == "REFUSED"
    assert vigie.ask(CATALOG, "SOA").rcode() == dns.rcode.SERVFAIL
    source.zones = zones
    source.zone("two.test.")
    source.catalog(2, a="one.test.", b="two.test.")
    reload(vigie, text)
    wait_until_seen(vigie, "two.test.", "1")


def test_a_reload_that_gives_a_member_to_another_catalog(start, source):
    """Two list it, and the first one in the Corefile has it; its zone begins anew."""
    source.zone("one.test.")
    source.catalog(1, a="one.test.", origin="a.test.")
    source.catalog(1, origin="b.test.")
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	secondary a.test. b.test. {{
		transfer from {source.address}
		catalog
	}}
}}
""")
    wait_until_seen(vigie, "one.test.", "1")
    vigie.wait_for_log("Parsed catalog zone b.test. with 0 member zones")
    source.catalog(2, a="one.test.", origin="b.test.")
    notify(vigie, "b.test.")
    vigie.wait_for_log("Skipping catalog member zone one.test. from b.test.: zone already exists")
    source.asked.clear()
    reload(vigie, vigie.corefile.read_text().replace("a.test. b.test.", "b.test. a.test."))
    wait_until_seen(vigie, "one.test.", "1")
    assert ("one.test.", "AXFR") in source.asked


def test_members_come_and_go(secondary, source):
    for name in ("one", "two", "three"):
        source.zone(f"{name}.test.")
    source.catalog(1, a="one.test.", b="TWO.test.")
    vigie = secondary()
    wait_until_seen(vigie, "one.test.", "1")
    wait_until_seen(vigie, "two.test.", "1")
    vigie.wait_for_log(r"\[INFO\] plugin/secondary: Added catalog member zone two.test. from catalog catalog.test.")
    vigie.wait_for_log(r"\[INFO\] plugin/secondary: Parsed catalog zone catalog.test. with 2 member zones")
    assert seen(vigie, "three.test.") == "REFUSED"

    source.zone("two.test.", 2)
    source.catalog(2, b="two.test.", c="three.test.")
    assert notify(vigie, CATALOG).rcode() == dns.rcode.NOERROR
    wait_until_seen(vigie, "three.test.", "1")
    assert seen(vigie, "one.test.") == "REFUSED"
    assert seen(vigie, "two.test.") == "1"  # it stayed, and was not asked for again
    assert notify(vigie, "one.test.").rcode() == dns.rcode.REFUSED
    vigie.wait_for_log("Removed catalog member zone one.test. from catalog catalog.test.")

    assert notify(vigie, "two.test.").rcode() == dns.rcode.NOERROR
    wait_until_seen(vigie, "two.test.", "2")


def test_a_name_is_of_the_longest_zone(secondary, source):
    source.zone("test.")
    source.zone("sub.test.", 2)
    source.catalog(1, a="sub.test.", b="test.")
    vigie = secondary()
    wait_until_seen(vigie, "test.", "1")
    wait_until_seen(vigie, "sub.test.", "2")


def test_a_member_is_there_before_its_transfer(secondary, source):
    source.catalog(1, a="one.test.")
    vigie = secondary()
    wait_until_seen(vigie, "one.test.", "SERVFAIL")
    vigie.wait_for_log('Failed to transfer "one.test."')


@pytest.mark.parametrize("catalog, complaint", [
    (dict(version="1"), "'catalog.test.' is not of version 2"),
    (dict(version=""), "'catalog.test.' has not exactly one version record"),
    (dict(records=(f'version.{CATALOG} 0 IN TXT "3"',)), "'catalog.test.' has not exactly one version record"),
    (dict(records=(f"a.zones.{CATALOG} 0 IN PTR other.test.",)), "'a.zones.catalog.test.' names more than one zone"),
    (dict(b="one.test."), "'one.test.' is listed twice"),
    (dict(records=(f"coo.a.zones.{CATALOG} 0 IN PTR x.test.", f"coo.a.zones.{CATALOG} 0 IN PTR y.test.")),
     "'coo.a.zones.catalog.test.' names more than one catalog"),
])
def test_a_broken_catalog_changes_nothing(secondary, source, catalog, complaint):
    """RFC 9432 section 5.1: nothing of it holds. The next good one does."""
    source.zone("one.test.")
    source.zone("two.test.")
    source.catalog(1, a="one.test.")
    vigie = secondary()
    wait_until_seen(vigie, "one.test.", "1")
    source.catalog(2, *catalog.pop("records", ()), **{"a": "one.test.", "z": "two.test.", **catalog})
    notify(vigie, CATALOG)
    vigie.wait_for_log(rf'\[ERROR\] plugin/secondary: Failed to transfer "catalog.test.".*the catalog is broken: {complaint}')
    assert (seen(vigie, "one.test."), seen(vigie, "two.test.")) == ("1", "REFUSED")
    assert vigie.ask(CATALOG, "SOA").answer[0][0].serial == 1
    source.catalog(3, b="two.test.")
    notify(vigie, CATALOG)
    wait_until_seen(vigie, "two.test.", "1")
    assert seen(vigie, "one.test.") == "REFUSED"


def test_a_catalog_without_ns_records_is_broken(secondary, source):
    source.catalog(1, a="one.test.")
    source.zones[CATALOG].pop(1)
    secondary().wait_for_log("the catalog is broken: 'catalog.test.' has no NS record")


def test_zones_of_the_corefile_are_no_members(secondary, source):
    """The catalog itself among them."""
    source.zone("one.test.")
    source.zone("two.test.")
    source.catalog(1, a=CATALOG, b="one.test.", c="two.test.")
    vigie = secondary(more=f"secondary one.test {{\n transfer from {source.address}\n}}")
    wait_until_seen(vigie, "two.test.", "1")
    for name in (CATALOG, "one.test."):
        vigie.wait_for_log(rf"\[WARNING\] plugin/secondary: Skipping catalog member zone {name} from {CATALOG}: zone already exists")
    source.catalog(2)
    notify(vigie, CATALOG)
    wait_until_seen(vigie, "two.test.", "REFUSED")
    assert seen(vigie, "one.test.") == "1"
    assert vigie.ask(CATALOG, "SOA").answer[0][0].serial == 2


@pytest.mark.parametrize("catalog", ["catalog in.test sub.other.test", "catalog in.test\ncatalog sub.other.test"])
def test_only_zones_that_are_allowed(secondary, source, catalog):
    allowed, refused = ["in.test.", "a.in.test.", "sub.other.test."], ["other.test.", "xin.test."]
    for name in allowed + refused:
        source.zone(name)
    source.catalog(1, **{f"m{number}": name for number, name in enumerate(allowed + refused)})
    vigie = secondary(catalog=catalog)
    for name in allowed:
        wait_until_seen(vigie, name, "1")
    assert [seen(vigie, name) for name in refused] == ["REFUSED", "REFUSED"]
    vigie.wait_for_log(r"\[WARNING\] plugin/secondary: Skipped 2 member zones from catalog catalog.test.")


def test_another_member_id_is_another_zone(secondary, source):
    """RFC 9432 section 5.4: what was there is forgotten, so that a lower serial is taken."""
    source.zone("one.test.", 5)
    source.catalog(1, a="one.test.")
    vigie = secondary()
    wait_until_seen(vigie, "one.test.", "5")
    source.zone("one.test.", 4)
    source.catalog(2, b="one.test.")
    notify(vigie, CATALOG)
    wait_until_seen(vigie, "one.test.", "4")
    vigie.wait_for_log("Reset catalog member zone one.test. from catalog.test.: it has another member ID")


@pytest.mark.parametrize("label, coo, outcome", [("a", True, "preserving its state"), ("b", True, "with its state reset"),
                                                 ("a", False, None)])
def test_change_of_ownership(start, source, label, coo, outcome):
    """Only the catalog that has a member gives it to another one (RFC 9432 section 4.4.1), and then it stays its."""
    new = "new.test."
    source.zone("one.test.", 5)
    source.catalog(1, *([f"coo.a.zones.{CATALOG} 0 IN PTR {new}"] if coo else []), a="one.test.")
    source.catalog(1, origin=new)
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	secondary {CATALOG} {new} {{
		transfer from {source.address}
		catalog
	}}
}}
""")
    wait_until_seen(vigie, "one.test.", "5")
    vigie.wait_for_log(f"Parsed catalog zone {new} with 0 member zones")
    source.zones.pop("one.test.")
    source.catalog(2, origin=new, **{label: "one.test."})
    notify(vigie, new)
    if not outcome:
        vigie.wait_for_log(f"Skipping catalog member zone one.test. from {new}: zone already exists")
    else:
        vigie.wait_for_log(f"Migrated catalog member zone one.test. to catalog {new}, {outcome}")
    assert seen(vigie, "one.test.") == ("SERVFAIL" if label == "b" else "5")
    source.catalog(2)
    notify(vigie, CATALOG)
    vigie.wait_for_log(f"Parsed catalog zone {CATALOG} with 0 member zones")
    wait_until_seen(vigie, "one.test.", "REFUSED" if not outcome else "SERVFAIL" if label == "b" else "5")


def test_so_many_transfers_at_a_time(secondary, source):
    """A catalog of many zones does not flood its primary; all of them come."""
    members = {f"m{number}": f"z{number}.test." for number in range(4 * LIMIT)}
    for name in members.values():
        source.zone(name)
    source.catalog(1, **members)
    source.delay = 0.05
    vigie = secondary()
    for name in members.values():
        wait_until_seen(vigie, name, "1")
    assert 1 < source.most_at_once <= LIMIT


def test_members_are_zones_like_others(secondary, source, upstream):
    """They fall through where the statement says so, and are transferred on."""
    from scripted_upstream import Reply
    upstream.answers["missing.one.test.", "A"] = Reply("missing.one.test. 60 IN A 192.0.2.101")
    source.zone("one.test.")
    source.catalog(1, a="one.test.")
    vigie = secondary(options="fallthrough", more=f"transfer {{\n to *\n}}\nforward . {upstream.text}")
    wait_until_seen(vigie, "one.test.", "1")
    assert records(vigie.ask("missing.one.test.").answer) == ["missing.one.test. A 192.0.2.101"]
    got = dns.zone.from_xfr(dns.query.xfr("127.0.0.1", "one.test.", port=vigie.port, timeout=PATIENCE), check_origin=False)
    assert "www" in [name.to_text() for name in got.nodes]
    source.catalog(2)
    notify(vigie, CATALOG)
    wait_for(lambda: vigie.ask("www.one.test.", "TXT").rcode() != dns.rcode.NOERROR or "Removed" in vigie.log(), "the removal")
    vigie.wait_for_log("Removed catalog member zone one.test.")
    with pytest.raises(dns.exception.DNSException):
        list(dns.query.xfr("127.0.0.1", "one.test.", port=vigie.port, timeout=PATIENCE))


def test_it_stops_in_the_midst(secondary, source):
    """Members that wait, ask and are compiled when the server is told to end."""
    members = {f"m{number}": f"z{number}.test." for number in range(4 * LIMIT)}
    for name in members.values():
        source.zone(name)
    source.catalog(1, **members)
    vigie = secondary()
    source.delay = 0.2
    wait_for(lambda: len(source.asked) > 4, "the first transfers")
    vigie.stop()


class Knot:
    """A primary that makes its catalog out of the zones that it has."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.configure("one.test", "two.test")
        self.process = subprocess.Popen(["knotd", "-c", folder / "knot.conf"], stdout=(folder / "knot.log").open("wb"),
                                        stderr=subprocess.STDOUT)
        wait_for(lambda: "server started" in (folder / "knot.log").read_text(), "Knot")

    def configure(self, *zones: str) -> None:
        (self.folder / "knot.conf").write_text(f"""server:
    rundir: {self.folder}
    listen: 127.0.0.1@{self.port}
database:
    storage: {self.folder}
control:
    listen: {self.folder}/knot.sock
log:
  - target: stdout
    any: info
acl:
  - id: transfers
    address: 127.0.0.1
    action: transfer
template:
  - id: default
    storage: {self.folder}
    acl: transfers
  - id: member
    storage: {self.folder}
    acl: transfers
    catalog-role: member
    catalog-zone: catalog.test
zone:
  - domain: catalog.test
    catalog-role: generate
""" + "".join(f"  - domain: {name}\n    template: member\n" for name in zones))
        for name in zones:
            (self.folder / f"{name}.zone").write_text(f"""$ORIGIN {name}.
@ 60 SOA ns.test. host.test. 1 3600 3600 7200 60
@ 60 NS ns.test.
www 60 TXT {name}
""")

    def reload(self, *zones: str) -> None:
        self.configure(*zones)
        subprocess.run(["knotc", "-c", self.folder / "knot.conf", "-b", "reload"], check=True, capture_output=True,
                       timeout=PATIENCE)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


def test_a_catalog_that_knot_makes(tmp_path, start):
    knot = Knot(tmp_path)
    try:
        vigie = start(f""".:PORT {{
	bind 127.0.0.1
	secondary {CATALOG} {{
		transfer from 127.0.0.1:{knot.port}
		catalog test
	}}
}}
""")
        wait_until_seen(vigie, "one.test.", "one.test")
        wait_until_seen(vigie, "two.test.", "two.test")
        knot.reload("two.test", "three.test")
        wait_for(lambda: notify(vigie, CATALOG) and seen(vigie, "three.test.") == "three.test", "the new zone")
        wait_until_seen(vigie, "one.test.", "REFUSED")
        assert seen(vigie, "two.test.") == "two.test"
    finally:
        knot.stop()
        print((tmp_path / "knot.log").read_text())
