"""An API server that serves what it is told to: list, paged list, watch, WatchList and bookmarks, over TLS, with
HTTP/1.1 or HTTP/2. It fails on command in every way that a real one cannot be brought to.

    with StubApiServer(folder) as server:
        server.put(service(…))
        … server.corefile_option() …
        server.faults.append(Fault(verb="watch", status=410))
        server.watch("services").break_off()
"""
import contextlib
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import proto
from http_server import Gone, HttpServer, Response, make_certificate

PLURALS = {"Service": "services", "EndpointSlice": "endpointslices", "Namespace": "namespaces", "Pod": "pods"}
PATHS = {"/api/v1/services": "services", "/apis/discovery.k8s.io/v1/endpointslices": "endpointslices",
         "/api/v1/namespaces": "namespaces", "/api/v1/pods": "pods"}
KINDS = {plural: kind for kind, plural in PLURALS.items()}
TOKEN = "the-token"
PROTO = "application/vnd.kubernetes.protobuf"
HISTORY = 5000  # events that a watch can be resumed from
WRITE_SIZE = 1 << 18

Object = dict


def key_of(thing: Object) -> tuple[str, str]:
    return thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def status_object(code: int, reason: str, message: str, **details) -> Object:
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": code, "details": details}


REASONS = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired",
           422: "Invalid", 429: "TooManyRequests", 500: "InternalError", 504: "Timeout"}


@dataclass
class Fault:
    """What happens to the next `times` requests of a verb and a kind instead of an answer."""
    verb: str | None = None    # "list", "watch"; None: any
    plural: str | None = None  # "services", …
    status: int | None = None  # answer with this status
    message: str = "as the test wants it"
    headers: dict[str, str] = field(default_factory=dict)
    act: Callable[["Stream"], None] | None = None  # or do this before (a list, the initial events) is sent
    wreck: Callable[[bytes], bytes] | None = None  # or change the bytes of the list, of the initial events
    times: int = 1


class Stream:
    """One request under way, as the test sees it."""

    def __init__(self, response: Response, verb: str, plural: str, query: dict[str, str]):
        self.response = response
        self.verb = verb
        self.plural = plural
        self.query = query
        # an encoding other than JSON is for watches alone here
        self.proto = verb == "watch" and PROTO in response.headers.get("accept", "")
        self.current = False  # all that there was at first has been sent
        self.at = 0  # the version that has been sent
        self.held = False  # nothing more is sent, bookmarks neither: a half-open connection
        self.done = threading.Event()

    def send(self, data: bytes | Object) -> None:
        """Puts bytes, or an event, into the stream, whatever they are."""
        if not isinstance(data, bytes):
            encoded = proto.envelope(data["object"]) if self.proto and isinstance(data["object"], dict) \
                else json.dumps(data["object"]).encode()
            data = self.event(data["type"], encoded)
        self.response.write(data)

    def event(self, kind: str, encoded: bytes) -> bytes:
        if self.proto:
            return proto.event(kind, encoded)
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), encoded)

    def error(self, code: int, message: str = "as the test wants it", **details) -> None:
        """An ERROR event."""
        self.send({"type": "ERROR", "object": status_object(code, REASONS.get(code, ""), message, **details)})

    def break_off(self) -> None:
        self.response.close()

    def reset(self) -> None:
        self.response.reset()

    def finish(self) -> None:
        """The usual end of a watch."""
        self.done.set()

    def hold(self) -> None:
        self.held = True


class Stored:
    """An object as it is sent. Encodings are kept once they were asked for."""

    def __init__(self, thing: Object):
        self._thing = thing
        self._json: bytes | None = None
        self._proto: bytes | None = None

    def encoded(self, as_proto: bool = False) -> bytes:
        if as_proto:
            self._proto = self._proto or proto.envelope(self._thing)
            return self._proto
        self._json = self._json or json.dumps(self._thing, separators=(",", ":")).encode()
        return self._json


class StubApiServer:
    def __init__(self, folder: Path, protocols: tuple[str, ...] = ("h2", "http/1.1"), watch_list: bool = True,
                 bookmark_seconds: float = 60, protobuf: bool = True, name: str = "127.0.0.1", port: int = 0):
        self.name = name  # by which clients call it
        self.port = port  # one that nobody else takes while the server is away
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.protocols = protocols
        self.watch_list = watch_list
        self.bookmark_seconds = bookmark_seconds
        self.protobuf = protobuf  # whether watches may have it
        self.page_delay = 0.0
        self.certificate, self._key = make_certificate(folder)
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self.tokens = {TOKEN}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []  # verb, plural, query
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.version = 1000
        self.oldest = 0  # versions up to this are compacted
        self.objects: dict[str, dict[tuple[str, str], Stored]] = {plural: {} for plural in KINDS}
        self.events: dict[str, list[tuple[int, str, Stored]]] = {plural: [] for plural in KINDS}
        self._streams: list[Stream] = []
        self._newest: dict[str, Stream] = {}
        self._pages: dict[str, tuple[str, list[bytes], int]] = {}
        self._page_number = itertools.count()
        self._http: HttpServer | None = None

    # life

    def start(self) -> "StubApiServer":
        self._http = HttpServer(self._serve, self.certificate, self._key, self.port, self.protocols)
        self.port = self._http.port
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "stub",
            "clusters": [{"name": "stub", "cluster": {"server": f"https://{self.name}:{self.port}",
                                                      "certificate-authority": "server.crt"}}],
            "users": [{"name": "stub", "user": {"tokenFile": "token"}}],
            "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "stub"}}]}))
        return self

    def stop(self) -> None:
        """As if it were killed: nobody listens, connections end. The objects stay; `start` brings it back."""
        if self._http:
            http, self._http = self._http, None
            http.stop()
            for stream in self.streams():
                stream.response.gone.set()
            with self.lock:
                self.changed.notify_all()

    def __enter__(self) -> "StubApiServer":
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def http(self) -> HttpServer:
        return self._http

    def also_at(self, address: str) -> HttpServer:
        """The same behind another address, as with several API servers. The caller stops it."""
        return HttpServer(self._serve, self.certificate, self._key, self.port, self.protocols, address)

    def change_certificate(self) -> None:
        """A new CA and certificate; connections that are open stay."""
        self.certificate, self._key = make_certificate(self.folder)
        self._http.use_certificate(self.certificate, self._key)

    def corefile_option(self) -> str:
        return f"kubeconfig {self.kubeconfig}"

    # objects

    def _store(self, kind: str, thing: Object) -> None:
        plural = PLURALS[thing["kind"]]
        with self.lock:
            self.version += 1
            thing = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
            old = self.objects[plural].pop(key_of(thing), None)
            data = Stored(thing)
            if kind == "put":
                kind = "MODIFIED" if old else "ADDED"
                self.objects[plural][key_of(thing)] = data
            elif old is None:
                return
            else:
                kind = "DELETED"
            events = self.events[plural]
            events.append((self.version, kind, data))
            if len(events) > 2 * HISTORY:
                self.oldest = max(self.oldest, events[HISTORY][0])
                del events[:HISTORY]
            self.changed.notify_all()

    def put(self, *things: Object) -> None:
        for thing in things:
            self._store("put", thing)

    def delete(self, *things: Object) -> None:
        for thing in things:
            self._store("delete", thing)

    def apply(self, event: tuple[str, Object]) -> None:
        """An event of synthetic.Cluster."""
        self._store(*event)

    def fill(self, things: Iterator[Object]) -> None:
        """Objects that were there before anybody watched: there are no events of them."""
        with self.lock:
            for thing in things:
                self.version += 1
                thing["metadata"]["resourceVersion"] = str(self.version)
                self.objects[PLURALS[thing["kind"]]][key_of(thing)] = Stored(thing)
            self.oldest = self.version

    def encode_all(self) -> None:
        """Now instead of when they are asked for."""
        for objects in self.objects.values():
            for stored in objects.values():
                stored.encoded(self.protobuf)

    def prepare(self, plural: str, things: list[Object]) -> list[tuple[int, str, Stored]]:
        """Changes of objects, encoded beforehand: `release` sends them."""
        events = []
        for thing in things:
            stored = Stored(thing)
            stored.encoded(self.protobuf)
            events.append((0, "MODIFIED", stored))
        return events

    def release(self, plural: str, prepared: list[tuple[int, str, Stored]], rate: float) -> None:
        """`rate` events a second; 0: as fast as they are taken."""
        due = time.monotonic()
        for _, kind, stored in prepared:
            with self.lock:
                self.version += 1
                self.events[plural].append((self.version, kind, stored))
                self.changed.notify_all()
            if rate:
                due += 1 / rate
                time.sleep(max(0.0, due - time.monotonic()))

    def compact(self) -> None:
        """Forgets all events, so that no watch can be resumed from before now."""
        with self.lock:
            self.oldest = self.version
            for events in self.events.values():
                events.clear()

    def go_back(self, version: int) -> None:
        """etcd was restored from a backup: the version goes back. Objects are the test's affair."""
        with self.lock:
            self.version = version
            self.oldest = min(self.oldest, version)
            for events in self.events.values():
                events.clear()

    # streams

    def streams(self, plural: str | None = None, verb: str | None = None) -> list[Stream]:
        with self.lock:
            return [stream for stream in self._streams if plural in (None, stream.plural)
                    and verb in (None, stream.verb) and not stream.response.gone.is_set()]

    def watch(self, plural: str, patience: float = 20) -> Stream:
        """The newest request for a kind; waits until it is a watch and is under way."""
        end = time.monotonic() + patience
        while True:
            with self.lock:
                stream = self._newest.get(plural)
                if stream in self._streams and stream.current and not stream.response.gone.is_set():
                    return stream
            assert time.monotonic() < end, f"nobody watches {plural}: {self.requests[-10:]}"
            time.sleep(0.01)

    def lag(self) -> int:
        """Events that some watch has not been sent yet."""
        with self.lock:
            return max((sum(1 for event in reversed(self.events[stream.plural][-2000:]) if event[0] > stream.at)
                        for stream in self._streams if stream.verb == "watch"), default=0)

    def count(self, verb: str, plural: str) -> int:
        with self.lock:
            return sum(1 for one in self.requests if one[:2] == (verb, plural))

    def _take_fault(self, verb: str, plural: str) -> Fault | None:
        with self.lock:
            for fault in self.faults:
                if fault.times > 0 and fault.verb in (None, verb) and fault.plural in (None, plural):
                    fault.times -= 1
                    return fault
        return None

    def _serve(self, response: Response) -> None:
        url = urlsplit(response.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        plural = PATHS.get(url.path)
        verb = "watch" if query.get("watch") else "list"
        if response.headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            self._fail(response, 401, "Unauthorized")
            return
        if plural is None:
            self._fail(response, 404, f"{url.path} is not served")
            return
        stream = Stream(response, verb, plural, query)
        stream.proto = stream.proto and self.protobuf
        with self.lock:
            self.requests.append((verb, plural, query))
            self._streams.append(stream)
            self._newest[plural] = stream
        try:
            fault = self._take_fault(verb, plural)
            if fault and fault.status:
                self._fail(response, fault.status, fault.message, fault.headers, stream.proto)
                return
            if fault and fault.act:
                fault.act(stream)
            wreck = fault.wreck if fault and fault.wreck else lambda data: data
            if verb == "list":
                self._list(stream, wreck)
            else:
                self._watch(stream, wreck)
        finally:
            with self.lock:
                self._streams.remove(stream)

    @staticmethod
    def _fail(response: Response, status: int, message: str, headers: dict[str, str] | None = None,
              as_proto: bool = False) -> None:
        thing = status_object(status, REASONS.get(status, ""), message)
        response.start(status, {**(headers or {}), "Content-Type": PROTO if as_proto else "application/json"})
        response.write(proto.envelope(thing) if as_proto else json.dumps(thing).encode())
        response.end()

    def _list(self, stream: Stream, wreck: Callable[[bytes], bytes]) -> None:
        query = stream.query
        with self.lock:
            if token := query.get("continue"):
                if token not in self._pages:
                    self._fail(stream.response, 410, "The provided continue parameter is too old")
                    return
                version, items, at = self._pages.pop(token)
            else:
                version, at = str(self.version), 0
                items = [data.encoded() for data in self.objects[stream.plural].values()]
            limit = int(query.get("limit", 0)) or len(items) + 1
            metadata = {"resourceVersion": version}
            if at + limit < len(items):
                metadata["continue"] = f"page-{next(self._page_number)}"
                self._pages[metadata["continue"]] = version, items, at + limit
        group = "discovery.k8s.io/v1" if stream.plural == "endpointslices" else "v1"
        head = {"kind": f"{KINDS[stream.plural]}List", "apiVersion": group, "metadata": metadata}
        data = json.dumps(head)[:-1].encode() + b',"items":[' + b",".join(items[at:at + limit]) + b"]}"
        stream.response.start(200)
        time.sleep(self.page_delay)
        stream.response.write(wreck(data))
        stream.response.end()

    def expire_pages(self) -> None:
        with self.lock:
            self._pages.clear()

    def _watch(self, stream: Stream, wreck: Callable[[bytes], bytes]) -> None:
        query, response = stream.query, stream.response
        initial = query.get("sendInitialEvents") == "true"
        if initial and not self.watch_list:
            self._fail(response, 422, "sendInitialEvents: Forbidden: the feature is not enabled")
            return
        with self.lock:
            at = self.version if initial else int(query.get("resourceVersion", "0"))
            if at < self.oldest:
                self._fail(response, 410, "too old resource version")
                return
            if at > self.version:
                self._fail(response, 504, "Too large resource version", {"Retry-After": "1"})
                return
            items = list(self.objects[stream.plural].values()) if initial else []
        response.start(200, {"Content-Type": f"{PROTO};stream=watch" if stream.proto else "application/json"})
        if initial:
            pieces, size = [], 0
            for item in items:
                pieces.append(stream.event("ADDED", item.encoded(stream.proto)))
                size += len(pieces[-1])
                if size > WRITE_SIZE:
                    response.write(wreck(b"".join(pieces)))
                    pieces, size = [], 0
            pieces.append(self._bookmark(stream, at, {"k8s.io/initial-events-end": "true"}))
            response.write(wreck(b"".join(pieces)))
        self._follow(stream, at)

    @staticmethod
    def _bookmark(stream: Stream, version: int, annotations: dict[str, str] | None = None) -> bytes:
        metadata = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        thing = {"kind": KINDS[stream.plural], "metadata": metadata}
        return stream.event("BOOKMARK", proto.envelope(thing) if stream.proto else json.dumps(thing).encode())

    def _follow(self, stream: Stream, at: int) -> None:
        response = stream.response
        stream.at, stream.current = at, True
        bookmark = time.monotonic() + self.bookmark_seconds
        end = time.monotonic() + float(stream.query.get("timeoutSeconds", 1800))
        while not response.gone.is_set() and not stream.done.is_set():
            with self.lock:
                # events are in the order of their versions: the new ones are at the end
                events = self.events[stream.plural]
                first = len(events)
                while first > 0 and events[first - 1][0] > at:
                    first -= 1
                new = events[first:]
                seen = self.version
                if not new:
                    self.changed.wait(0.05)
            now = time.monotonic()
            if stream.held:
                continue
            if new:
                at = new[-1][0]
                response.write(b"".join(stream.event(kind, data.encoded(stream.proto)) for _, kind, data in new))
                stream.at = at
            if now >= bookmark:
                response.write(self._bookmark(stream, at if new else max(at, seen)))
                bookmark = now + self.bookmark_seconds
            if now >= end:
                break
        with contextlib.suppress(Gone):
            response.end()
