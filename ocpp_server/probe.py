"""After a boot: ask a station what it can do, and set what this depot needs (reference no. 11, 12).

The questions leave as housekeeping, so a setpoint overtakes them. A station that answers none of them is taken for
what is likely: it may hold profiles (the ladder finds out), and it may start a session by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from depot.events import StationProbed
from depot.registry import Current
from depot.values import Outcome
from ocpp_server.link import Link, Priority
from ocpp_server.settings import OcppSettings
from ocpp_server.station import ALL_PURPOSES, Station

RATE_UNIT, STACK, FEATURES = "ChargingScheduleAllowedChargingRateUnit", "ChargeProfileMaxStackLevel", "SupportedFeatureProfiles"
PERIODS, PROFILES, PHASES = "ChargingScheduleMaxPeriods", "MaxChargingProfilesInstalled", "ConnectorSwitch3to1PhaseSupported"
ASKED = (
    RATE_UNIT, STACK, FEATURES, PERIODS, PROFILES, PHASES,
    "MeterValueSampleInterval", "MeterValuesSampledData", "LocalAuthorizeOffline", "LocalPreAuthorize",
    "AllowOfflineTxForUnknownId", "AuthorizeRemoteTxRequests", "StopTransactionOnInvalidId",
)  # fmt: skip
BY_ITSELF = {"LocalAuthorizeOffline": True, "LocalPreAuthorize": True, "AllowOfflineTxForUnknownId": False}
"""Keys that let a station start without us, and whether the norm requires the key (so that its absence proves nothing)."""
FREE_VEND = ("freevend", "freemode", "freecharge")


@dataclass(frozen=True, slots=True)
class Key:
    """One configuration key as the station gave it."""

    value: str
    readonly: bool

    def is_(self, wanted: str) -> bool:
        return self.value.strip().lower() == wanted.lower()


def read_keys(payload: Mapping[str, Any]) -> dict[str, Key]:
    """The keys of a GetConfiguration.conf."""
    return {k["key"]: Key(k.get("value", ""), k["readonly"]) for k in payload.get("configurationKey", ())}


async def probe(link: Link, station: Station, settings: OcppSettings) -> StationProbed:
    """Ask, set, and say what was found."""
    keys = await _ask(link)
    autonomous = await _forbid_own_starts(link, keys)
    for name, value in (("AuthorizeRemoteTxRequests", "false"), ("StopTransactionOnInvalidId", "true")):
        await _set(link, keys, name, value)
    await _set(link, keys, "MeterValueSampleInterval", str(settings.sample_interval_s))
    await _set_sampled_data(link, keys, settings.sampled_data)
    return StationProbed(
        station.station_id,
        rate_units=_rate_units(keys, dc=all(c.current is Current.DC for c in station.spec.connectors)),
        purposes=ALL_PURPOSES if FEATURES not in keys or "smartcharging" in keys[FEATURES].value.replace(" ", "").lower() else (),
        max_stack_level=_stack_level(keys.get(STACK)),
        autonomous=autonomous,
        max_periods=_number(keys.get(PERIODS)),
        max_profiles=_number(keys.get(PROFILES)),
        switches_phases=keys[PHASES].is_("true") if PHASES in keys else None,
    )


async def _ask(link: Link) -> dict[str, Key]:
    """All keys, for vendors' free-vend ones; by name where a station cannot list them."""
    reply = await link.call("GetConfiguration", {}, priority=Priority.HOUSEKEEPING)
    keys = read_keys(reply.payload)
    if not keys and reply.outcome is not Outcome.OFFLINE:
        reply = await link.call("GetConfiguration", {"key": list(ASKED)}, priority=Priority.HOUSEKEEPING)
        keys = read_keys(reply.payload)
    return keys


async def _forbid_own_starts(link: Link, keys: Mapping[str, Key]) -> bool:
    """Switch off what lets the station start without us. True: it may still be able to."""
    autonomous = False
    for name, required in BY_ITSELF.items():
        if name in keys:
            autonomous |= not await _set(link, keys, name, "false")
        else:
            autonomous |= required
    for name, key in keys.items():
        if name.lower().startswith(FREE_VEND) and not name.lower().endswith(("id", "tag", "idtag")) and key.value:
            autonomous |= not await _set(link, keys, name, "false")
    return autonomous


async def _set(link: Link, keys: Mapping[str, Key], name: str, value: str) -> bool:
    """Whether the station confirmed the value (or had it already)."""
    key = keys.get(name)
    if key is None or key.readonly or key.is_(value):
        return key is not None and key.is_(value)
    reply = await link.call("ChangeConfiguration", {"key": name, "value": value}, priority=Priority.HOUSEKEEPING)
    return reply.outcome is Outcome.ACCEPTED and reply.payload.get("status") == "Accepted"


async def _set_sampled_data(link: Link, keys: Mapping[str, Key], wanted: tuple[str, ...]) -> None:
    """As much of it as the station takes; a station that knows none keeps what it has."""
    while wanted and "MeterValuesSampledData" in keys:
        if await _set(link, keys, "MeterValuesSampledData", ",".join(wanted)) or link.ended:
            return
        wanted = wanted[:-1]


def _rate_units(keys: Mapping[str, Key], *, dc: bool) -> tuple[str, ...]:
    """What the station says; ``Current``/``Power`` by the norm, ``A``/``W`` as seen. Watts first: they need no phases.
    Silent stations are tried with both, DC ones with watts first, AC ones with amperes first (most take only those)."""
    said = {part.strip().lower() for part in keys[RATE_UNIT].value.split(",")} if RATE_UNIT in keys else set()
    units = tuple(unit for unit, names in (("W", {"power", "w"}), ("A", {"current", "a"})) if said & names)
    return units or (("W", "A") if dc else ("A", "W"))


def _stack_level(key: Key | None) -> int:
    """One that does not say is taken for one that can lay a profile over another; the ladder finds out."""
    found = _number(key)
    return 1 if found is None else found


def _number(key: Key | None) -> int | None:
    try:
        return None if key is None else max(0, int(key.value))
    except ValueError:
        return None
