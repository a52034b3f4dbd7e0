"""Bottles of the backend smolmachines on the stand-in smolvm of a version.

    store = Store()                              # one small image for all tests of a file
    with Machines("0.8.1", store) as home:       # a rig.bottle.Home with a smolvm and a state of its own
        home.bottle("dev", "image: base\\negress:\\n  routes:\\n    - host: allowed.test\\n")
        home.agent("worker", "dev")
        with home.start("worker") as bottle:
            ...
        assert home.machines() == []
    store.close()

The image is made of this host's own programs (rig/hostroot.py); its archive, its packs and what the stand-in unpacked
of it are shared. Machines(hook="shell") runs a line of shell after each command of smolvm but exec: $1 $2 ... are its
arguments, $DB is the state database; smolvm's exit code is then the hook's.
"""

import glob
import json
import os
import shlex
import shutil
import subprocess
import tempfile

from rig import bottle, hostroot, smolvm

TSI, SOCKET = ("0.8.0", "0.8.1"), ("1.7.5", "1.9.3")  # the stand-in's versions, by mode
IMAGE_ID = "b" * 40
RECORD = {"format": 1, "name": "base", "parent": None, "kernel_version": None, "built_at": 1, "packages": []}
# Without a hook smolvm takes the wrapper's place, as that of the real one does: it ends with whoever started it.
PLAIN = """#!/bin/sh
echo "$*" >> {log}
exec {real} "$@"
"""
HOOKED = """#!/bin/sh
echo "$*" >> {log}
[ "$2" != exec ] || exec {real} "$@"
{real} "$@"
code=$?
DB={db}
{hook}
exit $code
"""


class Store:
    """An image store with one small image 'base'; `is_real`: the user's own images instead, read and packed there."""

    def __init__(self, is_real=False):
        self.folder = tempfile.mkdtemp(prefix="bb-m-", dir="/tmp")
        self.packs = os.path.join(self.folder, "packs")
        self.unpacked = os.path.join(self.folder, "unpacked")
        os.mkdir(self.packs, 0o700)
        if is_real:
            cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
            self.images = os.path.join(cache, "bot-bottle", "images")
            return
        self.images = os.path.join(self.folder, "images")
        os.makedirs(os.path.join(self.images, IMAGE_ID))
        hostroot.make(os.path.join(self.images, IMAGE_ID, "root"))
        with open(os.path.join(self.images, IMAGE_ID, "image.json"), "w", encoding="ascii") as f:
            json.dump(RECORD, f)
        os.symlink(IMAGE_ID, os.path.join(self.images, "base"))

    def close(self):
        smolvm.remove_tree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def copy_programs(folder, keeper=None):
    """All programs of the build in a folder, so that they find each other there; keeper: another in place of ours."""
    os.makedirs(folder)
    for path in glob.glob(os.path.join(bottle.build(), "src", "bot*")):
        if os.path.isfile(path):
            shutil.copy(path, folder)
    if keeper:
        shutil.copy(keeper, os.path.join(folder, "bot-bottle-keeper"))
    return folder


class Machines(bottle.Home):
    def __init__(self, version, store, programs=None, env=None, hook=None, **switches):
        super().__init__(programs, **(env or {}))
        self.version, self.store = version, store
        self.bin, self.data, self.cache = (os.path.join(self.top, name) for name in ("bin", "data", "cache"))
        self.log = os.path.join(self.top, "smolvm.log")
        os.makedirs(os.path.join(self.cache, "bot-bottle"), 0o700)
        os.symlink(store.images, os.path.join(self.cache, "bot-bottle", "images"))
        os.symlink(store.packs, os.path.join(self.cache, "bot-bottle", "packs"))
        self.install(hook, **switches)
        self.env.update({"HOME": self.top, "XDG_DATA_HOME": self.data, "XDG_CACHE_HOME": self.cache,
                         "PATH": self.bin + ":" + os.environ["PATH"], "BOT_BOTTLE_SMOLVM_UNPROVEN": "1",
                         "BOT_BOTTLE_SMOLVM_AS_ROOT": "1", **(env or {})})

    def install(self, hook=None, **switches):
        """The stand-in with these switches from now on; what it is asked is in self.log."""
        real = smolvm.install(self.bin + ".real", version=self.version, image_cache=self.store.unpacked,
                              compiled=os.path.join(self.store.folder, "compiled"), **switches)
        os.makedirs(self.bin, exist_ok=True)
        path = os.path.join(self.bin, "smolvm")
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write((HOOKED if hook else PLAIN).format(
                log=shlex.quote(self.log), real=os.path.join(real, "smolvm"), hook=hook,
                db=os.path.join(self.data, "smolvm/server/smolvm.db")))
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def __exit__(self, *_):
        self.cleanup()
        smolvm.remove_tree(self.top)

    def start(self, agent, backend="smolmachines", **more):
        return super().start(agent, backend, **more)

    def smolvm(self, *words, check=True):
        return subprocess.run([os.path.join(self.bin + ".real", "smolvm"), *words], env=self.env, check=check,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)

    def machines(self):
        """What smolvm lists."""
        return json.loads(self.smolvm("machine", "ls", "--json").stdout)

    def asked(self, verb):
        """The commands `smolvm machine VERB ...` so far."""
        if not os.path.exists(self.log):
            return []
        with open(self.log, encoding="utf-8") as f:
            return [line.split() for line in f if line.split()[:2] == ["machine", verb]]

    def pack(self):
        """The image's archive, which a start would make; the packs of 0.8.x are made by the first start."""
        self.run("image", "build", "base", "--for", "smolmachines")

    def records(self):
        return glob.glob(os.path.join(self.data, "bot-bottle/smolmachines/*"))

    def left(self):
        """What a bottle that is over may not leave: machines, their folders, records, sockets."""
        folders = glob.glob(os.path.join(self.cache, "smolvm/vms/*"))
        run = glob.glob(os.path.join(self.top, "run/bot-bottle/*"))
        return [m["name"] for m in self.machines()] + folders + self.records() + run
