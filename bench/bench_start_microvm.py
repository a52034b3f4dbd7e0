"""From `bot-bottle start` on the microVM backend to the first exec that answers, beside a bare QEMU boot of the
same kernel and initramfs, without jail, disks or bundle, to init's first line; in turns, on one machine."""

import os
import subprocess
import sys
import tempfile
import time

from home import fail, figure, in_turns, median
from rig.bottle import Home, build

SAMPLES = 11
GOAL = 1.25
HELLO = b"bot-bottle: hello"
READY = "echo ready"


def base_image():
    images = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "bot-bottle", "images")
    path = os.path.join(images, "base")
    if not os.path.exists(os.path.join(path, "vmlinuz")):
        fail("image 'base' is not built; run: bot-bottle image build base")
    return path


def entry(name, mode, body):
    data = name.encode() + b"\0"
    head = "070701" + "%08X" * 13 % (1, mode, 0, 0, 1, 0, len(body), 0, 0, 0, 0, len(data), 0)
    out = head.encode() + data
    out += b"\0" * (-len(out) % 4) + body
    return out + b"\0" * (-len(out) % 4)


def initramfs(image, path):
    """What the backend packs: bottle-init and the modules."""
    with open(path, "wb") as out:
        with open(os.path.join(build(), "src", "bottle-init"), "rb") as f:
            out.write(entry("init", 0o100755, f.read()))
        out.write(entry("modules", 0o040755, b""))
        for name in sorted(os.listdir(os.path.join(image, "modules"))):
            with open(os.path.join(image, "modules", name), "rb") as f:
                out.write(entry("modules/" + name, 0o100644, f.read()))
        out.write(entry("TRAILER!!!", 0, b""))


def tsc_khz():
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("cpu MHz"):
                return int(float(line.split(":")[1]) * 1000)
    return 0


def bare(image, initrd):
    """The same machine, memory and kernel arguments; init only says hello."""
    argv = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-machine",
            "microvm,acpi=on,rtc=on,pit=off,pic=off,isa-serial=on", "-accel", "tcg,thread=multi,tb-size=512", "-cpu",
            "max,erms=off", "-smp", "1", "-m", "512M", "-kernel", os.path.join(image, "vmlinuz"), "-initrd", initrd,
            "-append", "console=ttyS0 quiet loglevel=3 reboot=t panic=-1 cryptomgr.notests bb.probe=1 "
            f"tsc_early_khz={tsc_khz()}", "-serial", "stdio"]
    began = time.perf_counter()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        seen = b""
        while HELLO not in seen:
            more = os.read(process.stdout.fileno(), 4096)
            if not more:
                fail(f"the bare boot ended: {seen[-300:]!r}")
            seen += more
        took = time.perf_counter() - began
        process.kill()
    return took * 1000


def bottle(home, ready):
    """A headless start whose command writes one line: the guest has answered an exec when it comes. Appends to
    ready when the guest said that it serves; what lies between is the command's own start."""
    argv = [os.path.join(build(), "src", "bot-bottle"), "start", "bench", "--backend", "microvm", "--headless", "--yes",
            "--", "sh", "-c", READY]
    began = time.perf_counter()
    with subprocess.Popen(argv, env={**home.env, "BOT_BOTTLE_ACCEL": "tcg"}, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while b" runs on " not in (note := process.stderr.readline()) and note:
            pass
        ready.append((time.perf_counter() - began) * 1000)
        line = process.stdout.readline()
        took = time.perf_counter() - began
        _, err = process.communicate(timeout=60)
    if b"ready" not in line:
        fail(f"start failed with {process.returncode}: {(note + err).decode()}")
    return took * 1000


def main():
    image = base_image()
    ready = []
    with Home() as home, tempfile.TemporaryDirectory() as folder:
        home.bottle("bench", "image: base\nresources:\n  memory: 512M\n  cpus: 1\negress:\n  routes: []\n")
        home.agent("bench", "bench")
        initrd = os.path.join(folder, "initrd")
        initramfs(image, initrd)
        found = in_turns(lambda: bottle(home, ready), lambda: bare(image, initrd), SAMPLES)
    figure("start.microvm", unit="ms", goal=f"<= {GOAL:g}", **{"ok": found["ratio"] <= GOAL, **found})
    figure("start.microvm_serves", median(ready[1:]), "ms", samples=SAMPLES, baseline=found["baseline"],
           ratio=median(ready[1:]) / found["baseline"])


if __name__ == "__main__":
    sys.exit(main())
