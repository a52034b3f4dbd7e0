"""KVM for real, without KVM hardware: an outer machine, emulated, whose CPU has AMD's virtualisation and whose
kernel is Debian 12's own. It is itself a bottle of our microVM backend, from an image that tests/nested builds.
In it our programs look for KVM, are told what is missing, start a bottle under KVM, run a command, copy a file
and end; the namespace backend and the kernel facts we rely on are tried on its older kernel as well.

It has one CPU: QEMU's emulation of several, one thread each, can miss that the kernel patched its own code on
another of them (KVM does so when a guest comes and goes), and both then spin in the breakpoint handler for ever;
seen in 1 of 9 runs on a busy host, with a stack of int3 at the same address on both.

The host may be slow (an idle one starts the inner guest in two seconds, one with ten times more work than cores
in seventeen), so doctor is given a minute for its proof.
"""

import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), os.path.join(os.path.dirname(HERE), "nested")]

from outer import outer_image  # noqa: E402
from rig.bottle import Home, build  # noqa: E402

SERIAL = True
TIMEOUT = 300  # the first boot may have to build the image
ONCE = "the outer machine is the same for every user; inside it both root and node are tried"

BOTTLE = """
image: outer
resources:
  memory: 2G
  cpus: 1
  disk: 4G
egress:
  routes: []
"""
# What the inner bot-bottle is told; TOOLS is where our programs are put.
TOOLS = "/opt/bb"
PRELUDE = f"""
set -eu
export HOME=$(getent passwd "$(id -u)" | cut -d: -f6) XDG_CACHE_HOME=/var/cache BOT_BOTTLE_KVM_SECONDS=60
export XDG_RUNTIME_DIR=/tmp/run-$(id -u) PATH={TOOLS}:$PATH
mkdir -p -m 700 "$XDG_RUNTIME_DIR"
"""
MANIFESTS = """
mkdir -p $HOME/.bot-bottle/bottles $HOME/.bot-bottle/agents
printf -- '---\\nimage: base\\nresources:\\n  memory: 512M\\n  disk: 1G\\negress:\\n  routes: []\\n---\\n' \
    > $HOME/.bot-bottle/bottles/in.md
printf -- '---\\nimage: host\\negress:\\n  routes: []\\n---\\n' > $HOME/.bot-bottle/bottles/ns.md
printf -- '---\\nbottle: in\\n---\\n' > $HOME/.bot-bottle/agents/in.md
printf -- '---\\nbottle: ns\\n---\\n' > $HOME/.bot-bottle/agents/ns.md
"""
PROGRAMS = ("src/bot-bottle", "src/bot-bottle-*", "src/bottle-init")
STUCK = 280  # seconds that a step may take; the slowest, KVM's proof and a bottle, took 120 on a very busy host
home = outer = None


def setup_module():
    global home, outer
    home, outer = boot()
    put_programs()


def boot(programs=None):
    machine = Home(programs, XDG_CACHE_HOME=outer_image(build()), BOT_BOTTLE_ACCEL="tcg")
    machine.bottle("outer", BOTTLE)
    machine.agent("outer", "outer")
    return machine, machine.start("outer", backend="microvm", label="outer").wait_ready(240)


def teardown_module():
    if outer:
        outer.stop()
    if home:
        home.__exit__()


def found(*patterns):
    return [p for pattern in patterns for p in glob.glob(os.path.join(build(), pattern)) if os.path.isfile(p)]


def put_programs():
    with tempfile.TemporaryDirectory() as folder:
        bundle = os.path.join(folder, "bundle")
        os.mkdir(bundle)
        for path in found(*PROGRAMS, "tests/test-platform-*"):
            subprocess.run(["strip", "-o", os.path.join(bundle, os.path.basename(path)), path], check=True)
        home.run("cp", bundle, "outer:/home/node/")
    root(f"mkdir -p {TOOLS}; cp /home/node/bundle/* {TOOLS}; chown -R root:root {TOOLS}; chmod 755 {TOOLS} {TOOLS}/*")


def inside(user, script, check=True):
    """Runs a script in the outer machine; (exit code, both outputs). A machine that is stuck fails the rest at once."""
    global outer
    if outer is None:
        raise AssertionError("the outer machine did not answer an earlier test")
    try:
        done = home.run("exec", "-i", "-u", user, "outer", "--", "sh", "-s", check=False, stdin=None,
                        input=PRELUDE + script, timeout=STUCK)
    except subprocess.TimeoutExpired:
        console = home.run("logs", "outer", "--console", check=False).stdout
        outer.stop()
        outer = None
        raise AssertionError(f"no end after {STUCK} s of:\n{script}\nconsole:\n{console}") from None
    if check and done.returncode != 0:
        raise AssertionError(f"exit {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.returncode, done.stdout + done.stderr


def root(script, **more):
    return inside("root", script, **more)[1]


def doctor(user, *options):
    """{check: {"state", "text", "mend"}} of the microVM backend, as a user of the outer machine sees it."""
    _, out = inside(user, "bot-bottle doctor " + " ".join(options), check=False)
    found, last = {}, None
    for line in out.splitlines():
        match = re.match(r"(\w+)\s+microvm: ([^:]+): (.*)", line)
        if match:
            last = found.setdefault(match.group(2), {"state": match.group(1), "text": match.group(3), "mend": ""})
        elif last is not None and line.startswith("     mend: "):
            last["mend"] = line[11:]
        else:
            last = None
    assert "kvm-device" in found, out
    return found


# The device, in the order in which a person meets its absence.

def test_no_device_names_the_module():
    root("modprobe -r kvm_amd kvm || true; rm -f /dev/kvm")
    seen = doctor("root", "--quick")["kvm-device"]
    assert seen["state"] == "warn" and "modprobe kvm-amd" in seen["mend"], seen


def test_a_cpu_without_svm_is_the_firmware():
    root("sed 's/ svm / /' /proc/cpuinfo > /tmp/cpuinfo; mount --bind /tmp/cpuinfo /proc/cpuinfo")
    try:
        seen = doctor("root", "--quick")["kvm-device"]
    finally:
        root("umount /proc/cpuinfo")
    assert seen["state"] == "warn" and "firmware" in seen["mend"] and "modprobe" not in seen["mend"], seen


def test_a_device_that_is_none_is_not_usable():
    root("mknod -m 666 /dev/kvm c 1 3")
    try:
        seen = doctor("root", "--quick")["kvm-device"]
    finally:
        root("rm -f /dev/kvm")
    assert seen["state"] == "warn" and "not usable" in seen["text"], seen


def test_a_device_of_root_alone_tells_the_user_what_to_do():
    root("modprobe kvm_amd; chown root:root /dev/kvm; chmod 600 /dev/kvm")
    seen = doctor("node", "--quick")["kvm-device"]
    assert seen["state"] == "warn" and "chmod 660" in seen["mend"] and "log in again" in seen["mend"], seen


def test_a_device_of_a_group_names_the_group():
    root("groupadd -f virtualizers; chgrp virtualizers /dev/kvm; chmod 660 /dev/kvm")
    seen = doctor("node", "--quick")["kvm-device"]
    assert "usermod -aG virtualizers node" in seen["mend"] and "log in again" in seen["mend"], seen
    root("gpasswd -a node virtualizers")
    seen = doctor("node", "--quick")["kvm-device"]
    assert seen["mend"].endswith("log in again") and "usermod" not in seen["mend"], seen
    root("chown root:root /dev/kvm; chmod 600 /dev/kvm")


# A guest under KVM.

def test_a_bottle_runs_under_kvm():
    out = root(MANIFESTS + """
rm -f /var/cache/bot-bottle/kvm-verdict
bot-bottle doctor | grep kvm-proof
grep -q '^proved ' /var/cache/bot-bottle/kvm-verdict
export BOT_BOTTLE_ACCEL=kvm
bot-bottle start in --backend microvm --headless --yes --label in -- sleep 1000 > /tmp/start.log 2>&1 &
start=$!
until bot-bottle exec in -- true 2> /dev/null; do
    kill -0 $start 2> /dev/null || { cat /tmp/start.log; exit 1; }
done
bot-bottle exec in -- uname -r
bot-bottle exec in -- sh -c 'echo carried > /home/node/file'
bot-bottle cp in:/home/node/file /tmp/fetched
cat /tmp/fetched /tmp/start.log
bot-bottle exec in -- cat /sys/devices/system/clocksource/clocksource0/current_clocksource
bot-bottle stop in
wait $start || true
bot-bottle list --json
""")
    assert "carried" in out and "microvm (kvm)" in out, out
    assert "kvm-clock" in out, out  # the inner kernel saw KVM, not an emulated CPU
    assert "qemu-system" not in root("ps -eo args | grep '[q]emu-system' || true")


def test_a_broken_kvm_is_remembered_and_emulation_chosen():
    """The device goes away from the jail's view only after doctor saw it open: here by a verdict of this boot."""
    out = root("""
head -n 1 /var/cache/bot-bottle/kvm-verdict > /tmp/verdict
echo 'under KVM a guest ended before its hello; last words: none' >> /tmp/verdict
cp /tmp/verdict /var/cache/bot-bottle/kvm-verdict
bot-bottle doctor --quick | grep -A1 kvm-proof
BOT_BOTTLE_ACCEL=kvm bot-bottle start in --backend microvm --headless --yes -- true 2>&1 && exit 1
rm -f /var/cache/bot-bottle/kvm-verdict
""")
    assert "warn" in out and "ended before its hello" in out and "BOT_BOTTLE_ACCEL asks for KVM" in out, out


# The older kernel.

def test_a_namespace_bottle_runs_on_the_releases_kernel():
    for user in ("root", "node"):
        _, out = inside(user, MANIFESTS + """
bot-bottle start ns --backend namespace --headless --yes -- sh -c 'id -u; uname -r; ls -A /sys; exit 7' && exit 1
test $? = 7
""")
        assert "1000" in out and "shared kernel" in out, out


def test_the_kernel_facts_hold_on_the_releases_kernel():
    out = root(f"""
cd {TOOLS}
for t in test-platform-*; do
    test -x "$t" || continue
    echo "== $t"
    CMOCKA_MESSAGE_OUTPUT=TAP ./$t || true
done
""")
    assert "\nok " in out or "== test-platform" not in out, out
    bad = [line for line in out.splitlines() if line.startswith("not ok") and "# SKIP" not in line]
    assert not bad, out
    if "== test-platform" not in out:
        raise AssertionError("the build has no tests/platform programs")


# A machine whose CPU has no virtualisation at all.

def test_a_real_cpu_without_svm():
    with tempfile.TemporaryDirectory() as programs:
        for path in found(*PROGRAMS):
            shutil.copy(path, programs)
        shutil.copy(os.path.join(build(), "tests/nested/bot-bottle-monitor-without-svm"),
                    os.path.join(programs, "bot-bottle-monitor"))
        machine, bottle = boot(programs)
        with machine, bottle:
            bottle.exec("grep", "-q", "-w", "lm", "/proc/cpuinfo", check=True)
            assert bottle.exec("grep", "-q", "-w", "svm", "/proc/cpuinfo").returncode == 1
            machine.run("cp", os.path.join(build(), "src/bot-bottle"), "outer:/home/node/bot-bottle")
            machine.run("cp", *found("src/bottle-init"), "outer:/home/node/bottle-init")
            doctor_run = "cd /home/node; ./bot-bottle doctor --quick | grep -A1 kvm-device"
            done = bottle.sh("modprobe kvm_amd; rm -f /dev/kvm; " + doctor_run, options=("-u", "root"))
            assert "shows no virtualisation" in done.stdout and "firmware" in done.stdout, done
            done = bottle.sh("mknod -m 666 /dev/kvm c 10 232; " + doctor_run, options=("-u", "root"))
            assert "not usable" in done.stdout, done
