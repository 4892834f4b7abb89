"""How far predictions of a demand block's mean are off: learned from what became of the last ones. Pure.

A prediction with the share s of the block still to come is wrong by about s × the error of the power that was taken to
hold; so the error of the power is what is learned, as a running mean of its size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["PredictionError"]

LEARNS = 0.1
"""Weight of a new block in the running mean: some ten blocks are remembered."""

LOOKS = (0.75, 0.5, 0.25)
"""Shares of the block to come at which a prediction is kept to be judged."""


@dataclass(frozen=True, slots=True)
class PredictionError:
    """``power_error_w``: None until a block has ended that was predicted. ``open``: predictions of the running block."""

    power_error_w: float | None = None
    open: tuple[tuple[float, float], ...] = ()

    def predicted(self, mean_w: float, *, left_share: float) -> PredictionError:
        """A prediction was made with ``left_share`` of the block to come; kept where one is due."""
        due = sum(1 for share in LOOKS if left_share <= share)
        return replace(self, open=(*self.open, (left_share, mean_w))) if due > len(self.open) and left_share > 0 else self

    def ended(self, mean_w: float) -> PredictionError:
        """The block ended with this mean."""
        known = self.power_error_w
        for left_share, predicted_w in self.open:
            found = abs(predicted_w - mean_w) / left_share
            known = found if known is None else known + LEARNS * (found - known)
        return PredictionError(known)

    def of(self, left_share: float) -> int | None:
        """How far a prediction may be off with ``left_share`` of the block to come, W; None: not known yet."""
        return None if self.power_error_w is None else round(self.power_error_w * max(0.0, left_share))
