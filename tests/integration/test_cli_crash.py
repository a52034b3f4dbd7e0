"""Power cuts and kill -9 of everything at any moment of a bottle's life: the next command finds whole state or none,
says what it cleaned up, and nothing half is left. On namespace, with the host's own programs.

A power cut is played by what it leaves: files that were written and not synced end early, or are empty."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 590
STATES = ("launching", "running", "saving", "ending", "ended")


class Cli(Home):
    def __init__(self):
        super().__init__(BOT_BOTTLE_BACKEND="namespace")
        self.env["XDG_CACHE_HOME"] = os.path.join(self.top, "cache")
        self.images = os.path.join(self.top, "cache", "bot-bottle", "images")
        self.bottle("t", "image: host")
        self.agent("t", "t")
        self.work = os.path.join(self.top, "work")
        os.mkdir(self.work)
        with open(os.path.join(self.work, "a"), "w", encoding="utf-8") as f:
            f.write("one\n")
        for i in range(20):
            with open(os.path.join(self.work, f"f{i}"), "wb") as f:
                f.write(b"x" * 50000)

    def state(self, *name):
        return os.path.join(self.root, "state", *name)

    def rows(self):
        """What `list` says: it never fails, and what it says makes sense."""
        done = self.run("list", "--json")
        rows = json.loads(done.stdout)
        for row in rows:
            assert row["state"] in STATES, row
            if row["state"] == "ended":
                assert row["reason"], row
            kept = os.path.join(self.root, "state", row["id"], "workspace.frames")
            assert row["workspace_kept"] == os.path.exists(kept), row
        return rows

    @staticmethod
    def processes():
        """Every living process of a bottle. What loses its parent becomes a child of the harness, so all of them
        are below it; a monitor that its own user may not look into is found in this way, too."""
        parents, names = {}, {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
                head, rest = f.read().rsplit(")", 1)
                if rest.split()[0] not in "ZX":
                    parents[pid], names[pid] = int(rest.split()[1]), head.split("(", 1)[1]
        found = []
        for pid in names:
            above = pid
            while above in parents and above != os.getpid():
                above = parents[above]
            if above == os.getpid() and names[pid].startswith(("bot-bottle", "bottle-init")):
                found.append(pid)
        return found

    def kill_all(self):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def wait_gone(self, seconds=20):
        deadline = time.monotonic() + seconds
        while self.processes():
            assert time.monotonic() < deadline, self.processes()
            time.sleep(0.02)

    def expect_whole(self):
        """After a crash: one command reaps; no socket is left, no image is half, everything can be removed."""
        rows = self.rows()
        assert all(r["state"] == "ended" for r in rows), rows
        run = os.path.join(self.top, "run", "bot-bottle")
        assert not os.path.isdir(run) or os.listdir(run) == [], os.listdir(run)
        for image in json.loads(self.run("image", "list", "--json").stdout):
            assert os.path.exists(os.path.join(self.images, image["id"], "changes.tar")), image
            self.run("start", "t", "--headless", "--image", image["id"], "--", "true")
        self.run("cleanup", "--yes", "--all")
        assert self.rows() == []
        left = os.listdir(self.state()) if os.path.isdir(self.state()) else []
        assert [n for n in left if n != ".lock"] == [], left
        if os.path.isdir(self.images):
            assert not [n for n in os.listdir(self.images) if n.startswith("tmp-")], os.listdir(self.images)


def crash_during(delays_ms, *argv, prepare=None, check=None):
    """Starts a command, kills every process of bot-bottle after each of the times, and looks."""
    with Cli() as cli:
        for delay_ms in delays_ms:
            words = list(argv)
            identity = prepare(cli) if prepare else None
            words = [identity if w == "ID" else w for w in words]
            if words[0] == "start":
                words.insert(1, f"--cwd={cli.work}")
            p = subprocess.Popen([program(), *words], env=cli.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay_ms / 1000)  # not a wait for something: the moment is the test's parameter
            p.kill()
            cli.kill_all()
            p.wait()
            cli.wait_gone()
            if check:
                check(cli, identity)
            cli.expect_whole()


CHANGED = ("start", "t", "--headless", "--", "sh", "-c", "echo two >> a; head -c 20000000 /dev/zero > z")


def kept_bottle(cli):
    cli.run(*CHANGED[:3], f"--cwd={cli.work}", *CHANGED[3:])
    return cli.rows()[0]["id"]


def living_bottle(cli):
    done = cli.run("start", "t", "--headless", "--detach", "--json", f"--cwd={cli.work}", "--", "sh", "-c",
                   "head -c 20000000 /dev/zero > ~/z; echo two >> a; exec sleep 1000")
    identity = json.loads(done.stdout)["id"]
    cli.run("exec", identity, "sh", "-c", "until [ -s ~/z ]; do sleep 0.05; done")
    return identity


def test_everything_is_killed_during_a_start_and_a_short_life():
    crash_during([*range(2, 60, 6), *range(60, 400, 30)], *CHANGED)


def test_everything_is_killed_while_the_workspace_is_kept():
    crash_during(range(2, 200, 12), "stop", "ID", prepare=living_bottle)


def test_everything_is_killed_during_a_resumption_and_nothing_kept_is_lost():
    def still_there(cli, identity):
        assert cli.rows()[0]["workspace_kept"], cli.rows()
        done = cli.run("resume", identity, "--headless", "--", "cat", "a")
        assert done.stdout == "one\ntwo\n", done
    crash_during([*range(2, 60, 8), *range(60, 300, 40)], "resume", "ID", "--headless", "--", "sh", "-c", "sleep 0.1",
                 prepare=kept_bottle, check=still_there)


def test_everything_is_killed_during_a_commit():
    crash_during(range(2, 120, 12), "commit", "ID", prepare=living_bottle)


def test_everything_is_killed_during_a_cleanup():
    crash_during(range(1, 20, 3), "cleanup", "--yes", "--all", prepare=kept_bottle)


def test_metadata_that_a_power_cut_left_half_is_mended():
    with Cli() as cli:
        identity = kept_bottle(cli)
        path = cli.state(identity, "metadata.json")
        with open(path, "rb") as f:
            whole = f.read()
        rng = random.Random(4711)
        sizes = [0, 1, len(whole) - 1, len(whole) - 2, *rng.sample(range(2, len(whole) - 2), 12)]
        for size in sizes:
            with open(path, "wb") as f:
                f.write(whole[:size])
            row = cli.rows()[0]
            if size < len(whole) - 1:  # the last byte is the brace
                assert "damaged" in row["reason"] or size == len(whole), (size, row)
            assert row["id"] == identity and row["workspace_kept"], row
            dest = os.path.join(cli.top, "dest")
            cli.run("cp", f"{identity}:/home/node/workspace/a", dest)
            with open(dest, encoding="utf-8") as f:
                assert f.read() == "one\ntwo\n"
            for argv in (("info", identity), ("logs", identity), ("list",), ("cleanup", "--dry-run")):
                cli.run(*argv)
            done = cli.run("resume", identity, "--headless", "--prompt", "x", check=False)
            assert done.returncode == 125 or size >= len(whole) - 1, done
        for fill in (b"\0" * len(whole), b"\xff" * 10, b"[" * 60000):  # what some file systems leave
            with open(path, "wb") as f:
                f.write(fill)
            assert "damaged" in cli.rows()[0]["reason"]
        cli.expect_whole()


def files_below(top):
    return [os.path.join(folder, name) for folder, _, names in os.walk(top) for name in names]


def test_a_bottle_whose_files_are_gone_or_empty_is_listed_and_removed():
    with Cli() as cli:
        identity = kept_bottle(cli)
        state = cli.state(identity)
        ledger = [path for path in files_below(state) if "/ledger.git/" in path]
        assert any(path.endswith("/HEAD") for path in ledger), ledger
        # Of the ledger's many objects a few stand for all.
        ours = [path for path in files_below(state) if path not in ledger] + ledger[:4] + [
            path for path in ledger if os.path.basename(path) in ("HEAD", "config", "index")]
        for path in ours:
            name = os.path.basename(path)
            if name in ("metadata.json", "reserve") or os.path.islink(path) or not os.path.exists(path):
                continue  # the first has a test of its own; the second goes by itself
            mode = os.stat(path).st_mode & 0o777
            os.chmod(path, 0o600)
            with open(path, "rb") as f:
                whole = f.read()
            for content in (b"", whole[:len(whole) // 2]):
                with open(path, "wb") as f:
                    f.write(content)
                cli.rows()
                for argv in (("info", identity), ("logs", identity), ("logs", "--audit", identity),
                             ("diff", identity), ("pull", identity, "--yes", "--into", os.path.join(cli.top, "into")),
                             ("resume", identity, "--headless", "--", "true"),
                             ("cp", f"{identity}:/home/node/workspace/a", os.path.join(cli.top, "x"))):
                    done = cli.run(*argv, check=False)
                    assert done.returncode in (0, 1, 125), (name, argv, done)
            with open(path, "wb") as f:
                f.write(whole)
            os.chmod(path, mode)
        cli.expect_whole()


def test_the_next_command_says_what_was_killed():
    with Cli() as cli:
        identity = living_bottle(cli)
        cli.kill_all()
        cli.wait_gone()
        done = cli.run("list")
        assert f"'{identity}' had lost its monitor" in done.stderr and "ended" in done.stdout, done
        assert cli.rows()[0]["reason"] == "its monitor was killed" and cli.rows()[0]["exit_code"] == 125
        assert "lost" not in cli.run("list").stderr
        cli.expect_whole()
