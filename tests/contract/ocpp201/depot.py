"""The central system as stations of 2.0.1 and 2.1 meet it."""

from __future__ import annotations

from octt import depot as any_version

from ocpp201.cases import Spoken
from ocpp201.station import Station, Station21, Station201

KINDS = {"2.0.1": Station201, "2.1": Station21}


class Depot(any_version.Depot[Station]):
    """``version``: in which the case is played now."""

    def __init__(self, core: any_version.Core, version: Spoken) -> None:
        super().__init__(core, KINDS[version], f"ocpp{version}")
        self.version = version

    async def booted(self, station: Station) -> None:
        """The station boots, is accepted, and the depot knows what it can do."""
        assert (await station.boot())["status"] == "Accepted"
        await self.shows(f"/stations/{station.id}", lambda shown: shown["capabilities"] is not None)
