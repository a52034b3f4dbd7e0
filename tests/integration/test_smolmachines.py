"""The backend smolmachines, end to end on the stand-in smolvm of every supported version: four bottles, one a version,
that reach what they may and nothing else, shown at the rig's servers. What each refusal is worth is shown by its twin:
the same try from this host arrives. What goes wrong before there is a bottle: test_smolmachines_refusals.py."""

import errno
import json
import os
import signal
import threading

import ways
from rig.core import Rig
from rig.machines import SOCKET, TSI, Machines, Store
from rig.netns import ADDRESS4, ADDRESS6
from rig.terminal import Terminal

RIG = True
TIMEOUT = 120

BOTTLE = """
image: base
egress:
  routes:
    - host: allowed.test
      auth: { scheme: Bearer, token_ref: TOK }
    - host: plain.test
      plain_ports: [80]
"""
NO_PROXY = ["env", "-u", "HTTP_PROXY", "-u", "HTTPS_PROXY", "-u", "http_proxy", "-u", "https_proxy"]
rig = store = None
worlds = {}


class World:
    """One version's bottle."""

    def __init__(self, version):
        self.version, self.rig, self.is_tsi = version, rig, version in TSI
        self.token = rig.secret("tok")
        self.home = Machines(version, store, env={"TOK": self.token})
        self.home.bottle("dev", BOTTLE)
        self.home.agent("worker", "dev")
        self.bottle = self.home.start("worker", label="box")

    def curl(self, *argv, front=()):
        """(status, what was printed); 000: no answer."""
        done = self.bottle.exec(*front, "curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *argv)
        text, _, status = done.stdout.rpartition("\n")
        return status, text + done.stderr

    def silent(self, mark):
        seen = self.rig.silence(mark)
        assert seen == [], f"it reached the rig: {seen}"

    def records(self, verdict, since=0):
        return [r for r in self.bottle.audit()[since:] if r["verdict"] == verdict]


def on(*versions):
    """One test for each version, named after it."""
    def bind(function):
        for version in versions:
            globals()[f"{function.__name__}_{version.replace('.', '_')}"] = lambda v=version: function(worlds[v])
    return bind


def setup_module():
    global rig, store
    rig, store = Rig(), Store()
    rig.__enter__()
    mark = rig.events.mark()
    with Machines(SOCKET[0], store) as home:
        home.pack()
    for version in (*TSI, *SOCKET):
        worlds[version] = World(version)
    for w in worlds.values():
        w.bottle.wait_ready()
    assert rig.silence(mark) == [], "a probe that passed reached something"


def teardown_module():
    stops = [threading.Thread(target=w.bottle.stop) for w in worlds.values()]
    for stop in stops:
        stop.start()
    for stop in stops:
        stop.join()
    left = {w.version: w.home.left() for w in worlds.values()}
    for w in worlds.values():
        w.home.__exit__()
    store.close()
    rig.__exit__()
    assert not any(left.values()), f"the bottles left something: {left}"


# ---- what it reaches: the twin of every refusal below

@on(*TSI, *SOCKET)
def test_an_allowed_host_answers_through_the_bundle(w):
    mark, audit = w.rig.events.mark(), len(w.bottle.audit())
    status, text = w.curl("https://allowed.test/hello")
    assert status == "200", (status, text)
    event = w.rig.events.wait("http", since=mark, host="allowed.test", target="/hello")
    assert w.token.encode() in event["head"], "the credential was not put in"
    assert w.token not in w.bottle.sh("env; cat /proc/*/environ 2>/dev/null").stdout
    assert [r["host"] for r in w.records("allowed", audit)] == ["allowed.test"], w.bottle.audit()[audit:]
    status, text = w.curl("http://plain.test/hello")
    assert status == "200", (status, text)


# ---- what it does not reach

@on(*TSI)
def test_without_the_proxy_s_variables_the_same_host_is_not_there(w):
    for more in ((), ("-k", "--resolve", f"allowed.test:443:{ADDRESS4}"), ("-k", "--resolve", "allowed.test:443:127.0.0.1")):
        mark, audit = w.rig.events.mark(), len(w.bottle.audit())
        status, text = w.curl("--noproxy", "*", *more, "https://allowed.test/canary", front=NO_PROXY)
        assert status == "000", (more, status, text)
        w.silent(mark)
        assert w.bottle.audit()[audit:] == [], "it was the bundle's affair"


@on(*SOCKET)
def test_without_the_proxy_s_variables_the_way_is_still_the_bundle_s(w):
    """A machine without a network has one way out, whoever asks: the same host answers, with its record, under its name
    only, and an address that the guest chooses is not dialled."""
    audit = len(w.bottle.audit())
    status, text = w.curl("--noproxy", "*", "https://allowed.test/direct", front=NO_PROXY)
    assert status == "200" and "<secret tok>" in text, (status, text)
    assert [r["host"] for r in w.records("allowed", audit)] == ["allowed.test"], w.bottle.audit()[audit:]
    mark = w.rig.events.mark()
    status, text = w.curl("--noproxy", "*", "-k", "--resolve", f"allowed.test:443:{ADDRESS4}", "https://allowed.test/canary",
                          front=NO_PROXY)
    assert status in ("000", "403"), (status, text)
    w.silent(mark)


@on(*TSI, *SOCKET)
def test_another_host_is_refused_by_the_proxy(w):
    mark, audit = w.rig.events.mark(), len(w.bottle.audit())
    for url in ("https://evil.test/canary", "http://evil.test/canary", f"https://{ADDRESS4}/canary", f"https://[{ADDRESS6}]/",
                "http://127.0.0.1:22/", "http://169.254.169.254/latest"):
        status, text = w.curl("-k", url)
        assert status in ("403", "000"), (url, status, text)
    w.silent(mark)
    assert "evil.test" in {r["host"] for r in w.records("refused", audit)}, w.bottle.audit()[audit:]


@on(*TSI)
def test_the_bundle_s_door_wants_the_bottle_s_own_password(w):
    proxy = w.bottle.sh("echo $HTTPS_PROXY").stdout.strip()
    address = proxy.rpartition("@")[2]
    assert proxy.startswith("http://bottle:") and address.startswith("127.0.0.16:"), proxy
    for wrong in (f"http://{address}", f"http://bottle:wrong@{address}", f"http://root:x@{address}"):
        mark = w.rig.events.mark()
        status, text = w.curl("-x", wrong, "https://allowed.test/canary", front=NO_PROXY)
        assert status == "000" and "403" in text, (wrong, status, text)
        w.silent(mark)


def refused(what):
    def test(w):
        mark = w.rig.events.mark()
        done = w.bottle.exec(*ways.argv(what), timeout=60)
        lines = done.stdout.splitlines()
        assert len(lines) == len(ways.WAYS[what]) and done.returncode == 0, done
        w.silent(mark)
        for line, (way, _) in zip(lines, ways.WAYS[what]):
            if w.is_tsi and way[0] != "name":  # the allow-list's word, not only that of the empty network around smolvm
                assert line == f"PermissionError {errno.EACCES}", (way, lines)
            elif way[0] in ("tcp", "udp"):  # names and their servers: a machine without a network has bottle-init's
                assert line != "reached", (way, lines)
    test.__name__ = "test_" + what.replace(" ", "_").replace("'", "_") + "_is_refused"
    return test


for _what in ways.WAYS:
    on(*TSI, *SOCKET)(refused(_what))


def test_twin_the_same_ways_from_this_host_do_arrive():
    for what, tries in ways.WAYS.items():
        mark = rig.events.mark()
        ways.from_here(what)
        for way, event in tries:
            kind = event["kind"]
            rig.events.wait(kind, since=mark, **{k: v for k, v in event.items() if k != "kind"})


# ---- what a bottle is for, over the stream that each mode has

@on(*TSI, *SOCKET)
def test_output_error_input_and_exit_codes_of_a_command(w):
    done = w.bottle.exec("sh", "-c", "cat; echo error >&2; exit 3", options=("-i",), stdin=None, input="in\n" * 50000)
    assert (done.stdout == "in\n" * 50000, done.stderr, done.returncode) == (True, "error\n", 3), done.stderr
    for script, code in (("exit 0", 0), ("exit 1", 1), ("exit 255", 255), ("kill -TERM $$", 128 + signal.SIGTERM),
                         ("kill -KILL $$", 128 + signal.SIGKILL), ("exec /no/such/program", 127)):
        assert w.bottle.sh(script).returncode == code, (script, code)
    assert w.bottle.sh("id -u; pwd; echo $HOME").stdout.split() == ["1000", "/home/node", "/home/node"]


@on(*TSI, *SOCKET)
def test_a_terminal_has_its_size_and_its_signals(w):
    t = Terminal(w.home.env, "exec", "box", "sh", "-c", "trap 'stty size' WINCH; stty size; echo up; "
                 "until [ -e /tmp/over ]; do sleep 0.05; done; rm /tmp/over; exit 4", rows=33, columns=101)
    t.wait_for(b"33 101")
    t.wait_for(b"up")
    t.resize(44, 99)
    t.wait_for(b"44 99")
    w.bottle.sh("touch /tmp/over", check=True)
    assert t.end() == 4
    t = Terminal(w.home.env, "exec", "box", "sh", "-c", "trap 'echo interrupted; exit 5' INT; echo up; sleep 100 & wait")
    t.wait_for(b"up")
    t.type(b"\x03")
    t.wait_for(b"interrupted")
    assert t.end() == 5


@on(*TSI, *SOCKET)
def test_files_go_in_and_come_out(w):
    blob = os.urandom(3 << 20)
    there, back = os.path.join(w.home.top, "blob"), os.path.join(w.home.top, "back")
    with open(there, "wb") as f:
        f.write(blob)
    w.home.run("cp", there, "box:/home/node/blob")
    w.home.run("cp", "box:/home/node/blob", back)
    with open(back, "rb") as f:
        assert f.read() == blob
    done = w.home.run("cp", "box:/home/node/none", back, check=False)
    assert done.returncode == 125 and "No such file" in done.stderr, done


@on(TSI[-1], SOCKET[-1])
def test_a_second_bottle_is_attached_to_and_its_workspace_is_kept(w):
    work = os.path.join(w.home.top, "work")
    os.mkdir(work)
    with open(os.path.join(work, "a"), "w", encoding="ascii") as f:
        f.write("before\n")
    t = Terminal(w.home.env, "start", "worker", "--backend", "smolmachines", "--label", "second", "--yes", f"--cwd={work}",
                 "--", "sh", "-c", "PS1=READY; export PS1; exec sh -i")
    t.wait_for(b"READY", timeout=60)
    assert {m["state"] for m in w.home.machines()} == {"running"} and len(w.home.machines()) == 2
    if w.is_tsi:
        proxy = w.home.run("exec", "second", "--", "sh", "-c", "echo $HTTPS_PROXY").stdout
        assert "@127.0.0.17:" in proxy, "each bottle has an address of its own"
    t.type(b"cat a; echo af''ter > a; echo be''fore\n")
    t.wait_for(b"before\r\nbefore")
    os.kill(t.pid, signal.SIGKILL)
    assert t.end() == -signal.SIGKILL
    again = Terminal(w.home.env, "attach", "second")
    again.wait_for(b"before")
    identity = next(e["id"] for e in w.home.list() if e["label"] == "second")
    again.type(b"exit 6\n")
    assert again.end() == 6
    while [e for e in w.home.list() if e["id"] == identity and e["state"] != "ended"]:
        pass
    w.home.run("cp", f"{identity}:/home/node/workspace/a", os.path.join(w.home.top, "kept"))
    with open(os.path.join(w.home.top, "kept"), encoding="ascii") as f:
        assert f.read() == "after\n"
    assert len(w.home.machines()) == 1
