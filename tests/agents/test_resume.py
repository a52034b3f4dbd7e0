"""The real Claude Code goes on with its own conversation in a bottle that lives again."""

import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rig.bottle import Home  # noqa: E402
from rig.core import Rig  # noqa: E402
from showcase import TOKEN  # noqa: E402

RIG = True
TIMEOUT = 400
BOTTLE = f"agent_provider:\n  template: claude\n  auth_token: {TOKEN}\nresources:\n  memory: 1G\n"
WORD = "pelican-4711"


def conversation(backend):
    with Rig() as rig, Home(**{TOKEN: rig.secret("claude")}) as home:
        home.bottle("t", BOTTLE)
        home.agent("t", "t", "You remember words.\n")
        work = os.path.join(home.top, "work")
        os.mkdir(work)
        rig.model.add("note", {"steps": [{"tool": "Bash", "input": {"command": "echo noted > note", "description": "n"}}],
                               "final": "I have noted it."})
        asked, respond = [], rig.model.respond

        def record(body):
            asked.append(json.loads(body))
            return respond(body)
        rig.model.respond = record
        done = home.run("start", "t", "--backend", backend, "--headless", f"--cwd={work}", "--prompt",
                        f"The word is {WORD}. [scenario:note]", timeout=200)
        assert "I have noted it." in done.stdout and "bot-bottle resume" in done.stderr, done
        bottle = home.list()[0]
        assert bottle["conversation_kept"] and bottle["workspace_kept"], bottle
        first = len(asked)
        # A life in which the agent does not run, and loses nothing.
        done = home.run("resume", bottle["id"], "--headless", "--", "cat", "note", timeout=200)
        assert done.stdout == "noted\n" and home.list()[0]["conversation_kept"], done
        done = home.run("resume", bottle["id"], "--headless", "--prompt", "Which word was it?", timeout=200)
        assert done.returncode == 0, done
        said = json.dumps([r["messages"] for r in asked[first:] if r.get("tools")])
        assert "Which word was it?" in said and WORD in said and "I have noted it." in said, said[:3000]
        # In a bottle that never was, there is nothing to go on with.
        del asked[:]
        home.run("start", "t", "--backend", backend, "--headless", f"--cwd={work}", "--prompt", "Which word was it?",
                 timeout=200)
        assert WORD not in json.dumps([r["messages"] for r in asked])


def test_claude_code_goes_on_with_its_conversation_in_a_namespace_bottle():
    conversation("namespace")
