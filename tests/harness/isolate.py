# SPDX-License-Identifier: Apache-2.0
"""Calls emitted code in a child process, so that a crash or an endless loop costs one item and not the suite."""
import json
import os
import select
import signal
import traceback


def each(items, function, seconds, setup=lambda: None):
    """{index: (status, detail)} of function(setup(), item) for every item, called one after the other in a child process.

    function returns (status, detail). A child that dies or is silent for too long gives its current item 'crash' or 'timeout',
    and a new child goes on with the next one. An exception gives 'internal'.
    """
    results = {}
    while len(results) < len(items):
        todo = [k for k in range(len(items)) if k not in results]
        ending = run_child(items, todo, function, seconds, setup, results)
        if len(results) < len(items):
            results[next(k for k in todo if k not in results)] = ending
    return results


def run_child(items, todo, function, seconds, setup, results):
    """Forks, collects what the child reports into results, and says how it ended if it did not finish."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        child(items, todo, function, setup, writing)
    os.close(writing)
    silent = False
    try:
        for line in lines_of(reading, seconds):
            number, *result = json.loads(line)
            results[number] = tuple(result)
    except TimeoutError:
        silent = True
        os.kill(pid, signal.SIGKILL)
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    return ('timeout', f'no end after {seconds} s') if silent else ('crash', f'signal {status & 127}')


def child(items, todo, function, setup, pipe):
    """Never returns. os._exit: nothing that the parent opened may be closed or flushed twice."""
    with os.fdopen(pipe, 'w') as out:
        try:
            context = setup()
        except OSError as e:
            context = e
        for k in todo:
            print(json.dumps([k, *guarded(function, context, items[k])]), file=out, flush=True)
    os._exit(0)


def guarded(function, context, item):
    if isinstance(context, OSError):
        return 'internal', str(context)
    try:
        return function(context, item)
    except Exception as e:  # a fault of the harness is a result of the item, not the end of the batch
        return 'internal', f'{type(e).__name__}: {e} at {traceback.extract_tb(e.__traceback__)[-1].name}'


def lines_of(pipe, seconds):
    """The lines of a pipe as they come; ends at its end; raises TimeoutError after so many seconds of silence."""
    rest = b''
    while True:
        if not select.select([pipe], [], [], seconds)[0]:
            raise TimeoutError
        chunk = os.read(pipe, 65536)
        if not chunk:
            return
        *lines, rest = (rest + chunk).split(b'\n')
        yield from lines
