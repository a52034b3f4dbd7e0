"""What the scripted model tells the real agent to do with the repository in repo/."""

import os

REPO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "repo")
WRONG = 'int(part or "0"))'
RIGHT = 'int(part.ljust(2, "0")))'
FAREWELL = "The parser now pads the part after the point; all four tests pass."
GATE = "/tmp/bot-bottle-gate"


def repair(workspace, gate=False):
    """Read, see the test fail, edit, see it pass. gate: stay alive until the file GATE exists."""
    source = f"{workspace}/tally.py"
    steps = [
        {"tool": "Bash", "input": {"command": f"cd {workspace} && make test 2>&1; true", "description": "run the tests"},
         "expect": r"FAILED \(failures=2\)"},
        {"tool": "Read", "input": {"file_path": source}, "expect": "def parse"},
        {"tool": "Edit", "input": {"file_path": source, "old_string": WRONG, "new_string": RIGHT}},
        {"tool": "Bash", "input": {"command": f"cd {workspace} && make test 2>&1", "description": "run the tests"},
         "expect": r"Ran 4 tests.*OK"},
    ]
    if gate:
        steps.append({"tool": "Bash", "input": {
            "command": f"until [ -e {GATE} ]; do sleep 0.2; done; echo opened", "description": "wait",
            "timeout": 600000}, "expect": "opened"})
    return {"steps": steps, "final": FAREWELL}


def expected():
    with open(os.path.join(REPO, "tally.py"), encoding="utf-8") as f:
        return f.read().replace(WRONG, RIGHT)
