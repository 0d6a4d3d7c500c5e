#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--tune measures and writes choices that --tuning repeats to the byte; what is not such a file, or not of this machine, is
refused; nothing is left behind.

    tune.py BUILD_DIR
"""
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

LINE = re.compile(r'^(dense|depthwise|matrix) [a-z0-9]+ [^:]+: (\d+)x(\d+)x(\d+) +# us( \d+\.\d)+$')


class Tuner:
    """Compiles one model in folders of its own, with a folder for temporary files that must be empty afterwards."""

    def __init__(self, mlcc, work):
        self.mlcc, self.work, self.temporary = mlcc, work, work / 'tmp'
        shutil.rmtree(work, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        self.tuning = work / 'net.tune'

    def compile(self, name, *options, **env):
        """(status, what it said, emitted C or None)"""
        folder = self.work / name
        folder.mkdir()
        command = [self.mlcc, models.samples()['digits'], '-o', folder / 'net.c', *options]
        rc, _, err = tool.run(command, 300, env={**os.environ, 'TMPDIR': str(self.temporary), **env})
        emitted = folder / 'net.c'
        return rc, err, emitted.read_text() if emitted.exists() else None

    def leftovers(self):
        return [p.name for p in self.temporary.iterdir()]


def complaint(rc, err, status, slug, text):
    """'' when the compile ended so for that reason, and nothing was written."""
    if rc != status or f'[{slug}]' not in err:
        return f'status {rc}, expected {status} with [{slug}]: {err.strip()[:200]}'
    return 'files were written' if text is not None else ''


def measured(t):
    rc, err, tuned = t.compile('tuned', '--tune', t.tuning)
    if rc:
        return err.strip(), None
    lines = t.tuning.read_text().splitlines()
    bad = [line for line in lines[1:] if not LINE.match(line)]
    if not lines[0].startswith('mlcc tuning 1 ') or len(lines) < 2 or bad:
        return f'the file reads {lines[:1] + bad[:1]}', None
    return '', tuned


def repeated(t, tuned):
    rc, err, again = t.compile('again', '--tuning', t.tuning)
    return err.strip() if rc or err else '' if again == tuned else 'the emitted C differs from that of --tune'


def obeyed(t):
    """Another shape in the file is another tile; a shape that is not considered is a warning."""
    text = t.tuning.read_text()
    edited = t.work / 'edited.tune'
    edited.write_text(re.sub(r': \d+x\d+x', ': 99x99x', text))
    rc, err, _ = t.compile('stale', '--tuning', edited)
    return '' if rc == 0 and '[stale-tuning]' in err else f'status {rc}, expected the warning stale-tuning: {err.strip()[:200]}'


def main():
    build, r = pathlib.Path(sys.argv[1]).resolve(), report.Report()
    t = Tuner(build / 'mlcc', build / 'emit' / 'tune')
    why, tuned = measured(t)
    r.check('tune: choices are measured', why)
    if not why:
        r.check('tune: --tuning repeats them', repeated(t, tuned))
        r.check('tune: a shape that is not considered', obeyed(t))
    (t.work / 'other.tune').write_text('mlcc tuning 1 neon_i8mm\n')
    (t.work / 'noise.tune').write_text(t.tuning.read_text().splitlines()[0] + '\ndense f32 1x1x1: many\n' if t.tuning.exists() else '')
    for name, status, slug, options, env in [('other', 1, 'tuning-machine', ['--tuning', t.work / 'other.tune'], {}),
                                             ('noise', 1, 'tuning-file', ['--tuning', t.work / 'noise.tune'], {}),
                                             ('absent', 3, 'tuning-file', ['--tuning', t.work / 'absent.tune'], {}),
                                             ('both', 1, 'option-conflict', ['--tune', t.work / 'both.tune', '--tuning', t.tuning], {}),
                                             ('levels', 1, 'option-conflict', ['--tune', t.work / 'levels.tune', '-march=x86-64-v3,generic'], {}),
                                             ('no-compiler', 1, 'tune', ['--tune', t.work / 'none.tune'], {'CC': 'no-such-compiler'})]:
        rc, err, text = t.compile(name, *options, **env)
        r.check(f'tune: {name}', complaint(rc, err, status, slug, text))
    r.check('tune: nothing is left behind', ', '.join(t.leftovers()))
    r.finish()


if __name__ == '__main__':
    main()
