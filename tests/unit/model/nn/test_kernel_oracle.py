from __future__ import annotations

import numpy as np
import pytest

from model.errors import SettingError, StreamError
from model.nn import kernel_oracle
from model.nn.kernel_oracle import AS_CODED, AS_WRITTEN, CORRECTED, Choices
from model.settings import SEQUENCES


def events(count: int, names: int = 4) -> tuple[list[str], np.ndarray]:
    """Names in a cycle with some noise, and lengths."""
    draw = np.random.default_rng(0)
    code = np.where(draw.uniform(size=count) < 0.1, draw.integers(0, names, count), np.arange(count) % names)
    return [f"task{number}" for number in code], draw.integers(1000, 90_000, count)


def test_a_step_of_the_scrambled_layout_mixes_cells_of_rows_far_apart() -> None:
    matrix = np.arange(SEQUENCES * 40, dtype=float)[:, None] * np.ones((1, 5))  # every cell holds its row's number
    scrambled, ordered = (kernel_oracle.lay_out(matrix, flag) for flag in (True, False))
    assert np.ptp(ordered[0, 7]) == 0
    assert np.ptp(scrambled[0, 7]) == 32  # 4 columns further on, 8 rows each
    assert scrambled.shape == ordered.shape == (SEQUENCES, 40, 5)


@pytest.mark.parametrize("sequences", [SEQUENCES, 64])
def test_nearly_all_test_sequences_of_the_code_were_trained_on(sequences: int) -> None:
    numbers = np.arange(sequences)
    trained, tested = kernel_oracle.split(numbers, overlapping=True)
    assert len(set(tested) & set(trained)) / len(tested) == pytest.approx(0.969, abs=2e-3)
    trained, tested = kernel_oracle.split(numbers, overlapping=False)
    assert not set(tested) & set(trained)


def test_the_curve_starts_at_the_loss_of_a_constant() -> None:
    names, lengths = events(SEQUENCES * 6, names=28)
    matrix = kernel_oracle.rows(names, np.zeros(len(lengths)), AS_CODED)
    constant, clock, table = kernel_oracle.baselines(matrix)
    assert constant == pytest.approx((28 / 29 / 28) * (1 - 1 / 29), rel=0.01)
    assert table < clock < constant


def test_the_outlier_is_treated_as_chosen() -> None:
    names, lengths = events(SEQUENCES * 4)
    lengths[100] = 10**9
    sizes = {
        choices.outlier: kernel_oracle.rows(names, lengths, choices) for choices in (AS_CODED, AS_WRITTEN, CORRECTED)
    }
    assert sizes["zero"][100, 0] == 0
    assert len(sizes["drop"]) == len(names) - 1
    assert sizes["drop"][:, 0].std() == pytest.approx(1)  # measured without it
    assert sizes["keep"][100, 0] == 1
    assert sizes["keep"][:, 0].mean() < 0.01  # min-max leaves the rest next to nothing


@pytest.mark.slow
def test_training_lowers_the_loss_and_repeats_its_curve() -> None:
    names, lengths = events(SEQUENCES * 4)
    choices = Choices(scrambled=False, overlapping=False, steps=1)
    curves = [kernel_oracle.train(names, lengths, choices)[1] for _ in range(2)]
    assert curves[0] == curves[1]
    assert curves[0].test[-1] < curves[0].constant
    assert curves[0].columns == 5


def test_too_short_a_recording_and_an_unknown_choice_are_refused() -> None:
    with pytest.raises(StreamError, match="984 sequences"):
        kernel_oracle.rows(*events(500), AS_CODED)
    with pytest.raises(SettingError, match="min_max or z_score"):
        Choices(scaling="robust")


def test_the_inputs_of_a_scrambled_step_hold_other_cells_of_the_row_to_predict() -> None:
    rows_of_19 = np.arange(SEQUENCES * 15, dtype=float)[:, None] * np.ones((1, 19))  # every cell holds its row's number
    sequence = kernel_oracle.lay_out(rows_of_19, scrambled=True)[0]
    inputs, target = set(sequence[:8].ravel()), sequence[8]
    assert set(target) <= inputs
    assert not set(kernel_oracle.lay_out(rows_of_19, scrambled=False)[0, 8]) & set(range(8))
