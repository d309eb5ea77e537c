"""`loop`: what is forwarded comes back."""
import dns.rcode

from metrics_page import Page
from scripted_upstream import Reply, Upstream
from vigie_process import PATIENCE, Vigie, free_port, wait_for

WWW = "www.example.com."
LOOP = r'^\[ERROR\] plugin/loop: Loop \(.*\) detected for zone "\.", .* Query: "HINFO [0-9a-f]{16}\.[0-9a-f]{16}\."\. .*'


def test_a_loop_is_found_and_vigie_stays(start, snapshot):
    """Cluster names are answered all the while."""
    port = free_port()
    http = free_port()
    vigie = start(f".:{port} {{\n loop\n prometheus 127.0.0.1:{http}\n kubernetes cluster.local {{\n snapshot {snapshot}\n }}\n"
                  f" forward . 127.0.0.1:{port}\n}}\n", port=port)
    line = vigie.wait_for_log(LOOP)[0]
    assert f"'127.0.0.1:{port}' of 'forward' leads back here" in line
    message = vigie.ask(WWW, size=1232)
    assert message.rcode() == dns.rcode.SERVFAIL
    assert "comes back" in message.options[0].text
    assert Page(f"127.0.0.1:{http}").value("vigie_loop_detected", zone=".") == 1
    assert vigie.ask("web.default.svc.cluster.local.").answer


def test_the_resolv_conf_is_named(start, tmp_path):
    """Two servers that forward to each other, the one by a file."""
    ports = free_port(), free_port()
    other = start(f".:{ports[1]} {{\n forward . 127.0.0.1:{ports[0]}\n}}\n", port=ports[1])
    with Upstream() as relay:  # port 53 is not ours to bind: the file's server is another one
        resolv = tmp_path / "resolv.conf"
        resolv.write_text("nameserver 127.0.0.53\n")
        vigie = start(f".:{ports[0]} {{\n loop\n forward . {resolv} 127.0.0.1:{ports[1]} {{\n policy sequential\n }}\n}}\n",
                      port=ports[0])
        line = vigie.wait_for_log(LOOP)[0]
        assert f"file '{resolv}' names 127.0.0.53" in line
        assert "resolvConf" in line
        assert other.process.poll() is None and not relay.log


def test_the_word_is_named_that_leads_back(start):
    """Not one beside it, of another host or another zone."""
    port = free_port()
    vigie = start(f".:{port} {{\n loop\n forward . 127.0.0.1:{port} 192.0.2.53 {{\n policy sequential\n }}\n"
                  f" forward corp.example 127.0.0.2:{port}\n}}\n", port=port)
    assert f":3: '127.0.0.1:{port}' of 'forward' leads back here" in vigie.wait_for_log(LOOP)[0]


def test_a_loop_that_ends(start):
    """When the other server of it is another one, that answers."""
    ports, http = (free_port(), free_port()), free_port()
    other = start(f".:{ports[1]} {{\n forward . 127.0.0.1:{ports[0]}\n}}\n", port=ports[1])
    vigie = start(f".:{ports[0]} {{\n loop\n prometheus 127.0.0.1:{http}\n forward . 127.0.0.1:{ports[1]}\n}}\n", port=ports[0])

    def detected() -> float:
        return Page(f"127.0.0.1:{http}").value("vigie_loop_detected", zone=".")

    vigie.wait_for_log(LOOP)
    wait_for(lambda: detected() == 1, "the loop on the metrics page")
    other.stop()
    vigie.wait_for_log("The loop has ended; forwarding again")
    assert detected() == 0
    with Upstream(port=ports[1], answers={(WWW, "A"): Reply(f"{WWW} 60 IN A 192.0.2.80")}):
        wait_for(lambda: vigie.ask(WWW).answer, "an answer by who is there now")


def test_no_loop(start, upstream):
    """The probe reaches the upstream once, under a name that nobody can guess, and questions go on."""
    upstream.answers[WWW, "A"] = Reply(f"{WWW} 60 IN A 192.0.2.80")
    names = []
    for _ in range(2):
        before = len(upstream.log)
        http = free_port()
        vigie = start(f".:PORT {{\n loop\n cache\n prometheus 127.0.0.1:{http}\n forward . {upstream.text}\n}}\n")
        wait_for(lambda: [name for _, name, kind, _ in upstream.log[before:] if kind == "HINFO"], "the probe")
        names += [name for _, name, kind, _ in upstream.log[before:] if kind == "HINFO"]
        assert vigie.ask(WWW).answer
        assert "Loop" not in vigie.log()
        assert [sample.value for sample in Page(f"127.0.0.1:{http}").samples("vigie_loop_detected")] == [0]
    assert len(set(names)) == len(names)


def test_fatal(tmp_path):
    port = free_port()
    vigie = Vigie(tmp_path, f".:{port} {{\n loop {{\n fatal\n }}\n forward . 127.0.0.1:{port}\n}}\n", port=port).spawn()
    assert vigie.process.wait(PATIENCE) == 1
    assert "[FATAL] plugin/loop: Loop (127.0.0.1:" in vigie.log()
