"""One typed settings object: a TOML file, overridden by ``CHARGEYARD_…`` environment variables.

    depot.toml + CHARGEYARD_OCPP__PORT=9100  --load-->  Settings  --to_spec()-->  depot.registry.DepotSpec

Every mistake is found at the start, named by its place in the file, all of them at once.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

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
    watts,
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
from controller.sections_layout import BaySection, LayoutSection, WallSection, check_layout, layout_of
from controller.sections_life import PackLifeSection
from controller.sections_limits import LimitsSection, OverrideSection
from controller.sections_meter import MeterSection
from controller.sections_notify import ApprovalSection, NotifySection
from controller.sections_outputs import OutputSection, check_outputs
from controller.sections_passport import PassportSection
from controller.sections_payments import PaymentsSection
from controller.sections_stays import FullChargeSection, PreconditioningSection, wishes_of
from controller.sections_supply import GeneratorSection
from controller.sections_telemetry import TelemetrySection
from controller.settings_text import NESTED, PREFIX, SECRETS, complaint, described, mistyped
from depot.registry import DepotSpec, PhaseLimit
from depot.values import InvalidValue, LimitSource

if TYPE_CHECKING:
    from bms_bridge.layout import Layout
    from controller.demand_watch import DemandSettings
    from controller.desk import DeskSettings
    from controller.limit_room import OverrideRules
    from controller.outbox import Rules
    from controller.planning_settings import PlanningSettings
    from controller.supply import GeneratorSettings
    from controller.traffic import LoopSettings
    from grid.failsafe import FailsafePolicy
    from grid.limit_access import LimitServerSettings
    from grid.limit_client import LimitClientSettings
    from ocpp_server.settings import OcppSettings


class SettingsError(Exception):
    """The settings can't be used. The message has one line per mistake: where it is, what is wrong, what to write."""


class Settings(BaseSettings):
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

    def to_spec(self) -> DepotSpec:
        """The depot as built."""
        depot = self.depot
        return DepotSpec(
            depot_id=depot.id,
            name=depot.name or depot.id,
            contract_w=watts(depot.contract_kw),
            failsafe_w=watts(depot.failsafe_kw),
            worst_background_w=watts(depot.worst_background_kw),
            feeders=tuple(f.to_spec() for f in self.feeder),
            stations=tuple(s.to_spec() for s in self.station),
            timezone=depot.timezone,
            currency=depot.currency,
            metered=self.meter is not None,
            background_profile_w=tuple(watts(kw) for kw in depot.background_profile_kw),
            export_limit_w=watts(depot.export_limit_kw),
            contract_va=watts(depot.contract_kva),
            transformer_va=watts(depot.transformer_kva),
            worst_power_factor=depot.worst_power_factor,
            feeder_parents={f.id: f.parent for f in self.feeder if f.parent is not None},
            hub_w={s.id: watts(s.shared_kw) for s in self.station if s.shared_kw is not None},
            phase_limits={
                scope: PhaseLimit(current_a, unbalance_a)
                for scope, current_a, unbalance_a in (
                    ("", depot.phase_current_a, depot.unbalance_a),
                    *((f.id, f.phase_current_a, f.unbalance_a) for f in self.feeder),
                )
                if current_a is not None or unbalance_a is not None
            },
        )

    def to_layout(self) -> Layout | None:
        """Where vehicles stand; None where nothing is said of it."""
        return layout_of(self.bay, self.wall, self.layout)

    def to_rules(self) -> Rules | None:
        """For the outbox: what is told; None where nobody is."""
        from controller.outbox import Rules

        n = self.notify
        if n is None:
            return None
        return Rules(alarms_up_to=n.alarms_up_to, cleared=n.cleared, commands=n.commands, approvals=n.approvals, audit_head=n.audit_head)

    @property
    def database(self) -> Path:
        """The depot's database file."""
        return self.storage.path / f"{self.depot.id}.db"

    @property
    def link_path(self) -> Path:
        """The local socket between core and web."""
        return self.storage.path / f"{self.depot.id}.sock"

    @property
    def payments_database(self) -> Path:
        """The books of money: a file of their own, so that they never hold the journal's write lock."""
        return self.storage.path / f"{self.depot.id}-payments.db"

    @property
    def work_database(self) -> Path:
        """Work orders on packs: written by commands, whether the controller runs or not."""
        return self.storage.path / f"{self.depot.id}-work.db"

    @property
    def webhook_port(self) -> int:
        """Where the gateway's webhooks are awaited, offset added; 0 without payments."""
        return self.payments.webhook_port and self.payments.webhook_port + self.port_offset if self.payments is not None else 0

    @property
    def mock_gateway_port(self) -> int:
        """Where the mock gateway is, offset added; 0 without payments."""
        return self.payments.mock_port and self.payments.mock_port + self.port_offset if self.payments is not None else 0

    @property
    def gateway_url(self) -> str:
        """The gateway's API: the mock's where there is one."""
        if self.payments is None:
            return ""
        return f"http://127.0.0.1:{self.mock_gateway_port}/v1" if self.payments.mock else self.payments.gateway_url

    @property
    def drive_port(self) -> int:
        """Where drivers' pages are, offset added; 0 without them."""
        return self.drive.port + self.port_offset if self.drive is not None else 0

    @property
    def drive_url(self) -> str:
        """How phones reach them; "" without them."""
        return self.drive.reached_at(self.drive_port) if self.drive is not None else ""

    @property
    def ocpp_port(self) -> int:
        """Where stations are awaited, offset added; 0 lets the system choose."""
        return self.ocpp.port and self.ocpp.port + self.port_offset

    @property
    def files_port(self) -> int:
        """Where stations fetch and send files, offset added."""
        return self.files.port + self.port_offset

    @property
    def files_folder(self) -> Path:
        """Firmware images, and what stations sent."""
        return self.storage.path / f"{self.depot.id}-files"

    @property
    def files_url(self) -> str:
        """How stations reach the file service."""
        return self.files.reached_at(self.files_port)

    @property
    def web_port(self) -> int:
        """Where the pages are, offset added; 0 lets the system choose."""
        return self.web.port and self.web.port + self.port_offset

    @property
    def latches(self) -> Path:
        """The file of tripped packs."""
        return self.storage.path / f"{self.depot.id}.latches"

    @property
    def isolations(self) -> Path:
        """The file of isolated areas."""
        return self.storage.path / f"{self.depot.id}.isolations"

    @property
    def incidents(self) -> Path:
        """Files of incidents and drills."""
        return self.storage.path / f"{self.depot.id}-incidents"

    @property
    def lake_path(self) -> Path:
        """The local socket of the lake."""
        return self.storage.path / f"{self.depot.id}-lake.sock"

    @property
    def health_database(self) -> Path:
        """What was estimated of packs' health."""
        return self.storage.path / f"{self.depot.id}-health.db"

    @property
    def lake_exports(self) -> Path:
        """Where the lake puts packs' histories for a download."""
        return self.storage.path / f"{self.depot.id}-lake" / "exports"

    @property
    def lake_key(self) -> Path:
        """The key that signs packs' histories."""
        return self.storage.path / f"{self.depot.id}-lake.pem"

    @property
    def passports(self) -> Path:
        """Passports of batteries from elsewhere."""
        return self.storage.path / f"{self.depot.id}-passports.jsonl"

    @property
    def passports_incoming(self) -> Path:
        """Where one lies until the core has looked at it."""
        return self.storage.path / f"{self.depot.id}-passports.in"

    @property
    def mqtt_accounts(self) -> Path:
        """Who may connect to the embedded broker."""
        return self.storage.path / f"{self.depot.id}-mqtt.json"

    @property
    def mqtt_port(self) -> int:
        """The broker's port; the embedded one's with the offset added."""
        telemetry = self.telemetry
        if telemetry is None:
            return 0
        return telemetry.port + (self.port_offset if telemetry.broker == "embedded" else 0)

    @property
    def ocpp_tls_port(self) -> int:
        """Where stations are awaited over TLS, offset added; 0 lets the system choose, or there is none."""
        tls = self.ocpp.tls
        return tls.port + self.port_offset if tls is not None and tls.port else 0

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

    def to_limit_server(self) -> LimitServerSettings | None:
        """For the server that the utility writes to; None without such a link."""
        from grid.limit_access import LimitServerSettings, LimitTlsSettings

        utility = self.utility
        if utility is None or utility.mode == "client":
            return None
        tls = utility.tls
        return LimitServerSettings(
            host=utility.host,
            port=utility.port and utility.port + self.port_offset,
            unit_ids=frozenset(utility.unit_ids),
            writers=utility.writers,
            readers=utility.readers,
            max_connections=utility.max_connections,
            max_per_peer=utility.max_per_peer,
            requests_per_s=utility.request_rate,
            plain=utility.plain,
            tls=None
            if tls is None
            else LimitTlsSettings(
                certificate=tls.certificate,
                key=tls.key,
                authorities=tls.authorities,
                port=tls.port and tls.port + self.port_offset,
                networks=tls.networks,
            ),
            serial=self.depot.id,
        )

    def to_limit_client(self) -> LimitClientSettings | None:
        """For the RTU that is read; None where the utility writes, or there is no such link."""
        from grid.limit_client import LimitClientSettings
        from grid.modbus_link import Peer

        rtu = self.utility.rtu if self.utility is not None else None
        if rtu is None:
            return None
        peer = Peer(host=rtu.host, port=rtu.port, unit_id=rtu.unit)
        return LimitClientSettings(peer=peer, period_s=rtu.poll_s, write_feedback=rtu.write_feedback)

    def to_failsafe(self) -> FailsafePolicy | None:
        """What the depot decides itself about the utility's link."""
        from grid.failsafe import FailsafePolicy

        utility = self.utility
        if utility is None:
            return None
        return FailsafePolicy(
            contract_w=watts(self.depot.contract_kw),
            failsafe_w=watts(self.depot.failsafe_kw),
            failsafe_min_s=utility.failsafe_min_s,
            heartbeat_timeout_s=utility.heartbeat_timeout_s,
            autonomous=utility.autonomous,
        )

    def to_generator(self) -> GeneratorSettings | None:
        """For the limit on a generator; None where the site has none."""
        from controller.supply import GeneratorSettings

        generator = self.generator
        return None if generator is None else GeneratorSettings(watts(generator.rating_kw), generator.return_delay_s)

    def to_demand(self) -> DemandSettings:
        """For the demand blocks and the limits on their averages."""
        from controller.demand_watch import DemandSettings

        demand = self.demand
        return DemandSettings(
            contract_w=None if demand.contract_kw is None else watts(demand.contract_kw),
            contract_va=None if demand.contract_kva is None else watts(demand.contract_kva),
            target_w=None if demand.peak_target_kw is None else watts(demand.peak_target_kw),
            power_factor=demand.power_factor,
            clock_offset_s=demand.clock_offset_s,
            clock_error_s=demand.clock_error_s,
        )

    def to_override(self) -> OverrideRules:
        """What a person may override."""
        from controller.limit_room import OverrideRules

        o = self.override
        return OverrideRules(
            allowed=o.allowed,
            sources=tuple(LimitSource(source) for source in o.sources),
            most_w=watts(o.most_kw) if o.most_kw else None,
            longest=timedelta(minutes=o.longest_min),
            second_person=o.second_person,
        )

    def to_ocpp(self) -> OcppSettings:
        """For the charger side."""
        from ocpp_server.settings import OcppSettings

        ocpp = self.ocpp
        return OcppSettings(call_timeout_s=ocpp.call_timeout_s, sample_interval_s=ocpp.sample_interval_s, calm_s=ocpp.calm_s)

    def to_desk(self) -> DeskSettings:
        """For what stations are answered."""
        from controller.desk import DeskSettings

        return DeskSettings(
            heartbeat_s=self.ocpp.heartbeat_s,
            accept_unknown_tags=self.ocpp.accept_unknown_tags,
            free_vend=self.ocpp.free_vend,
            master_pass_group=self.ocpp.master_pass_group,
        )

    def to_loop(self) -> LoopSettings:
        """For the control loop."""
        from controller.comeback import ComebackSettings
        from controller.pickup import PickupSettings
        from controller.traffic import LoopSettings

        return LoopSettings(
            life_s=self.limiter.profile_life_s,
            refresh_s=self.limiter.refresh_s,
            margin_share=self.limiter.margin_share,
            max_writes_per_hour=self.limiter.max_writes_per_hour,
            min_change_s=self.limiter.min_change_s,
            reserve_soc=self.v2g.reserve_soc,
            pickup=PickupSettings(self.limiter.pickup_min_s, self.limiter.pickup_max_s),
            comeback=ComebackSettings(self.limiter.comeback_max_s, self.limiter.comeback_ramp_s),
        )

    def to_planning(self) -> PlanningSettings:
        """For the planning cadence. The deadline goes to the planner itself. FactorsRefused: the file of ageing factors cannot be used."""
        from controller.life_factors import read_factors
        from controller.planning_life import LifeSettings
        from controller.planning_settings import PlanningSettings
        from controller.planning_stays import StaySettings
        from optimizer.problem import Policy

        return PlanningSettings(
            slot_minutes=self.planner.slot_minutes,
            horizon_h=self.planner.horizon_h,
            cadence_s=self.planner.cadence_s,
            policy=Policy(self.planner.policy),
            margin_share=self.limiter.margin_share,
            reserve_share=0.0 if self.planner.adaptive_reserve else self.planner.reserve,
            ready_margin_min=self.planner.ready_margin_min,
            reserve_soc=self.v2g.reserve_soc,
            wear_per_kwh=self.v2g.wear_per_kwh,
            export_price_per_kwh=self.v2g.export_price_per_kwh,
            learned_fallback=self.planner.learned_fallback,
            stays=StaySettings(self.planner.minimum_soc, self.planner.share_shortage, wishes_of(self.preconditioning, self.full_charge)),
            life=LifeSettings(
                price_per_kwh=self.pack_life.price_per_kwh,
                worth_per_kwh=self.pack_life.worth_per_kwh,
                weight=self.pack_life.weight,
                ambient_c=self.pack_life.ambient_c,
                ceiling=self.pack_life.ceiling,
                factors={} if self.pack_life.calibration is None else read_factors(self.pack_life.calibration),
            ),
        )


def describe() -> str:
    """Every setting as a Markdown table: path, type, unit, default, description."""
    return described(Settings)


def _is_key(text: str) -> bool:
    try:
        return len(bytes.fromhex(text)) >= 32
    except ValueError:
        return False
