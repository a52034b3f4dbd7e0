"""What --json prints has the members that the command's man page names: no other, and all of them."""

import json
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, build  # noqa: E402

TIMEOUT = 180


def documented(command):
    page = subprocess.run([os.path.join(build(), "src", "cli", "cli-docs"), "man", command], check=True,
                          capture_output=True, text=True).stdout
    section = re.search(r"^\.SH JSON\n(.*?)(?=^\.SH |\Z)", page, re.S | re.M)
    assert section, f"{command}: no section JSON in its man page"
    names = re.findall(r"^\.TP\n(.*)$", section.group(1), re.M)
    return {re.sub(r"\\f.|\\|\"", "", n).removeprefix(".B ").strip() for n in names}


def commands_with_json():
    page = subprocess.run([os.path.join(build(), "src", "cli", "cli-docs"), "man"], check=True, capture_output=True,
                          text=True).stdout
    found = set()
    for name in re.findall(r"bot\\-bottle\\-([a-z]+)", page):
        help_text = subprocess.run([os.path.join(build(), "src", "bot-bottle"), name, "--help"], capture_output=True,
                                   text=True, check=False).stdout
        if "--json" in help_text:
            found.add(name)
    return found


def expect(command, text, covered):
    value = json.loads(text)
    rows = value if isinstance(value, list) else [value]
    assert rows, (command, text)
    for row in rows:
        assert set(row) == documented(command), (command, set(row) ^ documented(command))
    covered.add(command)
    return value


def test_every_json_is_as_documented():
    covered = set()
    with Home(BOT_BOTTLE_BACKEND="namespace") as home:
        home.env["XDG_CACHE_HOME"] = os.path.join(home.top, "cache")
        home.bottle("t", "image: host")
        home.agent("t", "t")
        started = expect("start", home.run("start", "t", "--detach", "--headless", "--json", "--", "sleep",
                                           "1000").stdout, covered)
        identity = started["id"]
        forward = subprocess.Popen([home.program, "forward", identity, "3000", "0", "--json"], env=home.env,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        expect("forward", forward.stdout.readline(), covered)
        forward.kill()
        forward.communicate()
        expect("list", home.run("list", "--json").stdout, covered)
        expect("info", home.run("info", identity, "--json").stdout, covered)
        expect("commit", home.run("commit", identity, "--json").stdout, covered)
        expect("image", home.run("image", "list", "--json").stdout, covered)
        home.run("stop", identity)
        expect("list", home.run("list", "--json").stdout, covered)
        expect("resume", home.run("resume", identity, "--detach", "--headless", "--json", "--", "sleep",
                                  "1000").stdout, covered)
        home.run("stop", identity)
        plan = expect("cleanup", home.run("cleanup", "--dry-run", "--json").stdout, covered)
        assert [(s["name"], s["planned"], s["removed"]) for s in plan] == [(identity, False, False)], plan
        done = expect("cleanup", home.run("cleanup", identity, "--yes", "--json").stdout, covered)
        assert [(s["name"], s["removed"], s["error"]) for s in done] == [(identity, True, None)], done
        home.bottle("risky", "egress:\n  routes:\n    - host: plain.test\n      plain_ports: [80]")
        expect("lint", home.run("lint", "--json", check=False).stdout, covered)
        expect("doctor", home.run("doctor", "--json", "--quick", check=False).stdout, covered)
        assert json.loads(home.run("list", "--json").stdout) == []
        assert json.loads(home.run("cleanup", "--json", "--dry-run").stdout) == []
    assert covered >= commands_with_json(), commands_with_json() - covered
