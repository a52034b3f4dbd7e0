"""The base image built by an ordinary user who has a range of subordinate ids, and a bottle started from it. It
asks the host's own apt for the packages, as the builder does, and takes about a minute: tests/run gives it to the
ordinary user only."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig.bottle import Home  # noqa: E402

TIMEOUT = 900
USER_ONLY = "root builds the same image for all other tests"


def can_reach_packages():
    """apt gives the address of a package, and the package is there."""
    with tempfile.TemporaryDirectory(prefix="bb-apt-", dir="/tmp") as top:
        return subprocess.run(["apt-get", "-q", "download", "base-files"], cwd=top, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=60, check=False).returncode == 0


def test_an_ordinary_user_builds_the_base_image_and_starts_it():
    if os.geteuid() == 0:
        raise unittest.SkipTest(USER_ONLY)
    if not can_reach_packages():
        raise unittest.SkipTest("the host's apt cannot download 'base-files'")
    cache = tempfile.mkdtemp(prefix="bb-rootless-", dir="/var/tmp")
    try:
        # The range's ids must reach mmdebstrap's working tree, which a TMPDIR in a closed home does not let them.
        with Home(XDG_CACHE_HOME=cache, TMPDIR="/var/tmp") as home:
            built = home.run("image", "build", "base", timeout=TIMEOUT - 60, check=False)
            assert built.returncode == 0, built.stdout + built.stderr
            images = os.path.join(cache, "bot-bottle", "images")
            image = os.path.realpath(os.path.join(images, "base"))
            assert sorted(os.listdir(images)) == sorted(["base", "build.lock", os.path.basename(image)])
            owners = {os.lstat(os.path.join(folder, name)).st_uid
                      for folder, dirs, files in os.walk(image) for name in dirs + files}
            assert owners == {os.geteuid()}, owners
            home.bottle("dev", "image: base\n")
            home.agent("worker", "dev")
            done = home.run("start", "worker", "--backend", "namespace", "--headless", "--yes", "--", "sh", "-c",
                            "id -u; . /etc/os-release; echo $ID; git --version; python3 -c 'print(6 * 7)'")
            lines = done.stdout.splitlines()
            assert lines[0] == "1000" and lines[1] == "debian" and lines[2].startswith("git version"), done.stdout
            assert lines[3] == "42", done.stdout
    finally:
        shutil.rmtree(cache, ignore_errors=True)
    assert not os.path.exists(cache), "the user cannot remove what the build left"
