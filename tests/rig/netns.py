"""The rig's namespace: a network of its own in which every address is local, and the rig's own resolver,
hosts file and CA bundle in the places where programs look for them.

Root makes it directly and stays root (or becomes the ordinary user that tests/run names). An ordinary user
makes it inside a user namespace and is mapped back to the own id before anything else runs, so that a
program under test sees the same identity as outside.

In the namespace `lo` is up and the whole of 0.0.0.0/0 and ::/0 is routed to it: a connection to *any*
address reaches the rig's sinks, so that one that should not have been made is seen; nothing can leave.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile

if __name__ == "__main__":
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig import certs  # noqa: E402

# Addresses that no special-purpose registry lists; they exist only inside the namespace.
ADDRESS4 = "45.90.7.1"
ADDRESS6 = "2a0e:b0b::1"
SOURCE4 = "45.90.7.2"
SOURCE6 = "2a0e:b0b::2"

CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
ENV_DIR = "BB_RIG_DIR"  # set inside: the rig's directory with its CA

_RTM_NEWADDR, _RTM_NEWROUTE = 20, 24
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_EXCL, _NLM_F_CREATE = 0x1, 0x4, 0x200, 0x400
_RTA_DST, _RTA_OIF, _RTA_PREFSRC = 1, 4, 7
_RT_TABLE_LOCAL, _RTPROT_BOOT, _RTN_LOCAL = 255, 3, 2


def inside():
    return ENV_DIR in os.environ


def directory():
    return os.environ[ENV_DIR]


def enter(argv):
    """Runs argv inside a fresh rig namespace and never returns; does nothing when already inside."""
    if inside():
        return
    if not shutil.which("unshare"):
        sys.exit("rig: 'unshare' is missing; install the package util-linux")
    flags = ["-nm"] if os.geteuid() == 0 else ["-Urnm"]
    env = dict(os.environ, BB_RIG_UID=str(os.getuid()), BB_RIG_GID=str(os.getgid()))
    os.execvpe("unshare", ["unshare", *flags, "--propagation", "private", sys.executable, "-B",
                           os.path.abspath(__file__), *argv], env)


def _attribute(kind, value):
    data = struct.pack("HH", 4 + len(value), kind) + value
    return data + b"\0" * (-len(data) % 4)


def _netlink(kind, body):
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as s:
        s.bind((0, 0))
        flags = _NLM_F_REQUEST | _NLM_F_ACK | _NLM_F_CREATE | _NLM_F_EXCL
        s.send(struct.pack("IHHII", 16 + len(body), kind, flags, 1, 0) + body)
        answer = s.recv(8192)
        error = -struct.unpack_from("i", answer, 16)[0]
        if error:
            raise OSError(error, f"netlink message {kind}: {os.strerror(error)}")


def make_network():
    lo = socket.if_nametoindex("lo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0x1 | 0x40)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
    for family, bits, source in ((socket.AF_INET, 32, SOURCE4), (socket.AF_INET6, 128, SOURCE6)):
        raw = socket.inet_pton(family, source)
        body = struct.pack("BBBBI", family, bits, 0x02, 0, lo)  # IFA_F_NODAD
        _netlink(_RTM_NEWADDR, body + _attribute(2, raw) + _attribute(1, raw))
        scope = 254 if family == socket.AF_INET else 0
        body = struct.pack("BBBBBBBBI", family, 0, 0, 0, _RT_TABLE_LOCAL, _RTPROT_BOOT, scope, _RTN_LOCAL, 0)
        _netlink(_RTM_NEWROUTE, body + _attribute(_RTA_OIF, struct.pack("I", lo)) + _attribute(_RTA_PREFSRC, raw))
    # Ports below 1024 are for the rig's servers, whoever runs them.
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "w", encoding="ascii") as f:
        f.write("0")


def _bind(source, target):
    target = os.path.realpath(target)
    if not os.path.exists(target):
        sys.exit(f"rig: '{target}' does not exist here, so nothing can be laid over it")
    subprocess.run(["mount", "--bind", source, target], check=True)


def _map_back(uid, gid):
    """In the child: a user namespace in which the caller has the own id again and no capability."""
    def act():
        if ctypes.CDLL(None, use_errno=True).unshare(0x10000000):  # CLONE_NEWUSER
            raise OSError(ctypes.get_errno(), "unshare")
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} 0 1"), ("gid_map", f"{gid} 0 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as f:
                f.write(text)
    return act


def _inside(argv):
    uid, gid = int(os.environ["BB_RIG_UID"]), int(os.environ["BB_RIG_GID"])
    make_network()
    home = tempfile.mkdtemp(prefix="bb-rig-")
    try:
        os.chmod(home, 0o755)
        certs.make_authority(home)
        for name, text in (("resolv.conf", f"nameserver {ADDRESS4}\noptions timeout:2 attempts:2\n"), ("hosts", "")):
            with open(os.path.join(home, name), "w", encoding="ascii") as f:
                f.write(text)
            _bind(os.path.join(home, name), f"/etc/{name}")
        _bind(os.path.join(home, "ca.pem"), CA_BUNDLE)
        env = dict(os.environ, **{ENV_DIR: home})
        for name in ("BB_RIG_UID", "BB_RIG_GID"):
            del env[name]
        user = env.pop("BB_RIG_USER", "")
        if user:  # root hands over to the ordinary user of tests/run
            for name in os.listdir(home):
                os.chown(os.path.join(home, name), int(user), int(user))
            os.chown(home, int(user), int(user))
            argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *argv]
        act = _map_back(uid, gid) if uid != 0 else None
        inner = subprocess.Popen(argv, env=env, preexec_fn=act)
        signal.signal(signal.SIGTERM, lambda *_: inner.terminate())  # and then our home goes
        return inner.wait()
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    code = _inside(sys.argv[1:])
    sys.exit(code if code >= 0 else 128 - code)
