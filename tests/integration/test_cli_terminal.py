"""bot-bottle on a terminal: the question, the filter, the window's size, a lost terminal. On namespace."""

import os
import signal
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402
from rig.terminal import Terminal  # noqa: E402

TIMEOUT = 60


class Cli(Home):
    def __init__(self):
        super().__init__(BOT_BOTTLE_BACKEND="namespace")
        self.bottle("t", "image: host")
        self.agent("t", "t")

    def begin(self, *argv):
        """A bottle with an interactive shell whose prompt is READY."""
        t = Terminal(self.env, "start", "t", "--yes", *argv, "--", "sh", "-c", "PS1=READY; export PS1; exec sh -i")
        t.wait_for(b"READY")
        return t


def test_no_is_no_and_starts_nothing():
    with Cli() as cli:
        for answer in (b"n\n", b"\n", b"nonsense\n"):
            t = Terminal(cli.env, "start", "t")
            page = t.wait_for(b"[y/N] ")
            assert b"backend: namespace" in page and b"not scanned" in page, page
            t.type(answer)
            assert t.end() == 125
            assert cli.list() == []


def test_ctrl_c_at_the_question_starts_nothing():
    with Cli() as cli:
        t = Terminal(cli.env, "start", "t")
        t.wait_for(b"[y/N] ")
        t.type(b"\x03")
        assert t.end() in (-signal.SIGINT, 130)
        assert cli.list() == []


def test_yes_starts_and_the_code_comes_back():
    with Cli() as cli:
        t = Terminal(cli.env, "start", "t", "--", "sh", "-c", "tty; stty size; exit 9")
        t.wait_for(b"[y/N] ")
        t.type(b"y\n")
        got = t.wait_for(b"40 120")
        assert b"/dev/pts/" in got, got
        assert t.end() == 9
        assert b"session ended (exit 9)" in t.seen, t.seen


def test_the_window_size_follows():
    with Cli() as cli:
        t = cli.begin()
        t.resize(50, 101)
        deadline = time.monotonic() + 20
        while True:
            t.type(b"stty size; echo DO''NE\n")
            if b"50 101" in t.wait_for(b"DONE"):
                break
            assert time.monotonic() < deadline
        t.type(b"exit 0\n")
        assert t.end() == 0


def test_only_drawing_reaches_the_terminal_and_modes_are_undone():
    with Cli() as cli:
        t = cli.begin()
        t.type(b"printf 'A\\033]0;title\\007\\033[6n\\033]52;c;eA==\\007\\233x\\033[31mB\\033[?1049h\\033[?25lE''ND'\n")
        got = t.wait_for(b"END")
        got = got[got.rindex(b"A"):]
        assert got == "A\ufffdx\x1b[31mB\x1b[?1049h\x1b[?25lEND".encode(), got
        t.type(b"exit 0\n")
        assert t.end() == 0
        for reset in (b"\x1b[?1049l", b"\x1b[?25h", b"\x1b[0m"):
            assert reset in t.seen, t.seen
        # The same bytes, not on a terminal, are the guest's own.
        done = cli.run("start", "t", "--headless", "--", "printf", "\\033]0;t\\007", text=False)
        assert done.stdout == b"\x1b]0;t\x07"


def test_the_terminal_is_restored():
    with Cli() as cli:
        t = cli.begin()
        raw = termios.tcgetattr(t.fd)
        assert raw[3] & termios.ECHO == 0, "it was never raw, so this test shows nothing"
        t.type(b"exit 0\n")
        t.wait_for(b"session ended")
        assert termios.tcgetattr(t.fd)[:4] == t.before[:4]
        assert t.end() == 0


def test_ctrl_c_goes_to_the_guest():
    with Cli() as cli:
        t = cli.begin()
        t.type(b"sleep 1000; echo A''FTER\n")
        t.wait_for(b"sleep 1000")
        time.sleep(0.3)  # the moment is the test's parameter: sleep shall have begun
        t.type(b"\x03")
        t.type(b"echo AL''IVE\n")
        t.wait_for(b"ALIVE")
        t.type(b"exit 3\n")
        assert t.end() == 3


def test_a_lost_terminal_can_be_joined_again():
    with Cli() as cli:
        t = cli.begin("--label", "box")
        t.type(b"echo be''fore\n")
        t.wait_for(b"before")
        os.kill(t.pid, signal.SIGKILL)
        assert t.end() == -signal.SIGKILL
        assert cli.list()[0]["state"] == "running"
        again = Terminal(cli.env, "attach", "box")
        again.wait_for(b"before")  # what was written is shown again
        again.type(b"echo af''ter; exit 5\n")
        again.wait_for(b"after")
        assert again.end() == 5
        assert cli.list()[0]["state"] == "ended" and cli.list()[0]["exit_code"] == 5


def test_a_hung_up_terminal_leaves_the_bottle_to_be_joined():
    with Cli() as cli:
        t = cli.begin("--label", "box")
        os.close(t.fd)
        _, status = os.waitpid(t.pid, 0)
        assert os.waitstatus_to_exitcode(status) != 0
        assert cli.list()[0]["state"] == "running"
        assert cli.run("stop", "box").returncode == 0


def test_exec_gives_a_terminal_where_there_is_one():
    with Cli() as cli:
        main = subprocess.Popen([program(), "start", "t", "--headless", "--label", "box", "--", "sleep", "1000"],
                                env=cli.env, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while cli.run("exec", "box", "true", check=False).returncode != 0:
            assert time.monotonic() < deadline
        t = Terminal(cli.env, "exec", "box", "sh", "-c", "tty; read line; echo got $line; exit 6")
        t.wait_for(b"/dev/pts/")
        t.type(b"words\n")
        t.wait_for(b"got words")
        assert t.end() == 6
        t = Terminal(cli.env, "exec", "-i", "box", "sh", "-c", "tty")
        t.wait_for(b"not a tty")
        assert t.end() == 1
        cli.run("stop", "box")
        main.wait(30)
