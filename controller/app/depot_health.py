"""The depot's own estimates of health, for the commands that else read files. Nothing is written."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bms_bridge.estimates.book import Book
from bms_bridge.estimates.outlook import model_for
from bms_bridge.estimates.trend import YEAR_S
from bms_bridge.health import DataRefused
from bms_bridge.life.history import NINETY, Track
from controller.settings import Settings, SettingsError
from storage import StorageError, Store, StoreMissing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bms_bridge.life.remaining import LifeModel


@contextlib.contextmanager
def health_book(config: Path) -> Iterator[tuple[Settings, Book]]:
    """Settings and book of the depot. DataRefused: the settings cannot be used, or nothing was estimated yet."""
    try:
        settings = Settings.load(config)
        if settings.health is None:
            raise DataRefused(f"{config}: this depot estimates no health; add a section [health] (docs/battery-health.md)")
        with contextlib.closing(Store.open(settings.health_database, read_only=True)) as store:
            yield settings, Book(store)
    except SettingsError as error:
        raise DataRefused(str(error)) from error
    except StoreMissing as error:
        raise DataRefused(f"{config}: nothing was estimated yet; the health process runs with the depot") from error
    except StorageError as error:
        raise DataRefused(f"{config}: its estimates of health cannot be read now ({error})") from error


def tracks_of(book: Book) -> tuple[list[Track], tuple[str, ...]]:
    """The history of health of each pack whose full cycles since new are known, and what was left out."""
    tracks, without = [], []
    for entry in book.packs():
        history = [one for one in book.dated(entry.pack) if one.cycles is not None]
        rising: list[tuple[float, float, float, float]] = []
        for one in history:
            assert one.cycles is not None
            if not rising or one.cycles > rising[-1][0]:
                rising.append((one.cycles, one.soh, max((one.high - one.low) / 2 / NINETY, 1e-4), one.until_s))
        if not rising:
            without.append(str(entry.pack))
            continue
        cycles, soh, deviation, until_s = np.array(rising).T
        tracks.append(Track(str(entry.pack), entry.chemistry, "", cycles, soh, deviation, (until_s - until_s[0]) / YEAR_S))
    if not tracks:
        raise DataRefused(
            "no pack has an estimate of health with its full cycles since new: set cycles_before in [[health.pack]], 0 where it came new"
        )
    notes = (f"no estimates with full cycles since new (cycles_before in [[health.pack]]): {', '.join(without)}",) if without else ()
    return tracks, notes


def kinds_for(models: Mapping[str, LifeModel], tracks: Sequence[Track]) -> list[Track]:
    """Each with the model that the running depot takes for its chemistry. DataRefused: there is none."""
    found = []
    for track in tracks:
        model = model_for(models, track.kind)
        if model is None:
            raise DataRefused(f"the model of lives was not taught {track.kind} packs (it knows {', '.join(sorted(models))})")
        found.append(replace(track, kind=next(name for name, one in models.items() if one is model)))
    return found
