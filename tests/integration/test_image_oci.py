"""The archive form of an image: what other programs read in it, and that no half of one is ever found. The image
is a small one made here; bot-bottle runs from a folder in which bottle-init is a file of ours."""

import fcntl
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from packer import BASE, CLAUDE, Packer  # noqa: E402

TIMEOUT = 60


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def inspect(kind, path, *words):
    out = subprocess.run(["skopeo", "inspect", *words, f"{kind}:{path}"], capture_output=True, text=True, timeout=30,
                         check=False)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)


def test_skopeo_reads_it_as_oci_and_as_docker_archive():
    with Packer() as p:
        path = p.packed()
        for kind in ("oci-archive", "docker-archive"):
            image, config = inspect(kind, path), inspect(kind, path, "--config")
            assert image["Os"] == "linux" and len(image["Layers"]) == 3, image
            assert config["config"]["User"] == "0:0", config
            assert config["config"]["Entrypoint"] == ["/bottle-init"] and config["config"]["Cmd"] == ["--idle"], config
            assert len(set(config["rootfs"]["diff_ids"])) == 3, config
        # The name says the digest that others compute.
        named = os.path.basename(path).split("-")[1]
        assert inspect("oci-archive", path)["Digest"] == "sha256:" + named, path


def test_its_layers_are_the_images_own_with_bottle_init_on_top():
    with Packer() as p:
        with tarfile.open(p.packed()) as outer:
            manifest = json.load(outer.extractfile("manifest.json"))[0]
            assert manifest["RepoTags"] == ["bot-bottle/claude:" + CLAUDE[:12]], manifest
            layers = [tarfile.open(fileobj=outer.extractfile(n)) for n in manifest["Layers"]]
            names = [t.getnames() for t in layers]
            assert "usr/bin/" + "long-" * 30 in names[0] and "bin" in names[0], names
            assert [n for n in names[1] if n.endswith("claude")] == ["usr/local/bin/claude"], names
            assert names[2] == ["bottle-init"] and layers[2].getmember("bottle-init").mode == 0o755, names
            assert layers[2].extractfile("bottle-init").read() == b"the first\n"
            for t in layers:
                assert all(m.uid == 0 and m.gid == 0 and m.uname in ("", "root") for m in t), t.getnames()
                assert t.getnames() == sorted(t.getnames(), key=lambda n: n.split("/")), t.getnames()
            assert layers[0].getmember("tmp").mode == 0o1777
            assert layers[0].getmember("bin").linkname == "usr/bin"
            for name in outer.getnames():
                if name.startswith("blobs/sha256/") and outer.getmember(name).isfile():
                    assert hashlib.sha256(outer.extractfile(name).read()).hexdigest() == name[13:], name


def test_umoci_unpacks_it():
    with Packer() as p:
        layout, bundle = os.path.join(p.top, "layout"), os.path.join(p.top, "bundle")
        os.mkdir(layout)
        subprocess.run(["tar", "-xf", p.packed(), "-C", layout], check=True, timeout=30)
        out = subprocess.run(["umoci", "unpack", "--rootless", "--image", layout + ":claude", bundle],
                             capture_output=True, text=True, timeout=30, check=False)
        assert out.returncode == 0, out.stderr
        root = os.path.join(bundle, "rootfs")
        base, agent = os.path.join(p.images, BASE, "root"), os.path.join(p.images, CLAUDE, "root")
        for path in ("etc/passwd", "usr/bin/" + "long-" * 30):
            assert digest(os.path.join(root, path)) == digest(os.path.join(base, path)), path
        assert digest(os.path.join(root, "usr/local/bin/claude")) == digest(os.path.join(agent, "usr/local/bin/claude"))
        assert os.path.samefile(os.path.join(root, "etc/passwd"), os.path.join(root, "etc/passwd-"))


def test_equal_images_give_equal_archives():
    with Packer() as p:
        path = p.packed()
        before, made = digest(path), os.stat(path).st_ino
        assert p.packed() == path and os.stat(path).st_ino == made  # is there: not made again
        os.unlink(path)
        os.unlink(os.path.join(p.images, CLAUDE, "oci"))
        assert p.packed() == path and digest(path) == before


def test_a_plain_build_packs_nothing():
    with Packer() as p:
        for words in ((), ("--for", "microvm"), ("--for", "namespace")):
            process = p.begin(*words)
            out, _ = process.communicate(timeout=20)
            assert process.returncode == 0 and "packing" not in out, out
            assert p.archives() == [], p.archives()


def test_another_bottle_init_makes_another_archive_and_the_old_one_goes():
    with Packer() as p:
        first = p.packed()
        p.write_init(b"the second\n")
        second = p.packed()
        assert second != first and not os.path.exists(first), p.archives()
        # A bottle that holds the image may start its machine from the archive it has found.
        held = os.open(os.path.join(p.images, CLAUDE), os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_SH)
        p.write_init(b"the third\n")
        third = p.packed()
        assert os.path.exists(second) and third != second, p.archives()
        os.close(held)
        p.write_init(b"the fourth\n")
        p.packed()
        assert not os.path.exists(second) and not os.path.exists(third), p.archives()


def test_an_interrupt_leaves_neither_archive_nor_helper():
    with Packer(tar="echo $$ > TOP/pid; touch TOP/begun; exec sleep 1000") as p:
        process = p.begin("--for", "smolmachines")
        p.wait_for("begun")
        with open(os.path.join(p.top, "pid"), encoding="utf-8") as f:
            helper = int(f.read())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
        assert process.returncode != 0 and "interrupted" in out, out
        assert p.archives() == [] and p.left() == [] and not os.path.exists(f"/proc/{helper}")


def test_what_a_killed_one_left_is_no_archive_and_goes_with_the_next():
    with Packer(tar="touch TOP/begun; exec sleep 1000") as p:
        process = p.begin("--for", "smolmachines")
        p.wait_for("begun")
        process.kill()
        process.communicate(timeout=20)
        assert p.archives() == [] and p.left() != []
        os.unlink(os.path.join(p.bin, "tar"))
        p.packed()
        assert p.left() == [] and len(p.archives()) == 2, p.archives()


def test_a_full_disk_or_a_failing_tar_is_one_sentence():
    for script, said in (("echo 'tar: -: Wrote only 4096 of 10240 bytes: No space left on device' >&2; exit 2", "is full"),
                         ("echo 'tar: usr: Cannot open: Permission denied' >&2; exit 2", "Permission denied")):
        with Packer(tar=script) as p:
            code, out = p.pack()
            assert code == 125 and said in out, out
            assert p.archives() == [] and p.left() == []


def test_what_cannot_be_packed_says_why():
    with Packer() as p:
        for words, name, said in ((("--for", "docker"), "claude", "there is no backend 'docker'"),):
            process = p.begin(*words, name=name)
            out, _ = process.communicate(timeout=20)
            assert process.returncode == 125 and said in out, out
        os.unlink(os.path.join(p.bin, "bottle-init"))
        code, out = p.pack()
        assert code == 125 and "bottle-init" in out and p.archives() == [], out
