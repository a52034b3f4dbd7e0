"""Manifests from the outside: whose agents count, what the page shows, and that looking touches nothing."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402
from test_cli_terminal import Terminal  # noqa: E402

TIMEOUT = 120
TYPED = "typed-4c81d0"

FULL = """env:
  NODE_ENV: development
  SEEN: ${SEEN_TOKEN}
  ASKED: "?paste it"
git-gate:
  user: {name: Bottle Bot, email: bot@bottles.example}
  repos:
    site:
      url: ssh://git@git.example/site.git
      key: {provider: gitea, forge_token_env: FORGE}
egress:
  routes:
    - host: docs.example
    - host: api.example
      auth: {scheme: Bearer, token_ref: SEEN_TOKEN}
      dlp: {outbound_on_match: redact}
resources: {cpus: 3, time: 8h}
"""


class Place(Home):
    """A home and a working directory, which may have agents of its own."""

    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.cwd = os.path.join(self.top, "work")
        os.makedirs(os.path.join(self.cwd, ".bot-bottle", "agents"), 0o700)
        self.bottle("t", "image: host")

    def here(self, name, front):
        with open(os.path.join(self.cwd, ".bot-bottle", "agents", name + ".md"), "w", encoding="utf-8") as f:
            f.write(f"---\n{front}\n---\n")

    def say(self, *argv, code=0):
        done = self.run(*argv, check=False, cwd=self.cwd)
        assert done.returncode == code, (argv, done)
        return done.stdout if code == 0 else done.stderr


def test_a_working_directory_brings_agents_and_no_bottles():
    with Place() as p:
        p.here("theirs", "bottle: t")
        os.makedirs(os.path.join(p.cwd, ".bot-bottle", "bottles"))
        with open(os.path.join(p.cwd, ".bot-bottle", "bottles", "wide.md"), "w", encoding="utf-8") as f:
            f.write("---\nimage: host\n---\n")
        page = p.say("info", "theirs")
        assert "agent: theirs  # ./.bot-bottle/agents/theirs.md, of the working directory\n" in page, page
        assert "/.bot-bottle/bottles' counts for nothing: bottles come from " in page, page
        assert "there is no bottle 'wide'" in p.say("info", "theirs", "--bottle", "wide", code=125)
        error = p.say("start", "theirs", "--headless", "--dry-run", "--", "true", code=125)
        assert "--headless needs its bottle named by you: --bottle NAME (it asks for 't')" in error, error
        p.say("start", "theirs", "--headless", "--bottle", "t", "--dry-run", "--", "true")
        p.agent("theirs", "t")
        error = p.say("info", "theirs", code=125)
        assert "there are two agents 'theirs': " in error and "; rename one of them" in error, error
        # Started from the home directory itself, both places are one.
        os.rename(p.root, os.path.join(p.top, ".bot-bottle"))
        p.env["BOT_BOTTLE_HOME"] = os.path.join(p.top, ".bot-bottle")
        p.run("info", "theirs", cwd=p.top)


def test_the_page_says_where_each_line_is_from_and_what_keeps_it_from_starting():
    with Place(SEEN_TOKEN="x") as p:
        p.bottle("full", FULL)
        p.bottle("child", "extends: full\nenv: {MORE: '${PATH}', NODE_ENV: test}\nresources: {cpus: 4}")
        p.write("agents", "a", "bottle: child\nskills: [commit-style]\ngit-gate: {user: {name: Agent Bot}}", "Do it.")
        page = p.say("info", "a")
        for line in ("bottle: child  # child <- full\n", "skills: [commit-style]  # agents/a.md:3\n",
                     "prompt: \"Do it.\"  # agents/a.md, 6 bytes\n", "  cpus: 4  # bottles/child.md:4, WIDER than its parent\n",
                     "  memory: 2G  # default\n", "  time: 8h  # bottles/full.md:18\n",
                     "    name: \"Agent Bot\"  # agents/a.md:4\n", "    email: bot@bottles.example  # bottles/full.md:7\n",
                     "  NODE_ENV: test  # bottles/child.md:3\n", "  MORE: ${PATH}  # bottles/child.md:3, WIDER than its parent\n",
                     "  SEEN: ${SEEN_TOKEN}  # bottles/full.md:4, the agent will SEE this: it is the token that egress puts in\n",
                     "  ASKED: \"?paste it\"  # bottles/full.md:5, asked for at the start; the agent will SEE this\n",
                     "    - host: docs.example  # bottles/full.md:14\n",
                     "# does not start: manifest 'bottles/full.md':9: 'git-gate.repos' is not built yet",
                     "# does not start: manifest 'bottles/full.md':17: 'dlp' is not built yet"):
            assert line in page, (line, page)
        error = p.say("start", "a", "--yes", code=125)
        assert error.startswith("bot-bottle: manifest 'bottles/full.md':9: 'git-gate.repos' is not built yet"), error
        done = p.run("start", "a", "--dry-run", check=False)
        assert done.returncode == 125 and "agent: a  # agents/a.md\n" in done.stdout, done
        p.bottle("codex", "agent_provider: {template: codex, forward_host_credentials: true}")
        page = p.say("info", "a", "--bottle", "codex")
        assert "  forward_host_credentials: true  # bottles/codex.md:2\n" in page, page
        assert "# does not start: manifest 'bottles/codex.md':2: provider 'codex' is not built yet" in page, page


def test_what_looks_like_a_credential_is_said():
    with Place(PLAIN="development", HIDDEN="ghp_0123456789abcdefghij") as p:
        p.bottle("e", "env:\n  A: ${PLAIN}\n  B: ${HIDDEN}\n  C: sk-ant-0123456789abcdef")
        p.agent("e", "e")
        page = p.say("info", "e")
        assert "  A: ${PLAIN}  # bottles/e.md:3\n" in page, page
        for name, line in (("B: ${HIDDEN}", 4), ("C: sk-ant-0123456789abcdef", 5)):
            assert f"  {name}  # bottles/e.md:{line}, the agent will SEE this: it looks like a credential\n" in page, page


def test_dry_run_touches_nothing():
    """Every system call of it: no process, no socket, nothing made, changed or opened for writing."""
    with Place(SEEN_TOKEN="x") as p:
        p.bottle("base", "image: host\negress:\n  routes:\n    - host: docs.example\n")
        p.bottle("plain", "extends: base\nenv: {A: b}")
        p.agent("plain", "plain")
        log = os.path.join(p.top, "calls")
        done = subprocess.run(
            ["strace", "-f", "-o", log, program(), "start", "plain", "--dry-run", "--cwd", "--headless", "--prompt", "x"],
            env=p.env, cwd=os.path.join(p.top, "work"), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False)
        assert done.returncode == 125 and "holds bot-bottle's own files" in done.stderr, done
        project = os.path.join(p.top, "project")
        os.makedirs(project)
        os.unlink(log)
        before = sorted((d, sorted(n), sorted(f)) for d, n, f in os.walk(p.top))
        done = subprocess.run(
            ["strace", "-f", "-o", log, program(), "start", "plain", "--dry-run", "--cwd", "--headless", "--prompt", "x"],
            env=p.env, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and "    - host: docs.example  # bottles/base.md:5\n" in done.stdout, done
        with open(log, encoding="utf-8", errors="replace") as f:
            calls = f.read().splitlines()
        assert len(calls) > 20 and any("bottles/base.md" in c or "base.md" in c for c in calls), calls[:5]
        changing = re.compile(
            r"^\d+ +(socket|connect|bind|sendto|sendmsg|clone3?|fork|vfork|mkdir(at)?|rename(at2?)?|unlink(at)?|"
            r"rmdir|link(at)?|symlink(at)?|mknod(at)?|chmod|fchmod(at)?|f?chown(at)?|truncate|ftruncate|creat|utime\w*|"
            r"setxattr|mount|kill|memfd_create|flock)\(|O_(WRONLY|RDWR|CREAT|TRUNC|APPEND)")
        assert [c for c in calls if changing.search(c)] == []
        assert sum("execve(" in c for c in calls) == 1
        os.unlink(log)
        after = sorted((d, sorted(n), sorted(f)) for d, n, f in os.walk(p.top))
        assert after == before, (before, after)


def test_a_value_that_is_asked_for_is_not_shown_and_reaches_the_agent():
    with Place() as p:
        p.bottle("ask", "image: host\nenv:\n  PASTE: \"?paste the token\"")
        p.agent("ask", "ask")
        error = p.say("start", "ask", "--headless", "--", "true", code=125)
        assert "manifest 'bottles/ask.md':4: env 'PASTE' is asked for at the start, and --headless has nobody" in error
        t = Terminal(p.env, "start", "ask", "--yes", "--", "sh", "-c", "echo ${#PASTE} ${PASTE%%-*}")
        t.wait_for(b"PASTE: paste the token ")
        t.type(TYPED.encode() + b"\n")
        shown = t.wait_for(f"{len(TYPED)} typed".encode(), timeout=60)
        assert TYPED.encode() not in shown, shown
        assert t.end() == 0
        t = Terminal(p.env, "start", "ask", "--yes", "--", "true")
        t.wait_for(b"PASTE: paste the token ")
        t.type(b"\n")
        t.wait_for(b"no value for PASTE; not started")
        assert t.end() == 125


def test_list_available_names_what_is_broken_and_where():
    with Place() as p:
        p.agent("good", "t")
        p.agent("lost", "tt")
        p.bottle("wrong", "imagee: host")
        p.here("theirs", "bottle: t")
        with open(os.path.join(p.root, "agents", "Bad Name.md"), "w", encoding="utf-8"):
            pass
        done = p.run("list", "available", cwd=p.cwd)
        assert re.search(r"^good +bottle t$", done.stdout, re.M), done.stdout
        assert re.search(r"^theirs +bottle t  \(of the working directory\)$", done.stdout, re.M), done.stdout
        assert re.search(r"^lost +broken: manifest 'agents/lost.md':2: there is no bottle 'tt'; did you mean 't'\?$",
                         done.stdout, re.M), done.stdout
        assert re.search(r"^bottle wrong +broken: manifest 'bottles/wrong.md':2: unknown key 'imagee' in a bottle; "
                         r"did you mean 'image'\?$", done.stdout, re.M), done.stdout
        assert "agents/Bad Name.md' is skipped" in done.stderr, done.stderr
        rows = json.loads(p.run("list", "available", "--json", cwd=p.cwd).stdout)
        assert [(r["agent"], r["bottle"], r["file"], r["error"] is None) for r in rows] == [
            ("good", "t", "agents/good.md", True), ("lost", "tt", "agents/lost.md", False),
            ("theirs", "t", "./.bot-bottle/agents/theirs.md", True), (None, "wrong", None, False)], rows


def test_the_workspace_that_a_bottle_names_is_copied_in():
    with Home(BOT_BOTTLE_BACKEND="namespace") as home:
        home.env["HOME"] = os.path.join(home.top, "operator")
        project, other = (os.path.join(home.env["HOME"], name) for name in ("project", "other"))
        for folder, names in ((project, ("code", ".env", ".env.test")), (other, ("elsewhere",))):
            os.makedirs(folder)
            for name in names:
                with open(os.path.join(folder, name), "w", encoding="ascii") as f:
                    f.write("x\n")
        home.bottle("t", "image: host\nworkspace:\n  path: ~/project\n  include: [.env.test]")
        home.agent("t", "t")
        shown = "path: \"?~/project\"?  # bottles/t.md:[0-9]+, copied to /home/node/workspace\n"
        assert re.search(shown, home.run("info", "t").stdout), home.run("info", "t").stdout
        argv = ("--headless", "--yes", "--", "sh", "-c", "pwd; ls -A")
        inside = home.run("start", "t", *argv).stdout.split()
        assert inside == ["/home/node/workspace", ".env.test", "code"], inside
        inside = home.run("start", "t", f"--cwd={other}", *argv, check=False)
        assert inside.returncode == 125 and ".env.test" in inside.stderr, inside  # it is named, and not there
        home.bottle("t", "image: host\nworkspace: {path: ~/project}")
        assert home.run("start", "t", f"--cwd={other}", *argv).stdout.split()[1:] == ["elsewhere"]
        home.bottle("t", "image: host\nworkspace: {path: ~/missing}")
        done = home.run("start", "t", *argv, check=False)
        assert done.returncode == 125, done
        assert "manifest 'bottles/t.md':" in done.stderr and "'workspace.path': cannot use '" in done.stderr, done.stderr
