"""Local authorization lists: which id tokens a station is believed to know by itself, and in which version. Pure.

(tokens, most per message) --parts--> one Full and then Differential updates, versions strictly rising
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from depot.tokens import IdToken

MOST_ENTRIES = 5_000
"""Of one station's list."""
MAX_VERSION = 2**31 - 1


class UpdateType(StrEnum):
    """OCPP UpdateType: the whole list, or what of it changes."""

    FULL = "full"
    DIFFERENTIAL = "differential"

    @property
    def word(self) -> str:
        return self.value.capitalize()


@dataclass(frozen=True, slots=True)
class LocalList:
    """What a station accepted last. ``version`` 0: nothing yet. ``entries``: by :attr:`~depot.tokens.IdToken.text_key`."""

    version: int = 0
    entries: Mapping[str, IdToken] = field(default_factory=dict)
    changed_at: datetime | None = None

    def after(self, version: int, update: UpdateType, listed: Sequence[IdToken], removed: Sequence[str], at: datetime) -> LocalList:
        """With an accepted update. ``removed``: keys."""
        before = {} if update is UpdateType.FULL else {key: t for key, t in self.entries.items() if key not in removed}
        return LocalList(version, {**before, **{token.text_key: token for token in listed}}, at)

    def changes_to(self, wanted: Sequence[IdToken]) -> tuple[list[IdToken], list[str]]:
        """What a differential update must say so that the list is ``wanted``: tokens to list, and tokens to remove."""
        keys = {token.text_key for token in wanted}
        listed = [token for token in wanted if not _same(self.entries.get(token.text_key), token)]
        return listed, [token.token for key, token in self.entries.items() if key not in keys]


def _same(known: IdToken | None, wanted: IdToken) -> bool:
    """Whether a station was told the same; a type that was not said is told as a card's."""
    return known is not None and replace(known, type=known.wire_type) == replace(wanted, type=wanted.wire_type)


@dataclass(frozen=True, slots=True)
class Part:
    """One message. ``removed``: tokens as they were listed."""

    update: UpdateType
    version: int
    listed: tuple[IdToken, ...] = ()
    removed: tuple[str, ...] = ()


def parts(update: UpdateType, version: int, listed: Sequence[IdToken], removed: Sequence[str], *, most: int) -> list[Part]:
    """An update as messages of at most ``most`` entries: the first as asked, all further ones differential."""
    rows: list[IdToken | str] = [*listed, *removed]
    chunks = [rows[i : i + most] for i in range(0, len(rows), most)] or [[]]
    return [
        Part(
            update if i == 0 else UpdateType.DIFFERENTIAL,
            version + i,
            tuple(row for row in chunk if isinstance(row, IdToken)),
            tuple(row for row in chunk if isinstance(row, str)),
        )
        for i, chunk in enumerate(chunks)
    ]
