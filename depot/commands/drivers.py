"""Commands of drivers who pay, and about what is kept of them. Phone numbers in them reach no journal: ``detail`` leaves them out."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import ClassVar

from depot.commands.command import Command, ConnectorCommand


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveStart(ConnectorCommand):
    """Begin a paid session for a driver who stands at the connector: the station is asked to start with the driver's own tag,
    and asks back whether that tag may."""

    TITLE: ClassVar[str] = "Start for driver"

    driver_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveStop(Command):
    """End a driver's own paid session, wherever it runs."""

    TITLE: ClassVar[str] = "Stop for driver"

    driver_id: str
    session_id: str

    @property
    def target(self) -> str:
        return self.session_id


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseDriver(Command):
    """Take away what says who a driver is, and end the mandate. Invoices and ledger stay, as the law wants them."""

    TITLE: ClassVar[str] = "Erase driver"

    driver_id: str

    @property
    def target(self) -> str:
        return self.driver_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TellDriverData(Command):
    """Answer with everything that is kept of a driver, plain: for the driver."""

    TITLE: ClassVar[str] = "Tell driver's data"

    driver_id: str

    @property
    def target(self) -> str:
        return self.driver_id


@dataclass(frozen=True, slots=True, kw_only=True)
class FindDriver(Command):
    """Answer with the ids of the drivers who gave a phone number."""

    TITLE: ClassVar[str] = "Find driver by phone"

    phone: str = field(repr=False)

    @property
    def bare(self) -> FindDriver:
        return replace(self, phone="")
