"""What the environment tells the stand-in, and what differs between the versions it stands in for."""

import os
import sys

DEFAULT_VERSION = "1.9.3"


class Failure(Exception):
    """`Error: ...` on stderr, exit 1."""


class Usage(Exception):
    """clap's usage error, exit 2."""


def value(name, default=None):
    return os.environ.get("STANDIN_" + name, default)


def number(name, default):
    return float(value(name, default))


def faults():
    return set(filter(None, (value("FAULT") or "").split(",")))


def has_fault(name):
    return name in faults()


VERSION_TEXT = value("SMOLVM_VERSION", DEFAULT_VERSION)


def _parse(text):
    parts = text.split(".")
    if len(parts) != 3 or not all(p.isdigit() for p in parts):
        sys.exit(f"stand-in: STANDIN_SMOLVM_VERSION: '{text}' is not MAJOR.MINOR.PATCH")
    return tuple(int(p) for p in parts)


VERSION = _parse(VERSION_TEXT)


def since(text):
    return VERSION >= _parse(text)


def home():
    path = os.environ.get("HOME")
    if not path:
        import pwd
        path = pwd.getpwuid(os.getuid()).pw_dir
    return path


def _base(variable, below_home):
    path = os.environ.get(variable, "")
    return path if path.startswith("/") else os.path.join(home(), below_home)


def data_home():
    """The `dirs` crate's data_local_dir: XDG_DATA_HOME only when absolute."""
    moved = os.environ.get("SMOLVM_DATA_DIR")
    if moved and since("1.9.3"):
        return os.path.join(moved, ".local/share")
    return _base("XDG_DATA_HOME", ".local/share")


def cache_home():
    moved = os.environ.get("SMOLVM_DATA_DIR")
    if moved and since("1.9.3"):
        return os.path.join(moved, ".cache")
    return _base("XDG_CACHE_HOME", ".cache")


KVM_PROBLEMS = {
    "missing": "kvm not available: /dev/kvm does not exist. Load the module: sudo modprobe kvm_intel (or kvm_amd)",
    "denied": "kvm permission denied: cannot open /dev/kvm. Add yourself to group kvm "
              "(sudo usermod -aG kvm $USER) and log in again",
    "unavailable": "kvm not available: /dev/kvm cannot be used",
}


def check_kvm(action):
    state = value("KVM", "ok")
    if state != "ok":
        raise Failure(f"agent operation failed: {action}: {KVM_PROBLEMS[state]}")
