"""A pack's state of charge over its last days, with its interval, beside what its own system said, as geometry. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from controller.health_view import ChargePoint
from controller.readmodel import Point
from web import charts, text

HEIGHT = 186.0
SHOWN = timedelta(days=5)
UNHEARD = timedelta(minutes=40)
"""Points farther apart are not joined: nobody knows what was between them."""

LEAST_POINTS = 2


def charge_plot(past: Sequence[ChargePoint], clock: text.DepotTime) -> charts.Plot | None:
    """The last five days before the newest point. None: too few points."""
    if not past:
        return None
    stop = past[-1].at
    found = [one for one in past if one.at >= stop - SHOWN]
    if len(found) < LEAST_POINTS:
        return None
    frame = charts.Frame(found[0].at, stop, top=100.0, height=HEIGHT)
    areas, lines = [], []
    told = [one for one in found if one.soc is not None]
    for part in _joined(told):
        band = [
            *(Point(one.at, 100 * one.low) for one in part if one.low is not None),
            *(Point(one.at, 100 * one.high) for one in reversed(part) if one.high is not None),
        ]
        if len(part) > 1:
            areas.append(("area-band", frame.slope(band) + "Z"))
    for part in _joined([one for one in found if one.bms_soc is not None]):
        lines.append(("l-dim", frame.slope([Point(one.at, 100 * one.bms_soc) for one in part if one.bms_soc is not None])))
    for part in _joined(told):
        lines.append(("l-solid", frame.slope([Point(one.at, 100 * one.soc) for one in part if one.soc is not None])))
    labels = [charts.Label(0, HEIGHT * (1 - k / 4) + 4, f"{25 * k}", "end lbl-dim axis") for k in range(5)]
    for share, css in ((0.0, "lbl-dim"), (0.5, "mid lbl-dim"), (1.0, "end lbl-dim")):
        when = clock.local(frame.start + (stop - frame.start) * share)
        labels.append(charts.Label(share * 100, HEIGHT + 17, f"{when:%-d %b %H:%M}", css))
    grid = tuple(HEIGHT * (1 - k / 4) for k in range(5))
    return charts.Plot(HEIGHT, grid, tuple(areas), tuple(lines), (), tuple(labels), _words(found, told))


def _joined(found: Sequence[ChargePoint]) -> Iterator[list[ChargePoint]]:
    """Runs of points that are near enough to each other."""
    part: list[ChargePoint] = []
    for one in found:
        if part and one.at - part[-1].at > UNHEARD:
            yield part
            part = []
        part.append(one)
    if part:
        yield part


def _words(found: Sequence[ChargePoint], told: Sequence[ChargePoint]) -> str:
    both = [one for one in told if one.low is not None and one.high is not None and one.bms_soc is not None]
    outside = sum(not (one.low or 0.0) <= (one.bms_soc or 0.0) <= (one.high or 0.0) for one in both)
    said = f"State of charge, {len(told)} of {len(found)} quarters of an hour with an estimate"
    return f"{said}; what its own system said lay outside of the interval in {outside} of {len(both)}" if both else said
