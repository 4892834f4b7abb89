"""Settings of the layout: what cannot stand so is refused with a sentence; absent, nothing changes."""

from __future__ import annotations

from typing import Any

import pytest
from small_yard import SPEC

from bms_bridge.layout import Bay, Layout
from controller.layout_neighbours import BESIDE_MIN, ByLayout
from controller.sections_layout import BaySection, LayoutSection, WallSection, check_layout, layout_of
from depot.values import InvalidValue

WHOLE = LayoutSection()


def bay(station: str, x_m: float, **more: Any) -> BaySection:
    return BaySection(id=station, x_m=x_m, y_m=0.0, **more)


STATIONS = [station.bay_id or station.station_id for station in SPEC.stations]


def test_without_bays_there_is_no_layout() -> None:
    assert layout_of((), (), WHOLE) is None
    check_layout((), (), WHOLE, SPEC)


def test_bays_and_walls_become_a_layout() -> None:
    wall = WallSection(x1_m=10, y1_m=-5, x2_m=10, y2_m=5, fire_minutes=60)
    places = [bay(STATIONS[0], 0.0), bay(STATIONS[1], 20.0, compartment="east")]
    check_layout(places, [wall], WHOLE, SPEC)
    layout = layout_of(places, [wall], WHOLE)
    assert layout is not None
    assert list(layout) == STATIONS[:2]
    assert layout.sight(STATIONS[0], STATIONS[1]).wall_minutes == 60


@pytest.mark.parametrize(
    ("places", "walls", "words"),
    [
        ([bay("nowhere", 0.0)], [], "no station of the depot stands in a bay of that name"),
        ([bay(STATIONS[0], 0.0), bay(STATIONS[0], 50.0)], [], "two bays have the id"),
        ([bay(STATIONS[0], 0.0), bay(STATIONS[1], 3.0)], [], "lie on each other"),
        ([], [WallSection(x1_m=0, y1_m=0, x2_m=1, y2_m=0)], "there are walls, but no bay has a place"),
    ],
)
def test_what_cannot_be_is_refused(places: list[BaySection], walls: list[WallSection], words: str) -> None:
    with pytest.raises(InvalidValue, match=words):
        check_layout(places, walls, WHOLE, SPEC)


def test_neighbours_come_from_the_layout_and_by_name_where_a_bay_has_no_place() -> None:
    layout = Layout(bays=tuple(Bay(bay_id=f"B{n}", x_m=0.0, y_m=place) for n, place in enumerate((0.0, 60.0, 4.0))))
    known, bays = ByLayout(layout), ["B0", "B1", "B2", "B3"]
    (first,) = known.of("B0", bays)
    assert first.bay == "B2"
    assert first.from_min is not None
    assert first.from_min <= BESIDE_MIN
    assert known.of("B0", ["B0", "B1"]) == []
    assert [other.bay for other in known.of("B2", bays)] == ["B0", "B3"]  # B3 has no place: by its name it is next
    assert [other.bay for other in known.of("B3", bays)] == ["B2"]
