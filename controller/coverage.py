"""Whether a station keeps to its default without a controller, and if not, why (invariant 3). Pure.

A station that is *uncovered* is counted at its rated power, whatever level it was told: nobody can say what it would do if
this controller died. What is merely not known yet is no reason: then its confirmed default counts.
"""

from __future__ import annotations

from collections.abc import Sequence

from depot.events import StationProbed
from depot.registry import StationSpec

ADVICE = "update its firmware, or ask its maker why."


def gap(spec: StationSpec, probe: StationProbed | None) -> str:
    """Why the defaults of this station cannot be relied on, for people; empty: they can, as far as is known.

    ``falls_back`` weighs more than what the station says of itself: what was seen is true.
    """
    if probe is None or probe.falls_back is True:
        return ""
    if probe.falls_back is False:
        return "It was seen not to fall back to its default when a limit expires."
    if "TxDefaultProfile" not in probe.purposes:
        return "It takes no default profile."
    if "TxProfile" not in probe.purposes and probe.max_stack_level == 0:
        return "It cannot hold a limit and a default at once: it takes no transaction profile and has one stack level."
    needed = 2 * len(spec.connectors)
    if probe.max_profiles and probe.max_profiles < needed:
        return f"It says that it holds {probe.max_profiles} profiles at once; a limit and a default for each connector are {needed}."
    return ""


def uncovered(spec: StationSpec, probe: StationProbed | None, default_w: int | None) -> str:
    """The same for one of its connectors: also where no default is confirmed (``default_w`` None). A station that was never
    probed has not been commissioned, and nothing is counted for it."""
    return gap(spec, probe) or ("No default is confirmed there." if probe is not None and default_w is None else "")


def in_words(probe: StationProbed | None) -> str:
    """What was probed, for people."""
    if probe is None:
        return "Not probed yet."
    names = {"TxProfile": "transaction", "TxDefaultProfile": "default", "ChargePointMaxProfile": "station"}
    purposes = [name for purpose, name in names.items() if purpose in probe.purposes]
    parts = [
        f"Takes {_list(purposes)} profiles in {_list(probe.rate_units)}" if purposes else "Takes no profiles",
        f"{probe.max_stack_level + 1} stack levels" if purposes else "",
        f"{probe.max_periods} periods a schedule" if probe.max_periods else "",
        f"{probe.max_profiles} profiles at once" if probe.max_profiles else "",
        "switches phases" if probe.switches_phases else "",
        {True: "tells its schedule", False: "does not tell its schedule", None: ""}[probe.composite],
        {True: "falls back to its default", False: "does not fall back to its default", None: "whether it falls back is not known yet"}[
            probe.falls_back
        ],
    ]
    return ", ".join(part for part in parts if part) + "."


def _list(words: Sequence[str]) -> str:
    return ", ".join(words[:-1]) + (" and " if len(words) > 1 else "") + words[-1] if words else "nothing"
