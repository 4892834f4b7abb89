"""Moves a station of OCPP 2.x to a higher security profile, as A05 has it: by a network profile of its own, tried first.

    which slots has it? --> SetNetworkProfile into one that it does not use now --> NetworkConfigurationPriority: that one, then
    the others as before --> Reset when it is idle --> it comes by the new profile (:mod:`controller.station_security` sees to that)

The slot by which it came stays behind the new one: if the new one leads nowhere, it is back as it was. What a station refuses
on the way is told; a profile that was written and is not in the order of trial changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from depot.events import Envelope
from depot.network_profiles import NetworkProfile
from depot.values import Outcome
from ocpp_server.dialect import Call
from ocpp_server.network_profiles import ask_slots, priority_and_active, set_network_profile, set_priority
from ocpp_server.reply import Reply
from ocpp_server.version import Version

SLOTS_TRIED: Final = 3
"""A station has at least two slots; how many, it does not have to say."""


class Caller(Protocol):
    """Who sends calls and counts what they could let flow: :class:`controller.raw_calls.RawCalls`."""

    async def send(self, station_id: str, action: str, payload: dict[str, Any], cause: Envelope) -> Reply: ...
    async def ask(self, station_id: str, action: str, payload: dict[str, Any]) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Moved:
    """How far it got. ``outcome`` ACCEPTED: the new profile is tried from its next restart on. ``said``: what was refused, and in
    which words."""

    outcome: Outcome
    said: str = ""


def slots_to_try(priority: Sequence[int], active: int | None) -> list[int]:
    """Into which slots the new profile may be written, best first: free ones, then such as it does not use now; never the one by
    which it came."""
    used = set(priority) | ({active} if active is not None else set())
    free = [slot for slot in range(max(used, default=0) + 2) if slot not in used]
    spare = [slot for slot in reversed(priority) if active is not None and slot != active]
    return [*free, *spare][:SLOTS_TRIED]


async def move(calls: Caller, station_id: str, version: Version, profile: NetworkProfile, cause: Envelope) -> Moved:
    """Write the profile, prefer it, restart the station. Raises :class:`~depot.values.DepotError` for a call that may not leave."""
    said = await calls.ask(station_id, *_parts(ask_slots()))
    priority, active = priority_and_active(said.payload)
    if active is None and priority:
        active = priority[0]  # it does not say by which it came: most likely the first
    reply, slot = Reply(Outcome.REFUSED), None
    for slot in slots_to_try(priority, active):
        reply = await calls.send(station_id, *_parts(set_network_profile(version, slot, profile)), cause)
        if reply.outcome is not Outcome.REFUSED:
            break
    if reply.outcome is not Outcome.ACCEPTED or slot is None:
        return Moved(_clear(reply), f"SetNetworkProfile: {_word(reply)}")
    behind = [other for other in (priority or ((active,) if active is not None else ())) if other != slot]
    reply = await calls.send(station_id, *_parts(set_priority([slot, *behind])), cause)
    rows: list[dict[str, Any]] = reply.payload.get("setVariableResult", [])
    status = str(rows[0].get("attributeStatus", "")) if rows else ""
    if status not in ("Accepted", "RebootRequired"):
        return Moved(_clear(reply) if not status else Outcome.REFUSED, f"NetworkConfigurationPriority: {status or _word(reply)}")
    reply = await calls.send(station_id, "Reset", {"type": "OnIdle"}, cause)
    taken = reply.payload.get("status") in ("Accepted", "Scheduled")
    return Moved(Outcome.ACCEPTED, "" if taken else f"Reset: {_word(reply)}; the new profile is tried at its next restart")


def _parts(call: Call) -> tuple[str, dict[str, Any]]:
    action, payload = call
    assert isinstance(payload, dict)
    return action, payload


def _clear(reply: Reply) -> Outcome:
    """An answer that says yes where something else was asked is no yes."""
    return Outcome.REFUSED if reply.outcome is Outcome.ACCEPTED else reply.outcome


def _word(reply: Reply) -> str:
    return str(reply.payload.get("status") or reply.code or reply.outcome.value)
