"""The channel between a played monitor and a guest: the real bottle-init in a namespace, and hostile ones
played byte by byte."""

import hashlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time

from rig.ipc import PROTO, Frames, Link, field, frame, mux_frame, opening

BUILD = os.environ.get("BB_BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build")
PROGRAMS = os.environ.get("BB_BIN") or os.path.join(BUILD, "src")
DATA, WINDOW, PING, GO_AWAY = range(4)
SYN, ACK, FIN, RST = 1, 2, 4, 8


class Channel:
    """A running bot-bottle-channel with its monitor link, its service link and the guest's end."""

    def __init__(self, hello_ms=10000, services=("PROTO_EGRESS",), listener=None, uid=None, credential=None):
        self.monitor, theirs = Link.pair()
        self.guest, stream = socket.socketpair() if listener is None else (None, None)
        self.console_w = None
        self.dir = tempfile.TemporaryDirectory()
        self.process = subprocess.Popen([os.path.join(PROGRAMS, "bot-bottle-channel")], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, close_fds=True, pass_fds=(3,),
                                        stderr=open(os.path.join(self.dir.name, "log"), "wb"),
                                        preexec_fn=lambda: os.dup2(theirs.fileno(), 3)) \
            if theirs.fileno() != 3 else None
        assert self.process
        theirs.close()
        if listener is None:
            self.monitor.send("IPC_CHANNEL_SETUP", (1, ("u64", hello_ms)), fds=[stream.fileno()])
            stream.close()
        else:
            who = [(2, uid)] if uid is not None else [(3, credential)]
            self.monitor.send("IPC_CHANNEL_LISTEN", (1, ("u64", hello_ms)), *who, fds=[listener.fileno()])
        self.services = {}
        for name in services:
            ours, end = Link.pair()
            self.monitor.send("IPC_CHANNEL_SERVICE", (1, PROTO[name]), fds=[end.fileno()])
            end.close()
            self.services[name] = ours
        read, self.console_w = os.pipe()
        self.console_log = os.path.join(self.dir.name, "console.log")
        log = os.open(self.console_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.monitor.send("IPC_CHANNEL_CONSOLE", fds=[read, log])
        os.close(read)
        os.close(log)
        self.monitor.send("IPC_SETUP_DONE")
        self.monitor.expect("IPC_ROLE_READY")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.monitor.close()
        try:
            self.process.wait(5)
        finally:
            self.process.kill()
            self.process.wait()
        for link in self.services.values():
            link.close()
        if self.guest is not None:
            self.guest.close()
        if self.console_w is not None:
            os.close(self.console_w)
        self.dir.cleanup()

    def log(self):
        with open(os.path.join(self.dir.name, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def open(self, service, first=b"", body=b"", ident=1):
        ours, theirs = socket.socketpair()
        self.monitor.send("IPC_CHANNEL_OPEN", (1, PROTO[service]), (2, body), (3, first), ident=ident,
                          fds=[theirs.fileno()])
        theirs.close()
        return Frames(ours)

    def lost(self, timeout=10):
        return self.monitor.expect("IPC_CHANNEL_LOST", timeout)[2][1].decode()


class PlayedGuest:
    """Just enough of the guest's side to say a hello and open streams."""

    def __init__(self, channel):
        self.sock, self.channel = channel.guest, channel
        self.sock.settimeout(10)

    def read(self, n):
        data = b""
        while len(data) < n:
            more = self.sock.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def next_frame(self):
        _, kind, flags, ident, length = struct.unpack(">BBHII", self.read(12))
        return kind, flags, ident, length, self.read(length) if kind == DATA else b""

    def lifecycle(self, kind, body=b""):
        data = frame(kind, body)
        self.sock.sendall(mux_frame(DATA, 0, 2, len(data), data))

    def hello(self, version=None):
        version = PROTO["PROTO_VERSION"] if version is None else version
        self.lifecycle(PROTO["LIFECYCLE_HELLO"], field(1, version) + field(2, "played"))

    def serve(self):
        self.hello()
        self.channel.monitor.expect("IPC_CHANNEL_HELLO")
        self.lifecycle(PROTO["LIFECYCLE_READY"])
        self.channel.monitor.expect("IPC_CHANNEL_READY")


class RealGuest:
    """bottle-init as pid 1 of its own namespaces."""

    def __init__(self, channel, has_network=False):
        guest = channel.guest
        self.process = subprocess.Popen(
            ["unshare", "-Urpmf" if has_network else "-Urpnmf", "--mount-proc", "--kill-child", os.path.join(PROGRAMS, "bottle-init"),
             "--namespace"], stdin=subprocess.DEVNULL, stdout=channel.console_w, stderr=channel.console_w,
            pass_fds=(3,), preexec_fn=lambda: os.dup2(guest.fileno(), 3))
        channel.guest.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def provision(channel, *body):
    blob = b"".join(field(t, v) for t, v in body)
    channel.monitor.send("IPC_CHANNEL_PROVISION", (1, blob), (2, 1))


def start_real(channel):
    guest = RealGuest(channel)
    provision(channel, (PROTO["LIFECYCLE_TAG_HOSTNAME"], "bottle"), (PROTO["LIFECYCLE_TAG_ENV"], "PATH=/usr/bin:/bin"))
    channel.monitor.expect("IPC_CHANNEL_HELLO")
    ready = channel.monitor.expect("IPC_CHANNEL_READY")
    assert 1 not in ready[2], ready
    return guest


def run(channel, *argv, ident=1):
    first = frame(PROTO["EXEC_START"], b"".join(field(PROTO["EXEC_TAG_ARG"], a) for a in argv))
    return channel.open("PROTO_EXEC", first=first, ident=ident)


def test_a_command_runs_in_the_guest_and_its_end_is_reported():
    with Channel() as c, start_real(c):
        stream = run(c, "sh", "-c", "echo out; echo err >&2; exit 7", ident=41)
        seen, _, code = stream.until(PROTO["EXEC_EXIT"])
        assert seen[PROTO["EXEC_STDOUT"]] == b"out\n" and seen[PROTO["EXEC_STDERR"]] == b"err\n", seen
        assert struct.unpack(">I", code[-4:])[0] == 7
        stream.sock.close()
        closed = c.monitor.expect("IPC_CHANNEL_CLOSED")
        assert closed[1] == 41


def test_a_megabyte_goes_through_cat_unchanged():
    data = os.urandom(1 << 20)
    with Channel() as c, start_real(c):
        stream = run(c, "cat")
        got = []

        def feed():
            for at in range(0, len(data), 50000):
                stream.send(PROTO["EXEC_STDIN"], data[at:at + 50000])
            stream.send(PROTO["EXEC_STDIN_EOF"])

        writer = threading.Thread(target=feed)
        writer.start()
        seen, _, _ = stream.until(PROTO["EXEC_EXIT"], timeout=30)
        writer.join()
        got = seen[PROTO["EXEC_STDOUT"]]
        assert got == data, (len(got), len(data))


def test_megabytes_that_nobody_answers_arrive_unchanged():
    data = os.urandom(6 << 20)
    with Channel() as c, start_real(c):
        stream = run(c, "sha256sum")

        def feed():
            for at in range(0, len(data), 50000):
                stream.send(PROTO["EXEC_STDIN"], data[at:at + 50000])
            stream.send(PROTO["EXEC_STDIN_EOF"])

        writer = threading.Thread(target=feed, daemon=True)
        writer.start()
        seen, _, _ = stream.until(PROTO["EXEC_EXIT"], timeout=20)
        writer.join()
        assert seen[PROTO["EXEC_STDOUT"]].split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_a_file_receives_at_most_its_cap_and_the_process_is_not_held_up():
    with Channel() as c, start_real(c), tempfile.TemporaryFile() as sink:
        first = frame(PROTO["EXEC_START"], b"".join(field(PROTO["EXEC_TAG_ARG"], a) for a in
                                                   ("head", "-c", "3000000", "/dev/zero")))
        c.monitor.send("IPC_CHANNEL_OPEN", (1, PROTO["PROTO_EXEC"]), (3, first), (4, ("u64", 100000)), ident=5,
                       fds=[sink.fileno()])
        closed = c.monitor.expect("IPC_CHANNEL_CLOSED", 30)
        assert closed[1] == 5 and struct.unpack(">I", closed[2][1])[0] == 0
        assert os.fstat(sink.fileno()).st_size == 100000


def test_a_full_disk_ends_that_stream_with_its_reason():
    with Channel() as c, start_real(c), open("/dev/full", "wb", buffering=0) as sink:
        first = frame(PROTO["EXEC_START"], b"".join(field(PROTO["EXEC_TAG_ARG"], a) for a in ("echo", "x")))
        c.monitor.send("IPC_CHANNEL_OPEN", (1, PROTO["PROTO_EXEC"]), (3, first), ident=6, fds=[sink.fileno()])
        closed = c.monitor.expect("IPC_CHANNEL_CLOSED")
        assert struct.unpack(">I", closed[2][1])[0] == 28  # ENOSPC
        stream = run(c, "true", ident=7)  # the others go on
        stream.until(PROTO["EXEC_EXIT"])


def test_a_guest_stream_reaches_its_service_with_half_closes_both_ways():
    with Channel() as c:
        g = PlayedGuest(c)
        g.serve()
        payload = opening(PROTO["PROTO_EGRESS"], field(1, 2)) + b"CONNECT a:443"
        g.sock.sendall(mux_frame(WINDOW, SYN, 1, 0) + mux_frame(DATA, 0, 1, len(payload), payload) +
                       mux_frame(DATA, FIN, 1, 0))
        name, _, body, fds = c.services["PROTO_EGRESS"].receive()
        assert name == "IPC_STREAM" and struct.unpack(">I", body[1])[0] == 2
        with socket.socket(fileno=fds[0]) as s:
            s.settimeout(10)
            got = b""
            while True:
                more = s.recv(100)
                if not more:
                    break
                got += more
            assert got == b"CONNECT a:443"
            s.sendall(b"answer")
        answer, end = b"", False
        while not end:
            kind, flags, ident, _, data = g.next_frame()
            if ident == 1 and kind == DATA:
                answer += data
                end = bool(flags & FIN)
        assert answer == b"answer"


def test_a_stream_without_a_service_is_reset():
    with Channel(services=()) as c:
        g = PlayedGuest(c)
        g.serve()
        payload = opening(PROTO["PROTO_GIT"])
        g.sock.sendall(mux_frame(WINDOW, SYN, 1, 0) + mux_frame(DATA, 0, 1, len(payload), payload))
        while True:
            _, flags, ident, _, _ = g.next_frame()
            if ident == 1 and flags & RST:
                break


def hostile(action, want):
    with Channel() as c:
        g = PlayedGuest(c)
        started = time.monotonic()
        action(g)
        text = c.lost()
        assert want in text, text
        assert time.monotonic() - started < 2 or "deadline" in want


def test_a_hello_of_another_version_is_refused():
    hostile(lambda g: g.hello(version=99), "version 99")


def test_frames_out_of_turn_are_refused():
    hostile(lambda g: g.lifecycle(PROTO["LIFECYCLE_READY"]), "out of turn")
    hostile(lambda g: (g.serve(), g.lifecycle(PROTO["LIFECYCLE_HELLO"])), "out of turn")
    hostile(lambda g: g.lifecycle(77), "unknown")


def test_the_guest_may_not_open_the_hosts_services():
    for name in ("PROTO_EXEC", "PROTO_FILE", "PROTO_LIFECYCLE"):
        payload = opening(PROTO[name])
        hostile(lambda g: (g.serve(), g.sock.sendall(mux_frame(WINDOW, SYN, 1, 0) +
                                                     mux_frame(DATA, 0, 1, len(payload), payload))), "host's to open")


def test_a_broken_stream_ends_the_bottle():
    hostile(lambda g: g.sock.sendall(b"\x07" * 12), "protocol")
    hostile(lambda g: (g.serve(), g.sock.sendall(mux_frame(WINDOW, SYN, 1, 0) + mux_frame(DATA, 0, 1, 5, b"hello") +
                                                 mux_frame(DATA, 0, 1, 8, b"\0" * 8))), "opens with")
    hostile(lambda g: g.sock.close(), "closed its stream")


def test_answers_that_nobody_asked_for_are_refused():
    changed, main = PROTO["LIFECYCLE_CHANGED"], PROTO["LIFECYCLE_MAIN_EXIT"]
    hostile(lambda g: (g.serve(), g.lifecycle(changed, field(PROTO["LIFECYCLE_TAG_CHANGED"], 0))), "nobody asked")
    hostile(lambda g: (g.serve(), g.lifecycle(main, field(PROTO["LIFECYCLE_TAG_EXIT_CODE"], 0)),
                       g.lifecycle(main, field(PROTO["LIFECYCLE_TAG_EXIT_CODE"], 0)),
                       g.channel.monitor.expect("IPC_CHANNEL_MAIN_EXIT")), "ends twice")


def test_floods_end_the_bottle_in_bounded_memory():
    for flood in (mux_frame(PING, SYN, 0, 7) * 5000,
                  b"".join(mux_frame(WINDOW, SYN, 2 * i + 1, 0) for i in range(200000))):
        with Channel() as c:
            g = PlayedGuest(c)
            g.serve()
            started = time.monotonic()
            g.sock.settimeout(5)
            try:
                for _ in range(1000):
                    g.sock.sendall(flood)
            except OSError:
                pass  # it does not listen any more
            c.lost()
            assert time.monotonic() - started < 5
            with open(f"/proc/{c.process.pid}/status", encoding="ascii") as f:
                peak = next(int(line.split()[1]) for line in f if line.startswith("VmHWM"))
            assert peak < 64 << 10, f"{peak} KiB"


def test_what_came_before_the_guest_died_is_still_passed_on():
    with Channel() as c:
        g = PlayedGuest(c)
        g.serve()
        stream = c.open("PROTO_EXEC", ident=9)
        while True:
            kind, _, ident, _, data = g.next_frame()
            if kind == DATA and ident == 4:
                break
        block = b"z" * 60000  # more than the local socket holds: the rest waits in the channel
        for _ in range(4):
            g.sock.sendall(mux_frame(DATA, 0, 4, len(block), block))
        g.sock.close()
        c.lost()
        got = 0
        while True:
            more = stream.sock.recv(65536)
            if not more:
                break
            got += len(more)
        assert got == 4 * len(block), got
        closed = c.monitor.expect("IPC_CHANNEL_CLOSED")
        assert closed[1] == 9 and struct.unpack(">I", closed[2][1])[0] == 104  # ECONNRESET


def test_a_pipe_whose_reader_is_slow_loses_nothing():
    with Channel() as c, start_real(c):
        read, write = os.pipe()
        first = frame(PROTO["EXEC_START"], b"".join(field(PROTO["EXEC_TAG_ARG"], a) for a in
                                                   ("head", "-c", "700000", "/dev/zero")))
        c.monitor.send("IPC_CHANNEL_OPEN", (1, PROTO["PROTO_EXEC"]), (3, first), ident=8, fds=[write])
        os.close(write)
        run(c, "true", ident=9).until(PROTO["EXEC_EXIT"])  # the full pipe does not hold the others up
        got = b""
        while True:
            more = os.read(read, 65536)
            if not more:
                break
            got += more
        os.close(read)
        assert got.count(b"\0") >= 700000


def test_a_silent_guest_meets_the_deadline():
    with Channel(hello_ms=300) as c:
        assert "did not say hello within 300 ms" in c.lost()


def test_the_console_is_kept_up_to_its_cap():
    with Channel() as c:
        text = b"kernel panic\n" + b"x" * (3 << 20)
        os.write(c.console_w, text[:1000])
        writer = threading.Thread(target=lambda: [os.write(c.console_w, text[i:i + 60000])
                                                  for i in range(1000, len(text), 60000)])
        writer.start()
        writer.join(20)
        assert not writer.is_alive(), "the console holds its writer up"
        g = PlayedGuest(c)
        g.serve()  # the channel has gone round: what was in the pipe is read
        deadline = time.monotonic() + 5
        while os.path.getsize(c.console_log) < 1 << 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert os.path.getsize(c.console_log) == 1 << 20
        with open(c.console_log, "rb") as f:
            assert f.read(13) == b"kernel panic\n"


def test_the_channel_ends_with_its_monitor():
    c = Channel()
    with c:
        c.monitor.close()
        assert c.process.wait(5) == 0


def test_a_malformed_message_of_the_monitor_ends_the_channel():
    with Channel() as c:
        c.monitor.send("IPC_CHANNEL_OPEN", (1, PROTO["PROTO_EGRESS"]), ident=3, fds=[0])
        assert c.monitor.expect("IPC_ROLE_ERROR")[2][1]
        assert c.process.wait(5) == 1


# The guest connects

CREDENTIAL = bytes(range(32))


class Door:
    """A channel with a listener: a Unix socket in a folder of its own, or TCP on an address of the loopback."""

    def __init__(self, kind, uid=None, **more):
        self.dir = tempfile.TemporaryDirectory()
        if kind == "unix":
            self.path = os.path.join(self.dir.name, "stream.sock")
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            os.chmod(self.path, 0o777)
            os.chmod(self.dir.name, 0o755)
            more["uid"] = os.getuid() if uid is None else uid
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.18", 0))
            self.path = self.listener.getsockname()
            more["credential"] = CREDENTIAL
        self.listener.listen(64)
        self.listener.setblocking(False)
        self.channel = Channel(listener=self.listener, **more)
        self.listener.close()  # the channel has it alone, as in a bottle

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.__exit__()
        self.dir.cleanup()

    def knock(self, say=b""):
        s = socket.socket(socket.AF_UNIX if isinstance(self.path, str) else socket.AF_INET)
        s.settimeout(10)
        s.connect(self.path)
        if say:
            s.sendall(say)
        return s

    def enter(self, s):
        self.channel.guest = s
        return PlayedGuest(self.channel)

    def is_open(self):
        try:
            self.knock().close()
        except OSError:
            return False
        return True

    def expect_closed(self):
        """Nobody gets through the listener any more: it is closed, connections in its queue are reset."""
        deadline = time.monotonic() + 5
        while self.is_open():
            assert time.monotonic() < deadline, "the listener is still there"
            time.sleep(0.01)


def ended(s):
    """The other side closed it without a word."""
    try:
        return s.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_guest_that_connects_is_served_and_the_listener_is_closed():
    for kind, say in (("unix", b""), ("tcp", CREDENTIAL)):
        with Door(kind) as d:
            g = d.enter(d.knock(say))
            g.serve()
            d.expect_closed()
            first = frame(PROTO["EXEC_START"], field(PROTO["EXEC_TAG_ARG"], "true"))
            d.channel.open("PROTO_EXEC", first=first)
            while True:
                kind_, _, ident, _, data = g.next_frame()
                if kind_ == DATA and ident == 4:
                    assert data.endswith(first), data
                    break


def test_the_credential_may_come_in_pieces_and_the_stream_right_behind_it():
    with Door("tcp") as d:
        s = d.knock()
        for at in range(0, 32, 5):
            s.sendall(CREDENTIAL[at:at + 5])
        g = d.enter(s)
        g.serve()
    hello = frame(PROTO["LIFECYCLE_HELLO"], field(1, PROTO["PROTO_VERSION"]) + field(2, "played"))
    with Door("tcp") as d:
        d.enter(d.knock(CREDENTIAL + mux_frame(DATA, 0, 2, len(hello), hello)))
        d.channel.monitor.expect("IPC_CHANNEL_HELLO")  # not a byte of the stream was taken for the credential


def test_a_wrong_credential_is_refused_counted_and_noted_and_the_guest_still_comes_in():
    wrong = [CREDENTIAL[:31] + b"\xff", b"\xff" + CREDENTIAL[1:], bytes(32), b"GET /secret HTTP/1.1\r\nHost: example.test\r\n\r\n"]
    with Door("tcp") as d:
        for credential in wrong:
            with d.knock(credential) as s:
                assert ended(s), credential
        with d.knock(CREDENTIAL[:10]) as s:
            s.shutdown(socket.SHUT_WR)
            assert ended(s)
        d.enter(d.knock(CREDENTIAL)).serve()
        log = d.channel.log()
        assert log.count("wrong credential") == len(wrong) and "(5 so far)" in log, log
        assert "without the credential" in log, log
        assert CREDENTIAL.hex() not in log and "GET" not in log, log


def test_callers_that_say_nothing_cannot_keep_the_guest_out():
    with Door("tcp") as d:
        silent = [d.knock() for _ in range(48)]
        g = d.enter(d.knock(CREDENTIAL))
        g.serve()
        for s in silent:
            with s:
                assert ended(s)
        assert "too many" in d.channel.log()


def test_silent_callers_are_closed_after_a_while():
    with Door("tcp") as d, d.knock() as s:
        s.settimeout(15)
        assert ended(s)
        assert "in time" in d.channel.log()


def test_who_only_looks_at_the_socket_is_not_the_guest():
    with Door("unix") as d:
        for _ in range(3):
            with d.knock() as s:  # let in, and told of the lifecycle stream: it goes without a word
                assert s.recv(1) != b""
        g = d.enter(d.knock())
        g.serve()
        d.expect_closed()


def test_another_users_connection_is_refused():
    with Door("unix", uid=os.getuid() + 1) as d:
        with d.knock() as s:
            assert ended(s)
        log = d.channel.log()
        assert "another user" in log and "(1 so far)" in log, log


def test_nobody_connects_before_the_deadline():
    for kind in ("unix", "tcp"):
        with Door(kind, hello_ms=300) as d:
            assert "did not connect within 300 ms" in d.channel.lost()
            d.expect_closed()
    with Door("tcp", hello_ms=500) as d, d.knock(CREDENTIAL):
        assert "did not say hello within 500 ms" in d.channel.lost()  # the same deadline: no second one begins


def test_the_real_bottle_init_over_a_listener():
    with Door("unix") as d:
        d.channel.guest = d.knock()
        guest = RealGuest(d.channel)
        d.channel.monitor.expect("IPC_CHANNEL_HELLO")
        provision(d.channel, (PROTO["LIFECYCLE_TAG_HOSTNAME"], "bottle"),
                  (PROTO["LIFECYCLE_TAG_ENV"], "PATH=/usr/bin:/bin"))
        d.channel.monitor.expect("IPC_CHANNEL_READY")
        with guest:
            seen, _, _ = run(d.channel, "echo", "hi").until(PROTO["EXEC_EXIT"])
            assert seen[PROTO["EXEC_STDOUT"]] == b"hi\n"


def test_a_listener_without_a_rule_is_refused():
    for body in ((), ((2, os.getuid()), (3, CREDENTIAL)), ((3, CREDENTIAL[:31]),)):
        monitor, theirs = Link.pair()
        with socket.socket() as listener, theirs:
            p = subprocess.Popen([os.path.join(PROGRAMS, "bot-bottle-channel")], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3,),
                                 preexec_fn=lambda: os.dup2(theirs.fileno(), 3))
            monitor.send("IPC_CHANNEL_LISTEN", (1, ("u64", 1000)), *body, fds=[listener.fileno()])
            assert "uid or a credential" in monitor.expect("IPC_ROLE_ERROR")[2][1].decode()
            assert p.wait(5) == 1
        monitor.close()


# What the guest reaches, before it is provisioned

def endpoint(address, port):
    return socket.inet_aton(address) + struct.pack(">H", port)


def ask_probe(channel, tcp=(), udp=(), port=0, proxy=None):
    request = "GET http://bot-bottle-probe.invalid/ HTTP/1.1\r\nHost: bot-bottle-probe.invalid\r\n\r\n"
    body = b"".join(field(PROTO["LIFECYCLE_TAG_PROBE_TCP"], e) for e in tcp)
    body += b"".join(field(PROTO["LIFECYCLE_TAG_PROBE_UDP"], e) for e in udp)
    body += field(PROTO["LIFECYCLE_TAG_PROBE_NAME"], "some-name.example.test")
    body += field(PROTO["LIFECYCLE_TAG_PROBE_LISTEN"], port)
    if proxy is not None:
        body += field(PROTO["LIFECYCLE_TAG_PROBE_PROXY"], proxy)
    body += field(PROTO["LIFECYCLE_TAG_PROBE_REQUEST"], request)
    channel.monitor.send("IPC_CHANNEL_PROBE", (1, body))
    return request.encode()


def probed(channel):
    _, _, body, _ = channel.monitor.expect("IPC_CHANNEL_PROBED", 20)
    return [struct.unpack(">I", body[i])[0] for i in (1, 2, 3, 4)]


def answer_as_egress(s, request, text=b"HTTP/1.1 403 Forbidden\r\n\r\nbot-bottle: refused: no\n"):
    s.settimeout(10)
    got = b""
    while got != request:
        got += s.recv(4096)
        assert request.startswith(got), got
    s.sendall(text)
    s.close()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class NameServer:
    """Answers one question with itself."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.questions = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        data, who = self.sock.recvfrom(512)
        self.questions.append(data)
        self.sock.sendto(data, who)


def test_a_probe_finds_what_can_be_reached_and_what_shows_on_the_host():
    with Channel() as c, socket.socket() as canary:
        canary.bind(("127.0.0.1", 0))
        canary.listen()
        names, port, dead = NameServer(), free_port(), free_port()
        with RealGuest(c, has_network=True):
            c.monitor.expect("IPC_CHANNEL_HELLO")
            request = ask_probe(c, [endpoint("127.0.0.1", dead), endpoint("127.0.0.1", canary.getsockname()[1])],
                                [endpoint("127.0.0.1", names.sock.getsockname()[1])], port)
            _, _, _, fds = c.services["PROTO_EGRESS"].receive()
            answer_as_egress(socket.socket(fileno=fds[0]), request)
            tcp, udp, listens, status = probed(c)
            assert (tcp, udp & 1, listens, status) == (2, 1, 1, 403), (tcp, udp, listens, status)
            assert b"\x09some-name\x07example\x04test\x00" in names.questions[0]
            socket.create_connection(("127.0.0.1", port), 5).close()  # it listens until it is provisioned
            provision(c, (PROTO["LIFECYCLE_TAG_ENV"], "PATH=/usr/bin:/bin"))
            c.monitor.expect("IPC_CHANNEL_READY")
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
            except ConnectionRefusedError:
                pass
            else:
                raise AssertionError("it still listens")


def test_a_probe_of_a_guest_without_a_network_finds_the_bundle_only():
    with Channel() as c, socket.socket() as canary:
        canary.bind(("0.0.0.0", 0))
        canary.listen()
        canary.settimeout(0.1)
        names, port = NameServer(), free_port()
        with RealGuest(c):
            c.monitor.expect("IPC_CHANNEL_HELLO")
            request = ask_probe(c, [endpoint("127.0.0.1", canary.getsockname()[1]), endpoint("1.1.1.1", 53)],
                                [endpoint("127.0.0.1", names.sock.getsockname()[1])], port)
            _, _, _, fds = c.services["PROTO_EGRESS"].receive()
            answer_as_egress(socket.socket(fileno=fds[0]), request)
            assert probed(c) == [0, 0, 1, 403]
            assert names.questions == []
            try:
                canary.accept()
            except TimeoutError:
                pass
            else:
                raise AssertionError("somebody came")


def test_a_probe_by_tcp_tells_egress_from_others():
    for text, want in ((b"HTTP/1.1 403 Forbidden\r\n\r\nbot-bottle: refused: no\n", 403),
                       (b"HTTP/1.1 403 Forbidden\r\n\r\nsomebody else\n", 0), (b"SSH-2.0-x\r\n", 0), (b"", 0)):
        with Channel(services=()) as c, socket.socket() as proxy:
            proxy.bind(("127.0.0.1", 0))
            proxy.listen()
            proxy.settimeout(10)
            with RealGuest(c, has_network=True):
                c.monitor.expect("IPC_CHANNEL_HELLO")
                request = ask_probe(c, proxy=endpoint("127.0.0.1", proxy.getsockname()[1]))
                answer_as_egress(proxy.accept()[0], request, text)
                assert probed(c)[3] == want, text
    with Channel(services=()) as c, RealGuest(c):  # no way to it at all
        c.monitor.expect("IPC_CHANNEL_HELLO")
        ask_probe(c, proxy=endpoint("127.0.0.1", 9))
        assert probed(c)[3] == 0


def test_a_probe_answer_that_nobody_asked_for_is_refused():
    body = b"".join(field(PROTO[f"LIFECYCLE_TAG_PROBED_{n}"], 0) for n in ("TCP", "UDP", "LISTENS", "BUNDLE"))
    hostile(lambda g: (g.hello(), g.channel.monitor.expect("IPC_CHANNEL_HELLO"),
                       g.lifecycle(PROTO["LIFECYCLE_PROBED"], body)), "nobody asked")
    hostile(lambda g: (g.serve(), g.lifecycle(PROTO["LIFECYCLE_PROBED"], body)), "out of turn")
