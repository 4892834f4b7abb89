"""A fortnight of a pack's state of charge: a point a quarter of an hour, the newest word of it, no more than is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from bms_bridge import estimates as room
from bms_bridge.estimates.charge_past import KEPT_SLOTS, past_of, points
from bms_bridge.estimates.charge_view import ChargePoint, ChargeState
from bms_bridge.estimates.shelf import Shelf
from bms_bridge.soc.cells import kind_of
from bms_bridge.soc.estimate import Knowledge, Samples, follow
from depot.values import PackKey
from storage import Store

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PACK, OTHER = PackKey("E-101", "P1"), PackKey("E-102", "P1")


@contextlib.contextmanager
def shelf(folder: Path) -> Iterator[tuple[Shelf, Store]]:
    with contextlib.closing(Store.open(folder / "health.db")) as store:
        store.migrate([room])
        yield Shelf(store), store


def point(at: datetime, soc: float = 0.5) -> ChargePoint:
    return ChargePoint(at, soc, soc - 0.03, soc + 0.03, soc - 0.01)


def put(kept: Shelf, pack: PackKey, *past: ChargePoint) -> None:
    kept.put_charge(pack, ChargeState(past[-1].at, 0.5, 0.4, 0.6, ""), None, past)


def test_a_quarter_of_an_hour_has_its_last_step_that_says_something() -> None:
    count, step_s = 120, 30.0
    time_s = NOON.timestamp() + np.arange(count) * step_s
    current, volts = np.zeros(count), np.full(count, 3.8)
    current[70:] = volts[70:] = np.nan
    rows = [row[None, :] for row in (time_s, current, volts, np.full(count, 25.0))]
    samples = Samples(**dict(zip(("time_s", "current_c", "voltage_v", "temperature_c"), rows, strict=True)))
    bms = np.full(count, np.nan)
    bms[:20] = 0.61
    bms[118] = 0.62
    found = points(time_s, bms, follow(kind_of("NMC"), samples, Knowledge(soc=0.6)))
    assert [one.at.replace(second=0) - NOON for one in found][:2] == [timedelta(minutes=14), timedelta(minutes=29)]
    assert found[0].bms_soc is None  # its own system fell silent before
    assert found[0].soc is not None
    assert found[0].low is not None
    assert found[0].low < found[0].soc
    assert (found[-1].soc, found[-1].low, found[-1].bms_soc) == (None, None, 0.62)  # the current was missing for longer than is borne
    assert not points(time_s[:0], bms[:0], follow(kind_of("NMC"), Samples(**{name: np.zeros((1, 0)) for name in SAMPLES}), Knowledge()))


SAMPLES = ("time_s", "current_c", "voltage_v", "temperature_c")


def test_a_later_look_at_the_same_quarter_counts_and_a_fortnight_is_kept(tmp_path: Path) -> None:
    with shelf(tmp_path) as (kept, store):
        put(kept, PACK, point(NOON), point(NOON + timedelta(minutes=15), 0.6))
        put(kept, PACK, point(NOON + timedelta(minutes=22), 0.7))
        put(kept, OTHER, point(NOON, 0.9))
        with store.reading() as connection:
            assert [one.soc for one in past_of(connection, PACK, NOON + timedelta(hours=1))] == [0.5, 0.7]
            assert [one.bms_soc for one in past_of(connection, OTHER, NOON + timedelta(hours=1))] == [0.89]
        many = [point(NOON + timedelta(minutes=15 * k), 0.4) for k in range(KEPT_SLOTS + 40)]
        put(kept, PACK, *many)
        with store.reading() as connection:
            found = past_of(connection, PACK, many[-1].at)
            assert (len(found), found[-1].at) == (KEPT_SLOTS, many[-1].at)
            assert len(past_of(connection, OTHER, NOON)) == 1  # another pack's stay
            assert past_of(connection, PACK, many[-1].at + timedelta(days=15)) == []  # nobody heard it lately: nothing of the last days


def test_a_book_of_before_has_none(tmp_path: Path) -> None:
    with contextlib.closing(Store.open(tmp_path / "empty.db")) as store, store.reading() as connection:
        assert past_of(connection, PACK, NOON) == []
