"""The watcher against a stub API server that fails in every way: what was known is served throughout, and in the end the
table is what a fresh list would give."""
import datetime
import itertools
import random
import re
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.message
import dns.reversename
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "cluster"))

from cluster_objects import endpoint, endpoint_slice, namespace, service  # noqa: E402
from metrics_page import Page  # noqa: E402
from stub_api_server import Fault, Stored, StubApiServer, Stream  # noqa: E402
from synthetic import Cluster  # noqa: E402
from vigie_process import Vigie, addresses, free_port, own_file, records, wait_for  # noqa: E402



@pytest.fixture
def server(tmp_path, request):
    with StubApiServer(tmp_path / "stub", port=free_port(), **getattr(request, "param", {})) as server:
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


KINDS = ("services", "endpointslices", "namespaces")
only_http1 = pytest.mark.parametrize("server", [{"protocols": ("http/1.1",)}], ids=["http1"], indirect=True)


# connections

def test_one_connection_carries_all_watches(server, start_watching):
    """HTTP/2; lists that come later use it, too."""
    vigie = start_watching()
    change_is_seen(server, vigie)
    vigie.process.send_signal(signal.SIGUSR2)
    for plural in KINDS:
        wait_for(lambda plural=plural: server.count("watch", plural) == 2, f"{plural} to be listed anew")
    change_is_seen(server, vigie)
    assert server.http.accepted == 1


@only_http1
def test_a_server_without_http2(server, start_watching):
    vigie = start_watching()
    change_is_seen(server, vigie)
    for plural in KINDS:
        server.watch(plural)
    assert server.http.accepted == 3


@pytest.mark.parametrize("server", [{"name": "api.test"}], indirect=True, ids=["named"])
def test_several_servers_behind_one_name(server, start_watching, tmp_path, monkeypatch):
    """Each connection asks for the addresses anew, and takes one of them by chance."""
    hosts = own_file(tmp_path, monkeypatch, "/etc/hosts")
    hosts.write_text("127.0.0.1 api.test\n")
    vigie = start_watching("apiserver_qps 1000")
    change_is_seen(server, vigie)
    other = server.also_at("127.0.0.2")
    try:
        hosts.write_text("127.0.0.2 api.test\n")
        server.http.disconnect()
        change_is_seen(server, vigie)
        assert server.http.accepted == other.accepted == 1

        hosts.write_text("127.0.0.1 api.test\n127.0.0.2 api.test\n")
        for _ in range(200):
            if server.http.accepted > 1 and other.accepted > 2:
                break
            before = server.http.accepted + other.accepted
            server.http.disconnect()
            other.disconnect()
            wait_for(lambda before=before: server.http.accepted + other.accepted > before, "another connection")
            change_is_seen(server, vigie)
        assert server.http.accepted > 1 and other.accepted > 2

        server.http.stop()
        other.disconnect()
        change_is_seen(server, vigie)
    finally:
        other.stop()


@pytest.mark.parametrize("server", [{}, {"watch_list": False}], indirect=True, ids=["watch list", "pages"])
@pytest.mark.parametrize("most", [1, 2])
def test_all_kinds_are_watched_with_few_requests_in_flight(server, start_watching, most):
    """A watch that goes on for minutes leaves room for the other kinds."""
    vigie = start_watching("pods verified", f"apiserver_max_inflight {most}")
    for plural in (*KINDS, "pods"):
        server.watch(plural)
    change_is_seen(server, vigie)


def test_requests_in_flight(server, start_watching):
    """While the API server does not answer two, there is no third."""
    vigie = start_watching("apiserver_max_inflight 2")
    for plural in KINDS:
        server.watch(plural)
    go_on = threading.Event()
    server.faults += [Fault(act=lambda stream: go_on.wait(), times=3)]
    before = len(server.requests)
    server.http.disconnect()
    wait_for(lambda: len(server.requests) == before + 2, "two requests")
    time.sleep(1.2)
    assert len(server.requests) == before + 2
    go_on.set()
    for plural in KINDS:
        server.watch(plural)
    change_is_seen(server, vigie)


def test_requests_a_second(server, start):
    """One at once, and then one a second."""
    http = free_port()
    began = time.monotonic()
    start(f".:PORT {{\nprometheus 127.0.0.1:{http}\nkubernetes cluster.local {{\nstartup_timeout 20s\napiserver_burst 1\n"
          f"apiserver_qps 1\n{server.corefile_option()}\n}}\n}}\n")
    for plural in KINDS:
        server.watch(plural)
    assert time.monotonic() - began >= 2
    page = Page(f"127.0.0.1:{http}")
    waited = "coredns_kubernetes_rest_client_rate_limiter_duration_seconds"
    assert page.value(f"{waited}_count") == 3
    assert page.value(f"{waited}_sum") > 0


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
    began = time.monotonic()  # it is refused a moment later
    server.watch("services").finish()
    wait_for(lambda: server.faults[0].times == 0, "the request that is refused")
    change_is_seen(server, vigie)
    assert time.monotonic() - began > 1.9


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


def test_four_workers_beside_churn(server, start):
    """Services come, go and change, everything is listed anew now and then, and the configuration is loaded again, while
    four workers answer: what stays is never missing. Run under ThreadSanitizer, too (tests/run.sh)."""
    cluster = Cluster(30, 300, 3, headless=0.4, dual=0.5, pods=True)
    server.fill(cluster.objects())
    vigie = start(".:PORT {\nworkers 4\nkubernetes cluster.local in-addr.arpa ip6.arpa {\n"
                  f"startup_timeout 20s\npods verified\n{server.corefile_option()}\n}}\n}}\n")
    names = [("web.default.svc.cluster.local", "A")]
    for one in cluster.services:
        own = f"{one.name}.{one.namespace}.svc.cluster.local"
        pod = one.slices[0].endpoints[0]
        names += [(own, "A"), (own, "AAAA"), (own, "SRV"), (f"{pod.hostname or pod.address.replace('.', '-')}.{own}", "A"),
                  (dns.reversename.from_address(pod.address), "PTR"),
                  (f"{pod.address.replace('.', '-')}.{one.namespace}.pod.cluster.local", "A")]
    wires = [dns.message.make_query(name, kind).to_wire() for name, kind in names]
    ending = threading.Event()
    wrong: list[bytes] = []
    asked = 0

    def ask() -> None:
        nonlocal asked
        while not ending.is_set():
            with vigie.udp_socket() as client:  # from another port each time, which is another worker's
                for wire in (wires[0], *random.sample(wires, 20)):
                    client.send(wire)
                    answer = client.recv(65535)
                    asked += 1
                    if wire == wires[0] and (answer[3] & 15 or answer[6:8] != b"\0\1"):
                        wrong.append(answer)

    with ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(ask) for _ in range(4)]
        try:
            for number, event in enumerate(itertools.islice(cluster.churn(), 3000)):
                server.apply(event)
                if number % 100 == 0:
                    vigie.wait_until(lambda: server.lag() == 0, "the events to be sent")
                if number % 500 == 250:
                    vigie.process.send_signal(signal.SIGUSR2)
                if number == 1500:
                    vigie.process.send_signal(signal.SIGUSR1)
            change_is_seen(server, vigie)
        finally:
            ending.set()
        for one in asking:
            one.result()
    assert asked > 500 and not wrong


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


# names and slices that must not break

@in_both_encodings
def test_names_as_long_as_they_may_be(server, start_watching):
    """63 characters each: namespace, service, hostname; 15 of a port."""
    name, space, host, port = "s" * 63, "n" * 63, "h" * 63, "p" * 15
    server.put(namespace(space), service(name, ports=[(port, 80)], namespace=space),
               endpoint_slice(name, [endpoint("10.244.9.1", host)], [(port, 80)], namespace=space))
    vigie = start_watching()
    full = f"{name}.{space}.svc.cluster.local"
    assert addresses(vigie.ask(full)) == ["10.244.9.1"]
    assert addresses(vigie.ask(f"{host}.{full}")) == ["10.244.9.1"]
    answer = vigie.ask(f"_{port}._tcp.{full}", "SRV")
    assert str(answer.answer[0][0].target) == f"{host}.{full}."
    assert str(vigie.ask("1.9.244.10.in-addr.arpa", "PTR").answer[0][0]) == f"{host}.{full}."


@in_both_encodings
def test_services_and_slices_without_each_other(server, start_watching):
    """And without endpoints, addresses, or one family."""
    nameless = endpoint_slice("set", ["10.244.9.2"], suffix="nameless")
    del nameless["metadata"]["labels"]["kubernetes.io/service-name"]
    addressless = endpoint_slice("few", ["10.244.9.3", "10.244.9.4"], suffix="2")
    addressless["endpoints"][0]["addresses"] = []
    server.put(nameless, addressless, service("few"), endpoint_slice("few", []), service("alone"),
               service("six"), endpoint_slice("six", ["fd00:9::1"]), endpoint_slice("later", ["10.244.9.5"]))
    vigie = start_watching()
    assert asked(vigie, "set") == ["10.244.0.1", "10.244.0.2"]
    assert asked(vigie, "few") == ["10.244.9.4"]
    assert vigie.ask("alone.default.svc.cluster.local").rcode() == 3  # so the specification has it
    answer = vigie.ask("six.default.svc.cluster.local")
    assert answer.rcode() == 0 and not answer.answer
    assert addresses(vigie.ask("six.default.svc.cluster.local", "AAAA")) == ["fd00:9::1"]
    assert asked(vigie, "later") == []
    server.put(service("later"))
    becomes(vigie, "later", ["10.244.9.5"])
    change_is_seen(server, vigie)


# staleness

@only_http1
def test_a_half_open_stream_is_replaced(server, start_watching):
    """Bookmarks keep the others alive."""
    server.bookmark_seconds = 0.3
    vigie = start_watching("watch_silence 6s")  # long enough for a busy machine to send a bookmark
    server.watch("services").hold()
    change_is_seen(server, vigie)
    vigie.wait_for_log("cannot watch services: the stream was silent for too long")
    assert server.count("watch", "endpointslices") == 1


def test_a_half_open_connection_is_replaced(server, start_watching):
    """With HTTP/2 one silence is that of the connection: the first stream that finds it takes the others along, and
    nothing is asked over the old connection any more."""
    server.bookmark_seconds = 0.3
    vigie = start_watching("watch_silence 6s")
    for plural in KINDS:
        server.watch(plural)
    server.http.freeze()
    change_is_seen(server, vigie)
    for plural in KINDS:
        wait_for(lambda plural=plural: server.count("watch", plural) == 2, f"{plural} to be watched anew")
    assert server.http.accepted == 2
    for plural in KINDS:
        assert vigie.log().count(f"cannot watch {plural}") <= 1, vigie.log()


def test_a_connection_that_never_answers(server, start_watching):
    """TLS and HTTP/2 are agreed upon, and no request is answered."""
    server.bookmark_seconds = 0.3
    server.faults += [Fault(act=lambda stream: stream.response.gone.wait())]
    vigie = start_watching("watch_silence 6s", wait=False)
    vigie.wait_for_log("the stream was silent for too long")
    change_is_seen(server, vigie)
    assert server.http.accepted == 2


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
    lines = [r'vigie_kubernetes_synced{zone="cluster.local.",kind="services"} 1',
                 r'vigie_kubernetes_watch_age_seconds{zone="cluster.local.",kind="endpointslices"} 0\.\d+',
                 r'vigie_kubernetes_bad_objects_total{zone="cluster.local.",kind="services"} 0',
                 r'vigie_kubernetes_trouble{zone="cluster.local.",kind="services"} 0',
                 r'vigie_kubernetes_lists_total{zone="cluster.local.",kind="services"} 1',
                 r'vigie_kubernetes_watches_total{zone="cluster.local.",kind="services"} 1',
                 r'vigie_kubernetes_objects_total{zone="cluster.local.",kind="services"} 2',
                 r'vigie_records{zone="cluster.local.",kind="endpoints"} 3',
                 r'vigie_records_bytes{zone="cluster.local.",kind="answers"} [1-9]\d+',
                 r'vigie_records_bytes{zone="cluster.local.",kind="addresses"} [1-9]\d+',
                 r'coredns_kubernetes_dns_programming_duration_seconds_count'
                 r'{service_kind="headless_with_selector"} 1',
                 rf'coredns_kubernetes_rest_client_request_duration_seconds_count'
                 rf'{{verb="GET",host="127.0.0.1:{server.port}"}} 3']

    def all_there() -> bool:  # what was heard of is older than a second when this process has to wait for its CPU
        page = get(metrics, "/metrics")[1]
        return all(re.search("^" + line.replace("{zone", r"\{zone"), page, re.MULTILINE) for line in lines)
    wait_for(all_there, f"{lines} on the page")

    server.stop()
    wait_for(lambda: "cannot watch services" in get(ready, "/ready/detail")[1], "the trouble to be told")
    assert get(ready, "/ready") == (200, "OK")
    assert 'vigie_kubernetes_trouble{zone="cluster.local.",kind="services"} 1\n' in get(metrics, "/metrics")[1]
    server.start()
    wait_for(lambda: "cannot" not in get(ready, "/ready/detail")[1], "the end of the trouble")
    page = get(metrics, "/metrics")[1]
    assert re.search(rf'^coredns_kubernetes_rest_client_requests_total'
                     rf'{{code="200",method="GET",host="127.0.0.1:{server.port}"}} [3-9]', page, re.MULTILINE), page


# the warm file

def stop_server_and_restart(server: StubApiServer, vigie: Vigie) -> Vigie:
    """vigie ends and starts again while the API server is away."""
    vigie.stop()
    server.stop()
    return vigie.start()


def test_a_warm_start(server, start, tmp_path):
    ready = free_port()
    warm = tmp_path / "warm"
    server.put(service("dual", ["10.96.0.20", "fd00:96::20"], [("http", 80), ("dns", 53, "UDP")]),
               service("out", "None", type="ExternalName", externalName="www.example.org."),
               endpoint_slice("set", [endpoint("10.244.0.3", "three", zone="west"), endpoint("10.244.0.4", ready=False)],
                              suffix="2"))
    vigie = start(f".:PORT {{\nready 127.0.0.1:{ready}\nkubernetes cluster.local in-addr.arpa ip6.arpa {{\n"
                  f"startup_timeout 20s\nzonal\nwarm {warm}\n{server.corefile_option()}\n}}\n}}\n")
    vigie.wait_for_log("the warm file '.*' is not used: No such file or directory")
    names = [("web", "A"), ("dual", "A"), ("dual", "AAAA"), ("set", "A"), ("three.set", "A"), ("out", "CNAME"),
             ("_http._tcp.set", "SRV"), ("_dns._udp.dual", "SRV"), ("west.pin._zone.set", "A")]

    def all_answers() -> list[list[str]]:
        return [records(vigie.ask(f"{name}.default.svc.cluster.local", kind).answer) for name, kind in names]

    before = all_answers()
    assert all(before)
    stop_server_and_restart(server, vigie)
    assert all_answers() == before
    assert records(vigie.ask("3.0.244.10.in-addr.arpa", "PTR").answer)
    vigie.wait_for_log("4 services and 3 endpoints from the warm file")
    # what is not there may be there by now: not NXDOMAIN
    assert vigie.ask("late.default.svc.cluster.local").rcode() == 2
    assert get(ready, "/ready")[0] == 503
    server.delete(service("dual"))
    server.start()
    becomes(vigie, "dual", [])
    wait_for(lambda: get(ready, "/ready")[0] == 200, "the sync")
    assert asked(vigie, "web") == ["10.96.0.10"]


def test_a_warm_table_is_ready_if_asked_to(server, start, tmp_path):
    ready = free_port()
    vigie = start(f".:PORT {{\nready 127.0.0.1:{ready}\nkubernetes cluster.local {{\nstartup_timeout 20s\nwarm_ready\n"
                  f"warm {tmp_path}/warm\n{server.corefile_option()}\n}}\n}}\n")
    stop_server_and_restart(server, vigie)
    assert get(ready, "/ready") == (200, "OK")


def bent(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


@pytest.mark.parametrize("what", ["cut", "empty", "bent", "rubbish", "version", "old", "foreign", "folder"])
def test_a_warm_file_that_is_refused(server, start, tmp_path, what):
    warm = tmp_path / "warm"
    template = ".:PORT {{\nkubernetes cluster.local {{\nwarm {}\nstartup_timeout {}\n{}\n{}\n}}\n}}\n"
    vigie = start(template.format(warm, "20s", "", server.corefile_option()))
    becomes(vigie, "web", ["10.96.0.10"])
    vigie.stop()
    good = warm.read_bytes()
    option = "labels tier=none" if what == "foreign" else "warm_age 1ms" if what == "old" else ""
    if what == "folder":
        warm.unlink()
        warm.mkdir()
    else:
        warm.write_bytes({"cut": good[:-40], "empty": b"", "bent": bent(good, len(good) // 2), "rubbish": b"x" * 5000,
                          "version": bent(good, 11)}.get(what, good))
    if what == "old":
        time.sleep(1.1)
    server.stop()
    vigie.corefile.write_text(template.format(warm, "0s", option, server.corefile_option()).replace("PORT", str(vigie.port)))
    vigie.start()
    vigie.wait_for_log("the warm file '.*' is not used: ")
    assert vigie.ask("web.default.svc.cluster.local").rcode() == 2
    server.start()
    if what != "foreign":
        becomes(vigie, "web", ["10.96.0.10"])


def test_a_warm_file_that_cannot_be_written(server, start, tmp_path):
    vigie = start(f".:PORT {{\nkubernetes cluster.local {{\nstartup_timeout 20s\nwarm {tmp_path}/no/warm\n"
                  f"{server.corefile_option()}\n}}\n}}\n")
    vigie.wait_for_log("cannot write the warm file '.*': No such file or directory")
    assert asked(vigie, "web") == ["10.96.0.10"]


# several directives

def test_blocks_that_ask_for_the_same_cluster_share_it(server, start):
    """One watch of each kind; the block with other options has its own."""
    option = server.corefile_option()
    vigie = start(f".:PORT {{\nkubernetes cluster.local {{\nstartup_timeout 20s\n{option}\n}}\n}}\n"
                  f"other.test:PORT {{\nkubernetes other.test {{\nstartup_timeout 20s\nttl 7\n{option}\n}}\n}}\n"
                  f"chosen.test:PORT {{\nkubernetes chosen.test {{\nstartup_timeout 20s\nlabels tier=none\n{option}\n}}\n"
                  f"}}\n")
    assert asked(vigie, "web") == ["10.96.0.10"]
    answer = vigie.ask("web.default.svc.other.test")
    assert addresses(answer) == ["10.96.0.10"] and answer.answer[0].ttl == 7
    assert vigie.ask("web.default.svc.chosen.test").answer  # the stub takes no notice of selectors
    selected = [query.get("labelSelector") for _, plural, query in server.requests if plural == "services"]
    assert sorted(selected, key=str) == [None, "tier=none"]
    change_is_seen(server, vigie)
