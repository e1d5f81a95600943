"""The autoencoder in int8, by TensorFlow Lite's quantization specification, one scale for each tensor."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Scale:
    """real = scale * (stored - zero_point)."""

    scale: float
    zero_point: int


@dataclass
class Dense:
    """A fully connected layer: `weights` are (outputs, inputs)."""

    weights: np.ndarray
    weight_scale: float
    bias: np.ndarray
    input: Scale
    output: Scale
    relu: bool

    @property
    def multiplier(self) -> float:
        """From the accumulator's unit to the output's."""
        return self.input.scale * self.weight_scale / self.output.scale


def quantize(weights: list[np.ndarray], biases: list[np.ndarray], readings: np.ndarray) -> list[Dense]:
    """Layers (inputs, outputs) in f64, with ReLU on all but the last; the readings say which values activations take."""
    layers = []
    activations, scale = readings, asymmetric(readings)
    for index, (weight, bias) in enumerate(zip(weights, biases)):
        relu = index + 1 < len(weights)
        activations = activations @ weight + bias
        activations = np.maximum(activations, 0.0) if relu else activations
        output = asymmetric(activations)
        weight_scale = np.abs(weight).max() / 127.0
        layers.append(
            Dense(
                weights=np.rint(weight.T / weight_scale).astype(np.int8),
                weight_scale=weight_scale,
                bias=np.rint(bias / (scale.scale * weight_scale)).astype(np.int32),
                input=scale,
                output=output,
                relu=relu,
            )
        )
        scale = output
    return layers


def asymmetric(values: np.ndarray) -> Scale:
    """The whole range of the values on -128 to 127, and 0 on one of these."""
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    scale = (high - low) / 255.0
    return Scale(scale, int(np.rint(-128 - low / scale)))
