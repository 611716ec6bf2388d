from __future__ import annotations

import pytest

from model.data.marks import UNKNOWN, Vocabulary, comm_marks, name_events, role, task_marks
from model.errors import SettingError, StreamError


@pytest.mark.parametrize(
    ("comm", "expected"),
    [
        ("kworker/0:1", "kworker/0"),
        ("kworker/0:2H", "kworker/0H"),
        ("kworker/1:3-eve", "kworker/1"),
        ("kworker/u8:4", "kworker/u8"),
        ("ksoftirqd/0", "ksoftirqd/0"),
        ("nginx", "nginx"),
        ("my kworker/0:1", "my kworker/0:1"),
    ],
)
def test_only_pooled_kernel_workers_lose_their_number(comm: str, expected: str) -> None:
    assert role(comm) == expected


def test_two_threads_of_one_name_have_the_same_comm_mark() -> None:
    assert comm_marks(["nginx", "nginx", "kworker/0:1", "kworker/0:7"]) == ["nginx", "nginx", "kworker/0", "kworker/0"]


def test_task_marks_number_the_threads_of_a_name_by_first_appearance() -> None:
    marks = task_marks(["nginx", "ab", "nginx", "nginx"], [70, 900, 60, 70])
    assert marks == ["nginx#0", "ab#0", "nginx#1", "nginx#0"]


def test_two_recordings_with_other_tids_share_their_marks() -> None:
    assert task_marks(["ab", "nginx"], [1, 2]) == task_marks(["ab", "nginx"], [5001, 4002])


def test_a_thread_that_changes_its_name_is_another_mark() -> None:
    assert task_marks(["sh", "ab"], [5, 5]) == ["sh#0", "ab#0"]


def test_an_unknown_kind_of_mark_is_named_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'pid'.*comm, task"):
        name_events("pid", ["a"], [1])


def test_a_name_outside_the_train_part_is_the_unknown_mark() -> None:
    vocabulary = Vocabulary.of(["ab#0", "nginx#0", "ab#0"])
    assert vocabulary.names[UNKNOWN] == "<unknown>"
    assert vocabulary.encode(["nginx#0", "cron#0", "ab#0"]).tolist() == [2, UNKNOWN, 1]


def test_a_task_cannot_pose_as_the_unknown_mark() -> None:
    vocabulary = Vocabulary.of(["<unknown>", "ab"])
    assert vocabulary.encode(["<unknown>"]).tolist() != [UNKNOWN]


def test_one_task_alone_is_refused_by_name() -> None:
    with pytest.raises(StreamError, match="only 'ab#0' runs"):
        Vocabulary.of(["ab#0"] * 50)
