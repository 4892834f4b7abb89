"""The own fleet's charging is shared out by vehicle and cost centre, exactly, each session once, and no paid one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from small_yard import ONE, SmallYard

from controller.codec import EventCodec
from controller.fleet_costs import FleetSessions, allocate
from controller.fleet_costs_room import FleetCosts
from controller.fleet_costs_view import FleetCostsView
from controller.journal_store import JournalError
from controller.sections_fleet_costs import FleetCostsSection
from depot import events as ev
from depot.values import InvalidValue
from grid.tariff import Tariff
from web.fleet_costs_api import as_csv

NOVEMBER = (datetime(2026, 10, 31, 18, 30, tzinfo=UTC), datetime(2026, 11, 30, 18, 30, tzinfo=UTC))
NIGHT = datetime(2026, 11, 20, 11, 30, tzinfo=UTC)


def fact(data: ev.Event, at: datetime, *, received: datetime | None = None) -> Any:
    return SimpleNamespace(data=data, occurred_at=at, received_at=received or at, seq=1)


def announced(visit_id: str, vehicle_id: str) -> ev.VisitAnnounced:
    return ev.VisitAnnounced(
        visit_id=visit_id, vehicle_id=vehicle_id, arrive_at=NIGHT, depart_at=NIGHT + timedelta(hours=9), battery_energy_wh=50_000,
        max_w=50_000,
    )  # fmt: skip


def session(
    number: int, wh: int, *, visit: str | None = None, tag: str = "depot", at: datetime = NIGHT, told: datetime | None = None
) -> list[Any]:
    ends = at + timedelta(hours=2)
    return [
        fact(ev.TransactionStarted(number, f"s{number}", ONE, tag, 1_000, visit), at),
        fact(ev.TransactionStopped(number, ONE, 1_000 + wh), ends, received=told),
    ]


def fold(*facts: Any) -> FleetSessions:
    made = FleetSessions(*NOVEMBER, lambda tag: {"CARD-3": "E-103"}.get(tag, ""))
    made.take(facts)
    return made


def test_by_visit_by_card_and_unknown() -> None:
    made = fold(
        fact(announced("v1", "E-101"), NIGHT), *session(1, 10_500, visit="v1"), *session(2, 7_001, tag="CARD-3"), *session(3, 900, tag="X")
    )  # fmt: skip
    assert [(s.vehicle_id, s.energy_wh) for s in made.found] == [("E-101", 10_500), ("E-103", 7_001), ("", 900)]
    shared = allocate(made.found, lambda _: Fraction(725), {"E-101": "Route 12", "E-103": "Route 12"})
    assert [(s.name, s.centre, s.amount_paise) for s in shared.vehicles] == [
        ("", "", 653), ("E-101", "Route 12", 7_613), ("E-103", "Route 12", 5_076),
    ]  # fmt: skip
    assert [(s.name, s.sessions, s.energy_wh, s.amount_paise) for s in shared.centres] == [
        ("", 1, 900, 653),
        ("Route 12", 2, 17_501, 12_689),
    ]
    assert (shared.energy_wh, shared.amount_paise) == (18_401, 13_342)


def test_what_a_driver_pays_is_no_cost_of_the_fleet() -> None:
    admitted = fact(ev.SessionAdmitted("s1", "driver 9", "m1", "1450", 0, 40_000, 90_000), NIGHT)
    assert fold(*session(1, 5_000)[:1], admitted, *session(1, 5_000)[1:], *session(2, 6_000)).found[0].energy_wh == 6_000


def test_each_session_counts_in_the_month_in_which_its_end_was_told() -> None:
    october, december = datetime(2026, 10, 31, 17, 0, tzinfo=UTC), datetime(2026, 12, 4, tzinfo=UTC)
    assert [s.session_id for s in fold(*session(1, 1_000, at=october)).found] == ["s1"]  # over midnight of the depot's clock
    assert fold(*session(1, 1_000, told=december)).found == []
    late = fold(*session(1, 1_000, at=october - timedelta(days=9), told=NIGHT))  # out of a station's queue
    assert len(late.found) == 1
    missing = fold(*session(1, 1_000)[1:])
    assert (missing.found, missing.beginnings_missing) == ([], 1)


def test_a_register_that_fell_costs_nothing() -> None:
    assert fold(*session(1, -500)).found[0].energy_wh == 0


def view(room: FleetCosts, month: str = "") -> FleetCostsView:
    found = asyncio.run(room.views[FleetCostsView]({"month": month}))
    assert isinstance(found, FleetCostsView)
    return found


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> FleetCosts:
    yard = SmallYard()
    facts = [fact(announced("v1", "E-101"), NIGHT), *session(1, 10_000, visit="v1")]
    monkeypatch.setattr("controller.fleet_costs_room.seq_before", lambda *_: 0)
    monkeypatch.setattr(
        "controller.fleet_costs_room.events_since",
        lambda store, depot_id, codec, *, types, after, most: facts if after == 0 and isinstance(codec, EventCodec) else [],
    )
    store = SimpleNamespace(path=None)
    return FleetCosts(yard.yard, store, Tariff.named("stylised-tou"), price=None, centres={"E-101": "North"})  # type: ignore[arg-type]  # not asked


def test_the_statement_by_the_depots_own_tariff_and_by_an_internal_price(room: FleetCosts) -> None:
    own = view(room)
    price = Tariff.named("stylised-tou").exact_vector(NIGHT, 1, 7200)[0]
    assert (own.month, own.running, own.basis, own.energy_wh) == ("2026-11", True, "purchase", 10_000)
    assert own.amount_paise == int(price * 1000 + Fraction(1, 2))
    assert "demand and fixed charges are not shared out" in own.remarks[0]
    room._price = Decimal("7.25")
    fixed = view(room, "2026-11")
    assert (fixed.basis, fixed.paise_per_kwh, fixed.amount_paise, fixed.centres[0].name) == ("price", "725", 7_250, "North")
    assert as_csv(fixed).splitlines()[1:] == ["2026-11,North,E-101,1,10.000,72.50", "2026-11,total,,1,10.000,72.50"]


def test_months_that_cannot_be(room: FleetCosts, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong, words in (("2027-01", "has not begun"), ("2026-13", "billing month"), ("soon", "billing month")):
        with pytest.raises(InvalidValue, match=words):
            view(room, wrong)

    def broken(*_: object, **__: object) -> int:
        raise JournalError("a page is damaged")

    monkeypatch.setattr("controller.fleet_costs_room.seq_before", broken)
    with pytest.raises(InvalidValue, match="cannot be read now"):
        view(room)


@pytest.mark.parametrize(
    ("lines", "words"),
    [(("Route 12",), "is no cost centre"), (("A: ",), "is no cost centre"), (("A: E-1", "B: E-1"), "stands in two cost centres")],
)
def test_cost_centres_that_cannot_be_read(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FleetCostsSection(cost_centres=lines)
    assert FleetCostsSection(cost_centres=("A: E-1, E-2",)).centre_of == {"E-1": "A", "E-2": "A"}


def test_a_cell_that_looks_like_a_formula_is_quoted(room: FleetCosts) -> None:
    found = view(room)
    evil = msgspec.structs.replace(found.vehicles[0], name="=1+1")
    assert "'=1+1" in as_csv(msgspec.structs.replace(found, vehicles=[evil]))
