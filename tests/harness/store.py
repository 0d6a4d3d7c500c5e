# SPDX-License-Identifier: Apache-2.0
"""Objects that a suite of this run compiled, for another that asks for the same: the same text, by the same compiler with the same
flags. run_all.py makes the folder and says where; a suite that runs alone compiles everything.
"""
import contextlib
import hashlib
import os
import pathlib
import re
import shutil

PLACE = 'MLCC_TEST_OBJECTS'
READS = re.compile(rb'(?:#include|\.incbin)\s*\\?"([^"\\]+)')


def files_read(source):
    """{path: bytes} of a source and of all that it includes from its own folder."""
    found, todo = {}, [source]
    while todo:
        path = todo.pop()
        if path not in found and path.is_file():
            found[path] = path.read_bytes()
            todo += [source.parent / os.fsdecode(name) for name in READS.findall(found[path])] if path.suffix != '.bin' else []
    return found


def key_of(cc, source, flags):
    """'' where objects are not kept, or have files beside them."""
    if PLACE not in os.environ or any(flag.startswith('-dump') for flag in flags):
        return ''
    words = [os.path.realpath(shutil.which(cc) or cc), *(flag.replace(str(source.parent), '.') for flag in flags)]
    h = hashlib.sha256(repr(words).encode())
    for path, data in files_read(source).items():
        h.update(b'%s %d ' % (os.fsencode(path.name), len(data)) + data)
    return h.hexdigest()


def kept(key):
    return pathlib.Path(os.environ[PLACE], key)


def recall(key, target):
    """Whether the object is there; then target is it."""
    try:
        os.link(kept(key), target) if key else None
    except FileNotFoundError:
        return False
    return bool(key)


def keep(key, target):
    """Whoever comes second finds the same bytes there."""
    if key:
        with contextlib.suppress(FileExistsError):
            os.link(target, kept(key))
