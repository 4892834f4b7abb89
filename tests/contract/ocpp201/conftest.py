"""The depot as stations of OCPP 2.0.1 and 2.1 meet it; see :mod:`octt.serving`. A case is played in each version that has it."""

from __future__ import annotations

import pytest
from octt.depot import Core
from octt.serving import anyio_backend, core

from ocpp201.cases import SPOKEN, Spoken
from ocpp201.depot import Depot

__all__ = ["anyio_backend", "core", "depot"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test without a case's id is played in all versions that are spoken, one of several cases in those that have all of them."""
    if "version" in metafunc.fixturenames:
        marks = list(metafunc.definition.iter_markers("case"))
        metafunc.parametrize("version", [v for v in SPOKEN if all(v in mark.kwargs["versions"] for mark in marks)])


@pytest.fixture
def depot(core: Core, version: Spoken) -> Depot:
    """The depot at work, for stations of one version."""
    return Depot(core, version)
