"""Charging profiles in the shape of OCPP 2.0.1. Pure.

What a profile says is the same in both versions and is made in :mod:`ocpp_server.profiles`; here only the names differ,
the schedule stands in a list with an id of its own, and a transaction is named by the station's text.
"""

from __future__ import annotations

from ocpp_server.profiles import Purpose
from ocpp_server.session import Payload

PURPOSES = {
    Purpose.TX.value: "TxProfile",
    Purpose.TX_DEFAULT.value: "TxDefaultProfile",
    Purpose.MAX.value: "ChargingStationMaxProfile",
}
_KEPT = ("stackLevel", "chargingProfileKind", "recurrencyKind", "validFrom", "validTo")


def as_201(profile: Payload, transaction_id: str | None) -> Payload:
    """A profile of 1.6 as a ``chargingProfile``. ``transaction_id``: the station's own, for a TxProfile of a running one."""
    made = {key: profile[key] for key in _KEPT if key in profile}
    made["id"] = profile["chargingProfileId"]
    made["chargingProfilePurpose"] = PURPOSES[profile["chargingProfilePurpose"]]
    made["chargingSchedule"] = [{"id": profile["chargingProfileId"], **profile["chargingSchedule"]}]
    if transaction_id is not None:
        made["transactionId"] = transaction_id
    return made


def as_16(profile: Payload) -> Payload:
    """The other way: a ``chargingProfile`` in the words of 1.6. Of several schedules (for an ISO 15118 vehicle to choose
    from) the first. Raises ``KeyError``, ``IndexError`` or ``TypeError`` for what is no profile."""
    made = {key: profile[key] for key in (*_KEPT, "transactionId") if key in profile}
    made["chargingProfileId"] = profile["id"]
    made["chargingProfilePurpose"] = _PURPOSES_16.get(profile["chargingProfilePurpose"], profile["chargingProfilePurpose"])
    made["chargingSchedule"] = {key: value for key, value in profile["chargingSchedule"][0].items() if key != "id"}
    return made


_PURPOSES_16 = {theirs: ours for ours, theirs in PURPOSES.items()}
