#!/usr/bin/python3 -BES
"""A stand-in for a part of the bundle: gets ready, then does what the file `script` beside it says for its name.

script is a JSON object: {"egress": ["die"], ...}. Words: die (SIGKILL itself once ready), die-early (before),
hang (never ready), error (says why and ends), nonsense (sends a malformed message), hang-shutdown (stays),
flood (writes to standard error without end once ready).
"""

import json
import os
import signal
import socket
import struct
import sys
import threading
import time

NAME = os.path.basename(sys.argv[0]).removeprefix("bot-bottle-")
HERE = os.path.dirname(os.path.abspath(sys.argv[0]))


def words():
    try:
        with open(os.path.join(HERE, "script"), encoding="utf-8") as f:
            return json.load(f).get(NAME, [])
    except FileNotFoundError:
        return []


def flood():
    while True:
        try:
            os.write(2, b"flood! " * 1000)
        except BlockingIOError:
            time.sleep(0.001)


def main():
    link = socket.socket(fileno=3)
    todo = words()
    held = []

    def send(kind, body=b""):
        link.send(struct.pack(">HHI", kind, 0, 0) + body)

    def text(value):
        return struct.pack(">HI", 1, len(value)) + value

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    while True:
        data, fds, _, _ = socket.recv_fds(link, 70000, 8)
        held += fds
        if not data:
            return
        kind = struct.unpack_from(">H", data)[0]
        if kind == 1:
            if "die-early" in todo:
                die()
            if "error" in todo:
                send(3, text(b"it does not like this \x1b[31mhost"))
                return
            if "nonsense" in todo:
                send(9999)
            elif "hang" not in todo:
                send(51, text(b"a certificate")) if NAME == "egress" else send(2)
            if "die" in todo:
                die()
            if "flood" in todo:
                threading.Thread(target=flood, daemon=True).start()
        elif kind == 4 and "hang-shutdown" not in todo:
            return


main()
