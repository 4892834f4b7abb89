"""Facts of sessions that a driver pays for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class SessionAdmitted(Event):
    """A driver who pays may charge: the terms of this session, journaled with its start. ``paise_per_kwh``: an exact
    fraction as text (``1500`` or ``2999/2``), without tax. ``most_wh``: the session is ended there. ``tariff``: the driver's
    tariff as it was at the start, whole, as JSON ``driver-tariff/1``; "": the one price and the service charge are all."""

    TYPE: ClassVar[str] = "payment.session_admitted"
    session_id: str
    driver_id: str
    mandate_id: str
    paise_per_kwh: str
    service_paise: int
    most_wh: int
    reserved_paise: int
    tariff: str = ""


@dataclass(frozen=True, slots=True)
class StartRefused(Event):
    """A driver who pays may not charge now. ``refusal``: a word for machines; ``message``: for the driver."""

    TYPE: ClassVar[str] = "payment.start_refused"
    driver_id: str
    station_id: str
    refusal: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionUnasked(Event):
    """A station began a session of a driver who pays without asking (it was cut off), and told it later: it is owed all the
    same. ``refusal``: what the gate would have said, "" where it had said yes; ``message``: the same for people."""

    TYPE: ClassVar[str] = "payment.session_unasked"
    session_id: str
    driver_id: str
    station_id: str
    refusal: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class SessionMoved(Event):
    """A running session is paid by another of its driver's instruments from now on, such as a block that was topped up by a
    new one. ``most_wh`` and ``reserved_paise`` as in :class:`SessionAdmitted`."""

    TYPE: ClassVar[str] = "payment.session_moved"
    session_id: str
    mandate_id: str
    most_wh: int
    reserved_paise: int


@dataclass(frozen=True, slots=True)
class SessionWarned(Event):
    """The driver of a running session was told of something about money. ``why``: a word for machines."""

    TYPE: ClassVar[str] = "payment.session_warned"
    session_id: str
    why: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionStopAsked(Event):
    """A paid session is being ended for money. ``why``: a word for machines; ``message``: for the driver."""

    TYPE: ClassVar[str] = "payment.session_stop_asked"
    session_id: str
    why: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionRead(Event):
    """The register of a running paid session, kept for its bill: so that each part of its energy meets its price."""

    TYPE: ClassVar[str] = "payment.session_read"
    session_id: str
    register_wh: int


@dataclass(frozen=True, slots=True)
class SessionBilled(Event):
    """A paid session stands in the books of money, whatever becomes of its debit. ``invoice_no`` "": nothing was due."""

    TYPE: ClassVar[str] = "payment.session_billed"
    session_id: str
    energy_wh: int
    total_paise: int
    invoice_no: str = ""
