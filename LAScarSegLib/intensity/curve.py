"""How much is scar at every threshold: the curve every result shows (SCIENCE section 4)."""

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, eq=False)
class ThresholdCurve:
    """Scar against threshold; all arrays have one entry per threshold, ascending.

    `threshold_intensity` grey level; `iir` the same over the blood mean; `sd` the same in SDs above the blood mean;
    the shares of surface and wall as in measurements.json;
    `lge_area_pct` share of the surface whose projected intensity passes (display statistic, not a measurement); both shares of
    the LA wall proper NaN without planes.
    """

    threshold_intensity: np.ndarray
    iir: np.ndarray
    sd: np.ndarray
    scar_area_pct: np.ndarray
    scar_area_pct_wall: np.ndarray
    scar_pct_of_wall_volume: np.ndarray
    lge_area_pct: np.ndarray
    scar_pct_of_wall_volume_wall: np.ndarray

    def withheld(self) -> "ThresholdCurve":
        """The same thresholds without the shares."""
        shares = [name for name in self.__dict__ if name not in ("threshold_intensity", "iir", "sd")]
        return replace(self, **dict.fromkeys(shares, np.full(self.iir.shape, np.nan)))

    def columns(self) -> dict[str, np.ndarray]:
        """Column name -> values, in the order of threshold_curve.csv."""
        return dict(self.__dict__)


def share_above(values: np.ndarray, weights: np.ndarray | None, thresholds: np.ndarray) -> np.ndarray:
    """Percentage of `weights` (ones if None) whose `values` exceed each threshold. NaN when there is no weight."""
    order = np.argsort(values)
    weights = np.ones(len(values)) if weights is None else weights
    below = np.concatenate([[0.0], np.cumsum(weights[order], dtype=np.float64)])
    if below[-1] == 0:
        return np.full(len(thresholds), np.nan)
    position = np.searchsorted(values[order], thresholds, side="right")
    return 100.0 * (1.0 - below[position] / below[-1])
