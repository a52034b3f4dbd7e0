"""The rig's name server: UDP and TCP, any address, every query logged. Answers come from a zone:

    zone["allowed.test"] = ["45.90.7.1", "2a0e:b0b::1"]        addresses of both families
    zone["*.wild.test"]  = [...]                               any name below
    zone["moves.test"]   = Alternate(["45.90.7.1"], ["127.0.0.1"])   a different answer each time, TTL 0
    zone["alias.test"]   = "cname:priv.allowed.test"
    zone["silent.test"]  = "silent"                            never an answer
    zone["broken.test"]  = "servfail"

A name without an entry gets NXDOMAIN.
"""

import socket
import struct
import threading

A, CNAME, AAAA = 1, 5, 28
TYPES = {1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 10: "NULL", 12: "PTR", 15: "MX", 16: "TXT", 28: "AAAA", 33: "SRV",
         64: "SVCB", 65: "HTTPS", 255: "ANY"}
SETTLE_NAME = ".settle.invalid"  # core.py: queries of the rig itself
IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_PKTINFO = 8, 49, 50


class Alternate:
    """A query of each family gets the next list; the last one stays."""

    def __init__(self, *answers):
        self.answers, self.count, self.lock = answers, {}, threading.Lock()

    def next(self, kind):
        with self.lock:
            n = self.count.get(kind, 0)
            self.count[kind] = n + 1
        return self.answers[min(n, len(self.answers) - 1)]


def parse(query):
    """(id, name, type) of a query; ValueError when it is none."""
    if len(query) < 17:
        raise ValueError("short")
    labels, at = [], 12
    while query[at]:
        n = query[at]
        if n > 63 or at + 1 + n >= len(query):
            raise ValueError("label")
        labels.append(query[at + 1:at + 1 + n].decode("latin1"))
        at += 1 + n
    kind = struct.unpack_from(">H", query, at + 1)[0]
    return query[:2], ".".join(labels), kind, query[12:at + 5]


def name_bytes(name):
    return b"".join(bytes([len(p)]) + p.encode("latin1") for p in name.split(".")) + b"\0"


class Dns:
    def __init__(self, events, zone):
        self.events, self.zone = events, zone

    def _find(self, name):
        name = name.lower()
        if name in self.zone:
            return self.zone[name]
        labels = name.split(".")
        for i in range(1, len(labels)):
            wild = "*." + ".".join(labels[i:])
            if wild in self.zone:
                return self.zone[wild]
        return None

    def answer(self, query, source, server):
        try:
            ident, name, kind, question = parse(query)
        except (ValueError, IndexError, struct.error):
            self.events.add("dns", name="(malformed)", type="?", source=source, server=server, raw=query)
            return None
        if name.endswith(SETTLE_NAME):
            self.events.add("settle", port=53, address=server, token=name)
            return None
        self.events.add("dns", name=name, type=TYPES.get(kind, str(kind)), source=source, server=server)
        entry, records, code, owner = self._find(name), [], 0, name
        for _ in range(8):
            if isinstance(entry, str) and entry.startswith("cname:"):
                target = entry[6:]
                records.append((owner, CNAME, name_bytes(target)))
                owner, entry = target, self._find(target)
                continue
            break
        if entry == "silent":
            return None
        if entry == "servfail":
            code = 2
        elif entry is None:
            code = 3
        else:
            addresses = entry.next(kind) if isinstance(entry, Alternate) else entry
            for a in addresses:
                family, rr = (socket.AF_INET6, AAAA) if ":" in a else (socket.AF_INET, A)
                if rr == kind:
                    records.append((owner, rr, socket.inet_pton(family, a)))
        head = ident + struct.pack(">HHHHH", 0x8580 | code, 1, len(records), 0, 0)
        body = b"".join(name_bytes(o) + struct.pack(">HHIH", rr, 1, 0, len(d)) + d for o, rr, d in records)
        return head + question + body

    def serve_udp(self, sock):
        """One thread; answers from the address that was asked."""
        while True:
            try:
                data, control, _, peer = sock.recvmsg(4096, 256)
            except OSError:
                return
            server, back = destination(control)
            reply = self.answer(data, "udp", server)
            if reply:
                try:
                    sock.sendmsg([reply], back, 0, peer)
                except OSError:
                    pass

    def serve_tcp(self, conn, server):
        """A connection of a client; several queries may come."""
        with conn:
            conn.settimeout(10)
            try:
                while True:
                    head = conn.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    n = struct.unpack(">H", head)[0]
                    query = conn.recv(n, socket.MSG_WAITALL)
                    reply = self.answer(query, "tcp", server)
                    if reply:
                        conn.sendall(struct.pack(">H", len(reply)) + reply)
            except OSError:
                return


def destination(control):
    """(address a datagram was sent to, control data that answers from it)."""
    for level, kind, data in control:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            return socket.inet_ntop(socket.AF_INET, data[8:12]), \
                [(socket.IPPROTO_IP, IP_PKTINFO, struct.pack("i4s4s", 0, data[8:12], b"\0" * 4))]
        if level == socket.IPPROTO_IPV6 and kind == IPV6_PKTINFO:
            return socket.inet_ntop(socket.AF_INET6, data[:16]), \
                [(socket.IPPROTO_IPV6, IPV6_PKTINFO, data[:16] + struct.pack("I", 0))]
    return "?", []


def udp_socket(family, port):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        s.setsockopt(socket.IPPROTO_IPV6, 78, 1)  # IPV6_FREEBIND: answer from any local address
    else:
        s.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    s.bind(("", port) if family == socket.AF_INET else ("::", port))
    return s
