"""Tariffs that stations hold (OCPP 2.1 block I), to show drivers prices and to work out costs themselves. Pure.

    SetDefaultTariff accepted --> the EVSE's default tariff (0: of every EVSE)        ClearTariffs --> gone
    ChangeTransactionTariff accepted --> holds for that transaction

A tariff is kept as OCPP spells it, prices and all; the depot's own bills do not come from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

KEPT_CHANGES = 50


@dataclass(frozen=True, slots=True)
class TariffSet:
    """A tariff as a station accepted it. ``evse_id`` 0: of all its EVSEs; ``transaction`` "": it is a default."""

    evse_id: int
    tariff_id: str
    tariff: Mapping[str, Any]
    set_at: datetime
    transaction: str = ""


@dataclass(frozen=True, slots=True)
class StationTariffs:
    """``defaults``: by EVSE. ``changes``: of single transactions, oldest first."""

    defaults: Mapping[int, TariffSet] = field(default_factory=dict)
    changes: tuple[TariffSet, ...] = ()

    def having(self, new: TariffSet) -> StationTariffs:
        """With one more. A default of all EVSEs takes the place of those of single ones."""
        if new.transaction:
            return replace(self, changes=(*self.changes, new)[-KEPT_CHANGES:])
        others = {} if new.evse_id == 0 else self.defaults
        return replace(self, defaults={**others, new.evse_id: new})

    def without(self, tariff_ids: Sequence[str], evse_id: int) -> StationTariffs:
        """Without those (none named: all) on an EVSE (0: on any)."""

        def gone(t: TariffSet) -> bool:
            return (not tariff_ids or t.tariff_id in tariff_ids) and evse_id in (0, t.evse_id)

        return replace(self, defaults={evse: t for evse, t in self.defaults.items() if not gone(t)})
