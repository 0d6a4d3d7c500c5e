#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One artefact for several instruction-set levels: built by gcc without any flag for the processor and by clang with those of its
row for each file, every level has the instructions that it is for and computes what an artefact of that level alone computes, and
the public name calls the best level that the processor has: this one, and for AArch64 several that qemu knows.

    levels.py BUILD_DIR
"""
import functools
import pathlib
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from typing import Callable

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import cross, machines, models, native, report, symbols, tool

PREFIX = 'net'
STAND_IN = pathlib.Path(__file__).with_name('levels.c')
DIGITS, DIGITS_INT8 = (models.samples()[name] for name in ('digits', 'digits_int8'))


@dataclass(frozen=True)
class Processor:
    can: list           # levels that it can run, best first
    load: Callable      # as native.load
    runner: tuple = ()  # what a program is run by


@dataclass(frozen=True)
class Network:
    model: Callable     # path of the model; it may be made in the folder given
    uses: dict          # {level: the instructions among Target.telling that its code has}
    args: tuple = ()


@dataclass(frozen=True)
class Target:
    """An instruction set."""
    levels: list        # best first
    processors: dict    # {name: Processor}
    networks: dict      # {name: Network}
    compilers: dict     # {'gcc', 'clang': command and flags}
    link: Callable      # as native.link
    static: tuple       # flags for a program of one's own
    objdump: str
    telling: str        # pattern of what not every level has

    def flags(self, cc, level):
        """Of a compile of one level of several, or of the file that chooses, ''."""
        return ['-O2', *self.compilers[cc][1:], *(machines.rows()[level].flags if cc == 'clang' and level else [])]


def product_of_bytes(folder):
    """u8[8,64] by i8[64,32]."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = np.random.default_rng(1).integers(-128, 128, 64 * 32)
    path = folder / 'bytes.nn'
    path.write_text(f'graph g\ninput %x u8[8,64]\nconst %w i8[64,32] ({", ".join(map(str, weights))})\n%y ? = MatMulInteger %x %w\noutput %y\n')
    return path


def x86():
    """(Target, '') or (None, why not)"""
    if platform.machine() != 'x86_64':
        return None, 'not an x86-64 machine'
    levels, wide = ['x86-64-v4', 'x86-64-v3-vnni', 'x86-64-v3', 'x86-64-v2'], {'x86-64-v4': {'zmm', 'ymm'}, 'x86-64-v3-vnni': {'ymm'}, 'x86-64-v3': {'ymm'}}
    here = Processor([level for level in levels if level in machines.runnable()], native.load)
    dots = {**wide, 'x86-64-v3-vnni': {'ymm', 'vpdpbusd'}}
    networks = {'digits': Network(lambda folder: DIGITS, wide), 'digits_int8': Network(lambda folder: DIGITS_INT8, dots)}
    return Target(levels, {'this processor': here}, networks, {'gcc': ['gcc'], 'clang': ['clang']}, native.link, (), 'objdump', r'(?:%|\t|\} )([yz]mm|vpdpbusd)'), ''


def emulated(cpu, can):
    return Processor(can, functools.partial(cross.Program, cpu=cpu), (cross.QEMU, '-cpu', cpu))


def aarch64():
    """(Target, '') or (None, why not)"""
    levels = ['neon-i8mm', 'neon-dotprod', 'neon']
    i8mm, dotprod, _ = levels
    processors = {cpu: emulated(cpu, levels[first:]) for cpu, first in {'max': 0, 'cortex-a76': 1, 'neoverse-n1': 1, 'cortex-a72': 2, 'cortex-a53': 2}.items()}
    networks = {'digits_int8': Network(lambda folder: DIGITS_INT8, {i8mm: {'sdot'}, dotprod: {'sdot'}}),
                'bytes': Network(product_of_bytes, {i8mm: {'usdot'}, dotprod: {'sdot'}}),
                'bf16': Network(lambda folder: DIGITS, {i8mm: {'bfdot', 'bfcvtn'}}, ('-ffp=bf16',))}
    compilers = {'gcc': [cross.CC], 'clang': ['clang', '--target=aarch64-linux-gnu']}
    target = Target(levels, processors, networks, compilers, lambda cc, *rest: cross.link(cross.CC, *rest), ('-static',),
                    'aarch64-linux-gnu-objdump', r'\t([su]dot|usdot|bfdot|bfcvtn)\b')
    return (None, cross.missing()) if cross.missing() else (target, '')


def prefix_of(level):
    return f'{PREFIX}_{level.replace("-", "_")}' if level else PREFIX


def level_of(target, source):
    """The level that a source was made for; '' for the one that chooses."""
    return max((level for level in target.levels if source.name.startswith(prefix_of(level))), key=len, default='')


def compiled(target, cc, source, flags):
    obj, why = tool.compile_object(target.compilers[cc][0], source, flags)
    if obj is None:
        raise native.Broken(f'{cc}: {why}')
    return obj


def objects(target, cc, built):
    """{level: [objects]}"""
    made = {level: [] for level in ['', *target.levels]}
    for source in built.sources:
        level = level_of(target, source)
        made[level].append(compiled(target, cc, source, target.flags(cc, level)))
    return made


def build(mlcc, network, folder, levels):
    built, why = models.build(mlcc, network.model(folder), folder, PREFIX, [f'-march={",".join(reversed(levels))}', *network.args])
    if why:
        raise native.Broken(why)
    return built


def link(target, folder, made):
    """A program or library with what {prefix: [objects]} hold."""
    path, why = target.link(target.compilers['gcc'][0], folder, 'lib', made)
    if path is None:
        raise native.Broken(why)
    return path


def alone(mlcc, target, network, folder, cc, level):
    built = build(mlcc, network, folder, [level])
    flags = ['-O2', *target.compilers[cc][1:], *machines.rows()[level].flags]
    return link(target, folder, {PREFIX: [compiled(target, cc, source, flags) for source in built.sources]})


def inputs(model):
    rng = np.random.default_rng(7)
    return [(rng.standard_normal(shape) * 40).astype({1: np.float32, 2: np.uint8, 3: np.int8}[dtype]) for dtype, shape in model.inputs]


def outputs(library, number=0):
    model = native.Model(library, number)
    return [out.tobytes() for out in model.call(inputs(model))]


def wrong_instructions(target, network, made):
    for level in target.levels:
        code = ''.join(tool.run([target.objdump, '-d', '--no-show-raw-insn', o], 60)[1] for o in made[level])
        found, want = set(re.findall(target.telling, code)), network.uses.get(level, set())
        if found != want:
            return f'{level} has {sorted(found)}, expected {sorted(want)}'
    return ''


def wrong_results(processor, several, single, levels):
    """several: a path with all levels behind the public name; single: {level: path of an artefact of that level alone}"""
    library = processor.load(several)
    want = {level: outputs(processor.load(single[level])) for level in processor.can}
    differs = next((level for level in processor.can if outputs(library, 1 + levels.index(level)) != want[level]), '')
    if differs:
        return f'{differs} differs from an artefact of that level alone'
    return '' if outputs(library) == want[processor.can[0]] else f'the public name does not compute what {processor.can[0]} does'


def check(mlcc, target, network, folder, cc):
    made = objects(target, cc, build(mlcc, network, folder, target.levels))
    bad = symbols.violations({o: PREFIX for group in made.values() for o in group}, symbols.allowed())
    why = next(iter(bad.values()), '') or wrong_instructions(target, network, made)
    if why:
        return why
    several = link(target, folder, {prefix_of(level): group for level, group in made.items()})
    single = {level: alone(mlcc, target, network, folder / level, cc, level) for level in target.levels}
    for name, processor in target.processors.items():
        why = wrong_results(processor, several, single, target.levels)
        if why:
            return f'{name}: {why}'
    return ''


def chosen(target, cc, folder, levels, flags):
    """The program that says which of these levels is called, as a file that chooses among them does that is compiled with the flags."""
    choose = compiled(target, cc, folder / f'{PREFIX}.c', [*target.flags(cc, ''), *flags])
    program = folder / 'chosen'
    native.models_header(folder / 'stand-in', [prefix_of(level) for level in levels])
    command = [target.compilers['gcc'][0], '-std=c11', *target.static, *tool.WARNINGS, f'-I{folder}', f'-I{folder / "stand-in"}']
    rc, _, err = tool.run([*command, STAND_IN, choose, '-o', program], 60)
    if rc:
        raise native.Broken(err.strip().splitlines()[0])
    return program


def wrong_choice(mlcc, target, cc, folder, levels, want, flags=()):
    """want: {name of a processor: what both calls come to}"""
    build(mlcc, next(iter(target.networks.values())), folder, levels)
    program = chosen(target, cc, folder, levels, flags)
    for name, lines in want.items():
        rc, out, err = tool.run([*target.processors[name].runner, program], 60)
        if rc or out.splitlines() != lines:
            return f'{name}: {out.split() or err}, status {rc}, expected {lines}'
    return ''


def choices(target):
    """{name: (levels, {processor: what is called}, flags of the file that chooses)}"""
    called, least = {level: [prefix_of(level)] * 2 for level in target.levels}, target.levels[-1]
    found = {'best': (target.levels, {name: called[p.can[0]] for name, p in target.processors.items()}, ())}
    if least == 'neon':
        without = [name for name, p in target.processors.items() if p.can == [least]]
        found['none'] = (target.levels[:-1], {name: ['status 3 3'] for name in without}, ())
        found['unknown system'] = (target.levels, {name: called[least] for name in target.processors}, ['-U__linux__'])
    return found


def note_fault(mlcc, sample, folder, cc):
    """Code for AMX that is compiled without it says so, and nothing otherwise; never as an error."""
    built, why = models.build(mlcc, models.samples()[sample], folder, PREFIX, ['-march=sapphirerapids', '-ffp=bf16'])
    if why:
        return why
    source = folder / f'{PREFIX}.c'
    for flags, noted in ([], True), (['-DMLCC_AMX_SOFT'], False), (['-march=sapphirerapids'], False):
        rc, _, err = tool.run([cc, '-c', '-O1', '-std=c11', *flags, *tool.WARNINGS, source, '-o', folder / 'net.o'], 120)
        if rc or ('made for AMX' in err) != noted:
            return f'{flags}: status {rc}: {err.strip()[:200] or "no note"}'
    return ''


def judged(fault, *args):
    try:
        return fault(*args)
    except native.Broken as broken:
        return str(broken)


def check_target(r, build_dir, name, cc, target):
    mlcc, top = build_dir / 'mlcc', build_dir / 'emit' / 'levels'
    for case, (levels, want, flags) in choices(target).items():
        r.check(f'levels/{name} choice {case} {cc}', judged(wrong_choice, mlcc, target, cc, top / f'choice-{name}-{case}-{cc}', levels, want, flags))
    for model, network in target.networks.items():
        r.check(f'levels/{name} {model} {cc}', judged(check, mlcc, target, network, top / f'{name}-{model}-{cc}', cc))


def main():
    build_dir, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    for name, (target, why) in {'x86-64': x86(), 'aarch64': aarch64()}.items():
        for cc in ('gcc', 'clang'):
            why = why or ('' if shutil.which(cc) else 'no such compiler')
            if why:
                r.skip(f'levels/{name} {cc}', why)
                continue
            check_target(r, build_dir, name, cc, target)
            for sample in models.samples() if name == 'x86-64' else ():
                r.check(f'levels/note of AMX {sample} {cc}', note_fault(build_dir / 'mlcc', sample, build_dir / 'emit' / 'levels' / f'note-{cc}', cc))
    r.finish()


if __name__ == '__main__':
    main()
