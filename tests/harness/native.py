# SPDX-License-Identifier: Apache-2.0
"""Links emitted models into a shared object and calls them, with guard bands round everything that they may write.

A call is made twice, over an arena and outputs that were filled with different bytes before. A model whose outputs differ,
or that touches a guard band, is reported by Broken: emitted code may use nothing but what it was given, and may lean on no
value that it did not write.

Where the code runs is a library's business: in this process here, in another one in cross.py. A library has facts about its
models, memory for a call, and the call.
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


class Heap:
    """Memory of one call, in this process."""

    def __init__(self):
        self.kept = []

    def take(self, size):
        self.kept.append(np.empty(size, np.uint8))
        return self.kept[-1]

    def put(self, array):
        self.kept.append(array)
        return array

    def address(self, array):
        return array.ctypes.data

    def text(self, address):
        return ctypes.string_at(address)


class Library:
    """A shared object with models, loaded into this process."""
    memory = Heap

    def __init__(self, path):
        self.lib = ctypes.CDLL(str(path))
        self.lib.harness_fact.restype = ctypes.c_uint64

    def facts(self, number):
        return [self.lib.harness_fact(number, k) for k in range(6)]

    def tensor(self, number, is_output, k):
        dim = (ctypes.c_int64 * (MAX_RANK + 1))()
        dtype = self.lib.harness_tensor(number, is_output, k, dim)
        return dtype, list(dim[:dim[MAX_RANK]])

    def call(self, number, memory, ins, outs, arena):
        """The status of a call; the arguments are addresses in memory."""
        return self.lib.harness_call(number, *map(ctypes.c_void_p, (ins, outs, arena)))


class Guarded:
    """Bytes between two guard bands, at an address aligned as asked."""

    def __init__(self, memory, size, align, fill):
        self.raw = memory.take(size + align + 2 * GUARD)
        self.raw[:] = fill
        start = memory.address(self.raw)
        self.at = GUARD + -(start + GUARD) % align
        self.address, self.size, self.fill = start + self.at, size, fill

    @property
    def bytes(self):
        return self.raw[self.at:self.at + self.size]

    def intact(self):
        return (self.raw[:self.at] == self.fill).all() and (self.raw[self.at + self.size:] == self.fill).all()


class Model:
    """One model of a Library, as its info structure describes it."""

    def __init__(self, lib, number):
        self.lib, self.number = lib, number
        self.arena_bytes, self.arena_align, self.stack_bytes, self.weight_bytes, nin, nout = lib.facts(number)
        self.inputs = [lib.tensor(number, 0, k) for k in range(nin)]
        self.outputs = [lib.tensor(number, 1, k) for k in range(nout)]

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
        memory = self.lib.memory()
        given = [(values.to_memory(a, memory), a) for a in arrays]
        ins, _ = describe(memory, [(memory.address(m), values.onnx_type(a), a.shape) for m, a in given])
        room = [Guarded(memory, capacity(dtype, shape), 64, poison) for dtype, shape in self.outputs]
        outs, out = describe(memory, [(r.address, dtype, shape) for r, (dtype, shape) in zip(room, self.outputs)])
        arena = Guarded(memory, self.arena_bytes, max(64, self.arena_align), poison)
        status = self.lib.call(self.number, memory, ins, outs, arena.address)
        if status:
            raise Broken(f'the call returned status {status}')
        if not arena.intact():
            raise Broken('the call wrote outside the arena')
        return [self.take(k, memory, room[k], out[k]) for k in range(len(room))]

    def take(self, k, memory, room, out):
        if not room.intact():
            raise Broken(f'the call wrote outside output {k}')
        shape = list(out.dim[:out.rank])
        if any(d < 0 for d in shape) or capacity(out.dtype, shape) > room.size:
            raise Broken(f'output {k} has shape {shape}, its declared bound is {self.outputs[k][1]}')
        return values.from_memory(room.bytes, out.dtype, shape, memory)


def describe(memory, tensors):
    """(address, view) of an array of mlcc_tensor for [(address, dtype, shape)]."""
    listed = (Tensor * max(1, len(tensors)))
    raw = memory.take(ctypes.sizeof(listed))
    view = listed.from_buffer(raw)
    for k, (address, dtype, shape) in enumerate(tensors):
        view[k] = Tensor(address, dtype, len(shape), (ctypes.c_int64 * MAX_RANK)(*shape))
    return memory.address(raw), view


def capacity(dtype, shape):
    return int(np.prod(shape, dtype=np.int64)) * values.memory_type(dtype).itemsize


def models_header(folder, models):
    """Writes models.h, through which shim.c and cross.c see the models of these prefixes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = [f'#include "{prefix}.h"' for prefix in models]
    listed = ' '.join(f'MODEL({prefix})' for prefix in models)
    (folder / 'models.h').write_text('\n'.join(lines) + f'\n#define MODELS {listed}\n')


def link_with(command, source, target, models):
    """Links models {prefix: [objects]} and a C file of the harness into target. Returns (target, '') or (None, why not)."""
    here = target.with_suffix('.shim')
    models_header(here, models)
    objects = [o for group in models.values() for o in group]
    includes = [f'-I{d}' for d in sorted({here, *(o.parent for o in objects)})]
    source = pathlib.Path(__file__).with_name(source)
    rc, _, err = tool.run([*command, '-std=c11', *tool.WARNINGS, *includes, source, *objects, '-lm', '-o', target], 300)
    return (target, '') if rc == 0 else (None, (err.strip().splitlines() or [f'status {rc}'])[0])


def link(cc, folder, name, models):
    """Links models {prefix: [objects]} into folder/name.so. Returns (path, '') or (None, why not)."""
    return link_with([cc, '-fPIC', '-shared', '-Wl,--no-undefined'], 'shim.c', folder / f'{name}.so', models)


def library(cc, built, name, flags, link=link):
    """Compiles and links what mlcc wrote for one model of the prefix `name`; returns the library's path or raises Broken."""
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
    return Library(path)
