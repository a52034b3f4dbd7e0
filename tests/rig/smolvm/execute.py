"""`machine exec`: the client of the guest's agent (exec.c has the protocol)."""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import termios
import time
import tty

from . import images, machine, store, switches
from .switches import Failure

OUTPUT_MAX = 11 << 20
TIMED_OUT = 124


class Gone(Exception):
    """The container ended before the command could join it."""


def load_config(name):
    return images.Image(json.loads(machine.read_text(machine.file_of(name, "standin-image.json"), "{}")), [], "")


def request(name, record, argv, options, flags, size, fds):
    """Sends one request; the connected socket."""
    image = load_config(name)
    env = machine.environment(record, image)
    env.update(options.get("env", ()))
    workdir = options.get("workdir") or record["workdir"] or image.field("WorkingDir", "/")
    words = [flags or "-", workdir, *map(str, size), str(len(env)), *(f"{k}={v}" for k, v in env.items()), *argv]
    body = b"".join(os.fsencode(w) + b"\0" for w in words)
    client = machine.connect(name)
    if client is None:
        record = dict(record, state="unreachable") if machine.is_alive(record) else record
        if record["state"] == "unreachable":
            store.save(record)
        raise Failure(f"agent operation failed: connect: machine '{name}' is not running. "
                      f"Use 'smolvm machine start --name {name}' first.")
    head = struct.pack(">I", len(body))
    if fds:
        socket.send_fds(client, [head], fds)
    else:
        client.sendall(head)
    client.sendall(body)
    return client


def read_answer(client):
    data, fds, _, _ = socket.recv_fds(client, 6, 1)
    if len(data) < 6:
        raise Failure("connection to VM lost")
    kind, number, tail = struct.unpack(">cIB", data)
    if kind == b"G":
        raise Gone()
    return kind, number, tail, fds


def exit_code(status, is_torn):
    """Of a wait status. A signal is 255 on 0.8.0, unless the container went down with the command: then crun
    itself says 137."""
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    if is_torn or switches.since("0.8.1"):
        return 128 + os.WTERMSIG(status)
    return 255


class Pipes:
    """The command's standard output and error: buffered up to the cap, or passed on as they come."""

    def __init__(self, sinks):
        self.sinks = sinks  # {fd: bytearray or fd to write to}
        for fd in sinks:
            os.set_blocking(fd, False)

    def pump(self, fd):
        """False at the end of this one."""
        while True:
            try:
                chunk = os.read(fd, 65536)
            except BlockingIOError:
                return True
            except OSError:  # EIO: the terminal's other side is closed
                chunk = b""
            if not chunk:
                return False
            sink = self.sinks[fd]
            if isinstance(sink, int):
                write_all(sink, chunk)
                continue
            sink += chunk
            if len(sink) > OUTPUT_MAX:
                if switches.since("1.0.0"):
                    raise Failure(f"output exceeds the limit of {OUTPUT_MAX >> 20} MiB")
                del sink[OUTPUT_MAX:]
                return False  # the caller closes: the command gets SIGPIPE

    def close(self, fd):
        del self.sinks[fd]
        os.close(fd)


def write_all(fd, data):
    while data:
        try:
            data = data[os.write(fd, data):]
        except BlockingIOError:
            select.select([], [fd], [])
        except BrokenPipeError:
            return


class Input:
    """Our standard input, forwarded. O_NONBLOCK is set on the shared description, and taken back only when we
    end in order: as the real one does."""

    def __init__(self, to, end):
        self.to, self.end, self.pending, self.is_open = to, end, b"", True
        os.set_blocking(0, False)
        os.set_blocking(to, False)

    def read(self):
        try:
            self.pending = os.read(0, 65536)
        except BlockingIOError:
            return
        if not self.pending:
            self.is_open = False
            self.end()

    def write(self):
        try:
            self.pending = self.pending[os.write(self.to, self.pending):]
        except BlockingIOError:
            pass
        except OSError:  # nobody reads any more
            self.is_open, self.pending = False, b""

    def wants(self):
        return ([0], []) if self.is_open and not self.pending else ([], [self.to] if self.pending else [])


def converse(client, pipes, forwarded=None, deadline=None, wake=None):
    """Until the command has ended and its output is drained: its exit code."""
    while True:
        reads, writes = forwarded.wants() if forwarded else ([], [])
        left = None if deadline is None else max(0, deadline - time.monotonic())
        ready, writable, _ = select.select([client, *pipes.sinks, *reads, *([wake[0]] if wake else [])], writes, [],
                                           left)
        if not ready and not writable and left is not None and time.monotonic() >= deadline:
            return TIMED_OUT
        if wake and wake[0] in ready:
            wake[1]()
        for fd in [fd for fd in pipes.sinks if fd in ready]:
            if not pipes.pump(fd):
                pipes.close(fd)
        if writable:
            forwarded.write()
        if forwarded and 0 in ready:
            forwarded.read()
        if client in ready:
            _, status, is_torn, _ = read_answer(client)
            for fd in list(pipes.sinks):
                pipes.pump(fd)
            return exit_code(status, is_torn)


def capture(name, record, argv, options=None):
    """Without -i and -t: no standard input, everything buffered."""
    options = options or {}
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe()
    client = request(name, record, argv, options, "", (24, 80), [null, out_write, err_write])
    for fd in (null, out_write, err_write):
        os.close(fd)
    out, err = bytearray(), bytearray()
    with client:
        deadline = time.monotonic() + options["timeout"] if options.get("timeout") else None
        try:
            code = converse(client, Pipes({out_read: out, err_read: err}), deadline=deadline)
        except Gone:
            return 1, f"the container `smolvm-{name}` is not running\n".encode(), b""
    return code, bytes(out), bytes(err)


def interactive(name, record, argv, options):
    (in_read, in_write), (out_read, out_write), (err_read, err_write) = os.pipe(), os.pipe(), os.pipe()
    client = request(name, record, argv, options, "i", (24, 80), [in_read, out_write, err_write])
    for fd in (in_read, out_write, err_write):
        os.close(fd)
    was_blocking = os.get_blocking(0)
    forwarded = Input(in_write, lambda: os.close(in_write))
    deadline = time.monotonic() + options["timeout"] if options.get("timeout") else None
    code = converse(client, Pipes({out_read: 1, err_read: 2}), forwarded, deadline)
    os.set_blocking(0, was_blocking)
    return code


def terminal_size():
    """Rows and columns; (0, 0) on 0.8.0, whose terminal was not the one that got the size."""
    if not switches.since("0.8.1"):
        return 0, 0
    if not os.isatty(0):
        return 24, 80
    size = os.get_terminal_size(0)
    return size.lines, size.columns


def set_size(fd):
    rows, columns = terminal_size()
    if rows:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def with_terminal(name, record, argv, options):
    client = request(name, record, argv, options, "it", terminal_size(), [])
    _, _, _, fds = read_answer(client)
    master = fds[0]
    write_master = os.dup(master)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGWINCH, lambda *_: None)
    signal.set_wakeup_fd(wake_write)

    def resize():
        os.read(wake_read, 64)
        set_size(master)

    end_of_file = b"\4\4" if switches.since("0.8.1") else b"\4"
    old = termios.tcgetattr(0) if os.isatty(0) else None
    was_blocking = os.get_blocking(0)
    try:
        if old:
            tty.setraw(0)
        forwarded = Input(write_master, lambda: write_all(write_master, end_of_file))
        deadline = time.monotonic() + options["timeout"] if options.get("timeout") else None
        return converse(client, Pipes({master: 1}), forwarded, deadline, (wake_read, resize))
    finally:
        os.set_blocking(0, was_blocking)
        if old:
            termios.tcsetattr(0, termios.TCSADRAIN, old)


def detached(name, record, argv, options):
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    client = request(name, record, argv, options, "d", (24, 80), [null, null, null])
    _, pid, _, _ = read_answer(client)
    print(pid)
    return 0


def fault_is_due(fault, name):
    """For the first STANDIN_FAULT_COUNT execs of a machine."""
    if not switches.has_fault(fault):
        return False
    path = machine.file_of(name, f"standin-{fault}")
    done = int(machine.read_text(path, "0"))
    if done >= switches.number("FAULT_COUNT", 3):
        return False
    machine.write_text(path, str(done + 1))
    return True


def run(name, argv, options):
    record = machine.must_load(name)
    if fault_is_due("exec-137", name):
        return 137
    if fault_is_due("exec-empty", name):
        return 0
    try:
        if options.get("detach"):
            return detached(name, record, argv, options)
        if options.get("tty"):
            return with_terminal(name, record, argv, options)
        if options.get("interactive"):
            return interactive(name, record, argv, options)
    except Gone:
        print(f"the container `smolvm-{name}` is not running")
        return 1
    code, out, err = capture(name, record, argv, options)
    with contextlib.suppress(BrokenPipeError):
        write_all(1, out)
        write_all(2, err)
    if code == TIMED_OUT and options.get("timeout"):
        print("Error: command timed out", file=sys.stderr)
    return code
