"""The rig's TCP and UDP servers. Every TCP port answers by what comes first: a TLS hello gets a handshake,
an HTTP request an answer, anything else is kept as bytes. Every byte is in the events.

HTTP answers, whatever the host (events of kind `http`: host, method, target, headers, body, sni, port, address):
  /v1/messages on a model host    the scripted model
  /gated?gate=NAME                one chunk, then waits for rig.gate(NAME), then the second: shows buffering
  /sse?n=N                        N server-sent events
  /chunked                        the request's body, one chunk for each 1000 bytes
  /bytes?n=N                      N bytes
  /close                          a body that the end of the connection ends
  /302?to=URL                     a redirect
  /reflect?as=FORM                the credential that came, in that form (FORMS), between two words of text;
      &coding=gzip|deflate|raw|br     compressed, &split=N in chunks of N bytes, &end=close until the end, &in=header in a field
  /status/N                       an empty answer with that status
  /raw/NAME                       rig.raw[NAME], byte for byte, then the connection is closed
  anything else                   the request as JSON; a secret that the rig knows is shown as <secret NAME>
"""

import base64
import gzip
import html
import json
import selectors
import socket
import ssl
import threading
import urllib.parse
import zlib

from rig import certs, dns
from rig.reader import Closed, Reader

TCP_PORTS = (22, 25, 80, 443, 853, 2375, 3000, 5432, 6379, 8080, 8443, 8888, 9418)
SETTLE_PORT, SETTLE_DATA = 1, b"rig-settle-"  # core.py: traffic of the rig itself
UDP_PORTS = (123, 443, 853, 5353, 8080, 9999)
HEAD_MAX = 256 * 1024
METHODS = (b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"CONN", b"TRAC", b"PRI ")


def credential(request, by_name):
    """What the request authenticates with, whichever way."""
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request["target"]).query))
    value = by_name.get("authorization", by_name.get("x-api-key", query.get("key", "none")))
    if value.lower().startswith("basic "):
        return base64.b64decode(value[6:]).decode().split(":", 1)[1]
    return value.split(" ", 1)[-1]


FORMS = {
    "raw": lambda v: v, "bearer": lambda v: "Bearer " + v,
    "base64": lambda v: base64.b64encode(v.encode()).decode(), "base64url": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
    "basic": lambda v: base64.b64encode(f"user:{v}".encode()).decode(), "basic2": lambda v: base64.b64encode(f"x:{v}:y".encode()).decode(),
    "base32": lambda v: base64.b32encode(v.encode()).decode(), "hex": lambda v: v.encode().hex(),
    "HEX": lambda v: v.encode().hex().upper(), "percent": lambda v: urllib.parse.quote(v, safe=""),
    "percent-all": lambda v: "".join(f"%{c:02x}" for c in v.encode()), "json": lambda v: json.dumps({"v": v}),
    "html": html.escape, "twice": lambda v: v + v}


def compressed(body, coding):
    if coding == "gzip":
        return gzip.compress(body)
    if coding == "deflate":
        return zlib.compress(body)
    if coding == "raw":
        return zlib.compress(body, wbits=-15)
    return body


class Servers:
    def __init__(self, events, zone, home, model, model_hosts, secrets, gates, raw):
        self.events, self.home, self.model, self.model_hosts = events, home, model, model_hosts
        self.secrets, self.gates, self.raw = secrets, gates, raw
        self.dns = dns.Dns(events, zone)
        self.contexts, self.lock = {}, threading.Lock()
        # Made here, once: two first connections at a time would each make one and mix key and certificate.
        self.nameless = certs.leaf(home, "no-name", ["no-name.invalid"])
        self.certificates = {}  # host -> arguments for certs.leaf, where not the ordinary one
        self.sockets, self.live = [], set()
        self.selector = selectors.DefaultSelector()
        self.stopping = False

    # -- start and stop

    def start(self):
        for family in (socket.AF_INET, socket.AF_INET6):
            for port in (SETTLE_PORT, 53, *TCP_PORTS):
                self._listen(family, port)
            for port in (53, *UDP_PORTS):
                self._datagrams(family, port)
        self._wake, wake = socket.socketpair()
        self.sockets += [self._wake, wake]
        self.selector.register(wake, selectors.EVENT_READ, None)
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()

    def _listen(self, family, port):
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        s.bind(("" if family == socket.AF_INET else "::", port))
        s.listen(128)
        s.setblocking(False)
        self.sockets.append(s)
        self.selector.register(s, selectors.EVENT_READ, port)

    def _datagrams(self, family, port):
        s = dns.udp_socket(family, port)
        self.sockets.append(s)
        target = self.dns.serve_udp if port == 53 else lambda sock: self._udp_sink(sock, port)
        threading.Thread(target=target, args=(s,), daemon=True).start()

    def stop(self):
        self.stopping = True
        self._wake.send(b"x")
        self.acceptor.join(5)
        with self.lock:
            live = list(self.live)
        for s in live + self.sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _accept(self):
        while not self.stopping:
            for key, _ in self.selector.select():
                if key.data is None:
                    return
                self._accept_all(key.fileobj, key.data)

    def _accept_all(self, listener, port):
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            conn.setblocking(True)
            address = conn.getsockname()[0]
            self.events.add("settle" if port == SETTLE_PORT else "accept", port=port, address=address)
            if port == SETTLE_PORT:
                conn.close()
                continue
            threading.Thread(target=self._serve, args=(conn, port, address), daemon=True).start()

    def _udp_sink(self, sock, port):
        while True:
            try:
                data, control, _, _ = sock.recvmsg(65536, 256)
            except OSError:
                return
            address = dns.destination(control)[0]
            if data.startswith(SETTLE_DATA):
                self.events.add("settle", port=port, address=address, token=data.decode())
            else:
                self.events.add("udp", port=port, address=address, data=data)

    # -- one connection

    def _serve(self, conn, port, address):
        if port == 53:
            self.dns.serve_tcp(conn, address)
            return
        with self.lock:
            self.live.add(conn)
        place = {"port": port, "address": address, "sni": None}
        try:
            conn.settimeout(30)
            first = conn.recv(4, socket.MSG_PEEK)
            if first[:1] == b"\x16":
                conn = self._handshake(conn, place)
                first = METHODS[0]  # inside TLS only HTTP is spoken
            if first[:4] in METHODS:
                self._http(Reader(conn, HEAD_MAX), place)
            else:
                self._sink(conn, place)
        except (OSError, Closed, ValueError):
            pass
        finally:
            with self.lock:
                self.live.discard(conn)
            conn.close()

    def _sink(self, conn, place):
        while True:
            data = conn.recv(65536)
            if not data:
                return
            self.events.add("bytes", port=place["port"], address=place["address"], data=data)

    def _context(self, name):
        with self.lock:
            if name not in self.contexts:
                options = self.certificates.get(name) or {}
                tag = "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
                path = certs.leaf(self.home, tag, **{"names": [name], **options})
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(path)
                context.set_alpn_protocols(["http/1.1"])
                self.contexts[name] = context
            return self.contexts[name]

    def _handshake(self, conn, place):
        def choose(tls, name, _context):
            place["sni"] = name
            if name:
                tls.context = self._context(name.lower())
        front = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        front.load_cert_chain(self.nameless)
        front.set_alpn_protocols(["http/1.1"])
        front.sni_callback = choose
        try:
            tls = front.wrap_socket(conn, server_side=True)
        except (OSError, ssl.SSLError) as e:
            self.events.add("tls-fail", error=str(e), **place)
            raise
        self.events.add("tls", alpn=tls.selected_alpn_protocol(), **place)
        with self.lock:
            self.live.discard(conn)
            self.live.add(tls)
        return tls

    # -- HTTP

    def _http(self, conn, place):
        while True:
            head = conn.until(b"\r\n\r\n")
            lines = head.decode("latin1").split("\r\n")
            method, target, _version = lines[0].split(" ", 2)
            headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if ":" in line]
            by_name = {k.lower(): v for k, v in headers}
            if by_name.get("expect", "").lower() == "100-continue":
                conn.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            request = {"host": by_name.get("host", ""), "method": method, "target": target, "headers": headers,
                       "head": head, **place}
            body = self._body(conn, by_name)
            self.events.add("http", body=body, **request)
            if not self._answer(conn.sock, request, by_name, body):
                return

    @staticmethod
    def _body(conn, by_name):
        if by_name.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int(conn.until(b"\r\n").split(b";")[0], 16)
                if size == 0:
                    while conn.until(b"\r\n"):
                        pass
                    return body
                body += conn.exactly(size)
                conn.exactly(2)
        return conn.exactly(int(by_name.get("content-length", "0")))

    def _answer(self, sock, request, by_name, body):
        """Sends an answer; False when the connection is over."""
        url = urllib.parse.urlsplit(request["target"])
        query = dict(urllib.parse.parse_qsl(url.query))
        host = request["host"].split(":")[0].lower()
        if host in self.model_hosts:
            return self._model(sock, request, url, body)
        if url.path.startswith("/raw/"):
            sock.sendall(self.raw[url.path[5:]])
            return False
        if url.path == "/close":
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nuntil the end")
            return False
        if url.path == "/gated":
            return self._gated(sock, query["gate"])
        if url.path == "/sse":
            pieces = [f"event: tick\ndata: {i}\n\n".encode() for i in range(int(query.get("n", "3")))]
            return self._chunks(sock, "text/event-stream", pieces)
        if url.path == "/chunked":
            return self._chunks(sock, "application/octet-stream",
                                [body[i:i + 1000] for i in range(0, len(body), 1000)])
        if url.path == "/bytes":
            return self._send(sock, 200, b"x" * int(query["n"]), "application/octet-stream")
        if url.path == "/reflect":
            return self._reflect(sock, query, credential(request, by_name))
        if url.path == "/302":
            return self._send(sock, 302, b"", extra=f"Location: {query['to']}\r\n")
        if url.path.startswith("/status/"):
            return self._send(sock, int(url.path[8:]), b"")
        text = json.dumps({**{k: request[k] for k in ("host", "method", "target", "headers", "sni", "port", "address")},
                           "body": body.decode("latin1"), "body_base64": base64.b64encode(body).decode()})
        for secret, name in self.secrets.items():
            text = text.replace(secret, f"<secret {name}>")
        return self._send(sock, 200, b"" if request["method"] == "HEAD" else text.encode(), "application/json")

    def _model(self, sock, request, url, body):
        if request["method"] == "POST" and url.path == "/v1/messages":
            kind, pieces = self.model.respond(body)
            if kind == "application/json":
                return self._send(sock, 200, pieces[0], kind)
            return self._chunks(sock, kind, pieces)
        return self._send(sock, 404, b'{"type":"error","error":{"type":"not_found_error","message":"rig"}}',
                          "application/json")

    @staticmethod
    def _send(sock, status, body, kind="text/plain", extra=""):
        sock.sendall(f"HTTP/1.1 {status} Rig\r\nContent-Type: {kind}\r\n{extra}"
                     f"Content-Length: {len(body)}\r\n\r\n".encode("latin1") + body)
        return True

    def _reflect(self, sock, query, value):
        text = FORMS[query.get("as", "raw")](value)
        if query.get("in") == "header":
            return self._send(sock, 200, b"", extra=f"X-Echo: a{text}b\r\nLocation: https://x.test/{text}\r\n")
        coding = query.get("coding")
        body = compressed(f"before {text} after".encode(), coding)
        extra = f"Content-Encoding: {'deflate' if coding == 'raw' else coding}\r\n" if coding else ""
        if query.get("end") == "close":
            sock.sendall(f"HTTP/1.1 200 OK\r\n{extra}Connection: close\r\n\r\n".encode() + body)
            return False
        if "split" in query:
            n = int(query["split"])
            return self._chunks(sock, "text/plain", [body[i:i + n] for i in range(0, len(body), n)], extra)
        return self._send(sock, 200, body, extra=extra)

    @staticmethod
    def _chunk(sock, piece):
        sock.sendall(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

    def _chunks(self, sock, kind, pieces, extra=""):
        sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{extra}Transfer-Encoding: chunked\r\n\r\n".encode())
        for piece in pieces:
            self._chunk(sock, piece)
        sock.sendall(b"0\r\n\r\n")
        return True

    def _gated(self, sock, name):
        sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        self._chunk(sock, b"data: first\n\n")
        if not self.gates.setdefault(name, threading.Event()).wait(20):
            return False
        self._chunk(sock, b"data: second\n\n")
        sock.sendall(b"0\r\n\r\n")
        return True
