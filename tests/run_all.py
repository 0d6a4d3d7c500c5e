#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every suite and adds up what they say; the last line is 'N passed, N failed, N skipped'.

    run_all.py BUILD_DIR

A suite is a command whose last matching line is 'N passed, N failed[, N skipped]'; one that ends without such a line has failed.
"""
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

from harness import store, tool

HERE = pathlib.Path(__file__).resolve().parent
# Longest first, so that no core is left with a long one when the others have nothing to do; but models before sanitize, which runs
# no network that it ran, and fuzz well behind sanitize, with which it shares a build.
SUITES = ['models/run.py', 'conformance/run.py', 'sanitize/run.py', 'kernel/run.py', 'emit/threads.py', 'emit/hostile.py', 'emit/wild.py', 'emit/stack.py', 'emit/small.py',
          'emit/forms.py', 'emit/symbols.py', 'kernel/dialect.py', 'fuzz/run.py', 'kernel/spills.py', 'kernel/vectors.py', 'emit/speed.py', 'emit/growth.py', 'random/run.py', 'emit/levels.py', 'emit/samples.py',
          'emit/fp.py', 'emit/bias.py', 'emit/real.py', 'emit/crash.py', 'emit/options.py', 'emit/names.py', 'emit/multiple.py', 'emit/pools.py', 'emit/pages.py', 'emit/tune.py', 'emit/repro.py', 'conformance/opsets_check.py',
          'conformance/proto_check.py', 'style/run.py', 'text/run.py', 'emit/cli.py']
CORES = os.cpu_count() or 1
JOBS = max(1, CORES // 4)  # of each of the suites that run side by side, one for every core
TOTALS = re.compile(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$', re.MULTILINE)
CMOCKA = re.compile(r'^\[ +(PASSED|FAILED|SKIPPED) +\] (?:.*?: )?(\d+) test', re.MULTILINE)
MESON = re.compile(r'^(Ok|Fail|Timeout|Unexpected Pass):\s+(\d+)', re.MULTILINE)


def unit_tests(build):
    """The cmocka programs, through meson; a test is one function of one program. Returns (status, output, counts)."""
    p = subprocess.run(['meson', 'test', '-C', build, '--verbose', '--no-suite', 'slow'], capture_output=True, text=True, errors='replace')
    counts = [0, 0, 0]
    for kind, number in CMOCKA.findall(p.stdout):
        counts[['PASSED', 'FAILED', 'SKIPPED'].index(kind)] += int(number)
    broken = sum(int(n) for kind, n in MESON.findall(p.stdout) if kind != 'Ok')
    counts[1] = max(counts[1], broken)  # a program that crashed says nothing for itself
    if p.returncode and not counts[1]:
        counts[1] = 1
    return p.returncode, p.stdout + p.stderr, counts


def script(name, build):
    p = subprocess.run([sys.executable, HERE / name, build], capture_output=True, text=True, errors='replace')
    totals = TOTALS.findall(p.stdout)
    counts = [int(n or 0) for n in totals[-1]] if totals else [0, 1, 0]
    if p.returncode and not counts[1]:
        counts[1] = 1
    return p.returncode, p.stdout + p.stderr, counts


def failures(text, limit=40):
    """The lines of a failed suite that say why; its end when there are none."""
    lines = [line for line in text.splitlines() if re.search(r'^FAIL |\[  FAILED  \]|error:|Assertion|ERROR|: \d+: ', line)]
    lines = lines or text.splitlines()[-20:]
    return lines[:limit] + ([f'... and {len(lines) - limit} more lines'] if len(lines) > limit else [])


def run_suite(name, build):
    """(name, counts, failures, seconds); the whole output goes to BUILD_DIR/logs."""
    start = time.monotonic()
    status, text, counts = unit_tests(build) if name == 'unit' else script(name, build)
    log = pathlib.Path(build) / 'logs' / (name.removesuffix('.py').replace('/', '_') + '.txt')
    log.parent.mkdir(exist_ok=True)
    log.write_text(text)
    return name, counts, failures(text) if status or counts[1] else [], time.monotonic() - start


def results(build):
    """Of every suite, as it ends. The suites share what they compile (harness/store.py)."""
    yield run_suite('unit', build)
    with tempfile.TemporaryDirectory(prefix='objects-', dir=build) as objects, concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        os.environ.update({store.PLACE: os.path.abspath(objects), tool.JOBS_PLACE: str(JOBS)})
        for suite in concurrent.futures.as_completed([pool.submit(run_suite, name, build) for name in SUITES]):
            yield suite.result()


def main():
    total = [0, 0, 0]
    for name, counts, complaints, seconds in results(sys.argv[1]):
        print(f'{name}: {counts[0]} ok, {counts[1]} not ok, {counts[2]} left out, {seconds:.0f} s', flush=True)
        if complaints:
            print('\n'.join('  ' + line for line in complaints), flush=True)
        total = [a + b for a, b in zip(total, counts)]
    print(f'{total[0]} passed, {total[1]} failed, {total[2]} skipped')
    return 1 if total[1] else 0


if __name__ == '__main__':
    sys.exit(main())
