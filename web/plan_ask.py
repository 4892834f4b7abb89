"""What people ask of the plan, from forms and to words: a form becomes changes, an answer becomes a table side by side. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from controller.plan_answers_view import AnswerState, ChangeAsked, PlanFigures, WhatIfRow, WhatIfsView
from web import text


class Sort(NamedTuple):
    """A kind of change in the form: key, words, its unit, of what it is, ``how`` of the amount, and an amount to begin with."""

    key: str
    words: str
    unit: str
    of: str
    how: str
    example: str


SORTS = (
    Sort("limit", "The site's limit is higher or lower by", "kW", "", "by", "-50"),
    Sort("price", "Energy costs, times", "factor", "", "times", "1.2"),
    Sort("more", "More vehicles come, like the one named", "vehicles", "vehicle", "by", "1"),
    Sort("charger", "A charger gives only", "kW", "vehicle", "to", "0"),
    Sort("depart", "A vehicle leaves later by", "min", "vehicle", "by", "30"),
    Sort("need", "A vehicle needs more by", "kWh", "vehicle", "by", "20"),
    Sort("feeder", "A feeder's limit is higher or lower by", "kW", "feeder", "by", "20"),
    Sort("contract", "The peak that costs nothing more is higher by", "kW", "", "by", "20"),
)
_BY_KEY = {sort.key: sort for sort in SORTS}


def change_from(form: dict[str, str], view: WhatIfsView) -> tuple[ChangeAsked | None, dict[str, str]]:
    """The form's change, or what is wrong in which field."""
    errors: dict[str, str] = {}
    sort = _BY_KEY.get(form.get("kind", ""))
    if sort is None:
        return None, {"kind": "Choose what changes"}
    target = form.get("target", "").strip()[:80]
    if sort.of == "feeder" and target not in view.feeders:
        errors["target"] = f"One of the feeders {', '.join(view.feeders)}"
    elif sort.of == "vehicle" and sort.key != "more" and not target:
        errors["target"] = "Which vehicle, or which charger"
    elif not sort.of:
        target = ""
    amount = 0.0
    try:
        amount = float(form.get("amount", "").replace(",", "").replace(text.MINUS, "-").strip())
        if not abs(amount) < 1e6:
            raise ValueError
    except ValueError:
        errors["amount"] = f"A number, in {sort.unit}"
    times: dict[str, datetime | None] = {}
    for name in ("from", "until"):
        try:
            times[name] = _time(form.get(name, ""), view)
        except ValueError:
            errors[name] = "A time such as 22:00"
    if errors:
        return None, errors
    return ChangeAsked(kind=sort.key, amount=amount, how=sort.how, target=target, from_at=times["from"], until_at=times["until"]), {}


def _time(clock_time: str, view: WhatIfsView) -> datetime | None:
    """The first moment of the plan at which the depot's clock shows ``HH:MM``; None for an empty text."""
    if not clock_time.strip():
        return None
    if view.start is None:
        raise ValueError("no plan")
    hour, minute = (int(part) for part in clock_time.strip().split(":"))
    begins = text.DepotTime(view.timezone, view.at).local(view.start)
    at = begins.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
    if at < begins:
        at = (at + timedelta(days=1)).replace(fold=0)
    return at.astimezone(view.start.tzinfo)


# -- answers --------------------------------------------------------------------------------------------------------------


_STATES = {
    AnswerState.WAITING: ("st", "clock"),
    AnswerState.RUNNING: ("st live", "clock"),
    AnswerState.DONE: ("st done", "check"),
    AnswerState.FAILED: ("st alarm", "faulted"),
    AnswerState.CANCELLED: ("st", "close"),
}


def what_if_row(row: WhatIfRow, view: WhatIfsView, clock: text.DepotTime) -> dict[str, Any]:
    """One line of the list: the change and what differs."""
    css, symbol = _STATES.get(row.state, ("st", "info"))
    before, after = row.before, row.after
    return {
        "id": row.question_id,
        "changes": "; ".join(row.changes) or "the plan as it is",
        "asked": clock.clock(row.asked_at),
        "old": not row.current,
        "state": row.state.value,
        "text": row.text,
        "css": css,
        "symbol": symbol,
        "under_way": row.state in (AnswerState.WAITING, AnswerState.RUNNING),
        "cost": "" if before is None or after is None else _signed_money(after.cost - before.cost, view.currency),
        "peak": "" if before is None or after is None else f"{signed_kw(after.peak_w - before.peak_w)} kW",
        "missing": "" if after is None else f"{text.kwh(after.unmet_wh)} kWh",
        "short": "" if after is None else str(len(after.short)),
        "worse": before is not None and after is not None and after.unmet_wh > before.unmet_wh + 50,
    }


def side_by_side(row: WhatIfRow, view: WhatIfsView) -> list[dict[str, Any]]:
    """The figures of both plans."""
    before, after = row.before, row.after
    if before is None or after is None:
        return []

    symbol = text.currency_symbol(view.currency)

    def money(name: str, was: float, becomes: float) -> dict[str, Any]:
        shown = [f"{symbol}{text.money(value, view.currency)}" for value in (was, becomes)]
        return _line(name, shown[0], shown[1], _signed_money(becomes - was, view.currency))

    lines = [
        money("Cost", before.cost, after.cost),
        money("of it energy", before.energy_cost, after.energy_cost),
        money("of it demand", before.demand_cost, after.demand_cost),
    ]
    if before.wear_cost is not None and after.wear_cost is not None:
        lines.append(money("Battery wear", before.wear_cost, after.wear_cost))
    lines.append(_energy("Energy", before.energy_wh, after.energy_wh))
    peaks = [f"{text.kw(peak_w)} kW" for peak_w in (before.peak_w, after.peak_w)]
    lines.append(_line("Highest demand", peaks[0], peaks[1], f"{signed_kw(after.peak_w - before.peak_w)} kW"))
    missing = _energy("Missing at departure", before.unmet_wh, after.unmet_wh)
    lines.append(missing | {"worse": after.unmet_wh > before.unmet_wh + 50})
    lines.append(_line("Who is short", _who(before), _who(after), ""))
    return lines


def _line(name: str, was: str, becomes: str, difference: str) -> dict[str, Any]:
    return {"name": name, "was": was, "becomes": becomes, "difference": difference, "worse": False}


def _energy(name: str, was: int, becomes: int) -> dict[str, Any]:
    return _line(name, f"{text.kwh(was)} kWh", f"{text.kwh(becomes)} kWh", f"{_signed(becomes - was, text.kwh)} kWh")


def vehicle_lines(row: WhatIfRow) -> list[dict[str, str]]:
    """Who is touched, the worst first."""
    found = []
    for one in row.vehicles:
        if one.unmet_before_wh is None:
            words = "comes in addition" + (f", {text.kwh(one.unmet_after_wh)} kWh short" if one.unmet_after_wh else ", is served")
        elif one.unmet_after_wh is None:
            words = "is not there any more"
        elif abs(one.unmet_after_wh - one.unmet_before_wh) < 50:
            words = f"{text.kwh(one.unmet_after_wh)} kWh short, as before" if one.unmet_after_wh >= 50 else "is served"
        else:
            words = f"{text.kwh(one.unmet_after_wh)} kWh short instead of {text.kwh(one.unmet_before_wh)} kWh"
        moved = f"{text.kwh(one.moved_wh)} kWh" if one.moved_wh >= 100 else text.ABSENT
        found.append({"vehicle": one.vehicle_id, "words": words, "moved": moved})
    return found


def _who(figures: PlanFigures) -> str:
    if not figures.short:
        return "nobody"
    named = ", ".join(figures.short[:4])
    return named + (f" and {len(figures.short) - 4} more" if len(figures.short) > 4 else "")


def _signed(value: float, words: Any) -> str:
    shown: str = words(value)
    return f"+{shown}" if value > 0 and shown.strip("0.,") else shown


def signed_kw(power_w: float) -> str:
    """``+12``, ``−3``, ``0``."""
    return _signed(power_w, text.kw)


def _signed_money(amount: float, currency: str) -> str:
    symbol = text.currency_symbol(currency)
    shown = text.money(abs(amount), currency, digits=0 if abs(amount) >= 100 else 2)
    if not shown.strip("0.,"):
        return f"{symbol}0"
    return f"{'+' if amount > 0 else text.MINUS}{symbol}{shown}"
