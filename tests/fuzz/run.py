#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lets each fuzz target run for a while, built with clang's sanitizers.

    run.py BUILD_DIR [SECONDS] [TARGET ...]

Without SECONDS each target runs the same inputs as ever, for the suite; with it, new ones for so long. Seeds are made from the
tests' own models and texts. What a run finds beyond them stays in BUILD_DIR/fuzz, so the next one
goes on there; a crash is saved there too. tests/fuzz/found/TARGET holds inputs that once failed; they run first.
tests/fuzz/open/TARGET holds inputs that still fail: such a target runs on its seeds alone and is counted as skipped, and an input
there that no longer fails is a failure.
"""
import concurrent.futures
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, sanitized, tool

HERE = pathlib.Path(__file__).resolve().parent
RUNS, LIMIT = 1500, 180  # inputs of a target in the suite, and seconds that they may take; a quiet machine needs ten
TARGETS = ['fuzz_wire', 'fuzz_import', 'fuzz_graph', 'fuzz_te', 'fuzz_nest', 'fuzz_compile']
def outputs(build, folder, kind):
    """What mlcc prints for the graphs of the text tests, as seeds for the parsers of its other forms."""
    for path in sorted((tool.ROOT / 'tests' / 'text').glob('*.nn')):
        rc, text, _ = tool.run([build / 'mlcc', path, f'--emit={kind}'], 60)
        if rc == 0:
            (folder / f'{path.stem}.txt').write_text(text)


def scheduled(build, folder):
    """Stages, and behind them the schedule that mlcc chose."""
    outputs(build, folder, 'te')
    for path in sorted(folder.glob('*.txt')):
        _, text, _ = tool.run([build / 'mlcc', tool.ROOT / 'tests' / 'text' / f'{path.stem}.nn', '--emit=schedule'], 60)
        path.write_text(f'{path.read_text()}--\n{text}')


def make_seeds(build, name, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name in ('fuzz_import', 'fuzz_compile'):
        subprocess.run([sys.executable, HERE / 'corpus.py', folder], check=True, stdout=subprocess.DEVNULL)
    elif name == 'fuzz_graph':
        for path in (tool.ROOT / 'tests').glob('*/**/*.nn'):
            shutil.copy(path, folder / path.name)
    elif name == 'fuzz_te':
        scheduled(build, folder)
    elif name == 'fuzz_nest':
        outputs(build, folder, 'nest')


def effort(seconds):
    """In the suite the same inputs each time, so that it finds the same; where seconds are given, new ones."""
    return [f'-max_total_time={seconds}'] if seconds else ['-seed=1', f'-runs={RUNS}', f'-max_total_time={LIMIT}']


def unsolved(name):
    return sorted((HERE / 'open' / name).glob('*'))


def run(build, programs, name, seconds):
    """'' or what was found."""
    out = build / 'fuzz'
    corpus, seeds, found = out / f'corpus_{name}', out / f'seeds_{name}', HERE / 'found' / name
    if not seconds:
        shutil.rmtree(corpus, ignore_errors=True)
    corpus.mkdir(parents=True, exist_ok=True)
    make_seeds(build, name, seeds)
    limits = ['-timeout=20', '-rss_limit_mb=3000', '-max_len=6000', f'-artifact_prefix={out}/{name}-']
    for path in unsolved(name):
        if tool.run([programs / name, *limits, path], 120)[0] == 0:
            return f'{path.name} no longer fails: move it to found'
    known = sorted(found.glob('*')) if found.exists() else []
    search = ['-runs=0', seeds] if unsolved(name) else [*effort(seconds), '-print_final_stats=0', corpus, seeds]
    for command in ([*known], search):
        if not command:
            continue
        rc, _, err = tool.run([programs / name, *limits, *command], 240 + 4 * seconds)
        if rc:
            return first_fault(err)
    return ''


def first_fault(err):
    lines = err.splitlines()
    marks = ('internal error', 'not sound', 'runtime error', 'ERROR: ')
    fault = next((line for line in lines if any(m in line for m in marks)), lines[-1] if lines else 'no output')
    saved = next((line for line in lines if 'Test unit written' in line), '')
    return f'{fault.strip()} {saved.strip()}'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    names = sys.argv[3:] or TARGETS
    programs, fuzz, why = sanitized.build(build, *(f'tests/{name}' for name in names))
    result = report.Report()
    if not fuzz:
        for name in names:
            result.skip(name, 'clang has no fuzzer runtime (Debian: libclang-rt-14-dev)')
        result.finish()
    with concurrent.futures.ThreadPoolExecutor(tool.JOBS) as pool:
        for name, found in pool.map(lambda name: (name, why or run(build, programs / 'tests', name, seconds)), names):
            if unsolved(name) and not found:
                result.skip(name, f'open: {", ".join(path.name for path in unsolved(name))}')
            else:
                result.check(name, found)
    result.finish()


if __name__ == '__main__':
    main()
