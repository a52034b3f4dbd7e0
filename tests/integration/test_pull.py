"""The workspace's way into a bottle and back: `start --cwd`, `diff`, `pull`. On namespace.

The hostile workspaces are of two kinds: what an agent can really leave behind (it runs in the bottle), and archives that no honest
guest would send, put in the place of the kept frames. The same workspaces with the defences off (Python's tarfile that trusts its
input, the operator's plain git in the unpacked tree) do their damage: RedTwin."""

import io
import os
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, build, program  # noqa: E402

TIMEOUT = 240
FILE_DATA, FILE_END, FILE_RESULT = 1, 2, 3  # mux/proto.h
SECRET = "canary-5a1e07"


def git(where, *args, check=True, env=None):
    return subprocess.run(["git", "-c", "user.name=op", "-c", "user.email=op@example", "-c", "protocol.file.allow=always", *args],
                          cwd=where, check=check, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          env={**os.environ, "GIT_CONFIG_NOSYSTEM": "1", **(env or {})})


def write(*path, text="", mode=0o644):
    path = os.path.join(*path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, mode)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8", errors="surrogateescape") as f:
        return f.read()


def snapshot(top):
    """{path: (mode, content)} of a tree, links as their text."""
    found = {}
    for directory, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(directory, name)
            st = os.lstat(path)
            what = os.readlink(path) if stat.S_ISLNK(st.st_mode) else read(path) if stat.S_ISREG(st.st_mode) else ""
            found[os.path.relpath(path, top)] = (st.st_mode, what)
    return found


class Work(Home):
    """A home with agent 't' and a project of the operator, outside/ with a canary beside it."""

    def __init__(self, repository=True, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.bottle("t", "image: host")
        self.agent("t", "t")
        self.project = os.path.join(self.top, "project")
        self.outside = os.path.join(self.top, "outside")
        write(self.outside, "canary", text="safe")
        write(self.project, "a.txt", text="one\n")
        write(self.project, "sub", "b.txt", text="two\n")
        write(self.project, "Makefile", text="all:\n")
        if repository:
            git(self.project, "init", "-q", "-b", "main")
            write(self.project, ".gitignore", text="build/\n*.log\n")
            git(self.project, "add", "-A")
            git(self.project, "commit", "-q", "-m", "first")

    def agent_does(self, script, *options, check=True, cwd=True):
        """Runs a script as the agent on a copy of the project; the identity of the ended bottle."""
        known = {e["id"] for e in self.list()}
        done = self.run("start", "t", "--headless", "--yes", *([f"--cwd={self.project}"] if cwd else []), *options,
                        "--", "sh", "-ec", script, check=False)
        assert not check or done.returncode == 0, done
        self.last = done
        new = {e["id"] for e in self.list()} - known
        assert len(new) == 1, (new, done)
        return new.pop()

    def pull(self, identity, *options, **more):
        return self.run("pull", identity, *options, check=False, **more)

    def diff(self, identity, *options):
        return self.run("diff", identity, *options).stdout

    def outside_is_untouched(self):
        return os.listdir(self.outside) == ["canary"] and read(self.outside, "canary") == "safe"

    def plant(self, identity, archive):
        """Puts an archive of our own in the place of what the guest had sent."""
        path = os.path.join(self.root, "state", identity, "workspace.frames")
        with open(path, "wb") as f:
            for at in range(0, len(archive), 32768):
                part = archive[at:at + 32768]
                f.write(struct.pack(">BBHI", FILE_DATA, 0, 0, len(part)) + part)
            f.write(struct.pack(">BBHI", FILE_END, 0, 0, 0) + struct.pack(">BBHI", FILE_RESULT, 0, 0, 0))


def entry(name, kind=tarfile.REGTYPE, text="", link="", mode=0o644):
    info = tarfile.TarInfo(name)
    data = text.encode("utf-8", "surrogateescape")
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(data)
    info.uid = info.gid = os.getuid()
    return info, data


def archive(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


# --- the way in -------------------------------------------------------------------------------------------------------


def test_what_goes_into_a_bottle_and_what_stays():
    with Work() as w:
        write(w.project, "new.txt", text="not added yet")
        write(w.project, "build", "big.o", text="ignored")
        write(w.project, "x.log", text="ignored")
        write(w.project, ".env", text=f"KEY={SECRET}")
        write(w.project, "deploy", "id_rsa", text=SECRET)
        write(w.project, ".npmrc", text=f"//registry.example/:_authToken={SECRET}")
        git(w.project, "remote", "add", "origin", f"https://me:{SECRET}@git.example/r.git")
        git(w.project, "remote", "add", "local", w.outside)
        git(w.project, "config", "core.fsmonitor", f"touch {w.outside}/fsmonitor")
        git(w.project, "config", "filter.x.clean", f"touch {w.outside}/clean")
        write(w.project, ".git", "hooks", "post-checkout", text=f"#!/bin/sh\ntouch {w.outside}/hook\n", mode=0o755)
        write(w.project, ".git", "hooks", "reference-transaction", text=f"#!/bin/sh\ntouch {w.outside}/hook\n", mode=0o755)
        identity = w.agent_does("find . -path ./.git -prune -o -type f -print | sort; echo; cat .git/config; ls .git; "
                                f"! grep -r {SECRET} . ; git log --oneline; git status --short; git fsck --strict")
        shown = w.last.stdout
        assert shown.split("\n\n")[0].split("\n") == ["./.gitignore", "./Makefile", "./a.txt", "./new.txt", "./sub/b.txt"], shown
        assert 'url = "https://git.example/r.git"' in shown and "fsmonitor" not in shown and "filter" not in shown, shown
        assert "hooks" not in shown.split("\n") and w.outside not in shown, shown
        assert "first" in shown and "?? new.txt" in shown, shown
        for text in ("left out: '.env'", "left out: 'deploy/id_rsa'", "left out: '.npmrc'",
                     "the credential in the address of remote 'origin' is left out"):
            assert text in w.last.stderr, w.last.stderr
        assert SECRET not in w.last.stderr and w.outside_is_untouched(), w.last.stderr
        assert "nothing was changed" in w.pull(identity, "--yes").stderr


def test_what_is_named_goes_along():
    with Work() as w:
        write(w.project, ".env", text="KEY=1")
        write(w.project, "build", "big.o", text="ignored")
        w.agent_does("cat .env build/big.o", "--include", ".env", "--include=build")
        assert w.last.stdout == "KEY=1ignored", w.last
        assert "the agent will SEE '.env'" in w.last.stderr, w.last.stderr
        for bad in ("../x", "/etc/passwd", "nowhere"):
            done = w.run("start", "t", "--headless", "--yes", f"--cwd={w.project}", "--include", bad, "--", "true", check=False)
            assert done.returncode == 125 and "--include" in done.stderr, done


def test_a_committed_credential_is_told():
    with Work() as w:
        write(w.project, ".env", text="KEY=1")
        git(w.project, "add", "-f", ".env")
        git(w.project, "commit", "-q", "-m", "oops")
        w.agent_does("test ! -e .env; git status --short; git show HEAD:.env")
        assert w.last.stdout == "KEY=1" and "it is COMMITTED" in w.last.stderr, w.last
        w.agent_does("test ! -e .env; test ! -e .git; ls", "--no-git")
        assert "a.txt" in w.last.stdout, w.last


def test_a_worktree_a_detached_head_and_an_empty_repository():
    with Work() as w:
        other = os.path.join(w.top, "linked")
        git(w.project, "worktree", "add", "-q", "-b", "side", other)
        main, w.project = w.project, other
        w.agent_does("test -d .git; git symbolic-ref HEAD; git log --oneline | wc -l; git status --short")
        assert w.last.stdout.split() == ["refs/heads/side", "1"], w.last
        git(other, "checkout", "-q", "--detach")
        git(other, "commit", "-q", "--allow-empty", "-m", "loose")
        w.agent_does("git symbolic-ref -q HEAD || git log --format=%s -1")
        assert w.last.stdout == "loose\n", w.last
        w.project = os.path.join(w.top, "fresh")
        write(w.project, "a.txt", text="x")
        git(w.project, "init", "-q", "-b", "trunk")
        identity = w.agent_does("git symbolic-ref HEAD; git status --short; echo y > a.txt")
        assert w.last.stdout == "refs/heads/trunk\n?? a.txt\n", w.last
        assert w.pull(identity, "--yes").returncode == 0 and read(w.project, "a.txt") == "y\n"
        assert os.path.isdir(main)


def test_a_directory_inside_a_repository():
    with Work() as w:
        write(w.project, "sub", "x.log", text="ignored above")
        top, w.project = w.project, os.path.join(w.project, "sub")
        identity = w.agent_does("ls -A; echo three > b.txt")
        assert w.last.stdout == "b.txt\n" and "whose history stays here" in w.last.stderr, w.last
        assert w.pull(identity, "--yes").returncode == 0
        assert read(top, "sub", "b.txt") == "three\n"
        assert "needs a repository with a commit" in w.pull(identity, "--yes", "--branch", "x").stderr


def test_names_of_every_kind_go_and_come():
    with Work(repository=False) as w:
        names = ["ä ö", "-dash", "tab\there", "q'uo\"te", "back\\slash", "*", "[x]", "$(id)", "%s", "é" * 100]
        for name in names:
            write(w.project, name, text="1")
        os.mkdir(os.path.join(w.project, "empty"))
        identity = w.agent_does('for f in *; do test -d "./$f" || echo 2 >> "./$f"; done; test -d empty; rmdir empty')
        done = w.pull(identity, "--yes", "--allow", "Makefile")
        assert done.returncode == 0, done
        for name in names:
            assert read(w.project, name) == "12\n", name


# --- the way back -----------------------------------------------------------------------------------------------------


def test_changes_come_back_into_the_directory():
    with Work() as w:
        identity = w.agent_does("echo more >> a.txt; rm sub/b.txt; mkdir n; echo new > n/f; git add -A; "
                                "git -c user.name=a -c user.email=a@b commit -qm work")
        shown = w.diff(identity)
        assert "+more" in shown and "+++ b/n/f" in shown and "deleted file" in shown, shown
        assert w.diff(identity, "--name-only").split() == ["a.txt", "n/f", "sub/b.txt"]
        done = w.pull(identity, "--yes")
        assert done.returncode == 0 and "3 changes brought over" in done.stderr, done
        assert read(w.project, "a.txt") == "one\nmore\n" and read(w.project, "n", "f") == "new\n"
        assert not os.path.exists(os.path.join(w.project, "sub"))
        assert git(w.project, "log", "--oneline").stdout.count("\n") == 1  # commits stay the operator's
        assert "nothing is left" in w.pull(identity, "--yes").stderr


def test_a_running_bottle_and_a_plain_directory():
    with Work(repository=False) as w:
        write(w.project, ".env", text="KEY=1")
        with running(w) as identity:
            assert w.diff(identity) == ""
            w.run("exec", identity, "--", "sh", "-c", "cd /home/node/workspace; echo more >> a.txt; echo x > .env")
            assert "+more" in w.diff(identity)
            done = w.pull(identity, "--yes", "--allow", ".env")
            # The operator's own .env was never there: the agent's is not put in its place.
            assert done.returncode == 125 and "changed on both sides since the copy: '.env'" in done.stderr, done
            assert read(w.project, "a.txt") == "one\n" and read(w.project, ".env") == "KEY=1"
            done = w.pull(identity, "--yes", "--leave-risky", "--into", empty(w, "else"))
            assert done.returncode == 125 and "changed on both sides" in done.stderr, done
            w.run("exec", identity, "--", "rm", "/home/node/workspace/.env")
            assert w.pull(identity, "--yes").returncode == 0 and read(w.project, "a.txt") == "one\nmore\n"
            assert "--branch needs a repository" in w.pull(identity, "--yes", "--branch", "x").stderr


def empty(w, name):
    path = os.path.join(w.top, name)
    os.mkdir(path)
    return path


class running:
    """A bottle on a copy of the project that runs until it is stopped; its identity."""

    def __init__(self, w):
        self.w = w

    def __enter__(self):
        self.process = subprocess.Popen([program(), "start", "t", "--headless", "--yes", f"--cwd={self.w.project}", "--",
                                         "sh", "-c", "touch /tmp/up; exec sleep 1000"], env=self.w.env,
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            for e in self.w.list():
                if e["state"] != "ended" and self.w.run("exec", e["id"], "--", "test", "-e", "/tmp/up", check=False).returncode == 0:
                    return e["id"]
            time.sleep(0.1)
        raise AssertionError("the bottle is not up")

    def __exit__(self, *_):
        for e in self.w.list():
            if e["state"] != "ended":
                self.w.run("stop", e["id"], check=False)
        self.process.wait(30)


def test_a_branch_with_the_agents_commits():
    with Work() as w:
        identity = w.agent_does("g() { git -c user.name=a -c user.email=a@b \"$@\"; }; echo more >> a.txt; g commit -qam one; "
                                "echo again >> a.txt; g commit -qam two; git gc -q; echo x > c; git add c; g commit -qm three; "
                                "echo rest > d")
        before = snapshot(os.path.join(w.project, ".git"))
        tree = git(w.project, "status", "--porcelain").stdout
        done = w.pull(identity, "--yes", "--branch", "agent/work")
        assert done.returncode == 0, done
        assert git(w.project, "log", "--format=%s", "main..agent/work").stdout.split("\n")[1:4] == ["three", "two", "one"]
        assert git(w.project, "show", "agent/work:d").stdout == "rest\n"
        assert git(w.project, "fsck", "--strict").returncode == 0
        assert git(w.project, "status", "--porcelain").stdout == tree and read(w.project, "a.txt") == "one\n"
        after = snapshot(os.path.join(w.project, ".git"))
        for path in set(after) - set(before):
            assert path.startswith(("objects/", "refs/heads/agent")), path
        assert {p: v for p, v in after.items() if p in before} == before
        done = w.pull(identity, "--yes", "--branch", "agent/work")
        assert done.returncode == 125 and "there is a branch 'agent/work' already" in done.stderr, done
        assert "is not a name for a branch" in w.pull(identity, "--yes", "--branch", "a..b").stderr
        assert w.pull(identity, "--yes", "--branch", "agent/one", "--squash").returncode == 0
        assert git(w.project, "rev-list", "--count", "main..agent/one").stdout == "1\n"
        assert git(w.project, "diff", "--stat", "agent/one", "agent/work").stdout == ""


def test_a_patch_that_applies():
    with Work() as w:
        identity = w.agent_does("echo more >> a.txt; head -c 3000 /dev/urandom > bin; rm sub/b.txt")
        file = os.path.join(w.top, "x.patch")
        assert w.pull(identity, "--yes", "--patch", file).returncode == 0
        assert read(w.project, "a.txt") == "one\n"
        git(w.project, "apply", "--check", file)
        git(w.project, "apply", file)
        assert read(w.project, "a.txt") == "one\nmore\n" and os.path.getsize(os.path.join(w.project, "bin")) == 3000
        done = w.pull(identity, "--yes", "--patch", file)
        assert done.returncode == 125 and "File exists" in done.stderr, done


def test_what_a_host_runs_is_refused_unless_it_is_named():
    with Work() as w:
        identity = w.agent_does("echo x >> Makefile; echo ok >> a.txt; mkdir -p .github/workflows .vscode; echo x > .github/workflows/ci.yml; "
                                "echo {} > .vscode/tasks.json; echo x > run.sh; chmod +x run.sh; ln -s a.txt link; chmod u+s run.sh")
        before = snapshot(w.project)
        done = w.pull(identity, "--yes")
        assert done.returncode == 125, done
        for name in ("Makefile", ".github/workflows/ci.yml", ".vscode/tasks.json", "run.sh", "link"):
            assert f"'{name}'" in done.stderr, done.stderr
        assert "a.txt'" not in done.stderr.split("would run")[1] and snapshot(w.project) == before
        assert w.pull(identity).returncode == 125 and snapshot(w.project) == before  # nobody there to ask
        done = w.pull(identity, "--yes", "--leave-risky", "--allow", "run.sh", "--allow", ".github/")
        assert done.returncode == 0, done
        assert read(w.project, "Makefile") == "all:\n" and not os.path.lexists(os.path.join(w.project, "link"))
        assert read(w.project, ".github", "workflows", "ci.yml") == "x\n" and not os.path.exists(os.path.join(w.project, ".vscode"))
        assert stat.S_IMODE(os.stat(os.path.join(w.project, "run.sh")).st_mode) & 0o7111 == 0o111
        assert read(w.project, "a.txt") == "one\nok\n"


def test_each_is_asked_for_on_a_terminal():
    with Work() as w:
        identity = w.agent_does("echo x >> Makefile; echo x > setup.py; echo ok >> a.txt")
        shown = on_terminal(w, ["pull", identity], ["y", "n", "y"])
        assert "take 'Makefile' (make)?" in shown and "take 'setup.py' (pip runs it)?" in shown, shown
        assert "2 changes into" in shown, shown
        assert read(w.project, "Makefile") == "all:\nx\n" and not os.path.exists(os.path.join(w.project, "setup.py"))
        shown = on_terminal(w, ["pull", identity], ["y", "n"])
        assert "nothing was changed" in shown and not os.path.exists(os.path.join(w.project, "setup.py")), shown


def on_terminal(w, argv, answers):
    """Runs a command on a terminal of its own and answers its questions in order."""
    pid, fd = os.forkpty()
    if pid == 0:
        os.execve(program(), [program(), *argv], w.env)
    shown, asked = "", 0
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            data = os.read(fd, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data.decode("utf-8", "replace")
        while shown.count("[y/N] ") > asked and asked < len(answers):
            os.write(fd, answers[asked].encode() + b"\n")
            asked += 1
    os.close(fd)
    os.waitpid(pid, 0)
    assert asked == len(answers), shown
    return shown


def test_what_both_changed_is_a_conflict():
    with Work() as w:
        identity = w.agent_does("echo agent >> a.txt; echo agent > same; echo agent > sub/b.txt")
        write(w.project, "a.txt", text="operator\n")
        write(w.project, "same", text="agent\n")
        done = w.pull(identity, "--yes")
        assert done.returncode == 125 and "changed on both sides since the copy: 'a.txt'; nothing was changed" in done.stderr, done
        assert read(w.project, "a.txt") == "operator\n" and read(w.project, "sub", "b.txt") == "two\n"
        write(w.project, "a.txt", text="one\n")
        assert "1 change" not in w.pull(identity, "--yes").stderr and read(w.project, "sub", "b.txt") == "agent\n"


def test_a_link_of_the_operators_directory_is_not_followed():
    with Work() as w:
        identity = w.agent_does("echo agent > sub/b.txt; echo x > sub/new")
        os.rename(os.path.join(w.project, "sub"), os.path.join(w.top, "moved"))
        os.symlink(w.outside, os.path.join(w.project, "sub"))
        done = w.pull(identity, "--yes")
        assert done.returncode == 125 and w.outside_is_untouched(), done
        assert os.path.islink(os.path.join(w.project, "sub"))


# --- hostile ----------------------------------------------------------------------------------------------------------

PAYLOAD = "touch {outside}/{name}; echo owned > {outside}/canary"


def hostile_tree(outside):
    """What an agent leaves so that the operator's git, editor or shell runs it: {path: (text, mode)}. Each names its canary."""
    def run(name):
        return PAYLOAD.format(outside=outside, name=name)
    hooks = {f".git/hooks/{h}": (f"#!/bin/sh\n{run(h)}\n", 0o755)
             for h in ("pre-commit", "post-commit", "post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc",
                       "post-merge", "prepare-commit-msg", "commit-msg")}
    config = ("[core]\n\trepositoryformatversion = 0\n\tbare = false\n"
              f"\tfsmonitor = \"{run('fsmonitor')}; false\"\n\tsshCommand = \"{run('ssh')}\"\n\tpager = \"{run('pager')}\"\n"
              f"\teditor = \"{run('editor')}\"\n"
              f"[filter \"x\"]\n\tclean = \"{run('clean')}; cat\"\n\tsmudge = \"{run('smudge')}; cat\"\n\trequired = true\n"
              f"[diff]\n\texternal = \"{run('external')};:\"\n[diff \"x\"]\n\ttextconv = \"{run('textconv')}; cat\"\n"
              f"[merge \"x\"]\n\tdriver = \"{run('driver')}\"\n[gpg]\n\tprogram = \"{run('gpg')}\"\n"
              f"[alias]\n\tst = \"!{run('alias')}\"\n[protocol \"ext\"]\n\tallow = always\n"
              f"[submodule \"s\"]\n\turl = \"ext::sh -c {run('submodule').replace(' ', '% ')}\"\n\tactive = true\n")
    return {**hooks, ".git/config": (config, 0o644),
            ".git/info/attributes": ("* filter=x diff=x merge=x\n", 0o644),
            ".gitattributes": ("* filter=x diff=x merge=x\n*.txt text eol=crlf ident\n", 0o644),
            ".gitmodules": (f"[submodule \"s\"]\n\tpath = s\n\turl = ext::sh -c {run('submodule').replace(' ', '% ')}\n\tupdate = !{run('update')}\n", 0o644),
            ".envrc": (run("envrc") + "\n", 0o644), "Makefile": (f"all:\n\t{run('make')}\n", 0o644),
            "setup.py": (f"import os; os.system('''{run('setup')}''')\n", 0o644),
            "conftest.py": (f"import os; os.system('''{run('conftest')}''')\n", 0o644),
            "package.json": ('{"scripts": {"preinstall": "%s"}}\n' % run("npm"), 0o644),
            ".vscode/tasks.json": ("{}\n", 0o644), ".mcp.json": ("{}\n", 0o644), ".claude/settings.json": ("{}\n", 0o644),
            "tool": (f"#!/bin/sh\n{run('tool')}\n", 0o755), "a.txt": ("one\nharmless\n", 0o644)}


def plant_tree(top, outside):
    for path, (text, mode) in hostile_tree(outside).items():
        write(top, path, text=text, mode=mode)


def test_a_hostile_repository_runs_nothing_of_its_own():
    with Work() as w:
        # Made where the agent is, in the bottle: the whole of it comes over in one script.
        script = "".join(f"mkdir -p '{os.path.dirname(p) or '.'}'; cat > '{p}' <<'\\EOF'\n{text}\\EOF\nchmod {mode:o} '{p}'\n"
                         for p, (text, mode) in hostile_tree(w.outside).items())
        identity = w.agent_does(script)
        before = snapshot(w.project)
        assert "harmless" in w.diff(identity) and w.outside_is_untouched()
        done = w.pull(identity, "--yes")
        assert done.returncode == 125 and "a host would run or obey" in done.stderr and snapshot(w.project) == before, done
        done = w.pull(identity, "--yes", "--leave-risky")
        assert done.returncode == 0 and read(w.project, "a.txt") == "one\nharmless\n", done
        after = snapshot(w.project)
        assert {p for p in set(before) | set(after) if before.get(p) != after.get(p)} == {"a.txt"}
        git(w.project, "status")
        git(w.project, "commit", "-qam", "pulled")
        for options in (("--patch", os.path.join(w.top, "p")), ("--branch", "b", "--squash")):
            done = w.pull(identity, "--yes", "--leave-risky", *options)
            assert done.returncode == 0, done
        done = w.pull(identity, "--yes", "--leave-risky", "--branch", "c")
        assert done.returncode == 0, done
        assert w.outside_is_untouched(), os.listdir(w.outside)


def test_red_twin_the_same_repository_with_the_defences_off():
    """The operator's own git and tools in what the agent left: this is what the test above is worth."""
    with Work() as w:
        tree = os.path.join(w.top, "tree")
        subprocess.run(["cp", "-a", w.project, tree], check=True)
        plant_tree(tree, w.outside)
        write(tree, ".git", "modules", "x", text="")
        for argv in (("status",), ("add", "-A"), ("commit", "-q", "-m", "x"), ("diff", "HEAD~1"), ("st",), ("checkout", "-q", "-b", "y")):
            git(tree, *argv, check=False)
        subprocess.run(["make", "-s"], cwd=tree, check=False, capture_output=True)
        subprocess.run([sys.executable, "setup.py"], cwd=tree, check=False, capture_output=True)
        subprocess.run(["sh", "./tool"], cwd=tree, check=False, capture_output=True)
        fired = set(os.listdir(w.outside)) - {"canary"}
        want = {"fsmonitor", "clean", "external", "alias", "pre-commit", "post-commit", "post-checkout", "reference-transaction",
                "make", "setup", "tool"}
        assert want <= fired and read(w.outside, "canary") == "owned\n", (want - fired, fired)


def test_the_confined_git_in_a_hostile_repository_harms_nobody():
    """Even where it should never work: bot-bottle-git in the agent's own repository. What its configuration names may run, confined
    to the tree, and reaches nothing outside of it; most of it does not run at all."""
    with Work() as w:
        tree = os.path.join(w.top, "tree")
        subprocess.run(["cp", "-a", w.project, tree], check=True)
        plant_tree(tree, w.outside)
        for argv in (("status",), ("add", "-A"), ("commit", "-q", "-m", "x"), ("diff", "HEAD"), ("st",), ("checkout", "-q", "-b", "y"),
                     ("submodule", "update", "--init")):
            confined(tree, "w", *argv)
        assert w.outside_is_untouched(), os.listdir(w.outside)
        done = confined(tree, "w", "-c", f"alias.x=!cat {w.outside}/canary", "x")
        assert done.returncode != 0 and b"safe" not in done.stdout, done
        done = confined(tree, "w", "-c", "alias.x=!exec python3 -c 'import socket; socket.socket()'", "x")
        assert done.returncode != 0 and b"Operation not permitted" in done.stderr, done
        done = confined(tree, "w", "-c", "alias.x=!cp /bin/true t && ./t && echo ran", "x")
        assert b"ran" not in done.stdout, done
        done = confined(tree, "r", "-c", "alias.x=!echo x > planted", "x")
        assert done.returncode != 0 and not os.path.exists(os.path.join(tree, "planted")), done
        # The twin of these: what an alias may do is seen to work.
        done = confined(tree, "w", "-c", "alias.x=!echo x > planted && cat planted", "x")
        assert done.returncode == 0 and done.stdout == b"x\n", done


def confined(tree, access, *argv):
    fd = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return subprocess.run(["/bin/sh", "-c", 'exec "$0" "$@" 3<&9', os.path.join(build(), "src", "bot-bottle-git"), access, *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False, pass_fds=(9,),
                              preexec_fn=lambda: os.dup2(fd, 9))
    finally:
        os.close(fd)


def bad_archives(w):
    """name -> (archive, what pull says). Each does harm, or is not what it seems, where it is trusted."""
    deep = "/".join(["d" * 200] * 21)
    return {
        "dots": (archive(entry("../outside/canary", text="owned")), "holds '..'"),
        "dots inside": (archive(entry("sub/../../outside/canary", text="owned")), "holds '..'"),
        "absolute": (archive(entry(w.outside + "/canary", text="owned")), "absolute"),
        "link then file": (archive(entry("l", tarfile.SYMTYPE, link=w.outside), entry("l/canary", text="owned")), "link"),
        "link in steps": (archive(entry("d", tarfile.DIRTYPE, mode=0o755), entry("d/up", tarfile.SYMTYPE, link=".."),
                                  entry("l", tarfile.SYMTYPE, link="d/up/../../outside"), entry("l/canary", text="owned")), "link"),
        "hard link": (archive(entry("h", tarfile.LNKTYPE, link="../outside/canary"), entry("h", text="owned")), "leads out"),
        "fifo": (archive(entry("pipe", tarfile.FIFOTYPE)), "a FIFO"),
        "device": (archive(entry("disk", tarfile.BLKTYPE)), "a device"),
        "4096 bytes": (archive(entry(deep, text="x")), "too long"),
        "long name": (archive(entry("n" * 256, text="x")), "too long"),
        "cut off": (archive(entry("a.txt", text="x" * 4000))[:2000], "cut off"),
    }


def test_hostile_archives_are_refused_and_write_nothing():
    with Work() as w:
        identity = w.agent_does("echo x >> a.txt")
        before = snapshot(w.project)
        for name, (data, says) in bad_archives(w).items():
            w.plant(identity, data)
            for options in ((), ("--branch", "x"), ("--patch", os.path.join(w.top, "p"))):
                done = w.pull(identity, "--yes", "--allow", ".", *options)
                assert done.returncode == 125 and says in done.stderr, (name, done)
            assert w.outside_is_untouched() and snapshot(w.project) == before, name
            assert not os.path.exists(os.path.join(w.top, "p")) and "\x1b" not in done.stderr


def test_red_twin_the_same_archives_where_they_are_trusted():
    works = set()
    for name in ("dots", "dots inside", "absolute", "link then file", "link in steps", "hard link", "fifo"):
        with Work() as w:
            trusting = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
            try:
                with tarfile.open(fileobj=io.BytesIO(bad_archives(w)[name][0])) as tar:
                    tar.extractall(w.project, **trusting)
            except (OSError, tarfile.TarError, KeyError):
                pass
            pipe = os.path.join(w.project, "pipe")
            if not w.outside_is_untouched() or (os.path.exists(pipe) and stat.S_ISFIFO(os.stat(pipe).st_mode)):
                works.add(name)
    assert len(works) >= 6, works


def refused_trees(w):
    """name -> (entries beside the operator's own, what pull says): they unpack, and the review refuses them."""
    return {
        "case": ((entry("A.TXT", text="x"),), "in case only"),
        "case of a directory": ((entry("SUB/new", text="x"),), "in case only"),
        "git in capitals": ((entry(".GIT/hooks/pre-commit", text="x", mode=0o755),), None),
        "git of another system": ((entry("GIT~1/config", text="x"),), None),
        "link out": ((entry("l", tarfile.SYMTYPE, link="../outside"),), "a link out of the tree"),
        "absolute link": ((entry("l", tarfile.SYMTYPE, link="/etc/passwd"),), "a link out of the tree"),
        "escape in a name": ((entry("x\x1b]0;owned\x07", text="x"),), "control characters"),
        "line in a name": ((entry("x\ny", text="x"),), "control characters"),
    }


def test_hostile_names_are_refused_by_the_review():
    with Work() as w:
        identity = w.agent_does("echo x >> a.txt")
        before = snapshot(w.project)
        own = [entry(p, text=read(w.project, p)) for p in ("a.txt", "sub/b.txt", "Makefile", ".gitignore")]
        for name, (entries, says) in refused_trees(w).items():
            w.plant(identity, archive(*own, *entries))
            done = w.pull(identity, "--yes", "--allow", "l", "--allow", ".GIT", "--allow", "GIT~1")
            if says is None:  # git's own files stay in the bottle: nothing changed
                assert done.returncode == 0, (name, done)
            else:
                assert done.returncode == 125 and says in done.stderr, (name, done)
            assert "\x1b" not in done.stderr and w.outside_is_untouched() and snapshot(w.project) == before, (name, done)


def test_a_repository_inside_stays_in_the_bottle():
    with Work() as w:
        identity = w.agent_does("git init -q lib; echo x > lib/f; mkdir -p half/.git/hooks; echo x > half/.git/hooks/pre-commit; echo x > half/f")
        done = w.pull(identity, "--yes")
        assert done.returncode == 0 and "'lib/' is a repository inside the workspace" in done.stderr, done
        assert not os.path.exists(os.path.join(w.project, "lib")) and os.listdir(os.path.join(w.project, "half")) == ["f"]


def test_broken_and_forged_objects_are_refused():
    with Work() as w:
        identity = w.agent_does("echo more >> a.txt; git -c user.name=a -c user.email=a@b commit -qam one")
        before = snapshot(w.project)
        fake = os.path.join(w.top, "fake")
        git(w.project, "clone", "-q", "--no-hardlinks", w.project, fake)
        blob = subprocess.run(["git", "hash-object", "-w", "--stdin"], cwd=fake, input=f"#!/bin/sh\ntouch {w.outside}/x\n",
                              check=True, capture_output=True, text=True).stdout.strip()

        def forged(tree_text):
            tree = subprocess.run(["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"], cwd=fake, input=tree_text,
                                  check=True, capture_output=True).stdout.decode().strip()
            return git(fake, "commit-tree", tree, "-p", "HEAD", "-m", "x").stdout.strip()

        def item(mode, name, oid):
            return f"{mode} {name}".encode() + b"\0" + bytes.fromhex(oid)
        inner = subprocess.run(["git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin"], cwd=fake,
                               input=item("100755", "pre-commit", blob), check=True, capture_output=True).stdout.decode().strip()
        heads = {"dot git": forged(item("40000", ".git", inner)), "dots": forged(item("40000", "..", inner)),
                 "slash": forged(item("100644", "a/b", blob)), "missing": forged(item("100644", "a", "1" * 40)),
                 "not a commit": blob, "not there": "2" * 40}
        for name, head in heads.items():
            write(fake, ".git", "refs", "heads", "main", text=head + "\n")
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w") as tar:
                tar.add(fake, ".")
            w.plant(identity, out.getvalue())
            done = w.pull(identity, "--yes", "--allow", ".", "--branch", "x")
            assert done.returncode == 125 and (
                "refused" in done.stderr or "not a commit" in done.stderr), (name, done)
            assert w.outside_is_untouched() and snapshot(w.project) == before, name


def test_what_the_agents_commits_held_in_between_is_asked_for():
    with Work() as w:
        identity = w.agent_does("g() { git -c user.name=a -c user.email=a@b \"$@\"; }; echo x > .envrc; git add -A; g commit -qm one; "
                                "git rm -q .envrc; echo ok >> a.txt; g commit -qam two")
        done = w.pull(identity, "--yes")
        assert done.returncode == 0, done  # not in the last state
        done = w.pull(identity, "--yes", "--branch", "x")
        assert done.returncode == 125 and "'.envrc'" in done.stderr, done
        done = w.pull(identity, "--yes", "--leave-risky", "--branch", "x")
        assert done.returncode == 125 and "say --squash" in done.stderr, done
        assert w.pull(identity, "--yes", "--allow", ".envrc", "--branch", "x").returncode == 0


# --- interrupted, full ------------------------------------------------------------------------------------------------


def test_a_full_disk_changes_nothing():
    with Work() as w:
        identity = w.agent_does("echo more >> a.txt; head -c 3000000 /dev/urandom > big; rm sub/b.txt")
        script = ('mount -t tmpfs -o size=1m none "$1" && cp -a "$2/." "$1" && ls -lAR "$1" > "$3/before" && '
                  '"$0" pull "$4" --yes --into "$1"; echo "exit $?"; ls -lAR "$1" > "$3/after"')
        done = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", script, program(), empty(w, "small"), w.project,
                               empty(w, "lists"), identity], env=w.env, capture_output=True, text=True, timeout=60, check=False) \
            if os.geteuid() == 0 else subprocess.run(
                ["unshare", "-Urm", "sh", "-c", script, program(), empty(w, "small"), w.project, empty(w, "lists"), identity], env=w.env,
                capture_output=True, text=True, timeout=60, check=False)
        assert "exit 125" in done.stdout and "nothing was changed" in done.stderr and "No space left" in done.stderr, done
        assert read(w.top, "lists", "before") == read(w.top, "lists", "after")


def test_a_killed_pull_is_all_or_nothing():
    with Work() as w:
        identity = w.agent_does("for i in $(seq 90); do echo $i > f$i; done; echo more >> a.txt; rm sub/b.txt")
        before = snapshot(w.project)
        start = time.monotonic()
        assert w.pull(identity, "--yes", "--into", copy_of(w, before)).returncode == 0
        whole = time.monotonic() - start
        seen = set()
        for i in range(12):
            into = copy_of(w, before)
            p = subprocess.Popen([program(), "pull", identity, "--yes", "--into", into], env=w.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(whole * (0.3 + i * 0.07))
            p.send_signal(signal.SIGKILL if i % 2 else signal.SIGINT)
            p.wait(30)
            # What the next pull of anything would do first, then nothing more: its first question is answered by nobody.
            w.pull(identity, "--into", into)
            now = snapshot(into)
            assert ".bot-bottle-pull" not in now, now.keys()
            fresh = sum(f"f{n}" in now for n in range(1, 91))
            assert fresh in (0, 90) and (now["a.txt"][1] == "one\n") == (fresh == 0) == ("sub/b.txt" in now), fresh
            seen.add(fresh)
        assert 0 in seen, seen


def copy_of(w, files):
    w.copies = getattr(w, "copies", 0) + 1
    into = empty(w, f"copy{w.copies}")
    subprocess.run(["cp", "-a", w.project + "/.", into], check=True)
    return into


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_commands_say_what_is_missing():
    with Work() as w:
        identity = w.agent_does("true", cwd=False)
        for command in ("diff", "pull"):
            done = w.run(command, identity, check=False)
            assert done.returncode == 125 and "started without --cwd" in done.stderr, done
            assert "there is no bottle 't-aaaaa'" in w.run(command, "t-aaaaa", check=False).stderr
        identity = w.agent_does("true")
        assert "nothing was changed" in w.run("diff", identity).stderr
        for argv, says in ((("--branch", "x", "--patch", "y"), "exclude each other"), (("--squash",), "belongs to --branch"),
                           (("--into", "/nowhere"), "/nowhere")):
            done = w.pull(identity, *argv)
            assert done.returncode == 125 and says in done.stderr, done
        done = w.run("start", "t", "--headless", "--yes", "--no-git", "--", "true", check=False)
        assert done.returncode == 125 and "--cwd" in done.stderr, done
