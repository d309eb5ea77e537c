"""vigie explains itself: CH TXT queries below vigie., and `vigie ctl`."""
import json
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import dns.message
import dns.rcode
import pytest

import vigie_process
from scripted_upstream import Reply
from vigie_process import BINARY, ENVIRONMENT, PATIENCE, Vigie, free_port, refused_configuration, wait_for

WEB = "web.default.svc.cluster.local."


@pytest.fixture
def vigie(start, snapshot, upstream, tmp_path) -> Vigie:
    upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.81", delay=0.3)
    upstream.answers["silent.example.com.", "A"] = Reply(drop=True)
    return start(f""".:PORT {{
	bind 127.0.0.1 ::1
	control {tmp_path}/control.sock
	errors
	kubernetes cluster.local in-addr.arpa {{
		snapshot {snapshot}
	}}
	forward . {upstream.text}
}}
""")


def texts(vigie: Vigie, name: str, **options) -> list[str]:
    reply = vigie.ask(name, "TXT", "CH", tcp=True, **options)
    assert reply.rcode() == 0, reply.to_text()
    return [rdata.strings[0].decode() for rrset in reply.answer for rdata in rrset]


def ctl(vigie: Vigie, *words: str, code: int = 0) -> str:
    """What it prints, on stderr when it must fail."""
    done = subprocess.run([BINARY, "ctl", "-s", f"{vigie.folder.parent}/control.sock", *words], capture_output=True,
                          text=True, env=ENVIRONMENT, timeout=3 * PATIENCE)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


# By dig


def test_stats(vigie):
    vigie.ask(WEB)
    lines = texts(vigie, "stats.vigie.")
    assert re.match(r"vigie-\d\S*, up for \d+ s, \d+ workers, this is worker \d+$", lines[0])
    assert any(re.match(r"queries: \d+ by UDP, \d+ by TCP$", line) for line in lines)


def test_watch(vigie):
    assert texts(vigie, "WATCH.vigie.") == ["nothing is watched"]


@pytest.mark.parametrize("name, expected", [
    (f"trace.{WEB}vigie.", [f"question: {WEB} A", "kubernetes answers NOERROR with 1 records", "result: NOERROR aa ra",
                            f"answer: {WEB} 5 A 10.96.0.10"]),
    (f"trace._aaaa.{WEB}vigie.", [f"question: {WEB} AAAA", "kubernetes answers NOERROR"]),
    (f"trace._srv._http._tcp.{WEB}vigie.", [f"question: _http._tcp.{WEB} SRV"]),
    ("trace._http._tcp.example.vigie.", ["question: _http._tcp.example. A"]),
    ("trace.missing.default.svc.cluster.local.vigie.", ["kubernetes answers NXDOMAIN with 0 records", "result: NXDOMAIN"]),
    ("trace.www.example.com.vigie.", ["kubernetes goes on", "forward waits", "forward answers NOERROR with 1 records",
                                      "answer: www.example.com. 60 A 192.0.2.80"]),
    ("trace.slow.example.com.vigie.", ["forward waits", "answer: slow.example.com. 60 A 192.0.2.81"]),
    ("trace.silent.example.com.vigie.", ["forward answers SERVFAIL", "trouble: ", "result: SERVFAIL"]),
    ("trace.vigie.", ["question: . A"])])
def test_trace(vigie, name, expected):
    """The lines, in this order."""
    lines = texts(vigie, name)
    assert any(re.match(rf"block: \.:{vigie.port} at .*Corefile:1$", line) for line in lines), lines
    at = 0
    for part in expected:
        at = next((i + 1 for i, line in enumerate(lines) if i >= at and part in line), 0)
        assert at, f"{part} is not in {lines}"


def test_a_trace_by_udp_is_truncated(vigie):
    reply = vigie.ask(f"trace._srv._http._tcp.{WEB}vigie.", "TXT", "CH")
    assert reply.flags & 0x0200 or reply.answer


def test_names_of_the_same_kind_that_there_are_not(vigie):
    assert vigie.ask("bogus.vigie.", "TXT", "CH").rcode() == 3
    assert vigie.ask("vigie.", "TXT", "CH").rcode() == 5
    assert vigie.ask("stats.vigie.", "A", "CH").rcode() == 5


ACL = """.:PORT {{
	bind 127.0.0.1 {own}
	acl {{
		{rule}
	}}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
"""


@pytest.mark.parametrize("rule, told", [("allow net {client}/32", True), ("allow net 203.0.113.0/24", False),
                                        ("allow", False), ("block net {client}/32", False)])
def test_who_is_told(start, snapshot, namespaces, rule, told):
    """This host, and addresses that an acl allows by name; others get what they always got."""
    name, client, own = namespaces
    vigie = start(ACL.format(own=own, rule=rule.format(client=client), snapshot=snapshot))
    assert texts(vigie, "stats.vigie.")
    code = ("import dns.message, dns.query; q = dns.message.make_query('stats.vigie.', 'TXT', 'CH'); "
            f"print(dns.query.udp(q, '{own}', port={vigie.port}, timeout=20).rcode())")
    done = subprocess.run(["ip", "netns", "exec", name, sys.executable, "-c", code], capture_output=True,
                          text=True, timeout=2 * PATIENCE)
    assert done.stdout.strip() == ("0" if told else "5"), done.stdout + done.stderr


@pytest.fixture(scope="module")
def namespaces():
    """A client on another address than the server's, in a network namespace of its own: its name, its address, and the
    server's. The tests may run in several processes at once."""
    number = os.getpid() % 16000
    name, outside, inside = f"vigie-debug-{number}", f"vd{number}a", f"vd{number}b"
    network = f"198.18.{number // 64}.{number % 64 * 4}"
    own, client = (network.rsplit(".", 1)[0] + f".{number % 64 * 4 + host}" for host in (1, 2))

    def run(*words, check=True) -> str:
        return subprocess.run(words, check=check, capture_output=True, text=True).stdout
    try:
        run("ip", "netns", "add", name)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
        run("ip", "address", "add", f"{own}/30", "dev", outside)
        run("ip", "link", "set", outside, "up")
        run("ip", "-n", name, "address", "add", f"{client}/30", "dev", inside)
        run("ip", "-n", name, "link", "set", inside, "up")
        for link in ((outside,), (inside, "-n", name)):  # what is sent before is lost
            wait_for(lambda: "state UP" in run("ip", *link[1:], "link", "show", link[0]), f"the link {link[0]}")
        yield name, client, own
    finally:
        run("ip", "netns", "delete", name, check=False)
        run("ip", "link", "delete", outside, check=False)


@pytest.mark.parametrize("corefile, name, code, text", [
    (".:PORT {\n\tbind 127.0.0.1\n}\n", "www.example.org.", 20, "no directive of the server block answers this"),
    ("example.com:PORT {\n\tbind 127.0.0.1\n}\n", "www.example.org.", 20, "no server block serves this name here"),
    (".:PORT {\n\tbind 127.0.0.1\n\tacl {\n\t\tblock\n\t}\n}\n", "www.example.org.", 15, "acl")])
def test_extended_errors(start, corefile, name, code, text):
    """An answer that is not plain success says why (RFC 8914)."""
    reply = start(corefile).ask(name, size=1232)
    assert reply.rcode() == 5
    assert [(int(option.code), option.text) for option in reply.options] == [(code, text)]


def test_lines_that_the_runbook_quotes(start, tmp_path):
    """Of who refuses, and who cannot be reached."""
    nowhere = free_port()
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	control {tmp_path}/control.sock
	acl blocked.test {{
		block
	}}
	forward . 127.0.0.1:{nowhere}
}}
a.test:{free_port()} {{
	bind 127.0.0.1
	errors
}}
""")
    assert "acl answers REFUSED" in ctl(vigie, "trace", "x.blocked.test")
    assert f"trouble: 127.0.0.1:{nowhere}: connection refused" in ctl(vigie, "trace", "www.example.com")
    served = start("a.test:PORT {\n\tbind 127.0.0.1\n\terrors\n}\n")
    assert "block: none serves this name here" in texts(served, "trace.www.example.com.vigie.")
    reply = served.ask("www.example.com.", size=1232)
    assert int(reply.options[0].code) == 20  # Not Authoritative


@pytest.mark.parametrize("name, rdtype, rdclass, rcode, code, why", [
    (WEB, "A", "CH", "REFUSED", 21, "no class but IN is served"),
    ("www.example.com.", "A", "HS", "REFUSED", 21, "no class but IN is served"),
    ("zone.test.", "A", "HS", "REFUSED", 21, "no class but IN is served"),
    ("cluster.local.", "AXFR", "IN", "REFUSED", 18, "no transfer directive allows this"),
    ("www.example.com.", "AXFR", "IN", "REFUSED", 18, "no transfer directive allows this"),
    ("zone.test.", "AXFR", "IN", "REFUSED", 18, "no transfer directive allows this"),
    ("missing.default.svc.cluster.local.", "A", "IN", "NXDOMAIN", 0, "a name of the cluster is not asked of this upstream"),
    ("x.invalid.", "A", "IN", "NXDOMAIN", 0, "a special-use name is not asked of an upstream"),
    ("fails.test.", "A", "IN", "SERVFAIL", 0, "template"),
    ("blocked.test.", "A", "IN", "SERVFAIL", 15, "a reason of its own"),
    ("a.long.test.", "A", "IN", "SERVFAIL", 0, "rewrite: invalid name after rewrite")])
def test_errors_say_why(start, snapshot, tmp_path, name, rdtype, rdclass, rcode, code, why):
    (tmp_path / "db").write_text("@ 60 SOA ns host 1 60 60 60 60\n@ 60 NS ns\n")
    vigie = start(f""".:PORT {{
	bind 127.0.0.1
	rewrite name suffix long.test {"a." * 126}long.test
	template IN A fails.test {{
		rcode SERVFAIL
	}}
	template IN A blocked.test {{
		rcode SERVFAIL
		ederror 15 "a reason of its own"
	}}
	kubernetes cluster.local {{
		snapshot {snapshot}
		fallthrough
	}}
	file {tmp_path}/db zone.test
	forward . 127.0.0.1:1
}}
""")
    reply = vigie.ask(name, rdtype, rdclass, tcp=True, size=1232)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert [(int(option.code), option.text) for option in reply.options] == [(code, why)]


# By `vigie ctl`


def test_status(vigie):
    vigie.ask(WEB)
    text = ctl(vigie, "status")
    assert re.search(r"^ready: true$", text, re.MULTILINE)
    assert re.search(rf"^pid: {vigie.process.pid}$", text, re.MULTILINE)
    status = json.loads(ctl(vigie, "--json", "status"))
    assert status["ready"] is True and status["counters"]["queries_udp"] >= 1
    assert status["blocks"][0]["servers"] == [f"dns://127.0.0.1:{vigie.port}", f"dns://[::1]:{vigie.port}"]
    assert "kubernetes" in status["blocks"][0]["directives"]


def test_ctl_trace(vigie):
    assert f"answer: {WEB} 5 A 10.96.0.10\n" in ctl(vigie, "trace", WEB)
    assert "question: www.example.com. AAAA\n" in ctl(vigie, "trace", "www.example.com", "aaaa")
    assert "forward answers SERVFAIL" in ctl(vigie, "trace", "silent.example.com")
    assert "trace needs a name" in ctl(vigie, "trace", "a..b", code=1)
    assert "trace needs a name" in ctl(vigie, "trace", WEB, "BOGUS", code=1)


def test_records_dump(vigie):
    everything = json.loads(ctl(vigie, "records", "dump", "--json"))["services"]
    assert {(each["namespace"], each["service"]) for each in everything} >= {("default", "web"), ("prod", "web")}
    web = json.loads(ctl(vigie, "--json", "records", "dump", "default/web"))["services"]
    assert [each["addresses"][0] for each in web] == ["10.96.0.10"]
    assert {each["namespace"] for each in json.loads(ctl(vigie, "--json", "records", "dump", "prod"))["services"]} == {"prod"}
    assert json.loads(ctl(vigie, "--json", "records", "dump", "no-such"))["services"] == []
    assert "namespace=default service=web kind=ClusterIP" in ctl(vigie, "records", "dump", "default/web")


@pytest.mark.parametrize("prepare, path", [
    ("mount -t tmpfs -o ro none /run", "/dev/shm/vigie/control.sock"),
    ("mount -t tmpfs none /run", "/run/vigie/control.sock"),
    ("mount -t tmpfs -o ro none /run && mkdir -m 777 /dev/shm/vigie", None)], ids=["read-only", "writable", "somebody else's"])
def test_ctl_without_a_path(start, snapshot, tmp_path, monkeypatch, prepare, path):
    """The root of a pod is read-only, and an operator who changed the image and nothing else asks it all the same."""
    root = os.geteuid() == 0
    wrapper = tmp_path / "as-in-a-pod"
    wrapper.write_text(f"#!/bin/sh\nexec unshare {'' if root else '--map-root-user'} --mount sh -c 'mount -t tmpfs none /dev/shm && "
                       f"{prepare} && exec {BINARY} \"$@\"' sh \"$@\"\n")
    wrapper.chmod(0o755)
    monkeypatch.setattr(vigie_process, "BINARY", wrapper)
    corefile = f".:PORT {{\n\tbind 127.0.0.1\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n"
    vigie = start(corefile)
    space = ["nsenter", "--target", str(vigie.process.pid), "--mount", *([] if root else ["--user", "--preserve-credentials"])]

    def ask(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([*space, BINARY, "ctl", *words], capture_output=True, text=True, timeout=PATIENCE, env=ENVIRONMENT)

    if not path:
        assert ask("status").returncode == 1
        vigie.wait_for_log("no vigie ctl for this process: the control socket /run/vigie/control.sock: No such file or directory")
        return
    assert "ready: true" in ask("status").stdout
    assert ask("-s", path, "reload").stdout == "reload: done\n"
    vigie_process.reload(vigie, corefile.replace("\tbind", "\tnsid\n\tbind"))
    assert "nsid" in ask("-s", path, "status").stdout


def test_ctl_reload(vigie, snapshot):
    assert ctl(vigie, "reload") == "done\n" or "done" in ctl(vigie, "reload")
    good = vigie.corefile.read_text()
    vigie.corefile.write_text(good + "bogus {")
    assert "is never closed" in ctl(vigie, "reload", code=1)
    status = json.loads(ctl(vigie, "status", "--json"))
    assert status["reloads_failed"] == 1 and "never closed" in status["reload_error"]
    vigie.corefile.write_text(good.replace("ttl", "ttl"))
    ctl(vigie, "reload")
    assert vigie.ask(WEB).answer


def test_log_level(vigie):
    assert "error" in ctl(vigie, "log", "ERROR")
    ctl(vigie, "reload")
    assert "Reloading" not in vigie.log()
    ctl(vigie, "log", "info")
    ctl(vigie, "reload")
    vigie.wait_for_log("Reloading complete")
    assert "a log level is" in ctl(vigie, "log", "loud", code=1)


def test_what_is_wrong(vigie, tmp_path):
    assert "no such command" in ctl(vigie, "bogus", code=1)
    assert "no such command" in ctl(vigie, "status", "bogus", code=1)
    assert "Usage" in ctl(vigie, code=2)
    done = subprocess.run([BINARY, "ctl", "-s", f"{tmp_path}/nothing", "status"], capture_output=True, text=True,
                          env=ENVIRONMENT)
    assert done.returncode == 1 and "is vigie running" in done.stderr


def test_the_socket_is_its_owners_alone(vigie, tmp_path):
    path = tmp_path / "control.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    vigie.stop()
    assert not path.exists()


def test_a_socket_that_was_left_behind(start, snapshot, tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    vigie = start(f".:PORT {{\n\tbind 127.0.0.1\n\tcontrol {path}\n\terrors\n}}\n")
    assert "version: " in ctl(vigie, "status")
    log = refused_configuration(tmp_path / "second",
                                f".:{free_port()} {{\n\tbind 127.0.0.1\n\tcontrol {path}\n\terrors\n}}\n")
    assert f"the control socket {path}: it is served already" in log
    assert "version: " in ctl(vigie, "status")


def test_a_file_that_is_no_socket(tmp_path):
    """It is left alone."""
    path = tmp_path / "precious"
    path.write_text("data")
    log = refused_configuration(tmp_path / "second", f".:{free_port()} {{\n\tbind 127.0.0.1\n\tcontrol {path}\n\terrors\n}}\n")
    assert f"the control socket {path}: there is a file that is no socket" in log
    assert path.read_text() == "data"


@pytest.mark.parametrize("words, word", [("here", "here"), ("", "control"), ("/a /b", "/b")])
def test_mistakes(tmp_path, words, word):
    log = refused_configuration(tmp_path, f".:{free_port()} {{\n\tbind 127.0.0.1\n\tcontrol {words}\n}}\n")
    assert "Corefile:3" in log and f"'{word}'" in log


def test_no_socket(start, tmp_path):
    vigie = start(".:PORT {\n\tbind 127.0.0.1\n\tcontrol off\n\terrors\n}\n")
    assert "control" not in vigie.log()


def test_clients_that_hang(vigie, tmp_path):
    """They hold their connections; beyond the bound the oldest is closed, and DNS does not notice."""
    clients = []
    for number in range(40):
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        client.connect(f"{tmp_path}/control.sock")
        clients.append(client)
        if number % 2 and number < 16:
            client.sendall(b'["sta')
    for _ in range(100):
        assert vigie.ask(WEB).answer
    assert "version: " in ctl(vigie, "status")
    for client in clients:
        client.close()


@pytest.mark.parametrize("line", [b"\n", b"status\n", b"[]\n", b"[1]\n", b'["a","b","c","d","e","f","g","h","i"]\n',
                                  b"\xff\xfe\n", b"x" * 5000])
def test_nonsense(vigie, tmp_path, line):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(f"{tmp_path}/control.sock")
        client.sendall(line)
        try:
            reply = client.recv(65536)
        except ConnectionResetError:  # it closed with bytes unread
            reply = b""
    assert reply == b"" or "error" in json.loads(reply)
    assert "version: " in ctl(vigie, "status")


# The cache

@pytest.fixture
def caching(start, upstream, tmp_path) -> Vigie:
    for name in ("www.example.com.", "a.www.example.com.", "www.example.org."):
        upstream.answers[name, "A"] = Reply(f"{name} 600 IN A 192.0.2.80")
    return start(f""".:PORT {{
	control {tmp_path}/control.sock
	cache {{
		persist {tmp_path}/cache
	}}
	forward . {upstream.text}
}}
other.test:PORT {{
	cache
	forward . {upstream.text}
}}
""")


def test_a_trace_says_what_cache_and_forward_did(caching, upstream):
    first = ctl(caching, "trace", "www.example.com")
    assert "  cache: not held\n" in first
    assert re.search(rf"^  forward: {upstream.text.replace('.', '[.]')} in \d+ ms$", first, re.MULTILINE), first
    second = ctl(caching, "trace", "www.example.com")
    assert re.search(r"^  cache: hit, (600|5\d\d) of 600 s left$", second, re.MULTILINE), second
    assert "forward" not in second
    upstream.answers["silent.example.com.", "A"] = Reply(drop=True)
    assert "  forward: no reply in " in ctl(caching, "trace", "silent.example.com")


def test_ctl_cache_dump(caching, upstream):
    for name in ("www.example.com.", "a.www.example.com.", "www.example.org.", "no.other.test."):
        caching.ask(name)
    everything = json.loads(ctl(caching, "--json", "cache", "dump"))["answers"]
    assert {(each["name"], each["kind"]) for each in everything} == {
        ("www.example.com.", "answer"), ("a.www.example.com.", "answer"), ("www.example.org.", "answer"),
        ("no.other.test.", "nxdomain")}
    below = json.loads(ctl(caching, "--json", "cache", "dump", "WWW.example.com"))["answers"]
    assert {each["name"] for each in below} == {"www.example.com.", "a.www.example.com."}
    assert all(each["type"] == "A" and each["records"] == 1 and 580 < each["seconds_left"] <= 600 for each in below)
    assert json.loads(ctl(caching, "--json", "cache", "dump", "ww.example.com"))["answers"] == []
    assert re.fullmatch(r"server=dns://\S+ name=www\.example\.org\. type=A kind=answer seconds_left=\d+ records=1 "
                        r"do=false cd=false\n", ctl(caching, "cache", "dump", "example.org"))


def test_ctl_cache_flush(caching, upstream, tmp_path):
    """What is flushed is asked for again: the answer is the upstream's new one."""
    names = ("www.example.com.", "a.www.example.com.", "www.example.org.")

    def addresses(last: int) -> list[str]:
        """What the names have, when all that is asked for from now on has this last byte."""
        for name in names:
            upstream.answers[name, "A"] = Reply(f"{name} 600 IN A 192.0.2.{last}")
        return [caching.ask(name).answer[0][0].address for name in names]

    assert addresses(1) == ["192.0.2.1"] * 3
    assert addresses(2) == ["192.0.2.1"] * 3
    assert ctl(caching, "cache", "flush", "www.example.com") == "flushed: 2\n"
    assert addresses(3) == ["192.0.2.3", "192.0.2.3", "192.0.2.1"]
    assert json.loads(ctl(caching, "--json", "cache", "flush", ".")) == {"flushed": 3}
    assert json.loads(ctl(caching, "--json", "cache", "dump")) == {"answers": []}
    assert ctl(caching, "cache", "flush", "www.example.com") == "flushed: 0\n"
    assert addresses(4) == ["192.0.2.4"] * 3
    # what is flushed does not come back from the cache file
    ctl(caching, "cache", "flush", ".")
    caching.stop()
    caching.start()
    caching.wait_for_log("0 answers from the cache file")


def test_ctl_cache_mistakes(caching):
    assert "this is no name" in ctl(caching, "cache", "dump", "a..b", code=1)
    assert "no such command" in ctl(caching, "cache", "flush", code=1)
    assert "no such command" in ctl(caching, "cache", "empty", code=1)
    assert "no such command" in ctl(caching, "cache", "dump", "a", "b", code=1)
