"""Files that somebody else made: what their readers can raise, and how that is said in one short line."""

from __future__ import annotations

import csv
from typing import Final

MOST: Final = 160

UNREADABLE: Final = (
    OSError, ValueError, TypeError, LookupError, ArithmeticError, NotImplementedError, RecursionError, MemoryError, csv.Error,
)  # fmt: skip
"""What readers of CSV, JSON, TOML and Parquet raise for a file that is not what its name says: Arrow's own errors are of these kinds, a
date beyond the calendar and a list where a number belongs among them."""


def in_short(error: BaseException) -> str:
    """Its first line with words in it, at most :data:`MOST` characters; its kind where it says nothing."""
    return next((line.strip()[:MOST] for line in str(error).splitlines() if line.strip()), type(error).__name__)
