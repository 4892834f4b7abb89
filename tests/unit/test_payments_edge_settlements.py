"""Edge cases of settlements, each with the number that it has in docs/payments.md: the mock gateway's report has a line that is missing,
short, or tells another fee. What the books make of each kind of line is in test_payments_settlements.py."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from paying_depot import DEPOT, PayingDepot, depot

from payments.chores import Chores
from payments.settlements import MISSING_AFTER, Reconciliation, explain, reconciliation
from payments.settling import DifferenceKind
from payments.states import Stage

pytestmark = [pytest.mark.anyio, pytest.mark.apart]  # a gateway on a real socket, whose answers are waited for


async def settled(yard: PayingDepot, outcome: str = "", paise: int = 0) -> Reconciliation:
    """One debit, and its settlement with what goes wrong in it; what stands then."""
    await yard.mandate()
    yard.session("s1", 100)
    await yard.until(yard.is_(Stage.CAPTURED))
    if outcome:
        yard.played.control("POST", "/faults", outcome=outcome, paise=paise)
    yard.played.control("POST", "/settle")
    return await looked(yard)


async def looked(yard: PayingDepot) -> Reconciliation:
    """As the worker does each hour."""
    await Chores(yard.store, DEPOT, yard.clock, yard.gateway, yard.terms).run()
    found = reconciliation(yard.store, DEPOT)
    assert found.gap_paise == 0
    assert yard.desk.check_ledger().sound
    return found


async def explained(yard: PayingDepot, found: Reconciliation) -> Reconciliation:
    for difference in found.differences:
        explain(yard.store, DEPOT, difference.difference_id, by="asha", why="the gateway was asked", now=yard.clock.now())
    return await looked(yard)


async def test_case_39_a_debit_that_no_settlement_brings_is_listed_until_a_person_explains_it(tmp_path: Path) -> None:
    async with depot(tmp_path, rules={"cut_off": None}) as yard:
        found = await settled(yard, "settlement_missing")
        assert (found.open, found.transit_paise) == (0, 118_00)  # it may only be on its way
        yard.played.to(yard.played.now + MISSING_AFTER + timedelta(hours=1))
        found = await looked(yard)
        assert [(one.kind, one.amount_paise) for one in found.differences] == [(DifferenceKind.MISSING, 118_00)]
        assert (found.zero, yard.stage()) == (False, Stage.CAPTURED)
        assert (await explained(yard, found)).open == 0


async def test_case_40_a_settlement_that_is_short_is_listed_by_the_paisa(tmp_path: Path) -> None:
    async with depot(tmp_path, rules={"cut_off": None}) as yard:
        found = await settled(yard, "settlement_short", 7)
        assert [(one.kind, one.amount_paise) for one in found.differences] == [(DifferenceKind.SHORT, 7)]
        assert (found.clearing_paise, yard.stage()) == (7, Stage.RECONCILED)
        after = await explained(yard, found)
        assert (after.zero, after.clearing_paise) == (True, 0)


async def test_case_41_another_fee_than_was_told_is_listed(tmp_path: Path) -> None:
    async with depot(tmp_path, rules={"cut_off": None}) as yard:
        found = await settled(yard, "settlement_fee", 9)
        assert [(one.kind, one.amount_paise) for one in found.differences] == [(DifferenceKind.FEE, 9)]
        assert (await explained(yard, found)).zero
