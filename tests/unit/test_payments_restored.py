"""Books that came from a backup, against a gateway that has gone on: nothing is debited twice, and what was is found."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from test_payments_service import KEYS, QUICK, World
from test_payments_service import world as world  # the fixture

from controller.clock import SystemClock
from payments.gate import Ask
from payments.money import EnergyLine
from payments.restored import doubt_all
from payments.service import Payments, Terms
from payments.states import Stage
from payments.webhooks import Webhooks
from payments.worker import Worker
from storage import Store, copy_database

pytestmark = pytest.mark.anyio


def debits(world: World) -> int:
    with world.bank.store.reading() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM payments WHERE kind = 'debit' AND status = 'captured'").scalar_one())


@pytest.mark.parametrize("doubted", [True, False], ids=["in doubt", "believed"])
async def test_what_was_debited_after_the_backup_is_found_and_not_debited_again(world: World, tmp_path: Path, doubted: bool) -> None:
    await world.mandate()
    ends = datetime.now(UTC) + timedelta(hours=1)
    assert world.desk.reserve("running", "rani", Ask(worst_paise=1_00, ends_at=ends)).allowed
    world.session("invoiced", 2_000)
    copy_database(tmp_path / "payments.db", tmp_path / "backup.db")  # nobody has worked on it yet
    world.desk.meter_session("running", [EnergyLine(3_000, Fraction(1_000))])
    await world.until(lambda: world.stage("invoiced") is world.stage("running") is Stage.CAPTURED)
    assert debits(world) == 2

    clock, terms = SystemClock(), Terms(credit_limit_paise=90_000_00, rules=QUICK)
    with contextlib.closing(Store.open(tmp_path / "backup.db")) as store:
        if doubted:
            assert doubt_all(store, "yard", now=clock.now(), rules=QUICK) == 1
        desk = Payments(store, "yard", clock, terms)
        desk.meter_session("running", [EnergyLine(3_000, Fraction(1_000))])
        worker = Worker(store, "yard", clock, world.gateway, terms, Webhooks(store, "yard", clock, KEYS))
        working = asyncio.create_task(worker.run())
        with contextlib.suppress(asyncio.CancelledError):
            await world.until(lambda: all(view.stage is Stage.CAPTURED for view in desk.bills()))
            working.cancel()
            await working
        assert desk.check_ledger().sound
    assert debits(world) == 2, "each bill once, by the doubt and by the look before each order alone"


async def test_what_was_never_asked_for_is_still_debited_once(world: World, tmp_path: Path) -> None:
    await world.mandate()
    world.session("s1", 2_000)
    assert doubt_all(world.desk.store, "yard", now=datetime.now(UTC), rules=QUICK) == 1
    world.worker.wake()
    await world.until(lambda: world.stage("s1") is Stage.CAPTURED)
    assert debits(world) == 1
    assert doubt_all(world.desk.store, "yard", now=datetime.now(UTC), rules=QUICK) == 0
