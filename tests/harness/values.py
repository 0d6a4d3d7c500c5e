# SPDX-License-Identifier: Apache-2.0
"""Values of models: from ONNX's files to memory as emitted code sees it, back, and the rule by which two are equal.

In memory a sub-byte element takes one byte, a narrow float is its bits, bool is a byte, a string is a char pointer.
Here a tensor is a numpy array; bfloat16 and narrower types have ml_dtypes' types, strings are objects of type str.
"""
import numpy as np
import onnx
from onnx import helper, numpy_helper

STRING = onnx.TensorProto.STRING
MEMORY = {  # how an element of these types lies in memory; the others lie as numpy has them
    onnx.TensorProto.INT4: np.int8, onnx.TensorProto.UINT4: np.uint8,
    onnx.TensorProto.INT2: np.int8, onnx.TensorProto.UINT2: np.uint8,
    onnx.TensorProto.STRING: np.uint64,
}
PACKED = {onnx.TensorProto.INT4, onnx.TensorProto.UINT4, onnx.TensorProto.INT2, onnx.TensorProto.UINT2}


def numpy_type(dtype):
    return np.dtype(helper.tensor_dtype_to_np_dtype(dtype))


def memory_type(dtype):
    return np.dtype(MEMORY.get(dtype) or numpy_type(dtype))


def onnx_type(array):
    return STRING if array.dtype == object else helper.np_dtype_to_tensor_dtype(array.dtype)


def to_memory(array, memory):
    """A contiguous array in memory (native.Heap or the like), laid out as emitted code reads it."""
    dtype = onnx_type(array)
    if dtype == STRING:
        texts = [(s if isinstance(s, bytes) else s.encode()) + b'\0' for s in array.ravel()]
        at = [memory.address(memory.put(np.frombuffer(s, np.uint8))) for s in texts]
        return memory.put(np.array(at, np.uint64).reshape(array.shape))
    if dtype in PACKED:
        array = array.astype(MEMORY[dtype])
    return memory.put(np.ascontiguousarray(array).reshape(array.shape))


def from_memory(raw, dtype, shape, memory):
    """The tensor that emitted code left in raw (bytes, at least as long as needed), as a copy."""
    kind = memory_type(dtype)
    count = int(np.prod(shape, dtype=np.int64))
    flat = raw[:count * kind.itemsize].view(kind).copy()
    if dtype == STRING:
        flat = np.array([memory.text(int(p)).decode('utf-8', 'replace') if p else '' for p in flat], dtype=object)
    elif dtype in PACKED:
        flat = flat.astype(numpy_type(dtype))
    return flat.reshape(shape)


def read_value(path, value_info):
    """The tensors of an input_N.pb or output_N.pb: one, or those of a sequence, or those of an optional."""
    kind = value_info.type.WhichOneof('value')
    data = path.read_bytes()
    if kind == 'sequence_type':
        return flatten(onnx.SequenceProto.FromString(data))
    if kind == 'optional_type':
        return flatten(onnx.OptionalProto.FromString(data))
    return [tensor(onnx.TensorProto.FromString(data))]


def flatten(value):
    if isinstance(value, onnx.SequenceProto):
        parts = list(value.tensor_values) + list(value.sequence_values) + list(value.optional_values)
        return [t for part in parts for t in flatten(part)]
    if isinstance(value, onnx.OptionalProto):
        fields = ('tensor_value', 'sequence_value', 'optional_value')
        return [t for f in fields if value.HasField(f) for t in flatten(getattr(value, f))]
    return [tensor(value)] if isinstance(value, onnx.TensorProto) else []


def tensor(proto):
    array = np.asarray(numpy_helper.to_array(proto))
    if array.dtype == object:
        array = np.array([s.decode() if isinstance(s, bytes) else s for s in array.ravel()], object).reshape(array.shape)
    return array


def difference(got, want, rtol, atol):
    """'' when got equals want by the ONNX suite's rule, otherwise what differs."""
    if got.dtype != want.dtype:
        return f'type {got.dtype}, expected {want.dtype}'
    if got.shape != want.shape:
        return f'shape {list(got.shape)}, expected {list(want.shape)}'
    if got.dtype == object:
        return '' if (got == want).all() else f'strings differ, e.g. {first_difference(got != want, got, want)}'
    wide = np.complex128 if got.dtype.kind == 'c' else np.float64
    a, b = got.astype(wide), want.astype(wide)
    with np.errstate(all='ignore'):
        close = np.isclose(a, b, rtol, atol, equal_nan=True)
    if close.all():
        return ''
    return f'{int((~close).sum())} of {got.size} values differ, e.g. {first_difference(~close, a, b)}'


def first_difference(bad, a, b):
    at = tuple(int(i) for i in np.argwhere(bad)[0])
    return f'{list(at)}: {a[at]!s} instead of {b[at]!s}'
