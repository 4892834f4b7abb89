"""docs/telemetry.md says what the program does."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from bms_bridge import broker, contract, door, gate, guard, mqtt, thermal, validation
from bms_bridge.chemistry import ALARMS, LEAST_SHARE, TABLE, Chemistry
from bms_bridge.contract import PackSample, Source, TelemetryV1, TelemetryV2, parse, topic_of
from bms_bridge.edge import bands, recorder, store, uplink, wire
from bms_bridge.ocpp_samples import UNCERTAINTY_K
from depot.values import PackKey, Role

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "telemetry.md").read_text(encoding="utf-8")
LFP = TABLE[Chemistry.LFP]
HABITS = recorder.Habits(boot=0)


def table(name: str) -> list[list[str]]:
    inside = PAGE.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in inside.strip().splitlines()]
    return rows[2:]


def test_the_topic_is_the_contract_s() -> None:
    topic = topic_of("{depot_id}".strip("{}"), PackKey("vehicle_id", "pack_id"))
    for name in ("depot_id", "vehicle_id", "pack_id"):
        topic = topic.replace(f"/{name}", f"/{{{name}}}")
    assert topic in PAGE


def test_the_example_is_taken_as_it_stands() -> None:
    match = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert match
    found = parse(
        "d", topic_of("d", PackKey("V", "P")), match.group(1).encode(), received_at=datetime(2026, 11, 20, 19, 42, 13, tzinfo=UTC)
    )
    assert isinstance(found, PackSample)
    assert set(json.loads(match.group(1))) == {field.name for field in msgspec.structs.fields(TelemetryV2)}
    assert not [issue for issue in validation.check(validation.Memory(), found)[1].issues if issue.kind is not validation.IssueKind.MISSING]


def test_the_fields_are_the_schema_s() -> None:
    required = {field.name: field.required for field in msgspec.structs.fields(TelemetryV2)}
    assert {row[0].strip("`"): row[2] == "yes" for row in table("fields")} == required


def test_version_1_lacks_what_is_said() -> None:
    lacks = set(required_of(TelemetryV2)) - set(required_of(TelemetryV1))
    line = next(line for line in PAGE.splitlines() if line.startswith("`pack_telemetry/1` is still taken"))
    assert set(re.findall(r"`(\w+)`", line)) == lacks


def required_of(kind: type[msgspec.Struct]) -> dict[str, bool]:
    return {field.name: field.required for field in msgspec.structs.fields(kind)}


def test_the_groups_are_the_form_s() -> None:
    told = [(int(row[0]), row[1].strip("`"), int(row[2]), float(row[3])) for row in table("groups")]
    assert told == [(group.id, group.name, group.most, group.unit) for group in wire.GROUPS]


def test_the_bands_are_the_recorder_s() -> None:
    told = {row[0].strip("`"): (float(row[1]), float(row[2])) for row in table("bands")}
    assert told == {name: (pytest.approx(band.step * band.group.unit), band.band) for name, band in bands.USUAL.items()}


def test_the_thresholds_are_the_table_s() -> None:
    told = {row[0]: [float(cell) for cell in row[1:]] for row in table("thresholds")}
    assert told == {
        str(name): [row.cold_stop_c, row.cold_full_c, row.derate_from_c, row.derate_full_c, row.trip_c, row.reset_below_c]
        for name, row in TABLE.items()
    }


def test_the_alarms_are_the_table_s() -> None:
    assert [(row[0].strip("`"), row[1]) for row in table("alarms")] == [(alarm, str(effect)) for alarm, effect in ALARMS.items()]


@pytest.mark.parametrize(
    "words",
    [
        f"more than {contract.MOST_BYTES} bytes",
        f"at most {contract.MOST_SENSORS};",
        f"the same way, at most {contract.MOST_CELLS}",
        f"number, 1 to {wire.MOST_ROWS}",
        f"milliseconds: 1 to {wire.MOST_TICK_MS}",
        f"bytes and {wire.MOST_VALUES} values",
        f"(1 to {wire.MOST_STEP})",
        f"a sensor at {HABITS.hot_c:g} °C or more and a rise of {HABITS.rise_k_per_s:g} K/s over {HABITS.rise_over_s:g} s",
        f"for {HABITS.after_s:g} s longer",
        f"the {HABITS.before_s:g} s before it",
        f"sent after {HABITS.batch_s:g} s, and something is told every {HABITS.heartbeat_s:g} s",
        f"waited longer than {uplink.NEWS_S:g} s",
        f"newest {contract.KEPT_REJECTIONS}",
        f"−{-validation.COLDEST_C:g} to {validation.HOTTEST_C:g} °C",
        f"not moved for {validation.STUCK_S:g} s while the others moved by {validation.STUCK_OTHERS_K:g} K",
        f"last {validation.SAME_CHANGES} changes",
        f"more than {validation.LATE_S:g} s",
        f"than {validation.TOO_OLD_S:g} s old",
        f"straight line to {LEAST_SHARE:g}, in steps of {thermal.STEP:g}",
        f"differ by more than {LFP.spread_c:g} K",
        f"rises by {LFP.rise_c_per_s:g} K/s or more over {thermal.RISE_OVER_S:g} s",
        f"heard of the pack for {thermal.SILENT_AFTER_S[Source.MQTT]:g} s",
        f"fall by {thermal.HYSTERESIS_K:g} K",
        f"hold on for {thermal.HOLD_S:g} s",
        f"{UNCERTAINTY_K:g} K hotter",
        f"heard for {guard.BUS_SILENT_S:g} s",
        f"rise of {LFP.runaway_c_per_s:g} K/s or more over {thermal.RUNAWAY_OVER_S:g} s",
        f"for {thermal.COOL_BEFORE_RESET_S:g} s without a gap",
        f"at most {broker.SESSION_KEPT_S} s in the embedded broker",
        f"at most {door.MOST_PACKET} bytes",
        f"({door.LONGEST_SILENCE_S:g} s at most)",
        f"more than {door.MOST_PER_ACCOUNT} connections",
        f"the newest {gate.MOST_KEPT} messages for a controller that is away, in memory, for {broker.SESSION_KEPT_S} s",
        f"echo every {mqtt.ECHO_S:g} s",
    ],
)
def test_the_numbers_in_the_text_are_the_program_s(words: str) -> None:
    assert words in re.sub(r"\s+", " ", PAGE)


def test_who_may_reset() -> None:
    assert {Role.SAFETY_OFFICER, Role.ADMIN} == guard.MAY_RESET
    assert "A safety officer or an admin resets it" in PAGE


def test_three_times_is_three_times() -> None:
    assert store.THINNINGS == 3
    assert "three times at most" in PAGE


def test_half_is_half() -> None:
    assert thermal.CAUTIOUS_SHARE == 0.5
    assert "four" in PAGE
    assert thermal.SENSORS_NEEDED == 4
