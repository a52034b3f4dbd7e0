"""Building images: what is interrupted, refused or full leaves nothing, and two builds do not meet. The helper
programs are stand-ins in front of PATH, so no archive is asked for anything."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig.bottle import program  # noqa: E402

TIMEOUT = 60


class Builder:
    """A cache directory and stand-in programs: {name: shell script}."""

    def __init__(self, **tools):
        self.top = tempfile.mkdtemp(prefix="bb-image-", dir="/tmp")
        self.images = os.path.join(self.top, "cache", "bot-bottle", "images")
        tools_dir = os.path.join(self.top, "tools")
        os.mkdir(tools_dir)
        # An ordinary user needs a range of ids for the real one; the stand-in uses none.
        for name, script in {"newuidmap": "exit 0", **tools}.items():
            path = os.path.join(tools_dir, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write("#!/bin/sh\n" + script.replace("TOP", self.top) + "\n")
            os.chmod(path, 0o755)
        self.env = {**os.environ, "XDG_CACHE_HOME": os.path.join(self.top, "cache"),
                    "PATH": tools_dir + ":" + os.environ["PATH"]}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top, ignore_errors=True)

    def begin(self, name="base"):
        return subprocess.Popen([program(), "image", "build", name], env=self.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)

    def build(self, name="base"):
        process = self.begin(name)
        out, _ = process.communicate(timeout=40)
        return process.returncode, out

    def left(self):
        return sorted(n for n in os.listdir(self.images) if n != "build.lock") if os.path.isdir(self.images) else []

    def wait_for(self, name, seconds=20):
        deadline = time.monotonic() + seconds
        while not os.path.exists(os.path.join(self.top, name)):
            assert time.monotonic() < deadline, f"no '{name}' after {seconds} s"
            time.sleep(0.02)


HANG = "echo $$ > TOP/pid; touch TOP/begun; exec sleep 1000"


def hanging():
    return Builder(mmdebstrap=HANG)


def test_an_interrupt_ends_the_helpers_and_leaves_nothing():
    with hanging() as b:
        process = b.begin()
        b.wait_for("begun")
        assert any(n.startswith("tmp-") for n in b.left())
        with open(os.path.join(b.top, "pid"), encoding="utf-8") as f:
            helper = int(f.read())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode != 0 and "interrupted" in out, out
        assert b.left() == [] and not os.path.exists(f"/proc/{helper}"), b.left()


def test_what_a_killed_build_left_goes_with_the_next():
    with hanging() as b:
        process = b.begin()
        b.wait_for("begun")
        process.kill()
        process.communicate(timeout=20)
        assert any(n.startswith("tmp-") for n in b.left())
        with open(os.path.join(b.top, "tools", "mmdebstrap"), "w", encoding="utf-8") as f:
            f.write("#!/bin/sh\necho 'E: no such archive' >&2; exit 25\n")
        code, out = b.build()
        assert code == 125 and "no such archive" in out and "25" in out, out
        assert b.left() == [], b.left()


def test_two_builds_do_not_meet():
    with hanging() as b:
        first = b.begin()
        b.wait_for("begun")
        code, out = b.build()
        assert code == 125 and "another image build or commit is running" in out, out
        first.send_signal(signal.SIGTERM)
        first.communicate(timeout=20)
        assert b.left() == []


def test_a_full_disk_is_one_sentence():
    with Builder(mmdebstrap="echo 'tar: write error: No space left on device' >&2; exit 1") as b:
        code, out = b.build()
        assert code == 125 and "is full" in out and "XDG_CACHE_HOME" in out, out
        assert b.left() == []


def test_a_missing_image_is_not_listed():
    with hanging() as b:
        done = subprocess.run([program(), "image", "list"], env=b.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=20, check=False)
        assert done.returncode == 0 and "base" not in done.stdout.split(), done.stdout


def test_an_agent_that_is_not_the_pinned_one_is_not_unpacked():
    npm = """while [ $# -gt 0 ]; do [ "$1" = --pack-destination ] && to=$2; shift; done
mkdir TOP/p TOP/p/package; echo evil > TOP/p/package/claude; tar -czf "$to/a.tgz" -C TOP/p package; echo a.tgz"""
    with Builder(npm=npm) as b:
        base = os.path.join(b.images, "c" * 40)
        os.makedirs(os.path.join(base, "root"))
        with open(os.path.join(base, "image.json"), "w", encoding="utf-8") as f:
            f.write('{"format": 1, "name": "base", "parent": null, "kernel_version": null, "built_at": 1, '
                    '"packages": []}')
        os.symlink("c" * 40, os.path.join(b.images, "base"))
        code, out = b.build("claude")
        assert code == 125 and "is not what was pinned" in out, out
        assert b.left() == sorted(["base", "c" * 40]), b.left()
