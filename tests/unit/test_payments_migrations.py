"""Books of money that were written before collections: what was under way goes on, what was paid stays paid."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory

import payments
import storage
from payments.batcher import receipt_of
from payments.records import Books, bill_stage
from payments.states import Stage
from storage import Store

NOW = datetime(2026, 11, 22, 15, tzinfo=UTC)
BILLS = [("paid", "invoiced"), ("due", "invoiced"), ("bad", "arrears"), ("lost", "written_off"), ("new", "invoiced"), ("runs", "estimated")]


def at_step(path: Path, step: str) -> None:
    """The database as an older version left it."""
    folder = Path(payments.__path__[0]) / "migrations"
    scripts = ScriptDirectory(Path(storage.__file__).parent, version_locations=[str(folder)])
    with contextlib.closing(Store.open(path)) as store, store.writing() as connection:
        steps = EnvironmentContext(Config(), scripts, fn=lambda rev, _: scripts._upgrade_revs(step, rev), destination_rev=step)  # type: ignore[arg-type]
        with steps as environment:
            environment.configure(connection=connection, transactional_ddl=True)
            environment.run_migrations()


def insert(connection: sa.Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    connection.exec_driver_sql(
        f"INSERT INTO payments_{table} (depot_id, {names}) VALUES ('d', {', '.join('?' * len(values))})", tuple(values.values())
    )


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "payments.db"
    at_step(path, "payments_0005")
    with contextlib.closing(Store.open(path)) as store, store.writing() as connection:
        for bill_id, own in BILLS:
            insert(
                connection, "bill", bill_id=bill_id, driver_id="rani", mandate_id="m", own=own, reserved_paise=0, energy_wh=1,
                taxable_paise=100_00, cgst_paise=9_00, sgst_paise=9_00, igst_paise=0, round_off_paise=0, total_paise=118_00, sac="998714",
                opened_ms=1, disputed=0,
                next_ms=5 if own == "invoiced" else None, gave_up="insufficient_funds" if own == "arrears" else None,
            )  # fmt: skip
            if bill_id in ("new", "runs"):
                continue
            insert(
                connection, "order", bill_id=bill_id, issue=1, receipt=receipt_of("d", bill_id, 1), mandate_id="m",
                order_id=f"order_{bill_id}",
                requested_ms=1, payment_after_ms=2, notification="delivered",
            )  # fmt: skip
        insert(connection, "submission", bill_id="paid", issue=1, number=1, key="k", at_ms=3, empty_lookups=0, lapsed=0)
        for id_, surplus in (("pay_1", 0), ("pay_2", 1)):
            insert(
                connection, "payment", payment_id=id_, bill_id="paid", issue=1, submission=1, state="captured", amount_paise=118_00,
                surplus=surplus, seen_ms=4,
            )  # fmt: skip
    return path


def test_books_of_before_collections_go_on(old: Path) -> None:
    with contextlib.closing(Store.open(old)) as store:
        store.migrate([payments])
        with store.unit() as session:
            books = Books(session, "d")
            stages = {bill_id: bill_stage(books.facts(books.bill(bill_id)), NOW) for bill_id, _ in BILLS}
            assert stages == {
                "paid": Stage.CAPTURED, "due": Stage.DEBIT_DUE, "bad": Stage.ARREARS, "lost": Stage.WRITTEN_OFF, "new": Stage.INVOICED,
                "runs": Stage.ESTIMATED,
            }  # fmt: skip
            assert books.collection("due").next_ms == 5, "the worker goes on with it"
            assert books.bill("due").next_ms is None
            assert (books.bill("new").next_ms, books.bill("new").batched_paise) == (5, 0), "not asked for yet: it is batched now"
            assert [o.receipt for o in books.orders("due")] == [receipt_of("d", "due", 1)], "receipts stay what they were"
            assert [(p.booked, p.surplus_paise) for p in books.payments("paid")] == [(True, 0), (True, 118_00)]
            assert books.owed_paise(books.bill("paid")) == 0
