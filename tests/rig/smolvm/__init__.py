"""A stand-in for the program `smolvm`, written from documented facts; a real one cannot be had here.

The command line is the executable `smolvm` beside this file (its head has the switches), the guest is
standin-guest (C, built by meson). A test puts it on PATH:

    folder = smolvm.install(folder, version="0.8.0", fault="lost-patch")

The wrapper that this writes carries the switches itself, so that they survive a scrubbed environment.
"""

import os
import shlex
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "smolvm")
VERSIONS = ("0.8.0", "0.8.1", "1.7.5", "1.9.3")


def runner():
    """The guest's program, built by meson."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
    build = os.environ.get("BB_BUILD") or os.path.join(root, "build")
    return os.environ.get("STANDIN_RUNNER") or os.path.join(build, "tests/rig/smolvm/standin-guest")


def python(compiled):
    """The interpreter, started as fast as can be: a bottle's life is a dozen commands. What it compiles is kept."""
    own = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else shutil.which("python3")
    return f"{own} -I -S -X pycache_prefix={shlex.quote(compiled)}"


def install(folder, version=VERSIONS[-1], compiled=None, **switches):
    """Writes FOLDER/smolvm; each switch (fault="no-row", kvm="denied") becomes STANDIN_<NAME>. Returns FOLDER.

    compiled: a folder for the interpreter's, to share between installations."""
    os.makedirs(folder, exist_ok=True)
    values = {"smolvm_version": version, "runner": runner(), **switches}
    lines = [f"export STANDIN_{name.upper()}={shlex.quote(str(value))}" for name, value in values.items()
             if value is not None]
    interpreter = python(compiled or os.path.join(folder, "compiled"))
    path = os.path.join(folder, "smolvm")
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write("\n".join(["#!/bin/sh", *lines, f'exec {interpreter} {shlex.quote(PROGRAM)} "$@"', ""]))
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)
    return folder


def remove_tree(folder):
    """Removes a folder with guest files in it, which belong to the guest's users."""
    subprocess.run([runner(), "ids", "rm", "-rf", "--", folder], check=True)
