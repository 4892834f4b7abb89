"""Invented cells that fade, and the sixteen features of their charges; and retired cells with a pulse. Nothing here was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from bms_bridge.health.charge_table import FEATURES, ChargeTable
from bms_bridge.health.pulse_table import PulseTable


def fading_cells(
    cells: int = 12, charges: int = 30, *, batches: int = 2, seed: int = 0, shift: float = 0.0, noise: float = 0.003
) -> ChargeTable:
    """``shift``: a batch whose features lie elsewhere, as of another chemistry."""
    random = np.random.default_rng(seed)
    names, cycles, batch, features, capacity = [], [], [], [], []
    for cell in range(cells):
        fade, of = random.uniform(0.10, 0.22), cell % batches
        for charge in range(charges):
            soh = 1.0 - fade * (charge / charges) ** random.uniform(0.95, 1.05) + random.normal(0, noise / 4)
            row = np.full(len(FEATURES), 1.0) + random.normal(0, noise, len(FEATURES))
            row[FEATURES.index("CC_Q")] = (0.30 * soh + 0.004 * of) * np.exp(random.normal(0, noise)) * np.exp(shift)
            row[FEATURES.index("CC_charge_time")] = 900 * soh**1.2 * np.exp(random.normal(0, noise)) * np.exp(shift)
            row[FEATURES.index("CV_Q")] = 0.05 / soh**2 * np.exp(random.normal(0, noise)) * np.exp(-shift)
            row[FEATURES.index("voltage_mean")] = 4.1 - 0.2 * (1 - soh) + random.normal(0, noise / 10) + shift
            names.append(f"cell-{cell:02d}")
            cycles.append(float(charge + 1))
            batch.append(f"batch-{of}")
            features.append(row)
            capacity.append(2.0 * soh)
    count = len(names)
    return ChargeTable(
        "invented",
        np.array(names),
        np.array(cycles),
        np.array(batch),
        np.full(count, "NMC"),
        np.full(count, 25.0),
        np.array(features),
        np.array(capacity),
        np.full(count, 2.0),
    )


def write_charges(path: Path, table: ChargeTable) -> Path:
    """As a file that people would have (Parquet)."""
    columns = {name: table.features[:, number] for number, name in enumerate(FEATURES)}
    words = {"cell": table.cells.tolist(), "batch": table.batches.tolist()}
    numbers = {"cycle": table.cycles, "capacity": table.capacity_ah, "q_nom_Ah": table.nominal_ah}
    parquet.write_table(pa.table(words | columns | numbers), path)
    return path


def retired_cells(cells: int = 30, *, pulses: int = 3, kind: str = "NMC 5 Ah", seed: int = 0, noise_v: float = 0.0005) -> PulseTable:
    """Resistance grows as health falls; the state of charge lifts all voltages."""
    random = np.random.default_rng(seed)
    names, voltages, charge, health = [], [], [], []
    for cell in range(cells):
        soh = random.uniform(0.5, 0.95)
        for pulse in range(pulses):
            soc = 0.1 + 0.3 * pulse / max(pulses - 1, 1)
            row = np.full(21, 3.4 + 0.5 * soc)
            for step, current in enumerate((0.5, -0.5, 1.0, -1.0, 1.5)):
                jump, slow = current * 0.05 / soh, current * 0.06 / soh
                row[1 + 4 * step : 5 + 4 * step] += (jump, jump + slow, slow, slow / 5)
            names.append(f"cell-{cell:03d}")
            voltages.append(row + random.normal(0, noise_v, 21))
            charge.append(soc)
            health.append(soh)
    return PulseTable(np.array(names), np.full(len(names), kind), np.array(voltages), np.array(charge), np.array(health))


def write_pulses(path: Path, table: PulseTable, *, measured: bool = True) -> Path:
    """As a file that people would have (Parquet)."""
    chemistry, amp_hours, _ = str(table.kinds[0]).split()
    count = len(table)
    columns: dict[str, object] = {f"U{number + 1}": table.voltages_v[:, number] for number in range(21)}
    columns |= {"cell": table.cells.tolist(), "Mat": [chemistry] * count, "Qn": [float(amp_hours)] * count, "SOC": 100 * table.soc}
    parquet.write_table(pa.table(columns | ({"SOH": table.soh} if measured else {})), path)
    return path
