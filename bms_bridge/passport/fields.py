"""The fields of a passport: the six parts of the Battery Pass data model 1.2.0, described in our own words and structures.

A path is a JSON pointer (RFC 6901) below ``aspects``: ``/Performance/batteryTechicalProperties/ratedEnergy``. The model's own spelling is
kept where it is wrong (``batteryTechicalProperties``, ``remainingEnergyalue``, ``rPCLastUpdated``, ``warrentyPeriod``).

``point``: of Annex XIII of Regulation (EU) 2023/1542 that the field belongs to, which says who may see it (:mod:`.tiers`). Bounds say
what a real battery can have; they are ours, and wide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

ASPECTS: Final = ("GeneralProductInformation", "CarbonFootprint", "Circularity", "Labels", "MaterialComposition", "Performance")
DATA_MODEL: Final = "Battery Pass data model 1.2.0"

NO_NUMBER: Final = -999_999
NO_TEXT: Final = "unknown"
NO_URI: Final = "urn:chargeyard:unknown"
NO_TIME: Final = "0001-01-01T00:00:00Z"
"""What stands where a value is missing and the model wants one. None of them can be a real value, and ``absent`` names each place."""


class Kind(StrEnum):
    """What a value is. ``WORDS``: text by language; ``MONTH``: a month of the year, ``--06``; ``LIST``: of objects; ``TEXTS``: of texts.
    ``LETTERS``: an e-mail address in the model's part on the product, whose pattern lost its backslashes and takes the letter w, dots and
    hyphens alone: no real address fits, so we never write one there."""

    NUMBER = "number"
    TEXT = "text"
    URI = "uri"
    TIME = "time"
    CHOICE = "choice"
    TRUTH = "truth"
    WORDS = "words"
    EMAIL = "email"
    LETTERS = "letters"
    CAS = "cas"
    URN = "urn"
    MONTH = "month"
    LIST = "list"
    TEXTS = "texts"


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``low``, ``high``: bounds of a plausible number, in ``unit``; ``strict``: the model itself refuses what is outside.
    ``items``: the fields of a list's members, with paths below a member."""

    path: str
    kind: Kind
    point: int = 1
    unit: str = ""
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    required: bool = True
    strict: bool = False
    items: tuple[Field, ...] = ()
    placeholder: Any = None

    @property
    def name(self) -> str:
        """The last word of the path."""
        return self.path.rpartition("/")[2]

    @property
    def missing(self) -> Any:
        """What stands there where nothing is known."""
        if self.placeholder is not None:
            return self.placeholder
        match self.kind:
            case Kind.NUMBER:
                return NO_NUMBER
            case Kind.URI:
                return NO_URI
            case Kind.TIME:
                return NO_TIME
            case Kind.CHOICE:
                return self.choices[0]
            case Kind.TRUTH:
                return False
            case Kind.WORDS:
                return {}
            case Kind.EMAIL | Kind.LETTERS:
                return "unknown@example.invalid"
            case Kind.CAS:
                return "00-00-0"
            case Kind.URN:
                return NO_URI
            case Kind.MONTH:
                return "--01"
            case Kind.LIST | Kind.TEXTS:
                return []
            case Kind.TEXT:
                return NO_TEXT


def _number(path: str, unit: str, low: float, high: float, **more: Any) -> Field:
    return Field(path, Kind.NUMBER, unit=unit, low=low, high=high, **more)


def _choice(path: str, *choices: str, **more: Any) -> Field:
    return Field(path, Kind.CHOICE, choices=choices, **more)


def _address(base: str, **more: Any) -> tuple[Field, ...]:
    return tuple(Field(f"{base}/{name}", Kind.TEXT, **more) for name in ("addressCountry", "postalCode", "streetAddress"))


def _contact(base: str) -> tuple[Field, ...]:
    return (
        Field(f"{base}/contactName", Kind.TEXT),
        *_address(f"{base}/postalAddress"),
        Field(f"{base}/identifier", Kind.TEXT),
        Field(f"{base}/emailAddress", Kind.LETTERS, required=False),
        Field(f"{base}/webAddress", Kind.URI, required=False),
    )


def _dynamic(name: str, value: str, unit: str, low: float, high: float) -> tuple[Field, Field]:
    """A value of the battery's condition with the time at which it was true."""
    base = f"/Performance/batteryCondition/{name}"
    return _number(f"{base}/{value}", unit, low, high, point=4), Field(f"{base}/lastUpdate", Kind.TIME, point=4)


_GENERAL = "/GeneralProductInformation"
_TECHNICAL = "/Performance/batteryTechicalProperties"
_CONDITION = "/Performance/batteryCondition"
_COMPONENT = ("pack", "module", "cell")
_PLACE = (Field("/componentName", Kind.TEXT), Field("/componentId", Kind.TEXT, required=False))


def _within(base: str, fields: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(Field(base + one.path, one.kind, required=one.required) for one in fields)


FIELDS: Final[tuple[Field, ...]] = (
    # -- what it is ---------------------------------------------------------------------------------------------------------
    Field(f"{_GENERAL}/productIdentifier", Kind.TEXT),
    Field(f"{_GENERAL}/batteryPassportIdentifier", Kind.URN),
    _choice(f"{_GENERAL}/batteryCategory", "ev", "lmt", "industrial", "stationary"),
    *_contact(f"{_GENERAL}/manufacturerInformation"),
    Field(f"{_GENERAL}/manufacturingDate", Kind.TIME),
    _choice(f"{_GENERAL}/batteryStatus", "Original", "Repurposed", "Reused", "Remanufactured", "Waste", point=4),
    _number(f"{_GENERAL}/batteryMass", "kg", 0.5, 100_000),
    *_address(f"{_GENERAL}/manufacturingPlace"),
    *_contact(f"{_GENERAL}/operatorInformation"),
    Field(f"{_GENERAL}/puttingIntoService", Kind.TIME, point=4),
    Field(f"{_GENERAL}/warrentyPeriod", Kind.MONTH),
    # -- carbon -------------------------------------------------------------------------------------------------------------
    _number("/CarbonFootprint/batteryCarbonFootprint", "kg CO2e/kWh delivered", 0.001, 10),
    Field(
        "/CarbonFootprint/carbonFootprintPerLifecycleStage", Kind.LIST,
        items=(
            _choice("/lifecycleStage", "RawMaterialExtraction", "MainProduction", "Distribution", "Recycling"),
            _number("/carbonFootprint", "", -100, 100),
        ),
    ),
    Field("/CarbonFootprint/carbonFootprintPerformanceClass", Kind.TEXT),
    Field("/CarbonFootprint/carbonFootprintStudy", Kind.URI),
    _number("/CarbonFootprint/absoluteCarbonFootprint", "kg CO2e", 1, 1_000_000, required=False),
    # -- circularity --------------------------------------------------------------------------------------------------------
    Field(
        "/Circularity/dismantlingAndRemovalInformation", Kind.LIST, point=2,
        items=(
            _choice("/documentType", "BillOfMaterial", "Model3D", "DismantlingManual", "RemovalManual", "OtherManual", "Drawing"),
            Field("/mimeType", Kind.TEXT),
            Field("/documentURL", Kind.URI),
        ),
    ),
    Field(
        "/Circularity/sparePartSources", Kind.LIST, point=2,
        items=(
            Field("/nameOfSupplier", Kind.TEXT),
            *_address("/addressOfSupplier"),
            Field("/emailAddressOfSupplier", Kind.EMAIL),
            Field("/supplierWebAddress", Kind.URI),
            Field("/components", Kind.LIST, items=(Field("/partName", Kind.TEXT), Field("/partNumber", Kind.TEXT))),
        ),
    ),
    Field(
        "/Circularity/recycledContent", Kind.LIST,
        items=(
            _number("/preConsumerShare", "%", 0, 100, strict=True),
            _choice("/recycledMaterial", "Cobalt", "Nickel", "Lithium", "Lead"),
            _number("/postConsumerShare", "%", 0, 100, strict=True),
        ),
    ),
    Field("/Circularity/safetyMeasures/safetyInstructions", Kind.URI, point=2),
    Field("/Circularity/safetyMeasures/extinguishingAgent", Kind.TEXTS),
    Field("/Circularity/endOfLifeInformation/wastePrevention", Kind.URI),
    Field("/Circularity/endOfLifeInformation/separateCollection", Kind.URI),
    Field("/Circularity/endOfLifeInformation/informationOnCollection", Kind.URI),
    _number("/Circularity/renewableContent", "%", 0, 100),
    # -- labels -------------------------------------------------------------------------------------------------------------
    Field("/Labels/declarationOfConformity", Kind.URI),
    Field("/Labels/resultOfTestReport", Kind.URI, point=3),
    Field(
        "/Labels/labels", Kind.LIST,
        items=(
            Field("/labelingSymbol", Kind.URI),
            Field("/labelingMeaning", Kind.WORDS),
            _choice("/labelingSubject", "SeparateCollection", "HazardousMaterial", "CarbonFootPrint", "ExtinguishingAgent"),
        ),
    ),
    # -- materials ----------------------------------------------------------------------------------------------------------
    Field("/MaterialComposition/batteryChemistry/shortName", Kind.TEXT),
    Field("/MaterialComposition/batteryChemistry/clearName", Kind.TEXT),
    Field(
        "/MaterialComposition/batteryMaterials", Kind.LIST, point=2,
        items=(
            *_within("/batteryMaterialLocation", _PLACE),
            Field("/batteryMaterialIdentifier", Kind.CAS),
            Field("/batteryMaterialName", Kind.TEXT),
            _number("/batteryMaterialMass", "g", 0, 100_000_000),
            Field("/isCriticalRawMaterial", Kind.TRUTH),
        ),
    ),
    Field(
        "/MaterialComposition/hazardousSubstances", Kind.LIST,
        items=(
            _choice("/hazardousSubstanceClass", "AcuteToxicity", "SkinCorrosionOrIrritation", "EyeDamageOrIrritation"),
            Field("/hazardousSubstanceName", Kind.TEXT),
            _number("/hazardousSubstanceConcentration", "%", 0, 100),
            Field("/hazardousSubstanceImpact", Kind.TEXTS),
            *_within("/hazardousSubstanceLocation", _PLACE),
            Field("/hazardousSubstanceIdentifier", Kind.CAS),
        ),
    ),
    # -- what it could do when new ------------------------------------------------------------------------------------------
    Field(
        f"{_TECHNICAL}/originalPowerCapability", Kind.LIST,
        items=(_number("/atSoC", "%", 0, 100), _number("/powerCapabilityAt", "kW", 0.01, 50_000)),
    ),
    _number(f"{_TECHNICAL}/ratedMaximumPower", "kW", 0.01, 50_000),
    _number(f"{_TECHNICAL}/powerCapabilityRatio", "%", 1, 10_000),
    _number(f"{_TECHNICAL}/ratedEnergy", "kWh", 0.05, 100_000),
    _number(f"{_TECHNICAL}/expectedNumberOfCycles", "cycles", 50, 100_000),
    _number(f"{_TECHNICAL}/initialSelfDischarge", "%/month", 0, 30),
    _number(f"{_TECHNICAL}/roundtripEfficiency", "%", 50, 100),
    _number(f"{_TECHNICAL}/ratedCapacity", "Ah", 0.5, 100_000),
    Field(
        f"{_TECHNICAL}/initialInternalResistance", Kind.LIST,
        items=(_number("/ohmicResistance", "ohm", 0.000_001, 10), _choice("/batteryComponent", *_COMPONENT)),
    ),
    _number(f"{_TECHNICAL}/expectedLifetime", "years", 1, 50, placeholder=-32_768),
    _number(f"{_TECHNICAL}/cRate", "1/h", 0.01, 100, required=False),
    _number(f"{_TECHNICAL}/nominalVoltage", "V", 1, 2_000),
    _number(f"{_TECHNICAL}/minimumVoltage", "V", 0.5, 2_000),
    _number(f"{_TECHNICAL}/maximumVoltage", "V", 1, 2_000),
    _number(f"{_TECHNICAL}/capacityThresholdForExhaustion", "%", 20, 100),
    Field(f"{_TECHNICAL}/lifetimeReferenceTest", Kind.URI),
    _number(f"{_TECHNICAL}/cRateLifeCycleTest", "1/h", 0.01, 20),
    _number(f"{_TECHNICAL}/temperatureRangeIdleState", "degC", -20, 60, strict=True, placeholder=-20),
    _number(f"{_CONDITION}/roundTripEfficiencyat50PerCentCycleLife", "%", 50, 100),
    # -- how it is now ------------------------------------------------------------------------------------------------------
    _number(f"{_CONDITION}/energyThroughput", "kWh", 0, 1_000_000_000, point=4),
    *_dynamic("capacityThroughput", "capacityThroughputValue", "Ah", 0, 1_000_000_000),
    *_dynamic("numberOfFullCycles", "numberOfFullCyclesValue", "cycles", 0, 100_000),
    *_dynamic("stateOfCertifiedEnergy", "stateOfCertifiedEnergyValue", "%", 0, 115),
    *_dynamic("capacityFade", "capacityFadeValue", "%", -15, 100),
    *_dynamic("remainingEnergy", "remainingEnergyalue", "kWh", 0, 100_000),
    *_dynamic("remainingCapacity", "remainingCapacityValue", "Ah", 0, 100_000),
    Field(
        f"{_CONDITION}/negativeEvents", Kind.LIST, point=4,
        items=(Field("/negativeEvent", Kind.TEXT), Field("/lastUpdate", Kind.TIME)),
    ),
    *(
        _number(f"{_CONDITION}/temperatureInformation/{name}", "min", 0, 30_000_000, point=4)
        for name in ("timeExtremeHighTemp", "timeExtremeLowTemp", "timeExtremeHighTempCharging", "timeExtremeLowTempCharging")
    ),
    Field(f"{_CONDITION}/temperatureInformation/lastUpdate", Kind.TIME, point=4),
    Field(
        f"{_CONDITION}/remainingPowerCapability", Kind.LIST, point=4,
        items=(
            Field("/remainingPowerCapabilityValue/rPCLastUpdated", Kind.TIME),
            _number("/remainingPowerCapabilityValue/atSoC", "%", 0, 100, required=False),
            _number("/remainingPowerCapabilityValue/powerCapabilityAt", "kW", 0.01, 50_000, required=False),
            Field("/lastUpdate", Kind.TIME),
        ),
    ),
    _number(f"{_CONDITION}/powerFade", "%", -20, 100, point=4),
    _number(f"{_CONDITION}/roundTripEfficiencyFade", "%", -10, 60, point=4),
    _number(f"{_CONDITION}/evolutionOfSelfDischarge/evolutionOfSelfDischargeEntityValue", "%", -100, 10_000, point=4),
    *_dynamic("currentSelfDischargingRate", "currentSelfDischargingRateEntity", "%/month", 0, 100),
    Field(
        f"{_CONDITION}/internalResistanceIncrease", Kind.LIST, point=4,
        items=(
            _number("/internalResistanceIncreaseValue", "%", -50, 1_000),
            Field("/lastUpdate", Kind.TIME),
            _choice("/batteryComponent", *_COMPONENT),
        ),
    ),
    *_dynamic("remainingRoundTripEnergyEfficiency", "remainingRoundTripEnergyEfficiencyValue", "%", 40, 100),
    *_dynamic("stateOfCharge", "stateOfChargeValue", "%", 0, 100),
)  # fmt: skip

BY_PATH: Final[Mapping[str, Field]] = {one.path: one for one in FIELDS}


def at(document: Mapping[str, Any], path: str) -> Any:
    """The value at a path; None where nothing stands there."""
    found: Any = document
    for step in path.split("/")[1:]:
        if not isinstance(found, Mapping) or step not in found:
            return None
        found = found[step]
    return found


def as_number(value: Any) -> float | None:
    """A finite number; None for all that is none, or is larger than any computer's."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def put(document: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a path, making objects on the way."""
    *steps, last = path.split("/")[1:]
    for step in steps:
        document = document.setdefault(step, {})
    document[last] = value


def members(field: Field, values: Any, base: str) -> Iterator[tuple[Field, str, Any]]:
    """(field, path, value) of all fields of a list's members, lists within them too."""
    for index, member in enumerate(values if isinstance(values, list) else ()):
        for item in field.items:
            path, value = f"{base}/{index}{item.path}", at(member, item.path) if isinstance(member, Mapping) else None
            yield item, path, value
            if item.kind is Kind.LIST:
                yield from members(item, value, path)


def every(aspects: Mapping[str, Any]) -> Iterator[tuple[Field, str, Any]]:
    """(field, path, value or None) of all fields of a passport, those of lists' members too."""
    for field in FIELDS:
        value = at(aspects, field.path)
        yield field, field.path, value
        if field.kind is Kind.LIST:
            yield from members(field, value, field.path)
