"""The list of drivers who pay, as the manager sees it: contact data masked, never plain."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from controller.room import Carrier, Viewer
from depot import commands as cmd


class DriverRow(Struct, frozen=True, kw_only=True):
    """``phone`` … ``vpa``: masked, "" what is not known. ``keeps``: why it cannot be erased now, "" where it can. ``readable`` False:
    the key that opens the data is not there."""

    driver_id: str
    phone: str
    email: str
    name: str
    vpa: str
    source: str
    created_at: datetime
    used_at: datetime
    erased_at: datetime | None
    keeps: str
    readable: bool


class PayingDriversView(Struct, frozen=True, kw_only=True):
    """``contact_days``: after so long without use contact data are erased by themselves."""

    at: datetime
    drivers: list[DriverRow]
    contact_days: int
    message_days: int


class NoDrivers:
    """The room where nobody pays: nothing is kept of anybody."""

    commands: Mapping[type[cmd.Command], Carrier] = {}

    @property
    def views(self) -> Mapping[type[Struct], Viewer]:
        return {PayingDriversView: self._view}

    async def run(self) -> None:
        """Nothing to do."""

    async def _view(self, _: Mapping[str, str]) -> None:
        return None
