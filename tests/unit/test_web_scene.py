"""What tiles say: the worst thing first, unknown never as 0, and only changes on the wire."""

from __future__ import annotations

import msgspec
from fake_depot import NOW, empty, later, sample
from hypothesis import given
from hypothesis import strategies as st

from controller.readmodel import Tile, TileState
from web import scene, text

CLOCK = text.DepotTime("Asia/Kolkata", NOW)


def fields(**changes: object) -> scene.Fields:
    base = Tile(
        connector="A/1",
        label="A",
        feeder_id="F",
        state=TileState.CHARGING,
        state_text="Charging",
        vehicle_id="E-1",
        power_w=22_000,
        soc=0.5,
    )
    return scene.tile_fields(msgspec.structs.replace(base, **changes), CLOCK)


def test_every_state_has_its_own_shape_or_word() -> None:
    seen = {(f["icon"], f["cls"], f["st"]) for state in TileState if (f := fields(state=state))}
    assert len(seen) == len(TileState)


def test_an_offline_charger_shows_no_number_of_before() -> None:
    shown = fields(state=TileState.OFFLINE, power_w=22_000)
    assert (shown["power"], shown["bar"], shown["margin"]) == ("?", "f-lost", "no data")


def test_unknown_power_is_a_question_mark_and_absent_a_dash() -> None:
    assert fields(power_w=None)["power"] == "?"
    assert fields(state=TileState.AVAILABLE, vehicle_id=None, power_w=None)["power"] == "–"


def test_late_is_red_and_negative() -> None:
    shown = fields(state=TileState.LATE, margin_min=-12)
    assert (shown["cls"], shown["margin"], shown["margin_cls"]) == ("tile alarm", "−12 min", "c-alarm")


def test_chips_count_what_the_tiles_are() -> None:
    view = sample()
    chips = scene.build(view)["chips"]
    assert chips["all"] == "24"
    assert chips["needs"] == "5"
    for group, *_ in scene.CHIPS[1:]:
        assert chips[group] == str(sum(group in scene.groups(tile) for tile in view.tiles))


def test_deviating_rows_come_first() -> None:
    order = [tile.state for tile in sorted(sample().tiles, key=scene.rank)]
    assert order[:3] == [TileState.LATE, TileState.FAULTED, TileState.OFFLINE]


@given(st.sampled_from(range(24)), st.one_of(st.none(), st.integers(0, 350_000)), st.sampled_from(list(TileState)))
def test_old_plus_difference_is_new(k: int, power_w: int | None, state: TileState) -> None:
    old = sample()
    tiles = list(old.tiles)
    tiles[k] = msgspec.structs.replace(tiles[k], power_w=power_w, state=state, state_text=state.value)
    new = later(old, tiles=tiles)
    before, after = scene.build(old), scene.build(new)
    changed = scene.diff(before, after)
    merged = {name: {**before[name], **changed.get(name, {})} for name in before}
    assert merged == after
    assert all(name in ("bar", "now", "chips", "system", tiles[k].connector) for name in changed)


def test_nothing_changed_is_nothing_sent() -> None:
    assert scene.diff(scene.build(sample()), scene.build(sample())) == {}


def test_the_shape_changes_with_the_chargers_only() -> None:
    view = sample()
    assert scene.shape(view) == scene.shape(later(view))
    assert scene.shape(view) != scene.shape(empty())


def test_a_power_above_the_limit_shows_as_an_alarm() -> None:
    view = sample()
    site = msgspec.structs.replace(view.site, power_w=460_000, headroom_w=-10_000)
    now = scene.build(later(view, site=site))["now"]
    assert now["power_bar"] == "f-alarm"
    assert now["headroom"] == "−10"
    assert now["headroom_cls"] == "mid c-alarm"


def test_a_silent_meter_is_said() -> None:
    view = sample()
    site = msgspec.structs.replace(view.site, power_w=None, power_age_s=None, stale=True, headroom_w=None)
    now = scene.build(later(view, site=site))["now"]
    assert (now["power"], now["headroom"], now["meter"]) == ("?", "?", "no meter reading")
