"""`bot-bottle doctor` and what `start` says about smolmachines on hosts that lack something: run in a mount namespace whose
/dev/kvm, CPU and distribution are the test's. What is shown names what to type on that distribution."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig import smolvm  # noqa: E402
from rig.bottle import program  # noqa: E402

TIMEOUT = 60
CPU = "processor\t: 0\nvendor_id\t: {}\nmodel name\t: A CPU\nflags\t\t: fpu sse {}\n"
RELEASES = {"debian": 'NAME="Debian GNU/Linux"\nID=debian\n', "fedora": "ID=fedora\n", "arch": "ID=arch\n",
            "nixos": "NAME=NixOS\nID=nixos\n"}
# /dev without kvm, and files of the host's that are replaced; then the program, as an ordinary user or not.
SCRIPT = r"""
set -e
mkdir -p "$T/dev"
mount -t tmpfs none "$T/dev"
for node in null zero full random urandom tty; do
	touch "$T/dev/$node"
	mount --bind "/dev/$node" "$T/dev/$node"
done
mkdir "$T/dev/shm" "$T/dev/pts"
ln -s /proc/self/fd "$T/dev/fd"
[ ! -e "$T/kvm" ] || { touch "$T/dev/kvm"; mount --bind "$T/kvm" "$T/dev/kvm"; }
[ -z "$KVM" ] || { touch "$T/dev/kvm"; mount --bind "$KVM" "$T/dev/kvm"; }
[ ! -e "$T/os-release" ] || mount --bind "$T/os-release" "$(readlink -f /etc/os-release)"
[ ! -e "$T/group" ] || mount --bind "$T/group" /etc/group
[ ! -e "$T/cpuinfo" ] || mount --bind "$T/cpuinfo" /proc/cpuinfo
for hidden in $HIDDEN; do [ ! -e "$hidden" ] || mount --bind /dev/null "$hidden"; done
mount --rbind "$T/dev" /dev
exec $BECOME "$@"
"""


shared = {}


def setup_module():
    shared["compiled"] = tempfile.mkdtemp(prefix="bb-doctor-", dir="/tmp")  # once for all hosts
    os.chmod(shared["compiled"], 0o755)


def teardown_module():
    shutil.rmtree(shared["compiled"])


class Host:
    """A host on which something is missing. kvm: None (no device), or the file that is there instead."""

    def __init__(self, distro="debian", cpu=("GenuineIntel", "vmx"), kvm=None, version="1.9.3", hidden=(), mode=None):
        self.top = tempfile.mkdtemp(prefix="bb-doctor-", dir="/tmp")
        os.chmod(self.top, 0o755)
        self.is_root = os.geteuid() == 0
        self.env = {"PATH": f"{self.top}/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": f"{self.top}/home", "T": self.top,
                    "BOT_BOTTLE_HOME": f"{self.top}/home/bottles", "XDG_RUNTIME_DIR": f"{self.top}/home",
                    "BOT_BOTTLE_SMOLVM_AS_ROOT": "1", "HIDDEN": " ".join(hidden), "KVM": kvm or "", "LANG": "C.UTF-8"}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        os.makedirs(f"{self.top}/home", 0o755)
        os.chmod(f"{self.top}/home", 0o777)
        self.write("os-release", RELEASES[distro])
        self.write("cpuinfo", CPU.format(*cpu))
        if mode is not None:
            self.write("kvm", "")
            os.chmod(f"{self.top}/kvm", mode)
        if version:
            smolvm.install(f"{self.top}/bin", version=version, compiled=shared["compiled"])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top)

    def write(self, name, text):
        with open(os.path.join(self.top, name), "w", encoding="ascii") as f:
            f.write(text)

    def run(self, *argv, become=""):
        flags = ["-m"] if self.is_root else ["-Urm"]
        if become == "user" and self.is_root:
            become = "setpriv --reuid=65534 --regid=65534 --clear-groups"
        elif become == "user":
            become = "unshare -U --map-user=1000 --map-group=1000"
        return subprocess.run(["unshare", *flags, "--propagation", "private", "sh", "-c", SCRIPT, "sh", program(), *argv],
                              env={**self.env, "BECOME": become}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=50, check=False)

    def doctor(self, *argv, become=""):
        """(exit code, {check: row} of smolmachines)"""
        done = self.run("doctor", "--quick", "--json", *(argv or ("--backend", "smolmachines")), become=become)
        try:
            rows = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(done) from None
        return done.returncode, {r["check"]: r for r in rows if r["part"] == "smolmachines"}


def expect(row, state, text, *mends):
    assert row["state"] == state and text in row["text"], row
    for mend in mends:
        assert mend in row["mend"], row


def test_a_missing_device_names_the_module_of_this_cpu():
    for vendor, flag, module in (("GenuineIntel", "vmx", "kvm-intel"), ("AuthenticAMD", "svm", "kvm-amd")):
        for distro in RELEASES:
            with Host(distro, (vendor, flag)) as host:
                code, rows = host.doctor()
                mends = [f'boot.kernelModules = [ "{module}" ];', "nixos-rebuild switch"] if distro == "nixos" else [
                    f"sudo modprobe {module} && echo {module} | sudo tee /etc/modules-load.d/kvm.conf"]
                assert code == 1
                expect(rows["kvm-device"], "fail", "although this CPU can virtualise", *mends)
                expect(rows["kvm-access"], "warn", "not looked at")
                expect(rows["kvm-proof"], "warn", "not proven: there is no device")
                expect(rows["start"], "fail", "cannot start bottles: there is no '/dev/kvm'", )


def test_a_cpu_without_virtualisation_is_for_the_firmware():
    with Host(cpu=("AuthenticAMD", "lm")) as host:
        code, rows = host.doctor()
        assert code == 1
        expect(rows["kvm-device"], "fail", "this CPU shows no virtualisation (neither vmx nor svm)", "firmware",
               "nested virtualisation")
        assert "modprobe" not in rows["kvm-device"]["mend"]


def test_a_device_that_is_not_open_to_this_user():
    with Host(mode=0o000) as host:
        code, rows = host.doctor(become="user")
        assert code == 1
        expect(rows["kvm-device"], "ok", "is there")
        expect(rows["kvm-access"], "fail", "is not open to you", "sudo chgrp kvm /dev/kvm", "sudo chmod 660 /dev/kvm",
               "sudo usermod -aG kvm", "log in again")
        expect(rows["kvm-proof"], "warn", "not proven: the device is not open to you")
    with Host("nixos", mode=0o000) as host:
        _, rows = host.doctor(become="user")
        expect(rows["kvm-access"], "fail", "is not open to you", '.extraGroups = [ "kvm" ];', "nixos-rebuild switch",
               "log in again")


def test_a_device_of_a_group_names_the_command_that_adds_the_user():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: a file of another group is made")
    with Host(mode=0o660) as host:
        host.write("group", "root:x:0:\nkvm:x:61234:\nnogroup:x:65534:\n")
        os.chown(f"{host.top}/kvm", 0, 61234)
        _, rows = host.doctor(become="user")
        expect(rows["kvm-access"], "fail", "open to group 'kvm' only, and you are not in it",
               "sudo usermod -aG kvm nobody, then log in again")
        host.write("group", "root:x:0:\nkvm:x:61234:nobody\nnogroup:x:65534:\n")
        _, rows = host.doctor(become="user")
        expect(rows["kvm-access"], "fail", "you were added to group 'kvm' after it began", "log in again")


def test_a_device_that_does_not_work():
    with Host(kvm="/dev/null") as host:
        code, rows = host.doctor()
        assert code == 1
        expect(rows["kvm-access"], "ok", "read and written")
        expect(rows["kvm-proof"], "fail", "'/dev/kvm' is there but not usable", "sudo dmesg | grep -i kvm")


def test_without_qemu_or_image_it_is_not_proven():
    installs = {"debian": "sudo apt install qemu-system-x86", "fedora": "sudo dnf install qemu-system-x86-core",
                "arch": "sudo pacman -S qemu-system-x86", "nixos": "pkgs.qemu"}
    qemu = ("/usr/bin/qemu-system-x86_64", "/usr/local/bin/qemu-system-x86_64")
    for distro, install in installs.items():
        with Host(distro, kvm="/dev/kvm", hidden=qemu) as host:
            if not os.path.exists("/dev/kvm"):
                raise unittest.SkipTest("this host has no /dev/kvm")
            _, rows = host.doctor()
            if rows["kvm-access"]["state"] != "ok" or "not usable" in rows["kvm-proof"]["text"]:
                raise unittest.SkipTest("this host's /dev/kvm makes no virtual machine")
            expect(rows["kvm-proof"], "warn", "not proven: '/dev/kvm' opens, but QEMU, whose guest would prove it, is not "
                   "installed", install, "bot-bottle doctor --backend smolmachines")
    with Host(kvm="/dev/kvm") as host:  # QEMU is there, and no image
        code, rows = host.doctor()
        expect(rows["kvm-proof"], "warn", "not proven: '/dev/kvm' opens, but image 'base', whose kernel would prove it, is "
               "not built", "bot-bottle image build base")
        assert code == 0 and "not proven" in rows["start"]["text"], rows["start"]


def test_no_smolvm_and_the_wrong_one():
    with Host(version=None) as host:
        _, rows = host.doctor()
        expect(rows["smolvm"], "fail", "'smolvm' is not on PATH", "1.7.5 or later", "docs/linux.md")
        expect(rows["version"], "warn", "not looked at")
    with Host("nixos", version=None) as host:
        _, rows = host.doctor()
        expect(rows["smolvm"], "fail", "'smolvm' is not on PATH", "github:smol-machines/smolvm", "nixos-rebuild switch")
    for version, why in (("0.8.2", "not proven to enforce"), ("1.7.4", "cannot be made from an image"),
                         ("0.7.0", "older than")):
        with Host(version=version) as host:
            _, rows = host.doctor()
            expect(rows["version"], "fail", f"smolvm {version} is refused")
            assert why in rows["version"]["text"] and "install smolvm 1.7.5 or later" in rows["version"]["text"], rows
    with Host() as host:
        host.write("bin/smolvm", "#!/bin/sh\necho smolvm next\n")
        _, rows = host.doctor()
        expect(rows["version"], "fail", "instead of 'smolvm MAJOR.MINOR.PATCH'")


def test_tsi_mode_needs_what_packs_images():
    with Host("fedora", version="0.8.1", hidden=("/usr/bin/skopeo",)) as host:
        _, rows = host.doctor()
        expect(rows["packing"], "fail", "'skopeo' is not installed")
        assert "sudo dnf install skopeo" in rows["packing"]["text"], rows["packing"]


def test_it_always_says_that_no_real_smolvm_has_verified_it():
    with Host(kvm="/dev/null") as host:
        for argv in (("--backend", "smolmachines"), ("--backend", "smolmachines", "--quick")):
            done = host.run("doctor", *argv)
            assert "not yet verified on a real smolvm" in done.stdout, done


def test_without_being_asked_for_it_is_only_a_warning():
    with Host(version=None) as host:
        done = host.run("doctor", "--quick", "--json")
        rows = {r["check"]: r for r in json.loads(done.stdout) if r["part"] == "smolmachines"}
        assert {r["state"] for r in rows.values()} == {"warn"}, rows
        expect(rows["kvm-device"], "warn", "there is no '/dev/kvm'", "modprobe kvm-intel")
        expect(rows["start"], "warn", "cannot start bottles")


def test_start_stops_with_the_same_words_before_anything_is_made():
    with Host(kvm="/dev/null") as host:
        _, rows = host.doctor()
        for name, front in (("bottles", "egress:\n  routes: []\n"), ("agents", "bottle: dev\n")):
            os.makedirs(f"{host.top}/home/bottles/{name}")
            host.write(f"home/bottles/{name}/dev.md", f"---\n{front}---\n")
        before = sorted(os.listdir(f"{host.top}/home"))
        done = host.run("start", "dev", "--backend", "smolmachines", "--headless", "--yes", "--prompt", "x")
        assert done.returncode == 125, done
        assert rows["kvm-proof"]["text"] in done.stderr and rows["kvm-proof"]["mend"] in done.stderr, done.stderr
        assert sorted(os.listdir(f"{host.top}/home/bottles")) == ["agents", "bottles"], os.listdir(f"{host.top}/home/bottles")
        assert sorted(os.listdir(f"{host.top}/home")) == before, os.listdir(f"{host.top}/home")
