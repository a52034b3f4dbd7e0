"""bot-bottle on a pseudo-terminal of its own."""

import fcntl
import os
import pty
import select
import struct
import termios
import time

from rig.bottle import program


class Terminal:
    def __init__(self, env, *argv, rows=40, columns=120):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
                os.execve(program(), [program(), *argv], env)
            finally:
                os._exit(99)
        self.seen = b""
        self.before = termios.tcgetattr(self.fd)

    def wait_for(self, *texts, timeout=20):
        """Reads until one of the texts came; returns what came up to and with it."""
        deadline = time.monotonic() + timeout
        while True:
            for text in texts:
                at = self.seen.find(text)
                if at >= 0:
                    got, self.seen = self.seen[:at + len(text)], self.seen[at + len(text):]
                    return got
            left = deadline - time.monotonic()
            assert left > 0, (texts, self.seen)
            if select.select([self.fd], [], [], left)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:
                    data = b""
                assert data, ("the program ended", texts, self.seen)
                self.seen += data

    def type(self, text):
        os.write(self.fd, text)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def end(self):
        """Reads to the end; the exit code."""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.seen += data
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)
