"""What may flow, and what has flowed: limits, supply, the utility, demand, DER controls, the policy of the plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from depot import der as dr
from depot import events as ev
from depot import limit_facts as lf
from depot import plan_policy as pp
from depot import smart_charging as sc
from depot.fold.changes import Applied
from depot.state import DepotState, SupplyFact
from depot.values import Supply


def _limit_set(state: DepotState, e: ev.LimitSet, envelope: ev.Envelope) -> DepotState:
    """Those that are over are forgotten on the way."""
    left = {k: x for k, x in state.limits.items() if x.until is None or envelope.occurred_at < x.until}
    return replace(state, limits={**left, e.limit.limit_id: e.limit})


def _limit_cleared(state: DepotState, e: ev.LimitCleared, _: ev.Envelope) -> DepotState:
    return replace(state, limits={k: v for k, v in state.limits.items() if k != e.limit_id})


def _supply(state: DepotState, e: ev.SupplyChanged, envelope: ev.Envelope) -> DepotState:
    before, at = state.supply.get(e.source), envelope.occurred_at
    if before is not None and before.supply is e.supply:
        fact = replace(before, reason=e.reason, by=envelope.actor)
    else:
        began = at if e.supply is Supply.GENERATOR else (before.began if before is not None else None)
        fact = SupplyFact(e.supply, at, e.reason, envelope.actor, began)
    return replace(state, supply={**state.supply, e.source: fact})


def _utility(state: DepotState, e: ev.UtilityLinkChanged, _: ev.Envelope) -> DepotState:
    return replace(state, utility=e.link)


def _month_demand(state: DepotState, e: ev.MonthDemandRecorded, envelope: ev.Envelope) -> DepotState:
    return replace(state, demand_book=state.demand_book.with_month(e.demand, by=envelope.actor, at=envelope.occurred_at))


def _utility_bill(state: DepotState, e: ev.UtilityBillRecorded, envelope: ev.Envelope) -> DepotState:
    return replace(state, demand_book=state.demand_book.with_bill(e.bill, by=envelope.actor, at=envelope.occurred_at))


def _limit_book(state: DepotState, e: ev.Event, envelope: ev.Envelope) -> DepotState:
    return replace(state, limit_book=lf.after(state.limit_book, e, envelope))


def _externally_limited(state: DepotState, e: ev.ExternalLimitTold, _: ev.Envelope) -> DepotState:
    return replace(state, smart_charging=sc.limited(state.smart_charging, e.limit))


def _externally_released(state: DepotState, e: ev.ExternalLimitReleased, _: ev.Envelope) -> DepotState:
    return replace(state, smart_charging=sc.released(state.smart_charging, e.station_id, e.evse, e.source))


def _der(state: DepotState, station_id: str, change: Callable[[dr.StationDer], dr.StationDer]) -> DepotState:
    return replace(state, der={**state.der, station_id: change(state.der.get(station_id) or dr.StationDer())})


def _der_set(state: DepotState, e: ev.DerControlSet, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.with_control(e.control, e.superseded))


def _der_cleared(state: DepotState, e: ev.DerControlsCleared, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.without(is_default=e.is_default, kind=e.kind, control_id=e.control_id))


def _der_switched(state: DepotState, e: ev.DerControlSwitched, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.switched(e.switch))


def _der_alarm(state: DepotState, e: ev.DerAlarmNoticed, _: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.alarmed(e.alarm))


def _der_reported(state: DepotState, e: ev.DerControlsReported, envelope: ev.Envelope) -> DepotState:
    return _der(state, e.station_id, lambda der: der.told(e.controls, envelope.occurred_at, whole=e.whole))


def _asset_mode(state: DepotState, e: ev.AssetModeSet, _: ev.Envelope) -> DepotState:
    return replace(state, asset_modes={**state.asset_modes, e.asset_id: e.mode})


def _policy_picked(state: DepotState, e: ev.PlanPolicyPicked, envelope: ev.Envelope) -> DepotState:
    picked = None if e.pick is None else pp.PickedPolicy(e.pick, envelope.actor, envelope.occurred_at, e.reason)
    return replace(state, plan_policy=picked)


APPLY: Applied = {
    ev.LimitSet: _limit_set,
    ev.LimitCleared: _limit_cleared,
    ev.SupplyChanged: _supply,
    ev.UtilityLinkChanged: _utility,
    ev.ExternalLimitTold: _externally_limited,
    ev.ExternalLimitReleased: _externally_released,
    ev.DerControlSet: _der_set,
    ev.DerControlsCleared: _der_cleared,
    ev.DerControlSwitched: _der_switched,
    ev.DerAlarmNoticed: _der_alarm,
    ev.DerControlsReported: _der_reported,
    ev.PlanPolicyPicked: _policy_picked,
    ev.AssetModeSet: _asset_mode,
    ev.MonthDemandRecorded: _month_demand,
    ev.UtilityBillRecorded: _utility_bill,
    **dict.fromkeys(lf.FACTS, _limit_book),
}
