"""A GRU or LSTM as C. Equations and order of the gates are those of torch.nn.GRU and torch.nn.LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.errors import SettingError
from model.export_c.literals import filled, real
from model.export_c.parts import Parts
from model.export_c.quantize import WIDEST, Matrix, filled_up
from model.nn.network import MARK_WIDTH, STATE_WIDTH
from model.predictors.recurrent import Recurrent

BLOCK = 32  # rows added up side by side
GATES = {"gru": 3, "lstm": 4}
EXACTNESS = {
    "float": "Probabilities are within 1e-5 of the checkpoint's: weights and sums are 32-bit floats.",
    "int8": "Weights of 8 bits, one scale a row; the memory enters matrices in 16 bits. Not those of the checkpoint.",
}


def parts(name: str, kind: str, network: Recurrent, quantize: str) -> Parts:
    """The network with `kind` gru or lstm. SettingError where sums of int8 products would overflow."""
    if quantize == "int8" and network.hidden > WIDEST:
        raise SettingError(f"int8 holds up to {WIDEST} hidden units, this model has {network.hidden}: export as float")
    weights = {key: array.astype(np.float64) for key, array in network.arrays().items()}
    matrices = _matrices(weights, network.layers)
    data = [*_inputs(weights, network), *_biases(weights, kind, network.layers)]
    data += [line for matrix in matrices for line in matrix.data(quantize)]
    shape = {"hidden": network.hidden, "layers": network.layers, "block": BLOCK}
    rows, outputs = _whole(GATES[kind] * network.hidden), _whole(network.marks)
    code = filled(
        "recurrent.c",
        name=name,
        cell_name=kind.upper(),
        rows=rows,
        outputs=outputs,
        data="\n".join(data),
        multiply=filled(f"multiply_{quantize}.c", matrices=_pointers(matrices, quantize)),
        cell=filled(f"cell_{kind}.c", name=name),
        **_first_layer(network.inputs == "slices", name),
        upper_layers=_upper_layers(network.layers),
        **shape,
    )
    return Parts(_state(kind, outputs, network), code, EXACTNESS[quantize])


def _whole(rows: int) -> int:
    return -(-rows // BLOCK) * BLOCK


def _state(kind: str, outputs: int, network: Recurrent) -> tuple[str, ...]:
    kept = (f"    float kept[{network.layers}][{network.hidden}];",) if kind == "lstm" else ()
    return (f"    float memory[{network.layers}][{network.hidden}];", *kept, f"    float logit[{outputs}];")


def _matrices(weights: Mapping[str, np.ndarray], layers: int) -> list[Matrix]:
    """From memory to gates for each layer, from the layer below for all but the first, and from memory to marks."""
    hidden = [Matrix(f"hidden_{layer}", weights[f"cell.weight_hh_l{layer}"], BLOCK) for layer in range(layers)]
    below = [Matrix(f"below_{layer}", weights[f"cell.weight_ih_l{layer}"], BLOCK) for layer in range(1, layers)]
    return [*hidden, *below, Matrix("output", weights["mark_out.weight"], BLOCK)]


def _pointers(matrices: list[Matrix], quantize: str) -> str:
    """The matrices by role."""

    def of(role: str) -> str:
        return ", ".join(matrix.pointers(quantize) for matrix in matrices if matrix.name.startswith(role))

    below = of("below")
    return "\n".join(
        [
            f"static const matrix hidden_matrix[LAYERS] = {{{of('hidden')}}};",
            *([f"static const matrix below_matrix[LAYERS - 1] = {{{below}}};"] if below else []),
            f"static const matrix output_matrix = {of('output')};",
        ]
    )


def _inputs(weights: Mapping[str, np.ndarray], network: Recurrent) -> list[str]:
    """What the first layer's gates get from each mark, each end state and one unit of log slice."""
    into = weights["cell.weight_ih_l0"]
    of_mark = weights["mark_in.weight"] @ into[:, :MARK_WIDTH].T + weights["cell.bias_ih_l0"]
    found = [real("from_mark", _rows(of_mark))]
    if network.inputs == "marks":
        return found
    states = slice(MARK_WIDTH, MARK_WIDTH + STATE_WIDTH)
    return [
        f"static const double LOG_MEAN = {network.scale.mean!r}, LOG_DEVIATION = {network.scale.deviation!r};",
        *found,
        real("from_state", _rows(weights["state_in.weight"] @ into[:, states].T)),
        real("from_log", _rows(into[:, -1:].T)[0]),
    ]


def _biases(weights: Mapping[str, np.ndarray], kind: str, layers: int) -> list[str]:
    hidden = np.stack([weights[f"cell.bias_hh_l{layer}"] for layer in range(layers)])
    below = [weights[f"cell.bias_ih_l{layer}"] for layer in range(1, layers)]
    return [
        real("hidden_bias", _rows(hidden)),
        *([real("below_bias", _rows(np.stack(below)))] if below else []),
        real("output_bias", filled_up(weights["mark_out.bias"], BLOCK)),
    ]


def _rows(gates: np.ndarray) -> np.ndarray:
    """(n, gates) filled up to whole blocks."""
    return filled_up(gates.T, BLOCK).T


def _first_layer(slices: bool, name: str) -> dict[str, Any]:
    """How an event reaches the first layer."""
    if not slices:
        push = filled("network_marks.c", name=name)
        return {"parameters": "int32_t mark", "looked_up": "from_mark[mark][row]", "push": push}
    return {
        "parameters": "int32_t mark, int32_t end_state, float log_slice",
        "looked_up": "from_mark[mark][row] + from_state[end_state][row] + log_slice * from_log[row]",
        "push": filled("network_slices.c", name=name),
    }


def _upper_layers(layers: int) -> str:
    return filled("upper_layers.c") + "\n" if layers > 1 else ""
