#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The unit tests of runtime-min's vectors for every row of targets/target.def that has compiler flags of its own: which
instructions an operation becomes depends on them, and `meson test` sees one set of flags.

    dialect.py BUILD_DIR
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import machines, report, tool

HERE = pathlib.Path(__file__).resolve().parent
TESTS = ['test_vec', 'test_transpose', 'test_lists', 'test_select']
STRIDE = 400009  # of sweeps through all floats: emulation takes its time
SECONDS = 300


def fault(way, test, folder):
    """'' when the program of a unit test ends well."""
    program = folder / f'{test}{"".join(way.flags)}'
    command = [way.cc, '-std=gnu17', '-O2', *way.flags, '-Wall', '-Wextra', '-Werror', f'-DSTRIDE={STRIDE}', *way.static, f'-I{HERE / "small"}', f'-I{tool.ROOT}']
    rc, _, err = tool.run([*command, HERE.parent / 'unit' / f'{test}.c', '-lm', '-o', program], SECONDS)
    if rc:
        return next((line for line in err.splitlines() if 'error' in line), err)
    rc, out, err = tool.run([*way.runner, program], SECONDS)
    return '' if rc == 0 else f'status {rc}: {(out + err).strip()[-200:]}'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    folder = build / 'kernel' / 'dialect'
    folder.mkdir(parents=True, exist_ok=True)
    ways = {'this processor': (machines.here(), '')} | {row: machines.way(row) for row in machines.emulated()}
    for name, (way, why) in ways.items():
        for test in TESTS:
            if way:
                r.check(f'dialect/{test} {name}', fault(way, test, folder))
            else:
                r.skip(f'dialect/{test} {name}', why)
    r.finish()


if __name__ == '__main__':
    main()
