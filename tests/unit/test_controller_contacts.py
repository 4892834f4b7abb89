"""Contact data in the core: who may be erased and when, what is told to the driver, what time takes away; the key's file."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import asynccontextmanager
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
from pydantic import SecretStr
from small_yard import NOW, SmallYard

import payments
from controller.contact_keys import CONTACTS_FILE, vault_of
from controller.contacts_room import ContactsRoom, Retention
from controller.drivers_view import NoDrivers, PayingDriversView
from controller.room import Answered
from controller.secrets import SecretError
from controller.till import Price, Till
from depot import commands as cmd
from depot.values import InvalidValue
from payments import GatewayTrouble
from payments.contacts import Contact, Contacts
from payments.payers import Payers
from payments.privacy import ContactKeys, Vault
from payments.service import Payments, Terms
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.times import to_ms
from storage import Store

T = TypeVar("T")
RANI = Contact("+919876543210", "rani@example.org", "Rani")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


class World(SmallYard):
    def __init__(self) -> None:
        super().__init__()
        self.store = Store.open(None)
        self.store.migrate([payments])
        self.money = Payments(self.store, "small", self.clock, Terms())
        self.till = Till(self.yard, self.money, Payers(self.store, "small", self.clock), Price(paise_per_kwh=Fraction(1450)))
        self.contacts = Contacts(self.store, "small", self.clock, Vault(ContactKeys.parse("22" * 32)))
        self.cancelled: list[str] = []
        self.away = False
        self.room = ContactsRoom(self.till, self.contacts, self.clock, self.gateway, Retention())

    @asynccontextmanager
    async def gateway(self) -> Any:
        if self.away:
            raise GatewayTrouble("no connection to the gateway")

        async def cancel_token(_customer: str, token_id: str) -> Any:
            from payments.gateway import Ok

            self.cancelled.append(token_id)
            return Ok(MandateState.CANCEL_PENDING)

        yield SimpleNamespace(cancel_token=cancel_token)

    def driver(self, driver_id: str = "g-1", state: MandateState = MandateState.CANCELLED) -> None:
        self.till.payers.put(driver_id, f"TAG-{driver_id}")
        run(self.till.restore())
        self.contacts.put(driver_id, RANI, source="page")
        with self.store.unit() as session:
            session.add(
                MandateRow(
                    depot_id="small",
                    mandate_id=f"m-{driver_id}",
                    driver_id=driver_id,
                    mode=Mode.AUTOPAY,
                    state=state,
                    state_at_s=0,
                    max_amount_paise=5_000_00,
                    expire_ms=to_ms(NOW + timedelta(days=300)),
                    receipt=f"r-{driver_id}",
                    customer_id="cust_1",
                    token_id=f"token_{driver_id}",
                    created_ms=to_ms(NOW),
                )
            )

    def order(self, command: cmd.Command) -> Answered:
        said = run(self.room.commands[type(command)](command, None))  # type: ignore[arg-type]  # no cause is looked at
        return said if isinstance(said, Answered) else Answered(*said)

    def erase(self, driver_id: str = "g-1") -> Answered:
        return self.order(cmd.EraseDriver(command_id="c", actor="mani", reason="asked", driver_id=driver_id))


def test_the_list_is_masked_and_says_what_keeps_a_driver() -> None:
    world = World()
    world.driver(state=MandateState.ACTIVE)
    shown = run(world.room.views[PayingDriversView]({}))
    assert isinstance(shown, PayingDriversView)
    (row,) = shown.drivers
    assert (row.phone, row.email, row.source, row.keeps) == ("98•••••210", "r•••@example.org", "page", "a mandate is active: end it first")
    assert "9876543210" not in str(shown)
    assert (shown.contact_days, shown.message_days) == (180, 30)


def test_erasing_ends_the_mandate_first_and_then_erases() -> None:
    world = World()
    world.driver(state=MandateState.ACTIVE)
    first = world.erase()
    assert first.status is cmd.CommandStatus.ACCEPTED
    assert world.cancelled == ["token_g-1"]
    assert world.contacts.reveal("g-1").phone == RANI.phone
    with world.store.unit() as session:
        row = session.get(MandateRow, ("small", "m-g-1"))
        assert row is not None
        row.state = MandateState.CANCELLED
    assert world.erase().status is cmd.CommandStatus.DONE
    assert world.till.tags == {}
    assert world.erase().status is cmd.CommandStatus.DONE  # a second click changes nothing


def test_a_gateway_that_is_away_erases_nothing() -> None:
    world = World()
    world.driver(state=MandateState.ACTIVE)
    world.away = True
    answer = world.erase()
    assert answer.status is cmd.CommandStatus.FAILED
    assert "nothing was erased" in answer.message
    assert world.contacts.reveal("g-1").phone == RANI.phone


def test_nobody_unknown_is_erased() -> None:
    answer = World().erase("g-404")
    assert answer.status is cmd.CommandStatus.REFUSED
    assert "nothing is kept of driver g-404" in answer.message


def test_a_driver_is_told_everything_by_a_command() -> None:
    world = World()
    world.driver()
    told = world.order(cmd.TellDriverData(command_id="c", actor="mani", reason="asked", driver_id="g-1"))
    assert told.answer is not None
    assert told.answer["contact"] == {"phone": RANI.phone, "email": RANI.email, "name": "Rani", "vpa": ""}
    with pytest.raises(InvalidValue, match="nothing is kept"):
        world.order(cmd.TellDriverData(command_id="c", actor="mani", reason="asked", driver_id="g-404"))


def test_a_driver_is_found_by_phone_and_the_number_is_kept_nowhere() -> None:
    world = World()
    world.driver()
    command = cmd.FindDriver(command_id="c", actor="mani", reason="called", phone="98765 43210")
    assert world.order(command).answer == {"driver_ids": ["g-1"]}
    assert (command.target, dict(command.detail), command.bare.phone) == ("", {}, "")
    assert "98765" not in repr(command)
    with pytest.raises(InvalidValue, match="phone number"):
        world.order(cmd.FindDriver(command_id="c", actor="mani", phone="12"))


def test_time_takes_contact_data_that_nothing_needs() -> None:
    world = World()
    world.driver("g-1")
    world.driver("g-2", state=MandateState.ACTIVE)
    assert run(world.room.sweep()) == 0
    world.clock.at += timedelta(days=181)
    assert run(world.room.sweep()) == 1
    assert [row.erased_at is None for row in sorted(world.contacts.masked(), key=lambda row: row.driver_id)] == [False, True]
    assert list(world.till.tags.values()) == ["g-2"]


def test_where_nobody_pays_nothing_is_kept() -> None:
    assert run(NoDrivers().views[PayingDriversView]({})) is None


def settings(folder: Path, key: str | None = None) -> Any:
    return SimpleNamespace(contacts_key=None if key is None else SecretStr(key), storage=SimpleNamespace(path=folder))


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = vault_of(settings(tmp_path))
    assert vault_of(settings(tmp_path)).key_id == first.key_id
    assert (tmp_path / CONTACTS_FILE).stat().st_mode & 0o077 == 0
    assert vault_of(settings(tmp_path, "33" * 32)).key_id != first.key_id


def test_a_damaged_key_is_told_with_what_to_do(tmp_path: Path) -> None:
    vault_of(settings(tmp_path))
    (tmp_path / CONTACTS_FILE).write_text("scrambled")
    with pytest.raises(SecretError, match="restore it from a backup"):
        vault_of(settings(tmp_path))
