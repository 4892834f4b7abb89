"""Are invoices right to the paisa? Random sessions under random tariffs and taxes, worked out twice: by the program and by
:mod:`benchmarks.second_opinion`, which shares nothing with it.

    python -m benchmarks.invoice_oracle [--sessions 100000] [--seed 9] [--booked 20]

Compared for each session: every line, energy, taxable value, CGST, SGST, IGST, round-off, total, and the sums of its document; the
recipient's GSTIN, and one with a sign changed, which must be refused. A third is measured anew: invoice and notes together must be
the invoice over the corrected energy. One of ``--booked`` goes through the books with number, document, ledger and correction, where the
numbers must have no gap and the ledger's sum must be 0. Exit 1 with any difference.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import payments
from benchmarks.evidence import write_evidence
from benchmarks.second_opinion import corrected_readings, gstin_check, opinion, rate_on, tax_of
from depot.money_text import rupees
from payments import InvalidBill, Refused, ledger
from payments.corrections import with_energy
from payments.documents import DocumentKind, Sale, document, indian_day
from payments.driver_tariff import DriverTariff
from payments.gst import STATES, DatedGst, GstBook, Recipient, Supplier, checked_gstin
from payments.invoice_desk import series_states
from payments.invoices import Charge
from payments.money import Bill, GstRule, bill_of_value
from payments.rating import Rated, Reading, SessionFacts, Span, rate
from payments.records import looking
from payments.service import Payments
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.tariff_text import digest_of, from_text
from payments.terms import Terms
from payments.times import to_ms
from storage import Store

__all__ = ["Case", "Clock", "compare", "random_case", "run"]

FIRST_S = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp())
SPAN_S = 400 * 86_400
HERE = "27"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CHANGES = ((date(2026, 9, 1), Fraction(5), "998714"), (date(2027, 1, 1), Fraction(28), "9987"))


@dataclass(frozen=True, slots=True)
class Case:
    """One session as plain data, as both opinions get it."""

    tariff: dict[str, Any]
    session: dict[str, Any]
    issued_s: int
    recipient: Mapping[str, str] | None
    percent: Fraction
    changes: tuple[tuple[date, Fraction, str], ...]
    supply_state: str
    whole_rupees: bool
    corrected_wh: int | None


@dataclass(slots=True)
class Tally:
    """What was seen. ``wrong``: the first differences, with their case's number."""

    sessions: int = 0
    lines: int = 0
    paise: int = 0
    split: int = 0
    empty: int = 0
    igst: int = 0
    registered: int = 0
    corrected: int = 0
    booked: int = 0
    notes: int = 0
    differences: int = 0
    difference_paise: int = 0
    wrong: list[str] = field(default_factory=list)

    def differ(self, number: int, what: str, ours: object, theirs: object) -> None:
        self.differences += 1
        if isinstance(ours, int) and isinstance(theirs, int):
            self.difference_paise += abs(ours - theirs)
        if len(self.wrong) < 5:
            self.wrong.append(f"session {number}: {what} is {ours}, the second opinion says {theirs}")


class Clock:
    """Time that the run moves."""

    def __init__(self) -> None:
        self.at = datetime.fromtimestamp(FIRST_S, UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


# -- chance ----------------------------------------------------------------------------------------------------------


def random_case(luck: random.Random) -> Case:
    """A session of which anything may be odd."""
    tariff = _tariff(luck)
    session = _session(luck)
    recipient = None
    if luck.random() < 0.4:
        state = luck.choice([code for code in STATES if code != HERE]) if luck.random() < 0.6 else HERE
        registered = luck.random() < 0.7
        recipient = {"gstin": _gstin(luck, state) if registered else "", "state_code": "" if registered else state}
    energy_wh = opinion(tariff, session).energy_wh
    corrected = None
    if luck.random() < 0.34:
        corrected = max(0, luck.choice([0, energy_wh - 1, energy_wh + 1, luck.randrange(2 * energy_wh + 2_000), energy_wh * 9 // 10]))
    return Case(
        tariff=tariff,
        session=session,
        issued_s=session["readings"][-1][0] + luck.randrange(86_400),
        recipient=recipient,
        percent=luck.choice([Fraction(18), Fraction(18), Fraction(5), Fraction(0), Fraction("12.5"), Fraction(28)]),
        changes=luck.choice([(), _CHANGES[:1], _CHANGES]),
        supply_state=luck.choice(["", "", "27", "29", "07"]),
        whole_rupees=luck.random() < 0.3,
        corrected_wh=corrected,
    )


def _tariff(luck: random.Random) -> dict[str, Any]:
    grace, stepped = luck.choice([0, 0, 5, 15, 30]), luck.random() < 0.2
    elements, used = [], set()
    for place in range(luck.choice([1, 1, 2, 2, 3, 4, 6])):
        element: dict[str, Any] = {}
        for kind, chance in (("energy", 0.9), ("time", 0.3), ("idle", 0.4), ("flat", 0.3)):
            if luck.random() < chance:
                words: dict[str, Any] = {"price": _price(luck, kind)}
                if stepped and kind != "flat" and kind not in used:
                    words["step_wh" if kind == "energy" else "step_s"] = luck.choice([1, 10, 60, 100, 900, 1000])
                if kind == "idle" and grace:
                    words["grace_min"] = grace
                if kind == "flat" and luck.random() < 0.3:
                    words["without_energy"] = True
                element[kind] = words
        if not element:
            element["energy"] = {"price": _price(luck, "energy")}
        used |= set(element)
        if place == 0 or luck.random() < 0.7:
            when = _when(luck, flat="flat" in element)
            if when:
                element["when"] = when
        elements.append(element)
    if stepped:  # a step above 1 needs a single price of its kind
        for kind, word in (("energy", "step_wh"), ("time", "step_s"), ("idle", "step_s")):
            having = [element[kind] for element in elements if kind in element]
            if len(having) > 1:
                for words in having:
                    words.pop(word, None)
    made: dict[str, Any] = {"schema": "driver-tariff/1", "id": "t", "elements": elements}
    if luck.random() < 0.2:
        made["min_price"] = f"{luck.randrange(0, 20_000) / 100:.2f}"
    if luck.random() < 0.2:
        made["max_price"] = f"{luck.randrange(20_000, 90_000) / 100:.2f}"
    return made


def _price(luck: random.Random, kind: str) -> str:
    most = {"energy": 30, "time": 120, "idle": 300, "flat": 80}[kind]
    return luck.choice([
        f"{luck.randrange(most * 100) / 100:.2f}", f"{luck.randrange(most)}", f"{luck.randrange(most * 10_000) / 10_000:.4f}",
        f"{luck.randrange(1, most * 7)}/7", f"{luck.randrange(1, most * 3)}/3", f"{luck.randrange(most * 2) / 2:.1f}",
    ])  # fmt: skip


def _when(luck: random.Random, *, flat: bool) -> dict[str, Any]:
    when: dict[str, Any] = {}
    if luck.random() < 0.5:
        begin, end = (luck.choice([0, 360, 540, 1080, 1320, luck.randrange(1440)]) for _ in "ab")
        when |= {"from": f"{begin // 60:02d}:{begin % 60:02d}", "to": f"{end // 60:02d}:{end % 60:02d}"}
    if luck.random() < 0.3:
        when["days"] = luck.sample(_DAYS, luck.randrange(1, 6))
    if luck.random() < 0.1:
        begin = date(2026, 3, 1) + timedelta(days=luck.randrange(300))
        when |= {"from_date": begin.isoformat(), "to_date": (begin + timedelta(days=luck.randrange(1, 120))).isoformat()}
    if not flat and luck.random() < 0.25:
        when["from_kwh" if luck.random() < 0.5 else "to_kwh"] = f"{luck.randrange(1, 40_000) / 1000:.3f}"
    if not flat and luck.random() < 0.25:
        when["from_min" if luck.random() < 0.5 else "to_min"] = str(luck.randrange(1, 400))
    return when


def _session(luck: random.Random) -> dict[str, Any]:
    at, wh = FIRST_S + luck.randrange(SPAN_S), luck.choice([0, 1_000, luck.randrange(10_000_000)])
    readings, pace = [(at, wh)], luck.choice([900, 900, 3600, 60, 20_000])
    nothing = luck.random() < 0.05
    for _ in range(luck.choice([1, 1, 2, 4, 8, 16])):
        at += 0 if luck.random() < 0.04 else luck.choice([pace, luck.randrange(1, 2 * pace)])
        odd = luck.random()
        if nothing:
            pass
        elif odd < 0.03:
            wh = max(0, wh - luck.randrange(1, 5_000))  # falls for a while
        elif odd < 0.05:
            wh = luck.randrange(500)  # begins again
        elif odd < 0.9:
            wh += luck.randrange(0, 12 * pace)
        readings.append((at, wh))
    start, end = readings[0][0], at
    full = luck.choice([None, None, luck.randrange(start - 60, end + 600), luck.randrange(start, end + 1)])
    gone = luck.choice([None, end, end + luck.randrange(1, 30_000), end + luck.randrange(1, 4_000)])
    held, edge = [], start
    for _ in range(luck.choice([0, 0, 0, 1, 2])):
        begin = edge + luck.randrange(0, 4_000)
        edge = begin + luck.randrange(0, 4_000)
        held.append((begin, edge))
    return {"readings": readings, "full": full, "gone": gone, "held": held}


def _gstin(luck: random.Random, state: str) -> str:
    name = "".join(luck.choices(_LETTERS, k=5)) + f"{luck.randrange(10_000):04d}" + luck.choice(_LETTERS)
    first = f"{state}{name}{luck.choice('123456789ABCXYZ')}Z"
    return first + gstin_check(first)


# -- both opinions ---------------------------------------------------------------------------------------------------


def compare(case: Case, tally: Tally, luck: random.Random) -> tuple[DriverTariff, SessionFacts, Rated]:
    """Work one session out twice, and tell the differences."""
    number = tally.sessions
    tally.sessions += 1
    tariff, facts = from_text(json.dumps(case.tariff)), facts_of(case.session)
    rated, theirs = rate(tariff, facts), opinion(case.tariff, case.session)
    _compare_lines(rated, theirs.lines, theirs.bound, number, tally)
    for what, ours, other in (("energy", rated.energy_wh, theirs.energy_wh), ("taxable value", rated.taxable_paise, theirs.taxable)):
        if ours != other:
            tally.differ(number, what, ours, other)
    recipient = _recipient(case, number, tally, luck)
    rule, percent, other_state = _rules(case, recipient, number, tally)
    bill = bill_of_value(rated.taxable_paise, rated.energy_wh, rule)
    _compare_bill(bill, theirs.taxable, percent, other_state, case, number, tally)
    _compare_document(case, tariff, rated, bill, rule, recipient, number, tally)
    tally.lines += len(rated.lines)
    tally.paise += bill.total_paise
    tally.split += bool(rated.split_wh)
    tally.empty += not rated.energy_wh
    tally.igst += other_state
    tally.registered += recipient is not None and bool(recipient.gstin)
    if case.corrected_wh is not None:
        tally.corrected += 1
        again = rate(tariff, with_energy(facts, case.corrected_wh))
        session = case.session | {"readings": corrected_readings(case.session["readings"], case.corrected_wh)}
        second = opinion(case.tariff, session)
        _compare_lines(again, second.lines, second.bound, number, tally)
        changed = bill_of_value(again.taxable_paise, again.energy_wh, rule)
        _compare_bill(changed, second.taxable, percent, other_state, case, number, tally)
    return tariff, facts, rated


def facts_of(session: Mapping[str, Any]) -> SessionFacts:
    """The program's form of the plain data."""

    def at(second: int) -> datetime:
        return datetime.fromtimestamp(second, UTC)

    return SessionFacts(
        readings=tuple(Reading(at(second), wh) for second, wh in session["readings"]),
        full_at=None if session["full"] is None else at(session["full"]),
        gone_at=None if session["gone"] is None else at(session["gone"]),
        held=tuple(Span(at(a), at(b)) for a, b in session["held"]),
    )


def _compare_lines(rated: Rated, lines: Mapping[tuple[str, int], int], bound: int, number: int, tally: Tally) -> None:
    ours = {(line.kind.value, line.element): line.amount_paise for line in rated.lines if line.amount_paise and line.element >= 0}
    for key in sorted({*ours, *lines}):
        if ours.get(key, 0) != lines.get(key, 0):
            tally.differ(number, f"line {key}", ours.get(key, 0), lines.get(key, 0))
    mine = sum(line.amount_paise for line in rated.lines if line.element < 0)
    if mine != bound:
        tally.differ(number, "least or most price", mine, bound)


def _recipient(case: Case, number: int, tally: Tally, luck: random.Random) -> Recipient | None:
    if case.recipient is None:
        return None
    gstin = case.recipient["gstin"]
    if gstin:
        if checked_gstin(gstin) != gstin:
            tally.differ(number, "GSTIN", checked_gstin(gstin), gstin)
        place = luck.choice([2, 3, 4, 5, 6])
        wrong = gstin[:place] + luck.choice(_LETTERS.replace(gstin[place], "")) + gstin[place + 1 :]
        try:
            checked_gstin(wrong)
            tally.differ(number, "GSTIN with a sign changed", "taken", "refused")
        except InvalidBill:
            pass
    return Recipient(name="Somebody", address="Somewhere", gstin=gstin, state_code=case.recipient["state_code"])


def _rules(case: Case, recipient: Recipient | None, number: int, tally: Tally) -> tuple[GstRule, Fraction, bool]:
    """The program's rule, and what the plain data say."""
    day = indian_day(datetime.fromtimestamp(case.issued_s, UTC))
    rule = _book(case).rule(day, recipient)
    theirs = date.fromordinal(date(1970, 1, 1).toordinal() + (case.issued_s + 19_800) // 86_400)
    percent, sac = rate_on(theirs, (case.percent, "998714"), case.changes)
    place = (
        ((case.recipient["gstin"][:2] or case.recipient["state_code"]) if case.recipient is not None else "") or case.supply_state or HERE
    )
    if (rule.rate * 100, rule.sac, rule.supply_state) != (percent, sac, place):
        tally.differ(number, "rate, code, place", f"{rule.rate * 100} {rule.sac} {rule.supply_state}", f"{percent} {sac} {place}")
    return rule, percent, place != HERE


def _book(case: Case) -> GstBook:
    return GstBook(
        base=GstRule(rate=case.percent / 100, supplier_state=HERE, supply_state=case.supply_state, whole_rupees=case.whole_rupees),
        changes=tuple(DatedGst(since, percent / 100, sac) for since, percent, sac in case.changes),
        supplier=Supplier(state_code=HERE),
    )


def _compare_bill(bill: Bill, taxable: int, percent: Fraction, other_state: bool, case: Case, number: int, tally: Tally) -> None:
    theirs = tax_of(taxable, percent=percent, other_state=other_state, whole_rupees=case.whole_rupees)
    ours = (bill.cgst_paise, bill.sgst_paise, bill.igst_paise, bill.round_off_paise, bill.total_paise)
    for what, mine, other in zip(("CGST", "SGST", "IGST", "round-off", "total"), ours, theirs, strict=True):
        if mine != other:
            tally.differ(number, what, mine, other)


def _compare_document(
    case: Case, tariff: DriverTariff, rated: Rated, bill: Bill, rule: GstRule, recipient: Recipient | None, number: int, tally: Tally
) -> None:
    """Its lines and taxes come to its total."""
    sale = Sale(
        session_id=f"s{number}", driver_id="d", place="", started_at=None, ended_at=None, tariff_id="t", tariff_digest=digest_of(tariff)
    )  # fmt: skip
    made = document(
        DocumentKind.INVOICE, f"2627/{number % 1_000_000:06d}", datetime.fromtimestamp(case.issued_s, UTC), sale=sale, rated=rated,
        bill=bill, gst=rule, supplier=Supplier(state_code=HERE), recipient=recipient,
    )  # fmt: skip
    told = sum(line["taxable_paise"] for line in made["lines"]) + sum(tax["amount_paise"] for tax in made["taxes"])
    if told + made["round_off_paise"] != made["total_paise"] or made["total_paise"] != bill.total_paise:
        tally.differ(number, "document's total", told, bill.total_paise)


# -- through the books ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Books:
    """A depot's books in memory, with terms that change from session to session."""

    store: Store
    clock: Clock

    @classmethod
    def open(cls) -> Books:
        store = Store.open(None)
        store.migrate([payments])
        with store.unit() as session:
            session.add(
                MandateRow(
                    depot_id="d", mandate_id="m", driver_id="x", mode=Mode.AUTOPAY, state=MandateState.ACTIVE, state_at_s=0,
                    max_amount_paise=15_000_00, expire_ms=to_ms(datetime(2036, 1, 1, tzinfo=UTC)), receipt="r", created_ms=0,
                )
            )  # fmt: skip
        return cls(store, Clock())

    def bill(self, case: Case, tariff: DriverTariff, facts: SessionFacts, rated: Rated, number: int, tally: Tally) -> None:
        """Invoice it, perhaps correct it, and compare what the documents come to."""
        book = _book(case)
        self.clock.at = datetime.fromtimestamp(case.issued_s, UTC)
        desk = Payments(
            self.store, "d", self.clock, Terms(gst=book.base, gst_changes=tuple(book.changes), supplier=book.supplier)
        )  # fmt: skip
        session_id = f"s{number}"
        recipient = None
        if case.recipient is not None:
            recipient = Recipient(name="Somebody", address="Somewhere", **case.recipient)
        desk.invoices.put_recipient("x", recipient)
        desk.readmit(session_id, "x", "m", reserved_paise=0)
        desk.bill_session(session_id, Charge(rated=rated, tariff=tariff, facts=facts))
        tally.booked += 1
        want = opinion(case.tariff, case.session).taxable
        if case.corrected_wh is not None:
            self.clock.at += timedelta(days=40)  # rates may have changed since: the note keeps those of the invoice
            try:
                desk.correct_bill(session_id, energy_wh=case.corrected_wh, why="measured again")
                readings = corrected_readings(case.session["readings"], case.corrected_wh)
                want = opinion(case.tariff, case.session | {"readings": readings}).taxable
            except Refused as error:
                tally.differ(number, "correction", str(error), "booked")
        documents = desk.invoices.of_bill(session_id)
        tally.notes += len(documents) > 1
        late = bool(documents) and documents[0].issued_at == self.clock.at  # nothing had been due before the correction
        issued_s = int(self.clock.at.timestamp()) if late else case.issued_s
        day = date.fromordinal(date(1970, 1, 1).toordinal() + (issued_s + 19_800) // 86_400)
        percent, _ = rate_on(day, (case.percent, "998714"), case.changes)
        place = (recipient.state if recipient is not None else "") or case.supply_state or HERE
        theirs = tax_of(want, percent=percent, other_state=place != HERE, whole_rupees=case.whole_rupees)
        ours = sum(one.total_paise * (-1 if one.kind is DocumentKind.CREDIT_NOTE else 1) for one in documents)
        if ours != theirs[-1]:
            tally.differ(number, "invoice and notes", ours, theirs[-1])

    def close(self, tally: Tally) -> None:
        """No gap in the numbers, the ledger's sum is 0."""
        desk = Payments(self.store, "d", self.clock, Terms())
        for series in series_states(desk.invoices):
            if series.missing_count:
                tally.differ(-1, f"missing numbers of {series.series} {series.year}", series.missing_count, 0)
        with looking(self.store) as session:
            check = ledger.check(session, "d")
        if not check.sound or check.sum_paise:
            tally.differ(-1, "ledger's sum", check.sum_paise, 0)
        self.store.close()


def run(sessions: int, seed: int, *, booked: int = 20, told: bool = False) -> Tally:
    """Compare so many; one of ``booked`` goes through the books (0: none)."""
    luck, tally = random.Random(seed), Tally()
    books = Books.open() if booked else None
    began = time.process_time()
    for number in range(sessions):
        case = random_case(luck)
        tariff, facts, rated = compare(case, tally, luck)
        if books is not None and number % booked == 0:
            books.bill(case, tariff, facts, rated, number, tally)
        if told and (number + 1) % 10_000 == 0:
            print(
                f"{number + 1:>7} sessions, {tally.differences} differences, {time.process_time() - began:.0f} s of processor", flush=True
            )
    if books is not None:
        books.close(tally)
    return tally


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--sessions", type=int, default=100_000)
    words.add_argument("--seed", type=int, default=9)
    words.add_argument("--booked", type=int, default=20)
    asked = words.parse_args()
    began = time.process_time()
    tally = run(asked.sessions, asked.seed, booked=asked.booked, told=True)
    cpu_s = time.process_time() - began
    print(f"{tally.sessions} sessions, {tally.lines} lines, {rupees(tally.paise)}; seed {asked.seed}; {cpu_s:.0f} s of processor time")
    print(f"  over a change of price {tally.split}, without energy {tally.empty}, another state {tally.igst}, GSTIN {tally.registered}")
    print(f"  corrected {tally.corrected}; through the books {tally.booked}, with notes {tally.notes}")
    print(f"  differences: {tally.differences}, in paise {tally.difference_paise}")
    for words_ in tally.wrong:
        print(f"  {words_}")
    write_evidence(
        "invoice_oracle",
        {
            "sessions": tally.sessions, "seed": asked.seed, "lines": tally.lines, "paise": tally.paise, "corrected": tally.corrected,
            "booked": tally.booked, "differences": tally.differences, "difference_paise": tally.difference_paise, "cpu_s": round(cpu_s, 1),
        },
    )  # fmt: skip
    return int(tally.differences > 0)


if __name__ == "__main__":
    sys.exit(main())
