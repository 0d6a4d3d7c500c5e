# SPDX-License-Identifier: Apache-2.0
"""The rows of targets/target.def, and which of them the processor at hand can run: a new row is tested without a word here."""
import pathlib
import platform
import re

from . import tool

ROW = re.compile(r'^MACHINE\((\w+),[^"]*"([^"]*)"', re.MULTILINE)
SPELLED = {'sse4.2': 'sse4_2', 'avx512vnni': 'avx512_vnni', 'avx512bf16': 'avx512_bf16', 'avxvnni': 'avx_vnni', 'avx512fp16': 'avx512_fp16'}
ARCHITECTURE = {'x86_64': ('x86_64',), 'neon': ('aarch64', 'arm64')}


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
    """Names of the rows whose code runs here."""
    have, x86 = flags(), platform.machine() == 'x86_64'
    needs = {name: {SPELLED.get(f, f.replace('-', '_')) for f in cpu} for name, cpu in rows().items()}
    return [name for name, need in needs.items() if need <= have and (x86 or not is_x86(rows()[name])) and not (x86 and name.startswith('neon'))]
