"""A cluster whose table is larger than the CPU's caches: vigie looks ahead at all queries of a batch. Each is answered for
itself, whatever stands beside it. They come while vigie is stopped, so that they make full batches."""
import signal
import socket

import dns.flags
import dns.message
import dns.rcode

import cluster_objects
from vigie_process import addresses, wait_for

COREFILE = """.:PORT {
    bind 127.0.0.1
    workers 1
    kubernetes cluster.local in-addr.arpa {
        snapshot SNAPSHOT
    }
}
"""
SERVICES = 5000
ASKED = 200  # three full batches, and one that is not


def address(number: int) -> str:
    return f"10.{96 + number // 65536}.{number // 256 % 256}.{number % 256}"


def question(number: int) -> dns.message.Message:
    """Of every fifth kind: there, in capitals, not there, elsewhere, by address."""
    service = number * 23 % SERVICES
    text = [f"s{service}.default.svc.cluster.local", f"S{service}.Default.SVC.cluster.local",
            f"t{service}.default.svc.cluster.local", f"s{service}.example.org",
            ".".join(reversed(address(service).split("."))) + ".in-addr.arpa"][number % 5]
    query = dns.message.make_query(text, "PTR" if number % 5 == 4 else "A", use_edns=number % 3 == 0)
    query.id = number
    return query


def check(number: int, reply: dns.message.Message) -> None:
    service = number * 23 % SERVICES
    if number % 5 < 2:
        assert addresses(reply) == [address(service)]
    elif number % 5 == 2:
        assert reply.rcode() == dns.rcode.NXDOMAIN
    elif number % 5 == 3:
        assert reply.rcode() == dns.rcode.REFUSED
    else:
        assert reply.answer[0][0].to_text() == f"s{service}.default.svc.cluster.local."


def test_batches(start, tmp_path):
    objects = [cluster_objects.namespace("default")]
    objects += [cluster_objects.service(f"s{i}", address(i)) for i in range(SERVICES)]
    path = cluster_objects.write_snapshot(tmp_path / "large.json", objects)
    vigie = start(COREFILE.replace("SNAPSHOT", str(path)))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        client.connect(("127.0.0.1", vigie.port))
        client.settimeout(10)
        vigie.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: "State:\tT" in open(f"/proc/{vigie.process.pid}/status").read(), "it stands still")
        malformed = 0
        for number in range(ASKED):
            client.send(question(number).to_wire())
            if number % 7 == 0:
                client.send(b"\xff\xff\x01\x00\x00\x01\0\0\0\0\0\0" + b"\x3fabc")  # a label that is cut off
                malformed += 1
        vigie.process.send_signal(signal.SIGCONT)
        seen = set()
        for _ in range(ASKED + malformed):
            wire = client.recv(4096)
            if wire[:2] == b"\xff\xff":
                assert wire[3] & 15 == dns.rcode.FORMERR
                malformed -= 1
                continue
            reply = dns.message.from_wire(wire)
            assert question(reply.id).is_response(reply)
            check(reply.id, reply)
            seen.add(reply.id)
    assert malformed == 0 and len(seen) == ASKED
