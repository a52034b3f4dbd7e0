"""The stand-in smolvm does what the facts say about each version: grammar, outputs, exit codes, records, execs.
What its guests can reach is in test_standin_network.py."""

import contextlib
import json
import os
import pty
import signal
import subprocess
import time
import unittest

import standin
from rig import smolvm

TIMEOUT = 120
KEYS_0_8_0 = ("name state cpus memory_mib pid mounts ports created_at storage_gb overlay_gb image entrypoint cmd "
              "ephemeral gpu gpu_vram_mib restart_policy restart_max_retries restart_count health_cmd "
              "health_interval_secs health_timeout_secs health_retries health_startup_grace_secs network").split()
KEYS_1_9_3 = "cuda forkable cuda_fork_pool_size cuda_vram_limit_mib forkpoint_held labels".split()

stage = standin.Stage()
cli, source, running = stage.cli, stage.source, stage.running
setup_module, teardown_module = stage.open, stage.close


# --- grammar ---

def test_says_first_what_it_is_and_its_version():
    for version in smolvm.VERSIONS:
        with cli(version) as s:
            assert "STAND-IN" in s.ok("--help").splitlines()[0]
            assert s.ok("--version") == f"smolvm {version}\n"


def test_names_are_positional_until_1_0_1_and_an_option_since():
    with cli("0.8.0") as old, cli("1.7.5") as new:
        pack = source(old)
        assert old.ok("machine", "create", *pack, "vm").count("Created machine: vm\n") == 1
        assert old.run("machine", "create", *pack, "--name", "vm").returncode == 2
        archive = source(new)
        assert new.run("machine", "create", *archive, "vm").returncode == 2
        assert new.ok("machine", "create", *archive, "--name", "vm").startswith("Created machine: vm\n")
        assert new.run("machine", "create", *archive, "--name", "vm").returncode == 1  # exists
        for bad in ("a-", "-a", "a--b", "a.b", "x" * 129):
            assert new.run("machine", "create", *archive, f"--name={bad}").returncode == 1, bad


def test_usage_errors_are_2_and_failures_are_1():
    with cli("1.9.3") as s:
        assert s.run("machine", "create", "--no-such").returncode == 2
        for words in (("start", "--name", "no"), ("status", "--name", "no"), ("exec", "--name", "no", "--", "true")):
            done = s.run("machine", *words)
            assert (done.returncode, done.stderr) == (1, b"Error: vm not found: no\n"), done


def test_list_and_status_have_the_keys_of_their_version():
    for version, keys in (("0.8.0", KEYS_0_8_0), ("1.9.3", KEYS_0_8_0 + KEYS_1_9_3)):
        with cli(version) as s:
            assert json.loads(s.ok("machine", "ls", "--json")) == []
            s.create(*source(s))
            status = s.status()
            assert list(status) == keys
            assert json.loads(s.ok("machine", "list", "--json")) == [status]
            assert (status["state"], status["pid"], status["network"]) == ("created", None, False)


def test_local_archives_are_taken_since_1_1_0():
    with cli("0.8.1") as s:
        path = stage.image.archive(os.path.join(stage.folder, "local.tar"), Cmd=standin.FOREVER)
        s.create("--image", path)
        done = s.run("machine", "start", "--name", "vm")
        assert done.returncode == 1 and b"failed to pull" in done.stderr, done


# --- life ---

def test_start_stop_delete():
    for version in smolvm.VERSIONS:
        with running(version) as s:
            pid = s.status()["pid"]
            assert s.status()["state"] == "running" and standin.is_running(pid)
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                assert f.read() == "libkrun VM\n"
            assert os.getsid(pid) == pid
            assert "already running" in s.start()
            config = os.path.join(s.data_dir(), "agent.config.json")
            with open(config, encoding="utf-8") as f:
                assert json.load(f)["resources"]["allowed_cidrs"] is None
            s.ok("machine", "stop", "--name", "vm")
            assert s.status()["state"] == "stopped" and not standin.is_running(pid)
            assert not os.path.exists(config)
            s.exec("sh", "-c", "true")
            kept = s.data_dir()
            s.ok("machine", "delete", *s.named("vm"), "-f")
            assert not os.path.exists(kept) and s.ok("machine", "ls", "--json") == "[]\n"


def test_what_a_guest_wrote_is_there_after_a_restart():
    with running("1.7.5") as s:
        assert s.exec("sh", "-c", "echo kept > /root/file").returncode == 0
        s.ok("machine", "stop", "--name", "vm")
        s.start()
        assert s.exec("cat", "/root/file").stdout == b"kept\n"


def test_delete_of_a_running_machine_leaves_its_process_on_0_8_0_only():
    for version, leaves in (("0.8.0", True), ("0.8.1", False), ("1.9.3", False)):
        with running(version) as s:
            pid = s.status()["pid"]
            s.ok("machine", "delete", *s.named("vm"), "-f")
            assert standin.is_running(pid) == leaves, version


def test_delete_without_force_asks_and_an_end_of_input_is_no():
    with cli("0.8.0") as s:
        s.create(*source(s))
        done = s.run("machine", "delete", "vm")
        assert (done.returncode, done.stdout) == (0, b"Cancelled\n") and b"[y/N]" in done.stderr
        assert s.status()["state"] == "created"
        s.ok("machine", "delete", "vm", stdin=b"y\n")
        assert s.run("machine", "status", "--name", "vm").returncode == 1


def test_stop_of_an_unknown_machine_is_fine_on_0_8_0_only():
    for version, code in (("0.8.0", 0), ("0.8.1", 1), ("1.9.3", 1)):
        with cli(version) as s:
            assert s.run("machine", "stop", "--name", "no").returncode == code


def test_a_killed_vm_takes_its_guest_along():
    with running("1.9.3") as s:
        child = s.popen("machine", "exec", "--name", "vm", "--", *standin.FOREVER, stderr=subprocess.PIPE)
        with child:
            standin.wait_for(lambda: s.exec("sh", "-c", "cat /proc/*/cmdline").stdout.count(b"infinity") > 1)
            os.kill(s.status()["pid"], signal.SIGKILL)
            assert child.wait(20) == 1 and b"connection to VM lost" in child.stderr.read()
        assert s.status()["state"] == "stopped"
        done = s.exec("true")
        assert done.returncode == 1 and b"is not running" in done.stderr, done


# --- exec ---

def test_exit_codes_pass_and_a_signal_is_255_on_0_8_0():
    for version, killed in (("0.8.0", 255), ("0.8.1", 128 + 15), ("1.9.3", 128 + 15)):
        with running(version) as s:
            done = s.exec("sh", "-c", "echo out; echo err >&2; exit 7")
            assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
            assert s.exec("sh", "-c", "kill -TERM $$").returncode == killed
            started = time.monotonic()
            assert s.exec(*standin.FOREVER, flags=("--timeout", "1s")).returncode == 124
            assert time.monotonic() - started < 20


def test_input_is_forwarded_with_i_only():
    with running("0.8.1") as s:
        assert s.exec("cat", stdin=b"words").stdout == b""
        big = os.urandom(1 << 20)
        assert s.exec("cat", flags=("-i",), stdin=big).stdout == big
        read_end, write_end = os.pipe()
        with s.popen("machine", "exec", "--name", "vm", "-i", "--", "sleep", "1", stdin=read_end) as child:
            standin.wait_for(lambda: not os.get_blocking(read_end))  # shared description
        assert child.returncode == 0 and os.get_blocking(read_end)
        os.close(read_end)
        os.close(write_end)


def test_variables_of_image_record_and_exec_the_last_wins_malformed_ones_vanish():
    with running("1.9.3", words=("-e", "A=record", "-e", "B=record", "-e", "nothing", "-e", "=x")) as s:
        done = s.exec("sh", "-c", "echo $FROM_IMAGE $A $B", flags=("-e", "B=exec", "-e", "C"))
        assert done.stdout == b"yes record exec\n"
        assert s.record()["env"] == [["A", "record"], ["B", "record"]]


def test_output_above_11_mib_is_cut_on_0_8_0_and_an_error_since_1_0_0():
    script = "while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done"
    with running("0.8.0") as s:
        done = s.exec("sh", "-c", script)
        assert len(done.stdout) == 11 << 20 and done.returncode != 0
    with running("1.7.5") as s:
        done = s.exec("sh", "-c", script)
        assert done.returncode == 1 and b"Error: output exceeds" in done.stderr


def test_a_dead_client_takes_its_command_along():
    with running("1.9.3") as s:
        with s.popen("machine", "exec", "--name", "vm", "-i", "--", "sleep", "4321", stdin=subprocess.PIPE) as child:
            def seen():
                return b"4321" in s.exec("sh", "-c", "cat /proc/[0-9]*/cmdline | cat").stdout
            standin.wait_for(seen)
            child.kill()
            child.wait()
            standin.wait_for(lambda: not seen())


def _size_in_guest(s, resize):
    main, side = pty.openpty()
    subprocess.run(["stty", "rows", "33", "cols", "111"], stdin=side, check=True)
    script = "stty size; read x; stty size"
    with s.popen("machine", "exec", "--name", "vm", "-it", "--", "sh", "-c", script, stdin=side, stdout=subprocess.PIPE,
                 start_new_session=True) as child:
        first = child.stdout.readline()
        if resize:
            subprocess.run(["stty", "rows", "22", "cols", "99"], stdin=side, check=True)
            child.send_signal(signal.SIGWINCH)
            time.sleep(0.3)  # the size travels by signal; the guest is asked only now
        os.write(main, b"go\r")
        rest = child.stdout.read()
    os.close(main)
    os.close(side)
    return first.split(), rest.split()[-2:]


def test_the_terminal_has_no_size_on_0_8_0():
    with running("0.8.0") as s:
        assert _size_in_guest(s, True) == ([b"0", b"0"], [b"0", b"0"])
    with running("0.8.1") as s:
        assert _size_in_guest(s, True) == ([b"33", b"111"], [b"22", b"99"])
        done = s.exec("stty", "size", flags=("-t",))
        assert done.stdout.split() == [b"24", b"80"]  # no terminal on the host


def test_execs_that_joined_a_workload_die_with_it():
    with running("0.8.0", cmd=["sh", "-c", "until [ -e /root/end ]; do sleep 0.1; done"]) as s:
        with s.popen("machine", "exec", "--name", "vm", "--", "sleep", "60") as joined:
            standin.wait_for(lambda: b"sleep\x0060" in s.exec("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout)
            s.exec("sh", "-c", ": > /root/end")
            assert joined.wait(20) == 137
        done = s.exec("sh", "-c", "echo alone")
        assert (done.returncode, done.stdout) == (0, b"alone\n")
    with running("0.8.0") as s:  # the remedy: a workload that never ends
        assert s.exec("sh", "-c", "sleep 1; echo done").stdout == b"done\n"


def _wait_for_no_workload(s, first_process):
    """start returns while a workload that ends at once may still be ending: an exec then joins it, and dies too."""
    standin.wait_for(lambda: s.exec("cat", "/proc/1/comm").stdout == first_process)


def test_an_interactive_exec_is_the_container_that_later_ones_join():
    with running("0.8.0", cmd=["true"]) as s:
        _wait_for_no_workload(s, b"cat\n")
        with s.popen("machine", "exec", "--name", "vm", "-i", "--", "cat", stdin=subprocess.PIPE,
                     stdout=subprocess.PIPE) as first:
            first.stdin.write(b"x\n")
            first.stdin.flush()
            assert first.stdout.readline() == b"x\n"
            with s.popen("machine", "exec", "--name", "vm", "--", "sleep", "60") as second:
                standin.wait_for(lambda: b"sleep" in s.exec("sh", "-c", "cat /proc/[0-9]*/comm").stdout)
                first.stdin.close()
                assert second.wait(20) == 137
    # A container that lasts, since 1.4: its first process is the agent's, and what one exec left is there for the next.
    for version, first_process, is_same in (("0.8.0", b"cat\n", False), ("1.7.5", b"standin-exec\n", True)):
        with running(version, cmd=["true"]) as s:
            _wait_for_no_workload(s, first_process)
            s.exec("sh", "-c", "sleep 300 < /dev/null > /dev/null 2>&1 &")
            assert (b"sleep" in s.exec("sh", "-c", "cat /proc/[0-9]*/comm").stdout) == is_same, version


def test_joining_execs_take_the_image_user_since_1_6_0():
    for version, uid in (("0.8.1", b"0\n"), ("1.7.5", b"1000\n")):
        with running(version, members={"User": "node"}) as s:
            if not standin.has_id(s.status()["pid"], 1000):
                raise unittest.SkipTest("only one id can be mapped here, so the image's user cannot be taken")
            assert s.exec("id", "-u").stdout == uid


def test_layers_are_laid_over_each_other_whiteouts_since_1_1_0():
    for version, left in (("0.8.1", 0), ("1.7.5", 1)):
        with running(version) as s:
            assert s.exec("cat", "/etc/second").stdout == b"layer\n"
            assert s.exec("cat", "/gone/file").returncode == left, version


def test_a_workload_given_at_create_is_what_runs():
    with cli("1.9.3") as s:
        s.ok("machine", "create", *source(s), "--name", "vm", "--", "sleep", "987654")
        s.start()
        assert s.exec("cat", "/proc/1/cmdline").stdout == b"sleep\x00987654\x00"


# --- database ---

def test_records_are_blobs_in_a_wal_database():
    for version, tables in (("0.8.0", {"vms", "config"}), ("1.9.3", {"vms", "config", "vm_create_reservations",
                                                                    "fork_pools", "fork_pool_snapshots",
                                                                    "fork_pool_slots", "fork_leases"})):
        with cli(version) as s:
            s.create(*source(s))
            with contextlib.closing(s.database()) as db:
                assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
                assert {r[0] for r in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")} == tables
                assert db.execute("SELECT name, typeof(data) FROM vms").fetchall() == [("vm", "blob")]
            record = s.record()
            assert record["allowed_cidrs"] is None and record["network"] is False and record["pid"] is None
            assert "network_backend" not in record and "dns_filter_hosts" not in record
            assert ("published_sockets" in record) == (version == "1.9.3")


def test_a_patch_survives_start_and_unknown_members_do_not():
    with cli("0.8.0") as s:
        s.create(*source(s))
        s.patch(allowed_cidrs=["127.0.0.16/32"], from_a_later_version=1)
        s.start()
        record = s.record()
        assert record["allowed_cidrs"] == ["127.0.0.16/32"] and record["state"] == "running"
        assert "from_a_later_version" not in record
        with open(os.path.join(s.data_dir(), "agent.config.json"), encoding="utf-8") as f:
            assert json.load(f)["resources"]["allowed_cidrs"] == ["127.0.0.16/32"]


def test_a_patch_during_stop_is_lost_until_1_7_5():
    for version, kept in (("0.8.1", None), ("1.7.5", ["127.0.0.16/32"])):
        with running(version, stop_seconds=2) as s:
            pid = s.status()["pid"]
            with s.popen("machine", "stop", "--name", "vm", stdout=subprocess.DEVNULL) as stop:
                standin.wait_for(lambda: not standin.is_running(pid))
                s.patch(allowed_cidrs=["127.0.0.16/32"])
            assert stop.returncode == 0 and s.record()["allowed_cidrs"] == kept, version


def test_one_bad_row_breaks_the_commands_that_list():
    for bad in ("text", b"no json", b'{"name":"x","allowed_cidrs":"127.0.0.1/32"}'):
        with cli("1.9.3") as s:
            s.create(*source(s))
            with contextlib.closing(s.database()) as db:
                db.execute("INSERT INTO vms VALUES ('x', ?)", (bad,))
            for words in (("ls",), ("stop", "--name", "vm"), ("delete", "-f", "--name", "vm")):
                done = s.run("machine", *words)
                assert done.returncode == 1 and done.stderr.startswith(b"Error: database error"), done


def test_the_database_follows_xdg_data_home_only_when_it_is_absolute():
    with cli("0.8.0") as s:
        for value, at in (("relative", ".local/share"), (s.home + "/x", "x")):
            subprocess.run(s.argv("machine", "ls"), env={**s.env(), "XDG_DATA_HOME": value}, check=True,
                           stdout=subprocess.DEVNULL, cwd=s.home)
            assert os.path.exists(os.path.join(s.home, at, "smolvm/server/smolvm.db")), value


# --- packs ---

def test_pack_create_pulls_from_a_registry_over_http():
    with cli("0.8.0") as s, stage.image.registry(Cmd=standin.FOREVER) as (ref, asked):
        out = os.path.join(s.home, "out")
        s.ok("pack", "create", "--image", ref, "-o", out)
        assert os.path.exists(out) and os.path.exists(out + ".smolmachine")
        assert asked[:2] == ["/v2/", "/v2/agents/test/manifests/one"] and len(asked) == 5
        s.ok("pack", "create", "--image", ref, "-o", out + "2.smolmachine")
        assert os.path.exists(out + "2.smolmachine.smolmachine")
    with cli("1.9.3") as s, stage.image.registry(Cmd=standin.FOREVER) as (ref, _):
        assert s.run("pack", "create", "--image", ref, "-o", s.home + "/x.smolmachine").returncode == 1


def test_pack_create_refuses_what_has_another_digest():
    with cli("0.8.0") as s, stage.image.registry(is_false=True) as (ref, _):
        done = s.run("pack", "create", "--image", ref, "-o", s.home + "/out")
        assert done.returncode == 1 and b"has digest" in done.stderr and not os.path.exists(s.home + "/out")


def test_from_drops_the_policy_until_1_8_0():
    with cli("0.8.0") as s:
        pack = source(s)
    for version, cidrs, is_networked in (("0.8.0", None, False), ("1.7.5", None, False),
                                         ("1.9.3", ["10.1.2.3/32"], True)):
        with cli(version) as s:
            s.create(*pack, "--allow-cidr", "10.1.2.3")
            record = s.record()
            assert (record["allowed_cidrs"], record["network"]) == (cidrs, is_networked), version


# --- faults and the host ---

def test_kvm_problems_stop_the_start():
    for state, text in (("missing", b"kvm not available"), ("denied", b"kvm permission denied")):
        with cli("1.9.3", kvm=state) as s:
            s.create(*source(s))
            done = s.run("machine", "start", "--name", "vm")
            assert done.returncode == 1 and text in done.stderr and s.status()["state"] == "created"


def test_faults_of_create_and_start():
    with cli("0.8.0", fault="no-row") as s:
        s.create(*source(s))
        assert s.run("machine", "start", "--name", "vm").returncode == 1
    with cli("0.8.0", fault="text-row") as s:
        s.create(*source(s))
        assert s.run("machine", "ls").returncode == 1
    with cli("0.8.0", fault="busy", busy_seconds=2) as s:
        s.create(*source(s))
        with contextlib.closing(s.database()) as db:
            db.execute("PRAGMA busy_timeout = 0")
            try:
                db.execute("BEGIN IMMEDIATE")
                raise AssertionError("the database is not held")
            except standin.sqlite3.OperationalError:
                pass
            db.execute("PRAGMA busy_timeout = 15000")
            db.execute("BEGIN IMMEDIATE")
    for fault in ("start-fails", "never-ready"):
        with cli("0.8.0", fault=fault, ready_seconds=2) as s:
            s.create(*source(s))
            done = s.run("machine", "start", "--name", "vm")
            assert done.returncode == 1 and done.stderr.splitlines()[-1].startswith(b"Error: agent operation failed")
            assert s.status()["state"] != "running"


def test_faults_of_exec_and_stop():
    for fault, code in (("exec-137", 137), ("exec-empty", 0)):
        with running("0.8.0", fault=fault, fault_count=2) as s:
            seen = [(d.returncode, d.stdout) for d in (s.exec("sh", "-c", "echo x") for _ in range(3))]
            assert seen == [(code, b""), (code, b""), (0, b"x\n")]
    with running("0.8.0", fault="stop-stays") as s:
        pid = s.status()["pid"]
        s.ok("machine", "stop", "--name", "vm")
        assert standin.is_running(pid)
