"""A real terminal emulator for tests: one tmux server with one window, driven by keys, read as text.

    with Tmux(env, "bot-bottle start", columns=80, rows=24) as t:
        t.wait("Which agent")
        t.keys("Down", "Enter")

The command runs in a shell that says "ENDED code" behind it and stays, so that what the terminal looks like
afterwards can be seen.
"""

import itertools
import os
import shlex
import subprocess
import time

CLEAN = ("PATH", "HOME", "LANG", "LC_ALL", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "BB_BUILD")


counter = itertools.count()


class Tmux:
    def __init__(self, env, command, columns=80, rows=24, directory="/tmp", **more):
        """env: of the command. directory: holds tmux's socket; short, since its path is limited."""
        self.socket = os.path.join(directory, f"tmux-{next(counter)}")
        self.env = {**{k: v for k, v in env.items() if k in CLEAN or k.startswith("BOT_BOTTLE_")},
                    "LC_ALL": "C.UTF-8", "SHELL": "/bin/sh", **more}
        # The shell outlives Ctrl-C, and what it starts has the ordinary signals all the same.
        script = f"trap : INT QUIT; PS1=READY; {command}; echo ENDED $?; exec sh"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-x", str(columns), "-y", str(rows),
                   "sh", "-c", script)
        self._tmux("set-option", "-g", "status", "off")
        self._tmux("set-option", "-g", "escape-time", "0")
        self.resize(columns, rows)

    def _tmux(self, *argv):
        return subprocess.run(["tmux", "-S", self.socket, *argv], env=self.env, stdin=subprocess.DEVNULL, check=True,
                              capture_output=True, timeout=20).stdout.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], env=self.env, stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=20, check=False)

    def resize(self, columns, rows):
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    def keys(self, *names):
        """tmux's names: Up, Down, NPage, Enter, Escape, C-c, Space, BSpace, ... or text."""
        self._tmux("send-keys", *names)

    def type(self, text):
        self._tmux("send-keys", "-l", text)

    def screen(self, colors=False):
        """The lines that are on the screen now."""
        return self._tmux("capture-pane", "-p", *(["-e"] if colors else [])).rstrip("\n").split("\n")

    def text(self):
        """The same as one text; a line that the terminal broke is whole."""
        return self._tmux("capture-pane", "-p", "-J")

    def ask(self, what):
        """One of tmux's own formats: cursor_x, pane_pid, alternate_on, ..."""
        return self._tmux("display-message", "-p", "#{" + what + "}").strip()

    def wait(self, *texts, without=(), seconds=20):
        """Until the screen holds each text and none of the others; returns its lines."""
        deadline = time.monotonic() + seconds
        while True:
            text = self.text()
            if all(t in text for t in texts) and not any(t in text for t in without):
                return [line.rstrip() for line in text.rstrip("\n").split("\n")]
            if time.monotonic() > deadline:
                raise AssertionError(f"the screen never showed {texts} without {without}; it shows:\n{text}")
            time.sleep(0.02)

    def line(self, text):
        """The one line that holds the text."""
        found = [line for line in self.screen() if text in line]
        assert len(found) == 1, (text, found, self.text())
        return found[0]


def quote(*words):
    return " ".join(shlex.quote(w) for w in words)
