"""The outer machine: an image for our own microVM backend in which that backend is tested again.

Debian with QEMU, the kernel's KVM modules, what our programs link and the test needs, and the base image to
start bottles from. Built from the host's own apt configuration like every image, kept in the cache directory
(it takes half a minute) and built again when the base image, the package list or this file changes.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time

PACKAGES = ["bash", "coreutils", "e2fsprogs", "iproute2", "kmod", "libarchive13", "libc-ares2", "libcap2-bin", "libcmocka0",
            "libjansson4", "libncursesw6", "libnghttp2-14", "libpsl5", "libseccomp2", "libssl3", "libuv1", "libyaml-0-2",
            "passwd", "procps", "python3", "qemu-system-x86", "uidmap", "util-linux"]
MODULES = ["irqbypass", "kvm", "kvm-amd"]  # the order in which modprobe loads them
HOOK = ("set -e; export APT_CONFIG=\"$MMDEBSTRAP_APT_CONFIG\"; mkdir \"$1/.kernel\"; cd \"$1/.kernel\"; "
        "apt-get -q -o APT::Sandbox::User=root download linux-image-{version}")
IMAGES = "var/cache/bot-bottle/images"  # of the inner bot-bottle, whose XDG_CACHE_HOME is /var/cache


def cache_home():
    return os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")


def base_image():
    """(directory, record) of the base image, or an error that says how to build it."""
    images = os.path.join(cache_home(), "bot-bottle", "images")
    path = os.path.realpath(os.path.join(images, "base"))
    if not os.path.isfile(os.path.join(path, "image.json")):
        raise RuntimeError("image 'base' is not built; run: bot-bottle image build base")
    with open(os.path.join(path, "image.json"), encoding="utf-8") as f:
        return path, json.load(f)


def run(*argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed with {done.returncode}:\n{done.stdout[-2000:]}")
    return done.stdout


def bootstrap(build, version, work):
    """Fills work/root."""
    sources = os.path.join(work, "host.sources")
    with open(sources, "w", encoding="utf-8") as f:
        f.write(run(os.path.join(build, "tests", "nested", "nested-sources")))
    with open(sources, encoding="utf-8") as f:
        codename = f.readline()[1:].strip()
    config = os.path.join(work, "apt.conf")
    with open(config, "w", encoding="utf-8") as f:
        f.write(run("apt-config", "dump", "Acquire"))
    tar = os.path.join(work, "root.tar")
    mode = "root" if os.geteuid() == 0 else "unshare"
    run("mmdebstrap", f"--mode={mode}", "--variant=minbase", "--format=tar", "--include=" + ",".join(PACKAGES),
        *(f"--dpkgopt=path-exclude=/usr/share/{d}/*" for d in ("doc", "man", "info", "locale")),
        f"--aptopt={config}", "--customize-hook=" + HOOK.format(version=version), codename, tar, sources)
    root = os.path.join(work, "root")
    os.mkdir(root)
    run("tar", "-x", "-f", tar, "-C", root, "--no-same-owner", "--exclude=./dev/*")
    os.unlink(tar)
    return root


def take_modules(root, version, work):
    """The KVM modules where modprobe finds them; the rest of the kernel package is not wanted."""
    folder = os.path.join(root, ".kernel")
    package, = (os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".deb"))
    tree = os.path.join(work, "kernel")
    run("dpkg-deb", "-x", package, tree)
    target = os.path.join(root, "usr/lib/modules", version)
    os.makedirs(os.path.join(target, "kernel"), exist_ok=True)
    wanted = {m + ".ko" for m in MODULES}
    for path, _, names in os.walk(tree):
        for name in wanted & set(names):
            shutil.copy(os.path.join(path, name), os.path.join(target, "kernel", name))
    for name in os.listdir(os.path.join(tree, "lib/modules", version)):
        if name.startswith("modules."):
            shutil.copy(os.path.join(tree, "lib/modules", version, name), target)
    run("depmod", "-b", root, version, env={**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/sbin"})
    shutil.rmtree(folder)


def put_base(root, base, record):
    """The image that the inner bottles start from: without its directory form, which a microVM does not read."""
    target = os.path.join(root, IMAGES, os.path.basename(base))
    os.makedirs(target)
    for name in ("root.erofs", "vmlinuz", "image.json"):
        shutil.copy(os.path.join(base, name), target)
    shutil.copytree(os.path.join(base, "modules"), os.path.join(target, "modules"))
    os.symlink(os.path.basename(base), os.path.join(root, IMAGES, record["name"]))


def settle(root):
    for name, text in (("hostname", "outer\n"), ("hosts", "127.0.0.1 localhost\n::1 localhost\n"),
                       ("resolv.conf", "nameserver 127.0.0.1\n")):
        path = os.path.join(root, "etc", name)
        if os.path.lexists(path):
            os.unlink(path)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    for name, line in (("passwd", "node:x:1000:1000::/home/node:/bin/bash\n"), ("group", "node:x:1000:\n"),
                       ("subuid", "node:200000:65536\n"), ("subgid", "node:200000:65536\n")):
        with open(os.path.join(root, "etc", name), "a", encoding="utf-8") as f:
            f.write(line)
    os.mkdir(os.path.join(root, "home/node"))
    for path, folders, names in os.walk(root):
        for name in folders + names:
            full = os.path.join(path, name)
            if not os.path.islink(full):
                mode = os.stat(full).st_mode & 0o7777
                keep = mode & 0o1777 if name in folders else mode & 0o777
                if name in ("newuidmap", "newgidmap"):
                    keep |= 0o4000  # a rootless bottle needs them as they are
                os.chmod(full, keep | (0o755 if name in folders else 0o444))


def outer_image(build):
    """A cache directory whose image 'outer' is ready: what XDG_CACHE_HOME is to be for the outer start."""
    base, record = base_image()
    with open(__file__, "rb") as f:
        key = hashlib.sha256(f.read() + os.path.basename(base).encode()).hexdigest()[:40]
    home = os.path.join(cache_home(), "bot-bottle-tests")
    images = os.path.join(home, "bot-bottle", "images")
    final = os.path.join(images, key)
    os.makedirs(images, exist_ok=True)
    if not os.path.isfile(os.path.join(final, "image.json")):
        for name in os.listdir(images):
            if name != key and name != "outer":
                shutil.rmtree(os.path.join(images, name), ignore_errors=True)
        build_outer(build, base, record, final)
    link = os.path.join(images, "outer")
    if not os.path.islink(link) or os.readlink(link) != key:
        fresh = f"{link}.{os.getpid()}"
        os.symlink(key, fresh)
        os.rename(fresh, link)
    return home


def build_outer(build, base, record, final):
    version = record["kernel_version"]
    work = tempfile.mkdtemp(prefix="tmp-outer-", dir=os.path.dirname(final))
    os.chmod(work, 0o755)
    try:
        root = bootstrap(build, version, work)
        take_modules(root, version, work)
        put_base(root, base, record)
        settle(root)
        image = os.path.join(work, "image")
        os.mkdir(image)
        run("mkfs.erofs", "--quiet", "-zlz4", "-x-1", "--all-root", os.path.join(image, "root.erofs"), root)
        shutil.copy(os.path.join(base, "vmlinuz"), image)
        shutil.copytree(os.path.join(base, "modules"), os.path.join(image, "modules"))
        os.mkdir(os.path.join(image, "root"))
        with open(os.path.join(image, "image.json"), "w", encoding="utf-8") as f:
            json.dump({"format": 1, "name": "outer", "parent": None, "kernel_version": version,
                       "built_at": int(time.time()), "packages": PACKAGES}, f)
        os.rename(image, final)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    print(outer_image(os.environ.get("BB_BUILD", "build")))
