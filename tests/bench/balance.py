#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How well a model is cut for threads, as mlcc itself counts: nothing runs, any machine will do.

    balance.py MLCC MODEL [--threads 2,4,8,16] [--worst N] [--arg ...]

The row of a count: how many times faster than one thread the functions are when parts meet for nothing, what share of `count` that
is, and what of the rest is due to functions that run on one part and to parts of unequal size; what share of
the cycles is in steps that are dealt out while running, so that a slower core does less. Below it the N functions that lose most, in
thousand cycles above an even share. A count that
gains nothing over a smaller one is left out. Figures are the cost model's (compiler/parallel_cost.c), so they say how even the cut
is, not how fast the model runs.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile


def facts_of(args):
    counts = ','.join(str(n) for n in args.threads)
    with tempfile.TemporaryDirectory() as tmp:
        subprocess.run([args.mlcc, args.model, '-o', f'{tmp}/model.c', '--prefix', 'model', f'--threads={counts}', *args.arg], check=True)
        return json.loads(pathlib.Path(tmp, 'model.json').read_text())


def show_count(nodes, k, row, worst):
    count, meet = row['count'], row['meetings']
    alone, slowest = sum(f['cycles'] for f in nodes), sum(f['slowest'][k] for f in nodes)
    serial = sum(f['cycles'] * (1 - 1 / count) for f in nodes if not f['split']) / slowest
    even = alone / count / slowest
    dealt = sum(f['slowest'][k] for f in nodes if f['shares'][k]) / slowest
    print(f'{count:7} {alone / slowest:7.2f} {even:8.1%} {serial:14.1%} {1 - even - serial:15.1%} {dealt:7.1%} {meet["all"]:14} {meet["near"]:8} {row["arena_bytes"] / 1e6:10.2f}')
    lost = sorted(((f['slowest'][k] - f['cycles'] / count, f) for f in nodes), key=lambda x: -x[0])[:worst]
    for cycles, f in lost:
        balance = f['slowest'][k] * count / f['cycles'] if f['cycles'] else 1
        print(f'          {cycles / 1e3:9.1f}  largest over mean {balance:5.2f}  shares {f["shares"][k] or count:4}  {"" if f["split"] else "serial "}{f["function"]}  {f["from"][:90]}')


def main():
    p = argparse.ArgumentParser()
    p.add_argument('mlcc')
    p.add_argument('model')
    p.add_argument('--threads', type=lambda s: [int(n) for n in s.split(',')], default=[2, 4, 8, 16])
    p.add_argument('--worst', type=int, default=0)
    p.add_argument('--arg', action='append', default=[], help='a further argument of mlcc')
    args = p.parse_args()
    facts = facts_of(args)
    if not facts['split_functions']:
        print('the model is not cut')
        return
    print(f'{pathlib.Path(args.model).name}: {facts["split_functions"]} of {len(facts["nodes"])} functions are cut')
    print('threads   times   of even   one part only   unequal parts   dealt   meetings: all, near   arena MB')
    for k, row in enumerate(facts['threads'][1:]):
        show_count(facts['nodes'], k, row, args.worst)


if __name__ == '__main__':
    main()
