# SPDX-License-Identifier: Apache-2.0
"""Runs mlcc and the host's C compiler, and says what came of it.

Emitted code must compile without a warning under the flags of WARNINGS; every suite compiles it with them.
"""
import hashlib
import os
import pathlib
import re
import subprocess
from dataclasses import dataclass, field

from . import store

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUNTIME = ROOT / 'runtime-min'
SHARED = ROOT.parent / 'shared'  # models that are too large for the repository; suites that need them skip without it
# The last two: where a distribution hardens by default, code would call functions that are not its own.
WARNINGS = ['-Wall', '-Wextra', '-Wpedantic', '-Wconversion', '-Wshadow', '-Werror', '-U_FORTIFY_SOURCE', '-fno-stack-protector']
JOBS_PLACE = 'MLCC_TEST_JOBS'
JOBS = int(os.environ.get(JOBS_PLACE, 2))  # processes of a suite
SLUG = re.compile(r'\[([a-z0-9][a-z0-9-]*)\]$')


@dataclass
class Built:
    """Result of one run of mlcc: its exit status, the diagnostic, and the C sources it wrote."""
    rc: int
    slug: str = ''
    message: str = ''
    sources: list = field(default_factory=list)
    header: pathlib.Path | None = None

    @property
    def rejected(self):
        return self.rc == 1


def run(command, seconds, **kwargs):
    """Runs a command to its end or its time limit; returns (exit status, stdout, stderr). A signal is a negative status."""
    try:
        p = subprocess.run([str(c) for c in command], capture_output=True, text=True, errors='replace', timeout=seconds, **kwargs)
    except subprocess.TimeoutExpired:
        return 124, '', f'no end after {seconds} s'
    return p.returncode, p.stdout, p.stderr


def diagnostic(rc, err):
    """(slug, message) of the first error in what mlcc said."""
    lines = err.strip().splitlines() or [f'status {rc} and no diagnostic']
    first = next((line for line in lines if 'error: ' in line), lines[0])
    slug = SLUG.search(first)
    message = first.rpartition('error: ')[2]
    return (slug.group(1), message.rpartition(' [')[0]) if slug else ('', message)


def compile_model(mlcc, model, folder, name, args=(), seconds=120):
    """mlcc MODEL -o FOLDER/NAME.c ARGS. The folder is emptied of files of that name first."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob(f'{name}[._]*'):
        old.unlink()
    rc, _, err = run([mlcc, model, '-o', folder / f'{name}.c', *args], seconds)
    if rc:
        return Built(rc, *diagnostic(rc, err))
    sources = sorted(p for p in folder.glob(f'{name}[._]*') if p.suffix in ('.c', '.S', '.o'))
    return Built(rc, sources=sources, header=folder / f'{name}.h')


def compile_object(cc, source, flags=('-O1',), seconds=300):
    """Compiles one emitted source, warnings being errors; returns (object, '') or (None, why not)."""
    if source.suffix == '.o':
        return source, ''
    target = source.with_name(source.name + '.obj')
    target.unlink(missing_ok=True)
    key = store.key_of(cc, source, [*flags, *WARNINGS])
    if store.recall(key, target):
        return target, ''
    rc, _, err = run([cc, '-c', '-std=c11', '-fPIC', *flags, *WARNINGS, f'-I{source.parent}', source, '-o', target], seconds)
    if rc:
        lines = [line for line in err.splitlines() if 'error' in line] or err.splitlines() or [f'status {rc}']
        return None, lines[0].replace(f'{source.parent}/', '')
    store.keep(key, target)
    return target, ''


def program(cc, sources, flags):
    """A hash of a model's emitted code as the compiler takes it from the preprocessor, where features of the processor choose what there is."""
    h = hashlib.sha256()
    for source in sources:
        found = store.files_read(source)
        if source.suffix == '.c':
            p = subprocess.run([cc, '-E', '-P', *flags, f'-I{source.parent}', source], capture_output=True, check=True, timeout=300)
            found = {source: p.stdout, **{path: data for path, data in found.items() if path.suffix == '.bin'}}
        for path, data in found.items():
            h.update(b'%s %d ' % (os.fsencode(path.name), len(data)) + data)
    return h.hexdigest()


def fingerprint(paths, *words):
    """A hash of the contents of files and of some words: the key under which a result is remembered."""
    h = hashlib.sha256()
    for word in words:
        h.update(repr(word).encode())
    for path in paths:
        h.update(path.name.encode() + b'\0' + path.read_bytes())
    return h.hexdigest()


def harness_files():
    """What a remembered result depends on beside the emitted code: this harness."""
    here = pathlib.Path(__file__).parent
    return sorted(here.glob('*.py')) + sorted(here.glob('*.c'))
