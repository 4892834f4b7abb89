"""*Payments: QR codes*: what hangs at each charger, to be printed: on one page for the browser, and as a PDF with one charger a sheet."""

from __future__ import annotations

from dataclasses import dataclass

import segno
from fastapi import APIRouter
from fpdf import FPDF
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from web.context import Web
from web.driver_links import qr_svg
from web.payments_tabs import payments_tabs
from web.problems import Problem


@dataclass(frozen=True, slots=True)
class Place:
    """A connector with the address of its code."""

    connector: str
    label: str
    address: str


def places_of(web: Web) -> list[Place]:
    """All connectors, by name; none without drivers' pages."""
    links = web.settings.places
    if links is None:
        return []
    found = []
    for tile in sorted(web.view().tiles, key=lambda tile: tile.connector):
        station, _, number = tile.connector.rpartition("/")
        found.append(Place(tile.connector, tile.label, links.address(station, int(number))))
    return found


def codes_screens(web: Web) -> APIRouter:
    """Routes of the page and its PDF."""
    router = APIRouter(include_in_schema=False)

    @router.get("/payments/codes")
    async def codes(request: Request) -> Response:
        view, places = web.view(), places_of(web)
        return web.pages.render(
            request,
            "codes.html",
            view=view,
            screen="payments",
            tabs=payments_tabs(request, "codes"),
            there=web.settings.places is not None,
            local=web.settings.places is not None and "//127.0.0.1" in web.settings.places.url,
            places=[(place, qr_svg(place.address, title=f"QR code of {place.label}", css="qr big")) for place in places],
        )

    @router.get("/payments/codes.pdf")
    async def sheets(only: str = "") -> Response:
        places = [place for place in places_of(web) if not only or place.connector == only]
        if not places:
            raise Problem("not_found", "There is no such charger, or the settings have no [drive].")
        body = await run_in_threadpool(sheets_pdf, places, web.view().depot_name)
        return Response(body, media_type="application/pdf", headers={"content-disposition": 'attachment; filename="qr-codes.pdf"'})

    return router


def sheets_pdf(places: list[Place], depot: str) -> bytes:
    """One A5 sheet a charger: the code 100 mm wide, so that a phone reads it from a metre away, and what to do in words."""
    paper = FPDF(format=(148, 210))  # A5
    paper.set_title(f"QR codes of {_latin(depot)}")
    paper.set_auto_page_break(False)
    for place in places:
        paper.add_page()
        paper.set_font("helvetica", "B", 26)
        paper.cell(w=0, h=16, text=_latin(place.label), align="C", new_x="LMARGIN", new_y="NEXT")
        paper.set_font("helvetica", size=12)
        paper.cell(w=0, h=7, text=_latin(depot), align="C", new_x="LMARGIN", new_y="NEXT")
        _draw(paper, place.address, left_mm=(paper.w - 100) / 2, top_mm=42, wide_mm=100)
        paper.set_y(150)
        paper.set_font("helvetica", "B", 15)
        paper.cell(w=0, h=8, text="Scan. Pay by UPI. Charge.", align="C", new_x="LMARGIN", new_y="NEXT")
        paper.set_font("helvetica", size=8)
        paper.multi_cell(w=0, h=4, text=_latin(place.address), align="C")
    return bytes(paper.output())


def _draw(paper: FPDF, address: str, *, left_mm: float, top_mm: float, wide_mm: float) -> None:
    """The code in black squares with its quiet zone of four modules (ISO/IEC 18004), as vectors."""
    code = segno.make(address, error="m", micro=False)
    module_mm = wide_mm / (len(code.matrix) + 8)
    paper.set_fill_color(0, 0, 0)
    for y, row in enumerate(code.matrix):
        x = 0
        while x < len(row):
            run = 1
            while x + run < len(row) and row[x + run] == row[x]:
                run += 1
            if row[x]:
                paper.rect(left_mm + (x + 4) * module_mm, top_mm + (y + 4) * module_mm, run * module_mm, module_mm, style="F")
            x += run


def _latin(words: str) -> str:
    """What the PDF's own font can show; the rest as question marks."""
    return words.encode("latin-1", "replace").decode("latin-1")
