"""Presets on this computer: npm's and apt's own configuration, what is shown, and an installed copy's data files."""

import os
import re
import shutil
import subprocess
import sys
from urllib.parse import urlsplit

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from rig.bottle import ROOT, Home, program  # noqa: E402

TIMEOUT = 180


class Presets(Home):
    def __init__(self, *presets, **env):
        super().__init__(HOME="", **env)
        self.env["HOME"] = self.top
        for name in [n for n in self.env if n.lower().startswith("npm_config_") and n not in env]:
            del self.env[name]
        self.bottle("b", "image: base\negress:\n  routes:\n" + "".join(f"    - preset: {p}\n" for p in presets))
        self.agent("a", "b")

    def npmrc(self, text, name=".npmrc"):
        path = os.path.join(self.top, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def routes(self, check=True, **more):
        """{host: its lines of the page}, and the page."""
        done = self.run("info", "a", check=check, **more)
        page = done.stdout if check else done.stderr
        found = re.split(r"(?m)^    - host: ", page)[1:]
        return {re.match(r'"?([^\s"]+)', text).group(1): text for text in found}, page


def npm_says(home, cwd="/"):
    return subprocess.run(["npm", "config", "get", "registry"], env=home.env, cwd=cwd, check=True, capture_output=True,
                          text=True, timeout=120).stdout.strip()


def check_npm(home, *more):
    """The registry that npm itself names, and those of scopes, are the hosts; returns the page."""
    url = urlsplit(npm_says(home))
    routes, page = home.routes()
    assert set(routes) == {url.hostname, *more}, (npm_says(home), page)
    port = url.port or (443 if url.scheme == "https" else 80)
    key = "ports" if url.scheme == "https" else "plain_ports"
    if port != 443:
        assert f"{key}: [{port}]" in routes[url.hostname], page
    assert "GET" in routes[url.hostname] and "PUT" not in page, page
    return page


def test_npm_as_npm_itself_is_configured():
    for text, env, more in (
            ("", {}, ()),  # npm's own default
            ("registry=https://npm.one.example/\n", {}, ()),
            ("; a comment\nregistry = \"https://npm.two.example:8443/team/\"\n", {}, ()),
            ("registry=http://plain.example/npm/\n@scope:registry=https://scope.example/\n", {}, ("scope.example",)),
            ("registry=https://${WHICH}.example/\n", {"WHICH": "three"}, ()),
            ("registry=https://npm.one.example/\n", {"npm_config_registry": "https://four.example/"}, ()),
            ("registry=https://npm.one.example/\n", {"NPM_CONFIG_REGISTRY": "https://five.example/"}, ()),
    ):
        with Presets("npm", **env) as home:
            home.npmrc(text)
            page = check_npm(home, *more)
            assert "# preset npm (bottles/b.md:5, " in page, page


def test_npm_by_another_user_file_and_a_global_one():
    with Presets("npm") as home:
        home.npmrc("registry=https://wrong.example/\n")
        home.env["NPM_CONFIG_USERCONFIG"] = home.npmrc("email=x\n", "user")
        home.env["NPM_CONFIG_GLOBALCONFIG"] = home.npmrc("registry=https://global.example/\n", "global")
        page = check_npm(home)
        assert "global.example" in page and f"{home.top}/global:1" in page, page


def test_a_repository_does_not_choose_the_registry():
    """npm itself would take it: the twin shows that."""
    with Presets("npm") as home:
        home.npmrc("registry=https://mine.example/\n")
        work = os.path.join(home.top, "work")
        os.makedirs(work)
        with open(os.path.join(work, "package.json"), "w", encoding="utf-8") as f:
            f.write("{}\n")
        with open(os.path.join(work, ".npmrc"), "w", encoding="utf-8") as f:
            f.write("registry=https://evil.example/\n")
        assert npm_says(home, work) == "https://evil.example/"
        routes, page = home.routes(cwd=work)
        assert set(routes) == {"mine.example"}, page


def test_without_npm_it_says_what_to_do():
    with Presets("npm") as home:
        home.env["PATH"] = "/nowhere"
        _, error = home.routes(check=False)
        assert "bottles/b.md':5: preset 'npm': no registry is configured" in error, error
        assert "npm config set registry URL" in error, error


def test_a_secret_in_an_address_is_not_shown():
    with Presets("npm") as home:
        home.npmrc("registry=https://user:s3cret-canary@npm.example/?token=s3cret-canary\n"
                   "//npm.example/:_authToken=s3cret-canary\n")
        routes, page = home.routes()
        assert set(routes) == {"npm.example"} and "canary" not in page, page


def test_debian_as_apt_itself_is_configured():
    """Every host is one that apt takes packages from, and the release's own archive is among them."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"], check=True, capture_output=True,
                            text=True, timeout=60).stdout.split("\n")
    sites = {urlsplit(line.split(" ")[0]).hostname for line in listed if line.startswith("http")}
    with Presets("debian") as home:
        routes, page = home.routes()
    assert routes and set(routes) <= sites, (page, sites)
    with open("/etc/os-release", encoding="utf-8") as f:
        codename = re.search(r"VERSION_CODENAME=(\w+)", f.read()).group(1)
    own = {urlsplit(line.split(" ")[0]).hostname for line in listed if line.endswith(" " + codename)}
    assert own & set(routes), (page, own)


def test_an_installed_copy_finds_its_data():
    """PREFIX/bin with PREFIX/share/bot-bottle; without the data it says so and allows nothing."""
    with Presets("go") as home:
        prefix = os.path.join(home.top, "prefix")
        os.makedirs(os.path.join(prefix, "bin"))
        shutil.copy(program(), os.path.join(prefix, "bin"))
        home.program = os.path.join(prefix, "bin", "bot-bottle")
        _, error = home.routes(check=False)
        assert "share/bot-bottle/presets' is not there; install bot-bottle again" in error, error
        shutil.copytree(os.path.join(ROOT, "data", "presets"), os.path.join(prefix, "share", "bot-bottle", "presets"))
        routes, page = home.routes()
        assert set(routes) == {"proxy.golang.org", "sum.golang.org", "storage.googleapis.com"}, page


def test_a_changed_data_file_cannot_say_more_than_a_manifest():
    """An unknown key, another version, no version: refused with the file's line."""
    with Presets("go") as home:
        prefix = os.path.join(home.top, "prefix")
        presets = os.path.join(prefix, "share", "bot-bottle", "presets")
        os.makedirs(os.path.join(prefix, "bin"))
        os.makedirs(presets)
        shutil.copy(program(), os.path.join(prefix, "bin"))
        home.program = os.path.join(prefix, "bin", "bot-bottle")
        for text, says in (
                ("version: 1\nroutes: [{host: a.example, allow: all}]\n", "presets/go.yaml':2: unknown key 'allow'"),
                ("version: 2\nroutes: [{host: a.example}]\n", "presets/go.yaml':1: 'version' is 2"),
                ("routes: [{host: a.example}]\n", "presets/go.yaml':1: a preset's file needs 'version'"),
                ("version: 1\nroutes: [{preset: npm}]\n", "presets/go.yaml':2: a preset cannot stand for another"),
                ("version: 1\nroutes: [{host: '*'}]\n", "presets/go.yaml':2: host '*' can never match"),
        ):
            with open(os.path.join(presets, "go.yaml"), "w", encoding="utf-8") as f:
                f.write(text)
            _, error = home.routes(check=False)
            assert says in error, (text, error)


def test_no_host_of_npm_or_debian_stands_in_our_files():
    """They are the operator's own; whoever copies the files copies no mirror."""
    found = set()
    for name in ("npm", "debian"):
        with open(os.path.join(ROOT, "data", "presets", name + ".yaml"), encoding="utf-8") as f:
            found |= set(re.findall(r"host: (\S+)", f.read()))
    assert found == {"${host}"}, found
