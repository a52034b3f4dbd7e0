"""The rig, for tests:

    RIG = True                              # in the test file: run inside the rig's namespace
    from rig.core import Rig

    with Rig() as rig:
        mark = rig.events.mark()
        ...
        assert rig.silence(mark) == []      # nothing reached a server since
"""

import base64
import os
import shutil
import socket
import struct
import threading

from rig import dns, netns
from rig.dns import SETTLE_NAME, Alternate
from rig.events import Events, describe
from rig.model import Model
from rig.servers import SETTLE_DATA, SETTLE_PORT, UDP_PORTS, Servers

BOTH = [netns.ADDRESS4, netns.ADDRESS6]
MODEL_HOSTS = {"api.anthropic.com"}


def ordinary_zone():
    return {
        "allowed.test": BOTH, "other.test": BOTH, "*.wild.test": BOTH, "plain.test": BOTH, "v6.test": [netns.ADDRESS6],
        "evil.test": BOTH, "*.evil.test": BOTH,
        "api.anthropic.com": BOTH, "platform.claude.com": BOTH,
        "badcert.test": BOTH, "wrongname.test": BOTH, "expired.test": BOTH,
        "loop4.test": ["127.0.0.1"], "loop6.test": ["::1"], "private.test": ["10.0.0.1"], "ula.test": ["fd00::1"],
        "linklocal.test": ["169.254.169.254"], "mapped.test": ["::ffff:127.0.0.1"], "cgn.test": ["100.64.0.1"],
        "zero.test": ["0.0.0.0"], "multicast.test": ["224.0.0.1"], "mixed.test": [netns.ADDRESS4, "127.0.0.1"],
        "alias.test": "cname:loop4.test", "goodalias.test": "cname:allowed.test",
        "rebind.test": Alternate([netns.ADDRESS4], ["127.0.0.1"]),
        "silent.test": "silent", "broken.test": "servfail",
    }


class Rig:
    def __init__(self):
        if not netns.inside():
            raise RuntimeError("not inside the rig's namespace: set RIG = True in the test file, or use tests/rig/rig")
        self.home = netns.directory()
        self.events = Events()
        self.zone = ordinary_zone()
        self.model = Model(self.events)
        self.secrets, self.gates, self.raw = {}, {}, {}
        self.servers = Servers(self.events, self.zone, self.home, self.model, MODEL_HOSTS, self.secrets, self.gates,
                               self.raw)
        self.servers.certificates = {
            "badcert.test": {"authority": "other-ca"},
            "wrongname.test": {"names": ["somebody-else.test"]},
            "expired.test": {"start": ("20200101000000Z", "20200201000000Z")},
        }

    def __enter__(self):
        self.servers.start()
        return self

    def __exit__(self, *_):
        self.servers.stop()

    def gate(self, name):
        """Lets /gated?gate=NAME go on."""
        self.gates.setdefault(name, threading.Event()).set()

    def secret(self, name):
        """A fresh secret that the rig knows and its echo never repeats."""
        value = f"sk-real-{name}-{os.urandom(18).hex()}"
        self.secrets[value] = name
        return value

    def silence(self, since, allowed=()):
        """What the rig saw since the mark, without what concerns the allowed names: [] when it saw nothing.

        With allowed names, plain connections to the rig's own addresses at ports 80 and 443 are theirs too.
        """
        self.settle()
        return [e for e in self.events.all(since=since) if not self._is_allowed(e, allowed)]

    @staticmethod
    def _is_allowed(e, allowed):
        if e["kind"] in ("settle", "model"):
            return True
        if e["kind"] == "accept":
            return bool(allowed) and e["port"] in (80, 443) and e["address"] in BOTH
        names = {(e.get("name") or "").lower(), (e.get("sni") or "").lower(),
                 (e.get("host") or "").split(":")[0].lower()}
        return bool(names & {a.lower() for a in allowed})

    def settle(self):
        """Returns when every datagram and connection that was under way when it was called has been seen:
        one of our own passes through each socket behind them."""
        token = os.urandom(8).hex()
        start = self.events.mark()
        query = b"\0\1\1\0\0\1\0\0\0\0\0\0" + dns.name_bytes(token + SETTLE_NAME) + struct.pack(">HH", 1, 1)
        for family, address in ((socket.AF_INET, netns.ADDRESS4), (socket.AF_INET6, netns.ADDRESS6)):
            with socket.socket(family, socket.SOCK_DGRAM) as s:
                for port in (53, *UDP_PORTS):
                    s.sendto(query if port == 53 else SETTLE_DATA + token.encode(), (address, port))
                    self.events.wait("settle", since=start, where=lambda e, p=port: e["port"] == p
                                     and e["address"] == address and token in e["token"])
        for _ in range(2):  # the second is accepted in a later round than all that waited beside the first
            start = self.events.mark()
            with socket.create_connection((netns.ADDRESS4, SETTLE_PORT), 5):
                self.events.wait("settle", since=start, port=SETTLE_PORT)


def forms(secret):
    """The ways in which a search looks for a secret: raw, hex, and base64 at each of the three offsets."""
    raw = secret.encode()
    found = {"raw": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode(), "utf16": secret.encode("utf-16-le")}
    for shift in range(3):
        text = base64.b64encode(b"\0" * shift + raw)
        cut = 0 if shift == 0 else 4  # the first group and the last hold bytes of the neighbours
        found[f"base64+{shift}"] = text[cut:len(text) - 4]
    return found


def need(program, package):
    if not shutil.which(program):
        raise AssertionError(f"'{program}' is missing; install the package {package}")


__all__ = ["Rig", "forms", "need", "describe", "BOTH"]
