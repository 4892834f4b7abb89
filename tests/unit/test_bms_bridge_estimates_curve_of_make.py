"""A curve that is wrong for a whole make is told once; one odd pack is not a make."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from bms_bridge.estimates.charge_view import ChargeState
from bms_bridge.estimates.curve_of_make import words_of_makes
from bms_bridge.estimates.view import HealthTrend, PackHealthRow

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Make:
    chemistry: str = "LFP"
    nominal_ah: float = 230.0

    def pack(self, number: int, mean_mv: float | None, *, wrong: bool = True) -> PackHealthRow:
        charge = ChargeState(NOW, 0.5, 0.4, 0.6, "", curve_mean_mv=mean_mv, curve_off_wrong=wrong)
        trend = HealthTrend(None, None, None, "")
        return PackHealthRow(
            f"E-{number}", "P1", self.chemistry, self.nominal_ah, 108, None, NOW, 4, None, None, None, trend, "", charge=charge
        )  # fmt: skip


LFP, OTHER = Make(), Make("NMC", 180.0)


def test_many_packs_on_the_same_side_are_one_sentence_with_what_to_do() -> None:
    rows = [LFP.pack(k, mean) for k, mean in enumerate((-55.0, -61.0, -58.0, None))] + [OTHER.pack(9, 70.0)]
    (words,) = words_of_makes(rows)
    assert "3 of 3 packs of LFP, 230 Ah, 108 cells lie below it, by 58 mV in the middle" in words
    assert "battery ocv-fit" in words
    assert words.endswith("told too empty")
    (above,) = words_of_makes([OTHER.pack(k, 40.0) for k in range(4)])
    assert "lie above it" in above
    assert above.endswith("told too full")


def test_two_packs_both_sides_and_curves_that_fit_are_no_make() -> None:
    assert words_of_makes([]) == []
    assert words_of_makes([LFP.pack(1, -60.0), LFP.pack(2, -60.0)]) == []
    assert words_of_makes([LFP.pack(k, mean) for k, mean in enumerate((-60.0, 55.0, -58.0, 61.0))]) == []
    assert words_of_makes([LFP.pack(k, -6.0, wrong=False) for k in range(5)]) == []
    assert words_of_makes([LFP.pack(1, -60.0), LFP.pack(2, -60.0), OTHER.pack(3, -60.0)]) == []
