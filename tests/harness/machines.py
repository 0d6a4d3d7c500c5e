# SPDX-License-Identifier: Apache-2.0
"""The rows of targets/target.def, and how code for each of them runs here: on the processor at hand, where a new row is tested
without a word here, by emulation, or not at all."""
import pathlib
import platform
import re
from dataclasses import dataclass

from . import cross, native, tool

ROW = re.compile(r'^MACHINE\((\w+),[^"]*"([^"]*)"', re.MULTILINE)
SPELLED = {'sse4.2': 'sse4_2', 'avx512vnni': 'avx512_vnni', 'avx512bf16': 'avx512_bf16', 'avxvnni': 'avx_vnni', 'avx512fp16': 'avx512_fp16'}

def rows():
    """{name as -march= takes it: features that its code needs}"""
    text = (tool.ROOT / 'targets' / 'target.def').read_text()
    return {name.replace('_', '-'): cpu.split() for name, cpu in ROW.findall(text)}


def flags():
    path = pathlib.Path('/proc/cpuinfo')
    lines = path.read_text().splitlines() if path.exists() else []
    return set(next((line.partition(':')[2] for line in lines if line.startswith(('flags', 'Features'))), '').split())


def is_x86(cpu):
    return any(feature.startswith(('sse', 'avx', 'amx', 'fma', 'bmi')) for feature in cpu)


def runnable():
    """Names of the rows whose code runs on this processor."""
    have, x86 = flags(), platform.machine() == 'x86_64'
    needs = {name: {SPELLED.get(f, f.replace('-', '_')) for f in cpu} for name, cpu in rows().items()}
    return [name for name, need in needs.items() if need <= have and (x86 or not is_x86(rows()[name])) and not (x86 and name in cross.ROWS)]


@dataclass(frozen=True)
class Native:
    """Emitted code is compiled by cc with these flags, linked and loaded, and then called through native.Model."""
    cc: str = 'gcc'
    flags: tuple = ('-march=native',)

    def link(self, folder, name, models):
        return native.link(self.cc, folder, name, models)

    def load(self, path):
        return native.load(path)


def way(name):
    """(what compiles, links and loads code for a row, ''), or (None, why nothing does)."""
    if name in runnable():
        return Native(), ''
    if name not in cross.ROWS:
        return None, 'not this processor'
    why = cross.missing()
    return (None, why) if why else (cross.ROWS[name], '')


def load(way, built, name, level='-O2'):
    """The library of what mlcc wrote for one model of the prefix `name`; raises native.Broken."""
    objects = native.objects(way.cc, built, [level, *way.flags])
    path, why = way.link(built.header.parent, 'lib', {name: objects})
    if path is None:
        raise native.Broken(f'cc: {why}')
    return way.load(path)
