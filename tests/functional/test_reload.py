"""`reload` and SIGUSR1: one configuration in the place of another, and no query lost."""
import re
import signal
import socket
import threading
import time
import urllib.error
import urllib.request

import dns.exception
import dns.message
import dns.query
import pytest

import reloads
from scripted_upstream import Reply
from test_file import replace
from vigie_process import BUILD, Vigie, free_port, refused_configuration, reload, wait_for, write

WEB = "web.default.svc.cluster.local."


def block(snapshot, more: str = "", keys: str = ".:PORT", address: str = "127.0.0.1") -> str:
    return f"""{keys} {{
	bind {address}
	kubernetes cluster.local {{
		snapshot {snapshot}
	}}
	{more}
}}
"""


def sample(port: int, name: str) -> re.Match:
    """The first sample of a metric: its labels and its value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
        return re.search(rf"^{name}({{.*}})? (\S+)$", response.read().decode(), re.MULTILINE)


def metric(port: int, name: str) -> float:
    return float(sample(port, name)[2])


def labels(port: int, name: str) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', sample(port, name)[1]))


def status(port: int, path: str) -> int | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code
    except (urllib.error.URLError, ConnectionError):
        return None


RUNNING = r"^\[INFO\] plugin/reload: Running configuration SHA512 = ([0-9a-f]{128})$"


def test_the_hash_of_what_runs(start, snapshot):
    """In the log from the start on, and in a metric."""
    http = free_port()
    corefile = block(snapshot, f"prometheus 127.0.0.1:{http}")
    vigie = start(corefile)
    first = vigie.wait_for_log(RUNNING)[1]
    assert labels(http, "coredns_reload_version_info") == {"hash": "sha512", "value": first}
    reload(vigie, corefile.replace("\t}", "\t\tttl 17\n\t}", 1), RUNNING)
    second = re.findall(RUNNING, vigie.log(), re.MULTILINE)[1]
    assert second != first
    assert labels(http, "coredns_reload_version_info") == {"hash": "sha512", "value": second}


def test_what_changes(start, snapshot):
    """Zones, directives, their options."""
    vigie = start(block(snapshot))
    assert vigie.ask("www.example.org.").rcode() == 5
    assert vigie.ask(WEB).answer[0].ttl == 5
    reload(vigie, block(snapshot).replace("\t}", "\t\tttl 17\n\t}"))
    assert vigie.ask(WEB).answer[0].ttl == 17
    reload(vigie, block(snapshot, keys="example.org:PORT"))
    assert vigie.ask(WEB).rcode() == 5
    reload(vigie, block(snapshot))
    assert vigie.ask(WEB).answer[0].ttl == 5


def test_a_snapshot_is_read_again(start, snapshot, tmp_path):
    copy = tmp_path / "copy.json"
    copy.write_text(snapshot.read_text())
    vigie = start(block(copy))
    copy.write_text(snapshot.read_text().replace("10.96.0.10", "10.96.0.11"))
    reload(vigie, block(copy))
    assert vigie.ask(WEB).answer[0][0].address == "10.96.0.11"


def test_listeners_come_and_go(start, snapshot):
    vigie = start(block(snapshot))
    both = block(snapshot) + block(snapshot, address="127.0.0.2")
    reload(vigie, both)
    for tcp in (False, True):
        assert vigie.ask(WEB, address="127.0.0.2", tcp=tcp).answer
        assert vigie.ask(WEB, tcp=tcp).answer
    stays = socket.create_connection((vigie.address, vigie.port), timeout=20)
    goes = socket.create_connection(("127.0.0.2", vigie.port), timeout=20)
    query = dns.message.make_query(WEB, "A")
    for connection in (stays, goes):
        dns.query.send_tcp(connection, query)
        assert dns.query.receive_tcp(connection)[0].answer
    reload(vigie, block(snapshot))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", vigie.port), timeout=20)
    with pytest.raises((OSError, dns.exception.Timeout)):
        vigie.ask(WEB, address="127.0.0.2", timeout=0.3)
    assert goes.recv(1) == b""
    dns.query.send_tcp(stays, query)  # a connection whose listener stays outlives the change
    assert dns.query.receive_tcp(stays)[0].answer
    stays.close()
    goes.close()


def test_http_goes_over(start, snapshot):
    health, ready, metrics = free_port(), free_port(), free_port()
    http = (f"health 127.0.0.1:{health}\n\tready 127.0.0.1:{ready}\n\tprometheus 127.0.0.1:{metrics}\n")
    vigie = start(block(snapshot, http))
    other = free_port()
    for _ in range(3):
        reload(vigie, block(snapshot, http))
        assert (status(health, "/health"), status(ready, "/ready")) == (200, 200)
    reload(vigie, block(snapshot, http.replace(str(health), str(other))))
    assert (status(health, "/health"), status(other, "/health"), status(ready, "/ready")) == (None, 200, 200)
    assert metric(metrics, "vigie_reloads_total") == 4
    assert metric(metrics, "coredns_reload_failed_total") == 0
    assert metric(metrics, "coredns_reload_version_info") == 1


@pytest.mark.parametrize("bad, word", [
    (".:PORT {\n\tbogus\n}\n", "bogus"),
    (".:PORT {\n", "'{' is never closed"),
    (".:PORT {\n\tkubernetes cluster.local {\n\t\tsnapshot /no/such/file\n\t}\n}\n", "/no/such/file"),
    (".:PORT {\n\tbind 127.0.0.1\n\thealth 192.0.2.1:80\n}\n", "192.0.2.1:80"),
    (".:PORT {\n\tbind 192.0.2.1\n}\n", "192.0.2.1")])
def test_a_bad_one_is_refused(start, snapshot, bad, word):
    """The one before goes on, with its HTTP endpoints; the log and a metric say so."""
    metrics, health = free_port(), free_port()
    good = block(snapshot, f"prometheus 127.0.0.1:{metrics}\n\thealth 127.0.0.1:{health}")
    vigie = start(good)
    reload(vigie, bad, r"^\[ERROR\] plugin/reload: Corefile changed but reload failed: .*" + re.escape(word))
    assert vigie.ask(WEB).answer
    assert status(health, "/health") == 200
    assert metric(metrics, "coredns_reload_failed_total") == 1
    reload(vigie, good.replace("\t}", "\t\tttl 17\n\t}", 1))
    assert vigie.ask(WEB).answer[0].ttl == 17
    assert (status(health, "/health"), metric(metrics, "vigie_reloads_total")) == (200, 1)


def test_one_that_is_not_ready_is_refused(start, snapshot):
    """The API server cannot be reached with the new options: what was known goes on being served."""
    vigie = start(block(snapshot))
    unready = block(snapshot).replace(f"snapshot {snapshot}", f"endpoint http://127.0.0.1:{free_port()}\n"
                                      "\t\tstartup_timeout 300ms")
    reload(vigie, unready, r"reload failed: not ready in time: kubernetes$")
    assert vigie.ask(WEB).answer
    reload(vigie, block(snapshot).replace("\t}", "\t\tttl 17\n\t}"))
    assert vigie.ask(WEB).answer[0].ttl == 17


def test_counters_go_on(start, snapshot):
    """What is served in the same places is counted on; with other directives it begins anew."""
    metrics = free_port()
    corefile = block(snapshot, f"prometheus 127.0.0.1:{metrics}")
    vigie = start(corefile)
    name = 'coredns_dns_request_duration_seconds_count'

    def expect(count: int):  # an answer is on its way a moment before its duration is known
        wait_for(lambda: metric(metrics, name) >= count, f"{count} durations")
        assert metric(metrics, name) == count

    for _ in range(3):
        vigie.ask(WEB)
    expect(3)
    reload(vigie, corefile.replace("\t}", "\t\tttl 17\n\t}"))
    expect(3)
    vigie.ask(WEB)
    expect(4)
    reload(vigie, corefile.replace("\tkubernetes", "\tloadbalance\n\tkubernetes"))
    vigie.ask(WEB)
    wait_for(lambda: metric(metrics, name) == 1, "counters that begin anew")


def test_no_corefile_any_more(start, snapshot):
    vigie = start(block(snapshot))
    vigie.corefile.unlink()
    vigie.process.send_signal(signal.SIGUSR1)
    vigie.wait_for_log("reload failed: .*No such file")
    assert vigie.ask(WEB).answer


def test_the_timer(start, snapshot, tmp_path):
    """It looks at imported files, too, and not at comments; a bad one is told of once."""
    part = tmp_path / "part"
    part.write_text("errors\n")
    vigie = start(block(snapshot, f"reload 2s 1s\n\timport {part}"))
    replace(part, "# a comment\nerrors\n")
    replace(vigie.corefile, "# another\n" + vigie.corefile.read_text())
    time.sleep(3)
    assert "Reloading" not in vigie.log()
    replace(part, "errors\nbogus\n")
    vigie.wait_for_log("reload failed: .*part:2: unknown directive 'bogus'")
    time.sleep(3)
    assert len(re.findall("reload failed", vigie.log())) == 1
    replace(part, "errors\nloadbalance\n")
    vigie.wait_for_log("Reloading complete")
    assert vigie.ask(WEB).answer


@pytest.mark.parametrize("words, word", [("1s", "1s"), ("10s 500ms", "500ms"), ("10s 5s 1s", "1s"), ("soon", "soon"),
                                         ("10s {\n\t\tx\n\t}", "reload")])
def test_mistakes(tmp_path, snapshot, words, word):
    log = refused_configuration(tmp_path, block(snapshot, f"reload {words}").replace("PORT", str(free_port())))
    assert f"'{word}'" in log and "Corefile:6" in log


def test_a_hangup_is_no_reload(start, snapshot):
    vigie = start(block(snapshot))
    write(vigie, block(snapshot, keys="example.org:PORT"))
    vigie.process.send_signal(signal.SIGHUP)
    assert vigie.ask(WEB).answer


def test_requests_under_way_end_in_the_old_one(start, snapshot, upstream):
    """A query that waits for an upstream is answered by the directives that it came to."""
    names = {False: "udp.slow.example.com.", True: "tcp.slow.example.com."}
    for name in names.values():
        upstream.answers[name, "A"] = Reply(f"{name} 60 IN A 192.0.2.1", delay=1)
    vigie = start(block(snapshot, f"forward . {upstream.text}"))
    answers = []
    threads = [threading.Thread(target=lambda tcp=tcp: answers.append(vigie.ask(names[tcp], tcp=tcp))) for tcp in (False, True)]
    for thread in threads:
        thread.start()
    wait_for(lambda: all(map(upstream.asked, names.values())), "both queries upstream")
    write(vigie, block(snapshot))
    vigie.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: vigie.ask("www.example.com.").rcode() == 5, "the new one to answer")
    for thread in threads:
        thread.join()
    assert [answer.answer[0][0].address for answer in answers] == ["192.0.2.1"] * 2
    vigie.wait_for_log("Reloading complete")


def test_an_end_during_a_reload(tmp_path, snapshot, upstream):
    """SIGTERM while requests of the old configuration are still under way."""
    upstream.answers["slow.example.com.", "A"] = Reply(drop=True)
    vigie = Vigie(tmp_path, block(snapshot, f"forward . {upstream.text}")).start()
    with vigie.udp_socket() as client:
        client.send(dns.message.make_query("slow.example.com.", "A").to_wire())
        wait_for(lambda: upstream.asked("slow.example.com."), "the query upstream")
        write(vigie, block(snapshot))
        vigie.process.send_signal(signal.SIGUSR1)
        wait_for(lambda: vigie.ask("www.example.com.").rcode() == 5, "the new one to answer")
        vigie.stop()


def test_many_reloads_lose_no_query(tmp_path):
    """reloads.py on a small scale: at a steady rate, by UDP and TCP, of the table and of an upstream, while addresses come
    and go."""
    count = 100 if BUILD.name == "build" else 25  # sanitizers are slow
    got = reloads.measure(tmp_path, count, 500)
    assert (got["refused"], got["windows without an answer"], got["wrong"]) == (0, 0, 0)
    assert got["answered"] == got["asked"] > 0
