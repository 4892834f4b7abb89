"""The depot's own assessment in words: units beside names, modules in their order, no figures that nobody reads."""

from __future__ import annotations

from bms_bridge.passport.shown import assessment_rows

OWN = {
    "state_of_health": {"soh": 0.927, "low": 0.886, "high": 0.97, "method": "counted charge", "at": "2026-11-21T19:36:50Z"},
    "modules": [{"name": f"module {number}", "low": 0.89, "high": 0.95, "grade": "vehicle again"} for number in (1, 10, 2)],
    "record_of_life": {
        "first_at": "2026-09-02T12:43:47.685045Z",
        "seen_h": 114.617,
        "unseen_h": 1812.27,
        "hours_by_temperature_c": {"20 to 30": 34.5319, "30 to 40": 0.0},
        "least_insulation_ohm": 2_193_300.0,
        "months": [{"month": "2026-09"}],
        "trips": 0,
    },
}


def test_an_assessment_is_in_words_with_units_and_in_order() -> None:
    rows = assessment_rows({"assessment": OWN})
    assert [what for what, _ in rows][1:4] == ["Module 1", "Module 2", "Module 10"]
    told = dict(rows)
    assert told["State of health"] == "92.7%, 90% interval 88.6% to 97.0%; counted charge, 2026-11-21 19:36 UTC"
    assert told["First heard of"] == "2026-09-02 12:43 UTC"
    assert (told["Hours seen"], told["Hours not seen"]) == ("115", "1,812")
    assert told["Hours by temperature, °C"] == "20 to 30: 34.5"
    assert told["Least insulation, Ω"] == "2,193,300"
    assert "Months" not in told
    assert assessment_rows({}) == []
