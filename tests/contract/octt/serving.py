"""One real core and its web application for all cases of a version: stations come over real sockets, the central system is driven
through its REST API. The fixtures of the ``conftest.py`` of each version."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from benchmarks.real_depot import free_offset
from controller.app.core_process import serve_core
from controller.app.people import open_people, web_settings
from controller.clock import SystemClock
from controller.link import CoreLink
from controller.settings import Settings
from ocpp_server.authority import Authority
from octt.depot import Core
from web.app import create_app
from web.roles import SCOPES
from web.users import Users

TOKENS = (
    {"token": "VALID"},
    {"token": "EXPIRED", "expires_at": (datetime.now(UTC) - timedelta(days=1)).isoformat()},
    {"token": "BLOCKED", "status": "blocked"},
    {"token": "FAMILY-1", "group": "FAMILY"},
    {"token": "FAMILY-2", "group": "FAMILY"},
    {"token": "GUARD", "group": "MASTERS"},
)
"""Id tokens that the depot lists; every other one is invalid."""


@pytest.fixture(scope="package")
def anyio_backend() -> str:
    """One event loop for the core and all tests of a version."""
    return "asyncio"


def settings_of(folder: Path, **sections: object) -> Settings:
    """A depot without stations, with room for all that the cases add, and an authority of V2G certificates. ``sections``: others
    of the settings."""
    v2g = folder / "v2g.pem"
    v2g.touch(mode=0o600)
    v2g.write_text(Authority.new("V2G sub", organization="", now=datetime.now(UTC)).to_pem())
    return Settings.of(
        {
            "port_offset": free_offset(),
            "depot": {"id": "octt", "name": "Cases", "contract_kw": 20_000.0, "failsafe_kw": 15_000.0, "worst_background_kw": 100.0},
            "feeder": [{"id": "F", "rating_kw": 20_000.0}],
            "ocpp": {"calm_s": 0.0, "master_pass_group": "MASTERS", "tls": {"names": ["localhost", "127.0.0.1"]}},
            "contracts": {"responders": ["localhost"], "provider": "mock", "v2g_authority": str(v2g)},
            "storage": {"path": str(folder)},
            "logging": {"level": "error"},
            **sections,
        }
    )


@pytest.fixture(scope="package")
async def core(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    """The depot at work."""
    async with at_work(settings_of(tmp_path_factory.mktemp("octt"))) as core:
        yield core


@contextlib.asynccontextmanager
async def at_work(settings: Settings) -> AsyncIterator[Core]:
    """A core and its web application."""
    running = asyncio.create_task(serve_core(settings))
    try:
        with contextlib.closing(open_people(settings)) as store:
            clock = SystemClock()
            token = Users(store, clock, settings.depot.id).add_token("octt", SCOPES)
            async with CoreLink(settings.link_path) as link:
                app = create_app(web_settings(settings), link, store, clock=clock)
                transport = httpx.ASGITransport(app=app, client=("127.0.0.1", 50_000))
                headers = {"authorization": f"Bearer {token}"}
                base = f"http://127.0.0.1:{settings.web_port}"
                async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers, timeout=60) as client:
                    found = Core(client, settings)
                    async with asyncio.timeout(60):
                        while link.view is None or not found.listens():
                            assert not running.done(), running.exception()
                            await asyncio.sleep(0.05)
                    for token_body in TOKENS:
                        (await client.post("/api/v1/id-tokens", json=token_body)).raise_for_status()
                    yield found
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running  # a core that fell is said here, under the cases that found it gone
