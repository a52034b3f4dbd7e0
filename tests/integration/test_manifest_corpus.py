"""The corpus of tests/manifests, loaded by the program: what each good file comes to, and each bad one's message.

good/ and bad/ are homes. good/lines.txt holds, for each bottle and agent, the lines of its page that a manifest
wrote ("# bottles/..." or "# agents/..." behind them); bad/messages.txt one line a file. BB_WRITE_CORPUS=1 writes
both anew, for a person to read before they are committed.
"""

import os
import re
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import ROOT, Home  # noqa: E402

TIMEOUT = 120
CORPUS = os.path.join(ROOT, "tests", "manifests")
WRITTEN = re.compile(r"  # (bottles|agents)/|^(bottle|agent): ")
LEAST = {"good": 24, "bad": 60}


class Corpus(Home):
    def __init__(self, name):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", GH_PAT="x")
        self.env["HOME"] = os.path.join(self.top, "operator")
        os.makedirs(os.path.join(self.env["HOME"], "src/project/fixtures"))  # of workspace.md
        self.names = []
        self.write("agents", "any", "description: looks at one bottle")
        for kind in ("bottles", "agents"):
            folder = os.path.join(CORPUS, name, kind)
            for file in sorted(os.listdir(folder)):
                shutil.copyfile(os.path.join(folder, file), os.path.join(self.root, kind, file))
                os.chmod(os.path.join(self.root, kind, file), 0o600)
                self.names.append((kind, file[:-3]))
        assert len(self.names) >= LEAST[name], len(self.names)

    def info(self, kind, name):
        argv = ("any", "--bottle", name) if kind == "bottles" else (name,)
        if kind == "agents" and name == "no-bottle":
            argv = (name, "--bottle", "base")
        return self.run("info", *argv, check=False)


def compare(got, path):
    path = os.path.join(CORPUS, path)
    if os.environ.get("BB_WRITE_CORPUS"):
        with open(path, "w", encoding="utf-8") as f:
            f.write("".join(got))
    with open(path, encoding="utf-8") as f:
        want = f.readlines()
    for a, b in zip(got, want):
        assert a == b, (a, b)
    assert len(got) == len(want), (len(got), len(want))


def test_each_good_manifest_comes_to_what_is_written_down():
    lines = []
    with Corpus("good") as home:
        for kind, name in home.names:
            done = home.info(kind, name)
            assert done.returncode == 0, (name, done.stderr)
            lines.append(f"== {kind}/{name}.md\n")
            lines += [line + "\n" for line in done.stdout.splitlines()
                      if WRITTEN.search(line) and not line.startswith("#") and line != "agent: any  # agents/any.md"]
    compare(lines, "good/lines.txt")


def test_each_bad_manifest_is_refused_with_its_message():
    lines = []
    with Corpus("bad") as home:
        for kind, name in home.names:
            if name in ("host-one", "host-two"):  # good by themselves
                assert home.info(kind, name).returncode == 0
                continue
            done = home.info(kind, name)
            assert done.returncode == 125 and done.stdout == "", (name, done)
            lines.append(f"{kind}/{name}.md: " + done.stderr.replace("bot-bottle: ", "", 1).replace(home.root, "HOME"))
    compare(lines, "bad/messages.txt")
