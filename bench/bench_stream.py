"""The round trip of an exec of `true`: from the operator's socket through the real channel to bottle-init in
namespaces of its own, fork, exec, reap, and the exit code back; beside it a plain spawn of `true`."""

import json
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tests"))
from integration.test_channel import PROTO, Channel, run, start_real  # noqa: E402

SAMPLES = 101


def timed(action):
    started = time.perf_counter()
    action()
    return (time.perf_counter() - started) * 1000


def spawn():
    os.waitpid(os.posix_spawn("/usr/bin/true", ["true"], {}), 0)


def main():
    values, baselines = [], []
    with Channel() as c, start_real(c):
        def exec_true(ident):
            stream = run(c, "true", ident=ident)
            stream.until(PROTO["EXEC_EXIT"])
            stream.sock.close()
            c.monitor.expect("IPC_CHANNEL_CLOSED")

        for i in range(1, 11):
            exec_true(i)
        for i in range(11, 11 + SAMPLES):
            baselines.append(timed(spawn))
            values.append(timed(lambda ident=i: exec_true(ident)))
    value, baseline = statistics.median(values), statistics.median(baselines)
    quartiles = statistics.quantiles(values, n=4)
    print(json.dumps({"name": "stream.exec_true", "unit": "ms", "value": round(value, 3), "samples": SAMPLES,
                      "spread": round(quartiles[2] - quartiles[0], 3), "baseline": round(baseline, 3),
                      "ratio": round(value / baseline, 2), "ok": True}))


if __name__ == "__main__":
    main()
