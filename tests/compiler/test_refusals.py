"""What cannot be compiled: one clear line that names operation, tensor and file; never a traceback."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pymicro_wakeword
import pytest

from bodydouble.compiler import ModelFileError, UnsupportedModelError, compile_model
from bodydouble.errors import ExitCode, InputError
from support.graphs import RandomGraph
from support.tflite_build import GraphBuilder

ALEXA = (Path(pymicro_wakeword.__file__).parent / "models" / "alexa.tflite").read_bytes()


def _conv(
    *,
    kind: str = "INT8",
    weights: str = "INT8",
    out: str = "INT8",
    shape: tuple[int, ...] = (1, 4, 1, 2),
    constant: bool = True,
    zero: int = 0,
    bias: int = 0,
    **options: Any,
) -> bytes:
    b = GraphBuilder()
    x = b.tensor(shape, 0.1, 0, kind, name="the_input")
    sizes = {"INT8": np.int8, "INT16": np.int16, "FLOAT32": np.float32}
    data = np.ones((3, 2, 1, 2), sizes.get(weights, np.int8)) if constant else None
    if weights == "INT4":
        data = np.ones(6, np.int8)
    w = b.tensor((3, 2, 1, 2), [0.1] * 3, zero, weights, data, name="the_weights")
    biases = b.tensor((3,), [0.01] * 3, 0, "INT32", np.full(3, bias, np.int32))
    y = b.tensor((1, 3, 1, 3), 0.1, 0, out, name="the_output")
    given = {"padding": 1, "strideH": 1, "strideW": 1, **options}
    b.op("CONV_2D", [x, w, biases], [y], **given)
    return b.build([x], [y])


def _one_op(op: str, kind: str = "INT8", **options: Any) -> bytes:
    b = GraphBuilder()
    x, y = b.tensor((1, 4), 0.1, 0, kind, name="a"), b.tensor((1, 4), 0.1, 0, kind, name="b")
    b.op(op, [x], [y], **options)
    return b.build([x], [y])


def test_the_plain_one_compiles() -> None:
    """Else the refusals below would prove nothing."""
    assert compile_model(_conv(), "m").macs == 36


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (_conv(kind="FLOAT32", weights="FLOAT32", out="FLOAT32"), ["CONV_2D", "FLOAT32"]),
        (_conv(weights="INT16"), ["CONV_2D", "the_weights", "INT16"]),
        (_conv(kind="INT16"), ["CONV_2D", "INT8", "the_output"]),
        (_conv(kind="FLOAT32", out="FLOAT32"), ["FLOAT32", "the_input"]),  # hybrid
        (_conv(constant=False), ["CONV_2D", "the_weights", "no constant"]),
        (_conv(zero=3), ["CONV_2D", "the_weights", "zero point"]),
        (_conv(shape=(2, 4, 1, 2)), ["CONV_2D", "one batch"]),
        (_conv(shape=(1, -1, 1, 2)), ["the_input", "dynamic"]),
        (_conv(strideH=0), ["CONV_2D", "strides"]),
        (_conv(strideH=2), ["CONV_2D", "the_output", "rows"]),
        (_conv(fusedActivationFunction=4), ["CONV_2D", "activation 4"]),
        (_conv(bias=2**31 - 1), ["CONV_2D", "32 bits"]),
        (_one_op("L2_NORMALIZATION"), ["L2_NORMALIZATION", "'b'", "does not run"]),
        (_one_op("WHILE"), ["WHILE", "does not run"]),
        (_one_op("CUSTOM"), ["CUSTOM", "does not run"]),
        (_one_op("LOGISTIC"), ["LOGISTIC", "zero point"]),
        (_one_op("LOGISTIC", "UINT8"), ["UINT8"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_unsupported(data: bytes, words: list[str]) -> None:
    with pytest.raises(UnsupportedModelError) as caught:
        compile_model(data, "m", "folder/m.tflite")
    text = str(caught.value)
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.hint
    assert "\n" not in text
    assert text.startswith("folder/m.tflite: ")
    for word in words:
        assert word in text, text


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (b"RIFF....WAVEfmt ", "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (b"PK\x03\x04" + bytes(100), "m.tflite is no TensorFlow Lite model (give a .tflite file)"),
        (ALEXA[:8], "m.tflite: the model cannot be read: an offset or a length in it is wrong"),
        (ALEXA[:3000], "m.tflite: the model cannot be read"),
        (b"\0\0\0\0TFL3" + bytes(200), "m.tflite: the model cannot be read"),
    ],
    ids=["empty", "wav", "zip", "head", "truncated", "zeros"],
)
def test_no_model(data: bytes, text: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        compile_model(data, "m", "m.tflite")
    assert str(caught.value).startswith(text)
    assert caught.value.exit_code == ExitCode.USAGE
    assert "\n" not in str(caught.value)


def _mutated(data: bytes, rng: np.random.Generator) -> bytes:
    if rng.random() < 0.15:
        return data[: int(rng.integers(0, len(data)))]
    damaged = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(data) - 4))
        if rng.random() < 0.5:
            damaged[at] = int(rng.integers(0, 256))
        else:
            special = [0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32 - 2, len(data), 65536, int(rng.integers(0, 2**32))]
            at &= ~3
            damaged[at : at + 4] = int(special[rng.integers(0, len(special))]).to_bytes(4, "little")
    return bytes(damaged)


def test_mutations(soak: bool) -> None:
    """Damaged files either compile or are refused in one line, fast."""
    rng = np.random.default_rng(11)
    bases = [ALEXA, _conv(), *(RandomGraph(seed).build() for seed in range(20))]
    seen: Counter[str] = Counter()
    rounds = 20_000 if soak else 1500
    for i in range(rounds):
        text = ""
        try:
            compile_model(_mutated(bases[i % len(bases)], rng), "m")
            seen["compiled"] += 1
        except (ModelFileError, UnsupportedModelError) as error:
            text = str(error)
            seen[type(error).__name__] += 1
        assert "\n" not in text
        assert len(text) < 800
    print(f"\n{rounds} damaged models: {dict(seen)}")
    assert min(seen[k] for k in ("compiled", "ModelFileError", "UnsupportedModelError")) > 50
