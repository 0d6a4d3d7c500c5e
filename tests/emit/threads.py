#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Models made for several threads: they compile without a warning, keep to the list of symbols, and give the same bytes on any
number of threads and by any parallel-for (threads.c); under ThreadSanitizer, where the compiler has it, without a complaint. Small
models are cut against the cost model's advice (--threads-always), or run on as many threads as are awake. A model made for one thread has
no trace of any of this.

    threads.py BUILD_DIR
"""
import json
import pathlib
import platform
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, symbols, tool

DRIVER = pathlib.Path(__file__).with_name('threads.c')
COUNTS = '--threads=2,3,7'
TWO = '--threads=2'  # with more no product goes by halves
FLAGS = ['-O2', '-march=native', '-pthread']
TRACE = re.compile(r'\b(int parts?|\w*parallel\w*|\w+_threads\w*|split_functions)\b|"threads"', re.IGNORECASE)


def compiled(built, flags, known):
    """([objects], '') of the emitted sources, which use no more than is known, or (None, why not)."""
    objects = []
    for source in built.sources:
        obj, why = tool.compile_object('gcc', source, flags)
        if obj is None:
            return None, why
        objects.append(obj)
    bad = symbols.violations({o: 'net' for o in objects}, known)
    return (None, next(iter(bad.values()))) if bad else (objects, '')


def link(folder, parts, flags):
    """(program, '') of the driver and sources or objects, or (None, why not)."""
    program = folder / 'threads'
    command = ['gcc', '-std=c11', *FLAGS, *tool.WARNINGS, *flags, f'-I{folder}']
    rc, _, err = tool.run([*command, DRIVER, *parts, '-o', program, '-lm'], 300)
    return (program, '') if rc == 0 else (None, f'gcc: {(err.splitlines() or [rc])[0]}')


def same_bytes(folder, parts, flags=(), runs=3):
    program, why = link(folder, parts, flags)
    if why:
        return why
    rc, out, err = tool.run([program, str(runs)], 300)
    found = re.search(r'WARNING: ThreadSanitizer: .*', err)
    return '' if rc == 0 and not found else (out.splitlines() or [found.group(0) if found else f'status {rc}'])[0]


def no_race(folder, built):
    """Under ThreadSanitizer."""
    return same_bytes(folder, built.sources, ['-fsanitize=thread'], 1)


def has_sanitizer(folder):
    source = folder / 'probe.c'
    source.write_text('int main(void) { return 0; }\n')
    rc, _, _ = tool.run(['gcc', '-fsanitize=thread', source, '-o', folder / 'probe'], 60)
    return rc == 0 and tool.run([folder / 'probe'], 60)[0] == 0


def check_parts(folder, split, deals, at):
    """That something is cut at all, and dealt out but at -O0, or the rest proves nothing; `at` collects for how many parts it is, which for
    a small network may be but the first."""
    facts = json.loads((folder / 'net.json').read_text())
    counts = [t['count'] for t in facts['threads']]
    dealt = [sum(f['shares'][k] > count for f in facts['nodes']) for k, count in enumerate(counts[1:])] if split else []
    if split and (counts != [1, 2, 3, 7] or facts['split_functions'] == 0):
        return f'is not cut: {counts}'
    at.update(count for count, n in zip(counts[1:], dealt) if n)
    return f'dealt out: {dealt}' if split and any(dealt) != deals else ''


def cut(r, build, name, model, level, known, sanitizer, at):
    folder = build / 'emit' / 'threads' / f'{name}{level}'
    built, why = models.build(build / 'mlcc', model, folder, 'net', [level, COUNTS, '--threads-always', '--weights=array'])
    why = why or check_parts(folder, name in models.networks(), level != '-O0', at)
    if not why: # for any processor, too
        why = compiled(built, ['-O1'], known)[1]
    if not why:
        objects, why = compiled(built, FLAGS, known)
    r.check(f'threads/{name} {level}', why or same_bytes(folder, objects))
    if sanitizer and not why and level == '-O3':
        r.check(f'threads/sanitizer {name}', no_race(folder, built))


def several_levels(build):
    """Each level is cut for itself; the public name takes threads and hands them on."""
    folder = build / 'emit' / 'threads' / 'levels'
    built, why = models.build(build / 'mlcc', models.samples()['digits'], folder, 'net', ['-march=x86-64-v2,x86-64-v3', COUNTS, '--threads-always', '--weights=array'])
    if why:
        return why
    pools = sorted(p.name for p in folder.glob('*_threads.h'))
    return same_bytes(folder, built.sources) or ('' if pools == ['net_threads.h'] else f'pools of threads: {pools}')


def hooks(build):
    folder = build / 'emit' / 'threads' / 'digits-profile'
    built, why = models.build(build / 'mlcc', models.samples()['digits'], folder, 'net', [COUNTS, '--threads-always', '--weights=array'])
    if why:
        return why
    calls = (folder / 'net.c').read_text().count('MLCC_PART_NODE(share')
    nodes = len(json.loads((folder / 'net.json').read_text())['nodes'])
    return same_bytes(folder, built.sources, ['-DMLCC_PROFILE']) if calls == nodes else f'{calls} hooks for {nodes} functions'


def untouched(build, name, model):
    """Nothing in a model for one thread speaks of threads."""
    folder = build / 'emit' / 'threads' / f'{name}-one'
    built, why = models.build(build / 'mlcc', model, folder, 'net', ['--threads=1'])
    if why:
        return why
    if (folder / 'net_threads.h').exists():
        return 'net_threads.h is written'
    runtime = (tool.RUNTIME / 'mlcc.h').read_text()
    for path in (built.header, folder / 'net.c', folder / 'net.json'):
        found = TRACE.search(path.read_text().replace(runtime, ''))
        if found:
            return f'{path.name} says {found.group(0)}'
    return ''


def serial_when_small(build):
    """The cost model leaves a model of some microseconds on one thread."""
    folder = build / 'emit' / 'threads' / 'digits-small'
    built, why = models.build(build / 'mlcc', models.samples()['digits'], folder, 'net', [COUNTS])
    if why:
        return why
    facts = json.loads((folder / 'net.json').read_text())
    return same_bytes(folder, built.sources) or ('' if facts['split_functions'] == 0 and len(facts['threads']) == 1 else 'is cut')


def numbers(n, first=0):
    return ', '.join(str((k * 7 + 3) % 11 - 5) for k in range(first, first + n))


def depthwise():
    """Expansions that a depthwise product alone reads, with and without stride: its rows are made by the parts that need them."""
    return f'''graph g
input %x f32[1,2,800,3]
const %w f32[10,2,1,1] ({numbers(20)})
const %d f32[10,1,3,3] ({numbers(90)})
const %p f32[10,2,1,1] ({numbers(20, 5)})
%a ? = Conv %x %w
%b ? = Relu %a
%c ? = Conv %b %d {{group=10, pads=[1,1,1,1]}}
%f ? = Conv %x %p
%g ? = Relu %f
%h ? = Conv %g %d {{group=10, pads=[1,1,1,1], strides=[2,2]}}
output %c
output %h
'''


def sliding():
    """An inverted residual block in bands whose rows slide; those of several parts begin anywhere, the last band is a row."""
    return f'''graph g
input %x f32[1,4,91,40]
const %w f32[40,4,1,1] ({numbers(160)})
const %d f32[40,1,3,3] ({numbers(360)})
const %p f32[4,40,1,1] ({numbers(160, 5)})
%a ? = Conv %x %w
%b ? = Relu %a
%c ? = Conv %b %d {{group=40, pads=[1,1,1,1]}}
%e ? = Relu %c
%f ? = Conv %e %p
%y ? = Add %x %f
output %y
'''


def strips():
    """A filtered convolution whose transforms and products are made for some rows of tiles at a time, in memory of each part's own."""
    return f'''graph g
input %x f32[1,16,84,64]
const %w f32[16,16,3,3] ({numbers(2304)})
%a ? = Relu %x
%y ? = Conv %a %w {{pads=[1,1,1,1]}}
%z ? = Relu %y
output %z
'''


def strided():
    """A filtered convolution of stride 2, several of whose products share a constant."""
    return f'''graph g
input %x f32[1,48,24,40]
const %w f32[40,32,3,3] ({numbers(11520)})
const %from i64[1] (16)
const %to i64[1] (48)
const %axis i64[1] (1)
%a ? = Relu %x
%b ? = Slice %a %from %to %axis
%y ? = Conv %b %w {{pads=[1,1,1,1], strides=[2,2]}}
%z ? = Relu %y
output %a
output %z
'''


def waves(rows, columns):
    """The constant %u: sines of whole numbers, which are none that few bits hold."""
    return f'''const %zero i64[] (0)
const %n i64[] ({rows * columns})
const %one i64[] (1)
const %s i64[2] ({rows}, {columns})
%r ? = Range %zero %n %one
%i ? = Cast %r {{to=1}}
%j ? = Sin %i
%u ? = Reshape %j %s
'''


def thirds():
    """Products by thirds, of rows that are made a few at a time, also those of a picture, and all at once beside a large constant."""
    return f'''graph g
input %x f32[300,144]
input %p f32[1,64,36,40]
const %w f32[144,64] ({numbers(9216)})
const %v f32[64,64,1,1] ({numbers(4096)})
%a ? = Relu %x
%y ? = MatMul %a %w
%b ? = Relu %p
%c ? = Conv %b %v
%z ? = Relu %c
input %q f32[70,256]
{waves(256, 576)}%d ? = Tanh %q
%t ? = MatMul %d %u
output %y
output %z
output %t
'''


def halves():
    """Products by halves, whose panels each part makes for its columns, of rows that both have made."""
    return f'''graph g
input %x f32[192,768]
{waves(768, 448)}%a ? = Relu %x
%t ? = MatMul %a %u
%y ? = Tanh %t
output %y
'''


def slim():
    """One row of constants of 24 bits, more than the second level holds."""
    return f'''graph g
input %x f32[1,512]
{waves(512, 1152)}%y ? = MatMul %x %u
%z ? = Tanh %y
output %z
'''


def parts_of(build, name, graph, mark, sanitizer, march='x86-64-v2', counts=COUNTS):
    """Whether parts of a graph, whose code says `mark`, make what one does."""
    folder = build / 'emit' / 'threads' / name
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f'{name}.nn'
    model.write_text(graph)
    built, why = models.build(build / 'mlcc', model, folder, 'net', [f'-march={march}', counts, '--threads-always', '--weights=array'])
    if why:
        return why
    if mark not in (folder / 'net.c').read_text():
        return f'the emitted code has no {mark}'
    return same_bytes(folder, built.sources) or (no_race(folder, built) if sanitizer else '')


def awake(build, sanitizer):
    """A model that gains less than it costs to wake a thread, and runs on those that are awake."""
    folder = build / 'emit' / 'threads' / 'awake'
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / 'awake.nn'
    model.write_text(f'graph g\ninput %x f32[21,96]\nconst %w f32[96,96] ({numbers(96 * 96)})\n'
                     '%a ? = MatMul %x %w\n%b ? = Relu %a\n%c ? = MatMul %b %w\noutput %c\n')
    built, why = models.build(build / 'mlcc', model, folder, 'net', ['-march=x86-64-v2', COUNTS, '--weights=array'])
    if why:
        return why
    counts = [t['count'] for t in json.loads((folder / 'net.json').read_text())['threads'] if t.get('awake')]
    if counts != [2, 3, 7]:
        return f'for threads that are awake: {counts}'
    flags = [f'-DAWAKE={COUNTS.partition("=")[2]}']
    return same_bytes(folder, built.sources, flags) or (same_bytes(folder, built.sources, [*flags, '-fsanitize=thread'], 1) if sanitizer else '')


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r, known = report.Report(), symbols.allowed()
    work = build / 'emit' / 'threads'
    work.mkdir(parents=True, exist_ok=True)
    sanitizer = shutil.which('gcc') and has_sanitizer(work)
    if not sanitizer:
        r.skip('threads/sanitizer', 'the compiler has no ThreadSanitizer')
    at = set()
    for name, model in (models.networks() | models.cases()).items():
        for level in ['-O0', '-O3'] if name in models.samples() else ['-O3']:
            cut(r, build, name, model, level, known, sanitizer and name in models.networks(), at)
    r.check('threads/dealt out to any number', '' if at == {2, 3, 7} else f'only to {sorted(at)}')
    r.check('threads/rows as needed', parts_of(build, 'depthwise', depthwise(), 'mlcc_need(800, 1, 1, 800*m', sanitizer))
    r.check('threads/rows that slide', parts_of(build, 'sliding', sliding(), 'mlcc_leads(45, 1, 46', sanitizer))
    r.check('threads/strips', parts_of(build, 'strips', strips(), 'float *restrict y_tiles, float *restrict y_products', sanitizer))
    r.check('threads/strided', parts_of(build, 'strided', strided(), 'y_products', sanitizer, 'x86-64-v3'))
    r.check('threads/halves', parts_of(build, 'halves', halves(), 't_u2', sanitizer, 'x86-64-v2', TWO))
    r.check('threads/slim', parts_of(build, 'slim', slim(), '_lines', sanitizer))
    r.check('threads/thirds', parts_of(build, 'thirds', thirds(), 'y_scaled', sanitizer, 'znver4'))
    if platform.machine() == 'x86_64':
        r.check('threads/several levels', several_levels(build))
    else:
        r.skip('threads/several levels', 'not an x86-64 machine')
    r.check('threads/hooks', hooks(build))
    r.check('threads/none without --threads', untouched(build, 'digits', models.samples()['digits']))
    r.check('threads/small models stay on one', serial_when_small(build))
    r.check('threads/as many as are awake', awake(build, sanitizer))
    r.finish()


if __name__ == '__main__':
    main()
