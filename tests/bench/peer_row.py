#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One row of a peer benchmark: compiles a model with mlcc and cc (once, cached by content), times it, checks nothing itself.

    peer_row.py MLCC MODEL THREADS INDIR OUTDIR SECONDS [MLCC OPTION ...]
    peer_row.py --build MLCC MODEL THREADS [MLCC OPTION ...]

The second form compiles only, so that the memory of the C compiler is not taken for the model's. Reads INDIR/in_K.bin, writes OUTDIR/out_K.bin, prints a JSON line {"ms": [...], "load_ms", "compile_s", "size_mb"}.
With THREADS above 1 the model is made for that many threads and runs on the pool of mlcc_threads.h.
"""
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CC = ['gcc', '-std=gnu11', '-O2', '-march=native']


def build(mlcc, model, threads, options):
    """Folder with the timing program for the model, made when mlcc, the model, the options or the driver changed."""
    key = hashlib.sha256(repr((threads, options)).encode())
    for path in (mlcc, model, HERE / 'driver.c', HERE.parents[1] / 'runtime-min' / 'mlcc_pages.h'):
        key.update(pathlib.Path(path).read_bytes())
    folder = pathlib.Path(tempfile.gettempdir()) / f'mlcc-bench-{key.hexdigest()[:16]}'
    if (folder / 'bench.json').exists():
        return folder
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    subprocess.run([mlcc, model, '-o', folder / 'model.c', '--prefix', 'model', f'--threads={threads}', *options], check=True)
    weights = [p for p in [folder / 'model_weights.c'] if p.exists()]
    define = ['-DTHREADS', '-pthread'] if threads != '1' else []
    subprocess.run([*CC, *define, f'-Wa,-I,{folder}', f'-I{folder}', '-o', folder / 'bench', HERE / 'driver.c', folder / 'model.c', *weights, '-lm'], check=True)
    (folder / 'bench.json').write_text(json.dumps({'compile_s': time.perf_counter() - start}))
    return folder


def main():
    if sys.argv[1] == '--build':
        mlcc, model, threads, *options = sys.argv[2:]
        return build(mlcc, model, threads, options)
    mlcc, model, threads, indir, outdir, seconds, *options = sys.argv[1:]
    folder = build(mlcc, model, threads, options)
    count = [threads] if threads != '1' else []
    result = json.loads(subprocess.run([folder / 'bench', indir, outdir, seconds, *count], check=True, capture_output=True, text=True).stdout)
    result.update(json.loads((folder / 'bench.json').read_text()))
    result['size_mb'] = (folder / 'bench').stat().st_size / 1e6
    print(json.dumps(result))


if __name__ == '__main__':
    main()
