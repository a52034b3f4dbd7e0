"""`init` and `edit`: from nothing to files that load, on a terminal (tmux) and without one."""

import os
import re
import stat
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402
from rig.tmux import Tmux, quote  # noqa: E402

TIMEOUT = 120


class New(Home):
    """A home without any manifest; nothing of the operator's own variables."""

    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        os.rmdir(os.path.join(self.root, "bottles"))
        os.rmdir(os.path.join(self.root, "agents"))
        for name in ("BOT_BOTTLE_CLAUDE_OAUTH_TOKEN", "ANTHROPIC_API_KEY", "VISUAL", "EDITOR"):
            if name not in env:
                self.env.pop(name, None)

    def tmux(self, *words, columns=80, rows=24, **more):
        return Tmux(self.env, quote(program(), *words), columns, rows, self.top, **more)

    def files(self):
        return sorted(os.path.relpath(os.path.join(d, f), self.root) for d, _, files in os.walk(self.root) for f in files)

    def read(self, name):
        with open(os.path.join(self.root, name), encoding="utf-8") as f:
            return f.read()

    def alone(self, *words, check=False):
        """Without a terminal, not even /dev/tty."""
        return self.run(*words, check=check, start_new_session=True)


def answer(t, question, text, then=None):
    t.wait(question)
    t.type(text + "\n")
    if then:
        t.wait(then)


def test_five_answers_make_an_agent_that_can_be_started():
    for columns, rows in ((80, 24), (200, 50)):
        with New() as home:
            with home.tmux("init", columns=columns, rows=rows) as t:
                answer(t, "1. What shall the agent be called?", "My Agent", "'My Agent' is not a name")
                answer(t, "[implementer]", "worker")
                answer(t, "2. In which bottle", "")
                answer(t, "3. Which program", "cluade", "did you mean 'claude'?")
                answer(t, "[claude]", "codex", "provider 'codex' is not built yet")
                answer(t, "3. Which program", "shell")
                answer(t, "4. Which hosts", "https://docs.test", "host 'https://docs.test' can never match")
                answer(t, "4. Which hosts", "docs.test, *.crates.test")
                answer(t, "5. What is it told", "Be careful.")
                screen = t.wait("ENDED 0")
                text = "\n".join(screen)
                assert "wrote " in text and "bot-bottle start worker --cwd" in text, text
                assert max(len(line) for line in screen) <= columns
            assert home.files() == ["agents/worker.md", "bottles/worker.md"]
            for name in home.files():
                assert stat.S_IMODE(os.stat(os.path.join(home.root, name)).st_mode) == 0o600
            page = home.run("start", "worker", "--dry-run").stdout
            assert "host: docs.test" in page and "*.crates.test" in page and "anthropic" not in page, page
            assert home.read("agents/worker.md").endswith("---\nBe careful.\n")


def test_the_proposals_alone_are_an_agent_that_works():
    with New(XDG_CACHE_HOME="/nonexistent") as home:
        with home.tmux("init") as t:
            for question in ("1. What", "2. In", "3. Which", "4. Which", "5. What"):
                answer(t, question, "")
            t.wait("ENDED 0", "bot-bottle image build claude", "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN")
        assert home.files() == ["agents/implementer.md", "bottles/implementer.md"]
        page = home.run("info", "implementer").stdout
        assert "agent: implementer" in page and "api.anthropic.com" in page, page
        # And a real start, as far as a bottle with the host's own programs goes.
        home.alone("init", "box", "--provider", "shell", "--host", "", "--image", "host", "--prompt", "", "--yes", check=True)
        done = home.run("start", "box", "--headless", "--", "sh", "-c", "echo it runs")
        assert done.stdout == "it runs\n", done


def test_a_stop_anywhere_writes_nothing():
    for count in range(5):
        for key, code in (("C-c", 130), ("C-d", 125)):
            with New() as home, home.tmux("init") as t:
                for i, question in enumerate(("1. What", "2. In", "3. Which", "4. Which", "5. What")):
                    t.wait(question)
                    if i == count:
                        t.keys(key)
                        break
                    t.type("\n")
                t.wait(f"ENDED {code}")
                assert home.files() == [], (count, key)


def test_nothing_is_overwritten():
    with New() as home:
        home.alone("init", "one", "--provider", "claude", "--host", "a.test", "--yes", check=True)
        before = {name: home.read(name) for name in home.files()}
        for words, says in (
                (["init", "one", "--yes"], "agent 'one' is there already"),
                (["init", "two", "--bottle", "one", "--host", "b.test", "--yes"],
                 "bottle 'one' is there already and is not overwritten: leave --host out"),
                (["init", "two", "--bottle", "one", "--provider", "shell", "--yes"], "leave --provider out")):
            done = home.alone(*words)
            assert done.returncode == 125 and says in done.stderr, done
            assert {name: home.read(name) for name in home.files()} == before
        # A second agent for the bottle that is there; the bottle stays as it is.
        done = home.alone("init", "two", "--bottle", "one", "--yes", check=True)
        assert home.read("bottles/one.md") == before["bottles/one.md"]
        assert home.files() == ["agents/one.md", "agents/two.md", "bottles/one.md"]
        assert "bottle: one" in home.run("info", "two").stdout
        # A name that is taken by something that is no manifest is taken, too.
        os.symlink("nowhere", os.path.join(home.root, "agents", "three.md"))
        os.symlink("nowhere", os.path.join(home.root, "bottles", "four.md"))
        assert "is there already" in home.alone("init", "three", "--yes").stderr
        done = home.alone("init", "five", "--bottle", "four", "--yes")
        assert done.returncode == 125 and "bottle 'four' is there but cannot be used" in done.stderr, done
        assert not os.path.exists(os.path.join(home.root, "agents", "five.md"))


def test_both_are_written_or_neither():
    if os.geteuid() == 0:
        return  # root writes where nobody may; the run as an ordinary user shows it
    with New() as home:
        os.mkdir(os.path.join(home.root, "agents"), 0o500)
        done = home.alone("init", "one", "--yes")
        assert done.returncode == 125 and "cannot write" in done.stderr, done
        assert home.files() == []


def test_without_a_terminal_the_missing_word_is_named():
    with New() as home:
        rows = ((["init"], "AGENT is missing"), (["init", "a"], "--bottle NAME is missing"),
                (["init", "a", "--bottle", "b"], "--provider NAME is missing"),
                (["init", "a", "--bottle", "b", "--provider", "shell"], "--host HOST is missing"),
                (["init", "a", "--bottle", "b", "--provider", "shell", "--host", ""], "--prompt TEXT is missing"),
                (["init", "A", "--yes"], "'A' is not a name"), (["init", "a", "--host", "1.2.3.4", "--yes"], "1.2.3.4"),
                (["init", "a", "--provider", "shel", "--yes"], "did you mean 'shell'?"),
                (["init", "a", "--prompt", "\x1b[2J", "--yes"], "control character"),
                (["init", "a", "--image", "../x", "--yes"], "is not an image's name"))
        for words, says in rows:
            done = home.alone(*words)
            assert done.returncode == 125 and says in done.stderr and "\x1b" not in done.stderr, (words, done)
            assert home.files() == []
        done = home.alone("init", "--yes", check=True)
        assert home.files() == ["agents/implementer.md", "bottles/implementer.md"]
        done = home.alone("init", "--yes")
        assert done.returncode == 125 and "AGENT is missing" in done.stderr, done


def script(home, text):
    """An editor: a shell script whose first word is the file."""
    path = os.path.join(home.top, "editor")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o700)
    return path


def test_edit_opens_the_file_and_checks_it():
    with New() as home:
        home.alone("init", "one", "--provider", "shell", "--yes", check=True)
        home.env["EDITOR"] = "false"
        home.env["VISUAL"] = script(home, "printf '%s\\n' \"$@\" > $0.args; exec sed -i 's/^bottle: .*/bottle: one/' \"$@\"") + " -s"
        done = home.alone("edit", "one")
        assert done.returncode == 0 and "agent 'one' is in order" in done.stderr, done
        with open(os.path.join(home.top, "editor.args"), encoding="utf-8") as f:
            assert f.read() == f"-s\n{home.root}/agents/one.md\n"
        done = home.alone("edit", "--bottle", "one")
        assert done.returncode == 0 and "bottle 'one' is in order" in done.stderr, done
        del home.env["VISUAL"]
        home.env["EDITOR"] = script(home, "sed -i 's/^bottle:/botle:/' \"$1\"")
        done = home.alone("edit", "one")
        assert done.returncode == 125 and "did you mean 'bottle'?" in done.stderr, done
        home.env["EDITOR"] = script(home, "sed -i 's/^botle:.*/bottle: onne/' \"$1\"")
        done = home.alone("edit", "one")
        assert done.returncode == 125 and "did you mean 'one'?" in done.stderr, done
        home.env["EDITOR"] = "no-such-editor"
        done = home.alone("edit", "one")
        assert done.returncode == 125 and "cannot run the editor 'no-such-editor'; set VISUAL or EDITOR" in done.stderr
        for words, says in ((["edit", "on"], "there is no agent 'on'; did you mean 'one'?"),
                            (["edit", "--bottle", "x"], "there is no bottle 'x'"), (["edit", "../x"], "is not a name"),
                            (["edit", "one", "--bottle", "one"], "exclude each other"),
                            (["edit"], "no agent is named, and there is no terminal")):
            done = home.alone(*words)
            assert done.returncode == 125 and says in done.stderr, (words, done)


def test_edit_offers_to_edit_again_until_it_is_right():
    with New() as home:
        home.alone("init", "one", "--provider", "shell", "--yes", check=True)
        # Each call does the next step: breaks it, breaks it otherwise, mends it.
        editor = script(home, """
n=$(cat $0.count 2>/dev/null || echo 0); echo $((n + 1)) > $0.count
case $n in
0) sed -i 's/^bottle:.*/botle: one/' "$1";;
1) sed -i 's/^botle:.*/bottle: [/' "$1";;
*) sed -i 's/^bottle:.*/bottle: one/' "$1";;
esac
""")
        with home.tmux("edit", EDITOR=editor) as t:
            t.wait("Which agent shall be edited?", "one", "in one")
            t.keys("Enter")
            t.wait("did you mean 'bottle'?", "edit it again? [y/N]")
            t.type("y\n")
            t.wait("agents/one.md':2", "[y/N]")
            t.type("y\n")
            t.wait("agent 'one' is in order", "ENDED 0")
        os.unlink(editor + ".count")
        with home.tmux("edit", "one", EDITOR=editor) as t:
            t.wait("edit it again? [y/N]")
            t.type("n\n")
            t.wait("stays as it is, and cannot be started", "ENDED 125")
        with home.tmux("edit", EDITOR=editor) as t:
            t.wait("Which agent shall be edited?", "unknown key 'botle'")  # a broken one can be chosen here
            t.keys("Escape")
            t.wait("nothing is edited", "ENDED 125")


def test_edit_with_a_real_editor_on_the_terminal():
    """vi is not everywhere; what every system has is a shell that reads the terminal."""
    with New() as home:
        home.alone("init", "one", "--provider", "shell", "--yes", check=True)
        editor = script(home, "printf 'say: '; read line < /dev/tty; printf '%s\\n' \"$line\" >> \"$1\"; tty")
        command = quote(program(), "edit", "one") + " </dev/null | cat"
        with Tmux(home.env, command, 80, 24, home.top, EDITOR=editor) as t:
            t.wait("say:")
            t.keys("C-c")  # the editor's own affair: this one dies of it, and the file is checked all the same
            t.wait("is in order")
        with Tmux(home.env, command, 80, 24, home.top, EDITOR=editor) as t:
            t.wait("say:")
            t.type("More words.\n")
            t.wait("/dev/tty", "is in order")  # standard input and output were no terminals
        assert re.search(r"^More words\.$", home.read("agents/one.md"), re.M)


def test_agents_of_the_working_directory_count():
    with New() as home:
        home.alone("init", "mine", "--provider", "shell", "--yes", check=True)
        work = os.path.join(home.top, "work")
        os.makedirs(os.path.join(work, ".bot-bottle", "agents"))
        with open(os.path.join(work, ".bot-bottle", "agents", "theirs.md"), "w", encoding="utf-8") as f:
            f.write("---\nbottle: mine\n---\nThey say.\n")
        done = home.run("init", "theirs", "--bottle", "mine", "--yes", check=False, cwd=work, start_new_session=True)
        assert done.returncode == 125 and "this directory brings an agent 'theirs'" in done.stderr, done
        home.env["EDITOR"] = script(home, "echo More. >> \"$1\"")
        done = home.run("edit", "theirs", check=False, cwd=work, start_new_session=True)
        assert done.returncode == 0 and "agent 'theirs' is in order" in done.stderr, done
        with open(os.path.join(work, ".bot-bottle", "agents", "theirs.md"), encoding="utf-8") as f:
            assert f.read().endswith("They say.\nMore.\n")
        with Tmux(home.env, f"cd {quote(work)}; " + quote(program(), "start", "--dry-run"), 80, 24, home.top) as t:
            t.wait("Which agent", "mine")
            assert "from this directory, in mine: They say." in t.line("theirs")
            t.keys("C-c")
            t.wait("ENDED 130")
        os.link(os.path.join(home.root, "agents", "mine.md"), os.path.join(work, ".bot-bottle", "agents", "mine.md"))
        done = home.run("edit", "mine", check=False, cwd=work, start_new_session=True)
        assert done.returncode == 125 and "is there twice" in done.stderr, done
        os.symlink("/etc/passwd", os.path.join(work, ".bot-bottle", "agents", "link.md"))
        done = home.run("edit", "link", check=False, cwd=work, start_new_session=True)
        assert done.returncode == 125 and "there is no agent 'link'" in done.stderr, done
