"""Tables beside the book's: the newest health of each pack's cells, what they lose, what each pack is still good for, its state of
charge (one row a pack each), and how the fleet ages (one row a chemistry)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, text

from bms_bridge.anomalies.losses import Loss
from bms_bridge.estimates.ageing_view import AgeingFound
from bms_bridge.estimates.charge_past import add_points
from bms_bridge.estimates.charge_view import ChargePoint, ChargeState
from bms_bridge.estimates.estimate import ByCell
from bms_bridge.estimates.prospect_view import PackProspect
from depot.values import PackKey
from storage import Store

T = TypeVar("T")
_decode = msgspec.json.Decoder(PackProspect).decode
_decode_ageing = msgspec.json.Decoder(AgeingFound).decode
_decode_charge = msgspec.json.Decoder(ChargeState).decode
_CELLS = text("SELECT until_us, detail FROM estimates_cells WHERE vehicle_id = :vehicle AND pack_id = :pack")
_LOSS = text("SELECT detail FROM estimates_loss WHERE vehicle_id = :vehicle AND pack_id = :pack")
_PROSPECT = text("SELECT detail FROM estimates_prospect WHERE vehicle_id = :vehicle AND pack_id = :pack")


class Shelf:
    """See the module. Raises :class:`storage.StorageError`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def put_cells(self, pack: PackKey, cells: ByCell) -> None:
        """In the place of older ones; older than what is there: nothing."""
        values = _named(pack) | {
            "until": round(cells.until_s * 1e6),
            "detail": json.dumps({"soh": cells.soh, "error": cells.error, "modules": cells.modules}),
        }
        with self._store.writing() as connection:
            newest = connection.execute(_CELLS, _named(pack)).first()
            if newest is None or newest[0] <= values["until"]:
                connection.execute(text("INSERT OR REPLACE INTO estimates_cells VALUES (:vehicle, :pack, :until, :detail)"), values)

    def cells(self, pack: PackKey) -> ByCell | None:
        """The newest; None: never told by cell."""
        with self._store.reading() as connection:
            found = connection.execute(_CELLS, _named(pack)).first()
        if found is None:
            return None
        said = json.loads(found[1])
        return ByCell(found[0] / 1e6, tuple(said["soh"]), tuple(said["error"]), tuple(said["modules"]))

    def put_losses(self, found: Mapping[PackKey, Loss], *, now_us: int) -> None:
        """Of one look at all packs; those that it did not see keep theirs."""
        rows = [_named(pack) | {"made": now_us, "detail": json.dumps(asdict(loss))} for pack, loss in found.items()]
        if rows:
            with self._store.writing() as connection:
                connection.execute(text("INSERT OR REPLACE INTO estimates_loss VALUES (:vehicle, :pack, :made, :detail)"), rows)

    def loss(self, pack: PackKey) -> Loss | None:
        """What its worst cell loses; None: no look has seen it."""
        with self._store.reading() as connection:
            found = connection.execute(_LOSS, _named(pack)).scalar()
        return None if found is None else Loss(**json.loads(found))

    def put_prospect(self, pack: PackKey, found: PackProspect, *, now_us: int) -> None:
        """In the place of the one before."""
        values = _named(pack) | {"made": now_us, "detail": msgspec.json.encode(found).decode()}
        with self._store.writing() as connection:
            connection.execute(text("INSERT OR REPLACE INTO estimates_prospect VALUES (:vehicle, :pack, :made, :detail)"), values)

    def prospect(self, pack: PackKey) -> PackProspect | None:
        """None: none was made yet, or one that another version made, which will be made anew."""
        with self._store.reading() as connection:
            return prospect_of(connection, pack)

    def put_charge(self, pack: PackKey, state: ChargeState, going: bytes | None, past: Sequence[ChargePoint] = ()) -> None:
        """State of charge in the place of the one before; ``going``: where it was left (charge_kept), None: nothing to follow on;
        ``past``: points of the steps before it."""
        at_us = round(state.at.timestamp() * 1e6)
        values = _named(pack) | {"at": at_us, "detail": msgspec.json.encode(state).decode(), "going": going}
        with self._store.writing() as connection:
            connection.execute(text("INSERT OR REPLACE INTO estimates_soc VALUES (:vehicle, :pack, :at, :detail, :going)"), values)
            add_points(connection, pack, past)

    def going(self, pack: PackKey) -> bytes | None:
        """Where its state of charge was left."""
        with self._store.reading() as connection:
            query = text("SELECT going FROM estimates_soc WHERE vehicle_id = :vehicle AND pack_id = :pack")
            found = connection.execute(query, _named(pack)).scalar()
        return None if found is None else bytes(found)

    def put_ageing(self, found: AgeingFound, *, now_us: int) -> None:
        """In the place of the one before of its chemistry."""
        values = {"chemistry": found.chemistry, "made": now_us, "detail": msgspec.json.encode(found).decode()}
        with self._store.writing() as connection:
            connection.execute(text("INSERT OR REPLACE INTO estimates_ageing VALUES (:chemistry, :made, :detail)"), values)

    def ageing(self) -> list[AgeingFound]:
        """The newest of each chemistry."""
        with self._store.reading() as connection:
            return ageing_of(connection)


def ageing_of(connection: Connection) -> list[AgeingFound]:
    """As :meth:`Shelf.ageing`; also of a book that an older version made."""
    if not connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'estimates_ageing'")).scalar():
        return []
    found = []
    for (detail,) in connection.execute(text("SELECT detail FROM estimates_ageing ORDER BY chemistry")):
        with contextlib.suppress(msgspec.DecodeError):
            found.append(_decode_ageing(detail))
    return found


class Marked(msgspec.Struct, frozen=True):
    """The little of a prospect that a table shows."""

    why_not: str
    grade: str = ""
    because: list[str] = []


_decode_mark = msgspec.json.Decoder(Marked).decode


def mark_of(connection: Connection, pack: PackKey) -> Marked | None:
    """Its grade; None: no prospect was made yet."""
    return _decoded(connection, pack, _decode_mark)


def charge_of(connection: Connection, pack: PackKey) -> ChargeState | None:
    """The newest state of charge; None: none was told yet, or by another version, or the book is of an older one."""
    if not connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'estimates_soc'")).scalar():
        return None
    query = text("SELECT detail FROM estimates_soc WHERE vehicle_id = :vehicle AND pack_id = :pack")
    found = connection.execute(query, _named(pack)).scalar()
    try:
        return None if found is None else _decode_charge(found)
    except msgspec.DecodeError:
        return None


def prospect_of(connection: Connection, pack: PackKey) -> PackProspect | None:
    """As :meth:`Shelf.prospect`; also of a book that an older version made."""
    return _decoded(connection, pack, _decode)


def _decoded(connection: Connection, pack: PackKey, decode: Callable[[str], T]) -> T | None:
    if not connection.execute(text("SELECT count(*) FROM sqlite_master WHERE name = 'estimates_prospect'")).scalar():
        return None
    found = connection.execute(_PROSPECT, _named(pack)).scalar()
    try:
        return None if found is None else decode(found)
    except msgspec.DecodeError:
        return None


def _named(pack: PackKey) -> dict[str, Any]:
    return {"vehicle": pack.vehicle_id, "pack": pack.pack_id}
