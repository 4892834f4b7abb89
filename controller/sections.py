"""The sections of the settings file: what may be set, in which unit, with which default and why.

Shapes and single values only; what must hold between sections is in :mod:`controller.settings`. ``docs/settings.md`` is
made from these descriptions.
"""

from __future__ import annotations

import ipaddress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from depot.registry import ConnectorSpec, Current, FeederSpec, StationSpec

DepotId = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
FeederId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$")]
StationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*\-_=:+|@.]{1,48}$")]
KeyHash = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$", to_lower=True)]
CurrencyCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Port = Annotated[int, Field(ge=0, le=65_535)]
TlsName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\-:*]{1,253}$")]
Phase = Annotated[int, Field(ge=1, le=3)]

_AC_LEAST_A = 6
"""IEC 61851-1 Annex A: the least current that a control pilot can offer."""


def setting(default: Any, description: str, *, unit: str = "", **limits: Any) -> Any:
    """A field with what people must know about it. ``...`` as default: it must be set."""
    return Field(default, description=description, json_schema_extra={"unit": unit}, **limits)


class Section(BaseModel):
    """Base: unknown keys are errors, values do not change, defaults are checked too."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class DepotSection(Section):
    id: DepotId = setting(..., "Short name in addresses, files and every stored row: small letters, digits, hyphens. Never change it.")
    name: str = setting("", "Name on the screens; the id where it is empty.")
    timezone: str = setting("Asia/Kolkata", "IANA time zone of tariffs, calendars and screens.")
    currency: CurrencyCode = setting("INR", "ISO 4217 code of prices and bills.")
    contract_kw: float = setting(..., "Limit of the grid connection.", unit="kW", gt=0)
    failsafe_kw: float = setting(
        ..., "The most that may be drawn when the controller is dead or blind. Chargers fall back to their share of it.", unit="kW", ge=0
    )
    worst_background_kw: float = setting(
        ..., "The most that everything else on the site draws; counted whenever the meter at the connection is silent.", unit="kW", ge=0
    )
    contract_kva: float = setting(
        0.0, "Limit of the grid connection in apparent power, where the contract has one beside contract_kw. 0: none.", unit="kVA", ge=0
    )
    transformer_kva: float = setting(0.0, "What the site's transformer carries, all the time. 0: nothing is said.", unit="kVA", ge=0)
    worst_power_factor: float = setting(
        0.9, "The worst power factor of the load: how limits in kVA count while the meter tells no reactive power.", ge=0.5, le=1
    )
    export_limit_kw: float = setting(
        0.0, "What vehicles that discharge may feed into the grid, beyond what the site itself draws. 0: nothing.", unit="kW", ge=0
    )
    phase_current_a: float | None = setting(
        None, "The most on each phase of the connection, for plans, which take the site's own load to be the same on all three.",
        unit="A", gt=0,
    )  # fmt: skip
    unbalance_a: float | None = setting(
        None, "The most by which chargers may load one phase of the site above another, for plans.", unit="A", ge=0
    )
    background_profile_kw: tuple[float, ...] = setting(
        (), "What the rest of the site typically draws, one value per local hour from 0 to 23; advice for the planner.", unit="kW"
    )
    tariff: str = setting("stylised-tou", "Tariff of energy and demand: its name, or the path of a file (docs/tariffs.md).", min_length=1)

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is no IANA time zone; write for example Asia/Kolkata or Europe/Berlin") from None
        return name


class FeederSection(Section):
    id: FeederId = setting(..., "Name by which stations refer to it.")
    rating_kw: float = setting(..., "What the feeder can carry; nothing lifts this limit.", unit="kW", gt=0)
    name: str = setting("", "Name on the screens; the id where it is empty.")
    parent: FeederId | None = setting(
        None,
        "Feeder that feeds this one: a parent's rating holds for all that hangs below it. Unset: the site.",
    )

    phase_current_a: float | None = setting(None, "The most on each of its phases, for plans.", unit="A", gt=0)
    unbalance_a: float | None = setting(
        None, "The most by which chargers may load one of its phases above another, for plans.", unit="A", ge=0
    )

    def to_spec(self) -> FeederSpec:
        return FeederSpec(self.id, watts(self.rating_kw), self.name or self.id)


class ConnectorSection(Section):
    number: int = setting(1, "Number of the connector at its station, as OCPP counts: from 1.", ge=1, le=99)
    rated_kw: float = setting(..., "The most that it can draw from the grid.", unit="kW", gt=0)
    min_kw: float | None = setting(
        None, "Below this there is only 0. Unset: 6 A on each phase for AC, the smaller of 3 kW and the rating for DC.", unit="kW", ge=0
    )
    current: Literal["AC", "DC"] = setting("AC", "Kind of current that it gives the vehicle.")
    phases: tuple[Phase, ...] = setting(
        (), "Grid phases that it may load, for example [1] or [1, 2, 3]. Empty: not known, counted on all three."
    )
    voltage_v: int = setting(230, "AC: between phase and neutral. DC: of the output.", unit="V", ge=90, le=1000)
    pausable: bool | None = setting(
        None, "Whether a session survives 0 W. Unset: not known, so a session is started late and then kept at its minimum or above."
    )
    settle_s: float = setting(3.0, "How long it takes from an accepted decrease to the lower power.", unit="s", ge=0, le=120)
    discharge_kw: float = setting(
        0.0, "The most that it can give back; needs a station that speaks OCPP 2.1. 0: it only charges.", unit="kW", ge=0
    )

    @field_validator("phases")
    @classmethod
    def _each_phase_once(cls, phases: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(phases)) != len(phases):
            raise ValueError("each phase may be named once")
        return phases

    @model_validator(mode="after")
    def _minimum_fits(self) -> Self:
        if self.min_kw is not None and self.min_kw > self.rated_kw:
            raise ValueError(f"min_kw ({self.min_kw:g}) is above rated_kw ({self.rated_kw:g})")
        return self

    def to_spec(self) -> ConnectorSpec:
        if self.min_kw is not None:
            least_w = watts(self.min_kw)
        elif self.current == "AC":
            least_w = _AC_LEAST_A * self.voltage_v * (len(self.phases) or 3)
        else:
            least_w = 3000
        rated_w = watts(self.rated_kw)
        return ConnectorSpec(
            connector=self.number,
            rated_w=rated_w,
            min_w=min(least_w, rated_w),
            current=Current(self.current),
            phases=self.phases,
            voltage_v=self.voltage_v,
            pausable=self.pausable,
            settle_s=self.settle_s,
            discharge_w=watts(self.discharge_kw),
        )


class StationSection(Section):
    id: StationId = setting(..., "OCPP identity: the last part of the address that the station connects to.")
    feeder: FeederId = setting(..., "Feeder that it hangs on.")
    bay: str = setting("", "Parking bay, for people.")
    key_hash: KeyHash | None = setting(
        None, "Keyed hash of the station's password (HMAC-SHA-256, 64 hex digits, made for this depot). The password itself stands nowhere."
    )
    shared_kw: float | None = setting(
        None, "What the cabinet gives all its connectors together. Unset: each its full rating at once.", unit="kW", gt=0
    )
    open: bool = setting(False, "Let it connect without a password. Needs ocpp.allow_open, and so a loopback address.")
    security_profile: int | None = setting(
        None,
        "OCPP security profile that it must come by at least: 1 password, 2 password over TLS, 3 certificate over TLS. "
        "Unset: 1, or 2 where ocpp.plain is off, or 0 for an open one. People can raise it while the depot runs.",
        ge=0, le=3,
    )  # fmt: skip
    connector: tuple[ConnectorSection, ...] = setting(..., "Its connectors.", min_length=1)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        by_certificate = self.security_profile == 3 and not self.open
        if self.open == (self.key_hash is not None) and not by_certificate:
            raise ValueError("a station needs either key_hash or open = true, and not both")
        if self.security_profile is not None and (self.security_profile == 0) != self.open:
            raise ValueError(
                f"security_profile {self.security_profile} does not go with open = {str(self.open).lower()}: 0 is for open ones"
            )
        numbers = [c.number for c in self.connector]
        if len(set(numbers)) != len(numbers):
            raise ValueError(f"two connectors have the same number ({', '.join(map(str, numbers))})")
        return self

    def to_spec(self) -> StationSpec:
        return StationSpec(self.id, self.feeder, tuple(c.to_spec() for c in self.connector), self.bay)


class OcppTlsSection(Section):
    port: Port = setting(9001, "Port on which stations are awaited over TLS (path /ocpp/STATION), at the address ocpp.host.")
    names: tuple[TlsName, ...] = setting(
        (),
        "Names or addresses under which stations reach this machine. The depot's own authority makes a certificate for them.",
        max_length=16,
    )
    certificate: Path | None = setting(None, "Certificate chain to show instead, PEM. Read again when the file changes.")
    key: Path | None = setting(None, "Its private key, PEM.")
    authorities: Path | None = setting(None, "Other authorities whose station certificates are trusted beside the depot's own, PEM.")
    owner: str = setting("", "Organization that station certificates must name, as CpoName says it to stations. Empty: any.", max_length=64)
    station_days: int = setting(730, "How long a station's certificate lasts.", unit="days", ge=1, le=3650)
    renew_days: int = setting(30, "So long before its end a certificate is renewed.", unit="days", ge=1, le=365)

    @model_validator(mode="after")
    def _belong_together(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        if self.renew_days >= self.station_days:
            raise ValueError(f"renew_days ({self.renew_days}) must be less than station_days ({self.station_days})")
        return self


class OcppSection(Section):
    host: str = setting("127.0.0.1", "Address on which stations are awaited; 0.0.0.0 for every network of this machine.")
    port: Port = setting(9000, "Port on which stations are awaited (path /ocpp/STATION).")
    call_timeout_s: float = setting(10.0, "How long a call to a station may stay unanswered.", unit="s", gt=0, le=120)
    sample_interval_s: int = setting(60, "How often stations are asked to send meter values.", unit="s", ge=1, le=900)
    calm_s: float = setting(
        10.0, "How long a station of OCPP 2.x is left alone after its boot before it is asked what it can do.", unit="s", ge=0, le=300
    )
    heartbeat_s: int = setting(300, "Heartbeat interval given to stations.", unit="s", ge=10, le=86_400)
    accept_unknown_tags: bool = setting(False, "Let a card or tag that nobody announced start a session.")
    free_vend: bool = setting(False, "Let who shows no card or tag charge (OCPP 2.x NoAuthorization, a start button).")
    master_pass_group: str = setting(
        "", "Group whose tokens may end any session and begin none, as stations have it in MasterPassGroupId. Empty: nobody.", max_length=36
    )
    allow_open: bool = setting(False, "Let stations with open = true in without a password. Only with a loopback host.")
    plain: bool = setting(True, "Listen without TLS, too. Off: every station needs security profile 2 or 3.")
    tls: OcppTlsSection | None = setting(None, "The port with TLS, for security profiles 2 and 3. Without it there is none.")

    @model_validator(mode="after")
    def _open_only_at_home(self) -> Self:
        if self.allow_open and not is_loopback(self.host):
            raise ValueError(f"allow_open needs a loopback host such as 127.0.0.1, not {self.host}: give the stations a key_hash instead")
        if not self.plain and self.tls is None:
            raise ValueError("plain is off and there is no section ocpp.tls: no station could connect")
        if self.tls is not None and self.tls.certificate is None and not self.tls.names:
            raise ValueError("ocpp.tls needs names, under which stations reach this machine, or a certificate and its key")
        return self


class WebSection(Section):
    host: str = setting("127.0.0.1", "Address of the web pages and of the API.")
    port: Port = setting(8080, "Port of the web pages and of the API.")
    tls: bool = setting(False, "A proxy in front guarantees HTTPS: cookies are then sent over HTTPS only.")
    hosts: tuple[str, ...] = setting(
        (), "Names by which browsers may call, without port. Empty: loopback names, or any when host is not loopback."
    )


class UtilityTlsSection(Section):
    """Modbus/TLS: masters show a certificate, and its role says what they may do."""

    port: Port = setting(5802, "Port on which masters are awaited over TLS, at the address utility.host (802 by the standard).")
    certificate: Path = setting(..., "Certificate chain to show, PEM. This and the next two are read again when they change.")
    key: Path = setting(..., "Its private key, PEM.")
    authorities: Path = setting(..., "Authorities whose client certificates are taken, PEM.")
    networks: tuple[str, ...] = setting(("0.0.0.0/0", "::/0"), "Networks from which masters may come to this port at all.")


class UtilityRtuSection(Section):
    """An RTU that cannot write: it holds the same registers (docs/modbus.md), and the depot reads them."""

    host: str = setting(..., "Address of the RTU or of its gateway.", min_length=1)
    port: int = setting(502, "Its Modbus TCP port.", ge=1, le=65_535)
    unit: int = setting(1, "Its Modbus unit id.", ge=1, le=255)
    poll_s: float = setting(1.0, "How often it is read.", unit="s", ge=0.2, le=5)
    write_feedback: bool = setting(False, "Write the feedback points (AckSeq and what follows) into its registers after each poll.")


class UtilitySection(Section):
    """Link to the utility's SCADA: it writes the site's limit over Modbus TCP. Without this section there is none."""

    host: str = setting("127.0.0.1", "Address on which the utility's RTU is awaited.", min_length=1)
    port: Port = setting(5020, "Port on which it is awaited.")
    unit_ids: tuple[int, ...] = setting((1, 255), "Modbus unit ids that are answered.", min_length=1)
    writers: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"), "Networks whose masters may set the limit, like 10.20.0.7 or 10.20.0.0/24."
    )
    readers: tuple[str, ...] = setting((), "Networks whose masters may only read. All others are not let in.")
    plain: bool = setting(True, "Whether the port without TLS is open. Off: there is utility.tls only.")
    mode: Literal["server", "client"] = setting(
        "server", "server: the utility's RTU writes its limit here. client: it cannot write, and is read (utility.rtu)."
    )
    rtu: UtilityRtuSection | None = setting(None, "The RTU that is read, with mode = client.")
    tls: UtilityTlsSection | None = setting(None, "The port with TLS (mutual, with roles). Without it there is none.")
    max_connections: int = setting(10, "Connections in all.", ge=1, le=1000)
    max_per_peer: int = setting(4, "Connections of one address.", ge=1, le=1000)
    request_rate: float = setting(
        200.0, "Reads of one address a second, and a quarter as many writes; what is more waits. 0: no limit.", unit="1/s", ge=0, le=100_000
    )
    heartbeat_timeout_s: int = setting(
        120, "Without a heartbeat for so long the fail-safe limit holds. The utility may set its own.", unit="s", ge=10, le=600
    )
    failsafe_min_s: int = setting(
        7_200, "Fail-safe duration that the utility is told (EEBus LPC: 2 h to 24 h).", unit="s", ge=7_200, le=86_400
    )
    autonomous: bool = setting(
        False,
        "The agreement with the utility releases the site to its contract when the fail-safe duration is over, or when heartbeats "
        "are back for 120 s without an order. Off: fail-safe lasts until a heartbeat and an order are there.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.mode == "client") != (self.rtu is not None):
            raise ValueError("mode = client and a [utility.rtu] section belong together")
        return self

    @model_validator(mode="after")
    def _some_door(self) -> Self:
        if not self.plain and self.tls is None:
            raise ValueError("with plain = false there must be a [utility.tls] section, else nobody could come in")
        return self


class PlannerSection(Section):
    slot_minutes: int = setting(15, "Length of a planning slot; a whole part of an hour.", unit="min", ge=5, le=60)
    horizon_h: int = setting(24, "How far ahead is planned.", unit="h", ge=1, le=72)
    cadence_s: float = setting(300.0, "A new plan at the latest after this.", unit="s", ge=10, le=3600)
    deadline_s: float = setting(
        10.0, "A plan that takes longer is given up; charging goes on, earliest departure first.", unit="s", gt=0, le=300
    )
    policy: Literal["cheapest", "readiness", "battery-life"] = setting("cheapest", "What a plan prefers once every vehicle is served.")
    reserve: float = setting(0.05, "Share of the limit that plans leave free from one hour ahead on, for late arrivals.", ge=0, le=0.5)
    learned_fallback: bool = setting(
        True, "While the planner's solver is down, a learned policy plans; false: earliest departure first, as soon as the plan has ended."
    )
    adaptive_reserve: bool = setting(
        False,
        "In place of that share: a reserve that follows how late and hungry this depot's own vehicles came (docs/uncertainty.md).",
    )
    ready_margin_min: float = setting(10.0, "Vehicles are planned to be ready this long before they leave.", unit="min", ge=0, le=240)
    minimum_soc: float = setting(
        0.0, "State of charge to which a vehicle that is plugged in with less is brought before all departures. 0: none.", ge=0, le=1
    )
    share_shortage: bool = setting(
        False, "Where not everything fits: whether vehicles of one priority go short in like parts of their needs."
    )

    @field_validator("slot_minutes")
    @classmethod
    def _part_of_an_hour(cls, minutes: int) -> int:
        if 60 % minutes:
            raise ValueError(f"{minutes} minutes don't divide an hour; take 5, 6, 10, 12, 15, 20, 30 or 60")
        return minutes


class LimiterSection(Section):
    profile_life_s: float = setting(
        180.0, "A charger that hears nothing more falls back to its default after this.", unit="s", ge=30, le=3600
    )
    refresh_s: float = setting(90.0, "Live profiles are renewed this often; less than profile_life_s.", unit="s", ge=10, le=3600)
    margin_share: float = setting(0.01, "Share of the site limit that is never planned on.", ge=0, le=0.5)
    max_writes_per_hour: int = setting(
        12, "Changes per charger and hour that are not urgent: flash wears out, vehicles fall asleep.", ge=1, le=3600
    )
    min_change_s: float = setting(30.0, "Shortest time between two changes of one charger that are not urgent.", unit="s", ge=0, le=3600)
    pickup_min_s: float = setting(
        0.0, "After a power cut of the site every waiting vehicle begins after a delay drawn between this …", unit="s", ge=0, le=3600
    )
    pickup_max_s: float = setting(
        120.0, "… and this, who leaves first the soonest: the load does not come back at once. 0: no delays.", unit="s", ge=0, le=3600
    )
    comeback_max_s: float = setting(
        120.0,
        "When the site's limit rises again (end of fail-safe, of an event, of an order), it is held for a time drawn between 0 and this …",
        unit="s", ge=0, le=3600,
    )  # fmt: skip
    comeback_ramp_s: float = setting(
        60.0, "… and then rises at a rate that takes so long from zero to the contract. Both 0: at once.", unit="s", ge=0, le=3600
    )

    @model_validator(mode="after")
    def _a_window(self) -> Self:
        if self.pickup_max_s < self.pickup_min_s and self.pickup_max_s > 0:
            raise ValueError(f"pickup_max_s ({self.pickup_max_s:g}) is below pickup_min_s ({self.pickup_min_s:g})")
        return self

    @model_validator(mode="after")
    def _refreshed_in_time(self) -> Self:
        if self.refresh_s > self.profile_life_s * 0.75:
            raise ValueError(
                f"refresh_s ({self.refresh_s:g}) must leave a quarter of profile_life_s ({self.profile_life_s:g}) for a second try"
            )
        return self


class V2gSection(Section):
    """Vehicles that discharge. They do where their connector and their vehicle can (``discharge_kw``)."""

    reserve_soc: float = setting(0.3, "State of charge below which no vehicle gives anything.", ge=0, le=1)
    wear_per_kwh: float | None = setting(
        None, "What a kWh that leaves a battery wears it, in the currency. Unset: 22 % of the mean price of energy.", ge=0
    )
    export_price_per_kwh: float = setting(
        0.0, "What is paid for a kWh that is fed into the grid; counted at most as the import's price.", ge=0
    )


class StorageSection(Section):
    path: Path = setting(
        Path("var"), "Folder of everything that is kept: database, lock, secret. Relative to where the program is started."
    )


class LoggingSection(Section):
    level: Literal["debug", "info", "warning", "error"] = setting("info", "The least important messages that are written.")
    json_lines: bool = setting(False, "One JSON object a line, for machines; else lines for people.")


class ClockSection(Section):
    """The machine's clock; all but the first are for demonstrations only."""

    must_sync: bool = setting(
        False, "Hold the fail-safe limit while the system says that its clock is not synchronised. Off: that alone is believed."
    )
    speed: float = setting(1.0, "How many times faster than the world depot time runs; 1 for every real depot.", gt=0, le=1000)
    epoch: AwareDatetime | None = setting(None, "Depot time at the start of the process. Unset: now.")
    epoch_wall: float | None = setting(
        None, "Wall time at which depot time was epoch, so that several processes agree. Unset: when the process starts.", unit="Unix s"
    )

    @property
    def scaled(self) -> bool:
        """Whether depot time is not the world's time."""
        return self.speed != 1.0 or self.epoch is not None

    @field_validator("epoch")
    @classmethod
    def _plausible(cls, epoch: datetime | None) -> datetime | None:
        if epoch is not None and not 2000 <= epoch.year <= 2100:
            raise ValueError("write a date between 2000 and 2100")
        return epoch


def http_address(url: str, example: str) -> str:
    """``url`` without its last slash; raises ValueError, with the example, for what is no base address. Empty stays empty."""
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username):
        raise ValueError(f"write an address such as {example}")
    return url.rstrip("/")


def watts(kw: float) -> int:
    """Kilowatts as people write them, in the integer watts of the depot."""
    return round(kw * 1000)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach ``host``. A name other than localhost counts as no."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
