"""The sans-I/O session: framing of OCPP-J 1.6 §4, and what becomes of frames that break it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ocpp_server.errors import ErrorCode
from ocpp_server.session import (
    REFUSABLE_ANSWERS,
    AnswerRefused,
    CallReceived,
    ErrorReceived,
    Ignored,
    LateAnswer,
    Malformed,
    ResultReceived,
    Session,
)
from ocpp_server.version import Version

HEARTBEAT = '[2,"a1","Heartbeat",{}]'


def call_of(session: Session, frame: str) -> CallReceived:
    incoming = session.receive(frame)
    assert isinstance(incoming, CallReceived)
    return incoming


def error_of(frame: str | bytes) -> list[Any]:
    incoming = Session().receive(frame)
    assert isinstance(incoming, Malformed), incoming
    message: list[Any] = json.loads(incoming.reply)
    return message


def test_a_call_and_its_answer() -> None:
    session = Session()
    call = call_of(session, '[2,"a1","StatusNotification",{"connectorId":1}]')
    assert (call.message_id, call.action, call.payload, call.repeated) == ("a1", "StatusNotification", {"connectorId": 1}, None)
    assert json.loads(session.answer(call, {})) == [3, "a1", {}]


def test_a_call_of_ours_is_settled_by_its_result() -> None:
    session = Session()
    message_id, text = session.call("Reset", {"type": "Soft"})
    assert json.loads(text) == [2, message_id, "Reset", {"type": "Soft"}]
    assert session.receive(f'[3,"{message_id}",{{"status":"Accepted"}}]') == ResultReceived(message_id, {"status": "Accepted"})
    assert isinstance(session.receive(f'[3,"{message_id}",{{"status":"Accepted"}}]'), Ignored), "a second answer has no call"


def test_a_call_of_ours_is_settled_by_its_error() -> None:
    session = Session()
    message_id, _ = session.call("Reset", {"type": "Soft"})
    assert session.receive(f'[4,"{message_id}","NotSupported","no",{{}}]') == ErrorReceived(message_id, "NotSupported", "no")


@pytest.mark.parametrize("tail", ["", ",[]", ',"Accepted"', ",{},{}", ",{", ',{"a":NaN}'])
def test_an_unreadable_answer_settles_the_call_as_unknown(tail: str) -> None:
    session = Session()
    message_id, _ = session.call("Reset", {"type": "Soft"})
    assert session.receive(f'[3,"{message_id}"{tail}]') == ResultReceived(message_id, None)


def test_a_late_answer_is_told_from_one_that_nobody_asked_for() -> None:
    session = Session()
    message_id, _ = session.call("Reset", {"type": "Soft"})
    session.forget(message_id)
    assert session.receive(f'[3,"{message_id}",{{}}]') == LateAnswer(message_id)
    assert isinstance(session.receive('[3,"77",{}]'), Ignored)


@pytest.mark.parametrize(
    "frame",
    [
        '[2,"x","Heartbeat"]',
        '[2,"x"]',
        '[2,"x","Heartbeat",{},1]',
        '[2,"x",{},{}]',
        '[2,"x",["Heartbeat"],{}]',
        '[2,"x","",{}]',
        '[2,"x","Heartbeat",[]]',
        '[2,"x","Heartbeat",null]',
        '[2,"x","Heartbeat",{]',
        '[2,"x","MeterValues",{"value":NaN}]',
        '[2,"x","Heartbeat",{"a":"\\ud800"}',
        '[2,"x","Heartbeat",' + "[" * 2000 + "]" * 2000 + "]",
        '[2,"x","Heartbeat",' + "[" * 100_000,
        b'[2,"x","Heartbeat",{"a":"\xff"}]',
    ],
)
def test_problem_08_a_broken_call_with_a_readable_id_gets_formation_violation(frame: str | bytes) -> None:
    error = error_of(frame)
    assert error[:3] == [4, "x", ErrorCode.FORMATION_VIOLATION.value] == [4, "x", "FormationViolation"]
    assert len(error) == 5
    assert len(error[3]) <= 255


@pytest.mark.parametrize("written", ["\\u0000", 'a\\"b', "\\\\", "\\u00e9\\n"])
def test_no_8_a_broken_call_whose_id_is_written_with_escapes_is_answered_under_that_id(written: str) -> None:
    error = error_of(f'[2,"{written}","Heartbeat",{{"value":NaN}}]')
    assert error[:3] == [4, json.loads(f'"{written}"'), "FormationViolation"]


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "[]",
        "{}",
        "null",
        "7",
        '"[2"',
        '[9,"x","Heartbeat",{}]',
        '["2","x","Heartbeat",{}]',
        '[2,null,"Heartbeat",{}]',
        '[2,"","Heartbeat",{}]',
        '[2,true,"Heartbeat",{}]',
        '[2,"' + "x" * 256 + '","Heartbeat",{}]',
        b"\xff\xfe",
        "\ud800",
        '[2,"\\ud800","Heartbeat",{]',
        '[2,"\\q","Heartbeat",{}]',
        '[5,"x",{}]',
        "[2",
        '[3,"unknown",{}]',
    ],
)
def test_what_has_no_readable_id_or_no_call_is_ignored(frame: str | bytes) -> None:
    assert isinstance(Session().receive(frame), Ignored)


def test_a_number_as_message_id_is_served_and_echoed() -> None:
    session = Session()
    assert json.loads(session.answer(call_of(session, '[2,17,"Heartbeat",{}]'), {})) == [3, 17, {}]


def test_an_identical_frame_gets_the_identical_answer() -> None:
    session = Session()
    frame = '[2,"a1","StartTransaction",{"connectorId":1}]'
    first = session.answer(call_of(session, frame), {"transactionId": 5})
    assert call_of(session, frame).repeated == first


def test_problem_19_a_reused_id_with_another_content_is_a_new_call() -> None:
    session = Session()
    session.answer(call_of(session, '[2,"1","StatusNotification",{"status":"Available"}]'), {})
    assert call_of(session, '[2,"1","StatusNotification",{"status":"Charging"}]').repeated is None


def test_an_answer_that_depends_on_time_is_not_repeated() -> None:
    session = Session()
    session.answer(call_of(session, HEARTBEAT), {"currentTime": "now"}, remember=False)
    assert call_of(session, HEARTBEAT).repeated is None


def test_a_refusal_is_not_remembered() -> None:
    session = Session()
    session.refuse(call_of(session, HEARTBEAT), ErrorCode.INTERNAL_ERROR, "later")
    assert call_of(session, HEARTBEAT).repeated is None


def test_remembered_answers_are_bounded() -> None:
    session = Session()
    for number in range(1000):
        session.answer(call_of(session, f'[2,"{number}","StatusNotification",{{}}]'), {})
    assert call_of(session, '[2,"0","StatusNotification",{}]').repeated is None
    assert call_of(session, '[2,"999","StatusNotification",{}]').repeated is not None


def test_many_values_in_one_frame_are_not_taken_for_depth() -> None:
    frame = json.dumps([2, "x", "MeterValues", {"meterValue": [{"sampledValue": [{"value": "1"}] * 10}] * 100}])
    assert isinstance(Session().receive(frame), CallReceived)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part, max_size=5) | st.dictionaries(st.text(), part, max_size=5),
    max_leaves=10,
)


@given(st.lists(json_values, max_size=6))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_json_array_is_received_without_an_exception(message: list[Any]) -> None:
    Session().receive(json.dumps(message))


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_are_received_without_an_exception(frame: str | bytes) -> None:
    Session().receive(frame)


VALID = (
    '[2,"m1","BootNotification",{"chargePointVendor":"Acme","chargePointModel":"One"}]',
    '[2,"m2","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"2026-03-01T12:00:00Z","sampledValue":[{"value":"1.5"}]}]}]',
    '[2,"m3","StopTransaction",{"transactionId":1,"meterStop":5,"timestamp":"2026-03-01T12:00:00Z"}]',
    '[3,"m4",{"status":"Accepted"}]',
)


def mutated(rng: random.Random) -> str:
    """A valid frame with some characters dropped, doubled, swapped or replaced."""
    text = list(rng.choice(VALID))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(text))
        text[at : at + 1] = rng.choice([[], [text[at]] * 2, [rng.choice('[]{}",:0x9\\ \u20ac\x00')], ["NaN"], ["1e999"], ["null"]])
        text = text or ["["]
    return "".join(text)


def test_fault_11_mutated_frames_are_received_without_an_exception() -> None:
    rng = random.Random(11)
    session = Session()
    kinds = {type(session.receive(mutated(rng))) for _ in range(10_000)}
    assert {CallReceived, Malformed, Ignored} <= kinds, "seed 11"


# ---------------------------------------------------------------------- what 2.1 has beside it

SEND = '[6,"s1","NotifyPeriodicEventStream",{"id":1}]'


@pytest.mark.parametrize("version", [Version.V16, Version.V201])
def test_the_frames_of_2_1_mean_nothing_in_other_versions(version: Version) -> None:
    session = Session(version)
    session.answer(call_of(session, HEARTBEAT), {})
    for frame in (SEND, '[5,"a1","FormatViolation","no",{}]'):
        assert session.receive(frame) == Ignored("unknown message type")
    assert session.refuse_answer("1", ErrorCode.FORMATION_VIOLATION, "no") is None


def test_a_send_is_a_call_that_nobody_answers() -> None:
    call = call_of(Session(Version.V21), SEND)
    assert (call.message_id, call.action, call.payload, call.sent) == ("s1", "NotifyPeriodicEventStream", {"id": 1}, True)
    assert call_of(Session(Version.V21), HEARTBEAT).sent is False


@pytest.mark.parametrize("frame", ["[6]", '[6,"s"]', '[6,"s","A"]', '[6,"s",1,{}]', '[6,"s","",{}]', '[6,"s","A",[]]', '[6,"s","A",{},0]',
                                   '[6,[],"A",{}]', '[6,"","A",{}]', '[6,"s","A",{'])  # fmt: skip
def test_a_broken_send_is_nobodys_to_answer(frame: str) -> None:
    assert isinstance(Session(Version.V21).receive(frame), Ignored)


def test_a_refusal_of_our_answer_says_which() -> None:
    session = Session(Version.V21)
    session.answer(call_of(session, HEARTBEAT), {"currentTime": "now"}, remember=False)
    frame = '[5,"a1","FormatViolation","a time is expected",{}]'
    assert session.receive(frame) == AnswerRefused("a1", "Heartbeat", "FormatViolation", "a time is expected")
    assert isinstance(session.receive(frame), Ignored), "once"


@pytest.mark.parametrize("rest", ["", ',"A"', ',null,[],"x"', ",{},{},{},{},{}"])
def test_a_refusal_that_says_nothing_is_one_too(rest: str) -> None:
    session = Session(Version.V21)
    session.answer(call_of(session, HEARTBEAT), {})
    assert isinstance(session.receive(f'[5,"a1"{rest}]'), AnswerRefused)


def test_a_refusal_of_an_answer_that_was_not_given_lately_is_ignored() -> None:
    session = Session(Version.V21)
    for number in range(REFUSABLE_ANSWERS + 1):
        session.answer(call_of(session, f'[2,"a{number}","Heartbeat",{{}}]'), {})
    for message_id in ('"a0"', '"b"', "1", "null", "{}"):
        assert isinstance(session.receive(f'[5,{message_id},"GenericError","",{{}}]'), Ignored)


def test_an_answer_that_cannot_be_used_is_refused_in_2_1() -> None:
    text = Session(Version.V21).refuse_answer("7", ErrorCode.OCCURENCE_CONSTRAINT_VIOLATION, "no status")
    assert text is not None
    assert json.loads(text) == [5, "7", "OccurrenceConstraintViolation", "no status", {}]
