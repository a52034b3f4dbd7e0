"""A buffered reader over a socket, TLS or not."""


class Closed(EOFError):
    """The other side ended before what was waited for, or sent more than the limit."""


class Reader:
    """Keeps what was read beyond what was asked for."""

    def __init__(self, sock, limit=None):
        self.sock, self.buffer, self.limit = sock, b"", limit

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise Closed(f"the connection ended after {self.buffer[:200]!r}")
        self.buffer += data

    def until(self, mark):
        while mark not in self.buffer:
            if self.limit is not None and len(self.buffer) > self.limit:
                raise Closed(f"more than {self.limit} bytes without {mark!r}")
            self.more()
        part, self.buffer = self.buffer.split(mark, 1)
        return part

    def exactly(self, n):
        while len(self.buffer) < n:
            self.more()
        part, self.buffer = self.buffer[:n], self.buffer[n:]
        return part
