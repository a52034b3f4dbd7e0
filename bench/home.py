"""A root of its own for benchmarks that start bottles, and what is left over of them."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BB_BUILD", os.path.join(ROOT, "build"))
PROGRAMS = os.environ.get("BB_BIN", os.path.join(BUILD, "src"))
BOT_BOTTLE = os.path.join(PROGRAMS, "bot-bottle")
PARTS = ("monitor", "egress", "channel", "recorder", "dialler")


def median(values):
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def in_turns(subject, baseline, samples):
    """Measures both in turns, A B A ... B A, so that a busy machine hits both. Each sample of the subject is
    divided by the mean of the baselines just before and after it; the ratio is the median of these."""
    baseline()  # what the first run of each pays, for caches, is not what is asked
    subject()
    plain, values = [baseline()], []
    for _ in range(samples):
        values.append(subject())
        plain.append(baseline())
    ratios = sorted(v / ((a + b) / 2) for v, a, b in zip(values, plain, plain[1:]))
    return {"value": median(values), "baseline": median(plain), "ratio": median(ratios), "samples": samples,
            "spread": quartile(values, 3) - quartile(values, 1),
            "ratios": [round(quartile(ratios, q), 2) for q in (1, 3)]}


def quartile(values, which):
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) * which // 4]


def figure(name, value, unit, **more):
    print(json.dumps({"name": name, "value": value, "unit": unit, "ok": True, **more}), flush=True)


class Home:
    def __init__(self):
        self.path = tempfile.mkdtemp(prefix="bb-bench-", dir="/tmp")
        self.root = os.path.join(self.path, "root")
        for name in ("root/bottles", "root/agents", "run"):
            os.makedirs(os.path.join(self.path, name), mode=0o700)
        self.agent = "bench" + os.urandom(3).hex()  # names what is ours, whatever else runs here
        self.write("bottles/bench.md", "---\negress:\n  routes:\n    - host: example.com\n---\n")
        self.write(f"agents/{self.agent}.md", "---\nbottle: bench\n---\n")
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("BOT_BOTTLE_")}
        self.env.update(BOT_BOTTLE_HOME=self.root, XDG_RUNTIME_DIR=os.path.join(self.path, "run"))

    def write(self, name, text):
        with open(os.path.join(self.root, name), "w", encoding="utf-8") as f:
            f.write(text)

    def start(self, *command, **more):
        argv = [BOT_BOTTLE, "start", self.agent, "--backend", "namespace", "--image", "host", "--headless", "--",
                *command]
        return subprocess.Popen(argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **more)

    def command(self, *argv):
        return subprocess.run([BOT_BOTTLE, *argv], env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False)

    def processes(self):
        """{pid: command line} of everything that has this home in its environment, or an ancestor that has."""
        found, parents = {}, {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{pid}/stat", "rb") as f:
                    state, parent = f.read().rsplit(b")", 1)[1].split()[:2]
                with open(f"/proc/{pid}/environ", "rb") as f:
                    is_ours = self.path.encode() in f.read()
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
            except OSError:
                continue
            parents[pid] = (int(parent), line)
            if is_ours and state not in (b"Z", b"X") and pid != os.getpid():
                found[pid] = line
        for pid, (parent, line) in parents.items():
            if parent in found:
                found[pid] = line
        return found

    def leftovers(self):
        """What is still there of bottles that have ended, records of the past and logs left out."""
        left = [f"process {pid} {line}" for pid, line in self.processes().items()]
        left += [f"run {p}" for p in glob.glob(os.path.join(self.path, "run", "bot-bottle", "*"))]
        with open("/proc/self/mountinfo", encoding="utf-8") as f:
            left += [f"mount {line.strip()}" for line in f if self.path in line]
        with open("/proc/net/unix", encoding="utf-8") as f:
            left += [f"socket {line.strip()}" for line in f if self.path in line]
        for folder, names, _ in os.walk("/sys/fs/cgroup"):
            left += [f"cgroup {os.path.join(folder, n)}" for n in names if n.startswith(f"bot-bottle-{self.agent}")]
        return left

    def close(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def wait_gone(home, seconds=5.0):
    deadline = time.monotonic() + seconds
    while (left := home.leftovers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def fail(text):
    sys.exit(text)
