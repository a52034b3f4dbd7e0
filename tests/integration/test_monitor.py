"""The monitor's rule over life and death, with a guest and parts that a test can make misbehave: the real
channel and bottle-init, stand-ins for the others (fakes/). What the real bundle does is in test_life.py."""

import contextlib
import os
import signal
import stat
import struct
import time
import unittest

import bundle
from bundle import FLAG_MAIN, Control, Gone, LaunchFailed, Plan, is_running, tlv, wait_for
from stage import FAKES, REAL_GUEST, SAYS_LAST_WORDS, SILENT, WRONG_VERSION, Stage, launch_fails


# Life

def test_a_bottle_starts_runs_commands_and_ends_with_the_agents_code():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        assert m.steps, "no step was told"
        with m.control() as c:
            status = c.status()
            assert status["phase"] == "running" and not status["held"]
            assert set(status["parts"]) == {"monitor", "egress", "channel", "recorder", "dialler"}
            assert c.run("sh", "-c", "echo out; echo err >&2; exit 3") == (3, b"out\n", b"err\n")
            assert s.home.meta(m.identity)["has_ended"] is False
            with m.control() as watcher:
                watcher.link.send(bundle.CONTROL_WATCH)
                assert c.run("sh", "-c", "echo main; exit 7", flags=FLAG_MAIN)[:2] == (7, b"main\n")
                end = watcher.wait_end()
        assert (end["code"], end["kept"], end["problem"]) == (7, False, None), end
        assert m.wait_exit() == 0
        meta = s.home.meta(m.identity)
        assert meta["has_ended"] and meta["exit_code"] == 7
        with open(s.home.state(m.identity, "session.log"), "rb") as f:
            assert b"main\n" in f.read()
        s.expect_nothing_left()


def test_a_slow_reader_gets_all_output_of_the_main_session():
    size = 3_000_000
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(
                c.start("sh", "-c", f"head -c {size} /dev/zero; exit 0", flags=FLAG_MAIN)) as stream:
            time.sleep(0.3)  # slow on purpose: the guest is done with writing what the windows hold
            code, out, _ = stream.result()
            assert (code, len(out)) == (0, size)
        assert m.wait_exit() == 0


def test_a_main_session_that_cannot_be_run_ends_the_bottle_with_127():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, m.control() as watcher:
            watcher.link.send(bundle.CONTROL_WATCH)
            assert c.run("no-such-program", flags=FLAG_MAIN)[0] == 127
            assert watcher.wait_end()["code"] == 127
        s.expect_nothing_left()


def test_there_is_one_main_session():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(c.start("sleep", "100", flags=FLAG_MAIN)):
            try:
                c.start("true", flags=FLAG_MAIN)
            except OSError:
                pass
            else:
                raise AssertionError("a second main session was started")
            assert "operator" in c.stop()["reason"]


def test_everything_of_a_bottle_is_private():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        for top in (s.home.state(m.identity), os.path.join(s.home.run, "bot-bottle")):
            for folder, _, files in os.walk(top):
                assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700, folder
                for name in files:
                    mode = os.lstat(os.path.join(folder, name)).st_mode
                    assert stat.S_ISLNK(mode) or stat.S_ISSOCK(mode) or stat.S_IMODE(mode) == 0o600, name
        with m.control() as c:
            c.stop()


# The end by will

def test_stop_answers_when_everything_is_gone():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(c.start("sleep", "1000", flags=FLAG_MAIN)):
            end = c.stop()
            assert end["reason"] == "stopped by the operator", end
            assert s.home.meta(m.identity)["has_ended"]
            assert s.home.run_dirs() == []
        m.wait_exit()
        s.expect_nothing_left()


def test_sigterm_ends_a_bottle_gracefully():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(c.start(
                "sh", "-c", "trap 'echo last words; exit 0' TERM; echo up; while :; do sleep 0.1; done",
                flags=FLAG_MAIN)) as stream:
            frames = stream.frames()
            while next(frames)[1] != b"up\n":
                pass
            m.process.terminate()
            assert b"".join(body for kind, body in frames if kind == bundle.EXEC_STDOUT) == b"last words\n"
        m.wait_exit()
        assert "told to end" in s.home.meta(m.identity)["reason"]
        s.expect_nothing_left()


def test_a_bottle_ends_when_its_time_is_over():
    with Stage() as s, s.launch(Plan(max_seconds=1)) as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(c.start("sleep", "1000", flags=FLAG_MAIN)):
            c.link.send(bundle.CONTROL_WATCH)
            end = c.wait_end()
        assert "its time of 1 s is over" == end["reason"], end
        s.expect_nothing_left()


def test_a_lost_terminal_ends_an_interactive_bottle_after_the_grace():
    with Stage() as s, s.launch(Plan(headless=False, orphan_grace_ms=300)) as m:
        m.wait_ready()
        terminal, watcher = m.control(), m.control()
        watcher.link.send(bundle.CONTROL_WATCH)
        terminal.link.send(bundle.CONTROL_HOLD)
        stream = terminal.start("sleep", "1000", flags=FLAG_MAIN)
        assert watcher.status()["held"]
        terminal.close()
        stream.close()
        end = watcher.wait_end(5)
        watcher.close()
        assert "terminal was lost" in end["reason"], end
        s.expect_nothing_left()


def looked_at_until_it_ends(s, m):
    """Asks for the status on a new connection each time, as `list` does, until nobody answers."""
    began = time.monotonic()
    while served(m):
        assert time.monotonic() < began + 6, "it lives on as long as somebody looks at it"
        time.sleep(0.05)
    m.wait_exit()
    s.expect_nothing_left()
    return s.home.meta(m.identity)["reason"]


def test_looking_at_a_bottle_that_lost_its_terminal_does_not_prolong_its_life():
    with Stage() as s, s.launch(Plan(headless=False, orphan_grace_ms=500)) as m:
        m.wait_ready()
        with m.control() as c:
            c.link.send(bundle.CONTROL_HOLD)
            c.start("sleep", "1000", flags=FLAG_MAIN).close()
        assert "terminal was lost" in looked_at_until_it_ends(s, m)


def test_looking_at_an_abandoned_launch_does_not_prolong_its_life():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        m.report.close()
        assert "interrupted" in looked_at_until_it_ends(s, m)


def test_a_headless_command_may_take_its_time_before_it_starts_the_agent():
    with Stage() as s, s.launch(Plan(orphan_grace_ms=300)) as m:
        m.wait_ready()
        m.report.close()
        with m.control() as c:
            c.link.send(bundle.CONTROL_WATCH)
            time.sleep(2.5)  # longer than an abandoned launch lives: a workspace is being copied in
            assert c.run("true", flags=FLAG_MAIN)[0] == 0
            assert c.wait_end()["code"] == 0


def test_attaching_again_within_the_grace_keeps_the_bottle():
    with Stage() as s, s.launch(Plan(headless=False, orphan_grace_ms=1500)) as m:
        m.wait_ready()
        first = m.control()
        first.link.send(bundle.CONTROL_HOLD)
        stream = first.start("cat", flags=FLAG_MAIN)
        lost = time.monotonic()
        first.close()
        stream.close()
        with m.control() as again:
            again.link.send(bundle.CONTROL_HOLD)
            with contextlib.closing(again.open(bundle.EXEC, b"", bundle.frame(
                    bundle.EXEC_ATTACH, tlv((8, 0))))) as s2:
                wait_for(lambda: time.monotonic() > lost + 1.8, "time passes")
                assert again.status()["held"]
                s2.send(bundle.EXEC_STDIN_EOF)
                assert s2.result()[0] == 0
        m.wait_exit()


def test_a_headless_bottle_goes_on_without_its_command():
    with Stage() as s, s.launch(Plan(orphan_grace_ms=200)) as m:
        m.wait_ready()
        with m.control() as c:
            stream = c.start("sleep", "1.5", flags=FLAG_MAIN)
        stream.close()
        m.report.close()
        began = time.monotonic()
        assert m.wait_exit() == 0
        assert time.monotonic() - began > 1.0
        assert s.home.meta(m.identity)["exit_code"] == 0


# Death

def dies(victim, expected):
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c, contextlib.closing(c.start("sleep", "1000", flags=FLAG_MAIN)):
            c.link.send(bundle.CONTROL_WATCH)
            os.kill(victim(s, c.status()["parts"]), signal.SIGKILL)
            began = time.monotonic()
            end = c.wait_end()
            took = time.monotonic() - began
        assert took < 2.0, f"it took {took:.1f} s"
        assert end["code"] == 125 and expected in end["reason"], end
        m.wait_exit()
        meta = s.home.meta(m.identity)
        assert meta["has_ended"] and meta["reason"] == end["reason"]
        s.expect_nothing_left()


def test_killing_egress_ends_the_bottle_with_the_reason():
    dies(lambda s, parts: parts["egress"], "the egress was killed by signal 9")


def test_killing_channel_ends_the_bottle_with_the_reason():
    dies(lambda s, parts: parts["channel"], "the channel was killed by signal 9")


def test_killing_recorder_ends_the_bottle_with_the_reason():
    dies(lambda s, parts: parts["recorder"], "the recorder was killed by signal 9")


def test_killing_dialler_ends_the_bottle_with_the_reason():
    dies(lambda s, parts: parts["dialler"], "the dialler was killed by signal 9")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(p) for p in f.read().split()]


def test_killing_the_guest_ends_the_bottle_with_the_reason():
    def guest(_, parts):
        return next(p for p in children_of(parts["monitor"]) if p not in parts.values())
    dies(guest, "the guest ended unexpectedly")


def test_killing_the_monitor_takes_everything_with_it():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        with m.control() as c:
            parts = c.status()["parts"]
            c.start("sleep", "1000", flags=FLAG_MAIN).close()
            every = [*parts.values(), *children_of(parts["monitor"])]
            m.process.kill()
            wait_for(lambda: not any(map(is_running, every)), "the parts outlive their monitor", 2.0)
        assert not s.home.meta(m.identity)["has_ended"]  # store_reap() is the next command's


def test_a_part_that_sends_nonsense_is_ended_with_the_bottle():
    with Stage(script={"dialler": ["nonsense"]}) as s:
        reason, _ = launch_fails(s)
    assert "the dialler failed" in reason and "unknown" in reason, reason


# Launches that fail or are interrupted

def test_a_part_that_dies_during_the_launch_undoes_it():
    for name in FAKES:
        for word in ("die", "die-early"):
            with Stage(script={name: [word]}) as s:
                if word == "die":
                    # Ready before it died: the launch may have been over by then.
                    with s.launch() as m:
                        with contextlib.suppress(LaunchFailed):
                            m.wait_ready()
                        m.wait_exit()
                    s.expect_nothing_left()
                    continue
                reason, _ = launch_fails(s)
                assert f"the {name} was killed by signal 9" in reason, (name, word, reason)


def test_a_part_that_says_why_it_ends_is_quoted_without_escapes():
    with Stage(script={"egress": ["error"]}) as s:
        reason, _ = launch_fails(s)
    assert reason == "the egress failed: it does not like this \\x1b[31mhost", reason


def test_a_part_that_is_missing_is_named():
    with Stage() as s:
        os.unlink(os.path.join(s.dir, "bot-bottle-recorder"))
        reason, _ = launch_fails(s)
    assert "bot-bottle-recorder" in reason, reason


def test_a_guest_of_another_version_is_refused():
    with Stage(guest=WRONG_VERSION) as s:
        reason, _ = launch_fails(s)
    assert "version 99" in reason, reason


def test_a_guest_that_dies_early_is_shown_with_its_console():
    with Stage(guest=SAYS_LAST_WORDS) as s:
        reason, console = launch_fails(s)
    assert "guest" in reason, reason
    assert "kernel panic \\x1b[31mred\nsecond line\n" in console, console


def test_a_guest_that_says_nothing_meets_its_deadline():
    with Stage(guest=SILENT) as s:
        reason, _ = launch_fails(s)
    assert "did not say hello within 5000 ms" in reason, reason


def test_an_image_that_is_not_built_is_refused_with_the_command_that_builds_it():
    with Stage() as s:
        reason, _ = launch_fails(s, Plan(image="claude"))
    assert "bot-bottle image build claude" in reason, reason


def test_a_secret_that_did_not_come_fails_the_launch():
    with Stage() as s:
        reason, _ = launch_fails(s, Plan(tokens=["TOKEN"]))
    assert "'TOKEN'" in reason, reason


def test_a_second_start_with_the_same_label_is_refused():
    with Stage() as s, s.launch(Plan(label="work")) as m:
        m.wait_ready()
        with s.launch(Plan(identity="dev-test1", label="work")) as second:
            try:
                second.wait_ready()
                raise AssertionError("it was launched")
            except LaunchFailed as failed:
                assert "label 'work' is in use by bottle 'dev-test0'" in failed.reason
        assert s.home.states() == [m.identity]
        with m.control() as c:
            assert c.status()["phase"] == "running"
            c.stop()


def test_a_launch_interrupted_at_any_step_is_undone():
    for guest in (REAL_GUEST, SILENT):
        for steps in range(4):
            with Stage(guest=guest) as s, s.launch(go=steps > 0) as m:
                with contextlib.suppress(Gone, TimeoutError):
                    for _ in range(steps if guest is REAL_GUEST else min(steps, 2)):
                        m.report.until(bundle.LAUNCH_STEP, timeout=2)
                m.report.close()
                m.wait_exit()
                s.expect_nothing_left()
                if guest is SILENT or steps < 3:
                    assert s.home.states() == [], (steps, s.home.states())


def test_a_command_that_is_killed_right_after_ready_leaves_nothing():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        m.report.close()
        m.wait_exit(10)
        assert "interrupted" in s.home.meta(m.identity)["reason"]
        s.expect_nothing_left()


# control.sock is an edge

def test_a_peer_that_sends_nonsense_is_dropped_and_nobody_else():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        for message in (b"", b"x", struct.pack(">HHI", 9999, 0, 1), struct.pack(">HHI", bundle.CONTROL_OPEN, 7, 1),
                        struct.pack(">HHI", bundle.CONTROL_OPEN, 0, 1),
                        struct.pack(">HHI", bundle.CONTROL_OPEN, 0, 1) + tlv((1, 18)),
                        struct.pack(">HHI", bundle.CONTROL_OPEN, 0, 1) + tlv((1, 16), (9, 1)),
                        struct.pack(">HHI", bundle.CONTROL_WORKSPACE, 0, 1) + tlv((1, "relative")),
                        struct.pack(">HHI", bundle.CHANNEL_MAIN_EXIT, 0, 1) + tlv((1, 0))):
            with m.control() as bad:
                bad.link.sock.send(message)
                try:
                    bad.link.receive(3)
                    raise AssertionError(f"{message!r} was answered")
                except Gone:
                    pass
        with m.control() as c:
            assert c.run("true")[0] == 0
            c.stop()


def test_connections_are_bounded():
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        peers = [m.control() for _ in range(32)]
        peers[-1].status()
        with m.control() as late:
            try:
                late.status()
                raise AssertionError("a 33rd connection is served")
            except (Gone, BrokenPipeError):
                pass
        for peer in peers[1:]:
            peer.close()
        wait_for(lambda: served(m), "a place becomes free")
        peers[0].stop()
        peers[0].close()


def served(m):
    try:
        with m.control() as c:
            return c.status()["phase"] == "running"
    except (Gone, OSError):
        return False


def test_another_user_is_not_served():
    if os.geteuid() != 0:
        raise unittest.SkipTest("only root can become another user")
    with Stage() as s, s.launch() as m:
        m.wait_ready()
        path = os.path.join(s.home.run, "bot-bottle", m.identity)
        folder = path
        while folder != "/":  # the defence under test is the uid, not the directories
            if os.stat(folder).st_uid == 0 and folder.startswith(s.home.path):
                os.chmod(folder, 0o755)
            folder = os.path.dirname(folder)
        os.chmod(os.path.join(path, "control.sock"), 0o777)
        pid = os.fork()
        if pid == 0:
            code = 1
            with contextlib.suppress(BaseException):
                os.setgid(65534)
                os.setuid(65534)
                try:
                    Control(s.home, m.identity).status()
                except (Gone, BrokenPipeError, ConnectionResetError):
                    code = 0
            os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        with m.control() as c:
            c.stop()


def test_the_log_of_the_bundle_is_bounded():
    with Stage(script={"dialler": ["flood"]}) as s, s.launch() as m:
        m.wait_ready()
        log = s.home.state(m.identity, "monitor.log")
        wait_for(lambda: os.path.getsize(log) >= 1 << 20, "the flood fills the log", 10)
        with m.control() as c:
            assert c.run("true")[0] == 0
            c.stop()
        assert os.path.getsize(log) == 1 << 20


def test_these_tests_leave_the_hosts_certificates_alone():
    with open("/etc/ssl/certs/ca-certificates.crt", encoding="ascii") as f:
        assert "a certificate" not in f.read().splitlines()
