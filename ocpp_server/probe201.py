"""After a boot of a 2.0.1 station: what it can do, and what this depot needs of it, in its device model's words.

The same questions as in 1.6 (:mod:`ocpp_server.probe`): which profiles it takes and in which unit, how often it
measures, and whether it could start a session without us. A variable that it does not have proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from depot.device_model import Variable
from depot.events import StationProbed
from depot.registry import Current
from ocpp_server.device_model import Batches, batches, get_variables, set_variables
from ocpp_server.link import Link, Priority
from ocpp_server.schemas import members
from ocpp_server.settings import OcppSettings
from ocpp_server.station import ALL_PURPOSES, Station

SMART = "SmartChargingCtrlr"
RATE_UNIT, STACK = Variable(SMART, "RateUnit"), Variable(SMART, "ProfileStackLevel")
AVAILABLE, ENABLED = Variable(SMART, "Available"), Variable(SMART, "Enabled")
UPDATED_EVERY = Variable("SampledDataCtrlr", "TxUpdatedInterval")
STARTED, UPDATED, ENDED = (Variable("SampledDataCtrlr", f"Tx{when}Measurands") for when in ("Started", "Updated", "Ended"))
BY_ITSELF = {
    Variable("AuthCtrlr", "LocalAuthorizeOffline"): True,
    Variable("AuthCtrlr", "LocalPreAuthorize"): True,
    Variable("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): False,
    Variable("TxCtrlr", "TxBeforeAcceptedEnabled"): False,
}
"""Variables that let a station start without us, and whether the norm requires them (so that absence proves nothing)."""
AUTHORIZES = Variable("AuthCtrlr", "Enabled")
"""``false``: whoever plugs in charges."""
WANTED = {
    Variable("AuthCtrlr", "AuthorizeRemoteStart"): "false",
    Variable("TxCtrlr", "StopTxOnInvalidId"): "true",
}
PERIODS, PROFILES = Variable(SMART, "PeriodsPerSchedule"), Variable(SMART, "Entries", "ChargingProfiles")
PHASES = Variable(SMART, "ACPhaseSwitchingSupported")
INFORMATIVE = (
    Variable("TxCtrlr", "TxStartPoint"),
    Variable("TxCtrlr", "TxStopPoint"),
)
"""Read and kept for people and for later decisions; nothing here depends on them."""
ASKED = (
    RATE_UNIT, STACK, AVAILABLE, ENABLED, UPDATED_EVERY, STARTED, UPDATED, ENDED, *BY_ITSELF, AUTHORIZES, *WANTED,
    PERIODS, PROFILES, PHASES, *INFORMATIVE,
)  # fmt: skip
REGISTER = "Energy.Active.Import.Register"


def needs(settings: OcppSettings) -> dict[Variable, str]:
    """What this depot itself needs of every station that has the variable; the probe sets it after each boot."""
    measured = {UPDATED_EVERY: str(settings.sample_interval_s), STARTED: REGISTER, ENDED: REGISTER, ENABLED: "true"}
    return {**dict.fromkeys(BY_ITSELF, "false"), AUTHORIZES: "true", **WANTED, **measured}


async def probe(link: Link, station: Station, settings: OcppSettings) -> StationProbed:
    """Ask, set, and say what was found."""
    sizes = await batches(link)
    values = await get_variables(link, ASKED, room=sizes.get, priority=Priority.HOUSEKEEPING)
    station.variables = {str(variable): value for variable, value in values.items()}
    autonomous = await _forbid_own_starts(link, values, sizes)
    gives = BOTH_WAYS if any(c.discharge_w for c in station.spec.connectors) else ()
    sampled = tuple(
        name
        for name in (*settings.sampled_data[:2], *gives, *settings.sampled_data[2:])
        if name in members("MeterValues", "MeasurandEnumType", link.version)
    )
    wanted = {**WANTED, UPDATED_EVERY: str(settings.sample_interval_s), STARTED: REGISTER, ENDED: REGISTER}
    available = values.get(AVAILABLE, "").strip().lower() != "false"  # what is no boolean proves nothing: it is found out by trying
    if available:
        wanted[ENABLED] = "true"
    confirmed = await _set(link, values, wanted, sizes)
    await _set_sampled(link, values, sampled, sizes)
    smart = available and (ENABLED not in values or ENABLED in confirmed)
    return StationProbed(
        station.station_id,
        rate_units=_rate_units(values.get(RATE_UNIT, ""), dc=all(c.current is Current.DC for c in station.spec.connectors)),
        purposes=ALL_PURPOSES if smart else (),
        max_stack_level=_stack_level(values.get(STACK)),
        autonomous=autonomous,
        max_periods=_number(values.get(PERIODS)),
        max_profiles=_number(values.get(PROFILES)),
        switches_phases=values[PHASES].strip().lower() == "true" if PHASES in values else None,
    )


BOTH_WAYS = ("Power.Active.Export", "Energy.Active.Export.Register")
"""Measurands that are asked for as well where a connector gives power."""


async def _forbid_own_starts(link: Link, values: Mapping[Variable, str], sizes: Batches) -> bool:
    """Switch off what lets the station start without us. True: it may still be able to."""
    wanted = {**dict.fromkeys(BY_ITSELF, "false"), AUTHORIZES: "true"}
    confirmed = await _set(link, values, wanted, sizes)
    for variable in wanted:
        required = BY_ITSELF.get(variable, False)
        if variable not in confirmed and (variable in values or required):
            return True
    return False


async def _set(link: Link, values: Mapping[Variable, str], wanted: Mapping[Variable, str], sizes: Batches) -> frozenset[Variable]:
    """Those variables that have the wanted value now. What the station did not show is not written."""
    has = {variable for variable, value in wanted.items() if values.get(variable, "").strip().lower() == value.lower()}
    missing = {variable: value for variable, value in wanted.items() if variable in values and variable not in has}
    said = await set_variables(link, missing, room=sizes.set, priority=Priority.HOUSEKEEPING)
    return frozenset(has | {variable for variable, status in said.items() if status == "Accepted"})


async def _set_sampled(link: Link, values: Mapping[Variable, str], wanted: tuple[str, ...], sizes: Batches) -> None:
    """As many measurands as the station takes; one that takes none of it keeps what it has."""
    while wanted and UPDATED in values:
        if await _set(link, values, {UPDATED: ",".join(wanted)}, sizes) or link.ended:
            return
        wanted = wanted[:-1]


def _rate_units(text: str, *, dc: bool) -> tuple[str, ...]:
    """What the station says, watts first: they need no phases. A silent one is tried with both, the likely one first."""
    said = {part.strip().upper() for part in text.split(",")}
    units = tuple(unit for unit in ("W", "A") if unit in said)
    return units or (("W", "A") if dc else ("A", "W"))


def _stack_level(text: str | None) -> int:
    found = _number(text)
    return 1 if found is None else found


def _number(text: str | None) -> int | None:
    try:
        return None if text is None else max(0, int(text))
    except ValueError:
        return None
