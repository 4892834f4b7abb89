"""A pack's state of charge on its page: what charge and voltage tell, beside what its own system says. Pure."""

from __future__ import annotations

from typing import Any

from controller.health_view import ChargeState
from web import text

NOT_YET = "It comes within minutes of its first samples, where their current is told."


def charge_context(found: ChargeState | None, clock: text.DepotTime) -> dict[str, Any]:
    """The two cards. ``why``: the only thing that there is to show, "" where there is more."""
    if found is None:
        return {"why": NOT_YET, "facts": [], "found": [], "note": "", "curve_note": ""}
    facts: list[tuple[str, str, str]] = []
    if found.soc is not None and found.low is not None and found.high is not None:
        facts = [("State of charge", _share(found.soc), " %"), ("Between", f"{_share(found.low)} to {_share(found.high)}", " %")]
    if found.bms_soc is not None:
        facts.append(("Its own system says", _share(found.bms_soc), " %"))
    facts.append(("Heard until", f"{clock.local(found.at):%-d %b %Y %H:%M}", ""))
    if found.full_at is not None:
        facts.append(("Last charged full", f"{clock.local(found.full_at):%-d %b %Y %H:%M}", ""))
    return {
        "why": _sentence(found.reason) if found.reason else "",
        "facts": facts if found.curve else [],
        "found": _found(found),
        "note": _sentence(found.note) if found.note else "",
        "curve_note": _sentence(found.curve_note) if found.curve_note else "",
    }


def _found(one: ChargeState) -> list[tuple[str, str, str]]:
    """What the filter found on the way."""
    if not one.curve:
        return []
    facts = [("Open-circuit curve", one.curve, "")]
    if one.curve_off_mv is not None:
        facts.append(("The first curve is off by", text.number(one.curve_off_mv), " mV"))
    if one.capacity_ah is not None and one.capacity_low_ah is not None and one.capacity_high_ah is not None:
        facts.append(("Capacity", f"{text.number(one.capacity_low_ah)} to {text.number(one.capacity_high_ah)}", " Ah"))
    if one.cell_mohm is not None and one.cell_low_mohm is not None and one.cell_high_mohm is not None:
        facts.append(("Ohmic resistance of a cell", f"{text.number(one.cell_low_mohm, 2)} to {text.number(one.cell_high_mohm, 2)}", " mΩ"))
    if one.offset_a is not None:
        facts.append(("Its current sensor is off by", _signed(one.offset_a, 2), " A"))
    if one.fullest_cell is not None and one.fullest_by is not None and one.emptiest_by is not None and one.cells_error is not None:
        facts.append((f"Fullest cell, no. {one.fullest_cell}", _signed(100 * one.fullest_by, 1), " %-points"))
        facts.append((f"Emptiest, no. {one.emptiest_cell}", _signed(100 * one.emptiest_by, 1), " %-points"))
        facts.append(("Their difference may be off by", text.number(100 * one.cells_error, 1), " %-points"))
    return facts


def _share(value: float) -> str:
    return text.number(100 * value, 1)


def _signed(value: float, digits: int) -> str:
    shown = text.number(abs(value), digits)
    return shown if not float(f"{value:.{digits}f}") else f"{text.MINUS if value < 0 else '+'}{shown}"


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
