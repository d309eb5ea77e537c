"""An operator changes the image of the cluster's DNS and nothing else: under kubeadm's own ConfigMap and ServiceAccount,
while a client asks 1,000 names a second, nobody notices."""
import json
import os
import selectors
import signal
import socket
import struct
import threading
import time
from pathlib import Path

import dns.rcode
import dns.rdatatype
import pytest

from asker import Answer, parse
from objects import reverse, service
from pod_network import PodNetwork
from processes import Process, listens, wait_for
from questions import A, AAAA, PTR, SRV, Question, labels_of
from servers import VIGIE, WORLD, ServiceAccount, create_token

ADDON = Path(__file__).parent / "kubeadm" / "addon.yaml"
SERVICES = 300
RATE = 1000        # questions a second
WAITING = 64       # for an answer, at most: a client that had to wait for the CPU must not flood the servers afterwards
SO_RCVBUFFORCE = 33
LOST = 5.0         # seconds after which a client has given up
PROXY_LAG = 1.0    # seconds until the last node has heard that an endpoint goes


class Client:
    """Asks the endpoints of a Service in turn, as clients behind kube-proxy do."""

    def __init__(self, network: PodNetwork, questions: list[Question]):
        self._network, self._questions = network, questions
        self._sockets: dict[str, socket.socket] = {}
        self._selector = selectors.DefaultSelector()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.endpoints: list[str] = []
        self.asked = 0
        self.failed: list[str] = []
        self.answers: dict[str, dict[int, bytes]] = {}  # of each endpoint, by the number of the question

    def wait_for_all(self, address: str) -> None:
        """Until each question was answered there; at once when one was not."""
        wait_for(lambda: self.failed or len(self.answers[address]) == len(self._questions), f"all answers of {address}")

    def use(self, *addresses: str) -> None:
        for address in addresses:
            if address not in self._sockets:
                one = self._network.hub.call(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                one.connect((address, 53))
                one.setblocking(False)
                one.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)  # a client that is late loses nothing
                self.answers[address] = {}
                self._sockets[address] = one
                self._selector.register(one, selectors.EVENT_READ, address)
        self.endpoints = list(addresses)

    def start(self) -> "Client":
        self._thread.start()
        return self

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        for one in self._sockets.values():
            one.close()

    def _run(self) -> None:
        began = time.monotonic()
        waiting: dict[int, tuple[int, str, float]] = {}
        swept = began
        while not self._stopping.is_set() or waiting:
            now = time.monotonic()
            while not self._stopping.is_set() and self.asked < (now - began) * RATE and len(waiting) < WAITING:
                number = self.asked % len(self._questions)
                address = self.endpoints[self.asked % len(self.endpoints)]
                identifier = self.asked & 0xffff
                waiting[identifier] = (number, address, now)
                self.asked += 1
                try:
                    self._sockets[address].send(self._questions[number].wire(identifier))
                except ConnectionError as error:  # an ICMP message for an earlier one
                    self.failed.append(f"{address}: {error}")
            for key, _ in self._selector.select(0.002):
                self._receive(key.fileobj, key.data, waiting)
            if now < swept + 0.5:
                continue
            swept = now
            for identifier in [one for one, (_, _, when) in waiting.items() if when < now - LOST]:
                number, address, _ = waiting.pop(identifier)
                self.failed.append(f"{address}: no answer to {self._questions[number]}")

    def _receive(self, one: socket.socket, address: str, waiting: dict[int, tuple[int, str, float]]) -> None:
        while True:
            try:
                data = one.recv(65535)
            except BlockingIOError:
                return
            except ConnectionError as error:
                self.failed.append(f"{address}: {error}")
                continue
            number, asked_of, _ = waiting.pop(struct.unpack_from("!H", data)[0], (None, "", 0))
            if number is None or asked_of != address:
                continue
            if data[3] & 15 not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                self.failed.append(f"{address}: {self._questions[number]}: {dns.rcode.to_text(data[3] & 15)}")
            self.answers[address][number] = data


def corefile(control_plane, folder: Path) -> Path:
    """The ConfigMap's, as it stands in the cluster."""
    data = json.loads(control_plane.kubectl("get", "configmap", "coredns", "--namespace", "kube-system", "--output", "json"))
    file = folder / "Corefile"
    file.write_text(data["data"]["Corefile"])
    return file


def comparable(answer: Answer) -> tuple:
    """Answers from outside count their TTL down."""
    return answer.rcode, *(tuple(row[:2] + row[3:] for row in section)
                           for section in (answer.answer, answer.authority, answer.additional))


@pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")
def test_nobody_notices(control_plane, api, namespace, tmp_path):
    control_plane.kubectl("apply", "--filename", ADDON)
    account = ServiceAccount(control_plane, tmp_path / "account", create_token(control_plane))
    addresses = [api.create(service(namespace, f"name-{number}", [{"name": "http", "port": 80}]))["spec"]["clusterIP"]
                 for number in range(SERVICES)]
    names = [f"name-{number}.{namespace}.svc.cluster.local" for number in range(SERVICES)]
    questions = [Question(labels_of(name), rdtype) for name in names for rdtype in (A, AAAA)]
    questions += [Question(labels_of(f"_http._tcp.{name}"), SRV) for name in names]
    questions += [Question(labels_of(reverse(address)), PTR) for address in addresses]
    questions += [Question(labels_of(f"missing-{number}.{namespace}.svc.cluster.local"), A) for number in range(100)]
    questions += [Question(labels_of(name), A) for name in ("foo.example.com", "alias.example.net", "missing.example.com",
                                                           "foo.example.com.svc.cluster.local")]

    network = PodNetwork(control_plane, tmp_path / "network")
    client = Client(network, questions)
    file = corefile(control_plane, tmp_path)
    (tmp_path / "world.zone").write_text(WORLD)
    (tmp_path / "world").write_text(f".:53 {{\n    file {tmp_path}/world.zone .\n}}\n")
    world = Process("world", [*network.hub.enter(), control_plane.tools / "coredns", "-conf", tmp_path / "world"], tmp_path)
    try:
        world.start()
        wait_for(lambda: world.check() or network.hub.call(lambda: listens(53)), "the world to answer")
        coredns = network.pod("coredns", [control_plane.tools / "coredns", "-conf", file], account.folder).start()
        client.use(coredns.address)
        wait_for(lambda: coredns.answers(), "CoreDNS, which is ready before it listens, to answer")
        client.start()
        client.wait_for_all(coredns.address)

        vigie = network.pod("vigie", [VIGIE, "-conf", file], account.folder).start()
        client.use(coredns.address, vigie.address)  # it is ready, and joins the Service
        time.sleep(1)
        os.kill(coredns.process.pid, signal.SIGTERM)
        time.sleep(PROXY_LAG)
        client.use(vigie.address)
        assert coredns.process.stop(0) is not None, "CoreDNS ends behind its lame-duck time"
        time.sleep(len(questions) / RATE)
        client.wait_for_all(vigie.address)
        client.stop()
        theirs, ours = client.answers[coredns.address], client.answers[vigie.address]
        assert vigie.process.stop() == 0
    finally:
        client._stopping.set()
        network.close()
        world.stop()
        for log in (tmp_path / "network").rglob("*.log"):
            print(f"== {log.name}\n{log.read_text(errors='replace')[-3000:]}")
    print(f"{client.asked} questions, {len(client.failed)} failed")
    assert client.failed == []
    assert len(ours) == len(theirs) == len(questions)
    different = []
    for number, question in enumerate(questions):
        mine, other = parse(question, ours[number]), parse(question, theirs[number])
        if comparable(mine) != comparable(other):
            different.append(f"{question}\nvigie:   {mine}\nCoreDNS: {other}")
    assert different == [], "\n".join(different[:10])
