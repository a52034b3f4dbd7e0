"""A full disk at any point of a bottle's life. Each case runs in a mount namespace of its own, where the home is
a small tmpfs; the same file is the program that runs inside."""

import contextlib
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]

import bundle  # noqa: E402
from bundle import FLAG_MAIN, Home, LaunchFailed, Plan  # noqa: E402
from stage import Stage  # noqa: E402
from test_workspace import with_workspace  # noqa: E402

PAGE = 4096
TIMEOUT = 120


@contextlib.contextmanager
def small_home(pages):
    home = Home()
    home.owned = False  # until the mount is gone, nobody can remove it
    os.makedirs(home.root)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={pages * PAGE},mode=700", "none", home.root], check=True)
    try:
        yield home
    finally:
        subprocess.run(["umount", home.root], check=True)
        home.owned = True
        home.close()


def fill(home):
    """Takes all room that is left; gives it back when closed."""
    path = os.path.join(home.root, "filler")
    with open(path, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:
            f.write(b"x" * PAGE)
    return contextlib.closing(type("Filler", (), {"close": lambda self: os.unlink(path)})())


def case_launch():
    launched = refused = 0
    for pages in range(1, 14):
        with small_home(pages) as home, Stage(home=home) as s, s.launch(Plan(image="host")) as m:
            try:
                m.wait_ready()
                launched += 1
                with m.control() as c:
                    c.stop()
                m.wait_exit()
                assert home.meta(m.identity)["has_ended"]
            except LaunchFailed as failed:
                refused += 1
                assert "No space left on device" in failed.reason, failed.reason
                m.wait_exit()
                assert home.states() == [], (pages, home.states())
            s.expect_nothing_left()
    assert launched and refused, (launched, refused)


def case_last_words():
    with small_home(64) as home, Stage(home=home) as s, s.launch() as m:
        m.wait_ready()
        with fill(home), m.control() as c:
            c.link.send(bundle.CONTROL_WATCH)
            assert c.run("sh", "-c", "head -c 100000 /dev/zero; exit 5", flags=FLAG_MAIN)[0] == 5
            assert c.wait_end()["code"] == 5
            m.wait_exit()
            assert home.meta(m.identity)["has_ended"] and home.meta(m.identity)["exit_code"] == 5
        s.expect_nothing_left()


def stuck(c, path):
    code, _, err = c.run("sh", "-c", f"head -c 400000 /dev/urandom > {path}/big", flags=FLAG_MAIN)
    assert code == 0, err
    note = c.link.until(bundle.CONTROL_NOTE)[2][1][0].decode()
    assert "No space left on device" in note and "bot-bottle cp" in note, note
    status = c.status()
    assert status["phase"] == "saving" and status["problem"] == note, status
    # The work is still there and can be fetched.
    assert c.run("sh", "-c", f"wc -c < {path}/big")[1].strip() == b"400000"


def case_workspace_stays_until_there_is_room():
    with small_home(128) as home, with_workspace(Stage(home=home)) as (m, c, path):
        with fill(home):
            stuck(c, path)
        end = c.stop()
        assert end["kept"] and end["problem"] is None and end["code"] == 0, end
        m.wait_exit()


def case_stop_without_room_says_what_is_lost():
    with small_home(128) as home, with_workspace(Stage(home=home)) as (m, c, path):
        with fill(home):
            stuck(c, path)
            end = c.stop()
            assert not end["kept"] and "could not be kept" in end["problem"], end
            m.wait_exit()
            meta = home.meta(m.identity)
            assert meta["has_ended"] and meta["problem"] == end["problem"], meta


def inside(name, file=__file__, *argv):
    """Runs a case in a namespace of its own."""
    flags = ["-m"] if os.geteuid() == 0 else ["-Urm"]
    done = subprocess.run(["unshare", *flags, "--propagation", "private", sys.executable, "-B", file, name, *argv],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_launch_on_a_full_disk_is_refused_and_undone():
    inside("case_launch")


def test_the_end_is_recorded_on_a_full_disk():
    inside("case_last_words")


def test_a_bottle_whose_work_finds_no_room_stays_alive_until_there_is_some():
    inside("case_workspace_stays_until_there_is_room")


def test_a_stop_without_room_says_what_is_lost():
    inside("case_stop_without_room_says_what_is_lost")


if __name__ == "__main__":
    globals()[sys.argv[1]]()
