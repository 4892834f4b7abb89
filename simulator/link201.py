"""A station's side of an OCPP 2.0.1 connection: what the central system asks, and what follows the answer.

An EVSE of a station is its connector. A charging profile is handed to the station with the names of 1.6, in which
:mod:`simulator.profiles` reads it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from ocpp.exceptions import OccurrenceConstraintViolationError
from ocpp.v201 import ChargePoint, call, call_result
from ocpp.v201.enums import Action

from simulator.device_model import DeviceModel, Monitors, parts
from simulator.link import Link, StationSide, after, on, wire_time
from simulator.profiles import Profile
from simulator.told201 import Told, ToldLink
from simulator.variables import GET_AT_ONCE, SET_AT_ONCE, Variables
from simulator.wire import Wire

PURPOSES = {"ChargingStationMaxProfile": "ChargePointMaxProfile"}
"""Purposes that have another name in 1.6."""


def as_16(profile: Mapping[str, Any]) -> dict[str, Any]:
    """A ``charging_profile`` with the names of 1.6. One schedule is read: the others are for ISO 15118."""
    purpose = profile["charging_profile_purpose"]
    return {
        **profile,
        "charging_profile_id": profile["id"],
        "charging_profile_purpose": PURPOSES.get(purpose, purpose),
        "charging_schedule": profile["charging_schedule"][0],
    }


def as_201(profile: Profile) -> dict[str, Any]:
    """A held profile as a report shows it."""
    purpose = {old: new for new, old in PURPOSES.items()}.get(profile.purpose, profile.purpose.value)
    if profile.profile_id < 0:
        purpose = "ChargingStationExternalConstraints"
    schedule = {
        "id": profile.profile_id,
        "charging_rate_unit": profile.unit.value,
        "start_schedule": wire_time(profile.schedule_start) if profile.schedule_start else None,
        "duration": round(profile.duration_s) if profile.duration_s is not None else None,
        "charging_schedule_period": [{"start_period": round(at), "limit": allowed.limit} for at, allowed in profile.periods],
    }
    made = {
        "id": profile.profile_id,
        "stack_level": profile.stack_level,
        "charging_profile_purpose": purpose,
        "charging_profile_kind": profile.kind.value,
        "recurrency_kind": profile.recurrency.value if profile.recurrency else None,
        "valid_from": wire_time(profile.valid_from) if profile.valid_from else None,
        "valid_to": wire_time(profile.valid_to) if profile.valid_to else None,
        "transaction_id": profile.transaction_id,
        "charging_schedule": [{key: value for key, value in schedule.items() if value is not None}],
    }
    return {key: value for key, value in made.items() if value is not None}


def _source(profile: Profile) -> str:
    """Who set it: ids below 0 are an energy manager's, all else came from the central system."""
    return "EMS" if profile.profile_id < 0 else "CSO"


def _matches(profile: Profile, criterion: Mapping[str, Any]) -> bool:
    """A ChargingProfileCriterion."""
    shown = as_201(profile)
    ids, sources = criterion.get("charging_profile_id"), criterion.get("charging_limit_source")
    return (
        (ids is None or shown["id"] in ids)
        and (sources is None or _source(profile) in sources)
        and all(criterion.get(key) in (None, shown[key]) for key in ("charging_profile_purpose", "stack_level"))
    )


class Link201(ToldLink, Link, ChargePoint):  # type: ignore[misc]  # the package is untyped
    """OCPP 2.0.1. Fields come by the names that the package gives them."""

    def __init__(
        self,
        station: StationSide,
        wire: Wire,
        *,
        message_id: Callable[[], str],
        answer_s: Callable[[], float] | None,
        variables: Variables,
        model: DeviceModel,
        monitors: Monitors,
        told: Told,
    ) -> None:
        super().__init__(station, wire, message_id=message_id, answer_s=answer_s)
        self._variables = variables
        self._model = model
        self._monitors = monitors
        self._told = told

    def _foresee(self, action: str, payload: dict[str, Any]) -> None:
        if action == "SetChargingProfile":
            self._station.foresee_profile(payload["evse_id"], as_16(payload["charging_profile"]))
        elif action == "RequestStopTransaction":
            self._station.foresee_stop(payload["transaction_id"])

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, evse_id: int, charging_profile: dict[str, Any], **_: Any) -> Any:
        profile = as_16(charging_profile)
        if profile["charging_profile_purpose"] == "TxProfile" and "transaction_id" not in profile:
            return call_result.SetChargingProfile(status="Rejected", status_info={"reason_code": "MissingTxId"})
        return call_result.SetChargingProfile(status=self._station.set_profile(evse_id, profile))

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(
        self, charging_profile_id: int | None = None, charging_profile_criteria: dict[str, Any] | None = None, **_: Any
    ) -> Any:
        given = charging_profile_criteria or {}
        purpose = given.get("charging_profile_purpose")
        criteria = {
            "id": charging_profile_id,
            "connector_id": given.get("evse_id"),
            "charging_profile_purpose": PURPOSES.get(str(purpose), purpose),
            "stack_level": given.get("stack_level"),
        }
        found = self._station.clear_profile({key: value for key, value in criteria.items() if value is not None})
        return call_result.ClearChargingProfile(status="Accepted" if found else "Unknown")

    @on(Action.get_charging_profiles)
    def on_get_charging_profiles(self, request_id: int, charging_profile: dict[str, Any], evse_id: int | None = None, **_: Any) -> Any:
        wanted = [
            (on, profile) for on, profile in self._station.held_profiles() if evse_id in (None, on) and _matches(profile, charging_profile)
        ]
        for n, (on_evse, profile) in enumerate(wanted, 1):
            report = call.ReportChargingProfiles(
                request_id=request_id,
                charging_limit_source=_source(profile),
                charging_profile=[as_201(profile)],
                tbc=n < len(wanted),
                evse_id=on_evse,
            )
            self._station.say(functools.partial(_itself, report))
        return call_result.GetChargingProfiles(status="Accepted" if wanted else "NoProfiles")

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(self, duration: int, evse_id: int, charging_rate_unit: str | None = None, **_: Any) -> Any:
        composite = self._station.composite_schedule(evse_id, duration, charging_rate_unit)
        if composite is None:
            return call_result.GetCompositeSchedule(status="Rejected")
        start, schedule = composite
        return call_result.GetCompositeSchedule(
            status="Accepted", schedule={**schedule, "evse_id": evse_id, "schedule_start": wire_time(start)}
        )

    @on(Action.request_start_transaction)
    def on_request_start(
        self, id_token: dict[str, Any], evse_id: int | None = None, charging_profile: dict[str, Any] | None = None, **_: Any
    ) -> Any:
        profile = as_16(charging_profile) if charging_profile is not None else None
        accepted = self._station.accept_remote_start(id_token["id_token"], evse_id, profile)
        return call_result.RequestStartTransaction(status="Accepted" if accepted else "Rejected")

    @on(Action.request_stop_transaction)
    def on_request_stop(self, transaction_id: str, **_: Any) -> Any:
        accepted = self._station.accept_remote_stop(transaction_id)
        return call_result.RequestStopTransaction(status="Accepted" if accepted else "Rejected")

    @on(Action.change_availability)
    def on_change_availability(self, operational_status: str, evse: dict[str, Any] | None = None, **_: Any) -> Any:
        number = evse["id"] if evse is not None else 0
        return call_result.ChangeAvailability(status=self._station.change_availability(number, operative=operational_status == "Operative"))

    @on(Action.get_variables)
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        _within(get_variable_data, GET_AT_ONCE)
        return call_result.GetVariables(
            get_variable_result=[self._model.get(asked, self._variables.get(asked)) for asked in get_variable_data]
        )

    @on(Action.set_variables)
    def on_set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        _within(set_variable_data, SET_AT_ONCE)
        return call_result.SetVariables(set_variable_result=[self._set(asked) for asked in set_variable_data])

    def _set(self, asked: dict[str, Any]) -> dict[str, Any]:
        key, value = self._variables.key(asked), asked["attribute_value"]
        if key is None:
            status = self._model.set(asked) or self._variables.refusal(asked)
        else:
            status = self._station.change_configuration(key, value) if self._variables.takes(key, value) else "Rejected"
        return {"component": asked["component"], "variable": asked["variable"], "attribute_status": status}

    # -- reports and monitors ----------------------------------------------------------------------------------------

    @on(Action.get_base_report)
    def on_get_base_report(self, request_id: int, report_base: str, **_: Any) -> Any:
        self._report(request_id, self._model.rows(report_base))
        return call_result.GetBaseReport(status="Accepted")

    @on(Action.get_report)
    def on_get_report(
        self,
        request_id: int,
        component_criteria: list[str] | None = None,
        component_variable: list[dict[str, Any]] | None = None,
        **_: Any,
    ) -> Any:
        rows = self._model.matching(component_criteria or (), component_variable or ())
        if rows:
            self._report(request_id, rows)
        return call_result.GetReport(status="Accepted" if rows else "EmptyResultSet")

    def _report(self, request_id: int, rows: list[dict[str, Any]]) -> None:
        """Tell the rows in parts, once the answer has left."""
        made = wire_time(self._station.clock.now())
        for number, part, more in parts(rows):
            told = call.NotifyReport(request_id=request_id, generated_at=made, seq_no=number, report_data=part, tbc=more)
            self._station.say(functools.partial(_itself, told))

    @on(Action.get_monitoring_report)
    def on_get_monitoring_report(
        self,
        request_id: int,
        monitoring_criteria: list[str] | None = None,
        component_variable: list[dict[str, Any]] | None = None,
        **_: Any,
    ) -> Any:
        rows = self._monitors.rows(monitoring_criteria or (), component_variable or ())
        made = wire_time(self._station.clock.now())
        for number, part, more in parts(rows) if rows else ():
            told = call.NotifyMonitoringReport(request_id=request_id, seq_no=number, generated_at=made, monitor=part, tbc=more)
            self._station.say(functools.partial(_itself, told))
        return call_result.GetMonitoringReport(status="Accepted" if rows else "EmptyResultSet")

    @on(Action.set_variable_monitoring)
    def on_set_variable_monitoring(self, set_monitoring_data: list[dict[str, Any]], **_: Any) -> Any:
        return call_result.SetVariableMonitoring(set_monitoring_result=[self._monitors.set(asked) for asked in set_monitoring_data])

    @on(Action.clear_variable_monitoring)
    def on_clear_variable_monitoring(self, id: list[int], **_: Any) -> Any:  # noqa: A002  # the norm's name
        cleared = [{"id": number, "status": self._monitors.clear(number)} for number in id]
        return call_result.ClearVariableMonitoring(clear_monitoring_result=cleared)

    @on(Action.set_monitoring_base)
    def on_set_monitoring_base(self, monitoring_base: str, **_: Any) -> Any:
        self._monitors.base(monitoring_base)
        return call_result.SetMonitoringBase(status="Accepted")

    @on(Action.set_monitoring_level)
    def on_set_monitoring_level(self, **_: Any) -> Any:
        return call_result.SetMonitoringLevel(status="Accepted")

    @on(Action.trigger_message)
    def on_trigger_message(self, requested_message: str, evse: dict[str, Any] | None = None, **_: Any) -> Any:
        number = evse["id"] if evse is not None else None
        return call_result.TriggerMessage(status=self._station.accept_trigger(requested_message, number))

    @on(Action.reset)
    def on_reset(self, **_: Any) -> Any:
        return call_result.Reset(status="Accepted")

    @on(Action.unlock_connector)
    def on_unlock_connector(self, evse_id: int, **_: Any) -> Any:
        status = self._station.unlock(evse_id)
        return call_result.UnlockConnector(status="UnknownConnector" if status == "NotSupported" else status)

    @on(Action.data_transfer)
    def on_data_transfer(self, **_: Any) -> Any:
        return call_result.DataTransfer(status="UnknownVendorId")

    # -- what follows the answer -------------------------------------------------------------------------------------

    @after(Action.get_base_report)
    def after_get_base_report(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.get_report)
    def after_get_report(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.get_monitoring_report)
    def after_get_monitoring_report(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.set_charging_profile)
    def after_set_charging_profile(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.request_start_transaction)
    def after_request_start(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.request_stop_transaction)
    def after_request_stop(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.change_availability)
    def after_change_availability(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.trigger_message)
    def after_trigger_message(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.get_charging_profiles)
    def after_get_charging_profiles(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.reset)
    def after_reset(self, type: str, **_: Any) -> None:  # noqa: A002  # the package passes fields by name
        self._station.reset(hard=type == "Immediate")


def _itself(message: Any) -> Any:
    return message


def _within(data: list[Any], most: int) -> None:
    """ItemsPerMessage: the norm lets a station refuse more."""
    if len(data) > most:
        raise OccurrenceConstraintViolationError(description=f"at most {most} variables in one message")
