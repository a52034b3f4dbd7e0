"""Memory of the bundle of an idle bottle: the proportional set size of all its processes."""

import json
import os
import time

from home import BOT_BOTTLE, PARTS, Home, fail, figure

GOAL_MB = 30.0
SETTLE_S = 1.0


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        for line in f:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise RuntimeError("no Pss")


def parts_of(home):
    for bottle in json.loads(home.command("list", "--json").stdout):
        found = dict(p.split() for p in bottle["parts"])
        if set(PARTS) <= set(found):
            return bottle["id"], {name: int(pid) for name, pid in found.items()}
    return None, {}


def main():
    if os.geteuid() != 0:
        # The parts are not dumpable, so their owner may not read their maps; the sum would be 0.
        print("only root can read the memory of processes that protect themselves", flush=True)
    with Home() as home:
        process = home.start("sleep", "60")
        deadline = time.monotonic() + 20
        while not (found := parts_of(home))[1]:
            if time.monotonic() > deadline or process.poll() is not None:
                fail(f"the bottle did not start: {process.communicate()[1]}")
            time.sleep(0.05)
        identity, parts = found
        time.sleep(SETTLE_S)  # idle, not just started
        total = 0.0
        for name, pid in sorted(parts.items()):
            mb = pss_kb(pid) / 1024
            total += mb
            figure(f"memory.{name}", mb, "MB")
        figure("memory.bundle", total, "MB", goal=f"<= {GOAL_MB:g}", ok=total <= GOAL_MB)
        home.command("stop", identity)
        process.wait(30)


if not os.access(BOT_BOTTLE, os.X_OK):
    fail(f"'{BOT_BOTTLE}' is not built")
main()
