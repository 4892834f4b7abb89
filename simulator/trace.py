"""The physical trace: what happened, as JSON lines in time order, written by the plant and by nobody else.

``t`` is seconds from the day's start, powers are W with import positive, and a value holds until the next line for the
same thing. ``docs/simulator.md`` describes every line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from depot.values import ConnectorId


class Trace:
    """Writes lines to ``sink`` (called with one line and its newline). Time never goes back: a late line is moved up."""

    def __init__(self, sink: Callable[[str], object]) -> None:
        self._sink = sink
        self._t = 0.0

    def depot(self, feeders: Mapping[str, Sequence[ConnectorId]], prices: Sequence[tuple[float, float]], currency: str) -> None:
        """First line: which connectors hang on which feeder, and the price per kWh from each second on."""
        members = {feeder: [str(c) for c in connectors] for feeder, connectors in feeders.items()}
        self._write(0.0, kind="depot", feeders=members, slot_prices=[list(p) for p in prices], currency=currency)

    def limit(self, t: float, scope: str, w: int) -> None:
        """``scope``: "site" or a feeder id."""
        self._write(t, kind="limit", scope=scope, w=w)

    def base(self, t: float, w: int) -> None:
        self._write(t, kind="base", w=w)

    def power(self, t: float, connector: ConnectorId, w: int) -> None:
        self._write(t, kind="power", connector=str(connector), w=w)

    def fault(self, t: float, connector: ConnectorId) -> None:
        """The station begins to draw more than it was granted."""
        self._write(t, kind="fault", connector=str(connector))

    def visit(self, t: float, *, vehicle: str, connector: ConnectorId, arrive: float, need_wh: float, got_wh: float) -> None:
        """A vehicle leaves at ``t``; both energies on the battery's side."""
        self._write(
            t, kind="visit", vehicle=vehicle, connector=str(connector), arrive=round(arrive, 3), depart=round(t, 3),
            need_wh=round(need_wh, 3), got_wh=round(got_wh, 3),
        )  # fmt: skip

    def end(self, t: float) -> None:
        self._write(t, kind="end")

    def _write(self, t: float, **row: Any) -> None:
        self._t = max(self._t, round(t, 3))
        self._sink(json.dumps({"t": self._t, **row}, separators=(",", ":"), ensure_ascii=False) + "\n")


@contextmanager
def trace_file(path: Path) -> Iterator[Trace]:
    """A trace in a file; replaces what was there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as lines:
        yield Trace(lines.write)
