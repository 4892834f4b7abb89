"""Reservations and local lists as values: who may use which, what a list becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depot.local_lists import LocalList, UpdateType, parts
from depot.reservations import KEPT, Reservation, ReservationState, asked, changed, kept_away, used_by
from depot.tokens import IdToken, TokenStatus

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)


def reservation(number: int = 1, *, connector: int = 1, token: str = "ANNA", group: str = "", station: str = "CP-1") -> Reservation:
    return Reservation(number, station, connector, token, group, LATER, NOW)


def away(*known: Reservation, tokens: tuple[str, ...] = ("BERTA",), group: str = "", connector: int = 1, free: int = 2) -> int | None:
    """The number of the reservation that keeps somebody away."""
    found = kept_away(
        {r.reservation_id: r for r in known}, station_id="CP-1", connector=connector, tokens=tokens, group=group, free=free, now=NOW
    )
    return None if found is None else found.reservation_id


def test_a_reserved_connector_is_for_its_token_and_its_group_alone() -> None:
    held = reservation(group="CREW")
    assert away(held) == 1
    assert away(held, tokens=("anna",)) is None  # case does not count
    assert away(held, tokens=("CREW",)) is None
    assert away(held, group="crew") is None
    assert away(held, connector=2) is None
    assert away(replace(held, station_id="CP-2")) is None
    assert away(reservation(), tokens=()) == 1


@pytest.mark.parametrize("state", [s for s in ReservationState if not s.holds])
def test_what_is_over_keeps_nobody_away(state: ReservationState) -> None:
    assert away(replace(reservation(), state=state)) is None


def test_a_reservation_that_was_never_answered_holds_until_its_time_is_over() -> None:
    held = reservation()
    assert held.holds(NOW)
    assert not held.holds(LATER)


def test_any_connector_means_that_one_of_them_stays_free() -> None:
    anybody = reservation(connector=0)
    assert away(anybody, free=2) is None
    assert away(anybody, free=1) == 1
    assert away(anybody, reservation(2, connector=0), free=2) in (1, 2)


def test_a_session_uses_up_the_reservation_that_is_named_else_the_one_for_its_token() -> None:
    known = {r.reservation_id: r for r in (reservation(1, connector=0), reservation(2), reservation(3, token="BERTA", connector=2))}

    def used(token: str, connector: int, number: int | None = None, began_at: datetime | None = NOW) -> int | None:
        found = used_by(
            known, station_id="CP-1", connector=connector, token=token, group="", reservation_id=number, began_at=began_at
        )  # fmt: skip
        return None if found is None else found.reservation_id

    assert used("ANNA", 1) == 2  # the connector's own before any
    assert used("ANNA", 2) == 1
    assert used("ZOE", 1, 2) == 2
    assert used("ZOE", 1, 99) is None
    assert used("ZOE", 1, 3) is None  # of another connector
    assert used("ANNA", 1, began_at=NOW - timedelta(hours=1)) is None  # told late: it began before
    assert used("ANNA", 1, 2, began_at=NOW - timedelta(hours=1)) == 2


def test_what_is_over_stays_over_and_the_oldest_of_it_is_forgotten() -> None:
    known = changed({1: reservation()}, 1, ReservationState.USED, transaction_id=9)
    assert changed(known, 1, ReservationState.EXPIRED) == known
    assert changed(known, 2, ReservationState.EXPIRED) == known
    for number in range(2, KEPT + 10):
        known = changed(asked(known, reservation(number)), number, ReservationState.CANCELLED)
    assert len(known) <= KEPT + 1
    assert 1 not in known


tokens = st.lists(st.integers(0, 30).map(lambda n: IdToken(f"T{n}")), unique_by=lambda token: token.key, max_size=25)


@given(before=tokens, wanted=tokens, most=st.integers(1, 7), first=st.integers(1, 1000))
def test_a_list_in_parts_is_the_list_that_was_wanted(before: list[IdToken], wanted: list[IdToken], most: int, first: int) -> None:
    old = LocalList(0).after(1, UpdateType.FULL, before, (), NOW)
    for update in UpdateType:
        listed, removed = (wanted, []) if update is UpdateType.FULL else old.changes_to(wanted)
        plan = parts(update, first, listed, removed, most=most)
        assert [part.version for part in plan] == list(range(first, first + len(plan)))
        assert [part.update for part in plan] == [update, *[UpdateType.DIFFERENTIAL] * (len(plan) - 1)]
        assert all(len(part.listed) + len(part.removed) <= most for part in plan)
        new = old
        for part in plan:
            new = new.after(part.version, part.update, part.listed, [token.casefold() for token in part.removed], NOW)
        assert new.entries == {token.key: token for token in wanted}


def test_a_token_whose_status_changed_is_a_difference() -> None:
    old = LocalList(0).after(1, UpdateType.FULL, [IdToken("A"), IdToken("B")], (), NOW)
    blocked = IdToken("A", TokenStatus.BLOCKED)
    assert old.changes_to([blocked]) == ([blocked], ["B"])
