"""What a station measures at its outlets, and how it writes it down: with the names and texts of OCPP 1.6 (§7.33)."""

from __future__ import annotations

from collections.abc import Iterator

from depot.values import ConnectorId
from simulator.configuration import Configuration
from simulator.personas import Behaviour
from simulator.plant import Plant


class Measuring:
    """The meters of one station. ``unlabelled``: a station that says kWh where Wh are meant does not name the unit."""

    def __init__(self, plant: Plant, configuration: Configuration, behaviour: Behaviour, *, unlabelled: bool) -> None:
        self._plant = plant
        self._configuration = configuration
        self._kwh = behaviour.kwh
        self._unlabelled = unlabelled

    def register(self, key: ConnectorId) -> int:
        """Lifetime register as this station writes it in transaction messages."""
        return int(self._plant.register_wh(key) / (1000 if self._kwh else 1))

    def sampled_values(self, key: ConnectorId) -> Iterator[dict[str, str]]:
        """What is configured to be sampled, as far as it can be measured now."""
        wanted = self._configuration.listed("MeterValuesSampledData")
        vehicle = self._plant.vehicle(key)
        power_w = self._plant.power_w(key)
        if "Power.Active.Import" in wanted:
            yield {"value": str(max(0, power_w)), "measurand": "Power.Active.Import", "unit": "W"}
        if "Power.Active.Export" in wanted:
            yield {"value": str(max(0, -power_w)), "measurand": "Power.Active.Export", "unit": "W"}
        if "Energy.Active.Export.Register" in wanted:
            yield {"value": f"{self._plant.exported_wh(key):.1f}", "measurand": "Energy.Active.Export.Register", "unit": "Wh"}
        if "Energy.Active.Import.Register" in wanted:
            register = self._plant.register_wh(key)
            sample = {"value": f"{register:.1f}", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            if self._kwh:
                sample["value"] = f"{register / 1000:.4f}"
                if self._unlabelled:
                    del sample["unit"]  # where none is given, Wh is meant (§7.35)
            yield sample
        if vehicle is not None and "SoC" in wanted:
            yield {"value": f"{vehicle.pack.soc * 100:.1f}", "measurand": "SoC", "unit": "Percent"}
        if vehicle is not None and "Temperature" in wanted:
            yield {"value": f"{vehicle.pack.temp_c:.1f}", "measurand": "Temperature", "unit": "Celsius", "location": "EV"}
