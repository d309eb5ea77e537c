"""deploy/monitoring: a real Prometheus scrapes a running vigie, every query of the dashboard returns data, and the
alert rules fire when they should."""
import contextlib
import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_objects import endpoint_slice, namespace, service  # noqa: E402
from scripted_upstream import Reply, Upstream  # noqa: E402
from stub_api_server import StubApiServer  # noqa: E402
from vigie_process import BINARY, PATIENCE, TOP, Vigie, free_port, wait_for  # noqa: E402

MONITORING = TOP / "deploy" / "monitoring"
DASHBOARD = json.loads((MONITORING / "dashboard.json").read_text())
FAMILY = re.compile(r"(?:coredns|vigie|process)_\w+?(?=_bucket|_sum|_count|\{)")


def is_known(expression: str) -> bool:
    """Whether this build has the metrics: not every build has every directive."""
    program = BINARY.read_bytes()
    return all(family.encode() in program for family in FAMILY.findall(expression))


TARGETS = [(panel["title"], target["expr"]) for panel in DASHBOARD["panels"] for target in panel.get("targets", [])
           if is_known(target["expr"])]
WEB = "web.default.svc.cluster.local."


@contextlib.contextmanager
def prometheus(folder: Path, target: int):
    """A Prometheus that scrapes a port of this machine every second as job kube-dns; yields a function that asks it."""
    port = free_port()
    folder.mkdir()
    (folder / "prometheus.yml").write_text(f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [{MONITORING}/alerts.yaml]
scrape_configs:
  - job_name: kube-dns
    static_configs: [{{targets: ['127.0.0.1:{target}']}}]
""")

    def ask(path: str, **parameters):
        url = f"http://127.0.0.1:{port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        with urllib.request.urlopen(url, timeout=20) as response:
            return json.load(response)["data"]

    def is_up():
        with contextlib.suppress(OSError):
            return ask("query", query="up")["result"]

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml",
                                    f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                   stdout=log, stderr=log)
        try:
            wait_for(is_up, "Prometheus to scrape", 3 * PATIENCE)
            yield ask
        finally:
            process.terminate()
            process.wait(3 * PATIENCE)


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """Prometheus with some seconds of a server's life: cluster and other names, all kinds of answers, a reload."""
    folder = tmp_path_factory.mktemp("monitoring")
    http = free_port()
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(Upstream())
        server = stack.enter_context(StubApiServer(folder / "stub"))
        upstream.answers["www.example.com.", "A"] = Reply("www.example.com. 60 IN A 192.0.2.80")
        server.put(namespace("default"), service("web", "10.96.0.10"), service("set"),
                   endpoint_slice("set", ["10.244.0.1"]))
        have = subprocess.run([BINARY, "-plugins"], capture_output=True, text=True).stdout
        cache = "cache 30" if "dns.cache" in have else ""
        vigie = stack.enter_context(Vigie(folder / "vigie", f""".:PORT {{
	bind 127.0.0.1
	control {folder}/control.sock
	prometheus 127.0.0.1:{http}
	{cache}
	kubernetes cluster.local {{
		startup_timeout 20s
		{server.corefile_option()}
	}}
	forward . {upstream.text}
}}
"""))
        ask = stack.enter_context(prometheus(folder / "prometheus", http))
        server.watch("services").finish()  # a request is counted when it has ended
        for _ in range(8):
            for name, rdtype in ((WEB, "A"), (WEB, "AAAA"), ("missing.default.svc.cluster.local.", "A"),
                                 ("www.example.com.", "A"), ("set.default.svc.cluster.local.", "A")):
                vigie.ask(name, rdtype)
                vigie.ask(name, rdtype, tcp=True)
            time.sleep(0.5)
        yield ask


@pytest.mark.parametrize("title, expression", TARGETS, ids=[f"{title}-{i}" for i, (title, _) in enumerate(TARGETS)])
def test_every_query_of_the_dashboard_returns_data(scraped, title, expression):
    ask = scraped
    query = (expression.replace("$job", "kube-dns").replace("$instance", ".*").replace("$__rate_interval", "30s"))
    wait_for(lambda: ask("query", query=query)["result"], f"data for {query}", 3 * PATIENCE)


def test_the_rules_are_loaded(scraped):
    rules = wait_for(lambda: [rule for group in scraped("rules")["groups"] for rule in group["rules"]], "the rules")
    assert len(rules) >= 10
    assert all(rule["health"] in ("ok", "unknown") for rule in rules), rules


def test_the_alert_rules():
    """promtool: the syntax, and when they fire."""
    for words in (["check", "rules", MONITORING / "alerts.yaml"],
                  ["test", "rules", TOP / "tests" / "functional" / "alerts_test.yaml"]):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_runbooks_exist():
    """Each alert leads to a section of docs/debugging.md that there is."""
    text = (TOP / "docs" / "debugging.md").read_text()
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
               for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    for anchor in re.findall(r"runbook: docs/debugging\.md#(\S+)", (MONITORING / "alerts.yaml").read_text()):
        assert anchor in anchors, f"{anchor} is not among {sorted(anchors)}"
