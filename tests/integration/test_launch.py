"""Launches that are cut short, on both backends: kill -9 of each process, QEMU among them, and Ctrl-C on the
operator's terminal, at every step that the launch tells. Afterwards nothing is left, whatever had been reached."""

import contextlib
import os
import re
import signal
import time

from bundle import is_running, wait_for
from test_cli_terminal import Terminal
from test_life import PARTS, Bottles, children_of, microvm_image

TIMEOUT = 240
IMAGES = {"namespace": "host", "microvm": "base"}
# What the launch says, in this order; see role/monitor/launch.c and cli/cmd_start.c.
STEPS = (b"starting the guest and its bundle", b"waiting for the guest to say hello", b"setting up the guest",
         b" runs on ")
QEMU = "qemu-system-x86_64"
MONITOR = "bot-bottle-monitor"


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        with contextlib.suppress(OSError):
            below = children_of(todo.pop())
            found += below
            todo += below
    return found


def name_of(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="ascii") as f:
        return f.read().strip()
    return ""


def find(pid, program):
    """The process of that program below pid, or None. comm has 15 bytes: "bot-bottle-egress" is cut."""
    return next((p for p in descendants(pid) if name_of(p) == program[:15]), None)


def expect_undone(home, seen):
    """No bottle remains: not in `list`, not in the file system, no process that there was."""
    assert home.list() == [], home.list()
    home.expect_nothing_left(seen)
    assert home.states() == [], home.states()
    code, out = home.command("cleanup", "--yes")
    assert code == 0 and "nothing to clean up" in out, out


def kill_at_once(victim, backend="namespace"):
    """Kills the process as soon as it is seen. A namespace guest may have started its agent by then."""
    with Bottles() as home:
        if backend == "microvm":
            microvm_image(home)
        command = home.start("sleep", "1000", backend=backend, image=IMAGES[backend])
        deadline = time.monotonic() + 20
        pid = None
        while pid is None and time.monotonic() < deadline:
            pid = find(command.pid, victim)
        assert pid, f"{victim} was not seen: {command.communicate()}"
        seen = descendants(command.pid)
        home.states()
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        out, _ = command.communicate(timeout=30)
        took = time.monotonic() - began
        assert took < 2.0, f"it took {took:.1f} s"
        assert command.returncode == 125, (command.returncode, out)
        # Reaps after a killed monitor, as soon as what it was about to start is gone as well.
        wait_for(lambda: all(b["state"] == "ended" for b in home.list()), "it is over", 2)
        ended = home.list()
        if ended:  # what a killed monitor began is reaped as a bottle that ended
            assert victim == MONITOR or (backend == "namespace" and " runs on " in out), (ended, out)
            code, cleaned = home.command("cleanup", "--yes")
            assert code == 0, cleaned
        expect_undone(home, seen)
        return out


def kill_each_part(backend):
    for name in PARTS:
        out = kill_at_once(f"bot-bottle-{name}", backend)
        assert re.search(r"killed by signal 9|ended unexpectedly|failed", out), out


def test_killing_a_part_during_the_launch():
    kill_each_part("namespace")


def test_killing_a_part_during_the_launch_of_a_microvm():
    kill_each_part("microvm")


def test_killing_the_guest_during_the_launch():
    out = kill_at_once(".bottle-init")
    assert re.search("guest", out), out


def test_killing_the_monitor_during_the_launch():
    for backend in IMAGES:
        out = kill_at_once(MONITOR, backend)
        assert re.search("monitor ended (without a word|at once)", out), out


def test_killing_qemu_as_soon_as_it_is_there():
    out = kill_at_once(QEMU, "microvm")
    assert one_reason(out).startswith("the guest ended unexpectedly"), out


def one_reason(out):
    """The last line, which is the command's own sentence."""
    last = out.strip().splitlines()[-1].strip()
    assert last.startswith("bot-bottle: ") and len(last) < 200, out
    return last[len("bot-bottle: "):]


def begin(home, backend, *options):
    return Terminal(home.env, "start", "me", "--yes", "--backend", backend, "--image", IMAGES[backend], *options,
                    "--", "sleep", "1000")


def kill_qemu_at(step, delay):
    with Bottles() as home:
        microvm_image(home)
        terminal = begin(home, "microvm")
        terminal.wait_for(step, timeout=90)
        qemu = find(terminal.pid, QEMU)
        assert qemu, "QEMU is not there"
        seen = descendants(terminal.pid)
        home.states()
        time.sleep(delay)  # the moment is what is varied
        os.kill(qemu, signal.SIGKILL)
        began = time.monotonic()
        code = terminal.end()
        took = time.monotonic() - began
        shown = terminal.seen.decode()
        if " runs on " in shown:
            return False  # it was ready before it was killed
        assert code == 125 and took < 2.0, (code, took, shown)
        assert one_reason(shown.split("\x1b[K")[-1]).startswith("the guest ended unexpectedly"), shown
        expect_undone(home, seen)
    return True


def test_killing_qemu_while_its_kernel_starts():
    for delay in (0.05, 0.5):
        assert kill_qemu_at(STEPS[1], delay), "the guest was ready after half a second"


def test_killing_qemu_between_hello_and_ready():
    # The guest is ready a moment after its hello: three tries to be in between.
    assert any(kill_qemu_at(STEPS[2], 0) for _ in range(3)), "it was never in between"


def test_killing_the_command_during_the_launch():
    for backend, delays in (("namespace", (0.005, 0.02, 0.04, 0.08)), ("microvm", (0.05, 0.5))):
        for delay in delays:
            with Bottles() as home:
                if backend == "microvm":
                    microvm_image(home)
                # Once the agent runs the bottle goes on without its command: it ends by itself then.
                command = home.start("sleep", "1", backend=backend, image=IMAGES[backend])
                time.sleep(delay)  # the moment is what is varied
                seen = descendants(command.pid)
                home.states()
                command.kill()
                command.communicate()
                wait_for(lambda: not [b for b in home.list() if b["state"] != "ended"], "the bottle ends", 30)
                home.expect_nothing_left(seen)


# Ctrl-C

def test_an_interrupt_at_any_moment_of_a_launch():
    codes = set()
    for delay in (0.0, 0.005, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2):
        with Bottles() as home:
            command = home.start("sleep", "1000")
            time.sleep(delay)  # the moment is what is varied
            command.send_signal(signal.SIGINT)
            out, _ = command.communicate(timeout=30)
            codes.add(command.returncode)
            # 130: our own word for it, or the agent's end by SIGINT; -2: before anything was set up.
            assert command.returncode in (130, -signal.SIGINT), (delay, command.returncode, out)
            home.list()
            home.expect_nothing_left()
    assert 130 in codes, codes


def ctrl_c_at(backend, step, *options, delay=0.0):
    """Types it when the step is shown; what the command said from then on."""
    with Bottles() as home:
        if backend == "microvm":
            microvm_image(home)
        terminal = begin(home, backend, *options)
        before = terminal.wait_for(step, timeout=90)
        seen = descendants(terminal.pid)
        home.states()
        time.sleep(delay)  # the moment is what is varied
        terminal.type(b"\x03")
        began = time.monotonic()
        code = terminal.end()
        took = time.monotonic() - began
        shown = (before + terminal.seen).decode()
        assert code == 130, (step, code, shown)
        # An agent that runs is asked to end and given its time; a launch is undone. One that had just become ready
        # waits two seconds for its command, and ends as a bottle.
        assert took < (15 if " runs on " in shown else 5), (step, took, shown)
        ended = home.list()
        assert all(b["state"] == "ended" for b in ended), ended
        assert " runs on " in shown or all("interrupted" in b["reason"] for b in ended), (ended, shown)
        home.expect_nothing_left(seen)
        if ended:
            code, out = home.command("cleanup", "--yes")
            assert code == 0, out
        expect_undone(home, seen)
        return shown


def test_ctrl_c_at_every_step_of_a_launch():
    for step in STEPS:
        shown = ctrl_c_at("namespace", step)
        assert "interrupted" in shown or "session ended (exit 130)" in shown, shown


def test_ctrl_c_while_a_workspace_is_copied_in():
    with Bottles() as home:  # only for a directory that goes with it
        work = os.path.join(home.path, "work")
        os.mkdir(work)
        for i in range(40):
            with open(os.path.join(work, str(i)), "wb") as f:
                f.truncate(1 << 20)
        shown = ctrl_c_at("namespace", STEPS[-1], "--cwd=" + work)
        assert "interrupted" in shown, shown


def test_ctrl_c_at_every_step_of_a_launch_of_a_microvm():
    for step, delay in ((STEPS[0], 0), (STEPS[1], 0), (STEPS[1], 0.5), (STEPS[2], 0), (STEPS[3], 0)):
        shown = ctrl_c_at("microvm", step, delay=delay)
        assert "interrupted" in shown or "session ended (exit 130)" in shown, shown
