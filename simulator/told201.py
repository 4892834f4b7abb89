"""What a simulated 2.x station does with what it is told beside charging: shows messages, tells and forgets what it keeps about
customers, takes network profiles, publishes firmware for the stations behind it.

    SetDisplayMessage … --> Told, which lasts over connections          GetDisplayMessages --> answer, then NotifyDisplayMessages

Nothing is drawn by chance: the same calls get the same answers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from ocpp.v201 import call, call_result
from ocpp.v201.enums import Action

from simulator.link import StationSide, after, on, wire_time

MOST_MESSAGES = 10
IN_ONE_MESSAGE = 3
SLOTS = (1, 2, 3)
_FORMATS = ("ASCII", "UTF8")
_PRIORITIES = ("AlwaysFront", "InFront", "NormalCycle")
_FETCHING = ("Downloading", "Downloaded", "ChecksumVerified")


@dataclass(slots=True)
class Told:
    """What one station keeps. ``customers``: how often it saw each token; ``published``: checksum -> where others fetch it."""

    messages: dict[int, dict[str, Any]] = field(default_factory=dict)
    customers: dict[str, int] = field(default_factory=dict)
    slots: dict[int, dict[str, Any]] = field(default_factory=dict)
    published: dict[str, str] = field(default_factory=dict)

    def saw(self, token: str) -> None:
        """Somebody showed a token."""
        self.customers[token] = self.customers.get(token, 0) + 1

    def current(self, now: datetime) -> list[dict[str, Any]]:
        """Messages whose time is not over; the others are removed."""
        over = [number for number, message in self.messages.items() if _over(message, now)]
        for number in over:
            del self.messages[number]
        return [self.messages[number] for number in sorted(self.messages)]

    def put(self, message: dict[str, Any], now: datetime, *, running: bool) -> str:
        """Show a message: OCPP's word for it."""
        if message["message"]["format"] not in _FORMATS:
            return "NotSupportedMessageFormat"
        if message["priority"] not in _PRIORITIES:
            return "NotSupportedPriority"
        if "transaction_id" in message and not running:
            return "UnknownTransaction"
        self.current(now)
        if message["id"] not in self.messages and len(self.messages) >= MOST_MESSAGES:
            return "Rejected"
        if message["priority"] == "AlwaysFront":  # there is one at most (O01.FR.10)
            self.messages = {n: m for n, m in self.messages.items() if m["priority"] != "AlwaysFront"}
        self.messages[message["id"]] = message
        return "Accepted"


def _over(message: dict[str, Any], now: datetime) -> bool:
    until = message.get("end_date_time")
    return until is not None and datetime.fromisoformat(until.replace("Z", "+00:00")) <= now


class _Side(Protocol):
    _station: StationSide
    _told: Told


class ToldLink:
    """The answers, for a link of 2.0.1 that has a ``_told``."""

    @on(Action.set_display_message)
    def on_set_display_message(self: _Side, message: dict[str, Any], **_: Any) -> Any:
        named = message.get("transaction_id")
        running = named is not None and self._station.runs(named)
        return call_result.SetDisplayMessage(status=self._told.put(message, self._station.clock.now(), running=running))

    @on(Action.get_display_messages)
    def on_get_display_messages(
        self: _Side,
        request_id: int,
        id: list[int] | None = None,  # noqa: A002  # the package passes fields by name
        priority: str | None = None,
        state: str | None = None,
        **_: Any,
    ) -> Any:
        found = [
            m
            for m in self._told.current(self._station.clock.now())
            if (id is None or m["id"] in id) and priority in (None, m["priority"]) and state in (None, m.get("state"))
        ]
        for n in range(0, len(found), IN_ONE_MESSAGE):
            more = n + IN_ONE_MESSAGE < len(found)
            part = call.NotifyDisplayMessages(request_id=request_id, message_info=found[n : n + IN_ONE_MESSAGE], tbc=more)
            self._station.say(lambda part=part: part)  # type: ignore[misc]  # bound now
        return call_result.GetDisplayMessages(status="Accepted" if found else "Unknown")

    @on(Action.clear_display_message)
    def on_clear_display_message(self: _Side, id: int, **_: Any) -> Any:  # noqa: A002  # the package passes fields by name
        known = self._told.messages.pop(id, None)
        return call_result.ClearDisplayMessage(status="Unknown" if known is None else "Accepted")

    @on(Action.customer_information)
    def on_customer_information(
        self: _Side, request_id: int, report: bool, clear: bool, id_token: dict[str, Any] | None = None, **_: Any
    ) -> Any:
        """It knows customers by their tokens only."""
        token = None if id_token is None else id_token["id_token"]
        seen = 0 if token is None else self._told.customers.get(token, 0)
        if clear and token is not None:
            self._told.customers.pop(token, None)
        if report:
            data = f"token {token}: shown {seen} times" if seen else ""
            told = call.NotifyCustomerInformation(
                data=data, seq_no=0, tbc=False, request_id=request_id, generated_at=wire_time(self._station.clock.now())
            )
            self._station.say(lambda: told)
        return call_result.CustomerInformation(status="Accepted")

    @on(Action.set_network_profile)
    def on_set_network_profile(self: _Side, configuration_slot: int, connection_data: dict[str, Any], **_: Any) -> Any:
        if configuration_slot not in SLOTS or connection_data["ocpp_transport"] != "JSON":
            return call_result.SetNetworkProfile(status="Rejected")
        self._told.slots[configuration_slot] = connection_data
        return call_result.SetNetworkProfile(status="Accepted")

    @on(Action.publish_firmware)
    def on_publish_firmware(self: _Side, location: str, checksum: str, request_id: int, **_: Any) -> Any:
        """It says that it has it; no byte is fetched."""
        where = f"http://{self._station.station_id.lower()}.local/{checksum}"
        self._told.published[checksum] = where
        said = [call.PublishFirmwareStatusNotification(status=status, request_id=request_id) for status in _FETCHING]
        said.append(call.PublishFirmwareStatusNotification(status="Published", location=[where], request_id=request_id))
        for one in said:
            self._station.say(lambda one=one: one)  # type: ignore[misc]  # bound now
        return call_result.PublishFirmware(status="Accepted")

    @on(Action.unpublish_firmware)
    def on_unpublish_firmware(self: _Side, checksum: str, **_: Any) -> Any:
        known = self._told.published.pop(checksum, None)
        return call_result.UnpublishFirmware(status="NoFirmware" if known is None else "Unpublished")

    @on(Action.cost_updated)
    def on_cost_updated(self, **_: Any) -> Any:
        return call_result.CostUpdated()

    @after(Action.get_display_messages)
    def after_get_display_messages(self: _Side, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.customer_information)
    def after_customer_information(self: _Side, **_: Any) -> None:
        self._station.carry_out()

    @after(Action.publish_firmware)
    def after_publish_firmware(self: _Side, **_: Any) -> None:
        self._station.carry_out()
