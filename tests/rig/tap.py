"""Runs one Python test file and prints TAP; tests/run starts it once for each file.

A test is a function `test_*()` without arguments, or a method of a unittest.TestCase. The file may set
  RIG = True       run inside the rig's namespace (rig/netns.py), servers not yet started
  TIMEOUT = 60     seconds for each test; one that takes longer has failed
  SERIAL = True    tests/run runs nothing beside this file (read by tests/run)
  ONCE = "reason"  tests/run does not repeat this file as an ordinary user (read by tests/run)
  USER_ONLY = "reason"  as root, tests/run runs this file as an ordinary user only (read by tests/run)
and may have setup_module() and teardown_module().

The harness is the sub-reaper of everything a test starts: what is still running when the file is done is
killed, named, and is a failure. On SIGTERM the running test ends with an exception, the rest is left out.
"""

import ctypes
import importlib.util
import os
import signal
import sys
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
PR_SET_CHILD_SUBREAPER = 36


class TimeUp(BaseException):
    """Not an Exception, so that a test's own `except Exception` does not swallow it."""


class Stopped(BaseException):
    """SIGTERM came: the test cleans up as for any exception, and no other is run."""


def _on_alarm(_signal, _frame):
    raise TimeUp()


def _on_term(_signal, _frame):
    signal.signal(signal.SIGTERM, lambda *_: None)  # once: what comes now is cleaning up
    raise Stopped()


def become_subreaper():
    """Whoever loses its parent below this process becomes a child of it."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


def children():
    """Living children of this process: [(pid, command line)]."""
    found = []
    for task in os.listdir("/proc/self/task"):
        for pid in _read(f"/proc/self/task/{task}/children").split():
            pid = int(pid)
            stat = _read(f"/proc/{pid}/stat")
            if not stat or stat.rsplit(b")", 1)[1].split()[0] in (b"Z", b"X"):
                continue
            line = _read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode("utf-8", "replace").strip()
            found.append((pid, line or stat.split(b"(", 1)[1].rsplit(b")", 1)[0].decode()))
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def leftovers(grace=3.0):
    """What is still running after a grace period; all of it is killed, with what it leaves behind."""
    deadline = time.monotonic() + grace
    reap()
    while children() and time.monotonic() < deadline:
        time.sleep(0.05)
        reap()
    left = children()
    deadline = time.monotonic() + 5
    while children() and time.monotonic() < deadline:
        for pid, _ in children():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.05)
        reap()
    return left


class _Collector(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.error = None

    def addFailure(self, test, err):
        self.error = err

    def addError(self, test, err):
        self.error = err

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.error = err

    def addSkip(self, test, reason):
        self.error = (unittest.SkipTest, unittest.SkipTest(reason), None)


def _cases(module):
    """[(name, callable)] in the order of the file."""
    for name, value in list(vars(module).items()):
        if name.startswith("test_") and callable(value):
            yield name, value
        elif isinstance(value, type) and issubclass(value, unittest.TestCase) \
                and value.__module__ == module.__name__:
            for method in unittest.defaultTestLoader.getTestCaseNames(value):
                yield f"{name}.{method}", _method(value, method)


def _method(case, method):
    def run():
        result = _Collector()
        unittest.TestSuite([case(method)]).run(result)
        if result.error:
            raise result.error[1]
    return run


def run_case(case, limit):
    """None when it passes, else ("skip"|"fail", text)."""
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        case()
    except unittest.SkipTest as e:
        return "skip", str(e)
    except TimeUp:
        return "fail", f"not done within {limit:g} s\n{traceback.format_exc()}"
    except Stopped:
        raise
    except BaseException:  # a test that calls sys.exit() has failed as well
        return "fail", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def load(path):
    name = os.path.splitext(os.path.basename(path))[0]
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def wants_rig(path):
    with open(path, encoding="utf-8") as f:
        return any(line.split("#")[0].strip() == "RIG = True" for line in f)


def main(argv):
    path, patterns = argv[1], argv[2:]
    if wants_rig(path):
        from rig import netns
        netns.enter([sys.executable, "-B", os.path.abspath(__file__), os.path.abspath(path), *patterns])
    become_subreaper()
    signal.signal(signal.SIGTERM, _on_term)
    module = load(path)
    teardown = getattr(module, "teardown_module", None)
    try:
        return run_file(module, patterns, teardown)
    except Stopped:
        if teardown:
            run_case(teardown, 10)
        leftovers(0)
        return 128 + signal.SIGTERM


def run_file(module, patterns, teardown):
    cases = [c for c in _cases(module) if not patterns or any(p in c[0] for p in patterns)]
    print(f"1..{len(cases)}", flush=True)
    failed = 0
    setup = getattr(module, "setup_module", None)
    broken = run_case(setup, 300) if setup else None
    for i, (name, case) in enumerate(cases, 1):
        started = time.monotonic()
        result = broken or run_case(case, getattr(module, "TIMEOUT", 60))
        took = time.monotonic() - started
        if result and result[0] == "fail":
            failed += 1
            print(f"not ok {i} - {name}")
            for line in result[1].splitlines():
                print(f"# {line}")
        elif result:
            print(f"ok {i} - {name} # SKIP {result[1]}")
        else:
            print(f"ok {i} - {name} # {took:.2f} s")
        sys.stdout.flush()
    ended = run_case(teardown, 60) if teardown else None
    if ended:
        failed += 1
        print(f"not ok {len(cases) + 1} - teardown_module")
        print("\n".join("# " + line for line in ended[1].splitlines()))
    left = leftovers()
    if left:
        failed += 1
        print(f"not ok {len(cases) + 2} - nothing is left running")
        for pid, line in left:
            print(f"# {pid} {line}")
    sys.stdout.flush()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
