"""A .tflite file of fully connected layers, written by the schema alone: TensorFlow is not needed for that."""

import flatbuffers
import numpy as np
import tflite
from quantization import Dense, Scale


def tflite_file(layers: list[Dense]) -> bytes:
    """The schema's version 3, with the tensors in the order in which layers meet them."""
    builder = flatbuffers.Builder(1 << 14)
    # The first buffer is the empty one, by convention.
    buffers, tensors, operators = [buffer(builder, None)], [], []

    def add(name: str, shape: list[int], kind: int, scale: Scale, values: np.ndarray | None = None) -> int:
        where = 0
        if values is not None:
            buffers.append(buffer(builder, values.tobytes()))
            where = len(buffers) - 1
        tensors.append(tensor(builder, name, shape, kind, scale, where))
        return len(tensors) - 1

    int8, int32 = tflite.TensorType.INT8, tflite.TensorType.INT32
    inputs = layers[0].weights.shape[1]
    activation = first = add("input", [1, inputs], int8, layers[0].input)
    for index, layer in enumerate(layers):
        outputs, inputs = layer.weights.shape
        weights = add(f"weights_{index}", [outputs, inputs], int8, Scale(layer.weight_scale, 0), layer.weights)
        bias_scale = Scale(layer.input.scale * layer.weight_scale, 0)
        bias = add(f"bias_{index}", [outputs], int32, bias_scale, layer.bias)
        output = add(f"output_{index}", [1, outputs], int8, layer.output)
        operators.append(fully_connected(builder, [activation, weights, bias], output, layer.relu))
        activation = output
    graph = subgraph(builder, tensors, operators, first, activation)
    return model(builder, buffers, graph)


def buffer(builder: flatbuffers.Builder, data: bytes | None) -> int:
    vector = None if data is None else builder.CreateByteVector(data)
    tflite.BufferStart(builder)
    if vector is not None:
        tflite.BufferAddData(builder, vector)
    return tflite.BufferEnd(builder)


def tensor(builder: flatbuffers.Builder, name: str, shape: list[int], kind: int, scale: Scale, where: int) -> int:
    text = builder.CreateString(name)
    dimensions = builder.CreateNumpyVector(np.array(shape, np.int32))
    scales = builder.CreateNumpyVector(np.array([scale.scale], np.float32))
    zero_points = builder.CreateNumpyVector(np.array([scale.zero_point], np.int64))
    tflite.QuantizationParametersStart(builder)
    tflite.QuantizationParametersAddScale(builder, scales)
    tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
    quantization = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, dimensions)
    tflite.TensorAddType(builder, kind)
    tflite.TensorAddBuffer(builder, where)
    tflite.TensorAddName(builder, text)
    tflite.TensorAddQuantization(builder, quantization)
    return tflite.TensorEnd(builder)


def fully_connected(builder: flatbuffers.Builder, inputs: list[int], output: int, relu: bool) -> int:
    activation = tflite.ActivationFunctionType.RELU if relu else tflite.ActivationFunctionType.NONE
    tflite.FullyConnectedOptionsStart(builder)
    tflite.FullyConnectedOptionsAddFusedActivationFunction(builder, activation)
    options = tflite.FullyConnectedOptionsEnd(builder)
    inputs = builder.CreateNumpyVector(np.array(inputs, np.int32))
    outputs = builder.CreateNumpyVector(np.array([output], np.int32))
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, 0)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    tflite.OperatorAddBuiltinOptionsType(builder, tflite.BuiltinOptions.FullyConnectedOptions)
    tflite.OperatorAddBuiltinOptions(builder, options)
    return tflite.OperatorEnd(builder)


def subgraph(builder: flatbuffers.Builder, tensors: list[int], operators: list[int], first: int, last: int) -> int:
    tensors, operators = offsets(builder, tensors), offsets(builder, operators)
    inputs = builder.CreateNumpyVector(np.array([first], np.int32))
    outputs = builder.CreateNumpyVector(np.array([last], np.int32))
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensors)
    tflite.SubGraphAddInputs(builder, inputs)
    tflite.SubGraphAddOutputs(builder, outputs)
    tflite.SubGraphAddOperators(builder, operators)
    return tflite.SubGraphEnd(builder)


def model(builder: flatbuffers.Builder, buffers: list[int], graph: int) -> bytes:
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, tflite.BuiltinOperator.FULLY_CONNECTED)
    tflite.OperatorCodeAddBuiltinCode(builder, tflite.BuiltinOperator.FULLY_CONNECTED)
    tflite.OperatorCodeAddVersion(builder, 4)
    code = tflite.OperatorCodeEnd(builder)
    codes, graphs, buffers = offsets(builder, [code]), offsets(builder, [graph]), offsets(builder, buffers)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, 3)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddBuffers(builder, buffers)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def offsets(builder: flatbuffers.Builder, items: list[int]) -> int:
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return builder.EndVector()
