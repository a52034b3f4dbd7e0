"""The real Claude Code, end to end on both backends: what tools/demo shows, as tests."""

import sys
import os

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig.core import Rig  # noqa: E402
from showcase import CHECKS, Showcase  # noqa: E402

RIG = True
TIMEOUT = 300


def _show(backend):
    with Rig() as rig, Showcase(rig, backend) as show:
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
