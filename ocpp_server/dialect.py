"""What the versions say differently to a station: the Dialect Protocol that the rest of this room is written against.

A dialect is stateless: what is known of a station is in :class:`~ocpp_server.station.Station`. Charging profiles are
made once, in the words of 1.6 (:mod:`ocpp_server.profiles`), and each dialect puts them into its own shape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from depot.events import StationProbed
from depot.ports import BootAnswer, ChargerEvents, Clock
from ocpp_server.desks import Desks
from ocpp_server.link import Handler, Link
from ocpp_server.profiles import Purpose
from ocpp_server.session import Payload
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.version import Version

Build = Callable[[], Payload | None]
"""Makes a payload, or a profile, when its turn comes; None: no longer wanted."""


class Call(NamedTuple):
    """What to ask of a station."""

    action: str
    payload: Payload | Build


class Dialect(Protocol):
    """One version's way to speak to a station. ``heard``: schemas worth compiling before the first station comes."""

    @property
    def version(self) -> Version: ...
    @property
    def heard(self) -> Sequence[str]: ...

    def inbound(
        self,
        station: Station,
        *,
        events: ChargerEvents,
        clock: Clock,
        jitter: float,
        replay_age_s: float,
        boot_answered: Callable[[BootAnswer], None],
        desks: Desks,
    ) -> Handler: ...

    async def probe(self, link: Link, station: Station, settings: OcppSettings) -> StationProbed:
        """Ask what the station can do, and set what this depot needs."""

    async def survey(self, link: Link, station: Station, occupied: Sequence[int]) -> None:
        """Ask what runs on connectors that may be ``occupied``, where this process cannot know it."""

    def set_profile(self, station: Station, number: int, profile: Build) -> Call:
        """Install a profile on a connector; 0: on the whole station."""

    def start(self, station: Station, number: int, id_tag: str, kind: str, profile: Build | None) -> Call: ...

    def stop(self, station: Station, transaction_id: int) -> Call | None:
        """None: the station's own name of this transaction is not known."""

    def set_operative(self, number: int, *, operative: bool) -> Call: ...
    def reading(self, station: Station, number: int) -> Call: ...
    def trigger(self, message: str, number: int | None) -> Call: ...
    def composite(self, number: int, duration_s: int, unit: str | None) -> Call: ...
    def schedule(self, answer: Payload) -> Payload:
        """The answer to :meth:`composite` with the schedule as 1.6 has it, in ``chargingSchedule``."""

    def clear(self, *, profile: int | None = None, number: int | None = None, purpose: Purpose | None = None) -> Call:
        """Clear one profile by its id, or all that match."""
