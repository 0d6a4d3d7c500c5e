#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One artefact for several instruction-set levels: built by gcc without any flag for the processor and by clang with one for
each file, every level computes what an artefact of that level alone computes, and the public name what the best level does.

    levels.py BUILD_DIR
"""
import pathlib
import platform
import shutil
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, native, report, symbols, tool

LEVELS = {'x86-64-v4': 'avx2 fma avx512f avx512vl avx512dq avx512bw', 'x86-64-v3': 'avx2 fma bmi2', 'x86-64-v2': 'sse4_2'}  # best first
PREFIX = 'net'


def present():
    """The levels that this processor can run."""
    if platform.machine() != 'x86_64':
        return []
    flags = next(line for line in open('/proc/cpuinfo') if line.startswith('flags')).split()
    return [name for name, need in LEVELS.items() if set(need.split()) <= set(flags)]


def level_of(source):
    """The level that a source was made for; '' for the one that chooses."""
    return next((name for name in LEVELS if name.replace('-', '_') in source.name), '')


def objects(cc, built):
    """{level: [objects]}; raises Broken."""
    made = {}
    for source in built.sources:
        level = level_of(source)
        flags = ['-O2', *([f'-march={level}'] if cc == 'clang' and level else [])]
        obj, why = tool.compile_object(cc, source, flags)
        if obj is None:
            raise native.Broken(f'{cc}: {why}')
        made.setdefault(level, []).append(obj)
    return made


def prefix_of(level):
    return f'{PREFIX}_{level.replace("-", "_")}' if level else PREFIX


def inputs(model):
    rng = np.random.default_rng(7)
    return [(rng.standard_normal(shape) * 40).astype({1: np.float32, 3: np.int8}[dtype]) for dtype, shape in model.inputs]


def outputs(folder, cc, made, level):
    """What a level (or the choosing name, '') computes, called by its own name."""
    everything = [o for group in made.values() for o in group]
    path, why = native.link(cc, folder, f'{cc}-{level or "chosen"}', {prefix_of(level): everything})
    if path is None:
        raise native.Broken(why)
    model = native.Model(native.load(path), 0)
    return [out.tobytes() for out in model.call(inputs(model))]


def alone(mlcc, source, folder, cc, level):
    built, why = models.build(mlcc, source, folder / f'alone-{level}', PREFIX, [f'-march={level}'])
    if why:
        raise native.Broken(why)
    objs = []
    for s in built.sources:
        obj, why = tool.compile_object(cc, s, ['-O2', f'-march={level}'])
        if obj is None:
            raise native.Broken(why)
        objs.append(obj)
    return outputs(folder / f'alone-{level}', cc, {'': objs}, '')


def check(mlcc, source, folder, cc, can):
    built, why = models.build(mlcc, source, folder, PREFIX, ['-march=' + ','.join(reversed(LEVELS))])
    if why:
        return why
    try:
        made = objects(cc, built)
        bad = symbols.violations({o: PREFIX for group in made.values() for o in group}, symbols.allowed())
        if bad:
            return next(iter(bad.values()))
        got = {level: outputs(folder, cc, made, level) for level in ['', *can]}
        want = {level: alone(mlcc, source, folder, cc, level) for level in can}
    except native.Broken as broken:
        return str(broken)
    wrong = [level for level in can if got[level] != want[level]]
    if wrong:
        return f'{wrong[0]} differs from an artefact of that level alone'
    return '' if got[''] == want[can[0]] else f'the public name does not compute what {can[0]} does'


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


def main():
    build, r, can = pathlib.Path(sys.argv[1]).resolve(), report.Report(), present()
    for name, source in models.samples().items():
        for cc in ('gcc', 'clang'):
            if not can or not shutil.which(cc):
                r.skip(f'levels/{name} {cc}', 'no such compiler, or not an x86-64 machine')
                continue
            r.check(f'levels/{name} {cc}', check(build / 'mlcc', source, build / 'emit' / 'levels' / f'{name}-{cc}', cc, can))
            r.check(f'levels/note of AMX {name} {cc}', note_fault(build / 'mlcc', name, build / 'emit' / 'levels' / f'note-{cc}', cc))
    r.finish()


if __name__ == '__main__':
    main()
