"""The acts of the demo's night: what the utility, a battery, a driver do beside the timetable."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from controller.app.demo_acts import Act
from controller.app.demo_rims import GUEST_BAY, GUEST_CONTACT, GUEST_ID, GUEST_TAG, VISITOR_BAY
from depot import commands as cmd
from depot.ports import Clock
from depot.values import Supply
from simulator.battery_faults import HotPack
from simulator.day import Day, Stay
from simulator.demo_day import WARM_C
from simulator.payer import Payer
from simulator.rtu import LimitOrder, Rtu
from simulator.telematics import Telematics
from simulator.world import World

CURTAILED_W = 240_000
CURTAILED_H = 1.0
CUT_MIN = 10
GENERATOR_H = 0.5
HOT_VEHICLE = "E-103"
GUEST_COMES_H = 1.2
GUEST_STAYS_H = 4.0
VISITOR_COMES_H = 0.3
VISITOR_STAYS_H = 12.0
MANDATE_PAISE = 500_000
PATIENCE_S = 90.0
"""Real seconds."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the acts play with."""

    world: World
    rtu: Rtu
    telematics: Telematics
    payer: Payer
    command: Callable[[cmd.Command], Awaitable[cmd.CommandResult]]
    clock: Clock
    day: Day


def acts_of(stage: Stage) -> Sequence[Act]:
    """The programme."""
    rtu, guest, visitor = stage.rtu, _guest(), _visitor()

    async def curtail() -> None:
        order = LimitOrder(CURTAILED_W, validity_s=round(CURTAILED_H * 3600), reversion_w=stage.day.spec.contract_w)
        await rtu.order(order)

    async def heat() -> None:
        stage.telematics.heat(HOT_VEHICLE, HotPack(after_s=0.0, rise_k_per_min=2.5))

    async def cut() -> None:
        stage.world.power_cut(CUT_MIN * 60.0)

    async def generator() -> None:
        for supply in (Supply.GENERATOR, Supply.GRID):
            await stage.command(
                cmd.SetSupply(command_id=f"demo {supply}", actor="demo", reason="the transfer switch was thrown", supply=supply)
            )
            if supply is Supply.GENERATOR:
                await stage.clock.sleep(GENERATOR_H * 3600.0)

    async def visit() -> None:
        stage.world.arrive(visitor)

    async def end_of_visit() -> None:
        stage.world.depart(visitor)

    async def leave() -> None:
        stage.world.depart(guest)

    async def silent() -> None:
        rtu.silence()

    async def back() -> None:
        rtu.speak()

    async def allow() -> None:
        await rtu.order(LimitOrder(None))

    warm = next(stay for stay in stage.day.stays if stay.pack_temp_c == WARM_C)

    async def comes() -> None:
        """It comes by itself, as the day has it."""

    return (
        Act(0.0, "The utility's heartbeat begins, and it orders no limit", "Grid", "the link comes to life", allow),
        Act(VISITOR_COMES_H, f"A visitor's vehicle plugs in at {VISITOR_BAY.station_id} and waits for its driver: you", "The driver's page",
            "price, mandate, start, cost, bill", visit),
        Act(GUEST_COMES_H, "A driver who is not in the timetable sets up a UPI mandate, and charges", "Payments", "mandate, then a session",
            lambda: _guest_comes(stage, guest)),
        Act(warm.arrive_s / 3600.0, f"{warm.vehicle_id} comes back with a battery of {WARM_C:g} °C", "Safety",
            "it may take a part of its level, and more as it cools; a drill can be started there", comes),
        Act(4.6, f"The utility orders {CURTAILED_W // 1000} kW for {CURTAILED_H:g} hours", "Grid", "the order, and who gives way", curtail),
        Act(5.9, f"The battery of {HOT_VEHICLE} runs hot", "Safety", "derated first, tripped then, and it stays tripped", heat),
        Act(GUEST_COMES_H + GUEST_STAYS_H, "The paying driver leaves", "Payments", "the bill, and its one debit", leave),
        Act(VISITOR_COMES_H + VISITOR_STAYS_H, "The visitor's vehicle leaves", "Payments", "your bill, if you charged", end_of_visit),
        Act(6.9, f"The power fails for {CUT_MIN} minutes", "Now", "everything is off; then vehicles begin one after the other", cut),
        Act(7.8, "The utility falls silent", "Grid", "after ten minutes the fail-safe limit holds", silent),
        Act(8.5, "The utility is back", "Grid", "its heartbeat and a fresh order lift the fail-safe", back),
        Act(9.0, f"The site runs on its generator for {GENERATOR_H:g} h", "Grid", "its rating is the limit, also a while after", generator),
    )  # fmt: skip


def _guest() -> Stay:
    depart_s = (GUEST_COMES_H + GUEST_STAYS_H) * 3600
    return Stay("G-07", GUEST_BAY, GUEST_COMES_H * 3600, depart_s, depart_s, 18_000, 18_000, 7_360, 1_380, 40_000, 0.45, 0.9, 1)


def _visitor() -> Stay:
    depart_s = (VISITOR_COMES_H + VISITOR_STAYS_H) * 3600
    return Stay("G-08", VISITOR_BAY, VISITOR_COMES_H * 3600, depart_s, depart_s, 36_000, 36_000, 50_000, 10_000, 60_000, 0.3, 0.93, 3)


async def _guest_comes(stage: Stage, guest: Stay) -> None:
    await _ask_for_mandate(stage)
    await stage.payer.approve_mandate()
    stage.world.arrive(guest)
    station = stage.world.stations[GUEST_BAY.station_id]
    async with asyncio.timeout(PATIENCE_S):  # the mandate becomes active with the gateway's webhook
        while station.transaction_id(GUEST_BAY.connector) is None:
            stage.payer.present(station, GUEST_BAY.connector)
            await asyncio.sleep(1.0)


async def _ask_for_mandate(stage: Stage) -> None:
    """The gateway may still be starting."""
    async with asyncio.timeout(PATIENCE_S):
        for attempt in itertools.count(1):
            result = await stage.command(
                cmd.RegisterMandate(
                    command_id=f"demo mandate {attempt}",
                    actor="demo",
                    reason="a driver asked for it at the desk",
                    driver_id=GUEST_ID,
                    id_tag=GUEST_TAG,
                    max_amount_paise=MANDATE_PAISE,
                    expire_at=stage.clock.now() + timedelta(days=365),
                    name="Asha Demo",
                    email="asha@example.com",
                    contact=GUEST_CONTACT,
                )
            )
            if result.status is cmd.CommandStatus.DONE:
                return
            await asyncio.sleep(2.0)
