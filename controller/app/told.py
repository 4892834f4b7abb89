"""What stations of OCPP 2.x are told beside charging, put together: its rooms, and the desks that hear what they answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from controller.access_book import DepotAccess
from controller.core import Core
from controller.customer_information import CustomerInformation, CustomerReports
from controller.display_messages import DisplayReports, Displays
from controller.network_profiles import NetworkProfiles
from controller.raw_calls import RawCalls
from controller.settings import Settings
from depot.network_profiles import OwnDoors
from ocpp_server import Central

_ANY_HOST = ("0.0.0.0", "::", "")  # noqa: S104  # looked at, not bound


def own_doors(settings: Settings) -> OwnDoors:
    """Under which addresses stations reach this depot, as far as the settings say so."""
    tls = settings.ocpp.tls
    names = {settings.ocpp.host, urlsplit(settings.files_url).hostname or "", *(tls.names if tls is not None else ())}
    hosts = {name.lower() for name in names if name not in _ANY_HOST}
    return OwnDoors(
        frozenset(hosts | ({"localhost"} if hosts & {"127.0.0.1", "::1"} else set())),
        settings.ocpp_port if settings.ocpp.plain else None,
        settings.ocpp_tls_port if tls is not None else None,
    )


@dataclass(frozen=True, slots=True)
class Told:
    """Who hears stations, before there is a charger side to ask them by."""

    display: DisplayReports = field(default_factory=DisplayReports)
    customers: CustomerReports = field(default_factory=CustomerReports)


def add_told(core: Core, settings: Settings, told: Told, raw: RawCalls, central: Central, book: DepotAccess) -> None:
    """Add the rooms."""

    def security_profile(station_id: str) -> int | None:
        access = book.access(station_id)
        return None if access is None else access.profile

    core.add(Displays(core.yard, raw, central, told.display))
    core.add(CustomerInformation(core.yard, raw, told.customers))
    core.add(NetworkProfiles(core.yard, raw, doors=own_doors(settings), security_profile=security_profile))
