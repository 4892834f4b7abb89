"""What people call a chemistry, as the word that is used here: ``NCM``, ``NMC622`` and ``LiNiMnCoO2`` are NMC, ``LiFePO4`` is LFP."""

from __future__ import annotations

import re
from typing import Final

_FORMULAE: Final = {"LIFEPO4": "LFP", "LINIMNCOO2": "NMC", "LINICOMNO2": "NMC", "LINICOALO2": "NCA", "LICOO2": "LCO", "LIMN2O4": "LMO"}
_NICKEL: Final = re.compile(r"(?:NMC|NCM)(\d{3})?")


def usual(word: str) -> str:
    """The family's word, in capitals; what is not known comes back in capitals, as it is."""
    plain = _plain(word)
    return "NMC" if _NICKEL.fullmatch(plain) else _FORMULAE.get(plain, word.strip().upper())


def grade(word: str, known: tuple[str, ...] | frozenset[str]) -> str:
    """As :func:`usual`, but with the nickel's share where ``known`` has that word: ``NCM811`` is NMC811 there, ``NCM622`` is NMC."""
    found = _NICKEL.fullmatch(_plain(word))
    finer = f"NMC{found[1]}" if found and found[1] else ""
    return finer if finer in known else usual(word)


def _plain(word: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", word.upper())
