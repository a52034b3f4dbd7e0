"""A monitor with a guest and parts that a test can make misbehave; see fakes/."""

import contextlib
import json
import os
import shutil
import tempfile

from bundle import BUILD, PROGRAMS, Home, LaunchFailed, Monitor, Plan, is_running, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
FAKES = ("egress", "recorder", "dialler")
# The guest writes the bottle's CA into the store: into one of its own here, never the host's. It is uid 1000, as
# in a namespace bottle: an ordinary user has no second one to give it.
REAL_GUEST = f"""#!/bin/sh
exec unshare -Urpfnm --kill-child --mount-proc sh -ec '
	for dir in /etc/ssl/certs /usr/local/share/ca-certificates; do
		mount -t tmpfs none $dir
	done
	echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start
	exec unshare -U --map-user=1000 --map-group=1000 {PROGRAMS}/bottle-init --namespace'
"""
# Says hello with a version that does not exist: one lifecycle frame on stream 2.
WRONG_VERSION = """#!/usr/bin/python3 -ES
import socket, struct
s = socket.socket(fileno=3)
body = struct.pack(">HIIHI", 1, 4, 99, 2, 1) + b"x"
data = struct.pack(">BBHI", 1, 0, 0, len(body)) + body
s.sendall(struct.pack(">BBHII", 0, 0, 0, 2, len(data)) + data)
while s.recv(4096): pass
"""
SAYS_LAST_WORDS = """#!/bin/sh
printf 'kernel panic \\033[31mred\\nsecond line\\n' >&2
exit 1
"""
SILENT = """#!/bin/sh
exec sleep 1000
"""


class Stage:
    """A directory with a monitor and what it starts, and a home."""

    def __init__(self, guest=REAL_GUEST, script=None, home=None):
        self.dir = tempfile.mkdtemp(prefix="bb-stage-")
        self.home = home or Home()
        self.program = os.path.join(self.dir, "bot-bottle-monitor")
        shutil.copy(os.path.join(BUILD, "tests/integration/fakes/monitor-with-fakes"), self.program)
        for name in FAKES:
            shutil.copy(os.path.join(HERE, "fakes/fake_role.py"), os.path.join(self.dir, f"bot-bottle-{name}"))
        shutil.copy(os.path.join(PROGRAMS, "bot-bottle-channel"), self.dir)
        self.write("fake-guest", guest)
        self.write("script", json.dumps(script or {}))
        for name in os.listdir(self.dir):
            os.chmod(os.path.join(self.dir, name), 0o755)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="utf-8") as f:
            f.write(text)

    def launch(self, plan=None, **more):
        return Monitor(self.home, plan or Plan(), program=self.program, **more)

    def processes(self):
        """Everything that runs out of our directory, or was started by what does."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as f:
                if self.dir.encode() in f.read() and is_running(int(pid)):
                    found.append(int(pid))
        return found

    def expect_nothing_left(self):
        assert self.home.run_dirs() == [], self.home.run_dirs()
        wait_for(lambda: not self.processes(), f"processes are left: {self.processes()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.home.close()
        shutil.rmtree(self.dir)


def launch_fails(stage, plan=None, **more):
    """The reason and the console's end; checks that nothing is left."""
    with stage.launch(plan, **more) as m:
        try:
            m.wait_ready(30)
        except LaunchFailed as failed:
            m.wait_exit()
            assert stage.home.states() == [], stage.home.states()
            stage.expect_nothing_left()
            return failed.reason, failed.console
    raise AssertionError("the launch did not fail")
