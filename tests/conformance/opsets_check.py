#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every opset is accounted for: what an operator that mlcc knows was called, took and defaulted to in any opset of the onnx package
is in its row (ir/op/*.def), or a row of compiler/upgrade.def rewrites nodes of that opset.

    opsets_check.py [BUILD_DIR]
"""
import pathlib
import re
import sys

from onnx import defs, helper

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, tool

ROW = re.compile(r'^(?:OP|ELT)\("",\s*(\w+),\s*"([^"]*)",\s*"[^"]*",\s*"([^"]*)"', re.MULTILINE)
UPGRADE = re.compile(r'^UPGRADE\((\w+),\s*(\d+),\s*(\d+),', re.MULTILINE)
IMPORTER = {'Constant': {'sparse_value'}}  # what onnx.c reads before there is a node


def rows():
    """{operator: (number of inputs, attributes)}."""
    text = '\n'.join(p.read_text() for p in sorted((tool.ROOT / 'ir' / 'op').glob('*.def')))
    return {name: (len(signature.split('->')[0].split(',')), set(re.findall(r'(\w+):', attributes))) for name, signature, attributes in ROW.findall(text)}


def upgrades():
    """{operator: [(first opset, first newer opset)]}; those of ANY are under that name."""
    table = {}
    for name, first, newer in UPGRADE.findall((tool.ROOT / 'compiler' / 'upgrade.def').read_text()):
        table.setdefault(name, []).append((int(first), int(newer)))
    return table


def defaults(schema):
    known = {name: a.default_value for name, a in schema.attributes.items() if a.default_value.name}
    return {name: helper.get_attribute_value(value) for name, value in known.items()}


def history():
    """{operator: its schemas of ai.onnx, oldest first}."""
    found = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == '':
            found.setdefault(schema.name, []).append(schema)
    return {name: sorted(group, key=lambda s: s.since_version) for name, group in found.items()}


def fault(schema, newest, row, rewritten):
    """What a node of this schema may hold that nobody reads as it was meant; '' where a row of upgrade.def has its opset."""
    inputs, attributes = row
    strange = set(schema.attributes) - attributes - IMPORTER.get(schema.name, set())
    strange -= {'consumed_inputs'} if schema.since_version < 6 else set()
    other = {k: v for k, v in defaults(schema).items() if k in newest.attributes and defaults(newest).get(k) != v}
    if rewritten or not (strange or other or len(schema.inputs) > inputs):
        return ''
    return f'attributes {sorted(strange)}, other defaults {other}, {len(schema.inputs)} inputs where the row has {inputs}'


def main():
    r, known, table = report.Report(), rows(), upgrades()
    versions = history()
    for name in sorted(set(known) & set(versions)):
        for schema in versions[name]:
            opset = schema.since_version
            rewritten = any(first <= opset < newer for first, newer in table.get(name, []))
            r.check(f'opsets/{name} of opset {opset}', fault(schema, versions[name][-1], known[name], rewritten))
    for name, spans in table.items():
        r.check(f'opsets/rows of {name}', '' if name == 'ANY' or name in versions else 'there is no such operator')
    r.finish()


if __name__ == '__main__':
    main()
