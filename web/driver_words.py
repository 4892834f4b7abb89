"""The words of the drivers' pages: one catalogue file a language, with the same keys in each (a test compares).

web/words/drive.en.toml, drive.hi.toml --load--> Words("hi")("pay.title") -> "UPI से भुगतान"
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from web.driver_cookie import LANGUAGES

__all__ = ["Words", "catalogue", "wished"]

_FOLDER = Path(__file__).parent / "words"


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """All words of one language, by ``section.name``."""
    tree = tomllib.loads((_FOLDER / f"drive.{language}.toml").read_text(encoding="utf-8"))
    return {f"{section}.{name}": text for section, names in tree.items() for name, text in names.items()}


@dataclass(frozen=True, slots=True)
class Words:
    """One language's words, with the other one's beside them."""

    language: str

    @property
    def other(self) -> str:
        """The language that stands second."""
        return next(language for language in LANGUAGES if language != self.language)

    def __call__(self, key: str, **values: object) -> str:
        """The text; raises KeyError for a key that no catalogue has: a mistake of ours."""
        return catalogue(self.language)[key].format(**values)

    def second(self, key: str, **values: object) -> str:
        """The same in the other language."""
        return catalogue(self.other)[key].format(**values)

    def has(self, key: str) -> bool:
        """Whether the catalogue knows it."""
        return key in catalogue(self.language)


def wished(accept_language: str) -> str:
    """The language that a browser asks for (RFC 9110 §12.5.4), as far as there is one; English else."""
    ranked = []
    for place, part in enumerate(accept_language[:200].split(",")):
        name, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        ranked.append((-quality, place, name.partition("-")[0].lower()))
    return next((name for quality, _, name in sorted(ranked) if name in LANGUAGES and quality < 0), "en")
