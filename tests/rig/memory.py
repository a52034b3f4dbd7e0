"""Searches the memory of processes, for secrets that must not be there and for canaries that must.

Only pages that exist are read (/proc/PID/pagemap), so that searching a guest's RAM does not fill it.
"""

import json
import os
import struct
import subprocess
import sys

CHUNK = 16 << 20
PAGE = os.sysconf("SC_PAGE_SIZE")
OVERLAP = 4096


def processes():
    """{pid: (parent, name)} of everything in /proc that still runs."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as f:
                stat = f.read().decode("utf-8", "replace")
        except OSError:
            continue
        head, _, tail = stat.rpartition(")")
        if tail.split()[0] in ("Z", "X"):
            continue
        found[int(entry)] = (int(tail.split()[1]), head.split("(", 1)[1])
    return found


def descendants(root, table=None):
    table = table or processes()
    below, grown = {root}, True
    while grown:
        more = {pid for pid, (parent, _) in table.items() if parent in below} - below
        below |= more
        grown = bool(more)
    return below - {root}


def guest_processes(backend, ours=None):
    """Pids of the processes that hold guest memory: QEMU, or bottle-init and all below it."""
    table = processes()
    mine = descendants(ours or os.getpid(), table)
    if backend == "microvm":
        return sorted(p for p in mine if table[p][1].startswith("qemu-system"))
    inits = [p for p in mine if table[p][1] in ("bottle-init", ".bottle-init")]
    return sorted(set(inits).union(*(descendants(p, table) for p in inits)))


def _present(pid, start, end):
    """Ranges of pages that are in memory or swapped out."""
    with open(f"/proc/{pid}/pagemap", "rb", buffering=0) as f:
        f.seek(start // PAGE * 8)
        first = None
        for at in range(start, end, 512 * 1024 * PAGE // 8):
            stop = min(at + 512 * 1024 * PAGE // 8, end)
            data = f.read((stop - at) // PAGE * 8)
            if not data:
                break
            for i, (entry,) in enumerate(struct.iter_unpack("Q", data)):
                here = at + i * PAGE
                if entry >> 62:
                    if first is None:
                        first = here
                elif first is not None:
                    yield first, here
                    first = None
        if first is not None:
            yield first, end


def search(pid, patterns):
    """(set of the names of the patterns found, bytes searched) in all writable memory of a process."""
    try:
        return _search(pid, patterns)
    except PermissionError:
        return _search_inside(pid, patterns)


def _search_inside(pid, patterns):
    """The same from within its user namespace, where whoever made it may look at users that are nobody outside."""
    done = subprocess.run(["nsenter", "-U", "--preserve-credentials", "-t", str(pid), sys.executable, "-B",
                           os.path.abspath(__file__), str(pid)], input=json.dumps({k: v.hex() for k, v in patterns.items()}),
                          capture_output=True, text=True, check=False, cwd="/")
    if done.returncode != 0:
        if not os.path.exists(f"/proc/{pid}"):
            raise ProcessLookupError(pid)
        raise PermissionError(f"process {pid} cannot be searched: {done.stderr}")
    names, total = json.loads(done.stdout)
    return set(names), total


def _search(pid, patterns):
    found, total = set(), 0
    with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as f:
        maps = [line.split() for line in f]
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for fields in maps:
            if "w" not in fields[1] and "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]", "[vdso]"):
                continue
            start, end = (int(x, 16) for x in fields[0].split("-"))
            for low, high in _present(pid, start, end):
                total += _search_range(mem, low, high, patterns, found)
    return found, total


def _search_range(mem, low, high, patterns, found):
    tail, total = b"", 0
    for at in range(low, high, CHUNK):
        try:
            mem.seek(at)
            data = mem.read(min(CHUNK, high - at))
        except (OSError, ValueError):
            return total
        total += len(data)
        data = tail + data
        for name, pattern in patterns.items():
            if name not in found and pattern in data:
                found.add(name)
        tail = data[-OVERLAP:]
    return total


if __name__ == "__main__":
    wanted = {name: bytes.fromhex(text) for name, text in json.load(sys.stdin).items()}
    seen, size = _search(int(sys.argv[1]), wanted)
    print(json.dumps([sorted(seen), size]))
