"""Metrics of labels and silhouettes, against numbers worked out by hand."""

import numpy as np
import pytest

from srn_engine.train.metrics import mean_iou, silhouette_iou

TRUTH = np.array([[0, 0, 1, 1], [0, 2, 2, 2]])


def test_mean_iou_with_and_without_the_background():
    neural = np.array([[0, 1, 1, 1], [0, 2, 2, 0]])
    shares = [2 / 4, 2 / 3, 2 / 3]
    assert mean_iou(neural, TRUTH, 4) == pytest.approx(np.mean(shares))
    assert mean_iou(neural, TRUTH, 4, background=False) == pytest.approx(np.mean(shares[1:]))


def test_mean_iou_over_a_set_is_that_of_all_its_pixels():
    one, other = np.array([[1, 1, 0, 0]]), np.array([[0, 0, 1, 0]])
    truths = np.array([[1, 1, 1, 0]]), np.array([[0, 0, 0, 1]])
    assert mean_iou(np.stack([one, other]), np.stack(truths), 2, background=False) == pytest.approx(2 / 5)


def test_without_any_class_there_is_no_mean_iou():
    empty = np.zeros((2, 2), int)
    assert mean_iou(empty, empty, 3, background=False) is None
    assert mean_iou(empty, empty, 3) == 1


def test_silhouette_iou():
    neural, truth = np.array([[0.9, 0.6, 0.4, 0.0]]), np.array([[1.0, 0.2, 0.8, 0.0]])
    assert silhouette_iou(neural, truth) == pytest.approx(1 / 3)
    assert silhouette_iou(np.zeros((1, 4)), np.zeros((1, 4))) is None
