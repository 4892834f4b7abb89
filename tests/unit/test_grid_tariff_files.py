"""Tariff files: TOML, JSON and tables say the same; what is wrong is refused with its place; findings and words."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import tomllib
from datetime import date, datetime
from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grid import GridError
from grid.tariff import InvalidTariff, Tariff, UnknownTariff
from grid.tariff.check import Severity, check
from grid.tariff.files import FILE_KINDS, tree_of_text
from grid.tariff.words import told

DOCS = Path(__file__).resolve().parents[2] / "docs" / "tariffs.md"
EXAMPLE = DOCS.read_text(encoding="utf-8").split("```toml\n")[1].split("```")[0]
TABLE: list[dict[str, str]] = [
    {"row": "tariff", "name": "t", "title": "T", "currency": "INR", "timezone": "Asia/Kolkata"},
    {"row": "tariff", "order": "an order", "source": "somewhere", "valid_from": "2025-04-01"},
    {"row": "parameter", "code": "power_factor", "value": "0.95", "meaning": "kW per kVA"},
    {"row": "energy", "basis": "kVAh", "base": "6.00", "valid_until": "2025-10-01", "order_ref": "order A"},
    {"row": "tod", "name": "evening", "from": "18:00", "to": "22:00", "op": "add", "value": "1.00"}
    | {"months": "4;5; 6", "days": "sat;sun", "kind": "peak"},
    {"row": "energy", "basis": "kVAh", "slab_mode": "telescopic", "valid_from": "2025-10-01", "order_ref": "order B"},
    {"row": "slab", "up_to": "1000", "rate": "5.5"},
    {"row": "slab", "rate": "6.5"},
    {},
    {"row": "demand", "basis": "kVA", "rate": "180", "block_min": "30"},
    {"row": "rule", "ref": "recorded", "factor": "0.65", "from": "06:00", "to": "22:00"},
    {"row": "rule", "ref": "highest_billing", "factor": "0.75", "lookback": "11", "cap": "contract 0.9"},
    {"row": "excess", "multiplier": "1.5", "also_base": "true"},
    {"row": "fixed", "code": "meter", "amount": "500", "per": "day"},
    {"row": "pf", "of": "energy;demand"},
    {"row": "pf_step", "below": "0.9", "pct": "1", "points_from": "0.9"},
    {"row": "adder", "code": "fppca", "basis": "kVAh", "monthly": "true"},
    {"row": "rounding", "code": "bill", "to": "1", "mode": "nearest"},
    {"row": "uncertain", "text": "all of it"},
]


def sheet() -> str:
    """The table as a spreadsheet writes it."""
    columns = list(dict.fromkeys(key for row in TABLE for key in row))
    written = io.StringIO()
    writer = csv.DictWriter(written, columns)
    writer.writeheader()
    writer.writerows(TABLE)
    return written.getvalue()


def test_a_table_says_what_a_toml_file_says() -> None:
    text = """
schema = "tariff/2"
name = "t"
title = "T"
currency = "INR"
timezone = "Asia/Kolkata"
order = "an order"
source = "somewhere"
valid_from = 2025-04-01
uncertain = ["all of it"]
[parameters.power_factor]
value = "0.95"
meaning = "kW per kVA"
[[energy]]
basis = "kVAh"
base = "6.00"
valid_until = 2025-10-01
order_ref = "order A"
[[energy.tod]]
name = "evening"
from = "18:00"
to = "22:00"
op = "add"
value = "1.00"
months = [4, 5, 6]
days = ["sat", "sun"]
kind = "peak"
[[energy]]
basis = "kVAh"
slab_mode = "telescopic"
slabs = [{ up_to = 1000, rate = "5.5" }, { rate = "6.5" }]
valid_from = 2025-10-01
order_ref = "order B"
[[demand]]
basis = "kVA"
rate = 180
block_min = 30
excess = { multiplier = "1.5", also_base = true }
[demand.billing_rule]
max = [
    { ref = "recorded", factor = "0.65", from = "06:00", to = "22:00" },
    { ref = "highest_billing", factor = "0.75", lookback = 11, cap = { ref = "contract", factor = "0.9" } },
]
[[fixed]]
code = "meter"
amount = "500"
per = "day"
[[pf]]
of = ["energy", "demand"]
steps = [{ below = "0.9", pct = "1", points_from = "0.9" }]
[[adders]]
code = "fppca"
basis = "kVAh"
monthly = true
[rounding]
bill = { to = "1", mode = "nearest" }
"""
    assert Tariff.of_tree(tree_of_text(sheet(), ".csv")) == Tariff.parse(text)
    assert Tariff.of_tree(tree_of_text("\ufeff" + sheet(), ".csv")) == Tariff.parse(text)
    as_json = json.dumps(tomllib.loads(text), default=str)
    assert Tariff.parse_json(as_json) == Tariff.parse(text)


def test_the_marginal_price_knows_the_slab_and_the_order_of_the_day() -> None:
    tariff = Tariff.of_tree(tree_of_text(sheet(), ".csv"))
    zone = ZoneInfo("Asia/Kolkata")
    saturday = datetime(2025, 6, 7, 18, tzinfo=zone)
    assert tariff.price_per_kwh(saturday) == 7 / Fraction("0.95")
    november = datetime(2025, 11, 1, tzinfo=zone)
    prices = [tariff.price_per_kwh(november, used=Fraction(used)) * Fraction("0.95") for used in (0, 999, 1000, 5000)]
    assert prices == [Fraction("5.5"), Fraction("5.5"), Fraction("6.5"), Fraction("6.5")]
    monthly = {"fppca": Fraction("0.19")}
    assert tariff.price_per_kwh(november, monthly=monthly) == Fraction("5.69") / Fraction("0.95")
    assert tariff.exact_vector(november, 2, 900, used=Fraction(2000)) == [Fraction("6.5") / Fraction("0.95")] * 2


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_file_of_ones_own_is_loaded_by_its_path(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"mine{kind}"
    tree = {**tomllib.loads(EXAMPLE)}
    path.write_text({".toml": EXAMPLE, ".json": json.dumps(tree, default=str), ".csv": sheet()}[kind], encoding="utf-8")
    assert Tariff.load(f"{path}:power_factor=0.8").power_factor == Fraction(4, 5)
    with pytest.raises(UnknownTariff, match="No such file"):
        Tariff.load(f"{tmp_path}/other{kind}")
    with pytest.raises(UnknownTariff, match="no tariff is called"):
        Tariff.named(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidTariff, match="UTF-8"):
        Tariff.load(str(path))


def changed(**more: Any) -> dict[str, Any]:
    tree = copy.deepcopy(tomllib.loads(EXAMPLE))
    return {**tree, **more}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"energy": []}, "has no energy charge"),
        ({"energy": [{"basis": "kWh", "base": "1"}, {"basis": "kWh", "base": "2"}]}, "two layers 'energy' hold at the same time (always)"),
        ({"energy": [{"basis": "kWh"}]}, "exactly one of base and slabs"),
        ({"energy": [{"basis": "kWh", "base": 6.5}]}, "in quotes"),
        ({"energy": [{"basis": "kW", "base": "6"}]}, "energy 1: basis is 'kW'; write kWh or kVAh"),
        ({"energy": [{"basis": "kWh", "slabs": [{"up_to": 5, "rate": 1}, {"up_to": 4, "rate": 1}, {"rate": 2}]}]}, "slabs must rise"),
        ({"energy": [{"basis": "kWh", "slabs": [{"up_to": 5, "rate": 1}]}]}, "only the last one has no up_to"),
        ({"energy": [{"basis": "kWh", "base": "1", "tod": [{"op": "mul"}]}]}, "tod 1: value missing"),
        ({"energy": [{"basis": "kWh", "base": "1", "code": "Energy!"}]}, "short word in small letters"),
        ({"energy": [{"basis": "kWh", "base": "1", "valid_from": "2025-13-01"}]}, "write a day like"),
        ({"energy": [{"basis": "kWh", "base": "1", "valid_from": "2025-02-01", "valid_until": "2025-02-01"}]}, "must be after"),
        ({"demand": [{"basis": "kW", "rate": 1, "block_min": 7}]}, "blocks must fill the day"),
        ({"demand": [{"basis": "kW", "rate": -1}]}, "must not be negative"),
        ({"demand": [{"basis": "kW", "rate": 1, "billing_rule": {"max": []}}]}, "at least one term"),
        ({"demand": [{"basis": "kW", "rate": 1, "billing_rule": {"ref": "peak"}}]}, "ref is 'peak'; write recorded"),
        ({"demand": [{"basis": "kW", "rate": 1, "billing_rule": {"ref": "recorded", "cap": {"ref": "contract"}}}]}, "unknown keys cap"),
        (
            {"demand": [{"basis": "kW", "rate": 1, "block_min": 30, "billing_rule": {"ref": "recorded", "from": "06:15", "to": "22:00"}}]},
            "cuts blocks of 30 min",
        ),
        ({"pf": [{"steps": [{"below": "0.9", "pct": 1}, {"at_least": "0.8", "pct": 2}]}]}, "must not overlap"),
        ({"pf": [{"steps": [{"below": "0.9"}]}]}, "exactly one of pct and per_kwh"),
        ({"adders": [{"code": "x", "basis": "pct_of", "value": 1, "of": ["y"]}]}, "share of 'y', which no layer before it"),
        ({"adders": [{"code": "x", "basis": "kWh", "value": 1, "of": ["energy"]}]}, "only of one"),
        ({"adders": [{"code": "x", "basis": "kWh"}]}, "exactly one of value and monthly"),
        ({"adders": [{"code": "energy", "basis": "kWh", "value": 1}]}, "two kinds"),
        ({"rounding": {"bill": {"to": "0.005"}}}, "multiple of 0.01"),
        ({"parameters": {"power_factor": {"value": "1.2", "meaning": "m"}}}, "out of range"),
        ({"name": ""}, "name must be a text"),
        ({"surprise": 1}, "unknown keys surprise"),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_place(more: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidTariff, match=says.replace("(", r"\(").replace(")", r"\)")):
        Tariff.of_tree(changed(**more))


@pytest.mark.parametrize("number", ["1e9", "nan", "", "1/0", "1_000", "٣", "9" * 20, True, None, [], 1.5])
def test_numbers_that_are_none(number: object) -> None:
    with pytest.raises(InvalidTariff):
        Tariff.of_tree(changed(energy=[{"basis": "kWh", "base": number}]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a,b\n1,2\n", "column called row"),
        ("row,code\nslab,x\n", "row 2: a row slab stands below a row energy"),
        ("row,code\nnonsense,x\n", "'nonsense' is no row"),
        ("row,code\nenergy,x,too,many\n", "more cells"),
        ("row,row\nenergy,x\n", "two columns of one name"),
        ("row,code\n,x\n", "says nothing in the column row"),
        ('row,code\nenergy,"x\n', "not a CSV file"),
        ("row,monthly\nadder,perhaps\n", "write true or false"),
        ("row,multiplier\ndemand,\nexcess,2\nexcess,2\n", "excess stands twice"),
        ("row,name\ntariff,a\ntariff,b\n", "one row tariff"),
    ],
)
def test_tables_that_cannot_be_right(text: str, says: str) -> None:
    with pytest.raises(InvalidTariff, match=says):
        Tariff.of_tree(tree_of_text(text, ".csv"))


# -- findings and words ------------------------------------------------------------------------------------------------------------


def findings(today: date | None = None, **more: Any) -> dict[str, Severity]:
    return {one.sentence: one.severity for one in check(Tariff.of_tree(changed(**more)), today)}


def has(found: dict[str, Severity], words: str, severity: Severity) -> bool:
    return any(words in sentence and one is severity for sentence, one in found.items())


def test_overlaps_gaps_and_hours_are_found() -> None:
    def tod(*rules: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
        return [{"basis": "kWh", "base": "6", "tod": list(rules), **more}]

    peak = {"from": "18:00", "to": "22:00", "op": "mul", "value": "1.2", "kind": "peak"}
    late = {"from": "21:00", "to": "01:00", "op": "mul", "value": "0.9", "name": "late"}
    found = findings(energy=tod(peak, late))
    assert has(found, "18:00–22:00 and late hold at the same time, for example at 21:00: both count", Severity.DOUBT)
    assert has(found, "no rule of the day holds 01:00–18:00", Severity.NOTE)
    assert not has(findings(energy=tod({**peak, "months": [1]}, {**late, "months": [2]})), "same time", Severity.DOUBT)
    solar = {"from": "09:00", "to": "18:00", "op": "mul", "value": "0.9", "kind": "solar"}
    found = findings(energy=tod(solar, {**peak, "value": "1.1"}))
    assert has(found, "solar hours of 9 h a day: the central rules have eight", Severity.DOUBT)
    assert has(found, "09:00–18:00: 0.9 × the normal price, central rules: at most 0.8", Severity.DOUBT)
    assert has(found, "1.1 × the normal price, central rules: at least 1.2", Severity.DOUBT)
    short = {**solar, "to": "12:00", "value": "0.8"}
    assert has(findings(energy=tod(short, peak)), "peak hours of 4 h are longer than the solar hours of 3 h", Severity.DOUBT)
    assert not has(findings(energy=tod(short, peak), currency="USD"), "longer", Severity.DOUBT)
    assert has(findings(energy=tod({"op": "add", "value": "-7"})), "a price of -1/kWh", Severity.DOUBT)
    never = {"op": "add", "value": "1", "valid_from": "2031-01-01"}
    assert has(findings(energy=tod(never, valid_until="2030-01-01")), "never counts", Severity.DOUBT)


def test_validity_and_orders_are_found() -> None:
    halves = [
        {"basis": "kWh", "base": "6", "valid_until": "2025-06-01"},
        {"basis": "kWh", "base": "7", "valid_from": "2025-07-01", "valid_until": "2026-01-01"},
    ]
    found = findings(energy=halves, today=date(2026, 11, 22))
    assert has(found, "nothing holds from 2025-06-01 until before 2025-07-01", Severity.PROBLEM)
    assert has(found, "nothing holds from 2026-01-01 until before 2026-04-01", Severity.PROBLEM)
    assert has(found, "name the same order: give each its order_ref", Severity.DOUBT)
    assert has(found, "not today (2026-11-22)", Severity.DOUBT)


def test_odd_demand_and_adders_are_found() -> None:
    rule = {"max": [{"ref": "recorded"}, {"ref": "contract", "factor": "1.2"}]}
    found = findings(demand=[{"basis": "kW", "rate": 0, "block_min": 60, "billing_rule": rule}])
    assert has(found, "bills at least 120 % of the contract", Severity.DOUBT)
    assert has(found, "no excess", Severity.NOTE)
    assert has(found, "blocks of 60 min", Severity.DOUBT)
    assert has(found, "rate 0", Severity.NOTE)
    odd = {"basis": "kW", "rate": 1, "excess": {"multiplier": "0.5", "above": "0.9"}}
    assert has(findings(demand=[odd]), "cheaper than below it", Severity.DOUBT)
    assert has(findings(demand=[odd]), "begins at 90 % of the contract", Severity.DOUBT)
    fac = {"code": "fac", "basis": "kWh", "value": "13"}
    assert has(findings(adders=[fac]), "13 INR/kWh: as large as the energy charge", Severity.DOUBT)
    assert has(findings(), "kVAh count the power factor already", Severity.DOUBT)


def test_a_tariff_is_told_in_sentences() -> None:
    words = "\n".join(told(Tariff.parse(EXAMPLE)))
    for part in (
        "Energy charge (energy): 6 INR/kVAh. Order: order of March 2025, schedule HT.",
        "evening peak: 18:00–22:00, months 4, 5, 6: + 1 INR/kVAh.",
        "180 INR/kVA and month of billing demand, over blocks of 15 min.",
        "75 % of the highest billing demand of the 11 months before, counted up to the contract demand",
        "Above the contract: 2 × the rate, in place of the rate.",
        "from 0 to below 0.9 1 % of energy, demand for every hundredth begun from 0.9",
        "fppca (fppca): published month by month, INR/kWh.",
        "9 % of energy, demand, fppca.",
        "the bill to whole multiples of 1 INR (nearest)",
    ):
        assert part in words


# -- property: whatever a file holds, the only error is ours ---------------------------------------------------------------------

PACKAGED = [tomllib.loads((files("grid") / "tariffs" / f"{name}.toml").read_text(encoding="utf-8")) for name in Tariff.names()]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["", "0", "-1", "24:00", "99:99", "2025-02-30", "0001-01-01", "9999-12-31", "energy", "pct_of", "recorded", "1/3"]),
    st.lists(st.integers(0, 13), max_size=3),
    st.dictionaries(st.sampled_from(["ref", "max", "to", "value", "factor"]), st.text(max_size=5), max_size=2),
)


def places(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        found += places(value, (*path, key))
    return found


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_mutated_files_are_read_and_checked_or_refused(data: st.DataObject) -> None:
    tree = copy.deepcopy(data.draw(st.sampled_from([*PACKAGED, tomllib.loads(EXAMPLE)])))
    for _ in range(data.draw(st.integers(1, 3))):
        where = places(tree)
        if not where:
            break
        *above, last = data.draw(st.sampled_from(where))
        holder: Any = tree
        for key in above:
            holder = holder[key]
        action = data.draw(st.sampled_from(["replace", "drop", "double"]))
        if action == "replace":
            holder[last] = data.draw(ODD)
        elif action == "drop":
            del holder[last]
        elif isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
    try:
        tariff = Tariff.of_tree(tree)
        check(tariff, date(2026, 11, 22))
        told(tariff)
        tariff.price_per_kwh(datetime(2025, 6, 1, 12, tzinfo=ZoneInfo("Asia/Kolkata")))
        assert tariff.demand_charge_per_kw_month >= 0
    except GridError:
        pass


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("latin-1")), st.sampled_from(FILE_KINDS))
def test_any_text_is_read_or_refused(text: str, kind: str) -> None:
    with pytest.raises(InvalidTariff):
        Tariff.of_tree(tree_of_text(text, kind))


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_mutated_tables_are_read_or_refused(data: st.DataObject) -> None:
    cells = [line.split(",") for line in sheet().splitlines()]
    for _ in range(data.draw(st.integers(1, 4))):
        row = data.draw(st.integers(0, len(cells) - 1))
        cell = data.draw(st.integers(0, len(cells[row]) - 1))
        cells[row][cell] = data.draw(st.sampled_from(["", "x", "1", "-1", "rule", "energy", "1;2", "true", '"']))
    with contextlib.suppress(GridError):
        check(Tariff.of_tree(tree_of_text("\n".join(",".join(row) for row in cells), ".csv")))


def test_files_that_are_too_long_or_too_deep_are_refused() -> None:
    with pytest.raises(InvalidTariff):
        tree_of_text("[" * 100_000, ".json")
    with pytest.raises(InvalidTariff):
        tree_of_text("a = " + "[" * 50_000, ".toml")
    for kind in FILE_KINDS:
        with pytest.raises(InvalidTariff, match="no more than"):
            tree_of_text("#" * 1_000_001, kind)
    rule: dict[str, Any] = {"ref": "recorded"}
    for _ in range(20):
        rule = {"max": [rule]}
    with pytest.raises(InvalidTariff, match="deep"):
        Tariff.of_tree(changed(demand=[{"basis": "kW", "rate": 1, "billing_rule": rule}]))
