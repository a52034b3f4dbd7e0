"""Starts of the backend smolmachines that must not come to a bottle: versions that are refused, databases that are not as
they should be, and machines that are not confined although everything says so. Nothing boots in the first two; in all
three nothing is left, and the sentence says what was expected and what was found."""

import json
import os
import subprocess
import threading
import time

from rig.bottle import build
from rig.core import Rig
from rig.machines import SOCKET, TSI, Machines, Store, copy_programs

RIG = True
TIMEOUT = 120

BOTTLE = "image: base\negress:\n  routes:\n    - host: allowed.test\n"
OPEN_KEEPER = os.path.join(build(), "tests/integration/confine/keeper-confines-nothing")
# Changes the record of the one machine, r, in the state database of $DB.
PATCH = """python3 - "$DB" <<'E'
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
name, data = db.execute("SELECT name, data FROM vms").fetchone()
r = json.loads(data)
{code}
db.execute("UPDATE vms SET data = ? WHERE name = ?", (json.dumps(r).encode(), name))
E"""
rig = store = None


def setup_module():
    global rig, store
    rig, store = Rig(), Store()
    rig.__enter__()
    with Machines(SOCKET[0], store) as home:
        home.pack()


def teardown_module():
    store.close()
    rig.__exit__()


def after_create(shell):
    return f'if [ "$1 $2" = "machine create" ]; then\n{shell}\nfi'


def patched(code):
    return after_create(PATCH.format(code=code))


def machines(version, **more):
    home = Machines(version, store, **more)
    home.bottle("dev", BOTTLE)
    home.agent("worker", "dev")
    return home


def start(home):
    """A start that must fail; what it said."""
    done = home.run("start", "worker", "--backend", "smolmachines", "--label", "box", "--headless", "--yes", "--prompt",
                    "echo it ran", check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 125 and "it ran" not in text, (done.returncode, text)
    return text


def expect_left(home, stays):
    if stays == STUCK:
        assert len(home.records()) == 1, home.records()
        return
    assert home.machines() == [] and home.records() == [], (home.machines(), home.records())
    assert stays == LOST or home.left() == [], home.left()


def refused_at(cases, version):
    """Starts with each hook or fault, two at a time; no machine is started, none is left, and the words are said."""
    failures, todo = [], list(cases)

    def work():
        while todo:
            name, (more, words, stays) = todo.pop()
            try:
                with machines(version, **more) as home:
                    text = start(home)
                    assert all(w in text for w in words), f"{words} not in: {text}"
                    assert not home.asked("start"), "it booted"
                    assert (stays == STUCK) == ("was not removed" in text), text
                    expect_left(home, stays)
            except BaseException as e:
                failures.append(f"{name}: {e}")
    threads = [threading.Thread(target=work) for _ in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures, "\n".join(failures)


# ---- versions

def test_a_refused_version_is_asked_for_its_version_and_nothing_else():
    for text, sentence in (
            ("smolvm 0.7.9", "smolvm 0.7.9 is refused"), ("smolvm 0.8.2", "not proven to enforce an allow-list"),
            ("smolvm 1.1.2", "not proven to enforce an allow-list"), ("smolvm 1.1.3", "smolvm 1.1.3 is refused"),
            ("smolvm 1.7.4", "install smolvm 1.7.5 or later"), ("smolvm 1.7", "instead of 'smolvm MAJOR.MINOR.PATCH'"),
            ("smolvm v1.7.5", "MAJOR.MINOR.PATCH"), ("1.7.5", "MAJOR.MINOR.PATCH"), ("smolvm 1.7.5-rc1", "MAJOR.MINOR.PATCH"),
            ("smolvm 1.9.3\nmore", "MAJOR.MINOR.PATCH"), ("", "MAJOR.MINOR.PATCH")):
        with machines("1.9.3") as home:
            with open(os.path.join(home.bin, "smolvm"), "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\necho \"$*\" >> {home.log}\n[ \"$1\" != --version ] || printf '%s\\n' '{text}'\n")
            said = start(home)
            assert sentence in said and "smolvm" in said, (text, said)
            with open(home.log, encoding="ascii") as f:
                assert set(f.read().splitlines()) == {"--version"}, text
            assert not os.path.exists(home.data) and os.listdir(home.cache) == ["bot-bottle"], "something was made"
            assert os.listdir(os.path.join(home.top, "run")) == [] and home.list() == []


# ---- the state database

# After the deletion there is nothing; or only a folder, because smolvm knows no such machine; or smolvm cannot even list
# its machines, and our record stays, for a later command to try again.
GONE, LOST, STUCK = "nothing", "a folder", "a record"
FAULTS = {  # name: (how, what is said, what stays)
    "missing file": ({"hook": after_create('rm -f "$DB" "$DB"-wal "$DB"-shm')}, ("expected the database file",), LOST),
    "missing row": ({"fault": "no-row"}, ("expected one row", "found none"), LOST),
    "another row only": ({"hook": patched('r["name"] = "other"')}, ('name: expected "bot-bottle-', 'found "other"'), GONE),
    "missing key": ({"hook": patched('del r["allowed_cidrs"]')}, ("allowed_cidrs: expected null or a list, found nothing",), GONE),
    "a row of text": ({"fault": "text-row"}, ("expected its data to be a BLOB, found another type",), STUCK),
    "not JSON": ({"hook": patched('db.execute("UPDATE vms SET data = ?", (b"{",)); sys.exit()')},
                 ("expected a JSON object",), STUCK),
    "a list of the wrong type": ({"hook": patched('r["allowed_cidrs"] = "127.0.0.16/32"')},
                                 ("allowed_cidrs: expected", 'found "127.0.0.16/32"'), STUCK),
    "two addresses": ({"hook": patched('r["allowed_cidrs"] = ["127.0.0.16/32", "127.0.0.17/32"]')},
                      ('["127.0.0.16/32"] and nothing else, found ["127.0.0.16/32","127.0.0.17/32"]',), GONE),
    "not on loopback": ({"hook": patched('r["allowed_cidrs"] = ["45.90.7.1/32"]')},
                        ('["127.0.0.16/32"] and nothing else, found ["45.90.7.1/32"]',), GONE),
    "a wider address": ({"hook": patched('r["allowed_cidrs"] = ["127.0.0.0/8"]')}, ('found ["127.0.0.0/8"]',), GONE),
    "a network": ({"hook": patched('r["network"] = True')}, ("network: expected false, found true",), GONE),
    "allowed names": ({"hook": patched('r["dns_filter_hosts"] = ["evil.test"]')},
                      ('dns_filter_hosts: expected nothing, found ["evil.test"]',), GONE),
    "a port": ({"hook": patched('r["ports"] = [[8080, 80]]')}, ("ports: expected nothing, found [[8080,80]]",), GONE),
    "already running": ({"hook": patched('r["state"] = "running"')}, ("state: expected", 'found "running"'), GONE),
    "a patch that does not take": (
        {"hook": patched('db.execute("CREATE TRIGGER undo AFTER UPDATE ON vms WHEN NEW.data <> OLD.data BEGIN "\n'
                         '           "UPDATE vms SET data = OLD.data WHERE name = OLD.name; END"); sys.exit()')},
        ("the allow-list did not take", "allowed_cidrs: expected", "found null"), GONE),
    "a patch of nothing": (
        {"hook": patched('db.execute("CREATE TRIGGER no BEFORE UPDATE ON vms BEGIN SELECT RAISE(IGNORE); END"); sys.exit()')},
        ("expected the patch to change one row", "it changed 0"), GONE),
    "busy": ({"fault": "busy", "busy_seconds": 17}, ("the database is busy", "expected it to be free"), GONE),
}
SOCKET_FAULTS = {
    "a network": FAULTS["a network"], "missing row": FAULTS["missing row"], "a row of text": FAULTS["a row of text"],
    "an allow-list": ({"hook": patched('r["allowed_cidrs"] = ["127.0.0.16/32"]')},
                      ('allowed_cidrs: expected null, found ["127.0.0.16/32"]',), GONE),
    "no socket": ({"hook": patched('r["published_sockets"] = []')},
                  ("published_sockets: expected the bottle's one mounted socket, found []",), GONE),
    "a second socket": ({"hook": patched('r["published_sockets"] *= 2')}, ("the bottle's one mounted socket, found [{",), GONE),
    "virtio-net": ({"hook": patched('r["network_backend"] = "virtio-net"')}, ("network_backend: expected",), GONE),
}


def test_a_database_that_is_not_as_it_should_be_boots_nothing():
    refused_at(FAULTS.items(), TSI[-1])


def test_a_record_with_a_network_boots_nothing_in_socket_mode():
    refused_at(SOCKET_FAULTS.items(), SOCKET[-1])


def test_a_patch_that_smolvm_does_not_heed_is_seen_after_the_start():
    """The database is right, but what is in force is not: the machine has booted, without a network, and goes."""
    for version in TSI:
        with machines(version, fault="lost-patch") as home:
            text = start(home)
            assert "was started otherwise than asked" in text and "agent.config.json: allowed_cidrs: expected" in text \
                and "found null" in text, text
            assert home.asked("start") and home.left() == [], home.left()


# ---- confined on paper only

def red(version, words, **more):
    """A start whose probe fails; what arrived at the rig meanwhile."""
    mark = rig.events.mark()
    with machines(version, **more) as home:
        text = start(home)
        assert "the guest is not confined: it reached " in text and words in text, text
        assert home.asked("start") and home.asked("delete") and home.left() == [], home.left()
    return rig.silence(mark)


def test_the_probe_finds_a_machine_that_the_keeper_did_not_confine():
    """A keeper without force_allowlist(): the network on, nothing patched, nothing compared."""
    programs = copy_programs(os.path.join(store.folder, "open"), OPEN_KEEPER)
    for version in TSI:  # smolvm's own network namespace holds nothing but the bundle, and the canary beside it
        red(version, "an address beside the bundle's; the machine's allow-list is not in force", programs=programs)
    seen = red(SOCKET[-1], "this host's loopback", programs=programs)
    assert {"1.1.1.1", "169.254.169.254"} <= {e.get("address") for e in seen if e["kind"] == "accept"}, seen
    assert [e for e in seen if e["kind"] == "dns" and e["name"].endswith(".example.com")], seen


def test_the_probe_finds_a_machine_that_smolvm_did_not_confine():
    """Ours did everything, and everything that smolvm writes is right."""
    red(TSI[-1], "an address beside the bundle's; the machine's allow-list is not in force", fault="open")
    seen = red(SOCKET[-1], "this host's loopback", fault="open")
    assert {"1.1.1.1", "169.254.169.254"} <= {e.get("address") for e in seen if e["kind"] == "accept"}, seen


def test_twin_the_same_starts_with_nothing_wrong_come_to_a_bottle():
    for version in (TSI[-1], SOCKET[-1]):
        with machines(version, hook=patched("pass")) as home:
            done = home.run("start", "worker", "--backend", "smolmachines", "--headless", "--yes", "--prompt", "echo it ran")
            assert "it ran" in done.stdout and home.asked("start") and home.left() == [], done


# ---- root

def test_root_is_refused_where_its_machine_would_be_another_user():
    """smolvm 1.2.5 and later; nothing is made. Said to stay root it works: every other test of socket mode as root."""
    with machines(SOCKET[-1], env={"BOT_BOTTLE_SMOLVM_AS_ROOT": "0"}) as home:
        doctor = home.run("doctor", "--backend", "smolmachines", check=False).stdout
        if os.geteuid() != 0:
            assert "the machine's process runs as you" in doctor, doctor
            return
        text = start(home)
        assert "a user of its own, which cannot reach the bottle's socket" in text, text
        assert "a user of its own, which cannot reach the bottle's socket" in doctor, doctor
        assert not home.asked("create") and not os.path.exists(home.data)
        home.env["BOT_BOTTLE_SMOLVM_AS_ROOT"] = "1"
        home.install(hook='[ -z "$2" ] || [ "$SMOLVM_VM_UID_DROP" = off ] || exit 77')
        done = home.run("start", "worker", "--backend", "smolmachines", "--headless", "--yes", "--prompt", "echo it ran")
        assert "it ran" in done.stdout, done
