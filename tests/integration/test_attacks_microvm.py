"""Attacks of attacks.py from inside a microvm bottle: each way in and each protocol once."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attacks  # noqa: E402

RIG = True
TIMEOUT = 180

globals().update(attacks.bound("microvm", attacks.EVERY_BACKEND))
