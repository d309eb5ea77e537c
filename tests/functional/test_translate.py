"""`vigie translate`: kube-dns' ConfigMap becomes a Corefile."""
import json
import re
import subprocess

import pytest

from vigie_process import BINARY, ENVIRONMENT, PATIENCE, SANITIZER

# As `kubectl get configmap kube-dns -o yaml` writes it.
YAML = """apiVersion: v1
data:
  stubDomains: |
    {"acme.local": ["1.2.3.4"], "widget.local": ["[fd00::53]:5353", "10.0.0.53:5353"]}
  upstreamNameservers: |
    ["8.8.8.8", "8.8.4.4"]
kind: ConfigMap
metadata:
  name: kube-dns
  namespace: kube-system
"""
COREFILE = """.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    prometheus :9153
    forward . 8.8.8.8 8.8.4.4 {
        max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
acme.local:53 {
    errors
    cache 30
    loop
    forward . 1.2.3.4 {
        max_concurrent 1000
    }
}
widget.local:53 {
    errors
    cache 30
    loop
    forward . [fd00::53]:5353 10.0.0.53:5353 {
        max_concurrent 1000
    }
}
"""


def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess:
    done = subprocess.run([BINARY, "translate", *arguments], input=given, env=ENVIRONMENT, capture_output=True, text=True,
                          timeout=PATIENCE)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def config_map(**data: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kube-dns"}, "data": data})


def test_yaml_from_standard_input():
    done = run(given=YAML)
    assert (done.stdout, done.stderr, done.returncode) == (COREFILE, "", 0)


def test_json_from_a_file(tmp_path):
    file = tmp_path / "kube-dns.json"
    file.write_text(config_map(upstreamNameservers='["8.8.8.8"]'))
    assert "    forward . 8.8.8.8 {\n" in run(str(file)).stdout


def test_a_configmap_behind_other_documents():
    done = run(given=f"kind: ServiceAccount\nmetadata: {{name: kube-dns}}\n---\n{YAML}")
    assert done.stdout == COREFILE


@pytest.mark.parametrize("text", [config_map(), "kind: ConfigMap\n", config_map(stubDomains="{}")])
def test_without_settings_it_is_the_default(text):
    done = run(given=text)
    assert done.returncode == 0 and "forward . /etc/resolv.conf {" in done.stdout and done.stdout.count(":53 {") == 1


def test_another_domain():
    assert "kubernetes corp.example in-addr.arpa ip6.arpa {" in run("-domain", "corp.example", given=YAML).stdout


def test_federations_are_left_out_aloud():
    done = run(given=config_map(federations="a=b.example"))
    assert done.returncode == 0 and "'federations' is left out" in done.stderr


def test_what_comes_out_is_a_corefile(tmp_path):
    path = tmp_path / "Corefile"
    path.write_text(run(given=YAML).stdout)
    done = subprocess.run([BINARY, "check", "-conf", path], env=ENVIRONMENT, capture_output=True, text=True)
    assert [line for line in done.stderr.splitlines() if not re.search("unknown directive|mistake", line)] == []


@pytest.mark.parametrize("text, words", [
    ("", "there is no ConfigMap in it"),
    ("kind: Secret\n", "there is no ConfigMap in it"),
    ("a: [\n", "standard input:2: no YAML"),
    (config_map(stubDomains="{acme"), "'stubDomains' is no JSON: line 1"),
    (config_map(stubDomains="[]"), "'stubDomains' is not an object"),
    (config_map(stubDomains='{"a.local": "1.2.3.4"}'), "'a.local' is not a list of servers"),
    (config_map(stubDomains='{"a.local": []}'), "'a.local' is not a list of servers"),
    (config_map(stubDomains='{"a.local": ["ns.a.local"]}'), "'ns.a.local' is not ADDRESS or ADDRESS:PORT"),
    (config_map(stubDomains='{"a.local": ["1.2.3.4:0"]}'), "'1.2.3.4:0' is not ADDRESS"),
    (config_map(stubDomains='{"a.local": ["1.2.3.4:65536"]}'), "'1.2.3.4:65536' is not ADDRESS"),
    (config_map(stubDomains='{"a.local": ["[fd00::1"]}'), "'[fd00::1' is not ADDRESS"),
    (config_map(stubDomains='{"a.local": [5]}'), "is not ADDRESS"),
    (config_map(stubDomains='{"a..local": ["1.2.3.4"]}'), "'a..local' is no domain name"),
    (config_map(stubDomains='{"a { b": ["1.2.3.4"]}'), "'a { b' is no domain name"),
    (config_map(stubDomains='{"Cluster.Local": ["1.2.3.4"]}'), "'Cluster.Local' is the cluster's own domain"),
    (config_map(upstreamNameservers='{"a": 1}'), "'upstreamNameservers' is not a list of servers"),
    (config_map(upstreamNameservers='["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"]'), "has more than 3 servers"),
])
def test_what_is_refused(text, words):
    """One line, and no Corefile that does half of it."""
    done = run(given=text)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr and len(done.stderr.splitlines()) == 1


def test_arguments():
    assert run("-h").stdout.startswith("Usage of vigie translate:")
    for wrong in (["-bogus"], ["a", "b"], ["-domain"], ["-domain", "a..b"]):
        done = run(*wrong)
        assert done.returncode == 2 and "Usage of vigie translate:" in done.stderr, wrong
    done = run("/no/such/file")
    assert (done.returncode, done.stderr) == (1, "/no/such/file: No such file or directory\n")
