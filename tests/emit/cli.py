#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the command line promises to scripts: exit statuses, diagnostics with a slug, no output files after an error, help.

    cli.py BUILD_DIR
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

OK, REJECTED, USAGE, IO = 0, 1, 2, 3


def commands(mlcc, folder):
    """(name, command, exit status)."""
    model = models.samples()['digits']
    (folder / 'noise.onnx').write_bytes(bytes(range(256)) * 8)
    (folder / 'empty.onnx').write_bytes(b'')
    (folder / 'cut.onnx').write_bytes(model.read_bytes()[:5000])
    out = ['-o', folder / 'net.c']
    return [
        ('compile', [mlcc, model, *out], OK),
        ('check', [mlcc, 'check', model], OK),
        ('help', [mlcc, '--help'], OK),
        ('version', [mlcc, '--version'], OK),
        ('noise', [mlcc, folder / 'noise.onnx', *out], REJECTED),
        ('empty', [mlcc, folder / 'empty.onnx', *out], REJECTED),
        ('cut short', [mlcc, folder / 'cut.onnx', *out], REJECTED),
        ('check of noise', [mlcc, 'check', folder / 'noise.onnx'], REJECTED),
        ('ram budget', [mlcc, model, *out, '--max-ram', '16'], REJECTED),
        ('no input', [mlcc, *out], USAGE),
        ('unknown option', [mlcc, model, *out, '--no-such-option'], USAGE),
        ('bad prefix', [mlcc, model, *out, '--prefix', '1 x'], USAGE),
        ('no such file', [mlcc, folder / 'absent.onnx', *out], IO),
        ('no such folder', [mlcc, model, '-o', folder / 'absent' / 'net.c'], IO),
        ('a folder as input', [mlcc, folder, *out], IO),
    ]


def fault(command, status, folder):
    for old in folder.glob('net*'):
        old.unlink()
    rc, out, err = tool.run(command, 60)
    if rc != status:
        return f'status {rc}, expected {status}: {err.strip()[:200]}'
    if status == OK:
        return '' if not err else f'says on stderr: {err.strip()[:200]}'
    if list(folder.glob('net*')):
        return 'left output files after an error'
    if status == REJECTED and not tool.diagnostic(rc, err)[0]:
        return f'no slug at the end of the first error: {err.strip()[:200]}'
    return '' if err.strip() else 'no diagnostic'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    folder = build / 'emit' / 'cli'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    r = report.Report()
    for name, command, status in commands(build / 'mlcc', folder):
        r.check(f'cli/{name}', fault(command, status, folder))
    r.finish()


if __name__ == '__main__':
    main()
