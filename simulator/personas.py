"""How charging stations behave: the polite one, and eight that exist in the field. Assigned by a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Persona(StrEnum):
    """A station's character. All but the first are faults or habits that central systems must live with."""

    POLITE = "polite"
    IGNORES_LIMITS = "ignores_limits"
    OVERDRAWS = "overdraws"
    SILENT = "silent"
    LATE = "late"
    KWH_FOR_WH = "kwh_for_wh"
    ENDS_AT_ZERO = "ends_at_zero"
    FORGETS_PROFILES = "forgets_profiles"
    DOUBLES_STOP = "doubles_stop"
    SILENT_GIVER = "silent_giver"
    STOPS_GIVING = "stops_giving"
    GIVES_TOO_MUCH = "gives_too_much"
    CHARGES_INSTEAD = "charges_instead"


GIVING = (Persona.SILENT_GIVER, Persona.STOPS_GIVING, Persona.GIVES_TOO_MUCH, Persona.CHARGES_INSTEAD)
"""Characters that show only where a vehicle gives power; nobody draws them by chance."""


@dataclass(frozen=True, slots=True)
class Spells:
    """Something that happens now and then: mean depot seconds between two times, and how long it lasts (least, most)."""

    every_s: float
    lasts_s: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a station does, as numbers.

    ``obeys``: limits reach its power electronics at all (it obeys RemoteStop either way). ``draws``: share of its limit
    that it draws. ``deaf``: spells in which it neither hears nor says anything, on an open connection. ``answer_s``:
    depot seconds (least, most) by which it answers and acts late. ``kwh``: its energy numbers are kWh where Wh are
    claimed. ``ends_at_zero``: a limit below the vehicle's minimum ends the session, and only a re-plug helps.
    ``reboots``: spells of a restart after which every profile is forgotten and the session goes on. ``stops``: how
    often it reports one stop. ``silent_giver``: while it gives it says nothing of its meter, asked or not. ``gives_for``: spells
    after which it ends a discharge by itself. ``gives_share``: share of what it is told to give that it gives; below 0 it charges.
    """

    obeys: bool = True
    draws: float = 1.0
    deaf: Spells | None = None
    answer_s: tuple[float, float] | None = None
    kwh: bool = False
    ends_at_zero: bool = False
    reboots: Spells | None = None
    stops: int = 1
    silent_giver: bool = False
    gives_for: Spells | None = None
    gives_share: float = 1.0


_HOUR_S = 3600.0

BEHAVIOURS: Mapping[Persona, Behaviour] = {
    Persona.POLITE: Behaviour(),
    Persona.IGNORES_LIMITS: Behaviour(obeys=False),
    Persona.OVERDRAWS: Behaviour(draws=1.12),
    Persona.SILENT: Behaviour(deaf=Spells(2 * _HOUR_S, (120.0, 480.0))),
    Persona.LATE: Behaviour(answer_s=(8.0, 25.0)),
    Persona.KWH_FOR_WH: Behaviour(kwh=True),
    Persona.ENDS_AT_ZERO: Behaviour(ends_at_zero=True),
    Persona.FORGETS_PROFILES: Behaviour(reboots=Spells(6 * _HOUR_S, (20.0, 45.0))),
    Persona.DOUBLES_STOP: Behaviour(stops=2),
    Persona.SILENT_GIVER: Behaviour(silent_giver=True),
    Persona.STOPS_GIVING: Behaviour(gives_for=Spells(900.0, (300.0, 1200.0))),
    Persona.GIVES_TOO_MUCH: Behaviour(gives_share=1.6),
    Persona.CHARGES_INSTEAD: Behaviour(gives_share=-1.0),
}

DEFAULT_SHARE = 0.05
"""Share of the stations that gets each persona other than polite, unless told."""


def rng_for(seed: int, name: str) -> random.Random:
    """The one source of randomness of the thing called ``name``; the same for the same seed, in every process."""
    return random.Random(f"{seed}/{name}")  # noqa: S311  # a simulation must be repeatable, not secret


def assign(stations: Sequence[str], seed: int, share: Mapping[Persona, float] | None = None) -> dict[str, Persona]:
    """Give every station a persona.

    ``share``: fraction of the stations for each persona named (others :data:`DEFAULT_SHARE`; ``polite`` takes what is
    left). With nine stations or more every persona with a share above 0 is there at least once; with fewer, each
    station draws its own. Raises ValueError where the shares make no sense.
    """
    found = [persona for persona in Persona if persona not in GIVING]
    shares = {persona: DEFAULT_SHARE for persona in found if persona is not Persona.POLITE} | dict(share or {})
    shares.pop(Persona.POLITE, None)
    if min(shares.values()) < 0 or sum(shares.values()) > 1 + 1e-9:
        raise ValueError("shares of personas must be 0 or more, and together at most 1")
    rng = rng_for(seed, "personas")
    if len(stations) < len(found):
        odd = list(shares)
        weights = [shares[persona] for persona in odd]
        return {s: rng.choices([*odd, Persona.POLITE], [*weights, max(0.0, 1.0 - sum(weights))])[0] for s in stations}
    hand: list[Persona] = []
    for persona, fraction in shares.items():
        hand += [persona] * (max(1, int(fraction * len(stations) + 1e-9)) if fraction > 0 else 0)
    rng.shuffle(hand)
    hand = hand[: len(stations)]
    hand += [Persona.POLITE] * (len(stations) - len(hand))
    rng.shuffle(hand)
    return dict(zip(stations, hand, strict=True))
