"""Named tariffs, three months of 15-minute data each: bills equal to the paisa to what is worked out here from constants that were
typed by hand out of the orders' reports. Nothing of the tariff files or of the room's rules is used for the expected side: clocks
are whole minutes since 1970, money is exact fractions, and every tariff has its own few lines."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction as F
from functools import cache
from pathlib import Path

import pytest

from depot.metering import MeterBlock
from grid.billing import BillExtras, BillingHistory, Month, PastMonth, bill
from grid.tariff import Tariff

IST_MIN = 330
DAY = 1440


def minutes(year: int, month: int) -> int:
    """Minutes from 1970 to the begin of a month, by the calendar alone."""
    return int(datetime(year, month, 1, tzinfo=UTC).timestamp()) // 60


def denver_min(utc_min: int) -> int:
    """Offset of Denver's clock in 2025: summer time from 9 March, 09:00 UTC, to 2 November, 08:00 UTC."""
    since = int(datetime(2025, 3, 9, 9, tzinfo=UTC).timestamp()) // 60
    until = int(datetime(2025, 11, 2, 8, tzinfo=UTC).timestamp()) // 60
    return -360 if since <= utc_min < until else -420


def ist_min(utc_min: int) -> int:
    return IST_MIN


Row = tuple[int, int, int]
"""Local minute since 1970, Wh, VAh."""


@cache
def measured(year: int, month: int, place: str = "ist") -> tuple[tuple[MeterBlock, ...], tuple[Row, ...]]:
    """A depot's month: buses by night, a few by day, a lagging power factor; seeded."""
    dice = random.Random(f"{year}-{month}-{place}")
    offset: Callable[[int], int] = ist_min if place == "ist" else denver_min
    begin = minutes(year, month)
    end = minutes(year + month // 12, month % 12 + 1)
    at = begin - offset(begin - offset(begin))
    blocks, rows = [], []
    while at + offset(at) < end:
        local = at + offset(at)
        hour = local % DAY // 60
        top_w = 420_000 if hour >= 21 or hour < 5 else 160_000 if 11 <= hour < 15 else 60_000
        wh = dice.randrange(top_w // 8, top_w) // 4
        vah = wh * 1000 // dice.randrange(870, 1000) + 1
        blocks.append(MeterBlock(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=at), 15, wh, vah))
        rows.append((local, wh, vah))
        at += 15
    return tuple(blocks), tuple(rows)


def paise(rupees: F) -> int:
    """Half a paisa is rounded up; none of the amounts here is negative unless it says so."""
    scaled = rupees * 100
    if scaled < 0:
        return -paise(-rupees)
    return (2 * scaled.numerator + scaled.denominator) // (2 * scaled.denominator)


def to_the_rupee(amount_paise: int) -> int:
    return (amount_paise + 50) // 100 * 100


def kwh(rows: Sequence[Row], since_h: int = 0, until_h: int = 24) -> F:
    return F(sum(wh for at, wh, _ in rows if since_h * 60 <= at % DAY < until_h * 60), 1000)


def kvah(rows: Sequence[Row], since_h: int = 0, until_h: int = 24) -> F:
    return F(sum(vah for at, _, vah in rows if since_h * 60 <= at % DAY < until_h * 60), 1000)


def peak_kva(rows: Sequence[Row]) -> F:
    return F(max(vah for _, _, vah in rows) * 4, 1000)


def half_hours(rows: Sequence[Row]) -> Iterator[tuple[int, F]]:
    """(minute of the day, kVA) of each block of thirty minutes."""
    for (at, _, one), (_, _, two) in zip(rows[::2], rows[1::2], strict=True):
        assert at % 30 == 0
        yield at % DAY, F((one + two) * 2, 1000)


def made(name: str, year: int, month: int, **more: object) -> tuple[int, int]:
    """The total of our bill; and the sum of its lines, to be the same."""
    blocks, _ = measured(year, month)
    got = bill(Tariff.named(name), Month(year, month), blocks, **more)  # type: ignore[arg-type]
    assert got.covered == 1
    return got.total_paise, sum(line.amount_paise for line in got.lines)


@pytest.mark.parametrize(("name", "rate"), [("delhi-ev-ht", F(4)), ("delhi-ev-lt", F(9, 2))])
@pytest.mark.parametrize(("year", "month"), [(2025, 1), (2025, 2), (2025, 12)])
def test_delhi(name: str, rate: F, year: int, month: int) -> None:
    expected = paise(kvah(measured(year, month)[1]) * rate)
    assert made(name, year, month) == (expected, expected)


@pytest.mark.parametrize(("year", "month"), [(2025, 5), (2025, 10), (2026, 2)])
@pytest.mark.parametrize("ruling", ["7.15", "8.03"])
def test_kerala_ev(year: int, month: int, ruling: str) -> None:
    rows = measured(year, month)[1]
    solar = kwh(rows, 9, 16)
    expected = paise(solar * F(ruling) * F(7, 10)) + paise((kwh(rows) - solar) * F(ruling) * F(13, 10))
    assert made(f"kerala-kseb-ev:average_ruling_tariff={ruling}", year, month) == (expected, expected)


@pytest.mark.parametrize(("year", "month", "contract"), [(2025, 4, 700), (2025, 6, 400), (2025, 11, 560)])
def test_kerala_ht(year: int, month: int, contract: int) -> None:
    rows = measured(year, month)[1]
    normal, peak = kwh(rows, 6, 18), kwh(rows, 18, 22)
    night = kwh(rows) - normal - peak
    rate = F("6.10")
    expected = paise(normal * rate) + paise(peak * rate * F(3, 2)) + paise(night * rate * F(3, 4))
    expected += paise(max(peak_kva(rows), F(contract) * F(3, 4)) * 405)
    assert made("kerala-ht:energy_rate=6.10,demand_rate=405", year, month, contract=contract) == (expected, expected)


@pytest.mark.parametrize(("year", "month"), [(2025, 11), (2025, 12), (2026, 3)])
def test_telangana_ht_ix(year: int, month: int) -> None:
    rows = measured(year, month)[1]
    expected = paise(kvah(rows) * 6) + paise(kvah(rows, 6, 10)) + paise(kvah(rows, 18, 22))
    if (year, month) == (2025, 11):
        expected += paise((kvah(rows, 22, 24) + kvah(rows, 0, 6)) * F(-3, 2))
    assert made("telangana-ht-ix-ev", year, month) == (expected, expected)


@pytest.mark.parametrize(("year", "month", "rate"), [(2020, 10, F("4.85")), (2020, 11, F(5)), (2022, 3, F(5))])
@pytest.mark.parametrize("contract", [640, 520, 390])
def test_karnataka_ht(year: int, month: int, rate: F, contract: int) -> None:
    """The floor of 85 %, a month within the contract, and one above it at twice the rate; rounded to the rupee."""
    rows = measured(year, month)[1]
    recorded = peak_kva(rows)
    expected = paise(kwh(rows) * rate)
    if recorded > contract:
        expected += paise(F(contract) * 180) + paise((recorded - contract) * 360)
    else:
        expected += paise(max(recorded, F(contract) * F(85, 100)) * 180)
    expected = to_the_rupee(expected)
    assert made("karnataka-bescom-ht-ev", year, month, contract=contract) == (expected, expected)


@pytest.mark.parametrize(("year", "month", "rate"), [(2020, 9, F("4.85")), (2020, 12, F(5)), (2021, 2, F(5))])
def test_karnataka_lt_6c(year: int, month: int, rate: F) -> None:
    expected = to_the_rupee(paise(kwh(measured(year, month)[1]) * rate) + 50 * 137 * 100)
    assert made("karnataka-bescom-lt-6c", year, month, contract=137) == (expected, expected)


@pytest.mark.parametrize(("name", "rate", "demand"), [("madhya-pradesh-ev-ht", F("5.90"), 120), ("madhya-pradesh-ev-lt", F(6), 100)])
@pytest.mark.parametrize(("year", "month"), [(2019, 4), (2019, 10), (2020, 2)])
def test_madhya_pradesh(name: str, rate: F, demand: int, year: int, month: int) -> None:
    rows = measured(year, month)[1]
    expected = paise(kwh(rows) * rate) + paise(peak_kva(rows) * demand)
    assert made(name, year, month) == (expected, expected)


FILLED_IN = "energy_rate=7.25,wheeling_rate=0.62,demand_rate=583,solar_factor=0.85,evening_factor=1.2"


@pytest.mark.parametrize(
    ("year", "month", "contract", "past", "wins"),
    [(2025, 7, 200, 120, "recorded"), (2025, 8, 500, 700, "contract"), (2026, 1, 700, 690, "contract"), (2025, 12, 460, 455, "ratchet")],
)
@pytest.mark.parametrize("share", ["0.75", "0.80"])
def test_maharashtra_ht(year: int, month: int, contract: int, past: int, wins: str, share: str) -> None:
    """65 % of the demand from 06 to 22 h, 75 % of the highest of eleven months up to the contract, or a share of the contract,
    over blocks of thirty minutes; above the contract 1.5 × beside that."""
    if wins == "ratchet":
        share = "0.70"
    rows = measured(year, month)[1]
    history = {Month(year, month).after(-k): PastMonth(F(0), F(past if k == 11 else 100)) for k in range(1, 12)}
    blocks = list(half_hours(rows))
    by_day = max(kva for minute, kva in blocks if 360 <= minute < 1320) * F(65, 100)
    ratchet = min(F(past), F(contract)) * F(3, 4)
    floor = F(contract) * F(share)
    billing = max(by_day, ratchet, floor)
    assert {"recorded": by_day, "ratchet": ratchet, "contract": floor}[wins] == billing
    recorded = max(kva for _, kva in blocks)
    expected = paise(kvah(rows, 0, 9) * F("7.25")) + paise(kvah(rows, 9, 17) * F("7.25") * F("0.85"))
    expected += paise(kvah(rows, 17, 24) * F("7.25") * F("1.2")) + paise(kvah(rows) * F("0.62")) + paise(kvah(rows) * F("0.31"))
    expected += paise(billing * 583) + paise(max(F(0), recorded - contract) * 583 * F(3, 2))
    name = f"maharashtra-msedcl-ht-ev:{FILLED_IN},contract_share={share}"
    extras = BillExtras(monthly={"fac": F("0.31")})
    assert made(name, year, month, history=BillingHistory(history), contract=contract, extras=extras) == (expected, expected)


@pytest.mark.parametrize("month", [3, 7, 11])
def test_stylised_time_of_use_where_the_clock_changes(month: int) -> None:
    blocks, rows = measured(2025, month, "denver")
    night, noon, evening = kwh(rows, 0, 5), kwh(rows, 9, 14), kwh(rows, 16, 21)
    rest = kwh(rows) - night - noon - evening
    expected = sum(map(paise, (night * F("0.11"), noon * F("0.10"), evening * F("0.36"), rest * F("0.13"))))
    expected += paise(F(max(wh for _, wh, _ in rows) * 4, 1000) * 18)
    got = bill(Tariff.named("stylised-tou", timezone="America/Denver"), Month(2025, month), blocks)
    assert (got.covered, got.total_paise) == (1, expected)


CHANGES_ON_THE_17TH = """
schema = "tariff/2"
name = "changes"
title = "No order: rates that change within a month"
currency = "INR"
timezone = "Asia/Kolkata"
order = "none"
source = "made up"
[[energy]]
basis = "kVAh"
base = "6.35"
valid_until = 2025-06-17
tod = [{ from = "18:00", to = "22:00", op = "mul", value = "1.2" }]
[[energy]]
basis = "kWh"
slabs = [{ up_to = "60000", rate = "6.55" }, { rate = "7.05" }]
valid_from = 2025-06-17
tod = [{ from = "18:00", to = "22:00", op = "add", value = "0.85" }]
[[demand]]
basis = "kVA"
rate = "351"
valid_until = 2025-06-17
[[demand]]
basis = "kVA"
rate = "403"
valid_from = 2025-06-17
[[pf]]
of = ["energy", "demand"]
steps = [{ below = "0.95", pct = "1.5", points_from = "0.95" }]
[[adders]]
code = "duty"
basis = "pct_of"
of = ["energy", "demand", "pf"]
value = "7.5"
[rounding]
bill = { to = "1" }
"""


@pytest.mark.parametrize("month", [5, 6, 7])
def test_rates_that_change_within_the_month(month: int) -> None:
    """Before, in, and after the month of the change: time of day, slabs cut to fourteen of thirty days, demand by days, a power factor
    surcharge, duty on all of it, the rupee."""
    blocks, rows = measured(2025, month)
    days = {5: 31, 6: 30, 7: 31}[month]
    change = {5: days, 6: 16, 7: 0}[month]
    first = minutes(2025, month)
    old = [row for row in rows if row[0] < first + change * DAY]
    new = [row for row in rows if row[0] >= first + change * DAY]
    lines = []
    if old:
        evening = kvah(old, 18, 22)
        lines += [paise((kvah(old) - evening) * F("6.35")), paise(evening * F("6.35") * F("1.2"))]
    if new:
        bound = F(60_000) * F(days - change, days)
        taken = kwh(new)
        assert taken > bound, "both slabs are reached"
        lines += [paise(bound * F("6.55")), paise((taken - bound) * F("7.05")), paise(kwh(new, 18, 22) * F("0.85"))]
    lines += [paise(peak_kva(rows) * rate * F(n, days)) for rate, n in ((351, change), (403, days - change)) if n]
    short = F(95, 100) - kwh(rows) / kvah(rows)
    points = -(-(short * 100).numerator // (short * 100).denominator)
    assert points in (1, 2), "the surcharge is due"
    lines.append(paise(F(sum(lines), 100) * F("1.5") * points / 100))
    lines.append(paise(F(sum(lines), 100) * F("7.5") / 100))
    expected = to_the_rupee(sum(lines))
    assert bill(Tariff.parse(CHANGES_ON_THE_17TH), Month(2025, month), blocks).total_paise == expected


def test_every_named_tariff_is_worked_out_here() -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in Tariff.names() if f'"{name}' not in text] == []
