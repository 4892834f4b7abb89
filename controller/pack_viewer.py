"""Builds what is shown of batteries from the safety room. Pure reading: nothing here changes anything.

Guard.views(), visits, newest samples --> rows of all batteries, cells of the strip, one battery with everything
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

from bms_bridge.contract import PackSample
from bms_bridge.guard import PackView
from bms_bridge.rules import RULES, TIMED
from controller import safety_rules as rules
from controller.pack_view import Limits, PackDetail, RuleRow, Told
from controller.safety import Safety
from controller.safety_view import Degrees, PackCell, PackRow, PackState, TrippedPack
from depot.values import ConnectorId, PackKey

STEP = 50
"""Batteries between two breaths of the core's loop."""

SILENT_S = 60.0
"""A battery that was last heard of before this is shown as silent."""


def connectors_of(safety: Safety) -> dict[str, ConnectorId]:
    """Where each vehicle hangs, or what is shut for it; one for each."""
    found = {visit.announced.vehicle_id: key for key, visit in safety.yard.present_visits().items()}
    return found | {shut.pack.vehicle_id: key for key, shut in safety.isolation.shut.items()}


async def rows_of(safety: Safety, views: Sequence[PackView]) -> list[PackRow]:
    """All batteries, those first that need somebody. Lets the core breathe meanwhile."""
    where = connectors_of(safety)
    rows = []
    for number, view in enumerate(views):
        if number % STEP == STEP - 1:
            await asyncio.sleep(0)
        rows.append(row_of(safety, view, where.get(view.pack.vehicle_id)))
    return sorted(rows, key=_rank)


def row_of(safety: Safety, view: PackView, key: ConnectorId | None) -> PackRow:
    """One battery in a line."""
    text = safety.texts.get(view.pack, "") or view.text
    return PackRow(
        vehicle_id=view.pack.vehicle_id,
        pack_id=view.pack.pack_id,
        chemistry=chemistry_of(safety, view.pack),
        state=_state(view),
        share=view.share,
        tripped=view.tripped is not None,
        text=rules.cause_words(view.tripped.cause.value, view.tripped.evidence) if view.tripped is not None else text,
        hottest_c=view.hottest_c,
        soc=view.soc,
        age_s=view.age_s,
        connector=str(key) if key is not None else None,
        state_of_safety=round(view.score.state_of_safety, 3) if view.score is not None else None,
        stage=view.score.stage if view.score is not None else None,
    )


def cell_of(row: PackRow) -> PackCell:
    """The row as a cell of the strip."""
    return PackCell(row.vehicle_id, row.pack_id, row.state, row.hottest_c, row.share, row.soc, row.state_of_safety)


def detail_of(safety: Safety, pack: PackKey, trip: TrippedPack | None) -> PackDetail | None:
    """All that is known of ``pack``; None for one that the depot does not know."""
    if not safety.guard.known(pack) and trip is None:
        return None
    view = safety.guard.view(pack)
    limits, registered, curve = safety.guard.limits_of(pack), safety.yard.state.packs.get(pack), safety.curves.get(pack)
    now = safety.yard.clock.now()
    told = sorted(safety.newest.get(pack, {}).values(), key=lambda sample: sample.received_at, reverse=True)
    return PackDetail(
        at=now,
        row=row_of(safety, view, connectors_of(safety).get(pack.vehicle_id)),
        expected=pack in safety.expected,
        capacity_wh=registered.capacity_wh if registered is not None else None,
        cells=registered.cells if registered is not None else None,
        told=[_told(sample, (now - sample.received_at).total_seconds()) for sample in told],
        issues=list(view.issues),
        limit_w=view.limit_w,
        rules=_rules(safety, view),
        limits=Limits(
            cold_stop_c=limits.cold_stop_c,
            cold_full_c=limits.cold_full_c,
            derate_from_c=limits.derate_from_c,
            derate_full_c=limits.derate_full_c,
            trip_c=limits.trip_c,
            reset_below_c=limits.reset_below_c,
        ),
        curve=[Degrees(*point) for point in curve.points] if curve is not None else [],
        trip=trip,
    )


def chemistry_of(safety: Safety, pack: PackKey) -> str:
    """The word for it; ``unknown`` where nobody said."""
    chemistry = safety.parts.packs.chemistry_of(pack)
    return chemistry.value if chemistry is not None else "unknown"


def _state(view: PackView) -> PackState:
    if view.tripped is not None:
        return PackState.TRIPPED
    if view.age_s is None or view.age_s > SILENT_S:
        return PackState.SILENT
    return PackState.DERATED if view.share < 1.0 else PackState.ORDER


def _rules(safety: Safety, view: PackView) -> list[RuleRow]:
    """Those that are not monitored first."""
    missing = dict(view.not_monitored)
    declared = [*(rule.declared for rule in RULES), *(rule.declared for rule in TIMED), *(rule.declared for rule in safety.guard.fleet)]
    limits = safety.guard.limits_of(view.pack)
    found = [
        RuleRow(
            name=d.name,
            layer=d.layer.value,
            threshold=in_numbers(d.threshold, limits),
            within_s=d.within_s,
            why_not=missing.get(d.name, ""),
        )
        for d in declared
    ]
    return sorted(found, key=lambda rule: (not rule.why_not, rule.layer))


_UNITS = (
    ("_c_per_s", 1.0, " K/s"),
    ("_ohm_per_v", 1.0, " Ω/V"),
    ("_c_rate", 1.0, " C"),
    ("_share", 100.0, " %"),
    ("_soc", 100.0, " %"),
    ("spread_c", 1.0, " K"),
    ("spread_trip_c", 1.0, " K"),
    ("_c", 1.0, " °C"),
    ("_v", 1.0, " V"),
    ("_s", 1.0, " s"),
)
"""How a name of :class:`~bms_bridge.chemistry.Thresholds` ends -> what its number is multiplied by, and its unit; the first that fits."""


def in_numbers(threshold: str, limits: object) -> str:
    """A rule's threshold with the numbers of this battery in the place of their names: ``60 °C, once`` for ```trip_c`, once``."""

    def number(match: re.Match[str]) -> str:
        name = match[1]
        value = getattr(limits, name, None)
        factor, unit = next(((factor, unit) for end, factor, unit in _UNITS if name.endswith(end)), (1.0, ""))
        return f"{value * factor:g}{unit}" if isinstance(value, int | float) else name

    return re.sub(r"`(\w+)`", number, threshold)


def _told(sample: PackSample, age_s: float) -> Told:
    return Told(
        source=sample.source.value,
        age_s=max(0.0, age_s),
        temperatures_c=list(sample.temperatures_c),
        cells_v=list(sample.cells_v),
        cell_min_v=sample.cell_min_v,
        cell_max_v=sample.cell_max_v,
        soc=sample.soc,
        soh=sample.soh,
        voltage_v=sample.voltage_v,
        current_a=sample.current_a,
        insulation_ohm=sample.insulation_ohm,
        limit_a=sample.limit_a,
        limit_v=sample.limit_v,
        stop=sample.stop,
        alarms=list(sample.alarms),
        firmware=sample.firmware,
    )


def _rank(row: PackRow) -> tuple[bool, float, float, str]:
    """Tripped ones first, then who may take least, then the hottest."""
    return (not row.tripped, row.share, -(row.hottest_c or -100.0), row.vehicle_id)
