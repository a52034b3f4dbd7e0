"""Packs for smolvm 0.8: the real skopeo and the real docker-registry, and the stand-in's `pack create`, which pulls
as smolvm does. No registry outlives a pack, whatever goes wrong, and nobody outside reaches it."""

import json
import os
import signal
import socket
import subprocess
import sys
import tarfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from packer import Packer  # noqa: E402
from rig import smolvm  # noqa: E402

TIMEOUT = 120
ID = "a1" * 32
FIND = os.path.join(os.environ.get("BB_BUILD") or os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))), "build"), "tests/integration/pack/pack-find")


class Packs(Packer):
    """An archive, and smolvm, skopeo and docker-registry on a PATH of its own."""

    def __init__(self, version="0.8.1", without=(), **tools):
        super().__init__()
        self.oci = self.packed()
        self.cache = os.path.join(self.top, "cache", "bot-bottle", "packs")
        self.path = os.path.join(self.top, "path")
        smolvm.install(self.path, version=version)
        for name in ("skopeo", "docker-registry"):
            if name not in without:
                os.symlink(self.which(name), os.path.join(self.path, name))
        for name in ("python3", "env", "sh", "sleep", "cat", "touch", "grep", "sed"):
            os.symlink(self.which(name), os.path.join(self.path, name))
        for name, script in tools.items():
            name = name.replace("_", "-")
            os.rename(os.path.join(self.path, name), os.path.join(self.path, "real-" + name))
            self.write(os.path.join(self.path, name), "#!/bin/sh\n" + script.replace("TOP", self.top) + "\n", 0o755)
        self.find_env = {"PATH": self.path, "HOME": self.top, "XDG_CACHE_HOME": os.path.join(self.top, "cache")}

    @staticmethod
    def which(name):
        for folder in os.environ["PATH"].split(":") + ["/usr/bin", "/bin"]:
            if os.access(os.path.join(folder, name), os.X_OK):
                return os.path.join(folder, name)
        raise FileNotFoundError(name)

    def begin_find(self):
        return subprocess.Popen([FIND, self.oci, ID], env=self.find_env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, start_new_session=True)

    def find(self):
        process = self.begin_find()
        out, err = process.stdout.read(), process.stderr.read()
        process.stdin.close()
        return process.wait(timeout=60), out.strip(), err

    def found(self):
        code, out, err = self.find()
        assert code == 0, err
        return out

    def nothing_left(self):
        assert [n for n in os.listdir(self.cache) if n != "lock"] == [], os.listdir(self.cache)
        assert self.registries() == [], self.registries()

    def registries(self):
        """Pids of the registries of this test."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    line = f.read()
            except OSError:
                continue
            if b"registry" in line and self.top.encode() in line:
                found.append(int(pid))
        return found

    def wait_gone(self):
        deadline = time.monotonic() + 20
        while self.registries():
            assert time.monotonic() < deadline, self.registries()
            time.sleep(0.02)


def test_a_pack_is_made_once_and_found_again():
    for version in ("0.8.0", "0.8.1"):
        with Packs(version) as p:
            path = p.found()
            assert path == os.path.join(p.cache, f"{ID}-{version}.smolmachine"), path
            with tarfile.open(path) as tar:
                pack = json.load(tar.extractfile("standin-pack.json"))
            # What smolvm pulled is the image: its workload, and by the digest that skopeo computed.
            assert pack["config"]["Entrypoint"] == ["/bottle-init"] and pack["config"]["Cmd"] == ["--idle"], pack
            assert pack["image"].startswith("127.0.0.1:") and pack["image"].endswith("@" + pack["digest"]), pack
            assert p.registries() == [] and len(pack["layers"]) == 3
            made = os.stat(path).st_ino
            os.unlink(os.path.join(p.path, "skopeo"))  # is not asked for again
            assert p.found() == path and os.stat(path).st_ino == made
            assert sorted(os.listdir(p.cache)) == sorted(["lock", os.path.basename(path)]), os.listdir(p.cache)


def test_another_version_has_a_pack_of_its_own():
    with Packs("0.8.0") as p:
        first = p.found()
        smolvm.install(p.path, version="0.8.1")
        assert p.found() != first and os.path.exists(first)


def test_the_machine_starts_from_it():
    with Packs() as p:
        path, env = p.found(), {**p.find_env, "XDG_DATA_HOME": os.path.join(p.top, "data")}
        done = subprocess.run([os.path.join(p.path, "smolvm"), "machine", "create", "--from", path, "one"], env=env,
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        status = subprocess.run([os.path.join(p.path, "smolvm"), "machine", "status", "--name", "one", "--json"], env=env,
                                capture_output=True, text=True, timeout=60, check=False)
        record = json.loads(status.stdout)
        assert record["entrypoint"] == ["/bottle-init"] and record["cmd"] == ["--idle"], record
        assert record["network"] is False, record


def test_what_is_missing_is_named_with_its_package():
    for name in ("skopeo", "docker-registry"):
        with Packs(without=(name,)) as p:
            code, _, err = p.find()
            assert code == 1 and f"'{name}' is not installed" in err and f"apt install {name}" in err, err
            assert not os.path.exists(p.cache), os.listdir(p.cache)


HANG = "echo \"$@\" > TOP/said; touch TOP/begun; exec sleep 1000"


def port_of(p):
    with open(os.path.join(p.top, "said"), encoding="utf-8") as f:
        text = f.read()
    return int(text.split("127.0.0.1:")[1].split("/")[0])


def test_nobody_outside_reaches_the_registry():
    with Packs(skopeo=HANG) as p:
        process = p.begin_find()
        p.wait_for("begun")
        assert len(p.registries()) == 1
        # The same port on the host's loopback answers nobody; the registry's own namespace has it.
        with socket.socket() as s:
            s.settimeout(5)
            assert s.connect_ex(("127.0.0.1", port_of(p))) != 0
        with open(f"/proc/{p.registries()[0]}/net/tcp6", encoding="ascii") as f6, \
                open(f"/proc/{p.registries()[0]}/net/tcp", encoding="ascii") as f4:
            assert f":{port_of(p):04X} " in f4.read() + f6.read()
        process.stdin.close()
        assert process.wait(timeout=20) == 1
        assert "interrupted while 'skopeo copy' ran" in process.stderr.read()
        p.nothing_left()


def test_a_failure_of_any_step_leaves_nothing():
    fails = "echo 'it went wrong here' >&2; exit 3"
    pack = 'if [ "$1" = pack ]; then echo "no pull today" >&2; exit 1; fi; exec TOP/path/real-smolvm "$@"'
    half = 'if [ "$1" = pack ]; then exit 0; fi; exec TOP/path/real-smolvm "$@"'
    digest = "while [ $# -gt 0 ]; do [ $1 = --digestfile ] && echo sha256:nonsense > $2; shift; done"
    for tools, said in (({"skopeo": fails}, "'skopeo copy' failed with code 3: it went wrong here"),
                        ({"skopeo": digest}, "skopeo wrote no digest"),
                        ({"docker_registry": fails}, "the registry on loopback ended at once: it went wrong here"),
                        ({"smolvm": pack}, "'smolvm create' failed with code 1: no pull today"),
                        ({"smolvm": half}, "said that it made a pack, but there is none")):
        with Packs(**tools) as p:
            code, _, err = p.find()
            assert code == 1 and "cannot pack the image" in err and said in err, err
            p.nothing_left()


def test_an_interrupt_ends_pack_create_and_the_registry():
    hang = 'if [ "$1" = pack ]; then touch TOP/begun; exec sleep 1000; fi; exec TOP/path/real-smolvm "$@"'
    with Packs(smolvm=hang) as p:
        process = p.begin_find()
        p.wait_for("begun", 40)
        assert len(p.registries()) == 1
        process.stdin.close()
        assert process.wait(timeout=20) == 1
        assert "interrupted while 'smolvm create' ran" in process.stderr.read()
        p.nothing_left()


def test_a_kill_ends_the_registry_and_the_next_takes_over():
    with Packs(skopeo=HANG) as p:
        process = p.begin_find()
        p.wait_for("begun")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=20)
        p.wait_gone()
        os.rename(os.path.join(p.path, "real-skopeo"), os.path.join(p.path, "skopeo"))
        path = p.found()
        assert sorted(os.listdir(p.cache)) == sorted(["lock", os.path.basename(path)]), os.listdir(p.cache)


def test_two_at_once_make_one():
    count = "echo one >> TOP/count; exec TOP/path/real-skopeo \"$@\""
    with Packs(skopeo=count) as p:
        both = [p.begin_find() for _ in range(2)]
        paths = {process.stdout.read().strip() for process in both}
        for process in both:
            process.stdin.close()
            assert process.wait(timeout=60) == 0, process.stderr.read()
        with open(os.path.join(p.top, "count"), encoding="utf-8") as f:
            assert f.read() == "one\n" and len(paths) == 1, paths
