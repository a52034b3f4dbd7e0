"""Bottles on smolmachines that are cut short, on the stand-in smolvm: kill -9 of the keeper, of the monitor and of both,
and Ctrl-C, behind each of the six steps of a launch, in TSI mode and in socket mode; a smolvm that is killed half way;
ends that take long. After the next command nothing is left. And the pool of addresses, by fifty at once."""

import concurrent.futures
import contextlib
import fcntl
import glob
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bundle import is_running, wait_for  # noqa: E402
from rig.bottle import IDLE, build  # noqa: E402
from rig.ipc import IPC, Link  # noqa: E402
from rig.machines import Machines, Store, copy_programs  # noqa: E402
from test_launch import descendants, find  # noqa: E402

TIMEOUT = 100
TSI, SOCKET = "0.8.1", "1.9.3"
AT_ONCE = 3  # launches side by side
# (step, what the keeper says when it is done: the beginning of the next; see keeper.c)
STEPS = (("allocate", "waiting for the bottle's certificate"), ("mint", "opening the machine's door"),
         ("bundle", "waiting for the bundle"), ("discover", "starting the machine"), ("launch", "setting up the machine"),
         ("init", "started"))
VICTIMS = {"keeper": ("keeper",), "monitor": ("monitor",), "both": ("keeper", "monitor")}
REMAINS = "its machine is not removed yet"
BOTTLE = "image: base\negress:\n  routes:\n    - host: allowed.test\n"
shared = {}


def setup_module():
    shared["store"] = Store()
    shared["programs"] = copy_programs(os.path.join(shared["store"].folder, "programs"),
                                       os.path.join(build(), "tests/integration/fakes/keeper-that-holds"))
    with Cut(TSI) as home:  # makes the archive and the pack, which the others find
        home.hold("taking an address for the machine")
        home.begin()
        home.wait_held()
        home.interrupt()


def teardown_module():
    shared["store"].close()


class Cut(Machines):
    """A home whose keeper can be held at a step."""

    def __init__(self, version, **more):
        super().__init__(version, shared["store"], programs=shared["programs"], **more)
        self.bottle("dev", BOTTLE)
        self.agent("me", "dev")
        self.command, self.seen, self.out = None, [], ""

    def hold(self, text):
        with open(os.path.join(self.top, "hold"), "w", encoding="ascii") as f:
            f.write(text)

    def go_on(self):
        os.unlink(os.path.join(self.top, "hold"))

    def begin(self, *argv):
        self.command = subprocess.Popen(
            [self.program, "start", "me", "--backend", "smolmachines", "--headless", "--yes", "--label", "box",
             *(argv or ("--prompt", IDLE))], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        return self.command

    def wait_held(self, seconds=60):
        deadline = time.monotonic() + seconds
        while not os.path.exists(os.path.join(self.top, "held")):
            assert self.command.poll() is None, self.command.communicate()
            assert time.monotonic() < deadline, "the step was not reached"
            time.sleep(0.01)
        self.look()

    def look(self):
        """Whatever runs now is to be gone in the end."""
        self.seen = descendants(self.command.pid)

    def kill(self, *names):
        pids = [find(self.command.pid, "bot-bottle-" + name) for name in names]
        assert all(pids), (names, pids)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)

    def end(self, seconds=40):
        self.out, _ = self.command.communicate(timeout=seconds)
        return self.command.returncode

    def interrupt(self):
        """Ctrl-C; how long it took."""
        began = time.monotonic()
        self.command.send_signal(signal.SIGINT)
        code = self.end()
        assert code == 130, (code, self.out)
        return time.monotonic() - began

    def processes(self):
        """Those that name this home in their arguments or their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            for name in ("cmdline", "environ"):
                with contextlib.suppress(OSError), open(f"/proc/{pid}/{name}", "rb") as f:
                    if self.top.encode() in f.read() and is_running(int(pid)) and int(pid) not in found:
                        found.append(int(pid))
        return found

    def addresses(self):
        """The holder of each address that is taken."""
        held = {}
        for path in glob.glob(os.path.join(self.top, "run/bot-bottle/.aliases/127.*")):
            with open(path, encoding="ascii") as f:
                try:
                    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    held[os.path.basename(path)] = f.read().strip()
        return held

    def remains(self):
        """All that a bottle may leave behind, by kind."""
        found = {"machine, folder, record or socket": self.left(), "address": self.addresses(),
                 "process": [p for p in {*self.processes(), *self.seen} if is_running(p)],
                 "state": os.listdir(os.path.join(self.root, "state")) if os.path.isdir(
                     os.path.join(self.root, "state")) else []}
        with open("/proc/net/unix", encoding="utf-8") as f:
            found["socket"] = [line for line in f if self.top in line]
        found["state"] = [n for n in found["state"] if not n.startswith(".")]
        return {k: v for k, v in found.items() if v}

    def expect_nothing(self):
        """With the next command, of a bottle at most its epitaph is there; cleanup removes that."""
        ended = self.list()
        assert all(b["state"] == "ended" for b in ended), ended
        if ended:
            self.run("cleanup", "--yes")
        wait_for(lambda: not self.remains(), f"something is left: {self.remains()}", 3)


def side_by_side(work, jobs):
    """All are done; then the failures, each with its job."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        running = {pool.submit(work, *job): job for job in jobs}
        failed = [f"{running[f]}: {f.exception()!r}" for f in concurrent.futures.as_completed(running) if f.exception()]
    assert not failed, "\n".join(failed)


# kill -9

def cut(version, step, text, victims):
    with Cut(version) as home:
        home.hold(text)
        home.begin()
        home.wait_held()
        if step in ("launch", "init"):
            assert len(home.machines()) == 1  # else nothing would be shown
        home.kill(*VICTIMS[victims])
        code = home.end()
        assert code == 125, (code, home.out)
        if victims == "keeper":
            assert "the guest ended unexpectedly" in home.out, home.out
        else:
            assert re.search("monitor (ended|is gone)", home.out), home.out
        if step in ("launch", "init") and victims == "both":
            assert home.machines() and home.records()  # still there: the next command has something to do
        home.expect_nothing()


def every_cut(version):
    side_by_side(cut, [(version, step, text, victims) for step, text in STEPS for victims in VICTIMS])


def test_kill_9_behind_each_step_in_tsi_mode():
    every_cut(TSI)


def test_kill_9_behind_each_step_in_socket_mode():
    every_cut(SOCKET)


def interrupted(version, step, text):
    with Cut(version) as home:
        home.hold(text)
        home.begin()
        home.wait_held()
        took = home.interrupt()
        assert took < 10, took
        left = home.remains()  # no other command is needed
        if step == "init":  # the guest may have been ready just then: it is a bottle that ended
            left.pop("state", None)
        assert not left, (step, left)
        assert "interrupted" in home.out, home.out
        home.expect_nothing()


def test_ctrl_c_behind_each_step():
    side_by_side(interrupted, [(version, *step) for version in (TSI, SOCKET) for step in STEPS])


# smolvm itself, killed in the middle of a command

def cut_in_start(version, victims):
    """The machine's process is there, and no row says so yet."""
    with Cut(version, start_seconds=30) as home:
        home.begin()
        pids = os.path.join(home.cache, "smolvm/vms/*/agent.pid")
        wait_for(lambda: glob.glob(pids), "a machine is about to be started", 30)
        with open(glob.glob(pids)[0], encoding="ascii") as f:
            machine = int(f.read())
        assert home.machines()[0]["pid"] is None and is_running(machine)
        home.look()
        home.seen.append(machine)
        if victims:
            home.kill(*VICTIMS[victims])
            assert home.end() == 125, home.out
        else:
            home.interrupt()
            assert not home.remains(), home.remains()
        home.expect_nothing()


def test_a_machine_that_no_row_knows_of_is_ended():
    side_by_side(cut_in_start, [(v, who) for v in (TSI, SOCKET) for who in ("keeper", "both", None)])


# Steps that fail

def fails(version, says, switches):
    with Cut(version, **switches) as home:
        home.begin()
        code = home.end()
        assert code == 125 and re.search(says, home.out), (code, home.out)
        assert not home.remains(), home.remains()
        home.expect_nothing()


def test_a_step_that_fails_leaves_nothing():
    side_by_side(fails, [
        (TSI, "launch: 'smolvm start' failed with code 1", {"fault": "start-fails"}),
        (SOCKET, "launch: .*krun_start_enter failed", {"fault": "start-fails"}),
        (TSI, "launch: .*expected one row for machine", {"fault": "no-row"}),
        (TSI, "launch: .*otherwise than asked", {"fault": "lost-patch"}),
        (SOCKET, "launch: .*did not become ready", {"fault": "never-ready", "ready_seconds": 1}),
    ])


# The pool of addresses

def private(path, *names):
    """A directory of this user alone, and those above it."""
    for name in names:
        path = os.path.join(path, name)
        os.makedirs(path, 0o700, exist_ok=True)
    return path


class Keeper:
    """A real keeper whose monitor is this test."""

    def __init__(self, home, number):
        self.identity = f"dev-{number:05d}"
        run = private(home.top, "run/bot-bottle", self.identity)
        self.link, theirs = Link.pair()
        with theirs, open("/dev/null", "wb") as console:
            self.process = subprocess.Popen([os.path.join(shared["programs"], "bot-bottle-keeper")], env=home.env,
                                            preexec_fn=lambda: place(theirs.fileno(), console.fileno()), close_fds=False)
        values = {"IDENTITY": self.identity, "IMAGE": "base", "RUN_DIR": run, "CPUS": 1, "MEMORY": ("u64", 1 << 29),
                  "DISK": ("u64", 1 << 29), "PIDS": 64}
        self.link.send("IPC_KEEPER_PLAN", *((IPC["KEEPER_PLAN_" + name], value) for name, value in values.items()))

    def allocated(self):
        """None, or why not."""
        while True:
            name, _, tags, _ = self.link.receive(60)
            text = tags[1].decode()
            if name == "IPC_KEEPER_FAILED":
                return text
            if text == STEPS[0][1]:
                return None

    def close(self):
        self.link.close()
        assert self.process.wait(30) in (0, 1)


def place(*fds):
    """As 3, 4, ... of a child, wherever they are now."""
    above = [os.dup2(fd, 200 + i, inheritable=False) for i, fd in enumerate(fds)]
    for i, fd in enumerate(above):
        os.dup2(fd, 3 + i)


def test_fifty_launches_at_once_get_sixteen_addresses():
    with Cut(TSI) as home:
        keepers = [Keeper(home, i) for i in range(50)]
        answers = {k.identity: k.allocated() for k in keepers}
        held = home.addresses()
        assert sorted(held) == [f"127.0.0.{n}" for n in range(16, 32)], held
        assert sorted(held.values()) == sorted(k for k, why in answers.items() if why is None), (held, answers)
        refused = [why for why in answers.values() if why is not None]
        assert len(refused) == 34, answers
        for why in refused:
            assert why.startswith("allocate: the pool of loopback addresses is full: all 16 are held by bottles that "
                                  "live (127.0.0.16 dev-"), why
            assert why.endswith("; stop one") and why.count("127.0.0.") == 16, why
        for k in keepers:
            k.close()
        assert home.addresses() == {} and home.records() == [], (home.addresses(), home.records())
        # Free again, and the lowest is taken.
        again = Keeper(home, 99)
        assert again.allocated() is None and home.addresses() == {"127.0.0.16": "dev-00099"}, home.addresses()
        again.close()


def test_a_start_with_a_full_pool_says_who_holds_it():
    with Cut(TSI) as home, contextlib.ExitStack() as held:
        pool = private(home.top, "run/bot-bottle", ".aliases")
        for n in range(16, 32):
            f = held.enter_context(open(os.path.join(pool, f"127.0.0.{n}"), "w", encoding="ascii"))
            f.write(f"other-{n}")
            f.flush()
            fcntl.flock(f, fcntl.LOCK_EX)
        home.begin()
        assert home.end() == 125, home.out
        assert "the pool of loopback addresses is full" in home.out and "127.0.0.31 other-31" in home.out, home.out
        assert home.left() == [] and home.list() == [], home.left()


# Ends that take long

def slow_interrupt():
    with Cut(TSI, stop_seconds=12.5) as home:
        home.hold("started")
        home.begin()
        home.wait_held()
        took = home.interrupt()
        assert took < 15, took
        assert REMAINS in home.out and home.machines(), home.out
        home.expect_nothing()


def slow_stop():
    with Cut(SOCKET, stop_seconds=12.5) as home:
        home.begin()
        wait_for(lambda: home.run("exec", "box", "--", "true", check=False).returncode == 0, "it runs", 60)
        home.look()
        stop = subprocess.Popen([home.program, "stop", "box"], env=home.env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        answers = []
        while stop.poll() is None:  # who asks meanwhile is answered at once
            began = time.monotonic()
            home.list()
            answers.append(time.monotonic() - began)
            time.sleep(0.2)
        out, _ = stop.communicate()
        assert stop.returncode == 0 and REMAINS in out and "has ended" in out, (stop.returncode, out)
        assert max(answers) < 5 and len(answers) > 10, answers
        assert home.end() != 0
        home.expect_nothing()


def failed_delete():
    """smolvm says that it did not work: told at once, and tried again."""
    with Cut(SOCKET, hook='[ "$2" != delete ] || [ -e "$DB.tried" ] || { touch "$DB.tried"; code=1; }') as home:
        home.hold("started")
        home.begin()
        home.wait_held()
        assert home.interrupt() < 8 and REMAINS in home.out, home.out
        assert home.records()
        assert "had lost its keeper; it is removed" in home.run("list").stderr
        home.expect_nothing()


def test_an_end_is_bounded_and_what_is_left_goes_with_the_next_command():
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(work) for work in (slow_interrupt, slow_stop, failed_delete)]:
            done.result()
