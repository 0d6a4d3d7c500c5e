#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares compiler/onnx.proto, or the .proto file given, with the descriptors of the onnx package.

Every field must have the official name, number and repetition, and a type that is the same on the wire."""
import pathlib
import re
import sys

import onnx

PROTO = pathlib.Path(__file__).resolve().parents[2] / "compiler" / "onnx.proto"

SCALAR = {"float": 2, "int64": 3, "int32": 5, "string": 9, "bytes": 12}
MESSAGE, ENUM = 11, 14
PACKED = {2: "float_data", 5: "int32_data", 3: "int64_data", 1: "double_data", 4: "uint64_data"}


def read(path):
    """Fields of each message of a .proto file: {'TypeProto.Tensor': {name: (repeated, type, number)}}."""
    messages, stack = {}, []
    for line in open(path, encoding="ascii"):
        line = line.split("//")[0].strip()
        if m := re.fullmatch(r"message (\w+) \{", line):
            stack.append(m[1])
            messages[".".join(stack)] = {}
        elif line == "}":
            stack.pop()
        elif m := re.fullmatch(r"(optional|repeated) (\w+) (\w+) = (\d+);", line):
            messages[".".join(stack)][m[3]] = (m[1] == "repeated", m[2], int(m[4]))
        elif stack and line:
            sys.exit(f"{path}: line not understood: {line}")
    return messages


def official(name):
    descriptor = getattr(onnx, name.split(".")[0]).DESCRIPTOR
    for part in name.split(".")[1:]:
        descriptor = descriptor.nested_types_by_name[part]
    return descriptor


def same_wire(field, kind):
    if field.type == MESSAGE:
        return field.message_type.name == kind
    if field.type == ENUM:
        return kind == "int32"
    if kind == "bytes" and PACKED.get(field.type) == field.name:
        return field.GetOptions().packed
    return SCALAR.get(kind) == field.type


def is_repeated(field):
    return field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def main():
    path = next((a for a in sys.argv[1:] if a.endswith(".proto")), PROTO)
    good = bad = 0
    for message, fields in read(path).items():
        theirs = official(message).fields_by_name
        for name, (repeated, kind, number) in fields.items():
            f = theirs.get(name)
            if f is not None and f.number == number and is_repeated(f) == repeated and same_wire(f, kind):
                good += 1
                continue
            bad += 1
            print(f"FAIL {message}.{name}: is not what onnx {onnx.__version__} has")
    print(f"{good} passed, {bad} failed")
    sys.exit(1 if bad or good < 60 else 0)  # fewer fields: the file was not understood


main()
