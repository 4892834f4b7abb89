"""Templates of the drivers' site and how amounts, times and states are written there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from depot.money_text import rupees, short_rupees
from web import text
from web.driver_words import Words
from web.pages import ROOT, StaticFile

__all__ = ["DrivePages", "rupees"]

_TYPES = {"tokens.css": "text/css; charset=utf-8", "base.css": "text/css; charset=utf-8", "driver.css": "text/css; charset=utf-8"}
_TYPES |= {"favicon.svg": "image/svg+xml"}

PLACES: Mapping[str, tuple[str, str]] = {
    "free": ("st", "available"),
    "plugged": ("st live", "plug"),
    "charging": ("st", "waiting"),
    "reserved": ("st", "lock"),
    "out_of_service": ("st alarm", "faulted"),
    "offline": ("st lost", "offline"),
}
"""State of a place -> (class, symbol)."""

STAGES: Mapping[str, tuple[str, str]] = {
    "captured": ("st done", "finished"),
    "reconciled": ("st done", "finished"),
    "paid_other": ("st done", "finished"),
    "arrears": ("st alarm", "faulted"),
    "failed": ("st warn", "risk"),
    "retry_wait": ("st warn", "risk"),
    "pdn_failed": ("st warn", "risk"),
}
"""Stage of a bill -> (class, symbol); the others wait."""


class DrivePages:
    """Renders. ``secure``: phones come over HTTPS."""

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        self.static = {name: StaticFile((ROOT / "static" / name).read_bytes(), kind) for name, kind in _TYPES.items()}
        self.version = hashlib.sha256(b"".join(f.content for f in self.static.values())).hexdigest()[:10]
        self._env = Environment(
            loader=FileSystemLoader(ROOT / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        self._env.globals.update(
            static=lambda name: f"/drive/static/{self.version}/{name}",
            rupees=rupees,
            round_rupees=short_rupees,
            kw=text.kw,
            kwh=text.kwh,
            places=PLACES,
            stages=STAGES,
        )

    def render(self, template: str, words: Words, *, status: int = 200, **context: Any) -> Response:
        """A page; ``t`` is the words, ``t2`` the same in the other language."""
        html = self._env.get_template(template).render(
            t=words,
            t2=words.second,
            spoken=lambda told: told.hindi if words.language == "hi" else told.english,
            lang=words.language,
            lang2=words.other,
            **context,
        )
        return HTMLResponse(html, status_code=status, headers={"content-language": words.language, "vary": "accept-language, cookie"})
