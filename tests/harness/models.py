# SPDX-License-Identifier: Apache-2.0
"""The models that the suites under tests/emit look at: the samples, the MLPerf Tiny networks where they are at hand, and test
models of the onnx package with constructs that the networks lack."""
import pathlib

import onnx

from . import tool

NODE = pathlib.Path(onnx.__file__).parent / 'backend' / 'test' / 'data' / 'node'
CASES = ['add_bcast', 'attention_3d_with_past_and_present_qk_matmul_softcap', 'batchnorm_epsilon', 'convtranspose', 'einsum_batch_matmul', 'erf', 'gathernd_example_int32',
         'instancenorm_epsilon', 'layer_normalization_4d_axis1', 'lstm_defaults', 'maxpool_2d_pads', 'nonzero_example', 'pow',
         'quantizelinear', 'logsoftmax_axis_1', 'resize_upsample_scales_linear', 'scatter_elements_with_axis',
         'softmax_axis_1', 'top_k', 'transpose_all_permutations_3', 'where_example']


def samples():
    folder = tool.ROOT / 'samples' / 'digits'
    return {p.stem: p for p in (folder / 'digits.onnx', folder / 'digits_int8.onnx')}


def networks():
    folder = tool.SHARED / 'models' / 'mlperf-tiny'
    return samples() | {p.stem: p for p in sorted(folder.glob('*_int8_tfl.onnx')) + sorted(folder.glob('*_fp32.onnx'))}


def cases():
    """Those that mlcc supports; the conformance suite keeps the list of the others."""
    listed = (tool.ROOT / 'tests' / 'conformance' / 'expected.txt').read_text()
    found = {name: NODE / f'test_{name}' / 'model.onnx' for name in CASES}
    return {name: path for name, path in found.items() if f'node/test_{name} ' not in listed}


def build(mlcc, model, folder, name, args=()):
    """(Built, '') of a model that must compile, or (None, why not)."""
    built = tool.compile_model(mlcc, model, folder, name, args)
    return (built, '') if built.rc == 0 else (None, f'mlcc: {built.message} [{built.slug}]')
