"""The room that says why the plan is as it is: explains the plan in force once somebody looks, the quick part first.

    view --wanted--> run(): Explain(quick), Explain(deep), Why(slot) --> Questions (child) --> kept for the plan --> view

Nothing is computed while nobody looks. What is kept is of one plan; the next one begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from msgspec import Struct

from controller.plan_answers_view import AnswerState
from controller.plan_questions import QuestionFailed, Questions
from controller.plan_questions_wire import Explain, What, Why, Words
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
from controller.plan_words import Names
from controller.planning import Newest, Planning
from controller.planning_life import basis_of
from controller.room import Carrier, Viewer
from controller.yard import Yard
from depot.commands import Command
from depot.values import InvalidValue
from optimizer.explain_values import CellReason, Explanation, LimitPrice, ShortReason
from optimizer.what_if_values import Figures

log = logging.getLogger(__name__)

QUICK_S = 20.0
DEEP_S = 60.0
CELLS = 12
"""Vehicles of a slot whose reasons are told."""

SLOTS_KEPT = 32
USED_KW = 0.05


@dataclass(slots=True)
class _Of:
    """All that is known of one plan. ``slots``: what was asked of slots: (slot, vehicle's place or None) -> its reasons, None: wanted."""

    newest: Newest
    names: Names
    state: AnswerState = AnswerState.WAITING
    text: str = "waits for its turn"
    explanation: Explanation | None = None
    words: Words | None = None
    wear_cost: float | None = None
    at_once: Figures | None = None
    made_at: datetime | None = None
    deep: bool = False
    deep_failed: bool = False
    slots: dict[tuple[int, int | None], Sequence[CellReason] | None] = field(default_factory=dict)

    def next(self) -> What | None:
        """What to ask next."""
        if self.state is AnswerState.FAILED:
            return None
        if self.explanation is None:
            return Explain(deep=False) if self.state is AnswerState.WAITING else None
        for (slot, vehicle), reasons in self.slots.items():
            if reasons is None:
                return Why(slot, tuple(places(self.explanation, slot, vehicle)))
        return Explain(deep=True) if not self.deep and not self.deep_failed else None


class PlanReasons:
    """One per depot."""

    def __init__(self, yard: Yard, planning: Planning, questions: Questions) -> None:
        self._yard, self._planning, self._questions = yard, planning, questions
        self._of: _Of | None = None
        self._before: _Of | None = None
        """The newest plan that is explained already; shown until the one in force is."""
        self._news = asyncio.Event()

    # -- Room ---------------------------------------------------------------------------------------------------

    @property
    def commands(self) -> Mapping[type[Command], Carrier]:
        return {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {ExplanationView: self._view}

    async def run(self) -> None:
        """Find out what is wanted, one thing after the other, until cancelled."""
        while True:
            of = self._of
            what = of.next() if of is not None else None
            if of is None or what is None:
                self._news.clear()
                await self._news.wait()
                continue
            await self._find(of, what)

    async def _find(self, of: _Of, what: What) -> None:
        deep = isinstance(what, Explain) and what.deep
        if isinstance(what, Explain) and not deep:
            of.state, of.text = AnswerState.RUNNING, "is being computed"
        try:
            told = await self._questions.ask(
                of.newest.asked.problem,
                what,
                plan_id=of.newest.plan_id,
                policy=of.newest.result.policy,
                zone=self._yard.spec.timezone,
                deadline_s=DEEP_S if deep else QUICK_S,
            )
        except QuestionFailed as error:
            log.warning("the plan could not be explained: %s", error)
            if isinstance(what, Why):
                of.slots = {key: () if reasons is None else reasons for key, reasons in of.slots.items()}
            elif deep:
                of.deep_failed = True
            else:
                of.state, of.text = AnswerState.FAILED, str(error)
            return
        except Exception as error:
            of.state, of.text, of.deep_failed = AnswerState.FAILED, f"{type(error).__name__}; the controller's log says more", True
            raise
        if isinstance(what, Why):
            key = next(key for key, reasons in of.slots.items() if reasons is None)
            of.slots[key] = told.reasons
            return
        of.state, of.text, of.deep = AnswerState.DONE, "", deep
        of.explanation, of.words = told.explanation, told.words
        of.wear_cost, of.at_once = told.wear_cost, told.uncontrolled
        self._before = of

    # -- the view -----------------------------------------------------------------------------------------------

    async def _view(self, args: Mapping[str, str]) -> ExplanationView:
        """``slot``: a time with its zone, to look into its slot; ``vehicle``: whose reasons there are wanted in any case; ``vehicles``:
        ``all``, else the wishes of that one alone. Raises :class:`InvalidValue`."""
        newest, yard = self._planning.newest, self._yard
        if newest is not None and (self._of is None or self._of.newest.plan_id != newest.plan_id):
            plan = yard.plan
            made_at = plan.made_at if plan is not None and plan.plan_id == newest.plan_id else yard.clock.now()
            self._of = _Of(newest, Names.of(yard, newest.asked), made_at=made_at)
            self._news.set()
        of = self._of
        behind = of is not None and of.explanation is None and of.state is not AnswerState.FAILED and self._before is not None
        if behind:
            of = self._before
        found = of.explanation if of is not None else None
        slot = None
        if of is not None and args.get("slot"):
            slot = self._slot(of, args["slot"], args.get("vehicle", ""))
        only = None if args.get("vehicles") == "all" else args.get("vehicle", "")
        return ExplanationView(
            at=yard.clock.now(),
            timezone=yard.spec.timezone,
            currency=self._planning.prices.currency,
            state=AnswerState.NONE if of is None else of.state,
            behind=behind,
            made_at=None if of is None else of.made_at,
            cost=None if of is None else float(of.newest.result.energy_cost + of.newest.result.demand_cost),
            text="there is no plan yet" if of is None else of.text,
            plan_id="" if of is None else of.newest.plan_id,
            deep=of is not None and of.deep,
            start=None if of is None else of.newest.asked.start,
            slot_s=self._planning.settings.slot_minutes * 60,
            price=[] if found is None else [float(price) for price in found.energy_price_per_kwh],
            limits=[] if of is None or found is None else [self._worth(of, limit) for limit in found.limits if limit.binds],
            gains=[] if of is None or found is None else self._gains(found),
            shorts=[] if of is None or found is None else _shorts(of, found),
            relaxed=[] if of is None or of.words is None else [of.names.in_words(words) for words in of.words.relaxed],
            vehicles=[] if of is None or found is None else _vehicles(of, found, only),
            slot=slot,
            wear_cost=None if of is None else of.wear_cost,
            wear_basis=basis_of(self._planning.settings.life, self._yard.state.ageing),
            at_once=None if of is None or of.at_once is None else _at_once(of.at_once),
        )

    def _name(self, kind: str, id_: str) -> str:
        if kind == "feeder":
            feeder = next((feeder for feeder in self._yard.spec.feeders if feeder.feeder_id == id_), None)
            name = feeder.name or id_ if feeder is not None else id_
            return name if "feeder" in name.lower() else f"feeder {name}"
        return {"site": "site limit", "contract": "free demand"}.get(kind, id_)

    def _worth(self, of: _Of, limit: LimitPrice) -> LimitWorth:
        hours = of.newest.asked.problem.hours
        return LimitWorth(
            kind=limit.kind.value,
            id=limit.id,
            name=self._name(limit.kind.value, limit.id),
            limit_w=[round(kw * 1000) for kw in limit.limit_kw],
            saved_per_kwh=[round(float(value), 4) for value in limit.saved_bill / hours],
            served_wh=[round(float(value) * 1000, 1) for value in limit.served_kwh],
        )

    def _gains(self, found: Explanation) -> list[LimitGain]:
        share = self._planning.settings.demand_share
        return [
            LimitGain(
                kind=value.kind,
                id=value.id,
                name=self._name(value.kind, value.id),
                saved=float(value.saved_bill),
                saved_next=None if value.saved_next is None else float(value.saved_next),
                served_wh=float(value.served_kwh) * 1000,
                month=float(value.month(1 / share if share > 0 else 1.0)),
            )
            for value in found.values
        ]

    # -- slots ----------------------------------------------------------------------------------------------------

    def _slot(self, of: _Of, text: str, vehicle: str) -> SlotWhy | None:
        """What is known of a slot; what is not is asked for. None: it is none of the plan's."""
        asked = of.newest.asked
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidValue(f"slot is {text[:40]!r}: a time such as 2026-11-21T04:15:00+05:30 is expected") from None
        if at.tzinfo is None:
            raise InvalidValue(f"the time {text[:40]} says no zone")
        slot = int((at - asked.start) // asked.slot)
        if not 0 <= slot < asked.problem.n_slots:
            return None
        place = None
        if vehicle in of.names.stays:
            place = asked.visit_ids.index(of.names.stays[vehicle])
        found, key = of.explanation, (slot, place)
        state, words = of.state, of.text
        cells: list[CellWhy] = []
        power = np.zeros(0)
        if found is not None:
            power = found.power_kw[:, slot]
            if key not in of.slots and of is self._of:
                for old in [key for key, reasons in of.slots.items() if reasons is not None][: max(0, len(of.slots) - SLOTS_KEPT)]:
                    del of.slots[old]
                of.slots[key] = None
                self._news.set()
            reasons = of.slots.get(key)
            state, words = (AnswerState.WAITING, "is being computed") if reasons is None else (AnswerState.DONE, "")
            cells = [_cell(of.names, reason) for reason in reasons or ()]
        shown = set(places(found, slot, place)) if found is not None else set()
        others = [float(power[i]) for i in np.flatnonzero(power > USED_KW) if i not in shown]
        return SlotWhy(
            at=asked.start + slot * asked.slot,
            until=asked.start + (slot + 1) * asked.slot,
            state=state,
            text=words,
            power_w=round(float(power.sum()) * 1000),
            binds=[] if found is None else self._binds(found, slot),
            cells=cells,
            others=len(others),
            others_w=round(sum(others) * 1000),
        )

    def _binds(self, found: Explanation, slot: int) -> list[str]:
        binding = [limit for limit in found.limits if abs(limit.saved[slot]) > 1e-6 or limit.served_kwh[slot] > 1e-6]
        binding.sort(key=lambda limit: (-limit.served_kwh[slot], -limit.saved[slot]))
        return [limit.id if limit.kind.value == "feeder" else limit.kind.value for limit in binding]


def _at_once(found: Figures) -> AtOnce:
    return AtOnce(
        cost=float(found.cost),
        peak_w=round(found.peak_kw * 1000),
        over_limit_w=round(found.over_limit_kw * 1000),
        wear_cost=None if found.wear_cost is None else float(found.wear_cost),
    )


def places(found: Explanation, slot: int, vehicle: int | None) -> list[int]:
    """Whose reasons are told of a slot: the vehicle that was asked for, then those that draw (or give) the most."""
    power = np.abs(found.power_kw[:, slot])
    most = [int(i) for i in np.argsort(-power, kind="stable")[:CELLS] if power[i] > USED_KW and i != vehicle]
    return [*([vehicle] if vehicle is not None else []), *most][:CELLS]


def _cell(names: Names, reason: CellReason) -> CellWhy:
    return CellWhy(
        vehicle_id=names.vehicle(reason.id),
        power_w=round(reason.power_kw * 1000),
        most_w=round(reason.most_kw * 1000),
        per_kwh=round(reason.per_kwh, 4),
        worth_per_kwh=round(reason.worth_per_kwh, 4),
        words=names.in_words(reason.words),
        parts=[CostPart(name=part.name, where=part.where, per_kwh=round(part.per_kwh, 4)) for part in reason.parts],
    )


def _shorts(of: _Of, found: Explanation) -> list[ShortRow]:
    assert of.words is not None
    return [
        _short(of.names, one, words, helps) for one, words, helps in zip(found.shortfalls, of.words.short, of.words.remedies, strict=True)
    ]


def _short(names: Names, one: ShortReason, words: str, helps: Sequence[str]) -> ShortRow:
    return ShortRow(
        visit_id=one.id,
        vehicle_id=names.vehicle(one.id),
        words=names.in_words(words),
        cause=one.cause.value,
        where=one.where,
        need_wh=round(one.need_kwh * 1000),
        short_wh=round(one.short_kwh * 1000),
        tried=one.tried,
        remedies=[
            RemedyRow(kind=remedy.kind.value, words=said, amount=float(remedy.amount), unit=remedy.unit, bill=float(remedy.bill))
            for remedy, said in zip(one.remedies, helps, strict=True)
        ],
    )


def _vehicles(of: _Of, found: Explanation, only: str | None) -> list[VehicleWorth]:
    """Of all, or of the vehicle ``only``."""
    wishes = found.vehicles
    return [
        VehicleWorth(
            visit_id=visit_id,
            vehicle_id=of.names.vehicle(visit_id),
            target_bill=round(float(wishes.target_bill[i]), 4),
            target_short=round(float(wishes.target_short_kwh[i]), 4),
            earlier_bill=round(float(wishes.earlier_bill[i]), 4),
            earlier_short_wh=round(float(wishes.earlier_short_kwh[i]) * 1000),
            earlier_grounds=wishes.earlier_grounds[i].value,
        )
        for i, visit_id in enumerate(found.vehicle_ids)
        if only is None or of.names.vehicle(visit_id) == only
    ]
