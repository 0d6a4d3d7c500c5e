#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs mlcc from text to text. Each *.nn here is one test: a graph, how to run mlcc on it, and what it must say.

    run.py BUILD_DIR [--update] [TEST.nn ...]

    # run: --emit=graph --stop-after=PASS      options of mlcc; several such lines are several runs
    graph g
    ...
    # expect
    # graph g                                  its output, then its diagnostics; a status other than 0 comes first
    # ...

--update writes what mlcc says into the files, to be reviewed as a change.
"""
import pathlib
import shlex
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, tool

HERE = pathlib.Path(__file__).resolve().parent
MARK = '# expect\n'


def comment(line):
    return f'# {line}'.rstrip() + '\n'


def actual(mlcc, path):
    """The block of comments that describes all runs of a test; None when it has no run line."""
    runs = [line[len('# run:'):] for line in path.read_text().splitlines() if line.startswith('# run:')]
    block = []
    for options in runs:
        rc, out, err = tool.run([mlcc, *shlex.split(options), path.name], 60, cwd=path.parent)
        block += [f'status {rc}'] * (rc != 0) + out.splitlines() + err.splitlines()
    return MARK + ''.join(map(comment, block)) if runs else None


def difference(want, got):
    """The first line in which they differ."""
    want, got = want.splitlines() + ['<end>'], got.splitlines() + ['<end>']
    at = next((k for k, pair in enumerate(zip(want, got)) if pair[0] != pair[1]), None)
    return '' if at is None else f'expected {want[at]!r}, found {got[at]!r}'


def main():
    build, *rest = sys.argv[1:]
    update = '--update' in rest
    named = [pathlib.Path(name).resolve() for name in rest if name != '--update']
    result = report.Report()
    for path in named or sorted(HERE.glob('*.nn')):
        source, mark, want = path.read_text().partition(MARK)
        got = actual(pathlib.Path(build).resolve() / 'mlcc', path)
        if update and got:
            path.write_text(source + got)
        elif not got or not mark:
            result.check(path.stem, 'there is no "# run:" or no "# expect" line')
            continue
        result.check(path.stem, '' if update else difference(mark + want, got))
    result.finish()


if __name__ == '__main__':
    main()
