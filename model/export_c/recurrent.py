"""Export of a GRU or LSTM. Equations and order of the gates are those of torch.nn.GRU and torch.nn.LSTM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.errors import SettingError
from model.export_c.literals import fill, float_array
from model.export_c.parts import Parts
from model.export_c.quantize import MAX_COLUMNS, Matrix, pad_to_block
from model.nn.network import MARK_WIDTH, STATE_WIDTH
from model.predictors.recurrent import Recurrent

BLOCK = 32  # rows of a matrix that are multiplied side by side
GATES = {"gru": 3, "lstm": 4}
EXACTNESS = {
    "float": "Probabilities are within 1e-5 of the checkpoint's: weights and sums are 32-bit floats.",
    "int8": "Weights have 8 bits and one scale per row, the memory 16: probabilities differ from the checkpoint's.",
}


def write_parts(name: str, kind: str, network: Recurrent, quantize: str) -> Parts:
    """Export a network of `kind` gru or lstm. SettingError if sums of int8 products would overflow."""
    if quantize == "int8" and network.hidden > MAX_COLUMNS:
        raise SettingError(
            f"int8 holds up to {MAX_COLUMNS} hidden units, this model has {network.hidden}: export as float"
        )
    weights = {key: array.astype(np.float64) for key, array in network.arrays().items()}
    matrices = _matrices(weights, network.layers)
    data = [*_inputs(weights, network), *_biases(weights, network.layers)]
    data += [line for matrix in matrices for line in matrix.data(quantize)]
    shape = {"hidden": network.hidden, "layers": network.layers, "block": BLOCK}
    rows, outputs = _round_up(GATES[kind] * network.hidden), _round_up(network.marks)
    code = fill(
        "recurrent.c",
        name=name,
        cell_name=kind.upper(),
        rows=rows,
        outputs=outputs,
        data="\n".join(data),
        multiply=fill(f"multiply_{quantize}.c", matrices=_pointers(matrices, quantize)),
        cell=fill(f"cell_{kind}.c", name=name),
        **_first_layer(network.inputs == "slices", name),
        upper_layers=fill("upper_layers.c") + "\n" if network.layers > 1 else "",
        **shape,
    )
    return Parts(_state(kind, outputs, network), code, EXACTNESS[quantize])


def _round_up(rows: int) -> int:
    return -(-rows // BLOCK) * BLOCK


def _state(kind: str, outputs: int, network: Recurrent) -> tuple[str, ...]:
    cell_state = (f"    float cell_state[{network.layers}][{network.hidden}];",) if kind == "lstm" else ()
    return (f"    float memory[{network.layers}][{network.hidden}];", *cell_state, f"    float logit[{outputs}];")


def _matrices(weights: Mapping[str, np.ndarray], layers: int) -> list[Matrix]:
    """Return the matrices memory -> gates per layer, layer below -> gates for upper layers, and memory -> marks."""
    hidden = [Matrix(f"hidden_{layer}", weights[f"cell.weight_hh_l{layer}"], BLOCK) for layer in range(layers)]
    below = [Matrix(f"below_{layer}", weights[f"cell.weight_ih_l{layer}"], BLOCK) for layer in range(1, layers)]
    return [*hidden, *below, Matrix("output", weights["mark_out.weight"], BLOCK)]


def _pointers(matrices: list[Matrix], quantize: str) -> str:
    """Return the C constants that list the matrices by role."""

    def list_of(role: str) -> str:
        return ", ".join(matrix.pointers(quantize) for matrix in matrices if matrix.name.startswith(role))

    below = list_of("below")
    return "\n".join(
        [
            f"static const matrix hidden_matrix[LAYERS] = {{{list_of('hidden')}}};",
            *([f"static const matrix below_matrix[LAYERS - 1] = {{{below}}};"] if below else []),
            f"static const matrix output_matrix = {list_of('output')};",
        ]
    )


def _inputs(weights: Mapping[str, np.ndarray], network: Recurrent) -> list[str]:
    """Return what each mark, each end state and one unit of log slice add to the first layer's gates."""
    into_gates = weights["cell.weight_ih_l0"]
    from_mark = weights["mark_in.weight"] @ into_gates[:, :MARK_WIDTH].T + weights["cell.bias_ih_l0"]
    mark_array = float_array("from_mark", _rows(from_mark))
    if network.inputs == "marks":
        return [mark_array]
    states = slice(MARK_WIDTH, MARK_WIDTH + STATE_WIDTH)
    return [
        f"static const double LOG_MEAN = {network.scale.mean!r}, LOG_DEVIATION = {network.scale.deviation!r};",
        mark_array,
        float_array("from_state", _rows(weights["state_in.weight"] @ into_gates[:, states].T)),
        float_array("from_log", _rows(into_gates[:, -1:].T)[0]),
    ]


def _biases(weights: Mapping[str, np.ndarray], layers: int) -> list[str]:
    hidden = np.stack([weights[f"cell.bias_hh_l{layer}"] for layer in range(layers)])
    below = [weights[f"cell.bias_ih_l{layer}"] for layer in range(1, layers)]
    return [
        float_array("hidden_bias", _rows(hidden)),
        *([float_array("below_bias", _rows(np.stack(below)))] if below else []),
        float_array("output_bias", pad_to_block(weights["mark_out.bias"], BLOCK)),
    ]


def _rows(gates: np.ndarray) -> np.ndarray:
    """Pad (n, gates) to whole blocks."""
    return pad_to_block(gates.T, BLOCK).T


def _first_layer(slices: bool, name: str) -> dict[str, Any]:
    """Return the template values for the way an event enters the first layer."""
    if not slices:
        push = fill("network_marks.c", name=name)
        return {"parameters": "int32_t mark", "looked_up": "from_mark[mark][row]", "push": push}
    return {
        "parameters": "int32_t mark, int32_t end_state, float log_slice",
        "looked_up": "from_mark[mark][row] + from_state[end_state][row] + log_slice * from_log[row]",
        "push": fill("network_slices.c", name=name),
    }
