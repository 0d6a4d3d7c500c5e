/* SPDX-License-Identifier: Apache-2.0
 *
 * SHA-256 (FIPS 180-4), for naming a model file in reports and generated files. */
#ifndef MLCC_SHA256_H
#define MLCC_SHA256_H

#include <stddef.h>

/* Digest of n bytes as 64 lower-case hexadecimal digits and a NUL. */
/* seen: called with ctx each time half a megabyte has been read, NULL: not. */
void sha256_hex(const void *p, size_t n, void (*seen)(const void *ctx), const void *ctx, char hex[65]);

/* The same by portable code only; for the test that compares the two. */
void sha256_hex_portable(const void *p, size_t n, char hex[65]);

#endif
