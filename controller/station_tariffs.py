"""The room of tariffs that stations hold (OCPP 2.1): given to them, changed for a transaction, taken away, and read.

    SetStationTariff --> SetDefaultTariff --Accepted--> fact         ClearStationTariffs --> ClearTariffs --> fact
    ChangeTransactionTariff --> the station's transaction on that EVSE --Accepted--> fact

A price that a station shows binds the depot, so only people give tariffs; none is made up here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from controller.raw_calls import RawCalls, as_answer, in_words
from controller.room import Answered, Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.station_tariffs import StationTariffs, TariffSet
from depot.values import ConnectorId, DepotError, InvalidValue, Outcome
from ocpp_server.reply import Reply
from ocpp_server.version import Version

SET, CHANGE, CLEAR, GET = "SetDefaultTariff", "ChangeTransactionTariff", "ClearTariffs", "GetTariffs"


class TariffSetView(Struct, frozen=True, kw_only=True):
    """A tariff as the station accepted it, as OCPP spells it. ``evse_id`` 0: of all its EVSEs; ``transaction`` "": a default."""

    evse_id: int
    tariff_id: str
    tariff: dict[str, Any]
    set_at: datetime
    transaction: str


class StationTariffsView(Struct, frozen=True, kw_only=True):
    """What one station was given. ``station_says``: its own list now (``tariffAssignments``), null where it was not asked or did not
    answer."""

    station_id: str
    defaults: list[TariffSetView]
    changes: list[TariffSetView]
    station_says: list[dict[str, Any]] | None


class TariffsView(Struct, frozen=True, kw_only=True):
    """Stations that hold tariffs of this depot."""

    at: datetime
    stations: list[StationTariffsView]


class StationTariffRoom:
    """The room. ``running(connector)``: the station's own name of the transaction there, None where none is known."""

    def __init__(self, yard: Yard, calls: RawCalls, *, running: Callable[[ConnectorId], str | None]) -> None:
        self._yard = yard
        self._calls = calls
        self._running = running
        calls.heard.append(self._heard)
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.SetStationTariff: self._set,
            cmd.ChangeTransactionTariff: self._change,
            cmd.ClearStationTariffs: self._clear,
        }
        self.views: Mapping[type[Struct], Viewer] = {TariffsView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    async def _set(self, command: cmd.SetStationTariff, cause: ev.Envelope) -> Answered:
        self._check(command.station_id)
        payload = {"evseId": command.evse_id, "tariff": dict(command.tariff)}
        return _answered(await self._calls.send(command.station_id, SET, payload, cause))

    async def _change(self, command: cmd.ChangeTransactionTariff, cause: ev.Envelope) -> Answered:
        self._check(command.station_id)
        name = self._running(ConnectorId(command.station_id, command.evse_id))
        if name is None:
            raise DepotError(f"no transaction is known to run on EVSE {command.evse_id} of {command.station_id}")
        return _answered(await self._calls.send(command.station_id, CHANGE, {"transactionId": name, "tariff": dict(command.tariff)}, cause))

    async def _clear(self, command: cmd.ClearStationTariffs, cause: ev.Envelope) -> Answered:
        self._check(command.station_id)
        payload: dict[str, Any] = {"tariffIds": list(command.tariff_ids)} if command.tariff_ids else {}
        payload |= {"evseId": command.evse_id} if command.evse_id else {}
        reply = await self._calls.send(command.station_id, CLEAR, payload, cause)
        said = [str(row.get("status")) for row in reply.payload.get("clearTariffsResult", ())]
        answered = _answered(reply)
        if said and all(status != "Accepted" for status in said):
            return answered._replace(status=CommandStatus.FAILED, message=", ".join(sorted(set(said))))
        return answered

    def _check(self, station_id: str) -> None:
        if self._calls.version(station_id) is not Version.V21:
            raise InvalidValue(f"{station_id} does not speak OCPP 2.1, which tariffs of stations are of")

    async def _heard(self, station_id: str, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """What a station accepted, whoever made up the call."""
        fact: ev.Event | None = None
        if reply.outcome is not Outcome.ACCEPTED:
            return
        if action == SET:
            fact = ev.StationTariffSet(station_id, payload["evseId"], payload["tariff"])
        elif action == CHANGE:
            evse = next((k.connector for k in self._yard.spec.connectors if self._runs(k, station_id, payload["transactionId"])), 0)
            fact = ev.StationTariffSet(station_id, evse, payload["tariff"], payload["transactionId"])
        elif action == CLEAR:
            rows = [row for row in reply.payload.get("clearTariffsResult", ()) if row.get("status") == "Accepted"]
            named = tuple(row["tariffId"] for row in rows if "tariffId" in row)
            if rows:
                fact = ev.StationTariffsCleared(station_id, named, payload.get("evseId", 0))
        if fact is not None:
            await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now())])

    def _runs(self, key: ConnectorId, station_id: str, name: str) -> bool:
        return key.station_id == station_id and self._running(key) == name

    async def _show(self, args: Mapping[str, str]) -> TariffsView | None:
        """``station_id``: only this one; ``refresh``: ask it now; ``evse_id``: for that EVSE (0: for all)."""
        wanted = args.get("station_id", "")
        known = self._yard.state.station_tariffs
        if wanted and not self._calls.knows(wanted):
            return None
        says: list[dict[str, Any]] | None = None
        if wanted and args.get("refresh"):
            self._check(wanted)
            reply = await self._calls.ask(wanted, GET, {"evseId": int(args.get("evse_id", "0"))})
            if reply.outcome is Outcome.ACCEPTED or reply.payload.get("status") == "NoTariff":
                says = list(reply.payload.get("tariffAssignments", ()))
        ids = [wanted] if wanted else sorted(known)
        return TariffsView(at=self._yard.clock.now(), stations=[_station(i, known.get(i) or StationTariffs(), says) for i in ids])


def _answered(reply: Reply) -> Answered:
    done = CommandStatus.DONE if reply.outcome is Outcome.ACCEPTED else CommandStatus.FAILED
    return Answered(done, in_words(reply), {"state": str(reply.payload.get("status", "")), "call": as_answer(reply)})


def _station(station_id: str, known: StationTariffs, says: list[dict[str, Any]] | None) -> StationTariffsView:
    return StationTariffsView(
        station_id=station_id,
        defaults=[_shown(t) for _, t in sorted(known.defaults.items())],
        changes=[_shown(t) for t in reversed(known.changes)],
        station_says=says,
    )


def _shown(t: TariffSet) -> TariffSetView:
    return TariffSetView(evse_id=t.evse_id, tariff_id=t.tariff_id, tariff=dict(t.tariff), set_at=t.set_at, transaction=t.transaction)
