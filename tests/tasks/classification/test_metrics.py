"""Metrics against scikit-learn, calibration against a loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from gatesweep.tasks.classification.metrics import calibration_error, confusion, metrics_of, reliability


def drawn(texts: int, labels: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities with ties among them, and every label at least once."""
    rng = np.random.default_rng(seed)
    score_NK = np.round(rng.normal(size=(texts, labels)), 1)
    p_NK = np.exp(score_NK) / np.exp(score_NK).sum(axis=1, keepdims=True)
    return p_NK, np.concatenate([np.arange(labels), rng.integers(0, labels, texts - labels)])


@given(texts=st.integers(8, 200), labels=st.integers(2, 5), seed=st.integers(0, 99))
def test_metrics_equal_those_of_scikit_learn(texts: int, labels: int, seed: int) -> None:
    p_NK, y_N = drawn(texts, labels, seed)
    found, every = metrics_of(p_NK, y_N), list(range(labels))
    said_N = p_NK.argmax(axis=1)
    assert found["loss"] == pytest.approx(reference.log_loss(y_N, p_NK, labels=every))
    assert found["accuracy"] == pytest.approx(reference.accuracy_score(y_N, said_N))
    assert found["f1"] == pytest.approx(
        reference.f1_score(y_N, said_N, labels=every, average="macro", zero_division=0.0))
    area = reference.roc_auc_score(y_N, p_NK[:, 1]) if labels == 2 else reference.roc_auc_score(
        y_N, p_NK, multi_class="ovr", labels=every)
    assert found["auroc"] == pytest.approx(area)
    assert (confusion(said_N, y_N, labels) == reference.confusion_matrix(y_N, said_N, labels=every)).all()


@given(texts=st.integers(4, 100), labels=st.integers(2, 4), seed=st.integers(0, 99))
def test_calibration_error_equals_a_loop_over_the_bins(texts: int, labels: int, seed: int) -> None:
    p_NK, y_N = drawn(texts, labels, seed)
    error = 0.0
    for number in range(15):
        inside = [n for n in range(texts) if number / 15 < p_NK[n].max() <= (number + 1) / 15]
        if inside:
            hits = np.mean([p_NK[n].argmax() == y_N[n] for n in inside])
            error += len(inside) / texts * abs(hits - np.mean([p_NK[n].max() for n in inside]))
    assert calibration_error(p_NK, y_N) == pytest.approx(error)
    assert reliability(p_NK, y_N)[0].sum() == texts


def test_where_one_label_alone_occurs_there_is_no_auroc() -> None:
    found = metrics_of(np.array([[0.2, 0.8], [0.6, 0.4]]), np.array([1, 1]))
    assert set(found) == {"loss", "accuracy", "f1", "ece"}
    assert found["accuracy"] == 0.5


def test_a_certain_and_wrong_answer_has_a_finite_loss() -> None:
    assert np.isfinite(metrics_of(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]))["loss"])
