"""The rig itself: what its servers see and say. Every test that says "the rig saw nothing" leans on these."""

import json
import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request

from rig import netns
from rig.core import Rig, forms

RIG = True


def fetch(url, data=None, headers=None):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.status, answer.read()


def test_an_allowed_name_is_resolved_and_the_echo_returns_the_request():
    with Rig() as rig:
        status, body = fetch("https://allowed.test/hello?a=1", b"body", {"X-Mine": "yes"})
        assert status == 200
        echo = json.loads(body)
        assert (echo["method"], echo["target"], echo["body"], echo["sni"]) == ("POST", "/hello?a=1", "body", "allowed.test")
        assert ["X-Mine", "yes"] in echo["headers"]
        assert rig.events.all("dns", name="allowed.test")
        assert rig.events.all("http", host="allowed.test", method="POST")


def test_every_address_of_both_families_reaches_a_sink():
    with Rig() as rig:
        for address in ("8.8.8.8", "169.254.169.254", "10.1.2.3", "2001:4860:4860::8888", "fd00:ec2::254"):
            with socket.create_connection((address, 22), 5) as s:
                s.sendall(b"canary")
            event = rig.events.wait("bytes", port=22, address=address)
            assert event["data"] == b"canary"


def test_udp_and_queries_to_any_resolver_are_seen():
    with Rig() as rig:
        mark = rig.events.mark()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(b"quic", ("9.9.9.9", 443))
            s.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\6canary\4evil\4test\0\0\1\0\1", ("8.8.4.4", 53))
        seen = {(e["kind"], e["address" if e["kind"] == "udp" else "server"], e.get("data") or e.get("name"))
                for e in rig.silence(mark)}
        assert seen == {("udp", "9.9.9.9", b"quic"), ("dns", "8.8.4.4", "canary.evil.test")}, seen


def test_silence_is_reported_when_there_is_silence_and_only_then():
    with Rig() as rig:
        mark = rig.events.mark()
        assert rig.silence(mark) == []
        fetch("https://allowed.test/")
        assert rig.silence(mark, allowed=["allowed.test"]) == []
        assert rig.silence(mark) != []
        with socket.create_connection(("1.2.3.4", 443), 5):
            pass
        assert [e["address"] for e in rig.silence(mark, allowed=["allowed.test"])] == ["1.2.3.4"]


def test_answers_alternate_and_names_without_an_entry_do_not_exist():
    with Rig() as rig:
        first = socket.getaddrinfo("rebind.test", 443, socket.AF_INET)[0][4][0]
        second = socket.getaddrinfo("rebind.test", 443, socket.AF_INET)[0][4][0]
        assert (first, second) == (netns.ADDRESS4, "127.0.0.1")
        assert socket.getaddrinfo("alias.test", 443, socket.AF_INET)[0][4][0] == "127.0.0.1"
        try:
            socket.getaddrinfo("no-such-name.test", 443)
            raise AssertionError("resolved")
        except socket.gaierror:
            pass
        assert rig.events.all("dns", name="no-such-name.test")


def test_bad_certificates_are_bad():
    with Rig():
        fetch("https://other.test/")
        for host in ("badcert.test", "wrongname.test", "expired.test"):
            try:
                fetch(f"https://{host}/")
                raise AssertionError(f"{host} was believed")
            except urllib.error.URLError as e:
                assert isinstance(e.reason, ssl.SSLCertVerificationError), e.reason


def test_a_secret_is_never_echoed_but_is_in_the_events():
    with Rig() as rig:
        secret = rig.secret("mine")
        _, body = fetch("https://allowed.test/", headers={"Authorization": "Bearer " + secret})
        assert secret.encode() not in body and b"Bearer <secret mine>" in body
        assert secret.encode() in rig.events.all("http")[0]["head"]


def test_a_search_finds_each_form_of_a_secret():
    import base64
    secret = "sk-real-0123456789abcdef"
    for shift in range(3):
        text = base64.b64encode(b"z" * shift + secret.encode() + b"tail")
        assert any(f in text for f in forms(secret).values()), shift
    assert forms(secret)["hex"] in secret.encode().hex().encode()


def test_the_model_follows_its_scenario():
    with Rig() as rig:
        rig.model.add("two", {"steps": [{"tool": "Bash", "input": {"command": "true"}, "expect": "yes"}], "final": "end"})
        ask = {"model": "m", "tools": [{"name": "Bash"}], "messages": [{"role": "user", "content": "go"}]}
        url = "https://api.anthropic.com/v1/messages"
        block = json.loads(fetch(url, json.dumps(ask).encode())[1])["content"][0]
        assert (block["name"], block["input"]) == ("Bash", {"command": "true"})
        for result, text in (("yes", "end"), ("no", "SCENARIO FAILED")):
            ask["messages"] = [{"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": block["id"], "content": result}]}]
            answer = json.loads(fetch(url, json.dumps(ask).encode())[1])["content"][0]["text"]
            assert answer.startswith(text), answer
        events = fetch(url, json.dumps({**ask, "stream": True}).encode())[1]
        assert b"event: message_start\n" in events and b'"stop_reason": "end_turn"' in events


def test_nothing_of_the_host_shows_in_the_namespace():
    with open("/etc/hosts", encoding="ascii") as f:
        assert f.read() == ""
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    done = subprocess.run(["openssl", "crl2pkcs7", "-nocrl", "-certfile", netns.CA_BUNDLE], capture_output=True, check=True)
    assert done.stdout
    with open(netns.CA_BUNDLE, encoding="ascii") as f:
        assert f.read().count("BEGIN CERTIFICATE") == 1
    assert os.path.isdir(netns.directory())
