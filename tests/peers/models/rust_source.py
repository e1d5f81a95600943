"""The int8 autoencoder as constants for embedded-nn, which takes weights and requantization as its caller has them."""

import numpy as np
from quantization import Dense


def rust_source(layers: list[Dense]) -> str:
    """A static of the program's type `Layer` for each layer, and the scales of what goes in and comes out."""
    scales = f"""\
const INPUT_SCALE: f32 = {np.float32(layers[0].input.scale)!s};
const OUTPUT_SCALE: f32 = {np.float32(layers[-1].output.scale)!s};
"""
    return scales + "".join(layer_source(index, layer) for index, layer in enumerate(layers))


def layer_source(index: int, layer: Dense) -> str:
    outputs, inputs = layer.weights.shape
    multiplier, shift = fixed_point(layer.multiplier)
    lowest = layer.output.zero_point if layer.relu else -128
    return f"""\
static LAYER_{index}: Layer<{inputs}, {outputs}, {inputs * outputs}> = Layer {{
    weights: [{numbers(layer.weights)}],
    bias: [{numbers(layer.bias)}],
    input_zero_point: {layer.input.zero_point},
    output_zero_point: {layer.output.zero_point},
    lowest: {lowest},
    multiplier: {multiplier},
    shift: {shift},
}};
"""


def fixed_point(factor: float) -> tuple[int, int]:
    """factor = multiplier / 2^31 * 2^shift, the multiplier in 31 bits."""
    mantissa, shift = np.frexp(factor)
    multiplier = int(np.rint(mantissa * (1 << 31)))
    if multiplier == 1 << 31:
        return multiplier // 2, int(shift) + 1
    return multiplier, int(shift)


def numbers(values: np.ndarray) -> str:
    return ", ".join(str(value) for value in values.flatten())
