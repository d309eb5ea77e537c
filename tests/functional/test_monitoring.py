"""deploy/monitoring: a real Prometheus scrapes a running vigie, every query of the dashboard returns data, and the
alert rules fire when they should."""
import itertools
import re
import subprocess
import time
import xml.etree.ElementTree

import pytest

from dashboard import DASHBOARD, JOB, MONITORING, lived
from dashboard_picture import draw, variables
from vigie_process import PATIENCE, TOP, wait_for

PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target["expr"], target["legendFormat"]) for panel in PANELS for target in panel["targets"]]
SECONDS = 4  # of a server's life: cluster and other names, all kinds of answers, changes


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """What asks a Prometheus that saw a vigie live, and when that was."""
    with lived(tmp_path_factory.mktemp("monitoring"), SECONDS) as life:
        yield life


@pytest.mark.parametrize("title, expression, legend", TARGETS, ids=[f"{row[0]}-{i}" for i, row in enumerate(TARGETS)])
def test_every_query_of_the_dashboard_returns_data(scraped, title, expression, legend):
    """And the labels that its legend names."""
    ask, _, _ = scraped
    query = variables(expression, JOB, "60s")
    result = wait_for(lambda: ask("query", query=query)["result"], f"data for {query}", 3 * PATIENCE)
    for label in re.findall(r"\{\{(\w+)\}\}", legend):
        assert all(label in series["metric"] for series in result), result


def test_the_picture(scraped):
    """Each panel has its title, and each series its name."""
    ask, begin, _ = scraped

    def texts() -> set[str]:
        picture = xml.etree.ElementTree.fromstring(draw(DASHBOARD, ask, JOB, begin, time.time(), "60s"))
        return {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}

    assert {panel["title"] for panel in DASHBOARD["panels"]} <= texts()
    wait_for(lambda: {"NXDOMAIN", "tcp, family 1", "services", "GET 200", "cache"} <= texts(), "the names", 3 * PATIENCE)


def test_panels_do_not_overlap():
    taken = {}
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        for cell in itertools.product(range(grid["x"], grid["x"] + grid["w"]), range(grid["y"], grid["y"] + grid["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"]


def test_the_rules_are_loaded(scraped):
    ask, _, _ = scraped
    rules = wait_for(lambda: [rule for group in ask("rules")["groups"] for rule in group["rules"]], "the rules")
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
