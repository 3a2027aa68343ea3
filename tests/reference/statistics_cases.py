#!/usr/bin/env python3
"""Writes statistics.json: samples with their statistics by SciPy, for the tests of apps/compare/statistics.c.

    python tests/reference/statistics_cases.py

This needs scipy and statsmodels (for Holm's correction, which SciPy has not). The stored file was written with scipy
1.17.1 and statsmodels 0.15.0.
"""

import json
import pathlib

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests

FILE = pathlib.Path(__file__).resolve().parent / "statistics.json"
random = np.random.default_rng(1)


def wilcoxon(values):
    """The two-sided probability, exact where it can be."""
    kept = values[values != 0]
    if len(kept) == 0:
        return 1.0
    if len(kept) > 100:
        return stats.wilcoxon(kept, method="approx", correction=False).pvalue
    if len(set(abs(kept))) == len(kept):
        return stats.wilcoxon(kept, method="exact").pvalue
    return stats.wilcoxon(kept, method=stats.PermutationMethod(n_resamples=2**14)).pvalue


def case(name, values):
    values = np.asarray(values, dtype=float)
    interval = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=100_000, rng=random,
                               confidence_level=0.95).confidence_interval
    return {"name": name, "values": values.tolist(), "mean": values.mean(), "deviation": values.std(ddof=1),
            "wilcoxon": float(wilcoxon(values)), "low": interval.low, "high": interval.high}


def main():
    cases = [
        case("two", [0.5, -0.25]),
        case("all positive", [0.1, 0.2, 0.3, 0.4, 0.5]),
        case("all negative", [-3, -1, -2, -4, -5, -6, -7, -8, -9, -10]),
        case("zeros", [0, 0, 1, -2, 3, 4, 5]),
        case("equal ranks", [1, 1, -1, 2, 2, -2, 3, 1, 4]),
        case("equal ranks and zeros", [0, 1, -1, 1, 1, 2, -3, 3, 3, 0, 5]),
    ]
    for count in (3, 8, 10, 13, 25, 50, 100):
        cases.append(case(f"normal, {count}", random.normal(0.3, 1, count)))
        cases.append(case(f"skewed, {count}", random.exponential(1, count) - 0.8))
    for count in (130, 400):
        cases.append(case(f"normal, {count}", random.normal(0.05, 1, count)))
        cases.append(case(f"rounded, {count}", np.round(random.normal(0.1, 1, count), 1)))
    holm = []
    for count in (1, 2, 5, 12):
        p = random.uniform(0, 1, count) ** 3
        holm.append({"before": p.tolist(), "after": multipletests(p, method="holm")[1].tolist()})
    FILE.write_text(json.dumps({"cases": cases, "holm": holm}, indent=1) + "\n")


if __name__ == "__main__":
    main()
