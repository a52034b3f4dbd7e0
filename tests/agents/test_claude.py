"""The real Claude Code, end to end on each backend: what tools/demo shows, as tests. smolmachines on the stand-in."""

import sys
import os

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig.core import Rig  # noqa: E402
from rig.machines import SOCKET, TSI  # noqa: E402
from showcase import CHECKS, Showcase  # noqa: E402

RIG = True
TIMEOUT = 300


def _show(backend, **more):
    with Rig() as rig, Showcase(rig, backend, **more) as show:
        show.launch()
        for line, method in CHECKS:
            try:
                getattr(show, method)()
            except AssertionError as e:
                raise AssertionError(f"{line}: {e}") from e


def test_claude_code_repairs_a_repository_in_a_namespace_bottle():
    _show("namespace")


def test_claude_code_repairs_a_repository_in_a_microvm_bottle():
    _show("microvm")


def test_claude_code_repairs_a_repository_in_a_machine_of_smolvm_0_8():
    _show("smolmachines", smolvm=TSI[-1])


def test_claude_code_repairs_a_repository_in_a_machine_of_the_newest_smolvm():
    _show("smolmachines", smolvm=SOCKET[-1])
