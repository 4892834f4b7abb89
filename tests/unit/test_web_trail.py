"""The people's audit trail: sign-ins, failed ones, changes of accounts; chained, bounded, without what was typed wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest
from web_harness import PASSWORD, Site, form_value, sign_in, site

from controller.audit import Entry
from depot.values import Role
from web.roles import Permission
from web.trail import FAILURES_AN_HOUR, NOBODY, Trail

pytestmark = pytest.mark.anyio


def trail(depot: Site) -> Trail:
    return Trail(depot.store, depot.clock, "kothrud")


def told(depot: Site) -> list[tuple[str, str, str, str]]:
    return [(e.actor, e.kind, e.target, e.outcome) for e in reversed(trail(depot).page().entries)]


async def test_sign_in_and_out_are_kept_with_the_address(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        client = await depot.signed_in(Role.OPERATOR)
        await client.post("/sign-out", data={"csrf": await form_value(client)})
        assert told(depot) == [
            ("command line", "AccountAdded", "omar", "done"),
            ("omar", "SignIn", "", "done"),
            ("omar", "SignOut", "", "done"),
        ]
        newest: Entry = trail(depot).page(kind="SignIn").entries[0]
        assert newest.reason == "from 127.0.0.1"
        assert trail(depot).verify().entries == 3


async def test_failed_tries_are_kept_without_what_was_typed(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        depot.users.add("omar", Role.OPERATOR, PASSWORD)
        client = depot.client()
        await sign_in(client, "omar", "not the password")
        await sign_in(client, PASSWORD, "omar")
        entries = trail(depot).page().entries
        assert [(e.actor, e.outcome) for e in entries[:2]] == [(NOBODY, "failed"), ("omar", "failed")]
        assert PASSWORD not in repr(entries)


async def test_too_many_tries_are_kept_and_the_trail_stays_bounded(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        people = trail(depot)
        for _ in range(FAILURES_AN_HOUR + 50):
            with depot.store.unit() as session:
                people.failed(session, NOBODY, "SignIn", reason="from 10.0.0.9: name and password do not match")
        entries = people.page(limit=1000).entries
        assert len(entries) == FAILURES_AN_HOUR + 1
        assert "not listed" in entries[0].reason
        depot.clock.forward(hours=2)
        with depot.store.unit() as session:
            people.failed(session, NOBODY, "SignIn", reason="from 10.0.0.9: again")
        assert len(people.page(limit=1000).entries) == FAILURES_AN_HOUR + 2
        assert people.verify().sound


async def test_changes_of_accounts_and_tokens_are_kept(tmp_path: Path) -> None:
    async with site(tmp_path) as depot:
        users = depot.users
        users.add("omar", Role.OPERATOR, PASSWORD)
        users.set_role("omar", Role.MANAGER)
        users.reset("omar")
        users.disable("omar")
        users.disable("omar", disabled=False)
        secret = users.add_token("scada", [Permission.READ])
        users.revoke_token("scada")
        assert [(kind, target) for _, kind, target, _ in told(depot)] == [
            ("AccountAdded", "omar"),
            ("RoleChanged", "omar"),
            ("PasswordChanged", "omar"),
            ("AccountShut", "omar"),
            ("AccountOpened", "omar"),
            ("TokenAdded", "scada"),
            ("TokenRevoked", "scada"),
        ]
        assert trail(depot).page(kind="RoleChanged").entries[0].reason == "operator to manager"
        assert secret not in repr(trail(depot).page().entries)


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("UPDATE web_audit SET actor = 'vera' WHERE seq = 2", "entry 2 of the people's trail was changed"),
        ("UPDATE web_audit SET prev = zeroblob(32) WHERE seq = 3", "entry 3 "),
        ("DELETE FROM web_audit WHERE seq = 2", "entry 2 is missing"),
    ],
)
async def test_a_changed_entry_is_named(tmp_path: Path, statement: str, complaint: str) -> None:
    async with site(tmp_path) as depot:
        for name in ("omar", "vera", "sana"):
            depot.users.add(name, Role.VIEWER, PASSWORD)
        with depot.store.writing() as connection:
            connection.exec_driver_sql(statement)
        assert complaint in (trail(depot).verify().complaint or "")
