"""bot-bottle from the outside: what it refuses, its exit codes, copies, interruption. On namespace."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 120
SECRET = "canary-7f3a9c51e2d84b60"


class Cli(Home):
    """A home with one agent 't' whose bottle uses the host's own programs and reaches nothing."""

    def __init__(self, **env):
        super().__init__(BOT_BOTTLE_BACKEND="namespace", **env)
        self.bottle("t", "image: host")
        self.agent("t", "t")

    def start(self, *argv, **more):
        return self.run("start", "t", "--headless", *argv, check=False, **more)

    def leftovers(self):
        """Sockets and living bottles; state directories of ended bottles are meant to stay."""
        base = os.path.join(self.top, "run", "bot-bottle")
        return (os.listdir(base) if os.path.isdir(base) else []) + [
            b["id"] for b in self.list() if b["state"] != "ended"]

    def tree(self):
        return sorted((d, sorted(dirs), sorted(files)) for d, dirs, files in os.walk(self.top))


def refused(cli, argv, *says, env=None):
    before = cli.tree()
    done = subprocess.run([program(), *argv], env={**cli.env, **(env or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 125, (argv, done)
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("bot-bottle: "), (argv, done.stderr)
    for text in says:
        assert text in done.stderr, (argv, text, done.stderr)
    assert done.stdout == "", done.stdout
    assert cli.tree() == before, (argv, cli.tree(), before)


def fake_smolvm(folder, version):
    path = os.path.join(folder, "smolvm")
    os.makedirs(folder, exist_ok=True)
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"#!/bin/sh\necho '{version}'\n")
    os.chmod(path, 0o755)
    return {"PATH": folder + ":" + os.environ["PATH"]}


def test_start_stops_at_the_preflights_first_failure_and_doctor_says_the_same():
    """Before anything is made: no smolvm, a refused one, one of no known format."""
    with Cli() as cli:
        folder = os.path.join(cli.top, "bin")
        for version, sentence in (
                (None, "'smolvm' is not on PATH; install smolvm 1.7.5"),
                ("smolvm 1.2.0", "smolvm 1.2.0 is refused"), ("smolvm 0.8.2", "smolvm 0.8.2 is refused"),
                ("smolvm dev", "instead of 'smolvm MAJOR.MINOR.PATCH'")):
            env = fake_smolvm(folder, version) if version else {"PATH": "/usr/bin:/bin"}
            env["BOT_BOTTLE_SMOLVM_UNPROVEN"] = "1"
            refused(cli, go("t", "--backend", "smolmachines", "--image", "base"), sentence, env=env)
            done = subprocess.run([program(), "doctor", "--backend", "smolmachines"], env={**cli.env, **env},
                                  capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode == 1, done
            last = done.stdout.splitlines()[-1]
            assert last.startswith("fail smolmachines: start: ") and sentence in last, done.stdout
            assert "not yet verified on a real smolvm" in done.stdout, done.stdout
            assert "microvm" not in done.stdout, done.stdout
        env = {**fake_smolvm(folder, "smolvm 1.8.0"), "BOT_BOTTLE_SMOLVM_UNPROVEN": "1",
               "BOT_BOTTLE_SMOLVM_AS_ROOT": "1"}
        done = subprocess.run([program(), "doctor", "--backend", "smolmachines"], env={**cli.env, **env},
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and "1.8.0, socket mode: no network at all" in done.stdout, done
        refused(cli, ["doctor", "--backend", "xen"], "unknown backend 'xen'")


def go(agent="t", *more):
    return ["start", agent, "--headless", *more, "--", "true"]


def test_start_refuses_with_one_line_and_leaves_nothing():
    with Cli() as cli:
        cli.bottle("typo", "egres: {}")
        cli.bottle("host", "image: host\negress:\n  routes:\n    - host: https://a.example")
        cli.bottle("token", "image: host\negress:\n  routes:\n    - host: a.example\n"
                   "      auth: {scheme: Bearer, token_ref: NO_SUCH_TOKEN}")
        cli.bottle("codex", "agent_provider: {template: codex}")
        cli.bottle("claude", "agent_provider: {template: claude}")
        cli.bottle("proxy", "image: host\nenv:\n  HTTPS_PROXY: http://x")
        for name in ("typo", "host", "token", "codex", "claude", "proxy"):
            cli.agent(name, name)
        cli.agent("orphan", "nowhere")
        os.symlink("t.md", os.path.join(cli.root, "bottles", "linked.md"))
        cli.agent("linked", "linked")
        refused(cli, go("typo"), "manifest 'bottles/typo.md':2: unknown key 'egres'", "did you mean 'egress'?")
        refused(cli, go("host"), "manifest 'bottles/host.md':5: ")
        refused(cli, go("token"), "NO_SUCH_TOKEN", "is not set", "bottles/token.md:5")
        refused(cli, go("token"), "NO_SUCH_TOKEN", "is empty", env={"NO_SUCH_TOKEN": ""})
        refused(cli, go("codex"), "manifest 'bottles/codex.md':2: provider 'codex' is not built yet")
        refused(cli, go("claude"), "set BOT_BOTTLE_CLAUDE_OAUTH_TOKEN",
                env={"BOT_BOTTLE_CLAUDE_OAUTH_TOKEN": "", "ANTHROPIC_API_KEY": ""})
        refused(cli, go("proxy"), "manifest 'bottles/proxy.md':4: env 'HTTPS_PROXY' is set by bot-bottle itself")
        refused(cli, go("orphan"), "manifest 'agents/orphan.md':2: there is no bottle 'nowhere'")
        refused(cli, go("linked"), "is a symbolic link")
        refused(cli, go("tt"), "there is no agent 'tt'; did you mean 't'?")
        refused(cli, go("../t"), "is not a valid name")
        refused(cli, go("t", "--backend", "namespce"), "unknown backend 'namespce'; did you mean 'namespace'?")
        for name in ("docker", "macos-container"):
            refused(cli, go("t", "--backend", name), f"backend '{name}' ")
        refused(cli, go("t"), "unknown backend 'xen'", env={"BOT_BOTTLE_BACKEND": "xen"})
        refused(cli, go("t", "--backend", "microvm"), "image 'host' is the host's own /usr")
        refused(cli, go("t", "--image", "base"), "image 'base' is not built; run: bot-bottle image build base",
                env={"XDG_CACHE_HOME": os.path.join(cli.top, "empty")})
        refused(cli, go("t", "--label", "No Label"), "is not a label")
        refused(cli, ["start", "t", "--headless"], "--headless needs the agent's task")
        refused(cli, ["start", "t"], "there is no terminal", "--headless")
        refused(cli, ["start", "t", "--headless", "--prompt", "x", "--", "true"], "exclude each other")
        refused(cli, ["start", "--headless"], "no agent is named", "bot-bottle start AGENT")
        refused(cli, ["start", "t", "u"], "'u' is one word too many")
        refused(cli, ["start", "--bakend", "x"], "did you mean '--backend'?")
        refused(cli, ["stat"], "no command 'stat'; did you mean 'start'?")
        refused(cli, ["resume", "t-aaaaa"], "there is no bottle 't-aaaaa'")
        refused(cli, ["commit"], "no bottle is running")
        refused(cli, ["exec", "t-aaaaa", "true"], "there is no bottle 't-aaaaa'")
        refused(cli, ["cp", "a", "b"], "one of the two is in a bottle")


def test_start_refuses_an_unreadable_manifest():
    if os.geteuid() == 0:
        return  # root reads everything; the run as an ordinary user shows it
    with Cli() as cli:
        os.chmod(os.path.join(cli.root, "bottles", "t.md"), 0)
        refused(cli, go("t"), "cannot read", "Permission denied")


def test_cwd_refuses_home_root_and_what_holds_manifests():
    with Cli() as cli:
        home = os.path.join(cli.top, "user")
        project = os.path.join(home, "project")
        os.makedirs(os.path.join(project, ".bot-bottle"))
        env = {"HOME": home}
        for directory, says in (("/", "'/' is never copied"), (home, "home directory"), (cli.top, "home directory"),
                                (project, ".bot-bottle"), (cli.root, "bot-bottle's own files"),
                                (os.path.join(cli.root, "bottles"), "bot-bottle's own files"),
                                (os.path.join(cli.root, "bottles", "t.md"), "is not a directory"),
                                (os.path.join(home, "nothing"), "No such file")):
            refused(cli, go("t", f"--cwd={directory}"), "--cwd: ", says, env=env)


def test_dry_run_prints_the_policy_and_touches_nothing():
    with Cli(BOT_BOTTLE_CLAUDE_OAUTH_TOKEN=SECRET, KEY=SECRET) as cli:
        cli.bottle("full", "env: {A: b}\nagent_provider: {template: claude}\negress:\n  routes:\n"
                   "    - host: api.anthropic.com\n    - host: x.example\n      auth: {header: x-key, token_ref: KEY}")
        cli.agent("full", "full", "You help.\n")
        before = cli.tree()
        done = cli.run("start", "full", "--dry-run")
        assert cli.tree() == before
        assert SECRET not in done.stdout + done.stderr
        for line in ("- host: api.anthropic.com  # provider claude", "- {type: exact, value: /v1/messages}",
                     "auth: {scheme: Bearer, token_ref: BOT_BOTTLE_CLAUDE_OAUTH_TOKEN}",
                     "- host: x.example  # bottles/full.md:7", "auth: {header: x-key, token_ref: KEY}",
                     "A: b  # bottles/full.md:2", "bytes to allowed hosts are not scanned", "shared kernel",
                     "the route for api.anthropic.com of bottles/full.md:6 is not used"):
            assert line in done.stdout, (line, done.stdout)
        assert done.stdout.count("api.anthropic.com  #") == 1


def test_exit_codes_are_the_commands_own():
    with Cli() as cli:
        for argv, code in ((["true"], 0), (["sh", "-c", "exit 7"], 7), (["no-such-program"], 127),
                           (["/etc/passwd"], 126), (["sh", "-c", "kill -9 $$"], 137)):
            done = cli.start("--", *argv)
            assert done.returncode == code, (argv, done)
        assert cli.leftovers() == []


def test_start_says_what_is_not_protected():
    with Cli() as cli:
        done = cli.start("--", "true")
        assert "bytes to allowed hosts are not scanned" in done.stderr
        assert "shared kernel" in done.stderr
        assert "session ended (exit 0)" in done.stderr


def test_output_arrives_apart_and_as_it_is():
    with Cli() as cli:
        done = cli.start("--", "sh", "-c", r"printf '\033]0;t\007\377\000x'; printf err >&2", text=False)
        assert done.stdout == b"\x1b]0;t\x07\xff\x00x", done.stdout
        assert b"err" in done.stderr and b"\x1b]0;t" not in done.stderr


class Living:
    """A bottle that waits, started by the CLI as an operator would."""

    def __init__(self, cli, *argv, env=None):
        self.cli = cli
        self.process = subprocess.Popen([program(), "start", "t", "--headless", "--label", "box", *argv, "--",
                                         "sleep", "1000"], env={**cli.env, **(env or {})}, stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "runs on" in line:
                break
        deadline = time.monotonic() + 20
        while cli.run("exec", "box", "true", check=False).returncode != 0:
            assert time.monotonic() < deadline

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cli.run("stop", "box", check=False)
        self.process.wait(30)
        self.process.stderr.close()


def test_exec_passes_streams_environment_and_codes():
    with Cli() as cli, Living(cli):
        done = cli.run("exec", "box", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
        assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n"), done
        for _ in range(8):  # input that is there before the process runs was once left in the stream
            done = subprocess.run([program(), "exec", "-i", "box", "cat"], env=cli.env, input=b"x" * 300000,
                                  capture_output=True, timeout=20, check=False)
            assert done.returncode == 0 and done.stdout == b"x" * 300000
        assert cli.run("exec", "-e", "A=b c", "-w", "/tmp", "box", "sh", "-c", "echo $A; pwd").stdout == "b c\n/tmp\n"
        assert cli.run("exec", "box", "nothing-here", check=False).returncode == 127
        assert "cannot run 'nothing-here'" in cli.run("exec", "box", "nothing-here", check=False).stderr
        assert cli.run("exec", "-e", "A", "box", "true", check=False).returncode == 125
        # Without -i nothing is read from our input.
        done = subprocess.run([program(), "exec", "box", "cat"], env=cli.env, input=b"mine", capture_output=True,
                              timeout=60, check=False)
        assert done.returncode == 0 and done.stdout == b""


def test_a_closed_pipe_ends_the_command():
    with Cli() as cli, Living(cli):
        p = subprocess.Popen([program(), "exec", "box", "yes"], env=cli.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
        assert p.stdout.read(10) == b"y\ny\ny\ny\ny\n"
        p.stdout.close()
        assert p.wait(30) == 141
        deadline = time.monotonic() + 20
        while cli.run("exec", "box", "sh", "-c", "cat /proc/[0-9]*/comm | grep -cx yes", check=False).stdout != "0\n":
            assert time.monotonic() < deadline


def test_a_second_start_with_the_same_label_is_refused():
    with Cli() as cli, Living(cli) as box:
        refused(cli, go("t", "--label", "box"), "label 'box' is in use")
        assert box.process.poll() is None


def test_list_and_info_agree_with_what_runs():
    with Cli() as cli, Living(cli):
        rows = cli.list()
        assert len(rows) == 1 and rows[0]["state"] == "running" and rows[0]["label"] == "box", rows
        assert "shared kernel" in rows[0]["backend_note"] and rows[0]["exit_code"] is None
        assert {p.split()[0] for p in rows[0]["parts"]} >= {"monitor", "egress", "channel", "dialler", "recorder"}
        assert rows[0]["id"] in cli.run("list").stdout
        assert cli.run("list", "-q", "active").stdout == rows[0]["id"] + "\n"
        assert "alive" in cli.run("info", rows[0]["id"]).stdout
        agents = json.loads(cli.run("list", "available", "--json").stdout)
        assert agents == [{"agent": "t", "bottle": "t", "file": "agents/t.md", "error": None}]


def test_a_broken_manifest_is_named_and_hides_nothing():
    with Cli() as cli:
        cli.write("agents", "broken", "botle: x")
        out = cli.run("list", "available").stdout
        assert "bottle t" in out and "broken: manifest 'agents/broken.md':2" in out


def test_the_changed_workspace_is_kept_and_comes_out():
    with Cli() as cli:
        work = os.path.join(cli.top, "work")
        os.makedirs(os.path.join(work, "sub"))
        with open(os.path.join(work, "a"), "w", encoding="utf-8") as f:
            f.write("one\n")
        os.symlink("a", os.path.join(work, "link"))
        os.mkfifo(os.path.join(work, "fifo"))
        done = cli.start(f"--cwd={work}", "--", "sh", "-c", "pwd; ls -A; echo two >> a; ln -s /etc/passwd bad; "
                         "echo new > sub/b")
        assert done.returncode == 0 and done.stdout == "/home/node/workspace\na\nlink\nsub\n", done
        assert "left out: 'fifo'" in done.stderr
        identity = cli.list()[0]["id"]
        assert f"bot-bottle diff {identity}; " in done.stderr and f"bot-bottle pull {identity}" in done.stderr, done
        result = os.path.join(cli.top, "result")
        done = cli.run("cp", f"{identity}:/home/node/workspace", result)
        assert "bad': a link that could lead out" in done.stderr
        with open(os.path.join(result, "a"), encoding="utf-8") as f:
            assert f.read() == "one\ntwo\n"
        assert os.readlink(os.path.join(result, "link")) == "a"
        assert not os.path.lexists(os.path.join(result, "bad"))
        one = os.path.join(cli.top, "one")
        cli.run("cp", f"{identity}:/home/node/workspace/sub/b", one)
        with open(one, encoding="utf-8") as f:
            assert f.read() == "new\n"
        done = cli.run("cp", f"{identity}:/home/node/workspace/none", one, check=False)
        assert done.returncode == 125 and "there is no 'none'" in done.stderr, done
        done = cli.run("cp", f"{identity}:/etc/passwd", one, check=False)
        assert done.returncode == 125 and "only /home/node/workspace was kept" in done.stderr
        with open(os.path.join(work, "a"), encoding="utf-8") as f:
            assert f.read() == "one\n", "the operator's own directory was changed"
        assert identity in cli.run("cleanup", "--yes").stdout and len(cli.list()) == 1, "work is not thrown away"
        assert identity in cli.run("cleanup", "--yes", "--all").stdout
        assert cli.list() == []


def test_an_unchanged_workspace_is_not_kept():
    with Cli() as cli:
        work = os.path.join(cli.top, "work")
        os.makedirs(work)
        done = cli.start(f"--cwd={work}", "--", "true")
        assert done.returncode == 0 and "is kept" not in done.stderr, done
        assert cli.list()[0]["workspace_kept"] is False


def test_cp_works_in_both_directions():
    with Cli() as cli, Living(cli):
        tree = os.path.join(cli.top, "tree")
        os.makedirs(os.path.join(tree, "d"))
        blob = os.urandom(3_000_000)
        with open(os.path.join(tree, "d", "blob"), "wb") as f:
            f.write(blob)
        cli.run("cp", tree, "box:/home/node/")
        cli.run("cp", os.path.join(tree, "d", "blob"), "box:/home/node/renamed")
        out = cli.run("exec", "box", "sh", "-c", "cd; find . -type f | sort").stdout
        assert out == "./renamed\n./tree/d/blob\n", out
        back = os.path.join(cli.top, "back")
        cli.run("cp", "box:/home/node/tree", back)
        with open(os.path.join(back, "d", "blob"), "rb") as f:
            assert f.read() == blob
        os.mkdir(os.path.join(cli.top, "into"))
        cli.run("cp", "box:/home/node/renamed", os.path.join(cli.top, "into"))
        assert os.path.getsize(os.path.join(cli.top, "into", "renamed")) == len(blob)
        done = cli.run("cp", "box:/home/node/none", back, check=False)
        assert done.returncode == 125 and "No such file" in done.stderr, done


def processes_of(cli):
    """Command line and environment of every process of the living bottle."""
    texts = []
    for part in cli.list()[0]["parts"]:
        pid = part.split()[1]
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    texts.append(f.read())
            except OSError:
                texts.append(b"")  # undumpable: nobody can look
    return b"\n".join(texts)


def test_a_token_is_in_no_environment_command_line_or_file():
    with Cli(TOKEN=SECRET, SEEN="seen-" + SECRET[::-1]) as cli:
        cli.bottle("t", "image: host\nenv: {SEEN: '${SEEN}'}\negress:\n  routes:\n    - host: a.example\n"
                   "      auth: {scheme: Bearer, token_ref: TOKEN}")
        with Living(cli) as box:
            assert "seen-" + SECRET[::-1] in cli.run("exec", "box", "env").stdout  # the search finds what is there
            assert SECRET not in cli.run("exec", "box", "sh", "-c", "env; cat /proc/*/environ 2>/dev/null").stdout
            with open(f"/proc/{box.process.pid}/environ", "rb") as f:
                assert SECRET.encode() not in f.read(), "the CLI still shows the token"
            assert SECRET.encode() not in processes_of(cli)
        for directory, _, files in os.walk(cli.root):
            for name in filter(lambda n: n != "run", files):
                with open(os.path.join(directory, name), "rb") as f:
                    assert SECRET.encode() not in f.read(), name


def test_interruption_at_any_moment_of_a_launch_leaves_nothing():
    with Cli() as cli:
        work = os.path.join(cli.top, "work")
        os.makedirs(work)
        for i in range(200):
            with open(os.path.join(work, f"f{i}"), "wb") as f:
                f.write(b"x" * 20000)
        for number in (signal.SIGINT, signal.SIGTERM):
            for delay_ms in range(2, 120, 9):
                p = subprocess.Popen([program(), "start", "t", "--headless", f"--cwd={work}", "--", "sleep", "1000"],
                                     env=cli.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.PIPE, text=True)
                time.sleep(delay_ms / 1000)  # not a wait for something: the moment is the test's parameter
                p.send_signal(number)
                _, errors = p.communicate(timeout=30)
                assert p.returncode in (130, 128 + number, -number), (delay_ms, p.returncode, errors)
                assert cli.leftovers() == [], (delay_ms, errors)


def test_the_task_goes_to_the_shell_of_a_bottle_without_a_provider():
    with Cli() as cli:
        assert cli.start("--prompt", "echo told").stdout == "told\n"
        path = os.path.join(cli.top, "task")
        with open(path, "w", encoding="utf-8") as f:
            f.write("echo from file; exit 4")
        done = cli.start("--prompt-file", path)
        assert (done.returncode, done.stdout) == (4, "from file\n")
        done = cli.start("--prompt-file", "-", stdin=None, input="echo " + "x" * 40000)
        assert done.stdout == "x" * 40000 + "\n", done.stderr


def test_logs_give_what_the_session_wrote():
    with Cli() as cli:
        cli.start("--", "sh", "-c", "echo out; echo err >&2")
        identity = cli.list()[0]["id"]
        done = cli.run("logs", identity)
        assert (done.stdout, done.stderr) == ("out\n", "err\n"), done
        assert cli.run("logs", "--audit", identity).stdout == ""


def test_time_is_a_limit():
    with Cli() as cli:
        cli.bottle("t", "image: host\nresources: {time: 1s}")
        began = time.monotonic()
        done = cli.start("--", "sleep", "1000")
        assert done.returncode not in (0, 1) and time.monotonic() - began < 60, done


def test_demo_shows_a_bottle():
    with Cli() as cli, tempfile.TemporaryDirectory() as tmp:
        cli.env["TMPDIR"] = tmp
        done = cli.run("demo", "--backend", "namespace")
        lines = [line for line in done.stdout.splitlines() if line]
        assert len(lines) >= 5 and all(line.startswith("ok") for line in lines), done.stdout
        assert not [n for n in os.listdir(cli.env["TMPDIR"]) if n.startswith("bot-bottle-demo")]
