"""The room of battery swaps (OCPP 2.1): asked for, and told by stations as batteries come and go. A book of events; nothing here
decides who may have a battery: stations ask for that with Authorize.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.allowance import Allowance
from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.battery_swaps import Battery, SwapAsked, SwapEvent, Swapped
from depot.commands import CommandStatus
from depot.tokens import TokenType
from depot.values import DepotError, InvalidValue, Outcome
from ocpp_server.battery_swaps import request_swap
from ocpp_server.reply import NEVER_LEFT, Reply
from ocpp_server.version import Version

LISTED_MOST = 240
"""Events an hour of one station that are kept."""


class BatteryView(Struct, frozen=True, kw_only=True):
    """A battery. ``soc``, ``soh``: fractions; null: what the station said cannot be true."""

    evse_id: int
    serial: str
    soc: float | None
    soh: float | None
    made_at: datetime | None
    vendor_info: str


class SwapEventView(Struct, frozen=True, kw_only=True):
    """What a station told. ``kind``: BatteryIn, BatteryOut, BatteryOutTimeout."""

    station_id: str
    at: datetime
    kind: str
    request_id: int
    id_token: str
    batteries: list[BatteryView]


class SwapAskedView(Struct, frozen=True, kw_only=True):
    """A swap that was asked for. ``state``: asked, accepted, rejected, unknown."""

    request_id: int
    station_id: str
    id_token: str
    asked_at: datetime
    state: str
    note: str


class SwapsView(Struct, frozen=True, kw_only=True):
    """Newest first. ``inside``: by station, the batteries in it as far as it told."""

    at: datetime
    asked: list[SwapAskedView]
    events: list[SwapEventView]
    inside: dict[str, list[BatteryView]]


class BatterySwaps:
    """The room, and the :class:`~depot.battery_swaps.SwapDesk`."""

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._calls: RawCalls | None = None
        self._numbering = asyncio.Lock()
        self._allowance = Allowance(LISTED_MOST)
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.RequestBatterySwap: self._request}
        self.views: Mapping[type[Struct], Viewer] = {SwapsView: self._show}

    def attach(self, calls: RawCalls) -> None:
        self._calls = calls

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _request(self, command: cmd.RequestBatterySwap, cause: ev.Envelope) -> Answered:
        assert self._calls is not None, "attached before the first order"
        if self._calls.version(command.station_id) is not Version.V21:
            raise InvalidValue(f"{command.station_id} does not speak OCPP 2.1, which battery swaps are of")
        async with self._numbering:
            number = self._yard.state.swaps.next_id
            await self._append(ev.BatterySwapAsked(number, command.station_id, command.id_token))
        listed = self._yard.state.id_token(command.id_token)
        action, payload = request_swap(number, command.id_token, TokenType.CENTRAL.value if listed is None else listed.wire_type)
        assert isinstance(payload, dict)
        try:
            reply = await self._calls.send(command.station_id, action, payload, cause)
        except DepotError as error:
            await self._append(ev.BatterySwapAnswered(number, "rejected", str(error)[:200]))
            raise
        state, note = _said(reply)
        await self._append(ev.BatterySwapAnswered(number, state, note))
        done = CommandStatus.DONE if state == "accepted" else CommandStatus.FAILED
        words = f"battery swap {number}: {in_words(reply)}"
        return Answered(done, words, {"request_id": number, "state": state, "note": note, "call": as_answer(reply)})

    async def swapped(self, station_id: str, swapped: Swapped) -> None:
        unlisted = self._allowance.take(station_id, self._yard.clock.now())
        if unlisted is not None:
            await self._append(ev.BatteriesSwapped(station_id, swapped, unlisted))

    async def _append(self, fact: ev.Event) -> None:
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    async def _show(self, args: Mapping[str, str]) -> SwapsView | None:
        """``station_id``: only this one."""
        book, wanted = self._yard.state.swaps, args.get("station_id", "")
        ids = [s.station_id for s in self._yard.spec.stations if wanted in ("", s.station_id)]
        if wanted and not ids:
            return None
        inside = {i: [_battery(battery) for battery in book.inside(i)] for i in ids}
        return SwapsView(
            at=self._yard.clock.now(),
            asked=[_asked(a) for a in reversed(book.asked) if wanted in ("", a.station_id)],
            events=[_event(e) for e in reversed(book.events) if wanted in ("", e.station_id)],
            inside={i: batteries for i, batteries in inside.items() if batteries},
        )


def _said(reply: Reply) -> tuple[str, str]:
    if reply.outcome is Outcome.ACCEPTED:
        return "accepted", ""
    info = reply.payload.get("statusInfo", {})
    if reply.refused or reply.outcome is Outcome.OFFLINE or reply.code in NEVER_LEFT:
        return "rejected", str(info.get("additionalInfo") or info.get("reasonCode") or reply.code or reply.outcome.value)[:200]
    return "unknown", reply.code or reply.outcome.value


def _battery(b: Battery) -> BatteryView:
    return BatteryView(evse_id=b.evse_id, serial=b.serial, soc=b.soc, soh=b.soh, made_at=b.made_at, vendor_info=b.vendor_info)


def _asked(a: SwapAsked) -> SwapAskedView:
    return SwapAskedView(
        request_id=a.request_id, station_id=a.station_id, id_token=a.id_token, asked_at=a.asked_at, state=a.state, note=a.note
    )


def _event(e: SwapEvent) -> SwapEventView:
    said = e.swapped
    return SwapEventView(
        station_id=e.station_id, at=e.at, kind=said.kind, request_id=said.request_id, id_token=said.id_token,
        batteries=[_battery(battery) for battery in said.batteries],
    )  # fmt: skip
