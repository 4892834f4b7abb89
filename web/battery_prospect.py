"""What a pack is still good for, on its page: grade, value, advice, years ahead by the twin, and what it all rests on. Pure."""

from __future__ import annotations

from typing import Any

from controller.health_view import PackAssumption, PackBeside, PackDuty, PackEnd, PackOffer, PackProspect
from depot.money_text import money
from web import text

NOT_YET = "It comes within minutes of the first estimate of its health."
DUTIES = {"present": "As today", "stationary": "Stationary", "ups": "UPS"}
TEST_REQUIRED = "test required"
BESIDE = {
    "resistance": "Resistance beside a new one's",
    "self-discharge": "Worst cell loses",
    "slope of fade": "Fades beside before",
}


def prospect_context(found: PackProspect | None, clock: text.DepotTime) -> dict[str, Any]:
    """The cards. ``why``: the only thing that there is to show, "" where there is a prospect."""
    if found is None or found.why_not:
        return {"why": NOT_YET if found is None else f"{found.why_not[:1].upper()}{found.why_not[1:]}."}
    whole = found.whole
    facts = []
    if whole is not None:
        facts.append(("It gives", f"{_share(whole.soh)} ({_share(whole.low)} to {_share(whole.high)})", " %"))
        if whole.grade == TEST_REQUIRED:
            facts.append(("Likeliest", whole.likeliest, ""))
        if whole.cells > 1:
            facts.append(("Cells told, spread", f"{whole.cells}, {_share(whole.spread)}", " %-points"))
    facts.append(("Data that is there", text.number(100 * found.completeness), " %"))
    if found.health_at is not None:
        facts.append(("From its health of", f"{clock.local(found.health_at):%-d %b %Y}", ""))
    return {
        "why": "",
        "grade": found.grade,
        "st": ("st warn", "risk") if found.grade == TEST_REQUIRED else ("st", "check"),
        "because": [_sentence(words) for words in found.because],
        "notes": [_sentence(words) for words in found.notes],
        "missing": ", ".join(name for name in found.missing if name not in {one.name for one in found.beside if one.value is None}),
        "beside": [_beside(one) for one in found.beside],
        "facts": facts,
        "modules": [(part.name, f"{_share(part.low)} to {_share(part.high)}", part.grade) for part in found.modules],
        "apart": ", ".join(found.better_apart),
        "made": f"{clock.local(found.made_at):%-d %b %Y %H:%M}",
        **_value(found),
        "advice": found.advice,
        "duties": [_duty(one, found.run_years) for one in found.duties],
        "years": found.run_years,
        "assumptions": [_assumption(one) for one in found.assumptions],
        "own": sum(one.own for one in found.assumptions),
    }


def _beside(one: PackBeside) -> dict[str, str]:
    what = BESIDE.get(one.name, one.name)
    if one.value is None or one.low is None or one.high is None:
        return {"what": what, "value": text.ABSENT, "unit": "", "why": _sentence(one.why_not)}
    scale, digits, unit = (100.0, 1, " % a month") if one.name == "self-discharge" else (1.0, 2, " times")
    value, low, high = (text.number(scale * number, digits) for number in (one.value, one.low, one.high))
    return {"what": what, "value": f"{value} ({low} to {high})", "unit": unit, "why": _sentence(one.how)}


def _value(found: PackProspect) -> dict[str, Any]:
    residual, recycling = found.residual_paise, found.recycling_paise
    fits = [offer for offer in found.offers if not offer.why_not]
    return {
        "residual": None if residual is None else _whole(residual[1], found.currency),
        "residual_band": "" if residual is None else f"{_whole(residual[0], found.currency)} to {_whole(residual[2], found.currency)}",
        "best": found.best.replace("-", " "),
        "recycling": "" if recycling is None else " · ".join(_whole(amount, found.currency) for amount in recycling),
        "no_value": _sentence(found.no_value) if found.no_value else "",
        "offers": [_offer(offer, found.currency) for offer in (*sorted(fits, key=lambda one: -one.value_paise[1]), *_unfit(found))],
    }


def _unfit(found: PackProspect) -> list[PackOffer]:
    return [offer for offer in found.offers if offer.why_not]


def _offer(one: PackOffer, currency: str) -> dict[str, str]:
    name = one.name.replace("-", " ")
    if one.why_not:
        return {
            "name": name,
            "text": _beyond(one.text, name),
            "value": text.ABSENT,
            "years": text.ABSENT,
            "carbon": text.ABSENT,
            "why": one.why_not,
        }
    return {
        "name": name,
        "text": _beyond(one.text, name),
        "value": " · ".join(_whole(amount, currency) for amount in one.value_paise),
        "years": " · ".join(text.number(value) for value in one.years),
        "carbon": " · ".join(text.number(value) for value in one.carbon_kg),
        "why": "",
    }


def _duty(one: PackDuty, years: int) -> dict[str, Any]:
    name = DUTIES.get(one.name, one.name)
    return {
        "name": name,
        "text": _beyond(one.text, name),
        "why": one.why_not,
        "cycles": text.ABSENT if one.why_not else text.number(one.full_cycles_a_year),
        "hottest": text.ABSENT if one.why_not else text.number(one.hottest_c),
        "ends": [_end(end, years) for end in one.ends],
    }


def _end(one: PackEnd, years: int) -> dict[str, str]:
    middle = one.years[1]
    if middle == 0:
        return {"years": "reached", "cycles": ""}
    full = [value for value in one.full_cycles if value is not None]
    words = " · ".join(_within(value, years) for value in one.years)
    return {"years": words, "cycles": " · ".join(text.number(value) for value in full) if len(full) == len(one.full_cycles) else ""}


def _within(value: float | None, years: int) -> str:
    return f">{years}" if value is None else text.number(value, 1)


def _assumption(one: PackAssumption) -> dict[str, str]:
    figures = [f"{value:g}" for value in (one.low, one.mid, one.high)]
    said = figures[0] if len(set(figures)) == 1 else " · ".join(figures)
    return {"name": one.name.replace("_", " "), "figures": said, "unit": one.unit, "source": one.source, "own": "own" if one.own else ""}


def _beyond(words: str, name: str) -> str:
    """What a text says beyond the name that stands before it: ``solar storage: one cycle a day`` of *solar storage*."""
    head, colon, rest = words.partition(": ")
    return rest if colon and head.casefold() == name.casefold() else words


def _share(value: float) -> str:
    return text.number(100 * value, 1)


def _whole(paise: int, currency: str) -> str:
    return money(paise, currency, whole=True)


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
