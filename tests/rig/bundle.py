"""The host side of a bottle without a guest: egress, dialler and recorder, started as the monitor does it.

    with Bundle([route("allowed.test")], secrets={"TOKEN": "value"}) as bundle:
        s = bundle.stream()                          # what channel hands to egress for one guest stream
        answer = bundle.https("allowed.test", "/")   # CONNECT, TLS with the bottle's CA, one request
        assert bundle.records()[-1]["verdict"] == "allowed"
"""

import json
import os
import socket
import ssl
import struct
import subprocess
import tempfile
import time

from rig.reader import Reader

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

SETUP_DONE, ROLE_READY, ROLE_ERROR, SHUTDOWN = 1, 2, 3, 4
RECORDER_SETUP, RECORDER_WRITER = 16, 17
RECORD, RECORD_DONE = 24, 25
DIALLER_SETUP, DIAL, DIAL_DONE = 32, 40, 41
EGRESS_SETUP, EGRESS_ROOTS, EGRESS_SECRET, EGRESS_READY, STREAM = 48, 49, 50, 51, 56
EGRESS_MINT, EGRESS_MINTED, EGRESS_LISTEN = 52, 53, 54

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def build_dir():
    return os.environ.get("BB_BUILD") or os.environ.get("BOT_BOTTLE_BUILD") or os.path.join(ROOT, "build")


def field(tag, value):
    if isinstance(value, int):
        value = struct.pack(">I", value)
    elif isinstance(value, str):
        value = value.encode()
    return struct.pack(">HI", tag, len(value)) + value


def number(tag, value):
    return field(tag, struct.pack(">Q", value))


def fields(body):
    """[(tag, bytes)] of a message's body."""
    found = []
    while body:
        tag, n = struct.unpack_from(">HI", body)
        found.append((tag, body[6:6 + n]))
        body = body[6 + n:]
    return found


COMPARES = {"exact": 0, "prefix": 1, "regex": 2}


def rule(how, text, name=None):
    """A value of policy/codec.c: of a path, or with a name of a header or query parameter."""
    return field(1, COMPARES[how]) + (b"" if name is None else field(2, name)) + field(3, text)


def match(methods=(), paths=(), headers=(), query=()):
    """An alternative: paths [(how, text)], headers and query [(name, how, text)]."""
    return (b"".join(field(1, m) for m in methods) + b"".join(field(2, rule(*p)) for p in paths) +
            b"".join(field(3, rule(how, text, name)) for name, how, text in headers) +
            b"".join(field(4, rule(how, text, name)) for name, how, text in query))


SCHEMES = {"Bearer": 1, "token": 3, "Basic": 4}


def route(host, ports=(443,), plain=(), token=None, header=None, matches=(), scheme="Bearer", user=None, query=None,
          private=0, git_fetch=False, requests=0, bytes_out=0):
    """A route of policy/codec.c. matches: [match(...)]; token, the secret's name, goes into header, query or scheme.
    private: 1 networks, 2 loopback; requests and bytes_out: of an hour."""
    is_wildcard = host.startswith("*.")
    out = field(1, host[2:] if is_wildcard else host) + field(2, int(is_wildcard))
    if ports:
        out += field(3, b"".join(struct.pack(">H", p) for p in ports))
    if plain:
        out += field(4, b"".join(struct.pack(">H", p) for p in plain))
    out += field(5, 0 if token is None else 2 if header is not None else 5 if query is not None else SCHEMES[scheme])
    for tag, value in ((6, header), (10, query), (11, user)):
        if value is not None:
            out += field(tag, value)
    if token is not None:
        out += field(7, token)
    out += field(12, private) + field(13, int(git_fetch)) + field(14, requests) + number(15, bytes_out)
    return out + field(8, "test") + b"".join(field(9, m) for m in matches)


def policy(routes, log=0):
    return field(1, 3) + field(3, log) + b"".join(field(2, r) for r in routes)


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock, kind, body=b"", fds=(), number_=0):
    message = struct.pack(">HHI", kind, 0, number_) + body
    if fds:
        socket.send_fds(sock, [message], list(fds))
    else:
        sock.send(message)


def receive(sock, seconds=10):
    """(type, id, body, fds); type None: the peer is gone."""
    sock.settimeout(seconds)
    data, fds, _, _ = socket.recv_fds(sock, 70000, 8)
    if not data:
        return None, 0, b"", fds
    kind, _zero, number_ = struct.unpack_from(">HHI", data)
    return kind, number_, data[8:], fds


class Answer:
    def __init__(self, status, reason, headers, body, head):
        self.status, self.reason, self.headers, self.body, self.head = status, reason, headers, body, head

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:300]!r}>"


class AnswerReader(Reader):
    """Answers of one connection."""

    def head(self):
        lines = self.until(b"\r\n\r\n").decode("latin1").split("\r\n")
        status = lines[0].split(" ", 2)
        headers = [(k.lower(), v.strip()) for k, v in (line.split(":", 1) for line in lines[1:])]
        return Answer(int(status[1]), status[2], dict(headers), b"", "\r\n".join(lines))

    def chunk(self):
        n = int(self.until(b"\r\n"), 16)
        data = self.exactly(n)
        assert self.exactly(2) == b"\r\n"
        return data

    def answer(self, method="GET"):
        a = self.head()
        if method == "HEAD" or a.status in (204, 304) or a.status < 200:
            return a
        if a.headers.get("transfer-encoding") == "chunked":
            while True:
                data = self.chunk()
                if not data:
                    return a
                a.body += data
        if "content-length" in a.headers:
            a.body = self.exactly(int(a.headers["content-length"]))
            return a
        try:
            while True:
                self.more()
        except EOFError:
            a.body, self.buffer = self.buffer, b""
        return a


class Bundle:
    def __init__(self, routes, secrets=None, egress="bot-bottle-egress", audit_fd=None, audit_holds=0,
                 dialler_routes=None, roots=CA_BUNDLE, login=None, log=0):
        self.home = tempfile.mkdtemp(prefix="bb-bundle-")
        self.audit = os.path.join(self.home, "audit.jsonl")
        self.processes, self.links = {}, {}
        self.shown = log  # egress.log
        self.login, self.proxy = login, None  # "user:password": egress listens by itself, at self.proxy
        self.routes, self.secrets = routes, secrets or {}
        self.dialler_routes = routes if dialler_routes is None else dialler_routes
        self.egress_name, self.audit_fd, self.audit_holds, self.roots = egress, audit_fd, audit_holds, roots

    # -- start and stop

    def _spawn(self, name, program):
        ours, theirs = pair()
        log = open(os.path.join(self.home, "log"), "ab")
        path = os.path.join(build_dir(), "src", program)
        if not os.path.exists(path):
            path = os.path.join(build_dir(), "tests", "integration", "egress", program)

        def place():
            if theirs.fileno() != 3:
                os.dup2(theirs.fileno(), 3)
        self.processes[name] = subprocess.Popen(
            [path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, close_fds=False,
            preexec_fn=place, cwd="/", env={"BOT_BOTTLE_LOG": os.environ.get("BOT_BOTTLE_LOG", "warn"),
                                 "ASAN_OPTIONS": "detect_leaks=0",  # it cannot look around in the sandbox
                                 "UBSAN_OPTIONS": "halt_on_error=1"})
        theirs.close()
        log.close()
        self.links[name] = ours
        return ours

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self):
        streams, egress_streams = pair()
        dials, egress_dials = pair()
        records, egress_records = pair()
        self.streams = streams
        egress = self._spawn("egress", self.egress_name)
        if self.login is not None:
            self._listen(egress)
        send(egress, EGRESS_SETUP, field(1, policy(self.routes, self.shown)),
             [egress_streams.fileno(), egress_dials.fileno(), egress_records.fileno()])
        with open(self.roots, "rb") as f:
            send(egress, EGRESS_ROOTS, b"", [f.fileno()])
        for name, value in self.secrets.items():
            r, w = os.pipe()
            os.write(w, value.encode())
            os.close(w)
            send(egress, EGRESS_SECRET, field(1, name), [r])
            os.close(r)
        send(egress, SETUP_DONE)
        recorder = self._spawn("recorder", "bot-bottle-recorder")
        fd = os.open(self.audit, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) if self.audit_fd is None else self.audit_fd
        send(recorder, RECORDER_SETUP, number(1, self.audit_holds), [fd])
        os.close(fd)
        send(recorder, RECORDER_WRITER, b"", [records.fileno()])
        send(recorder, SETUP_DONE)
        dialler = self._spawn("dialler", "bot-bottle-dialler")
        send(dialler, DIALLER_SETUP, field(1, policy(self.dialler_routes)), [dials.fileno()])
        send(dialler, SETUP_DONE)
        for s in (egress_streams, dials, egress_dials, records, egress_records):
            s.close()
        self.ready = {}
        for name, kind in (("recorder", ROLE_READY), ("dialler", ROLE_READY), ("egress", EGRESS_READY)):
            got, _, body, _ = receive(self.links[name])
            if got != kind:
                raise AssertionError(f"{name} said {got} {body!r}; log: {self.log()}")
            self.ready[name] = body
        self.ca = fields(self.ready["egress"])[0][1].decode()

    def _listen(self, egress):
        send(egress, EGRESS_MINT)
        kind, _, body, _ = receive(egress)
        assert kind == EGRESS_MINTED, (kind, body, self.log())
        self.minted = fields(body)[0][1].decode()
        with socket.socket() as listener:
            listener.bind(("127.0.0.19", 0))
            listener.listen(64)
            listener.setblocking(False)
            self.proxy = listener.getsockname()
            send(egress, EGRESS_LISTEN, field(1, self.login), [listener.fileno()])

    def dial(self, seconds=10):
        """A connection to the proxy that egress listens on."""
        return socket.create_connection(self.proxy, seconds)

    def __exit__(self, *_):
        for s in [getattr(self, "streams", None), *self.links.values()]:
            if s is not None:
                s.close()
        for p in self.processes.values():
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        if self.log().find("Sanitizer") >= 0 or self.log().find("runtime error") >= 0:
            raise AssertionError(self.log())
        for name in os.listdir(self.home):
            os.unlink(os.path.join(self.home, name))
        os.rmdir(self.home)

    def log(self):
        with open(os.path.join(self.home, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    # -- what the guest does

    def stream(self, path=2, seconds=10):
        """A guest's stream: path 1 transparent, 2 by the proxy variables."""
        ours, theirs = socket.socketpair()
        send(self.streams, STREAM, field(1, path), [theirs.fileno()])
        theirs.close()
        ours.settimeout(seconds)
        return ours

    def connect(self, host, port=443, path=2):
        """A tunnel: CONNECT answered with 200."""
        s = self.stream(path)
        name = f"[{host}]" if ":" in host else host
        s.sendall(f"CONNECT {name}:{port} HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode("latin1"))
        reader = AnswerReader(s)
        answer = reader.head()
        assert answer.status == 200 and reader.buffer == b"", answer
        return s

    def context(self):
        context = ssl.create_default_context(cadata=self.ca)
        return context

    def tls(self, host, port=443, sni=None, path=2):
        s = self.connect(host, port, path)
        return self.context().wrap_socket(s, server_hostname=host if sni is None else sni)

    def https(self, host, target="/", method="GET", headers=(), body=b"", port=443, raw=None, path=2):
        """One request in a tunnel of its own."""
        s = self.tls(host, port, path=path)
        try:
            return self.request(s, host if port == 443 else f"{host}:{port}", target, method, headers, body, raw)
        finally:
            s.close()

    @staticmethod
    def request(s, host, target="/", method="GET", headers=(), body=b"", raw=None):
        if raw is None:
            lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *(f"{k}: {v}" for k, v in headers)]
            if body:
                lines.append(f"Content-Length: {len(body)}")
            raw = "\r\n".join(lines).encode("latin1") + b"\r\n\r\n" + body
        s.sendall(raw)
        return AnswerReader(s).answer(method)

    # -- what the operator sees

    def records(self):
        with open(self.audit, encoding="ascii") as f:
            return [json.loads(line) for line in f.read().splitlines()]

    def wait_record(self, seconds=10, **want):
        deadline = time.monotonic() + seconds
        while True:
            for r in self.records():
                if all(r.get(k) == v for k, v in want.items()):
                    return r
            if time.monotonic() > deadline:
                raise AssertionError(f"no record {want}; there are: {self.records()}")
            time.sleep(0.01)  # the record is another process's: polled, with a deadline
