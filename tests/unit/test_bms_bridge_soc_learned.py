"""The small taught estimator: good where it was taught, told as such, and refused where there is too little to teach."""

from __future__ import annotations

import numpy as np
import pytest

from bms_bridge.soc import TraceRefused
from bms_bridge.soc.cells import kind_of
from bms_bridge.soc.estimate import Samples
from bms_bridge.soc.learned import teach


def charges(count: int, seed: int, *, shift_v: float = 0.0) -> tuple[Samples, np.ndarray]:
    random = np.random.default_rng(seed)
    time = np.tile(np.arange(0, 7200, 60.0), (count, 1))
    current = np.tile(random.uniform(0.2, 0.45, (count, 1)), (1, 120))
    soc = 0.05 + np.cumsum(current, axis=1) / 60
    voltage = kind_of("NMC").curve.voltage(soc) + 0.08 * current + shift_v + random.normal(0, 0.002, soc.shape)
    return Samples(time_s=time, current_c=current, voltage_v=voltage, temperature_c=np.full_like(time, 25.0)), soc


def test_it_says_what_it_was_taught_and_its_interval_covers_like_cells() -> None:
    taught = teach(*charges(12, 1))
    samples, soc = charges(6, 2)
    said, low, high = taught.say(samples)
    assert np.sqrt(np.mean((said - soc) ** 2)) < 0.02
    assert np.mean((low <= soc) & (soc <= high)) > 0.8
    other, soc = charges(6, 3, shift_v=0.08)
    assert np.sqrt(np.mean((taught.say(other)[0] - soc) ** 2)) > 0.04  # a cell of another kind: nothing warns of it


def test_missing_samples_get_nothing_and_few_traces_are_refused() -> None:
    taught = teach(*charges(8, 1))
    samples, _ = charges(4, 2)
    samples.voltage_v[0, 5] = np.nan
    assert np.isnan(taught.say(samples)[0][0, 5])
    assert np.isfinite(taught.say(samples)[0][0, 6])
    with pytest.raises(TraceRefused, match="too few"):
        teach(*charges(3, 1))
