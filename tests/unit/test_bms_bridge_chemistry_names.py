"""Chemistries by the words that makers and laboratories use."""

from __future__ import annotations

import pytest

from bms_bridge.chemistry_names import grade, usual


@pytest.mark.parametrize(
    ("word", "family", "finer"),
    [
        ("nmc", "NMC", "NMC"),
        ("NCM", "NMC", "NMC"),
        ("NCM-811", "NMC", "NMC811"),
        ("nmc 622", "NMC", "NMC"),
        ("LiFePO4", "LFP", "LFP"),
        (" lfp ", "LFP", "LFP"),
        ("NCA", "NCA", "NCA"),
        ("NCM_NCA", "NCM_NCA", "NCM_NCA"),
        ("LiMn2O4", "LMO", "LMO"),
        ("something", "SOMETHING", "SOMETHING"),
        ("", "", ""),
    ],
)
def test_words_of_others_are_known_and_unknown_ones_stay(word: str, family: str, finer: str) -> None:
    assert usual(word) == family
    assert grade(word, ("NMC", "NMC811", "LFP")) == finer
