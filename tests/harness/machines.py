# SPDX-License-Identifier: Apache-2.0
"""The rows of targets/target.def, and how code for each of them runs here: on the processor at hand, where a new row is tested
without a word here, by emulation, or not at all."""
import functools
import pathlib
import platform
import re
from dataclasses import dataclass
from typing import Callable

from . import cross, native, tool

ROW = re.compile(r'^MACHINE\((\w+), *(\w+),[^"]*"([^"]*)", "([^"]*)"', re.MULTILINE)
SPELLED = {'dotprod': 'asimddp', 'sse4.2': 'sse4_2', 'avx512vnni': 'avx512_vnni', 'avx512bf16': 'avx512_bf16', 'avxvnni': 'avx_vnni', 'avx512fp16': 'avx512_fp16'}


@dataclass(frozen=True)
class Row:
    isa: str       # 'host', 'x86_64' or 'aarch64'
    needs: tuple   # features that its code needs
    flags: tuple   # of the C compiler


@functools.cache
def rows():
    """{name as -march= takes it: Row}"""
    text = (tool.ROOT / 'targets' / 'target.def').read_text()
    return {name.replace('_', '-'): Row(isa, tuple(needs.split()), tuple(flags.split())) for name, isa, needs, flags in ROW.findall(text)}


def flags():
    path = pathlib.Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.exists() else []
    return set(next((line.partition(':')[2] for line in lines if line.startswith(('flags', 'Features'))), '').split())


def runnable():
    """Names of the rows whose code runs on this processor."""
    have, isa = flags(), {'arm64': 'aarch64'}.get(platform.machine(), platform.machine())
    return [name for name, row in rows().items()
            if row.isa in ('host', isa) and {SPELLED.get(f, f.replace('-', '_')) for f in row.needs} <= have]


@dataclass(frozen=True)
class Way:
    """How emitted code is compiled, linked (as native.link does) and loaded (as native.load does) for calls by native.Model."""
    cc: str
    flags: tuple
    link: Callable
    load: Callable
    runner: tuple = ()  # what a program of one's own is run by
    static: tuple = ()  # flags with which that can be linked

    def library(self, built, name, level='-O2'):
        """As native.library."""
        return native.library(self.cc, built, name, [level, *self.flags], self.link)


def here(cc='gcc', flags=('-march=native',)):
    return Way(cc, flags, native.link, native.load)


def emulated():
    """Names of the rows whose code runs in another process only, or would if what way() says were installed."""
    return [name for name, row in rows().items() if row.isa == cross.ISA and name not in runnable()]


def way(name):
    """(Way of a row, ''), or (None, why there is none)."""
    if name in runnable():
        return here(), ''
    if name not in emulated():
        return None, 'not this processor'
    cpu, why = cross.CPUS.get(name, cross.ANY_CPU), cross.missing()
    return (None, why) if why else (Way(cross.CC, rows()[name].flags, cross.link, functools.partial(cross.Program, cpu=cpu), (cross.QEMU, '-cpu', cpu), ('-static',)), '')
