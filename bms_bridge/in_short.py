"""An error of somebody else's reader in one short line, for a sentence of ours."""

from __future__ import annotations

from typing import Final

MOST: Final = 160


def in_short(error: BaseException) -> str:
    """Its first line with words in it, at most :data:`MOST` characters; its kind where it says nothing."""
    return next((line.strip()[:MOST] for line in str(error).splitlines() if line.strip()), type(error).__name__)
