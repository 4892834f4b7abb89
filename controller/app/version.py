"""Which version of the program this is."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path


def software_version() -> str:
    """``0.1.0``: of the checkout that runs, or of the installed package; ``unknown`` where neither says."""
    checkout = Path(__file__).resolve().parents[2] / "pyproject.toml"
    if checkout.is_file():
        return str(tomllib.loads(checkout.read_text(encoding="utf-8"))["project"]["version"])
    try:
        return metadata.version("chargeyard")
    except metadata.PackageNotFoundError:
        return "unknown"
