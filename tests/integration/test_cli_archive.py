"""bot-bottle-archive against archives that a hostile guest could send; each attack works on an unpacker
that trusts its input (Python's tarfile without a filter)."""

import io
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import build  # noqa: E402

TIMEOUT = 60


class Place:
    """outside/ with a canary beside dest/, into which is unpacked."""

    def __enter__(self):
        self.top = tempfile.mkdtemp(prefix="bb-archive-", dir="/tmp")
        self.dest = os.path.join(self.top, "dest")
        self.outside = os.path.join(self.top, "outside")
        os.mkdir(self.dest)
        os.mkdir(self.outside)
        self.canary = os.path.join(self.outside, "canary")
        with open(self.canary, "w", encoding="utf-8") as f:
            f.write("safe")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.top, ignore_errors=True)

    def outside_is_untouched(self):
        with open(self.canary, encoding="utf-8") as f:
            return f.read() == "safe" and os.listdir(self.outside) == ["canary"] and \
                sorted(os.listdir(self.top)) == ["dest", "outside"]

    def unpack(self, data, only=".", into="tree"):
        fd = os.open(self.dest, os.O_RDONLY | os.O_DIRECTORY)
        try:
            return subprocess.run(["/bin/sh", "-c", 'exec "$0" unpack "$1" "$2" 3<&9',
                                   os.path.join(build(), "src", "bot-bottle-archive"), only, into],
                                  input=data, capture_output=True, timeout=30, check=False,
                                  preexec_fn=lambda: os.dup2(fd, 9), pass_fds=(9,))
        finally:
            os.close(fd)

    def unpack_trusting(self, data):
        """The same archive with the defence off: None when it raised."""
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as tar:
                # Before 3.11.4 there is no filter, and all is trusted.
                trusting = {"filter": "fully_trusted"} if hasattr(tarfile, "fully_trusted_filter") else {}
                tar.extractall(os.path.join(self.dest, "tree"), **trusting)
        except (OSError, tarfile.TarError, KeyError):
            return


def entry(name, kind=tarfile.REGTYPE, text=b"", link="", mode=0o644):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.size = kind, link, mode, len(text)
    info.uid = info.gid = os.getuid()
    return info, text


def archive(*entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, text in entries:
            tar.addfile(info, io.BytesIO(text))
    return out.getvalue()


def escapes(place):
    """name -> archive that writes outside/ when it is trusted."""
    return {
        "dots": archive(entry("../../outside/canary", text=b"owned")),
        "dots inside": archive(entry("a/../../../outside/canary", text=b"owned")),
        "absolute": archive(entry(place.canary, text=b"owned")),
        "link then file": archive(entry("l", tarfile.SYMTYPE, link=place.outside), entry("l/canary", text=b"owned")),
        "relative link then file": archive(entry("l", tarfile.SYMTYPE, link="../../outside"),
                                           entry("l/canary", text=b"owned")),
        "link in steps": archive(entry("d", tarfile.DIRTYPE, mode=0o755), entry("d/up", tarfile.SYMTYPE, link=".."),
                                 entry("l", tarfile.SYMTYPE, link="d/up/../../outside"),
                                 entry("l/canary", text=b"owned")),
        "file link": archive(entry("f", tarfile.SYMTYPE, link="../../outside/new"), entry("x", text=b"x")),
        "hard link": archive(entry("h", tarfile.LNKTYPE, link="../../outside/canary"), entry("h", text=b"owned")),
    }


def test_no_archive_writes_outside():
    works = 0
    with Place() as place:
        names = list(escapes(place))
    for name in names:
        with Place() as place:
            place.unpack_trusting(escapes(place)[name])
            worked = not place.outside_is_untouched() or any(
                os.path.islink(os.path.join(d, f)) and not os.path.realpath(os.path.join(d, f)).startswith(place.dest)
                for d, _, files in os.walk(place.dest) for f in files)
            works += worked
        with Place() as place:
            done = place.unpack(escapes(place)[name])
            assert place.outside_is_untouched(), (name, done)
            for directory, dirs, files in os.walk(place.dest):
                for leaf in dirs + files:
                    real = os.path.realpath(os.path.join(directory, leaf))
                    assert real.startswith(place.dest + "/"), (name, leaf, real)
    assert works >= 6, f"only {works} of {len(names)} attacks work with the defence off"


def test_a_link_that_is_already_in_the_destination_is_not_followed():
    with Place() as place:
        os.mkdir(os.path.join(place.dest, "tree"))
        os.symlink(place.outside, os.path.join(place.dest, "tree", "l"))
        done = place.unpack(archive(entry("l/canary", text=b"owned")))
        assert done.returncode == 1 and b"link" in done.stderr and place.outside_is_untouched(), done
        os.symlink(place.canary, os.path.join(place.dest, "tree", "f"))
        done = place.unpack(archive(entry("f", text=b"new")))
        assert done.returncode == 0 and place.outside_is_untouched(), done
        assert not os.path.islink(os.path.join(place.dest, "tree", "f"))


def test_special_files_and_bits_are_left_out_and_named():
    with Place() as place:
        done = place.unpack(archive(entry("null", tarfile.CHRTYPE), entry("disk", tarfile.BLKTYPE),
                                    entry("pipe", tarfile.FIFOTYPE), entry("suid", text=b"x", mode=0o6777),
                                    entry("sticky", tarfile.DIRTYPE, mode=0o1777)))
        assert done.returncode == 0, done
        for name in (b"null", b"disk", b"pipe"):
            assert b"left out: 'tree/" + name + b"'" in done.stderr, done.stderr
        assert sorted(os.listdir(os.path.join(place.dest, "tree"))) == ["sticky", "suid"]
        assert stat.S_IMODE(os.stat(os.path.join(place.dest, "tree", "suid")).st_mode) == 0o755
        assert stat.S_IMODE(os.stat(os.path.join(place.dest, "tree", "sticky")).st_mode) == 0o755


def test_good_links_and_hard_links_come_out():
    with Place() as place:
        done = place.unpack(archive(entry("d", tarfile.DIRTYPE, mode=0o755), entry("d/f", text=b"x"),
                                    entry("d/up", tarfile.SYMTYPE, link="../d/f"),
                                    entry("hard", tarfile.LNKTYPE, link="d/f"), entry("ä ö", text=b"y")))
        assert done.returncode == 0 and done.stderr == b"", done
        tree = os.path.join(place.dest, "tree")
        with open(os.path.join(tree, "d", "up"), "rb") as f:
            assert f.read() == b"x"
        assert os.stat(os.path.join(tree, "hard")).st_nlink == 1  # a copy: nothing is tied together
        assert "ä ö" in os.listdir(tree)


def test_an_archive_that_ends_early_is_refused_wherever_it_is_cut():
    data = archive(entry("a", text=b"x" * 1500), entry("b", text=b"y"))
    end = len(data.rstrip(b"\0"))
    cuts = [n for n in range(0, end + 1023, 128)]
    for n in cuts:
        with Place() as place:
            done = place.unpack(data[:n])
            assert done.returncode == 1 and done.stderr, (n, done)
    with Place() as place:
        assert place.unpack(data).returncode == 0


def test_bytes_behind_the_end_are_refused():
    data = archive(entry("a", text=b"x"))
    with Place() as place:
        done = place.unpack(data + b"more")
        assert done.returncode == 1 and b"something follows its end" in done.stderr, done
    with Place() as place:
        assert place.unpack(b"this is no archive" * 100).returncode == 1


def test_only_what_was_asked_for_comes_out():
    data = archive(entry("./a/f", text=b"1"), entry("./ab/f", text=b"2"))
    with Place() as place:
        assert place.unpack(data, only="a", into="out").returncode == 0
        assert os.listdir(place.dest) == ["out"] and os.listdir(os.path.join(place.dest, "out")) == ["f"]
        done = place.unpack(data, only="none", into="out")
        assert done.returncode == 1 and b"there is no 'none' in it" in done.stderr


def test_names_of_a_guest_are_escaped_in_messages():
    with Place() as place:
        done = place.unpack(archive(entry("\x1b]0;owned\x07", tarfile.FIFOTYPE), entry("x", text=b"")))
        assert done.returncode == 0 and b"\x1b" not in done.stderr and b"\\x1b]0;owned" in done.stderr, done


def test_a_full_disk_is_an_error():
    with Place() as place:
        done = subprocess.run(["unshare", "-Urm", "sh", "-c", 'mount -t tmpfs -o size=64k none "$1" && cd "$1" && '
                               'exec "$0" unpack . tree 3<.',
                               os.path.join(build(), "src", "bot-bottle-archive"), place.dest],
                              input=archive(entry("big", text=b"x" * 300000)), capture_output=True, timeout=30,
                              check=False)
        assert done.returncode == 1 and b"No space left" in done.stderr, done
