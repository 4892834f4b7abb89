"""The live stream: a snapshot, then changes, encoded once; slow pages dropped; ended with the session."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_depot import FakeLink, later, sample
from web_harness import site

from controller.readmodel import NowView
from web import scene
from web.live import QUEUE, LiveHub
from web.problems import Problem

pytestmark = pytest.mark.anyio


def parts(view: NowView) -> dict[str, str]:
    return {"notices": f"<p>{len(view.notices)}</p>"}


async def alive() -> bool:
    return True


def hub(link: FakeLink, *, most: int = 5) -> LiveHub:
    return LiveHub(link, parts, most=most)


async def read(stream: AsyncIterator[bytes]) -> dict[str, Any]:
    """The next tick's message, its id put in."""
    while True:
        raw = (await anext(stream)).decode()
        if "\ndata: {" in raw:
            head, _, data = raw.partition("\ndata: ")
            found: dict[str, Any] = json.loads(data)
            return found | {"id": head.removeprefix("id: ")}


async def test_a_page_gets_the_picture_first_and_then_only_changes() -> None:
    link = FakeLink()
    first = sample()
    link.publish(first)
    live = hub(link)
    stream = live.stream(alive)
    opening = await read(stream)
    assert opening["full"] is True
    assert opening["id"] == "51902.15132"
    assert opening["scenes"] == scene.build(first)
    live.push(later(first))
    await read(stream)
    tiles = list(first.tiles)
    tiles[2] = msgspec.structs.replace(tiles[2], power_w=23_000)
    live.push(later(first, 2.0, tiles=tiles))
    change = await read(stream)
    assert change["full"] is False
    assert change["scenes"]["CP-03/1"] == {"power": "23"}
    assert set(change["scenes"]) <= {"CP-03/1", "bar", "now", "system"}
    assert change["parts"] == {}
    live.push(later(first, 3.0, tiles=tiles, notices=first.notices[:1]))
    assert (await read(stream))["parts"] == {"notices": "<p>1</p>"}


async def test_all_pages_get_the_very_same_bytes() -> None:
    link = FakeLink()
    live = hub(link)
    queues = [live.subscribe() for _ in range(4)]
    live.push(sample())
    first, *others = [queue.get_nowait() for queue in queues]
    assert all(other is first for other in others)


async def test_nothing_is_encoded_while_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    live = hub(FakeLink())
    monkeypatch.setattr(scene, "build", lambda view: pytest.fail("built for nobody"))
    live.push(sample())


async def test_a_page_that_comes_after_a_pause_gets_a_whole_picture() -> None:
    link = FakeLink()
    live = hub(link)
    view = sample()
    link.publish(view)
    stream = live.stream(alive)
    await read(stream)
    live.push(view)
    await stream.aclose()  # type: ignore[attr-defined]  # an async generator
    live.push(later(view))
    again = live.stream(alive)
    await read(again)
    live.push(later(view, 2.0))
    assert (await read(again))["full"] is True


async def test_a_slow_page_is_dropped_and_the_others_go_on() -> None:
    link = FakeLink()
    live = hub(link)
    slow, quick = live.subscribe(), live.subscribe()
    view = sample()
    for k in range(QUEUE + 1):
        view = later(view)
        live.push(view)
        quick.get_nowait()
        assert live.pages == (2 if k < QUEUE else 1)
    assert slow.get_nowait() is None


async def test_pages_are_counted() -> None:
    live = hub(FakeLink(), most=1)
    live.subscribe()
    with pytest.raises(Problem) as refused:
        live.subscribe()
    assert refused.value.code == "too_many_streams"


async def test_a_quiet_stream_beats_and_ends_with_its_session() -> None:
    answers = [True, False]

    async def session() -> bool:
        return answers.pop(0)

    live = hub(FakeLink())
    got = [message async for message in live.stream(session, heartbeat_s=0.02)]
    assert got == [b"retry: 2000\n\n", b": still here\n\n", b"event: end\ndata: session\n\n"]
    assert live.pages == 0


async def test_a_busy_stream_ends_with_its_session_too() -> None:
    async def gone() -> bool:
        return False

    link = FakeLink()
    live = hub(link)
    stream = live.stream(gone, heartbeat_s=0.05)
    await anext(stream)

    async def ticks() -> None:
        view = sample()
        while True:
            live.push(view := later(view))
            await asyncio.sleep(0.01)

    task = asyncio.create_task(ticks())
    async with asyncio.timeout(5):
        assert [message async for message in stream][-1].startswith(b"event: end")
    task.cancel()


async def test_closing_ends_every_stream() -> None:
    live = hub(FakeLink())
    stream = live.stream(alive)
    await anext(stream)
    live.close()
    assert [message async for message in stream] == []


async def test_a_view_that_cannot_be_shown_does_not_end_the_live_pages(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as depot:
        live = depot.app.state.web.hub
        queue = live.subscribe()
        good = sample()
        depot.link.publish(later(good, timezone="Mars/Olympus"))
        await asyncio.sleep(0.05)
        depot.link.publish(later(good, 5.0))
        async with asyncio.timeout(5):
            message = await queue.get()
        assert b"01:12:17" in message
        assert "cannot be shown" in caplog.text
