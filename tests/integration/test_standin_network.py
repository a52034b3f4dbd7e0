"""What a guest of the stand-in smolvm can reach, by version. Every refusal stands beside the same way with the
address allowed, so that it is the policy that refused. In the rig every address is this host."""

import contextlib
import json
import os
import selectors
import socket
import struct
import subprocess
import tempfile
import threading

import standin

RIG = True
TIMEOUT = 120

# In the guest: one line of JSON, way and address -> the answer, or the error's name.
PROBE = """
import errno, json, socket, sys
def tcp(s, to):
    s.connect(to)
    return s.recv(99).decode()
def blocking(s, to):
    s.settimeout(None)
    return tcp(s, to)
def udp_connect(s, to):
    s.connect(to)
    s.send(b"x")
    return s.recv(99).decode()
def udp_sendto(s, to):
    s.sendto(b"x", to)
    return s.recv(99).decode()
def udp_sendmsg(s, to):
    s.sendmsg([b"x", b"y"], [], 0, to)
    return s.recv(99).decode()
WAYS = {"tcp": (tcp, 1), "tcp-blocking": (blocking, 1), "udp-connect": (udp_connect, 2),
        "udp-sendto": (udp_sendto, 2), "udp-sendmsg": (udp_sendmsg, 2)}
answers = {}
for way in sys.argv[1].split(","):
    for address in sys.argv[3:]:
        act, kind = WAYS[way]
        try:
            s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
            s.settimeout(2)
            answers[way + " " + address] = act(s, (address, int(sys.argv[2])))
        except OSError as e:
            answers[way + " " + address] = errno.errorcode.get(e.errno, str(e))
print(json.dumps(answers))
"""
WAYS = ("tcp", "tcp-blocking", "udp-connect", "udp-sendto", "udp-sendmsg")
ALIAS = "127.0.0.16"
IPV6_FREEBIND = 78

stage = standin.Stage()
setup_module, teardown_module = stage.open, stage.close
cli, running = stage.cli, stage.running


# Where datagrams are answered: an answer comes from the address that was asked, or a connected socket drops it.
UDP_ADDRESSES = (ALIAS, "127.0.0.17", "127.0.0.1", "45.90.7.1", "1.1.1.1", "169.254.169.254", "::1", "2a0e:b0b::1",
                 "2a0e:b0b::7", "2a0e:b0b:8000::7")


def _serve(poll, tcp, udp):
    while True:
        for s, _ in poll.select():
            if s.fileobj is tcp:
                with tcp.accept()[0] as c:
                    c.sendall(c.getsockname()[0].replace("::ffff:", "").encode())
            elif s.fileobj in udp:
                s.fileobj.sendto(b"datagram", s.fileobj.recvfrom(99)[1])
            else:
                return


@contextlib.contextmanager
def servers():
    """TCP and UDP on one port of every address; TCP answers with the address it was asked at."""
    with contextlib.ExitStack() as held, selectors.DefaultSelector() as poll:
        tcp = held.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
        port = tcp.getsockname()[1]
        udp = []
        for address in UDP_ADDRESSES:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            udp.append(held.enter_context(socket.socket(family, socket.SOCK_DGRAM)))
            if family == socket.AF_INET6:
                udp[-1].setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)  # local by its route only
            udp[-1].bind((address, port))
        end, told = (held.enter_context(s) for s in socket.socketpair())
        for s in (tcp, told, *udp):
            poll.register(s, selectors.EVENT_READ)
        thread = threading.Thread(target=_serve, args=(poll, tcp, udp))
        thread.start()
        try:
            yield port
        finally:
            end.send(b"x")
            thread.join()


def reach(s, port, *addresses, ways=WAYS):
    done = s.exec(standin.PYTHON, "-c", PROBE, ",".join(ways), str(port), *addresses)
    assert done.returncode == 0, done
    return json.loads(done.stdout)


def is_reached(answers, way, address):
    return answers[f"{way} {address}"] == ("datagram" if way.startswith("udp") else address)


def test_without_any_network_nothing_is_reached():
    for version in ("0.8.0", "0.8.1", "1.7.5", "1.9.3"):
        with servers() as port, running(version) as s:
            answers = reach(s, port, ALIAS, "45.90.7.1", "::1", ways=("tcp", "tcp-blocking", "udp-sendto"))
            assert not any(is_reached(answers, *k.split()) for k in answers), (version, answers)
            assert answers["tcp 45.90.7.1"] == "ENETUNREACH", answers


def test_an_allowed_address_is_reached_and_no_other():
    for version in ("0.8.0", "0.8.1"):
        with servers() as port, running(version, patch={"allowed_cidrs": [ALIAS + "/32"]}) as s:
            answers = reach(s, port, ALIAS, "127.0.0.17", "127.0.0.1", "45.90.7.1", "1.1.1.1", "169.254.169.254", "::1")
            for key, answer in answers.items():
                way, address = key.split()
                if address == ALIAS:
                    assert is_reached(answers, way, address), (key, answer)
                else:
                    assert answer == "EACCES", (key, answer)
            mapped = reach(s, port, "::ffff:" + ALIAS, "::ffff:127.0.0.1", ways=("tcp", "udp-sendto"))
            assert list(mapped.values()) == [ALIAS, "EACCES", "datagram", "EACCES"], mapped


def test_network_with_null_is_open_host_loopback_included():
    for version in ("0.8.0", "0.8.1", "1.9.3"):
        with servers() as port, running(version, patch={"network": True}) as s:
            addresses = ("127.0.0.1", ALIAS, "45.90.7.1", "169.254.169.254", "::1", "2a0e:b0b::1")
            answers = reach(s, port, *addresses)
            assert all(is_reached(answers, *k.split()) for k in answers), (version, answers)


def test_a_policy_that_is_not_loopback_opens_the_name_server_too():
    with servers() as port:
        for cidrs in ([], ["45.90.7.0/24"]):
            with running("0.8.0", patch={"allowed_cidrs": cidrs, "network": True}) as s:
                answers = reach(s, port, "1.1.1.1", "45.90.7.9", "45.90.8.1", ways=("tcp",))
                assert list(answers.values()) == ["1.1.1.1", "45.90.7.9" if cidrs else "EACCES", "EACCES"], answers
        with running("0.8.1", patch={"allowed_cidrs": [], "network": True}) as s:  # the host's own name server
            answers = reach(s, port, "45.90.7.1", "1.1.1.1", ways=("tcp",))
            assert list(answers.values()) == ["45.90.7.1", "EACCES"], answers


def test_an_empty_list_alone_is_no_network():
    with servers() as port, running("0.8.0", patch={"allowed_cidrs": []}) as s:
        assert reach(s, port, "1.1.1.1", ways=("tcp",)) == {"tcp 1.1.1.1": "ENETUNREACH"}


def test_ipv6_networks_are_matched_by_their_prefix():
    with servers() as port, running("0.8.0", patch={"allowed_cidrs": ["2a0e:b0b::/33"]}) as s:
        answers = reach(s, port, "2a0e:b0b::7", "2a0e:b0b:8000::7", "::1")
        assert all(is_reached(answers, way, "2a0e:b0b::7") for way in WAYS), answers
        assert all(v == "EACCES" for k, v in answers.items() if not k.endswith(" 2a0e:b0b::7")), answers


def test_a_listening_socket_lands_on_the_host_under_tsi_only():
    script = ("import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
              "s.settimeout(20)\ns.accept()[0].sendall(b'from inside')")
    for version, patch, is_there in (("0.8.0", {"allowed_cidrs": [ALIAS + "/32"]}, True), ("1.9.3", None, False)):
        with running(version, patch=patch) as s, s.popen(
                "machine", "exec", "--name", "vm", "-i", "--", standin.PYTHON, "-c", script, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE) as child:
            port = int(child.stdout.readline())
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=5) as c:
                    assert is_there and c.recv(99) == b"from inside"
            except ConnectionRefusedError:
                assert not is_there
            child.kill()


def test_other_ways_out_of_tsi_are_closed():
    script = """
import ctypes, errno, socket
libc = ctypes.CDLL(None, use_errno=True)
def failure(act):
    try:
        act()
    except OSError as e:
        return errno.errorcode[e.errno]
    return "none"
def io_uring():
    if libc.syscall(425, 8, ctypes.create_string_buffer(256)) < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
def fast_open():
    socket.socket().sendto(b"x", 0x20000000, ("127.0.0.1", PORT))
def fast_open_message():
    socket.socket().sendmsg([b"x"], [], 0x20000000, ("127.0.0.1", PORT))
def unspecified():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    address = b"\\0\\0" + PORT.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)
    if libc.sendto(s.fileno(), b"x", 1, 0, address, 16) < 0:
        raise OSError(ctypes.get_errno(), "sendto")
print(failure(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)), failure(io_uring), failure(fast_open),
      failure(fast_open_message),
      failure(lambda: socket.socket(40, socket.SOCK_STREAM)), failure(unspecified),
      [name for _, name in socket.if_nameindex()])
"""
    with servers() as port, running("0.8.0", patch={"allowed_cidrs": [ALIAS + "/32"]}) as s:
        done = s.exec(standin.PYTHON, "-c", f"PORT = {port}{script}")
        assert done.stdout == b"EPROTONOSUPPORT ENOSYS ENOTSUP ENOTSUP EAFNOSUPPORT EINVAL ['lo']\n", done


def test_a_slow_connect_does_not_hold_up_the_others():
    full = socket.create_server((ALIAS, 0), backlog=0)  # its queue is filled: a connect waits for ever
    waiting = []
    for _ in range(4):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(full.getsockname())
    script = f"import socket; socket.socket().connect(('{ALIAS}', {full.getsockname()[1]}))"
    with servers() as port, running("0.8.0", patch={"allowed_cidrs": [ALIAS + "/32"]}) as s, s.popen(
            "machine", "exec", "--name", "vm", "-i", "--", standin.PYTHON, "-c", script, stdin=subprocess.PIPE) as child:
        standin.wait_for(lambda: script.encode()[:30] in s.exec("sh", "-c", "cat /proc/[0-9]*/cmdline").stdout)
        assert reach(s, port, ALIAS, ways=("tcp-blocking",)) == {"tcp-blocking " + ALIAS: ALIAS}
        assert child.poll() is None
        child.kill()
    for c in (full, *waiting):
        c.close()


def test_a_policy_selects_virtio_net_since_1_1_3_which_is_closed_here():
    with servers() as port, running("1.9.3", words=("--allow-cidr", ALIAS)) as s:
        assert s.record()["allowed_cidrs"] == [ALIAS + "/32"]
        answers = reach(s, port, ALIAS, "127.0.0.1", ways=("tcp", "udp-sendto"))
        assert not any(is_reached(answers, *k.split()) for k in answers), answers
    for backend, words in (("tsi", ("--allow-cidr", ALIAS)), ("virtio-net", ())):
        with cli("1.9.3") as s:
            s.create(*stage.source(s), "--net-backend", backend, *words)
            assert s.run("machine", "start", "--name", "vm").returncode == 1


def test_faults_of_the_network():
    patch = {"allowed_cidrs": [ALIAS + "/32"]}
    with servers() as port:
        with running("0.8.0", patch=patch, fault="lost-patch") as s:
            with open(os.path.join(s.data_dir(), "agent.config.json"), encoding="utf-8") as f:
                assert json.load(f)["resources"]["allowed_cidrs"] is None
            assert reach(s, port, ALIAS, ways=("tcp",)) == {"tcp " + ALIAS: "ECONNREFUSED"}
        with running("0.8.0", patch=patch, fault="open") as s:
            assert is_reached(reach(s, port, "127.0.0.1", ways=("tcp",)), "tcp", "127.0.0.1")


def test_a_mounted_socket_carries_each_connection_to_the_host():
    script = ("import socket\nfor word in (b'one', b'two'):\n    s = socket.socket(socket.AF_UNIX)\n"
              "    s.connect('/run/deep/er.sock')\n    s.sendall(word * 100000)\n    s.shutdown(1)\n"
              "    print(sum(len(c) for c in iter(lambda: s.recv(65536), b'')))")
    path = os.path.join(stage.folder, "host.sock")
    with socket.socket(socket.AF_UNIX) as listener, cli("1.7.5") as s:
        s.create(*stage.source(s), "--mount-socket", path + ":/run/deep/er.sock")
        done = s.run("machine", "start", "--name", "vm")
        assert done.returncode == 1 and b"mount-socket" in done.stderr
        listener.bind(path)
        listener.listen()
        listener.settimeout(30)
        s.start()
        with s.popen("machine", "exec", "--name", "vm", "--", standin.PYTHON, "-c", script,
                     stdout=subprocess.PIPE) as child:
            for word in (b"one", b"two"):
                with listener.accept()[0] as c:
                    assert b"".join(iter(lambda: c.recv(65536), b"")) == word * 100000
                    c.sendall(b"answer")
            assert child.stdout.read() == b"6\n6\n"
        entry = s.record()["published_sockets"]
        assert entry == [{"direction": "mount", "host": path, "guest": "/run/deep/er.sock"}]
        os.unlink(path)
    with cli("0.8.1") as s:
        assert s.run("machine", "create", "--mount-socket", "/a:/b", "vm").returncode == 2


def test_roots_vmm_is_another_user_to_the_host_s_socket():
    """1.2.5 and later; below a folder that it may not enter it does not start. Nobody else's VMM changes."""
    script = "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/run/er.sock'); print(s.recv(9))"
    asks = ("machine", "exec", "--name", "vm", "--", standin.PYTHON, "-c", script)
    folder = tempfile.mkdtemp(prefix="bb-open-", dir="/tmp")
    path = os.path.join(folder, "host.sock")
    is_root = os.geteuid() == 0
    try:
        with socket.socket(socket.AF_UNIX) as listener, cli("1.9.3", env={
                "SMOLVM_VM_UID_DROP": "", "XDG_CACHE_HOME": os.path.join(folder, "cache")}) as s:
            listener.bind(path)
            listener.listen()
            listener.settimeout(30)
            s.create(*stage.source(s), "--mount-socket", path + ":/run/er.sock")
            done = s.run("machine", "start", "--name", "vm")
            assert (done.returncode, b"cannot enter " + folder.encode() in done.stderr) == (is_root, is_root), done
            os.chmod(folder, 0o711)
            s.start()
            if is_root:
                os.chmod(path, 0o600)
                assert s.run(*asks).stdout in (b"", b"b''\n"), "it connected"
            os.chmod(path, 0o666)
            with s.popen(*asks, stdout=subprocess.PIPE) as child, listener.accept()[0] as c:
                uid = struct.unpack("iII", c.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
                assert uid != os.geteuid() if is_root else uid == os.geteuid(), uid
                c.sendall(b"hello")
                c.close()
                assert child.stdout.read() == b"b'hello'\n"
            s.ok("machine", "stop", "--name", "vm")
    finally:
        standin.smolvm.remove_tree(folder)
