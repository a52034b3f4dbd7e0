"""What network a machine gets, by version: the facts' truth table. null is open, [] is not."""

import ipaddress
import socket

from . import switches
from .switches import Failure

NONE, TSI, VIRTIO = "none", "tsi", "virtio-net"
FIRST_DNS = "1.1.1.1"


class Plan:
    def __init__(self, kind, cidrs=None, dns=None):
        self.kind, self.cidrs, self.dns = kind, cidrs, dns  # cidrs None: everything is reachable


def normal_cidr(text):
    """A bare address becomes /32 or /128."""
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Failure(f"invalid CIDR '{text}'")
    return text if "/" in text else f"{text}/{network.prefixlen}"


def resolve(host):
    """An allowed host's addresses, stored at create."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [normal_cidr(a) for a in dict.fromkeys(f[4][0].split("%")[0] for f in found)]


def name_server():
    """0.8.0: always the same; since 0.8.1 the host's first that is not on loopback."""
    if switches.since("0.8.1"):
        try:
            with open("/etc/resolv.conf", encoding="utf-8") as f:
                for line in f:
                    words = line.split()
                    if words[:1] == ["nameserver"] and len(words) > 1 and not ipaddress.ip_address(
                            words[1].split("%")[0]).is_loopback:
                        return words[1].split("%")[0]
        except (OSError, ValueError):
            pass
    return FIRST_DNS


def _is_loopback(cidr):
    try:
        return ipaddress.ip_network(cidr, strict=False).is_loopback
    except ValueError:
        return False


def _tsi(cidrs):
    dns = name_server()
    if cidrs is None:
        return Plan(TSI, None, dns)
    for cidr in cidrs:
        normal_cidr(cidr)
    if cidrs and all(_is_loopback(c) for c in cidrs):
        return Plan(TSI, list(cidrs))
    return Plan(TSI, list(cidrs) + [normal_cidr(dns)], dns)  # the DNS hole


def plan(record):
    cidrs, hosts = record["allowed_cidrs"], record["dns_filter_hosts"] or []
    ports, backend = record["ports"], record["network_backend"]
    if switches.has_fault("open"):
        return Plan(TSI, None, name_server())
    has_policy = bool(cidrs or hosts)
    is_networked = record["network"] or has_policy or bool(ports)
    if backend == VIRTIO:
        if not is_networked:
            raise Failure("agent operation failed: start: --net-backend virtio-net needs a network or a policy")
        return Plan(VIRTIO)
    if not is_networked:
        return Plan(NONE)
    if switches.since("1.1.3") and has_policy:
        if backend == TSI:
            raise Failure("agent operation failed: start: --net-backend tsi cannot enforce an egress policy")
        return Plan(VIRTIO)
    if switches.since("1.0.4") and ports:
        return Plan(VIRTIO)
    return _tsi(cidrs if cidrs is not None or not hosts else [])
