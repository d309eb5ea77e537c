"""The manifests of deploy/kubernetes, given to a real API server."""
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from control_plane import ControlPlane
from processes import eventually
from servers import MANIFESTS, ServiceAccount

ADDON = Path(__file__).parent / "kubeadm" / "addon.yaml"
FILES = sorted(MANIFESTS.rglob("*.yaml"))


def documents(*files: Path) -> list[dict]:
    return [document for file in files for document in yaml.safe_load_all(file.read_text()) if document]


def identity(thing: dict) -> tuple[str, str]:
    return thing["kind"], thing["metadata"]["name"]


def live(plane: ControlPlane, thing: dict) -> dict:
    kind, name = identity(thing)
    return json.loads(plane.kubectl("get", kind, name, "--namespace", "kube-system", "--output", "json"))


def without_defaults(given, found, path: str = "") -> list[str]:
    """Where the object that the API server has differs from what the manifest says; what it adds is left out."""
    if isinstance(given, dict) and isinstance(found, dict):
        return [line for key, value in given.items() for line in
                ([f"{path}.{key} is missing"] if key not in found else
                 without_defaults(value, found[key], f"{path}.{key}"))]
    if isinstance(given, list) and isinstance(found, list):
        if len(given) != len(found):
            return [f"{path}: {len(found)} instead of {len(given)}"]
        return [line for number, (one, other) in enumerate(zip(given, found))
                for line in without_defaults(one, other, f"{path}[{number}]")]
    return [] if given == found else [f"{path}: {found!r} instead of {given!r}"]


def apply(plane: ControlPlane, *arguments: str | Path) -> str:
    """Applies with every word checked; a warning of the API server is an error."""
    done = subprocess.run([plane.tools / "kubectl", "--kubeconfig", plane.admin_kubeconfig, "apply", "--validate=strict",
                           *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def addon(control_plane):
    """A cluster as kubeadm leaves it, and the shipped manifests in it again when the module is done. The ServiceAccount
    stays: other tests have a token of it."""
    for file in MANIFESTS.glob("*.yaml"):
        if file.name != "rbac.yaml":
            control_plane.kubectl("delete", "--ignore-not-found", "--filename", file)
    apply(control_plane, "--filename", ADDON)
    yield documents(ADDON)
    control_plane.kubectl("apply", "--filename", MANIFESTS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(MANIFESTS)))
def test_each_passes_a_server_side_dry_run(control_plane, file):
    assert apply(control_plane, "--dry-run=server", "--filename", file)


def test_they_replace_kubeadms_addon_in_place(control_plane, addon):
    """Applied over it nothing is created anew but what kubeadm has not, and nothing refused: selectors, names and the
    Service's address are immutable."""
    before = {identity(thing): live(control_plane, thing) for thing in addon}
    said = apply(control_plane, "--filename", MANIFESTS).splitlines()
    created = {line.split()[0] for line in said if line.endswith(" created")}
    assert created == {"poddisruptionbudget.policy/coredns"}, said
    for thing in documents(*MANIFESTS.glob("*.yaml")):
        now = live(control_plane, thing)
        assert without_defaults(thing, now) == [], identity(thing)
        if identity(thing) in before:
            assert now["metadata"]["uid"] == before[identity(thing)]["metadata"]["uid"]
    service = live(control_plane, {"kind": "Service", "metadata": {"name": "kube-dns"}})
    assert service["spec"]["clusterIP"] == "10.96.0.10"


def test_changing_the_image_is_all_that_kubeadm_users_need(control_plane, addon):
    """The command of docs/migrating.md; kubeadm's own Deployment takes it."""
    apply(control_plane, "--filename", ADDON)
    for image in ("vigie:0.1.0", "registry.k8s.io/coredns/coredns:v1.14.7"):  # there and back
        control_plane.kubectl("--namespace", "kube-system", "set", "image", "deployment/coredns", f"coredns={image}")
        deployment = live(control_plane, {"kind": "Deployment", "metadata": {"name": "coredns"}})
        assert [one["image"] for one in deployment["spec"]["template"]["spec"]["containers"]] == [image]


def test_the_pod_keeps_the_restricted_profile(control_plane, api):
    """Pod Security "restricted", the strictest level that there is, lets it in (NET_BIND_SERVICE is what it allows)."""
    template = next(one for one in documents(MANIFESTS / "deployment.yaml"))["spec"]["template"]
    api.create_namespace("restricted", {"pod-security.kubernetes.io/enforce": "restricted"})
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", "namespace": "restricted"},
           "spec": {key: value for key, value in template["spec"].items() if key != "priorityClassName"}}
    control_plane.kubectl("create", "--dry-run=server", "--filename", "-", given=json.dumps(pod))
    del pod["spec"]["securityContext"]["runAsNonRoot"]
    with pytest.raises(AssertionError, match="violates PodSecurity"):
        control_plane.kubectl("create", "--dry-run=server", "--filename", "-", given=json.dumps(pod))


def test_the_account_may_only_look(control_plane):
    """It may list and watch what names are made of, and otherwise what every account may."""
    apply(control_plane, "--filename", MANIFESTS / "rbac.yaml")

    def rights(account: str) -> set[str]:
        lines = control_plane.kubectl("auth", "can-i", "--list", "--as", f"system:serviceaccount:kube-system:{account}",
                                      "--as-group", "system:serviceaccounts", "--as-group", "system:authenticated",
                                      "--namespace", "kube-system", "--no-headers").splitlines()
        return {f"{line.split()[0]} {line[line.rindex('['):]}" for line in lines}

    def own() -> set[str]:
        """Without that of optional/rbac-pods.yaml, which a test of `pods verified` may have applied."""
        return rights("coredns") - rights("default") - {"pods [list watch]"}
    eventually(own, {"namespaces [list watch]", "services [list watch]", "endpointslices.discovery.k8s.io [list watch]"})


def test_the_autoscaler_may_scale_one_deployment(control_plane):
    """And no other, in no other namespace."""
    apply(control_plane, "--filename", MANIFESTS / "optional" / "autoscaler.yaml")

    def may(*words: str) -> bool:
        done = subprocess.run([control_plane.tools / "kubectl", "--kubeconfig", control_plane.admin_kubeconfig, "auth",
                               "can-i", *words, "--as", "system:serviceaccount:kube-system:kube-dns-autoscaler"],
                              capture_output=True, text=True, timeout=60)
        return done.stdout.strip() == "yes"
    eventually(lambda: may("update", "deployments/coredns", "--subresource=scale", "--namespace=kube-system"), True)
    eventually(lambda: may("watch", "nodes"), True)
    assert not may("update", "deployments/other", "--subresource=scale", "--namespace=kube-system")
    assert not may("update", "deployments/coredns", "--subresource=scale", "--namespace=default")
    assert not may("get", "configmaps/coredns", "--namespace=kube-system")


def test_the_parts_fit_together():
    """Selectors, ports and names that have to agree, in all files."""
    things = {identity(thing): thing for thing in documents(*FILES)}
    deployment = things["Deployment", "coredns"]["spec"]
    pod = deployment["template"]
    labels = pod["metadata"]["labels"]
    for selector in (deployment["selector"]["matchLabels"], things["Service", "kube-dns"]["spec"]["selector"],
                     things["PodDisruptionBudget", "coredns"]["spec"]["selector"]["matchLabels"],
                     things["NetworkPolicy", "coredns"]["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
    container = pod["spec"]["containers"][0]
    offered = {(port["containerPort"], port["protocol"]) for port in container["ports"]}
    assert {(port["targetPort"], port["protocol"]) for port in things["Service", "kube-dns"]["spec"]["ports"]} <= offered
    let_in = {(port["port"], port["protocol"]) for rule in things["NetworkPolicy", "coredns"]["spec"]["ingress"]
              for port in rule["ports"]}
    assert let_in == offered
    assert pod["spec"]["serviceAccountName"] == things["ServiceAccount", "coredns"]["metadata"]["name"]
    assert pod["spec"]["volumes"][0]["configMap"]["name"] == things["ConfigMap", "coredns"]["metadata"]["name"]


def test_what_the_configuration_needs_of_the_api_is_allowed(control_plane, account: ServiceAccount, start_server):
    """The ConfigMap's own Corefile, with its ports replaced, under the ServiceAccount: it becomes ready."""
    text = documents(MANIFESTS / "configmap.yaml")[0]["data"]["Corefile"]
    for given, local in ((".:53", ".:PORT"), ("health {", "health 127.0.0.1:HEALTH {"), ("ready\n", "ready 127.0.0.1:READY\n"),
                         ("/etc/resolv.conf", "127.0.0.1:UPSTREAM"), ("prometheus :9153", "prometheus 127.0.0.1:0")):
        text = text.replace(given, local)
    server = start_server("vigie", text)
    assert server.ask("kubernetes.default.svc.cluster.local").answer
