"""bot-bottle lint: what it says with file and line, its exit codes, its JSON, and that it only looks."""

import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import ROOT, Home, build  # noqa: E402

TIMEOUT = 120
RISKY = "egress:\n  routes:\n    - host: pastebin.com\n"


def lint(home, *argv, code):
    done = home.run("lint", *argv, check=False)
    assert done.returncode == code, (argv, done)
    assert done.stderr == "" or code == 125, done.stderr
    return done.stdout


def findings(home, *argv, code):
    return json.loads(lint(home, "--json", *argv, code=code))


def test_nothing_found():
    with Home() as home:
        assert "no manifests" in lint(home, code=0)
        assert findings(home, code=0) == []
        home.bottle("dev", "image: base")
        home.agent("worker", "dev")
        assert lint(home, code=0) == ""


def test_examples_are_clean():
    """What we tell people to copy; dev.md shows plain HTTP and a whole API, which lint says of them."""
    risky = {"dev.md": {"plain-http", "uploads"}}
    with Home() as home:
        for kind in ("bottles", "agents"):
            for name in sorted(os.listdir(os.path.join(ROOT, "examples", kind))):
                want = risky.get(name, set())
                got = findings(home, os.path.join(ROOT, "examples", kind, name), code=1 if want else 0)
                assert {f["rule"] for f in got} == want, (name, got)


def test_risky_is_one_and_names_its_line():
    with Home() as home:
        home.bottle("dev", RISKY)
        text = lint(home, code=1)
        assert text.startswith("bottles/dev.md:4: warning: 'pastebin.com' stores what anybody uploads [uploads]\n    "), text
        assert findings(home, code=1) == [{
            "file": "bottles/dev.md", "line": 4, "rule": "uploads", "grade": "warning",
            "text": "'pastebin.com' stores what anybody uploads",
            "way_out": "narrow it with 'matches' (paths of the one place that is meant), or use a preset"}]


def test_wrong_is_two_and_every_file_is_looked_at():
    with Home() as home:
        home.bottle("a", "egres: {}")
        home.bottle("b", "extends: nowhere")
        home.bottle("c", RISKY)
        home.bottle("d", "egress:\n  routes:\n    - preset: npn\n")
        home.agent("x", "gone")
        home.agent("y", "c")
        got = findings(home, code=2)
        assert [(f["file"], f["line"], f["rule"]) for f in got] == [
            ("bottles/a.md", 2, "invalid"), ("bottles/b.md", 2, "invalid"), ("bottles/c.md", 4, "uploads"),
            ("bottles/d.md", 4, "invalid"), ("agents/x.md", 2, "invalid")], got
        texts = [f["text"] for f in got]
        assert texts[0] == "unknown key 'egres' in a bottle; did you mean 'egress'?", texts
        assert "nowhere" in texts[1] and "did you mean 'npm'?" in texts[3] and "no bottle 'gone'" in texts[4], texts


def test_a_parent_is_told_once():
    with Home() as home:
        home.bottle("base", RISKY)
        for name in ("one", "two"):
            home.bottle(name, "extends: base")
        assert [(f["file"], f["line"]) for f in findings(home, code=1)] == [("bottles/base.md", 4)]


def test_one_file_anywhere():
    with Home() as home:
        path = os.path.join(home.top, "it.md")
        with open(path, "w", encoding="utf-8") as f:
            f.write(f"---\n{RISKY}---\n")
        assert findings(home, path, code=1)[0]["file"] == path
        os.makedirs(os.path.join(home.top, "agents"))
        agent = os.path.join(home.top, "agents", "it.md")
        with open(agent, "w", encoding="utf-8") as f:
            f.write("---\nbottle: dev\n---\n")
        assert findings(home, agent, code=0) == []
        assert findings(home, "--agent", path, code=2)[0]["rule"] == "invalid"
        done = home.run("lint", os.path.join(home.top, "none.md"), check=False)
        assert done.returncode == 125 and "none.md" in done.stderr, done


def test_schema_is_what_is_installed():
    with Home() as home:
        for kind in ("bottle", "agent"):
            with open(os.path.join(build(), "src", "cli", kind + ".json"), encoding="utf-8") as f:
                assert lint(home, "--schema", kind, code=0) == f.read()
        done = home.run("lint", "--schema", "x", check=False)
        assert done.returncode == 125 and "there are bottle and agent" in done.stderr, done
        assert "public-suffix" in lint(home, "--rules", code=0)


def test_it_only_looks():
    """No file made or changed, no program started."""
    with Home() as home:
        home.bottle("dev", RISKY + "    - preset: go\n")
        before = sorted((d, sorted(n), sorted(f)) for d, n, f in os.walk(home.top))
        trace = os.path.join(home.top, "trace")
        done = subprocess.run(["strace", "-f", "-o", trace, "-e", "trace=execve,clone,clone3,fork,vfork,socket", home.program,
                               "lint"], env=home.env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1, done
        with open(trace, encoding="utf-8") as f:
            calls = [line for line in f.read().splitlines() if "exited" not in line]
        os.unlink(trace)
        assert len(calls) == 1 and "execve" in calls[0], calls
        assert sorted((d, sorted(n), sorted(f)) for d, n, f in os.walk(home.top)) == before
