#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The same model gives the same bytes, whatever the working directory, the locale, the time zone, the time, the place and the date
of the model file, and whatever mlcc was asked before.

    repro.py BUILD_DIR
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

WORLDS = [{'LC_ALL': 'C', 'TZ': 'UTC'}, {'LC_ALL': 'de_DE.UTF-8', 'TZ': 'Asia/Kathmandu', 'COLUMNS': '40', 'MALLOC_PERTURB_': '165'}]


def emit(mlcc, model, folder, world, number):
    """{file name: bytes} of what mlcc wrote, run inside a folder of its own with a relative or an absolute path."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / 'out').mkdir(parents=True)
    copy = folder / model.name
    shutil.copyfile(model, copy)
    os.utime(copy, (1e9 + number, 1e9 + number))
    path = copy if number else model.name
    rc, _, err = tool.run([mlcc, path, '-o', 'out/net.c' if number else folder / 'out' / 'net.c'], 120,
                          cwd=folder, env={**os.environ, **world})
    if rc:
        return f'status {rc}: {err.strip()[:200]}'
    return {p.name: p.read_bytes() for p in sorted((folder / 'out').iterdir())}


def compare(a, b):
    for result in (a, b):
        if isinstance(result, str):
            return result
    if sorted(a) != sorted(b):
        return f'files {sorted(a)} and {sorted(b)}'
    return ''.join(f'{name} differs' for name in a if a[name] != b[name])


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    r = report.Report()
    for name, model in (models.networks() | models.cases()).items():
        found = [emit(build / 'mlcc', model, build / 'emit' / f'repro{k}' / name, world, k) for k, world in enumerate(WORLDS)]
        r.check(f'repro/{name}', compare(*found))
    r.finish()


if __name__ == '__main__':
    main()
