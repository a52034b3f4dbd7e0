"""The attacks of attacks.py from inside a namespace bottle."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import attacks  # noqa: E402

RIG = True
TIMEOUT = 90

globals().update(attacks.bound("namespace"))
