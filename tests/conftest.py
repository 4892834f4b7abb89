"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """The product runs on asyncio."""
    return "asyncio"


@pytest.fixture
def data_dir() -> Path:
    """The folder of real data sets, which the project does not ship; skips where it is absent."""
    root = Path(os.environ.get("CHARGEYARD_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not root.is_dir():
        pytest.skip(f"real data sets not found in {root} (set CHARGEYARD_DATA)")
    return root
