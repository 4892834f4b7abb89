"""A core without chargers behind a real limit server: what Modbus masters are tested against."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from depot.readings import SiteReading
from depot.values import UtilityLink
from grid.failsafe import Beat, FailsafePolicy, LinkEvent, Ordered, Tick, acknowledged, begin, step, verdict
from grid.feedback import Feedback
from grid.limit_access import LimitServerSettings
from grid.limit_desk import Answered, CommitResult
from grid.limit_model import Compliance, LimitOrigin
from grid.limit_server import LimitServer
from grid.limit_session import LimitCommand

T0 = datetime(2026, 1, 12, 6, tzinfo=UTC)
POLICY = FailsafePolicy(contract_w=1_000_000, failsafe_w=200_000)


class LittleCore:
    """What the core does, without chargers: the state machine, and an acknowledgement that can be held back."""

    def __init__(self, policy: FailsafePolicy = POLICY) -> None:
        self.policy = policy
        self.at = T0
        self.link: UtilityLink = begin(policy, T0)
        self.commands: list[LimitCommand] = []
        self.words: list[Answered] = []
        self.cancelled = 0
        self.obeyed = asyncio.Event()
        self.obeyed.set()

    def now(self) -> datetime:
        return self.at

    def happen(self, event: LinkEvent) -> None:
        self.link, _ = step(self.link, event, self.at, self.policy)

    def pass_time(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.happen(Tick())

    def heartbeat(self, values: tuple[int, int]) -> None:
        self.happen(Beat(values))

    async def commit(self, command: LimitCommand) -> CommitResult:
        self.commands.append(command)
        if command.failsafe is not None:
            self.happen(command.failsafe)
        if command.order is not None:
            self.happen(Ordered(command.order))
        try:
            await self.obeyed.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return CommitResult(acknowledged(self.link, self.at, self.policy, order=command.order, change=command.failsafe))

    def answered(self, word: Answered) -> None:
        self.words.append(word)

    def feedback(self) -> Feedback:
        found = verdict(self.link, self.at, self.policy)
        effective_w = self.policy.contract_w if found.limit_w is None else min(found.limit_w, self.policy.contract_w)
        origin = LimitOrigin.CONTRACT if effective_w == self.policy.contract_w else found.origin
        return Feedback(
            link=self.link, verdict=found, effective_w=effective_w, origin=origin, contract_w=self.policy.contract_w, utc=self.at,
            reading=SiteReading(self.at, 345_678), base_w=-5_000, evse_w=350_678, floor_w=82_800, demand_w=340_000, demand_left_s=77,
            compliance=Compliance.COMPLIANT, meter_age_s=1, evses_online=200,
        )  # fmt: skip


@asynccontextmanager
async def serving(core: LittleCore, **changes: Any) -> AsyncIterator[LimitServer]:
    settings = LimitServerSettings(**{"port": 0, "version": "0.1.0", "serial": "depot-1", **changes})
    async with LimitServer(settings, commands=core, feedback=core.feedback, now=core.now) as server:
        yield server
