"""A station's side of an OCPP 1.6 connection: what the central system asks, and what follows the answer."""

from __future__ import annotations

from typing import Any

from ocpp.v16 import ChargePoint, call_result
from ocpp.v16.enums import Action

from simulator.link import Link, after, on, wire_time


class Link16(Link, ChargePoint):  # type: ignore[misc]  # the package is untyped
    """OCPP 1.6. Fields come by the names that the package gives them."""

    def _foresee(self, action: str, payload: dict[str, Any]) -> None:
        if action == "SetChargingProfile":
            self._station.foresee_profile(payload["connector_id"], payload["cs_charging_profiles"])
        elif action == "RemoteStopTransaction":
            self._station.foresee_stop(payload["transaction_id"])

    # -- what the central system asks ------------------------------------------------------------------------------

    @on(Action.set_charging_profile)
    def on_set_charging_profile(self, connector_id: int, cs_charging_profiles: dict[str, Any], **_: Any) -> Any:
        return call_result.SetChargingProfile(status=self._station.set_profile(connector_id, cs_charging_profiles))

    @on(Action.clear_charging_profile)
    def on_clear_charging_profile(self, **criteria: Any) -> Any:
        return call_result.ClearChargingProfile(status="Accepted" if self._station.clear_profile(criteria) else "Unknown")

    @on(Action.get_composite_schedule)
    def on_get_composite_schedule(self, connector_id: int, duration: int, charging_rate_unit: str | None = None, **_: Any) -> Any:
        composite = self._station.composite_schedule(connector_id, duration, charging_rate_unit)
        if composite is None:
            return call_result.GetCompositeSchedule(status="Rejected")
        start, schedule = composite
        return call_result.GetCompositeSchedule(
            status="Accepted", connector_id=connector_id, schedule_start=wire_time(start), charging_schedule=schedule
        )

    @on(Action.remote_start_transaction)
    def on_remote_start(
        self, id_tag: str, connector_id: int | None = None, charging_profile: dict[str, Any] | None = None, **_: Any
    ) -> Any:
        accepted = self._station.accept_remote_start(id_tag, connector_id, charging_profile)
        return call_result.RemoteStartTransaction(status="Accepted" if accepted else "Rejected")

    @on(Action.remote_stop_transaction)
    def on_remote_stop(self, transaction_id: int, **_: Any) -> Any:
        accepted = self._station.accept_remote_stop(transaction_id)
        return call_result.RemoteStopTransaction(status="Accepted" if accepted else "Rejected")

    @on(Action.change_availability)
    def on_change_availability(self, connector_id: int, type: str, **_: Any) -> Any:  # noqa: A002  # the package passes fields by name
        return call_result.ChangeAvailability(status=self._station.change_availability(connector_id, operative=type == "Operative"))

    @on(Action.get_configuration)
    def on_get_configuration(self, key: list[str] | None = None, **_: Any) -> Any:
        known, unknown = self._station.configuration.read(key)
        return call_result.GetConfiguration(configuration_key=known, unknown_key=unknown)

    @on(Action.change_configuration)
    def on_change_configuration(self, key: str, value: str, **_: Any) -> Any:
        return call_result.ChangeConfiguration(status=self._station.change_configuration(key, value))

    @on(Action.trigger_message)
    def on_trigger_message(self, requested_message: str, connector_id: int | None = None, **_: Any) -> Any:
        return call_result.TriggerMessage(status=self._station.accept_trigger(requested_message, connector_id))

    @on(Action.reset)
    def on_reset(self, **_: Any) -> Any:
        return call_result.Reset(status="Accepted")

    @on(Action.unlock_connector)
    def on_unlock_connector(self, connector_id: int, **_: Any) -> Any:
        return call_result.UnlockConnector(status=self._station.unlock(connector_id))

    @on(Action.data_transfer)
    def on_data_transfer(self, vendor_id: str, message_id: str = "", data: str = "", **_: Any) -> Any:
        return call_result.DataTransfer(status=self._station.shown.take(vendor_id, message_id, data))

    @on(Action.clear_cache)
    def on_clear_cache(self, **_: Any) -> Any:
        return call_result.ClearCache(status="Accepted")

    # -- what follows the answer -------------------------------------------------------------------------------------

    @after(Action.remote_start_transaction)
    def after_remote_start(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.remote_stop_transaction)
    def after_remote_stop(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.change_availability)
    def after_change_availability(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.trigger_message)
    def after_trigger_message(self, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.reset)
    def after_reset(self, type: str, **_: Any) -> None:  # noqa: A002  # the package passes fields by name
        self._station.reset(hard=type == "Hard")
