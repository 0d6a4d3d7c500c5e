#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A part of the other suites with an mlcc that was built with the address and undefined-behaviour sanitizers.

    run.py BUILD_DIR

The unit tests, the text and command line suites, the MLPerf Tiny networks, and random graphs on the interpreter. What a
sanitizer finds ends the program with a status that no suite expects. A network for which the same C comes out as when it last
passed in the models suite is not run again: the C is not what is sanitized here.
"""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, sanitized, tool

HERE = pathlib.Path(__file__).resolve().parent
SUITES = [['text/run.py'], ['emit/cli.py'], ['emit/hostile.py', 'sparse', 'tensors', 'structure', 'indices', 'bombs', 'dimensions'], ['models/run.py', '--only', 'tiny']]
RANDOM = ['--no-cc', '--seed', '1', '--count', '120']
LAST = re.compile(r'^(\d+) passed, (\d+) failed', re.MULTILINE)
MARKS = re.compile(r'runtime error: .*|ERROR: AddressSanitizer.*|^FAIL .*|^ *\d+/\d+ .*(?:FAIL|TIMEOUT).*', re.MULTILINE)


def environment():
    return {**os.environ, 'ASAN_OPTIONS': 'abort_on_error=0:exitcode=99', 'UBSAN_OPTIONS': 'print_stacktrace=1'}


def fault(command):
    """'' or the first thing that went wrong."""
    p = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors='replace', env=environment(), cwd=tool.ROOT)
    if p.returncode == 0:
        return ''
    text = p.stdout + p.stderr
    mark = MARKS.search(text)
    return mark.group(0) if mark else f'status {p.returncode}: {text.strip()[-300:]}'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    result = report.Report()
    folder, _, why = sanitized.build(build, 'all', 'tests/random_graphs')
    if why:
        result.check('build', why)
        result.finish()
    result.check('unit', fault(['meson', 'test', '-C', folder, '--no-suite', 'slow', '--timeout-multiplier', '5', '--num-processes', tool.JOBS]))
    more = {'models/run.py': ['--passed', build / 'models' / 'passed.json']}
    for name, *arguments in SUITES:
        result.check(name, fault([sys.executable, HERE.parent / name, folder, *arguments, *more.get(name, [])]))
    result.check('random graphs', fault([folder / 'tests' / 'random_graphs', '--folder', folder, *RANDOM]))
    result.finish()


if __name__ == '__main__':
    main()
