"""Firmware profiles: what they explain, what they may not hide, and what a wrong file is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bms_bridge import InvalidTelemetry
from bms_bridge.contract import PackSample, Source
from bms_bridge.firmware import SCHEMA, Profiles
from bms_bridge.validation import Around, Checked, IssueKind, Memory, check
from depot.values import PackKey

NOW = datetime(2026, 11, 20, 19, 42, tzinfo=UTC)
TOML = """
schema = "firmware-profiles/1"

[[profile]]
firmware = "acme 2.*"
title = "Acme BMS 2"
[profile.units]
soc = "percent"
temperatures_c = "0.1 °C"
cells_v = "mV"
[profile.invalid]
temperatures_c = [-400.0, 2150.0]
[profile.ranges]
current_a = [-400.0, 400.0]
[profile.quirks]
current_sign = "discharging_positive"
clock = false
sensors = 4
cells = 3

[[profile]]
firmware = "acme 2.9"
quirks = { sequence = false, fields = ["temperatures_c", "soc"] }
"""


def profiles(*more: dict[str, Any]) -> Profiles:
    return Profiles.of({"schema": SCHEMA, "profile": list(more)})


def checked(known: Profiles, firmware: str = "x", memory: Memory | None = None, **fields: Any) -> Checked:
    said = {"temperatures_c": (25.0, 26.0, 27.0, 28.0)} | fields
    sample = PackSample(pack=PackKey("V", "P1"), source=Source.MQTT, received_at=NOW, reported_at=NOW, firmware=firmware, **said)
    return check(memory or Memory(), sample, Around(profiles=known))[1]


def test_a_profile_explains_what_its_firmware_means(tmp_path: Path) -> None:
    (tmp_path / "firmware.toml").write_text(TOML, encoding="utf-8")
    known = Profiles.load(tmp_path / "firmware.toml")
    found = checked(
        known, "acme 2.3", temperatures_c=(251, 260, -400.0, 2150.0), soc=80.0, current_a=-100.0, cells_v=(3300, 3310.0, 3290.0)
    )
    assert [c for _, c in found.temperatures_c] == pytest.approx([25.1, 26.0])
    assert (found.soc, found.current_a) == (0.8, 100.0)
    assert found.cells_v == pytest.approx((3.3, 3.31, 3.29))
    assert {issue.kind for issue in found.issues} == {IssueKind.MISSING}


def test_the_longest_pattern_counts_and_other_firmware_is_taken_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "firmware.toml").write_text(TOML, encoding="utf-8")
    known = Profiles.load(tmp_path / "firmware.toml")
    assert checked(known, "acme 2.9", soc=0.5).soc == 0.5
    other = checked(known, "acme 3.0", soc=0.5)
    assert other.soc == 0.5
    assert "no profile knows its firmware 'acme 3.0'" in other.issues[0].text
    assert not checked(profiles(), "acme 3.0").issues, "where there are no profiles, none is missed"


def test_what_does_not_fit_the_profile_is_told_and_taken(tmp_path: Path) -> None:
    (tmp_path / "firmware.toml").write_text(TOML, encoding="utf-8")
    known = Profiles.load(tmp_path / "firmware.toml")
    found = checked(known, "acme 2.3", temperatures_c=(250.0, 250.0), current_a=500.0, cells_v=(3300.0, 3310.0))
    assert (found.current_a, found.distinct) == (-500.0, 2)
    assert len([issue for issue in found.issues if issue.kind is IssueKind.FIRMWARE]) == 3
    fields = checked(known, "acme 2.9", current_a=1.0)
    assert [issue.text for issue in fields.issues] == ["this firmware does not send current_a", "this firmware should send soc"]


def test_a_clock_that_is_worth_nothing_is_not_looked_at() -> None:
    known = profiles({"firmware": "x", "quirks": {"clock": False}})
    memory = Memory()
    for k in range(3):
        at = NOW + timedelta(seconds=k)
        sample = PackSample(
            pack=PackKey("V", "P1"), source=Source.MQTT, received_at=at, reported_at=NOW - timedelta(days=k), firmware="x",
            temperatures_c=(25.0,),
        )  # fmt: skip
        memory, found = check(memory, sample, Around(profiles=known))
        assert (found.late, found.issues) == (False, ())


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        ({"firmware": ""}, "firmware"),
        ({"firmware": "x", "unit": {}}, "unit"),
        ({"firmware": "x", "units": {"soc": "furlong"}}, "known are percent, 0.1 percent"),
        ({"firmware": "x", "units": {"speed": "m/s"}}, "speed"),
        ({"firmware": "x", "invalid": {"temperatures_c": [60.0]}}, "which a battery can have"),
        (
            {"firmware": "x", "units": {"temperatures_c": "0.1 °C"}, "invalid": {"temperatures_c": [610.0]}},
            "61 °C, which a battery can have",
        ),
        ({"firmware": "x", "invalid": {"cells_v": [4.25]}}, "which a cell can have"),
        ({"firmware": "x", "ranges": {"soc": [1, 0]}}, "must lie below"),
        ({"firmware": "x", "quirks": {"sensors": 0}}, "sensors"),
        ({"firmware": "x", "quirks": {"current_sign": "either"}}, "current_sign"),
    ],
)
def test_a_profile_that_cannot_be_right_or_hides_a_danger_is_refused(profile: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidTelemetry, match=words):
        profiles(profile)


def test_two_profiles_for_one_firmware_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTelemetry, match="two profiles"):
        profiles({"firmware": "x"}, {"firmware": "x"})
    with pytest.raises(InvalidTelemetry, match="schema"):
        Profiles.of({"schema": "firmware-profiles/2"})
    for content in (b"[[", b"\xff"):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(InvalidTelemetry, match=r"bad\.toml"):
            Profiles.load(tmp_path / "bad.toml")
    with pytest.raises(InvalidTelemetry, match="No such file"):
        Profiles.load(tmp_path / "none.toml")


def test_a_unit_that_changes_its_name_each_time_costs_no_memory() -> None:
    known = profiles({"firmware": "x*"})
    for k in range(3000):
        assert known.of_firmware(f"x{k}") is known.profiles[0]
    assert len(known.found) <= 1000
