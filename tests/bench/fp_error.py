#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far each mode of float arithmetic (-ffp) is from float64, model by model.

    fp_error.py BUILD_DIR --models DIR [--only NAME,..] [--modes strict,fast,bf16] [--peers ort,ov-f32,ov-default] [--json FILE]

DIR holds models.json: {name: {"file", "dtype", "indir"}} and in each indir the inputs in_K.npy; those of dtype fp32 are taken.
The reference is the same graph with every float32 widened to float64, through plain loops (-O0). That it is right shows in the
peers: other programs, whose float32 rows are as close to it as float32 can be. They run where the Python at hand has them.

For each output: max |y - ref| / max |ref| and the cosine of y and ref; the worst output of a model is shown.
"""
import argparse
import json
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, native, tool

FLAGS = ['-O2', '-march=native']
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
STAY_FLOAT = {'Resize': (1, 2), 'Upsample': (1,)}  # operands that ONNX wants in float32 whatever the others are


# --- the widened graph ---

def widen_tensor(t):
    if t.data_type == FLOAT:
        t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(t).astype(np.float64), t.name))


def widen_attribute(a):
    """Types that a node names: what Cast makes, tensors that it holds."""
    if a.HasField('t'):
        widen_tensor(a.t)
    if a.name in ('to', 'dtype') and a.i == FLOAT:
        a.i = DOUBLE


def spelled_out(node, opset):
    """LayerNormalization along the last axis by single operations: it computes its statistics in float32 by definition."""
    attribute = {a.name: a for a in node.attribute}
    axis = attribute['axis'].i if 'axis' in attribute else -1
    if axis != -1 or len(node.output) > 1 or opset > 17:
        raise native.Broken(f'LayerNormalization of axis {axis} at opset {opset} cannot be widened')
    name = {k: f'{node.output[0]}/{k}' for k in ('mean', 'far', 'square', 'var', 'eps', 'moved', 'std', 'unit', 'scaled')}
    x, scale, *bias = node.input
    epsilon = attribute['epsilon'].f if 'epsilon' in attribute else 1e-5
    value = numpy_helper.from_array(np.array(epsilon, np.float64))
    make = onnx.helper.make_node
    yield make('ReduceMean', [x], [name['mean']], axes=[-1])
    yield make('Sub', [x, name['mean']], [name['far']])
    yield make('Mul', [name['far'], name['far']], [name['square']])
    yield make('ReduceMean', [name['square']], [name['var']], axes=[-1])
    yield make('Constant', [], [name['eps']], value=value)
    yield make('Add', [name['var'], name['eps']], [name['moved']])
    yield make('Sqrt', [name['moved']], [name['std']])
    yield make('Div', [name['far'], name['std']], [name['unit']])
    yield make('Mul', [name['unit'], scale], [name['scaled'] if bias else node.output[0]])
    if bias:
        yield make('Add', [name['scaled'], *bias], [node.output[0]])


def widen(model):
    graph, kept = model.graph, set()
    for node in graph.node:
        kept |= {node.input[k] for k in STAY_FLOAT.get(node.op_type, ()) if k < len(node.input)}
        for a in node.attribute:
            widen_attribute(a)
    for t in graph.initializer:
        if t.name not in kept:
            widen_tensor(t)
    opset = next(o.version for o in model.opset_import if o.domain == '')
    nodes = [n for node in graph.node for n in (spelled_out(node, opset) if node.op_type == 'LayerNormalization' else [node])]
    del graph.node[:]
    graph.node.extend(nodes)
    for info in [*graph.input, *graph.output]:
        if info.type.tensor_type.elem_type == FLOAT:
            info.type.tensor_type.elem_type = DOUBLE
    del graph.value_info[:]


def widened_file(path, folder):
    model = onnx.load(path)
    widen(model)
    target = folder / 'wide.onnx'
    (folder / 'wide.bin').unlink(missing_ok=True)
    onnx.save(model, target, save_as_external_data=True, location='wide.bin', size_threshold=1024)
    return target


# --- outputs ---

def mlcc_outputs(mlcc, path, folder, inputs, options):
    built, why = models.build(mlcc, path, folder, 'net', options)
    if why:
        raise native.Broken(why)
    lib = native.library('cc', built, 'net', FLAGS)
    return native.Model(native.load(lib), 0).call(inputs, native.POISONS[:1])


def reference(mlcc, path, folder, inputs):
    """Kept in the folder, since it depends on the model and the inputs alone once it is right."""
    key = tool.fingerprint([path], [x.tobytes() for x in inputs])
    kept = folder / 'reference.npz'
    if kept.exists():
        with np.load(kept) as old:
            if str(old['key']) == key:
                return [old[f'y{k}'] for k in range(len(old.files) - 1)]
    wide = [x.astype(np.float64) if x.dtype == np.float32 else x for x in inputs]
    y = mlcc_outputs(mlcc, widened_file(path, folder), folder / 'reference', wide, ['-O0'])
    np.savez(kept, key=key, **{f'y{k}': v for k, v in enumerate(y)})
    return y


def ort_outputs(path, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return session.run(None, {i.name: x for i, x in zip(session.get_inputs(), inputs)})


def openvino_outputs(path, inputs, precision):
    import openvino
    hint = {'INFERENCE_PRECISION_HINT': precision} if precision else {}
    compiled = openvino.Core().compile_model(str(path), 'CPU', hint)
    result = compiled(dict(enumerate(inputs)))
    return [np.array(result[k]) for k in range(len(compiled.outputs))]


PEERS = {
    'ort': ort_outputs,
    'ov-f32': lambda path, inputs: openvino_outputs(path, inputs, 'f32'),
    'ov-default': lambda path, inputs: openvino_outputs(path, inputs, None),
}


def errors(got, want):
    """(largest max |y - ref| / max |ref|, least cosine) over the float outputs."""
    worst, cosine = 0.0, 1.0
    for y, ref in zip(got, want):
        y, ref = y.astype(np.float64).ravel(), ref.astype(np.float64).ravel()
        worst = max(worst, float(np.abs(y - ref).max() / np.abs(ref).max()))
        cosine = min(cosine, float(y @ ref / np.sqrt((y @ y) * (ref @ ref))))
    return worst, cosine


# --- the table ---

def rows(mlcc, entry, folder, modes, peers):
    path, indir = entry['path'], entry['indir']
    inputs = [np.load(p) for p in sorted(indir.glob('in_*.npy'), key=lambda p: int(p.stem[3:]))]
    ref = reference(mlcc, path, folder, inputs)
    for mode in modes:
        yield f'mlcc {mode}', errors(mlcc_outputs(mlcc, path, folder / mode, inputs, [f'-ffp={mode}']), ref)
    for peer in peers:
        try:
            yield peer, errors(PEERS[peer](path, inputs), ref)
        except ImportError:
            print(f'  {peer}: this Python does not have it', file=sys.stderr)


def entries(folder, only):
    for name, e in json.loads((folder / 'models.json').read_text()).items():
        if e['dtype'] == 'fp32' and (not only or name in only):
            yield name, {'path': folder / e['file'], 'indir': folder / e['indir']}


def split(text):
    return [word for word in text.split(',') if word]


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--models', type=pathlib.Path, required=True)
    p.add_argument('--only', default='')
    p.add_argument('--modes', default='strict,fast,bf16')
    p.add_argument('--peers', default=','.join(PEERS))
    p.add_argument('--json', type=pathlib.Path, help='add a line for every row')
    args = p.parse_args()
    for name, entry in entries(args.models.resolve(), split(args.only)):
        folder = (args.build / 'fp_error' / name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        print(f'{name:20} max|y-ref|/max|ref|   1 - cosine', flush=True)
        for row, (worst, cosine) in rows((args.build / 'mlcc').resolve(), entry, folder, split(args.modes), split(args.peers)):
            print(f'  {row:18} {worst:19.2e} {1 - cosine:12.2e}', flush=True)
            if args.json:
                with args.json.open('a') as f:
                    f.write(json.dumps({'model': name, 'row': row, 'error': worst, 'cosine': cosine}) + '\n')


if __name__ == '__main__':
    main()
