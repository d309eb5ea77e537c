"""The ports that the benchmarks' servers get are nobody's, in either family: a server may listen on all addresses."""
import socket
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import contenders  # noqa: E402


def test_used_ports_are_passed_over():
    ports = contenders.Ports()
    first = ports.take()
    used = []
    try:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                ports.next = first - 1
                port = ports.take()  # also what another process has taken meanwhile is passed over
                used.append(socket.socket(family, kind))
                used[-1].bind((address, port))
                ports.next = first - 1
                assert ports.take() > port
    finally:
        for each in used:
            each.close()
