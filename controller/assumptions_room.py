"""The room of the assumptions behind residual values: what counts, who changed it, set back.

settings' file over what ships --+--> AssumptionsView
ValueAssumptionChanged (state) --+
ChangeValueAssumption --checked against all others--> ValueAssumptionChanged (journal) --> the health process reckons anew
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from msgspec import Struct

from bms_bridge.second_life import AssumptionsRefused
from bms_bridge.second_life.assumptions import Assumptions, Limit, Number, bounds_of, named, with_number
from controller.assumptions_view import AssumptionRow, AssumptionsView
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot import commands as cmd
from depot import events as ev
from depot.value_assumptions import NAME_MOST, AssumedNumber, ChangedAssumption
from depot.values import InvalidValue


def in_force(base: Assumptions, changes: Mapping[str, AssumedNumber]) -> tuple[Assumptions, dict[str, str]]:
    """``base`` with what people changed; and why some cannot be any more (another version, another file), by name. In whatever order they
    were made: where edges move one after the other, one may fit only after the other."""
    waiting = dict(changes)
    while True:
        lost = dict[str, str]()
        for name, number in waiting.items():
            try:
                base = with_number(base, name, number.low, number.mid, number.high, number.source)
            except AssumptionsRefused as error:
                lost[name] = str(error)
        if len(lost) in (0, len(waiting)):
            return base, lost
        waiting = {name: changes[name] for name in lost}


class AssumptionsRoom:
    """``base``: what counts where nobody changed anything."""

    def __init__(self, yard: Yard, base: Assumptions) -> None:
        self._yard, self._base = yard, base
        self.commands: Mapping[type[cmd.Command], Carrier] = {cmd.ChangeValueAssumption: self._change}
        self.views: Mapping[type[Struct], Viewer] = {AssumptionsView: self._show}

    async def run(self) -> None:
        """Nothing to follow up."""
        await asyncio.Event().wait()

    @property
    def _kept(self) -> Mapping[str, ChangedAssumption]:
        return self._yard.state.value_assumptions

    async def _change(self, command: cmd.ChangeValueAssumption, cause: ev.Envelope) -> tuple[cmd.CommandStatus, str]:
        name, number = command.name, command.number
        if len(name) > NAME_MOST or name not in named(self._base):
            raise InvalidValue(f"there is no assumption {name[:NAME_MOST]!r}; GET /api/v1/value-assumptions names all")
        if not command.reason.strip():
            raise InvalidValue("say why: every pack's grade and value are reckoned with it from now on")
        kept = self._kept.get(name)
        if number == (None if kept is None else kept.number):
            return cmd.CommandStatus.DONE, f"{name}: that is what counts already"
        changes = {one: change.number for one, change in self._kept.items()}
        already = in_force(self._base, changes)[1]
        changes = {one: other for one, other in changes.items() if one != name} | ({} if number is None else {name: number})
        lost = in_force(self._base, changes)[1]
        if name in lost:
            raise InvalidValue(lost[name])
        if other := next((one for one in lost if one not in already), None):
            raise InvalidValue(f"what was changed of {other} would not fit any more; change that first ({lost[other]})")
        fact = ev.ValueAssumptionChanged(name, number, command.reason)
        await self._yard.journal.append([ev.NewEvent(fact, self._yard.clock.now(), actor=command.actor, cause_id=cause.id)])
        words = "as in the settings" if number is None else number.words
        return cmd.CommandStatus.DONE, f"{name}: {words} from now on; grades and values are reckoned anew within minutes"

    async def _show(self, _: Mapping[str, str]) -> AssumptionsView:
        now, lost = in_force(self._base, {name: kept.number for name, kept in self._kept.items()})
        rows = [self._row(name, one, lost) for name, one in named(now).items()]
        return AssumptionsView(at=self._yard.clock.now(), currency=now.currency, rows=rows)

    def _row(self, name: str, one: Number | Limit, lost: Mapping[str, str]) -> AssumptionRow:
        least, most = bounds_of(name)
        kept = None if name in lost else self._kept.get(name)
        before = named(self._base)[name]
        origin = "person" if kept is not None else "file" if _section(name) in self._base.changed else "shipped"
        low, mid, high = _three(one)
        return AssumptionRow(
            name=name,
            words=_words(name),
            low=low,
            mid=mid,
            high=high,
            unit=one.unit if isinstance(one, Number) else _UNITS.get(name.split(".")[1], "share of nominal capacity"),
            source=one.source,
            limit=isinstance(one, Limit),
            origin=origin,
            least=least,
            most=most,
            before=None if kept is None else _three(before),
            changed_by="" if kept is None else kept.by,
            changed_at=None if kept is None else kept.at,
            reason="" if kept is None else kept.reason,
        )


def _three(one: Number | Limit) -> tuple[float, float, float]:
    return (one.low, one.mid, one.high) if isinstance(one, Number) else (one.value, one.value, one.value)


def _section(name: str) -> str:
    """``applications.backup`` of ``applications.backup.earns``: as a file's changes are named."""
    return ".".join(name.split(".")[:2])


_WORDS = {
    "new_pack_per_kwh": "A new pack, per kWh",
    "recycling_per_kwh_LFP": "Recycling of LFP, per kWh",
    "recycling_per_kwh_NMC": "Recycling of NMC, per kWh",
    "recycling_per_kwh_NCA": "Recycling of NCA, per kWh",
    "recycling_per_kwh_others": "Recycling of other chemistries, per kWh",
    "test_per_kwh": "Test, per kWh",
    "repack_per_kwh": "Repacking, per kWh",
    "warranty_share": "Warranty",
    "warranty_per_sd": "Warranty, more where health is unsure",
    "discount_a_year": "Discount a year",
    "vehicle_per_kwh_year": "Use in its vehicle, per kWh and year",
    "carbon_new_kg_per_kwh": "Carbon of a new pack, per kWh",
    "carbon_repack_kg_per_kwh": "Carbon of repacking, per kWh",
    "new_pack_years": "Life of a new pack",
    "displaced_share": "New battery that is not built",
    "vehicle_soh": "A vehicle again: least health",
    "daily_soh": "Stationary, daily: least health",
    "backup_soh": "Backup: least health",
    "resistance_ratio": "Resistance that ends its life",
    "cell_spread": "Spread of cells that asks for sorting",
    "hot_c": "Heat after which a person looks",
    "ruin_c": "Heat that ends its life",
    "self_discharge_per_month": "Loss at rest after which a person looks",
    "completeness": "Data that a grade needs",
}
_UNITS = {
    "resistance_ratio": "times a new one's",
    "cell_spread": "share of health, standard deviation",
    "hot_c": "°C",
    "ruin_c": "°C",
    "self_discharge_per_month": "share a month",
    "completeness": "share of the data",
}
"""Of cut-offs; of bands: share of nominal capacity."""


def _words(name: str) -> str:
    last = name.split(".")[1]
    if name.startswith("applications."):
        return f"{last.replace('-', ' ')} earns"
    return _WORDS.get(last, last.replace("_", " "))
