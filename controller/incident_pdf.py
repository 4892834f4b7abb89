"""An incident's document as PDF, for a binder or an auditor: what happened, what was confirmed, who was where, the curves.

Imported by the web when a PDF is asked for, and by nobody else: the library takes its time to load. Its own letters are Latin ones; a
name in another script is shown by the person's number beside it, and stands whole in the JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fpdf import FPDF
from fpdf.enums import XPos, YPos

_INK, _GREY, _RED, _BLUE = (20, 25, 28), (110, 120, 128), (178, 40, 26), (20, 90, 160)
_MARGIN: Final = 16.0
_WIDTH: Final = 210.0 - 2 * _MARGIN
_MOST_ROWS: Final = 400
_CHART_H: Final = 62.0
_MOST_POINTS: Final = 1500


def pdf(document: Mapping[str, Any]) -> bytes:
    """The whole document."""
    paper = _Paper(document)
    paper.opening()
    paper.steps()
    paper.chain()
    for series in document["signals"]:
        paper.curve(series)
    paper.roll_call()
    paper.notes()
    paper.timeline()
    paper.ending()
    return bytes(paper.output())


class _Paper(FPDF):
    """One document on its pages."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(format="A4")
        self._document, self._head = document, document["head"]
        self._zone = ZoneInfo(self._head.get("timezone") or "UTC")
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=18)
        self.set_title(f"Incident {document['incident_id']}")
        self.set_creator("Chargeyard")
        self.alias_nb_pages()
        self.add_page()

    def footer(self) -> None:
        """Number, digest, page: on every page."""
        self.set_y(-14)
        self.set_font("helvetica", size=7)
        self.set_text_color(*_GREY)
        digest = self._document["digest"] or "not closed yet"
        self.cell(0, 4, _latin(f"{self._document['incident_id']}  SHA-256 {digest}  {self.page_no()}/{{nb}}"))

    # -- parts ----------------------------------------------------------------------------------------------------

    def opening(self) -> None:
        head, document = self._head, self._document
        drill = bool(head.get("drill"))
        self._words(f"{'Drill' if drill else 'Incident'} {document['incident_id']}", size=20, bold=True)
        self._words(str(head.get("text", "its beginning was lost")), size=12)
        if document["state"] != "closed":
            self._words("Still open: it may grow.", colour=_RED)
        elif not document["as_written"]:
            self._words("NOT AS IT WAS WRITTEN: its lines do not give its digest.", colour=_RED, bold=True)
        self.ln(2)
        closed = document["closed"] or {}
        vehicle = "/".join(part for part in (head.get("vehicle_id"), head.get("pack_id")) if part)
        self._facts([
            ("Depot", f"{head.get('depot', '')} ({head.get('depot_id', '')})"),
            ("Opened", self._time(head.get("opened_at"))), ("Times in", str(head.get("timezone", "UTC"))),
            ("Battery", vehicle),
            ("Place", " ".join(part for part in (head.get("connector"), head.get("area")) if part)),
            ("Cause", str(head.get("cause", "")).replace("_", " ")),
            *((name.replace("_", " "), str(value)) for name, value in (head.get("evidence") or {}).items()),
            ("Closed", f"{self._time(closed.get('at'))} {closed.get('by', '')} {closed.get('role', '')}" if closed else ""),
            ("Why closed", str(closed.get("reason", ""))),
        ])  # fmt: skip

    def steps(self) -> None:
        steps: Mapping[str, Mapping[str, Any]] = self._document["steps"]
        if steps:
            rows = [
                (name.replace("_", " "), s["state"], "" if s["took_s"] is None else f"{s['took_s']:.1f} s", s["detail"])
                for name, s in steps.items()
            ]
            self._table("What was done, and confirmed", ("Step", "State", "Within", "Detail"), rows, (32, 30, 18))

    def chain(self) -> None:
        links = self._document["drill"]
        if links:
            rows = [(s["title"], s["state"], "" if s["took_s"] is None else f"{s['took_s']:.3f} s", s["words"]) for s in links]
            self._table("Links of the chain", ("Link", "State", "Time", "Detail"), rows, (58, 20, 18))

    def roll_call(self) -> None:
        found = self._document["people"]
        if found:
            rows = [
                (p["person_id"], p["name"], p["presence"], self._time(p["at"]), f"{p['point']} {p['by']}".strip()) for p in found["people"]
            ]
            self._table(
                f"Roll-call, until {self._time(found['deadline'])}", ("Number", "Name", "Seen", "At", "Where, by"), rows, (24, 44, 22, 38)
            )
            self._words(f"Ended {self._time(found['ended_at'])} by {found['ended_by']}: {found['reason']}", size=8, colour=_GREY)

    def notes(self) -> None:
        notes = self._document["notes"]
        if notes:
            self._table("Notes", ("At", "By", "Note"), [(self._time(n["at"]), n["by"], n["text"]) for n in notes], (38, 34))

    def timeline(self) -> None:
        facts = self._document["timeline"]
        rows = [(self._time(f["at"]), f["title"], f"{f.get('detail', '')} {f.get('by', '')}".strip()) for f in facts[:_MOST_ROWS]]
        self._table("Timeline", ("At", "What", "Detail, by"), rows, (38, 62))
        if len(facts) > _MOST_ROWS:
            self._words(f"{len(facts) - _MOST_ROWS} more lines stand in the JSON.", size=8, colour=_GREY)

    def ending(self) -> None:
        self.ln(3)
        self._words(self._document["limits"], size=8, colour=_GREY)
        if self._document["damaged_lines"]:
            self._words(f"Damaged lines: {', '.join(map(str, self._document['damaged_lines'][:20]))}", size=8, colour=_RED)

    def curve(self, series: Mapping[str, Any]) -> None:
        """Hottest and coldest sensor over time, the opening marked."""
        columns, rows = list(series["columns"]), series["rows"]
        points = [(_seconds(row[0]), row[columns.index("hottest_c")], row[columns.index("coldest_c")]) for row in rows]
        points = [point for point in points if point[1] is not None]
        if len(points) < 2:
            return
        every = max(1, len(points) // _MOST_POINTS)
        points = [*points[::every], points[-1]]
        if self.get_y() + _CHART_H + 16 > self.page_break_trigger:
            self.add_page()
        self._heading(f"Temperature of {series['pack']}, °C: hottest (red) and coldest sensor")
        left, top, wide, high = _MARGIN + 10, self.get_y() + 2, _WIDTH - 12, _CHART_H - 12
        first, last = points[0][0], points[-1][0]
        values = [value for _, hot, cold in points for value in (hot, cold) if value is not None]
        low, most = 10 * (min(values) // 10), 10 * (max(values) // 10 + 1)
        self.set_font("helvetica", size=7)
        self.set_text_color(*_GREY)
        self.set_draw_color(215, 220, 223)
        self.set_line_width(0.15)
        step = 10 if most - low <= 80 else 50
        for value in range(int(low), int(most) + 1, step):
            y = top + high * (1 - (value - low) / (most - low))
            self.line(left, y, left + wide, y)
            self.text(_MARGIN, y + 1, str(value))

        def at(point: float) -> float:
            return left + wide * (point - first) / max(1e-9, last - first)

        opened = _seconds(self._head["opened_at"]) if self._head.get("opened_at") else first
        if first <= opened <= last:
            self.set_draw_color(*_INK)
            self.line(at(opened), top, at(opened), top + high)
            self.text(min(at(opened) + 1, left + wide - 14), top + 3, "opened")
        for column, colour in ((2, _BLUE), (1, _RED)):
            self.set_draw_color(*colour)
            self.set_line_width(0.3)
            line = [
                (at(point[0]), top + high * (1 - (point[column] - low) / (most - low))) for point in points if point[column] is not None
            ]
            self.polyline(line)
        for seconds, align in ((first, 0.0), (last, wide - 18)):
            self.text(left + align, top + high + 4, datetime.fromtimestamp(seconds, self._zone).strftime("%H:%M:%S"))
        self.set_text_color(*_INK)
        self.set_y(top + high + 8)

    # -- how ------------------------------------------------------------------------------------------------------

    def _time(self, text: str | None) -> str:
        return (
            ""
            if not text
            else datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(self._zone).strftime("%Y-%m-%d %H:%M:%S.%f")[:-5]
        )

    def _words(self, text: str, *, size: float = 10, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font("helvetica", style="B" if bold else "", size=size)
        self.set_text_color(*colour)
        self.multi_cell(0, size * 0.5, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*_INK)

    def _heading(self, text: str) -> None:
        self.ln(4)
        self._words(text, size=12, bold=True)
        self.ln(1)

    def _facts(self, rows: Sequence[tuple[str, str]]) -> None:
        for name, value in rows:
            if value.strip():
                self.set_font("helvetica", size=9)
                self.set_text_color(*_GREY)
                self.cell(34, 5, _latin(name))
                self.set_text_color(*_INK)
                self.multi_cell(0, 5, _latin(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(self, heading: str, names: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> None:
        self._heading(heading)
        self.set_font("helvetica", size=8)
        self.set_draw_color(*_GREY)
        self.set_line_width(0.1)
        whole = (*widths, _WIDTH - sum(widths))
        with self.table(col_widths=whole, text_align="LEFT", line_height=4.2, padding=0.6, borders_layout="HORIZONTAL_LINES") as table:
            for row in (names, *rows):
                cells = table.row()
                for value in row:
                    cells.cell(_latin(str(value)))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _latin(text: str) -> str:
    """What the standard letters of a PDF can show."""
    return text.replace("…", "...").replace("–", "-").replace("Ω", "ohm").encode("latin-1", "replace").decode("latin-1")
