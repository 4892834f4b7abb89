"""Outputs of the fake depot: all in order, and with a feeder that is isolated because a bay's contactor is welded."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from controller.output_view import Isolatable, IsolatedArea, OutputRow, OutputsView


def row(output_id: str, title: str, kind: str, area: str, words: tuple[str, str], now: datetime) -> OutputRow:
    """One that is in order, and was tested a week ago."""
    read_back = kind in ("contactor", "isolation", "ventilation")
    return OutputRow(
        output_id=output_id,
        title=title,
        kind=kind,
        area=area,
        commanded=words[0],
        emergency=False,
        waiting=False,
        because="",
        reads=words[0] if read_back else None,
        read_back=read_back,
        read_age_s=0.3,
        proof="confirmed" if read_back else "written",
        against="",
        de_energised=words[1] if read_back else words[0],
        falls_safe=read_back,
        watchdog=True,
        tested_at=now - timedelta(days=7),
        test_passed=True,
        test_result=f"{words[1]} and {words[0]} again, both confirmed",
        tested_by="S. Deshpande",
    )


def in_order(now: datetime) -> OutputsView:
    """Nothing is isolated."""
    rows = [
        row("K-CP-03", "Contactor CP-03", "contactor", "bay CP-03", ("closed", "open"), now),
        row("K-A", "Contactor feeder A", "contactor", "feeder A", ("closed", "open"), now),
        row("Q-main", "Main breaker release", "isolation", "site", ("closed", "open"), now),
        row("fan-A", "Hall fans", "ventilation", "feeder A", ("stopped", "running"), now),
        row("siren", "Siren", "siren", "site", ("silent", "sounding"), now),
        row("beacon", "Beacon gate", "beacon", "site", ("dark", "lit"), now),
    ]
    rows[-1] = msgspec.structs.replace(rows[-1], tested_at=None, test_passed=None, test_result="", tested_by="", watchdog=False)
    areas = [
        Isolatable(level="site", area_id="", area="site", stations=24, cut_by="Main breaker release"),
        Isolatable(level="feeder", area_id="A", area="feeder A", stations=8, cut_by="Contactor feeder A"),
        Isolatable(level="bay", area_id="CP-03", area="bay CP-03", stations=1, cut_by="Contactor CP-03"),
        Isolatable(level="bay", area_id="CP-04", area="bay CP-04", stations=1, cut_by=""),
    ]
    return OutputsView(at=now, outputs=rows, isolated=[], areas=areas, problems=[])


def widened(now: datetime) -> OutputsView:
    """An operator isolated CP-03's bay, its contactor is welded, feeder A was isolated for it."""
    calm = in_order(now)
    active = {"emergency": True, "because": "bay CP-03: smoke at the plug"}
    rows = [
        msgspec.structs.replace(calm.outputs[0], commanded="open", proof="not confirmed", against="it reads closed", **active),
        msgspec.structs.replace(calm.outputs[1], commanded="open", reads="open", **active),
        calm.outputs[2],
        msgspec.structs.replace(calm.outputs[3], commanded="running", reads="running", **active),
        msgspec.structs.replace(calm.outputs[4], commanded="sounding", **active),
        msgspec.structs.replace(calm.outputs[5], commanded="lit", **active),
    ]
    bay = IsolatedArea(
        level="bay", area_id="CP-03", area="bay CP-03", since=now - timedelta(seconds=72), origin="person", reason="smoke at the plug",
        by="A. Kulkarni", latched=True, standing="not isolated", against="Contactor CP-03: it reads closed", against_reset="",
        recorded=True,
    )  # fmt: skip
    feeder = IsolatedArea(
        level="feeder", area_id="A", area="feeder A", since=now - timedelta(seconds=66), origin="widened",
        reason="bay CP-03 is not isolated: Contactor CP-03: it reads closed", by="controller", latched=True, standing="isolated",
        against="",
        against_reset="bay CP-03 in it must stay isolated, and is not yet: Contactor CP-03: it reads closed", recorded=False,
    )  # fmt: skip
    problem = "feeder B: the journal says it is isolated, demo.isolations does not"
    return OutputsView(at=now, outputs=rows, isolated=[feeder, bay], areas=calm.areas, problems=[problem])
