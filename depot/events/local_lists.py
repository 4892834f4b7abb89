"""Facts of local authorization lists. See :mod:`depot.local_lists`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from depot.events.envelope import Event
from depot.local_lists import UpdateType
from depot.tokens import IdToken


@dataclass(frozen=True, slots=True)
class LocalListUpdated(Event):
    """A station accepted a part of a list. ``removed``: keys of tokens (:attr:`~depot.tokens.IdToken.text_key`)."""

    TYPE: ClassVar[str] = "station.local_list_updated"
    station_id: str
    version: int
    update: UpdateType
    listed: tuple[IdToken, ...] = ()
    removed: tuple[str, ...] = ()
