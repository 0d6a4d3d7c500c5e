#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Seeds for fuzz_import: corpus.py FOLDER copies the smaller test models of the onnx package there, one per operator."""
import pathlib
import shutil
import sys

import onnx

LIMIT = 3000  # bytes: small seeds mutate well

folder = pathlib.Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
seen = set()
for path in sorted(pathlib.Path(onnx.__file__).parent.glob("backend/test/data/*/*/model.onnx")):
    if path.stat().st_size > LIMIT:
        continue
    key = tuple(sorted({(n.domain, n.op_type) for n in onnx.load(path).graph.node}))
    if key not in seen:
        seen.add(key)
        shutil.copy(path, folder / f"{path.parent.name}.onnx")
print(f"{len(seen)} models")
