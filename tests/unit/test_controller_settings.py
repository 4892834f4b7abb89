"""Settings: the documentation is the program's, every mistake is named by its place, secrets stay out of sight."""

from __future__ import annotations

import copy
import os
import re
import stat
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ocpp_fakes import enters

from controller.secrets import SECRET_FILE, SecretError, load_depot_secret, new_station_key
from controller.settings import Settings, SettingsError, describe
from controller.wishes import FullCharges
from depot.registry import Current, PhaseLimit
from depot.values import ConnectorId
from ocpp_server import KeyedCredentials

DOCS = Path(__file__).resolve().parents[2] / "docs"
EXAMPLE = DOCS / "example-depot.toml"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHARGEYARD_"):
            monkeypatch.delenv(name)


@pytest.fixture
def raw() -> dict[str, Any]:
    return copy.deepcopy(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))


def refusal(raw: dict[str, Any]) -> str:
    with pytest.raises(SettingsError) as caught:
        Settings.of(raw, name="depot.toml")
    return str(caught.value)


# -- documentation ------------------------------------------------------------------------------------------------------


def test_settings_page_is_made_from_the_program() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- settings -->\n(.*?)<!-- /settings -->", page, re.DOTALL)
    assert match, "docs/settings.md has lost its markers"
    assert match[1] == describe(), "docs/settings.md is not what controller.settings.describe() says"


def test_every_setting_has_a_description_and_quantities_have_a_unit() -> None:
    for line in describe().splitlines()[2:]:
        path, _type, unit, _default, meaning = (cell.strip() for cell in line.strip("|").split("|"))
        assert len(meaning) > 10, path
        suffix = path.strip("`").rpartition("_")[2]
        expected = {"kw": "kW", "s": "s", "v": "V", "w": "W", "h": "h", "min": "min", "minutes": "min"}.get(suffix)
        assert expected is None or unit == expected, path


def test_example_depot_loads() -> None:
    settings = Settings.load(EXAMPLE)
    spec = settings.to_spec()
    assert spec.contract_w == 250_000
    assert spec.feeder_of[ConnectorId("YARD-01", 1)] == "F2"
    assert spec.connector(ConnectorId("HALL-A-01", 2)).current is Current.DC
    assert spec.connector(ConnectorId("YARD-01", 1)).min_w == 3 * 6 * 230
    assert not spec.metered
    assert settings.database == Path("var/pune-north.db")
    assert set(settings.station_digests) == {"HALL-A-01", "YARD-01"}


def test_settings_reach_the_parts() -> None:
    settings = Settings.load(EXAMPLE)
    assert settings.to_ocpp().call_timeout_s == settings.ocpp.call_timeout_s
    assert settings.to_desk().heartbeat_s == settings.ocpp.heartbeat_s
    assert settings.to_loop().life_s == settings.limiter.profile_life_s


def test_a_utility_that_writes_and_one_that_is_read_exclude_each_other(raw: dict[str, Any]) -> None:
    raw["utility"] = {"mode": "client", "rtu": {"host": "10.20.0.7", "unit": 3, "write_feedback": True}}
    settings = Settings.of(raw)
    asked = settings.to_limit_client()
    assert asked is not None
    assert (settings.to_limit_server(), str(asked.peer), asked.write_feedback) == (None, "10.20.0.7:502 unit 3", True)
    assert settings.to_failsafe() is not None
    raw["utility"] = {"autonomous": True}
    settings = Settings.of(raw)
    policy = settings.to_failsafe()
    assert policy is not None
    assert (policy.autonomous, settings.to_limit_client()) == (True, None)
    assert settings.to_limit_server() is not None
    for wrong in ({"mode": "client"}, {"rtu": {"host": "10.20.0.7"}}):
        raw["utility"] = wrong
        assert "belong together" in refusal(raw)


# -- environment --------------------------------------------------------------------------------------------------------


def test_environment_overrides_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHARGEYARD_OCPP__PORT", "9100")
    monkeypatch.setenv("CHARGEYARD_PORT_OFFSET", "20")
    monkeypatch.setenv("CHARGEYARD_PLANNER__SLOT_MINUTES", "30")
    settings = Settings.load(EXAMPLE)
    assert settings.ocpp.host == "0.0.0.0"
    assert (settings.ocpp_port, settings.web_port, settings.planner.slot_minutes) == (9120, 8100, 30)


def test_wrong_value_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    monkeypatch.setenv("CHARGEYARD_OCPP__PORT", "ninety")
    assert "ocpp.port (from CHARGEYARD_OCPP__PORT): input should be a valid integer" in refusal(raw)


@pytest.mark.parametrize(
    ("variable", "meant"),
    [("CHARGEYARD_OCCP__PORT", "CHARGEYARD_OCPP__PORT"), ("CHARGEYARD_PORTOFFSET", "CHARGEYARD_PORT_OFFSET")],
)
def test_mistyped_variable_is_not_ignored(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any], variable: str, meant: str) -> None:
    monkeypatch.setenv(variable, "1")
    assert f"did you mean {meant}?" in refusal(raw)


def test_variables_of_other_parts_are_left_alone(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    monkeypatch.setenv("CHARGEYARD_DATA", "/somewhere")
    Settings.of(raw)


def test_broken_list_in_the_environment_is_a_settings_error(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    monkeypatch.setenv("CHARGEYARD_STATION", "[not json")
    assert "station" in refusal(raw)


# -- mistakes -----------------------------------------------------------------------------------------------------------


def test_mistyped_key_gets_the_nearest_one_and_its_place(raw: dict[str, Any]) -> None:
    connector = raw["station"][0]["connector"][1]
    connector["rated_kW"] = connector.pop("rated_kw")
    text = refusal(raw)
    assert "depot.toml: station[1: HALL-A-01].connector[2].rated_kW: unknown setting; did you mean rated_kw?" in text
    assert "station[1: HALL-A-01].connector[2].rated_kw: must be set" in text


def test_all_mistakes_are_told_at_once(raw: dict[str, Any]) -> None:
    raw["depot"]["contract_kw"] = -1
    raw["web"]["port"] = 70_000
    raw["ocp"] = {}
    lines = refusal(raw).splitlines()
    assert [line.split(": ")[1] for line in lines] == ["depot.contract_kw", "web.port", "ocp"]
    assert "did you mean ocpp?" in lines[2]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda r: r["depot"].update(timezone="Asia/Pune"), "is no IANA time zone"),
        (lambda r: r["depot"].update(timezone="../etc/passwd"), "is no IANA time zone"),
        (lambda r: r["depot"].update(id="Pune Nord"), "depot.id"),
        (lambda r: r["depot"].update(failsafe_kw=300), "failsafe_kw (300) is above depot.contract_kw (250)"),
        (lambda r: r["depot"].update(contract_kw=float("nan")), "depot.contract_kw"),
        (lambda r: r["station"][1].update(feeder="F9"), "feeder 'F9' is not declared"),
        (lambda r: r["station"][1].update(id="HALL-A-01"), "two stations have the id HALL-A-01"),
        (lambda r: r["station"][1].update(open=True), "either key_hash or open"),
        (lambda r: r["station"][1].pop("key_hash"), "either key_hash or open"),
        (lambda r: r["station"][1].update(connector=[]), "station[2: YARD-01].connector"),
        (lambda r: r["station"][0]["connector"][1].update(number=1), "two connectors have the same number"),
        (lambda r: r["station"][0]["connector"][0].update(min_kw=61), "min_kw (61) is above rated_kw (60)"),
        (lambda r: r["station"][1]["connector"][0].update(phases=[1, 1]), "each phase may be named once"),
        (lambda r: r["ocpp"].update(allow_open=True), "allow_open needs a loopback host"),
        (lambda r: r.update(limiter={"refresh_s": 170}), "a second try"),
        (lambda r: r["planner"].update(slot_minutes=25), "don't divide an hour"),
        (lambda r: r["planner"].update(policy="cheap"), "planner.policy"),
        (lambda r: r.update(meter={"host": "m", "address": 1, "scale_w": 0}), "every reading 0 W"),
        (lambda r: r.update(port_offset=40_000, web={"port": 30_000}), "is no port"),
        (lambda r: r.update(ocpp={"port": 8080}), "both 8080"),
        (lambda r: r.update(clock={"epoch": datetime(2026, 1, 1)}), "clock.epoch"),
        (lambda r: r.update(feeder=[]), "feeder"),
        (lambda r: r.pop("depot"), "depot: must be set"),
        (lambda r: r.update(station="CP1"), "station"),
        (lambda r: r.update(depot="x"), "depot"),
    ],
)
def test_a_mistake_is_named(raw: dict[str, Any], change: Any, expected: str) -> None:
    change(raw)
    assert expected in refusal(raw)


def test_open_station_on_loopback(raw: dict[str, Any]) -> None:
    raw["station"][1].pop("key_hash")
    raw["station"][1]["open"] = True
    assert "ocpp.allow_open is not set" in refusal(raw)
    raw["ocpp"] = {"host": "::1", "allow_open": True}
    assert "YARD-01" not in Settings.of(raw).station_digests


def test_demo_clock(raw: dict[str, Any]) -> None:
    assert not Settings.of(raw).clock.scaled
    raw["clock"] = {"speed": 60, "epoch": datetime(2026, 3, 1, 12, tzinfo=UTC)}
    assert Settings.of(raw).clock.scaled


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"[depot\n", "is not TOML"), (b"\xff\xfe", "is not UTF-8 text"), (None, "there is no such file")],
)
def test_unreadable_file(tmp_path: Path, content: bytes | None, expected: str) -> None:
    path = tmp_path / "depot.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=expected):
        Settings.load(path)


# -- secrets ------------------------------------------------------------------------------------------------------------


def test_a_password_in_the_wrong_place_is_not_repeated(raw: dict[str, Any]) -> None:
    raw["station"][0]["key_hash"] = "my-very-own-password"
    text = refusal(raw)
    assert "station[1: HALL-A-01].key_hash" in text
    assert "my-very-own-password" not in text


def test_secret_comes_from_the_environment_only(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]) -> None:
    assert "secrets don't belong in the file" in refusal(raw | {"depot_secret": "ab" * 32})
    monkeypatch.setenv("CHARGEYARD_DEPOT_SECRET", "cafe" * 16)
    settings = Settings.of(raw)
    assert "cafe" not in repr(settings)
    monkeypatch.setenv("CHARGEYARD_DEPOT_SECRET", "cafe-not-hex")
    text = refusal(raw)
    assert "64 hex digits" in text
    assert "cafe-not-hex" not in text


def test_station_key_opens_its_own_station_only(tmp_path: Path) -> None:
    secret = load_depot_secret(tmp_path / "var")
    assert load_depot_secret(tmp_path / "var") == secret
    assert stat.S_IMODE((tmp_path / "var" / SECRET_FILE).stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "var").iterdir()] == [SECRET_FILE]
    plain, key_hash = new_station_key("CP1", secret)
    assert re.fullmatch(r"[0-9a-f]{40}", plain)
    credentials = KeyedCredentials(key=secret, digests={"CP1": key_hash, "CP2": key_hash})
    assert enters(credentials, "CP1", plain)
    assert not enters(credentials, "CP2", plain)
    assert not enters(credentials, "CP1", plain[:-1])


def test_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    load_depot_secret(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600"):
        load_depot_secret(tmp_path)


@pytest.mark.parametrize("content", ["", "zz", "abcd\n"])
def test_damaged_secret_is_refused(tmp_path: Path, content: str) -> None:
    load_depot_secret(tmp_path)
    (tmp_path / SECRET_FILE).write_text(content, encoding="ascii")
    with pytest.raises(SecretError, match="restore it from a backup"):
        load_depot_secret(tmp_path)


# -- payments -----------------------------------------------------------------------------------------------------------


def test_the_gateways_keys_in_the_environment_are_known_and_their_misspellings_are_refused(
    monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any]
) -> None:
    for name in ("KEY_ID", "KEY_SECRET", "WEBHOOK_SECRET", "WEBHOOK_SECRET_OLD"):
        monkeypatch.setenv(f"CHARGEYARD_GATEWAY_{name}", "rzp_test_words")
    Settings.of(raw)
    monkeypatch.setenv("CHARGEYARD_GATEWAY_WEBHOOKSECRET", "rzp_test_words")
    words = refusal(raw)
    assert "did you mean CHARGEYARD_GATEWAY_WEBHOOK_SECRET?" in words
    assert "rzp_test_words" not in words


@pytest.mark.parametrize("variable", ["CHARGEYARD_GATEWAY_KEYID", "CHARGEYARD_GATWAY_KEY_SECRET", "CHARGEYARD_GATEWAY_PASSWORD"])
def test_a_mistyped_key_is_named(monkeypatch: pytest.MonkeyPatch, raw: dict[str, Any], variable: str) -> None:
    monkeypatch.setenv(variable, "x")
    assert f"{variable}: unknown setting" in refusal(raw)


def test_a_price_is_exact_and_terms_come_from_the_file(raw: dict[str, Any]) -> None:
    raw["payments"] = {"price_inr_per_kwh": 14.55, "service_inr": 2.5, "credit_limit_inr": 1234.5, "windows": ["13:00-17:00"]}
    section = Settings.of(raw).payments
    assert section is not None
    price, terms = section.to_price(), section.to_terms()
    assert (price.paise_per_kwh, price.service_paise, price.most_wh) == (1455, 250, 40_000)
    assert (terms.credit_limit_paise, terms.rules.windows[0][0].hour, terms.rules.notice.total_seconds()) == (123_450, 13, 86_400)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("notice_h", 2, "a real gateway's rules demand"),
        ("lookup_s", 1, "for the mock gateway only"),
        ("settle_min", 1, "for the mock gateway only"),
        ("windows", ["always"], "write it like 13:00-17:00"),
        ("max_retries", 4, "less than or equal to 3"),
        ("key_secret", "x", "unknown setting"),
    ],
)
def test_what_law_and_network_forbid_is_refused(raw: dict[str, Any], setting: str, value: Any, words: str) -> None:
    raw["payments"] = {"price_inr_per_kwh": 14.5, setting: value}
    assert words in refusal(raw)


def test_upi_is_in_rupees(raw: dict[str, Any]) -> None:
    raw["payments"] = {"price_inr_per_kwh": 14.5}
    raw["depot"]["currency"] = "EUR"
    assert "payments are by UPI, in INR" in refusal(raw)


def test_the_mock_is_at_its_own_port_whatever_the_address(raw: dict[str, Any]) -> None:
    raw["payments"] = {"price_inr_per_kwh": 14.5, "mock": True, "notice_h": 0}
    raw["port_offset"] = 100
    settings = Settings.of(raw)
    assert (settings.gateway_url, settings.webhook_port) == ("http://127.0.0.1:8190/v1", 8191)


# -- what stays ask for beside, phases, cabinets ------------------------------------------------------------------------


def test_wishes_phases_and_cabinets_reach_plan_and_limiter(raw: dict[str, Any]) -> None:
    raw["preconditioning"] = [{"kw": 8, "minutes": 30}, {"model": "Bus 12 m", "kw": 12, "minutes": 45}]
    raw["full_charge"] = {"every_days": 14, "chemistries": ["lfp"]}
    raw["depot"] |= {"phase_current_a": 400, "unbalance_a": 30}
    raw["feeder"][0]["unbalance_a"] = 20
    raw["station"][0]["shared_kw"] = 90
    settings = Settings.of(raw)
    wishes = settings.to_planning().stays.wishes
    assert [(p.model, p.power_w, p.minutes) for p in wishes.preconditioning] == [("", 8_000, 30), ("Bus 12 m", 12_000, 45)]
    assert wishes.full_charges == FullCharges(14, 60, frozenset({"LFP"}))
    spec = settings.to_spec()
    assert dict(spec.phase_limits) == {"": PhaseLimit(400, 30), "F1": PhaseLimit(None, 20)}
    assert spec.nodes["hub HALL-A-01"] == 90_000
    assert spec.node_parents["hub HALL-A-01"] == "F1"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"preconditioning": [{"kw": 8, "minutes": 30}, {"kw": 9, "minutes": 30}]}, "two entries of preconditioning are for all models"),
        ({"preconditioning": [{"kw": 8, "minutes": 999}]}, "minutes"),
        ({"preconditioning": [{"kw": -8, "minutes": 30}]}, "kw"),
        ({"full_charge": {"chemistries": ["lead"]}}, "'lead' is no chemistry"),
        ({"full_charge": {"every_days": 0}}, "every_days"),
    ],
)
def test_wishes_that_cannot_be_are_refused(raw: dict[str, Any], more: dict[str, Any], words: str) -> None:
    assert words in refusal(raw | more)
