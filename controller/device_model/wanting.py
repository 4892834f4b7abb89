"""Wanted values: changed by people (journaled), compared with what stations said last, written where they differ.

ChangeWantedVariables --> WantedVariablesChanged (fact)
wishes (depot < model < station < the depot's own needs) + stored variables --> drift --RepairDrift--> SetVariables
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection

from controller.device_model.asking import Asking
from controller.device_model.store import ModelStore, StoredVariable
from controller.device_model.writer import Writer
from controller.room import Answered, Carrier
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.commands import CommandStatus
from depot.device_model import Variable, VariableSetting
from depot.values import DepotError, InvalidValue, UnknownThing
from depot.wanted import MOST_WANTED, Drift, Known, Standing, Wanted, WantedScope, WantedVariable, Wish, drift, same, scope_key, wishes
from ocpp_server.redaction import is_secret

REPAIRED = (Standing.DIFFERS, Standing.HIDDEN)
VALUE_MOST = 1000
"""Characters of a wanted value (2.0.1: SetVariableDataType.attributeValue)."""


class Wanting:
    """``needs``: what the depot itself needs of every station."""

    def __init__(self, yard: Yard, store: ModelStore, writer: Writer, asking: Asking, *, needs: Mapping[Variable, str]) -> None:
        self._yard = yard
        self._store = store
        self._writer = writer
        self._asking = asking
        self.needs = needs
        self.commands: Mapping[type[cmd.Command], Carrier] = {
            cmd.ChangeWantedVariables: self._change,
            cmd.RepairDrift: self._repair,
        }

    @property
    def wanted(self) -> Wanted:
        return self._yard.state.wanted

    def wishes(self, station_id: str) -> dict[str, Wish]:
        """All that is wanted of a station, by the variable's key."""
        return wishes(self.wanted, station_id, self.machine(station_id), self.needs)

    def machine(self, station_id: str) -> str:
        """``vendor/model``, as the station said at its last boot."""
        facts = self._yard.state.stations.get(station_id)
        return "" if facts is None or facts.boot is None else f"{facts.boot.vendor}/{facts.boot.model}"

    def drift(self, connection: Connection, stations: Sequence[str]) -> dict[str, list[Drift]]:
        """By station: every wish and how the station stands to it."""
        wanted = {station_id: self.wishes(station_id) for station_id in stations}
        keys = {key for of_station in wanted.values() for key in of_station}
        only = stations[0] if len(stations) == 1 else ""
        known: dict[str, dict[str, Known]] = {}
        for row in self._store.by_keys(connection, only, keys):
            known.setdefault(row.station_id, {})[row.told.variable.key] = _known(row)
        whole = self._store.machines(connection)
        return {name: drift(wanted[name], known.get(name, {}), whole=name in whole) for name in stations}

    # -- commands ---------------------------------------------------------------------------------------------------

    async def _change(self, command: cmd.ChangeWantedVariables, cause: ev.Envelope) -> tuple[CommandStatus, str]:
        key = scope_key(command.scope, command.name)
        if command.scope is WantedScope.STATION and command.name not in self._yard.stations:
            raise UnknownThing(f"station {command.name} is not known: GET /api/v1/stations lists all")
        here = self.wanted.get(key, {})
        for one in command.wanted:
            self._check(one)
        if len(here.keys() | {one.variable.key for one in command.wanted}) > MOST_WANTED:
            raise DepotError(f"at most {MOST_WANTED} values are wanted of one thing")
        changed = tuple(one for one in command.wanted if here.get(one.variable.key) != one)
        removed = tuple(variable for variable in command.removed if variable.key in here)
        if changed or removed:
            fact = ev.WantedVariablesChanged(command.scope, command.name, changed, removed)
            now = self._yard.clock.now()
            await self._yard.journal.append([ev.NewEvent(fact, now, actor=cause.actor, cause_id=cause.id)])
        return CommandStatus.DONE, f"{len(changed)} wanted, {len(removed)} wanted no more"

    def _check(self, one: WantedVariable) -> None:
        """Raises :class:`~depot.values.DepotError` for a value that nobody may want."""
        if not one.variable.component or not one.variable.name:
            raise InvalidValue("a wanted value names a component and a variable")
        if len(one.value) > VALUE_MOST:
            raise InvalidValue(f"{one.variable}: a value has at most {VALUE_MOST} characters")
        if is_secret(one.variable.name):
            raise InvalidValue(f"{one.variable} is a secret: no station tells it, so nobody can compare; set it with its own command")
        own = {variable.key: value for variable, value in self.needs.items()}.get(one.variable.key)
        if own is not None and not same(own, one.value, None):
            raise DepotError(f"the depot itself needs {one.variable} to be {own}; see docs/device-model.md")

    async def _repair(self, command: cmd.RepairDrift, cause: ev.Envelope) -> Answered:
        station_id = command.station_id
        self._asking.need_2x(station_id)
        found = (await self._writer.read(lambda connection: self.drift(connection, [station_id])))[station_id]
        only = {variable.key for variable in command.variables}
        if only - {one.wish.variable.key for one in found}:
            raise InvalidValue("nothing is wanted of some of these variables, or the station has never told them: read it anew")
        wrong = [
            one
            for one in found
            if one.standing in (REPAIRED if only else (Standing.DIFFERS,)) and (not only or one.wish.variable.key in only)
        ]
        if not wrong:
            return Answered(CommandStatus.DONE, "nothing differs", {"station_id": station_id, "results": []})
        settings = [VariableSetting(one.wish.variable, one.wish.value) for one in wrong]
        results = await self._asking.set(station_id, settings, cause)
        told = [result | {"wanted": one.wish.value} for result, one in zip(results, wrong, strict=True)]
        good = sum(result["status"] == "Accepted" for result in told)
        waits = sum(result["status"] == "RebootRequired" for result in told)
        words = f"{good} of {len(told)} repaired" + (f", {waits} in force after its next boot" if waits else "")
        status = CommandStatus.DONE if good + waits == len(told) else CommandStatus.FAILED
        return Answered(status, words, {"station_id": station_id, "results": told})


def _known(row: StoredVariable) -> Known:
    actual = row.actual
    if actual is None:
        return Known(None, row.waiting, row.told.characteristics)
    return Known(actual.value, row.waiting, row.told.characteristics, writable=actual.mutability != "ReadOnly" and not actual.constant)
