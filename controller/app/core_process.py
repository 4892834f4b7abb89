"""The core as a process: one depot's database, chargers, meter, planner child and local socket around a Core.

    python -m controller.app.core_process depot.toml

Ends with 0 on SIGTERM, 2 for settings that cannot be used, 3 where a part that is needed is not reachable (a port in
use, another controller on this database); anything else is a broken promise, and the supervisor starts it again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import controller
from controller import device_model
from controller.alarm_sources import MeterConditions
from controller.anomalies_room import AnomaliesRoom
from controller.app.assets import add_assets
from controller.app.beside import mask_logs, until_told
from controller.app.billing import add_billing, show_money
from controller.app.can_buses import add_can
from controller.app.clock_guard import add_clock_watch, watch_clock
from controller.app.clocks import steady_clock_of
from controller.app.contracts import add_contracts
from controller.app.emergency import add_emergency
from controller.app.exits import exit_code_of, sentence
from controller.app.forecasts import add_forecasts
from controller.app.garbage import collect_rarely, settle
from controller.app.hazards import add_hazards
from controller.app.health_room import add_health
from controller.app.kit import add_kit, companions
from controller.app.lake_room import add_lake
from controller.app.outputs import add_outputs
from controller.app.passport_room import add_passports
from controller.app.planning import add_plan
from controller.app.security import add_security
from controller.app.swap import refuse_half_restored
from controller.app.telemetry import add_safety
from controller.app.told import Told, add_told
from controller.app.v21 import Rooms21
from controller.app.version import software_version
from controller.block_store import BlockStore
from controller.clock import SteadyClock, SystemClock
from controller.configuration import Configurations
from controller.core import Core, CoreParts
from controller.demand_watch import DemandWatch
from controller.departures import Departures
from controller.device_model.room import DeviceModels
from controller.device_model.store import models_file
from controller.driver_costs import DriverCosts
from controller.files.desk import FilesDesk
from controller.files.shelf import Shelf
from controller.files.tickets import Tickets, key_of
from controller.fleet_costs_room import FleetCosts
from controller.grid_room import GridRoom
from controller.history import KEEP, Minute
from controller.journal import SqlJournal
from controller.journal_store import newest_at
from controller.last_words import KeptWords
from controller.limit_records import LimitRecords
from controller.limit_room import LimitRoom
from controller.link import LinkServer
from controller.local_lists import LocalLists
from controller.logs import set_up
from controller.names import NameBook
from controller.plan_fallback import load_later
from controller.plan_policy import PlanPolicy
from controller.planner import PlannerProcess
from controller.process import ProcessProbe
from controller.profiles_room import ProfilesRoom
from controller.raw_calls import RawCalls
from controller.registry import Registry
from controller.reservations import ReservationDesk, ReservationEnds
from controller.samples import SampleStore
from controller.secrets import depot_secret
from controller.settings import Settings
from controller.site_changes import overlay
from controller.smart_charging_room import SmartCharging
from controller.stations_desk import StationsDesk
from controller.supervisor import notify_ready, wait_for_go
from controller.traffic import LoopSettings
from controller.utility_bills import UtilityBills
from controller.yard import Yard
from depot.ports import Clock
from depot.values import Supply
from grid.limit_client import LimitClient
from grid.limit_server import LimitServer
from grid.meter import ModbusSiteMeter
from grid.signal import ContactSettings, ModbusContact
from grid.tariff import Tariff
from ocpp_server import Central
from ocpp_server.desks import Desks
from ocpp_server.probe201 import needs
from storage import Lease, Store

log = logging.getLogger(__name__)

FASTEST_TICK_S = 0.05
"""Real seconds between two looks of the loop where depot time runs fast."""

OPEN_FILES = 16_384
"""A connection each for thousands of chargers, and as many handshakes again."""

FASTEST_VIEW_S = 0.5
"""Real seconds between two views for the screens."""


def loop_settings(settings: Settings) -> LoopSettings:
    """The loop's settings; on a scaled clock its periods are as long as a machine needs."""
    speed = settings.clock.speed
    if speed <= 1:
        return settings.to_loop()
    pace = max(1.0, speed / 8)
    return replace(
        settings.to_loop(), period_s=max(1.0, FASTEST_TICK_S * speed), overdue_s=2.5 * pace, reading_every_s=3.0 * pace, pace=pace
    )


def meter_of(settings: Settings, clock: Clock) -> ModbusSiteMeter | None:
    """The connection-point meter as configured."""
    if settings.meter is None:
        return None
    return ModbusSiteMeter(settings.meter.to_meter(), clock=clock, speed=max(1.0, settings.clock.speed))


def contact_of(settings: Settings, clock: Clock) -> ModbusContact | None:
    """The transfer switch's contact as configured."""
    generator = settings.generator
    if generator is None or not generator.host:
        return None
    where = ContactSettings(
        host=generator.host, port=generator.port, unit_id=generator.unit, address=generator.address, coil=generator.table == "coil"
    )
    return ModbusContact(where, clock=clock)


async def serve_core(settings: Settings) -> None:
    """Run the core until cancelled."""
    clock = steady_clock_of(settings)
    speed = settings.clock.speed
    base = settings.to_spec()
    tariff = Tariff.load(settings.depot.tariff, timezone=base.timezone)
    settings.storage.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        stack.enter_context(Lease.take(settings.database))
        refuse_half_restored(settings)
        secret = depot_secret(settings)
        store = stack.enter_context(contextlib.closing(Store.open(settings.database)))
        store.migrate([controller])
        newest_record = newest_at(store, base.depot_id)
        beside = companions(settings, store)
        journal = await stack.enter_async_context(SqlJournal(store, base.depot_id, clock=clock, companions=beside))
        site = overlay(base, journal.state.declared_stations, journal.state.declared_feeders)
        for words in site.left_out:
            log.warning("a change of the site is not applied: %s", words)
        spec = site.spec
        planner = await stack.enter_async_context(PlannerProcess(deadline_s=settings.planner.deadline_s))
        meter = meter_of(settings, clock)
        core = Core(
            CoreParts(
                spec,
                journal,
                clock,
                planner,
                tariff,
                meter=meter,
                failsafe=settings.to_failsafe(),
                loop=loop_settings(settings),
                planning=settings.to_planning(),
                desk=settings.to_desk(),
                clock_speed=speed,
                look_s=max(1.0, FASTEST_VIEW_S * speed),
                process=ProcessProbe(),
            )
        )
        alarms = add_kit(core, settings, store, journal)
        core.add(Departures(core.yard, core.views.ready))
        await add_plan(core, planner, stack)
        core.add(PlanPolicy(core.yard, settings.to_planning().policy, replan=core.planning.request))
        core.add(Registry(core.yard, base=base, names=NameBook(settings.storage.path, spec.depot_id)))
        paid_sessions = await add_billing(core, settings, stack, alarms)
        samples = SampleStore(store, spec.depot_id, journal)
        core.history.minutes.extend(samples.since(clock.now() - KEEP))

        def keep(minute: Minute) -> None:
            samples.put(minute)

        core.history.on_minute = keep
        contact = contact_of(settings, clock)
        demand = DemandWatch(
            core.yard,
            settings.to_demand(),
            interval_min=core.history.block_min,
            minutes=core.history.minutes,
            store=BlockStore(store, spec.depot_id, journal, keep_days=settings.demand.keep_days),
            margin_share=settings.limiter.margin_share,
            on_lower=core.loop.wake,
        )
        core.planning.peak_w = demand.free_peak_w
        bills = UtilityBills(core.yard, demand, tariff)
        core.planning.pieces = bills.demand_pieces
        alarms.sources += [core.twin, core.reference_tests]
        core.add(bills)
        centres = settings.fleet_costs.centre_of
        core.add(FleetCosts(core.yard, store, tariff, price=settings.fleet_costs.price_inr_per_kwh, centres=centres))
        add_forecasts(core, settings, demand=demand, bills=bills, journal=journal, store=store, stack=stack)
        grid = GridRoom(
            core.yard,
            core.loop,
            core.history,
            core.utility,
            demand=demand,
            generator=settings.to_generator(),
            contact=None if contact is None else lambda: contact.reading,
            closed_means=Supply(settings.generator.closed_means) if settings.generator is not None else Supply.GENERATOR,
            replan=core.planning.request,
        )
        grid.meter = meter
        if meter is not None:
            alarms.sources.append(MeterConditions(meter))
        core.add(grid)
        arbiter = LimitRoom(
            core.yard,
            core.loop,
            rules=settings.to_override(),
            remind=timedelta(hours=settings.limits.remind_h),
            minutes=samples.since,
            records=LimitRecords(store, spec.depot_id),
            replan=core.planning.request,
        )
        alarms.sources.append(arbiter)
        core.add(arbiter)
        if core.utility is not None:
            core.utility.alarms.append(arbiter.told_utility)
        assets, asset_links = add_assets(core, settings, clock)
        alarms.sources.append(assets)
        known = {s.station_id: s.probe for s in journal.state.stations.values() if s.probe is not None}
        last_words = KeptWords(store, spec.depot_id, journal, is_open=lambda number: number in journal.state.transactions)
        core.desk.last_register = last_words.register_wh
        security = add_security(core, settings, alarms, secret=secret)
        smart = SmartCharging(core.yard, core.loop, tariff, replan=core.planning.request)
        core.add(smart)
        told = Told()
        costs = DriverCosts(core.yard, lambda: core.desk.till, every_s=settings.payments.cost_every_s if settings.payments else 0)
        core.add(costs)
        stack.callback(journal.subscribe(costs.landed))
        rooms_21 = Rooms21.of(core)
        models = device_models(settings, core.yard, stack)
        alarms.sources.append(models)
        contracts = add_contracts(core, settings, note=security.note)
        central = await stack.enter_async_context(
            Central(
                spec=spec,
                events=core.desk,
                clock=clock,
                credentials=security.book,
                settings=settings.to_ocpp(),
                known_probe=known,
                desks=Desks(
                    security=security,
                    words=last_words,
                    smart_charging=smart,
                    display=told.display,
                    customers=told.customers,
                    der=rooms_21.der,
                    swaps=rooms_21.swaps,
                    notes=rooms_21.notes,
                    device_model=models,
                    contracts=contracts,
                    reservations=ReservationEnds(core.yard),
                    costs=costs,
                ),
            )
        )
        safety_stack = stack.enter_context(contextlib.ExitStack())
        safety = add_safety(core, settings, journal=journal, store=store, secret=secret, stack=safety_stack)
        add_can(core, settings, safety, secret=secret, alarms=alarms)
        outputs, modules = add_outputs(core, settings, safety=safety, stack=safety_stack)
        hazards, detectors = add_hazards(core, settings, safety=safety)
        add_emergency(core, settings, safety=safety, outputs=outputs, hazards=hazards, alarms=alarms, journal=journal, stack=safety_stack)
        add_lake(core, settings, safety=safety, alarms=alarms)
        add_health(core, settings, alarms=alarms)
        core.add(AnomaliesRoom(settings.work_database, core.yard.clock))
        add_passports(core, settings, safety=safety, secret=secret)
        core.attach(central, frames=central.frames, stations=central)
        core.add(StationsDesk(core.yard, core.loop, central, base=base, secret=secret, book=security.book, doors=security.doors))
        for limit in core.yard.state.smart_charging.limits.values():
            central.limited(limit)
        smart.stations = central
        core.add(ProfilesRoom(core.yard, central))
        raw = RawCalls(core.yard, core.loop, central, reinstall=core.desk.reinstall)
        core.add(raw)
        security.attach(central, raw)
        models.attach(central, raw)
        core.add(models)
        files = files_desk(settings, core.yard, central, secret)
        alarms.sources.append(files)
        core.add(files)
        costs.stations = central
        show_money(paid_sessions, core, central)
        core.add(ReservationDesk(core.yard, raw))
        core.add(LocalLists(core.yard, raw, central.configuration, masters=settings.ocpp.master_pass_group))
        core.add(Configurations(core.yard, raw, central.configuration))
        add_told(core, settings, told, raw, central, security.book)
        rooms_21.attach(core, central, raw)
        if isinstance(clock, SteadyClock):
            must_sync = settings.clock.must_sync
            grid.clock = add_clock_watch(core, clock, stations=central, newest_record=newest_record, must_sync=must_sync)
            alarms.sources.append(grid.clock)
        link = await stack.enter_async_context(LinkServer(settings.link_path, core))
        core.publish = link.publish
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(core.run(), name="core")
            if meter is not None:
                tasks.create_task(meter.run(), name="meter")
            for asset in asset_links:
                tasks.create_task(asset.run(), name=asset.spec.asset_id)
            if contact is not None:
                tasks.create_task(contact.run(), name="supply contact")
            for module in modules:
                tasks.create_task(module.run(), name="outputs")
            for detector in detectors:
                tasks.create_task(detector.run(), name="detectors")
            if core.utility is not None and (limit_server := settings.to_limit_server()) is not None:
                utility = core.utility
                limit_server = replace(limit_server, version=software_version())
                server = LimitServer(limit_server, commands=utility, feedback=utility.feedback, now=utility.steady.now)
                grid.server = await stack.enter_async_context(server)
                log.info("the utility's limit is awaited at Modbus TCP %s", ", ".join(server.addresses))
            if core.utility is not None and (limit_client := settings.to_limit_client()) is not None:
                utility = core.utility
                client = LimitClient(limit_client, commands=utility, feedback=utility.feedback, now=utility.steady.now)
                grid.server = await stack.enter_async_context(client)
                log.info("the utility's limit is read from its RTU at %s", limit_client.peer)
            if isinstance(clock, SteadyClock):
                if grid.clock is not None:
                    tasks.create_task(grid.clock.run(), name="clock watch")
                tasks.create_task(watch_clock(clock, idle=lambda: not journal.state.transactions), name="clock")
            tasks.create_task(collect_rarely(), name="garbage")
            if settings.planner.learned_fallback:
                tasks.create_task(load_later(), name="learned policy")
            settle()
            if settings.ocpp.plain:
                await central.listen(settings.ocpp.host, settings.ocpp_port)
                log.info("stations are awaited at ws://%s:%d/ocpp/{station_id}", settings.ocpp.host, central.port)
            if security.context is not None:
                await central.listen_tls(settings.ocpp.host, settings.ocpp_tls_port, security.context)
                log.info("stations are awaited at wss://%s:%d/ocpp/{station_id}", settings.ocpp.host, central.tls_port)
            notify_ready()


def device_models(settings: Settings, yard: Yard, stack: AsyncExitStack) -> DeviceModels:
    """What stations say of themselves, in a database of its own."""
    store = stack.enter_context(contextlib.closing(Store.open(models_file(settings.database, yard.spec.depot_id))))
    store.migrate([device_model])
    return DeviceModels(yard, store, needs=needs(settings.to_ocpp()), speed=settings.clock.speed)


def files_desk(settings: Settings, yard: Yard, central: Central, secret: bytes) -> FilesDesk:
    """Firmware images and logs of stations, as configured."""
    tickets = Tickets(key_of(secret), settings.files_url) if settings.files.serve else None
    return FilesDesk(yard, central, shelf=Shelf(settings.files_folder), tickets=tickets, wall=SystemClock().now)


def raise_file_limit(wanted: int = OPEN_FILES) -> int:
    """Ask for as many open files as a large depot's chargers need; returns how many there may be now. Systems start
    programs with 1,024, although they may have more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return soft


def main(argv: list[str]) -> int:
    """Entry point."""
    set_up("core")
    wait_for_go()
    try:
        settings = Settings.load(argv[0])
        set_up("core", level=settings.logging.level, json_lines=settings.logging.json_lines)
        mask_logs(settings)
        raise_file_limit()
        asyncio.run(until_told(serve_core(settings)))
    except BaseException as error:
        reason = error
        while isinstance(reason, BaseExceptionGroup) and len(reason.exceptions) == 1:
            reason = reason.exceptions[0]
        code = exit_code_of(reason)
        if code is None:
            raise
        log.error("%s", sentence(reason))
        return code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
