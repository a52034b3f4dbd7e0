"""The life of a machine: where it keeps its files, create, start, stop, delete, what state it is in."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import time

from . import images, network, runner, store, switches
from .switches import Failure

NAME = re.compile(r"[A-Za-z0-9](?!.*--)[A-Za-z0-9_-]{0,127}(?<!-)\Z")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIRST_VMM_UID = 62000
NOT_READY = "agent did not become ready within 30 seconds"


def check_name(name):
    if not NAME.match(name):
        raise Failure(f"invalid machine name '{name}': 1-128 characters of A-Z a-z 0-9 _ -, starting with a letter "
                      "or digit, not ending in '-', without '--'")


def data_dir(name):
    digest = hashlib.sha256(name.encode()).hexdigest()[:16]
    return os.path.join(switches.cache_home(), "smolvm/vms", digest)


def file_of(name, leaf):
    return os.path.join(data_dir(name), leaf)


def read_text(path, default=""):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read()
    except OSError:
        return default


def write_text(path, text):
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(text)
    os.rename(path + ".new", path)


@contextlib.contextmanager
def locked(name):
    with open(file_of(name, "vm.lock"), "w", encoding="ascii") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        yield


def start_time(pid):
    """Field 22 of stat, or None when the process is gone or only waits to be reaped."""
    text = read_text(f"/proc/{pid}/stat")
    fields = text.rpartition(")")[2].split()
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def is_alive(record):
    pid = record["pid"]
    return pid is not None and start_time(pid) is not None and start_time(pid) == record["pid_start_time"]


def connect(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(3)
    try:
        s.connect(file_of(name, "agent.sock"))
    except OSError:
        s.close()
        return None
    s.settimeout(None)
    return s


def state_of(record):
    """What ls and status say: the record's state, against a live probe."""
    if record["state"] not in ("running", "unreachable"):
        return record["state"]
    if not is_alive(record):
        return "stopped"
    probe = connect(record["name"])
    if probe is None:
        return "unreachable"
    probe.close()
    return "running"


def must_load(name):
    record = store.load(name)
    if record is None:
        raise Failure(f"vm not found: {name}")
    return record


# --- create ---

def create(record, image_is_pack):
    name = record["name"]
    check_name(name)
    if name in store.load_all():
        raise Failure(f"machine '{name}' already exists")
    os.makedirs(data_dir(name), exist_ok=True)
    write_text(file_of(name, "name"), name + "\n")
    write_text(file_of(name, "standin-created.json"), json.dumps({"allowed_cidrs": record["allowed_cidrs"]}))
    if image_is_pack:
        images.unpack(images.read_pack(record["source_smolmachine"]))
    for disk in ("storage.raw", "overlay.raw"):
        with open(file_of(name, disk), "wb") as f:
            f.truncate((record["storage_gb"] or 20) << 30)
    if not switches.has_fault("no-row"):
        store.save(record)
    if switches.has_fault("busy"):
        store.hold_busy()


# --- start ---

def load_image(record, plan):
    if record["source_smolmachine"]:
        return images.read_pack(record["source_smolmachine"])
    ref = record["image"]
    if not ref:
        raise Failure("agent operation failed: start: a machine without image or pack is not modelled by the stand-in")
    if switches.since("1.1.0") and (ref.startswith((".", "/")) or ref.endswith(".tar")):
        return images.read_archive(ref)
    if plan.kind == network.NONE:
        raise Failure(f"agent operation failed: start: failed to pull image '{ref}': the machine has no network")
    return images.pull(ref, os.path.join(data_dir(record["name"])))


def environment(record, image):
    """Image variables, then the record's; the last wins."""
    env = {"PATH": PATH, "HOME": "/root", "HOSTNAME": record["name"]}
    env.update(v.split("=", 1) for v in image.field("Env", []) if "=" in v)
    env.update((k, v) for k, v in record["env"])
    return env


def workload(record, image):
    if record["entrypoint"] or record["cmd"]:
        return record["entrypoint"] + record["cmd"]
    argv = image.field("Entrypoint", []) + image.field("Cmd", [])
    if not argv and not switches.since("1.9.0"):
        return ["/bin/sh"]  # ends at once: its standard input is empty
    return argv


def check_sockets(record):
    for s in record.get("published_sockets", ()):
        try:
            is_socket = stat.S_ISSOCK(os.stat(s["host"]).st_mode)
        except OSError as e:
            raise Failure(f"agent operation failed: start: --mount-socket {s['host']}: {e.strerror}")
        if not is_socket:
            raise Failure(f"agent operation failed: start: --mount-socket {s['host']}: not a socket")


def effective_config(record):
    resources = {"cpus": record["cpus"], "memory_mib": record["mem"], "network": record["network"]}
    if record["network_backend"]:
        resources["network_backend"] = record["network_backend"]
    resources.update(gpu=record["gpu"], gpu_vram_mib=record["gpu_vram_mib"], storage_gib=record["storage_gb"],
                     overlay_gib=record["overlay_gb"], allowed_cidrs=record["allowed_cidrs"])
    return {"version": 1, "mounts": record["mounts"], "ports": record["ports"], "resources": resources}


def vmm_uid(name):
    """Root's VMM drops to a user of its own since 1.2.5; here only towards the host's sockets and its data."""
    if os.geteuid() != 0 or not switches.since("1.2.5") or os.environ.get("SMOLVM_VM_UID_DROP") == "off":
        return os.geteuid()
    folder = data_dir(name)
    while folder != "/":
        folder = os.path.dirname(folder)
        if not os.stat(folder).st_mode & 0o001:
            raise Failure(f"agent operation failed: start: the VMM's user cannot enter {folder}")
    return FIRST_VMM_UID + int(os.path.basename(data_dir(name)), 16) % 1000


def runner_options(record, image, plan, fds):
    options = {"--relay-uid": vmm_uid(record["name"]), "--dir": data_dir(record["name"]), "--hostname": record["name"][:64], "--agent-fd": fds[0],
               "--ready-fd": fds[1], "--console-fd": fds[2],
               "--user": record.get("user") or image.field("User", ""),
               "--workdir": record["workdir"] or image.field("WorkingDir", "/"),
               "--keep-alive": int(switches.since("1.4.0")), "--join-as-user": int(switches.since("1.6.0"))}
    if plan.kind == network.TSI:
        options["--tsi"] = 1
        options["--policy"] = int(plan.cidrs is not None)
        if plan.dns:
            options["--dns"] = plan.dns
    argv = [str(w) for pair in options.items() for w in pair]
    for cidr in plan.cidrs or ():
        argv += ["--allow", cidr]
    for s in record.get("published_sockets", ()):
        argv += ["--mount-socket", f"{s['host']}:{s['guest']}"]
    for key, value in environment(record, image).items():
        argv += ["--env", f"{key}={value}"]
    return argv


def listen(name):
    path = file_of(name, "agent.sock")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        s.bind(path)
    except OSError as e:
        raise Failure(f"agent operation failed: start: krun_start_enter failed: -22 ({path}: {e})")
    s.listen(64)
    return s


def prepare_root(record, image):
    folder = data_dir(record["name"])
    for part in ("overlay", "overlay/upper", "overlay/work", "overlay/merged"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    lower = os.path.join(folder, "lower")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(lower)
    os.symlink(images.unpack(image), lower)


def read_ready(fd, seconds):
    """What the guest says: b"PID\\nready", or why not. Ends early when it is dead."""
    said, deadline = b"", time.monotonic() + seconds
    while not said.endswith(b"ready"):
        if not select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
            return said, NOT_READY
        chunk = os.read(fd, 4096)
        if not chunk:
            return said, said.partition(b"\n")[2].decode("utf-8", "replace") or "the VM ended before it was ready"
        said += chunk
    return said, None


def boot(record, image, plan):
    """Starts the guest; its VMM's pid once the agent is ready."""
    name = record["name"]
    prepare_root(record, image)
    read_end, write_end = os.pipe()
    with listen(name) as agent, open(file_of(name, "agent-console.log"), "ab") as console, open(
            file_of(name, "agent-startup-error.log"), "wb") as errors:
        fds = (agent.fileno(), write_end, console.fileno())
        argv = [runner(), "run", *runner_options(record, image, plan, fds), "--", *workload(record, image)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                                   pass_fds=fds, start_new_session=True, cwd="/")
    os.close(write_end)
    is_slow = switches.has_fault("never-ready")
    seconds = switches.number("READY_SECONDS", 30)
    said, problem = read_ready(read_end, seconds)
    if is_slow:
        time.sleep(seconds)
        problem = NOT_READY
    os.close(read_end)
    pid = int(said.partition(b"\n")[0] or 0)
    if problem:
        if pid:
            end_process(pid, signal.SIGKILL)
        process.wait()
        raise Failure(f"agent operation failed: start: {problem}")
    return pid


def apply_network_faults(record):
    if switches.has_fault("lost-patch"):
        record["allowed_cidrs"] = json.loads(read_text(file_of(record["name"], "standin-created.json")))["allowed_cidrs"]


def start(name):
    record = must_load(name)
    with locked(name):
        if state_of(record) == "running":
            print(f"Machine '{name}' already running (PID: {record['pid']})")
            return
        print(f"Starting machine '{name}'...", file=sys.stderr)
        switches.check_kvm("start")
        if switches.has_fault("start-fails"):
            raise Failure("agent operation failed: start: krun_start_enter failed: -22")
        apply_network_faults(record)
        plan = network.plan(record)
        check_sockets(record)
        image = load_image(record, plan)
        write_text(file_of(name, "standin-image.json"), json.dumps(image.config))
        write_text(file_of(name, "agent.config.json"), json.dumps(effective_config(record)))
        if plan.kind == network.VIRTIO:
            print("stand-in: virtio-net is not modelled: this guest has no network at all", file=sys.stderr)
        pid = boot(record, image, plan)
        write_text(file_of(name, "agent.pid"), f"{pid}\n")
        time.sleep(switches.number("START_SECONDS", 0))
        sys.stderr.write(read_text(file_of(name, "agent-startup-error.log")))
        run_init(name, record)
        record = must_load(name)  # the whole record again: what somebody patched meanwhile survives
        record.update(state="running", pid=pid, pid_start_time=start_time(pid), init_completed=True)
        store.save(record)
    print(f"Machine '{name}' running (PID: {pid})")


def run_init(name, record):
    from . import execute
    for command in [] if record["init_completed"] else record["init"]:
        code, out, err = execute.capture(name, record, ["/bin/sh", "-c", command])
        if code != 0:
            raise Failure(f"init command failed with {code}: {command}: {(out + err).decode('utf-8', 'replace')}")


# --- stop, delete ---

def end_process(pid, first):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        for number in (first, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, number)
            if select.select([pidfd], [], [], 2)[0]:
                return
    finally:
        os.close(pidfd)


def stop_vm(record):
    """Ends the VM and writes the record back: below 1.7.5 a copy from before, so a patch meanwhile is lost."""
    name = record["name"]
    if not switches.has_fault("stop-stays"):
        end_process(record["pid"], signal.SIGTERM)
        for leaf in ("agent.sock", "agent.config.json"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file_of(name, leaf))
    if switches.value("STOP_SECONDS"):
        time.sleep(switches.number("STOP_SECONDS", 0))
    if switches.since("1.7.5"):
        record = must_load(name)
    record.update(state="stopped", pid=None, pid_start_time=None)
    store.save(record)


def stop(name):
    record = store.load_all().get(name)
    if record is None:
        if switches.since("0.8.1"):
            raise Failure(f"vm not found: {name}")
        print(f"Machine '{name}' not found or not running")
        return
    if not is_alive(record):
        print(f"Machine '{name}' is not running")
        if record["state"] in ("running", "unreachable"):
            record.update(state="stopped", pid=None, pid_start_time=None)
            store.save(record)
        return
    print(f"Stopping machine '{name}'...")
    with locked(name):
        stop_vm(record)
    print(f"Machine '{name}' stopped")


def delete(name, is_forced):
    record = store.load_all().get(name)
    if record is None:
        raise Failure(f"vm not found: {name}")
    if not is_forced:
        sys.stderr.write(f"Delete machine '{name}'? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("Cancelled")
            return
    if is_alive(record) and switches.since("0.8.1"):  # 0.8.0 leaves the process
        stop_vm(record)
    if not switches.since("1.9.0"):
        store.remove(name)
    images.remove_tree(data_dir(name))
    if switches.since("1.9.0"):  # the record stays until everything else is gone
        store.remove(name)
    print(f"Deleted machine: {name}")
