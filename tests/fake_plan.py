"""The plan of the sample depot: eleven vehicles from 01:00 on, one of them short, and the quarters before it as they were measured."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec
from fake_depot import NOW, ZONE, FakeLink, at, sample
from fake_plan_answers import fill_answers

from controller.plan_view import PlanHead, PlanLayer, PlanRow, PlanSlots, PlanView

QUARTER = timedelta(minutes=15)
BACK, AHEAD = 48, 40
START = at(13)
"""12 hours before the running quarter."""

_VEHICLES = [
    (tile.vehicle_id, tile.label, tile.feeder_id, tile.soc, tile.soc_target, tile.due_at)
    for tile in sample().tiles
    if tile.vehicle_id is not None and tile.due_at is not None
]


def _slots() -> PlanSlots:
    count = BACK + 1 + AHEAD
    load = [60_000 + 330_000 * (20 <= k < 75) + (k * 7919 % 13) * 1500 for k in range(count)]
    limit = [500_000 if not 43 <= k < 65 else 450_000 for k in range(count)]
    return PlanSlots(
        start=START,
        slot_s=900,
        now=BACK,
        site_w=[w + (k % 3) * 4_000 if 4 < k <= BACK else None for k, w in enumerate(load)],
        plan_w=[w if k > 6 else None for k, w in enumerate(load)],
        limit_w=[*limit],
        limit_source=["" if k < BACK else "scada" if limit[k] < 500_000 else "contract" for k in range(count)],
        background_w=[36_400] * count,
        price=[5.1 if k < 16 else 9.2 if k < 36 else 6.4 if k < 68 else 8.1 for k in range(count)],
    )


def _layer(name: str, kind: str, members: int, power_w: int, first: int) -> PlanLayer:
    count = BACK + 1 + AHEAD
    flows = [power_w if first <= k < first + 30 else 0 for k in range(count)]
    return PlanLayer(
        name=name, kind=kind, members=members, energy_wh=sum(flows) // 4,
        drawn_w=[w if 4 < k <= BACK else None for k, w in enumerate(flows)],
        planned_w=[w if k > 6 else None for k, w in enumerate(flows)],
    )  # fmt: skip


def _row(n: int) -> PlanRow:
    vehicle, label, feeder, soc, target, due = _VEHICLES[n]
    assert vehicle is not None
    assert due is not None
    short = n == 2
    return PlanRow(
        visit_id=f"visit {vehicle}", vehicle_id=vehicle, label=label, feeder_id=feeder, present=True, arrive_at=at(21), depart_at=due,
        to_flow_wh=60_000, planned_wh=48_000 if short else 60_000, unmet_wh=12_400 if short else 0, starts_at=NOW if n % 2 else at(3),
        stops_at=at(4, 45), pauses=n % 3, cost=384.0, soc=soc, soc_departure=None if target is None else target - 0.09 * short,
        soc_target=target, power_w=[40_000] * 8,
    )  # fmt: skip


def plan(args: Mapping[str, str]) -> PlanView:
    """As the core shows it at 01:12."""
    by = args.get("by", "vehicle")
    names = [(v[0] or "", "vehicle", 1) for v in _VEHICLES[:8]] if by == "vehicle" else [(f"Feeder {f}", "feeder", 6) for f in "ABC"]
    layers = [_layer(name, kind, members, 240_000 // len(names), 18 + 2 * n) for n, (name, kind, members) in enumerate(names)]
    if by == "vehicle":
        layers.append(_layer("", "rest", 3, 60_000, 22))
    rows = sorted((_row(n) for n in range(len(_VEHICLES))), key=lambda row: -row.unmet_wh)
    head = PlanHead(
        plan_id="0193-p", made_at=at(1, 10), start=at(1), expires_at=at(1, 30), over=False, solver="optimal", solve_s=0.21,
        vehicles=len(_VEHICLES), planned_wh=1_100_000, unmet_wh=12_400, short=1, cost=10_421.0, energy_cost=9_900.0, demand_cost=521.0,
        peak_w=441_000,
    )  # fmt: skip
    return PlanView(
        at=NOW, timezone=ZONE, currency="INR", policy="cheapest", planner="running", planner_text="plan of 18 vehicles in 0.21 s",
        failed_since=None, fallback=False, next_at=at(1, 15), plan=head, by=by, slots=_slots(), layers=layers,
        rows=rows[: int(args.get("rows", "200"))], total=len(rows), waiting=len(rows),
    )  # fmt: skip


def without_plan(*, waiting: int = 0, planner: str = "running", text: str = "no plan yet") -> PlanView:
    """A depot that has no plan."""
    nobody: list[int | None] = [None] * (BACK + 1 + AHEAD)
    slots = msgspec.structs.replace(_slots(), plan_w=nobody)
    return msgspec.structs.replace(
        plan({}), plan=None, layers=[], rows=[], total=0, waiting=waiting, planner=planner, planner_text=text, fallback=waiting > 0,
        failed_since=at(0, 50) if planner == "dead" else None, slots=slots, next_at=None,
    )  # fmt: skip


def fill_plan(link: FakeLink) -> None:
    """Let the link show it, and what was asked of it."""
    link.made[PlanView] = plan
    fill_answers(link)
