"""The demo's other sides: the utility, the vehicles' telematics, a driver who pays. What the depot must know of them.

sections()              lines of the demo's settings file
gateway_environment()   fresh test keys of the mock gateway, for the environment of the processes
unit_keys()             accounts of the vehicles' units at the broker, made before the core starts
registration()          vehicles, packs and the paying driver, as the command that registers them
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from bms_bridge.accounts import Accounts, Kind, new_account
from controller.settings import Settings
from depot.commands import ChangeRegistry
from depot.fleet import Driver, Pack, Vehicle
from depot.registry import Current, DepotSpec
from depot.values import ConnectorId, PackKey
from simulator.cells import series_of
from simulator.day import Stay
from simulator.telematics import PACK_ID

BROKER_PORT = 1883
DRIVE_PORT = 8085
GATEWAY_PORT = 8090
MODBUS_PORT = 5020
WEBHOOK_PORT = 8091

GUEST_BAY = ConnectorId("CP-020", 1)
"""One of the two bays that the timetable leaves free."""

VISITOR_BAY = ConnectorId("CP-010", 1)
"""The other one: a vehicle waits there for whoever watches the demo to be its driver."""

GUEST_ID = "D-7"
GUEST_TAG = "CARD-7"
GUEST_CONTACT = "+919000000007"
"""Under which the mock gateway knows the driver's phone; no subscriber is meant."""


def sections() -> list[str]:
    """The settings that open the depot to its utility, its generator, its vehicles and its drivers. Money moves within the
    night: the law's 24 hours of notice would outlast it."""
    return [
        "[generator]\nrating_kw = 180",
        "[limiter]\npickup_min_s = 60\npickup_max_s = 1200",
        f"[utility]\nport = {MODBUS_PORT}\nheartbeat_timeout_s = 600",
        f"[telemetry]\nport = {BROKER_PORT}",
        f"[payments]\nprice_inr_per_kwh = 14.5\nmock = true\nmock_port = {GATEWAY_PORT}\nwebhook_port = {WEBHOOK_PORT}",
        'notice_h = 0.5\nnotice_margin_h = 0\ncut_off = ""\nwindows = ["00:00-00:00"]\nlookup_s = 30\nsettle_min = 20',
        "mock_notice_s = 30\nmock_decide_s = 60",
        f"[drive]\nport = {DRIVE_PORT}",
    ]


def gateway_environment() -> dict[str, str]:
    """Test keys that nobody has used before."""
    return {
        "CHARGEYARD_GATEWAY_KEY_ID": f"rzp_test_{secrets.token_hex(7)}",
        "CHARGEYARD_GATEWAY_KEY_SECRET": secrets.token_hex(16),
        "CHARGEYARD_GATEWAY_WEBHOOK_SECRET": secrets.token_hex(16),
    }


def unit_keys(settings: Settings, stays: Sequence[Stay]) -> dict[str, str]:
    """A broker account for each vehicle's unit; the keys by vehicle. Before the core starts, which adds its own."""
    made = {stay.vehicle_id: new_account(stay.vehicle_id, Kind.VEHICLE, [PACK_ID]) for stay in stays}
    Accounts(settings.depot.id, [account for _, account in made.values()]).save(settings.mqtt_accounts)
    return {vehicle: key for vehicle, (key, _) in made.items()}


def chemistry_of(vehicle_id: str) -> str:
    """Buses and three-wheelers on LFP, the others on NMC."""
    return "LFP" if vehicle_id[0] in "ER" else "NMC"


def registration(spec: DepotSpec, stays: Sequence[Stay]) -> ChangeRegistry:
    """The vehicles of the night with their batteries; all invented."""
    vehicles, packs = [], []
    for stay in stays:
        dc = spec.connector(stay.connector).current is Current.DC
        vehicles.append(
            Vehicle(
                stay.vehicle_id,
                model={"E": "12 m bus", "V": "van", "C": "car", "R": "three-wheeler"}.get(stay.vehicle_id[0], ""),
                battery_wh=stay.battery_wh,
                ac_max_w=None if dc else stay.max_w,
                dc_max_w=stay.max_w if dc else None,
                discharge_max_w=stay.discharge_w or None,
                efficiency=stay.efficiency,
                connector=stay.connector,
            )
        )
        key = PackKey(stay.vehicle_id, PACK_ID)
        packs.append(Pack(key, chemistry_of(stay.vehicle_id), stay.battery_wh, series_of(stay.battery_wh)))
    return ChangeRegistry(
        command_id="demo registry",
        actor="demo",
        reason="the invented fleet of this demo",
        vehicles=tuple(vehicles),
        packs=tuple(packs),
        drivers=(Driver(GUEST_ID, (GUEST_TAG,)),),
    )
