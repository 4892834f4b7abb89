"""Who pays: a tag at a charger and the driver whose sessions it starts. The depot's own list, until it has another."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlmodel import select

from depot.ports import Clock
from payments import Refused
from payments.records import looking
from payments.tables import PayerRow
from payments.times import to_ms
from storage import Store

__all__ = ["Payers", "check_driver", "check_tag"]

_DRIVER = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,39}")
_PHONE = re.compile(r"(\d[ ._-]?){9,}")
_TAG = re.compile(r"[\x21-\x7e]{1,20}")


@dataclass(frozen=True, slots=True)
class Payers:
    """The list of one depot. Blocking, like everything that touches the store."""

    store: Store
    depot_id: str
    clock: Clock

    def everybody(self) -> dict[str, str]:
        """Driver by tag, in small letters: case does not count (OCPP CiString)."""
        with looking(self.store) as session:
            rows = session.exec(select(PayerRow).where(PayerRow.depot_id == self.depot_id)).all()
        return {row.id_tag: row.driver_id for row in rows}

    def put(self, driver_id: str, id_tag: str) -> None:
        """The driver's tag from now on, instead of an earlier one. Raises :class:`~payments.Refused` for a tag that is
        somebody else's."""
        check_driver(driver_id)
        check_tag(id_tag)
        id_tag = id_tag.casefold()
        with self.store.unit() as session:
            owner = session.exec(select(PayerRow).where(PayerRow.depot_id == self.depot_id, PayerRow.id_tag == id_tag)).first()
            if owner is not None and owner.driver_id != driver_id:
                raise Refused(f"the tag belongs to driver {owner.driver_id}: give this driver another one")
            row = session.get(PayerRow, (self.depot_id, driver_id))
            if row is None:
                row = PayerRow(depot_id=self.depot_id, driver_id=driver_id, id_tag=id_tag, created_ms=to_ms(self.clock.now()))
                session.add(row)
            row.id_tag = id_tag


def check_driver(driver_id: str) -> None:
    """Raises :class:`~payments.Refused` for what is no id, or looks like a phone number."""
    if not _DRIVER.fullmatch(driver_id):
        raise Refused("a driver's id has 1 to 40 letters, digits, spaces, dots, hyphens or underscores")
    if _PHONE.search(driver_id):
        raise Refused("this looks like a phone number: give the driver an id of the depot's own")


def check_tag(id_tag: str) -> None:
    """Raises :class:`~payments.Refused` for what no charger can send (OCPP 1.6: 20 characters)."""
    if not _TAG.fullmatch(id_tag):
        raise Refused("a tag has 1 to 20 printable characters without spaces")
