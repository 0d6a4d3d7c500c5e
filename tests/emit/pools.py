#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""--pool: a network in two memory pools computes what it computes in one arena, stays within each pool's bytes, and the fast pool
is used.

    pools.py BUILD_DIR
"""
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import models, report, tool

FAST, SLOW = 2048, 65536
MAIN = r'''
#include <stdio.h>
#include <string.h>
#include "one.h"
#include "two.h"
enum { GUARD = 64 };
static _Alignas(64) unsigned char arena[ONE_ARENA_BYTES], fast[TWO_ARENA_BYTES + GUARD], slow[TWO_POOL_SLOW_BYTES + GUARD];
static float x[64], a[10], b[10];
static int touched(const unsigned char *p)
{
    for (int k = 0; k < GUARD; k++)
        if (p[k] != 0xA5) return 1;
    return 0;
}
int main(void)
{
    for (int k = 0; k < 64; k++) x[k] = (float)(k % 17);
    memset(fast, 0xA5, sizeof fast);
    memset(slow, 0xA5, sizeof slow);
    const struct one_io p = {.INPUT = x, .OUTPUT = a};
    const struct two_io q = {.INPUT = x, .OUTPUT = b, .pool_slow = slow};
    if (one_run(&p, arena) || two_run(&q, fast)) return puts("a call failed"), 1;
    if (memcmp(a, b, sizeof a)) return puts("the results differ"), 1;
    if (touched(fast + TWO_ARENA_BYTES) || touched(slow + TWO_POOL_SLOW_BYTES)) return puts("a pool was left"), 1;
    return 0;
}
'''


def fault(mlcc, folder):
    model = models.samples()['digits']
    one = tool.compile_model(mlcc, model, folder, 'one')
    two = tool.compile_model(mlcc, model, folder, 'two', ['--pool', f'fast={FAST}', '--pool', f'slow={SLOW}'])
    if one.rc or two.rc:
        return one.message or two.message
    sizes = dict(re.findall(r'#define TWO_(ARENA|POOL_SLOW)_BYTES +(\d+)', two.header.read_text()))
    if not 0 < int(sizes['ARENA']) <= FAST or not 0 < int(sizes['POOL_SLOW']) <= SLOW:
        return f'pools of {sizes}'
    fields = re.search(r'struct two_io \{(.*?)\}', two.header.read_text(), re.DOTALL).group(1)
    given, taken = re.findall(r'(?:const )?float +\*(\w+);', fields)[:2]
    (folder / 'main.c').write_text(MAIN.replace('INPUT', given).replace('OUTPUT', taken))
    command = ['cc', '-std=c11', '-O1', *tool.WARNINGS, folder / 'main.c', *one.sources, *two.sources, '-lm', '-o', folder / 'pools']
    rc, _, err = tool.run(command, 120)
    if rc:
        return err[:300]
    rc, out, _ = tool.run([folder / 'pools'], 60)
    return '' if rc == 0 else out.strip() or f'status {rc}'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    folder = build / 'emit' / 'pools'
    shutil.rmtree(folder, ignore_errors=True)
    r = report.Report()
    r.check('pools/digits', fault(build / 'mlcc', folder))
    r.finish()


if __name__ == '__main__':
    main()
