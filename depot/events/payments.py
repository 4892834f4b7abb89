"""Facts of sessions that a driver pays for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class SessionAdmitted(Event):
    """A driver who pays may charge: the terms of this session, journaled with its start. ``paise_per_kwh``: an exact
    fraction as text (``1500`` or ``2999/2``), without tax. ``most_wh``: the session is ended there."""

    TYPE: ClassVar[str] = "payment.session_admitted"
    session_id: str
    driver_id: str
    mandate_id: str
    paise_per_kwh: str
    service_paise: int
    most_wh: int
    reserved_paise: int


@dataclass(frozen=True, slots=True)
class StartRefused(Event):
    """A driver who pays may not charge now. ``refusal``: a word for machines; ``message``: for the driver."""

    TYPE: ClassVar[str] = "payment.start_refused"
    driver_id: str
    station_id: str
    refusal: str
    message: str


@dataclass(frozen=True, slots=True)
class SessionBilled(Event):
    """A paid session stands in the books of money, whatever becomes of its debit. ``invoice_no`` "": nothing was due."""

    TYPE: ClassVar[str] = "payment.session_billed"
    session_id: str
    energy_wh: int
    total_paise: int
    invoice_no: str = ""
