#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for fuzz_import: corpus.py FOLDER puts there the smaller test models of the onnx package, one per operator, and
models of what those lack: functions with attributes and subgraphs, sparse tensors, external data."""
import pathlib
import shutil
import sys

import onnx
from onnx import TensorProto, helper

LIMIT = 3000  # bytes: small seeds mutate well


def copy_tests(folder):
    seen = set()
    for path in sorted(pathlib.Path(onnx.__file__).parent.glob("backend/test/data/*/*/model.onnx")):
        if path.stat().st_size > LIMIT:
            continue
        key = tuple(sorted({(n.domain, n.op_type) for n in onnx.load(path).graph.node}))
        if key not in seen:
            seen.add(key)
            shutil.copy(path, folder / f"{path.parent.name}.onnx")
    return len(seen)


def save(folder, name, nodes, functions=(), tensors=(), sparse=()):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "g", [x], [y], initializer=tensors, sparse_initializer=sparse)
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    model = helper.make_model(graph, functions=functions, opset_imports=imports, ir_version=9)
    (folder / f"{name}.onnx").write_bytes(model.SerializeToString())


def make_function(name, nodes, attributes=(), defaults=()):
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("f", 1)]
    return helper.make_function("f", name, ["p"], ["q"], nodes, imports, attributes, defaults)


def own(folder):
    elu = helper.make_node("Elu", ["p"], ["m"])
    elu.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="a", type=onnx.AttributeProto.FLOAT))
    inner = make_function("inner", [elu, helper.make_node("Relu", ["m"], ["q"])], ["a"])
    branch = helper.make_graph([helper.make_node("Neg", ["p"], ["t"])], "b", [], [onnx.ValueInfoProto(name="t")])
    outer = make_function("outer", [
        helper.make_node("Constant", [], ["c"], value_int=1), helper.make_node("Cast", ["c"], ["k"], to=TensorProto.BOOL),
        helper.make_node("If", ["k"], ["w"], then_branch=branch, else_branch=branch),
        helper.make_node("inner", ["w"], ["q"], domain="f", a=2.0)])
    save(folder, "functions", [helper.make_node("outer", ["x"], ["m"], domain="f"), helper.make_node("outer", ["m"], ["y"], domain="f")],
         [inner, outer])
    values = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    sparse = helper.make_sparse_tensor(values, helper.make_tensor("i", TensorProto.INT64, [2], [1, 3]), [4])
    save(folder, "sparse", [helper.make_node("Add", ["x", "w"], ["y"])], sparse=[sparse])
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "w.bin"), ("offset", "0"), ("length", "16")):
        tensor.external_data.add(key=key, value=value)
    save(folder, "external", [helper.make_node("Add", ["x", "w"], ["y"])], tensors=[tensor])
    typed = [helper.make_tensor(f"t{t}", t, [2], [1, 2]) for t in (1, 3, 7, 10, 11, 12, 16, 21, 22)]
    save(folder, "typed", [helper.make_node("Add", ["x", "t1"], ["y"])], tensors=typed)
    return 4


folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
print(f"{copy_tests(folder) + own(folder)} models")
