"""Many packs over many days in questions that the lake can answer within its bounds of memory and time.

    packs × days --so many samples in each question--> the lake --> one table
                    ^-- the lake says it is too much: half as many

Packs are divided before days, because each question also reads some days before its first one
and one after its last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from bms_bridge.anomalies import TableRefused
from bms_bridge.anomalies.from_lake import LOOK_AHEAD_D, LOOK_BACK_D, Ask, NoDays
from bms_bridge.anomalies.pack_days import PackDays, joined
from bms_bridge.lake import QueryTooLarge

AskDays = Callable[[Iterable[str], int, int], PackDays]
"""Pack days of the packs (VEHICLE/PACK) from one day to another, both included. Raises :class:`~.from_lake.NoDays`, TableRefused."""

Told = Callable[[int, int], None]
"""How many pack days are asked for, and of how many."""

MOST_SAMPLES: Final = 1_000_000
"""In one question: with 24 cells DuckDB takes 1.6 million samples within the 1 GB that a question may have, not 4.8 million."""

SAMPLES_A_DAY: Final = 8_640.0
"""Of a pack, where no file tells: one each ten seconds."""

FILES_SQL: Final = "SELECT avg(rows) FROM files WHERE tier = 'warm'"


def samples_a_day(ask: Ask) -> float:
    """Of a pack, in the mean of the lake's files of one day."""
    ((mean,),) = ask(FILES_SQL)
    return max(1.0, float(mean)) if mean is not None else SAMPLES_A_DAY


class Pieces:
    """An :data:`AskDays` that asks ``ask`` as often as is needed. ``samples``: of a pack and day."""

    def __init__(self, ask: AskDays, *, samples: float = SAMPLES_A_DAY) -> None:
        self._ask = ask
        self._most = max(1, int(MOST_SAMPLES / samples))
        self._asked, self._of = 0, 0
        self._told: Told | None = None
        self._left_out, self._refused = Counter[str](), Counter[str]()

    def tell(self, told: Told, *, of: int) -> None:
        """Say after each question how many of ``of`` pack days were asked for."""
        self._told, self._of = told, of

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of all answers, a sentence for each reason."""
        refused = tuple(f"{count} questions without an answer: {why}" for why, count in self._refused.items())
        return (*refused, *(f"{count} rows left out: {why}" for why, count in self._left_out.items()))

    def __call__(self, names: Iterable[str], first: int, last: int) -> PackDays:
        """Raises NoDays: there is none; QueryTooLarge: a single day of a single pack is too much."""
        found = list(self._found(sorted(names), first, last))
        if not found:
            raise NoDays("the lake holds no day with cell voltages at the end of a charge")
        return joined(found)

    def _found(self, names: list[str], first: int, last: int) -> Iterator[PackDays]:
        read_days = last - first + 1 + LOOK_BACK_D + LOOK_AHEAD_D
        if len(names) * read_days > self._most and (len(names) > 1 or last > first):
            yield from self._divided(names, first, last, read_days)
            return
        try:
            answer = self._ask(names, first, last)
        except QueryTooLarge:
            if len(names) == 1 and first == last:
                raise
            self._most = max(1, len(names) * read_days // 2)
            yield from self._divided(names, first, last, read_days)
            return
        except NoDays:
            pass
        except TableRefused as error:  # rows, but none that can be used: the others are asked for all the same
            self._refused[str(error)] += 1
        else:
            for note in answer.notes:
                count, _, why = note.partition(" rows left out: ")
                self._left_out[why] += int(count)
            yield answer
        self._asked += len(names) * (last - first + 1)
        if self._told is not None:
            self._told(self._asked, self._of)

    def _divided(self, names: list[str], first: int, last: int, read_days: int) -> Iterator[PackDays]:
        if len(names) > 1:
            step = max(1, min(self._most // read_days, (len(names) + 1) // 2))
            for begin in range(0, len(names), step):
                yield from self._found(names[begin : begin + step], first, last)
        else:
            middle = (first + last) // 2
            yield from self._found(names, first, middle)
            yield from self._found(names, middle + 1, last)
