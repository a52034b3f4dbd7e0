"""tools/tidy.py BUILD: clang-tidy over what the build compiles from src/, two files at a time.

The compile commands are those of gcc; flags that clang does not know are left out.
"""

import concurrent.futures
import json
import os
import shlex
import subprocess
import sys
import tempfile

GCC_ONLY = ("-fstack-clash-protection", "-fcf-protection=full", "-Wno-", "-static-pie")


def main():
    build = os.path.abspath(sys.argv[1])
    root = os.path.dirname(build)
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = json.load(f)
    chosen = {}
    for c in commands:
        path = os.path.normpath(os.path.join(c["directory"], c["file"]))
        if not path.startswith(os.path.join(root, "src") + "/"):
            continue
        words = [w for w in shlex.split(c["command"]) if not w.startswith(GCC_ONLY)]
        chosen.setdefault(path, {**c, "command": shlex.join(["clang", *words[1:]])})
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as f:
            json.dump(list(chosen.values()), f)

        def check(path):
            done = subprocess.run(["clang-tidy", "-p", folder, "--quiet", path], cwd=root, capture_output=True,
                                  text=True, check=False)
            return path, done.returncode, done.stdout

        status = 0
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for path, code, text in pool.map(check, sorted(chosen)):
                if code:
                    status = 1
                    print(text.strip() or f"{path}: clang-tidy failed", flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
