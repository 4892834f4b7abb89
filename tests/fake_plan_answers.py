"""What was asked of the sample depot's plan: its explanation, two what-ifs, a frontier, and the policy in force."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime

import msgspec
from fake_depot import NOW, ZONE, FakeLink, at

from controller.plan_answers_view import (
    AnswerState,
    FrontierRow,
    FrontierView,
    PlanFigures,
    VehicleDifference,
    WhatIfRow,
    WhatIfsView,
)
from controller.plan_policy import PlanPolicyView
from controller.plan_reasons_view import (
    AtOnce,
    CellWhy,
    CostPart,
    ExplanationView,
    LimitGain,
    LimitWorth,
    RemedyRow,
    ShortRow,
    SlotWhy,
    VehicleWorth,
)

SLOTS = 40
WORDS = "E-103 leaves with 81% instead of 90%: feeder A; 12 kW more on feeder A from 02:00 or 25 minutes later would do."


def explanation(args: Mapping[str, str]) -> ExplanationView:
    """Feeder A holds the plan until 04:45, and E-103 is short by it."""
    cells = [
        CellWhy(
            vehicle_id=name, power_w=power_w, most_w=60_000, per_kwh=9.8, worth_per_kwh=9.8,
            words=f"{name} draws {power_w // 1000} of 60 kW at 02:00: a kWh costs 9.80 INR there (energy 6.40, feeder A 3.40).",
            parts=[CostPart(name="energy", where="", per_kwh=6.4), CostPart(name="feeder", where="A", per_kwh=3.4)],
        )
        for name, power_w in (("E-103", 22_000), ("E-101", 43_000), ("E-105", 47_000))
    ]  # fmt: skip
    slot = None
    if args.get("slot"):
        begins = datetime.fromisoformat(args["slot"])
        slot = SlotWhy(
            at=begins, until=begins + (at(2) - at(1, 45)), state=AnswerState.DONE, text="", power_w=171_000, binds=["A"], cells=cells,
            others=4, others_w=59_000,
        )  # fmt: skip
    return ExplanationView(
        at=NOW, timezone=ZONE, currency="INR", state=AnswerState.DONE, text="", plan_id="0193-p", deep=True, start=at(1), slot_s=900,
        price=[6.4] * SLOTS,
        limits=[
            LimitWorth(
                kind="feeder", id="A", name="Feeder A", limit_w=[200_000] * SLOTS,
                saved_per_kwh=[3.4 if 2 <= k < 12 else -1.2 if k == 12 else 0.0 for k in range(SLOTS)],
                served_wh=[210.0 if k < 5 else 0.0 for k in range(SLOTS)],
            ),
            LimitWorth(
                kind="site", id="", name="site limit", limit_w=[445_000] * SLOTS, saved_per_kwh=[0.8] * 4 + [0.0] * (SLOTS - 4),
                served_wh=[0.0] * SLOTS,
            ),
        ],
        gains=[
            LimitGain(kind="site", id="", name="site limit", saved=0.8, saved_next=0.8, served_wh=0.0, month=16.8),
            LimitGain(kind="feeder", id="A", name="Feeder A", saved=-2.0, saved_next=None, served_wh=1_050.0, month=0.0),
            LimitGain(kind="contract", id="", name="free demand", saved=14.3, saved_next=14.3, served_wh=0.0, month=300.0),
        ],
        shorts=[
            ShortRow(
                visit_id="visit E-103", vehicle_id="E-103", words=WORDS, cause="feeder", where="A", need_wh=60_000, short_wh=12_400,
                tried=True,
                remedies=[
                    RemedyRow(kind="limit", words="12 kW more on feeder A from 02:00", amount=12.0, unit="kW", bill=79.0),
                    RemedyRow(kind="later", words="25 minutes later", amount=25.0, unit="minutes", bill=79.0),
                    RemedyRow(kind="priority", words="a higher class of priority", amount=1.0, unit="classes", bill=0.0),
                ],
            )
        ],
        relaxed=[],
        vehicles=[
            VehicleWorth(
                visit_id=f"visit {name}", vehicle_id=name, target_bill=6.4, target_short=0.0, earlier_bill=12.0, earlier_short_wh=0,
                earlier_grounds="at-least",
            )
            for name in ("E-101", "E-103")
            if args.get("vehicles") == "all" or args.get("vehicle") == name
        ],
        slot=slot, wear_cost=864.0,
        at_once=AtOnce(cost=14_377.0, peak_w=1_204_000, over_limit_w=759_000, wear_cost=1_310.0),
    )  # fmt: skip


def _figures(cost: float, unmet_wh: int, short: list[str]) -> PlanFigures:
    return PlanFigures(
        cost=cost, energy_cost=cost - 521, demand_cost=521.0, energy_wh=1_100_000, peak_w=441_000, unmet_wh=unmet_wh, short=short,
        wear_cost=864.0,
    )  # fmt: skip


ANSWERED = WhatIfRow(
    question_id="q-1", asked_at=at(1, 5), state=AnswerState.DONE, text="", plan_id="0193-p", current=True,
    changes=["site limit: 50 kW less"], before=_figures(10_421.0, 12_400, ["E-103"]), after=_figures(10_730.0, 31_000, ["E-103", "E-109"]),
    vehicles=[
        VehicleDifference(vehicle_id="E-109", unmet_before_wh=0, unmet_after_wh=18_600, moved_wh=4_000),
        VehicleDifference(vehicle_id="E-103", unmet_before_wh=12_400, unmet_after_wh=12_400, moved_wh=9_000),
        VehicleDifference(vehicle_id="more 1", unmet_before_wh=None, unmet_after_wh=0, moved_wh=0),
    ],
    differs=5, solve_s=0.4,
)  # fmt: skip
RUNNING = WhatIfRow(
    question_id="q-2", asked_at=at(1, 11), state=AnswerState.RUNNING, text="is being computed", plan_id="0193-p", current=True,
    changes=["charger of E-105: 0 kW"],
)  # fmt: skip
FAILED = WhatIfRow(
    question_id="q-0", asked_at=at(0, 40), state=AnswerState.FAILED, text="no answer within 30 s", plan_id="0193-o", current=False,
    changes=["1 more vehicle like E-101"],
)  # fmt: skip


def what_ifs(args: Mapping[str, str]) -> WhatIfsView | None:
    """The newest first; one alone, and None for one that was forgotten."""
    rows = [RUNNING, ANSWERED, FAILED]
    if "changes" in args:
        json.loads(args["changes"])
        rows = [ANSWERED]
    elif "question" in args:
        rows = [row for row in rows if row.question_id == args["question"]]
        if not rows:
            return None
    return WhatIfsView(
        at=NOW, timezone=ZONE, currency="INR", able=True, start=at(1), stop=at(11), feeders=["A", "B", "C"],
        vehicles=["E-101", "E-103", "E-105"], rows=rows,
    )  # fmt: skip


def _point(aim: str, step: float, cost: float, peak_w: int, delay: float, **weights: float) -> FrontierRow:
    found = {"wear": 0.0, "delay_per_kwh_h": 0.0, "peak_per_kw": 0.0} | weights
    return FrontierRow(
        aim=aim, step=step, cost=cost, energy_cost=cost - 500, demand_cost=500.0, wear_cost=900 - 200 * step * (aim == "wear"),
        peak_w=peak_w, delay_kwh_h=delay, unmet_wh=12_400, picked=aim == "cost", **found,
    )  # fmt: skip


def frontier(args: Mapping[str, str]) -> FrontierView:
    """Seven plans."""
    rows = [_point("cost", 0.0, 10_421.0, 441_000, 3_400.0)]
    rows += [_point("peak", s / 3, 10_421.0 + 90 * s, 441_000 - 30_000 * s, 3_400.0, peak_per_kw=2.0 * s) for s in (1, 2, 3)]
    rows += [_point("readiness", s / 2, 10_421.0 + 300 * s, 445_000, 3_400.0 - 900 * s, delay_per_kwh_h=0.1 * s) for s in (1, 2)]
    rows += [_point("wear", 1.0, 10_640.0, 443_000, 3_900.0, wear=1.0)]
    view = FrontierView(
        at=NOW, timezone=ZONE, currency="INR", able=True, state=AnswerState.DONE, text="", asked_at=at(0, 30), current=True, done=16, of=16,
        complete=True, seconds=21.4, rows=rows,
    )  # fmt: skip
    return under_way() if args.get("act") == "start" else view


def under_way() -> FrontierView:
    """A frontier of which 5 of 16 plans are there."""
    return FrontierView(
        at=NOW, timezone=ZONE, currency="INR", able=True, state=AnswerState.RUNNING, text="a lower peak", asked_at=at(1, 10), current=True,
        done=5, of=16, complete=False, seconds=0.0, rows=[],
    )  # fmt: skip


POLICY = PlanPolicyView(
    at=NOW, aim="cheapest", words="cheapest", wear=0.0, delay_per_kwh_h=0.0, peak_per_kw=0.0, configured="readiness", picked_by="mani",
    picked_at=at(0, 20), reason="the month's peak is made already",
)  # fmt: skip


def fill_answers(link: FakeLink) -> None:
    """Let the link show them."""
    link.made[ExplanationView] = explanation
    link.made[WhatIfsView] = what_ifs
    link.made[FrontierView] = frontier
    link.shown[PlanPolicyView] = POLICY


def unexplained(state: AnswerState, text: str = "") -> ExplanationView:
    """An explanation that is not there yet."""
    return msgspec.structs.replace(
        explanation({}), state=state, text=text, deep=False, limits=[], gains=[], shorts=[], vehicles=[], price=[], slot=None
    )
