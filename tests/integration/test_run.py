"""tests/run itself, on a tree with one test file that never ends and hides what it starts in another session."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ONCE = "it needs the build folder's list of tests, which the ordinary user's copy does not have"
TIMEOUT = 60
HANGS = """
import os, subprocess, tempfile, time
TOP = os.environ["BB_TEST_TOP"]
def test_hang():
    with tempfile.TemporaryDirectory(dir=TOP):
        subprocess.Popen(["sh", "-c", "trap '' TERM; touch $0/up; sleep 1000; :", TOP], start_new_session=True)
        time.sleep(1000)
"""


def processes_of(text):
    """Command lines of what runs and names the text; not ourselves."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if int(pid) != os.getpid() and f"BB_TEST_TOP={text}".encode() in f.read():
                    found.append(pid)
        except OSError:
            continue
    return found


def stopped_by(number, rig):
    with tempfile.TemporaryDirectory(prefix="bb-run-", dir="/tmp") as top:
        tree = os.path.join(top, "tests")
        os.makedirs(os.path.join(tree, "integration"))
        shutil.copy(os.path.join(ROOT, "tests", "run"), tree)
        shutil.copytree(os.path.join(ROOT, "tests", "rig"), os.path.join(tree, "rig"))
        with open(os.path.join(tree, "integration", "test_hang.py"), "w", encoding="utf-8") as f:
            f.write(("RIG = True\n" if rig else "") + HANGS)
        build = os.environ.get("BB_BUILD", os.path.join(ROOT, "build"))
        run = subprocess.Popen([sys.executable, "-B", os.path.join(tree, "run"), "--build", build, "--no-user",
                                "--only", "test_hang"],
                               env={**os.environ, "BB_TEST_TOP": top}, stdout=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 30
        while not os.path.exists(os.path.join(top, "up")):
            assert run.poll() is None and time.monotonic() < deadline, "the test did not begin"
            time.sleep(0.02)
        assert len(processes_of(top)) >= 3, "the run, the harness and what the test started are not all seen"
        run.send_signal(number)
        out, _ = run.communicate(timeout=30)
        assert run.returncode == 128 + number and f"stopped by signal {int(number)}" in out, (run.returncode, out)
        assert processes_of(top) == [], processes_of(top)
        assert sorted(os.listdir(top)) == ["tests", "up"], os.listdir(top)


def test_a_run_that_is_told_to_end_leaves_nothing():
    stopped_by(signal.SIGTERM, False)


def test_a_run_that_is_interrupted_leaves_nothing():
    stopped_by(signal.SIGINT, False)


def test_a_run_in_the_rig_leaves_nothing():
    stopped_by(signal.SIGTERM, True)
