"""A small image of two layers, and a copy of bot-bottle that packs it: beside it bottle-init is a file of ours."""

import json
import os
import shutil
import subprocess
import tempfile
import time

from rig.bottle import program

BASE, CLAUDE = "b" * 40, "c" * 40


def record(name, parent):
    return json.dumps({"format": 1, "name": name, "parent": parent, "kernel_version": None, "built_at": 1,
                       "packages": []})


class Packer:
    def __init__(self, **tools):
        self.top = tempfile.mkdtemp(prefix="bb-oci-", dir="/tmp")
        self.images = os.path.join(self.top, "cache", "bot-bottle", "images")
        self.bin = os.path.join(self.top, "programs")
        os.makedirs(self.bin)
        shutil.copy(program(), os.path.join(self.bin, "bot-bottle"))
        self.write_init(b"the first\n")
        for name, script in tools.items():
            self.write(os.path.join(self.bin, name), "#!/bin/sh\n" + script.replace("TOP", self.top) + "\n", 0o755)
        self.env = {**os.environ, "XDG_CACHE_HOME": os.path.join(self.top, "cache"),
                    "PATH": self.bin + ":" + os.environ["PATH"]}
        self.make_images()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top, ignore_errors=True)

    @staticmethod
    def write(path, text, mode=0o644):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)

    def write_init(self, content):
        self.write(os.path.join(self.bin, "bottle-init"), content, 0o755)

    def make_images(self):
        base, claude = os.path.join(self.images, BASE), os.path.join(self.images, CLAUDE)
        self.write(os.path.join(base, "image.json"), record("base", None))
        self.write(os.path.join(claude, "image.json"), record("claude", BASE))
        root = os.path.join(base, "root")
        self.write(os.path.join(root, "etc/passwd"), "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n")
        self.write(os.path.join(root, "usr/bin/" + "long-" * 30), "x" * 5000, 0o755)
        os.symlink("usr/bin", os.path.join(root, "bin"))
        os.makedirs(os.path.join(root, "home/node"))
        os.makedirs(os.path.join(root, "tmp"))
        os.chmod(os.path.join(root, "tmp"), 0o1777)
        os.link(os.path.join(root, "etc/passwd"), os.path.join(root, "etc/passwd-"))
        self.write(os.path.join(claude, "root/usr/local/bin/claude"), os.urandom(100000), 0o755)
        os.symlink(BASE, os.path.join(self.images, "base"))
        os.symlink(CLAUDE, os.path.join(self.images, "claude"))

    def begin(self, *words, name="claude"):
        return subprocess.Popen([os.path.join(self.bin, "bot-bottle"), "image", "build", name, *words], env=self.env,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                start_new_session=True)

    def pack(self, *words, name="claude"):
        process = self.begin("--for", "smolmachines", *words, name=name)
        out, _ = process.communicate(timeout=40)
        return process.returncode, out

    def packed(self, *words):
        code, out = self.pack(*words)
        assert code == 0, out
        return self.archive()

    def archive(self):
        return os.path.realpath(os.path.join(self.images, CLAUDE, "oci"))

    def archives(self):
        return sorted(n for n in os.listdir(os.path.join(self.images, CLAUDE)) if n.startswith("oci"))

    def left(self):
        return [n for n in os.listdir(self.images) if n.startswith("tmp-")]

    def wait_for(self, name, seconds=20):
        deadline = time.monotonic() + seconds
        while not os.path.exists(os.path.join(self.top, name)):
            assert time.monotonic() < deadline, f"no '{name}' after {seconds} s"
            time.sleep(0.02)
