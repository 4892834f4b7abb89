"""What a station says, apart from what it does: the Protocol of a version's messages, and how 1.6 says them.

A voice makes the package's payloads; a *build* is called when its message's turn has come, and what it says of the past
is fixed when it is made. Times are texts of the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ocpp.v16 import call
from ocpp.v16.enums import ChargePointStatus as Status

from simulator.link import Link, StationSide, wire_time
from simulator.link16 import Link16
from simulator.session import Session
from simulator.wire import Wire

Build = Callable[[], Any]
Values = Sequence[dict[str, str]]
"""Sampled values with the names and texts of 1.6 (§7.33)."""


class Voice(Protocol):
    """One version's words. ``starts_at_plug``: a transaction begins when a vehicle is plugged in, unauthorised."""

    @property
    def subprotocol(self) -> str: ...
    @property
    def starts_at_plug(self) -> bool: ...
    @property
    def names_transactions(self) -> bool:
        """A transaction has the station's own name, and tells of itself when it is asked to."""

    def link(self, station: StationSide, wire: Wire, *, message_id: Callable[[], str], answer_s: Callable[[], float] | None) -> Link: ...
    def boot(self, station_id: str) -> Any: ...
    def heartbeat(self) -> Any: ...
    def authorize(self, tag: str) -> Any: ...
    def permits(self, answer: Any) -> bool:
        """Whether the answer to an authorisation, or to what carried an id tag, lets it charge."""

    def shows(self, before: Status, after: Status) -> bool:
        """Whether a change of status is one that a StatusNotification can tell."""

    def status(self, connector: int, status: Status, at: str) -> Build: ...
    def named(self, session: Session, station_id: str) -> None:
        """A session begins: give it a name, where the station does."""

    def started(self, session: Session, *, offline: bool) -> Build: ...
    def confirmed(self, session: Session, answer: Any) -> None:
        """Take what the answer to the start says of the session."""

    def authorised(self, session: Session, at: str, *, offline: bool) -> Build:
        """Somebody may charge in a session that began with the plug."""

    def changed(self, session: Session, status: Status, at: str, *, offline: bool) -> Build | None:
        """The session's state is another one; None: nothing to tell."""

    def sampled(self, connector: int, session: Session | None, values: Values, at: str, *, context: str, offline: bool) -> Build | None: ...
    def stopped(self, session: Session, meter_stop: int, at: str, *, reason: str, offline: bool) -> Build: ...


class Voice16:
    """OCPP 1.6."""

    subprotocol = "ocpp1.6"
    starts_at_plug = False
    names_transactions = False

    def link(self, station: StationSide, wire: Wire, *, message_id: Callable[[], str], answer_s: Callable[[], float] | None) -> Link:
        return Link16(station, wire, message_id=message_id, answer_s=answer_s)

    def boot(self, station_id: str) -> Any:
        return call.BootNotification(
            charge_point_vendor="Yardworks",
            charge_point_model="YW-1",
            charge_point_serial_number=f"SN-{station_id}"[:25],
            firmware_version="1.4.2",
        )

    def heartbeat(self) -> Any:
        return call.Heartbeat()

    def authorize(self, tag: str) -> Any:
        return call.Authorize(id_tag=tag)

    def permits(self, answer: Any) -> bool:
        return bool(answer.id_tag_info["status"] == "Accepted")

    def shows(self, before: Status, after: Status) -> bool:
        return bool(before != after)

    def status(self, connector: int, status: Status, at: str) -> Build:
        return lambda: call.StatusNotification(connector_id=connector, error_code="NoError", status=status.value, timestamp=at)

    def named(self, session: Session, station_id: str) -> None:
        """The central system names it."""

    def started(self, session: Session, *, offline: bool) -> Build:
        request = call.StartTransaction(
            connector_id=session.connector,
            id_tag=session.id_tag,
            meter_start=session.meter_start,
            timestamp=wire_time(session.started_at),
        )
        return lambda: request

    def confirmed(self, session: Session, answer: Any) -> None:
        session.transaction_id = answer.transaction_id

    def authorised(self, session: Session, at: str, *, offline: bool) -> Build:
        raise NotImplementedError("a transaction of 1.6 begins authorised")

    def changed(self, session: Session, status: Status, at: str, *, offline: bool) -> Build | None:
        return None

    def sampled(self, connector: int, session: Session | None, values: Values, at: str, *, context: str, offline: bool) -> Build | None:
        value = {"timestamp": at, "sampled_value": [{**sample, "context": context} for sample in values]}
        if not values:
            return None

        def request() -> Any:
            number = session.transaction_id if session is not None else None
            return call.MeterValues(connector_id=connector, transaction_id=number, meter_value=[value])

        return request

    def stopped(self, session: Session, meter_stop: int, at: str, *, reason: str, offline: bool) -> Build:
        def request() -> Any:
            # −1: the start was given up unconfirmed, so the central system never named it
            number = session.transaction_id if session.transaction_id is not None else -1
            return call.StopTransaction(transaction_id=number, id_tag=session.id_tag, meter_stop=meter_stop, timestamp=at, reason=reason)

        return request
