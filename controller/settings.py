"""One typed settings object: a TOML file, overridden by ``CHARGEYARD_…`` environment variables.

    depot.toml + CHARGEYARD_OCPP__PORT=9100  --load-->  Settings  --to_spec()-->  depot.registry.DepotSpec

Every mistake is found at the start, named by its place in the file, all of them at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as EnvironmentError_

from controller.sections import (
    ClockSection,
    DepotSection,
    FeederSection,
    LimiterSection,
    LoggingSection,
    OcppSection,
    PlannerSection,
    StationSection,
    StorageSection,
    UtilitySection,
    V2gSection,
    WebSection,
    setting,
)
from controller.sections_assets import BatterySection, PvSection
from controller.sections_assets import complaint as assets_complaint
from controller.sections_contracts import ContractsSection
from controller.sections_demand import DemandSection
from controller.sections_drive import DriveSection, PrivacySection
from controller.sections_emergency import DrillSection, EmergencySection
from controller.sections_files import FilesSection
from controller.sections_fleet_costs import FleetCostsSection
from controller.sections_hazards import HazardSection, check_hazards
from controller.sections_health import HealthSection
from controller.sections_lake import LakeSection
from controller.sections_layout import BaySection, LayoutSection, WallSection, check_layout
from controller.sections_life import PackLifeSection
from controller.sections_limits import LimitsSection, OverrideSection
from controller.sections_meter import MeterSection
from controller.sections_notify import ApprovalSection, NotifySection
from controller.sections_outputs import OutputSection, check_outputs
from controller.sections_passport import PassportSection
from controller.sections_payments import PaymentsSection
from controller.sections_stays import FullChargeSection, PreconditioningSection
from controller.sections_supply import GeneratorSection
from controller.sections_telemetry import TelemetrySection
from controller.settings_parts import Parts
from controller.settings_places import Places
from controller.settings_text import NESTED, PREFIX, SECRETS, complaint, described, mistyped
from depot.values import InvalidValue


class SettingsError(Exception):
    """The settings can't be used. The message has one line per mistake: where it is, what is wrong, what to write."""


class Settings(Places, Parts, BaseSettings):
    """Everything that an operator can decide. Immutable; see ``docs/settings.md``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter=NESTED, extra="forbid", frozen=True, validate_default=True)

    depot: DepotSection = setting(..., "The depot as a whole.")
    feeder: tuple[FeederSection, ...] = setting(..., "Feeders of the site.", min_length=1)
    station: tuple[StationSection, ...] = setting((), "Charging stations.")
    ocpp: OcppSection = setting(OcppSection(), "How stations connect.")
    web: WebSection = setting(WebSection(), "How people and machines connect.")
    contracts: ContractsSection = setting(ContractsSection(), "Plug & Charge: vehicles that pay by a contract of their own.")
    files: FilesSection = setting(FilesSection(), "Firmware images for stations, and their logs.")
    meter: MeterSection | None = setting(None, "Connection-point meter over Modbus TCP. Without it the worst background is counted.")
    utility: UtilitySection | None = setting(None, "Limit of the utility over Modbus TCP. Without it contract and manual limits hold.")
    generator: GeneratorSection | None = setting(None, "Standby generator of the site. Without it the grid is the only supply.")
    demand: DemandSection = setting(DemandSection(), "Demand blocks of the billing meter.")
    output: tuple[OutputSection, ...] = setting((), "Contactors, ventilation, siren, beacon, emergency isolation on I/O modules.")
    hazard: tuple[HazardSection, ...] = setting((), "Detectors of smoke, gas, pressure and heat on I/O modules.")
    pv: tuple[PvSection, ...] = setting((), "Solar plants on the site, over SunSpec Modbus.")
    battery: tuple[BatterySection, ...] = setting((), "Stationary batteries on the site, over SunSpec Modbus.")
    telemetry: TelemetrySection | None = setting(
        None, "What vehicles and chargers say of batteries. Without it nobody is listened to; what is tripped stays so."
    )
    bay: tuple[BaySection, ...] = setting((), "Where vehicles stand. Without it nobody can say which bays would follow a fire.")
    wall: tuple[WallSection, ...] = setting((), "Walls between bays.")
    layout: LayoutSection = setting(LayoutSection(), "The layout as a whole.")
    emergency: EmergencySection = setting(EmergencySection(), "What follows a dangerous battery beside the stop.")
    drill: DrillSection | None = setting(None, "A weekly test of the whole chain. Without it drills begin by hand alone.")
    lake: LakeSection | None = setting(None, "Samples of batteries, kept for years. Without it none are kept.")
    health: HealthSection | None = setting(None, "Health of batteries, estimated from the lake. Without it none is.")
    passport: PassportSection = setting(PassportSection(), "Battery passports.")
    payments: PaymentsSection | None = setting(None, "Drivers who pay. Without it nobody does.")
    fleet_costs: FleetCostsSection = setting(FleetCostsSection(), "How the own fleet's charging is shared out in the depot's books.")
    preconditioning: tuple[PreconditioningSection, ...] = setting((), "Warming or cooling before departures. Without it none is planned.")
    full_charge: FullChargeSection | None = setting(None, "Full charges at intervals. Without it none are planned.")
    drive: DriveSection | None = setting(None, "Pages for drivers' phones. Without it there are none.")
    privacy: PrivacySection = setting(PrivacySection(), "How long contact data of drivers are kept.")
    planner: PlannerSection = setting(PlannerSection(), "How charging is planned.")
    limiter: LimiterSection = setting(LimiterSection(), "How setpoints are sent.")
    v2g: V2gSection = setting(V2gSection(), "Vehicles that discharge.")
    pack_life: PackLifeSection = setting(PackLifeSection(), "What vehicles' batteries cost, so that plans weigh their ageing.")
    limits: LimitsSection = setting(LimitsSection(), "Limits that people set.")
    override: OverrideSection = setting(OverrideSection(), "Whether a person may let the load rise above a limit for a while.")
    approval: ApprovalSection = setting(ApprovalSection(), "What needs a second person.")
    notify: NotifySection | None = setting(None, "Who is told of alarms, beside the screens. Without it nobody.")
    storage: StorageSection = setting(StorageSection(), "Where data rest.")
    logging: LoggingSection = setting(LoggingSection(), "What is written about the work.")
    clock: ClockSection = setting(ClockSection(), "Depot time, for demonstrations only.")
    port_offset: int = setting(0, "Added to every port that is listened on, for several depots on one machine.", ge=0, le=50_000)
    depot_secret: SecretStr | None = setting(
        None, "Key under which station passwords are hashed, hex; from the environment only. Unset: kept in a file beside the database."
    )

    contacts_key: SecretStr | None = setting(
        None,
        "Keys under which drivers' contact data are sealed, hex, the present one first, with commas between; from the environment only. "
        "Unset: one is kept in a file beside the database.",
    )
    notify_webhook_secret: SecretStr | None = setting(
        None, "Key that signs messages to the webhook, 32 characters or more; from the environment only."
    )
    reminder_secret: SecretStr | None = setting(
        None, "Key that signs reminders to drivers (payments.reminder_url), 32 characters or more; from the environment only."
    )
    notify_smtp_password: SecretStr | None = setting(None, "Password for the mail server; from the environment only.")
    notify_sms_token: SecretStr | None = setting(None, "What the gateway for short messages knows us by; from the environment only.")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over the file, which comes as arguments. There are no other sources."""
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a TOML file and the environment. Raises :class:`SettingsError`."""
        name = str(path)
        try:
            raw = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise SettingsError(f"{name}: there is no such file; docs/example-depot.toml is one to start from") from None
        except OSError as error:
            raise SettingsError(f"{name}: can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise SettingsError(f"{name}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{name}: is not TOML: {error}") from error
        return cls.of(raw, name=name)

    @classmethod
    def of(cls, raw: Mapping[str, Any], *, name: str = "settings") -> Self:
        """Check parsed settings (and the environment). ``name`` stands before every complaint."""
        for secret in SECRETS:
            if secret in raw:
                raise SettingsError(f"{name}: {secret}: secrets don't belong in the file; set {PREFIX}{secret.upper()} in the environment")
        if isinstance(raw.get("telemetry"), Mapping) and "password" in raw["telemetry"]:
            raise SettingsError(
                f"{name}: telemetry.password: secrets don't belong in the file; set {PREFIX}TELEMETRY__PASSWORD in the environment"
            )
        if wrong := mistyped(cls.model_fields):
            raise SettingsError(wrong)
        try:
            return cls(**raw)
        except ValidationError as error:
            lines = [f"{name}: {complaint(cls, raw, detail)}" for detail in error.errors()]
            raise SettingsError("\n".join(lines)) from error
        except EnvironmentError_ as error:
            raise SettingsError(f"environment: {error}: {error.__cause__ or ''}".rstrip(": ")) from error

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        depot, ids = self.depot, [s.id for s in self.station]
        if depot.failsafe_kw > depot.contract_kw:
            raise ValueError(f"depot.failsafe_kw ({depot.failsafe_kw:g}) is above depot.contract_kw ({depot.contract_kw:g})")
        twice = sorted({i for i in ids if ids.count(i) > 1})
        if twice:
            raise ValueError(f"two stations have the id {', '.join(twice)}")
        opened = [s.id for s in self.station if s.open]
        if opened and not self.ocpp.allow_open:
            raise ValueError(f"station {opened[0]} has open = true, but ocpp.allow_open is not set")
        if wrong := assets_complaint(self.pv, self.battery, {f.id for f in self.feeder}):
            raise ValueError(wrong)
        if self.health is not None and self.lake is None:
            raise ValueError("[health] reads what the lake keeps: add a section [lake]")
        models = [p.model for p in self.preconditioning]
        if twice := [model for model in models if models.count(model) > 1]:
            raise ValueError(f"two entries of preconditioning are for {twice[0] or 'all models'}; write one for each model")
        if self.depot_secret is not None and not _is_key(self.depot_secret.get_secret_value()):
            raise ValueError(f"{PREFIX}DEPOT_SECRET must be 64 hex digits or more")
        for station in self.station:
            profile = self.security_profile(station)
            if profile >= 2 and self.ocpp.tls is None:
                raise ValueError(f"station {station.id} has security profile {profile}, which needs the section ocpp.tls")
            if profile < 2 and not self.ocpp.plain:
                raise ValueError(f"station {station.id} has security profile {profile}, but ocpp.plain is off")
        tls_port = self.ocpp.tls.port if self.ocpp.tls is not None else 0
        for section, port in (("ocpp", self.ocpp.port), ("ocpp.tls", tls_port), ("web", self.web.port), ("files", self.files.port)):
            if port and port + self.port_offset > 65_535:
                raise ValueError(f"{section}.port + port_offset = {port + self.port_offset} is no port; 65535 is the last")
        if self.drive is not None and self.payments is None:
            raise ValueError("drive: drivers' pages are for drivers who pay; add a section [payments], too")
        if self.drive is not None and self.drive.port in (self.web.port, self.files.port, self.ocpp.port):
            raise ValueError(f"drive.port {self.drive.port} is taken by web, files or ocpp; they must differ")
        if self.payments is not None and depot.currency != "INR":
            raise ValueError(f"payments are by UPI, in INR; depot.currency is {depot.currency}")
        if self.ocpp.port and self.ocpp.port == self.web.port and self.ocpp.host == self.web.host:
            raise ValueError(f"ocpp.port and web.port are both {self.ocpp.port}; they must differ")
        if tls_port and (tls_port == self.ocpp.port or (tls_port == self.web.port and self.ocpp.host == self.web.host)):
            raise ValueError(f"ocpp.tls.port {tls_port} is taken by ocpp.port or web.port; they must differ")
        try:
            check_outputs(self.output, self.to_spec())
            check_hazards(self.hazard, self.to_spec())
            check_layout(self.bay, self.wall, self.layout, self.to_spec())
        except InvalidValue as error:
            raise ValueError(str(error)) from None
        return self

    def security_profile(self, station: StationSection) -> int:
        """The least security profile by which a station of the file may come."""
        if station.security_profile is not None:
            return station.security_profile
        return 0 if station.open else self.least_profile

    @property
    def least_profile(self) -> int:
        """The security profile of a station with a password of which nobody said more."""
        return 1 if self.ocpp.plain else 2

    @property
    def station_digests(self) -> dict[str, str]:
        """Keyed hash of each station's password."""
        return {s.id: s.key_hash for s in self.station if s.key_hash is not None}


def describe() -> str:
    """Every setting as a Markdown table: path, type, unit, default, description."""
    return described(Settings)


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) >= 32
    except ValueError:
        return False
