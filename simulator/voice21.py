"""What a station that gives power says: OCPP 2.1, which has kept the messages of 2.0.1 and has words for a discharge."""

from __future__ import annotations

from ocpp.v21 import call, call_result

from simulator.link201 import Link201
from simulator.voice201 import Voice201


class Link21(Link201):
    """The station's side of a 2.1 connection, by the package's messages and schemas of 2.1."""

    _call = call
    _call_result = call_result
    _ocpp_version = "2.1"


class Voice21(Voice201):
    """OCPP 2.1; a transaction begins with the authorisation."""

    subprotocol = "ocpp2.1"
    machine = ("YW-3B", "3.0.1")
    speaks = Link21

    def __init__(self) -> None:
        super().__init__(starts_at_plug=False)
