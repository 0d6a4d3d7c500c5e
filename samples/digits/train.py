#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the digit classifier and writes every committed file of this sample except the sources.

    pip install numpy onnx scikit-learn && python3 train.py

conv 3x3x8, relu, conv 3x3x16, relu, maxpool 2x2, fully connected, softmax; Adam in plain numpy, half a minute, fixed seed.
Writes digits.onnx (float), digits_int8.onnx (the same weights quantised after training: int8 per channel for weights, int8 per
tensor for activations, written as QuantizeLinear/DequantizeLinear pairs) and digits_test.bin (label and 64 pixels per picture).
"""
import pathlib

import numpy as np
import onnx
from onnx import helper, numpy_helper
from sklearn.datasets import load_digits

HERE = pathlib.Path(__file__).parent
SEED, TEST_IMAGES, EPOCHS, BATCH = 7, 360, 40, 32
OPSET = 17


def load():
    """Returns (train x, train y, test x, test y); x is f32[n,1,8,8] with grey levels 0..16."""
    digits = load_digits()
    x = digits.images.astype(np.float32)[:, None]
    order = np.random.default_rng(SEED).permutation(len(x))
    x, y = x[order], digits.target[order]
    return x[TEST_IMAGES:], y[TEST_IMAGES:], x[:TEST_IMAGES], y[:TEST_IMAGES]


def columns(x):
    """The 3x3 neighbourhoods of x with a border of zeros: f32[n,c,h,w] to f32[n*h*w, c*9]."""
    n, c, h, w = x.shape
    p = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    cols = np.stack([p[:, :, r:r + h, s:s + w] for r in range(3) for s in range(3)], axis=2)
    return cols.transpose(0, 3, 4, 1, 2).reshape(n * h * w, c * 9)


def from_columns(cols, shape):
    """The adjoint of columns: adds every neighbourhood back to where it was taken."""
    n, c, h, w = shape
    cols = cols.reshape(n, h, w, c, 9).transpose(0, 3, 4, 1, 2)
    p = np.zeros((n, c, h + 2, w + 2), np.float32)
    for k in range(9):
        p[:, :, k // 3:k // 3 + h, k % 3:k % 3 + w] += cols[:, :, k]
    return p[:, :, 1:-1, 1:-1]


def conv(x, w, b):
    n, _, h, wd = x.shape
    cols = columns(x)
    y = cols @ w.reshape(len(w), -1).T + b
    return y.reshape(n, h, wd, -1).transpose(0, 3, 1, 2), cols


def conv_grad(dy, cols, w, shape):
    flat = dy.transpose(0, 2, 3, 1).reshape(-1, len(w))
    dx = from_columns(flat @ w.reshape(len(w), -1), shape)
    return dx, (flat.T @ cols).reshape(w.shape), flat.sum(0)


def pool(x):
    """2x2 maximum; also which of the four it was, for the gradient."""
    n, c, h, w = x.shape
    quads = x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
    return quads.max(-1), np.eye(4, dtype=np.float32)[quads.argmax(-1)]


def pool_grad(dy, which):
    n, c, h, w, _ = which.shape
    quads = (which * dy[..., None]).reshape(n, c, h, w, 2, 2)
    return quads.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, 2 * h, 2 * w)


def forward(p, x):
    """Every intermediate value, by name; 'logits' last."""
    v = {'x': x}
    v['z1'], v['cols1'] = conv(x, p['conv1.weight'], p['conv1.bias'])
    v['a1'] = np.maximum(v['z1'], 0)
    v['z2'], v['cols2'] = conv(v['a1'], p['conv2.weight'], p['conv2.bias'])
    v['a2'] = np.maximum(v['z2'], 0)
    v['pool'], v['which'] = pool(v['a2'])
    v['flat'] = v['pool'].reshape(len(x), -1)
    v['logits'] = v['flat'] @ p['fc.weight'].T + p['fc.bias']
    return v


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def gradients(p, v, y):
    g = {}
    dz = (softmax(v['logits']) - np.eye(10, dtype=np.float32)[y]) / len(y)
    g['fc.weight'], g['fc.bias'] = dz.T @ v['flat'], dz.sum(0)
    d2 = pool_grad((dz @ p['fc.weight']).reshape(v['pool'].shape), v['which']) * (v['z2'] > 0)
    d1, g['conv2.weight'], g['conv2.bias'] = conv_grad(d2, v['cols2'], p['conv2.weight'], v['a1'].shape)
    _, g['conv1.weight'], g['conv1.bias'] = conv_grad(d1 * (v['z1'] > 0), v['cols1'], p['conv1.weight'], v['x'].shape)
    return g


def train(x, y):
    """Adam on pictures scaled to 0..1; the scale is folded into conv1 afterwards, so the model takes 0..16."""
    rng = np.random.default_rng(SEED)
    shapes = {'conv1.weight': (8, 1, 3, 3), 'conv2.weight': (16, 8, 3, 3), 'fc.weight': (10, 256)}
    p = {}
    for name, shape in shapes.items():
        fan_in = np.prod(shape[1:])
        p[name] = (rng.standard_normal(shape) * np.sqrt(2 / fan_in)).astype(np.float32)
        p[name.replace('weight', 'bias')] = np.zeros(shape[0], np.float32)
    m, s, step = {k: 0 for k in p}, {k: 0 for k in p}, 0
    for epoch in range(EPOCHS):
        order = rng.permutation(len(x))
        rate = 2e-3 * (1 - epoch / EPOCHS)
        for at in range(0, len(x), BATCH):
            pick, step = order[at:at + BATCH], step + 1
            for k, g in gradients(p, forward(p, x[pick] / 16), y[pick]).items():
                m[k] = 0.9 * m[k] + 0.1 * g
                s[k] = 0.999 * s[k] + 0.001 * g * g
                p[k] = p[k] - rate * (m[k] / (1 - 0.9 ** step)) / (np.sqrt(s[k] / (1 - 0.999 ** step)) + 1e-8)
    p['conv1.weight'] = p['conv1.weight'] / 16
    return {k: a.astype(np.float32) for k, a in p.items()}


def save(name, nodes, weights):
    x = helper.make_tensor_value_info('x', onnx.TensorProto.FLOAT, [1, 1, 8, 8])
    probs = helper.make_tensor_value_info('probs', onnx.TensorProto.FLOAT, [1, 10])
    init = [numpy_helper.from_array(np.ascontiguousarray(a), k) for k, a in weights.items()]
    graph = helper.make_graph(nodes, 'digits', [x], [probs], init)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', OPSET)], ir_version=8, producer_name='train.py')
    onnx.checker.check_model(model, full_check=True)
    (HERE / name).write_bytes(model.SerializeToString(deterministic=True))


def float_model(p):
    node = helper.make_node
    return [
        node('Conv', ['x', 'conv1.weight', 'conv1.bias'], ['z1'], 'conv1', pads=[1, 1, 1, 1]),
        node('Relu', ['z1'], ['a1'], 'relu1'),
        node('Conv', ['a1', 'conv2.weight', 'conv2.bias'], ['z2'], 'conv2', pads=[1, 1, 1, 1]),
        node('Relu', ['z2'], ['a2'], 'relu2'),
        node('MaxPool', ['a2'], ['pool'], 'pool', kernel_shape=[2, 2], strides=[2, 2]),
        node('Flatten', ['pool'], ['flat'], 'flatten', axis=1),
        node('Gemm', ['flat', 'fc.weight', 'fc.bias'], ['logits'], 'fc', transB=1),
        node('Softmax', ['logits'], ['probs'], 'softmax', axis=1),
    ], dict(p)


class Quantizer:
    """Collects the nodes and initialisers of a QDQ graph."""

    def __init__(self):
        self.nodes, self.weights = [], {}

    def op(self, kind, inputs, output, name, **attrs):
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attrs))
        return output

    def activation(self, tensor, lo, hi):
        """Quantises tensor to int8 over [lo, hi] and back; returns the new name and its scale."""
        lo, hi = min(float(lo), 0.0), max(float(hi), 0.0)
        scale = np.float32((hi - lo) / 255)
        self.weights[f'{tensor}.scale'] = np.array(scale)
        self.weights[f'{tensor}.zero'] = np.array(round(-128 - lo / float(scale)), np.int8)
        params = [f'{tensor}.scale', f'{tensor}.zero']
        self.op('QuantizeLinear', [tensor] + params, f'{tensor}.q', f'{tensor}.quantize')
        return self.op('DequantizeLinear', [f'{tensor}.q'] + params, f'{tensor}.dq', f'{tensor}.dequantize'), scale

    def weight(self, name, w):
        """int8 per output channel, symmetric; returns the dequantised name and the scales."""
        scale = (np.abs(w).reshape(len(w), -1).max(1) / 127).astype(np.float32)
        q = np.clip(np.rint(w / scale.reshape(-1, *[1] * (w.ndim - 1))), -127, 127).astype(np.int8)
        return self.constant(name, q, scale), scale

    def constant(self, name, q, scale):
        self.weights[f'{name}.q'], self.weights[f'{name}.scale'] = q, scale
        self.weights[f'{name}.zero'] = np.zeros(scale.shape, q.dtype)
        return self.op('DequantizeLinear', [f'{name}.q', f'{name}.scale', f'{name}.zero'], f'{name}.dq', f'{name}.dequantize', axis=0)

    def layer(self, kind, p, layer, x, x_scale, output, **attrs):
        w, w_scale = self.weight(f'{layer}.weight', p[f'{layer}.weight'])
        scale = (x_scale * w_scale).astype(np.float32)
        b = self.constant(f'{layer}.bias', np.rint(p[f'{layer}.bias'] / scale).astype(np.int32), scale)
        return self.op(kind, [x, w, b], output, layer, **attrs)


def int8_model(p, calibration):
    v, q = forward(p, calibration), Quantizer()
    x, s = q.activation('x', 0, 16)
    q.layer('Conv', p, 'conv1', x, s, 'z1', pads=[1, 1, 1, 1])
    x, s = q.activation(q.op('Relu', ['z1'], 'a1', 'relu1'), 0, v['a1'].max())
    q.layer('Conv', p, 'conv2', x, s, 'z2', pads=[1, 1, 1, 1])
    x, s = q.activation(q.op('Relu', ['z2'], 'a2', 'relu2'), 0, v['a2'].max())
    q.op('MaxPool', [x], 'pool', 'pool', kernel_shape=[2, 2], strides=[2, 2])
    # Pooling keeps the scale of its input; the pair after it lets the pool itself run on int8.
    q.weights['pool.scale'], q.weights['pool.zero'] = q.weights['a2.scale'], q.weights['a2.zero']
    q.op('QuantizeLinear', ['pool', 'pool.scale', 'pool.zero'], 'pool.q', 'pool.quantize')
    q.op('DequantizeLinear', ['pool.q', 'pool.scale', 'pool.zero'], 'pool.dq', 'pool.dequantize')
    q.op('Flatten', ['pool.dq'], 'flat', 'flatten', axis=1)
    q.layer('Gemm', p, 'fc', 'flat', s, 'logits', transB=1)
    x, _ = q.activation('logits', v['logits'].min(), v['logits'].max())
    q.op('Softmax', [x], 'soft', 'softmax', axis=1)
    q.weights['soft.scale'], q.weights['soft.zero'] = np.array(np.float32(1 / 256)), np.array(-128, np.int8)
    q.op('QuantizeLinear', ['soft', 'soft.scale', 'soft.zero'], 'soft.q', 'soft.quantize')
    q.op('DequantizeLinear', ['soft.q', 'soft.scale', 'soft.zero'], 'probs', 'soft.dequantize')
    return q.nodes, q.weights


def main():
    x, y, test_x, test_y = load()
    p = train(x, y)
    right = (forward(p, test_x)['logits'].argmax(1) == test_y).sum()
    print(f'float: {right} of {len(test_y)} right')
    save('digits.onnx', *float_model(p))
    save('digits_int8.onnx', *int8_model(p, x))
    records = np.concatenate([test_y[:, None], test_x.reshape(len(test_x), 64)], axis=1)
    (HERE / 'digits_test.bin').write_bytes(records.astype(np.uint8).tobytes())


if __name__ == '__main__':
    main()
