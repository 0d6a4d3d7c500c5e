#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models from an attacker. AUDIT names the published weaknesses of model loaders, class by class, and the tests that hold mlcc to
each; those of this file run mlcc itself on a model made for the class, with little memory, little stack and little time:

    it must end by itself with status 0 or 1, and a rejection has a slug and leaves no file.

    hostile.py BUILD_DIR
"""
import concurrent.futures
import itertools
import os
import pathlib
import re
import resource
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

SECONDS, MEMORY, STACK = 30, 3 << 30, 1 << 20
SANITIZED = 'ASAN_OPTIONS' in os.environ  # shadow memory and red zones need more than the limits
MIN64, MAX64 = -(1 << 63), (1 << 63) - 1
SECRET = b'the contents of a file that no model may see'
F32, I64 = TensorProto.FLOAT, TensorProto.INT64

# (published as, class, tests). A test is a group of CASES below, or FILE:FUNCTION elsewhere in tests/.
AUDIT = [
    ('CVE-2022-25882 CVE-2024-27318', 'path traversal by external data', 'escape', 'unit/test_onnx_tensor.c:test_external_attacks'),
    ('CVE-2026-27489', 'path through a linked folder', 'escape', 'unit/test_onnx_tensor.c:test_external_attacks'),
    ('CVE-2026-34446 CVE-2026-34447', 'hard and symbolic links', 'escape', 'unit/test_onnx_tensor.c:test_external_attacks'),
    ('CVE-2026-34445', 'keys, offset and length of external data', 'extent', 'unit/test_onnx_tensor.c:test_external_attacks'),
    ('sparse external data bypass, 2026', 'one accessor for all tensors', 'escape', 'unit/test_onnx_tensor.c:test_external_sparse'),
    ('CVE-2024-5187 CVE-2024-7776 CVE-2026-28500', 'download and unpacking', 'no_network'),
    ('CVE-2024-27319', 'out of bounds in a diagnostic', 'unit/test_base.c:test_text', 'sanitize/run.py:SUITES'),
    ('onnx 6195, onnxruntime 21507', 'lists of attributes shorter than the rank', 'lists', 'attributes'),
    ('onnxruntime 28175', 'shapes of unexpected rank', 'ranks'),
    ('CVE-2022-23558 CVE-2020-15208', 'product of dimensions overflows', 'dimensions', 'unit/test_onnx_tensor.c:test_tensor_rejections'),
    ('CVE-2022-23560 CVE-2020-15211', 'sparse and segment indices out of range', 'sparse', 'indices', 'emit/wild.py:main'),
    ('CVE-2022-23557 CVE-2021-29601 CVE-2020-15212', 'division by zero, negative extents', 'attributes', 'lists'),
    ('CVE-2022-23594', 'the importer trusts its producer', 'bytes', 'fuzz/fuzz_import.c:LLVMFuzzerTestOneInput', 'fuzz/fuzz_compile.c:LLVMFuzzerTestOneInput'),
    ('protobuf-c', 'recursion', 'recursion', 'unit/test_onnx.c:test_nested_subgraphs', 'unit/test_wire.c:test_limits'),
    ('protobuf-c', 'amplification', 'amplification', 'unit/test_onnx.c:test_amplification'),
    ('threat model', 'explosion of functions', 'unit/test_onnx_function.c:test_function_explosion', 'unit/test_onnx_function.c:test_function_rejections'),
    ('threat model', 'operators that make large tensors', 'bombs'),
    ('threat model', 'names in comments, strings, identifiers', 'emit/names.py:check_name'),
    ('threat model', 'names in dependency files', 'emit/names.py:check_path'),
    ('threat model', 'names in terminals, JSON and SARIF', 'terminal', 'unit/test_base.c:test_text'),
    ('threat model', 'cycles, duplicate and missing names', 'structure', 'unit/test_onnx.c:test_rejections'),
    ('threat model', 'versions from the future', 'structure', 'unit/test_onnx.c:test_versions'),
    ('threat model', 'strings, narrow types, truncated data', 'tensors', 'unit/test_onnx_tensor.c:test_tensor_rejections'),
    ('threat model', 'files that are not files; values of options', 'files', 'unit/test_npy.c:main'),
    ('threat model', 'commands made from names', 'no_network', 'emit/names.py:NAMES'),
    ('threat model', 'memory safety of emitted code for all values', 'emit/wild.py:main'),
    ('threat model', 'time', 'emit/crash.py:time_fault'),
]


# ---- making models ----

def info(name, shape, kind=F32):
    return helper.make_tensor_value_info(name, kind, shape)


def raw(name, kind, dims, data=b'', **fields):
    """A TensorProto without any check."""
    t = TensorProto(name=name, data_type=kind, raw_data=data, **fields)
    t.dims.extend(dims)
    return t


def ints(name, values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


def model(nodes, inputs, outputs=('y',), weights=(), opset=21, sparse=(), functions=(), ir=10):
    graph = helper.make_graph(nodes, 'g', inputs, [o if not isinstance(o, str) else helper.make_empty_tensor_value_info(o) for o in outputs], list(weights))
    graph.sparse_initializer.extend(sparse)
    opsets = [helper.make_opsetid('', opset)] + ([helper.make_opsetid('f', 1)] if functions else [])
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir, functions=list(functions)).SerializeToString()


def one(op, operands, attributes=None, shapes=((1, 4, 8, 8),), consts=(), **more):
    """A model of one node; operands: names; shapes: of the inputs x, x1, ..; consts: TensorProtos."""
    inputs = [info(f'x{k or ""}', s) for k, s in enumerate(shapes)]
    node = helper.make_node(op, operands, ['y'])
    for name, value in (attributes or {}).items():
        of_ints = onnx.AttributeProto(name=name, type=onnx.AttributeProto.INTS, ints=value if isinstance(value, list) else [])
        node.attribute.append(of_ints if isinstance(value, list) else helper.make_attribute(name, value))
    return model([node], inputs, weights=consts, **more)


def field(number, data):
    """A length-delimited field of the wire format."""
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(v):
    out = b''
    while v > 127:
        out, v = out + bytes([v & 127 | 128]), v >> 7
    return out + bytes([v])


def nested(levels, *path):
    """A message inside itself, reached through these fields."""
    data = b''
    for _ in range(levels):
        for number in path:
            data = field(number, data)
    return data


def wire_model(graph=b'', tail=b''):
    return b'\x08\x0a' + field(7, graph + field(12, field(1, b'y'))) + field(8, b'\x10\x15') + tail


# ---- cases: each group yields (name, bytes of a model, slugs that may be given; None: acceptance is right too) ----

def recursion():
    yield 'subgraphs', wire_model(nested(3000, 6, 5, 1)), {'limit'}
    yield 'sequence types', wire_model(field(11, b'\x0a\x01x' + field(2, nested(5000, 1, 4)))), {'limit'}
    yield 'optional types', wire_model(field(13, field(2, nested(5000, 1, 9)))), {'limit'}
    yield 'groups', wire_model(b'\x0b' * 100000), {'onnx-format', 'limit'}
    depth = 200
    nodes = [helper.make_node('Neg', [f'v{k}'], [f'v{k + 1}']) for k in range(20000)]
    yield 'long chain', model(nodes, [info('v0', [2])], ['v20000']), None
    body = helper.make_graph([helper.make_node('Neg', ['x'], ['y'])], 'b', [], [info('y', [2])])
    for k in range(depth // 8):
        body = helper.make_graph([helper.make_node('If', ['c'], ['y'], then_branch=body, else_branch=body)] if k < 4 else
                                 [helper.make_node('If', ['c'], ['y'], then_branch=body)], 'b', [], [info('y', [2])])
    yield 'If in If', model(list(body.node), [info('x', [2]), info('c', [], TensorProto.BOOL)]), {'limit', 'unsupported-op', 'attribute-missing'}


def amplification():
    yield 'initializers', wire_model(b'\x2a\x00' * (4 << 20)), {'limit'}
    yield 'nodes', wire_model(b'\x0a\x00' * (2 << 20)), {'limit'}
    yield 'inputs', wire_model(b'\x5a\x00' * (2 << 20)), {'limit'}
    yield 'attributes', wire_model(field(1, b'\x2a\x00' * (2 << 20))), {'limit'}
    yield 'dimensions', wire_model(field(5, field(1, b'\x01' * (8 << 20)))), {'limit', 'tensor-rank', 'tensor-size', 'unsupported-type'}
    yield 'functions', wire_model(b'', b'\xca\x01\x00' * (1 << 20)), {'limit', 'empty-graph', 'function', 'onnx-format'}
    yield 'opsets', wire_model(b'', b'\x42\x00' * (1 << 20)), {'limit', 'opset'}
    yield 'strings', wire_model(field(5, b'\x10\x08' + b'\x32\x00' * (4 << 20))), {'limit', 'tensor-size', 'missing-output', 'empty-graph'}


def dimensions():
    big = [[-1], [MAX64], [MIN64], [1 << 32, 1 << 32], [1 << 31, 1 << 31, 4], [1 << 62, 4], [MAX64, 0], [0, MAX64], [3, -3], [1 << 40]]
    for dims in big:
        yield f'initializer {dims}', model([helper.make_node('Neg', ['w'], ['y'])], [], weights=[raw('w', F32, dims)]), None if 0 in dims else {'tensor-size', 'limit'}
        yield f'input {dims}', one('Neg', ['x'], shapes=[dims]), None
        yield f'product {dims}', one('Mul', ['x', 'x1'], shapes=[dims, [1] * len(dims)]), None
    yield 'rank', one('Neg', ['x'], shapes=[[1] * 200]), None
    yield 'rank of an initializer', model([helper.make_node('Neg', ['w'], ['y'])], [], weights=[raw('w', F32, [1] * 200, b'1234')]), None
    yield 'contraction', one('MatMul', ['x', 'x1'], shapes=[[1 << 30, 1 << 30], [1 << 30, 1 << 30]]), {'tensor-too-large'}
    yield 'concat', one('Concat', ['x', 'x1'], {'axis': 0}, shapes=[[MAX64], [MAX64]]), {'tensor-too-large'}
    yield 'flatten', one('Flatten', ['x'], {'axis': 0}, shapes=[[1 << 32, 1 << 32]]), {'tensor-too-large'}


def bombs():
    for shape in ([1 << 40], [1 << 20] * 3, [MAX64], [-5], [MIN64], [1 << 33]):
        yield f'ConstantOfShape {shape}', one('ConstantOfShape', ['s'], shapes=(), consts=[ints('s', shape)]), {'tensor-too-large', 'dimension-negative', 'dimension-unbounded'}
        yield f'Expand {shape}', one('Expand', ['x', 's'], shapes=[[1]], consts=[ints('s', shape)]), None
        yield f'Tile {shape}', one('Tile', ['x', 's'], shapes=[[2] * len(shape)], consts=[ints('s', shape)]), None
        yield f'Reshape {shape}', one('Reshape', ['x', 's'], shapes=[[1]], consts=[ints('s', shape)]), None
    for start, limit, delta in ((0, MAX64, 1), (MIN64, MAX64, 1), (0, 1 << 40, 1), (0, 1, 0), (MAX64, MIN64, MIN64), (0, 10, MIN64)):
        yield f'Range {start} {limit} {delta}', one('Range', ['a', 'b', 'c'], shapes=(), consts=[ints('a', start), ints('b', limit), ints('c', delta)]), None
    for pads in ([1 << 40] * 2, [MAX64] * 2, [MIN64] * 2, [MAX64, MIN64], [-100, 0]):
        yield f'Pad {pads}', one('Pad', ['x', 'p'], shapes=[[4]], consts=[ints('p', pads)]), None
    for depth in (1 << 40, MAX64, -1, 0):
        yield f'OneHot {depth}', one('OneHot', ['x', 'd', 'v'], shapes=[[4]], consts=[ints('d', depth), numpy_helper.from_array(np.array([0, 1], np.float32), 'v')]), None
    for scale in (1e30, np.inf, np.nan, -1, 0, 1e-30):
        consts = [numpy_helper.from_array(np.array([1, 1, scale, 1], np.float32), 's')]
        yield f'Resize {scale}', one('Resize', ['x', '', 's'], shapes=[(1, 1, 4, 4)], consts=consts), None
    for sizes in ([1, 1, 1 << 40, 1], [1, 1, 0, 4], [1, 1, -4, 4]):
        yield f'Resize {sizes}', one('Resize', ['x', '', '', 's'], shapes=[(1, 1, 4, 4)], consts=[ints('s', sizes)]), None
    for k in (1 << 40, -1, MIN64, 5):
        node = helper.make_node('TopK', ['x', 'k'], ['y', 'i'])
        yield f'TopK {k}', model([node], [info('x', [4])], ['y', 'i'], [ints('k', [k])]), None
    for cut in ([1 << 62, 1 << 62], [-1, 5], [0, 4], [5, 5]):
        yield f'Split {cut}', model([helper.make_node('Split', ['x', 's'], ['y', 'z'], axis=0)], [info('x', [4])], ['y', 'z'], [ints('s', cut)]), None
    fold = [helper.make_node('ConstantOfShape', ['s'], ['a']), helper.make_node('ConstantOfShape', ['s'], ['b']), helper.make_node('MatMul', ['a', 'b'], ['y'])]
    yield 'folding of a large product', model(fold, [], weights=[ints('s', [4096, 4096])]), None
    einsum = ','.join(['ab'] * 2) + '->' + 'ab'
    yield 'Einsum', one('Einsum', ['x', 'x1'], {'equation': einsum * 500}, shapes=[[2, 2], [2, 2]]), None


def lists():
    """Lists that do not go with the rank, onnx 6195."""
    w = numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), 'w')
    bad = [[], [1], [1] * 3, [1] * 5, [1] * 40, [0] * 2, [-1] * 2, [MAX64] * 2, [MIN64] * 2, [MAX64] * 4, [MIN64] * 4, [0] * 4, [1 << 31] * 2, [1 << 31] * 4, [-5] * 4]
    for op, operands, consts in (('Conv', ['x', 'w'], [w]), ('ConvTranspose', ['x', 'w'], [w]), ('MaxPool', ['x'], ()), ('AveragePool', ['x'], ()), ('LpPool', ['x'], ())):
        base = {} if consts else {'kernel_shape': [3, 3]}
        names = ['kernel_shape', 'strides', 'pads', 'dilations'] + (['output_shape', 'output_padding'] if op == 'ConvTranspose' else [])
        for name, values in itertools.product(names, bad):
            yield f'{op} {name} {values[:4]} {len(values)}', one(op, operands, {**base, name: values}, consts=consts), None
    for op, extra in (('Transpose', 'perm'), ('Squeeze', 'axes'), ('Unsqueeze', 'axes'), ('ReduceSum', 'axes'), ('Slice', 'axes')):
        for values in bad + [[0, 0, 0, 0], [4, 3, 2, 1], [1, 1], [-5], [4]]:
            more = {'starts': values, 'ends': values} if op == 'Slice' else {}
            yield f'{op} {extra} {values[:4]} {len(values)}', one(op, ['x'], {extra: values, **more}, opset=9), None
    for starts, ends, axes, steps in (([MIN64], [MAX64], [0], [MIN64]), ([0], [4], [0], [0]), ([MAX64], [MIN64], [-4], [-1]), ([0, 0], [4], [0], [1]), ([0], [4], [9], [1]), ([0, 0], [1, 1], [0, 0], [1, 1])):
        consts = [ints('s', starts), ints('e', ends), ints('a', axes), ints('p', steps)]
        yield f'Slice {starts} {ends} {axes} {steps}', one('Slice', ['x', 's', 'e', 'a', 'p'], consts=consts), None


def ranks():
    """Operands of every rank for operators that expect one."""
    shapes = [(), (0,), (3,), (2, 3), (1, 2, 3), (1, 2, 3, 4), (1, 2, 3, 4, 5), (1,) * 9]
    two = ['Conv', 'ConvTranspose', 'MatMul', 'Gemm', 'InstanceNormalization', 'GridSample', 'RoiAlign', 'PRelu', 'LayerNormalization', 'GatherND', 'Det', 'Attention']
    for op, a, b in itertools.product(two, shapes, shapes):
        operands = ['x', 'x1'] + (['x1'] if op in ('InstanceNormalization', 'RoiAlign', 'Attention') else [])
        yield f'{op} {a} {b}', one(op, operands[:1] if op == 'Det' else operands, shapes=[a, b], opset=23), None
    for op, a in itertools.product(['MaxPool', 'GlobalAveragePool', 'LRN', 'DepthToSpace', 'SpaceToDepth', 'Upsample', 'BatchNormalization', 'Softmax', 'DFT', 'Trilu', 'EyeLike'], shapes):
        attributes = {'MaxPool': {'kernel_shape': [2, 2]}, 'LRN': {'size': 3}, 'DepthToSpace': {'blocksize': 2}, 'SpaceToDepth': {'blocksize': 2}}.get(op, {})
        yield f'{op} {a}', one(op, ['x'] * (5 if op == 'BatchNormalization' else 1), attributes, shapes=[a]), None


def indices():
    """Constant indices out of range."""
    data = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4), 'd')
    for value in (-4, 3, MAX64, MIN64):
        i1, i2 = ints('i', [value]), ints('i', [[value, value, 0, 0]])
        for source in ('d', 'x'):
            yield f'Gather {source} {value}', one('Gather', [source, 'i'], shapes=[(3, 4)], consts=[data, i1]), None
            yield f'GatherElements {source} {value}', one('GatherElements', [source, 'i'], shapes=[(3, 4)], consts=[data, i2]), None
            yield f'GatherND {source} {value}', one('GatherND', [source, 'i'], shapes=[(3, 4)], consts=[data, ints('i', [[value, 0]])]), None
        yield f'ScatterElements {value}', one('ScatterElements', ['x', 'i', 'x'], {'axis': 0}, shapes=[(3, 4)], consts=[ints('i', [[value] * 4] * 3)]), None
        update = numpy_helper.from_array(np.ones(1, np.float32), 'u')
        yield f'ScatterND {value}', one('ScatterND', ['x', 'i', 'u'], shapes=[(3, 4)], consts=[ints('i', [[value, 0]]), update]), None
        yield f'ReverseSequence {value}', one('ReverseSequence', ['x', 'i'], shapes=[(3, 4)], consts=[ints('i', [value] * 4)]), None


def sparse():
    def tensor(values, index, dims, kind=F32):
        return onnx.SparseTensorProto(values=raw('w', kind, [len(values) // 4], values), indices=index, dims=dims)
    one_value = b'\0\0\x80?'
    bad = {'index behind the end': tensor(one_value, ints('i', [4]), [4]), 'negative index': tensor(one_value, ints('i', [-1]), [4]),
           'row outside': tensor(one_value, ints('i', [[1, 4]]), [2, 4]), 'rank of a row': tensor(one_value, ints('i', [[1, 1, 1]]), [2, 4]),
           'count': tensor(one_value, ints('i', [1, 2]), [4]), 'dense size': tensor(one_value, ints('i', [1]), [1 << 40]),
           'overflow': tensor(one_value, ints('i', [1]), [1 << 32, 1 << 32]), 'negative': tensor(one_value, ints('i', [1]), [-4]),
           'no indices': onnx.SparseTensorProto(values=raw('w', F32, [1], one_value), dims=[4]), 'nothing': onnx.SparseTensorProto(),
           'type of indices': tensor(one_value, numpy_helper.from_array(np.array([1], np.int32), 'i'), [4])}
    for name, t in bad.items():
        refused = {'tensor-size', 'limit', 'unsupported-type', 'sparse', 'missing-input', 'duplicate-name', 'onnx-format', 'tensor-name'}
        yield name, model([helper.make_node('Neg', ['w'], ['y'])], [], sparse=[t]), refused
        yield f'{name} in a Constant', model([helper.make_node('Constant', [], ['y'], sparse_value=t)], []), refused


def tensors():
    for kind in (0, 8, 14, 15, 17, 18, 19, 20, 24, 25, 26, 27, 99, -1, 1 << 30):
        yield f'type {kind}', model([helper.make_node('Identity', ['w'], ['y'])], [], weights=[raw('w', kind, [3], b'ab')]), {'tensor-size', 'unsupported-type', 'text'}
    for n in (0, 1, 7, 9, 4096):
        yield f'{n} bytes for 8', model([helper.make_node('Neg', ['w'], ['y'])], [], weights=[raw('w', F32, [2], b'\0' * n)]), {'tensor-size'}
    many = TensorProto(name='w', data_type=F32, dims=[2], float_data=[1, 2, 3])
    yield 'typed field too long', model([helper.make_node('Neg', ['w'], ['y'])], [], weights=[many]), {'tensor-size'}
    text = TensorProto(name='w', data_type=TensorProto.STRING, dims=[2], string_data=[b'\xff\xfe"*/\n', b'a' * 100000])
    yield 'strings', model([helper.make_node('Identity', ['w'], ['y'])], [], weights=[text]), None
    yield 'string value of a Constant', model([helper.make_node('Constant', [], ['y'], value_string='"; system("x"); //')], []), None
    yield 'text of float16', model([helper.make_node('Identity', ['w'], ['y'])], [], weights=[TensorProto(name='w', data_type=TensorProto.FLOAT16, dims=[1], string_data=[b'1.0'])]), {'tensor-size'}


def structure():
    neg = lambda a, b: helper.make_node('Neg', [a], [b])
    yield 'cycle', model([neg('y', 'z'), neg('z', 'y')], [info('x', [2])]), {'graph-cycle'}
    yield 'own input', model([neg('y', 'y')], []), {'graph-cycle'}
    yield 'duplicate', model([neg('x', 'y'), neg('x', 'y')], [info('x', [2])]), {'duplicate-name'}
    yield 'duplicate input', model([neg('x', 'y')], [info('x', [2]), info('x', [2])]), {'duplicate-name'}
    yield 'duplicate weight', model([neg('w', 'y')], [], weights=[ints('w', [1]), ints('w', [2])]), {'duplicate-name'}
    yield 'missing', model([neg('nothing', 'y')], []), {'missing-input'}
    yield 'missing output', model([neg('x', 'z')], [info('x', [2])]), {'missing-output'}
    yield 'many operands', model([helper.make_node('Sum', ['x'] * 70000, ['y'])], [info('x', [2])]), None
    yield 'many outputs', model([helper.make_node('Split', ['x'], [f'y{k}' for k in range(70000)], axis=0)], [info('x', [2])], ['y0']), None
    for opset in (10 ** 18, -1, 0, 1 << 31):
        yield f'opset {opset}', model([neg('x', 'y')], [info('x', [2])], opset=opset), {'opset'}
    for ir in (10 ** 18, -1, 1 << 31):
        yield f'ir {ir}', model([neg('x', 'y')], [info('x', [2])], ir=ir), {'ir-version', 'opset'}
    f = helper.make_function('f', 'a', ['p'], ['q'], [helper.make_node('b', ['p'], ['q'], domain='f')], [helper.make_opsetid('f', 1)])
    g = helper.make_function('f', 'b', ['p'], ['q'], [helper.make_node('a', ['p'], ['q'], domain='f')], [helper.make_opsetid('f', 1)])
    yield 'functions in a circle', model([helper.make_node('a', ['x'], ['y'], domain='f')], [info('x', [2])], functions=[f, g]), {'function'}


def representative():
    """One model of the ONNX suite for each operator with attributes."""
    seen = set()
    for folder in sorted(models.NODE.iterdir()):
        path = folder / 'model.onnx'
        if folder.name.endswith('_expanded') or not path.exists():
            continue
        m = onnx.load(path)
        nodes = [n for n in m.graph.node if n.op_type not in seen and any(a.type in (2, 7) for a in n.attribute)]
        if len(m.graph.node) == 1 and nodes:
            seen.add(nodes[0].op_type)
            yield m


def attributes():
    """Every integer attribute of every operator with values at the ends of what it can hold."""
    for m in representative():
        node = m.graph.node[0]
        for k, a in enumerate(node.attribute):
            values = [0, -1, 7, 1 << 31, MIN64, MAX64] if a.type == 2 else [[], [0], [-1] * len(a.ints), [MAX64] * len(a.ints), [MIN64] * len(a.ints), [1] * 9]
            for value in values if a.type in (2, 7) else ():
                changed = onnx.ModelProto()
                changed.CopyFrom(m)
                new = changed.graph.node[0].attribute[k]
                if a.type == 2:
                    new.i = value
                else:
                    del new.ints[:]
                    new.ints.extend(value)
                yield f'{node.op_type} {a.name}={value if a.type == 2 else value[:3]}', changed.SerializeToString(), None


def bytes_():
    """A sound model cut short, and with bytes changed."""
    whole = models.samples()['digits'].read_bytes()
    rng = np.random.default_rng(3)
    for n in sorted({int(n) for n in np.linspace(0, 600, 40)} | {len(whole) - k for k in range(1, 12)}):
        yield f'first {n}', whole[:n], None
    for k in range(120):
        changed = bytearray(whole)
        for at in rng.integers(0, 800, 1 + k % 4):
            changed[at] ^= 1 << rng.integers(0, 8)
        yield f'changed {k}', bytes(changed), None


GROUPS = {'recursion': recursion, 'amplification': amplification, 'dimensions': dimensions, 'bombs': bombs, 'lists': lists, 'ranks': ranks, 'indices': indices,
          'sparse': sparse, 'tensors': tensors, 'structure': structure, 'attributes': attributes, 'bytes': bytes_}


# ---- running them ----

def limited():
    """For the child."""
    if not SANITIZED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_STACK, (STACK, STACK))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def mlcc_run(mlcc, words, folder):
    return tool.run([mlcc, *words], SECONDS + 10, cwd=folder, preexec_fn=limited, env={**os.environ, 'TMPDIR': str(folder)})


def verdict(rc, err, slugs, folder):
    """'' when the end was one of those that are right."""
    if rc not in (0, 1):
        return f'status {rc}: {err.strip()[:200]}'
    left = [p.name for p in folder.glob('net*')]
    slug = tool.diagnostic(rc, err)[0]
    if rc == 1 and (not slug or left):
        return f'rejected with slug "{slug}", left {left}: {err.strip()[:200]}'
    if slugs is not None and (rc == 0 or slug not in slugs):
        return f'status {rc}, slug "{slug}", expected one of {sorted(slugs)}: {err.strip()[:160]}'
    return ''


def fault(mlcc, place, number, data, slugs):
    folder = place / str(number)
    folder.mkdir(parents=True)
    (folder / 'm.onnx').write_bytes(data)
    rc, _, err = mlcc_run(mlcc, ['m.onnx', '-o', 'net.c', '-march=x86-64-v3'], folder)
    why = verdict(rc, err, slugs, folder)
    shutil.rmtree(folder)
    return why


def run_group(r, mlcc, place, name, cases):
    """A group is one check, as it has up to a thousand cases; its failures are told one by one."""
    with concurrent.futures.ThreadPoolExecutor(tool.JOBS) as pool:
        jobs = [(case, pool.submit(fault, mlcc, place / name, k, data, slugs)) for k, (case, data, slugs) in enumerate(cases)]
        bad = [(case, why) for case, job in jobs if (why := job.result())]
    for case, why in bad:
        print(f'     {name}/{case}: {why}', flush=True)
    r.check(f'hostile/{name}', f'{len(bad)} of {len(jobs)} cases, e.g. {bad[0][0]}: {bad[0][1]}' if bad else '')


# ---- checks that are not one model ----

def external(location, **keys):
    t = TensorProto(name='w', data_type=TensorProto.UINT8, dims=[len(SECRET)], data_location=TensorProto.EXTERNAL)
    for key, value in {'location': location, **keys}.items():
        t.external_data.add(key=key, value=str(value))
    return t


def holders(t):
    """Models that hold a tensor in each of the places where ONNX allows one."""
    out = helper.make_node('Identity', ['w'], ['y'])
    index = ints('i', list(range(len(SECRET))))
    sparse_t = onnx.SparseTensorProto(values=t, indices=index, dims=[len(SECRET)])
    plain = numpy_helper.from_array(np.zeros(len(SECRET), np.uint8), 'v')
    branch = helper.make_graph([helper.make_node('Identity', ['w'], ['q'])], 'b', [], [info('q', [len(SECRET)], TensorProto.UINT8)], [t])
    body = helper.make_function('f', 'leak', ['p'], ['q'], [helper.make_node('Constant', [], ['q'], value=t)], [helper.make_opsetid('', 21)])
    yield 'initializer', model([out], [], weights=[t])
    yield 'Constant', model([helper.make_node('Constant', [], ['y'], value=t)], [])
    yield 'sparse initializer', model([out], [], sparse=[sparse_t])
    yield 'sparse Constant', model([helper.make_node('Constant', [], ['y'], sparse_value=sparse_t)], [])
    yield 'indices', model([out], [], sparse=[onnx.SparseTensorProto(values=plain, indices=t, dims=[len(SECRET)])])
    yield 'branch', model([helper.make_node('If', ['c'], ['y'], then_branch=branch, else_branch=branch)], [info('c', [], TensorProto.BOOL)])
    yield 'function', model([helper.make_node('leak', ['x'], ['y'], domain='f')], [info('x', [2])], functions=[body])


def leaks(folder):
    return [p.name for p in folder.rglob('net*') if p.is_file() and (SECRET in p.read_bytes() or SECRET[:12] in p.read_bytes())]


def place_links(folder):
    """A model's folder with a file of its own, and ways out of it."""
    (folder / 'in').mkdir(parents=True)
    (folder / 'secret').write_bytes(SECRET)
    (folder / 'in' / 'own').write_bytes(b'x' * len(SECRET))
    (folder / 'in' / 'up').symlink_to('..')
    (folder / 'in' / 'soft').symlink_to('../secret')
    os.link(folder / 'secret', folder / 'in' / 'hard')
    return folder / 'in'


def escape(mlcc, place):
    folder = place_links(place / 'escape')
    ways = ['../secret', 'x/../../secret', './../secret', 'up/secret', 'soft', 'hard', str((place / 'escape' / 'secret').resolve()), '/proc/self/environ', '..\\secret', '../secret\0.bin']
    for way in ways:
        for holder, data in holders(external(way.split('\0')[0])):
            (folder / 'm.onnx').write_bytes(data)
            rc, out, err = mlcc_run(mlcc, ['m.onnx', '-o', 'net.c'], folder)
            if rc != 1 or leaks(folder) or SECRET.decode() in out + err:
                return f'{holder} with {way!r}: status {rc}, leaks {leaks(folder)}'
    (folder / 'm.onnx').write_bytes(next(holders(external('own')))[1])
    rc, _, err = mlcc_run(mlcc, ['m.onnx', '-o', 'net.c'], folder)
    return '' if rc == 0 else f'a file of its own is refused: {err[:200]}'


def extent(mlcc, place):
    folder = place_links(place / 'extent')
    n = len(SECRET)
    for keys in ({'offset': 1}, {'offset': -1}, {'length': n + 1}, {'length': -1}, {'length': 1 << 50}, {'offset': (1 << 64) - 1, 'length': n}, {'offset': n, 'length': n},
                 {'offset': '0x0'}, {'offset': ' 0'}, {'offset': '0 '}, {'basepath': '..'}, {'length': n - 1}, {'__class__': 'x'}):
        (folder / 'm.onnx').write_bytes(next(holders(external('own', **keys)))[1])
        rc, _, err = mlcc_run(mlcc, ['m.onnx', '-o', 'net.c'], folder)
        if rc != 1 or tool.diagnostic(rc, err)[0] not in ('external-data', 'tensor-size'):
            return f'{keys}: status {rc}: {err.strip()[:200]}'
    return ''


def terminal(mlcc, place):
    """Nothing but printable text reaches a terminal, and JSON and SARIF stay what they are."""
    folder = place / 'terminal'
    folder.mkdir(parents=True)
    evil = '\x1b]0;owned\x07\x1b[2J"\\\n\r\u202e</script>\x7f'
    nodes = [helper.make_node('Frobnicate' + evil, [evil], [evil + 'o'], name=evil, domain=evil), helper.make_node('Add', ['x', 'z'], ['y'], name=evil)]
    inputs = [info('x', [2]), info('z', [3]), info(evil, [evil, 4])]
    (folder / 'm.onnx').write_bytes(model(nodes, inputs, ['y', evil + 'o']))
    (folder / 'n.onnx').write_bytes(model([helper.make_node('Neg', [evil], ['y'], name=evil)], [info(evil, [evil, 4])]))
    for name, words in itertools.product(['m.onnx', 'n.onnx'], [[], ['--diagnostics-format=json'], ['--diagnostics-format=sarif'], ['-v', '-Rpass=.*', '-Rpass-missed=.*'], ['--emit=graph'], ['--emit=nest']]):
        for verb in ([], ['check']):
            rc, out, err = mlcc_run(mlcc, [*verb, name, *words, *([] if verb or '--emit' in str(words) else ['-o', 'net.c'])], folder)
            if re.search(r'[^\n -~]', out + err):
                return f'{name} {verb} {words}: {re.search(r"[^ -~]", (out + err).replace(chr(10), ""))}'
            if rc not in (0, 1):
                return f'{name} {verb} {words}: status {rc}'
    return ''


def no_network(mlcc, place):
    """mlcc has no way to the network, and starts no shell; the one program that it starts is the C compiler of --tune and what
    that makes, with its arguments in a list (compiler/trial.c)."""
    rc, out, err = tool.run(['nm', '-D', '--undefined-only', mlcc], 60)
    names = {line.split()[-1].split('@')[0] for line in out.splitlines()}
    found = names & {'socket', 'connect', 'getaddrinfo', 'gethostbyname', 'system', 'popen', 'execl', 'execlp', 'execle', 'posix_spawn', 'posix_spawnp', 'dlopen'}
    callers = [p.name for p in sorted(tool.ROOT.glob('[cirt]*/**/*.c')) if 'tests' not in p.parts and re.search(r'\bexecv', p.read_text())]
    if rc or callers != ['trial.c']:
        return err or f'programs are started by {callers}'
    return f'imports {sorted(found)}' if found and not SANITIZED else ''


def files(mlcc, place):
    """What is not a plain file, as the model and as a value."""
    folder = place / 'files'
    folder.mkdir(parents=True)
    (folder / 'm.onnx').write_bytes(one('Add', ['x', 'x1'], shapes=[[4], [4]]))
    os.mkfifo(folder / 'fifo')
    bomb = b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }"
    (folder / 'huge.npy').write_bytes(bomb % b'9223372036854775807, 9223372036854775807' + b' ' * 40)
    (folder / 'code.npy').write_bytes(b"\x93NUMPY\x01\x00v\x00__import__('os').system('touch hacked')" + b' ' * 80)
    (folder / 'short.npy').write_bytes(b'\x93NUMPY\x02\x00\xff\xff\xff\xff{')
    (folder / 'deep.pb').write_bytes(nested(5000, 13))
    for words, status in ([['fifo'], 3], [['/dev/zero'], 3], [['/dev/stdin'], 3], [['.'], 3], [['m.onnx', '--bind', 'x=huge.npy'], 1], [['m.onnx', '--bind', 'x=code.npy'], 1],
                          [['m.onnx', '--bind', 'x=short.npy'], 1], [['m.onnx', '--bind', 'x=deep.pb'], 1], [['m.onnx', '--bind', 'x=fifo'], 3], [['m.onnx', '--schedule', '.'], 3],
                          [['m.onnx', '--schedule', '/dev/zero'], 3]):
        rc, _, err = mlcc_run(mlcc, [*words, '-o', 'net.c'], folder)
        if rc != status or not tool.diagnostic(rc, err)[0]:
            return f'{words}: status {rc}: {err.strip()[:200]}'
    return 'a file was made by a name' if (folder / 'hacked').exists() else ''


CHECKS = {'escape': escape, 'extent': extent, 'terminal': terminal, 'no_network': no_network, 'files': files}


# ---- the audit ----

def unknown_test(name):
    """'' when the audit's entry is a test."""
    if ':' not in name:
        return '' if name in GROUPS or name in CHECKS else f'{name} is no group of this file'
    path, _, what = name.partition(':')
    source = tool.ROOT / 'tests' / path
    return '' if source.exists() and re.search(rf'\b{what}\b', source.read_text()) else f'{name} is not there'


def audit_faults():
    for reference, what, *tests in AUDIT:
        why = next((why for t in tests if (why := unknown_test(t))), '')
        yield f'{reference}: {what}', why
    used = {t for row in AUDIT for t in row[2:]}
    for name in sorted(set(GROUPS) | set(CHECKS)):
        yield f'{name} stands in the audit', '' if name in used else 'it does not'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    only = sys.argv[2:]
    place = build / 'emit' / 'hostile'
    shutil.rmtree(place, ignore_errors=True)
    for name, why in audit_faults():
        r.check(f'audit/{name}', why)
    for name, cases in GROUPS.items():
        if not only or name in only:
            run_group(r, build / 'mlcc', place, name, cases())
    for name, check in CHECKS.items():
        if not only or name in only:
            r.check(f'hostile/{name}', check(build / 'mlcc', place))
    shutil.rmtree(place, ignore_errors=True)
    r.finish()


if __name__ == '__main__':
    main()
