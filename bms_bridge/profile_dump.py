"""Profile dumps of a hybrid bus's battery: what its management system has counted over the pack's life, as a text file.

Such a file holds histograms: of the pack's current, voltage and power, and of each module's cell voltages, balancers, temperatures and
voltage. They are counts of samples without a time: a life in bins, no trace. Of what a bin says only its edges are known; means
take its middle, and for the two open bins their edge.

Real dumps are often broken: the reader lost the battery in the middle (``#### ERROR READING``), a module does not answer, the file
ends in a row, a spreadsheet saved it again with hundreds of commas, a module was exchanged and counts anew. All that is whole is read;
everything else is told in :attr:`ProfileDump.problems`. Only a file that is no such dump at all is refused.

    text --lines--> sections --rows--> Histogram | problem
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

TITLE = "ESS BMS and Battery Module Profile Data"
MOST_BYTES = 4_000_000
"""A whole dump has about 0.1 MB."""


class NotADump(ValueError):
    """The file is something else, or cannot be read; the text says what."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts of samples. ``edges`` [n − 1]: where bins meet, in ``unit``; ``counts`` [n]: the first bin lies below the first edge, the last
    one at the last edge and above. ``total``: as the file says it."""

    name: str
    unit: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    total: int

    @property
    def mean(self) -> float | None:
        """Of the bins' middles, in ``unit``; None without a sample."""
        middles = [self.edges[0], *((a + b) / 2 for a, b in zip(self.edges, self.edges[1:], strict=False)), self.edges[-1]]
        seen = sum(self.counts)
        return sum(count * middle for count, middle in zip(self.counts, middles, strict=True)) / seen if seen else None

    @property
    def seen(self) -> tuple[float, float] | None:
        """The lowest and the highest edge between which all samples lie; None without a sample. Open bins count as their edge."""
        filled = [k for k, count in enumerate(self.counts) if count]
        if not filled:
            return None
        return self.edges[max(filled[0] - 1, 0)], self.edges[min(filled[-1], len(self.edges) - 1)]

    def share_from(self, level: float) -> float:
        """Share of the samples in bins that begin at ``level`` or above (0–1); 0 without a sample."""
        seen = sum(self.counts)
        above = sum(count for edge, count in zip(self.edges, self.counts[1:], strict=True) if edge >= level)
        return above / seen if seen else 0.0


@dataclass(frozen=True, slots=True)
class ModuleProfile:
    """One module. ``serial``: "" where it did not say. ``balanced``: per cell, the share of samples in which its balancer was on."""

    number: int
    serial: str = ""
    answers: bool = True
    cells_v: tuple[Histogram, ...] = ()
    balanced: tuple[float, ...] = ()
    temperatures_c: tuple[Histogram, ...] = ()
    voltage_v: Histogram | None = None


@dataclass(frozen=True, slots=True)
class ProfileDump:
    """``serial`` of the pack: "" where it was never written into it. ``retrieved_at``: by the clock of the reading computer, without a
    zone. ``problems``: everything that is missing or cannot be, in words."""

    serial: str
    retrieved_at: datetime | None
    current_a: Histogram | None = None
    voltage_v: Histogram | None = None
    power_kw: Histogram | None = None
    modules: tuple[ModuleProfile, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Nothing is missing."""
        return not self.problems


def read_dump(path: Path) -> ProfileDump:
    """The dump in a file. Raises :class:`NotADump` for a file that is none, is empty or cannot be read."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise NotADump(f"{path} cannot be read: {error.strerror or error}") from None
    if len(raw) > MOST_BYTES:
        raise NotADump(f"{path} has more than {MOST_BYTES // 1_000_000} MB; a dump has about 0.1 MB")
    if not raw.strip():
        raise NotADump(f"{path} is empty; read the battery out again")
    return parse_dump(raw.decode("latin-1"), name=str(path))


def parse_dump(text: str, *, name: str = "the text") -> ProfileDump:
    """The dump in a text; ``name`` stands in the message of :class:`NotADump`."""
    rows = [[cell.strip() for cell in line.rstrip(", \r").split(",")] for line in text.splitlines()]
    if not any(row[0] == TITLE for row in rows[:10]):
        raise NotADump(f"{name} is no profile dump: the line '{TITLE}' is missing at its beginning")
    return _Reader(rows).read()


@dataclass(slots=True)
class _Module:
    number: int
    serial: str = ""
    answers: bool = True
    cells_v: list[Histogram] = field(default_factory=list)
    balanced: list[float] = field(default_factory=list)
    temperatures_c: list[Histogram] = field(default_factory=list)
    voltage_v: Histogram | None = None

    def profile(self) -> ModuleProfile:
        return ModuleProfile(
            self.number, self.serial, self.answers, tuple(self.cells_v), tuple(self.balanced), tuple(self.temperatures_c), self.voltage_v
        )

    def missing(self) -> list[str]:
        found = {
            "cell voltages": self.cells_v,
            "balancers": self.balanced,
            "temperatures": self.temperatures_c,
            "its voltage": self.voltage_v,
        }
        return [what for what, value in found.items() if not value]


_SECTION = re.compile(r"<(.+?)(?: \((.+)\))?>")
_PACK = {"Battery Current": "A", "Battery Voltage": "V", "Power": "kW"}
_UNITS = {**_PACK, "Cell Voltages": "V", "Module Temperatures": "°C", "Module Voltages": "V"}
_WORDS = {
    "Cell Voltages": "cell voltages",
    "Module Temperatures": "temperatures",
    "Module Voltages": "voltage",
    "Cell Balancers": "balancers",
}


class _Reader:
    """Goes down the rows once; ``where`` says for the problems what is being read."""

    def __init__(self, rows: Sequence[list[str]]) -> None:
        self._rows = rows
        self._pack: dict[str, Histogram] = {}
        self._modules: list[_Module] = []
        self._problems: list[str] = []
        self._section = ""
        self._edges: tuple[float, ...] = ()
        self._serial = ""
        self._retrieved_at: datetime | None = None

    def read(self) -> ProfileDump:
        for row in self._rows:
            self._take(row)
        self._problems += [f"{name}: not in the file" for name in _PACK if name not in self._pack and not self._told(name)]
        self._problems += list(self._of_modules())
        return ProfileDump(
            serial=self._serial,
            retrieved_at=self._retrieved_at,
            current_a=self._pack.get("Battery Current"),
            voltage_v=self._pack.get("Battery Voltage"),
            power_kw=self._pack.get("Power"),
            modules=tuple(module.profile() for module in self._modules),
            problems=tuple(self._problems),
        )

    def _take(self, row: list[str]) -> None:
        first = row[0]
        if first.startswith("Data retrieved:"):
            self._retrieved_at = _time(first.removeprefix("Data retrieved:").strip())
        elif first.startswith("Mfg Data (ASCII):"):
            serial = first.removeprefix("Mfg Data (ASCII):").strip(" .")
            if self._modules:
                self._modules[-1].serial = serial
            else:
                self._serial = serial
        elif found := re.fullmatch(r"MODULE (\d{1,3})", first):
            self._modules.append(_Module(int(found[1])))
            self._section = ""
        elif "MODULE NOT RESPONDING" in first and self._modules:
            self._modules[-1].answers = False
        elif any("ERROR READING" in cell for cell in row):
            self._problems.append(f"{self._where('')}the reader lost the battery here")
        elif found := _SECTION.fullmatch(first):
            self._section, self._edges = found[1], ()
        elif self._section in _UNITS and len(row) > 3 and row[1].startswith("<") and row[-1] == "TOTAL":
            self._edges = _edges(row[2:])
        elif self._section in _UNITS and len(row) > 1:
            self._count(row)
        elif self._section == "Cell Balancers" and first.startswith("CELL"):
            self._balance(row)

    def _count(self, row: list[str]) -> None:
        counts, total = _counts(row[1:])
        where = self._where(row[0])
        bins = len(self._edges) + 1
        if not self._edges or total is None or len(counts) != bins:
            self._problems.append(f"{where}{len(counts)} of {bins} bins are there; it is left out")
            return
        if sum(counts) != total:
            self._problems.append(f"{where}its bins count {sum(counts)} samples, its total says {total}; the bins are taken")
        made = Histogram(row[0] or self._section, _UNITS[self._section], self._edges, counts, total)
        if self._section in _PACK:
            self._pack[self._section] = made
        elif self._modules:
            module = self._modules[-1]
            if self._section == "Cell Voltages":
                module.cells_v.append(made)
            elif self._section == "Module Temperatures":
                module.temperatures_c.append(made)
            else:
                module.voltage_v = made

    def _balance(self, row: list[str]) -> None:
        counts, total = _counts(row[1:])
        if total is None or len(counts) != 2 or not sum(counts):
            self._problems.append(f"{self._where(row[0])}off and on are not both there; it is left out")
        elif self._modules:
            self._modules[-1].balanced.append(counts[1] / sum(counts))

    def _where(self, row: str) -> str:
        module = f"module {self._modules[-1].number}, " if self._modules and self._section not in _PACK else ""
        section = _WORDS.get(self._section, self._section)
        return f"{module}{section}{f', {row.lower()}' if row else ''}: " if module or section else ""

    def _told(self, name: str) -> bool:
        return any(problem.startswith(name) and "left out" in problem for problem in self._problems)

    def _of_modules(self) -> Iterator[str]:
        silent = [str(module.number) for module in self._modules if not module.answers]
        if silent:
            yield f"modules that did not answer: {', '.join(silent)}"
        for module in self._modules:
            missing = module.missing() if module.answers else []
            if missing:
                yield f"module {module.number}: the file ends before {' and '.join(missing)}"
        if not self._modules:
            yield "no module is in the file"


def _edges(cells: Sequence[str]) -> tuple[float, ...]:
    """Of ``-350.0, -340.0, …, >= 350.0, , TOTAL``, which follow ``< -350.0``; nothing where they do not rise."""
    try:
        edges = tuple(float(cell.removeprefix(">=")) for cell in cells if cell and cell != "TOTAL")
    except ValueError:
        return ()
    return edges if all(a < b for a, b in pairwise(edges)) else ()


def _counts(cells: Sequence[str]) -> tuple[tuple[int, ...], int | None]:
    """Counts before an empty cell, and the total behind it; None where the row ends too soon."""
    gap = next((k for k, cell in enumerate(cells) if not cell), len(cells))
    behind = [cell for cell in cells[gap:] if cell]
    total = int(behind[-1]) if behind and behind[-1].isdecimal() else None
    counts: list[int] = []
    for cell in cells[:gap]:
        if not cell.isdecimal():
            return tuple(counts), None
        counts.append(int(cell))
    return tuple(counts), total


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%m/%d/%Y @ %H:%M:%S")  # noqa: DTZ007  # the file names no zone
    except ValueError:
        return None
