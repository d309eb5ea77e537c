"""`log` and `errors`: the lines, and that nobody waits for them."""
import fcntl
import json
import os
import re
import signal
import subprocess
import threading
import time
import urllib.request

import dns.flags
import dns.message
import dns.rrset
import pytest

from scripted_upstream import Reply
from vigie_process import BINARY, ENVIRONMENT, Vigie, free_port, refused_configuration, wait_for

WEB = "web.default.svc.cluster.local."
ADDRESS = r"127\.0\.0\.1:\d+"


def corefile(snapshot, lines: str) -> str:
    return f""".:PORT {{
	bind 127.0.0.1 ::1
	{lines}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
}}
"""


def test_the_common_format(start, snapshot):
    vigie = start(corefile(snapshot, "log"))
    vigie.ask(WEB, size=1232)
    vigie.wait_for_log(rf'^\[INFO\] {ADDRESS} - \d+ "A IN {WEB} udp 58 false 1232" NOERROR qr,aa,rd 74 \d\.\d{{6}}s$')
    vigie.ask(WEB.upper(), "AAAA", tcp=True)
    vigie.wait_for_log(rf'^\[INFO\] {ADDRESS} - \d+ "AAAA IN {WEB} tcp \d+ false 65535" NOERROR qr,aa,rd \d+ ')
    vigie.ask(WEB, "A", address="::1")
    vigie.wait_for_log(rf'^\[INFO\] \[::1\]:\d+ - \d+ "A IN {WEB} udp 47 false 512" NOERROR qr,aa,rd 63 ')


def test_the_combined_format(start, snapshot):
    vigie = start(corefile(snapshot, "log . {combined}"))
    vigie.exchange(dns.message.make_query(WEB, "A", want_dnssec=True))
    vigie.wait_for_log(rf'^\[INFO\] {ADDRESS} - \d+ "A IN {WEB} udp 58 true \d+" NOERROR qr,aa,rd \d+ \d\.\d+s "0"$')


def test_ad_is_logged_for_who_gets_it(start, upstream):
    name = "www.example.com."
    message = dns.message.make_response(dns.message.make_query(name, "A"), recursion_available=True)
    message.flags |= dns.flags.AD
    message.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.80"))
    upstream.default = Reply(wire=message.to_wire())
    vigie = start(f".:PORT {{\n log\n forward . {upstream.text}\n}}\n")
    for number, flags in ((4711, dns.flags.RD), (4712, dns.flags.RD | dns.flags.AD)):
        query = dns.message.make_query(name, "A", flags=flags, id=number)
        assert vigie.exchange(query).flags & dns.flags.AD == flags & dns.flags.AD
    vigie.wait_for_log(rf'{ADDRESS} - 4711 .* NOERROR qr,rd,ra \d')
    vigie.wait_for_log(rf'{ADDRESS} - 4712 .* NOERROR qr,rd,ra,ad \d')


def test_every_placeholder(start, snapshot):
    names = ("type class name proto remote local size port duration rcode rsize >rflags >bufsize >do >id >opcode "
             "/log/class /log/type /unknown/label").split()
    form = " ".join(f"{name.strip('>')}={{{name}}}" for name in names)
    vigie = start(corefile(snapshot, f'log . "{form} {{bogus}} }}{{"'))
    query = dns.message.make_query("missing.default.svc.cluster.local.", "SRV")
    query.id = 4711
    vigie.exchange(query)
    line = vigie.wait_for_log(r"^\[INFO\] type=.*$")[0]
    assert re.fullmatch(r"\[INFO\] type=SRV class=IN name=missing.default.svc.cluster.local. proto=udp remote=127.0.0.1 "
                        r"local=127.0.0.1 size=51 port=\d+ duration=\d\.\d+s rcode=NXDOMAIN rsize=\d+ rflags=qr,aa,rd "
                        r"bufsize=512 do=false id=4711 opcode=0 /log/class=denial /log/type=NXDOMAIN "
                        r"/unknown/label=- \{bogus\} \}\{", line), line


def test_json(start, snapshot):
    vigie = start(corefile(snapshot, "log . {json}"))
    vigie.exchange(dns.message.make_query('we\\"ird\\\\.\\007.cluster.local.', "A"))
    line = json.loads(vigie.wait_for_log(r"^\{.*\}$")[0])
    assert line["rcode"] == "NXDOMAIN" and line["remote"] == "127.0.0.1" and line["type"] == "A"
    assert line["name"] == 'we\\"ird\\\\.\\007.cluster.local.'
    assert line["duration"] < 20 and line["size"] == 41


def test_json_for_every_line(start, snapshot, tmp_path):
    """-log-format json: what is served, queries in each format, errors, warnings, a refused reload, the end."""
    corefile_text = corefile(snapshot, 'log cluster.local\n\tlog . "{name} \\"{type}\\""\n\terrors {\n\t\tstacktrace\n\t}\n'
                                       "\tforward . 127.0.0.1:1")
    vigie = start(corefile_text, arguments=["-log-format", "json"])
    vigie.ask(WEB)
    assert vigie.ask("www.example.com.").rcode() == 2
    vigie.corefile.write_text("bogus {")
    vigie.process.send_signal(signal.SIGUSR1)
    vigie.wait_for_log("reload failed")
    vigie.stop()
    lines = [json.loads(line) for line in vigie.log().splitlines()]
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["time"])
    said = {(line["level"], line.get("plugin"), line["msg"].split(":")[0]) for line in lines}
    assert {("info", None, "."), ("info", "log", "query"), ("info", "log", 'www.example.com. "A"'),
            ("error", "errors", "2 www.example.com. A"), ("error", "reload", "Corefile changed but reload failed")} <= said
    assert any(line["level"] == "warning" and "stacktrace" in line["msg"] for line in lines)
    assert [line["name"] for line in lines if line["msg"] == "query"] == [WEB]


def test_a_refused_configuration_in_json(tmp_path):
    log = refused_configuration(tmp_path, ".:PORT {\n\tbogus\n}\n", arguments=["-log-format", "json"])
    line = json.loads(log)
    assert line["level"] == "fatal" and line["msg"] == f"{tmp_path}/Corefile:2: unknown directive 'bogus'"


@pytest.mark.parametrize("classes, expected", [
    ("", "success denial error"), ("class all", "success denial error"), ("class denial", "denial"),
    ("class success error", "success error"), ("class denial\n class error", "denial error")])
def test_classes(start, snapshot, classes, expected):
    braces = f"{{\n{classes}\n}}" if classes else ""
    vigie = start(corefile(snapshot, f'workers 1\n\tlog . "{{/log/class}} of {{name}}" {braces}'))
    vigie.ask(WEB)
    vigie.ask(WEB, "MX")
    vigie.ask("missing.default.svc.cluster.local.")
    vigie.ask("www.example.org.")
    vigie.stop()
    assert re.findall(r"^\[INFO\] (\w+) of", vigie.log(), re.MULTILINE) == [
        each for each in ("success", "denial", "denial", "error") if each in expected.split()]


def test_names(start, snapshot):
    """The first rule whose name matches decides."""
    vigie = start(corefile(snapshot, 'workers 1\n\tlog cluster.local example.org "first {name}" {\n\t\tclass error\n\t}\n'
                                     '\tlog com "second {name}"'))
    for name in (WEB, "www.example.org.", "www.example.com.", "www.example.net."):
        vigie.ask(name)
    vigie.stop()
    assert re.findall(r"^\[INFO\] ((?:first|second) .*)", vigie.log(), re.MULTILINE) == [
        "first www.example.org.", "second www.example.com."]


def test_errors(start, snapshot, upstream):
    upstream.answers["www.example.com.", "A"] = Reply(drop=True)
    vigie = start(corefile(snapshot, f"errors\n\tforward . {upstream.text}"))
    assert vigie.ask("www.example.com.").rcode() == 2
    vigie.wait_for_log(r"^\[ERROR\] plugin/errors: 2 www\.example\.com\. A: ")


def test_a_flood_of_errors_is_cut(start, tmp_path):
    """The first of each second are written, the others are counted."""
    vigie = start(".:PORT {\n\tbind 127.0.0.1\n\terrors\n\tworkers 1\n\tforward . 127.0.0.1:1\n}\n")
    with vigie.udp_socket(timeout=5) as client:
        for number in range(3000):
            client.send(number.to_bytes(2) + b"\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1")
            client.recv(512)
    time.sleep(1.1)
    vigie.ask("b.")
    vigie.wait_for_log(r"plugin/errors: 2 b\. A: ")
    written = len(re.findall(r"plugin/errors: 2 a\. A: ", vigie.log()))
    told = sum(int(number) for number in re.findall(r"plugin/errors: (\d+) more errors", vigie.log()))
    assert told > 0
    assert written + told == 3000


@pytest.mark.parametrize("options, first, summary", [
    ("", 0, "ERROR"), ("warning", 0, "WARNING"), ("info show_first", 1, "INFO"), ("show_first", 1, "ERROR")])
def test_consolidated_errors(start, options, first, summary):
    """Three of them: one line, and with show_first the first one by itself."""
    vigie = start(".:PORT {\n\tbind 127.0.0.1\n\terrors {\n\t\tconsolidate 2s \"0.1:1\" " + options +
                  "\n\t\tconsolidate 1s \".*\"\n\t}\n\tforward . 127.0.0.1:1\n}\n")
    for name in ("a.", "b.", "c."):
        assert vigie.ask(name).rcode() == 2
    vigie.wait_for_log(rf"^\[{summary}\] plugin/errors: 3 errors like '0\.1:1' occurred in last 2s$")
    assert len(re.findall(rf"^\[{summary}\] plugin/errors: 2 [abc]\. A: ", vigie.log(), re.MULTILINE)) == first
    vigie.ask("d.")  # a period that has not ended is told of at the end
    vigie.stop()
    assert ("1 errors like" in vigie.log()) == (not first)
    assert len(re.findall(r"plugin/errors: 2 d\. A: ", vigie.log())) == first


@pytest.mark.parametrize("text, line, word", [
    ("errors {\n\t\tconsolidate 5m\n\t}", 4, "consolidate"), ("errors {\n\t\tconsolidate soon x\n\t}", 4, "soon"),
    ("errors {\n\t\tconsolidate 5m (\n\t}", 4, "("), ("errors {\n\t\tconsolidate 5m x loud\n\t}", 4, "loud"),
    ("errors {\n\t\tconsolidate 5m x info last\n\t}", 4, "last"),
    ("errors {\n\t\tconsolidate 5m x show_first info\n\t}", 4, "info"),
    ("log {\n\t\tbogus\n\t}", 4, "bogus"), ("log . {\n\t\tclass\n\t}", 4, "class"),
    ("log . {\n\t\tclass success bogus\n\t}", 4, "bogus"), ("log a..b", 3, "a..b")])
def test_mistakes(tmp_path, snapshot, text, line, word):
    log = refused_configuration(tmp_path, corefile(snapshot, text).replace("PORT", str(free_port())))
    assert f"Corefile:{line}:" in log and f"'{word}'" in log


def test_a_blocked_standard_output(tmp_path, snapshot):
    """It is a full pipe that nobody reads: DNS goes on, lines are lost and counted, and the end comes all the same."""
    http = free_port()
    vigie = Vigie(tmp_path, corefile(snapshot, f"log . \"{'{name}' * 10}\"\n\tprometheus 127.0.0.1:{http}"))
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 4096)
    vigie.process = subprocess.Popen([BINARY, *vigie.arguments], env=ENVIRONMENT, stdout=write, stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        wait_for(vigie.answers, "an answer")
        slowest = 0
        for _ in range(4000):
            began = time.monotonic()
            assert vigie.ask(WEB).answer
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < 5  # a wait for the pipe would last until the client gives up
        with urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=20) as response:
            lost = float(re.search(r"^vigie_log_lines_lost_total (\d+)", response.read().decode(), re.MULTILINE)[1])
        assert lost > 0
        vigie.process.terminate()
        assert vigie.process.wait(20) == 0
    finally:
        vigie.process.kill()
        vigie.process.wait()
        vigie.process = None
        os.close(read)


def test_lines_are_whole(start, snapshot):
    """Many threads, one line each."""
    vigie = start(corefile(snapshot, 'log . "<{name}>"\n\tworkers 4'))
    query = dns.message.make_query(WEB, "A").to_wire()

    def ask():
        with vigie.udp_socket() as client:
            for _ in range(200):
                client.send(query)
                client.recv(512)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    vigie.stop()
    lines = [line for line in vigie.log().splitlines() if "<" in line]
    assert lines == [f"[INFO] <{WEB}>"] * 1600
