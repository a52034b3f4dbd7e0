"""Bottles that live again: their workspace, their committed image, their name. On namespace, with the host's own
programs; what differs on microvm is in test_cli_resume_microvm.py."""

import json
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 300


class Cli(Home):
    """A home with one agent 't', and images of its own."""

    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.env["XDG_CACHE_HOME"] = os.path.join(self.top, "cache")
        self.images = os.path.join(self.top, "cache", "bot-bottle", "images")
        self.bottle("t", "image: host")
        self.agent("t", "t")
        self.work = os.path.join(self.top, "work")
        os.mkdir(self.work)
        self.put("a", "one\n")

    def put(self, name, text):
        with open(os.path.join(self.work, name), "w", encoding="utf-8") as f:
            f.write(text)

    def sh(self, verb, who, script, *options, check=True):
        return self.run(verb, who, "--headless", *options, "--", "sh", "-c", script, check=check)

    def only(self):
        bottles = self.list()
        assert len(bottles) == 1, bottles
        return bottles[0]

    def fetch(self, identity, name):
        path = os.path.join(self.top, "fetched")
        self.run("cp", f"{identity}:/home/node/workspace/{name}", path)
        with open(path, encoding="utf-8") as f:
            return f.read()

    def detach(self, script="exec sleep 1000", *options):
        done = self.run("start", "t", "--detach", "--headless", "--json", *options, "--", "sh", "-c", script)
        return json.loads(done.stdout)["id"]

    def half_images(self):
        return [n for n in os.listdir(self.images) if n.startswith("tmp-")] if os.path.isdir(self.images) else []


def test_a_bottle_lives_again_with_what_it_had_changed():
    with Cli() as cli:
        done = cli.sh("start", "t", "echo two >> a; rm -f gone; echo new > b", f"--cwd={cli.work}", "--label", "box")
        first = cli.only()
        assert first["workspace_kept"] and first["label"] == "box", first
        assert f"bot-bottle resume {first['id']}" in done.stderr, done.stderr
        cli.put("a", "the host's has changed meanwhile\n")
        # By its label too; name, label and backend are those of before.
        done = cli.sh("resume", "box", "pwd; cat a b; echo three >> a; rm b")
        assert done.stdout == "/home/node/workspace\none\ntwo\nnew\n", done
        again = cli.only()
        assert again["id"] == first["id"] and again["label"] == "box" and again["workspace_kept"], again
        assert cli.fetch(again["id"], "a") == "one\ntwo\nthree\n"
        assert cli.run("cp", f"{again['id']}:/home/node/workspace/b", "/dev/null/x", check=False).returncode != 0
        # A life that changes nothing takes nothing away.
        assert cli.sh("resume", first["id"], "ls").stdout == "a\n"
        assert cli.only()["workspace_kept"] and cli.fetch(first["id"], "a") == "one\ntwo\nthree\n"
        # The log goes on where it was.
        assert "one\ntwo\nnew\n" in cli.run("logs", first["id"]).stdout
        assert cli.run("cleanup", "--yes", "--all").returncode == 0 and cli.list() == []


def test_start_change_commit_stop_resume_pull():
    with Cli() as cli:
        identity = cli.detach("exec sleep 1000", f"--cwd={cli.work}")
        cli.run("exec", identity, "sh", "-c", "cd ~/workspace; echo two >> a; mkdir d; echo new > d/b; echo set > ~/.mine")
        cli.run("commit", identity)
        cli.run("stop", identity)
        done = cli.sh("resume", identity, "cat ~/.mine; echo three >> a")
        assert done.stdout == "set\n", done
        assert "+three\n" in cli.run("diff", identity).stdout
        cli.run("pull", identity, "--yes", cwd=cli.work)
        for name, want in (("a", "one\ntwo\nthree\n"), ("d/b", "new\n")):
            with open(os.path.join(cli.work, name), encoding="utf-8") as f:
                assert f.read() == want, name


def test_an_unchanged_directory_is_copied_in_anew():
    with Cli() as cli:
        done = cli.sh("start", "t", "cat a", f"--cwd={cli.work}")
        assert "resume" not in done.stderr, done
        cli.put("a", "newer\n")
        assert cli.sh("resume", cli.only()["id"], "cat a").stdout == "newer\n"


def test_what_cannot_be_resumed_says_why():
    with Cli() as cli:
        identity = cli.detach()
        done = cli.run("resume", identity, "--headless", "--prompt", "x", check=False)
        assert done.returncode == 125 and f"bot-bottle attach {identity}" in done.stderr, done
        cli.run("stop", identity)
        os.unlink(os.path.join(cli.root, "agents", "t.md"))
        done = cli.sh("resume", identity, "true", check=False)
        assert done.returncode == 125 and "there is no agent 't'" in done.stderr, done
        assert cli.only()["state"] == "ended"


def test_a_resumption_that_fails_leaves_the_bottle_as_it_was():
    with Cli() as cli:
        cli.sh("start", "t", "echo two >> a", f"--cwd={cli.work}")
        before = cli.only()
        cli.bottle("t", "image: host\nresources: {memory: 1M}")  # no guest starts in that
        done = cli.sh("resume", before["id"], "true", check=False)
        cli.bottle("t", "image: host")
        if done.returncode != 0:
            after = cli.only()
            assert {k: after[k] for k in ("id", "workspace_kept", "started_at", "reason")} == {
                k: before[k] for k in ("id", "workspace_kept", "started_at", "reason")}, (before, after)
        assert cli.sh("resume", before["id"], "cat a").stdout == "one\ntwo\n"


def test_a_kept_workspace_that_is_cut_off_is_an_error():
    with Cli() as cli:
        cli.sh("start", "t", "echo two >> a; head -c 300000 /dev/zero > z", f"--cwd={cli.work}")
        identity = cli.only()["id"]
        path = os.path.join(cli.root, "state", identity, "workspace.frames")
        with open(path, "rb") as f:
            whole = f.read()
        for size in (0, 7, 8, 500, len(whole) // 2, len(whole) - 8, len(whole) - 1):
            with open(path, "wb") as f:
                f.write(whole[:size])
            done = cli.sh("resume", identity, "true", check=False)
            assert done.returncode == 125 and "cut off" in done.stderr, (size, done)
        with open(path, "wb") as f:
            f.write(whole)
        assert cli.sh("resume", identity, "cat a").stdout == "one\ntwo\n"


HOME = ("cd; mkdir -p d/e; echo one > d/f; ln -s f d/link; chmod 751 d/f; head -c 3000000 /dev/urandom > blob;"
        " mkfifo pipe; sha256sum blob; echo made; exec sleep 1000")


def test_commit_is_an_image_that_start_and_resume_use():
    with Cli() as cli:
        identity = cli.detach(HOME)
        deadline = time.monotonic() + 20
        while "made" not in cli.run("logs", identity, check=False).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        digest = cli.run("logs", identity).stdout.split()[0]
        done = json.loads(cli.run("commit", identity, "--json").stdout)
        assert set(done) == {"id", "image", "name", "bytes"} and done["name"] == f"committed-{identity}", done
        assert done["bytes"] > 3000000 and cli.half_images() == []
        images = json.loads(cli.run("image", "list", "--json").stdout)
        assert [(i["name"], i["id"], i["parent"]) for i in images] == [(done["name"], done["image"], "host")], images
        # The same content is the same image; changed content another.
        assert json.loads(cli.run("commit", "--json").stdout)["image"] == done["image"]
        cli.run("exec", identity, "sh", "-c", "cd; echo two > d/f")
        second = json.loads(cli.run("commit", identity, "--json", "--name", "mine").stdout)
        assert second["image"] != done["image"] and second["name"] == "mine"
        cli.run("stop", identity)
        assert cli.only()["committed_image"] == second["image"]
        show = "cd; cat d/f; readlink d/link; stat -c %a d/f; sha256sum blob; ls -A"
        out = cli.sh("start", "t", show, "--image", done["name"]).stdout.split("\n")
        assert out[:4] == ["one", "f", "751", f"{digest}  blob"] and "pipe" not in out, out
        assert cli.sh("start", "t", "cat ~/d/f", "--image", done["image"][:12]).stdout == "one\n"
        assert cli.sh("resume", identity, "cat ~/d/f; rm ~/d/f; echo three > ~/g").stdout == "two\n"
        # A commit of what was started from one stands alone.
        third = cli.detach("exec sleep 1000", "--image", "mine")
        cli.run("exec", third, "sh", "-c", "cd; rm -r d; echo x > y")
        cli.run("commit", third, "--name", "third")
        cli.run("stop", third)
        assert sorted(cli.sh("start", "t", "ls ~", "--image", "third").stdout.split()) == ["blob", "y"]
        for name, says in (("base", "is built"), ("host", "cannot be"), ("No", "cannot be")):
            done = cli.run("commit", third, "--name", name, check=False)
            assert done.returncode == 125, done
        cli.run("image", "rm", "mine")
        done = cli.sh("resume", identity, "true")
        assert "is gone" in done.stderr, done


def test_a_commit_that_is_cut_short_leaves_nothing():
    with Cli() as cli:
        identity = cli.detach("cd; head -c 200000000 /dev/zero > blob; echo made; exec sleep 1000")
        deadline = time.monotonic() + 30
        while "made" not in cli.run("logs", identity, check=False).stdout:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
            for delay_ms in (5, 20, 40, 80):
                p = subprocess.Popen([program(), "commit", identity], env=cli.env, stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                time.sleep(delay_ms / 1000)  # not a wait for something: the moment is the test's parameter
                p.send_signal(number)
                _, errors = p.communicate(timeout=30)
                assert p.returncode in (130, -number), (delay_ms, p.returncode, errors)
                if number != signal.SIGKILL:
                    assert cli.half_images() == [], (delay_ms, errors)
                assert json.loads(cli.run("image", "list", "--json").stdout) == []
        assert cli.only()["committed_image"] is None
        cli.run("commit", identity)  # the next removes what a kill left
        assert cli.half_images() == [] and len(json.loads(cli.run("image", "list", "--json").stdout)) == 1
        # The bottle ends while it is read.
        p = subprocess.Popen([program(), "commit", identity, "--name", "other"], env=cli.env,
                             stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        cli.run("stop", identity)
        _, errors = p.communicate(timeout=30)
        assert p.returncode in (0, 125), (p.returncode, errors)
        assert cli.half_images() == []
        names = {i["name"] for i in json.loads(cli.run("image", "list", "--json").stdout)}
        assert ("other" in names) == (p.returncode == 0 or "was made" in errors), (names, errors)
