"""Reservations as people and machines make them: asked of the station, kept, and ended by use, by time or by a person.

    ReserveConnector    --journaled--> ReserveNow --answer--> accepted, occupied …
    CancelReservation   --> CancelReservation --> cancelled
    StartTransaction with it (controller.desk) --> used;  its time (here, every second) --> expired
    ReservationStatusUpdate (2.x) --> expired, or cancelled by the station (it is faulted, it lost it)

Reservations that a person makes by a call of his own are kept as well: one book for all. While one holds, the loop begins no
session there for anybody else (:mod:`controller.kept_free`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.reservations import MAX_ID, Reservation, ReservationState
from depot.tokens import TokenType
from depot.values import DepotError, InvalidValue, Outcome, UnknownThing
from ocpp_server.reply import NEVER_LEFT, Reply
from ocpp_server.skew import parse_time
from ocpp_server.tokens_out import cancel_reservation, fits, reserve_now
from ocpp_server.version import Version

LOOK_S = 1.0
"""How often it is looked whose time is over, depot seconds."""
LONGEST = timedelta(days=30)
_WORDS = {state.value.capitalize(): state for state in ReservationState if state not in (ReservationState.ASKED, ReservationState.USED)}


class ReservationRow(Struct, frozen=True, kw_only=True):
    """One reservation. ``connector`` 0: any of the station's, or of its ``connector_type``; ``note``: what went wrong."""

    reservation_id: int
    station_id: str
    connector: int
    id_token: str
    group: str
    expires_at: datetime
    asked_at: datetime
    state: str
    note: str
    transaction_id: int | None
    connector_type: str = ""


class ReservationsView(Struct, frozen=True, kw_only=True):
    """Those that hold and the newest that are over, newest first."""

    at: datetime
    reservations: list[ReservationRow]


class ReservationEnds:
    """Hears what stations end by themselves: a :class:`~depot.reservations.ReservationHearer`. What is over stays over."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard

    async def ended_by_station(self, station_id: str, number: int, word: str) -> None:
        known = self._yard.state.reservations.get(number)
        if known is None or known.station_id != station_id or not known.state.holds:
            return
        removed = word == "Removed"
        note = "the station removed it" if removed else "" if word == "Expired" else "nobody began to charge"
        fact = ev.ReservationChanged(number, ReservationState.CANCELLED if removed else ReservationState.EXPIRED, note)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=f"station:{station_id}")])


class ReservationDesk:
    """The room."""

    def __init__(self, yard: Yard, calls: RawCalls) -> None:
        self._yard = yard
        self._calls = calls
        self._numbering = asyncio.Lock()
        calls.guards.append(self._check_id)
        calls.heard.append(self._heard)
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.ReserveConnector: self._reserve,
            cmd.CancelReservation: self._cancel,
        }
        self.views: Mapping[type[Struct], Viewer] = {ReservationsView: self._show}

    async def run(self) -> None:
        """End what has expired."""
        while True:
            await self._yard.clock.sleep(LOOK_S)
            now = self._yard.clock.now()
            over = [r for r in self._yard.state.reservations.values() if r.state.holds and not r.holds(now)]
            if over:
                facts: list[ev.Event] = [ev.ReservationChanged(r.reservation_id, ReservationState.EXPIRED) for r in over]
                await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts])

    # -- orders -------------------------------------------------------------------------------------------------

    async def _reserve(self, command: cmd.ReserveConnector, cause: ev.Envelope) -> Answered:
        version = self._calls.version(command.station_id)
        if any(not fits(token, version) for token in (command.id_token, command.group)):
            raise InvalidValue(f"a station of OCPP {version.value} takes tokens of at most 20 characters")
        if command.connector_type and (version is Version.V16 or command.connector):
            raise InvalidValue("a connector type is for OCPP 2.x, and for any connector (0) of that type")
        async with self._numbering:
            reservation = self._made(command)
            await self._append(cause, _asked(reservation, own=command.reservation_id is None))
        listed = self._yard.state.id_token(command.id_token)
        payload = reserve_now(reservation, TokenType.CENTRAL.value if listed is None else listed.wire_type, version)
        try:
            reply = await self._calls.send(command.station_id, "ReserveNow", payload, cause)
        except DepotError as error:
            await self._append(cause, ev.ReservationChanged(reservation.reservation_id, ReservationState.REJECTED, str(error)[:200]))
            raise
        changed = _answered(reservation.reservation_id, reply)
        if changed is not None and self._yard.state.reservations[reservation.reservation_id].state is ReservationState.ASKED:
            await self._append(cause, changed)  # a refusal; what may have happened is heard already
        return self._answer(reservation.reservation_id, reply)

    def _made(self, command: cmd.ReserveConnector) -> Reservation:
        """The reservation that is asked for. Raises :class:`~depot.values.DepotError`."""
        station = next((s for s in self._yard.spec.stations if s.station_id == command.station_id), None)
        if station is None:
            raise UnknownThing(f"station {command.station_id} is not known: GET /api/v1/stations lists all")
        numbers = [c.connector for c in station.connectors]
        if command.connector not in (0, *numbers):
            raise InvalidValue(f"{command.station_id} has no connector {command.connector}: 0 (any) or one of {numbers}")
        now = self._yard.clock.now()
        if not now < command.expires_at <= now + LONGEST:
            raise InvalidValue(f"a reservation ends later than now and within {LONGEST.days} days")
        number = command.reservation_id
        if number is None:
            number = self._yard.state.next_reservation_id
            while number in self._yard.state.reservations:
                number = number % MAX_ID + 1
        else:
            self._check_free(command.station_id, number)
        return Reservation(
            number, command.station_id, command.connector, command.id_token, command.group, command.expires_at, self._yard.clock.now(),
            connector_type=command.connector_type,
        )  # fmt: skip

    async def _cancel(self, command: cmd.CancelReservation, cause: ev.Envelope) -> Answered:
        known = self._yard.state.reservations.get(command.reservation_id)
        if known is None:
            raise UnknownThing(f"there is no reservation {command.reservation_id}: GET /api/v1/reservations lists all")
        if not known.state.holds:
            raise DepotError(f"reservation {command.reservation_id} is over already: {known.state}")
        reply = await self._calls.send(known.station_id, "CancelReservation", cancel_reservation(known.reservation_id), cause)
        return self._answer(known.reservation_id, reply)

    def _answer(self, number: int, reply: Reply) -> Answered:
        reservation = self._yard.state.reservations[number]
        answer = {"reservation_id": number, "state": reservation.state.value, "note": reservation.note, "call": as_answer(reply)}
        status = CommandStatus.DONE if reply.outcome is Outcome.ACCEPTED else CommandStatus.FAILED
        return Answered(status, f"reservation {number}: {in_words(reply)}", answer)

    # -- what is heard of every call, also of those that people make up -----------------------------------------

    def _check_id(self, station_id: str, action: str, payload: Mapping[str, Any]) -> None:
        if action == "ReserveNow":
            number = payload.get("reservationId", payload.get("id"))
            if isinstance(number, int):
                self._check_free(station_id, number)

    def _check_free(self, station_id: str, number: int) -> None:
        """A station may be asked again with the same id, which replaces the reservation; no other one."""
        if not 0 <= number <= MAX_ID:
            raise InvalidValue(f"a reservation's id is within 0 and {MAX_ID}")
        holder = self._yard.state.reservations.get(number)
        if holder is not None and holder.holds(self._yard.clock.now()) and holder.station_id != station_id:
            raise DepotError(f"reservation {number} is held on {holder.station_id}; leave the id out to get a free one")

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        now = self._yard.clock.now()
        facts: list[ev.Event] = []
        if action == "CancelReservation" and reply.outcome is Outcome.ACCEPTED:
            known = self._yard.state.reservations.get(payload["reservationId"])
            if known is not None and known.station_id == station_id:
                facts.append(ev.ReservationChanged(known.reservation_id, ReservationState.CANCELLED))
        elif action == "ReserveNow":
            reservation = _read(station_id, payload, self._calls.version(station_id), now)
            changed = None if reservation is None else _answered(reservation.reservation_id, reply)
            if reservation is not None and self._is_new(reservation):
                facts.append(_asked(reservation, own=False))
            facts += [] if changed is None else [changed]
        if facts:
            await self._yard.journal.append([ev.NewEvent(fact, now) for fact in facts])

    def _is_new(self, r: Reservation) -> bool:
        """Whether it is another one than that which was asked for under its id."""
        known = self._yard.state.reservations.get(r.reservation_id)
        return known is None or not known.state.holds or (known.station_id, known.connector, known.id_token) != (
            r.station_id, r.connector, r.id_token
        )  # fmt: skip

    async def _append(self, cause: ev.Envelope, fact: ev.Event) -> None:
        new = ev.NewEvent(fact, self._yard.clock.now(), actor=cause.actor, cause_id=cause.id)
        await self._yard.journal.append([new])

    async def _show(self, args: Mapping[str, str]) -> ReservationsView:
        """``station_id``, ``state``: only those."""
        wanted = [
            r
            for r in self._yard.state.reservations.values()
            if args.get("station_id", r.station_id) == r.station_id and args.get("state", r.state.value) == r.state.value
        ]
        wanted.sort(key=lambda r: r.asked_at, reverse=True)
        return ReservationsView(at=self._yard.clock.now(), reservations=[_row(r) for r in wanted])


def _asked(r: Reservation, *, own: bool) -> ev.ReservationAsked:
    return ev.ReservationAsked(r.reservation_id, r.station_id, r.connector, r.id_token, r.group, r.expires_at, own, r.connector_type)


def _answered(number: int, reply: Reply) -> ev.ReservationChanged | None:
    """What the station said; None where it said nothing: it may hold it."""
    said = str(reply.payload.get("status", ""))
    if said in _WORDS:
        return ev.ReservationChanged(number, _WORDS[said])
    if reply.outcome is Outcome.OFFLINE or reply.refused or reply.code in NEVER_LEFT:
        return ev.ReservationChanged(number, ReservationState.REJECTED, reply.code or reply.outcome.value)
    return None


def _read(station_id: str, payload: Mapping[str, Any], version: Version, now: datetime) -> Reservation | None:
    """The reservation of a checked ReserveNow; None for a time that is none."""
    if version is Version.V16:
        until, number, connector = parse_time(payload["expiryDate"]), payload["reservationId"], payload["connectorId"]
        token, group = payload["idTag"], payload.get("parentIdTag", "")
    else:
        until, number, connector = parse_time(payload["expiryDateTime"]), payload["id"], payload.get("evseId", 0)
        token, group = payload["idToken"]["idToken"], payload.get("groupIdToken", {}).get("idToken", "")
    if until is None:
        return None
    return Reservation(number, station_id, connector, token, group, until, now, connector_type=payload.get("connectorType", ""))


def _row(r: Reservation) -> ReservationRow:
    return ReservationRow(
        reservation_id=r.reservation_id, station_id=r.station_id, connector=r.connector, id_token=r.id_token, group=r.group,
        expires_at=r.expires_at, asked_at=r.asked_at, state=r.state.value, note=r.note, transaction_id=r.transaction_id,
        connector_type=r.connector_type,
    )  # fmt: skip
