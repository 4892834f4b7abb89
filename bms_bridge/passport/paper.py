"""A passport as PDF: what a tier may see, where each value is from, what is not known and why, its QR code. The same bytes for the same
document. It loads a large library: call it in a thread, and import it where a PDF is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import segno
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from bms_bridge.passport.assemble import filled
from bms_bridge.passport.shown import HEADINGS, assessment_rows, rows_of, tier_words
from bms_bridge.signing import fingerprint_of

_INK, _GREY, _LINE = (20, 25, 28), (105, 114, 122), (205, 210, 213)
_MARGIN: Final = 15.0
_WIDTH: Final = 210.0 - 2 * _MARGIN
_QR_MM: Final = 30.0
_LAST_HEADING_MM: Final = 250.0
"""No heading stands alone at the foot of a page."""


def pdf(document: Mapping[str, Any]) -> bytes:
    """The whole document on A4."""
    paper = _Paper(document)
    paper.head()
    for name in HEADINGS:
        paper.part(name)
    paper.assessed()
    paper.seal()
    return bytes(paper.output())


class _Paper(FPDF):
    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(format="A4")
        self._document = document
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=18)
        self.set_title("Battery passport")
        self.set_creator("Chargeyard")
        self.set_creation_date(datetime.fromisoformat(str(document["issued_at"]).replace("Z", "+00:00")))
        self.alias_nb_pages()
        self.add_page()

    def footer(self) -> None:
        """Issuer, time and page on every page."""
        self.set_y(-13)
        self.set_font("helvetica", size=7)
        self.set_text_color(*_GREY)
        told = f"Battery passport, {tier_words(self._document)}, issued {self._document['issued_at']} by depot {self._document['issuer']}"
        self.cell(0, 4, _latin(f"{told}   page {self.page_no()}/{{nb}}"))

    def head(self) -> None:
        """Title, QR code, how much of it there is."""
        d = self._document
        general = d["aspects"]["GeneralProductInformation"]
        top = self.get_y()
        address = str(d.get("address", ""))
        if address:
            self._code(address, self.w - _MARGIN - _QR_MM, top)
        self.set_xy(_MARGIN, top)
        self._words("BATTERY PASSPORT", size=17, bold=True)
        self._words(str(general["batteryPassportIdentifier"]), size=10)
        self._words(f"For: {tier_words(d)}", size=10, bold=True)
        counted = filled(d)
        told = f"{counted.filled} of {counted.required} required values are filled, {counted.unknown} are not known"
        self._words(told + (f", {counted.withheld} are for others" if counted.withheld else ""), size=9, colour=_GREY)
        self._words(f"Fields of the {d['data_model']}; what stands under Not known has the reason beside it.", size=9, colour=_GREY)
        if address:
            self.set_y(max(self.get_y(), top + _QR_MM + 2))

    def part(self, name: str) -> None:
        """One part: values with their sources, then what is not known."""
        rows = rows_of(self._document, name)
        if self.get_y() > _LAST_HEADING_MM:
            self.add_page()
        self.ln(3)
        self._words(HEADINGS[name], size=12, bold=True)
        known = [(row.name, row.text, row.source) for row in rows if not row.absent]
        if known:
            self._table(("What", "Value", "From"), known, (56, 58, 66))
        missing = [(row.name, row.reason) for row in rows if row.absent]
        if missing:
            self.ln(1)
            self._table(("Not known, or for others", "Why"), missing, (72, 108))

    def assessed(self) -> None:
        """The depot's own assessment, where the tier has it."""
        rows = assessment_rows(self._document)
        if rows:
            self.ln(3)
            self._words("The depot's own assessment", size=12, bold=True)
            self._table(("What", "Value"), rows, (50, 130))

    def seal(self) -> None:
        """Whose signature is on the file."""
        self.ln(3)
        signature = self._document.get("signature")
        if not signature:
            self._words("Not signed.", size=9, colour=_GREY)
            return
        from base64 import b64decode

        told = fingerprint_of(b64decode(str(signature["key"])))
        self._words(f"The file (JSON) that this paper shows is signed with the key {told} ({signature['algorithm']}).", size=8.5)
        self._words(f"SHA-256 of what is signed: {signature['sha256']}", size=8.5, colour=_GREY)

    # -- how ------------------------------------------------------------------------------------------------------

    def _code(self, address: str, left_mm: float, top_mm: float) -> None:
        code = segno.make(address, error="m", micro=False)
        module_mm = _QR_MM / (len(code.matrix) + 8)
        self.set_fill_color(0, 0, 0)
        for y, row in enumerate(code.matrix):
            for x, dark in enumerate(row):
                if dark:
                    self.rect(left_mm + (x + 4) * module_mm, top_mm + (y + 4) * module_mm, module_mm * 1.01, module_mm * 1.01, style="F")

    def _words(self, text: str, *, size: float = 10, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font("helvetica", style="B" if bold else "", size=size)
        self.set_text_color(*colour)
        width = _WIDTH - _QR_MM - 4 if self.page_no() == 1 and self.get_y() < _MARGIN + _QR_MM and self._document.get("address") else 0
        self.multi_cell(width, size * 0.5, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*_INK)

    def _table(self, names: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[float]) -> None:
        self.set_font("helvetica", size=8)
        self.set_draw_color(*_LINE)
        self.set_line_width(0.15)
        with self.table(
            col_widths=tuple(widths), text_align="LEFT", line_height=4.1, padding=0.7, borders_layout="HORIZONTAL_LINES"
        ) as table:
            for row in (names, *rows):
                cells = table.row()
                for value in row:
                    cells.cell(_latin(value))


def _latin(text: str) -> str:
    """What the standard letters of a PDF can show."""
    return text.replace("₹", "INR ").replace("…", "...").replace("–", "-").encode("latin-1", "replace").decode("latin-1")
