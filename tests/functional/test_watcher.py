"""The watcher against a stub API server that fails in every way: what was known is served throughout, and in the end the
table is what a fresh list would give."""
import datetime
import re
import signal
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_objects import endpoint_slice, namespace, service  # noqa: E402
from stub_api_server import Fault, Stored, StubApiServer, Stream  # noqa: E402
from vigie_process import Vigie, addresses, free_port, wait_for  # noqa: E402



@pytest.fixture
def server(tmp_path, request):
    with StubApiServer(tmp_path / "stub", **getattr(request, "param", {})) as server:
        server.put(namespace("default"), service("web", "10.96.0.10"), service("set"),
                   endpoint_slice("set", ["10.244.0.1", "10.244.0.2"]))
        yield server


@pytest.fixture
def start_watching(server, start):
    def make(*options: str, wait: bool = True) -> Vigie:
        lines = "\n".join(["startup_timeout 20s" if wait else "startup_timeout 0", server.corefile_option(), *options])
        return start(".:PORT {\nkubernetes cluster.local in-addr.arpa ip6.arpa {\n" + lines + "\n}\n}\n")
    return make


def asked(vigie: Vigie, name: str) -> list[str]:
    return sorted(addresses(vigie.ask(f"{name}.default.svc.cluster.local")))


def becomes(vigie: Vigie, name: str, wanted: list[str]) -> None:
    wait_for(lambda: asked(vigie, name) == sorted(wanted), f"{name} to be {wanted}\n{vigie.log()}")


_number = iter(range(1, 250))


def change_is_seen(server: StubApiServer, vigie: Vigie) -> None:
    """Something new is answered, and what was there still is."""
    number = next(_number)
    server.put(service(f"new-{number}", f"10.96.9.{number}"))
    becomes(vigie, f"new-{number}", [f"10.96.9.{number}"])
    assert asked(vigie, "web") == ["10.96.0.10"]
    assert asked(vigie, "set") == ["10.244.0.1", "10.244.0.2"]


in_both_encodings = pytest.mark.parametrize("server", [{"protobuf": True}, {"protobuf": False}],
                                            ids=["protobuf", "json"], indirect=True)


# how a stream can end, and be taken up again

@in_both_encodings
def test_changes(server, start_watching):
    vigie = start_watching()
    server.put(service("web", "10.96.0.11"))
    becomes(vigie, "web", ["10.96.0.11"])
    server.put(endpoint_slice("set", ["10.244.0.3"]))
    becomes(vigie, "set", ["10.244.0.3"])
    server.delete(endpoint_slice("set", []))
    becomes(vigie, "set", [])
    server.delete(service("web"))
    becomes(vigie, "web", [])


def test_a_stream_that_ends_is_resumed_without_a_list(server, start_watching):
    vigie = start_watching()
    change_is_seen(server, vigie)
    for end in (Stream.finish, Stream.break_off, Stream.reset):
        end(server.watch("services"))
        change_is_seen(server, vigie)
    lists = [query for verb, plural, query in server.requests if plural == "services"
             and "sendInitialEvents" in query]
    assert len(lists) == 1


def test_the_server_is_away(server, start_watching):
    vigie = start_watching()
    server.stop()
    for _ in range(20):
        assert asked(vigie, "web") == ["10.96.0.10"]
    vigie.wait_for_log("cannot watch services")
    server.start()
    change_is_seen(server, vigie)
    assert len([query for _, plural, query in server.requests
                if plural == "services" and "sendInitialEvents" in query]) == 1


def test_it_starts_before_the_server(server, start_watching):
    server.stop()
    vigie = start_watching(wait=False)
    assert vigie.ask("web.default.svc.cluster.local").rcode() == 2
    server.start()
    for name, wanted in (("web", ["10.96.0.10"]), ("set", ["10.244.0.1", "10.244.0.2"])):
        becomes(vigie, name, wanted)
    change_is_seen(server, vigie)


# refusals

def test_a_refusal_passes(server, start_watching):
    vigie = start_watching()
    for status in (401, 403, 404, 500, 503):
        # a token is tried once more before anything is said
        fault = Fault(verb="watch", plural="services", status=status, times=2 if status == 401 else 1)
        server.faults.append(fault)
        server.watch("services").finish()
        vigie.wait_for_log(f"cannot watch services: {status} as the test wants it")
        change_is_seen(server, vigie)
        assert fault.times == 0


def test_too_many_requests_waits_as_long_as_it_is_told(server, start_watching):
    vigie = start_watching()
    server.faults.append(Fault(verb="watch", plural="services", status=429, headers={"Retry-After": "2"}))
    server.watch("services").finish()
    wait_for(lambda: server.faults[0].times == 0, "the request that is refused")
    refused = time.monotonic()
    change_is_seen(server, vigie)
    assert time.monotonic() - refused > 1.5


def test_the_token_is_replaced(server, start_watching):
    vigie = start_watching()
    server.tokens = {"another"}
    server.token_file.write_text("another\n")
    server.watch("services").break_off()
    change_is_seen(server, vigie)


# lists

def test_an_older_server_is_asked_for_pages(server, start_watching):
    server.watch_list = False
    server.put(*[service(f"many-{number}", f"10.97.{number // 250}.{number % 250 + 1}") for number in range(1200)])
    vigie = start_watching()
    assert server.count("list", "services") == 3
    assert asked(vigie, "many-1199") == ["10.97.4.200"]
    change_is_seen(server, vigie)


def test_an_expired_continue_token(server, start_watching):
    server.watch_list = False
    server.put(*[service(f"many-{number}", f"10.97.{number // 250}.{number % 250 + 1}") for number in range(1200)])
    server.faults += [Fault(verb="list", plural="services", act=lambda stream: None, times=1),
                      Fault(verb="list", plural="services", act=lambda stream: server.expire_pages(), times=1)]
    vigie = start_watching()
    assert asked(vigie, "many-1199") == ["10.97.4.200"]
    assert server.count("list", "services") >= 5


@pytest.mark.parametrize("how", ["event", "status"])
def test_a_version_that_is_too_old_is_listed_anew(server, start_watching, how):
    vigie = start_watching()
    stream = server.watch("services")
    stream.hold()
    server.delete(service("web"))
    server.put(service("late", "10.96.0.77"))
    server.compact()
    if how == "event":
        stream.error(410)
    else:
        stream.break_off()
    becomes(vigie, "web", [])  # it was deleted while nobody looked
    becomes(vigie, "late", ["10.96.0.77"])
    assert asked(vigie, "set") == ["10.244.0.1", "10.244.0.2"]


def test_etcd_is_restored_from_a_backup(server, start_watching):
    """The version goes back, and so does the state."""
    vigie = start_watching()
    change_is_seen(server, vigie)
    server.stop()
    server.delete(service("web"))
    server.go_back(500)
    server.put(service("old", "10.96.0.88"))
    server.start()
    becomes(vigie, "old", ["10.96.0.88"])
    becomes(vigie, "web", [])
    server.put(service("web", "10.96.0.10"))
    change_is_seen(server, vigie)


# broken streams

WRECKS = [lambda data: data[:len(data) // 2], lambda data: b"<html>" + data, lambda data: data.replace(b"{", b"["),
          lambda data: bytes(1000), lambda data: b""]


@pytest.mark.parametrize("watch_list", [True, False], ids=["stream", "list"])
def test_a_broken_list_takes_nothing_away(server, start_watching, watch_list):
    """While a list is broken what was known stays; the next good one is taken."""
    server.watch_list = watch_list
    vigie = start_watching()
    for wreck in WRECKS:
        fault = Fault(verb="watch" if watch_list else "list", plural="services", wreck=wreck)
        if watch_list:  # a stream that was cut short only ends with the connection
            fault.act = lambda stream: (setattr(stream.response, "end", stream.response.close), stream.finish())
        server.faults.append(fault)
        server.compact()
        server.watch("services").error(410)
        while fault.times > 0:
            assert asked(vigie, "web") == ["10.96.0.10"]
        change_is_seen(server, vigie)


@in_both_encodings
def test_rubbish_within_a_stream(server, start_watching):
    vigie = start_watching()
    for rubbish in (b"{]", b'{"type":"ADDED"}', b'{"type":"ADDED","object":[]}', b'"text"', b"\xff\xfe", b"}"):
        server.watch("services").send(rubbish)
        change_is_seen(server, vigie)


@in_both_encodings
def test_strange_events_are_passed_over(server, start_watching):
    vigie = start_watching()
    stream = server.watch("services")
    stream.send({"type": "RENAMED", "object": {"metadata": {"name": "x", "resourceVersion": "1001"}}})
    stream.send({"type": "ADDED", "object": {"kind": "Service", "metadata": {"name": "x", "labels": "no"}, "more": {}}})
    stream.send({"type": "ADDED", "object": {"kind": "Service", "metadata": {"name": "-", "namespace": "default"},
                                             "spec": {"clusterIPs": ["10.0.0.1"], "unknown": [[{}]]}}})
    stream.send({"type": "DELETED", "object": service("never-was")})
    stream.send({"type": "ADDED", "object": service("strange", "10.96.0.99"), "extra": {"deep": [1, 2, {"a": None}]}})
    becomes(vigie, "strange", ["10.96.0.99"])
    change_is_seen(server, vigie)


def test_an_object_of_two_megabytes(server, start_watching):
    vigie = start_watching()
    fat = service("fat", "10.96.0.44")
    fat["metadata"]["annotations"] = {"note": "x" * (2 << 20)}
    server.put(fat)
    becomes(vigie, "fat", ["10.96.0.44"])
    change_is_seen(server, vigie)


def test_events_twice_and_in_another_order(server, start_watching):
    vigie = start_watching()
    stream = server.watch("endpointslices")
    for octet in (5, 6, 5, 6):
        stream.send({"type": "MODIFIED", "object": endpoint_slice("set", [f"10.244.0.{octet}"])})
    becomes(vigie, "set", ["10.244.0.6"])
    stream.send({"type": "DELETED", "object": endpoint_slice("set", [])})
    stream.send({"type": "DELETED", "object": endpoint_slice("set", [])})
    stream.send({"type": "ADDED", "object": endpoint_slice("set", ["10.244.0.1", "10.244.0.2"])})
    change_is_seen(server, vigie)


@in_both_encodings
def test_a_slow_drip(server, start_watching):
    """Byte by byte, in pieces that TLS makes of it."""
    vigie = start_watching()
    stream = server.watch("services")
    for byte in stream.event("ADDED", Stored(service("drip", "10.96.0.45")).encoded(stream.proto)):
        stream.send(bytes([byte]))
    becomes(vigie, "drip", ["10.96.0.45"])


# connections

def test_a_new_certificate_and_ca(server, start_watching):
    """The CA's file is read anew for each connection."""
    vigie = start_watching()
    server.change_certificate()
    server.http.disconnect()
    change_is_seen(server, vigie)


def test_a_certificate_that_nobody_vouches_for(server, start_watching):
    vigie = start_watching()
    old = server.certificate.read_bytes()
    server.change_certificate()
    new = server.certificate.read_bytes()
    server.certificate.write_bytes(old)
    server.http.disconnect()
    vigie.wait_for_log("cannot watch services: .*certificate")
    assert asked(vigie, "web") == ["10.96.0.10"]
    server.certificate.write_bytes(new)
    change_is_seen(server, vigie)


def test_a_redirect_is_not_followed(server, start_watching):
    """The token is for this server alone."""
    server.faults.append(Fault(status=302, headers={"Location": "https://127.0.0.1:1/api/v1/services"}))
    vigie = start_watching(wait=False)
    vigie.wait_for_log("cannot watch services: 302")
    change_is_seen(server, vigie)


# staleness

def test_a_half_open_stream_is_replaced(server, start_watching):
    """Bookmarks keep the others alive."""
    server.bookmark_seconds = 0.3
    vigie = start_watching("watch_silence 6s")  # long enough for a busy machine to send a bookmark
    server.watch("services").hold()
    change_is_seen(server, vigie)
    vigie.wait_for_log("cannot watch services: the stream was silent for too long")
    assert server.count("watch", "endpointslices") == 1


def test_a_connection_that_says_nothing(server, start_watching):
    """Accepted, and then silence: as with a load balancer that has no server behind it."""
    vigie = start_watching()
    server.http.silent = True
    server.http.disconnect()
    vigie.wait_for_log("cannot watch services: ")
    assert asked(vigie, "web") == ["10.96.0.10"]
    server.http.silent = False
    change_is_seen(server, vigie)


def test_a_signal_has_everything_listed_anew(server, start_watching):
    vigie = start_watching()
    server.watch("services").send({"type": "DELETED", "object": service("web")})
    becomes(vigie, "web", [])
    vigie.process.send_signal(signal.SIGUSR2)
    becomes(vigie, "web", ["10.96.0.10"])
    change_is_seen(server, vigie)
    newest = [query for verb, plural, query in server.requests if plural == "services"][-1]
    assert newest["sendInitialEvents"] == "true" and "resourceVersion" not in newest  # past the caches


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_what_it_says_of_itself(server, start):
    ready, metrics = free_port(), free_port()
    server.bookmark_seconds = 0.2
    vigie = start(f".:PORT {{\nready 127.0.0.1:{ready}\nprometheus 127.0.0.1:{metrics}\nkubernetes cluster.local {{\n"
                  f"startup_timeout 20s\n{server.corefile_option()}\n}}\n}}\n")
    server.put(endpoint_slice("set", ["10.244.0.1", "10.244.0.2"]))
    trigger = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    late = endpoint_slice("set", ["10.244.0.3"], suffix="2")
    late["metadata"]["annotations"] = {"endpoints.kubernetes.io/last-change-trigger-time": trigger}
    server.put(late)
    becomes(vigie, "set", ["10.244.0.1", "10.244.0.2", "10.244.0.3"])

    status, text = get(ready, "/ready/detail")
    assert status == 200
    assert re.search(rf"^kubernetes 127.0.0.1:{server.port} services: synced, last heard of \d+ s ago, at version \d+, in protobuf$",
                     text, re.MULTILINE), text
    page = get(metrics, "/metrics")[1]
    for line in (r'vigie_kubernetes_synced{zone="cluster.local.",kind="services"} 1',
                 r'vigie_kubernetes_watch_age_seconds{zone="cluster.local.",kind="endpointslices"} 0\.\d+',
                 r'vigie_kubernetes_bad_objects_total{zone="cluster.local.",kind="services"} 0',
                 r'vigie_records{zone="cluster.local.",kind="endpoints"} 3',
                 r'vigie_records_bytes{zone="cluster.local.",kind="answers"} [1-9]\d+',
                 r'vigie_records_bytes{zone="cluster.local.",kind="addresses"} [1-9]\d+',
                 r'coredns_kubernetes_dns_programming_duration_seconds_count'
                 r'{service_kind="headless_with_selector"} 1',
                 rf'coredns_kubernetes_rest_client_request_duration_seconds_count'
                 rf'{{verb="GET",host="127.0.0.1:{server.port}"}} 3'):
        assert re.search("^" + line.replace("{zone", r"\{zone"), page, re.MULTILINE), f"{line}\n{page}"

    server.stop()
    wait_for(lambda: "cannot watch services" in get(ready, "/ready/detail")[1], "the trouble to be told")
    assert get(ready, "/ready") == (200, "OK")
    server.start()
    wait_for(lambda: "cannot" not in get(ready, "/ready/detail")[1], "the end of the trouble")
    page = get(metrics, "/metrics")[1]
    assert re.search(rf'^coredns_kubernetes_rest_client_requests_total'
                     rf'{{code="200",method="GET",host="127.0.0.1:{server.port}"}} [3-9]', page, re.MULTILINE), page
