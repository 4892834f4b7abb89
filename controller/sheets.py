"""Tables as people bring them: CSV as spreadsheets write it, or JSON. Text in, rows of text cells out; hostile files end here.

    bytes --read_sheet(columns)--> Sheet(rows, complaints)        all complaints at once, with row and column
    rows  --write_csv / write_json--> bytes                       what was exported can be imported

CSV may be separated by comma, semicolon or tab, begin with a byte order mark or Excel's ``sep=``, be UTF-8 or UTF-16. A
decimal comma is understood where the comma does not separate. JSON: ``{"schema": "chargeyard-registry/1", "kind": …,
"rows": [{…}]}``. No cell that we write begins a formula.
"""

from __future__ import annotations

import csv
import difflib
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "chargeyard-registry/1"
MAX_BYTES = 1024 * 1024
MAX_ROWS = 5000
MAX_CELL = 500
MAX_COMPLAINTS = 200
_MAX_COLUMNS = 40
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_YES = frozenset({"yes", "true", "1", "y", "ja"})
_NO = frozenset({"no", "false", "0", "n", "nein"})


class CellError(ValueError):
    """A cell that is not what its column takes; the message says what to write."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong, and where. ``row`` 0: the file as a whole; ``column`` "": the row as a whole."""

    row: int
    text: str
    column: str = ""

    def __str__(self) -> str:
        place = "" if not self.row else f"row {self.row}, {self.column}: " if self.column else f"row {self.row}: "
        return place + self.text


@dataclass(slots=True)
class Row:
    """One row: number as the person's program shows it, and the cells of the columns that the file has. ``cell`` reads one,
    and notes what is wrong with it in the sheet's complaints."""

    number: int
    cells: Mapping[str, str]
    decimal_comma: bool = False

    def has(self, column: str) -> bool:
        """Whether the file has this column; an absent one changes nothing, an empty cell says "unknown"."""
        return column in self.cells

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def number_of(self, column: str, *, least: float = 0, most: float = 1e7) -> float | None:
        """A plain number, or None for an empty cell."""
        text = self.text(column).replace("\u202f", "").replace("\u00a0", "").strip()
        if not text:
            return None
        if self.decimal_comma and text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            value = float(text)
            if not math.isfinite(value) or "_" in text:
                raise ValueError
        except ValueError:
            hint = "; write 1234.5, without thousands separators" if "," in text else ""
            raise CellError(f"{text!r} is not a number{hint}") from None
        if not least <= value <= most:
            raise CellError(f"{text} must be within {least:g} and {most:g}")
        return value

    def whole_of(self, column: str, *, least: int = 0, most: int = 10_000_000) -> int | None:
        value = self.number_of(column, least=least, most=most)
        if value is not None and value != int(value):
            raise CellError(f"{self.text(column)} is not a whole number")
        return None if value is None else int(value)

    def share_of(self, column: str) -> float | None:
        """``80``, ``80 %`` or ``0.8``: a share from 0 to 1. 1 is one, not one per cent."""
        text = self.text(column).strip()
        percent = text.endswith("%")
        row = Row(self.number, {column: text.removesuffix("%")}, self.decimal_comma)
        value = row.number_of(column, least=0, most=100)
        return None if value is None else value / 100 if percent or value > 1 else value

    def thousandfold_of(self, column: str, *, least: float = 0, most: float = 10_000) -> int | None:
        """kW or kWh as the integer W or Wh of the depot."""
        value = self.number_of(column, least=least, most=most)
        return None if value is None else round(value * 1000)

    def flag_of(self, column: str) -> bool | None:
        text = self.text(column).casefold()
        if not text:
            return None
        if text not in _YES | _NO:
            raise CellError(f"{self.text(column)!r} is neither yes nor no; leave it empty where it is not known")
        return text in _YES

    def list_of(self, column: str) -> tuple[str, ...]:
        """Parts divided by spaces, semicolons, commas or bars."""
        text = self.text(column)
        for mark in ";,|":
            text = text.replace(mark, " ")
        return tuple(text.split())


@dataclass(slots=True)
class Sheet:
    """``columns``: those that the file has. With a complaint of row 0 there are no rows."""

    kind: str
    columns: tuple[str, ...] = ()
    rows: list[Row] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)


def read_sheet(data: bytes, kind: str, columns: Sequence[str], *, needed: Sequence[str], aliases: Mapping[str, str]) -> Sheet:
    """Rows of ``kind`` with the known ``columns``; ``aliases``: other names of columns. Never raises for what a file says."""
    sheet = Sheet(kind)
    try:
        text = _decode(data)
        if text.lstrip()[:1] in ("{", "["):
            header, rows, comma = _json_rows(text, kind)
        else:
            header, rows, comma = _csv_rows(text)
        names = _columns(header, columns, needed, aliases)
    except CellError as error:
        sheet.complaints.append(Complaint(0, str(error)))
        return sheet
    sheet.columns = tuple(names)
    for number, cells in rows:
        if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
            sheet.complaints.append(Complaint(number, f"has {len(cells)} cells, the heading has {len(names)}; is a separator in a text?"))
            continue
        cleaned = [_clean(cell) for cell in cells]
        if not any(cleaned):
            continue
        long = next((name for name, cell in zip(names, cleaned, strict=False) if len(cell) > MAX_CELL), None)
        if long is not None:
            sheet.complaints.append(Complaint(number, f"more than {MAX_CELL} characters", long))
            continue
        sheet.rows.append(Row(number, dict(zip(names, [*cleaned, *[""] * len(names)], strict=False)), comma))
        if len(sheet.rows) > MAX_ROWS:
            sheet.rows.clear()
            sheet.complaints = [Complaint(0, f"the file has more than {MAX_ROWS:,} rows; divide it")]
            return sheet
    if not sheet.rows and not sheet.complaints:
        sheet.complaints.append(Complaint(0, "the file has a heading but no rows"))
    return sheet


def _decode(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise CellError(f"the file has {len(data) / 1e6:.1f} MB; {MAX_BYTES // 1024 // 1024} MB is the most")
    if data[:4] == b"PK\x03\x04" or data[:4] == b"\xd0\xcf\x11\xe0":
        raise CellError('this is a workbook; save the sheet as "CSV UTF-8" and import that')
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise CellError(f'the file is not UTF-8 text (byte {error.start}); save it as "CSV UTF-8"') from None
    if "\0" in text:
        raise CellError("the file is no text: it holds NUL characters")
    if not text.strip():
        raise CellError("the file is empty")
    return text


def _csv_rows(text: str) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    first, _, rest = text.partition("\n")
    offset = 0
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        separator, text, offset = first.strip()[4], rest, 1
    else:
        separator = max(",;\t", key=first.count) if any(mark in first for mark in ",;\t") else ","
    if separator not in ",;\t|":
        raise CellError(f"cells are divided by {separator!r}; use comma, semicolon or tab")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begin = 1 + offset
    try:
        for cells in reader:
            rows.append((begin, cells))
            begin = reader.line_num + 1 + offset
            if len(rows) > MAX_ROWS + 1000:
                raise CellError(f"the file has more than {MAX_ROWS:,} rows; divide it")
    except csv.Error as error:
        raise CellError(f"line {reader.line_num + offset} is no CSV: {error}; is a quotation mark missing?") from None
    header = next((k for k, (_, cells) in enumerate(rows) if any(cell.strip() for cell in cells)), None)
    if header is None:
        raise CellError("the file is empty")
    return rows[header][1], rows[header + 1 :], separator != ","


def _json_rows(text: str, kind: str) -> tuple[list[str], list[tuple[int, list[str]]], bool]:
    try:
        raw = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise CellError("the JSON is nested too deep") from None
    except ValueError as error:
        raise CellError(f"the file begins like JSON but is none: {error}") from None
    if not isinstance(raw, dict) or raw.get("schema") != SCHEMA:
        raise CellError(f'the JSON needs "schema": "{SCHEMA}"')
    if raw.get("kind") != kind:
        raise CellError(f"the file holds {str(raw.get('kind'))[:40]}, not {kind}")
    unknown = sorted(set(raw) - {"schema", "kind", "rows"})
    if unknown:
        raise CellError(f"unknown in the JSON: {unknown[0][:40]}; it has schema, kind and rows")
    entries = raw.get("rows")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CellError('"rows" must be a list of objects')
    if len(entries) > MAX_ROWS:
        raise CellError(f"the file has more than {MAX_ROWS:,} rows; divide it")
    header = list(dict.fromkeys(str(name) for entry in entries for name in entry))
    rows = [(k + 1, [_cell(entry.get(name)) for name in header]) for k, entry in enumerate(entries)]
    return header, rows, False


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(_cell(part) for part in value)
    return str(value) if isinstance(value, str | int | float) else json.dumps(value)


def _columns(header: Sequence[str], columns: Sequence[str], needed: Sequence[str], aliases: Mapping[str, str]) -> list[str]:
    names = [_name(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    names = [aliases.get(name, name) for name in names]
    if len(names) > _MAX_COLUMNS:
        raise CellError(f"the heading has {len(names)} columns; {_MAX_COLUMNS} is the most")
    complaints = []
    for cell, name in zip(header, names, strict=False):
        if name not in columns:
            close = difflib.get_close_matches(name, [*columns, *aliases], n=1, cutoff=0.6)
            hint = f"did you mean {aliases.get(close[0], close[0])}?" if close else f"known here: {', '.join(columns)}"
            complaints.append(f"column {cell.strip()[:40]!r} is not known; {hint}")
    complaints += [f"column {name} stands there twice" for name in sorted({n for n in names if n in columns and names.count(n) > 1})]
    complaints += [f"column {name} is missing" for name in needed if name not in names]
    if complaints:
        raise CellError("; ".join(complaints[:20]))
    return names


def _name(cell: str) -> str:
    """``Battery (kWh)`` -> ``battery_kwh``."""
    kept = "".join(c if c.isalnum() else "_" for c in cell.strip().casefold())
    return "_".join(part for part in kept.split("_") if part)


def _clean(cell: str) -> str:
    """Without surrounding space, and without the apostrophe that keeps a spreadsheet from computing."""
    cell = cell.strip()
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA else cell


def safe(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    if not cell.startswith(_FORMULA):
        return cell
    try:
        float(cell)
    except ValueError:
        return f"'{cell}"
    return cell


def safe_row(cells: Iterable[object]) -> list[object]:
    """Cells of a row, none of which a spreadsheet takes for a formula."""
    return [safe(cell) if isinstance(cell, str) else cell for cell in cells]


def write_csv(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """CSV with a byte order mark, so that spreadsheets read it as UTF-8."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([safe(row.get(name, "")) for name in columns])
    return out.getvalue().encode("utf-8-sig")


def write_json(kind: str, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """The same as JSON; cells stay text, as they stand in the CSV."""
    document = {"schema": SCHEMA, "kind": kind, "rows": [{name: row.get(name, "") for name in columns} for row in rows]}
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"
