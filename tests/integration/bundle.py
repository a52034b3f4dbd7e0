"""Speaks to a monitor the way the CLI does: typed fields, messages, the launch, control.sock. For tests."""

import array
import contextlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("BB_BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build")
PROGRAMS = os.path.join(BUILD, "src")

# ipc/messages.h
SETUP_DONE, ROLE_READY, ROLE_ERROR, SHUTDOWN = 1, 2, 3, 4
RECORDER_SETUP, RECORDER_WRITER, DIALLER_SETUP = 16, 17, 32
EGRESS_SETUP, EGRESS_ROOTS, EGRESS_SECRET, EGRESS_READY = 48, 49, 50, 51
CHANNEL_SETUP, CHANNEL_SERVICE, CHANNEL_CONSOLE, CHANNEL_PROVISION = 64, 65, 66, 67
CHANNEL_OPEN, CHANNEL_CLOSED, CHANNEL_HELLO, CHANNEL_READY = 68, 69, 70, 71
CHANNEL_MAIN_EXIT, CHANNEL_BYE, CHANNEL_LOST, CHANNEL_MARK = 72, 73, 74, 75
CHANNEL_CHANGED, CHANNEL_SHUTDOWN = 76, 77
LAUNCH_PLAN, LAUNCH_SECRET, LAUNCH_GO, LAUNCH_STEP = 96, 97, 98, 99
LAUNCH_READY, LAUNCH_FAILED, LAUNCH_NOTE = 100, 101, 102
CONTROL_OPEN, CONTROL_OPENED, CONTROL_STATUS, CONTROL_STATE = 112, 113, 114, 115
CONTROL_HOLD, CONTROL_STOP, CONTROL_WATCH, CONTROL_ENDED = 116, 117, 118, 119
CONTROL_WORKSPACE, CONTROL_OK, CONTROL_REFUSED, CONTROL_NOTE = 120, 121, 122, 123
PHASES = ["launching", "running", "saving", "ending"]

# mux/proto.h
EXEC, FILE = 16, 17
EXEC_START, EXEC_ATTACH, EXEC_STDIN, EXEC_STDIN_EOF, EXEC_RESIZE, EXEC_SIGNAL = 1, 2, 3, 4, 5, 6
EXEC_STARTED, EXEC_STDOUT, EXEC_STDERR, EXEC_EXIT, EXEC_FAILED = 16, 17, 18, 19, 20
FLAG_KEEP, FLAG_MAIN, FLAG_OBSERVE = 1, 2, 4
FILE_DATA, FILE_END, FILE_RESULT = 1, 2, 3
FILE_PUT, FILE_GET = 1, 2


# Descriptor 3 is where a monitor finds its report socket: here it is always taken, by nothing.
while (_taken := os.open("/dev/null", os.O_RDONLY)) < 3:
    pass
if _taken > 3:
    os.close(_taken)


class Gone(Exception):
    """The other side closed the link."""


def tlv(*fields):
    """(tag, value): int is a u32, bytes and str are themselves; ("u64", tag, n) for 64 bits."""
    out = b""
    for f in fields:
        if f[0] == "u64":
            tag, value = f[1], struct.pack(">Q", f[2])
        else:
            tag, value = f
            if isinstance(value, int):
                value = struct.pack(">I", value)
            elif isinstance(value, str):
                value = value.encode()
        out += struct.pack(">HI", tag, len(value)) + value
    return out


def fields_of(body):
    """{tag: [values]}"""
    found, at = {}, 0
    while at < len(body):
        tag, n = struct.unpack_from(">HI", body, at)
        found.setdefault(tag, []).append(body[at + 6:at + 6 + n])
        at += 6 + n
    return found


def u32(value):
    return struct.unpack(">I", value)[0]


def frame(kind, body=b""):
    return struct.pack(">BBHI", kind, 0, 0, len(body)) + body


class Link:
    """One end of a message link."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, kind, body=b"", id=0, fds=()):
        self.sock.sendmsg([struct.pack(">HHI", kind, 0, id) + body],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])

    def receive(self, timeout=10.0):
        """(type, id, fields, fds)"""
        if not select.select([self.sock], [], [], timeout)[0]:
            raise TimeoutError(f"no message within {timeout} s")
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 70000, 8)
        except ConnectionResetError:
            data, fds = b"", []
        if not data:
            raise Gone()
        kind, _, id = struct.unpack_from(">HHI", data)
        return kind, id, fields_of(data[8:]), fds

    def until(self, *kinds, timeout=10.0, seen=None):
        """The first message of one of these types; what comes before is put into seen."""
        deadline = time.monotonic() + timeout
        while True:
            message = self.receive(max(0, deadline - time.monotonic()))
            if message[0] in kinds:
                return message
            if seen is not None:
                seen.append(message)

    def close(self):
        self.sock.close()


class Plan:
    """A launch plan; see role/monitor/plan.c for the tags."""

    def __init__(self, identity="dev-test0", **more):
        self.values = dict(identity=identity, agent="dev", backend="namespace", image="host", bottle=None,
                           label=None, color=None, cwd=None, roots_path=None, accelerator=None, cpus=1,
                           pids=256, max_seconds=0, orphan_grace_ms=0, headless=True, memory=512 << 20,
                           disk=256 << 20, policy=b"", ports=(), resumed=False, env=(), tokens=(), agent_state=())
        assert set(more) <= set(self.values), more
        self.values.update(more)

    def encode(self):
        v = self.values
        strings = ("identity", "agent", "backend", "image", "bottle", "label", "color", "cwd", "roots_path",
                   "accelerator")
        fields = [(32 + i, v[n]) for i, n in enumerate(strings) if v[n] is not None]
        fields += [(16 + i, v[n]) for i, n in enumerate(("cpus", "pids", "max_seconds", "orphan_grace_ms"))]
        fields += [(20, int(v["headless"])), ("u64", 5, v["memory"]), ("u64", 6, v["disk"]), (1, v["policy"]),
                   (4, b"".join(struct.pack(">H", p) for p in v["ports"])), (8, int(v["resumed"]))]
        fields += [(2, e) for e in v["env"]] + [(3, t) for t in v["tokens"]] + [(7, s) for s in v["agent_state"]]
        return tlv(*fields)


class Home:
    """A root of its own: BOT_BOTTLE_HOME, XDG_RUNTIME_DIR."""

    def __init__(self, path=None):
        self.path = path or tempfile.mkdtemp(prefix="bb-life-", dir="/tmp")  # short: sockets live in it
        self.owned = path is None
        self.root = os.path.join(self.path, "root")
        self.run = os.path.join(self.path, "run")
        os.makedirs(self.run, mode=0o700, exist_ok=True)
        self.env = {**os.environ, "BOT_BOTTLE_HOME": self.root, "XDG_RUNTIME_DIR": self.run}

    def state(self, identity, *rest):
        return os.path.join(self.root, "state", identity, *rest)

    def meta(self, identity):
        with open(self.state(identity, "metadata.json"), encoding="utf-8") as f:
            return json.load(f)

    def run_dirs(self):
        base = os.path.join(self.run, "bot-bottle")
        return os.listdir(base) if os.path.isdir(base) else []

    def states(self):
        base = os.path.join(self.root, "state")
        return sorted(n for n in os.listdir(base) if n[0] != ".") if os.path.isdir(base) else []

    def close(self):
        # A monitor that is ending may still write its last metadata into the tree: once more, then.
        deadline = time.monotonic() + 5
        while self.owned and os.path.exists(self.path) and time.monotonic() < deadline:
            shutil.rmtree(self.path, ignore_errors=True)
            if os.path.exists(self.path):
                time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Control:
    """A connection to control.sock."""

    def __init__(self, home, identity):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(os.path.join(home.run, "bot-bottle", identity, "control.sock"))
        self.link = Link(sock)
        self.ids = 0

    def ask(self, kind, body=b"", timeout=10.0):
        self.ids += 1
        self.link.send(kind, body, id=self.ids)
        while True:
            message = self.link.receive(timeout)
            if message[1] == self.ids:
                return message

    def status(self):
        kind, _, f, _ = self.ask(CONTROL_STATUS)
        assert kind == CONTROL_STATE, kind
        return {"phase": PHASES[u32(f[1][0])], "agent": f[2][0].decode(), "backend": f[3][0].decode(),
                "held": u32(f[5][0]) == 1, "problem": f[7][0].decode() if 7 in f else None,
                "parts": {p.split()[0].decode(): int(p.split()[1]) for p in f.get(6, [])}}

    def open(self, service, opening=b"", first=b""):
        kind, _, f, fds = self.ask(CONTROL_OPEN, tlv((1, service), (2, opening), (3, first)))
        if kind != CONTROL_OPENED:
            raise RuntimeError(f[1][0].decode())
        if u32(f[1][0]) != 0:
            raise OSError(u32(f[1][0]), f[2][0].decode())
        return Stream(socket.socket(fileno=fds[0]))

    def start(self, *argv, flags=0, **more):
        """Runs a program in the guest; its Stream."""
        body = tlv(*[(1, a) for a in argv], *[(2, e) for e in more.get("env", ())],
                   *([(3, more["cwd"])] if "cwd" in more else []), (7, flags))
        return self.open(EXEC, b"", frame(EXEC_START, body))

    def run(self, *argv, flags=0, timeout=20.0, **more):
        """(exit code, standard output, standard error)"""
        with contextlib.closing(self.start(*argv, flags=flags, **more)) as stream:
            return stream.result(timeout)

    def put(self, path, tar, timeout=20.0):
        with contextlib.closing(self.open(FILE, tlv((1, FILE_PUT), (2, path)))) as s:
            for at in range(0, len(tar), 32768):
                s.send(FILE_DATA, tar[at:at + 32768])
            s.send(FILE_END)
            for kind, body in s.frames(timeout):
                if kind == FILE_RESULT:
                    return body.decode("utf-8", "replace")
        raise Gone()

    def stop(self, timeout=15.0):
        kind, _, f, _ = self.ask(CONTROL_STOP, timeout=timeout)
        assert kind == CONTROL_ENDED, kind
        return ended(f)

    def wait_end(self, timeout=15.0):
        return ended(self.link.until(CONTROL_ENDED, timeout=timeout)[2])

    def close(self):
        self.link.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ended(f):
    return {"code": u32(f[1][0]), "reason": f[2][0].decode(), "kept": u32(f[3][0]) == 1,
            "problem": f[4][0].decode() if 4 in f else None}


class Stream:
    """A stream of proto.h frames."""

    def __init__(self, sock):
        self.sock = sock

    def send(self, kind, body=b""):
        self.sock.sendall(frame(kind, body))

    def frames(self, timeout=20.0):
        buffer, deadline = b"", time.monotonic() + timeout
        while True:
            while len(buffer) >= 8:
                kind, _, _, n = struct.unpack_from(">BBHI", buffer)
                if len(buffer) < 8 + n:
                    break
                yield kind, buffer[8:8 + n]
                buffer = buffer[8 + n:]
            self.sock.settimeout(max(0.01, deadline - time.monotonic()))
            data = self.sock.recv(65536)
            if not data:
                return
            buffer += data

    def result(self, timeout=20.0):
        out, err = b"", b""
        for kind, body in self.frames(timeout):
            if kind == EXEC_STDOUT:
                out += body
            elif kind == EXEC_STDERR:
                err += body
            elif kind == EXEC_EXIT:
                return u32(body[:4]), out, err
            elif kind == EXEC_FAILED:
                return u32(body[:4]), out, body[4:]
        raise Gone()

    def close(self):
        self.sock.close()


class Monitor:
    """A monitor process and the operator's end of its launch."""

    def __init__(self, home, plan, program=None, secrets=(), go=True, env=None):
        self.home, self.plan = home, plan
        self.identity = plan.values["identity"]
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        program = program or os.path.join(PROGRAMS, "bot-bottle-monitor")
        with theirs:
            self.process = subprocess.Popen(
                [program], env={**home.env, **(env or {})}, stdin=subprocess.DEVNULL,
                start_new_session=True, pass_fds=[3], preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
        self.report = Link(ours)
        self.steps, self.ready = [], None
        fd = os.memfd_create("plan")
        os.write(fd, plan.encode())
        self.report.send(LAUNCH_PLAN, fds=[fd])
        os.close(fd)
        for ref, value in secrets:
            r, w = os.pipe()
            os.write(w, value)
            os.close(w)
            self.report.send(LAUNCH_SECRET, tlv((1, ref)), fds=[r])
            os.close(r)
        if go:
            self.report.send(LAUNCH_GO)

    def wait_ready(self, timeout=20.0):
        seen = []
        kind, _, f, _ = self.report.until(LAUNCH_READY, LAUNCH_FAILED, timeout=timeout, seen=seen)
        self.steps += [m[2][1][0].decode() for m in seen if m[0] == LAUNCH_STEP]
        if kind == LAUNCH_FAILED:
            raise LaunchFailed(f[1][0].decode(), f[2][0].decode() if 2 in f else "")
        self.ready = f[1][0].decode()
        return self

    def control(self):
        return Control(self.home, self.identity)

    def wait_exit(self, timeout=10.0):
        return self.process.wait(timeout)

    def close(self):
        self.report.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        self.close()


class LaunchFailed(Exception):
    def __init__(self, reason, console):
        super().__init__(reason)
        self.reason, self.console = reason, console


def wait_for(claim, what, timeout=5.0):
    """Until claim() is true; the deadline is the test's failure."""
    deadline = time.monotonic() + timeout
    while not claim():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(0.01)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", "rb") as f:
            return f.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False
