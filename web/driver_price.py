"""A price step in the driver's words: what it is for, how much, and when. Pure."""

from __future__ import annotations

from controller.drive_view import DrivePriceView, DriveStepView
from web.driver_words import Words

__all__ = ["price_rows"]

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def price_rows(price: DrivePriceView, words: Words) -> list[tuple[str, str, int, str]]:
    """(kind, when, paise, unit) for each step; none where one price of energy is everything."""
    if len(price.steps) == 1 and price.steps[0].kind == "energy" and not _when(price.steps[0], words):
        return []
    rows, seen = [], set()
    for step in price.steps:
        when = _when(step, words) or (words("tariff.else") if step.kind in seen else "")
        rows.append((step.kind, when, step.paise, words(f"tariff.per_{step.kind}")))
        seen.add(step.kind)
    return rows


def _when(step: DriveStepView, words: Words) -> str:
    parts = []
    if step.start:
        parts.append(words("tariff.clock", start=step.start, end=step.end))
    if step.days:
        parts.append(", ".join(words(f"tariff.{_DAYS[day]}") for day in step.days))
    if step.first_day is not None:
        parts.append(words("tariff.from_day", day=step.first_day.strftime("%-d %b %Y")))
    if step.last_day is not None:
        parts.append(words("tariff.until_day", day=step.last_day.strftime("%-d %b %Y")))
    if step.from_wh:
        parts.append(words("tariff.above", kwh=f"{step.from_wh / 1000:g}"))
    if step.to_wh is not None:
        parts.append(words("tariff.up_to", kwh=f"{step.to_wh / 1000:g}"))
    if step.from_s:
        parts.append(words("tariff.after", minutes=f"{step.from_s / 60:g}"))
    if step.to_s is not None:
        parts.append(words("tariff.first", minutes=f"{step.to_s / 60:g}"))
    if step.grace_s:
        parts.append(words("tariff.free", minutes=f"{step.grace_s / 60:g}"))
    return "; ".join(parts)
