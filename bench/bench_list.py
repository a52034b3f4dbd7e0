"""`bot-bottle list` with 100 running bottles, beside `ls` of the directory that holds their state, in turns."""

import subprocess
import time

from home import BOT_BOTTLE, Home, fail, figure, in_turns, wait_gone

BOTTLES = 100
AT_ONCE = 10
SAMPLES = 31
GOAL = 5.0


def begin(home):
    argv = [BOT_BOTTLE, "start", home.agent, "--backend", "namespace", "--image", "host", "--headless", "--detach", "--",
            "sleep", "100000"]
    return subprocess.Popen(argv, env=home.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


def start_all(home):
    for _ in range(0, BOTTLES, AT_ONCE):
        for process in [begin(home) for _ in range(AT_ONCE)]:
            _, err = process.communicate(timeout=120)
            if process.returncode != 0:
                fail(f"start --detach failed with {process.returncode}: {err}")


def timed(home, *argv):
    began = time.perf_counter()
    done = subprocess.run(argv, env=home.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0 or done.stdout.count("\n") < BOTTLES:
        fail(f"{' '.join(argv)}: {done.returncode}: {done.stderr}{done.stdout}")
    return took * 1000


def main():
    with Home() as home:
        start_all(home)
        states = home.command("list", "-q", "active").stdout.split()
        if len(states) != BOTTLES:
            fail(f"{len(states)} of {BOTTLES} bottles run")
        for name, words in (("list", ("list",)), ("list.json", ("list", "--json"))):
            check = timed if name == "list" else lambda home, *argv: timed_json(home, *argv)
            found = in_turns(lambda check=check, words=words: check(home, BOT_BOTTLE, *words),
                             lambda: timed(home, "ls", f"{home.root}/state"), SAMPLES)
            figure(f"{name}.running_100", unit="ms", goal=f"<= {GOAL:g}", **{"ok": found["ratio"] <= GOAL, **found})
        home.command("stop", "--all")
        wait_gone(home)


def timed_json(home, *argv):
    began = time.perf_counter()
    done = subprocess.run(argv, env=home.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if done.returncode != 0 or done.stdout.count('"state":"running"') != BOTTLES:
        fail(f"{' '.join(argv)}: {done.returncode}: {done.stderr}{done.stdout[:500]}")
    return took * 1000


main()
