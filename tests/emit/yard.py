#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A known piece of work, to measure others by: the first bytes of a file as text, three characters each, written to another.

    yard.py FILE OUT
"""
import binascii
import sys

PIECES, PIECE = 256, 1 << 18

if __name__ == '__main__':
    with open(sys.argv[1], 'rb') as given, open(sys.argv[2], 'wb') as out:
        for _ in range(PIECES):
            out.write(binascii.hexlify(given.read(PIECE), '\n', 1))
