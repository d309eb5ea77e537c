"""The Helm chart: by default it is what deploy/kubernetes holds; it takes the values of the coredns chart."""
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from control_plane import ControlPlane
from servers import MANIFESTS, TOP, VIGIE
from test_manifests import documents, identity, without_defaults

CHART = TOP / "deploy" / "helm" / "vigie"

# A values file as people have it for the coredns chart.
THEIRS = """
image:
  repository: registry.example.com/vigie
  tag: v1
  pullSecrets: [registry]
replicaCount: 3
resources:
  limits: {cpu: 100m, memory: 128Mi}
  requests: {cpu: 100m, memory: 128Mi}
rollingUpdate: {maxUnavailable: 1, maxSurge: 25%}
podAnnotations: {example.com/owner: dns}
prometheus:
  service:
    enabled: true
    annotations: {prometheus.io/scrape: "true", prometheus.io/port: "9153"}
service:
  clusterIP: 10.96.0.99
  name: my-dns
serviceAccount: {create: true, name: dns}
servers:
  - zones:
      - zone: .
        scheme: dns://
        use_tcp: true
    port: 53
    plugins:
      - name: errors
      - name: health
        configBlock: |-
          lameduck 5s
      - name: ready
      - name: kubernetes
        parameters: cluster.local in-addr.arpa ip6.arpa
        configBlock: |-
          pods verified
          fallthrough in-addr.arpa ip6.arpa
          ttl 30
      - name: forward
        parameters: . /etc/resolv.conf
      - name: loadbalance
  - zones:
      - zone: example.org.
      - zone: example.net.
    port: 1053
    servicePort: 5353
    plugins:
      - name: forward
        parameters: . 192.0.2.53
zoneFiles:
  - filename: example.db
    domain: example.com
    contents: |
      example.com. IN SOA ns.example.com. mail.example.com. 1 7200 3600 1209600 3600
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: zone
    whenUnsatisfiable: DoNotSchedule
    labelSelector: {matchLabels: {foo: bar}}
podDisruptionBudget: {minAvailable: 1}
customLabels: {team: dns}
extraSecrets: [{name: certificates, mountPath: /etc/coredns/tls}]
hpa: {enabled: true, minReplicas: 3, maxReplicas: 5}
"""


class Helm:
    def __init__(self, plane: ControlPlane, folder: Path):
        self._program = plane.tools / "helm"
        self._folder = folder
        self._environment = {**os.environ, **{f"HELM_{name}_HOME": str(folder) for name in ("CONFIG", "CACHE", "DATA")}}

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess:
        return subprocess.run([self._program, *arguments], env=self._environment, capture_output=True, text=True,
                              timeout=60)

    def template(self, *arguments: str | Path, values: str = "", release: str = "coredns") -> dict[tuple, dict]:
        """The objects that come out, by kind and name."""
        if values:
            file = self._folder / "values.yaml"
            file.write_text(values)
            arguments = (*arguments, "--values", file)
        done = self.run("template", release, CHART, "--namespace", "kube-system", "--kube-version", "v1.37.0",
                        *arguments)
        assert done.returncode == 0, done.stderr
        things = [thing for thing in yaml.safe_load_all(done.stdout) if thing]
        assert len({identity(thing) for thing in things}) == len(things)
        return {identity(thing): thing for thing in things}


@pytest.fixture(scope="module")
def helm(control_plane, tmp_path_factory) -> Helm:
    return Helm(control_plane, tmp_path_factory.mktemp("helm"))


def strip(thing):
    """Without the labels that every object of a chart has, and what changes with the chart's version."""
    if isinstance(thing, dict):
        return {key: strip(value) for key, value in thing.items() if not key.startswith(("app.kubernetes.io/", "helm.sh/"))
                and key != "checksum/config"}
    return [strip(one) for one in thing] if isinstance(thing, list) else thing


def compare(chart: dict[tuple, dict], manifests: list[dict]) -> list[str]:
    """What the chart lacks, and what it has beyond the manifests. The labels that mark the cluster's own services stand
    on every object of the chart; defaults that it spells out are the API's."""
    found = [f"{identity(thing)} is missing" for thing in manifests if identity(thing) not in chart]
    for thing in manifests:
        if identity(thing) not in chart:
            continue
        other = strip(chart[identity(thing)])
        found += [f"{identity(thing)}{line}" for line in without_defaults(thing, other)]
        found += [f"{identity(thing)} beyond: {line}" for line in without_defaults(other, thing)
                  if "kubernetes.io/cluster-service" not in line and "kubernetes.io/name" not in line]
    return found


API_DEFAULTS = {".spec.strategy.rollingUpdate.maxSurge is missing",
                ".spec.template.metadata.annotations is missing",
                ".spec.template.spec.terminationGracePeriodSeconds is missing",
                ".spec.template.spec.containers[0].livenessProbe.periodSeconds is missing",
                ".spec.template.spec.containers[0].livenessProbe.successThreshold is missing",
                *(f".spec.template.spec.containers[0].readinessProbe.{name} is missing" for name in (
                    "initialDelaySeconds", "periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold")),
                ".spec.type is missing", ".spec.template.spec.containers[0].imagePullPolicy is missing"}


def test_by_default_it_is_the_manifests(helm):
    chart = helm.template()
    manifests = documents(*MANIFESTS.glob("*.yaml"))
    assert {identity(thing) for thing in manifests} == set(chart)
    left = [line for line in compare(chart, manifests) if not any(line.endswith(known) for known in API_DEFAULTS)]
    assert left == []


def test_the_optional_parts_are_the_optional_manifests(helm):
    chart = helm.template("--set", "autoscaler.enabled=true,networkPolicy.enabled=true")
    manifests = documents(MANIFESTS / "optional" / "autoscaler.yaml", MANIFESTS / "optional" / "networkpolicy.yaml")
    left = [line for line in compare(chart, manifests) if not any(line.endswith(known) for known in API_DEFAULTS)]
    assert left == []
    assert "replicas" not in chart["Deployment", "coredns"]["spec"], "the autoscaler owns the number"


def test_the_api_server_takes_it(helm, control_plane):
    for arguments, values in (((), ""), (("--set", "autoscaler.enabled=true,networkPolicy.enabled=true"), ""),
                              (("--set", "fullnameOverride=theirs"), THEIRS)):
        things = helm.template(*arguments, values=values)
        text = yaml.safe_dump_all(things.values())
        control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename", "-", given=text)


def test_a_values_file_of_the_coredns_chart(helm, tmp_path):
    things = helm.template(values=THEIRS)
    corefile = things["ConfigMap", "coredns"]["data"]["Corefile"]
    assert "dns://.:53 {" in corefile and "example.org.:1053 example.net.:1053 {" in corefile
    (tmp_path / "Corefile").write_text(corefile)
    checked = subprocess.run([VIGIE, "check", "-conf", tmp_path / "Corefile"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    spec = things["Deployment", "coredns"]["spec"]
    assert "replicas" not in spec and things["HorizontalPodAutoscaler", "coredns"]["spec"]["maxReplicas"] == 5
    pod = spec["template"]["spec"]
    assert pod["serviceAccountName"] == "dns" and pod["imagePullSecrets"] == [{"name": "registry"}]
    container = pod["containers"][0]
    assert container["image"] == "registry.example.com/vigie:v1"
    assert container["resources"]["limits"]["cpu"] == "100m"
    assert {"name": "certificates", "mountPath": "/etc/coredns/tls", "readOnly": True} in container["volumeMounts"]
    assert pod["volumes"][0]["configMap"]["items"][1] == {"key": "example.db", "path": "example.db"}
    ports = things["Service", "my-dns"]["spec"]["ports"]
    assert {"name": "udp-1053", "port": 5353, "protocol": "UDP", "targetPort": 1053} in ports
    budget = things["PodDisruptionBudget", "coredns"]["spec"]
    assert budget["minAvailable"] == 1 and "maxUnavailable" not in budget
    assert "pods" in things["ClusterRole", "system:coredns"]["rules"][0]["resources"], "pods verified watches them"
    assert things["Service", "coredns-metrics"]["metadata"]["labels"]["team"] == "dns"


def test_a_release_of_the_coredns_chart_keeps_its_names(helm):
    """They are made from the release's name, and selectors cannot be changed."""
    things = helm.template("--values", CHART / "values-coredns-release.yaml", release="my-coredns")
    selector = {"app.kubernetes.io/instance": "my-coredns", "app.kubernetes.io/name": "coredns", "k8s-app": "coredns"}
    assert things["Deployment", "my-coredns"]["spec"]["selector"]["matchLabels"] == selector
    assert things["Service", "my-coredns"]["spec"]["selector"] == selector
    assert ("ConfigMap", "my-coredns") in things and ("ClusterRole", "my-coredns") in things
    assert ("Deployment", "other-coredns") in helm.template("--values", CHART / "values-coredns-release.yaml",
                                                            release="other")


@pytest.mark.parametrize("value, word", [("replicaCounts=2", "replicaCounts"), ("service.clusterIp=10.96.0.10", "clusterIp"),
                                         ("replicaCount=two", "replicaCount"),
                                         ("hpa.enabled=true,autoscaler.enabled=true", "exclude each other")])
def test_a_wrong_value_is_refused(helm, value, word):
    done = helm.run("template", "coredns", CHART, "--kube-version", "v1.37.0", "--set", value)
    assert done.returncode != 0 and word in done.stderr


def test_the_linter_has_nothing_to_say(helm):
    done = helm.run("lint", "--strict", CHART)
    assert done.returncode == 0, done.stdout
