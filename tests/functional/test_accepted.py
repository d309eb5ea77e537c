"""Directives that are accepted for the sake of existing Corefiles, and small settings of the process."""
import re
from pathlib import Path

import dns.exception
import pytest

from scripted_upstream import Reply
from vigie_process import refused_configuration, wait_for


def serve(start, lines: str):
    return start(f""".:PORT {{
	bind 127.0.0.1
	forward . 127.0.0.1:1
	{lines}
}}
""")


def threads(vigie) -> int:
    return len(list(Path(f"/proc/{vigie.process.pid}/task").iterdir()))


@pytest.mark.parametrize("lines, warning", [
    ("pprof", "'pprof' has no effect"),
    ("pprof 127.0.0.1:6060 {\n block\n}", "'pprof' has no effect"),
    ("pprof {\n block 5\n}", "'pprof' has no effect"),
    ("trace", "'trace' has no effect"),
    ("trace tracinghost:9253", "'trace' has no effect"),
    ("trace datadog localhost:8126 {\n every 100\n service dns\n client_server\n datadog_analytics_rate 0.5\n"
     " zipkin_max_backlog_size 5\n zipkin_max_batch_size 5\n zipkin_max_batch_interval 1s\n}", "'trace' has no effect"),
])
def test_accepted(start, lines, warning):
    serve(start, lines).wait_for_log(rf"\[WARNING\] plugin/\w+: .*Corefile:4: {warning}")


def test_shed_is_about_udp(start, tmp_path):
    assert serve(start, "shed").ask("example.org.")
    log = refused_configuration(tmp_path / "tls", "tls://.:PORT {\n shed\n}\n")
    assert re.search(r"Corefile:2: 'shed' is about UDP: it cannot stand in the block of 'tls://.:\d+'", log), log


def test_cancel(start, upstream):
    """An answer that comes too late is not sent; what is at hand, or comes in time, is."""
    upstream.answers["slow.example.com.", "A"] = Reply("slow.example.com. 60 IN A 192.0.2.1", delay=1)
    upstream.answers["silent.example.com.", "A"] = Reply(drop=True)
    upstream.answers["fast.example.com.", "A"] = Reply("fast.example.com. 60 IN A 192.0.2.2")

    def with_cancel(cancel: str):
        return start(f""".:PORT {{
	bind 127.0.0.1
	{cancel}
	forward . {upstream.text}
}}
""")
    vigie = with_cancel("cancel 1500ms")  # before the SERVFAIL that is due after 1.9 s
    assert vigie.ask("fast.example.com.").answer
    with pytest.raises(dns.exception.Timeout):
        vigie.ask("silent.example.com.", timeout=2.5)
    assert vigie.ask("fast.example.com.").answer
    assert with_cancel("cancel").ask("slow.example.com.").answer


def test_multisocket_sets_the_workers(start):
    for lines, like in (("multisocket 5", "workers 5"), ("multisocket 5\n\tworkers 2", "workers 2"),
                        ("multisocket", "")):
        vigie, other = serve(start, lines), serve(start, like)
        wait_for(lambda: threads(vigie) == threads(other), f"as many threads by '{lines}' as by '{like}'")
    more, fewer = serve(start, "multisocket 5"), serve(start, "multisocket 2")
    wait_for(lambda: threads(more) == threads(fewer) + 3, "three more threads")


@pytest.mark.parametrize("lines, complaint", [
    ("pprof a b", "Corefile:2: 'b' is one argument too many for 'pprof'"),
    ("pprof {\n block 0\n}", "Corefile:3: .*'0'"),
    ("pprof {\n wrong\n}", "Corefile:3: unknown option 'wrong' of 'pprof'"),
    ("pprof\n pprof", "Corefile:3: 'pprof' stands in this block already"),
    ("trace jaeger host:1", "Corefile:2: 'jaeger' is neither zipkin nor datadog"),
    ("trace {\n every\n}", "Corefile:3: 'every' needs 1 argument, not 0"),
    ("trace {\n wrong\n}", "Corefile:3: unknown option 'wrong' of 'trace'"),
    ("debug on", "Corefile:2: 'on' is one argument too many for 'debug'"),
    ("multisocket 0", "Corefile:2: .*'0'"),
    ("multisocket 1025", "Corefile:2: .*'1025'"),
    ("multisocket x", "Corefile:2: .*'x'"),
    ("multisocket 1 2", "Corefile:2: '2' is one argument too many for 'multisocket'"),
    ("shed now", "Corefile:2: 'now' is one argument too many for 'shed'"),
    ("shed {\n x\n}", "Corefile:2: 'shed' takes no block of options"),
    ("cancel 1s 2s", "Corefile:2: '2s' is one argument too many for 'cancel'"),
    ("cancel soon", "Corefile:2: 'soon' is not a duration"),
    ("cancel 0", "Corefile:2: '0': 'cancel' needs a time above 0"),
    ("timeouts", "Corefile:2: 'timeouts' needs at least one of read, write, idle, maxtcpqueries"),
    ("timeouts {\n read 500ms\n}", "Corefile:3: '500ms' is not between 1s and 24h"),
    ("timeouts {\n write 25h\n}", "Corefile:3: '25h' is not between 1s and 24h"),
    ("timeouts {\n idle\n}", "Corefile:3: 'idle' needs 1 argument, not 0"),
    ("timeouts {\n maxtcpqueries 0\n}", "Corefile:3: .*'0'"),
    ("timeouts {\n maxtcpqueries -2\n}", "Corefile:3: .*'-2'"),
    ("timeouts {\n wrong 1s\n}", "Corefile:3: unknown option 'wrong' of 'timeouts'"),
])
def test_mistakes(tmp_path, lines, complaint):
    log = refused_configuration(tmp_path, f".:PORT {{\n {lines}\n}}\n")
    assert re.search(complaint, log), log
