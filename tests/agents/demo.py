"""tools/demo: the real Claude Code in a bottle, against a scripted model in the rig; one line for each check."""

import argparse
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.dirname(HERE), HERE]
from rig import netns  # noqa: E402


def main():
    p = argparse.ArgumentParser(prog="tools/demo", description=__doc__)
    p.add_argument("--backend", choices=("microvm", "namespace"), default="microvm")
    a = p.parse_args()
    netns.enter([sys.executable, "-B", os.path.abspath(__file__), *sys.argv[1:]])
    from rig.core import Rig
    from rig.tap import become_subreaper, leftovers
    from showcase import CHECKS, Showcase
    become_subreaper()
    started = time.monotonic()

    def say(text):
        print(f"   {time.monotonic() - started:5.1f} s  {text}", flush=True)

    failed = 0
    print(f"demo: a bottle of the backend '{a.backend}', the real Claude Code, a scripted model; no network is used",
          flush=True)
    with Rig() as rig, Showcase(rig, a.backend, say) as show:
        try:
            show.launch()
        except AssertionError as e:
            print(f"FAILED: the launch: {e}", flush=True)
            return 1
        for line, method in CHECKS:
            try:
                note = getattr(show, method)()
                print(f"ok - {line}" + (f" ({note})" if note else ""), flush=True)
            except AssertionError as e:
                failed += 1
                print(f"FAILED - {line}: {e}", flush=True)
    left = leftovers()
    if left:
        print(f"FAILED - still running afterwards: {left}")
        failed += 1
    print(f"demo: {'all is well' if not failed else f'{failed} checks failed'} "
          f"({time.monotonic() - started:.0f} s)", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
