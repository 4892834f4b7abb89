"""Packs from a table (CSV): one a line, with what is known of each.

Needed: ``pack``, ``chemistry``, ``capacity_kwh``. Where known: ``soh`` (share of nominal), ``soh_low`` and ``soh_high`` (a 90 % interval),
``age_years``, ``full_cycles``, means of the past ``past_c`` (with it, the past counts as told), ``past_soc``, ``past_depth``,
``past_c_rate`` (of charging); ``duty``: a name. Other columns are left alone.
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bms_bridge.chemistry_names import usual
from bms_bridge.twin import PacksRefused
from bms_bridge.twin.members import Pack

NEEDED: Final = ("pack", "chemistry", "capacity_kwh")
RANGES: Final = {
    "capacity_kwh": (0.1, 10_000.0),
    "soh": (0.3, 1.1),
    "soh_low": (0.0, 1.2),
    "soh_high": (0.3, 1.3),
    "age_years": (0.0, 40.0),
    "full_cycles": (0.0, 50_000.0),
    "past_c": (-30.0, 60.0),
    "past_soc": (0.0, 1.0),
    "past_depth": (0.0, 1.0),
    "past_c_rate": (0.0, 6.0),
}
INTERVAL_SD: Final = 2 * 1.645
MOST_PACKS: Final = 20_000
MOST_BYTES: Final = 20_000_000
_LEAST_SD = 0.005


@dataclass(frozen=True, slots=True)
class Listed:
    """A line: the pack, and the duty that it names ("": none)."""

    pack: Pack
    duty: str


def read_packs(path: Path) -> list[Listed]:
    """The packs of a table. PacksRefused: it cannot be read, a column is missing, or a line holds what cannot be."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise PacksRefused(f"{path} is longer than {MOST_BYTES:,} bytes: split it")
        text = path.read_bytes().decode("utf-8-sig")
        rows = csv.DictReader(text.splitlines(), strict=True)
        columns = [name.strip() for name in rows.fieldnames or ()]
        if missing := [name for name in NEEDED if name not in columns]:
            raise PacksRefused(f"{path} lacks the column {', '.join(missing)}; needed are {', '.join(NEEDED)}")
        found = [_line(path, rows.line_num, {(key or "").strip(): value for key, value in row.items()}) for row in rows]
    except OSError as error:
        raise PacksRefused(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise PacksRefused(f"{path} is no table of packs: {error}") from None
    if not 0 < len(found) <= MOST_PACKS:
        raise PacksRefused(f"{path} holds {len(found)} packs; 1 to {MOST_PACKS:,} can be run at once")
    if twice := [name for name, count in Counter(one.pack.pack_id for one in found).items() if count > 1]:
        raise PacksRefused(f"{path}: {', '.join(sorted(twice)[:5])} stands in several lines; each pack needs one")
    return found


def _line(path: Path, line: int, row: dict[str, object]) -> Listed:
    where = f"{path}, line {line}"
    words = {name: value.strip() if isinstance(value, str) else "" for name, value in row.items()}
    if not words["pack"]:
        raise PacksRefused(f"{where}: the pack has no name")
    numbers = {name: _number(where, name, words[name]) for name in RANGES if words.get(name)}
    if "capacity_kwh" not in numbers:
        raise PacksRefused(f"{where}: capacity_kwh is missing")
    soh = min(numbers.get("soh", 1.0), 1.0)
    low, high = numbers.get("soh_low"), numbers.get("soh_high")
    if low is not None and high is not None and not low <= numbers.get("soh", soh) <= high:
        raise PacksRefused(f"{where}: soh must lie between soh_low and soh_high")
    more: dict[str, float] = {
        name: numbers[name] for name in ("age_years", "full_cycles", "past_c", "past_soc", "past_depth", "past_c_rate") if name in numbers
    }
    if low is not None and high is not None:
        more["soh_sd"] = max((high - low) / INTERVAL_SD, _LEAST_SD)
    return Listed(
        Pack(words["pack"], usual(words["chemistry"]), numbers["capacity_kwh"], soh=soh, past_told="past_c" in more, **more),
        words.get("duty", ""),
    )


def _number(where: str, name: str, word: str) -> float:
    least, most = RANGES[name]
    try:
        value = float(word)
    except ValueError:
        raise PacksRefused(f"{where}: {name} must be a number, not {word[:40]!r}") from None
    if not math.isfinite(value) or not least <= value <= most:
        share = " (a share: 0.85, not 85)" if most < 2 <= value <= 100 else ""
        raise PacksRefused(f"{where}: {name} must lie between {least:g} and {most:g}, not at {word[:40]}{share}")
    return value
