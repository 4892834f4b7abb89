"""Pack days out of the lake: the like point of each day is where a charge has ended and the current has gone. Questions only.

    packs of the lake × what the registry says of them --SQL--> one row for each pack and day --> PackDays

A day's like point is a sample with the day's highest state of charge (within half a percent) and less than C/20, half an hour after
the first such where there is one. The slope is fitted to the charge's last tenth before it. What the pack loses at rest is how fast the
mean cell falls later than three hours after the charge, over that slope, where the rest lasts nine hours or more. What balancing
took is its current over the time since the like point before, where the unit tells it (never for more than :data:`HELD_S` after a
sample). A production batch is told by no registry: the settings, a small table beside (``pack,batch,made``) or a passport can say it.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.cohorts import STEEP_V
from bms_bridge.anomalies.pack_days import PackDays, day_number, day_text, made
from bms_bridge.chemistry import CELL, Chemistry
from bms_bridge.in_short import UNREADABLE, in_short
from depot.fleet import Pack

Ask = Callable[[str], Sequence[tuple[Any, ...]]]
"""Rows of one SELECT over the lake."""

HELD_S: Final = 150.0
"""So long after a sample its balancing current is taken to go on."""

LOOK_BACK_D: Final = 3
"""So many days before the first one are read too, for what balancing took since the like point before."""

LOOK_AHEAD_D: Final = 1
"""… and after the last one, for the rest that goes on over midnight."""

RESTED_S: Final = 3 * 3600
"""So long after the charge its voltage has become quiet: what it falls from then on is taken for charge that is lost."""

LEAST_REST_S: Final = 6 * 3600
LONGEST_REST_S: Final = 36 * 3600
FLAT_V: Final = 0.3
"""V per 1.0 of charge: on a flatter piece of the curve what is left of the relaxation would look like charge that is lost."""

STILL_C: Final = 0.002
"""1/h: a current above it ends the rest. What flows below it is lost charge, too: a load that the sensor hardly sees."""

PACKS_SQL: Final = "SELECT pack, vehicle_id, pack_id, CAST(first_at AS DATE) FROM packs"
DAYS_SQL: Final = """
WITH known(pack, ah) AS (VALUES {known}),
s AS (
  SELECT samples.pack AS pack, date, received_at AS seen, soc, current_a AS a, cells_v, list_avg(cells_v) AS mean_v,
         list_avg(temperatures_c) AS warm_c, firmware, ah, balancing_a
  FROM samples JOIN known ON samples.pack = known.pack
  WHERE samples.pack IN ({packs}) AND date >= DATE '{before}' AND date <= DATE '{after}' AND quality = 'good'
    AND soc IS NOT NULL AND current_a IS NOT NULL AND len(cells_v) >= 2
),
top AS (SELECT pack, date, max(soc) AS most FROM s WHERE a > -0.02 * ah GROUP BY ALL),
calm AS (SELECT s.* FROM s JOIN top USING (pack, date) WHERE soc >= most - 0.005 AND abs(a) <= 0.05 * ah),
begun AS (SELECT pack, date, min(seen) AS began FROM calm GROUP BY ALL),
point AS (
  SELECT calm.*, row_number() OVER (PARTITION BY pack, date ORDER BY abs(epoch(seen) - epoch(began) - 1800)) AS place, began
  FROM calm JOIN begun USING (pack, date)
),
rise AS (
  SELECT pack, date, regr_slope(mean_v, soc) AS slope_v, count(*) AS n, max(soc) - min(soc) AS width
  FROM s JOIN top USING (pack, date) WHERE a > 0.02 * ah AND soc BETWEEN most - 0.1 AND most GROUP BY ALL
),
steps AS (
  SELECT pack, date, ah, a - lag(a) OVER w AS da, mean_v - lag(mean_v) OVER w AS dv, epoch(seen) - epoch(lag(seen) OVER w) AS dt
  FROM s WINDOW w AS (PARTITION BY pack, date ORDER BY seen)
),
stiff AS (SELECT pack, date, median(dv / da) AS ohm FROM steps WHERE dt <= 30 AND abs(da) > 0.1 * ah AND dv / da > 0 GROUP BY ALL),
near AS (SELECT pack, date, date AS day, began FROM begun UNION ALL SELECT pack, date + 1, date, began FROM begun),
still AS (
  SELECT s.pack AS pack, day, seen, mean_v, abs(a) > {still_c} * ah AS busy
  FROM s JOIN near ON s.pack = near.pack AND s.date = near.date
  WHERE epoch(seen) BETWEEN epoch(began) + {rested_s} AND epoch(began) + {longest_s}
),
woken AS (SELECT pack, day, min(seen) AS woke FROM still WHERE busy GROUP BY ALL),
rested AS (
  SELECT still.pack AS pack, still.day AS date, -regr_slope(mean_v, epoch(seen) / 86400) AS fall_v,
         count(*) AS n, max(epoch(seen)) - min(epoch(seen)) AS span_s
  FROM still LEFT JOIN woken ON still.pack = woken.pack AND still.day = woken.day
  WHERE woke IS NULL OR seen < woke GROUP BY ALL
),
first AS (SELECT pack, date, arg_min(mean_v, seen) AS first_v FROM calm GROUP BY ALL),
bled AS (
  SELECT pack, seen, balancing_a AS b,
         least(coalesce(epoch(lead(seen) OVER (PARTITION BY pack ORDER BY seen)) - epoch(seen), 0), {held}) / 3600 AS h
  FROM s WHERE len(balancing_a) >= 2
),
ends AS (SELECT pack, date, seen AS ended FROM point WHERE place = 1),
spent AS (
  SELECT ends.pack AS pack, ends.date AS date, h, unnest(b) AS a, generate_subscripts(b, 1) AS cell
  FROM bled ASOF JOIN ends ON bled.pack = ends.pack AND bled.seen <= ends.ended
),
took AS (SELECT pack, date, cell, sum(coalesce(a, 0) * h) AS took_ah FROM spent GROUP BY ALL),
listed AS (SELECT pack, date, list(took_ah ORDER BY cell) AS balanced_ah FROM took GROUP BY ALL)
SELECT point.pack, point.date, point.cells_v, point.soc, point.ah,
       CASE WHEN rise.n >= 5 AND width >= 0.02 THEN slope_v END, point.warm_c, ohm,
       CASE WHEN epoch(point.seen) - epoch(began) BETWEEN 1200 AND 2700 THEN first_v - point.mean_v END, point.firmware, balanced_ah,
       CASE WHEN rise.n >= 5 AND width >= 0.02 AND slope_v BETWEEN {flat_v} AND {steep_v}
             AND rested.n >= 20 AND span_s >= {least_rest_s} THEN fall_v / slope_v END
FROM point LEFT JOIN rise USING (pack, date) LEFT JOIN stiff USING (pack, date) LEFT JOIN first USING (pack, date)
     LEFT JOIN listed USING (pack, date) LEFT JOIN rested USING (pack, date)
WHERE place = 1 AND point.date BETWEEN DATE '{since}' AND DATE '{until}' ORDER BY point.pack, point.date
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """What neither lake nor registry knows of a pack. ``made``: days since 1970, None: not told. ``batch_from``: who told the batch, ""
    where a person did."""

    batch: str = ""
    made: int | None = None
    batch_from: str = ""


class NoDays(TableRefused):
    """The lake holds no day that can be used in the span that was asked for."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A pack of the lake of which enough is known. ``born``, ``heard`` (its first sample): days since 1970."""

    name: str
    capacity_ah: float
    chemistry: str
    born: int
    heard: int


def chosen_packs(
    ask: Ask, registered: Mapping[tuple[str, str], Pack], beside: Mapping[str, Beside]
) -> tuple[dict[str, Chosen], tuple[str, ...]]:
    """By pseudonym what is known of each pack, and what is told of those that are left out. TableRefused: none has what is needed."""
    chosen: dict[str, Chosen] = {}
    unknown = []
    for pseudonym, vehicle, pack, first in ask(PACKS_SQL):
        name = f"{vehicle}/{pack}"
        found = registered.get((vehicle, pack))
        capacity_ah = _capacity_ah(found)
        if found is None or capacity_ah is None:
            unknown.append(name)
            continue
        born = beside.get(name, Beside()).made
        heard = day_number(str(first))
        chosen[str(pseudonym)] = Chosen(name, capacity_ah, found.chemistry, born if born is not None else heard, heard)
    if not chosen:
        raise TableRefused("no pack of the lake has capacity and number of cells in the registry: register them (docs/registry.md)")
    if not unknown:
        return chosen, ()
    told = f"{len(unknown)} packs left out: the registry does not know their capacity and cells ({', '.join(sorted(unknown)[:5])})"
    return chosen, (told,)


def days_of(ask: Ask, chosen: Mapping[str, Chosen], beside: Mapping[str, Beside], *, since: int, until: int) -> PackDays:
    """The rows of these packs (VEHICLE/PACK) from one day to another, both included. NoDays: there is none; TableRefused: none of them
    can be used."""
    own = {pseudonym: pack for pseudonym, pack in sorted(chosen.items()) if pseudonym.isalnum()}
    if not own:
        raise NoDays("no pack was asked for")
    known = ", ".join(f"('{pseudonym}', {pack.capacity_ah:.6g})" for pseudonym, pack in own.items())
    packs = ", ".join(f"'{pseudonym}'" for pseudonym in own)  # named once more, so that no other pack's file is opened
    span = {"before": day_text(since - LOOK_BACK_D), "since": day_text(since), "until": day_text(until)}
    span["after"] = day_text(until + LOOK_AHEAD_D)
    rests = {"still_c": STILL_C, "rested_s": RESTED_S, "longest_s": LONGEST_REST_S, "least_rest_s": LEAST_REST_S}
    rows = ask(DAYS_SQL.format(known=known, packs=packs, held=HELD_S, flat_v=FLAT_V, steep_v=STEEP_V, **span, **rests))
    if not rows:
        raise NoDays("the lake holds no day with cell voltages at the end of a charge since " + day_text(since))
    names = [chosen[str(row[0])] for row in rows]
    dates = [str(row[1]) for row in rows]
    numbers = {
        name: np.array([np.nan if row[place] is None else float(row[place]) for row in rows])
        for name, place in (
            ("soc", 3),
            ("capacity_ah", 4),
            ("slope_v", 5),
            ("temperature_c", 6),
            ("resistance_ohm", 7),
            ("relaxation_v", 8),
            ("self_discharge", 11),
        )
    }
    numbers["age_d"] = np.array([day_number(date) - name.born for date, name in zip(dates, names, strict=True)], dtype=np.float64)
    labels = {
        "chemistry": [name.chemistry for name in names],
        "firmware": [str(row[9] or "") for row in rows],
        "batch": [beside.get(name.name, Beside()).batch for name in names],
    }
    cells = [np.array([np.nan if value is None else value for value in row[2]], dtype=np.float64) for row in rows]
    taken = [np.array([np.nan if value is None else value for value in row[10] or ()], dtype=np.float64) for row in rows]
    return made(np.array([name.name for name in names], dtype=np.str_), dates, cells, taken, numbers, labels, where="the lake")


def batches_told(beside: Mapping[str, Beside], packs: Iterable[str]) -> tuple[str, ...]:
    """A sentence for each batch of these packs (VEHICLE/PACK) that no person wrote down: with whom they are compared hangs on it."""
    own: dict[tuple[str, str], list[str]] = {}
    for name in sorted(packs):
        one = beside.get(name, Beside())
        if one.batch and one.batch_from:
            own.setdefault((one.batch, one.batch_from), []).append(name)
    return tuple(
        f"{_few(names)}: production batch {batch}, {source}; overruled by batch in [[health.pack]]"
        for (batch, source), names in own.items()
    )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def read_beside(path: Path) -> dict[str, Beside]:
    """The table ``pack,batch,made`` (CSV; ``made``: a date, may be empty). TableRefused: not readable, or a date is none."""
    found: dict[str, Beside] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            rows = csv.DictReader(stream, skipinitialspace=True)
            if "pack" not in (rows.fieldnames or ()):
                raise TableRefused(f"{path}: misses the column pack (VEHICLE/PACK); batch and made may stand beside it")
            for row in rows:
                day = (row.get("made") or "").strip()
                found[row["pack"].strip()] = Beside((row.get("batch") or "").strip()[:200], day_number(day) if day else None)
    except UNREADABLE as error:
        raise TableRefused(f"{path}: not readable ({in_short(error)})") from error
    return found


def _capacity_ah(pack: Pack | None) -> float | None:
    """Nominal Ah: energy over cells in series times their nominal voltage."""
    if pack is None or not pack.capacity_wh or not pack.cells:
        return None
    chemistry = Chemistry(pack.chemistry) if pack.chemistry in set(Chemistry) else Chemistry.UNKNOWN
    return pack.capacity_wh / (pack.cells * CELL[chemistry].nominal_v)
