# SPDX-License-Identifier: Apache-2.0
"""Emitted code in a program for another processor, under qemu's emulation: what native.py offers, for rows of AArch64.

Memory of calls is a file that this process and the program both map, the program at a fixed address. So guard bands, poison
and tensors are laid out and looked at here, by the same code as for calls in this process.
"""
import ctypes
import mmap
import shutil
import subprocess
import tempfile

import numpy as np

from . import native

CC, QEMU = 'aarch64-linux-gnu-gcc', 'qemu-aarch64'
BASE = 1 << 37       # where the program sees the image; free in a static program
ROOM = 1 << 32       # of the image; what is not touched is not there
MALLOC = 16          # alignment of what is not asked to be aligned
ISA = 'aarch64'
CPUS = {'neon': 'cortex-a57', 'neon-dotprod': 'cortex-a76'}  # processors of qemu that have no more than a row says
ANY_CPU = 'max'


class Image:
    """Memory of one call, at the start of a file."""

    def __init__(self, raw):
        self.raw, self.used = raw, 0

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
    """An executable with models, which waits for calls; it is started again after one that it did not survive."""

    def __init__(self, path, cpu):
        self.file = tempfile.TemporaryFile()
        self.file.truncate(ROOM)
        self.raw = np.frombuffer(mmap.mmap(self.file.fileno(), ROOM), np.uint8)
        self.command = [QEMU, '-cpu', cpu, path, *map(str, (self.file.fileno(), ROOM, BASE))]
        self.models = self.start()

    def start(self):
        """[(facts, [inputs, outputs])] of the models, as the program says before it waits."""
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                        text=True, pass_fds=[self.file.fileno()])
        lines = iter(self.line, [])
        return [(facts, [[next(lines) for _ in range(n)] for n in facts[4:]]) for facts in lines]

    def line(self):
        """The numbers of the next line."""
        text = self.process.stdout.readline()
        if not text:
            raise native.Broken(f'the program ended with status {self.process.wait()}')
        return [int(n) for n in text.split()]

    def memory(self):
        return Image(self.raw)

    def facts(self, number):
        return self.models[number][0]

    def tensor(self, number, is_output, k):
        dtype, *shape = self.models[number][1][is_output][k]
        return dtype, shape

    def call(self, number, memory, ins, outs, arena):
        if self.process.returncode is not None:
            self.start()
        self.process.stdin.write(f'{number} {ins} {outs} {arena} {memory.used}\n')
        self.process.stdin.flush()
        return self.line()[0]


def missing():
    """What is not installed; '' when everything is."""
    return next((f'{name} is not installed' for name in (CC, QEMU) if not shutil.which(name)), '')


def link(cc, folder, name, models):
    """As native.link, into folder/name.elf."""
    return native.link_with([cc, '-static'], 'cross.c', folder / f'{name}.elf', models)
