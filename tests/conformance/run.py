#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ONNX conformance suite through emitted C: every test model of the onnx package is compiled by mlcc, then by cc with
warnings as errors, and called; outputs must match the stored ones.

    run.py BUILD_DIR [--only WORD] [--jobs N] [--march ROW] [--update] [--table README.md]

Results of a case: pass, rejected (mlcc said that it does not support the model), or a failure: wrong, cc-failed, symbols, crash,
timeout, internal. A rejected case must stand in expected.txt with the slug of its diagnostic, and nothing else may stand there, so that
a case that starts to pass, or to be refused for another reason, is seen. --update rewrites expected.txt; --table rewrites
the support table between two marker lines of a document.

A graph input that must be known at compile time (slug value-unknown: the shape of a Reshape, say) is given to mlcc by --bind on
a second try, and the case counts as 'bound' instead of 'runtime'.

A sample is made for the rows of targets/target.def that machines.emulated() names as well; --march makes all cases for one row.

Speed: cases go in batches; each batch is compiled file by file, linked into one shared object and called in a child process that
reports case by case, so that a crash costs one case. A case whose emitted files are the same as at its last pass is not run again.
"""
import argparse
import collections
import json
import multiprocessing
import pathlib
import sys
from dataclasses import dataclass, field, replace

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import isolate, machines, native, symbols, tool, values

HERE = pathlib.Path(__file__).resolve().parent
DATA = pathlib.Path(onnx.__file__).parent / 'backend' / 'test' / 'data'
FOLDERS = ['node', 'simple', 'pytorch-operator', 'pytorch-converted']
BATCH = 24
SAMPLE = 20 # one case of so many for each row, each time another one
RTOL, ATOL = 1e-3, 1e-7
LIGHT_RTOL = {'light_densenet121': 2e-3}  # the onnx package's own exception
# The stored outputs hold zeros as float32 rounding noise of the FFT that made them, up to 2e-7: more than ATOL.
NOISY = {'node/test_dft_inverse': 1e-6, 'node/test_dft_inverse_opset19': 1e-6}
CASE_SECONDS = 60
LIGHT_SECONDS = 300  # the largest has 20 G multiply-accumulates, and is called twice
MARKERS = '<!-- support table: tests/conformance/run.py --table -->', '<!-- end of support table -->'
RANDOM_OPS = {'Bernoulli', 'RandomNormal', 'RandomNormalLike', 'RandomUniform', 'RandomUniformLike', 'Multinomial'}


@dataclass
class Case:
    """A test model; number gives the prefix of its emitted code."""
    name: str
    model: pathlib.Path
    data: pathlib.Path | None  # folder of input_N.pb and output_N.pb; None: a light model
    number: int
    rtol: float = RTOL
    row: str = ''              # of targets/target.def; '': this processor

    @property
    def title(self):
        return f'{self.name} {self.row}'.rstrip()

    @property
    def prefix(self):
        return f'c{self.number:04}'


@dataclass
class Result:
    """What came of a case; kind is 'runtime' or 'bound'."""
    status: str
    detail: str = ''
    slug: str = ''
    kind: str = 'runtime'
    ops: list = field(default_factory=list)
    key: str = ''


def discover():
    cases = []
    for folder in FOLDERS:
        for path in sorted((DATA / folder).iterdir()):
            cases.append(Case(f'{folder}/{path.name}', path / 'model.onnx', path / 'test_data_set_0', len(cases)))
    for path in sorted((DATA / 'light').glob('*.onnx')):
        cases.append(Case(f'light/{path.stem}', path, None, len(cases), LIGHT_RTOL.get(path.stem, RTOL)))
    return cases


def is_of_row(title):
    return ' ' in title


def with_rows(cases, march):
    """All cases for the row `march`, or for this processor and some of them for the rows that are emulated."""
    if march:
        return [replace(c, row=march) for c in cases]
    small = [c for c in cases if c.data]
    rows = machines.emulated()
    return cases + [replace(c, row=row) for k, row in enumerate(rows) for c in small[k * SAMPLE // len(rows)::SAMPLE]]


def graph_inputs(model):
    constants = {t.name for t in model.graph.initializer}
    return [i for i in model.graph.input if i.name not in constants]


def read_inputs(case, model):
    """{name: tensors} in model order."""
    if case.data is None:
        shape = [d.dim_value for d in graph_inputs(model)[0].type.tensor_type.shape.dim]
        count = np.prod(shape)
        return {graph_inputs(model)[0].name: [(np.arange(count).reshape(shape) / count).astype(np.float32)]}
    return {i.name: values.read_value(case.data / f'input_{k}.pb', i) for k, i in enumerate(graph_inputs(model))}


def read_outputs(case, model):
    if case.data is None:
        paths = [case.model.with_name(f'{case.model.stem}_output_{k}.pb') for k in range(len(model.graph.output))]
    else:
        paths = [case.data / f'output_{k}.pb' for k in range(len(model.graph.output))]
    return [t for path, info in zip(paths, model.graph.output) for t in values.read_value(path, info)]


def bindable(case, model):
    """[(name, file)] of the inputs that a compiler may have to know: integers, flags, and single values of any type."""
    found = []
    for k, info in enumerate(graph_inputs(model)):
        if info.type.WhichOneof('value') != 'tensor_type':
            continue
        array = values.read_value(case.data / f'input_{k}.pb', info)[0]
        if array.dtype.kind in 'iub' or array.size == 1:
            found.append((info.name, case.data / f'input_{k}.pb'))
    return found


def all_nodes(graph):
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for sub in ([attribute.g] if attribute.HasField('g') else []) + list(attribute.graphs):
                yield from all_nodes(sub)


def is_random(model):
    """Whether the outputs are no function of the inputs."""
    for node in all_nodes(model.graph):
        training = node.op_type == 'Dropout' and len(node.input) > 2
        if node.op_type in RANDOM_OPS or training:
            return True
    return False


def drawn(a, b):
    """What is left to compare of random outputs (flags, and values that are kept or zeroed): what is not zero in both."""
    if a.shape != b.shape:
        return a, b
    both = (a != 0) & (b != 0)
    return np.where(both, a, 0).astype(a.dtype), np.where(both, b, 0).astype(b.dtype)


def build(case, model, env):
    """Runs mlcc, a second time with bound inputs where it asks for that. Returns (Built, names of the bound inputs)."""
    options, folder = env.options + ([f'-march={case.row}'] if case.row else []), env.folder_of(case)
    built = tool.compile_model(env.mlcc, case.model, folder, case.prefix, options, CASE_SECONDS)
    if built.slug != 'value-unknown' or case.data is None:
        return built, []
    bound = bindable(case, model)
    if not bound:
        return built, []
    binds = [word for name, path in bound for word in ('--bind', f'{name}={path}')]
    return tool.compile_model(env.mlcc, case.model, folder, case.prefix, [*options, *binds], CASE_SECONDS), [n for n, _ in bound]


def from_build(built):
    """The Result of a case that mlcc did not compile."""
    if built.rejected and built.slug:
        return Result('rejected', built.message, built.slug)
    if built.rc == 124:
        return Result('timeout', 'mlcc: ' + built.message)
    if built.rejected:
        return Result('internal', 'rejected without a slug: ' + built.message)
    return Result('internal', f'mlcc ended with status {built.rc}: {built.message}')


@dataclass
class Env:
    """What the cases of one run share."""
    mlcc: pathlib.Path
    folder: pathlib.Path
    cc: str
    options: list
    cache: dict
    known: set  # what emitted code may use of libc

    def folder_of(self, case):
        return self.folder / case.row

    def way(self, case):
        return machines.way(case.row)[0] if case.row else machines.here(self.cc, () if case.data else ('-march=native',))


def prepare(case, env):
    """Compiles one case up to objects. Returns (Result or None, objects, bound names, key)."""
    model = onnx.load(case.model)
    ops = sorted({node.op_type for node in all_nodes(model.graph)})
    built, bound = build(case, model, env)
    kind = 'bound' if bound else 'runtime'
    if built.rc:
        result = from_build(built)
        result.kind, result.ops = kind, ops
        return result, [], bound, ''
    way = env.way(case)
    key = tool.fingerprint([*built.sources, built.header, *tool.harness_files()], way.cc, way.flags, bound)
    old = env.cache.get(case.title)
    if old and old['key'] == key:
        return Result('pass', kind=kind, ops=ops, key=key), [], bound, key
    objects = []
    for source in built.sources:
        obj, why = tool.compile_object(way.cc, source, ['-O1' if case.data else '-O2', *way.flags])
        if obj is None:
            return Result('cc-failed', why, kind=kind, ops=ops), [], bound, ''
        objects.append(obj)
    return Result('', kind=kind, ops=ops, key=key), objects, bound, key


def call_case(library, item):
    """Calls a compiled case, item being (case, its number in the library, bound names), and compares; returns (status, detail)."""
    case, number, bound = item
    model = onnx.load(case.model)
    inputs = [t for name, tensors in read_inputs(case, model).items() if name not in bound for t in tensors]
    want = read_outputs(case, model)
    try:
        got = native.Model(library, number).call(inputs)
    except native.Broken as e:
        return 'wrong', str(e)
    if len(got) != len(want):
        return 'wrong', f'{len(got)} outputs, expected {len(want)}'
    random = is_random(model)
    for k, (a, b) in enumerate(zip(got, want)):
        why = values.difference(*(drawn(a, b) if random else (a, b)), case.rtol, NOISY.get(case.name, ATOL))
        if why:
            return 'wrong', f'output {k}: {why}'
    return 'pass', ''


def run_batch(job):
    """[(case, Result)] of a batch of one row: compile all, link, call."""
    cases, env = job
    done, ready, owner = [], [], {}
    for case in cases:
        result, objects, bound, _ = prepare(case, env)
        if result.status:
            done.append((case, result))
        else:
            ready.append((case, result, objects, bound))
            owner.update((obj, case.prefix) for obj in objects)
    if not ready:
        return done
    foreign = symbols.violations(owner, env.known)
    name = f'b{ready[0][0].number:04}'
    way, folder = env.way(cases[0]), env.folder_of(cases[0])
    path, why = way.link(way.cc, folder, name, {case.prefix: objects for case, _, objects, _ in ready})
    if path is None and len(ready) > 1:
        return done + [r for case, *_ in ready for r in run_batch(([case], env))]
    items = [(case, number, bound) for number, (case, _, _, bound) in enumerate(ready)]
    seconds = CASE_SECONDS if cases[0].data else LIGHT_SECONDS
    outcome = isolate.each(items, call_case, seconds, lambda: way.load(path)) if path else {0: ('cc-failed', why)}
    for k, (case, result, objects, _) in enumerate(ready):
        result.status, result.detail = outcome[k]
        for obj in foreign.keys() & set(objects):
            result.status, result.detail = 'symbols', foreign[obj]
        done.append((case, result))
    clean(folder, [case.prefix for case, result in done if result.status == 'pass'] + [name])
    return done


def clean(folder, names):
    """Emitted text stays for a look; objects and shared objects of what passed are only in the way."""
    for name in names:
        for path in folder.glob(f'{name}[._]*'):
            if path.suffix in ('.obj', '.so', '.elf'):
                path.unlink()


def read_expected():
    path = HERE / 'expected.txt'
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split() for line in lines if line and not line.startswith('#'))


def write_expected(results):
    """Only lines of cases that ran change."""
    slugs = {n: slug for n, slug in read_expected().items() if n not in results}
    slugs |= {n: r.slug for n, r in results.items() if r.status == 'rejected'}
    lines = ['# Cases of the ONNX conformance suite that mlcc rejects, and the slug of its diagnostic. Written by run.py --update.']
    lines += [f'{name} {slug}' for name, slug in sorted(slugs.items())]
    (HERE / 'expected.txt').write_text('\n'.join(lines) + '\n')


def verdict(name, result, expected):
    """'' when the result is as it should be, otherwise the complaint."""
    if result.status == 'rejected':
        if name not in expected:
            return f'rejected [{result.slug}]: {result.detail}'
        return '' if expected[name] == result.slug else f'rejected with [{result.slug}], expected.txt says [{expected[name]}]'
    if result.status != 'pass':
        return f'{result.status}: {result.detail}'
    return 'passes now, but expected.txt says that it is rejected' if name in expected else ''


def op_of(name, result):
    """The operator that a node case is about: its name without decorations tells, its nodes decide."""
    words = name.split('/')[1].removeprefix('test_').replace('_', '')
    fitting = [op for op in result.ops if words.startswith(op.lower())]
    return max(fitting, key=len) if fitting else result.ops[0] if len(result.ops) == 1 else None


def table(results):
    """The support table: cases by operator for single-node cases, by folder for the rest."""
    rows = collections.defaultdict(lambda: [0, 0, 0])
    for name, r in results.items():
        folder = name.split('/')[0]
        title = folder if folder != 'node' else 'functions expanded' if name.endswith('_expanded') or '_expanded_' in name else op_of(name, r)
        row = rows[title or 'several operators']
        row[0] += r.status == 'pass'
        row[1] += 1
        row[2] += r.status == 'pass' and r.kind == 'bound'
    out = ['| cases | pass | of which with bound inputs |', '| --- | --- | --- |']
    order = sorted(rows, key=lambda t: (t[0].islower(), t))
    return '\n'.join(out + [f'| {t} | {rows[t][0]} of {rows[t][1]} | {rows[t][2] or ""} |' for t in order])


def write_table(path, text):
    begin, end = MARKERS
    before, _, rest = path.read_text().partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f'{path} has no lines {begin} and {end}')
    path.write_text(f'{before}{begin}\n{text}\n{end}{after}')


def batches(cases, env):
    small = {row: [c for c in cases if c.data and c.row == row] for row in sorted({c.row for c in cases})}
    large = [c for c in cases if not c.data]
    # the slow models first, alone, so that no worker ends up with one when the other has nothing left to do
    return [([c], env) for c in large] + [(group[k:k + BATCH], env) for group in small.values() for k in range(0, len(group), BATCH)]


def summary(results):
    count = collections.Counter(r.status for r in results.values())
    bound = sum(r.status == 'pass' and r.kind == 'bound' for r in results.values())
    parts = [f'{n} {status}' for status, n in sorted(count.items())]
    return f'{len(results)} cases: {", ".join(parts)}; {bound} of the passes with bound inputs'


def load_cache(path):
    return json.loads(path.read_text()) if path.exists() else {}


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--mlcc', type=pathlib.Path, help='default: BUILD_DIR/mlcc')
    p.add_argument('--only', default='', help='cases whose name contains this')
    p.add_argument('--jobs', type=int, default=tool.JOBS)
    p.add_argument('--cc', default='cc')
    p.add_argument('--march', default='', metavar='ROW', help='of targets/target.def, by emulation where it is not of this processor')
    p.add_argument('--option', action='append', default=[], help='a further option of mlcc')
    p.add_argument('--update', action='store_true')
    p.add_argument('--table', type=pathlib.Path, metavar='FILE', help='write the support table between the markers of this file')
    args = p.parse_args()

    folder = (args.build / 'conformance').resolve()
    folder.mkdir(parents=True, exist_ok=True)
    cache_path = folder / 'passed.json'
    cache = load_cache(cache_path)
    env = Env((args.mlcc or args.build / 'mlcc').resolve(), folder, args.cc, args.option, cache, symbols.allowed())
    cases = [c for c in with_rows(discover(), args.march) if args.only in c.title]
    absent = {row: why for row in sorted({c.row for c in cases} - {''}) if (why := machines.way(row)[1])}
    cases = [c for c in cases if c.row not in absent]
    results = {}
    with multiprocessing.Pool(args.jobs) as pool:
        for batch in pool.imap_unordered(run_batch, batches(cases, env)):
            results.update((case.title, result) for case, result in batch)
    for name, r in results.items():
        cache.pop(name, None)
        if r.status == 'pass':
            cache[name] = {'key': r.key}
    cache_path.write_text(json.dumps(cache))
    (args.build / 'conformance.json').write_text(json.dumps({n: vars(r) for n, r in sorted(results.items())}, indent=1))

    here = {n: r for n, r in results.items() if not is_of_row(n)}
    if args.update:
        write_expected(here)
    if args.table:
        write_table(args.table, table(here))
    expected = read_expected()
    complaints = {n: c for n, r in sorted(results.items()) if (c := verdict(n.partition(' ')[0], r, expected))}
    for name, complaint in complaints.items():
        print(f'FAIL {name}: {complaint}')
    for row, why in absent.items():
        print(f'skipped {row}: {why}')
    print(summary(results))
    refused = sum(r.status == 'rejected' for n, r in results.items() if n not in complaints)
    print(f'{len(results) - len(complaints) - refused} passed, {len(complaints)} failed, {refused + len(absent)} skipped')
    return 1 if complaints else 0


if __name__ == '__main__':
    sys.exit(main())
