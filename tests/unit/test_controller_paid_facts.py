"""From a paid session's facts to its bill: the tariff frozen at the start, registers written down, idle time waited for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from small_yard import NOW, ONE
from test_controller_billing import DRIVER, TAG, World, run

from depot import events as ev
from depot.ports import StopRequest
from depot.readings import MeterReading
from depot.state import PaidPhase
from depot.values import ConnectorId
from payments.documents import DocumentKind
from payments.gst import Recipient
from payments.tables import RatingRow
from payments.tariff_text import from_data, to_text

NIGHT = {"energy": {"price": "9.50"}, "when": {"from": "22:30", "to": "06:00"}}
DAY = {"energy": {"price": "14.50"}}


class TariffWorld(World):
    def tariff(self, *elements: dict[str, Any], **more: Any) -> None:
        self.till.tariffs.put(from_data({"schema": "driver-tariff/1", "id": "t", "elements": list(elements), **more}), actor="rani")
        run(self.till.restore())

    def stop(self, energy_wh: int, key: ConnectorId = ONE) -> None:
        transaction = self.yard.state.transaction_on(key)
        assert transaction is not None
        at = self.clock.now()
        run(self.desk.stop(StopRequest(key.station_id, transaction.transaction_id, 1_000 + energy_wh, "Local", at, at)))

    def read(self, energy_wh: int, *, minutes: float) -> None:
        """The meter says so, so long after the start; and the room looks."""
        self.clock.at = NOW + timedelta(minutes=minutes)
        self.yard.readings[ONE] = MeterReading(ONE, self.clock.at, energy_wh=1_000 + energy_wh)
        self.look()

    def told(self, status: ev.ConnectorStatus, *, minutes: float) -> None:
        self.clock.at = NOW + timedelta(minutes=minutes)
        self.status(ONE, status)
        self.look()


@pytest.fixture
def world() -> TariffWorld:
    made = TariffWorld()
    made.driver()
    return made


def lines(world: World) -> list[tuple[str, str, int]]:
    (invoice,) = world.money.invoices.list()
    return [(line["words"], line["quantity"], line["taxable_paise"]) for line in invoice.body["lines"]]


def test_each_part_of_the_energy_meets_the_price_of_its_time(world: TariffWorld) -> None:
    world.tariff(NIGHT, DAY)
    assert world.start()
    for minutes, energy_wh in ((5, 500), (14, 1_400), (15.2, 1_500), (29.9, 2_900), (30.1, 3_000), (31, 3_100)):
        world.read(energy_wh, minutes=minutes)
    assert [read.register_wh for read in world.of(ev.SessionRead)] == [2_500, 4_000]  # on the quarters of an hour alone
    world.clock.at = NOW + timedelta(minutes=60)
    world.stop(9_000)
    world.look()
    (billed,) = world.of(ev.SessionBilled)
    found = lines(world)
    assert [words for words, _, _ in found] == ["Charging energy (22:30 to 06:00)", "Charging energy"]
    assert sum(paise for _, _, paise in found) < 9 * 1450
    assert billed.energy_wh == 9_000
    with world.store.unit() as session:
        assert session.get(RatingRow, ("small", billed.session_id, 0)) is not None


def test_tariff_changed_while_a_session_runs_does_not_touch_it(world: TariffWorld) -> None:
    world.tariff(DAY)
    assert world.start()
    world.tariff({"energy": {"price": "99"}})
    world.restart()  # a new core finds the frozen one in the journal
    world.stop(10_000)
    world.look()
    assert lines(world) == [("Charging energy", "10", 14_500)]
    (admitted,) = world.of(ev.SessionAdmitted)
    assert '"14.5"' in admitted.tariff


def test_a_start_from_before_tariffs_were_kept_is_billed_by_its_one_price(world: TariffWorld) -> None:
    assert world.start()
    session_id, paid = next(iter(world.yard.state.paid.items()))
    old = ev.SessionAdmitted(session_id, DRIVER, "m1", "1450", 1_000, 20_000, 5_000)
    assert to_text(world.till.terms_tariff(old)) == to_text(world.till.terms_tariff(paid.terms)).replace(
        '"elements":[{"energy":{"price":"14.5"}}]', '"elements":[{"energy":{"price":"14.5"},"flat":{"price":"10"}}]'
    )


def test_the_worst_case_at_the_gate_is_the_tariffs(world: TariffWorld) -> None:
    plain = world.till.reserved_paise(ONE, driver_id=DRIVER)
    world.tariff({**DAY, "idle": {"price": "600"}})
    assert world.till.reserved_paise(ONE, driver_id=DRIVER) > plain
    world.tariff({**DAY, "idle": {"price": "600"}}, max_price="100")
    assert world.till.reserved_paise(ONE, driver_id=DRIVER) == 11_800


def test_a_tariff_for_a_driver_goes_before_one_for_all(world: TariffWorld) -> None:
    world.tariff({"energy": {"price": "5"}}, **{"for": {"drivers": [DRIVER]}})
    world.till.tariffs.put(from_data({"schema": "driver-tariff/1", "id": "all", "elements": [DAY]}), actor="rani")
    run(world.till.restore())
    assert world.till.tariff_for(DRIVER, "CP-1").tariff_id == "t"
    assert world.till.tariff_for("somebody", "CP-1").tariff_id == "all"
    assert run(world.desk.authorize("CP-1", TAG)).message.startswith("5.00 INR/kWh, plus 18 % tax")


IDLE = {"energy": {"price": "10"}, "idle": {"price": "120", "grace_min": 10}}


def test_idle_time_is_waited_for_until_the_vehicle_is_unplugged(world: TariffWorld) -> None:
    world.tariff(IDLE)
    assert world.start()
    world.told(ev.ConnectorStatus.CHARGING, minutes=1)
    world.told(ev.ConnectorStatus.SUSPENDED_EV, minutes=30)
    world.clock.at = NOW + timedelta(minutes=50)
    world.stop(6_000)
    world.told(ev.ConnectorStatus.FINISHING, minutes=51)
    assert world.of(ev.SessionBilled) == []
    world.restart()
    world.told(ev.ConnectorStatus.AVAILABLE, minutes=70)
    assert lines(world) == [("Charging energy", "6", 6_000), ("Idle time after full", "0.5", 6_000)]


def test_a_vehicle_that_charges_again_was_not_full(world: TariffWorld) -> None:
    world.tariff(IDLE)
    assert world.start()
    for minutes, status in ((1, "Charging"), (10, "SuspendedEV"), (20, "Charging")):
        world.told(ev.ConnectorStatus(status), minutes=minutes)
    world.clock.at = NOW + timedelta(minutes=60)
    world.stop(6_000)
    world.told(ev.ConnectorStatus.AVAILABLE, minutes=65)
    assert lines(world) == [("Charging energy", "6", 6_000)]


def test_power_that_the_depot_kept_back_is_never_idle(world: TariffWorld) -> None:
    world.tariff(IDLE)
    assert world.start()
    world.told(ev.ConnectorStatus.CHARGING, minutes=1)
    world.journal.put(ev.NewEvent(ev.SetpointLowered(ONE, 0, NOW + timedelta(hours=1)), NOW + timedelta(minutes=5)))
    world.told(ev.ConnectorStatus.SUSPENDED_EV, minutes=6)
    (paid,) = world.yard.state.paid.values()
    assert paid.phase is PaidPhase.HELD
    world.clock.at = NOW + timedelta(minutes=60)
    world.stop(1_000)
    world.told(ev.ConnectorStatus.AVAILABLE, minutes=61)
    assert lines(world) == [("Charging energy", "1", 1_000)]


def test_a_station_that_never_tells_that_it_is_free_is_billed_without_idle_time(world: TariffWorld) -> None:
    world.tariff(IDLE)
    assert world.start()
    world.told(ev.ConnectorStatus.CHARGING, minutes=1)
    world.stop(1_000)
    world.told(ev.ConnectorStatus.FINISHING, minutes=2)
    assert world.of(ev.SessionBilled) == []
    world.clock.at = NOW + timedelta(hours=5)
    world.look()
    assert lines(world) == [("Charging energy", "1", 1_000)]
    assert "not known" in world.money.invoices.list()[0].body["remarks"][0]


def test_the_running_cost_is_what_the_bill_would_be(world: TariffWorld) -> None:
    world.tariff(NIGHT, DAY)
    assert world.start()
    world.read(1_500, minutes=15.5)
    world.read(3_000, minutes=30.5)
    world.clock.at = NOW + timedelta(minutes=60)
    (paid,) = world.yard.state.paid.values()
    shown = world.till.cost(paid.terms, 9_000)
    world.stop(9_000)
    world.look()
    (billed,) = world.of(ev.SessionBilled)
    assert shown.total_paise == billed.total_paise


def test_zero_energy_session_has_no_number_and_no_document(world: TariffWorld) -> None:
    world.tariff({**DAY, "flat": {"price": "20"}})
    assert world.start()
    world.stop(0)
    world.look()
    (billed,) = world.of(ev.SessionBilled)
    assert (billed.total_paise, billed.invoice_no, world.money.invoices.list()) == (0, "", [])


def test_a_recipient_with_a_gstin_of_another_state_gets_igst(world: TariffWorld) -> None:
    world.money.invoices.put_recipient(DRIVER, Recipient(name="Rani Cabs", address="Pune", gstin="27AAPFU0939F1ZV"))
    run(world.till.restore())
    assert world.start()
    world.stop(10_000)
    world.look()
    (invoice,) = world.money.invoices.list()
    assert (invoice.kind, invoice.number, invoice.as_written) == (DocumentKind.INVOICE, "2627/000001", True)
    assert invoice.body["recipient"]["gstin"] == "27AAPFU0939F1ZV"
    assert invoice.body["taxes"] == [{"name": "IGST", "rate_percent": "18", "amount_paise": 2_610}]
