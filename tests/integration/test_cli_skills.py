"""What an agent brings along: its skills, its prompt and its git identity, in the guest. On namespace."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home  # noqa: E402

TIMEOUT = 120


class Cli(Home):
    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.env["HOME"] = os.path.join(self.top, "user")
        os.mkdir(self.env["HOME"])
        self.bottle("t", "image: host")

    def skill(self, *where, files):
        path = os.path.join(*where)
        for name, text in files.items():
            os.makedirs(os.path.dirname(os.path.join(path, name)), exist_ok=True)
            with open(os.path.join(path, name), "w", encoding="utf-8") as f:
                f.write(text)

    def sh(self, script, *options, check=True, **more):
        return self.run("start", "t", "--headless", *options, "--", "sh", "-c", script, check=check, **more)


def test_skills_come_into_the_guest():
    with Cli() as cli:
        cli.write("agents", "t", "bottle: t\nskills: [mine, shared]")
        cli.skill(cli.root, "skills", "mine", files={"SKILL.md": "own\n", "lib/x.py": "print()\n"})
        cli.skill(cli.env["HOME"], ".claude", "skills", "mine", files={"SKILL.md": "not this one\n"})
        cli.skill(cli.env["HOME"], ".claude", "skills", "shared", files={"SKILL.md": "shared\n"})
        os.symlink("/etc/passwd", os.path.join(cli.root, "skills", "mine", "link"))
        os.chmod(os.path.join(cli.root, "skills", "mine", "lib", "x.py"), 0o755)
        out = cli.sh("cd ~/.claude/skills; find . | sort; cat */SKILL.md; stat -c '%a %U' mine/lib/x.py;"
                     "readlink mine/link").stdout
        assert out == (".\n./mine\n./mine/SKILL.md\n./mine/lib\n./mine/lib/x.py\n./mine/link\n./shared\n"
                       "./shared/SKILL.md\nown\nshared\n755 node\n/etc/passwd\n"), out


def test_a_skill_that_is_not_there_or_has_a_bad_name_stops_the_start():
    with Cli() as cli:
        cli.write("agents", "t", "bottle: t\nskills: [nowhere]")
        done = cli.sh("true", check=False)
        assert done.returncode == 125, done
        assert "manifest 'agents/t.md':3: there is no skill 'nowhere'" in done.stderr, done.stderr
        assert cli.list() == []
        for name in ("../x", "a/b", "A", ".", "''"):
            cli.write("agents", "t", f"bottle: t\nskills: [{name}]")
            done = cli.sh("true", check=False)
            assert done.returncode == 125 and "agents/t.md':3" in done.stderr, (name, done)


def test_the_git_identity_is_claimed_in_the_guest():
    with Cli() as cli:
        cli.bottle("t", "image: host\ngit-gate:\n  user: {name: Of The Bottle, email: bottle@example}")
        cli.write("agents", "t", "bottle: t\ngit-gate:\n  user: {name: 'A \"quoted\" \\ name; # ü'}")
        out = cli.sh("git config --global user.name; git config --global user.email; cd /tmp; git init -q r; cd r;"
                     "git commit -q --allow-empty -m x; git log --format='%an <%ae>'").stdout
        assert out == ("A \"quoted\" \\ name; # ü\nbottle@example\nA \"quoted\" \\ name; # ü <bottle@example>\n"), out


def test_a_prompt_comes_from_a_file_or_standard_input_and_is_in_no_command_line_here():
    with Cli() as cli:
        cli.agent("t", "t")
        secret = "prompt-canary-5b1e"
        script = f"echo {secret}; sleep 1000"
        path = os.path.join(cli.top, "prompt")
        with open(path, "w", encoding="utf-8") as f:
            f.write(script)
        for options, more in ((("--prompt-file", path), {}), (("--prompt-file", "-"), {"stdin": None, "input": script})):
            cli.run("start", "t", "--headless", "--detach", *options, **more)
            identity = next(b["id"] for b in cli.list() if b["state"] != "ended")
            # Of the guest's own processes the host sees the command line; ours have nothing of it.
            ours = []
            for part in next(b["parts"] for b in cli.list() if b["id"] == identity):
                with open(f"/proc/{part.split()[1]}/cmdline", "rb") as f:
                    ours.append(f.read())
            assert ours and secret.encode() not in b"".join(ours)
            cli.run("stop", identity)
