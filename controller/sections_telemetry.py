"""The telemetry section of the settings file: the broker, and the packs that the depot knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import SecretStr, StringConstraints, model_validator

from bms_bridge import InvalidThreshold
from bms_bridge.chemistry import TABLE, Chemistry
from controller.sections import Port, Section, is_loopback, setting
from controller.sections_can import CanSection, check_lines

TopicId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
ChemistryName = Literal["LFP", "NMC", "NCA", "LMO", "LTO", "unknown"]


class PackSection(Section):
    vehicle: TopicId = setting(..., "Vehicle id, as in the timetable and in the topic: letters, digits, '.', '_' and '-'.")
    pack: TopicId = setting("P1", "Pack id, as in the topic. A new pack gets a new id.")
    chemistry: ChemistryName = setting("unknown", "Cell chemistry: it decides the thresholds; unknown is taken as the most delicate one.")
    telematics: bool = setting(True, "Whether its vehicle has a unit that sends: then its silence at a charger is a reason for caution.")
    capacity_kwh: float | None = setting(None, "Its energy when new; the registry's counts where it has one.", unit="kWh", gt=0, le=10_000)
    cells: int | None = setting(None, "Its cells in series; the registry's count where it has them.", ge=1, le=10_000)
    tighter: dict[str, float] = setting(
        {}, "Thresholds that are more cautious for this pack than for its chemistry, by name (docs/trips.md). A looser one is refused."
    )

    @model_validator(mode="after")
    def _only_tighter(self) -> Self:
        try:
            TABLE[Chemistry(self.chemistry)].tightened(**self.tighter)
        except InvalidThreshold as error:
            raise ValueError(f"tighter of {self.vehicle}/{self.pack}: {error}") from None
        return self


class TelemetrySection(Section):
    broker: Literal["embedded", "external", "none"] = setting(
        "embedded", "embedded: a broker of our own is started; external: the site's own; none: only what chargers say of batteries counts."
    )
    host: str = setting("127.0.0.1", "Address of the broker; where the embedded one listens.", min_length=1)
    port: Port = setting(1883, "Its port. The embedded one's gets port_offset added.")
    tls: bool = setting(False, "Whether the external broker is spoken to over TLS.")
    ca_file: Path | None = setting(None, "Authorities that its certificate is checked against, PEM. Unset: the system's.")
    tls_cert: Path | None = setting(None, "Certificate chain of the embedded broker, PEM; needed where others can reach its address.")
    tls_key: Path | None = setting(None, "Its private key, PEM.")
    username: str = setting("core", "Our account at the external broker.")
    password: SecretStr | None = setting(None, "Its password; from the environment only (CHARGEYARD_TELEMETRY__PASSWORD).")
    other_chemistry: ChemistryName | None = setting(
        None, "Take telemetry of announced vehicles that are declared nowhere, one pack P1 each, as this chemistry. Unset: refused."
    )
    inner_offset_k: float = setting(
        5.0,
        "How much hotter a cell may be inside than its sensor says, for the State of Safety. It can only be raised.",
        unit="K",
        ge=5,
        le=30,
    )
    firmware_profiles: Path | None = setting(
        None, "File of firmware profiles (TOML, firmware-profiles/1): what units' programs do differently. Unset: none is known."
    )
    pack: tuple[PackSection, ...] = setting((), "Packs of vehicles that the registry does not have, and who must be heard of.")

    can: tuple[CanSection, ...] = setting((), "Vehicles' own CAN buses and charging lines that are listened to.")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key belong together")
        if self.broker == "embedded" and self.tls_cert is None and not is_loopback(self.host):
            raise ValueError(f"others can reach {self.host}: set tls_cert and tls_key, or vehicles' keys cross the network in clear")
        names = [(row.vehicle, row.pack) for row in self.pack]
        twice = sorted({"/".join(name) for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two packs have the id {', '.join(twice)}")
        check_lines(self.can)
        return self
