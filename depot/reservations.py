"""Reservations of connectors: who holds which until when, and whom that keeps away. Pure.

    Asked --station's word--> Accepted | Faulted | Occupied | Rejected | Unavailable
    Asked, Accepted --------> Used (a session began with it) | Expired | Cancelled

A reservation *holds* while the station has it or may have it: one whose question was not answered holds until it
expires. Ids are 31-bit and unique over the depot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

KEPT = 500
"""Reservations that are over and still remembered, the newest."""
MAX_ID = 2**31 - 1
CLOCKS_DIFFER = timedelta(minutes=5)


class ReservationState(StrEnum):
    """How far a reservation got."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    FAULTED = "faulted"
    OCCUPIED = "occupied"
    REJECTED = "rejected"
    UNAVAILABLE = "unavailable"
    USED = "used"
    EXPIRED = "expired"
    CANCELLED = "cancelled"

    @property
    def holds(self) -> bool:
        return self in (ReservationState.ASKED, ReservationState.ACCEPTED)


@dataclass(frozen=True, slots=True)
class Reservation:
    """``connector`` 0: any of the station's, or with ``connector_type`` (2.x, as OCPP spells it) any of that type.
    ``group``: who has this parent token may use it, too. ``note``: what went wrong; ``transaction_id``: the one that used it."""

    reservation_id: int
    station_id: str
    connector: int
    id_token: str
    group: str
    expires_at: datetime
    asked_at: datetime
    state: ReservationState = ReservationState.ASKED
    note: str = ""
    transaction_id: int | None = None
    connector_type: str = ""

    def is_for(self, tokens: Iterable[str], group: str = "") -> bool:
        """Whether somebody with one of these tokens, or of this group, may use it; case does not count."""
        mine = {self.id_token.casefold()} | ({self.group.casefold()} if self.group else set())
        return any(token.casefold() in mine for token in tokens) or bool(group and self.group and group.casefold() == self.group.casefold())

    def holds(self, now: datetime) -> bool:
        return self.state.holds and now < self.expires_at


class ReservationHearer(Protocol):
    """Who hears that a station ended a reservation by itself (ReservationStatusUpdate of 2.x)."""

    async def ended_by_station(self, station_id: str, number: int, word: str) -> None:
        """``word``: Expired, Removed, or NoTransaction (2.1). Returns after the fact is durable."""


Reservations = Mapping[int, Reservation]


def asked(known: Reservations, new: Reservation) -> Reservations:
    """With a new one; those that are long over are forgotten."""
    over = [r.reservation_id for r in known.values() if not r.state.holds]
    gone = set(over[:-KEPT]) if len(over) > KEPT else set()
    return {number: r for number, r in known.items() if number not in gone and number != new.reservation_id} | {new.reservation_id: new}


def changed(
    known: Reservations, number: int, state: ReservationState, *, note: str = "", transaction_id: int | None = None
) -> Reservations:
    """One got further. What is over stays over."""
    before = known.get(number)
    if before is None or not before.state.holds:
        return known
    return {**known, number: replace(before, state=state, note=note, transaction_id=transaction_id)}


def used_by(
    known: Reservations,
    *,
    station_id: str,
    connector: int,
    token: str,
    group: str,
    reservation_id: int | None,
    began_at: datetime | None,
) -> Reservation | None:
    """The reservation that a session uses up: the one that the station names, else the one that was made for this token.
    ``began_at``: by the station's clock; a session from before the reservation was made, told late, uses none."""
    here = [r for r in known.values() if r.state.holds and r.station_id == station_id and r.connector in (0, connector)]
    named = next((r for r in here if r.reservation_id == reservation_id), None)
    fitting = [r for r in here if r.is_for((token,), group) and (began_at is None or began_at >= r.asked_at - CLOCKS_DIFFER)]
    fitting.sort(key=lambda r: -r.connector)
    return named or next(iter(fitting), None)


def kept_away(
    known: Reservations, *, station_id: str, connector: int, tokens: Collection[str], group: str, free: int, now: datetime
) -> Reservation | None:
    """The reservation for which nobody with these tokens may begin a session on this connector; None: one may. ``free``: how
    many of the station's connectors run no session, this one included: those for any connector need one each."""
    any_held = []
    for r in known.values():
        if r.station_id != station_id or not r.holds(now) or r.is_for(tokens, group):
            continue
        if r.connector == connector:
            return r
        if r.connector == 0:
            any_held.append(r)
    return any_held[0] if any_held and free <= len(any_held) else None
