"""Is one configuration better than another, or were its seeds lucky? The paired t-test (Student, 1908, Biometrika 6).

    d_s = how much better b is with seed s        mean d ± t_{.975, n-1} · sd(d) / √n        t = mean d · √n / sd(d)

Paired by seed: what the same seed does to both (which examples come first, which weights start alike) cancels out. The
differences are taken to be normal, which five seeds cannot refute; Wilcoxon's test assumes less, and can never say
p < 0.05 of five pairs: its smallest two-sided p is 2/2⁵.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

CONFIDENCE = 0.95
FEWEST = 2


@dataclass(frozen=True)
class Paired:
    """How much better `b` is than `a`, in the metric's own unit, over the seeds that both have.

    `difference` is positive where b is better; of a metric whose better end nobody knows it is b - a.
    """

    seeds: tuple[int, ...]
    difference: float
    low: float
    high: float
    """The 95 % confidence interval of the mean difference."""

    sd: float
    """Of the differences (n - 1)."""

    t: float | None
    p: float | None
    """Two-sided; None where all differences are the same, so that nothing can be said of their spread."""

    mode: str | None
    """min or max; None: nobody knows which end is better."""

    @property
    def n(self) -> int:
        """Pairs."""
        return len(self.seeds)

    @property
    def margin(self) -> float:
        """Half of the interval: difference ± margin."""
        return (self.high - self.low) / 2

    @property
    def verdict(self) -> str:
        """better, worse (of b), undecided, or of a metric without direction differs."""
        if self.low <= 0 <= self.high:
            return "undecided"
        if self.mode is None:
            return "differs"
        return "better" if self.difference > 0 else "worse"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"n": self.n, **asdict(self), "seeds": list(self.seeds), "verdict": self.verdict}


def paired(a: Mapping[int, float], b: Mapping[int, float], mode: str | None) -> Paired | None:
    """The test over the seeds that both have; None where these are fewer than two.

    Args:
        a, b: a score for each seed.
        mode: min where less is better, max where more is; None where nobody knows.
    """
    seeds = tuple(sorted(seed for seed in a.keys() & b.keys() if math.isfinite(a[seed]) and math.isfinite(b[seed])))
    if len(seeds) < FEWEST:
        return None
    sign = -1.0 if mode == "min" else 1.0
    gains = [sign * (b[seed] - a[seed]) for seed in seeds]
    mean, sd = statistics.fmean(gains), statistics.stdev(gains)
    if sd <= 1e-12 * max(abs(a[seed]) + abs(b[seed]) for seed in seeds):  # nothing but rounding
        return Paired(seeds, mean, mean, mean, sd, None, None, mode)
    from scipy.stats import ttest_rel

    found = ttest_rel([sign * b[seed] for seed in seeds], [sign * a[seed] for seed in seeds])
    interval = found.confidence_interval(CONFIDENCE)
    return Paired(seeds, mean, float(interval.low), float(interval.high), sd, float(found.statistic),
                  float(found.pvalue), mode)


def sentence(a: str, b: str, metric: str, found: Paired) -> str:
    """`test/mae: b is better than a by 0.8 ± 0.3 over 5 seeds (95 % interval 0.5 to 1.1; paired t-test, p = 0.002)`."""
    over = f"over {found.n} seeds"
    if found.p is None:
        if not found.difference:
            return f"{metric}: {b} and {a} are equal with every one of {found.n} seeds"
        word = found.verdict if found.mode else "more" if found.difference > 0 else "less"
        return f"{metric}: {b} is {word} than {a} by {abs(found.difference):.4g} with every one of {found.n} seeds"
    low, high = (-found.high, -found.low) if found.mode and found.difference < 0 else (found.low, found.high)
    test = f"95 % interval {low:.4g} to {high:.4g}; paired t-test, p = {found.p:.2g}"  # in the direction that is told
    size = f"{abs(found.difference):.4g} ± {found.margin:.2g}"
    if found.mode is None:
        return f"{metric}: {b} minus {a} is {found.difference:.4g} ± {found.margin:.2g} {over} ({test})"
    word = "better" if found.difference > 0 else "worse"
    if found.verdict == "undecided":
        return f"{metric}: no difference shown {over}: {b} is {word} than {a} by {size} ({test})"
    return f"{metric}: {b} is {word} than {a} by {size} {over} ({test})"
