"""A ranking of runnable tasks becomes probabilities, and names a task."""

from __future__ import annotations

import numpy as np

from model.replay.ranking import Ranking


def test_the_likeliest_task_is_the_first_of_the_largest_weight() -> None:
    ranking = Ranking(np.array([1, 2, 0, 0]), np.array([70, 80, 90, 60]), np.array([0, 2, 2, 4]))
    assert ranking.likeliest(np.array([0.2, 0.7, 0.5, 0.5])).tolist() == [80, -1, 90]
    assert ranking.likeliest(np.array([0.7, 0.2, 0.1, 0.5])).tolist() == [70, -1, 60]


def test_no_events_name_no_task() -> None:
    empty = np.zeros(0, np.int64)
    assert Ranking(empty, empty, np.zeros(1, np.int64)).likeliest(np.zeros(0)).tolist() == []
