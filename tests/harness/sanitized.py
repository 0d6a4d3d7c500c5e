# SPDX-License-Identifier: Apache-2.0
"""A second build of everything, with the address and undefined-behaviour sanitizers, in BUILD_DIR/sanitize.

It is made by clang, together with the fuzz targets, where clang brings the fuzzer's runtime (Debian: libclang-rt-14-dev), and
by gcc without them elsewhere.
"""
import fcntl
import os
import shutil

from . import tool

# -g1: lines, for a trace of the stack, and nothing else that debuggers read.
OPTIONS = ['-Db_sanitize=address,undefined', '-Db_lundef=false', '-Doptimization=1', '-Ddebug=false', '-Dc_args=-g1 -fno-sanitize-recover=undefined',
           '-Db_ndebug=false']
PROBE = '''#include <stddef.h>
int LLVMFuzzerTestOneInput(const char *d, size_t n);
int LLVMFuzzerTestOneInput(const char *d, size_t n) { return n > 9 && d[0]; }
'''


def has_fuzzer(folder):
    """Whether clang can link a fuzz target."""
    probe = folder / 'probe.c'
    probe.write_text(PROBE)
    try:
        return tool.run(['clang', '-fsanitize=fuzzer,address', probe, '-o', folder / 'probe'], 60)[0] == 0
    except OSError:
        return False


def set_up(folder, fuzz):
    """'' or why not."""
    cc = 'clang' if fuzz else 'gcc'
    mark = folder / 'compiler.txt'
    key = f'{cc} {OPTIONS}'
    if (folder / 'build.ninja').exists() and mark.exists() and mark.read_text() == key:
        return ''
    shutil.rmtree(folder / 'meson-private', ignore_errors=True)
    rc, out, err = tool.run(['meson', 'setup', folder, *OPTIONS, f'-Dfuzz={str(fuzz).lower()}'], 120, cwd=tool.ROOT, env={**os.environ, 'CC': cc})
    if rc:
        return f'meson setup: {(out + err).strip().splitlines()[-1]}'
    mark.write_text(key)
    return ''


def build(top, *targets):
    """(folder, whether it has fuzz targets, '' or why it could not be built). Without targets everything that is made by default.
    Another suite that builds there is waited for."""
    folder = top / 'sanitize'
    folder.mkdir(exist_ok=True)
    with open(folder / 'lock', 'w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fuzz = has_fuzzer(folder)
        why = set_up(folder, fuzz)
        if not why:
            rc, out, _ = tool.run(['ninja', '-C', folder, '-j', tool.JOBS, *targets], 900)
            why = '' if rc == 0 else next((line for line in out.splitlines() if 'error' in line), out.strip()[-200:])
    return folder, fuzz, why
