"""Plug & Charge, put together: responders, the provider, and the room that chargers ask."""

from __future__ import annotations

from controller.contracts.providers import HttpEvCertificates, MockEvCertificates
from controller.contracts.responders import Reach, Responders
from controller.contracts.room import Contracts, Note
from controller.core import Core
from controller.sections_contracts import ContractsSection
from controller.settings import Settings
from depot.contracts import EvCertificates


def add_contracts(core: Core, settings: Settings, *, note: Note) -> Contracts:
    """Add the room. ``note``: tells of contracts that were refused."""
    section, clock = settings.contracts, core.yard.clock
    room = Contracts(
        core.yard,
        Responders(Reach(section.responders, section.timeout_s), now=clock.now),
        provider=provider_of(section),
        lenient=section.unreachable == "accept",
        note=note,
    )
    core.add(room)
    return room


def provider_of(section: ContractsSection) -> EvCertificates | None:
    """Who installs contracts in vehicles, as configured."""
    if section.provider == "http":
        return HttpEvCertificates(section.provider_url, token_file=section.provider_token, timeout_s=section.timeout_s)
    return MockEvCertificates() if section.provider == "mock" else None
