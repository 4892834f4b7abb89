"""The UPI address with which a mandate was approved: the gateway's word, kept sealed and shown masked."""

from __future__ import annotations

from pathlib import Path

import pytest
from paying_depot import DEPOT, depot

from payments.contacts import Contact, Contacts
from payments.mandates import Mandates
from payments.privacy import ContactKeys, Vault
from payments.states import MandateState
from tests.fake_gateway import CONTACT

pytestmark = [pytest.mark.anyio, pytest.mark.apart]


async def test_the_upi_address_that_approved_is_sealed_beside_the_drivers_number_and_shown_masked(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        vault = Vault(ContactKeys.parse("11" * 32))
        contacts = Contacts(yard.store, DEPOT, yard.clock, vault)
        contacts.put("rani", Contact(phone=CONTACT))
        await yard.mandate(contact=CONTACT)
        await Mandates(yard.store, DEPOT, yard.clock, yard.terms, vault).look(yard.gateway, "m1")
        kept = contacts.reveal("rani")
        assert kept.phone == CONTACT
        assert kept.vpa.endswith("@mockupi")
        shown = contacts.masked_of("rani")
        assert shown is not None
        assert shown.vpa.endswith("•••@mockupi")
        assert kept.vpa not in repr(yard.dump())  # nowhere in the books but sealed
        other = Vault(ContactKeys.parse("22" * 32))  # the key is lost: the mandate counts all the same
        await Mandates(yard.store, DEPOT, yard.clock, yard.terms, other).look(yard.gateway, "m1")
        assert yard.mandate_state() is MandateState.ACTIVE


async def test_the_upi_address_of_a_driver_who_is_not_in_the_list_is_not_kept(tmp_path: Path) -> None:
    async with depot(tmp_path) as yard:
        vault = Vault(ContactKeys.parse("11" * 32))
        await yard.mandate()
        await Mandates(yard.store, DEPOT, yard.clock, yard.terms, vault).look(yard.gateway, "m1")
        assert Contacts(yard.store, DEPOT, yard.clock, vault).masked() == []
        assert "mockupi" not in repr(yard.dump()["payments_contact"])
