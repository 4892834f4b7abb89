"""From a file to a tariff: the tree of a TOML or JSON file (schema tariff/2) is checked key by key and becomes layers.

Files of the older, flat schema tariff/1 are first rewritten (:mod:`grid.tariff.flat`) and then read in the same way.
Whatever the input is, the only error is :class:`InvalidTariff`, which says where.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from grid.tariff.errors import InvalidTariff
from grid.tariff.fields import Fields
from grid.tariff.flat import FLAT_SCHEMA, layered
from grid.tariff.hours import DAY_MIN, Valid, When
from grid.tariff.layers import (
    POWER_FACTOR,
    Adder,
    AdderBasis,
    DemandBasis,
    DemandLayer,
    EnergyBasis,
    EnergyLayer,
    Excess,
    FixedLayer,
    FixedPer,
    Kind,
    Layer,
    MidMonth,
    Operation,
    Parameter,
    PowerFactorLayer,
    PowerFactorStep,
    Roundings,
    Slab,
    SlabMode,
    TodRule,
)
from grid.tariff.numbers import Rounding, RoundingMode, exact_number
from grid.tariff.rule import Constant, Contract, Highest, Largest, PastDemand, Recorded, Rule, terms

__all__ = ["SCHEMA", "named_parameters", "needed_parameters", "read_json", "read_toml", "tariff_fields"]

SCHEMA = "tariff/2"
LONGEST_FILE = 1_000_000
_CODE = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_DEEPEST_RULE = 8
_LONGEST_LOOKBACK = 24


def read_toml(text: str) -> object:
    """The tree of a TOML text; raises :class:`InvalidTariff`."""
    _check_size(text)
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise InvalidTariff(f"not a TOML file: {error}") from None


def read_json(text: str) -> object:
    """The tree of a JSON text; raises :class:`InvalidTariff`."""
    _check_size(text)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidTariff(f"not a JSON file: {error}") from None


def named_parameters(text: str, where: str) -> dict[str, Fraction]:
    """The parameters of ``name=value,name=value``; raises :class:`InvalidTariff`."""
    found = {}
    for part in filter(None, text.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise InvalidTariff(f"{where}: {part!r} is not parameter=value")
        found[key.strip()] = exact_number(value, f"{where}, {key.strip()}")
    return found


def needed_parameters(tree: object) -> dict[str, str]:
    """The parameters without a value, with their meaning; raises :class:`InvalidTariff`."""
    top = Fields(tree, "tariff")
    rows = top.sub("parameters").table if top.has("parameters") else {}
    fields = {key: Fields(row, f"tariff, {key}") for key, row in rows.items()}
    return {key: row.text("meaning") for key, row in fields.items() if not row.has("value")}


def tariff_fields(tree: object, given: Mapping[str, Fraction], timezone: str | None) -> dict[str, Any]:
    """The fields of a tariff from the tree of its file. ``given``: parameters in place of the file's; ``timezone``: instead
    of a zone UTC. Raises :class:`InvalidTariff`."""
    name = tree.get("name", "?") if isinstance(tree, dict) else "?"
    where = f"tariff {name!s:.60}"
    top = Fields(tree, where)
    schema = top.table.get("schema")
    if schema == FLAT_SCHEMA:
        top = Fields(layered(top), where)
    elif schema != SCHEMA:
        raise InvalidTariff(f"{where}: schema is {schema!r:.60}, this reads {SCHEMA!r} and {FLAT_SCHEMA!r}")
    top.has("schema")
    parameters = _parameters(top, given, where)
    top.parameters = parameters
    order = top.text("order")
    fields: dict[str, Any] = {
        "name": top.text("name"),
        "title": top.text("title"),
        "currency": top.text("currency"),
        "timezone": _zone(top, timezone),
        "order": order,
        "source": top.text("source"),
        "valid": top.valid(),
        "uncertain": top.texts("uncertain"),
        "leaves_out": top.texts("leaves_out"),
        "parameters": parameters,
        "energy": tuple(_energy(row, order) for row in top.rows("energy")),
        "demand": tuple(_demand(row, order) for row in top.rows("demand")),
        "fixed": tuple(_fixed(row, order) for row in top.rows("fixed")),
        "power_factor_layers": tuple(_power_factor(row, order) for row in top.rows("pf")),
        "adders": tuple(_adder(row, order) for row in top.rows("adders")),
        "rounding": _roundings(top),
    }
    top.end()
    _fit(where, fields)
    return fields


def _check_size(text: str) -> None:
    if len(text) > LONGEST_FILE:
        raise InvalidTariff(f"a tariff file of {len(text):,} characters: no more than {LONGEST_FILE:,} are read")


def _zone(top: Fields, timezone: str | None) -> str:
    written = top.text("timezone")
    zone = timezone if timezone is not None and written == "UTC" else written
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise top.wrong(f"{zone!r:.60} is not a time zone; write one like Asia/Kolkata") from None
    return zone


def _parameters(top: Fields, given: Mapping[str, Fraction], where: str) -> dict[str, Parameter]:
    table = top.sub("parameters").table if top.has("parameters") else {}
    unknown = set(given) - set(table)
    if unknown:
        has = ", ".join(sorted(table)) or "none"
        raise InvalidTariff(f"{where}: no parameter {', '.join(sorted(unknown))}; it has: {has}")
    rows = {key: Fields(row, f"{where}, {key}") for key, row in table.items()}
    missing = {key: row.text("meaning") for key, row in rows.items() if key not in given and not row.has("value")}
    if missing:
        told = "; ".join(f"{key} ({meaning})" for key, meaning in missing.items())
        written = ",".join(f"{key}=…" for key in missing)
        raise InvalidTariff(f"{where}: must be given: {told:.900}. Write the name as {top.table.get('name')!s:.60}:{written:.300}")
    found = {}
    for key, fields in rows.items():
        meaning = fields.text("meaning")
        value = fields.number("value", given.get(key))
        value = given.get(key, value)
        fields.end()
        if value <= 0 or (key == POWER_FACTOR and value > 1):
            raise InvalidTariff(f"{where}: {key}={value} is out of range ({meaning})")
        found[key] = Parameter(value, meaning)
    return found


def _layer(row: Fields, *, order: str, code: str, text: str) -> dict[str, Any]:
    code = row.text("code", code)
    if not _CODE.fullmatch(code) or code == "rounding":
        raise row.wrong(f"code is {code!r:.60}; write a short word in small letters, not rounding")
    return {
        "code": code,
        "text": row.text("text", text),
        "order_ref": row.text("order_ref", order),
        "valid": row.valid(),
    }


def _energy(row: Fields, order: str) -> EnergyLayer:
    slabs = tuple(_slab(slab) for slab in row.rows("slabs"))
    if bool(slabs) == row.has("base"):
        raise row.wrong("needs exactly one of base and slabs")
    bounds = [slab.up_to for slab in slabs[:-1] if slab.up_to is not None]
    if slabs and (len(bounds) != len(slabs) - 1 or slabs[-1].up_to is not None or any(a >= b for a, b in pairwise(bounds))):
        raise row.wrong("slabs must rise, and only the last one has no up_to")
    layer = EnergyLayer(
        **_layer(row, order=order, code="energy", text="Energy charge"),
        basis=row.choice("basis", EnergyBasis),
        slabs=slabs or (Slab(None, row.number("base")),),
        slab_mode=row.choice("slab_mode", SlabMode, SlabMode.TELESCOPIC),
        tod=tuple(_tod(rule, order) for rule in row.rows("tod")),
    )
    row.end()
    return layer


def _slab(row: Fields) -> Slab:
    slab = Slab(row.above_zero("up_to") if row.has("up_to") else None, row.number("rate"))
    row.end()
    return slab


def _tod(row: Fields, order: str) -> TodRule:
    rule = TodRule(
        operation=row.choice("op", Operation),
        value=row.number("value"),
        when=When(hours=row.hours(), months=row.months(), weekdays=row.weekdays("days"), valid=row.valid()),
        name=row.text("name", "") if row.has("name") else "",
        kind=row.choice("kind", Kind) if row.has("kind") else None,
        order_ref=row.text("order_ref", order),
    )
    row.end()
    return rule


def _demand(row: Fields, order: str) -> DemandLayer:
    interval = row.number("block_min", 15)
    if interval.denominator != 1 or not 1 <= interval <= DAY_MIN or DAY_MIN % int(interval):
        raise row.wrong(f"block_min is {interval}; blocks must fill the day")
    if row.text("align", "clock") != "clock":
        raise row.wrong("align must be clock: blocks begin at whole multiples of their length of the local clock")
    layer = DemandLayer(
        **_layer(row, order=order, code="demand", text="Demand charge"),
        basis=row.choice("basis", DemandBasis),
        block_min=int(interval),
        rate=row.not_negative("rate"),
        billing_rule=_rule(row.sub("billing_rule")) if row.has("billing_rule") else Recorded(),
        excess=_excess(row.sub("excess")) if row.has("excess") else None,
        round=_rounding(row.sub("round")) if row.has("round") else None,
        mid_month=row.choice("mid_month", MidMonth, MidMonth.DAYS),
    )
    row.end()
    for term in terms(layer.billing_rule):
        if isinstance(term, Recorded) and term.hours is not None and any(m % layer.block_min for m in term.hours.bounds):
            raise row.wrong(f"{term.hours} cuts blocks of {layer.block_min} min")
    return layer


def _rule(row: Fields, depth: int = 0) -> Rule:
    if depth > _DEEPEST_RULE:
        raise row.wrong(f"is nested more than {_DEEPEST_RULE} deep")
    if row.has("max"):
        args = tuple(_rule(arg, depth + 1) for arg in row.rows("max"))
        if not args:
            raise row.wrong("max needs at least one term")
        row.end()
        return Largest(args)
    ref = row.text("ref")
    rule: Rule
    match ref:
        case "recorded":
            hours = row.hours() if row.has("from") or row.has("to") else None
            rule = Recorded(row.above_zero("factor", 1), hours)
        case "contract":
            rule = Contract(row.above_zero("factor", 1))
        case "constant":
            rule = Constant(row.not_negative("value"))
        case PastDemand.RECORDED.value | PastDemand.BILLING.value:
            cap = _rule(row.sub("cap"), depth + 1) if row.has("cap") else None
            if not isinstance(cap, Contract | Constant | None):
                raise row.wrong("a cap is a share of the contract or a constant")
            lookback = row.whole("lookback", 11, least=1, most=_LONGEST_LOOKBACK)
            rule = Highest(PastDemand(ref), lookback, row.above_zero("factor", 1), cap)
        case _:
            raise row.wrong(f"ref is {ref!r:.60}; write recorded, contract, highest_recorded, highest_billing or constant")
    row.end()
    return rule


def _excess(row: Fields) -> Excess:
    excess = Excess(row.above_zero("multiplier"), row.flag("also_base"), row.above_zero("above", 1))
    row.end()
    return excess


def _rounding(row: Fields) -> Rounding:
    rounding = Rounding(row.above_zero("to"), row.choice("mode", RoundingMode, RoundingMode.NEAREST))
    row.end()
    return rounding


def _roundings(top: Fields) -> Roundings:
    if not top.has("rounding"):
        return Roundings()
    row, default = top.sub("rounding"), Roundings()
    roundings = Roundings(
        line=_rounding(row.sub("line")) if row.has("line") else default.line,
        bill=_rounding(row.sub("bill")) if row.has("bill") else default.bill,
    )
    row.end()
    if any((100 * one.to).denominator != 1 for one in (roundings.line, roundings.bill)):
        raise row.wrong("lines and bills are rounded to whole paise: to is a multiple of 0.01")
    return roundings


def _fixed(row: Fields, order: str) -> FixedLayer:
    layer = FixedLayer(
        **_layer(row, order=order, code="fixed", text="Fixed charge"),
        amount=row.number("amount"),
        per=row.choice("per", FixedPer, FixedPer.MONTH),
    )
    row.end()
    return layer


def _power_factor(row: Fields, order: str) -> PowerFactorLayer:
    layer = PowerFactorLayer(
        **_layer(row, order=order, code="pf", text="Power factor"),
        steps=tuple(_pf_step(step) for step in row.rows("steps")),
        of=row.texts("of") or ("energy",),
        round=_rounding(row.sub("round")) if row.has("round") else None,
    )
    row.end()
    ordered = sorted(layer.steps, key=lambda step: step.at_least)
    if not layer.steps or any(a.below > b.at_least for a, b in pairwise(ordered)):
        raise row.wrong("needs steps, and they must not overlap")
    return layer


def _pf_step(row: Fields) -> PowerFactorStep:
    step = PowerFactorStep(
        at_least=row.not_negative("at_least", 0),
        below=row.above_zero("below", 2),
        pct=row.number("pct") if row.has("pct") else None,
        per_kwh=row.number("per_kwh") if row.has("per_kwh") else None,
        points_from=row.above_zero("points_from") if row.has("points_from") else None,
    )
    row.end()
    if (step.pct is None) == (step.per_kwh is None):
        raise row.wrong("needs exactly one of pct and per_kwh")
    if step.at_least >= step.below:
        raise row.wrong("at_least must be less than below")
    return step


def _adder(row: Fields, order: str) -> Adder:
    code = row.text("code")
    monthly = row.flag("monthly")
    if monthly == row.has("value"):
        raise row.wrong("needs exactly one of value and monthly = true")
    adder = Adder(
        **_layer(row, order=order, code=code, text=code),
        basis=row.choice("basis", AdderBasis),
        value=None if monthly else row.number("value"),
        of=row.texts("of"),
    )
    row.end()
    if (adder.basis is AdderBasis.PCT_OF) != bool(adder.of):
        raise row.wrong("of names the layers of a percentage, and only of one")
    return adder


def _fit(where: str, fields: dict[str, Any]) -> None:
    """Refuse what contradicts itself between layers."""
    kinds: Sequence[Sequence[Layer]] = [fields[key] for key in ("energy", "demand", "fixed", "power_factor_layers", "adders")]
    if not fields["energy"]:
        raise InvalidTariff(f"{where}: it has no energy charge")
    seen: dict[str, int] = {}
    by_code: dict[str, list[Valid]] = {}
    for k, layers in enumerate(kinds):
        for layer in layers:
            if seen.setdefault(layer.code, k) != k:
                raise InvalidTariff(f"{where}: the code {layer.code!r} is of two kinds of layers")
            for other in by_code.setdefault(layer.code, []):
                both = layer.valid.within(other)
                if both is not None:
                    raise InvalidTariff(f"{where}: two layers {layer.code!r} hold at the same time ({both})")
            by_code[layer.code].append(layer.valid)
            of = layer.of if isinstance(layer, Adder | PowerFactorLayer) else ()
            for code in of:
                if code not in seen or code == layer.code:
                    raise InvalidTariff(f"{where}: {layer.code!r} is a share of {code!r}, which no layer before it is called")
