"""The depot as stations of OCPP 1.6 meet it; see :mod:`octt.serving`."""

from __future__ import annotations

import pytest
from octt.depot import Core
from octt.serving import anyio_backend, core

from ocpp16.depot import Depot

__all__ = ["anyio_backend", "core", "depot"]


@pytest.fixture(scope="package")
def depot(core: Core) -> Depot:
    """The depot at work."""
    return Depot(core)
