#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the fuzz targets with clang's sanitizers and lets each run for a while.

    run.py BUILD_DIR [SECONDS] [TARGET ...]

Seeds are made from the tests' own models and texts. What a run finds beyond them stays in BUILD_DIR/fuzz, so the next one
goes on there; a crash is saved there too. tests/fuzz/found/TARGET holds inputs that once failed; they run first.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import report, tool

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = ['fuzz_wire', 'fuzz_import', 'fuzz_graph', 'fuzz_te', 'fuzz_nest', 'fuzz_compile']
FOLDERS = ['ir', 'ir/op', 'targets', 'codegen', 'compiler', 'compiler/pass', 'compiler/rules']
LEFT_OUT = {'codegen/embed.c', 'compiler/main.c'}  # programs
FLAGS = ['-std=c17', '-D_GNU_SOURCE', '-DMLCC_ARENA_DEBUG', '-g', '-O1', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined']


def has_fuzzer(out):
    """Whether clang comes with the fuzzer's runtime (Debian: libclang-rt-14-dev)."""
    probe = out / 'probe.c'
    probe.write_text('#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *d, size_t n);\n'
                     'int LLVMFuzzerTestOneInput(const char *d, size_t n) { return n > 9 && d[0]; }\n')
    try:
        return tool.run(['clang', '-fsanitize=fuzzer,address', probe, '-o', out / 'probe'], 60)[0] == 0
    except OSError:
        return False


def newest_header():
    headers = [p for folder in [*FOLDERS, 'runtime-min'] for suffix in ('*.h', '*.def') for p in (tool.ROOT / folder).glob(suffix)]
    return max(p.stat().st_mtime for p in headers)


def compile_object(source, out, includes, since):
    """An object file that is newer than its source and every header."""
    name = source.relative_to(tool.ROOT) if source.is_relative_to(tool.ROOT) else pathlib.Path(source.name)
    obj = out / (str(name).replace('/', '-') + '.o')
    if obj.exists() and obj.stat().st_mtime > max(since, source.stat().st_mtime):
        return obj, ''
    quiet = ['-w'] if not source.is_relative_to(tool.ROOT / 'tests') else ['-Wall', '-Wextra', '-Werror']
    rc, _, err = tool.run(['clang', *FLAGS, *quiet, *includes, '-fsanitize=fuzzer-no-link', '-c', source, '-o', obj], 600)
    return obj, err if rc else ''


def generated(build):
    """The sources that the build made: the reader of protobuf and the text of the runtime."""
    return [next(build.glob('**/onnx.pb-c.c')), next(build.glob('**/runtime_text.c'))]


def build_targets(build, out):
    made = generated(build)
    includes = [f'-I{tool.ROOT}', *(f'-isystem{p.parent}' for p in made)]
    sources = [p for folder in FOLDERS for p in sorted((tool.ROOT / folder).glob('*.c')) if str(p.relative_to(tool.ROOT)) not in LEFT_OUT]
    since = newest_header()
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda p: compile_object(p, out, includes, since), [*sources, *made]))
    why = next((err for _, err in objects if err), '')
    for name in TARGETS:
        obj, err = compile_object(HERE / f'{name}.c', out, includes, since)
        if why or err:
            return why or err
        rc, _, err = tool.run(['clang', *FLAGS, '-fsanitize=fuzzer', obj, *(o for o, _ in objects), '-lprotobuf-c', '-lm', '-o', out / name], 300)
        if rc:
            return err
    return ''


def outputs(build, folder, kind):
    """What mlcc prints for the graphs of the text tests, as seeds for the parsers of its other forms."""
    for path in sorted((tool.ROOT / 'tests' / 'text').glob('*.nn')):
        rc, text, _ = tool.run([build / 'mlcc', path, f'--emit={kind}'], 60)
        if rc == 0:
            (folder / f'{path.stem}.txt').write_text(text)


def scheduled(build, folder):
    """Stages, and behind them the schedule that mlcc chose."""
    outputs(build, folder, 'te')
    for path in sorted(folder.glob('*.txt')):
        _, text, _ = tool.run([build / 'mlcc', tool.ROOT / 'tests' / 'text' / f'{path.stem}.nn', '--emit=schedule'], 60)
        path.write_text(f'{path.read_text()}--\n{text}')


def make_seeds(build, name, folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if name in ('fuzz_import', 'fuzz_compile'):
        subprocess.run([sys.executable, HERE / 'corpus.py', folder], check=True, stdout=subprocess.DEVNULL)
    elif name == 'fuzz_graph':
        for path in (tool.ROOT / 'tests').glob('*/**/*.nn'):
            shutil.copy(path, folder / path.name)
    elif name == 'fuzz_te':
        scheduled(build, folder)
    elif name == 'fuzz_nest':
        outputs(build, folder, 'nest')


def run(build, out, name, seconds):
    """'' or what was found."""
    corpus, seeds, found = out / f'corpus_{name}', out / f'seeds_{name}', HERE / 'found' / name
    corpus.mkdir(exist_ok=True)
    make_seeds(build, name, seeds)
    limits = ['-timeout=20', '-rss_limit_mb=3000', '-max_len=6000', f'-artifact_prefix={out}/{name}-']
    known = sorted(found.glob('*')) if found.exists() else []
    for command in ([*known], [f'-max_total_time={seconds}', '-print_final_stats=0', corpus, seeds]):
        if not command:
            continue
        rc, _, err = tool.run([out / name, *limits, *command], 60 + 4 * seconds)
        if rc:
            return first_fault(err)
    return ''


def first_fault(err):
    lines = err.splitlines()
    marks = ('internal error', 'not sound', 'runtime error', 'ERROR: ')
    fault = next((line for line in lines if any(m in line for m in marks)), lines[-1] if lines else 'no output')
    saved = next((line for line in lines if 'Test unit written' in line), '')
    return f'{fault.strip()} {saved.strip()}'


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    names = sys.argv[3:] or TARGETS
    out = build / 'fuzz'
    out.mkdir(parents=True, exist_ok=True)
    result = report.Report()
    if not has_fuzzer(out):
        for name in names:
            result.skip(name, 'clang has no fuzzer runtime')
        result.finish()
    why = build_targets(build, out)
    for name in names:
        result.check(name, f'cannot be built: {why}' if why else run(build, out, name, seconds))
    result.finish()


if __name__ == '__main__':
    main()
