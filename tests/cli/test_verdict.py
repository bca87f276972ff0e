"""What is said in words of a score beside its baseline."""

from __future__ import annotations

import pytest

from gatesweep.cli.training import _verdict


@pytest.mark.parametrize(("metrics", "baseline", "said"), [
    ({"test/mae": 1.0}, {"test/mae": 2.0}, "test/mae: 50.0% better than the baseline b"),
    ({"test/ppl": 150.0}, {"test/ppl": 100.0}, "test/ppl: 50.0% worse than the baseline b"),
    ({"test/accuracy": 0.9}, {"test/accuracy": 0.6}, "test/accuracy: 50.0% better than the baseline b"),
    ({"test/bleu": 5.0}, {"test/bleu": 10.0}, "test/bleu: 50.0% worse than the baseline b"),
    ({"test/mae": 2.0}, {"test/mae": 2.0}, "test/mae: no better than the baseline b"),
    ({"val/mae": 1.0, "test/f1": 1.0}, {"val/mae": 2.0, "test/f1": 2.0}, "val/mae: 50.0% better than the baseline b"),
    ({"test/mae": 1.0}, {"test/mae": 0.0}, ""),
    ({"test/f1": 1.0}, {"test/f1": 0.5}, ""),
])  # fmt: skip
def test_the_tasks_own_measure_is_compared_and_its_direction_known(
    metrics: dict[str, float], baseline: dict[str, float], said: str
) -> None:
    assert _verdict(metrics, {"name": "b", "metrics": baseline}, ("val", "test")) == said
