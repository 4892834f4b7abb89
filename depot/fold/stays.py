"""Stays of vehicles: announced, present, over, what the vehicle asked for; its battery: balanced, tested, how fast its like ages."""

from __future__ import annotations

from dataclasses import replace

from depot import ageing as ag
from depot import events as ev
from depot import reference_tests as rt
from depot import smart_charging as sc
from depot import value_assumptions as va
from depot.fold.changes import Applied, with_visit
from depot.state import DepotState, Visit


def _announced(state: DepotState, e: ev.VisitAnnounced, _: ev.Envelope) -> DepotState:
    known = state.visits.get(e.visit_id)
    visit = (
        Visit(e, e.connector) if known is None else replace(known, announced=e, connector=known.connector if known.present else e.connector)
    )
    return replace(state, visits={**state.visits, e.visit_id: visit})


def _arrived(state: DepotState, e: ev.VisitArrived, _: ev.Envelope) -> DepotState:
    return with_visit(state, e.visit_id, present=True, connector=e.connector)


def _left(state: DepotState, e: ev.VisitEnded | ev.VisitCancelled, _: ev.Envelope) -> DepotState:
    return replace(state, visits={k: v for k, v in state.visits.items() if k != e.visit_id})


def _held(state: DepotState, e: ev.VisitHeld, _: ev.Envelope) -> DepotState:
    return with_visit(state, e.visit_id, held=e.held)


def _needs(state: DepotState, e: ev.ChargingNeedsTold, envelope: ev.Envelope) -> DepotState:
    told = sc.needing(state.smart_charging, e.connector, e.needs, e.transaction, envelope.occurred_at)
    return replace(state, smart_charging=told)


def _vehicle_schedule(state: DepotState, e: ev.VehicleScheduleTold, envelope: ev.Envelope) -> DepotState:
    told = sc.scheduling(state.smart_charging, e.connector, e.schedule, e.exceeds, e.transaction, envelope.occurred_at)
    return replace(state, smart_charging=told)


def _balanced(state: DepotState, e: ev.VehicleBalanced, envelope: ev.Envelope) -> DepotState:
    return replace(state, full_charges={**state.full_charges, e.vehicle_id: envelope.occurred_at})


def _ageing_taken(state: DepotState, e: ev.AgeingFactorsTaken, _: ev.Envelope) -> DepotState:
    known = state.ageing.get(e.chemistry, ag.Ageing())
    return replace(state, ageing={**state.ageing, e.chemistry: replace(known, factors=e.factors)})


def _assumption_changed(state: DepotState, e: ev.ValueAssumptionChanged, envelope: ev.Envelope) -> DepotState:
    kept = {name: one for name, one in state.value_assumptions.items() if name != e.name}
    if e.number is not None:
        kept[e.name] = va.ChangedAssumption(e.number, envelope.actor, envelope.occurred_at, e.reason)
    return replace(state, value_assumptions=kept)


def _ageing_followed(state: DepotState, e: ev.AgeingFollowed, envelope: ev.Envelope) -> DepotState:
    known = state.ageing.get(e.chemistry, ag.Ageing())
    decided = replace(known, follows=e.follows, by=envelope.actor, at=envelope.occurred_at, reason=e.reason)
    return replace(state, ageing={**state.ageing, e.chemistry: decided})


def _test_ordered(state: DepotState, e: ev.ReferenceTestOrdered, envelope: ev.Envelope) -> DepotState:
    at = envelope.occurred_at
    test = rt.ReferenceTest(
        e.test_id, e.vehicle_id, envelope.actor, e.reason, at, e.until, e.most_soc, e.pulses, rt.ReferencePhase.WAITING, at
    )
    return replace(state, reference_tests={**state.reference_tests, e.vehicle_id: test})


def _test_moved(
    state: DepotState, e: ev.ReferenceTestBegan | ev.ReferenceTestPhaseBegan | ev.ReferenceTestEnded, envelope: ev.Envelope
) -> DepotState:
    """Of a test that was ordered and is open; nothing else can move."""
    test = state.reference_tests.get(e.vehicle_id)
    if test is None or test.test_id != e.test_id or not test.open:
        return state
    at = envelope.occurred_at
    match e:
        case ev.ReferenceTestBegan():
            test = replace(
                test, phase=rt.ReferencePhase.REST_BEFORE, phase_at=at, began_at=at, visit_id=e.visit_id, connector=e.connector,
                rate_w=e.rate_w, low_w=e.low_w, high_w=e.high_w,
            )  # fmt: skip
        case ev.ReferenceTestPhaseBegan():
            test = replace(test, phase=e.phase, phase_at=at)
        case ev.ReferenceTestEnded():
            test = replace(test, phase=rt.ReferencePhase.OVER, phase_at=at, ended_at=at, outcome=e.outcome, why=e.why)
    return replace(state, reference_tests={**state.reference_tests, e.vehicle_id: test})


APPLY: Applied = {
    ev.VisitAnnounced: _announced,
    ev.VisitArrived: _arrived,
    ev.VisitEnded: _left,
    ev.VisitHeld: _held,
    ev.VisitCancelled: _left,
    ev.ChargingNeedsTold: _needs,
    ev.VehicleScheduleTold: _vehicle_schedule,
    ev.VehicleBalanced: _balanced,
    ev.AgeingFactorsTaken: _ageing_taken,
    ev.AgeingFollowed: _ageing_followed,
    ev.ValueAssumptionChanged: _assumption_changed,
    ev.ReferenceTestOrdered: _test_ordered,
    ev.ReferenceTestBegan: _test_moved,
    ev.ReferenceTestPhaseBegan: _test_moved,
    ev.ReferenceTestEnded: _test_moved,
}
