"""The lake in the core: samples are handed over, people's questions are passed on, and an alarm says when samples are lost.

Safety, MQTT link --> Feed --> lake process            nothing of it is in the safety path: see bms_bridge.lake.feed
LakeCatalogView, PackLifeView, PackHistoryView --ask--> lake process
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bms_bridge.lake import LakeError, wire
from bms_bridge.lake.asking import ask
from bms_bridge.lake.feed import Feed
from controller.alarms import Condition
from controller.lake_view import LakeCatalogView, PackHistoryView, PackLifeView
from controller.link import CoreUnreachable
from controller.room import Carrier, Viewer
from depot import commands as cmd
from depot.values import InvalidValue

ASK_S = 60.0
DOWN_S = 60.0
LOST_S = 300.0
"""A loss is told for so long after the last sample that was left out."""


class LakeRoom:
    """The room."""

    kinds = frozenset({"lake_behind"})

    def __init__(self, feed: Feed, path: Path) -> None:
        self.feed = feed
        self._path = path
        self.commands: Mapping[type[cmd.Command], Carrier] = {}
        self.views: Mapping[type[Struct], Viewer] = {
            LakeCatalogView: self._catalog,
            PackLifeView: self._life,
            PackHistoryView: self._history,
        }

    async def run(self) -> None:
        await self.feed.run()

    def conditions(self, now: datetime) -> Sequence[Condition]:
        """Samples are lost, or the lake is away or short of disk."""
        feed = self.feed
        lost = feed.lost_within(LOST_S)
        if feed.state is not wire.State.GOOD:
            why = feed.trouble or "its disk is short"
        elif not feed.up and feed.down_for_s > DOWN_S:
            why = "its process does not answer"
        elif lost:
            why = "more came than it could take"
        else:
            return []
        count = f" {feed.dropped} samples were left out since the start." if feed.dropped else ""
        return [Condition("lake_behind", title=f"The lake does not keep all samples: {why}.{count}")]

    async def _catalog(self, _: Mapping[str, str]) -> LakeCatalogView:
        found = msgspec.convert(await self._asked("catalog", {}), LakeCatalogView)
        return msgspec.structs.replace(found, dropped=self.feed.dropped)

    async def _life(self, args: Mapping[str, str]) -> PackLifeView | None:
        found = await self._asked("life", _pack(args))
        return msgspec.convert(found, PackLifeView) if found else None

    async def _history(self, args: Mapping[str, str]) -> PackHistoryView | None:
        found = await self._asked("export", _pack(args))
        return msgspec.convert(found, PackHistoryView) if found else None

    async def _asked(self, what: str, args: Mapping[str, Any]) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ASK_S):
                answer = await ask(self._path, what, args)
        except (OSError, TimeoutError, LakeError) as error:
            raise CoreUnreachable(f"the lake does not answer ({error or 'too slow'}): ask again, or look at its process") from None
        if answer.error:
            raise CoreUnreachable(f"the lake: {answer.error}")
        return answer.data


def _pack(args: Mapping[str, str]) -> dict[str, str]:
    if not args.get("vehicle_id") or not args.get("pack_id"):
        raise InvalidValue("which pack? give vehicle_id and pack_id")
    return {"vehicle_id": args["vehicle_id"], "pack_id": args["pack_id"]}
