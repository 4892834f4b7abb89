"""The demo's payments: settings that load, bays that the timetable leaves free, a driver's page with a phone beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.app.demo import write_depot
from controller.app.demo_programme import VISITOR_COMES_H, _guest, _visitor
from controller.app.demo_rims import GUEST_BAY, VISITOR_BAY, gateway_environment, sections
from controller.app.drive_process import drive_settings
from controller.app.gateway_process import mock_settings
from controller.app.run import children
from controller.settings import Settings
from simulator.demo_day import BOTH_WAYS, demo_day, demo_spec, evening
from web.driver_links import PlaceLinks

START = evening(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in gateway_environment().items():
        monkeypatch.setenv(name, value)
    return write_depot(tmp_path, spec=demo_spec(both_ways=BOTH_WAYS), start=START, speed=78.0, port_offset=300, more=sections())[0]


def test_the_bays_of_those_who_pay_are_free_tonight() -> None:
    taken = {stay.connector for stay in demo_day(start=START, seed=1).stays}
    assert not {GUEST_BAY, VISITOR_BAY} & taken
    assert GUEST_BAY != VISITOR_BAY
    spec = demo_spec()
    for stay in (_guest(), _visitor()):
        connector = spec.connectors[stay.connector]
        assert stay.min_w <= stay.max_w <= connector.rated_w
        assert stay.arrive_s < stay.depart_s
    assert _visitor().arrive_s == VISITOR_COMES_H * 3600


def test_the_demo_has_a_gateway_a_phone_and_a_page_for_drivers(config: Path) -> None:
    settings = Settings.load(config)
    assert {"gateway", "payments", "drive"} <= {child.name for child in children(config)}
    mock = mock_settings(settings)
    assert mock.webhook_url == f"http://127.0.0.1:{8091 + 300}/gateway/webhook"
    drive = drive_settings(settings)
    assert drive.mock_app == f"http://127.0.0.1:{8090 + 300}/app"
    assert PlaceLinks(drive.url, drive.key).address(*VISITOR_BAY).startswith(f"http://127.0.0.1:{8085 + 300}/drive/c/CP-010/1?k=")


def test_a_real_gateway_has_no_phone_to_play(config: Path) -> None:
    settings = Settings.load(config)
    assert settings.payments is not None
    real = settings.payments.model_copy(update={"mock": False})
    assert drive_settings(settings.model_copy(update={"payments": real})).mock_app == ""
