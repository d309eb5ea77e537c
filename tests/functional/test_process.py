"""The program: flags, signals, what a configuration may say and how it is refused."""
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from scripted_upstream import Reply
from vigie_process import (BINARY, ENVIRONMENT, SANITIZER, Vigie, free_port, read_frame, records,
                           refused_configuration, wait_for)

WEB = "web.default.svc.cluster.local."


def run(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    done = subprocess.run([BINARY, *arguments], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=20)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


@pytest.fixture
def corefile(snapshot) -> str:
    return f".:PORT {{\n\tbind 127.0.0.1\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n"


@pytest.fixture
def portless(snapshot) -> str:
    """Its port comes from a flag."""
    return f". {{\n\tbind 127.0.0.1\n\tkubernetes cluster.local {{\n\t\tsnapshot {snapshot}\n\t}}\n}}\n"


# Flags


@pytest.mark.parametrize("flag", ["-version", "--version", "-version=true"])
def test_version(flag):
    done = run(flag)
    assert done.returncode == 0 and re.fullmatch(r"vigie-\d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("flag", ["-h", "--help", "-help"])
def test_help(flag):
    done = run(flag)
    assert done.returncode == 0
    for name in ("-conf", "-dns.port", "-p ", "-pidfile", "-plugins", "-quiet", "-version"):
        assert name in done.stdout


def test_plugins():
    """In the order of the chain."""
    done = run("-plugins")
    assert done.returncode == 0
    listed = done.stdout.split()
    chain = [f"dns.{name}" for name in ("bind", "ready", "health", "errors", "loadbalance", "kubernetes", "forward")]
    assert [name for name in listed if name in chain] == chain


@pytest.mark.parametrize("arguments, word", [
    (["-bogus"], "-bogus"), (["--bogus=1"], "--bogus=1"), (["stray"], "stray"), (["-conf"], "-conf"),
    (["-p", "0"], "0"), (["-p", "65536"], "65536"), (["-dns.port=dns"], "dns"), (["-quiet=maybe"], "maybe"),
    (["-"], "-")])
def test_wrong_flags(arguments, word):
    done = run(*arguments)
    assert done.returncode == 2
    first, *usage = done.stderr.splitlines()
    assert f"'{word}'" in first or f"'-{word}'" in first
    assert usage[0] == "Usage of vigie:"
    assert done.stdout == ""


@pytest.mark.parametrize("form", [["-p", "PORT"], ["-p=PORT"], ["--p", "PORT"], ["-dns.port", "PORT"],
                                  ["--dns.port=PORT"]], ids=" ".join)
def test_the_port_from_a_flag(start, portless, form):
    port = free_port()
    vigie = start(portless, port=port, arguments=[each.replace("PORT", str(port)) for each in form])
    assert vigie.ask(WEB).answer


@pytest.mark.parametrize("form", [["-conf", "FILE"], ["-conf=FILE"], ["--conf", "FILE"], ["--conf=FILE"]], ids=" ".join)
def test_the_corefile_from_a_flag(start, tmp_path, corefile, form):
    port = free_port()
    file = tmp_path / "named"
    file.write_text(corefile.replace("PORT", str(port)))
    vigie = start(None, port=port, arguments=[each.replace("FILE", str(file)) for each in form])
    assert vigie.ask(WEB).answer


def test_the_corefile_of_the_folder(tmp_path, corefile):
    port = free_port()
    (tmp_path / "Corefile").write_text(corefile.replace("PORT", str(port)))
    with Vigie(tmp_path, port=port) as vigie:
        assert vigie.ask(WEB).answer


def test_no_corefile_at_all(tmp_path):
    if Path("/etc/vigie/Corefile").exists():
        pytest.fail("/etc/vigie/Corefile exists on this machine: the test cannot tell")
    done = run(cwd=tmp_path)
    assert done.returncode == 1
    assert "/etc/vigie/Corefile" in done.stderr and "No such file" in done.stderr


def test_what_is_served_is_printed(start, corefile):
    vigie = start(corefile)
    vigie.wait_for_log(rf"^\.:{vigie.port}$")
    vigie.wait_for_log(r"^vigie-")


def test_quiet(start, corefile):
    vigie = start(corefile, arguments=["-quiet"])
    assert f".:{vigie.port}" not in vigie.log()


def test_pidfile(tmp_path, corefile):
    file = tmp_path / "pid"
    with Vigie(tmp_path / "vigie", corefile, arguments=["-pidfile", str(file)]) as vigie:
        assert file.read_text() == f"{vigie.process.pid}\n"
    assert not file.exists()


def test_pidfile_that_cannot_be_written(tmp_path, corefile):
    corefile = corefile.replace("PORT", str(free_port()))
    assert "/no/such/folder/pid" in refused_configuration(tmp_path, corefile,
                                                          arguments=["-pidfile", "/no/such/folder/pid"])


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_when_told(tmp_path, corefile, number):
    vigie = Vigie(tmp_path, corefile).start()
    vigie.stop(number)
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect(("127.0.0.1", vigie.port))


def http(port: int, path: str) -> int | None:
    """The status; None when nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):  # also cut off between its accept and its answer
        return None


def test_health_and_ready(tmp_path, snapshot):
    """On SIGTERM: not ready at once, healthy and answering for the lame-duck time, then the end."""
    health, ready = free_port(), free_port()
    vigie = Vigie(tmp_path, f""".:PORT {{
	bind 127.0.0.1
	health 127.0.0.1:{health} {{
		lameduck 4s
	}}
	ready 127.0.0.1:{ready}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
""").start()
    assert (http(health, "/health"), http(ready, "/ready")) == (200, 200)
    assert http(health, "/other") == 404
    told = time.monotonic()
    vigie.process.send_signal(signal.SIGTERM)
    wait_for(lambda: http(ready, "/ready") is None, "/ready to be refused")
    while time.monotonic() < told + 1.5:
        assert http(health, "/health") == 200
        for tcp in (False, True):
            assert vigie.ask(WEB, tcp=tcp).answer
        time.sleep(0.05)
    vigie.stop(0)
    assert 4 <= time.monotonic() - told < 10


def test_queries_under_way_are_answered(tmp_path, corefile, upstream):
    names = {False: "udp.slow.example.com.", True: "tcp.slow.example.com."}
    for name in names.values():
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1", delay=0.7)
    vigie = Vigie(tmp_path, corefile.replace("\tkubernetes", f"\tforward . {upstream.text}\n\tkubernetes")).start()
    answers = []
    threads = [threading.Thread(target=lambda tcp: answers.append(vigie.ask(names[tcp], tcp=tcp)), args=(tcp,))
               for tcp in (False, True)]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(map(upstream.asked, names.values())), "both queries upstream")
    vigie.stop()
    for thread in threads:
        thread.join()
    assert sorted(records(answer.answer)[0] for answer in answers) == [f"{name} A 192.0.2.1" for name in sorted(names.values())]


def test_an_upstream_that_hangs_does_not_hold_the_end_up(tmp_path, corefile, upstream):
    """VIGIE_DRAIN_MS is the most that it waits."""
    upstream.answers["slow.example.com.", "A"] = Reply(drop=True)
    vigie = Vigie(tmp_path, corefile.replace("\tkubernetes", f"\tforward . {upstream.text}\n\tkubernetes")).start()
    with vigie.udp_socket() as client, socket.create_connection(("127.0.0.1", vigie.port)):
        client.send(bytes.fromhex("000101000001000000000000") + b"\4slow\7example\3com\0\0\1\0\1")
        wait_for(lambda: upstream.asked("slow.example.com."), "the query upstream")
        told = time.monotonic()
        vigie.stop()
        assert time.monotonic() - told < 4


def test_a_second_interrupt_ends_it_at_once(tmp_path, corefile):
    health = f"\thealth 127.0.0.1:{free_port()} {{\n\t\tlameduck 30s\n\t}}\n\tkubernetes"
    vigie = Vigie(tmp_path, corefile.replace("\tkubernetes", health)).start()
    vigie.process.send_signal(signal.SIGINT)
    vigie.wait_for_log("SIGINT")
    assert vigie.ask(WEB).answer
    told = time.monotonic()
    vigie.process.send_signal(signal.SIGINT)
    assert vigie.wait() != 0
    assert time.monotonic() - told < 15


def test_a_hangup_is_ignored(start, corefile):
    vigie = start(corefile)
    vigie.process.send_signal(signal.SIGHUP)
    assert vigie.ask(WEB).answer


# What listens where


def test_blocks_by_the_longest_zone(start, snapshot, upstream):
    upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
    vigie = start(f"""default.svc.cluster.local:PORT cluster.local:PORT {{
	bind 127.0.0.1
	kubernetes cluster.local {{
		snapshot {snapshot}
		namespaces default
	}}
}}
prod.svc.Cluster.Local:PORT {{
	bind 127.0.0.1
	kubernetes cluster.local {{
		snapshot {snapshot}
		namespaces prod
	}}
}}
example.com:PORT {{
	bind 127.0.0.1
	forward . {upstream.text}
}}
""")
    assert records(vigie.ask(WEB).answer) == [f"{WEB} A 10.96.0.10"]
    assert records(vigie.ask("web.prod.svc.cluster.local.").answer) == ["web.prod.svc.cluster.local. A 10.96.1.10"]
    assert records(vigie.ask("www.example.com.").answer) == ["www.example.com. A 192.0.2.80"]
    assert vigie.ask("www.example.org.").rcode() == 5
    assert vigie.ask("notexample.com.").rcode() == 5


def test_a_zone_served_twice(tmp_path):
    log = refused_configuration(tmp_path, """example.com:5399 {
	bind 127.0.0.1
	errors
}

example.org:5399 EXAMPLE.com:5399 {
	bind 127.0.0.1
	errors
}
""")
    assert f"{tmp_path}/Corefile:6" in log and f"{tmp_path}/Corefile:1" in log
    assert "EXAMPLE.com:5399" in log and "example.com:5399" in log


def test_the_same_zone_on_all_addresses_and_on_one(tmp_path):
    log = refused_configuration(tmp_path, ".:5399 {\n\terrors\n}\n.:5399 {\n\tbind 127.0.0.1\n\terrors\n}\n")
    assert f"{tmp_path}/Corefile:1" in log and f"{tmp_path}/Corefile:4" in log and "overlap" in log


def test_one_zone_on_two_addresses(start, snapshot):
    block = ".:PORT {{\n\tbind {}\n\tkubernetes cluster.local {{\n\t\tsnapshot {}\n\t\tnamespaces {}\n\t}}\n}}\n"
    vigie = start(block.format("127.0.0.1", snapshot, "default") + block.format("127.0.0.2", snapshot, "prod"))
    assert vigie.ask(WEB, address="127.0.0.1").answer
    assert not vigie.ask(WEB, address="127.0.0.2").answer


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
@pytest.mark.parametrize("shared", [False, True], ids=["alone", "reuseport"])
def test_a_port_in_use(tmp_path, corefile, kind, shared):
    with socket.socket(socket.AF_INET, kind) as taken:
        if shared:  # as another vigie or CoreDNS would hold it
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        port = free_port()
        taken.bind(("127.0.0.1", port))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        log = refused_configuration(tmp_path, corefile.replace("PORT", str(port)))
    assert f"127.0.0.1:{port}" in log and "Address already in use" in log
    assert ("TCP" if kind == socket.SOCK_STREAM else "UDP") in log


def test_an_http_port_in_use(tmp_path, corefile):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        corefile = corefile.replace("\tkubernetes", f"\thealth 127.0.0.1:{port}\n\tkubernetes")
        log = refused_configuration(tmp_path, corefile.replace("PORT", str(free_port())))
    assert f"127.0.0.1:{port}" in log


def test_an_address_that_this_machine_lacks(tmp_path, corefile):
    corefile = corefile.replace("bind 127.0.0.1", "bind 192.0.2.1").replace("PORT", str(free_port()))
    assert "192.0.2.1" in refused_configuration(tmp_path, corefile)


# Configuration


def test_the_whole_grammar(start, tmp_path, snapshot, upstream):
    """Snippets, imports of files and globs, the environment, quotes, escapes and comments."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "10.part").write_text("errors\n")
    (tmp_path / "parts" / "20.part").write_text(f"forward . {upstream.text} # the rest\n")
    (tmp_path / "more.server").write_text("example.net:{$VIGIE_NUMBER} {\n\timport common\n\timport parts/*.part\n}\n")
    folder = tmp_path / "vigie0"
    folder.mkdir()
    vigie = start(f"""# a comment
(common) {{
	bind "127.0.0.1" # another
}}
cluster.local:{{$VIGIE_NUMBER}},
in-addr.arpa:{{%VIGIE_NUMBER%}} {{
	import common
	kubernetes "cluster.local" in-addr.arpa {{
		snapshot {{$VIGIE_SNAPSHOT}}
		ttl 1{{$VIGIE_SEVEN}}{{$VIGIE_NOT_SET}}
	}}
}}
import {tmp_path}/more.server
""", environment={"VIGIE_SNAPSHOT": str(snapshot), "VIGIE_SEVEN": "7",
                    "VIGIE_NUMBER": str(port := free_port())}, port=port)
    reply = vigie.ask(WEB)
    assert reply.answer[0].ttl == 17
    upstream.answers["www.example.net.", "A"] = Reply("www.example.net. 60 IN A 192.0.2.80")
    assert vigie.ask("www.example.net.").answer


@pytest.mark.parametrize("text, line, word", [
    (".:5399 {\n\terrors\n\tbogus here\n}\n", 3, "bogus"),
    (".:5399 {\n\troute53 example.org.:Z1\n}\n", 2, "route53"),       # a directive of another day
    (".:5399 {\n\terrors {\n\t\tbogus\n\t}\n}\n", 3, "bogus"),
    (".:5399 {\n\terrors stray\n}\n", 2, "stray"),
    (".:5399 {\n\tloadbalance bogus\n}\n", 2, "bogus"),
    (".:5399 {\n\thealth {\n\t\tlameduck 5\n\t}\n}\n", 3, "5"),
    (".:5399 {\n\thealth {\n\t\tlameduck\n\t}\n}\n", 3, "lameduck"),
    (".:5399 {\n\thealth here\n}\n", 2, "here"),
    (".:5399 {\n\tready :99999\n}\n", 2, ":99999"),
    (".:5399 {\n\tready\n\tready\n}\n", 3, "ready"),
    (".:5399 {\n\tbind\n}\n", 2, "bind"),
    (".:5399 {\n\tbind nowhere\n}\n", 2, "nowhere"),
    (".:5399 {\n\tworkers 0\n}\n", 2, "0"),
    (".:5399 {\n\tworkers 257\n}\n", 2, "257"),                    # VIGIE_WORKERS_MAX
    (".:5399 {\n\tforward\n}\n", 2, "forward"),
    (".:5399 {\n\tforward .\n}\n", 2, "forward"),
    (".:5399 {\n\tforward . no/where\n}\n", 2, "no/where"),
    (".:5399 {\n\tforward . 127.0.0.1:99999\n}\n", 2, "127.0.0.1:99999"),
    (".:5399 {\n\tforward . 127.0.0.1 {\n\t\tbogus\n\t}\n}\n", 3, "bogus"),
    (".:5399 {\n\tforward . " + "127.0.0.1 " * 16 + "\n}\n", 2, "127.0.0.1"),  # VIGIE_UPSTREAMS_MAX
    (".:5399 {\n\terrors\n", 1, None),
    (".:5399 {\n\timport nothing-of-that-name\n}\n", 2, "nothing-of-that-name"),
    (".:99999 {\n}\n", 1, ".:99999"),
    ("a..b:5399 {\n}\n", 1, "a..b:5399"),
    ("https://.:5399 {\n}\n", 1, "https://.:5399"),
    ("tls://.:5399 {\n\terrors\n}\n", 1, "tls://.:5399"),
    (".:5399 {\n\terrors \"open\n}\n", 2, None),
], ids=lambda value: repr(value)[:30] if isinstance(value, str) else "")
def test_what_is_refused(tmp_path, text, line, word):
    """With file, line and word."""
    log = refused_configuration(tmp_path, text)
    assert re.search(rf"{re.escape(str(tmp_path / 'Corefile'))}:{line}\b", log), log
    assert word is None or word in log, log


def test_an_error_in_an_imported_file_names_that_file(tmp_path):
    (tmp_path / "part").write_text("\n\nbogus\n")
    assert f"{tmp_path}/part:3" in refused_configuration(tmp_path, f".:5399 {{\n\timport {tmp_path}/part\n}}\n")


def test_a_corefile_without_blocks(tmp_path):
    refused_configuration(tmp_path, "# nothing\n")


def test_log_goes_on_when_standard_output_is_gone(tmp_path, corefile):
    """A closed pipe on standard output is no reason to die."""
    vigie = Vigie(tmp_path, corefile)
    read, write = os.pipe()
    vigie.process = subprocess.Popen([BINARY, *vigie.arguments], env=ENVIRONMENT, stdout=write, stderr=write)
    os.close(write)
    os.close(read)
    wait_for(vigie.answers, "an answer")
    with socket.create_connection(("127.0.0.1", vigie.port), timeout=20) as client:
        client.sendall(b"\0\x0c" + bytes(12))
        assert read_frame(client)
    vigie.stop()
