"""Data sheets of batteries: what their maker says, in a TOML file that a person keeps. Reads and checks; writes nothing.

    [operator]                 who keeps the batteries: name, street, postcode, country …
    [[battery]]                one model: model = "EB-300", rated_capacity_ah = 320 … and tables maker, plant, materials …
    [[pack]]                   one battery: vehicle = "E-131", pack = "P1", model = "EB-300", serial = "…", made_on = 2024-03-01

Names carry their units. What is not written is not known; what is written is checked as the model wants it, and whether it can be. All
mistakes are told at once, each with its place.
"""

from __future__ import annotations

import difflib
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any, Final

from bms_bridge.passport import SheetRefused
from bms_bridge.passport.fields import BY_PATH, Field, Kind, put
from bms_bridge.passport.seal import sha256_of
from bms_bridge.passport.shape import wrong
from depot.values import PackKey

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_PACKS: Final = 5_000
_MOST_TEXT = 2_000
_COMPLAINTS_MOST = 30

_GENERAL = "/GeneralProductInformation"
_TECHNICAL = "/Performance/batteryTechicalProperties"
_ADDRESS: Final = {
    "street": "/postalAddress/streetAddress",
    "postcode": "/postalAddress/postalCode",
    "country": "/postalAddress/addressCountry",
}
_CONTACT: Final = {"name": "/contactName", "id": "/identifier", "web": "/webAddress", **_ADDRESS}

MODEL: Final[Mapping[str, str]] = {
    "category": f"{_GENERAL}/batteryCategory",
    "mass_kg": f"{_GENERAL}/batteryMass",
    **{f"maker.{name}": f"{_GENERAL}/manufacturerInformation{path}" for name, path in _CONTACT.items()},
    "plant.street": f"{_GENERAL}/manufacturingPlace/streetAddress",
    "plant.postcode": f"{_GENERAL}/manufacturingPlace/postalCode",
    "plant.country": f"{_GENERAL}/manufacturingPlace/addressCountry",
    "carbon.kg_per_kwh": "/CarbonFootprint/batteryCarbonFootprint",
    "carbon.class": "/CarbonFootprint/carbonFootprintPerformanceClass",
    "carbon.study": "/CarbonFootprint/carbonFootprintStudy",
    "carbon.total_kg": "/CarbonFootprint/absoluteCarbonFootprint",
    "carbon.stages": "/CarbonFootprint/carbonFootprintPerLifecycleStage",
    "dismantling": "/Circularity/dismantlingAndRemovalInformation",
    "spare_parts": "/Circularity/sparePartSources",
    "recycled": "/Circularity/recycledContent",
    "renewable_percent": "/Circularity/renewableContent",
    "safety.instructions": "/Circularity/safetyMeasures/safetyInstructions",
    "safety.extinguishers": "/Circularity/safetyMeasures/extinguishingAgent",
    "end_of_life.prevention": "/Circularity/endOfLifeInformation/wastePrevention",
    "end_of_life.separation": "/Circularity/endOfLifeInformation/separateCollection",
    "end_of_life.collection": "/Circularity/endOfLifeInformation/informationOnCollection",
    "conformity": "/Labels/declarationOfConformity",
    "test_report": "/Labels/resultOfTestReport",
    "labels": "/Labels/labels",
    "chemistry": "/MaterialComposition/batteryChemistry/shortName",
    "chemistry_name": "/MaterialComposition/batteryChemistry/clearName",
    "materials": "/MaterialComposition/batteryMaterials",
    "hazards": "/MaterialComposition/hazardousSubstances",
    "power": f"{_TECHNICAL}/originalPowerCapability",
    "rated_power_kw": f"{_TECHNICAL}/ratedMaximumPower",
    "power_ratio_percent": f"{_TECHNICAL}/powerCapabilityRatio",
    "rated_energy_kwh": f"{_TECHNICAL}/ratedEnergy",
    "rated_capacity_ah": f"{_TECHNICAL}/ratedCapacity",
    "expected_cycles": f"{_TECHNICAL}/expectedNumberOfCycles",
    "expected_years": f"{_TECHNICAL}/expectedLifetime",
    "self_discharge_percent_per_month": f"{_TECHNICAL}/initialSelfDischarge",
    "efficiency_percent": f"{_TECHNICAL}/roundtripEfficiency",
    "efficiency_half_life_percent": "/Performance/batteryCondition/roundTripEfficiencyat50PerCentCycleLife",
    "resistance": f"{_TECHNICAL}/initialInternalResistance",
    "c_rate": f"{_TECHNICAL}/cRate",
    "c_rate_cycle_test": f"{_TECHNICAL}/cRateLifeCycleTest",
    "nominal_v": f"{_TECHNICAL}/nominalVoltage",
    "minimum_v": f"{_TECHNICAL}/minimumVoltage",
    "maximum_v": f"{_TECHNICAL}/maximumVoltage",
    "exhausted_below_percent": f"{_TECHNICAL}/capacityThresholdForExhaustion",
    "lifetime_test": f"{_TECHNICAL}/lifetimeReferenceTest",
    "idle_temperature_c": f"{_TECHNICAL}/temperatureRangeIdleState",
}
"""Key of a ``[[battery]]`` (``maker.name``: in its table ``maker``) -> path."""

OWN: Final[Mapping[str, str]] = {
    "serial": f"{_GENERAL}/productIdentifier",
    "passport": f"{_GENERAL}/batteryPassportIdentifier",
    "made_on": f"{_GENERAL}/manufacturingDate",
    "in_service_on": f"{_GENERAL}/puttingIntoService",
    "status": f"{_GENERAL}/batteryStatus",
}
"""Key of a ``[[pack]]`` -> path."""

OPERATOR: Final[Mapping[str, str]] = {name: f"{_GENERAL}/operatorInformation{path}" for name, path in _CONTACT.items()}

ITEMS: Final[Mapping[str, Mapping[str, str]]] = {
    "carbon.stages": {"stage": "/lifecycleStage", "value": "/carbonFootprint"},
    "dismantling": {"kind": "/documentType", "mime": "/mimeType", "url": "/documentURL"},
    "spare_parts": {
        "supplier": "/nameOfSupplier",
        "street": "/addressOfSupplier/streetAddress",
        "postcode": "/addressOfSupplier/postalCode",
        "country": "/addressOfSupplier/addressCountry",
        "email": "/emailAddressOfSupplier",
        "web": "/supplierWebAddress",
        "parts": "/components",
    },
    "spare_parts.parts": {"name": "/partName", "number": "/partNumber"},
    "recycled": {
        "material": "/recycledMaterial",
        "pre_consumer_percent": "/preConsumerShare",
        "post_consumer_percent": "/postConsumerShare",
    },
    "labels": {"symbol": "/labelingSymbol", "meaning": "/labelingMeaning", "subject": "/labelingSubject"},
    "materials": {
        "part": "/batteryMaterialLocation/componentName",
        "part_id": "/batteryMaterialLocation/componentId",
        "cas": "/batteryMaterialIdentifier",
        "name": "/batteryMaterialName",
        "mass_g": "/batteryMaterialMass",
        "critical": "/isCriticalRawMaterial",
    },
    "hazards": {
        "class": "/hazardousSubstanceClass",
        "name": "/hazardousSubstanceName",
        "percent": "/hazardousSubstanceConcentration",
        "impact": "/hazardousSubstanceImpact",
        "part": "/hazardousSubstanceLocation/componentName",
        "part_id": "/hazardousSubstanceLocation/componentId",
        "cas": "/hazardousSubstanceIdentifier",
    },
    "power": {"soc_percent": "/atSoC", "kw": "/powerCapabilityAt"},
    "resistance": {"ohm": "/ohmicResistance", "of": "/batteryComponent"},
}
"""Keys of the members of a list -> their paths."""

DETAILS: Final[Mapping[str, tuple[str, type[Any] | tuple[type[Any], ...]]]] = {
    "warranty_months": (f"{_GENERAL}/warrentyPeriod", int),
    "maker.email": (f"{_GENERAL}/manufacturerInformation/emailAddress", str),
    "extreme_high_c": ("/Performance/batteryCondition/temperatureInformation/timeExtremeHighTemp", (int, float)),
    "extreme_low_c": ("/Performance/batteryCondition/temperatureInformation/timeExtremeLowTemp", (int, float)),
}
"""What the model has no room for: key of a ``[[battery]]`` -> (the field beside which it is told, its type)."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """All that a maker says of one battery. ``values`` by path; ``details``: what the model has no room for, by our key."""

    model: str
    values: Mapping[str, Any]
    details: Mapping[str, Any]
    sha256: str

    @property
    def rated_ah(self) -> float | None:
        """Rated capacity, Ah; None where it does not stand there."""
        found = self.values.get(f"{_TECHNICAL}/ratedCapacity")
        return float(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class Sheets:
    """A file of data sheets."""

    packs: Mapping[PackKey, Sheet] = field(default_factory=dict)
    operator: Mapping[str, Any] = field(default_factory=dict)
    operator_email: str = ""

    def of(self, pack: PackKey) -> Sheet | None:
        """Of one battery; None where the file says nothing of it."""
        return self.packs.get(pack)


def read(data: bytes) -> Sheets:
    """Read a file. Raises :class:`~bms_bridge.passport.SheetRefused` with all that is wrong."""
    if len(data) > MOST_BYTES:
        raise SheetRefused(f"a file of {len(data):,} bytes; data sheets have at most {MOST_BYTES:,}")
    try:
        document = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise SheetRefused("it is no text in UTF-8: save it anew as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SheetRefused(f"it is no TOML: {error}") from None
    reader = _Reader()
    found = reader.sheets(document)
    if reader.wrong:
        more = len(reader.wrong) - _COMPLAINTS_MOST
        raise SheetRefused("\n".join([*reader.wrong[:_COMPLAINTS_MOST], *([f"… and {more} more"] if more > 0 else [])]))
    return found


class _Reader:
    """Collects complaints while it reads."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    def sheets(self, document: Mapping[str, Any]) -> Sheets:
        self._known(document, ("operator", "battery", "pack"), "the file")
        operator, email = self._operator(document.get("operator", {}))
        models: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
        for number, table in enumerate(self._tables(document, "battery"), 1):
            name = table.get("model")
            where = f"battery {number}" if not isinstance(name, str) else f"battery {name[:60]}"
            if not isinstance(name, str) or not name.strip():
                self.wrong.append(f'{where}: write model = "…", the name by which its packs call it')
            elif name in models:
                self.wrong.append(f"{where}: stands there twice")
            else:
                models[name] = self._model(table, where)
        packs: dict[PackKey, Sheet] = {}
        rows = self._tables(document, "pack")
        if len(rows) > MOST_PACKS:
            self.wrong.append(f"{len(rows)} packs; a depot has at most {MOST_PACKS}")
        for number, table in enumerate(rows[:MOST_PACKS], 1):
            self._pack(table, f"pack {number}", models, packs)
        return Sheets(packs, operator, email)

    def _operator(self, table: Any) -> tuple[dict[str, Any], str]:
        if not isinstance(table, Mapping):
            self.wrong.append("operator: write a table, [operator]")
            return {}, ""
        self._known(table, (*OPERATOR, "email"), "operator")
        values = {OPERATOR[key]: table[key] for key in OPERATOR if key in table}
        self._check(values, {path: f"operator: {key}" for key, path in OPERATOR.items()})
        email = table.get("email", "")
        return values, email if isinstance(email, str) else ""

    def _model(self, table: Mapping[str, Any], where: str) -> tuple[dict[str, Any], dict[str, Any]]:
        flat: dict[str, Any] = {}
        tables = {key.partition(".")[0] for key in (*MODEL, *DETAILS) if "." in key}
        for key, value in table.items():
            if key in tables and isinstance(value, Mapping):
                flat |= {f"{key}.{inner}": one for inner, one in value.items()}
            else:
                flat[key] = value
        self._known(flat, ("model", *MODEL, *DETAILS), where)
        values: dict[str, Any] = {}
        for key, path in MODEL.items():
            if key in flat:
                values[path] = self._list(key, flat[key], f"{where}: {key}") if key in ITEMS else flat[key]
        self._check(values, {path: f"{where}: {key}" for key, path in MODEL.items()})
        details = {key: flat[key] for key in DETAILS if key in flat}
        for key, value in details.items():
            kind = DETAILS[key][1]
            if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
                self.wrong.append(f"{where}: {key}: {value!r:.60} cannot be")
        months = details.get("warranty_months")
        if isinstance(months, int) and not 1 <= months <= 600:
            self.wrong.append(f"{where}: warranty_months: {months} is not within 1 and 600")
        return values, details

    def _list(self, key: str, value: Any, where: str) -> Any:
        """Members with our keys become members as the model has them."""
        if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
            self.wrong.append(f"{where}: write a list of tables")
            return []
        made = []
        for number, member in enumerate(value, 1):
            self._known(member, ITEMS[key], f"{where} {number}")
            one: dict[str, Any] = {}
            for inner, path in ITEMS[key].items():
                if inner in member:
                    deeper = f"{key}.{inner}"
                    put(one, path, self._list(deeper, member[inner], f"{where} {number}: {inner}") if deeper in ITEMS else member[inner])
            made.append(one)
        return made

    def _pack(
        self,
        table: Mapping[str, Any],
        where: str,
        models: Mapping[str, tuple[dict[str, Any], dict[str, Any]]],
        packs: dict[PackKey, Sheet],
    ) -> None:
        self._known(table, ("vehicle", "pack", "model", *OWN), where)
        vehicle, pack, model = table.get("vehicle"), table.get("pack", "P1"), table.get("model")
        if not isinstance(vehicle, str) or not isinstance(pack, str) or not vehicle or not pack:
            self.wrong.append(f'{where}: write vehicle = "…" and pack = "…", as the registry has them')
            return
        key, where = PackKey(vehicle, pack), f"pack {vehicle[:64]}/{pack[:64]}"
        if key in packs:
            self.wrong.append(f"{where}: stands there twice")
        if not isinstance(model, str) or model not in models:
            self.wrong.append(f"{where}: there is no battery of the model {model!r:.60}; known: {', '.join(sorted(models)) or 'none'}")
            return
        values, details = models[model]
        own = {OWN[name]: _moment(table[name]) for name in OWN if name in table}
        self._check(own, {path: f"{where}: {name}" for name, path in OWN.items()})
        if not self.wrong:
            packs[key] = Sheet(model, {**values, **own}, details, sha256_of({"values": {**values, **own}, "details": details}))

    def _check(self, values: Mapping[str, Any], places: Mapping[str, str]) -> None:
        for path, value in values.items():
            self._field(BY_PATH[path], value, places[path])

    def _field(self, one: Field, value: Any, where: str) -> None:
        words = wrong(one, value)
        if words:
            self.wrong.append(f"{where}: {words}")
        elif one.kind is Kind.NUMBER and one.low is not None and one.high is not None and not one.low <= value <= one.high:
            self.wrong.append(f"{where}: {value:g} {one.unit} cannot be; within {one.low:g} and {one.high:g}")
        elif isinstance(value, str) and (len(value) > _MOST_TEXT or not value.strip() or not value.isprintable()):
            self.wrong.append(f"{where}: write 1 to {_MOST_TEXT} printable characters, or leave it out")
        elif one.kind is Kind.LIST:
            for number, member in enumerate(value, 1):
                self._member(one, member, f"{where} {number}")

    def _member(self, one: Field, member: Mapping[str, Any], where: str) -> None:
        from bms_bridge.passport.fields import at

        for item in one.items:
            value = at(member, item.path)
            if value is None:
                if item.required:
                    self.wrong.append(f"{where}: {item.name} is missing")
            else:
                self._field(item, value, f"{where}: {item.name}")

    def _known(self, table: Mapping[str, Any], keys: Sequence[str] | Mapping[str, Any], where: str) -> None:
        for key in table:
            if key not in keys:
                near = difflib.get_close_matches(key, list(keys), 1)
                self.wrong.append(f"{where}: there is no {key[:60]!r}" + (f"; did you mean {near[0]}?" if near else ""))

    def _tables(self, document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
        found = document.get(name, [])
        if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
            self.wrong.append(f"{name}: write tables, [[{name}]]")
            return []
        return found


def _moment(value: Any) -> Any:
    """A day or a time of TOML as ISO 8601 in UTC; other values as they are."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return datetime.combine(value, time(), UTC).isoformat().replace("+00:00", "Z")
    return value
