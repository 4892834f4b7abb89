"""A passport for the web: its words, its PDF, the tiers, and the way in for one from elsewhere. The PDF blocks and loads a large library:
call it in a thread."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bms_bridge.passport.assemble import Filled, filled
from bms_bridge.passport.foreign import MOST_BYTES
from bms_bridge.passport.shown import HEADINGS, TIERS, Row, assessment_rows, rows_of
from bms_bridge.passport.tiers import Tier
from bms_bridge.signing import fingerprint_of
from controller.passport_shelf import put_aside

__all__ = [
    "MOST_BYTES", "PUBLIC", "TIER_WORDS", "Filled", "Row", "assessed", "file_name", "filled", "json_text", "parts", "pdf", "put_aside",
    "signer",
]  # fmt: skip

PUBLIC: Final = Tier.PUBLIC.value
TIER_WORDS: Final[Mapping[str, str]] = {tier.value: words for tier, words in TIERS.items()}
"""Tier -> who that is, for people."""


def parts(document: Mapping[str, Any]) -> list[tuple[str, list[Row], list[Row]]]:
    """(heading, rows with a value, rows without) of each part."""
    found = []
    for name, heading in HEADINGS.items():
        rows = rows_of(document, name)
        found.append((heading, [row for row in rows if not row.absent], [row for row in rows if row.absent]))
    return found


def assessed(document: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The depot's own assessment in words: (what, value)."""
    return assessment_rows(document)


def pdf(document: Mapping[str, Any]) -> bytes:
    """On paper."""
    from bms_bridge.passport.paper import pdf as made

    return made(document)


def json_text(document: Mapping[str, Any]) -> bytes:
    """The signed file, indented."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def signer(document: Mapping[str, Any]) -> str:
    """Fingerprint of the key that signed it; "" where it is not signed."""
    signature = document.get("signature")
    return fingerprint_of(b64decode(str(signature["key"]))) if isinstance(signature, Mapping) else ""


def file_name(document: Mapping[str, Any], form: str) -> str:
    """Under which it is saved: by its own number, for no vehicle stands in it."""
    number = str(document["aspects"]["GeneralProductInformation"]["batteryPassportIdentifier"]).rpartition(":")[2]
    name = "".join(c for c in number if c.isascii() and c.isalnum())[:16]
    return f"passport-{name or 'battery'}-{document['tier']}.{form}"
