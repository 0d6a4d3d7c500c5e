#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the command line promises to scripts: exit statuses, diagnostics with a slug, no output files after an error, help.

    cli.py BUILD_DIR
"""
import json
import pathlib
import resource
import shutil
import signal
import subprocess
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
    text = folder / 'symbol.nn'
    text.write_text('graph g\nsym N 1..5\ninput %x f32[N,4]\n%y ? = Neg %x\noutput %y\n')
    chain = folder / 'chain.nn'
    chain.write_text('graph g\ninput %x f32[4]\n%a ? = Neg %x\n%b ? = Exp %a\n%y ? = Sin %b\noutput %y\n')
    return [
        ('compile', [mlcc, model, *out], OK),
        ('check', [mlcc, 'check', model], OK),
        ('help', [mlcc, '--help'], OK),
        ('version', [mlcc, '--version'], OK),
        ('pools', [mlcc, model, *out, '--pool', 'ram=1M', '--pool', 'dtcm=2K@fast'], OK),
        ('full pool', [mlcc, model, *out, '--pool', 'ram=100'], REJECTED),
        ('bad pool', [mlcc, model, *out, '--pool', 'ram=1M@slow'], USAGE),
        ('noise', [mlcc, folder / 'noise.onnx', *out], REJECTED),
        ('empty', [mlcc, folder / 'empty.onnx', *out], REJECTED),
        ('cut short', [mlcc, folder / 'cut.onnx', *out], REJECTED),
        ('check of noise', [mlcc, 'check', folder / 'noise.onnx'], REJECTED),
        ('ram budget', [mlcc, model, *out, '--max-ram', '16'], REJECTED),
        ('check of a ram budget', [mlcc, 'check', model, '--max-ram', '16'], REJECTED),
        ('check of a flash budget', [mlcc, 'check', model, '--max-flash=16'], REJECTED),
        ('check of a stack budget', [mlcc, 'check', model, '--max-stack=1'], REJECTED),
        ('pools too small', [mlcc, model, *out, '--pool', 'fast=64', '--pool', 'slow=64'], REJECTED),
        ('dimension that is not there', [mlcc, text, *out, '-D', 'M=2'], REJECTED),
        ('nodes of a text', [mlcc, chain, *out, '--limits', 'nodes=2'], REJECTED),
        ('as many nodes as the limit', [mlcc, chain, *out, '--limits', 'nodes=3'], OK),
        ('shape of a text', [mlcc, text, *out, '--shape', 'x=2x4'], REJECTED),
        *((f'shape {s}', [mlcc, model, *out, '--shape', f'x={s}'], USAGE) for s in ('-5x3', '1x', '1xx8', '99999999999999999999x8', 'x'.join('1' * 13))),
        ('open shape', [mlcc, model, *out, '--shape', 'x=?x1x8x8'], OK),
        ('bad expression', [mlcc, model, *out, '-Rpass=['], USAGE),
        ('bad expression of what is missed', [mlcc, model, *out, '-Rpass-missed=('], USAGE),
        ('no input', [mlcc, *out], USAGE),
        ('unknown option', [mlcc, model, *out, '--no-such-option'], USAGE),
        ('unknown warning', [mlcc, model, *out, '-Wno-such'], USAGE),
        ('unknown warning as an error', [mlcc, model, *out, '-Werror=such'], USAGE),
        ('bad prefix', [mlcc, model, *out, '--prefix', '1 x'], USAGE),
        ('no such file', [mlcc, folder / 'absent.onnx', *out], IO),
        ('no such folder', [mlcc, model, '-o', folder / 'absent' / 'net.c'], IO),
        ('a folder as input', [mlcc, folder, *out], IO),
        ('a folder as schedule', [mlcc, model, *out, f'--schedule={folder}'], IO),
        ('a folder as tuning', [mlcc, model, *out, f'--tuning={folder}'], IO),
        ('a folder as options', [mlcc, model, *out, f'@{folder}'], IO),
        ('no such schedule', [mlcc, model, *out, '--schedule', folder / 'absent.txt'], IO),
        ('no such tuning', [mlcc, model, *out, '--tuning', folder / 'absent.tune'], IO),
        ('no such options', [mlcc, f'@{folder / "absent.opt"}'], IO),
        ('no such bound value', [mlcc, model, *out, '--bind', f'x={folder / "absent.npy"}'], IO),
        ('no such value of an input', [mlcc, 'run', model, '--input', f'x={folder / "absent.npy"}'], IO),
        ('noise as a schedule', [mlcc, model, *out, '--schedule', folder / 'noise.onnx'], REJECTED),
        ('noise as a tuning', [mlcc, model, *out, '--tuning', folder / 'noise.onnx'], REJECTED),
        ('noise as options', [mlcc, model, *out, f'@{folder / "noise.onnx"}'], USAGE),
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


def full_disk():
    """For the child: a file of more than a page cannot be written, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def disk_fault(mlcc, folder):
    """What was there stays as it was, and nothing is added."""
    place = folder / 'full'
    place.mkdir()
    (place / 'net.h').write_text('older\n')
    rc, _, err = tool.run([mlcc, models.samples()['digits'], '-o', place / 'net.c'], 60, preexec_fn=full_disk)
    if rc != IO or tool.diagnostic(rc, err)[0] != 'output':
        return f'status {rc}: {err.strip()[:200]}'
    files = {p.name: p.read_bytes() for p in place.iterdir()}
    return '' if files == {'net.h': b'older\n'} else f'left {sorted(files)}'


def stdout_fault(mlcc):
    with open('/dev/full', 'w') as full:
        p = subprocess.run([mlcc, 'check', models.samples()['digits']], stdout=full, stderr=subprocess.PIPE, text=True)
    return '' if p.returncode == IO and '[output]' in p.stderr else f'status {p.returncode}: {p.stderr[:200]}'


def usage_fault(mlcc, form):
    """A command line that cannot be read is a diagnostic in the format that it asks for, wherever it asks."""
    rc, _, err = tool.run([mlcc, '--no-such-option', f'--diagnostics-format={form}', 'x.onnx'], 60)
    try:
        said = json.loads(err)
    except ValueError:
        return f'not {form}: {err.strip()[:200]}'
    return '' if rc == USAGE and 'option-unknown' in json.dumps(said) else f'status {rc}: {err[:200]}'


def warning_faults(mlcc, folder):
    """(name, fault) of what mlcc says, or not, about a free dimension and about options without effect."""
    free = folder / 'free.nn'
    free.write_text('graph g\ninput %x f32[N,4]\n%y ? = Neg %x\noutput %y\n')
    out = ['-o', folder / 'net.c']
    rows = [('free dimension', [free, *out], 'free-dimension', ["input 'x'", "'N'", '1024', '--max', '-D']),
            ('bounded dimension', [free, *out, '--max', 'N=8'], '', []),
            ('fixed dimension', [free, *out, '-D', 'N=8'], '', []),
            ('free dimension of a check', ['check', free], 'free-dimension', []),
            ('idle option', [free, *out, '-DN=1', '-MF', 'x.d'], 'unused-option', ['-MF', '-MD']),
            ('idle option of a text', [free, '--emit=te', '-DN=1', '-MD'], 'unused-option', ['-MD']),
            ('warning that is off', [free, *out, '-Wno-free-dimension'], '', [])]
    for name, words, slug, parts in rows:
        rc, _, err = tool.run([mlcc, *words], 60)
        good = rc == 0 and (f'[{slug}]' in err and 'warning: ' in err if slug else not err) and all(p in err for p in parts)
        yield name, '' if good else f'status {rc}: {err.strip()[:200]}'


def report_fault(mlcc, folder):
    """The report says which bound nobody gave."""
    rc, _, err = tool.run([mlcc, folder / 'free.nn', '-o', folder / 'net.c'], 60)
    symbols = json.loads((folder / 'net.json').read_text())['symbols'] if rc == 0 else err
    return '' if symbols == [{'name': 'N', 'extent': 'N', 'max': 1024, 'multiple': 1, 'assumed': True}] else f'{symbols}'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    folder = build / 'emit' / 'cli'
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    r = report.Report()
    for name, command, status in commands(build / 'mlcc', folder):
        r.check(f'cli/{name}', fault(command, status, folder))
    r.check('cli/full disk', disk_fault(build / 'mlcc', folder))
    r.check('cli/full standard output', stdout_fault(build / 'mlcc'))
    for form in ('json', 'sarif'):
        r.check(f'cli/usage as {form}', usage_fault(build / 'mlcc', form))
    for name, why in warning_faults(build / 'mlcc', folder):
        r.check(f'cli/{name}', why)
    r.check('cli/assumed bound in the report', report_fault(build / 'mlcc', folder))
    r.finish()


if __name__ == '__main__':
    main()
