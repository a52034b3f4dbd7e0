"""Our processes' messages (src/ipc/ipc.h) and the guest protocol (src/mux/proto.h), spoken from a test that
plays the monitor or the guest. Numbers come from the headers, so that a test cannot drift from them."""

import array
import os
import re
import socket
import struct

SRC = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "src")


def _constants(header):
    """Enum members and #defines with plain values: {name: number}."""
    with open(os.path.join(SRC, header), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    found = {}
    for name, value in re.findall(r"\b([A-Z][A-Z0-9_]+)\s*=\s*(\d+)\s*[,\n}]", text):
        found[name] = int(value)
    for name, value in re.findall(r"^#define ([A-Z][A-Z0-9_]+)\s+(0x[0-9A-Fa-f]+|\d+)u?\s*$", text, flags=re.M):
        found[name] = int(value, 0)
    return found


IPC = _constants("ipc/messages.h")
PROTO = _constants("mux/proto.h")
NAMES = {value: name for name, value in IPC.items() if name.startswith("IPC_") and name != "IPC_ROLE_FD"}


def field(tag, value):
    """One typed field: int -> u32, ("u64", n), str or bytes."""
    if isinstance(value, tuple):
        value = struct.pack(">Q", value[1])
    elif isinstance(value, int):
        value = struct.pack(">I", value)
    elif isinstance(value, str):
        value = value.encode()
    return struct.pack(">HI", tag, len(value)) + value


def fields(body):
    """[(tag, bytes)]."""
    found, at = [], 0
    while at < len(body):
        tag, n = struct.unpack_from(">HI", body, at)
        found.append((tag, body[at + 6:at + 6 + n]))
        at += 6 + n
    return found


class Link:
    """One end of a message link."""

    def __init__(self, sock):
        self.sock = sock

    @staticmethod
    def pair():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return Link(ours), theirs

    def send(self, name, *body, ident=0, fds=()):
        message = struct.pack(">HHI", IPC[name], 0, ident) + b"".join(field(t, v) for t, v in body)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([message], rights)

    def receive(self, timeout=10):
        """(name, id, {tag: bytes}, [fds]) or None at the end."""
        self.sock.settimeout(timeout)
        data, control, _, _ = self.sock.recvmsg(66000, socket.CMSG_SPACE(8 * 4))
        got = array.array("i")
        for level, kind, raw in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                got.frombytes(raw[:len(raw) - len(raw) % 4])
        if not data:
            return None
        kind, _, ident = struct.unpack_from(">HHI", data)
        return NAMES[kind], ident, dict(fields(data[8:])), list(got)

    def expect(self, name, timeout=10):
        """The next message of that name; others before it are an error."""
        message = self.receive(timeout)
        assert message is not None, f"the link ended before {name}"
        assert message[0] == name, f"{message[0]} {message[2]} came instead of {name}"
        return message

    def close(self):
        self.sock.close()


def frame(kind, body=b""):
    return struct.pack(">BBHI", kind, 0, 0, len(body)) + body


def opening(service, body=b""):
    return struct.pack(">HBBI", PROTO["PROTO_MAGIC"], PROTO["PROTO_VERSION"], service, len(body)) + body


class Frames:
    """Frames on a stream socket."""

    def __init__(self, sock):
        self.sock, self.buffer = sock, b""

    def send(self, kind, body=b""):
        self.sock.sendall(frame(kind, body))

    def receive(self, timeout=10):
        self.sock.settimeout(timeout)
        while len(self.buffer) < 8 or len(self.buffer) < 8 + struct.unpack_from(">I", self.buffer, 4)[0]:
            data = self.sock.recv(65536)
            if not data:
                return None
            self.buffer += data
        n = struct.unpack_from(">I", self.buffer, 4)[0]
        kind, body = self.buffer[0], self.buffer[8:8 + n]
        self.buffer = self.buffer[8 + n:]
        return kind, body

    def until(self, *kinds, timeout=10):
        """All frames up to the first of these kinds: ({kind: bytes joined}, last kind, its body)."""
        seen = {}
        while True:
            got = self.receive(timeout)
            assert got is not None, f"the stream ended; seen {seen}"
            if got[0] in kinds:
                return seen, got[0], got[1]
            seen[got[0]] = seen.get(got[0], b"") + got[1]


def mux_frame(kind, flags, ident, length, payload=b""):
    return struct.pack(">BBHII", 0, kind, flags, ident, length) + payload
