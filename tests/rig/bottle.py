"""Drives bot-bottle from a test or the demo: a home of its own, manifests, and a running bottle.

    with Home() as home:
        home.bottle("dev", "egress:\n  routes:\n    - host: allowed.test\n")
        home.agent("worker", "dev")
        with home.start("worker", backend="namespace") as bottle:
            done = bottle.exec("curl", "-s", "https://allowed.test/")
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BACKENDS = ("namespace", "microvm")
IDLE = "exec sleep 100000"  # the main session of a bottle that only serves exec


def build():
    return os.environ.get("BB_BUILD", os.path.join(ROOT, "build"))


def program():
    return os.path.join(build(), "src", "bot-bottle")


class Home:
    """A BOT_BOTTLE_HOME and a run-time directory that belong to one test; images are the user's own."""

    def __init__(self, programs=None, **env):
        """programs: a directory with bot-bottle and its parts, another than the build's."""
        self.program = os.path.join(programs, "bot-bottle") if programs else program()
        self.top = tempfile.mkdtemp(prefix="bb-home-", dir="/tmp")  # short: socket paths are limited
        self.root = os.path.join(self.top, "home")
        for name in ("home/bottles", "home/agents", "run"):
            os.makedirs(os.path.join(self.top, name), 0o700)
        self.env = {**os.environ, "BOT_BOTTLE_HOME": self.root, "XDG_RUNTIME_DIR": os.path.join(self.top, "run"),
                    **env}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cleanup()
        shutil.rmtree(self.top, ignore_errors=True)

    def cleanup(self):
        for entry in self.list():
            if entry["state"] == "ended":
                continue
            subprocess.run([self.program, "stop", entry["id"]], env=self.env, stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=30, check=False)

    def list(self):
        done = self.run("list", "--json", check=False)
        try:
            return json.loads(done.stdout) if done.returncode == 0 else []
        except ValueError:
            return []

    def write(self, kind, name, front, body=""):
        with open(os.path.join(self.root, kind, name + ".md"), "w", encoding="utf-8") as f:
            f.write(f"---\n{front.rstrip()}\n---\n{body}")

    def bottle(self, name, front):
        self.write("bottles", name, front)

    def agent(self, name, bottle, body=""):
        self.write("agents", name, f"bottle: {bottle}", body)

    def run(self, *argv, check=True, timeout=120, text=True, **more):
        more.setdefault("stdin", subprocess.DEVNULL)
        done = subprocess.run([self.program, *argv], env=self.env, capture_output=True, text=text, timeout=timeout,
                              check=False, **more)
        if check and done.returncode != 0:
            raise AssertionError(f"bot-bottle {' '.join(argv)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def start(self, agent, backend="namespace", label="box", prompt=IDLE, args=(), env=None):
        return Bottle(self, agent, backend, label, prompt, args, env or {})


class Bottle:
    """A bottle started headless. Its output is in a file; ready when exec answers."""

    def __init__(self, home, agent, backend, label, prompt, args, env):
        self.home, self.id, self.backend = home, label, backend
        self._identity = None
        self.log = os.path.join(home.top, f"start-{label}.log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [home.program, "start", agent, "--backend", backend, "--label", label, "--headless", "--yes",
                 "--prompt", prompt, *args],
                env={**home.env, **env}, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)

    def output(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, *_):
        self.stop()

    def wait_ready(self, seconds=90):
        """Exec answers. Asked for again until it does: a launch says nothing that a test could wait on."""
        deadline = time.monotonic() + seconds
        while True:
            if self.process.poll() is not None:
                raise AssertionError(f"bottle '{self.id}' ended with {self.process.returncode}:\n{self.output()}")
            done = self.home.run("exec", self.id, "--", "true", check=False, timeout=seconds)
            if done.returncode == 0:
                return self
            if time.monotonic() > deadline:
                raise AssertionError(f"bottle '{self.id}' is not ready after {seconds} s: {done.stderr}\n{self.output()}")
            time.sleep(0.1)

    def exec(self, *argv, check=False, options=(), **more):
        return self.home.run("exec", *options, self.id, "--", *argv, check=check, **more)

    def sh(self, script, **more):
        return self.exec("sh", "-c", script, **more)

    def identity(self):
        """The name of the bottle's state directory; commands take the label as well."""
        if self._identity is None:
            self._identity = next(e["id"] for e in self.home.list() if e["label"] == self.id)
        return self._identity

    def audit(self):
        """The audit records of the bottle."""
        path = os.path.join(self.home.root, "state", self.identity(), "audit.jsonl")
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.strip()]

    def wait_end(self, seconds=60):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"bottle '{self.id}' has not ended after {seconds} s:\n{self.output()}") from None

    def stop(self):
        if self.process.poll() is None:
            self.home.run("stop", self.id, check=False, timeout=60)
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
