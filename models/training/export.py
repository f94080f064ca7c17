"""A trained streaming network to a full-int8 `.tflite`: int8 in, uint8 out, weights per channel."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.training.features import dequantise
from models.training.network import STEP_FRAMES, Streaming


def to_int8_tflite(network: Streaming, heard: Sequence[npt.NDArray[np.int8]]) -> bytes:
    """Quantise by the ranges seen while `network` hears the features `heard`, each int8 [frames, 40].

    The input is int8 with the scale of the board's features, made sure of by one frame of the least and the greatest.
    """

    def calibration() -> Iterator[list[npt.NDArray[np.float32]]]:
        extremes = np.zeros((1, STEP_FRAMES, 40), np.float32)
        extremes[0, 0] = 26.0
        yield [extremes]
        for rows in heard:
            real = dequantise(rows)
            for at in range(0, len(real) - STEP_FRAMES + 1, STEP_FRAMES):
                yield [real[np.newaxis, at : at + STEP_FRAMES]]

    network.reset()
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(network, folder, signatures=network.step)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.optimizations = {tf.lite.Optimize.DEFAULT}
        converter._experimental_variable_quantization = True  # else the past stays float
        converter.target_spec.supported_ops = {tf.lite.OpsSet.TFLITE_BUILTINS_INT8}
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.uint8
        converter.representative_dataset = calibration
        return _slim(converter.convert())


def _slim(model: bytes) -> bytes:
    """`model` without names of tensors, signatures and metadata: a board pays for each byte."""
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    parsed = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    for graph in parsed.subgraphs:
        graph.name = None
        for tensor in graph.tensors:
            tensor.name = None
    parsed.signatureDefs, parsed.metadata, parsed.metadataBuffer, parsed.description = [], [], None, None
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def reproducible(seed: int) -> None:
    """Make TensorFlow's results depend on `seed` alone: one thread, deterministic kernels. Call it first of all."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
