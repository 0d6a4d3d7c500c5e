#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stack bound that a header promises holds for gcc's own figures: the deepest chain of calls from the entry, by frame sizes
of -fcallgraph-info=su, is at most NET_STACK_BYTES; no function calls itself, and every frame has a size that the compiler bounds.
The objects, for this processor and for any, use no more than runtime-min/README.md lists.

    stack.py BUILD_DIR
"""
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import machines, models, report, symbols, tool

NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
FRAME = re.compile(r'(\d+) bytes \((static|dynamic|dynamic,bounded)\)')
ENTRY = 'net_call'


class Unbounded(Exception):
    pass


def call_graph(texts):
    """({function: frame bytes}, {function: callees}); functions of libc have no frame known here and count nothing."""
    frames, calls = {}, {}
    for text in texts:
        for title, label in NODE.findall(text):
            frame = FRAME.search(label)
            if frame and frame.group(2) == 'dynamic': # 'bounded': arguments are pushed, the figure is their most
                raise Unbounded(f'{title} has a frame of variable size')
            if frame:
                frames[title] = int(frame.group(1))
        for source, target in EDGE.findall(text):
            calls.setdefault(source, set()).add(target)
    return frames, calls


def deepest(name, frames, calls, open_calls=()):
    if name in open_calls:
        raise Unbounded(f'{name} calls itself')
    below = [deepest(c, frames, calls, (*open_calls, name)) for c in sorted(calls.get(name, ())) if c in frames]
    return frames.get(name, 0) + max(below, default=0)


def entry_of(frames):
    """Static functions have titles of file:name, external ones their bare name."""
    return next((f for f in frames if f.rpartition(':')[2] == ENTRY), None)


def check(mlcc, model, folder, options=(), flags=()):
    built, why = models.build(mlcc, model, folder, 'net', options)
    if why:
        return why
    objects = {}
    for source in built.sources:
        obj, why = tool.compile_object('gcc', source, ['-O2', *flags, '-fcallgraph-info=su', '-dumpdir', f'{folder}/'])
        if why:
            return why
        objects[obj] = 'net'
    if bad := symbols.violations(objects, symbols.allowed()):
        return next(iter(bad.values()))
    promised = int(re.search(r'#define NET_STACK_BYTES\s+(\d+)', built.header.read_text()).group(1))
    try:
        frames, calls = call_graph(p.read_text() for p in folder.glob('*.ci'))
        if entry_of(frames) is None:
            return f'no {ENTRY} in the call graph'
        need = deepest(entry_of(frames), frames, calls)
    except Unbounded as e:
        return str(e)
    return '' if need <= promised else f'gcc needs {need} bytes, the header promises {promised}'


def fresh(build, name):
    folder = build / 'emit' / 'stack' / name
    for old in folder.glob('*.ci'):
        old.unlink()
    return folder


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    for name, model in models.cases().items():
        r.check(f'stack/{name}', check(build / 'mlcc', model, fresh(build, name)))
    for name, model in models.networks().items():
        r.check(f'stack/{name}', check(build / 'mlcc', model, fresh(build, name), flags=machines.here().flags))
        r.check(f'stack/{name} for any', check(build / 'mlcc', model, fresh(build, f'{name}-any'), ['-march=generic']))
    for name, model in models.samples().items():
        r.check(f'stack/{name} without its flags', check(build / 'mlcc', model, fresh(build, f'{name}-without')))
    r.finish()


if __name__ == '__main__':
    main()
