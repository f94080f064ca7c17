"""Builds .tflite models for tests: any shapes, scales and options, by tflite-micro's own schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES: dict[str, int] = {k: v for k, v in vars(schema.TensorType).items() if isinstance(v, int)}
OPERATORS: dict[str, int] = {k: v for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
OPTIONS: dict[str, int] = {k: v for k, v in vars(schema.BuiltinOptions).items() if isinstance(v, int)}
# Operations whose options are not named after them.
OPTIONS_OF = {
    "AVERAGE_POOL_2D": "Pool2D", "MAX_POOL_2D": "Pool2D", "MEAN": "Reducer", "REDUCE_MAX": "Reducer",
    "SUM": "Reducer", "CONV_2D": "Conv2D", "DEPTHWISE_CONV_2D": "DepthwiseConv2D", "SPLIT_V": "SplitV",
    "SVDF": "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}  # fmt: skip


class GraphBuilder:
    """One graph, and optionally a second one that CALL_ONCE runs."""

    def __init__(self) -> None:
        self.buffers = [schema.BufferT()]
        self.codes: list[str] = []
        self.graphs = [self._new_graph()]
        self.current = 0

    @staticmethod
    def _new_graph() -> Any:
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []
        return graph

    def second_graph(self) -> None:
        """What follows goes to the second graph."""
        self.graphs.append(self._new_graph())
        self.current = len(self.graphs) - 1

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = None,
        zero: int = 0,
        kind: str = "INT8",
        data: NDArray[Any] | None = None,
        dimension: int = 0,
        name: str = "",
        variable: bool = False,
    ) -> int:
        """Add a tensor; a constant where `data` is given. Returns its index."""
        graph = self.graphs[self.current]
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.type = TYPES[kind]
        tensor.isVariable = variable
        tensor.name = (name or f"t{len(graph.tensors)}").encode()
        buffer = schema.BufferT()
        if data is not None:
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
        self.buffers.append(buffer)
        tensor.buffer = len(self.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            scales = [scale] if isinstance(scale, (int, float)) else list(scale)
            tensor.quantization.scale = [float(np.float32(s)) for s in scales]
            tensor.quantization.zeroPoint = [zero] * len(scales)
            tensor.quantization.quantizedDimension = dimension
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    def constant(self, values: Sequence[int] | int) -> int:
        """An INT32 constant."""
        data = np.array(values, np.int32)
        return self.tensor(data.shape, kind="INT32", data=data)

    def op(self, kind: str, inputs: Sequence[int], outputs: Sequence[int], **options: Any) -> None:
        """Add an operation; `options` are fields of its options table, e.g. strideW=2."""
        if kind not in self.codes:
            self.codes.append(kind)
        op = schema.OperatorT()
        op.opcodeIndex = self.codes.index(kind)
        op.inputs, op.outputs = list(inputs), list(outputs)
        camel = OPTIONS_OF.get(kind, "".join(part.title() for part in kind.split("_")))
        if hasattr(schema, f"{camel}OptionsT"):
            op.builtinOptions = getattr(schema, f"{camel}OptionsT")()
            op.builtinOptionsType = OPTIONS[f"{camel}Options"]
            for field, value in options.items():
                if not hasattr(op.builtinOptions, field):
                    raise AttributeError(f"{camel}Options has no {field}")
                setattr(op.builtinOptions, field, value)
        self.graphs[self.current].operators.append(op)

    def build(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The file's bytes."""
        self.graphs[0].inputs, self.graphs[0].outputs = list(inputs), list(outputs)
        model = schema.ModelT()
        model.version = 3
        model.subgraphs, model.buffers = self.graphs, self.buffers
        model.operatorCodes = []
        for kind in self.codes:
            code = schema.OperatorCodeT()
            code.builtinCode = OPERATORS[kind]
            code.deprecatedBuiltinCode = min(OPERATORS[kind], 127)
            code.version = 1
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
