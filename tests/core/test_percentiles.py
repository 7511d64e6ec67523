from __future__ import annotations

import math

from core.percentiles import histogram_percentile, percentile


def test_percentiles_are_measured_values() -> None:
    assert percentile([3, 1, 2], 50) == 2
    assert percentile(range(1, 101), 95) == 95
    assert percentile([1.0], 95) == 1.0
    assert percentile([1.0, 2.0], 0) == 1.0


def test_no_values_have_no_percentile() -> None:
    assert math.isnan(percentile([], 95))
    assert histogram_percentile({}, 95) is None
    assert histogram_percentile({100: 0}, 95) is None


def test_a_histogram_gives_nearly_the_percentile_of_its_values() -> None:
    values = [100] * 40 + [200] * 55 + [500] * 5
    histogram = {500: 5, 100: 40, 200: 55}
    for percent in (1, 40, 41, 50, 95, 96, 100):
        assert histogram_percentile(histogram, percent) == percentile(values, percent)
