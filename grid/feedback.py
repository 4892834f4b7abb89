"""What the utility is told, at one moment, and as which points of the register map. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from depot.readings import SiteReading
from depot.values import UtilityLink
from grid.failsafe import Verdict
from grid.limit_access import LimitServerSettings
from grid.limit_model import COMMON, DER_CONTROL, LOAD_LIMIT, Alarm, Compliance, LimitOrigin
from grid.meter_model import METER, values_of
from grid.registers import Values

NO_ALARM: Final = Alarm(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """What the utility is told; None: not known. ``link`` (steady axis) and ``verdict``: the utility's own limit;
    ``effective_w`` and ``origin``: the limit that binds the site, whoever set it. ``reading``: the connection-point meter's
    newest, ``meter_age_s`` old. Powers are grid side."""

    link: UtilityLink
    verdict: Verdict
    effective_w: int
    origin: LimitOrigin
    contract_w: int
    utc: datetime
    contract_va: int | None = None
    reading: SiteReading | None = None
    base_w: int | None = None
    evse_w: int | None = None
    floor_w: int | None = None
    demand_w: int | None = None
    predicted_va: int | None = None
    demand_left_s: int | None = None
    compliance: Compliance = Compliance.NOT_KNOWN
    meter_age_s: int | None = None
    evses_online: int | None = None
    alarms: Alarm = NO_ALARM

    def values(self, settings: LimitServerSettings, up_s: int) -> dict[int, Values]:
        """Point values by model id. ``up_s`` counts our own heartbeat."""
        reading, alarms = self.reading, self.alarms | self.verdict.alarms
        common: Values = {
            "Mn": "Chargeyard", "Md": settings.model, "Vr": settings.version, "SN": settings.serial, "DA": min(settings.unit_ids),
        }  # fmt: skip
        block: Values = {
            "LimSt": self.verdict.state, "LimSrc": self.origin, "WLimEff": self.effective_w, "WLimRvrtRem": self.verdict.remaining_s,
            "WImp": None if reading is None else reading.power_w, "VAImp": None if reading is None else reading.apparent_va,
            "WBase": self.base_w, "WEvse": self.evse_w, "WMinEvse": self.floor_w,
            "WDemAvg": self.demand_w, "VADemPred": self.predicted_va, "DemRem": self.demand_left_s, "Compl": self.compliance,
            "WMaxCtr": self.contract_w, "VACtr": self.contract_va, "DevHb": up_s, "Tms": int(self.utc.timestamp()),
            "MtrAge": self.meter_age_s, "NEvse": self.evses_online, "Alm": int(alarms),
        }  # fmt: skip
        return {
            COMMON: common,
            METER: values_of(reading, contract_w=self.contract_w, stale=Alarm.METER_STALE in alarms),
            DER_CONTROL: {"LocRemCtl": 0, "DERHb": up_s},
            LOAD_LIMIT: block,
        }
