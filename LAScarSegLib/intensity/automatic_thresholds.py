"""One-dimensional clustering, exact on sorted values: Otsu, k-means, two-component mixture. Each returns a grey level."""

import numpy as np

MAX_ITERATIONS = 1000


def otsu_threshold(values: np.ndarray) -> float:
    """The grey level that separates `values` (N,) into two classes of greatest between-class variance (Otsu 1979).

    Exact: every gap between neighbouring values is tried, no histogram. Halfway across the best gap; the value itself
    where there is only one.
    """
    ordered = np.sort(values.astype(np.float64))
    if ordered[0] == ordered[-1]:
        return float(ordered[0])
    below = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)
    lower_mean = sums[:-1] / below
    upper_mean = (sums[-1] - sums[:-1]) / (ordered.size - below)
    between = below * (ordered.size - below) * (upper_mean - lower_mean) ** 2
    between[ordered[1:] == ordered[:-1]] = -1.0
    best = int(np.argmax(between))
    return 0.5 * float(ordered[best] + ordered[best + 1])


def brightest_cluster_threshold(values: np.ndarray, clusters: int) -> float:
    """The grey level above which `values` (N,) belong to the brightest cluster of k-means (Lloyd 1982).

    Started at the quantiles (2c + 1) / (2 · clusters); z-scoring first, as the CARMA toolkit does, changes nothing.
    One sort, then every step is a search: exact, no sampling.
    """
    ordered = np.sort(values.astype(np.float64))
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    centres = np.quantile(ordered, (2 * np.arange(clusters) + 1) / (2 * clusters))
    for _ in range(MAX_ITERATIONS):
        cuts = np.concatenate([[0], np.searchsorted(ordered, 0.5 * (centres[1:] + centres[:-1])), [ordered.size]])
        counts = np.diff(cuts)
        moved = np.where(counts > 0, (sums[cuts[1:]] - sums[cuts[:-1]]) / np.maximum(counts, 1), centres)
        if np.array_equal(moved, centres):
            break
        centres = moved
    return 0.5 * float(centres[-1] + centres[-2])


def mixture_threshold(values: np.ndarray) -> float:
    """The grey level between the means of a two-component Gaussian mixture where both are equally likely.

    Fitted by expectation maximisation from the quartiles. Above the level the brighter component's posterior exceeds
    0.5; that it may do so again far below, where the wider component wins, is not scar and is left out. The value itself
    where there is only one.
    """
    values = values.astype(np.float64)
    if values.min() == values.max():
        return float(values[0])
    # A scan has far fewer grey levels than voxels: each is looked at once and counts as often as it occurs.
    x, count = np.unique(values, return_counts=True)
    spread = float(values.std())
    mean, sd, weight = np.quantile(values, [0.25, 0.75]), np.array([spread, spread]) / 2, np.array([0.5, 0.5])
    for _ in range(MAX_ITERATIONS):
        log_density = np.log(weight)[:, None] - np.log(sd)[:, None] - 0.5 * ((x - mean[:, None]) / sd[:, None]) ** 2
        bright = 1.0 / (1.0 + np.exp(np.clip(log_density[0] - log_density[1], -700, 700)))
        responsibility = np.stack([1.0 - bright, bright]) * count
        total = responsibility.sum(axis=1) + np.finfo(float).tiny
        moved = responsibility @ x / total
        sd = np.sqrt(np.maximum((responsibility * (x - moved[:, None]) ** 2).sum(axis=1) / total, (1e-3 * spread) ** 2))
        weight = total / total.sum()
        converged = np.abs(moved - mean).max() < 1e-6 * spread
        mean = moved
        if converged:
            break
    order = np.argsort(mean)
    return _equal_density(mean[order], sd[order], weight[order])


def _equal_density(mean: np.ndarray, sd: np.ndarray, weight: np.ndarray) -> float:
    """Where weight·N(mean, sd) of both components are equal, between the means; their middle if nowhere."""
    a = 0.5 / sd[0] ** 2 - 0.5 / sd[1] ** 2
    b = mean[1] / sd[1] ** 2 - mean[0] / sd[0] ** 2
    c = 0.5 * (mean[0] / sd[0]) ** 2 - 0.5 * (mean[1] / sd[1]) ** 2 + np.log(weight[1] * sd[0] / (weight[0] * sd[1]))
    roots = np.roots([a, b, c]) if abs(a) > 1e-12 * abs(b) else np.array([-c / b]) if b else np.array([])
    between = [r.real for r in roots if abs(r.imag) < 1e-9 and mean[0] <= r.real <= mean[1]]
    return float(between[0]) if between else float(mean.mean())
