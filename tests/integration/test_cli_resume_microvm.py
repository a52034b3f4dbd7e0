"""The life cycle on microvm: start, change files, commit, stop, resume, pull; what only a machine of its own can change
(owners, set-id bits, removed and replaced parts of the image). Emulated where there is no KVM, so few starts."""

import json
import os
import subprocess
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home  # noqa: E402

TIMEOUT = 590

CHANGE = """set -e
cd /home/node/workspace; echo two >> a
cp /bin/true /usr/local/bin/tool; chmod 4755 /usr/local/bin/tool
mkdir -p /opt/d; chown 33:44 /opt/d; chmod 2755 /opt/d; echo x > /opt/d/f; chown 1000:1000 /opt/d/f
ln -s /opt/d/f /opt/link; mkfifo /opt/pipe
rm /etc/debian_version
rm -r /usr/share/base-files; mkdir /usr/share/base-files; echo only > /usr/share/base-files/mine
rm -r /etc/skel; echo file > /etc/skel
echo left > /var/tmp/left; echo left > /tmp/left; echo left >> /etc/hosts
"""

SHOW = """cat /home/node/workspace/a
stat -c '%a %u:%g' /usr/local/bin/tool /opt/d /opt/d/f
readlink /opt/link
for f in /opt/pipe /etc/debian_version /var/tmp/left /tmp/left; do [ -e $f ] && echo "$f is there"; done
ls -A /usr/share/base-files
cat /etc/skel
grep -c left /etc/hosts
grep -c BEGIN /usr/local/share/ca-certificates/bot-bottle.crt
"""

SHOWN = "one\ntwo\n4755 0:0\n2755 33:44\n644 1000:1000\n/opt/d/f\nmine\nfile\n0\n1\n"


class Cli(Home):
    def __init__(self):
        super().__init__(BOT_BOTTLE_BACKEND="microvm")
        done = self.run("image", "list", "--json")
        if not any(i["name"] == "base" and i["current"] for i in json.loads(done.stdout)):
            raise unittest.SkipTest("image 'base' is not built: tools/check builds it")
        self.bottle("t", "image: base\nresources: {memory: 512M, disk: 1G}")
        self.agent("t", "t")
        self.work = os.path.join(self.top, "work")
        os.mkdir(self.work)
        with open(os.path.join(self.work, "a"), "w", encoding="utf-8") as f:
            f.write("one\n")

    def remove_image(self, name):
        subprocess.run([self.program, "image", "rm", name], env=self.env, capture_output=True, check=False)


def test_start_change_commit_stop_resume_pull():
    with Cli() as cli:
        done = cli.run("start", "t", "--detach", "--headless", "--json", f"--cwd={cli.work}", "--", "sleep", "100000")
        identity = json.loads(done.stdout)["id"]
        name = f"committed-{identity}"
        try:
            cli.run("exec", "-u", "root", identity, "sh", "-c", CHANGE)
            said = json.loads(cli.run("commit", identity, "--json").stdout)
            assert said["name"] == name and said["bytes"] < 50_000_000, said
            # What comes after the commit is not in the image; the workspace is kept at the end all the same.
            cli.run("exec", "-u", "root", identity, "sh", "-c", "echo later > /opt/later; echo three >> "
                    "/home/node/workspace/a")
            cli.run("stop", identity)
            bottle = cli.list()[0]
            assert bottle["workspace_kept"] and bottle["committed_image"] == said["image"], bottle
            done = cli.run("resume", identity, "--headless", "--", "sh", "-c",
                           SHOW + "ls /opt/later; echo four >> /home/node/workspace/a")
            want = SHOWN.replace("two\n", "two\nthree\n", 1)
            assert done.stdout == want, (done.stdout, done.stderr)
            # It is an image like others: another bottle starts from it, on the changes it was committed with.
            done = cli.run("start", "t", "--headless", "--image", name, "--", "sh", "-c", SHOW)
            assert done.stdout == SHOWN, (done.stdout, done.stderr)
            # What lies outside the home cannot be made in a namespace bottle, and the start says so.
            done = cli.run("start", "t", "--headless", "--backend", "namespace", "--image", name, "--", "true",
                           check=False)
            assert done.returncode == 125 and "cannot be changed here" in done.stderr, done
            assert "+four\n" in cli.run("diff", identity).stdout
            cli.run("pull", identity, "--yes", cwd=cli.work)
            with open(os.path.join(cli.work, "a"), encoding="utf-8") as f:
                assert f.read() == "one\ntwo\nthree\nfour\n"
        finally:
            cli.cleanup()
            cli.remove_image(name)
