"""A guest's own server on the operator's loopback. On namespace, with the host's own programs."""

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 120

# Answers "echo" with what comes until the end of input, "big N" with N bytes, "stuck" with nothing.
SERVER = r"""
import socket, sys, threading
family, address = (socket.AF_INET6, "::1") if sys.argv[2] == "6" else (socket.AF_INET, "127.0.0.1")
s = socket.socket(family)
s.bind((address, int(sys.argv[1]))); s.listen(100)
print("listens", flush=True)
def serve(c):
    line = b""
    while not line.endswith(b"\n"):
        line += c.recv(1)
    word = line.split()
    if word[0] == b"echo":
        while True:
            data = c.recv(65536)
            if not data: break
            c.sendall(data)
        c.close()
    elif word[0] == b"big":
        try:
            c.sendall(b"x" * int(word[1]))
        except OSError as e:
            print("cut", flush=True)
        c.close()
    else:
        threading.Event().wait()
while True:
    c, _ = s.accept()
    threading.Thread(target=serve, args=(c,), daemon=True).start()
"""


class Cli(Home):
    def __init__(self):
        super().__init__(BOT_BOTTLE_BACKEND="namespace")
        self.bottle("t", "image: host")
        self.agent("t", "t")

    def serve(self, port, family="4"):
        done = self.run("start", "t", "--detach", "--headless", "--json", "--", "python3", "-c", SERVER, str(port),
                        family)
        identity = json.loads(done.stdout)["id"]
        deadline = time.monotonic() + 20
        while "listens" not in self.run("logs", identity, check=False).stdout:
            assert time.monotonic() < deadline, self.run("logs", identity, check=False)
            time.sleep(0.05)
        return identity


class Forward:
    def __init__(self, cli, *argv):
        self.process = subprocess.Popen([program(), "forward", "--json", *argv], env=cli.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.said = json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.said["listen_port"]), timeout=20)


def read_all(s):
    data = []
    while True:
        chunk = s.recv(1 << 20)
        if not chunk:
            return b"".join(data)
        data.append(chunk)


def listening():
    """Addresses on which something of this host listens, of both families."""
    found = set()
    for name in ("tcp", "tcp6"):
        with open(f"/proc/net/{name}", encoding="ascii") as f:
            found |= {line.split()[1] for line in f.readlines()[1:] if line.split()[3] == "0A"}
    return found


def test_a_server_of_the_guest_answers_here_and_nothing_else_is_published():
    with Cli() as cli:
        identity = cli.serve(3000)
        before = listening()
        with Forward(cli, identity, "3000", "0") as f:
            assert f.said["id"] == identity and f.said["port"] == 3000 and f.said["address"] == "127.0.0.1", f.said
            new = listening() - before
            assert new == {f"0100007F:{f.said['listen_port']:04X}"}, new
            with f.connect() as s:
                s.sendall(b"echo\nhello")
                s.shutdown(socket.SHUT_WR)  # the half-close arrives
                assert read_all(s) == b"hello"
            f.process.send_signal(signal.SIGINT)
            out, errors = f.process.communicate(timeout=20)
            assert f.process.returncode == 0, (out, errors)
        assert listening() <= before
        cli.run("stop", identity)


def test_many_connections_carry_much_both_ways_at_once():
    with Cli() as cli:
        identity = cli.serve(3000)
        with Forward(cli, identity, "3000", "0") as f:
            wrong = []

            def both_ways(seed):
                data = hashlib.sha256(bytes([seed])).digest() * 40000
                with f.connect() as s:
                    s.sendall(b"echo\n")
                    writer = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
                    writer.start()
                    if read_all(s) != data:
                        wrong.append(seed)
                    writer.join()

            threads = [threading.Thread(target=both_ways, args=(i,)) for i in range(30)]
            for t in threads:
                t.start()
            for t in threads:
                t.join(60)
            assert not wrong and not any(t.is_alive() for t in threads), wrong
        cli.run("stop", identity)


def test_a_reader_that_stops_holds_the_guest_back_and_not_the_others():
    with Cli() as cli:
        identity = cli.serve(3000)
        with Forward(cli, identity, "3000", "0") as f, f.connect() as slow:
            slow.sendall(b"big 200000000\n")
            time.sleep(1)  # not a wait for something: time in which a leak would grow
            with open(f"/proc/{f.process.pid}/status", encoding="ascii") as status:
                rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
            assert rss < 40000, f"{rss} KiB"
            with f.connect() as s:
                s.sendall(b"echo\nquick")
                s.shutdown(socket.SHUT_WR)
                assert read_all(s) == b"quick"
            assert len(read_all(slow)) == 200000000
        with Forward(cli, identity, "3000", "0") as f:
            with f.connect() as gone:
                gone.sendall(b"big 50000000\n")
                gone.recv(10)
            deadline = time.monotonic() + 20  # who goes away is noticed in the guest
            while "cut" not in cli.run("logs", identity).stdout:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        cli.run("stop", identity)


def test_a_server_on_the_other_loopback_is_found():
    with Cli() as cli:
        identity = cli.serve(3000, "6")
        with Forward(cli, identity, "3000", "0") as f, f.connect() as s:
            s.sendall(b"echo\nsix")
            s.shutdown(socket.SHUT_WR)
            assert read_all(s) == b"six"
        cli.run("stop", identity)


def test_nobody_there_is_a_closed_connection_and_own_ports_are_refused():
    with Cli() as cli:
        identity = cli.serve(3000)
        with Forward(cli, identity, "3001", "0") as f, f.connect() as s:
            try:
                s.sendall(b"echo\n")
                assert s.recv(10) == b""
            except ConnectionResetError:
                pass
        for port in ("80", "443", "53", "9099", "0", "70000", "x"):
            done = cli.run("forward", identity, port, check=False)
            assert done.returncode == 125, done
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = str(taken.getsockname()[1])
            done = cli.run("forward", identity, "3000", port, check=False)
            assert done.returncode == 125 and "Address already in use" in done.stderr and port in done.stderr, done
        cli.run("stop", identity)


def test_it_ends_with_the_bottle():
    with Cli() as cli:
        identity = cli.serve(3000)
        with Forward(cli, identity, "3000", "0") as f, f.connect() as s:
            s.sendall(b"stuck\n")
            cli.run("stop", identity)
            out, errors = f.process.communicate(timeout=20)
            assert f.process.returncode == 0 and "the bottle ended" in errors, (out, errors)
            try:
                assert s.recv(10) == b""
            except ConnectionResetError:
                pass
