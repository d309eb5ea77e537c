"""Kubernetes' protobuf encoding of the objects that the stub serves, by the field numbers of the API's generated.proto.

`envelope(thing)` is what a response or an event carries: "k8s\\0" and the object in a runtime.Unknown.
"""
import struct

Object = dict


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int | bool | None) -> bytes:
    return b"" if value is None else varint(field << 3) + varint(int(value))


def block(field: int, data: bytes | None) -> bytes:
    return b"" if data is None else varint(field << 3 | 2) + varint(len(data)) + data


def text(field: int, value: str | None) -> bytes:
    return b"" if value is None else block(field, value.encode())


def pairs(field: int, values: dict[str, str] | None) -> bytes:
    return b"".join(block(field, text(1, key) + text(2, value)) for key, value in (values or {}).items())


def metadata(values: Object) -> bytes:
    labels = values.get("labels")
    return (text(1, values.get("name", "")) + text(3, values.get("namespace", "")) + text(5, values.get("uid", ""))
            + text(6, values.get("resourceVersion", "")) + block(8, number(1, 1767225600))
            + pairs(11, labels if isinstance(labels, dict) else None) + pairs(12, values.get("annotations")))


def service(thing: Object) -> bytes:
    spec = thing.get("spec", {})
    ports = b"".join(block(1, text(1, port.get("name", "")) + text(2, port.get("protocol", "TCP"))
                           + number(3, port.get("port")) + block(4, number(1, 0) + number(2, 8080)) + number(5, 0))
                     for port in spec.get("ports") or [])
    return (ports + pairs(2, spec.get("selector")) + text(3, spec.get("clusterIP", "")) + text(4, spec.get("type", ""))
            + text(7, "None") + text(10, spec.get("externalName", ""))
            + b"".join(text(18, address) for address in spec.get("clusterIPs") or []))


def endpoint(point: Object) -> bytes:
    conditions = point.get("conditions")
    target = point.get("targetRef")
    out = b"".join(text(1, address) for address in point.get("addresses") or [])
    if conditions is not None:
        out += block(2, number(1, conditions.get("ready")) + number(2, conditions.get("serving"))
                     + number(3, conditions.get("terminating")))
    out += text(3, point.get("hostname"))
    if target is not None:
        out += block(4, text(1, target.get("kind", "")) + text(2, target.get("namespace", ""))
                     + text(3, target.get("name", "")) + text(4, target.get("uid", "")))
    return out + text(6, point.get("nodeName")) + text(7, point.get("zone"))


def slice_fields(thing: Object) -> bytes:
    ports = b"".join(block(3, text(1, port.get("name")) + text(2, port.get("protocol")) + number(3, port.get("port")))
                     for port in thing.get("ports") or [])
    return (b"".join(block(2, endpoint(point)) for point in thing.get("endpoints") or []) + ports
            + text(4, thing.get("addressType", "")))


def pod(thing: Object) -> bytes:
    status = thing.get("status", {})
    return block(3, text(1, status.get("phase", "")) + text(6, status.get("podIP", ""))
                 + b"".join(block(12, text(1, each["ip"])) for each in status.get("podIPs") or []))


def status(thing: Object) -> bytes:
    return (text(2, thing.get("status", "")) + text(3, thing.get("message", "")) + text(4, thing.get("reason", ""))
            + block(5, number(5, thing.get("details", {}).get("retryAfterSeconds", 0))) + number(6, thing.get("code", 0)))


def envelope(thing: Object) -> bytes:
    kind = thing.get("kind", "")
    raw = block(1, metadata(thing.get("metadata") or {}))
    if kind == "Service":
        raw += block(2, service(thing))
    elif kind == "EndpointSlice":
        raw += slice_fields(thing)
    elif kind == "Pod":
        raw += pod(thing)
    elif kind == "Status":
        raw = block(1, b"") + status(thing)
    return b"k8s\0" + block(1, text(1, thing.get("apiVersion", "v1")) + text(2, kind)) + block(2, raw) + text(3, "")


def event(kind: str, data: bytes) -> bytes:
    """A frame of a watch stream. `data` is an envelope."""
    frame = text(1, kind) + block(2, block(1, data))
    return struct.pack("!I", len(frame)) + frame
