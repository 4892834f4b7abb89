"""A tax invoice or note as PDF, made from its document alone: the same bytes whenever it is made.

Imported where a PDF is asked for, and by nobody else: the library takes its time to load. Its own letters are Latin ones and
have no rupee sign, so amounts are written as INR and headings are English; the page for the phone has Hindi too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import segno
from fpdf import FPDF
from fpdf.enums import XPos, YPos

from payments.invoice_words import Shown, shown
from payments.upi_pay import PayLink

__all__ = ["pdf"]

_INK, _GREY, _RED, _LINE = (20, 25, 28), (110, 120, 128), (178, 40, 26), (205, 210, 213)
_MARGIN: Final = 16.0
_WIDTH: Final = 210.0 - 2 * _MARGIN
_QR_MM: Final = 34.0


def pdf(document: Mapping[str, Any], pay: PayLink | None = None) -> bytes:
    """The whole document. ``pay``: how it can be paid, where it is unpaid and its debit was given up."""
    paper = _Paper(document)
    paper.head()
    paper.parties()
    paper.lines()
    paper.sums()
    if pay is not None:
        paper.pay(pay)
    paper.foot()
    return bytes(paper.output())


class _Paper(FPDF):
    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(format="A4")
        self._document = document
        self._shown: Shown = shown(document)
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(auto=True, margin=20)
        self.set_title(f"{document['title']} {document['number']}")
        self.set_creator("Chargeyard")
        self.set_creation_date(datetime.fromisoformat(document["issued_at"].replace("Z", "+00:00")))
        self.alias_nb_pages()
        self.add_page()

    def footer(self) -> None:
        """Number and page on every page."""
        self.set_y(-14)
        self.set_font("helvetica", size=7)
        self.set_text_color(*_GREY)
        self.cell(0, 4, _latin(f"{self._document['title']} {self._document['number']}  page {self.page_no()}/{{nb}}"))

    def head(self) -> None:
        d = self._document
        self._words(d["title"].upper(), size=17, bold=True)
        self.ln(1)
        corrects = d["corrects"]
        self._facts([
            ("Number", d["number"]),
            ("Date", d["day"]),
            ("Of invoice", f"{corrects['number']} of {corrects['day']}: {corrects['reason']}" if corrects else ""),
            ("Place of supply", self._shown.place_of_supply),
            ("Reverse charge", "Yes" if d["reverse_charge"] else "No"),
            ("IRN", d["irn"] or d["irn_reason"]),
        ])  # fmt: skip
        for notice in d["notices"]:
            self._words(notice, size=9, bold=True, colour=_RED)
        self.ln(3)

    def parties(self) -> None:
        top, half = self.get_y(), _WIDTH / 2 - 3
        ends = []
        for place, (heading, lines) in enumerate((("Supplier", self._shown.supplier), ("Recipient", self._shown.recipient))):
            left = _MARGIN + place * (half + 6)
            self.set_xy(left, top)
            self.set_font("helvetica", size=8)
            self.set_text_color(*_GREY)
            self.cell(half, 5, heading, new_x=XPos.LEFT, new_y=YPos.NEXT)
            self.set_text_color(*_INK)
            for n, line in enumerate(lines):
                self.set_font("helvetica", style="B" if n == 0 else "", size=9.5)
                self.multi_cell(half, 4.8, _latin(line), new_x=XPos.LEFT, new_y=YPos.NEXT)
            ends.append(self.get_y())
        self.set_xy(_MARGIN, max(ends) + 3)
        self._facts(self._shown.session)
        self.ln(3)

    def lines(self) -> None:
        rows = [(n, line.words, line.sac, line.quantity, line.price, line.amount) for n, line in enumerate(self._shown.lines, 1)]
        self._table(("#", "Description of service", "SAC", "Quantity", "Price INR", "Taxable INR"), rows, (8, 66, 18, 32, 25, 29))
        if self._shown.now_lines:
            self.ln(3)
            self._words("The session as it is now", size=9, bold=True)
            rows = [(n, line.words, line.sac, line.quantity, line.price, line.amount) for n, line in enumerate(self._shown.now_lines, 1)]
            self._table(("#", "Description of service", "SAC", "Quantity", "Price INR", "Taxable INR"), rows, (8, 66, 18, 32, 25, 29))
        self.ln(2)

    def sums(self) -> None:
        for n, (name, amount) in enumerate(self._shown.sums):
            last = n == len(self._shown.sums) - 1
            if last:
                self.set_draw_color(*_LINE)
                self.line(_MARGIN + _WIDTH - 90, self.get_y() + 0.5, _MARGIN + _WIDTH, self.get_y() + 0.5)
                self.ln(1.5)
            self.set_font("helvetica", style="B" if last else "", size=11 if last else 9.5)
            self.set_x(_MARGIN + _WIDTH - 90)
            self.cell(56, 5.5, _latin(name))
            self.cell(34, 5.5, _latin(f"INR {amount}"), align="R", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.ln(2)
        self._words(self._document["total_in_words"], size=9.5)
        self.ln(2)

    def pay(self, pay: PayLink) -> None:
        """A QR code that any UPI app reads."""
        code = segno.make(pay.url, error="m", micro=False)
        modules = [list(row) for row in code.matrix]
        if self.get_y() + _QR_MM + 10 > self.page_break_trigger:
            self.add_page()
        top, size = self.get_y() + 3, _QR_MM / len(modules)
        self.set_fill_color(*_INK)
        for y, row in enumerate(modules):
            for x, dark in enumerate(row):
                if dark:
                    self.rect(_MARGIN + x * size, top + y * size, size * 1.01, size * 1.01, style="F")
        self.set_xy(_MARGIN + _QR_MM + 6, top + 3)
        self._beside(f"Not paid yet: INR {pay.amount}", size=12, bold=True)
        self._beside("Scan with any UPI app.", size=9.5)
        self._beside(f"To {pay.vpa}", size=9.5)
        self.set_xy(_MARGIN, top + _QR_MM + 4)

    def foot(self) -> None:
        for remark in self._document["remarks"]:
            self._words(f"Measurement: {remark}.", size=8, colour=_GREY)
        self._words("Electronic document, valid without signature (CGST Rules, rule 46, fifth proviso).", size=8, colour=_GREY)

    # -- how ------------------------------------------------------------------------------------------------------

    def _beside(self, text: str, *, size: float, bold: bool = False) -> None:
        self.set_font("helvetica", style="B" if bold else "", size=size)
        self.cell(0, size * 0.55, _latin(text), new_x=XPos.LEFT, new_y=YPos.NEXT)

    def _words(self, text: str, *, size: float = 10, bold: bool = False, colour: tuple[int, int, int] = _INK) -> None:
        self.set_font("helvetica", style="B" if bold else "", size=size)
        self.set_text_color(*colour)
        self.multi_cell(0, size * 0.5, _latin(text), new_x=XPos.LMARGIN, new_y=YPos.NEXT)
        self.set_text_color(*_INK)

    def _facts(self, rows: Sequence[tuple[str, str]]) -> None:
        for name, value in rows:
            if value:
                self.set_font("helvetica", size=9)
                self.set_text_color(*_GREY)
                self.cell(34, 5, _latin(name))
                self.set_text_color(*_INK)
                self.multi_cell(0, 5, _latin(value), new_x=XPos.LMARGIN, new_y=YPos.NEXT)

    def _table(self, names: Sequence[str], rows: Sequence[Sequence[object]], widths: Sequence[float]) -> None:
        self.set_font("helvetica", size=8.5)
        self.set_draw_color(*_LINE)
        self.set_line_width(0.15)
        align = ("RIGHT", "LEFT", "LEFT", "RIGHT", "RIGHT", "RIGHT")
        with self.table(col_widths=tuple(widths), text_align=align, line_height=4.6, padding=1, borders_layout="HORIZONTAL_LINES") as table:
            for row in (names, *rows):
                cells = table.row()
                for value in row:
                    cells.cell(_latin(str(value)))


def _latin(text: str) -> str:
    """What the standard letters of a PDF can show."""
    return text.replace("₹", "INR ").replace("…", "...").replace("–", "-").encode("latin-1", "replace").decode("latin-1")
