"""The versions of OCPP that are spoken here, best first, and how each spells what differs on the frame itself."""

from __future__ import annotations

from enum import StrEnum


class Version(StrEnum):
    """A version is bound to a connection, not to a station (reference no. 16)."""

    V21 = "2.1"
    V201 = "2.0.1"
    V16 = "1.6"

    @property
    def subprotocol(self) -> str:
        """Its name in ``Sec-WebSocket-Protocol``."""
        return f"ocpp{self.value}"

    @classmethod
    def of_subprotocol(cls, name: str | None) -> Version:
        """The version of a negotiated sub-protocol; without one 1.6 is assumed (reference no. 16)."""
        return next((version for version in cls if version.subprotocol == name), cls.V16)
