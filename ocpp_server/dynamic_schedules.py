"""Dynamic charging profiles (OCPP 2.1): what holds in each now, for stations that ask for it.

    SetChargingProfile (kind Dynamic), UpdateDynamicSchedule --accepted--> DynamicBook --> PullDynamicScheduleUpdate

What a station pulls is what it was told last and has accepted: nothing that has not been counted before. Pure memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from depot.values import Outcome
from ocpp_server.reply import Reply
from ocpp_server.schemas import Payload

MOST = 50
"""Dynamic profiles of one station that are remembered; the oldest go first."""
_PHASES = ("", "_L2", "_L3")
FIELDS = tuple(f"{name}{phase}" for name in ("limit", "dischargeLimit", "setpoint", "setpointReactive") for phase in _PHASES)
"""What an update of a dynamic schedule may say (ChargingScheduleUpdateType)."""
DYNAMIC_CALLS = frozenset({"SetChargingProfile", "RequestStartTransaction", "UpdateDynamicSchedule", "ClearChargingProfile"})


class DynamicBook:
    """The dynamic profiles of one station, by their id."""

    def __init__(self) -> None:
        self._now: OrderedDict[int, Payload] = OrderedDict()

    def note(self, action: str, payload: Mapping[str, Any], reply: Reply) -> None:
        """A call has ended."""
        if reply.outcome is not Outcome.ACCEPTED:
            return
        if action == "UpdateDynamicSchedule" and payload["chargingProfileId"] in self._now:
            self._now[payload["chargingProfileId"]] |= _told(payload["scheduleUpdate"])
        elif action == "ClearChargingProfile":
            self._clear(payload)
        elif isinstance(profile := payload.get("chargingProfile"), dict):
            self._now.pop(profile.get("id", 0), None)
            if profile.get("chargingProfileKind") == "Dynamic":
                self._now[profile["id"]] = _told(profile["chargingSchedule"][0]["chargingSchedulePeriod"][0])
                if len(self._now) > MOST:
                    self._now.popitem(last=False)

    def _clear(self, payload: Mapping[str, Any]) -> None:
        """By its id; else all are taken for gone: a station that asks for one of them is told that it is not known."""
        profile_id = payload.get("chargingProfileId")
        if profile_id is None:
            self._now.clear()
        else:
            self._now.pop(profile_id, None)

    def forget(self) -> None:
        """The station booted."""
        self._now.clear()

    def holds(self, profile_id: int) -> Payload | None:
        """What the profile allows now; None: it is not known as a dynamic one."""
        return self._now.get(profile_id)


def _told(part: Mapping[str, Any]) -> Payload:
    return {name: part[name] for name in FIELDS if name in part}
