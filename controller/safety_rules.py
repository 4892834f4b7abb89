"""What safety decides, as pure functions: which share a vehicle may have, which connector is shut, which comes back.

    packs' shares --by_vehicle()--> share of a vehicle (its worst pack counts: it has one plug)
    (facts, visit, tripped) --step()--> nothing, shut the connector, or let it go

A connector that was put back in service is let go once the tripped vehicle is seen not to hang there; a station that is
out of service says nothing of the plug, so until it speaks the worst is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from controller.pack_limits import PackLimit
from depot.state import ConnectorFacts, Visit
from depot.values import ConnectorId, PackKey

CAUSES: Mapping[str, str] = {
    "over_temperature": "too hot",
    "runaway": "temperature runs away",
    "bms_alarm": "alarm of the battery",
    "damaged_latch": "its latch record is damaged",
    "journal": "tripped before, known from the journal only",
    "cell_over_voltage": "a cell's voltage is too high",
    "cell_under_voltage": "a cell's voltage is too low",
    "voltage_spread": "cell voltages lie too far apart",
    "voltage_collapse": "a cell's voltage collapsed",
    "over_current": "more current than it may take",
    "temperature_rise": "it warms faster than charging explains",
    "temperature_spread": "temperatures lie too far apart",
    "insulation": "insulation fault",
    "smoke": "smoke",
    "gas": "gas",
    "pressure": "pressure",
    "camera": "seen hot by a thermal camera",
    "sensors_lost": "too few sensors speak",
    "stop_ignored": "charging went on after the battery's stop",
    "over_time": "charging went on beyond its time",
    "state_of_safety": "state of safety too low",
}
"""Why a pack is tripped, for people."""


class Step(StrEnum):
    """What to do with a connector now."""

    NOTHING = "nothing"
    SHUT = "shut"
    LET_GO = "let go"


def by_vehicle(shares: Mapping[PackKey, float]) -> dict[str, float]:
    """Share of its level that each vehicle may have, where that is below 1."""
    found: dict[str, float] = {}
    for pack, share in shares.items():
        if share < 1.0:
            found[pack.vehicle_id] = min(share, found.get(pack.vehicle_id, 1.0))
    return found


def held_back(packs: Mapping[PackKey, tuple[str, int | None]]) -> PackLimit | None:
    """What holds back a vehicle of these packs, each with its words and its watts: the least watts, as many times as it has packs, because
    one plug feeds them all. None: nothing does."""
    watts = [limit_w for _, limit_w in packs.values() if limit_w is not None]
    words = "; ".join(text for text, _ in packs.values() if text)
    if not watts and not words:
        return None
    return PackLimit(min(watts) * len(packs) if watts else None, words)


def hangs_on(present: Mapping[ConnectorId, Visit], vehicle_id: str) -> list[ConnectorId]:
    """The connectors on which a vehicle hangs (one with two plugs has two)."""
    return [key for key, visit in present.items() if visit.announced.vehicle_id == vehicle_id]


def first_of(tripped: Iterable[PackKey], vehicle_id: str) -> PackKey | None:
    """The first tripped pack of a vehicle."""
    return min((pack for pack in tripped if pack.vehicle_id == vehicle_id), default=None)


def step(facts: ConnectorFacts, visit: Visit | None, tripped: Iterable[PackKey], *, shut_for: PackKey | None, recorded: bool) -> Step:
    """What to do with a connector. ``shut_for``: the pack for which it is shut now; ``recorded``: the journal knows, or
    knew, that it is."""
    hanging = first_of(tripped, visit.announced.vehicle_id) if visit is not None else None
    if shut_for is None:
        return Step.SHUT if hanging is not None else Step.NOTHING
    lifted = recorded and facts.isolated_by is None  # by the pack's reset, or by a person
    if not lifted:
        return Step.NOTHING
    if hanging is None:
        return Step.LET_GO
    return Step.SHUT if facts.status.plugged else Step.NOTHING


def cause_words(cause: str, evidence: Mapping[str, str]) -> str:
    """Why a pack is tripped, in one sentence without a full stop: ``61.2 °C at sensor 0, the limit is 60 °C``."""
    words = CAUSES.get(cause, cause.replace("_", " "))
    hottest = evidence.get("hottest_c")
    where = f"{hottest} °C at sensor {evidence.get('sensor', '?')}" if hottest is not None else ""
    if "alarms" in evidence:
        return f"{words}: {evidence['alarms']}" + (f", hottest {where}" if where else "")
    if "limit_c" in evidence and where:
        return f"{where}, the limit is {evidence['limit_c']} °C"
    if "rise_c_per_s" in evidence and where:
        return f"{where}, rising by {evidence['rise_c_per_s']} K/s"
    if "journal" in evidence:
        return f"{words} ({CAUSES.get(evidence['journal'], evidence['journal'])})"
    return f"{words}, {where}" if where else words
