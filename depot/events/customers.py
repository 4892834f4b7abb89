"""Facts of customer information: that it was asked for, never what was told. See :mod:`depot.customer_information`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.customer_information import About, RequestState
from depot.events.envelope import Event


@dataclass(frozen=True, slots=True)
class CustomerInformationAsked(Event):
    """Journaled before the station is asked: the number is not given again."""

    TYPE: ClassVar[str] = "customer.information_asked"
    station_id: str
    request_id: int
    report: bool
    clear: bool
    about: About


@dataclass(frozen=True, slots=True)
class CustomerInformationChanged(Event):
    """How far it got. ``said``: the station's word; ``note``: what is missing."""

    TYPE: ClassVar[str] = "customer.information_changed"
    request_id: int
    state: RequestState
    said: str = ""
    note: str = ""
