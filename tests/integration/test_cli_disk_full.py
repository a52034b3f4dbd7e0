"""A full disk under every command that writes, with the real bundle on namespace and the real image builder: one
sentence, the exit code, nothing half-written. Each case runs in a mount namespace of its own, with small tmpfs."""

import contextlib
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

from bundle import wait_for  # noqa: E402
from test_disk_full import fill, inside  # noqa: E402
from test_life import Bottles  # noqa: E402

TIMEOUT = 120
NO_SPACE = "No space left on device"


def mount(path, size):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "none", path], check=True)


class Small(Bottles):
    """Bottles whose state is on a tmpfs of its own."""

    def __init__(self, size="4M"):
        super().__init__()
        self.mounts = [self.root]
        mount(self.root, size)
        self.furnish()

    def furnish(self):
        super().furnish()
        self.write("bottles/dev.md", "---\nresources:\n  disk: 64M\n---\n")

    def close(self):
        subprocess.run(["umount", "-l", *self.mounts], check=True)
        super().close()

    @contextlib.contextmanager
    def bottle(self, *options, argv=("sh", "-c", "echo up; sleep 1000")):
        command = self.start(*argv, options=("--label", "box", *options))
        identity, _ = self.running()
        try:
            yield identity
        finally:
            self.command("stop", "box")
            command.communicate(timeout=30)
            wait_for(lambda: self.run_dirs() == [] and not self.processes(), f"nothing is left: {self.processes()}")

    def small(self, size="1M"):
        path = os.path.join(self.path, "small")
        mount(path, size)
        self.mounts.append(path)
        return path


def fails(result, *words):
    """Exit code 125 and one sentence with these words; no line but it and notes."""
    code, out = result
    assert code == 125, (code, out)
    lines = [line for line in out.splitlines() if NO_SPACE in line]
    assert len(lines) == 1 and lines[0].startswith("bot-bottle: ") and all(w in lines[0] for w in words), out


def case_start():
    with Small() as home, fill(home):
        command = home.start("true")
        out, _ = command.communicate(timeout=30)
        fails((command.returncode, out))
        assert home.states() == [] and home.run_dirs() == [] and home.list() == []


def case_output():
    with Small() as home, home.bottle():
        small = home.small()
        for script in ("echo little", "head -c 3000000 /dev/zero"):
            with open(os.path.join(small, "out"), "wb", buffering=0) as out:
                with contextlib.suppress(OSError):
                    while out.write(b"x" * 4096):
                        pass
                done = subprocess.run([home.program, "exec", "box", "sh", "-c", script], env=home.env, stdout=out,
                                      stderr=subprocess.PIPE, text=True, timeout=30, check=False)
            fails((done.returncode, done.stderr), "standard output")
        for argv in (["list"], ["logs", "box"], ["info", "me"]):
            with open("/dev/full", "wb") as out:
                done = subprocess.run([home.program, *argv], env=home.env, stdout=out, stderr=subprocess.PIPE,
                                      text=True, timeout=30, check=False)
            fails((done.returncode, done.stderr))
        assert home.command("exec", "box", "echo", "on")[1] == "on\n"  # the bottle is unharmed


def case_agent_output():
    with Small() as home:
        with open("/dev/full", "wb") as out:
            command = home.popen("start", "me", "--backend", "namespace", "--image", "host", "--headless", "--",
                                 "echo", "lost", stdout=out, stderr=subprocess.PIPE)
            fails((command.wait(30), command.stderr.read()), "standard output")
        assert {b["exit_code"] for b in home.list()} == {0}  # the agent's own end was well


def case_copy_out():
    with Small() as home, home.bottle():
        small = home.small()
        assert home.command("exec", "box", "sh", "-c",
                            "mkdir t; echo a > t/a; head -c 3000000 /dev/zero > t/b; cp t/b big")[0] == 0
        fails(home.command("cp", "box:/home/node/big", small + "/big"))
        assert os.listdir(small) == [], os.listdir(small)
        fails(home.command("cp", "box:/home/node/t", small + "/t"))
        left = [n for _, _, names in os.walk(small) for n in names]
        assert left in ([], ["a"]), left  # whole files only


def case_copy_in():
    with Small() as home, home.bottle():
        big = os.path.join(home.path, "big")
        with open(big, "wb") as f:
            f.truncate(100 << 20)
        fails(home.command("cp", big, "box:/home/node/big"))
        code, out = home.command("exec", "box", "sh", "-c", "ls -A /home/node; echo ok > /home/node/x; cat /home/node/x")
        assert code == 0 and "big" not in out and out.endswith("ok\n"), out


def case_workspace_in():
    with Small() as home:
        work = os.path.join(home.path, "work")
        os.mkdir(work)
        with open(os.path.join(work, "big"), "wb") as f:
            f.truncate(100 << 20)
        command = home.start("true", options=("--cwd=" + work,))
        out, _ = command.communicate(timeout=60)
        fails((command.returncode, out), "copy", "into the bottle")
        wait_for(lambda: home.run_dirs() == [] and all(b["state"] == "ended" for b in home.list()), "it ends")


def case_stop():
    with Small() as home:
        work = os.path.join(home.path, "work")
        os.mkdir(work)
        with open(os.path.join(work, "a"), "w", encoding="ascii") as f:
            f.write("before")
        with home.bottle("--cwd=" + work, argv=("sh", "-c", "echo up; head -c 400000 /dev/urandom > b; sleep 1000")) as id:
            with fill(home):
                code, out = home.command("stop", "box")
                fails((code, out), "stays alive")
                # It waits for room; the work can be fetched meanwhile.
                assert home.list()[0]["state"] != "ended"
                dest = os.path.join(home.path, "dest")
                assert home.command("cp", "box:/home/node/workspace", dest)[0] == 0
                assert os.path.getsize(os.path.join(dest, "b")) == 400000
        with fill(home):  # and what is left can be removed on a full disk
            code, out = home.command("cleanup", "--yes", "--all")
            assert code == 0 and home.states() == [], (id, code, out)


def case_build():
    cache = sys.argv[2]
    mount(cache, "32M")
    env = {**os.environ, "XDG_CACHE_HOME": cache}
    done = subprocess.run([Bottles.program, "image", "build", "base"], env=env, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=110, check=False)
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 125 and "is full" in last and "XDG_CACHE_HOME" in last, done.stdout
    left = os.listdir(os.path.join(cache, "bot-bottle", "images"))
    assert left == ["build.lock"], left
    done = subprocess.run([Bottles.program, "image", "list"], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "no images" in done.stdout, done.stdout


def test_a_start_without_room_is_refused():
    inside("case_start", __file__)


def test_output_that_cannot_be_written_is_no_success():
    inside("case_output", __file__)


def test_an_agents_output_that_cannot_be_written_is_no_success():
    inside("case_agent_output", __file__)


def case_commit():
    with contextlib.closing(Small("8M")) as home:
        cache = home.small("600K")
        home.env["XDG_CACHE_HOME"] = cache
        images = os.path.join(cache, "bot-bottle", "images")
        argv = ("sh", "-c", "head -c 900000 /dev/urandom > ~/blob; echo up; sleep 1000")
        with home.bottle(argv=argv) as identity:
            code, out = home.command("commit", "box")
            assert code == 125 and NO_SPACE in out and "nothing was committed" in out, (code, out)
            left = [n for n in os.listdir(images) if n != "build.lock"]
            assert left == [], left
            assert home.list()[0]["committed_image"] is None
            home.command("exec", "box", "rm", "/home/node/blob")  # now it fits
            code, out = home.command("commit", "box")
            assert code == 0, out
            assert len(home.list()[0]["committed_image"]) == 40, (identity, out)


def test_a_commit_without_room_leaves_nothing():
    inside("case_commit", __file__)


def test_a_copy_out_without_room_leaves_no_part():
    inside("case_copy_out", __file__)


def test_a_copy_in_without_room_leaves_no_part():
    inside("case_copy_in", __file__)


def test_a_workspace_larger_than_the_bottles_disk_is_refused():
    inside("case_workspace_in", __file__)


def test_a_stop_without_room_leaves_the_bottle_alive_and_cleanup_works():
    inside("case_stop", __file__)


def test_the_real_image_builder_on_a_full_disk():
    if os.geteuid() != 0:
        raise unittest.SkipTest("in the namespace that mounts a small disk the builder would take itself for root")
    with tempfile.TemporaryDirectory(prefix="bb-cache-", dir="/tmp") as cache:
        inside("case_build", __file__, cache)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
