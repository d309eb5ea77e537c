"""Kubernetes objects as the tests need them."""
import ipaddress


def service(namespace: str, name: str, ports: list[dict] | None = None, labels: dict[str, str] | None = None,
            **spec) -> dict:
    """A Service; without a type it is a ClusterIP one. headless=True is short for clusterIP None."""
    if spec.pop("headless", False):
        spec["clusterIP"] = "None"
    if ports is None and spec.get("type") != "ExternalName":
        ports = [port("http", 80)]
    if ports:
        spec["ports"] = ports
    return {"kind": "Service", "metadata": {"name": name, "namespace": namespace, "labels": labels or {}}, "spec": spec}


def port(name: str | None, number: int, protocol: str = "TCP", **more) -> dict:
    """A port of a Service or of a slice."""
    result = {"port": number, "protocol": protocol, **more}
    if name:
        result["name"] = name
    return result


def endpoint(*addresses: str, **more) -> dict:
    """An endpoint of a slice: hostname, zone, conditions, targetRef, nodeName as they are in the API."""
    return {"addresses": list(addresses), **more}


def endpoint_slice(namespace: str, name: str, owner: str | None, endpoints: list[dict], ports: list[dict] | None = None,
                   kind: str = "IPv4", labels: dict[str, str] | None = None) -> dict:
    """A slice that a user keeps. `owner` is the Service that it belongs to."""
    labels = {"endpointslice.kubernetes.io/managed-by": "e2e.vigie", **(labels or {})}
    if owner is not None:
        labels["kubernetes.io/service-name"] = owner
    return {"kind": "EndpointSlice", "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "addressType": kind, "endpoints": endpoints, "ports": ports or []}


def reverse(address: str) -> str:
    """The name that PTR is asked for."""
    return ipaddress.ip_address(address).reverse_pointer


def dashed(address: str) -> str:
    """The label of an endpoint that has no hostname."""
    return address.replace(".", "-").replace(":", "-")
