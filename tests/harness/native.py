# SPDX-License-Identifier: Apache-2.0
"""Links emitted models into a shared object and calls them, with guard bands round everything that they may write.

A call is made twice, over an arena and outputs that were filled with different bytes before. A model whose outputs differ,
or that touches a guard band, is reported by Broken: emitted code may use nothing but what it was given, and may lean on no
value that it did not write.
"""
import ctypes
import pathlib
import shutil

import numpy as np

from . import tool, values

GUARD = 256
POISONS = (0x00, 0xA5)
MAX_RANK = 8


class Broken(Exception):
    """Emitted code broke a rule that has nothing to do with the values it should compute."""


class Tensor(ctypes.Structure):
    """mlcc_tensor; its layout is part of the ABI."""
    _fields_ = [('data', ctypes.c_void_p), ('dtype', ctypes.c_int32), ('rank', ctypes.c_int32), ('dim', ctypes.c_int64 * MAX_RANK)]


class Guarded:
    """Bytes between two guard bands, at an address aligned as asked."""

    def __init__(self, size, align, fill):
        self.raw = np.full(size + align + 2 * GUARD, fill, np.uint8)
        self.at = GUARD + -(self.raw.ctypes.data + GUARD) % align
        self.size, self.fill = size, fill

    @property
    def address(self):
        return self.raw.ctypes.data + self.at

    @property
    def bytes(self):
        return self.raw[self.at:self.at + self.size]

    def intact(self):
        return (self.raw[:self.at] == self.fill).all() and (self.raw[self.at + self.size:] == self.fill).all()


class Model:
    """One model of a Library, as its info structure describes it."""

    def __init__(self, lib, number):
        self.lib, self.number = lib, number
        facts = [lib.harness_fact(number, k) for k in range(6)]
        self.arena_bytes, self.arena_align, self.stack_bytes, self.weight_bytes, nin, nout = facts
        self.inputs = [self.tensor(0, k) for k in range(nin)]
        self.outputs = [self.tensor(1, k) for k in range(nout)]

    def tensor(self, is_output, k):
        dim = (ctypes.c_int64 * (MAX_RANK + 1))()
        dtype = self.lib.harness_tensor(self.number, is_output, k, dim)
        return dtype, list(dim[:dim[MAX_RANK]])

    def check_inputs(self, arrays):
        if len(arrays) != len(self.inputs):
            raise Broken(f'{len(self.inputs)} inputs, expected {len(arrays)}')
        for k, (array, (dtype, _)) in enumerate(zip(arrays, self.inputs)):
            if values.onnx_type(array) != dtype:
                raise Broken(f'input {k} has type {dtype}, expected {values.onnx_type(array)}')

    def call(self, arrays, poisons=POISONS):
        """The outputs for these inputs; raises Broken."""
        self.check_inputs(arrays)
        first, *more = (self.call_once(arrays, poison) for poison in poisons)
        for again in more:
            self.check_same(first, again)
        return first

    @staticmethod
    def check_same(first, again):
        for k, (a, b) in enumerate(zip(first, again)):
            same = a.shape == b.shape and ((a == b).all() if a.dtype == object else a.tobytes() == b.tobytes())
            if not same:
                raise Broken(f'output {k} depends on what the arena or the output held before')

    def call_once(self, arrays, poison):
        keep = []
        memory = [values.to_memory(a, keep) for a in arrays]
        ins = (Tensor * max(1, len(memory)))(*[describe(m.ctypes.data, values.onnx_type(a), a.shape) for m, a in zip(memory, arrays)])
        room = [Guarded(capacity(dtype, shape), 64, poison) for dtype, shape in self.outputs]
        outs = (Tensor * max(1, len(room)))(*[describe(r.address, dtype, shape) for r, (dtype, shape) in zip(room, self.outputs)])
        arena = Guarded(self.arena_bytes, max(64, self.arena_align), poison)
        status = self.lib.harness_call(self.number, ins, outs, ctypes.c_void_p(arena.address))
        if status:
            raise Broken(f'the call returned status {status}')
        if not arena.intact():
            raise Broken('the call wrote outside the arena')
        return [self.take(k, room[k], outs[k]) for k in range(len(room))]

    def take(self, k, room, out):
        if not room.intact():
            raise Broken(f'the call wrote outside output {k}')
        shape = list(out.dim[:out.rank])
        if any(d < 0 for d in shape) or capacity(out.dtype, shape) > room.size:
            raise Broken(f'output {k} has shape {shape}, its declared bound is {self.outputs[k][1]}')
        return values.from_memory(room.bytes, out.dtype, shape)


def describe(address, dtype, shape):
    return Tensor(address, dtype, len(shape), (ctypes.c_int64 * MAX_RANK)(*shape))


def capacity(dtype, shape):
    return int(np.prod(shape, dtype=np.int64)) * values.memory_type(dtype).itemsize


def link(cc, folder, name, models):
    """Links models {prefix: [objects]} into folder/name.so. Returns (path, '') or (None, why not)."""
    here = folder / f'{name}.shim'
    shutil.rmtree(here, ignore_errors=True)
    here.mkdir(parents=True)
    lines = [f'#include "{prefix}.h"' for prefix in models]
    listed = ' '.join(f'MODEL({prefix})' for prefix in models)
    (here / 'models.h').write_text('\n'.join(lines) + f'\n#define MODELS {listed}\n')
    target = folder / f'{name}.so'
    objects = [o for group in models.values() for o in group]
    includes = [f'-I{d}' for d in sorted({here, *(o.parent for o in objects)})]
    command = [cc, '-std=c11', '-fPIC', '-shared', *tool.WARNINGS, *includes, pathlib.Path(__file__).with_name('shim.c'), *objects]
    rc, _, err = tool.run([*command, '-Wl,--no-undefined', '-lm', '-o', target], 300)
    return (target, '') if rc == 0 else (None, (err.strip().splitlines() or [f'status {rc}'])[0])


def library(cc, built, name, flags):
    """Compiles and links what mlcc wrote for one model of the prefix `name`; returns the shared object or raises Broken."""
    objects = []
    for source in built.sources:
        obj, why = tool.compile_object(cc, source, flags)
        if obj is None:
            raise Broken(f'cc: {why}')
        objects.append(obj)
    path, why = link(cc, built.header.parent, 'lib', {name: objects})
    if path is None:
        raise Broken(f'cc: {why}')
    return path


def load(path):
    lib = ctypes.CDLL(str(path))
    lib.harness_fact.restype = ctypes.c_uint64
    return lib
