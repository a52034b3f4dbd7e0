"""`start` without words, on a real terminal (tmux): each question, every way out, every size."""

import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402
from rig.tmux import Tmux, quote  # noqa: E402

TIMEOUT = 120
SIZES = ((80, 24), (200, 50))


class Pickers(Home):
    def __init__(self, **env):
        super().__init__(**env)
        for name in ("BOT_BOTTLE_BACKEND", "NO_COLOR"):
            if name not in env:
                self.env.pop(name, None)
        self.bottle("base", "image: host\negress:\n  routes:\n    - host: base.test")
        self.bottle("dev", "extends: base\nresources:\n  cpus: 1")
        self.bottle("tools", "resources:\n  cpus: 3")
        self.agent("implementer", "dev", "You implement.\nIn small steps.")
        self.agent("reader", "base", "You read.")
        self.write("agents", "free", "description: names no bottle")
        self.out, self.err = os.path.join(self.top, "out"), os.path.join(self.top, "err")

    def tmux(self, *words, columns=80, rows=24, **more):
        """start --dry-run, with nothing but the terminal left to ask on: 0, 1 and 2 lead elsewhere."""
        command = (f"{quote(program(), 'start', '--dry-run', *words)} </dev/null >{quote(self.out)} 2>{quote(self.err)}")
        return Tmux(self.env, command, columns, rows, self.top, **more)

    def read(self, name):
        with open(name, encoding="utf-8", errors="surrogateescape") as f:
            return f.read()


def ended(t, code):
    """The program is over with this code, and the terminal is as it was before."""
    t.wait(f"ENDED {code}")
    assert t.ask("alternate_on") == "0" and t.ask("cursor_flag") == "1"
    t.type("stty -a; echo DO''NE\n")
    modes = set("\n".join(t.wait("DONE")).replace(";", " ").split())
    assert modes >= {"icanon", "echo", "isig", "icrnl", "opost", "iexten"}, modes


def test_every_question_is_asked_and_answered_on_the_terminal():
    for columns, rows in SIZES:
        with Pickers() as home, home.tmux("--backend", "namespace", columns=columns, rows=rows) as t:
            screen = t.wait("Which agent", "free", "implementer", "reader", "1 of 4")
            assert len(screen) <= rows and screen[0].startswith(" Which agent shall be started?")
            assert "in dev" in t.line("implementer") and "You implement." in t.line("implementer")
            assert "names no bottle" in t.line("free")
            assert t.line("free").startswith(">")
            t.type("imp")
            t.wait("Filter: imp", without=("reader",))
            t.keys("Enter")
            t.wait("In which bottles?", "2 of 4", "dev <- base", "[1] dev")
            assert t.line("[1] dev").startswith(">"), "the agent's own bottle is under the cursor"
            t.keys("Down", "Space")
            t.wait("[2] tools", "Chosen: dev, then tools")
            t.type("<")
            t.wait("[1] tools", "[2] dev", "Chosen: tools, then dev")
            t.keys("Enter")
            t.wait("What shall this bottle be called?", "> implementer", "3 of 4")
            t.type("Fix Me")
            t.wait("> Fix Me", "Small letters, digits")
            t.keys("Enter")
            t.wait("Small letters, digits")
            t.keys("C-u")
            t.type("fix-me")
            t.wait("> fix-me", without=("Small letters",))
            t.keys("Enter")
            t.wait("In which color", "magenta", "4 of 4")
            t.type("mag")
            t.keys("Enter")
            ended(t, 0)
            page = home.read(home.out)
            for want in ("agent: implementer", "label: fix-me", "color: magenta", "backend: namespace", "base.test"):
                assert want in page, (want, page)
            assert "cpus: 1" in page, page  # dev came after tools
            said = home.read(home.err)
            line = re.search(r"the same without questions: (.*)\n", said).group(1)
            assert line == ("bot-bottle start implementer --dry-run --backend namespace --bottle tools --bottle dev "
                            "--label fix-me --color magenta"), line
            again = home.run(*line.split()[1:])
            strip = lambda text: re.sub(r"  # .*", "", text)  # noqa: E731
            assert strip(again.stdout) == strip(page)


def test_the_backend_is_asked_when_nothing_says_it():
    with Pickers() as home, home.tmux("--label", "x", "--color", "red", "--bottle", "base") as t:
        t.wait("Which agent", "1 of 2")
        t.keys("Enter")
        t.wait("On which backend?", "microvm", "namespace", "smolmachines", "2 of 2")
        assert "shared kernel" in t.line("namespace ")
        t.type("name")
        t.keys("Enter")
        ended(t, 0)
        assert "backend: namespace" in home.read(home.out)
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home, home.tmux() as t:
        t.wait("Which agent", "1 of 4")
        t.keys("C-c")
        ended(t, 130)


def test_only_what_is_missing_is_asked():
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home:
        with home.tmux("reader") as t:
            t.wait("ENDED 0")
        with home.tmux("free") as t:
            t.wait("In which bottles?", "[ ] base", without=(" of ",))
            t.keys("Enter")
            t.wait("This agent names no bottle of its own")
            t.keys("Space", "Enter")
            ended(t, 0)
            assert "bottle: base" in home.read(home.out)
        with home.tmux("--yes") as t:
            t.wait("Which agent", "1 of 2")
            t.type("reader")
            t.keys("Enter")
            t.wait("In which bottles?")
            t.keys("C-d")
            ended(t, 0)
        with home.tmux("--headless") as t:
            t.wait("ENDED 125")
            assert "--headless asks no questions; say: bot-bottle start AGENT" in home.read(home.err)


def test_escape_goes_back_and_out():
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home, home.tmux() as t:
        t.wait("Which agent")
        t.type("read")
        t.wait("Filter: read")
        t.keys("Enter")
        t.wait("In which bottles?", "[1] base")
        t.keys("Escape")
        t.wait("Which agent", "Filter: read")
        t.keys("C-u", "Home", "Down")
        t.wait("Filter: ", "implementer")
        t.keys("Enter")
        t.wait("In which bottles?", "[1] dev", "[ ] base")  # chosen anew for another agent
        t.keys("Enter")
        t.wait("called?")
        t.keys("Escape")
        t.wait("In which bottles?", "[1] dev")
        t.keys("Escape")
        t.wait("Which agent")
        t.keys("Escape")
        ended(t, 125)
        assert home.read(home.out) == "" and "not started" in home.read(home.err)


def test_ctrl_c_ends_every_question():
    questions = (["Which agent"], ["Which agent", "In which bottles?"], ["Which agent", "In which bottles?", "called?"],
                 ["Which agent", "In which bottles?", "called?", "In which color"])
    for path in questions:
        with Pickers(BOT_BOTTLE_BACKEND="namespace") as home, home.tmux() as t:
            for i, question in enumerate(path):
                t.wait(question)
                if i == 0:
                    t.type("reader")
                t.keys("Enter" if i + 1 < len(path) else "C-c")
            ended(t, 130)
            assert home.read(home.out) == "", path


def picker(t):
    """The pid of bot-bottle: it is the shell's only child."""
    with open(f"/proc/{t.ask('pane_pid')}/task/{t.ask('pane_pid')}/children", encoding="ascii") as f:
        return int(f.read().split()[0])


def test_signals_and_crashes_leave_the_terminal_as_it_was():
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS):
        with Pickers() as home, home.tmux() as t:
            t.wait("Which agent")
            assert t.ask("alternate_on") == "1", "it was never on, so this test shows nothing"
            t.type("re")
            t.wait("Filter: re")
            os.kill(picker(t), number)
            ended(t, 128 + number)


def test_it_can_be_stopped_and_continued():
    with Pickers() as home, Tmux(home.env, "PS1=READY sh -i", 80, 24, home.top) as t:
        t.wait("READY")
        t.type(quote(program(), "start", "--dry-run") + "\n")
        t.wait("Which agent", "implementer")
        t.keys("C-z")
        t.wait("READY", without=("Which agent",))
        assert t.ask("alternate_on") == "0"
        t.type("stty -a | grep -q ' icanon' && echo COO''KED\n")
        t.wait("COOKED")
        t.resize(60, 12)
        t.type("fg\n")
        t.wait("Which agent", "implementer", without=("COOKED",))
        t.type("read")
        t.wait("Filter: read", "reader", without=("implementer",))
        t.keys("C-c")
        t.wait("READY", without=("Which agent",))
        t.type("exit\n")
        ended(t, 130)


def test_every_size_shows_the_cursor():
    with Pickers() as home:
        for i in range(120):
            home.agent(f"agent-{i:03}", "base", f"Number {i}.")
        with home.tmux() as t:
            t.wait("Which agent", "agent-000", "1/123")
            t.keys("NPage", "NPage")
            t.wait("/123", without=("agent-000",))
            t.keys("End")
            t.wait("reader", "123/123")
            t.keys("PPage", "Up", "Home", "Down", "Down")
            t.wait("agent-002", "3/123")
            for columns, rows in ((200, 50), (80, 24), (40, 10), (30, 5), (20, 3), (12, 2), (10, 1), (80, 24)):
                t.resize(columns, rows)
                deadline = time.monotonic() + 20
                while True:
                    screen = t.screen()
                    row = [line for line in screen if line.startswith("> agent-")]
                    fits = len(screen) <= rows and all(len(line) <= columns for line in screen)
                    if len(row) == 1 and row[0].startswith("> agent-002"[:columns - 2]) and fits:
                        break
                    assert time.monotonic() < deadline, (columns, rows, t.text())
                    time.sleep(0.02)
            t.type("119")
            t.wait("Filter: 119", "agent-119", "1/1 of 123")
            t.type("x")
            t.wait("nothing matches")
            t.keys("Enter")
            t.keys("BSpace")
            t.wait("> agent-119")
            t.keys("C-c")
            ended(t, 130)


def test_a_broken_file_is_shown_with_its_fault_and_is_no_answer():
    with Pickers() as home:
        home.write("agents", "broken", "botle: dev")
        home.bottle("cracked", "egres: {}")
        with home.tmux() as t:
            t.wait("Which agent", "broken")
            assert "unknown key 'botle'" in t.line("broken  ")
            t.type("broken")
            t.keys("Enter")
            t.wait("Which agent", "'bottle'?")
            t.keys("C-u")
            t.type("free")
            t.keys("Enter")
            t.wait("In which bottles?", "cracked")
            t.type("cracked")
            t.keys("Space")
            t.wait("unknown key 'egres'", "In which bottles?", without=("[1]",))
            t.keys("C-c")
            ended(t, 130)


def test_hostile_bytes_never_reach_the_terminal():
    evil = "\x1b]0;OWNED\x07\x1b[41m\x1b[2J\u202eevil\u009b31m"
    with Pickers() as home:
        home.agent("evil", "dev", evil)
        home.write("agents", "worse", "bottle: \"" + evil + "\"")
        with open(os.path.join(home.root, "agents", "x\x1b[41m.md"), "w", encoding="utf-8") as f:
            f.write("---\nbottle: dev\n---\n")
        with home.tmux() as t:
            t.wait("Which agent", "evil", "worse")
            assert "control character" in t.line("evil  "), t.text()
            for _ in range(6):
                colored = "\n".join(t.screen(colors=True))
                assert "[41m" not in colored and "\u202e" not in colored and "\u009b" not in colored
                assert t.ask("pane_title") != "OWNED"
                t.keys("Down")
            t.keys("C-c")
            ended(t, 130)


def colors_shown(**env):
    with Pickers(BOT_BOTTLE_BACKEND="namespace", **env) as home, home.tmux("--label", "x", "--bottle", "base", **env) as t:
        t.wait("Which agent")
        t.keys("Enter")
        t.wait("In which color", "cyan")
        colored = "\n".join(t.screen(colors=True))
        t.keys("C-c")
        ended(t, 130)
        return set(re.findall(r"\x1b\[(?:\d+;)*(3[1-7])m", colored))


def test_colors_are_shown_unless_they_are_not_wanted():
    assert colors_shown() == {"31", "32", "33", "34", "35", "36"}
    assert colors_shown(NO_COLOR="1") == set()


def test_a_terminal_that_cannot_be_drawn_on_is_named():
    with Pickers() as home:
        for value in ("dumb", "", "no-such-terminal"):
            with home.tmux() as t:
                t.wait("Which agent")  # the twin: it can
                t.keys("C-c")
            command = f"TERM={value} {quote(program(), 'start', '--dry-run')} 2>{quote(home.err)}"
            with Tmux(home.env, command, 80, 24, home.top) as t:
                t.wait("ENDED 125")
                assert "this terminal" in home.read(home.err) and "bot-bottle start AGENT" in home.read(home.err)


def test_without_a_terminal_the_missing_word_is_named():
    with Pickers() as home:
        done = home.run("start", "--dry-run", check=False, start_new_session=True)
        assert done.returncode == 125 and done.stdout == "", done
        assert "no agent is named, and there is no terminal" in done.stderr and "bot-bottle start AGENT" in done.stderr
        done = home.run("start", "free", "--dry-run", check=False, start_new_session=True)
        assert done.returncode == 125 and "--bottle NAME" in done.stderr, done
        empty = os.path.join(home.top, "empty")
        done = home.run("start", check=False, start_new_session=True)
        home.env["BOT_BOTTLE_HOME"] = empty
        done = home.run("start", check=False, start_new_session=True)
        assert "bot-bottle init" in done.stderr and not os.path.exists(empty), done


def test_a_bottle_is_born_with_its_name_and_color():
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home:
        command = quote(program(), "start", "reader", "--yes", "--label", "blue-one", "--color", "blue", "--",
                        "sh", "-c", "echo UP; read line; exit 3")
        with Tmux(home.env, command, 100, 30, home.top) as t:
            t.wait("UP")
            row = home.list()[0]
            assert (row["id"], row["label"], row["color"]) == ("blue-one", "blue-one", "blue"), row
            assert "\x1b" not in home.run("list").stdout  # not a terminal
            # The picker proposes another name, and refuses this one.
            with Tmux(home.env, quote(program(), "start", "--dry-run", "--bottle", "base", "--color", "red"), 80, 24,
                      os.path.join(home.top, "run")) as second:
                second.wait("Which agent")
                second.type("reader")
                second.keys("Enter")
                second.wait("> reader")
                second.type("blue-one")
                second.wait("label 'blue-one' is in use")
                second.keys("C-c")
                second.wait("ENDED 130")
            listing = quote(program(), "list")
            with Tmux(home.env, listing, 120, 24, os.path.join(home.top, "run")) as second:
                second.wait("ENDED 0")
                assert "\x1b[34mblue-one" in "\n".join(second.screen(colors=True))
            with Tmux(home.env, listing, 120, 24, os.path.join(home.top, "run"), NO_COLOR="1") as second:
                second.wait("ENDED 0")
                assert "\x1b[34m" not in "\n".join(second.screen(colors=True))
            t.type("x\n")
            t.wait("ENDED 3")
        # The ended one keeps its name; the next gets one of its own, and both are found.
        done = home.run("start", "reader", "--headless", "--label", "blue-one", "--", "true", start_new_session=True)
        assert done.returncode == 0
        names = sorted(row["id"] for row in home.list())
        assert names[0] == "blue-one" and re.fullmatch(r"blue-one-[0-9a-z]{5}", names[1]), names
        done = home.run("start", "reader", "--headless", "--color", "blu", "--", "true", check=False)
        assert done.returncode == 125 and "did you mean 'blue'?" in done.stderr


def test_a_terminal_that_goes_away_ends_it():
    with Pickers() as home:
        with home.tmux() as t:
            t.wait("Which agent")
            pid = picker(t)
        deadline = time.monotonic() + 20
        while os.path.exists(f"/proc/{pid}/exe"):
            assert time.monotonic() < deadline, subprocess.run(["ps", "-fp", str(pid)], capture_output=True, check=False)
            time.sleep(0.02)


def test_a_refusal_is_seen_on_the_smallest_screen():
    with Pickers() as home:
        home.write("agents", "aa-broken", "botle: x")
        for columns, rows in ((60, 6), (60, 4), (60, 2)):
            with home.tmux(columns=columns, rows=rows) as t:
                t.wait("> aa-broken")
                t.type("aa-b")
                t.keys("Enter")
                t.wait("agents/aa-broken.md':2", "> aa-broken")
                t.keys("C-c")
                t.wait("ENDED 130")
            with home.tmux("reader", "--bottle", "base", "--color", "red", columns=columns, rows=rows) as t:
                t.wait("ENDED")


def test_attach_asks_which_bottle():
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home:
        with Tmux(home.env, quote(program(), "attach"), 80, 24, home.top) as t:
            t.wait("no bottle is running", "ENDED 125")
        with home.start("reader", label="one"), home.start("reader", label="two", args=("--color", "green")):
            done = home.run("attach", check=False, start_new_session=True)
            assert done.returncode == 125 and "no bottle is named" in done.stderr and "bot-bottle attach ID" in done.stderr
            with Tmux(home.env, quote(program(), "attach"), 80, 24, home.top) as t:
                t.wait("Which bottle shall be joined?", "one", "two", "agent reader on namespace")
                assert re.search(r"\x1b\[(?:\d+;)*32mtwo", "\n".join(t.screen(colors=True)))
                t.keys("Escape")
                t.wait("no bottle is chosen", "ENDED 125")
            with Tmux(home.env, quote(program(), "commit"), 80, 24, home.top) as t:
                t.wait("Of which bottle?", "one", "two")
                t.keys("C-c")
                t.wait("ENDED 130")
            home.run("stop", "one")
            with Tmux(home.env, quote(program(), "attach"), 80, 24, home.top) as t:
                # The only one that runs is not asked for; ended from elsewhere, it ends this as well.
                t.wait(without=("ENDED",))
                home.run("stop", "two")
                t.wait("ENDED", without=("Which bottle",))
            with Tmux(home.env, quote(program(), "resume", "--dry-run"), 120, 60, home.top) as t:
                t.wait("Which bottle shall go on?", "> one", "two")
                t.type("tw")
                t.wait("> two", without=("one ",))
                t.keys("Enter")
                t.wait("label: two", "color: green", "ENDED 0")
            done = home.run("resume", "--dry-run", check=False, start_new_session=True)
            assert done.returncode == 125 and "bot-bottle resume ID" in done.stderr


def test_a_hidden_question_gives_the_terminal_back():
    with Pickers(BOT_BOTTLE_BACKEND="namespace") as home:
        home.bottle("base", 'image: host\nenv:\n  SECRET: "?paste it"')
        command = quote(program(), "start", "reader", "--yes", "--", "sh", "-c", "echo got $SECRET")
        with Tmux(home.env, command, 80, 24, home.top) as t:
            t.wait("paste it")
            t.type("hid-den")
            t.keys("C-c")
            ended(t, 130)
            assert "hid-den" not in t.text() and home.list() == []
        for number in (signal.SIGTERM, signal.SIGHUP):
            with Tmux(home.env, command, 80, 24, home.top) as t:
                t.wait("paste it")
                os.kill(picker(t), number)
                ended(t, 130)
        with Tmux(home.env, command, 80, 24, home.top) as t:
            t.wait("paste it")
            t.keys("C-z")  # means nothing here
            t.type("val-ue\n")
            t.wait("got val-ue", "ENDED 0")
