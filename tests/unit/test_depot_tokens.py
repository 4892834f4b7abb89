"""Id tokens: which one is meant, and what its reader is told. And the same at the desk: master passes, free vending."""

from __future__ import annotations

from asyncio import run
from datetime import UTC, datetime

import pytest
from small_yard import ONE, TWO, SmallYard

from controller.audit import entry_of
from controller.codec import EventCodec
from controller.desk import Desk, DeskSettings
from depot import events as ev
from depot.ports import StartRequest, StopRequest
from depot.tokens import AdditionalId, IdToken, Place, Presented, TokenStatus, keys_for
from depot.values import InvalidValue

AT = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)


def found(listed: list[IdToken], text: str, kind: str = "") -> IdToken | None:
    book = {token.key: token for token in listed}
    return next((book[key] for key in keys_for(text, kind) if key in book), None)


def test_the_type_is_part_of_who_a_token_is_where_it_was_listed_with_one() -> None:
    card, account, plain = IdToken("A1", type="ISO14443"), IdToken("A1", TokenStatus.BLOCKED, type="Central"), IdToken("B2")
    listed = [card, account, plain]
    assert found(listed, "a1", "iso14443") is card
    assert found(listed, "A1", "Central") is account
    assert found(listed, "A1", "KeyCode") is None
    assert found(listed, "A1") is card  # a reader of 1.6 says no type
    assert found(listed, "b2", "MacAddress") is plain
    assert found([*listed, IdToken("A1")], "A1", "KeyCode") == IdToken("A1")


def test_an_emaid_is_the_same_with_and_without_hyphens() -> None:
    contract = IdToken("DE-ABC-C123ABC56-7", type="eMAID")
    assert found([contract], "deabcc123abc567", "eMAID") is contract
    assert found([contract], "DEABCC123ABC567", "Central") is None


def test_what_must_be_shown_beside_a_token_is_asked_for() -> None:
    token = IdToken("CARD", additional=(AdditionalId("4711", "PIN"),))
    asked = [
        Presented("CARD"),
        Presented("CARD", additional=frozenset({("4712", "pin")})),
        Presented("CARD", "", frozenset({("4711", "pin")})),
    ]
    assert [token.answer(shown, AT, station_id="CP").status for shown in asked] == ["Invalid", "Invalid", "Accepted"]


def test_a_token_of_one_place_is_refused_elsewhere_and_names_its_evses_there() -> None:
    token = IdToken("CARD", only_at=(Place("CP-1", 2), Place("CP-1", 1), Place("CP-2")))
    shown = Presented("CARD")
    assert token.answer(shown, AT, station_id="CP-1").evses == (1, 2)
    assert token.answer(shown, AT, station_id="CP-1", connector=3).status == "NotAtThisLocation"
    assert token.answer(shown, AT, station_id="CP-2", connector=3).evses == ()
    assert token.answer(shown, AT, station_id="CP-3").status == "NotAtThisLocation"


@pytest.mark.parametrize(
    "more",
    [{"type": "NoAuthorization"}, {"type": "a\tb"}, {"language": "english"}, {"charging_priority": 10}, {"personal_message": "x" * 513}],
)
def test_what_is_no_token_is_refused(more: dict[str, object]) -> None:
    with pytest.raises(InvalidValue):
        IdToken("X", **more)  # type: ignore[arg-type]


def test_tokens_that_were_listed_before_types_counted_are_of_any_type() -> None:
    old = '{"token": {"token": "A", "status": "accepted", "expires_at": null, "group": "", "type": "%s"}}'
    types = [EventCodec().decode("token.id_token_listed", 1, old % kind) for kind in ("ISO14443", "Central")]
    assert [fact.token.type for fact in types if isinstance(fact, ev.IdTokenListed)] == ["", "Central"]


class World(SmallYard):
    def __init__(self, **settings: object) -> None:
        super().__init__()
        self.loop.end_session = lambda key: None  # type: ignore[method-assign]  # it is a task of the loop's own
        self.desk = Desk(self.yard, self.loop, DeskSettings(**settings), replan=lambda cause: None)  # type: ignore[arg-type]

    def shows(self, text: str, kind: str) -> str:
        return run(self.desk.authorize("CP-1", text, Presented(text, kind))).status

    def starts(self, text: str, kind: str, key: str = "tx") -> str:
        now = self.clock.now()
        answer = run(self.desk.start(StartRequest(ONE, text, 0, now, now, key, shown=Presented(text, kind))))
        return answer.authorization.status


def test_who_shows_nothing_may_charge_only_where_the_depot_vends_freely() -> None:
    for settings, said in (({}, "Invalid"), ({"accept_unknown_tags": True}, "Invalid"), ({"free_vend": True}, "Accepted")):
        world = World(**settings)
        assert (world.shows("", "NoAuthorization"), world.starts("", "NoAuthorization")) == (said, said)


def test_c16_a_master_pass_is_let_through_and_begins_nothing() -> None:
    world = World(master_pass_group="MASTERS")
    world.put(ev.IdTokenListed(IdToken("GUARD", group="Masters", type="ISO14443")), ev.IdTokenListed(IdToken("ANNA")))
    answer = run(world.desk.authorize("CP-1", "GUARD", Presented("GUARD", "ISO14443")))
    assert (answer.status, answer.group, answer.master) == ("Accepted", "Masters", True)
    assert world.starts("GUARD", "ISO14443", "first") == "Blocked"
    assert world.starts("ANNA", "ISO14443", "second") == "Accepted"
    number = world.yard.state.connector(ONE).transaction_id
    assert number is not None
    run(world.desk.stop(StopRequest("CP-1", number, 10, "MasterPass", None, world.clock.now())))
    entries = [entry for fact in world.journal.facts if (entry := entry_of(fact)) is not None]
    assert [(entry.kind, entry.target) for entry in entries] == [("MasterPass", "CP-1"), ("MasterPassStop", str(ONE))]
    assert "GUARD" not in str(entries)


def test_a_master_pass_is_one_only_where_the_settings_name_its_group() -> None:
    world = World()
    world.put(ev.IdTokenListed(IdToken("GUARD", group="MASTERS")))
    assert world.starts("GUARD", "ISO14443") == "Accepted"


def test_a_token_of_another_connector_begins_nothing_here() -> None:
    world = World()
    world.put(ev.IdTokenListed(IdToken("ANNA", only_at=(Place(*TWO),))))
    assert world.starts("ANNA", "ISO14443") == "NotAtThisLocation"
