"""Keeping a changed workspace at the end of a bottle, and what happens when it cannot be kept."""

import contextlib
import io
import os
import signal
import struct
import tarfile

import bundle
from bundle import FLAG_MAIN, tlv
from stage import Stage


def tree(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


@contextlib.contextmanager
def with_workspace(stage, plan=None):
    with stage, stage.launch(plan) as m:
        m.wait_ready()
        with m.control() as c:
            path = os.path.join(stage.dir, "workspace")  # this guest shares our files
            problem = c.put(path, tree(**{"a.txt": b"before", "b/c.txt": b"kept"}))
            assert problem == "", problem
            assert c.ask(bundle.CONTROL_WORKSPACE, tlv((1, path)))[0] == bundle.CONTROL_OK
            c.link.send(bundle.CONTROL_WATCH)
            yield m, c, path


def frames_of(path):
    """The tar archive in a file of raw FILE frames."""
    with open(path, "rb") as f:
        data = f.read()
    out, at, ended = b"", 0, False
    while at < len(data):
        kind, _, _, n = struct.unpack_from(">BBHI", data, at)
        body = data[at + 8:at + 8 + n]
        at += 8 + n
        if kind == bundle.FILE_DATA:
            out += body
        elif kind == bundle.FILE_RESULT:
            assert body == b"", body
            ended = True
    assert ended
    return tarfile.open(fileobj=io.BytesIO(out))


def test_a_changed_workspace_is_kept():
    with with_workspace(Stage()) as (m, c, path):
        c.run("sh", "-c", f"echo after > {path}/a.txt; echo new > {path}/new.txt", flags=FLAG_MAIN)
        end = c.wait_end()
        assert end["kept"] and end["problem"] is None, end
        m.wait_exit()
        meta = m.home.meta(m.identity)
        assert meta["workspace_kept"] and meta["guest_workspace"] == path
        with frames_of(m.home.state(m.identity, "workspace.frames")) as tar:
            names = {n.removeprefix("./") for n in tar.getnames()}
            assert {"a.txt", "b/c.txt", "new.txt"} <= names, names
            member = next(t for t in tar if t.name.removeprefix("./") == "a.txt")
            assert tar.extractfile(member).read() == b"after\n"


def test_an_unchanged_workspace_is_not_kept():
    with with_workspace(Stage()) as (m, c, path):
        c.run("sh", "-c", f"cat {path}/a.txt", flags=FLAG_MAIN)
        end = c.wait_end()
        assert not end["kept"] and end["problem"] is None, end
        m.wait_exit()
        assert not os.path.exists(m.home.state(m.identity, "workspace.frames"))


def test_a_stopped_bottle_keeps_its_workspace_too():
    with with_workspace(Stage()) as (m, c, path):
        assert c.run("sh", "-c", f"echo after > {path}/a.txt")[0] == 0
        with contextlib.closing(c.start("sleep", "1000", flags=FLAG_MAIN)):
            end = c.stop()
        assert end["kept"] and end["reason"] == "stopped by the operator", end


def test_a_workspace_that_the_guest_removed_is_a_problem_that_is_told():
    with with_workspace(Stage()) as (m, c, path):
        c.run("rm", "-rf", path, flags=FLAG_MAIN)
        end = c.wait_end()
        assert not end["kept"] and "could not be kept" in end["problem"], end
        assert m.home.meta(m.identity)["problem"] == end["problem"]


def test_the_death_of_a_bottle_with_a_workspace_says_that_it_is_lost():
    with with_workspace(Stage()) as (m, c, _):
        with contextlib.closing(c.start("sleep", "1000", flags=FLAG_MAIN)):
            os.kill(c.status()["parts"]["channel"], signal.SIGKILL)
            end = c.wait_end()
        assert not end["kept"] and "could not be kept" in end["problem"], end
