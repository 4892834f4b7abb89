"""Who sees what of a passport. Pure.

Article 77 (2) of Regulation (EU) 2023/1542 names three circles and the points of Annex XIII that each may see: everybody point 1;
notified bodies, market surveillance authorities and the Commission points 2 and 3 besides; persons with a legitimate interest points
2 and 4 besides. Who repurposes a battery is such a person, and gets this depot's own assessment in addition: health with its interval,
grade, spread of the cells. The owner's copy has everything.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from bms_bridge.passport.fields import FIELDS, put


class Tier(StrEnum):
    """Who asks."""

    PUBLIC = "public"
    LEGITIMATE_INTEREST = "legitimate_interest"
    AUTHORITY = "authority"
    REPURPOSER = "repurposer"
    OWNER = "owner"


POINTS: Final[Mapping[Tier, frozenset[int]]] = {
    Tier.PUBLIC: frozenset({1}),
    Tier.LEGITIMATE_INTEREST: frozenset({1, 2, 4}),
    Tier.AUTHORITY: frozenset({1, 2, 3}),
    Tier.REPURPOSER: frozenset({1, 2, 4}),
    Tier.OWNER: frozenset({1, 2, 3, 4}),
}

_WHO: Final[Mapping[int, str]] = {
    2: "for persons with a legitimate interest and authorities (Annex XIII, point 2)",
    3: "for notified bodies and authorities (Annex XIII, point 3)",
    4: "for persons with a legitimate interest (Annex XIII, point 4)",
}

ASSESSED: Final = frozenset({Tier.REPURPOSER, Tier.OWNER})
"""Who gets the depot's own assessment."""


def shown_to(passport: Mapping[str, Any], tier: Tier) -> dict[str, Any]:
    """The owner's copy of a passport as ``tier`` may see it: the rest is withheld, and each place says so."""
    document: dict[str, Any] = copy.deepcopy(dict(passport))
    document["tier"] = tier.value
    for field in FIELDS:
        if field.point in POINTS[tier]:
            continue
        put(document["aspects"], field.path, copy.deepcopy(field.missing))
        document["absent"][field.path] = {"kind": "withheld", "reason": _WHO[field.point]}
        document["provenance"].pop(field.path, None)
        document["details"].pop(field.path, None)
    if tier not in ASSESSED:
        document.pop("assessment", None)
    if tier is not Tier.OWNER:
        document.pop("foreign", None)
    return document
