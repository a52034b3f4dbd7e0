"""Completions in the three real shells, typed into a terminal; man pages; schemas; all from the program's tables."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time

import jsonschema
import yaml

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import Home, program  # noqa: E402

TIMEOUT = 180
BUILD = os.environ.get("BB_BUILD", "build")
SRC = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "src")


def docs(*page):
    return subprocess.run([os.path.join(BUILD, "src", "cli", "cli-docs"), *page], check=True, capture_output=True,
                          text=True, timeout=60).stdout


# What is typed before the tab, and the line that it becomes. A line that stays as it is offers nothing.
COMPLETED = [
    ("bot-bottle docto", "bot-bottle doctor "),
    ("bot-bottle complet", "bot-bottle complet"),  # hidden
    ("bot-bottle start impl", "bot-bottle start implementer "),
    ("bot-bottle start --dry", "bot-bottle start --dry-run "),
    ("bot-bottle start --backend names", "bot-bottle start --backend namespace "),
    ("bot-bottle start --backend=names", "bot-bottle start --backend=namespace "),
    ("bot-bottle start --bottle tinyb", "bot-bottle start --bottle tinybottle "),
    ("bot-bottle start --backend namespace impl", "bot-bottle start --backend namespace implementer "),
    ("bot-bottle start --image cla", "bot-bottle start --image claude "),
    ("bot-bottle start --prompt-file onlyfi", "bot-bottle start --prompt-file onlyfile.txt "),
    ("bot-bottle start implementer -- onlyfi", "bot-bottle start implementer -- onlyfi"),  # the guest's
    ("bot-bottle stop quick", "bot-bottle stop quick-fox "),
    ("bot-bottle stop quick-fox lazy", "bot-bottle stop quick-fox lazy-dog "),
    ("bot-bottle info lazy", "bot-bottle info lazy-dog "),
    ("bot-bottle info impl", "bot-bottle info implementer "),
    ("bot-bottle exec quick", "bot-bottle exec quick-fox "),
    ("bot-bottle exec quick-fox onlyfi", "bot-bottle exec quick-fox onlyfi"),  # a command of the guest
    ("bot-bottle list avail", "bot-bottle list available "),
    ("bot-bottle list available --js", "bot-bottle list available --json "),
    ("bot-bottle image build cla", "bot-bottle image build claude "),
    ("bot-bottle cp quick", "bot-bottle cp quick-fox:"),
    ("bot-bottle cp quick-fox:x onlyfi", "bot-bottle cp quick-fox:x onlyfile.txt "),
]
# What is offered where several words fit.
OFFERED = [
    ("bot-bottle start ", {"implementer", "reviewer"}, {"onlyfile.txt", "evil$(touch canary)"}),
    ("bot-bottle start --backend ", {"microvm", "namespace", "smolmachines"}, {"onlyfile.txt"}),
    ("bot-bottle info ", {"implementer", "reviewer", "quick-fox", "lazy-dog"}, set()),
    ("bot-bottle image ", {"build", "list", "rm"}, {"claude"}),
    ("bot-bottle list --", {"--json", "--quiet"}, {"--backend"}),
]


class Shells(Home):
    """A home with agents, bottles and ended bottles, and a directory with bot-bottle and its completions."""

    def __init__(self):
        super().__init__()
        for name in ("implementer", "reviewer"):
            self.agent(name, "tinybottle")
        self.bottle("tinybottle", "image: host")
        root = self.env["BOT_BOTTLE_HOME"]
        for name in ("quick-fox", "lazy-dog"):
            folder = os.path.join(root, "state", name)
            os.makedirs(folder, mode=0o700)
            with open(os.path.join(folder, "metadata.json"), "w", encoding="utf-8") as f:
                f.write("{}\n")
        # Not names that bot-bottle gives; nothing may be run for them.
        with open(os.path.join(root, "agents", "evil$(touch canary).md"), "w", encoding="utf-8") as f:
            f.write("x\n")
        self.bin, self.work = os.path.join(self.top, "bin"), os.path.join(self.top, "work")
        os.makedirs(self.bin)
        os.makedirs(self.work)
        os.symlink(program(), os.path.join(self.bin, "bot-bottle"))
        with open(os.path.join(self.work, "onlyfile.txt"), "w", encoding="utf-8") as f:
            f.write("x\n")
        for shell, name in (("bash", "bot-bottle"), ("zsh", "_bot-bottle"), ("fish", "bot-bottle.fish")):
            os.makedirs(os.path.join(self.top, shell))
            with open(os.path.join(self.top, shell, name), "w", encoding="utf-8") as f:
                f.write(docs(shell))

    def environment(self):
        return {**self.env, "PATH": self.bin + ":/usr/bin:/bin", "HOME": self.top, "TERM": "dumb",
                "XDG_CONFIG_HOME": os.path.join(self.top, "config"), "XDG_DATA_HOME": os.path.join(self.top, "data"),
                "HISTFILE": "/dev/null", "LANG": "C.UTF-8", "PS1": "$ "}


class Terminal:
    """A shell on a terminal. A line is typed with its tab; then Ctrl-A and `echo` in front show what it became."""

    def __init__(self, argv, env, cwd):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            os.execvpe(argv[0], argv, env)
        self.count = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)

    def read_until(self, pattern, what):
        seen, end = "", time.monotonic() + 40
        while not re.search(pattern, seen):
            if time.monotonic() > end or not select.select([self.fd], [], [], 40)[0]:
                raise AssertionError(f"{what}: waited in vain for {pattern!r}, saw {seen!r}")
            seen += os.read(self.fd, 65536).decode(errors="replace")
        return seen

    def run(self, text):
        """Runs a line; a marker that the line's echo does not hold says when it has ended."""
        self.count += 1
        os.write(self.fd, f"{text}; echo D''ONE{self.count}\r".encode())
        return self.read_until(rf"DONE{self.count}\r?\n", text)

    def complete(self, text, tabs=1):
        self.count += 1
        mark = f"M''ARK{self.count}"
        # Ctrl-U first: an empty line. The tab's work is done before the next key is read.
        os.write(self.fd, b"\x15" + text.encode() + b"\t" * tabs)
        os.write(self.fd, f"\x01echo {mark}'".encode() + b"\x05'; echo M''END" + str(self.count).encode() + b"\r")
        seen = self.read_until(rf"MEND{self.count}\r?\n", text)
        found = re.findall(rf"MARK{self.count}(.*?)\r?\n", seen)
        assert found, (text, seen)
        return found[-1], seen


BASH_START = ("bind 'set completion-query-items 0'; bind 'set page-completions off'; "
              "bind 'set show-all-if-ambiguous on'; bind 'set bell-style none'; bind 'set enable-bracketed-paste off'; ")


def bash(home):
    t = Terminal(["bash", "--norc", "--noprofile", "-i"], home.environment(), home.work)
    t.run(BASH_START + f"source {home.top}/bash/bot-bottle")
    return t


def zsh(home):
    t = Terminal(["zsh", "-f", "-i"], home.environment(), home.work)
    t.run(f"unsetopt zle_bracketed_paste; LISTMAX=1000; fpath=({home.top}/zsh $fpath); "
          f"autoload -Uz compinit; compinit -u -d {home.top}/zcompdump; unsetopt beep")
    return t


def check_lines(open_shell, is_space_kept=True):
    with Shells() as home, open_shell(home) as t:
        for typed, want in COMPLETED:
            line, seen = t.complete(typed)
            assert line == (want if is_space_kept else want.rstrip()), (typed, line, seen)
        for typed, offered, never in OFFERED:
            line, seen = t.complete(typed, tabs=2)
            words = set(seen.split())
            assert offered <= words and not never & words, (typed, seen)
        assert os.listdir(home.work) == ["onlyfile.txt"], os.listdir(home.work)


def test_bash_completes():
    check_lines(bash)


def test_zsh_completes():
    check_lines(zsh, is_space_kept=False)  # zsh takes its space back before the next key


def fish_offers(home, line):
    """What fish itself would offer: `complete -C` is the engine behind its tab key."""
    done = subprocess.run(
        ["fish", "--no-config", "-c", f"source {home.top}/fish/bot-bottle.fish; complete -C $argv[1]", line],
        env=home.environment(), cwd=home.work, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and done.stderr == "", (line, done)
    return {row.split("\t")[0] for row in done.stdout.splitlines()}


def test_fish_completes():
    with Shells() as home:
        for typed, want in COMPLETED:
            got = fish_offers(home, typed)
            word = want.split(" ")[-2] if want.endswith(" ") else want.split(" ")[-1]
            if want == typed:
                assert got == set(), (typed, got)
            else:
                assert got == {word}, (typed, got)
        for typed, offered, never in OFFERED:
            got = fish_offers(home, typed)
            assert offered <= got and not never & got, (typed, got)
        assert os.listdir(home.work) == ["onlyfile.txt"], os.listdir(home.work)


def test_completing_touches_nothing():
    """Not even an empty home is made, and no message goes to a half-typed line."""
    top = tempfile.mkdtemp()
    try:
        env = {**os.environ, "BOT_BOTTLE_HOME": os.path.join(top, "none"), "HOME": top}
        for kind in ("agents", "bottles", "ids", "no-such-kind"):
            done = subprocess.run([program(), "complete", kind], env=env, capture_output=True, text=True, timeout=60,
                                  check=False)
            assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (kind, done)
        assert os.listdir(top) == []
    finally:
        shutil.rmtree(top)


def commands():
    """As the help lists them."""
    text = subprocess.run([program(), "--help"], check=True, capture_output=True, text=True, timeout=60).stdout
    return re.findall(r"(?m)^  ([a-z]+) +[A-Z]", text)


def test_man_pages_are_clean():
    """Every page that is installed, by the strictest reader there is; and it shows what it should."""
    names = commands()
    assert "start" in names and "complete" not in names, names
    pages = {"bot-bottle.1": docs("man"), **{f"bot-bottle-{n}.1": docs("man", n) for n in names},
             **{f"bot-bottle-{n}.5": docs("format", n) for n in ("bottle", "agent")}}
    with tempfile.TemporaryDirectory() as top:
        for name, text in pages.items():
            path = os.path.join(top, name)
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
            found = subprocess.run(["mandoc", "-T", "lint", path], capture_output=True, text=True, timeout=60, check=False)
            assert (found.returncode, found.stdout) == (0, ""), (name, found.stdout)
            shown = subprocess.run(["mandoc", "-T", "utf8", path], capture_output=True, text=True, timeout=60,
                                   check=True).stdout
            shown = re.sub("_\b|.\b", "", shown)  # overstruck
            assert "NAME\n" in shown and "SEE ALSO\n" in shown, (name, shown)
    for name in names:
        assert os.path.exists(os.path.join(BUILD, "src", "cli", f"bot-bottle-{name}.1")), f"no page of '{name}' is made"
        assert f"\\fB{name} " in pages["bot-bottle.1"] or f"\\fB{name}\\fR" in pages["bot-bottle.1"], name


def test_man_page_names_every_variable():
    """What the program reads from its environment, by its own sources."""
    asked = set()
    for folder, _, names in os.walk(SRC):
        for name in names:
            if name.endswith(".c"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    asked |= set(re.findall(r'getenv\("(BOT_BOTTLE_\w+)"\)', f.read()))
    assert len(asked) >= 4, asked
    page = docs("man")
    assert [v for v in sorted(asked) if v not in page] == []


def front_matter(text):
    """The values as a YAML reader of an editor gives them to its schema."""
    return yaml.safe_load(text.split("---\n")[1]) or {}


GOOD = {
    "bottle": [
        "", "env: {A: 1, B: two, C: true, D: '${HOST}', E: null, F: }\n", "extends: base\n", "extends: [a, b]\n",
        "agent_provider: {template: claude, auth_token: MY_TOKEN}\n", "image: base\n",
        "egress: {log: 1, routes: [{host: a.example}, {host: '*.b.example', ports: [443, 8443], plain_ports: [80]}]}\n",
        "egress: {routes: [{host: a.example, auth: {scheme: Bearer, token_ref: T}}]}\n",
        "egress: {routes: [{host: a.example, auth: {header: x-api-key, token_ref: T}}]}\n",
        "egress: {routes: [{host: a.example, matches: [{methods: [GET], paths: [{type: prefix, value: /v1}],"
        " headers: [{name: accept, value: a}], query: [{name: q, type: regex, value: '[0-9]+'}]}]}]}\n",
        "resources: {cpus: 2, memory: 2G, disk: 8G, pids: 100, time: 8h}\n",
    ],
    "agent": ["", "bottle: dev\n", "bottle: dev\nname: x\ndescription: y\nmodel: opus\ncolor: red\nmemory: user\n"],
}
BAD = {
    "bottle": [
        "egres: {}\n", "env: [A]\n", "env: {1A: x}\n", "env: {A: [x]}\n", "extends: Base\n",
        "extends: {a: b}\n", "image: [base]\n", "agent_provider: {auth_token: T}\n",
        "agent_provider: {template: claude, dockerfile: x}\n", "egress: {routes: {host: a.example}}\n",
        "egress: {routes: [a.example]}\n", "egress: {routes: [{ports: [443]}]}\n",
        "egress: {routes: [{host: a.example, ports: [0]}]}\n", "egress: {routes: [{host: a.example, ports: ['443']}]}\n",
        "egress: {routes: [{host: a.example, auth: {scheme: Bearer}}]}\n",
        "egress: {routes: [{host: a.example, auth: {token_ref: T}}]}\n",
        "egress: {routes: [{host: a.example, auth: {scheme: Bearer, header: x-a, token_ref: T}}]}\n",
        "egress: {routes: [{host: a.example, auth: {scheme: Bearer, token_ref: 'not a name'}}]}\n",
        "egress: {routes: [{host: a.example, role: x}]}\n", "egress: {routes: [{host: a.example, tls_passthrough: true}]}\n",
        "egress: {routes: [{host: a.example, matches: [{paths: [{value: /v1}]}]}]}\n",
        "egress: {routes: [{host: a.example, matches: [{paths: [{type: glob, value: /v1}]}]}]}\n",
        "egress: {routes: [{host: a.example, matches: [{verbs: [GET]}]}]}\n",
        "egress: {log: 9}\n", "egress: {allowlist: [a.example]}\n", "resources: {cpus: 0}\n", "resources: {memory: lots}\n",
        "resources: {time: 8 hours}\n", "pipelock: {}\n", "supervise: ask\n", "git: {}\n",
    ],
    "agent": ["bottles: dev\n", "bottle: [dev]\n", "bottle: Dev\n", "env: {A: b}\n", "egress: {}\n"],
}


def test_schemas_accept_the_good_and_refuse_the_bad():
    root = os.path.dirname(SRC)
    for kind in ("bottle", "agent"):
        schema = json.loads(docs("schema", kind))
        jsonschema.Draft7Validator.check_schema(schema)
        check = jsonschema.Draft7Validator(schema)
        folder = os.path.join(root, "examples", kind + "s")
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name), encoding="utf-8") as f:
                assert list(check.iter_errors(front_matter(f.read()))) == [], name
        for text in GOOD[kind]:
            assert [e.message for e in check.iter_errors(front_matter(f"---\n{text}---\n"))] == [], text
        for text in BAD[kind]:
            assert not check.is_valid(front_matter(f"---\n{text}---\n")), text


def test_the_parser_agrees_with_the_schema():
    """What the schema refuses the parser refuses; what the good list holds the parser takes."""
    with Home() as home:
        home.bottle("base", "image: base")
        home.bottle("a", "image: base")
        home.bottle("b", "image: base")
        home.bottle("dev", "image: base")
        env = {"HOST": "x", "T": "x", "MY_TOKEN": "x"}
        for is_good, lists in ((True, GOOD), (False, BAD)):
            for kind in ("bottle", "agent"):
                for text in lists[kind]:
                    home.bottle("it", text if kind == "bottle" else "image: base")
                    home.write("agents", "it", text if kind == "agent" else "bottle: it")
                    args = ["--bottle", "it"] if kind == "bottle" or "bottle" not in text else []
                    home.env.update(env)
                    done = home.run("start", "it", *args, "--headless", "--prompt", "x", "--dry-run", check=False)
                    if is_good:
                        assert done.returncode == 0, (text, done.stderr)
                    else:
                        assert done.returncode == 125, (text, done)


def test_the_formats_pages_show_manifests_that_load():
    """The example of each page, as a reader would copy it; and every key of the schema is on the page."""
    with Home(GH_PAT="x", BOT_BOTTLE_CLAUDE_OAUTH_TOKEN="x") as home:
        for kind, name in (("bottle", "dev"), ("agent", "worker")):
            page = docs("format", kind)
            example = re.search(r"\.EX\n(.*?)\.EE", page, re.S).group(1).replace("\\-", "-").replace("\\&", "")
            with open(os.path.join(home.root, kind + "s", name + ".md"), "w", encoding="utf-8") as f:
                f.write(example)
            for key, value in json.loads(docs("schema", kind))["properties"].items():
                assert f"\\fB{key}\\fR" in page.replace("\\-", "-"), (kind, key, value)
        shown = home.run("start", "worker", "--headless", "--prompt", "x", "--dry-run").stdout
        assert "api.github.com" in shown, shown
