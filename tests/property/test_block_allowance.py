"""Whatever the rest of the site draws: who follows the allowance has no block above its limit, under any alignment of the
meter's clock, unless what can't be held back forces it; and then the allowance has said so."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from grid.block_allowance import ALIGNMENTS, Trail, allowed_w

LENGTH_S = 300.0
TICK_S = 5.0
ERROR_S = 30.0


def means_of(powers: list[float], shift_s: float) -> list[float]:
    """Means of the whole blocks that begin at ``shift_s`` after multiples of the length."""
    per_block = round(LENGTH_S / TICK_S)
    first = round(shift_s / TICK_S) % per_block
    return [sum(powers[k : k + per_block]) / per_block for k in range(first, len(powers) - per_block + 1, per_block)]


@settings(deadline=None, max_examples=40)
@given(
    background=st.lists(st.integers(0, 260_000), min_size=12, max_size=60),
    wish=st.lists(st.integers(0, 400_000), min_size=12, max_size=60),
    floor_w=st.integers(0, 60_000),
    limit_w=st.integers(50_000, 300_000),
    shift=st.integers(0, ALIGNMENTS - 1),
    hold=st.integers(1, 12),
)
def test_no_block_is_above_its_limit(background: list[int], wish: list[int], floor_w: int, limit_w: int, shift: int, hold: int) -> None:
    trail = Trail(3 * LENGTH_S)
    powers: list[float] = []
    forced = False
    for k in range(150):
        now_s = k * TICK_S
        rest_w = background[k // hold % len(background)]
        allowed = allowed_w(trail, limit_w, now_s=now_s, begins_s=0.0, length_s=LENGTH_S, error_s=ERROR_S)
        charging = max(floor_w, min(wish[k // hold % len(wish)], allowed - rest_w))
        if rest_w + charging > allowed:
            forced = True  # the floor and the rest alone
        powers.append(float(rest_w + charging))
        trail.add(now_s, powers[-1])
    if not forced:
        shift_s = ERROR_S * (2 * shift / (ALIGNMENTS - 1) - 1)
        assert max(means_of(powers, shift_s)) <= limit_w * (1 + 1e-3)


def test_a_spike_early_is_repaid_late_and_what_was_spared_may_be_used() -> None:
    spike, spared = Trail(900), Trail(900)
    for k in range(30):
        spike.add(k * 5.0, 150_000)
        spared.add(k * 5.0, 20_000)
    state = {"now_s": 150.0, "begins_s": 0.0, "length_s": LENGTH_S, "error_s": 0.0}
    assert allowed_w(spike, 100_000, **state) == 50_000
    assert allowed_w(spared, 100_000, **state) == 180_000
    unsure = state | {"error_s": 30.0}
    assert allowed_w(spike, 100_000, **unsure) < 50_000
    assert allowed_w(spared, 100_000, **unsure) < 180_000


def test_what_was_not_measured_gives_no_credit() -> None:
    trail = Trail(900)
    trail.add(200.0, 10_000)  # the controller came up in the middle of the block
    state = {"now_s": 250.0, "begins_s": 0.0, "length_s": LENGTH_S, "error_s": 0.0}
    assert allowed_w(trail, 100_000, **state) == 190_000  # only what was seen to be spared
    assert allowed_w(Trail(900), 100_000, **state) == 100_000


def test_nothing_is_left_once_the_block_is_spent() -> None:
    trail = Trail(900)
    for k in range(45):
        trail.add(k * 5.0, 400_000)
    assert allowed_w(trail, 100_000, now_s=225.0, begins_s=0.0, length_s=LENGTH_S, error_s=30.0) == 0
