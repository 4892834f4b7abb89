"""What the fake depot's core says of reference tests: one that runs, one that waits, one that is over, none."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from fake_depot import FakeLink
from fake_health import NOW

from controller.reference_view import ReferenceTestView

RUNNING = ReferenceTestView(
    at=NOW, vehicle_id="E-103", able=False, why_not="a test of E-103 is open already: call it off first", phase="pulses",
    words="The battery pulses, for 3 min now, 4 of 7 powers held.", ordered_by="meera", ordered_at=NOW - timedelta(hours=9),
    reason="before the warranty ends", until=NOW + timedelta(days=6), most_soc=0.5, pulses=3, connector="CP-03/1",
    began_at=NOW - timedelta(minutes=38), phase_at=NOW - timedelta(minutes=3), ends_about=NOW + timedelta(hours=5), step=4, steps=7,
    rate_w=30_000, low_w=12_000, high_w=48_000, limit_w=48_000,
)  # fmt: skip
WAITING = ReferenceTestView(
    at=NOW, vehicle_id="E-109", able=False, why_not="a test of E-109 is open already: call it off first", phase="waiting",
    words="The test waits until 27 Nov 22:30, because its state of charge is 71%: the test begins at 50% or less.", ordered_by="meera",
    ordered_at=NOW - timedelta(hours=9), reason="below 80 %", until=NOW + timedelta(days=6), most_soc=0.5, pulses=3,
)  # fmt: skip
OVER = ReferenceTestView(
    at=NOW, vehicle_id="E-118", able=True, why_not="", phase="over",
    words="The test was broken off: what is left takes 3 h 10 min, and the vehicle must be left alone in 2 h 0 min.",
    ordered_by="meera", ordered_at=NOW - timedelta(days=2), reason="yearly", until=NOW, most_soc=0.5, pulses=3, connector="CP-07/1",
    began_at=NOW - timedelta(days=1), ended_at=NOW - timedelta(hours=22), rate_w=30_000, low_w=12_000, high_w=48_000,
    outcome="broken_off", why="what is left takes 3 h 10 min, and the vehicle must be left alone in 2 h 0 min",
)  # fmt: skip


def of(args: Mapping[str, str]) -> ReferenceTestView:
    """The newest test of a vehicle."""
    known = {view.vehicle_id: view for view in (RUNNING, WAITING, OVER)}
    none = ReferenceTestView(at=NOW, vehicle_id=args["vehicle_id"], able=True, why_not="", phase="", words="None was ordered yet.")
    return known.get(args["vehicle_id"], none)


def fill_reference(link: FakeLink) -> None:
    """Let the fake core answer for reference tests."""
    link.made[ReferenceTestView] = of
