"""A small root file system out of this host's own programs: what images in tests are made of."""

import os
import re
import shutil
import subprocess
import sys

PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
LEFT_OUT = {"test", "__pycache__", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages", "dist-packages",
            "tkinter", "unittest", "distutils", "asyncio", "multiprocessing", "config-3.11-x86_64-linux-gnu"}
MODULES = ("_socket", "_struct", "_ctypes.", "select", "fcntl", "array")
# What a bottle of a test runs; python() comes on top.
TOOLS = ("sh", "bash", "cat", "chmod", "cp", "cut", "curl", "dd", "echo", "env", "false", "find", "grep", "head", "id",
         "ls", "mkdir", "mv", "printf", "rm", "sed", "setsid", "sleep", "sort", "stat", "stty", "tail", "touch", "tr",
         "true", "wc")
PASSWD = "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/sh\n"


def libraries(paths):
    """The shared objects that these programs and modules load."""
    found = set()
    for path in paths:
        text = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        found.update(re.findall(r"(/\S+) \(0x", text))
    return found


def python():
    """(the interpreter and the modules that are binary, the modules that are text)."""
    stdlib = subprocess.run([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"], check=True,
                            capture_output=True, text=True).stdout.strip()
    binary, text = [], []
    for folder, folders, files in os.walk(stdlib):
        folders[:] = [f for f in folders if f not in LEFT_OUT]
        for name in files:
            if name.endswith(".py"):
                text.append(os.path.join(folder, name))
            elif name.startswith(MODULES) and folder.endswith("/lib-dynload"):
                binary.append(os.path.join(folder, name))
    return [PYTHON, *binary], text


def files(programs):
    """Every file of the host, by absolute path, that programs and Python need."""
    binary, text = python()
    binary = [*programs, *binary]
    return [*binary, *sorted(libraries(binary)), *text]


def make(root):
    """Fills a folder: /bin and /lib are links as on Debian, and there is a user node."""
    for name in ("usr/bin", "usr/lib", "usr/lib64", "etc/ssl/certs", "tmp", "var/tmp", "root", "run", "home/node", "dev",
                 "proc", "sys"):
        os.makedirs(os.path.join(root, name))
    for name in ("bin", "lib", "lib64"):
        os.symlink("usr/" + name, os.path.join(root, name))
    for name in ("tmp", "var/tmp"):
        os.chmod(os.path.join(root, name), 0o1777)
    for path in files([shutil.which(t) for t in TOOLS]):
        folder = os.path.join(root, os.path.dirname(path).lstrip("/"))
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(path, os.path.join(folder, os.path.basename(path)))
        shutil.copymode(path, os.path.join(folder, os.path.basename(path)))
    for name, text in (("passwd", PASSWD), ("group", "root:x:0:\nnode:x:1000:\n"), ("nsswitch.conf", "hosts: files dns\n")):
        with open(os.path.join(root, "etc", name), "w", encoding="ascii") as f:
            f.write(text)
    return root
