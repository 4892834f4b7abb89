"""The older, flat schema tariff/1, rewritten as the layered tree: one energy charge with rules, one demand charge.

Rules are applied in the file's order: ``price`` replaces, ``factor`` multiplies, ``add`` adds.
"""

from __future__ import annotations

from grid.tariff.fields import Fields

__all__ = ["FLAT_SCHEMA", "layered"]

FLAT_SCHEMA = "tariff/1"
_TOLD = ("name", "title", "currency", "timezone", "order", "source")
_OPERATIONS = {"price": "abs", "factor": "mul", "add": "add"}
_RULE_KEYS = ("from", "to", "months", "valid_from", "valid_until")


def layered(top: Fields) -> dict[str, object]:
    """The tree of schema tariff/2 with the same meaning. Raises :class:`InvalidTariff`."""
    top.has("schema")
    tree: dict[str, object] = {"schema": "tariff/2"}
    for key in _TOLD:
        tree[key] = top.text(key)
    for key in ("valid_from", "valid_until", "leaves_out", "parameters"):
        if top.has(key):
            tree[key] = top.table[key]
    energy: dict[str, object] = {"basis": top.text("basis"), "tod": [_rule(row) for row in top.rows("energy")]}
    if not top.has("base"):
        raise top.wrong("base missing")
    energy["base"] = top.table["base"]
    tree["energy"] = [energy]
    if top.has("demand"):
        demand = top.sub("demand")
        charge = demand.table["charge"] if demand.has("charge") else "0"
        tree["demand"] = [{"basis": demand.text("per"), "rate": charge, "block_min": demand.table.get("interval_min", 15)}]
        demand.has("interval_min")
        demand.end()
    top.end()
    return tree


def _rule(row: Fields) -> dict[str, object]:
    present = [key for key in _OPERATIONS if row.has(key)]
    if len(present) != 1:
        raise row.wrong("needs exactly one of price, factor, add")
    made: dict[str, object] = {"op": _OPERATIONS[present[0]], "value": row.table[present[0]]}
    for key in _RULE_KEYS:
        if row.has(key):
            made[key] = row.table[key]
    if row.has("weekdays"):
        made["days"] = row.table["weekdays"]
    row.end()
    return made
