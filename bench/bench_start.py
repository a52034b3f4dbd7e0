"""From `bot-bottle start --headless` of `true` on the namespace backend to its exit code, beside a plain bwrap
with the same namespaces in the same run; then many bottles, and what they leave."""

import os
import shutil
import subprocess
import time

from home import Home, fail, figure, in_turns, wait_gone

SAMPLES = 41
ONE_BY_ONE = 100
AT_ONCE = 20
GOAL = 4.0

BWRAP = ["bwrap", "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts",
         "--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin",
         "/bin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
         "--tmpfs", "/tmp", "--tmpfs", "/home/node", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "true"]


def bwrap():
    began = time.perf_counter()
    done = subprocess.run(BWRAP, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0:
        fail(f"bwrap failed: {done.stderr.decode()}")
    return took * 1000


def bottle(home):
    began = time.perf_counter()
    process = home.start("true")
    out, err = process.communicate(timeout=60)
    took = time.perf_counter() - began
    if process.returncode != 0:
        fail(f"start failed with {process.returncode}: {err}{out}")
    return took * 1000


def compare(home):
    found = in_turns(lambda: bottle(home), bwrap, SAMPLES)
    figure("start.namespace", unit="ms", goal=f"<= {GOAL:g}", **{"ok": found["ratio"] <= GOAL, **found})


def churn(home):
    began = time.perf_counter()
    for _ in range(ONE_BY_ONE):
        bottle(home)
    figure("start.one_by_one", ONE_BY_ONE / (time.perf_counter() - began), "bottles/s", samples=ONE_BY_ONE)

    began = time.perf_counter()
    many = [home.start("sh", "-c", "sleep 1; exit 7") for _ in range(AT_ONCE)]
    for process in many:
        _, err = process.communicate(timeout=120)
        if process.returncode != 7:
            fail(f"one of {AT_ONCE} ended with {process.returncode}: {err}")
    figure("start.at_once", time.perf_counter() - began, "s", samples=AT_ONCE)

    left = wait_gone(home)
    home.command("cleanup", "--yes")
    left += [f"state {n}" for n in os.listdir(os.path.join(home.root, "state")) if not n.startswith(".")]
    for line in left:
        print(line, flush=True)
    figure("start.left_over", len(left), "things", samples=ONE_BY_ONE + AT_ONCE, goal="== 0", ok=not left)


def main():
    if not shutil.which("bwrap"):
        fail("bwrap is missing; install the package bubblewrap")
    with Home() as home:
        compare(home)
        churn(home)


main()
