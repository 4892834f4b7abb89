"""A 2.x station that was told Pending: what it may say until it is accepted (2.0.1 B02.FR.09).

    Boot CONF Pending --> held      a call that asks for messages leaves --> those are let in      Boot CONF Accepted --> free

Everything else is answered with a SecurityError, but for what ends a transaction from before: nothing that is owed is lost.
"""

from __future__ import annotations

import msgspec

from ocpp_server.errors import ErrorCode, PayloadViolation
from ocpp_server.session import CallReceived

_ALWAYS = frozenset({"BootNotification", "Heartbeat", "SecurityEventNotification", "NotifyCustomerInformation"})
"""A boot; what keeps the link alive, which asks for nothing; what a person asked for or must see."""
_ASKS = {
    "GetBaseReport": "NotifyReport",
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
    "GetLog": "LogStatusNotification",
    "GetDisplayMessages": "NotifyDisplayMessages",
    "GetChargingProfiles": "ReportChargingProfiles",
    "UpdateFirmware": "FirmwareStatusNotification",
    "PublishFirmware": "PublishFirmwareStatusNotification",
}
_TRIGGERED = {
    "SignChargingStationCertificate": "SignCertificate",
    "SignV2GCertificate": "SignCertificate",
    "SignCombinedCertificate": "SignCertificate",
}
"""What TriggerMessage names otherwise than the message itself."""


class Held:
    """Mutable, of one station."""

    def __init__(self) -> None:
        self._held = False
        self._asked: set[str] = set()

    def told(self, status: str) -> None:
        """The answer to its boot is on the wire."""
        self._held = status == "Pending"
        self._asked.clear()

    def asked(self, action: str, text: str) -> None:
        """A call to it is on the wire. ``text``: the frame."""
        if not self._held:
            return
        if action in _ASKS:
            self._asked.add(_ASKS[action])
        elif action == "TriggerMessage":
            wanted = msgspec.json.decode(text)[-1].get("requestedMessage", "")
            self._asked.add(_TRIGGERED.get(wanted, wanted))

    def check(self, call: CallReceived, *, owed: bool) -> None:
        """Refuse what it may not say yet. ``owed``: it is about a transaction that began when it was accepted. Raises
        :class:`PayloadViolation`."""
        if self._held and not owed and call.action not in _ALWAYS and call.action not in self._asked:
            raise PayloadViolation(
                ErrorCode.SECURITY_ERROR,
                f"{call.action[:50]}: this station is pending; it may say what it was asked for, until it is accepted",
            )
