"""Block I: what a driver who pays is shown. A depot of its own, in which one driver has a mandate."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from octt.depot import Core
from octt.serving import at_work, settings_of
from octt.station import Payload

import payments
from controller.clock import SystemClock
from controller.settings import Settings
from ocpp201.cases import Spoken, case
from ocpp201.depot import Depot
from ocpp201.station import register
from payments.payers import Payers
from payments.states import MandateState, Mode
from payments.tables import MandateRow
from payments.times import to_ms
from storage import Store

pytestmark = pytest.mark.anyio

SHOWS = {"TariffCostCtrlr.Available.Cost": "true", "TariffCostCtrlr.Enabled.Cost": "true"}
SECRETS = {"KEY_ID": "rzp_test_cases", "KEY_SECRET": "only-for-this-test-1", "WEBHOOK_SECRET": "only-for-this-test-2"}
PAYS = "PAYS-1"


def _with_a_driver(settings: Settings) -> None:
    """The books of money, in which a driver may charge on credit."""
    clock, depot_id = SystemClock(), settings.depot.id
    with contextlib.closing(Store.open(settings.payments_database)) as store:
        store.migrate([payments])
        Payers(store, depot_id, clock).put("driver 1", PAYS)
        until = datetime.now(UTC) + timedelta(days=300)
        with store.unit() as session:
            session.add(
                MandateRow(
                    depot_id=depot_id, mandate_id="m1", driver_id="driver 1", mode=Mode.AUTOPAY, state=MandateState.ACTIVE, state_at_s=0,
                    max_amount_paise=5_000_00, expire_ms=to_ms(until), receipt="r1", created_ms=to_ms(clock.now()),
                )
            )  # fmt: skip


@pytest.fixture(scope="module")
async def core(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Core]:
    """A depot in which drivers pay 14.50 ₹/kWh and 18 % tax, and are told each second."""
    money = {"price_inr_per_kwh": "14.50", "mock": True, "cost_every_s": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(f"CHARGEYARD_GATEWAY_{name}", value)
        settings = settings_of(tmp_path_factory.mktemp("paid"), payments=money)
        _with_a_driver(settings)
        async with at_work(settings) as core:
            yield core


@pytest.fixture
def depot(core: Core, version: Spoken) -> Depot:
    return Depot(core, version)


@case("TC_I_01_CSMS")
async def test_running_cost(depot: Depot) -> None:
    async with depot.station() as station:
        station.variables |= SHOWS
        info = await station.authorize(PAYS)
        assert "14.50 INR/kWh" in info["personalMessage"]["content"]
        running = await station.session(PAYS)
        await running.updated("MeterValuePeriodic", meterValue=[register(3000)])
        told = await station.told("CostUpdated", where=lambda told: told["totalCost"] > 0)
        assert told == {"totalCost": 34.22, "transactionId": running.name}  # 2 kWh: 29.00, and 2.61 for each half of the tax
        said = await running.ended("StopAuthorized", token=PAYS, wh=3000)
        assert said["totalCost"] == 34.22


@case("TC_I_02_CSMS")
async def test_final_cost(depot: Depot) -> None:
    async with depot.station() as station:
        running = await station.session(PAYS)
        said = await running.ended("StopAuthorized", token=PAYS, wh=11_000)
        assert said["totalCost"] == 171.10
        assert "171.10 INR" in said["updatedPersonalMessage"]["content"]
        assert station.calls("CostUpdated") == [], "its device model does not say that it shows costs"


async def test_nobody_is_shown_a_price_that_nobody_pays(depot: Depot) -> None:
    """The own fleet's sessions have none."""
    async with depot.station() as station:
        station.variables |= SHOWS
        assert "personalMessage" not in await station.authorize("VALID")
        running = await station.session("VALID")
        said: Payload = await running.ended("StopAuthorized", token="VALID", wh=11_000)
        assert not {"totalCost", "updatedPersonalMessage"} & set(said)
        assert station.calls("CostUpdated") == []
