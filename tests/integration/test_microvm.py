"""MicroVMs that go wrong: a guest that dies early shows its console, one that hangs meets its deadline, and
neither leaves anything. The images are the user's base with one part exchanged. Emulated throughout."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 180
DEADLINE = 60  # MICROVM_HELLO_TCG_MS


def base_image():
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    path = os.path.realpath(os.path.join(cache, "bot-bottle", "images", "base"))
    if not os.path.isfile(os.path.join(path, "image.json")):
        raise AssertionError("image 'base' is not built; run: bot-bottle image build base")
    return path


class Broken:
    """A cache directory whose image 'base' is the real one but for what spoil(directory) does to it."""

    def __init__(self, spoil):
        self.cache = tempfile.mkdtemp(prefix="bb-broken-", dir="/var/tmp")
        base, image = base_image(), os.path.join(self.cache, "bot-bottle", "images", "b" * 40)
        os.makedirs(image)
        for name in ("root.erofs", "vmlinuz", "modules", "root"):
            os.symlink(os.path.join(base, name), os.path.join(image, name))
        with open(os.path.join(base, "image.json"), encoding="utf-8") as f:
            record = json.load(f)
        with open(os.path.join(image, "image.json"), "w", encoding="utf-8") as f:
            json.dump(record, f)
        os.symlink("b" * 40, os.path.join(self.cache, "bot-bottle", "images", "base"))
        spoil(image)
        self.home = Home(XDG_CACHE_HOME=self.cache, BOT_BOTTLE_ACCEL="tcg")
        self.home.bottle("dev", "image: base\nresources:\n  memory: 512M\n  disk: 1G\negress:\n  routes: []\n")
        self.home.agent("worker", "dev")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.home.__exit__()
        shutil.rmtree(self.cache, ignore_errors=True)

    def start(self):
        return subprocess.Popen([program(), "start", "worker", "--backend", "microvm", "--headless", "--yes", "--", "true"],
                                env=self.home.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True)


def descendants(pid):
    """{pid: command line} of everything below a process."""
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                    above = int(f.read().rsplit(")", 1)[1].split()[1])
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if above == parent:
                found[int(entry)] = line
                todo.append(int(entry))
    return found


def qemu_of(process, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        for pid, line in descendants(process.pid).items():
            if b"qemu-system" in line.split(b"\0")[0]:
                return pid
        time.sleep(0.02)
    raise AssertionError("no QEMU was started")


def is_running(pid):
    """Neither gone nor a zombie that waits for the harness, which adopts what a bottle leaves."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


def zero_root(image):
    os.unlink(os.path.join(image, "root.erofs"))
    with open(os.path.join(image, "root.erofs"), "wb") as f:
        f.truncate(1 << 20)


def test_a_guest_that_dies_early_shows_its_console():
    with Broken(zero_root) as broken:
        process = broken.start()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 125, out
        assert "erofs" in out and "/dev/vda" in out, out


def test_a_kernel_that_is_none_is_qemus_own_sentence():
    def spoil(image):
        os.unlink(os.path.join(image, "vmlinuz"))
        with open(os.path.join(image, "vmlinuz"), "wb") as f:
            f.write(b"not a kernel" * 1000)
    with Broken(spoil) as broken:
        process = broken.start()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 125, out
        assert "qemu" in out, out


def test_a_guest_that_hangs_meets_its_deadline():
    with Broken(lambda image: None) as broken:
        began = time.monotonic()
        process = broken.start()
        pid = qemu_of(process)
        os.kill(pid, signal.SIGSTOP)
        out, _ = process.communicate(timeout=DEADLINE + 60)
        took = time.monotonic() - began
        assert process.returncode == 125, out
        assert "hello" in out and str(DEADLINE) in out, out
        assert DEADLINE - 1 <= took < DEADLINE + 30, took
        deadline = time.monotonic() + 10  # the command may tell of the end a moment before the monitor is done
        while is_running(pid):
            assert time.monotonic() < deadline, "the stopped QEMU is still there"
            time.sleep(0.05)


def test_a_missing_image_names_the_command():
    with Broken(lambda image: os.unlink(os.path.join(os.path.dirname(image), "base"))) as broken:
        process = broken.start()
        out, _ = process.communicate(timeout=60)
        assert process.returncode == 125 and "bot-bottle image build base" in out, out
