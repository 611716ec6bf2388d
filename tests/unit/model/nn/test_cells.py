from __future__ import annotations

import pytest
import torch

from model.nn import cells
from model.nn.cells import PIECE, Attention, AttentionLayer


@pytest.fixture
def attention() -> Attention:
    torch.manual_seed(0)
    cell = Attention(5, 8, 2)
    for weight in cell.parameters():
        weight.data.add_(torch.randn_like(weight) / 5)
    return cell


@torch.no_grad()
def test_attention_over_a_long_stream_takes_no_more_memory_than_over_a_piece(
    attention: Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs, lengths = torch.randn(2, 4 * PIECE + 7, 5), []
    mask = AttentionLayer._mask

    def record_length(layer: AttentionLayer, steps: int) -> torch.Tensor:
        lengths.append(steps)
        return mask(layer, steps)

    monkeypatch.setattr(AttentionLayer, "_mask", record_length)
    in_pieces, state = attention(inputs)
    assert max(lengths) <= PIECE + attention.reach
    monkeypatch.setattr(cells, "PIECE", inputs.shape[1])
    whole, end = attention(inputs)
    assert max(lengths) == inputs.shape[1]
    torch.testing.assert_close(in_pieces, whole, atol=1e-5, rtol=1e-5)
    assert torch.equal(state, end)
