/* SPDX-License-Identifier: Apache-2.0
 *
 * A bounded look at protobuf's wire format, before any library unpacks it.
 *
 * protobuf-c recurses as deep as the file says and allocates as much as the file says. The scan here walks the same
 * bytes with a fixed stack, checks every key, length and varint, counts what unpacking would allocate, and refuses
 * what is beyond the limits. A schema (a table made from the generated descriptors) tells it which fields are messages.
 *
 * The compact copy is what protobuf-c gets: without fields that the schema lacks, and with every long payload of a view
 * field replaced by a reference, so that weights are never copied.
 */
#ifndef MLCC_WIRE_H
#define MLCC_WIRE_H

#include "../ir/base.h"

typedef enum WireKind { WIRE_int, WIRE_fix32, WIRE_fix64, WIRE_text, WIRE_bytes, WIRE_view, WIRE_message } WireKind;

enum { WIRE_MAX_FIELDS = 16, WIRE_MAX_DEPTH = 64, WIRE_INLINE = 16, WIRE_REF = 17 };

typedef struct WireField {
    const char *name;
    uint32_t id;
    uint8_t kind; /* WireKind */
    bool repeated;
    uint8_t size; /* of one element in the unpacked array */
    uint16_t sub; /* of WIRE_message: index of its type in the schema */
} WireField;

typedef struct WireMessage {
    const char *name;
    uint32_t size; /* of the unpacked structure */
    uint32_t n;
    WireField field[WIRE_MAX_FIELDS];
} WireMessage;

typedef struct WireLimits {
    uint64_t messages; /* in all */
    uint64_t repeated; /* of one field in one message */
    uint64_t memory;   /* of unpacking, in bytes */
} WireLimits;

typedef struct WireScan {
    uint64_t messages, text; /* text: bytes of strings and of payloads that are not views */
    uint64_t memory;         /* upper estimate of what protobuf-c allocates for the compact copy, which is included */
    size_t compact;          /* bytes of the compact copy */
    const char *error;       /* NULL: sound */
    bool limit;              /* the error is a limit, not a broken file */
    size_t at;               /* byte of the error */
} WireScan;

/* A payload of a view field as protobuf-c hands it out: as it was when it has at most WIRE_INLINE bytes, otherwise
 * WIRE_REF bytes that stand for a part of the file. Returns its place, and its length through n. */
const uint8_t *wire_view(const uint8_t *file, const uint8_t *payload, size_t *n);

/* schema[0] is the type of the whole file. Texts of errors come from arena a. */
bool wire_scan(Arena *a, const WireMessage *schema, const uint8_t *p, size_t n, const WireLimits *limits,
               WireScan *scan);
/* Writes scan.compact bytes to out; the bytes at p must have passed wire_scan with this schema. */
void wire_compact(const WireMessage *schema, const uint8_t *p, size_t n, uint8_t *out);

/* One varint at *p, before end; moves *p behind it. False: cut off, or longer than 64 bits. */
bool wire_varint(const uint8_t **p, const uint8_t *end, uint64_t *v);

#endif
