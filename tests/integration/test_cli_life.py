"""A bottle's life from the command line: started and left, joined from other terminals, its log followed. On
namespace, with the host's own programs."""

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 180
LEAVE = b"\x1d\x1d"


class Cli(Home):
    """A home with one agent 't' whose bottle uses the host's own programs and reaches nothing."""

    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.bottle("t", "image: host")
        self.agent("t", "t")

    def detach(self, *command, options=()):
        """Starts a bottle that lives on; what --json says."""
        done = self.run("start", "t", "--detach", "--yes", "--json", *options, "--", *command)
        return json.loads(done.stdout)

    def entry(self, identity):
        return next(b for b in self.list() if b["id"] == identity)

    def wait_ended(self, identity, seconds=30):
        deadline = time.monotonic() + seconds
        while self.entry(identity)["state"] != "ended":
            assert time.monotonic() < deadline, self.entry(identity)
            time.sleep(0.05)
        return self.entry(identity)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, cli, *argv, rows=24, columns=80):
        self.master, slave = pty.openpty()
        os.set_blocking(self.master, True)
        subprocess.run(["stty", "rows", str(rows), "cols", str(columns)], stdin=slave, check=True)
        self.process = subprocess.Popen([program(), *argv], env=cli.env, stdin=slave, stdout=slave, stderr=slave,
                                        start_new_session=True)
        os.close(slave)
        self.seen = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.master)

    def until(self, text, seconds=20):
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            ready = select.select([self.master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"{text!r} did not come: {self.seen!r}"
            self.seen += os.read(self.master, 4096)
        self.seen = self.seen[self.seen.index(text) + len(text):]

    def type(self, data):
        os.write(self.master, data)

    def hang_up(self):
        os.close(self.master)
        self.master = -1


ECHO = ("sh", "-c", "stty -echo; echo begun; while read line; do echo \"got $line\"; [ \"$line\" = end ] && exit 7; done")


def test_a_detached_bottle_lives_on_and_is_joined_and_left():
    with Cli() as cli:
        started = cli.detach(*ECHO)
        assert set(started) == {"id", "backend", "accelerator"} and started["backend"] == "namespace", started
        assert cli.entry(started["id"])["state"] == "running" and not cli.entry(started["id"])["attached"]
        with Terminal(cli, "attach", started["id"]) as t:
            t.until(b"begun")
            t.type(b"one\n")
            t.until(b"got one")
            assert cli.entry(started["id"])["attached"]
            t.type(LEAVE)
            t.until(b"runs on")
            assert t.process.wait(20) == 0
        with Terminal(cli, "attach", started["id"]) as t:
            t.until(b"got one")  # what was shown is shown again
            t.type(b"a\x1db\n")  # the key alone is the guest's
            t.until(b"got ab")
            t.type(b"end\n")
            assert t.process.wait(20) == 7
        assert cli.wait_ended(started["id"])["exit_code"] == 7
        # A terminal shows only what draws; the log has what the guest got.
        assert b"got a\x1db" in cli.run("logs", started["id"], text=False).stdout


def test_two_terminals_show_and_type_the_same():
    with Cli() as cli:
        identity = cli.detach(*ECHO)["id"]
        with Terminal(cli, "attach", identity) as a, Terminal(cli, "attach", identity) as b:
            a.until(b"begun")
            b.until(b"begun")
            a.type(b"from a\n")
            b.until(b"got from a")
            b.type(b"from b\n")
            a.until(b"got from a")
            a.until(b"got from b")
            a.type(b"end\n")
            assert a.process.wait(20) == 7 and b.process.wait(20) == 7


def test_the_terminal_that_started_it_leaves_by_the_keys():
    with Cli() as cli:
        with Terminal(cli, "start", "t", "--yes", "--label", "box", "--", *ECHO) as t:
            t.until(b"begun")
            t.type(LEAVE)
            t.until(b"bot-bottle attach")
            assert t.process.wait(20) == 0
        with Terminal(cli, "attach", "box") as t:
            t.until(b"begun")
            t.hang_up()  # a lost terminal of a bottle that was left does not end it either
            t.process.wait(20)
        assert cli.list()[0]["state"] == "running"
        cli.run("stop", "box")


def test_a_detached_headless_agent_gets_its_whole_task():
    with Cli() as cli:
        task = "echo " + "x" * 300000 + " | wc -c; sleep 1000"
        path = os.path.join(cli.top, "task")
        with open(path, "w", encoding="utf-8") as f:
            f.write(task)
        done = cli.run("start", "t", "--headless", "--detach", "--json", "--prompt-file", path)
        identity = json.loads(done.stdout)["id"]
        deadline = time.monotonic() + 20
        while "300001" not in cli.run("logs", identity, check=False).stdout:
            assert time.monotonic() < deadline, cli.run("logs", identity, check=False)
            time.sleep(0.05)
        assert cli.entry(identity)["state"] == "running"
        cli.run("stop", identity)


def test_a_detached_command_that_ends_or_fails_at_once_says_so():
    with Cli() as cli:
        done = cli.run("start", "t", "--detach", "--yes", "--json", "--", "no-such-program", check=False)
        assert done.returncode == 127 and "cannot run 'no-such-program'" in done.stderr, done
        assert done.stdout == "", done
        assert [b["state"] for b in cli.list()] == ["ended"]


def test_a_log_is_followed_to_the_bottles_end():
    with Cli() as cli:
        identity = cli.detach("sh", "-c", "echo one; read line; echo two; exit 3")["id"]
        follow = subprocess.Popen([program(), "logs", "-f", identity], env=cli.env, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert follow.stdout.readline() == b"one\r\n"
        with Terminal(cli, "attach", identity) as t:
            t.until(b"one")
            t.type(b"\n")
            t.process.wait(20)
        out, errors = follow.communicate(timeout=20)
        assert out.endswith(b"two\r\n") and errors == b"" and follow.returncode == 0, (out, errors)
        # At once for one that has ended; Ctrl-C leaves one that lives.
        assert "two" in cli.run("logs", "-f", identity).stdout
        identity = cli.detach("sleep", "1000")["id"]
        follow = subprocess.Popen([program(), "logs", "-f", "--bundle", identity], env=cli.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.5)  # not a wait for something: it is to be interrupted while it waits
        follow.send_signal(signal.SIGINT)
        _, errors = follow.communicate(timeout=20)
        assert follow.returncode in (130, -signal.SIGINT) and errors == b"", (follow.returncode, errors)
        cli.run("stop", identity)
