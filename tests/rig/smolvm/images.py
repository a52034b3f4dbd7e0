"""Images: docker-save and OCI archives, folders, packs (`.smolmachine`) and registries on loopback.

Unpacked once, by content, below the cache (STANDIN_IMAGE_CACHE: somewhere else, to share between tests).
"""

import fcntl
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile

from . import runner, switches
from .switches import Failure

HERE = os.path.dirname(os.path.abspath(__file__))
PACK_MANIFEST = "standin-pack.json"
MANIFEST_TYPES = ("application/vnd.oci.image.manifest.v1+json",
                  "application/vnd.docker.distribution.manifest.v2+json",
                  "application/vnd.oci.image.index.v1+json",
                  "application/vnd.docker.distribution.manifest.list.v2+json")


class Image:
    """config: the image's `config` member; layers: [FILE or FILE::MEMBER], key: of the content."""

    def __init__(self, config, layers, key, pack=None):
        self.config, self.layers, self.key, self.pack = config or {}, layers, key, pack or {}

    def field(self, name, default):
        return self.config.get(name) or default


def _digest(*parts):
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _read_json(tar, name):
    try:
        return json.load(tar.extractfile(name))
    except (KeyError, ValueError) as e:
        raise Failure(f"invalid image archive: {name}: {e}")


def _pick(manifests):
    """linux/amd64 of an index."""
    for m in manifests:
        p = m.get("platform")
        if not p or (p.get("os"), p.get("architecture")) == ("linux", "amd64"):
            return m
    raise Failure("image has no manifest for linux/amd64")


def _blob(digest):
    return "blobs/" + digest.replace(":", "/")


def _read_oci(path, tar):
    entry = _pick(_read_json(tar, "index.json")["manifests"])
    manifest = _read_json(tar, _blob(entry["digest"]))
    if "manifests" in manifest:
        entry = _pick(manifest["manifests"])
        manifest = _read_json(tar, _blob(entry["digest"]))
    config = _read_json(tar, _blob(manifest["config"]["digest"]))
    return Image(config.get("config"), [f"{path}::{_blob(l['digest'])}" for l in manifest["layers"]],
                 entry["digest"])


def read_archive(path):
    path = os.path.realpath(path)
    try:
        with tarfile.open(path) as tar:
            names = set(tar.getnames())
            if "index.json" in names:
                return _read_oci(path, tar)
            if "manifest.json" not in names:
                raise Failure(f"invalid image archive: {path}: neither index.json nor manifest.json")
            saved = _read_json(tar, "manifest.json")[0]
            config = _read_json(tar, saved["Config"])
            return Image(config.get("config"), [f"{path}::{l}" for l in saved["Layers"]],
                         _digest(saved["Config"], *saved["Layers"]))
    except (OSError, tarfile.TarError) as e:
        raise Failure(f"failed to read image archive {path}: {e}")


def read_pack(path):
    """A pack by its sidecar's name or its stub's."""
    path = os.path.realpath(path + ".smolmachine" if os.path.exists(path + ".smolmachine") else path)
    try:
        with tarfile.open(path) as tar:
            pack = _read_json(tar, PACK_MANIFEST)
    except (OSError, tarfile.TarError) as e:
        raise Failure(f"failed to read {path}: {e}")
    return Image(pack["config"], [f"{path}::{l}" for l in pack["layers"]], pack["digest"], pack)


class Registry:
    """The pull half of the OCI distribution API; plain HTTP for loopback only, like crane."""

    def __init__(self, ref):
        first, _, rest = ref.partition("/")
        if not rest or not ("." in first or ":" in first or first == "localhost"):
            first, rest = "registry-1.docker.io", ref if "/" in ref else "library/" + ref
        self.name, _, self.reference = rest.partition("@")
        if not self.reference:
            head, _, tag = self.name.rpartition(":")
            self.name, self.reference = (head, tag) if head and "/" not in tag else (self.name, "latest")
        host = first.rsplit(":", 1)[0]
        scheme = "http" if host in ("localhost", "[::1]") or host.startswith("127.") else "https"
        self.base = f"{scheme}://{first}/v2/"

    def get(self, path, accept=()):
        import urllib.request  # takes as long to import as everything else together, and few commands pull
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(self.base + path, headers={"Accept": ", ".join(accept)} if accept else {})
        return opener.open(request, timeout=30)

    def manifest(self, reference):
        with self.get(f"{self.name}/manifests/{reference}", MANIFEST_TYPES) as answer:
            data = answer.read(4 << 20)
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        if reference.startswith("sha256:") and digest != reference:
            raise Failure(f"failed to pull: manifest {reference} has digest {digest}")
        return json.loads(data), digest

    def blob(self, digest, out):
        h = hashlib.sha256()
        with self.get(f"{self.name}/blobs/{digest}") as answer:
            while chunk := answer.read(1 << 20):
                h.update(chunk)
                out.write(chunk)
        if digest != "sha256:" + h.hexdigest():
            raise Failure(f"failed to pull: blob {digest} has digest sha256:{h.hexdigest()}")


def pull(ref, folder):
    try:
        registry = Registry(ref)
        registry.get("").close()
        manifest, digest = registry.manifest(registry.reference)
        if "manifests" in manifest:
            manifest, digest = registry.manifest(_pick(manifest["manifests"])["digest"])
        config = io.BytesIO()
        registry.blob(manifest["config"]["digest"], config)
        layers = []
        for i, layer in enumerate(manifest["layers"]):
            layers.append(os.path.join(folder, str(i)))
            with open(layers[-1], "wb") as f:
                registry.blob(layer["digest"], f)
        return Image(json.loads(config.getvalue()).get("config"), layers, digest)
    except (OSError, ValueError, KeyError) as e:
        raise Failure(f"failed to pull image '{ref}': {e}")


def _cache():
    return switches.value("IMAGE_CACHE") or os.path.join(switches.cache_home(), "smolvm-image-archives")


def unpack(image):
    """The folder with the image's root, made when it is not there yet."""
    flags = ("w" if switches.since("1.1.0") else "") + ("o" if switches.since("1.1.1") else "")
    target = os.path.join(_cache(), _digest(image.key, flags, str(os.getuid()))[:32])
    os.makedirs(_cache(), exist_ok=True)
    with open(target + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(target):
            return target
        work = target + ".new"
        if os.path.exists(work):
            remove_tree(work)
        os.mkdir(work, 0o755)
        done = subprocess.run([runner(), "ids", sys.executable, "-B", os.path.join(HERE, "unpack.py"), work,
                               flags, *image.layers], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        if done.returncode != 0:
            raise Failure("failed to unpack the image: " + done.stderr.decode("utf-8", "replace").strip()[-600:])
        os.rename(work, target)
    return target


def remove_tree(folder):
    """By name, with the guest's ids: its files belong to the guest's users."""
    subprocess.run([runner(), "ids", "rm", "-rf", "--", folder], check=False)
    if os.path.exists(folder):
        shutil.rmtree(folder, ignore_errors=True)


def create_pack(ref, out, options):
    if out.endswith(".smolmachine") and switches.since("0.8.1"):
        raise Failure("the output name must not end in .smolmachine: the sidecar gets that suffix itself")
    switches.check_kvm("start")  # a helper VM pulls
    sidecar = out + ".smolmachine"
    os.makedirs(os.path.dirname(os.path.abspath(out)), exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="standin-pack-") as folder:
        print(f"Pulling {ref}...", file=sys.stderr)
        image = pull(ref, folder)
        config = dict(image.config)
        if options.get("entrypoint"):
            config["Entrypoint"], config["Cmd"] = options["entrypoint"].split(), []
        pack = {"config": config, "layers": [], "digest": image.key, "image": ref, "network": False,
                "cpus": int(options.get("cpus") or 4), "mem": int(options.get("mem") or 8192)}
        with tarfile.open(sidecar + ".new", "w") as tar:
            for i, layer in enumerate(image.layers):
                pack["layers"].append(f"layers/{i}")
                tar.add(layer, pack["layers"][-1])
            data = json.dumps(pack).encode()
            info = tarfile.TarInfo(PACK_MANIFEST)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    os.rename(sidecar + ".new", sidecar)
    with open(out, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\necho 'stand-in smolvm: the stub of a pack cannot be executed' >&2\nexit 1\n")
    os.chmod(out, 0o755)
    print(f"Packed {ref} -> {out} (+ {os.path.basename(sidecar)})")
