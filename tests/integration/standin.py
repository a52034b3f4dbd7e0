"""What the tests of the stand-in smolvm share: an image made of the host's own programs, a registry that serves
it, and the command line with a home of its own."""

import contextlib
import hashlib
import http.server
import io
import json
import os
import sqlite3
import subprocess
import tarfile
import tempfile
import threading
import time

from rig import hostroot, smolvm

PYTHON = hostroot.PYTHON
PROGRAMS = ["/bin/sh", "/bin/cat", "/bin/sleep", "/bin/stty", "/usr/bin/id", "/bin/mkdir"]
FOREVER = ["sleep", "infinity"]
FOLDERS = ["bin", "usr", "usr/bin", "lib", "lib64", "usr/lib", "etc", "tmp", "root", "run", "gone"]


def _digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layer:
    def __init__(self):
        self.out = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.out, mode="w")

    def folder(self, name, owner=0, mode=0o755):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, owner, owner
        self.tar.addfile(info)

    def text(self, name, text):
        info = tarfile.TarInfo(name)
        info.size = len(text)
        self.tar.addfile(info, io.BytesIO(text.encode()))

    def file(self, path, name):
        real = os.path.realpath(path)
        info = self.tar.gettarinfo(real, name.lstrip("/"))
        info.type, info.linkname, info.uid, info.gid = tarfile.REGTYPE, "", 0, 0
        info.size = os.path.getsize(real)
        with open(real, "rb") as f:
            self.tar.addfile(info, f)

    def bytes(self):
        self.tar.close()
        return self.out.getvalue()


def _base_layer():
    layer = Layer()
    for name in FOLDERS:
        layer.folder(name)
    layer.folder("home")
    layer.folder("home/node", owner=1000)
    for path in hostroot.files(PROGRAMS):
        layer.file(path, path)
    layer.text("etc/passwd", hostroot.PASSWD)
    layer.text("gone/file", "of the first layer\n")
    return layer.bytes()


def _second_layer():
    layer = Layer()
    layer.text("gone/.wh.file", "")
    layer.text("etc/second", "layer\n")
    return layer.bytes()


class Image:
    """Two layers. The archive is docker-save's; `serve` gives the same by the distribution API."""

    def __init__(self):
        self.layers = [_base_layer(), _second_layer()]

    def config(self, **members):
        return json.dumps({"architecture": "amd64", "os": "linux",
                           "config": {"Env": ["PATH=/usr/bin:/bin", "FROM_IMAGE=yes"], **members}}).encode()

    def archive(self, path, **members):
        config = self.config(**members)
        name = hashlib.sha256(config).hexdigest() + ".json"
        names = [f"{i}/layer.tar" for i in range(len(self.layers))]
        manifest = json.dumps([{"Config": name, "RepoTags": ["test:latest"], "Layers": names}]).encode()
        with tarfile.open(path, "w") as tar:
            for entry, data in [("manifest.json", manifest), (name, config), *zip(names, self.layers)]:
                info = tarfile.TarInfo(entry)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path

    @contextlib.contextmanager
    def registry(self, is_false=False, **members):
        """Yields a reference that can be pulled, and the list of paths that were asked for."""
        config = self.config(**members)
        blobs = {_digest(b): b for b in [config, *self.layers]}
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": _digest(config),
                       "size": len(config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": _digest(b), "size": len(b)}
                       for b in self.layers]}).encode()
        asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                data = {"/v2/": b"{}", "/v2/agents/test/manifests/one": manifest}.get(self.path)
                if data is None and "/blobs/" in self.path:
                    data = blobs.get(self.path.rpartition("/")[2])
                    data = data and (data[:-1] + b"?" if is_false else data)
                self.send_response(200 if data is not None else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}/agents/test:one", asked
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class Smolvm:
    """One version's command line, in a home of its own."""

    def __init__(self, folder, version, env=None, **switches):
        self.more = env or {}
        self.version = version
        self.is_named = version not in ("0.8.0", "0.8.1")
        self.home = tempfile.mkdtemp(prefix="", dir=folder)
        self.bin = smolvm.install(os.path.join(self.home, "bin"), version=version,
                                  image_cache=os.path.join(folder, "images"),
                                  compiled=os.path.join(folder, "compiled"), **switches)

    def env(self):
        return {"HOME": self.home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "SMOLVM_VM_UID_DROP": "off", **self.more}

    def argv(self, *words):
        return [os.path.join(self.bin, "smolvm"), *words]

    def popen(self, *words, **options):
        return subprocess.Popen(self.argv(*words), env=self.env(), **options)

    def run(self, *words, stdin=b"", **options):
        return subprocess.run(self.argv(*words), env=self.env(), input=stdin, capture_output=True, check=False,
                              timeout=50, **options)

    def ok(self, *words, **options):
        done = self.run(*words, **options)
        assert done.returncode == 0, (words, done)
        return done.stdout.decode()

    def named(self, name):
        return ("--name", name) if self.is_named else (name,)

    def create(self, *words, name="vm"):
        return self.ok("machine", "create", *words, *self.named(name))

    def start(self, name="vm"):
        return self.ok("machine", "start", "--name", name)

    def exec(self, *words, name="vm", flags=(), stdin=b""):
        return self.run("machine", "exec", "--name", name, *flags, "--", *words, stdin=stdin)

    def status(self, name="vm"):
        return json.loads(self.ok("machine", "status", "--name", name, "--json"))

    def data_dir(self, name="vm"):
        return self.ok("machine", "data-dir", *self.named(name)).strip()

    def database(self):
        return sqlite3.connect(os.path.join(self.home, ".local/share/smolvm/server/smolvm.db"), isolation_level=None)

    def record(self, name="vm"):
        with contextlib.closing(self.database()) as db:
            return json.loads(db.execute("SELECT data FROM vms WHERE name = ?", (name,)).fetchone()[0])

    def patch(self, name="vm", **members):
        data = json.dumps({**self.record(name), **members}).encode()
        with contextlib.closing(self.database()) as db:
            assert db.execute("UPDATE vms SET data = ? WHERE name = ?", (data, name)).rowcount == 1

    def close(self):
        """Ends and removes every machine, whatever state a test left it in."""
        for line in subprocess.run(["ps", "-eo", "pid=,args="], capture_output=True, text=True, check=True).stdout.split("\n"):
            if "standin-guest run" in line and self.home in line:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(line.split()[0]), 9)
        smolvm.remove_tree(self.home)


class Stage:
    """A test file's folder and image; open and close are its setup_module and teardown_module."""

    def __init__(self):
        self.folder, self.image, self.sources = None, None, {}

    def open(self):
        self.folder = tempfile.mkdtemp(prefix="s-")  # short: agent.sock has to fit an address
        self.image = Image()

    def close(self):
        smolvm.remove_tree(self.folder)

    @contextlib.contextmanager
    def cli(self, version, **switches):
        s = Smolvm(self.folder, version, **switches)
        try:
            yield s
        finally:
            s.close()

    def source(self, s, cmd=None, **members):
        """Options of create for an image whose command is cmd: a pack on 0.8.x, an archive later."""
        members = {"Cmd": cmd or FOREVER, **members}
        key = (s.is_named, json.dumps(members))
        path = self.sources.get(key)
        if not path:
            path = self.sources[key] = os.path.join(self.folder, f"image{len(self.sources)}")
            if s.is_named:
                self.image.archive(path + ".tar", **members)
            else:
                with self.image.registry(**members) as (ref, _):
                    s.ok("pack", "create", "--image", ref, "-o", path)
        return ("--image", path + ".tar") if s.is_named else ("--from", path + ".smolmachine")

    @contextlib.contextmanager
    def running(self, version, cmd=None, words=(), members=None, patch=None, **switches):
        with self.cli(version, **switches) as s:
            s.create(*self.source(s, cmd, **(members or {})), *words)
            if patch:
                s.patch(**patch)
            s.start()
            yield s


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def has_id(vmm, uid):
    """Does this VMM's guest have the user?"""
    with open(f"/proc/{vmm}/task/{vmm}/children", encoding="ascii") as f:
        agent = f.read().split()[0]
    with open(f"/proc/{agent}/uid_map", encoding="ascii") as f:
        ranges = [[int(n) for n in line.split()] for line in f]
    return any(first <= uid < first + count for first, _, count in ranges)
