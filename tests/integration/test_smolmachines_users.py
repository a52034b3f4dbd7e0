"""What another user of this host gets of a bottle on smolmachines (on the stand-in): neither its proxy nor its stream, each
beside what the bottle's own guest gets. As root: only root becomes another user."""

import os
import re
import socket
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import test_smolmachines_life as life  # noqa: E402
from rig.core import Rig  # noqa: E402
from test_launch import find  # noqa: E402

RIG = True
TIMEOUT = 100
ONCE = "an ordinary user becomes no other user"
STRANGER = 65534
BOTTLE = """
image: base
egress:
  routes:
    - host: allowed.test
      auth: { scheme: Bearer, token_ref: TOK }
"""
# Each port in turn: whether it is there, and what comes back for a wrong word.
KNOCK = r'''
import socket, sys
for port in sys.argv[2:]:
    s = socket.socket(socket.AF_UNIX if sys.argv[1] == "unix" else socket.AF_INET)
    s.settimeout(10)
    try:
        s.connect(port if sys.argv[1] == "unix" else (sys.argv[1], int(port)))
        s.sendall(b"x" * 32)
        data = s.recv(4096)
        print("answered" if data else "closed", data[:60])
    except OSError as e:
        print(type(e).__name__)
'''


def setup_module():
    if os.geteuid() != 0:
        raise unittest.SkipTest("needs root: an ordinary user becomes no other user")
    life.setup_module()


def teardown_module():
    if life.shared:
        life.teardown_module()


def as_stranger(*argv, network_of=None):
    """The output of a program of another user, in the network of a process."""
    enter = ["nsenter", f"--net=/proc/{network_of}/ns/net"] if network_of else []
    done = subprocess.run([*enter, "setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups", *argv],
                          cwd="/", capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip()


def curl(url, network_of, *options):
    """What the proxy answered to CONNECT, and what came behind it."""
    out = as_stranger("/usr/bin/curl", "-sk", "-m", "10", "-x", url, "-w", "\n%{http_connect}", *options,
                      "https://allowed.test/echo", network_of=network_of)
    body, _, code = out.rpartition("\n")
    return code, body


def test_the_proxy_of_a_bottle_serves_nobody_else():
    with Rig() as rig, life.Cut(life.TSI, env={"TOK": rig.secret("tok")}) as home:
        home.bottle("dev", BOTTLE)
        with home.start("me") as bottle:
            keeper = find(bottle.process.pid, "bot-bottle-keeper")
            url = bottle.sh('printf %s "$HTTPS_PROXY"', check=True).stdout
            address, port = re.fullmatch(r"http://bottle:[\w-]{43}@(127\.0\.0\.16):(\d+)", url).groups()
            plain = f"http://{address}:{port}"
            # The guest gets its answer, with the credential that it never had.
            assert "Bearer <secret tok>" in bottle.sh("curl -s https://allowed.test/echo", check=True).stdout
            mark, records = rig.events.mark(), len(bottle.audit())
            # From where other users are there is no such address at all.
            assert curl(plain, None)[0] == "000" and curl(url, None)[0] == "000"
            # Even one who came into the machine's network lacks the credential.
            for other in (plain, f"http://bottle:{'A' * 43}@{address}:{port}", f"http://bottle@{address}:{port}"):
                code, body = curl(other, keeper)
                assert code == "403" and "secret" not in body, (other, code, body)
            assert rig.silence(mark) == []
            assert [(r["reason"], r["host"]) for r in bottle.audit()[records:]] == [("no_credential", "allowed.test")] * 3
            # It is the credential that counts, and nothing else of how he came.
            code, body = curl(url, keeper)
            assert code == "200" and "Bearer <secret tok>" in body, (code, body)


def listeners(pid, address):
    """The ports on which somebody listens there, in the network of a process."""
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f][1:]
    wanted = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    return sorted(int(r[1].split(":")[1], 16) for r in rows if r[3] == "0A" and r[1].split(":")[0] == wanted)


def log_of(home):
    name = next(n for n in os.listdir(os.path.join(home.root, "state")) if not n.startswith("."))
    with open(os.path.join(home.root, "state", name, "monitor.log"), encoding="utf-8") as f:
        return f.read()


def goes_on(home):
    """The launch, and the right guest comes in."""
    home.go_on()
    life.wait_for(lambda: home.run("exec", "box", "--", "true", check=False).returncode == 0, "the guest serves", 60)
    home.run("stop", "box")
    home.end()
    home.expect_nothing()


def test_the_stream_of_a_machine_in_tsi_mode_is_for_who_says_its_credential():
    with life.Cut(life.TSI) as home:
        home.hold("starting the machine")  # listeners are there, the machine is not
        home.begin()
        home.wait_held()
        keeper = find(home.command.pid, "bot-bottle-keeper")
        ports = [str(p) for p in listeners(keeper, "127.0.0.16")]
        assert len(ports) == 2, ports
        out = as_stranger(sys.executable, "-c", KNOCK, "127.0.0.16", *ports)
        assert out.splitlines() == ["ConnectionRefusedError"] * 2, out  # his own loopback is another
        out = as_stranger(sys.executable, "-c", KNOCK, "127.0.0.16", *ports, network_of=keeper).splitlines()
        # The stream closes without a word; the proxy says what it thinks of what is not HTTP.
        assert any(line.startswith("closed") for line in out) and not any("secret" in line for line in out), out
        life.wait_for(lambda: "stream was refused: wrong credential" in log_of(home), "it is noted", 5)
        goes_on(home)


def test_the_stream_of_a_machine_in_socket_mode_is_its_users_alone():
    with life.Cut(life.SOCKET) as home:
        home.hold("starting the machine")
        home.begin()
        home.wait_held()
        run = os.path.join(home.top, "run", "bot-bottle")
        folder = os.path.join(run, next(n for n in os.listdir(run) if not n.startswith(".")))
        path = os.path.join(folder, "stream.sock")
        assert os.stat(folder).st_mode & 0o777 == 0o700 and os.stat(path).st_mode & 0o777 == 0o600
        assert as_stranger(sys.executable, "-c", KNOCK, "unix", path) == "PermissionError"
        # Where the folder is open for some reason, it is the kernel's word for who connects.
        for opened in (home.top, os.path.join(home.top, "run"), run, folder, path):
            os.chmod(opened, 0o777)
        out = as_stranger(sys.executable, "-c", KNOCK, "unix", path)
        assert out.startswith("closed") or out in ("ConnectionResetError", "BrokenPipeError"), out
        life.wait_for(lambda: "stream was refused: it is another user's" in log_of(home), "it is noted", 5)
        with socket.socket(socket.AF_UNIX) as s:  # ours may look
            s.connect(path)
        goes_on(home)
