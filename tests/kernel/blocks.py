# SPDX-License-Identifier: Apache-2.0
"""Models that the kernel suites look at, made here from seeded random weights: one contraction at sizes that leave tails of
every kind, and blocks of real networks whose functions carry several stages."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Graph:
    """Collects nodes and weights; every method returns the name of its result."""

    def __init__(self, seed=1):
        self.rng, self.nodes, self.weights, self.count = np.random.default_rng(seed), [], [], 0

    def node(self, op, *inputs, **attributes):
        self.count += 1
        self.nodes.append(helper.make_node(op, list(inputs), [f't{self.count}'], name=f'{op}{self.count}', **attributes))
        return f't{self.count}'

    def const(self, array):
        self.count += 1
        self.weights.append(numpy_helper.from_array(array, f'w{self.count}'))
        return f'w{self.count}'

    def normal(self, *shape):
        fan_in = max(1, int(np.prod(shape[1:]))) if len(shape) > 1 else 1
        return self.const((self.rng.standard_normal(shape) / np.sqrt(fan_in)).astype(np.float32))

    def conv(self, x, cin, cout, k=1, stride=1, group=1):
        pad = k // 2
        return self.node('Conv', x, self.normal(cout, cin // group, k, k), self.normal(cout), pads=[pad] * 4, strides=[stride] * 2, group=group)

    def linear(self, x, n, m):
        return self.node('Add', self.node('MatMul', x, self.normal(n, m)), self.normal(m))

    def save(self, path, inputs, outputs, dtype=TensorProto.FLOAT):
        """inputs, outputs: {name: shape}; outputs' types are inferred."""
        values = [helper.make_tensor_value_info(n, dtype, s) for n, s in inputs.items()]
        results = [helper.make_tensor_value_info(n, TensorProto.UNDEFINED, None) for n in outputs]
        graph = helper.make_graph(self.nodes, path.stem, values, results, self.weights)
        model = onnx.shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid('', 20)], ir_version=9))
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, path)
        return path


def bottleneck(path, c=256, mid=64, side=14):
    """ResNet: 1x1, 3x3, 1x1, residual, each with its activation."""
    g = Graph()
    x = g.node('Relu', g.conv('x', c, mid))
    x = g.node('Relu', g.conv(x, mid, mid, 3))
    y = g.node('Relu', g.node('Add', g.conv(x, mid, c), 'x'))
    return g.save(path, {'x': [1, c, side, side]}, [y])


def inverted(path, c=24, mid=144, side=28):
    """MobileNet: 1x1, depthwise 3x3, 1x1, residual, clipped activations."""
    g = Graph()
    lo, hi = g.const(np.float32(0)), g.const(np.float32(6))
    x = g.node('Clip', g.conv('x', c, mid), lo, hi)
    x = g.node('Clip', g.conv(x, mid, mid, 3, group=mid), lo, hi)
    return g.save(path, {'x': [1, c, side, side]}, [g.node('Add', g.conv(x, mid, c), 'x')])


def squeezed(path, c=48, side=14):
    """EfficientNet: depthwise 5x5, SiLU, squeeze and excite, 1x1."""
    g = Graph()
    x = g.conv('x', c, c, 5, group=c)
    x = g.node('Mul', x, g.node('Sigmoid', x))
    s = g.conv(g.node('GlobalAveragePool', x), c, 12)
    s = g.node('Sigmoid', g.conv(g.node('Mul', s, g.node('Sigmoid', s)), 12, c))
    return g.save(path, {'x': [1, c, side, side]}, [g.conv(g.node('Mul', x, s), c, c)])


def crossed(path, c=48, side=20):
    """YOLO: half of a 1x1 goes through two 3x3, and all lies side by side, beside the input, before another 1x1."""
    g = Graph()
    x = g.node('Relu', g.conv('x', c, c))
    first, second = (g.node('Slice', x, *(g.const(np.array([v], np.int64)) for v in (k, k + c // 2, 1))) for k in (0, c // 2))
    y = g.node('Relu', g.conv(g.node('Relu', g.conv(second, c // 2, c // 2, 3)), c // 2, c // 2, 3))
    y = g.node('Concat', first, second, g.node('Add', y, second), 'x', axis=1)
    return g.save(path, {'x': [1, c, side, side]}, [g.node('Relu', g.conv(y, c * 5 // 2, c))])


def encoder(path, seq=64, d=128, heads=4):
    """A transformer's layer: attention, two normalisations, GELU."""
    g = Graph()

    def split(x, perm):
        return g.node('Transpose', g.node('Reshape', x, g.const(np.array([1, seq, heads, d // heads], np.int64))), perm=perm)

    q, k, v = (g.linear('x', d, d) for _ in range(3))
    score = g.node('MatMul', split(q, [0, 2, 1, 3]), split(k, [0, 2, 3, 1]))
    p = g.node('Softmax', g.node('Mul', score, g.const(np.float32(1 / np.sqrt(d // heads)))), axis=-1)
    a = g.node('Transpose', g.node('MatMul', p, split(v, [0, 2, 1, 3])), perm=[0, 2, 1, 3])
    a = g.linear(g.node('Reshape', a, g.const(np.array([1, seq, d], np.int64))), d, d)
    x = g.node('LayerNormalization', g.node('Add', a, 'x'), g.normal(d), g.normal(d))
    y = g.linear(g.node('Gelu', g.linear(x, d, 4 * d)), 4 * d, d)
    return g.save(path, {'x': [1, seq, d]}, [g.node('LayerNormalization', g.node('Add', y, x), g.normal(d), g.normal(d))])


def tokens(path, c=32, side=14):
    """SegFormer: tokens become a picture under windows with a border, depthwise and dense, and tokens again."""
    g = Graph()
    flat, picture = g.const(np.array([1, c, side * side], np.int64)), g.const(np.array([1, c, side, side], np.int64))
    x = g.node('Reshape', g.node('Transpose', g.linear('x', c, c), perm=[0, 2, 1]), picture)
    x = g.conv(g.node('Gelu', g.conv(x, c, c, 3, group=c)), c, c, 3)
    return g.save(path, {'x': [1, side * side, c]}, [g.linear(g.node('Transpose', g.node('Reshape', x, flat), perm=[0, 2, 1]), c, c)])


def decoder(path, c=32, side=14):
    """A head of segmentation: PRelu, transposed 3x3 of stride 2, Mish, one channel."""
    g = Graph()
    x = g.node('PRelu', g.conv('x', c, c), g.normal(c, 1, 1))
    x = g.node('ConvTranspose', x, g.normal(c, c, 3, 3), g.normal(c), strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    x = g.node('Mul', x, g.node('Tanh', g.node('Softplus', x)))
    return g.save(path, {'x': [1, c, side, side]}, [g.node('Sigmoid', g.conv(x, c, 1, 3))])


BLOCKS = {'bottleneck': bottleneck, 'inverted': inverted, 'squeezed': squeezed, 'crossed': crossed, 'encoder': encoder, 'tokens': tokens, 'decoder': decoder}


def blocks(folder):
    """{name: path}, made anew."""
    return {name: make(folder / f'{name}.onnx') for name, make in BLOCKS.items()}
