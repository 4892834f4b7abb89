"""The safety room of a depot as its settings have it, and the accounts of its embedded broker.

    settings --> latch file, packs, broker's address --> Safety --> Core.add()

The core's own key is derived from the depot's secret, so that it stands in no file; the broker knows a hash of it.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import ExitStack, closing
from pathlib import Path

from bms_bridge.accounts import CORE, Account, Accounts, Kind, account_of, new_account
from bms_bridge.chemistry import Chemistry
from bms_bridge.ect.watch import INNER_OFFSET_K
from bms_bridge.firmware import Profiles
from bms_bridge.latches import LatchFile
from bms_bridge.mqtt import MqttSettings
from bms_bridge.pseudonym import Pseudonyms
from controller.codec import EventCodec
from controller.core import Core
from controller.ingest import Ingest
from controller.journal import SqlJournal
from controller.journal_store import newest_events
from controller.pack_view import PackDetail, PacksView, TripsView
from controller.packs import DeclaredPack, KnownPacks, Packs
from controller.planning_life import SafetyPacks
from controller.rejections.room import Rejections
from controller.rejections.store import RejectionStore, rejections_file
from controller.safety import Safety, SafetyParts
from controller.safety_log import TYPES as SAFETY_TYPES
from controller.safety_log import SafetyLog
from controller.safety_notices import KINDS, SafetyNotices
from controller.safety_view import SafetyView
from controller.safety_viewer import SafetyViewer
from controller.settings import Settings
from depot.values import PackKey
from storage import Store

HISTORY_FACTS = 1000
"""So many of the newest facts of the kinds that may matter are looked at after a start."""


HEARD_S = 900.0
"""What a battery said of its temperature serves a plan for so long."""


def add_safety(core: Core, settings: Settings, *, journal: SqlJournal, store: Store, secret: bytes, stack: ExitStack) -> Safety:
    """Open the latch file, and let safety take part. It does so without a telemetry section too: trips stay."""
    latches = stack.enter_context(closing(LatchFile.open(settings.latches)))
    parts = SafetyParts(
        latches=latches,
        packs=packs_of(core, settings),
        restore=core.desk.restore_default,
        replan=core.planning.request,
        broker=broker_of(settings, secret),
        look_s=core.parts.look_s,
        pace=core.parts.loop.pace,
        inner_offset_k=settings.telemetry.inner_offset_k if settings.telemetry is not None else INNER_OFFSET_K,
        keeper=core.keeper,
    )
    safety = Safety(core.yard, core.loop, parts)
    notices = SafetyNotices(safety)
    history = SafetyLog(newest_events(store, settings.depot.id, EventCodec(), types=SAFETY_TYPES, most=HISTORY_FACTS))
    stack.callback(journal.subscribe(history.landed))
    viewer = SafetyViewer(safety, notices, history)
    safety.views |= {SafetyView: viewer.view, PacksView: viewer.packs, PackDetail: viewer.pack, TripsView: viewer.trips}
    core.views.trips = notices.trips
    core.views.board.more.append(notices.conditions)
    core.views.board.kinds |= KINDS
    core.add(safety)
    core.twin.packs, core.twin.hottest_c = parts.packs, lambda: hottest_of(safety)
    core.planning.packs = SafetyPacks(safety.parts.packs, safety.newest)
    safety.guard.pseudonyms = Pseudonyms.of_secret(secret)
    if settings.telemetry is not None:
        _listen(core, settings, safety)
    return safety


def _listen(core: Core, settings: Settings, safety: Safety) -> None:
    """What vehicles say is taken over HTTP, too, read by what is known of their firmware, and kept where it is refused."""
    telemetry, guard = settings.telemetry, safety.guard
    if telemetry is not None and telemetry.firmware_profiles is not None:
        guard.profiles = Profiles.load(telemetry.firmware_profiles)
    core.take_telemetry = Ingest(guard, safety.hear, clock=core.yard.clock).take
    file = rejections_file(settings.database, settings.depot.id)
    core.add(Rejections(guard, RejectionStore(file, settings.depot.id), clock=core.yard.clock))


def hottest_of(safety: Safety) -> dict[PackKey, float]:
    """The hottest sensor of each pack that was heard of in the last quarter of an hour."""
    views = (view for view in safety.guard.views() if view.age_s is not None and view.age_s <= HEARD_S)
    return {view.pack: view.hottest_c for view in views if view.hottest_c is not None}


def packs_of(core: Core, settings: Settings) -> Packs:
    """The packs of registry and settings."""
    telemetry = settings.telemetry
    declared = telemetry.pack if telemetry is not None else ()
    other = telemetry.other_chemistry if telemetry is not None else None
    return KnownPacks(
        [
            DeclaredPack(
                PackKey(row.vehicle, row.pack),
                Chemistry(row.chemistry),
                row.telematics,
                capacity_wh=row.capacity_kwh * 1000 if row.capacity_kwh is not None else None,
                cells=row.cells,
                tighter=row.tighter,
            )
            for row in declared
        ],
        otherwise=Chemistry(other) if other is not None else None,
        yard=core.yard,
    )


def broker_of(settings: Settings, secret: bytes) -> MqttSettings | None:
    """How the core reaches the broker; makes its account at the embedded one."""
    telemetry = settings.telemetry
    if telemetry is None or telemetry.broker == "none":
        return None
    if telemetry.broker == "external":
        password = telemetry.password.get_secret_value() if telemetry.password is not None else ""
        return MqttSettings(
            host=telemetry.host,
            port=settings.mqtt_port,
            username=telemetry.username,
            password=password,
            tls=telemetry.tls,
            ca_file=telemetry.ca_file,
        )
    key = core_key(secret)
    accounts = load_accounts(settings)
    if not accounts.admits(CORE, key):
        save_with(accounts, account_of(CORE, Kind.CORE, key), settings.mqtt_accounts)
    host = "127.0.0.1" if telemetry.host in ("0.0.0.0", "::") else telemetry.host  # noqa: S104  # compared, not bound
    return MqttSettings(
        host=host,
        port=settings.mqtt_port,
        username=CORE,
        password=key,
        tls=telemetry.tls_cert is not None,
        pinned=telemetry.tls_cert,
    )


def core_key(secret: bytes) -> str:
    """The core's key at the embedded broker."""
    return hmac.new(secret, b"mqtt account core", hashlib.sha256).hexdigest()[:40]


def load_accounts(settings: Settings) -> Accounts:
    """The accounts, none where there is no file yet. Raises :class:`~bms_bridge.AccountsError`."""
    path = settings.mqtt_accounts
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Accounts.load(path) if path.exists() else Accounts(settings.depot.id, ())


def save_with(accounts: Accounts, account: Account, path: Path) -> None:
    """The accounts with one added, or replaced."""
    Accounts(accounts.depot_id, (accounts.accounts | {account.name: account}).values()).save(path)


def vehicle_account(settings: Settings, vehicle_id: str) -> str:
    """A new key for a vehicle's unit; the old one, if any, opens nothing any more. It may speak of the vehicle's packs."""
    telemetry = settings.telemetry
    declared = [row.pack for row in telemetry.pack if row.vehicle == vehicle_id] if telemetry is not None else []
    key, account = new_account(vehicle_id, Kind.VEHICLE, declared or ["P1"])
    save_with(load_accounts(settings), account, settings.mqtt_accounts)
    return key
