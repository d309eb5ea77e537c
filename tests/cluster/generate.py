"""Fills something with a synthetic cluster (synthetic.py), and churns it if asked to.

    python tests/cluster/generate.py --services 10000 --endpoints 150000 snapshot FILE
    python tests/cluster/generate.py --services 10000 --endpoints 150000 stub FOLDER [--churn RATE]
    python tests/cluster/generate.py --services 1000 --endpoints 15000 server KUBECONFIG [--churn RATE]

`stub` serves a stub API server until it is interrupted and leaves FOLDER/kubeconfig. `server` fills a real API server
through `kubectl` ($KUBECTL). --churn makes that many events a second until it is interrupted.
"""
import argparse
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from stub_api_server import StubApiServer
from synthetic import Cluster, Event, Object

BATCH = 500  # objects that one kubectl creates


def write_snapshot(path: Path, objects: Iterable[Object]) -> None:
    """What `kubectl get services,endpointslices,namespaces,pods -A -o json` prints, object by object."""
    with path.open("w") as file:
        file.write('{"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": [')
        for number, thing in enumerate(objects):
            file.write((",\n" if number else "\n") + json.dumps(thing))
        file.write("\n]}\n")


def churn(cluster: Cluster, rate: float, apply: Callable[[Event], None]) -> None:
    """`rate` events a second, for ever."""
    due = time.monotonic()
    for event in cluster.churn():
        apply(event)
        due += 1 / rate
        time.sleep(max(0.0, due - time.monotonic()))


class RealServer:
    def __init__(self, kubeconfig: Path):
        self._command = [os.environ.get("KUBECTL", "kubectl"), "--kubeconfig", str(kubeconfig)]

    def _run(self, *words: str, given: list[Object]) -> None:
        for thing in given:  # the server gives these itself
            for name in ("uid", "resourceVersion", "creationTimestamp"):
                thing["metadata"].pop(name, None)
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": given})
        subprocess.run([*self._command, *words, "--filename", "-"], input=text, text=True, check=True,
                       stdout=subprocess.DEVNULL)

    def fill(self, objects: Iterable[Object]) -> None:
        batch: list[Object] = []
        for thing in objects:
            batch.append(thing)
            if len(batch) == BATCH:
                self._run("create", given=batch)
                batch = []
        if batch:
            self._run("create", given=batch)

    def apply(self, event: Event) -> None:
        kind, thing = event
        self._run(*(["apply", "--server-side", "--force-conflicts"] if kind == "put" else ["delete"]), given=[thing])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--namespaces", type=int, default=100)
    parser.add_argument("--services", type=int, default=1000)
    parser.add_argument("--endpoints", type=int, default=15000)
    parser.add_argument("--headless", type=float, default=0.1, help="share of headless services")
    parser.add_argument("--dual", type=float, default=0.1, help="share of dual-stack services")
    parser.add_argument("--pods", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--churn", type=float, default=0, help="events a second")
    parser.add_argument("target", choices=["snapshot", "stub", "server"])
    parser.add_argument("path", type=Path)
    options = parser.parse_args()
    cluster = Cluster(options.services, options.endpoints, options.namespaces, options.headless, options.dual,
                      options.pods, options.seed)
    if options.target == "snapshot":
        write_snapshot(options.path, cluster.objects())
        return
    if options.target == "server":
        server = RealServer(options.path)
        server.fill(cluster.objects())
    else:
        server = StubApiServer(options.path)
        server.fill(cluster.objects())
        server.start()
    print(f"{len(cluster.services)} services, {cluster.endpoint_count} endpoints", flush=True)
    if options.churn:
        churn(cluster, options.churn, server.apply)
    while options.target == "stub":
        time.sleep(3600)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        pass
