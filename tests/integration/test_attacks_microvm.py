"""Attacks of attacks.py from inside a microvm bottle: each way in and each protocol once."""

import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attacks  # noqa: E402

RIG = True
TIMEOUT = 180
world = None


def setup_module():
    global world
    world = attacks.World("microvm")


def teardown_module():
    if world:
        world.close()


def _bound(function):
    @functools.wraps(function, assigned=("__name__", "__doc__"))
    def run():
        function(world)
    del run.__wrapped__
    return run


globals().update({name: _bound(f) for name, f in attacks.tests(attacks.EVERY_BACKEND).items()})
