/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer target: the wire scan on any bytes. What it accepts is compacted, and the copy must be what the scan said:
 * of the announced size, sound by the scan itself, and no deeper or larger than the original. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "compiler/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every kind of field, in a message that holds itself. */
static const WireMessage schema[] = {{"Any",
                                      64,
                                      8,
                                      {{"many", 1, WIRE_message, true, 8, 0},
                                       {"one", 2, WIRE_message, false, 8, 0},
                                       {"name", 3, WIRE_text, true, 8, 0},
                                       {"view", 4, WIRE_view, true, 16, 0},
                                       {"bytes", 5, WIRE_bytes, false, 16, 0},
                                       {"ints", 6, WIRE_int, true, 8, 0},
                                       {"floats", 7, WIRE_fix32, true, 4, 0},
                                       {"number", 8, WIRE_fix64, false, 8, 0}}}};

static void require(int ok)
{
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const WireLimits limits = {10000, 5000, 1 << 26};
    Arena *a = arena_new(0, NULL);
    WireScan scan, again;
    if (wire_scan(a, schema, data, n, &limits, &scan)) {
        uint8_t *copy = malloc(scan.compact ? scan.compact : 1); /* an overrun of a byte is found */
        wire_compact(schema, data, n, copy);
        require(wire_scan(a, schema, copy, scan.compact, &limits, &again));
        require(again.messages == scan.messages && again.compact == scan.compact && scan.compact <= n);
        free(copy);
    } else {
        require(scan.error && scan.at <= n);
    }
    arena_free(a);
    return 0;
}
