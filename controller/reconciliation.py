"""Our bill beside the utility's, line by line: equal, explained, or not. Pure.

    our bill, their lines --> equal                         to the paisa
    our blocks scaled to their readings, billed again --> explained        what the two meters disagree about
    anything else --> unexplained                           worth a letter

What their bill says of energy and maximum demand is put into our blocks: energy in proportion, the highest blocks cut to (or
raised to) the recorded demand. A line that this makes equal, within a rupee or 0.05 %, differs by the meters' readings only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from depot.demand_book import UtilityBill
from depot.metering import MeterBlock
from depot.money_text import amount
from grid.billing import Bill

ROUNDING_PAISE = 100
"""A line differs by less than a rupee: rounded otherwise."""

SHARE = Fraction(5, 10_000)
"""Readings are printed with few digits: what follows of them is right to this share."""


class Verdict(StrEnum):
    """How a line compares."""

    EQUAL = "equal"
    EXPLAINED = "explained"
    UNEXPLAINED = "unexplained"
    NOT_GIVEN = "not_given"


@dataclass(frozen=True, slots=True)
class Compared:
    """One line. ``ours``, ``theirs``: paise, None where it is not on that bill. ``code`` "total": the sum."""

    code: str
    text: str
    ours: int | None
    theirs: int | None
    verdict: Verdict
    words: str


def compare(ours: Bill, theirs: UtilityBill, blocks: Sequence[MeterBlock], make: Callable[[Sequence[MeterBlock]], Bill]) -> list[Compared]:
    """Every line of either bill, then the total. ``make``: our bill of other blocks of the same month."""
    amounts = _amounts(ours)
    texts = {line.code: line.text for line in ours.lines}
    read = with_readings(blocks, theirs)
    as_read = amounts if read == list(blocks) else _amounts(make(read))
    out = []
    for code in [*amounts, *(code for code in theirs.lines if code not in amounts)]:
        out.append(_compared(code, texts.get(code, code), amounts.get(code), theirs.lines.get(code), as_read.get(code), ours.currency))
    total_read = sum(as_read.values()) if read != list(blocks) else ours.total_paise
    out.append(_compared("total", "Total", ours.total_paise, theirs.total_paise, total_read, ours.currency))
    return out


def with_readings(blocks: Sequence[MeterBlock], theirs: UtilityBill) -> list[MeterBlock]:
    """Our blocks as they would be had our meter read what the bill says."""
    found = _scaled(list(blocks), theirs)
    if theirs.recorded_w is not None:
        found = _levelled(found, theirs.recorded_w, apparent=False)
    if theirs.recorded_va is not None:
        found = _levelled(found, theirs.recorded_va, apparent=True)
    return found


def _scaled(blocks: list[MeterBlock], theirs: UtilityBill) -> list[MeterBlock]:
    wh, vah = sum(b.import_wh for b in blocks), sum(b.import_vah or 0 for b in blocks)
    by_wh = Fraction(theirs.import_wh, wh) if theirs.import_wh is not None and wh else Fraction(1)
    by_vah = Fraction(theirs.import_vah, vah) if theirs.import_vah is not None and vah else Fraction(1)
    if by_wh == by_vah == 1:
        return blocks
    out = []
    done_wh = done_vah = gone_wh = gone_vah = 0
    for block in blocks:  # sums are carried along, so that the total is theirs to the Wh
        gone_wh, gone_vah = gone_wh + block.import_wh, gone_vah + (block.import_vah or 0)
        new_wh, new_vah = int(gone_wh * by_wh) - done_wh, int(gone_vah * by_vah) - done_vah
        done_wh, done_vah = done_wh + new_wh, done_vah + new_vah
        out.append(replace(block, import_wh=new_wh, import_vah=None if block.import_vah is None else new_vah))
    return out


def _levelled(blocks: list[MeterBlock], recorded: int, *, apparent: bool) -> list[MeterBlock]:
    """The highest block is the recorded demand: higher ones are cut to it, or the highest is raised."""
    energies = [block.import_vah if apparent else block.import_wh for block in blocks]
    known = [energy for energy in energies if energy is not None]
    if not known:
        return blocks
    name, top = "import_vah" if apparent else "import_wh", max(known)
    out, raised = [], False
    for block, energy in zip(blocks, energies, strict=True):
        most = round(Fraction(recorded * block.minutes, 60))
        if energy is not None and energy > most:
            out.append(_with(block, name, most))
        elif energy == top and not raised and top < most:
            raised = True
            out.append(_with(block, name, most))
        else:
            out.append(block)
    return out


def _with(block: MeterBlock, name: str, energy: int) -> MeterBlock:
    return replace(block, import_vah=energy) if name == "import_vah" else replace(block, import_wh=energy)


def _amounts(bill: Bill) -> dict[str, int]:
    """By code: a bill may have several lines of one."""
    sums: dict[str, int] = {}
    for line in bill.lines:
        sums[line.code] = sums.get(line.code, 0) + line.amount_paise
    return sums


def _compared(code: str, text: str, ours: int | None, theirs: int | None, as_read: int | None, currency: str) -> Compared:
    if theirs is None:
        return Compared(code, text, ours, None, Verdict.NOT_GIVEN, "not typed in")
    if ours is None:
        return Compared(code, text, None, theirs, Verdict.UNEXPLAINED, "the tariff that we bill by has no such line")
    if ours == theirs:
        return Compared(code, text, ours, theirs, Verdict.EQUAL, "")
    if as_read is not None and as_read != ours and abs(as_read - theirs) <= ROUNDING_PAISE + abs(theirs) * SHARE:
        rest = theirs - as_read
        words = f"their meter read otherwise: that makes {_signed(as_read - ours, currency)}"
        return Compared(code, text, ours, theirs, Verdict.EXPLAINED, f"{words}; {_signed(rest, currency)} are rounding" if rest else words)
    if abs(ours - theirs) < ROUNDING_PAISE:
        return Compared(code, text, ours, theirs, Verdict.EXPLAINED, "less than one unit of the currency: rounded otherwise")
    left = theirs - (ours if as_read is None else as_read)
    return Compared(code, text, ours, theirs, Verdict.UNEXPLAINED, f"{_signed(left, currency)} are left that nothing here explains")


def _signed(paise: int, currency: str) -> str:
    return f"{'+' if paise >= 0 else ''}{amount(paise, currency)}"
