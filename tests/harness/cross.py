# SPDX-License-Identifier: Apache-2.0
"""Emitted code in a program for another processor, under qemu's emulation: what native.py offers, for rows of AArch64.

The memory of a call is a file that this process and the program both map, the program at a fixed address. So guard bands,
poison and tensors are laid out and looked at here, by the same code as for calls in this process.
"""
import ctypes
import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass

import numpy as np

from . import native, tool

CC, QEMU = 'aarch64-linux-gnu-gcc', 'qemu-aarch64'
BASE = 1 << 37       # where the program sees the image; free in a static program
ROOM = 1 << 32       # of the image; what is not touched is not there
MALLOC = 16          # alignment of what is not asked to be aligned
SECONDS = 300        # as in cross.c


class Image:
    """Memory of one call, in a file."""

    def __init__(self):
        self.file = tempfile.TemporaryFile()
        os.ftruncate(self.file.fileno(), ROOM)
        self.raw = np.frombuffer(mmap.mmap(self.file.fileno(), ROOM), np.uint8)
        self.used = 0

    def take(self, size):
        start, self.used = self.used, self.used + size + -size % MALLOC
        if self.used > ROOM:
            raise native.Broken(f'a call takes more than {ROOM} bytes')
        return self.raw[start:start + size]

    def put(self, array):
        copy = self.take(array.nbytes).view(array.dtype).reshape(array.shape)
        copy[...] = array
        return copy

    def address(self, array):
        return BASE + array.ctypes.data - self.raw.ctypes.data if array.size else BASE

    def text(self, address):
        return ctypes.string_at(self.raw.ctypes.data + address - BASE)


class Program:
    """An executable with models; each call is a run of it."""
    memory = Image

    def __init__(self, path, cpu):
        self.command = [QEMU, '-cpu', cpu, str(path)]
        lines = iter([int(n) for n in line.split()] for line in self.run([]).splitlines())
        self.models = [(facts, [[next(lines) for _ in range(n)] for n in facts[4:]]) for facts in lines]

    def run(self, words, **kwargs):
        rc, out, err = tool.run([*self.command, *words], SECONDS, **kwargs)
        if rc:
            raise native.Broken(f'{QEMU} ended with {f"signal {-rc}" if rc < 0 else f"status {rc}"}: {err.strip()}')
        return out

    def facts(self, number):
        return self.models[number][0]

    def tensor(self, number, is_output, k):
        dtype, *shape = self.models[number][1][is_output][k]
        return dtype, shape

    def call(self, number, memory, ins, outs, arena):
        fd = memory.file.fileno()
        return int(self.run([fd, ROOM, BASE, number, ins, outs, arena, memory.used], pass_fds=[fd]))


def missing():
    """What is not installed; '' when everything is."""
    return next((f'{name} is not installed' for name in (CC, QEMU) if not shutil.which(name)), '')


@dataclass(frozen=True)
class Way:
    """As machines.Native, for one row."""
    flags: tuple
    cpu: str  # as qemu calls the least that has what the row takes for granted
    cc: str = CC

    def link(self, folder, name, models):
        return native.link_with([CC, '-static'], 'cross.c', folder / f'{name}.elf', models)

    def load(self, path):
        return Program(path, self.cpu)


ROWS = {
    'neon': Way(('-march=armv8-a',), 'cortex-a57'),
    'neon-dotprod': Way(('-march=armv8.2-a+dotprod',), 'cortex-a76'),
    'neon-i8mm': Way(('-march=armv8.6-a',), 'max'),
}
