"""Driver tariffs and invoices through the core's rooms: put while a session runs, frozen for it, billed, corrected, told."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from msgspec import Struct
from test_controller_billing import DRIVER, World

from controller.driver_tariffs_view import DriverPriceView, DriverTariffsView, DriverTariffView
from controller.invoices_room import InvoicesRoom
from controller.invoices_view import InvoicesView, InvoiceView, NoInvoices, RecipientsView
from controller.tariffs_room import TariffsRoom
from depot import commands as cmd
from depot import events as ev
from depot.values import InvalidValue
from payments.contacts import Contacts
from payments.privacy import ContactKeys, Vault
from payments.tables import RecipientRow

T = TypeVar("T", bound=Struct)

NIGHT = json.dumps({"schema": "driver-tariff/1", "id": "night", "elements": [
    {"energy": {"price": "9.50"}, "when": {"from": "22:00", "to": "06:00"}}, {"energy": {"price": "15"}},
]})  # fmt: skip


class Rooms(World):
    def __init__(self) -> None:
        super().__init__()
        self.driver()

    def restart(self) -> None:
        super().restart()
        self.tariffs, self.invoices = TariffsRoom(self.yard, self.till), InvoicesRoom(self.yard, self.till)

    def bid(self, command: cmd.Command) -> Any:
        carriers = {**self.tariffs.commands, **self.invoices.commands}
        return asyncio.run(carriers[type(command)](command, self.journal.facts[0] if self.journal.facts else None))  # type: ignore[arg-type]

    def put_tariff(self, text: str = NIGHT, tariff_id: str = "night") -> str:
        status, words = self.bid(cmd.PutDriverTariff(command_id="p", actor="mani", reason="prices", tariff_id=tariff_id, text=text))
        assert status is cmd.CommandStatus.DONE
        return str(words)

    def show(self, kind: type[T], **args: str) -> T:
        found = asyncio.run({**self.tariffs.views, **self.invoices.views}[kind](args))
        assert isinstance(found, kind)
        return found

    def charged(self, energy_wh: int) -> str:
        """A session from its start to its bill; returns its id."""
        assert self.start(message=f"m{len(self.journal.facts)}")
        self.stop(energy_wh)
        self.look()
        return str(self.of(ev.SessionBilled)[-1].session_id)


def test_a_tariff_that_changes_while_a_session_runs_never_touches_it() -> None:
    world = Rooms()
    assert "version 1 of tariff night" in world.put_tariff()
    assert world.start()
    assert "version 2" in world.put_tariff(NIGHT.replace("9.50", "99"))
    world.restart()  # and a new core rates as the old one would have
    world.stop(10_000)
    world.look()
    (billed,) = world.of(ev.SessionBilled)
    assert billed.total_paise == 9_500 + 2 * 855  # 22:00 in Pune: 10 kWh at 9.50, 18 % tax
    told = world.show(InvoiceView, session_id=billed.session_id)
    assert told.document["session"]["tariff_digest"] == world.show(DriverTariffsView).versions[1].digest
    assert told.document["lines"][0]["words"] == "Charging energy (22:00 to 06:00)"


def test_versions_and_prices_are_told() -> None:
    world = Rooms()
    assert world.show(DriverPriceView).number == 0  # the one price of the settings
    world.put_tariff()
    assert "nothing is changed" in world.put_tariff()
    price = world.show(DriverPriceView, driver_id=DRIVER, station_id="CP-1")
    assert (price.tariff_id, price.number, price.tax_percent) == ("night", 1, 18.0)
    assert [(s.paise_per_kwh, s.paise_per_kwh_with_tax) for s in price.steps] == [("950", 1_121), ("1500", 1_770)]
    assert [s.since for s in price.steps][1] - price.at == timedelta(hours=8)  # 06:00
    listed = world.show(DriverTariffsView)
    assert [(v.number, v.in_force, v.by) for v in listed.versions] == [(1, True, "mani")]
    ocpi = world.show(DriverTariffView, tariff_id="night", form="ocpi-2.2.1")
    assert ocpi.tariff["elements"][0]["price_components"][0] == {"type": "ENERGY", "price": 9.5, "step_size": 1, "vat": 18}
    assert world.put_tariff(json.dumps(ocpi.tariff | {"id": "copy"}), "copy").startswith("version 1 of tariff copy")
    with pytest.raises(InvalidValue, match="form is one of"):
        world.show(DriverTariffView, tariff_id="night", form="xml")
    assert asyncio.run(world.tariffs.views[DriverTariffView]({"tariff_id": "gone"})) is None


def test_what_cannot_be_put_or_ended_says_why() -> None:
    world = Rooms()
    for text, words in (
        (NIGHT.replace('"night"', '"other"'), "give both the same"),
        (NIGHT.replace('"id"', '"currency": "EUR", "id"'), "the depot bills in INR"),
        (NIGHT.replace("price", "prize"), "'prize' is not known"),
        ("no", "this is no JSON"),
    ):
        with pytest.raises(InvalidValue, match=words):
            world.put_tariff(text)
    end = cmd.EndDriverTariff(command_id="e", actor="mani", reason="over", tariff_id="night")
    with pytest.raises(InvalidValue, match="there is no tariff night"):
        world.bid(end)
    world.put_tariff()
    assert world.bid(end)[1].startswith("1 version of tariff night ended")
    assert world.show(DriverPriceView).number == 0
    with pytest.raises(InvalidValue, match="has ended already"):
        world.bid(end)


def test_a_business_of_another_state_gets_igst_and_the_driver_alone_again_does_not() -> None:
    world = Rooms()
    who = cmd.SetInvoiceRecipient(
        command_id="r", actor="mani", reason="asked", driver_id=DRIVER, name="Rani  Cabs", address="14 MG Road", gstin="29 AAGCB7383J1Z4"
    )
    assert "29AAGCB7383J1Z4" in world.bid(who)[1]
    assert [(r.name, r.state) for r in world.show(RecipientsView).recipients] == [("Rani Cabs", "Karnataka")]
    first = world.show(InvoiceView, session_id=world.charged(10_000))
    assert first.document["place_of_supply"]["state_code"] == "29"
    assert [tax["name"] for tax in first.document["taxes"]] == ["IGST"]
    world.bid(cmd.SetInvoiceRecipient(command_id="r2", actor="mani", reason="left", driver_id=DRIVER))
    second = world.show(InvoiceView, session_id=world.charged(10_000))
    assert [tax["name"] for tax in second.document["taxes"]] == ["CGST", "SGST"]
    assert second.document["recipient"]["name"] == ""
    with pytest.raises(InvalidValue, match="last sign does not fit"):
        world.bid(cmd.SetInvoiceRecipient(
            command_id="r3", actor="mani", reason="typo", driver_id=DRIVER, name="Rani", address="x", gstin="29AAGCB7383J1Z5",
        ))  # fmt: skip


def test_a_wrong_meter_is_corrected_by_a_command() -> None:
    world = Rooms()
    session_id = world.charged(10_000)

    def correct(wh: int) -> Any:
        return world.bid(cmd.CorrectBill(command_id="c", actor="mani", reason="meter ran fast", session_id=session_id, energy_wh=wh))

    less = correct(8_000)
    assert (less.answer["difference_paise"], less.answer["refund_paise"]) == (-3_422, 0)
    assert "is not asked for any more" in less.message
    assert correct(8_000).message == "it costs the same: nothing is changed"
    more = correct(9_000)
    assert (more.answer["number"], more.answer["difference_paise"]) == ("2627/D000001", 1_712)  # each tax is rounded for itself
    listed = world.show(InvoicesView, session_id=session_id)
    assert [(row.kind, row.refers_to, row.reason) for row in listed.documents if row.kind != "tax_invoice"] == [
        ("debit_note", "2627/000001", "meter ran fast"), ("credit_note", "2627/000001", "meter ran fast"),
    ]  # fmt: skip
    assert [(s.series, s.last, s.missing_count) for s in listed.series] == [("invoice", 1, 0), ("debit_note", 1, 0), ("credit_note", 1, 0)]
    assert listed.supplier_missing == ["payments.supplier_name", "payments.supplier_address", "payments.supplier_gstin"]
    assert world.money.check_ledger().sum_paise == 0
    with pytest.raises(InvalidValue, match="there is no session gone"):
        world.bid(cmd.CorrectBill(command_id="c", actor="mani", reason="x", session_id="gone", energy_wh=1))


def test_documents_come_page_by_page_and_only_to_their_driver() -> None:
    world = Rooms()
    ids = [world.charged(1_000 * (n + 1)) for n in range(3)]
    first = world.show(InvoicesView, limit="2")
    assert ([row.number for row in first.documents], first.more) == (["2627/000003", "2627/000002"], "2627/000002")
    rest = world.show(InvoicesView, limit="2", before=first.more)
    assert ([row.number for row in rest.documents], rest.more) == (["2627/000001"], "")
    assert world.show(InvoicesView, month="2026-10").documents == []
    assert world.show(InvoiceView, session_id=ids[0], driver_id=DRIVER).row.number == "2627/000001"
    assert asyncio.run(world.invoices.views[InvoiceView]({"session_id": ids[0], "driver_id": "somebody"})) is None
    assert asyncio.run(world.invoices.views[InvoiceView]({"number": "2627/000009"})) is None
    for wrong in ({"limit": "many"}, {"month": "soon"}, {"before": "2627/000099"}):
        with pytest.raises(InvalidValue):
            world.show(InvoicesView, **wrong)


def test_a_number_that_is_missing_is_named() -> None:
    world = Rooms()
    for _ in range(3):
        world.charged(1_000)
    with world.store.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER payments_document_no_delete")  # somebody with the database in hand
        connection.exec_driver_sql("DELETE FROM payments_document WHERE number = '2627/000002'")
        connection.exec_driver_sql("UPDATE payments_bill SET invoice_no = NULL WHERE invoice_no = '2627/000002'")
    (series,) = world.show(InvoicesView).series
    assert (series.last, series.missing, series.missing_count) == (3, ["2627/000002"], 1)


def test_who_is_erased_is_not_billed_to_anybody_else() -> None:
    world = Rooms()
    world.bid(cmd.SetInvoiceRecipient(
        command_id="r", actor="mani", reason="asked", driver_id="old", name="Rani Cabs", address="14 MG Road", state_code="27",
    ))  # fmt: skip
    contacts = Contacts(world.store, "small", world.clock, Vault(ContactKeys((b"0" * 32,))))
    world.till.payers.put("old", "CARD-OLD")
    assert contacts.held("old")["invoices_made_out_to"]["name"] == "Rani Cabs"
    contacts.erase("old")
    with world.store.unit() as session:
        assert session.get(RecipientRow, ("small", "old")) is None


def test_where_nobody_pays_every_view_says_so() -> None:
    room = NoInvoices()
    assert len(room.views) == 6
    assert all(asyncio.run(viewer({})) is None for viewer in room.views.values())
