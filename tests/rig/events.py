"""What the rig's servers saw: one list of events that tests search and wait on.

An event is a dict with at least `kind`:
  dns      name, type, source ("udp"|"tcp"), server (the address that was asked)
  accept   port, address (as dialled)           a TCP connection, before any byte
  bytes    port, address, data                  a raw TCP sink read something
  udp      port, address, data                  a UDP sink read a datagram
  tls      port, address, sni                   a TLS handshake was completed
  tls-fail port, address, error
  http     the request, see servers.py
  model    scenario, step, note                 the model server answered
"""

import threading
import time


class Events:
    def __init__(self):
        self._list = []
        self._changed = threading.Condition()

    def add(self, kind, **fields):
        with self._changed:
            self._list.append({"kind": kind, "at": time.monotonic(), **fields})
            self._changed.notify_all()

    def mark(self):
        """A position: pass it as `since` to see only what came later."""
        with self._changed:
            return len(self._list)

    def all(self, kind=None, since=0, **fields):
        with self._changed:
            events = self._list[since:]
        return [e for e in events if (kind is None or e["kind"] == kind)
                and all(e.get(k) == v for k, v in fields.items())]

    def wait(self, kind, since=0, seconds=10, where=None, **fields):
        """The first such event, as soon as it is there; AssertionError when the time is up."""
        deadline = time.monotonic() + seconds
        while True:
            with self._changed:
                for e in self._list[since:]:
                    if e["kind"] == kind and all(e.get(k) == v for k, v in fields.items()) \
                            and (where is None or where(e)):
                        return e
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"the rig saw no '{kind}' event with {fields} within {seconds} s; it saw:\n"
                                         + describe(self._list[since:]))
                self._changed.wait(left)

    def wait_more(self, count):
        """Returns when there are more than count events."""
        with self._changed:
            self._changed.wait_for(lambda: len(self._list) > count)


def describe(events):
    lines = []
    for e in events:
        shown = {k: v for k, v in e.items() if k not in ("kind", "at", "headers", "body")}
        lines.append(f"  {e['kind']}: {shown}"[:300])
    return "\n".join(lines) or "  (nothing)"
