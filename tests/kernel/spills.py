#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Accumulators stay in registers: what the C compiler makes of fused functions, read in the disassembly.

    spills.py BUILD_DIR [MODEL ...]     without models: the blocks of blocks.py, and rows that share constants of 24 bits

The innermost loops that accumulate are looked at. A vector that is kept on the stack in one of them found no register, which
costs 20 to 140 % of a tile (the order of loads in a tile is there to prevent it), so there may be none; a pointer that is loaded
again costs a slot of the load unit, so there may be one for every eight multiplications. On x86-64, with AArch64 beside it
where its compiler is at hand.
"""
import pathlib
import platform
import re
import shutil
import sys
from dataclasses import dataclass

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import cross, machines, report, tool
from kernel import blocks, run


@dataclass(frozen=True)
class Assembly:
    """How objdump writes what is looked for."""
    objdump: str
    hot: re.Pattern     # onto an accumulator; polynomials take other forms
    vector: re.Pattern
    jump: re.Pattern    # within a function
    moves_frame: re.Pattern
    stack: tuple        # without and with a frame register


X86 = Assembly('objdump', re.compile(r'\bv(?:fmadd231[ps][sd]|pdpbusd|pdpwssd|dpbf16ps)|\btdp'), re.compile(r'%[xyz]mm\d'),
               re.compile(r'^j\w+\s+([0-9a-f]+)'), re.compile(r'mov\s+%rsp,%rbp'), (re.compile(r'\(%rsp\b'), re.compile(r'\(%r[sb]p\b')))
A64 = Assembly('aarch64-linux-gnu-objdump', re.compile(r'^(?:fmla\b.*\.s\[|[su]dot\b|usdot\b|bfdot\b)'), re.compile(r'\bq\d'),
               re.compile(r'^(?:b|b\.\w+|cbn?z|tbn?z)\s+(?:\w+, )?(?:#\d+, )?([0-9a-f]+) <'), re.compile(r'mov\s+x29, sp'), (re.compile(r'\[sp\b'), re.compile(r'\[(?:sp|x29)\b')))
LEVELS = ['x86-64-v3', 'x86-64-v4', 'znver4', *(name for name, row in machines.rows().items() if row.isa == cross.ISA)]
FIXED = 'znver4', ['-ffp=bf16']  # where the block with a clip has pairs of whole numbers
SHARED = (2, 260, 512), (3, 192, 512), (4, 192, 512)  # rows, lanes and steps of constants that the second level does not hold
ENOUGH = 6           # of these make a loop that is worth the look
FOR_A_POINTER = 8    # multiplications that pay for one
LINE = re.compile(r'^\s*([0-9a-f]+):\s+(\S.*)$')


def functions(listing):
    """{name: [(address, instruction)]} of objdump -d."""
    found, lines = {}, []
    for text in listing.splitlines():
        head = re.match(r'^[0-9a-f]+ <(.+)>:$', text)
        if head:
            lines = found.setdefault(head.group(1), [])
        elif LINE.match(text):
            at, instruction = LINE.match(text).groups()
            lines.append((int(at, 16), instruction))
    return found


def loops(asm, code):
    """[(first, last)] addresses of loops, by their backward jumps."""
    jumps = [(int(m.group(1), 16), at) for at, text in code if (m := asm.jump.match(text))]
    return [(to, at) for to, at in jumps if code[0][0] <= to <= at]


def innermost(found):
    return [(a, b) for a, b in found if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in found)]


def traffic(asm, code):
    """[complaint] about hot innermost loops."""
    stack, found = asm.stack[any(asm.moves_frame.match(text) for _, text in code)], []
    for first, last in innermost(loops(asm, code)):
        body = [text for at, text in code if first <= at <= last]
        hot, on_stack = sum(bool(asm.hot.search(text)) for text in body), [text for text in body if stack.search(text)]
        vectors = [text for text in on_stack if asm.vector.search(text)]
        if hot >= ENOUGH and vectors:
            found.append(f'loop at {first:x} keeps {len(vectors)} vectors on the stack: {vectors[0]}')
        elif hot >= ENOUGH and len(on_stack) * FOR_A_POINTER > hot:
            found.append(f'loop at {first:x} loads {len(on_stack)} pointers for {hot} multiplications: {on_stack[0]}')
    return found


def hot_loops(asm, code):
    return sum(sum(bool(asm.hot.search(t)) for at, t in code if a <= at <= b) >= ENOUGH for a, b in innermost(loops(asm, code)))


def way_of(level):
    """(Assembly, Way), or (None, why there is none)."""
    row = machines.rows()[level]
    if row.isa == cross.ISA:
        why = cross.missing()
        return (None, why) if why else (A64, machines.way(level)[0])
    able = platform.machine() == 'x86_64' and shutil.which('gcc') and shutil.which('objdump')
    return (X86, machines.here('gcc', row.flags)) if able else (None, 'needs gcc and objdump on x86-64')


def check(mlcc, model, folder, level, asm, way, options=()):
    """(complaint, hot loops seen)"""
    built = tool.compile_model(mlcc, model, folder, 'net', [f'-march={level}', *options])
    if built.rc:
        return built.message, 0
    seen = 0
    for source in (s for s in built.sources if s.suffix == '.c'):
        obj, why = tool.compile_object(way.cc, source, ['-O2', *way.flags])
        if obj is None:
            return why, 0
        for name, code in functions(tool.run([asm.objdump, '-d', '--no-show-raw-insn', obj], 60)[1]).items():
            bad = traffic(asm, code)
            seen += hot_loops(asm, code)
            if bad:
                return f'{name}: {bad[0]}', seen
    return '' if seen else 'no hot loop was found to look at', seen


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    models = [pathlib.Path(m) for m in sys.argv[2:]] or [*blocks.blocks(build / 'kernel').values(), run.slim_f32(build / 'kernel' / 'slim.onnx', SHARED)]
    for model in models:
        for level, options in [*((level, []) for level in LEVELS), *[FIXED] * (model.stem == 'inverted')]:
            name = ' '.join([f'spills/{model.stem} {level}', *options])
            asm, way = way_of(level)
            if asm:
                r.check(name, check(build / 'mlcc', model.resolve(), build / 'kernel' / f'{model.stem}-{level}', level, asm, way, options)[0])
            else:
                r.skip(name, way)
    r.finish()


if __name__ == '__main__':
    main()
