"""tools/bench: runs benchmarks, prints their figures as a table and writes build/bench.json.

A benchmark is build/bench/bench-NAME or bench/bench_NAME.py. It prints one JSON object a line:
  {"name": "stream.copy", "value": 812.0, "unit": "MB/s", "samples": 9, "spread": 31.0,
   "baseline": 1700.0, "ratio": 0.48, "goal": ">= 0.4", "ok": true}
`baseline`, `ratio` and `goal` are left out where there are none; `ok` is true where there is no goal.
A name on the command line stands for the benchmarks NAME and NAME_*.
"""

import glob
import json
import os
import platform
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("BB_BUILD", os.path.join(ROOT, "build"))
LIMIT = 900


def benchmarks():
    found = {}
    for path in sorted(glob.glob(os.path.join(BUILD, "bench", "bench-*"))):
        if os.path.isfile(path) and os.access(path, os.X_OK):
            found.setdefault(os.path.basename(path)[6:], []).append([path])
    for path in sorted(glob.glob(os.path.join(ROOT, "bench", "bench_*.py"))):
        found.setdefault(os.path.basename(path)[6:-3], []).append([sys.executable, "-B", path])
    return found


def run(name, argv):
    print(f"bench {name} ...", file=sys.stderr, flush=True)
    env = dict(os.environ, BB_BUILD=BUILD, PYTHONPATH=os.path.join(ROOT, "tests"))
    try:
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
                              check=False)
    except subprocess.TimeoutExpired:
        return [{"name": name, "ok": False, "error": f"not done within {LIMIT} s"}]
    figures = []
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            figures.append(json.loads(line))
    if done.returncode != 0 or not figures:
        tail = (done.stderr or done.stdout).strip().splitlines()[-3:]
        figures.append({"name": name, "ok": False, "error": f"exit {done.returncode}: {' / '.join(tail)}"})
    return figures


def number(value):
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 1000 else f"{value:.0f}" \
        if isinstance(value, float) else str(value)


def table(figures):
    rows = [("figure", "value", "unit", "spread", "samples", "baseline", "ratio", "goal", "")]
    for f in figures:
        state = "ok" if f.get("ok") else "MISSED" if "error" not in f else f["error"]
        rows.append((f["name"], number(f.get("value")), f.get("unit", ""), number(f.get("spread")),
                     number(f.get("samples")), number(f.get("baseline")), number(f.get("ratio")),
                     str(f.get("goal", "")), state))
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(cell.ljust(w) for cell, w in zip(r, widths)).rstrip())


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        found = re.search(r"^model name\s*:\s*(.*)$", f.read(), re.M)
        model = found.group(1) if found else platform.machine()
    return {"cpu": model, "cpus": os.cpu_count(), "kernel": platform.release()}


def main():
    known = benchmarks()
    names = []
    for wanted in sys.argv[1:] or sorted(known):
        chosen = [n for n in sorted(known) if n == wanted or n.startswith(wanted + "_")]
        if not chosen:
            print(f"bench: no benchmark '{wanted}'; there are: {', '.join(sorted(known))}", file=sys.stderr)
            return 2
        names += [n for n in chosen if n not in names]
    figures = []
    for name in names:
        for argv in known[name]:
            figures += run(name, argv)
    for f in figures:
        f["machine"] = machine()
    print("machine: {cpu}, {cpus} CPUs, Linux {kernel}".format(**machine()))
    table(figures)
    with open(os.path.join(BUILD, "bench.json"), "w", encoding="utf-8") as f:
        json.dump(figures, f, indent=1)
    return 0 if all(f.get("ok") for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
