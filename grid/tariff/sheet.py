"""A tariff as a table (CSV): one row for each thing, columns as the keys of the TOML file are called, empty cells left out,
and missing ones at the end of a row too.

    row          what it is                               belongs to
    tariff       name, title, currency, …                 (one row)
    parameter    name in ``code``, value, meaning
    energy       basis, base                              slab, tod: rows below it
    demand       basis, rate, block_min, …                rule, excess, round: rows below it
    fixed, pf    pf_step: rows below it
    adder        basis, value or monthly, of
    rounding     line or bill in ``code``; to, mode
    uncertain, leaves_out    a sentence in ``text``

Lists are separated by ``;``. Several rules below one demand charge: the highest of them. ``cap`` is ``contract``, or
``contract 0.9`` for a share of it.
"""

from __future__ import annotations

import csv
import io

from grid.tariff.errors import InvalidTariff

__all__ = ["tree_of_csv"]

Row = dict[str, object]

_TOP = {"energy": "energy", "demand": "demand", "fixed": "fixed", "pf": "pf", "adder": "adders"}
_BELOW = {
    "slab": ("energy", "slabs"),
    "tod": ("energy", "tod"),
    "rule": ("demand", "billing_rule"),
    "excess": ("demand", "excess"),
    "round": ("demand", "round"),
    "pf_step": ("pf", "steps"),
}
_LISTS = {"months", "days", "of"}
_FLAGS = {"monthly", "also_base"}
_WHOLE = {"months"}
_LONGEST = 1_000_000


def tree_of_csv(text: str) -> dict[str, object]:
    """The tree that a TOML file of the same meaning has; it is checked when it is read. Raises :class:`InvalidTariff`."""
    if len(text) > _LONGEST:
        raise InvalidTariff(f"a table of {len(text):,} characters: no more than {_LONGEST:,} are read")
    try:
        reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), strict=True)
        rows = list(reader)
    except csv.Error as error:
        raise InvalidTariff(f"not a CSV file: {error}") from None
    if not reader.fieldnames or "row" not in reader.fieldnames:
        raise InvalidTariff("the table needs a column called row, which says what each row is")
    if len(set(reader.fieldnames)) != len(reader.fieldnames):
        raise InvalidTariff("the table has two columns of one name")
    tree: dict[str, object] = {"schema": "tariff/2"}
    last: dict[str, Row] = {}
    for number, cells in enumerate(rows, 2):
        where = f"row {number}"
        if None in cells:
            raise InvalidTariff(f"{where}: has more cells than there are columns")
        kind, row = _row(cells, where)
        if kind:
            _place(tree, last, kind, row, where)
    return tree


def _row(cells: dict[str, str | None], where: str) -> tuple[str, Row]:
    row: Row = {}
    kind = ""
    for key, cell in cells.items():
        value = (cell or "").strip()
        if key == "row":
            kind = value
        elif value:
            row[key.strip()] = _value(key.strip(), value, where)
    if row and not kind:
        raise InvalidTariff(f"{where}: says nothing in the column row")
    return kind, row


def _value(key: str, cell: str, where: str) -> object:
    if key in _LISTS:
        parts = [part.strip() for part in cell.split(";") if part.strip()]
        if key in _WHOLE:
            return [int(part) if part.isascii() and part.isdecimal() and len(part) < 4 else part for part in parts]
        return parts
    if key in _FLAGS:
        if cell.lower() not in ("true", "false"):
            raise InvalidTariff(f"{where}: {key} is {cell!r:.60}; write true or false")
        return cell.lower() == "true"
    if key == "cap":
        ref, _, factor = cell.partition(" ")
        return {"ref": ref, "factor": factor.strip()} if factor.strip() else {"ref": ref}
    return cell


def _place(tree: dict[str, object], last: dict[str, Row], kind: str, row: Row, where: str) -> None:
    if kind == "tariff":
        double = sorted(set(row) & set(tree))
        if double:
            raise InvalidTariff(f"{where}: {', '.join(double)} again; there is one row tariff")
        tree.update(row)
    elif kind in ("uncertain", "leaves_out"):
        _listed(tree, kind, where).append(row.get("text", ""))
    elif kind in ("parameter", "rounding"):
        table = tree.setdefault("parameters" if kind == "parameter" else "rounding", {})
        name = row.pop("code", None)
        if not isinstance(table, dict) or not isinstance(name, str) or name in table:
            raise InvalidTariff(f"{where}: a row {kind} has a name of its own in the column code")
        table[name] = row
    elif kind in _TOP:
        _listed(tree, _TOP[kind], where).append(row)
        last[kind] = row
    elif kind in _BELOW:
        above, key = _BELOW[kind]
        if above not in last:
            raise InvalidTariff(f"{where}: a row {kind} stands below a row {above}")
        _below(last[above], kind, key, row, where)
    else:
        raise InvalidTariff(f"{where}: {kind!r:.60} is no row; write tariff, parameter, {', '.join([*_TOP, *_BELOW])}, rounding, …")


def _below(parent: Row, kind: str, key: str, row: Row, where: str) -> None:
    if kind == "rule":
        rule = parent.setdefault(key, {"max": []})
        if isinstance(rule, dict) and isinstance(rule.get("max"), list):
            rule["max"].append(row)
            return
    elif kind in ("excess", "round"):
        if key not in parent:
            parent[key] = row
            return
    else:
        rows = parent.setdefault(key, [])
        if isinstance(rows, list):
            rows.append(row)
            return
    raise InvalidTariff(f"{where}: {key} stands twice")


def _listed(tree: dict[str, object], key: str, where: str) -> list[object]:
    found = tree.setdefault(key, [])
    if not isinstance(found, list):
        raise InvalidTariff(f"{where}: {key} stands in the row tariff already")
    return found
