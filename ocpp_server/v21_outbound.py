"""The :class:`~ocpp_server.dialect.Dialect` of OCPP 2.1: what the depot asks it asks in the words of 2.0.1, which 2.1 kept."""

from __future__ import annotations

from typing import Any

from ocpp_server import v21
from ocpp_server.link import Handler
from ocpp_server.station import Station
from ocpp_server.v201_outbound import Dialect201
from ocpp_server.version import Version


class Dialect21(Dialect201):
    version = Version.V21
    heard = v21.HEARD

    def inbound(self, station: Station, **parts: Any) -> Handler:
        return v21.Inbound21(station, **parts)
