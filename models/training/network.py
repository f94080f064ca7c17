"""A streaming network of depthwise-separable convolutions over time, to train in Keras and to run step by step.

`Shape.training_model` sees whole sequences; `Streaming` computes the same, three feature frames at a time, with its
past in variables: the pattern of microWakeWord's models, which the board's compiler runs with ring buffers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from models.training.features import CHANNELS

STEP_FRAMES = 3


@dataclass(frozen=True)
class Shape:
    """The first convolution's channels and kernel in frames, then (kernel, channels) of each block.

    The blocks' kernels, and `tail`, how many steps the last layer sees at once, count steps of 30 ms.
    """

    first_channels: int
    first_kernel: int
    blocks: tuple[tuple[int, int], ...]
    tail: int
    outputs: int

    @property
    def macs_per_step(self) -> int:
        """Multiplications per inference; as many int8 weights."""
        total, channels = self.first_kernel * CHANNELS * self.first_channels, self.first_channels
        for kernel, wide in self.blocks:
            total += kernel * channels + channels * wide
            channels = wide
        return total + self.tail * channels * self.outputs

    def training_model(self, dropout: float = 0.1) -> tf.keras.Model:
        """Features [batch, frames, 40] (real numbers, 0 to 26) to logits [batch, frames / 3, outputs]."""
        layers = tf.keras.layers
        given = tf.keras.Input((None, CHANNELS))
        x = layers.Reshape((-1, 1, CHANNELS))(given)
        x = layers.ZeroPadding2D(((self.first_kernel - STEP_FRAMES, 0), (0, 0)))(x)
        x = layers.Conv2D(
            self.first_channels, (self.first_kernel, 1), (STEP_FRAMES, 1), use_bias=False, name="first"
        )(x)
        x = layers.ReLU()(layers.BatchNormalization(name="first_norm")(x))
        for i, (kernel, channels) in enumerate(self.blocks):
            x = layers.ZeroPadding2D(((kernel - 1, 0), (0, 0)))(x)
            x = layers.DepthwiseConv2D((kernel, 1), use_bias=False, name=f"deep{i}")(x)
            x = layers.Conv2D(channels, 1, use_bias=False, name=f"point{i}")(x)
            x = layers.ReLU()(layers.BatchNormalization(name=f"norm{i}")(x))
        x = layers.SpatialDropout2D(dropout)(x)
        x = layers.ZeroPadding2D(((self.tail - 1, 0), (0, 0)))(x)
        x = layers.Conv2D(self.outputs, (self.tail, 1), name="last")(x)
        return tf.keras.Model(given, layers.Reshape((-1, self.outputs))(x))


class Streaming(tf.Module):
    """A trained model, its normalisations folded into its weights, as one step at a time."""

    def __init__(self, shape: Shape, trained: tf.keras.Model) -> None:
        super().__init__()
        self.shape = shape
        self.first, self.first_bias = _folded(trained, "first", "first_norm")
        self.deep = [trained.get_layer(f"deep{i}").get_weights()[0] for i in range(len(shape.blocks))]
        self.points = [_folded(trained, f"point{i}", f"norm{i}") for i in range(len(shape.blocks))]
        last, self.last_bias = trained.get_layer("last").get_weights()
        self.last = last.reshape(-1, shape.outputs)
        channels = [shape.first_channels, *(wide for _, wide in shape.blocks)]
        rows = [shape.first_kernel - STEP_FRAMES, *(kernel - 1 for kernel, _ in shape.blocks), shape.tail - 1]
        widths = [CHANNELS, *channels]
        self.past = [
            tf.Variable(tf.zeros((1, kept, 1, width)), trainable=False, name=f"past{i}")
            for i, (kept, width) in enumerate(zip(rows, widths, strict=True))
        ]

    def reset(self) -> None:
        """Forget what was heard."""
        for variable in self.past:
            variable.assign(tf.zeros_like(variable))

    def _with_past(self, i: int, new: tf.Tensor) -> tf.Tensor:
        """`new` rows behind those kept in variable `i`, which then keeps the newest."""
        joined = tf.concat([self.past[i].read_value(), new], axis=1)
        self.past[i].assign(joined[:, -self.past[i].shape[1] :])
        return joined

    @tf.function(input_signature=[tf.TensorSpec((1, STEP_FRAMES, CHANNELS), tf.float32, name="features")])
    def step(self, frames: tf.Tensor) -> tf.Tensor:
        """Three frames [1, 3, 40] of features to [1, outputs] probabilities, each its own sigmoid."""
        x = self._with_past(0, tf.reshape(frames, (1, STEP_FRAMES, 1, CHANNELS)))
        x = tf.nn.relu(tf.nn.conv2d(x, self.first, STEP_FRAMES, "VALID") + self.first_bias)
        for i, (weights, bias) in enumerate(self.points):
            x = tf.nn.depthwise_conv2d(self._with_past(i + 1, x), self.deep[i], (1, 1, 1, 1), "VALID")
            x = tf.nn.relu(tf.nn.conv2d(x, weights, 1, "VALID") + bias)
        x = tf.reshape(self._with_past(len(self.past) - 1, x), (1, -1))
        return tf.sigmoid(tf.matmul(x, self.last) + self.last_bias)


def _folded(trained: tf.keras.Model, layer: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
    """A convolution's weights with the normalisation behind it folded in, and the bias that this gives."""
    normalisation = trained.get_layer(norm)
    gamma, beta, mean, variance = normalisation.get_weights()
    gain = gamma / np.sqrt(variance + normalisation.epsilon)
    return (trained.get_layer(layer).get_weights()[0] * gain).astype(np.float32), (beta - mean * gain).astype(
        np.float32
    )
