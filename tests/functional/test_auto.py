"""The `auto` directive: the zones of a folder come, change and go with its files."""
import os
import re

import dns.rcode
import pytest

from test_file import replace
from vigie_process import Vigie, records, refused_configuration, wait_for


def text(serial: int = 1, address: str = "192.0.2.1") -> str:
    return f"$TTL 60\n@ SOA ns host {serial} 3600 3600 7200 60\n@ NS ns\nns A 192.0.2.9\nwww A {address}\n"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "zones"
    made.mkdir()
    return made


@pytest.fixture
def serve(start, folder):
    def with_options(directory: str | None = None, options: str = "reload 100ms", key: str = ".", zones: str = "",
                     more: str = "") -> Vigie:
        return start(f"""{key}:PORT {{
	bind 127.0.0.1
	auto {zones} {{
		directory {directory or folder}
		{options}
	}}
	{more}
}}
""")
    return with_options


def address(vigie: Vigie, name: str) -> str:
    reply = vigie.ask(name)
    return reply.answer[0][0].address if reply.answer else dns.rcode.to_text(reply.rcode())


def test_zones_come_change_and_go(serve, folder):
    (folder / "db.example.org").write_text(text())
    vigie = serve()
    assert address(vigie, "www.example.org.") == "192.0.2.1"
    assert address(vigie, "www.example.net.") == "REFUSED"
    vigie.wait_for_log(r'\[INFO\] plugin/auto: Inserting zone "example.org." from: .*/db.example.org with 1 SOA serial')
    (folder / "deeper").mkdir()
    (folder / "deeper" / "db.example.net").write_text(text(address="192.0.2.2"))
    wait_for(lambda: address(vigie, "www.example.net.") == "192.0.2.2", "the new zone")
    replace(folder / "db.example.org", text(1, "192.0.2.3"))  # the same serial: not looked at
    replace(folder / "deeper" / "db.example.net", text(2, "192.0.2.4"))
    wait_for(lambda: address(vigie, "www.example.net.") == "192.0.2.4", "the changed zone")
    assert address(vigie, "www.example.org.") == "192.0.2.1"
    (folder / "db.example.org").unlink()
    wait_for(lambda: address(vigie, "www.example.org.") == "REFUSED", "the end of the zone")
    vigie.wait_for_log(r'\[INFO\] plugin/auto: Deleting zone "example.org."')
    assert address(vigie, "www.example.net.") == "192.0.2.4"


def test_a_file_that_cannot_be_read(serve, folder):
    """It is said once; a zone that is there stays, another is none."""
    (folder / "db.example.org").write_text(text())
    (folder / "db.bad.org").write_text("www A 192.0.2\n")
    vigie = serve()
    vigie.wait_for_log(r"\[ERROR\] plugin/auto: Zone \"bad.org.\": .*db.bad.org:1: 'www A 192.0.2'")
    assert address(vigie, "www.bad.org.") == "REFUSED"
    replace(folder / "db.example.org", text(2) + "x A 192\n")
    vigie.wait_for_log(r"\[ERROR\] plugin/auto: Zone \"example.org.\": .*db.example.org:6: 'x A 192'")
    replace(folder / "db.bad.org", text())
    wait_for(lambda: address(vigie, "www.bad.org.") == "192.0.2.1", "the mended zone")
    assert address(vigie, "www.example.org.") == "192.0.2.1"
    assert vigie.log().count("'www A 192.0.2'") == 1 and vigie.log().count("'x A 192'") == 1


@pytest.mark.parametrize("pattern, file, origin", [
    ("", "db.example.org", "example.org."),
    ("", "www.db.example.org", "example.org."),
    (r"www\.db\.(.*) {1}", "www.db.example.org", "example.org."),
    (r"^(.*)\.zone$ {1}", "example.org.zone", "example.org."),
    (r"(.*)\.(.*)\.db {2}.{1}.test", "a.b.db", "b.a.test."),
])
def test_which_file_is_which_zone(serve, folder, pattern, file, origin):
    (folder / file).write_text(text())
    (folder / "other.bak").write_text("no zone")
    vigie = serve(f"{folder} {pattern}")
    assert address(vigie, f"www.{origin}") == "192.0.2.1"
    assert "other" not in vigie.log()


def test_what_is_left_out(serve, folder):
    """Hidden folders; a second file of one zone, files whose origin is no name."""
    (folder / "..data").mkdir()
    (folder / "..data" / "db.example.org").write_text(text(address="192.0.2.7"))
    os.symlink("..data/db.example.org", folder / "db.example.org")  # as a ConfigMap is mounted
    (folder / "x").mkdir()
    (folder / "x" / "db.example.org").write_text(text(address="192.0.2.8"))
    (folder / "db.a..b").write_text(text())
    vigie = serve()
    assert address(vigie, "www.example.org.") == "192.0.2.7"
    vigie.wait_for_log(rf"\[WARNING\] plugin/auto: .*/x/db.example.org is left out: the same zone comes from .*")


def test_only_the_zones_that_are_named(serve, folder):
    (folder / "db.example.org").write_text(text())
    (folder / "db.example.com").write_text(text())
    vigie = serve(zones="example.org", more="forward . 127.0.0.1:1")
    assert address(vigie, "www.example.org.") == "192.0.2.1"
    assert address(vigie, "www.example.com.") == "SERVFAIL"  # of forward


def test_a_zone_and_one_below_it(serve, folder):
    (folder / "db.example.org").write_text(text())
    (folder / "db.sub.example.org").write_text(text(address="192.0.2.5"))
    vigie = serve()
    assert address(vigie, "www.sub.example.org.") == "192.0.2.5"
    assert address(vigie, "www.other.example.org.") == "NXDOMAIN"


def test_a_folder_that_comes_later(serve, folder):
    vigie = serve(f"{folder}/later")
    vigie.wait_for_log(r"\[WARNING\] plugin/auto: .*Corefile:4: '.*/later': No such file")
    (folder / "later").mkdir()
    (folder / "later" / "db.example.org").write_text(text())
    wait_for(lambda: address(vigie, "www.example.org.") == "192.0.2.1", "the zone")


def test_root_and_transfer(start, folder, tmp_path):
    (folder / "db.example.org").write_text(text())
    vigie = start(f"""org:PORT {{
	bind 127.0.0.1
	root {tmp_path}
	auto {{
		directory zones
		reload 0
	}}
	transfer {{
		to *
	}}
}}
""")
    from test_transfer import contents, transfer
    assert "www.example.org. 60 A 192.0.2.1" in contents(transfer(vigie))


@pytest.mark.parametrize("lines, complaint", [
    ("auto", "Corefile:2: 'auto' needs 'directory DIR': where the zones' files are"),
    ("auto {\n directory\n}", "Corefile:3: 'directory' needs at least 1 argument, not 0"),
    ("auto {\n directory /etc/hostname\n}", "Corefile:3: '/etc/hostname' is no folder"),
    ("auto {\n directory /tmp db\\.(.*)\n}", r"Corefile:3: 'db\\.\(.\*\)' needs the zone's name behind it"),
    ("auto {\n directory /tmp db {1}\n}", "Corefile:3: 'db' has no group"),
    ("auto {\n directory /tmp db\\.(.* {1}\n}", "Corefile:3: "),
    ("auto {\n directory /tmp db\\.(.*) {2}\n}", "Corefile:3: "),
    ("auto {\n directory /tmp\n reload soon\n}", "Corefile:4: 'soon' is not a duration"),
    ("auto a..b {\n directory /tmp\n}", "Corefile:2: 'a..b' is not a zone"),
    ("auto {\n directory /tmp\n wrong\n}", "Corefile:4: unknown option 'wrong' of 'auto'"),
    ("auto {\n directory /tmp/x\n}\n auto {\n directory /tmp/x\n}", "Corefile:5: 'auto' stands in this block already"),
])
def test_mistakes(tmp_path, lines, complaint):
    log = refused_configuration(tmp_path, f"example.org:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint, log), log
