"""The watcher and a real API server: the encoding, its end and return, and a start beside CoreDNS."""
import contextlib
import http.client
import re
import signal
import threading
import time

from asker import UdpAsker
from objects import service
from processes import wait_for
from questions import A, Question, labels_of
from servers import corefile

SERVICES = 300
SEEN_SECONDS = 2  # after the API server's return


def detail(server) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.ready, timeout=5)
    connection.request("GET", "/ready/detail")
    return connection.getresponse().read().decode()


def test_watches_are_in_protobuf(start_server):
    vigie = start_server("vigie")
    lines = wait_for(lambda: detail(vigie).splitlines(), "the detail")
    assert len(lines) == 3
    for line in lines:
        assert re.search(r": synced, last heard of \d+ s ago, at version \d+, in protobuf$", line), lines


def test_the_api_server_is_killed_and_comes_back(start_server, control_plane, api, namespace):
    """No answer is wrong or missing while it is away, and afterwards changes are seen soon."""
    vigie = start_server("vigie", corefile(options=["ttl 0"]))
    api.create(service(namespace, "stays"))
    question = Question(labels_of(f"stays.{namespace}.svc.cluster.local"), A)
    wait_for(lambda: vigie.ask(f"stays.{namespace}.svc.cluster.local").answer, "the service to be served")
    ending = threading.Event()
    bad: list[bytes | None] = []
    asked = 0

    def ask() -> None:
        nonlocal asked
        asker = UdpAsker(vigie.port)
        while not ending.is_set():
            answers = asker.ask([question] * 500)
            asked += len(answers)
            bad.extend(answer for answer in answers if answer is None or answer[3] & 15 or answer[6:8] != b"\0\1")
        asker.close()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        control_plane.api_server.stop(signal.SIGKILL)
        time.sleep(3)
        control_plane.api_server.start()
        control_plane.wait_until_ready()
        control_plane.api.create(service(namespace, "late"))
        created = time.monotonic()
        wait_for(lambda: vigie.ask(f"late.{namespace}.svc.cluster.local").answer, "the change to be seen")
        seen = time.monotonic() - created
        wait_for(lambda: all("cannot" not in line for line in detail(vigie).splitlines()), "the watches to be back")
    finally:
        ending.set()
        thread.join()
        with contextlib.suppress(OSError, http.client.HTTPException):
            api.raw("GET", "/readyz")  # over the connection that broke, which is replaced
    print(f"\n{asked} queries, {len(bad)} wrong or lost; a change was seen {seen:.2f} s after its API call returned")
    assert asked > 1000 and not bad
    assert seen < SEEN_SECONDS + 3  # the machine is slow at times; the figure is printed


def test_start_to_ready_beside_coredns(start_server, api, namespace):
    for number in range(SERVICES):
        api.create(service(namespace, f"s-{number}"))
    print()
    for kind in ("vigie", "coredns"):
        began = time.monotonic()
        server = start_server(kind)
        print(f"{kind:8} ready {time.monotonic() - began:.2f} s after its start")
        assert server.ask(f"s-{SERVICES - 1}.{namespace}.svc.cluster.local").answer
