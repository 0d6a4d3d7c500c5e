# SPDX-License-Identifier: Apache-2.0
"""What emitted objects may contain: no writable data, no symbol without the model's prefix, and of the outside world only what
runtime-min/README.md lists."""
import re

from . import tool


def allowed():
    """Names from the table of the README: | `header` | `name name ...` |; an empty first cell goes on with the row above it."""
    text = (tool.RUNTIME / 'README.md').read_text()
    section = re.search(r'^## What emitted code may call\n(.*?)(?=^#|\Z)', text, re.MULTILINE | re.DOTALL).group(1)
    names, header = {'_GLOBAL_OFFSET_TABLE_'}, ''
    for first, second in re.findall(r'^\|([^|]*)\|([^|]*)\|$', section, re.MULTILINE):
        header = first.strip() or header
        found = {name for span in re.findall(r'`([^`]+)`', second) for name in span.split()}
        names |= found | ({name + 'f' for name in found} if 'math.h' in header else set())
    return names


def by_file(text):
    """{file: lines} of the output of nm or size over several files, each introduced by 'file:' or 'file  :'."""
    found, lines = {}, None
    for line in text.splitlines():
        head = re.fullmatch(r'(\S.*?)\s*:', line)
        if head:
            lines = found.setdefault(head.group(1), [])
        elif lines is not None and line.strip():
            lines.append(line.split())
    return found


def violations(prefix_of, known):
    """{object: complaint} for objects that break the rules. prefix_of: {object: prefix of its model}."""
    objects = [str(o) for o in prefix_of]
    names = by_file(f'{objects[0]}:\n' * (len(objects) == 1) + tool.run(['nm', *objects], 60)[1])
    sizes = by_file(tool.run(['size', '-A', '-d', *objects], 60)[1])
    found = {}
    for obj, prefix in prefix_of.items():
        unread = '' if names.get(str(obj)) and sizes.get(str(obj)) else 'cannot be read by nm and size'
        why = unread or foreign(names[str(obj)], prefix, known) or writable(sizes[str(obj)])
        if why:
            found[obj] = why
    return found


def foreign(lines, prefix, known):
    for *_, kind, name in lines:
        if name.startswith(f'{prefix}_'):
            continue
        if kind == 'U' and name not in known:
            return f'refers to {name}, which is not in the list of runtime-min/README.md'
        if kind.isupper() and kind != 'U':
            return f'exports {name}, which has not the prefix {prefix}_'
    return ''


def writable(lines):
    for name, size, *_ in (line for line in lines if len(line) >= 2 and line[1].isdigit()):
        if re.match(r'\.(data(?!\.rel\.ro)|bss|tdata|tbss)', name) and int(size):
            return f'has {size} bytes of writable data in {name}'
    return ''
