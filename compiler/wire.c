/* SPDX-License-Identifier: Apache-2.0
 *
 * The walk over the wire format: one loop and a stack of at most WIRE_MAX_DEPTH open messages, used twice. First it
 * checks and counts, then it writes the compact copy. Lengths of messages shrink in the copy but keep the number of
 * bytes of their varint (padded with continuation bits), so a length is patched when its message ends.
 */
#include "wire.h"

enum {
    KEY_BYTES = 5,     /* of a key or a length: protobuf-c takes no more */
    MEMBER_BYTES = 64, /* protobuf-c's note about one field while it unpacks a message, doubling included */
    ALLOC_BYTES = 16   /* rounding of one allocation */
};

enum { TYPE_varint, TYPE_fix64, TYPE_bytes, TYPE_group, TYPE_endgroup, TYPE_fix32 };

static const uint8_t kind_type[] = {
    [WIRE_int] = TYPE_varint,  [WIRE_fix32] = TYPE_fix32, [WIRE_fix64] = TYPE_fix64,   [WIRE_text] = TYPE_bytes,
    [WIRE_bytes] = TYPE_bytes, [WIRE_view] = TYPE_bytes,  [WIRE_message] = TYPE_bytes,
};

typedef struct Frame {
    const WireMessage *m;
    const uint8_t *end;
    uint8_t *len;                   /* in the copy: the length's varint; NULL for the root */
    uint8_t width;                  /* bytes of it */
    uint32_t seen[WIRE_MAX_FIELDS]; /* elements of each field so far */
} Frame;

typedef struct Walk {
    Arena *a;
    const WireMessage *schema;
    const uint8_t *start, *p;
    const WireLimits *limits; /* of the first walk */
    WireScan *scan;
    uint8_t *out; /* NULL: only counting */
    Frame stack[WIRE_MAX_DEPTH];
    uint32_t depth;
} Walk;

/* One field as it stands in the file. */
typedef struct Item {
    const WireField *f; /* NULL: not in the schema */
    uint32_t id, type;
    const uint8_t *key; /* its first byte */
    const uint8_t *len; /* the length's varint, of TYPE_bytes */
    const uint8_t *at;  /* payload */
    size_t n;           /* bytes of the payload */
} Item;

static Frame *top(Walk *w)
{
    return &w->stack[w->depth - 1];
}

static bool fail(Walk *w, const uint8_t *at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    w->scan->error = str_vfmt(w->a, fmt, ap);
    va_end(ap);
    w->scan->at = (size_t)(at - w->start);
    return false;
}

static bool fail_limit(Walk *w, const char *what, uint64_t found, uint64_t limit)
{
    w->scan->limit = true;
    return fail(w, w->p, "%s: %llu, limit %llu", what, (unsigned long long)found, (unsigned long long)limit);
}

static const WireField *find_field(const WireMessage *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->n; i++)
        if (m->field[i].id == id) return &m->field[i];
    return NULL;
}

/* A key or a length: a varint of at most KEY_BYTES bytes inside the current message. */
static bool read_short(Walk *w, uint64_t *v)
{
    const uint8_t *end = top(w)->end, *from = w->p;
    if (!wire_varint(&w->p, end, v)) return fail(w, from, "a varint is cut off or too long");
    return w->p - from <= KEY_BYTES || fail(w, from, "a key or length has %d bytes", (int)(w->p - from));
}

static bool read_payload(Walk *w, Item *item)
{
    uint64_t v = 0;
    const size_t left = (size_t)(top(w)->end - w->p);
    item->at = w->p;
    switch (item->type) {
    case TYPE_varint:
        if (!wire_varint(&w->p, top(w)->end, &v)) return fail(w, item->at, "a varint is cut off or too long");
        item->n = (size_t)(w->p - item->at);
        return true;
    case TYPE_bytes:
        item->len = w->p;
        if (!read_short(w, &v)) return false;
        item->at = w->p;
        if (v > (size_t)(top(w)->end - w->p))
            return fail(w, item->len, "a field has %llu bytes, its message only %llu more", (unsigned long long)v,
                        (unsigned long long)(top(w)->end - w->p));
        item->n = (size_t)v;
        w->p += item->n;
        return true;
    case TYPE_fix32:
    case TYPE_fix64:
        item->n = item->type == TYPE_fix32 ? 4 : 8;
        if (left < item->n) return fail(w, item->at, "a number is cut off");
        w->p += item->n;
        return true;
    default: return fail(w, item->key, "wire type %u is not used by ONNX", item->type);
    }
}

static bool read_item(Walk *w, Item *item)
{
    uint64_t key = 0;
    *item = (Item){.key = w->p};
    if (!read_short(w, &key)) return false;
    if (key >> 3 == 0 || key > UINT32_MAX)
        return fail(w, item->key, "field number %llu", (unsigned long long)(key >> 3));
    item->id = (uint32_t)(key >> 3);
    item->type = (uint32_t)(key & 7);
    item->f = find_field(top(w)->m, item->id);
    return read_payload(w, item);
}

/* Elements of a packed payload; 0 when it is not sound. */
static size_t packed_count(const Item *item)
{
    if (item->f->kind != WIRE_int) return item->n / item->f->size * (item->n % item->f->size == 0);
    size_t n = 0, run = 0;
    for (size_t i = 0; i < item->n; i++) {
        run = item->at[i] & 0x80 ? run + 1 : 0;
        n += run == 0;
        if (run == 10) return 0;
    }
    return run ? 0 : n;
}

/* Elements that the item adds to its field. */
static bool count_elements(Walk *w, const Item *item, size_t *n)
{
    const WireField *f = item->f;
    const bool packed = f->repeated && f->kind <= WIRE_fix64 && item->type == TYPE_bytes;
    if (!packed && item->type != kind_type[f->kind])
        return fail(w, item->key, "field '%s' of %s has wire type %u", f->name, top(w)->m->name, item->type);
    *n = packed ? packed_count(item) : 1;
    return !packed || *n || !item->n || fail(w, item->at, "packed field '%s' is broken", f->name);
}

static bool is_long_view(const Item *item)
{
    return item->f->kind == WIRE_view && item->n > WIRE_INLINE;
}

/* Whether the item, with n elements, keeps the field's rules; *seen: elements so far, then with this item's. */
static bool check_item(Walk *w, const Item *item, uint64_t *seen, size_t n)
{
    const WireField *f = item->f;
    const char *in = top(w)->m->name;
    *seen += n;
    if (f->kind > WIRE_fix64 && f->repeated && *seen > w->limits->repeated)
        return fail_limit(w, str_fmt(w->a, "elements of '%s' in one %s", f->name, in), *seen, w->limits->repeated);
    if (f->kind == WIRE_message && !f->repeated && *seen > 1)
        return fail(w, item->key, "field '%s' of %s is given twice", f->name, in);
    if (f->kind == WIRE_text && item->n && memchr(item->at, 0, item->n))
        return fail(w, item->at, "field '%s' of %s holds a NUL byte", f->name, in);
    return true;
}

/* Adds the item to the counts and holds them against the limits. */
static bool count_item(Walk *w, const Item *item)
{
    const WireField *f = item->f;
    WireScan *scan = w->scan;
    uint32_t *place = &top(w)->seen[f - top(w)->m->field];
    uint64_t seen = *place;
    size_t n = 0;
    if (!count_elements(w, item, &n) || !check_item(w, item, &seen, n)) return false;
    const size_t bytes = f->kind == WIRE_message ? 0 : is_long_view(item) ? WIRE_REF : item->n;
    const size_t array = f->repeated ? n * f->size + (*place ? 0 : ALLOC_BYTES) : 0;
    *place = (uint32_t)(seen > UINT32_MAX ? UINT32_MAX : seen);
    scan->text += f->kind > WIRE_fix64 ? bytes : 0;
    scan->compact += (size_t)(item->at - item->key) + bytes;
    scan->memory += MEMBER_BYTES + array + (f->kind > WIRE_fix64 ? bytes + ALLOC_BYTES : 0);
    return scan->memory <= w->limits->memory ||
           fail_limit(w, "bytes of memory for unpacking, at least", scan->memory, w->limits->memory);
}

static void put(Walk *w, const uint8_t *p, size_t n)
{
    if (n) memcpy(w->out, p, n);
    w->out += n;
}

/* Writes v as a varint of exactly `width` bytes. */
static void put_varint(uint8_t *at, uint64_t v, size_t width)
{
    for (size_t i = 0; i < width; i++, v >>= 7) at[i] = (uint8_t)((v & 0x7f) | (i + 1 < width ? 0x80 : 0));
}

static void put_reference(Walk *w, const Item *item)
{
    const uint64_t ref[2] = {(uint64_t)(item->at - w->start), item->n};
    put(w, item->key, (size_t)(item->len - item->key));
    put_varint(w->out, WIRE_REF, (size_t)(item->at - item->len));
    w->out += item->at - item->len;
    *w->out++ = 0;
    put(w, (const uint8_t *)ref, sizeof ref);
}

static void copy_item(Walk *w, const Item *item)
{
    if (item->f->kind == WIRE_message)
        put(w, item->key, (size_t)(item->at - item->key));
    else if (is_long_view(item))
        put_reference(w, item);
    else
        put(w, item->key, (size_t)(item->at + item->n - item->key));
}

static bool open_message(Walk *w, const WireMessage *m, const uint8_t *end, size_t width)
{
    if (w->depth == WIRE_MAX_DEPTH) return fail_limit(w, "depth of nested messages", w->depth + 1u, WIRE_MAX_DEPTH);
    Frame *f = &w->stack[w->depth++];
    *f = (Frame){.m = m, .end = end, .len = w->out && width ? w->out - width : NULL, .width = (uint8_t)width};
    if (w->out) return true;
    w->scan->memory += m->size + ALLOC_BYTES;
    if (++w->scan->messages > w->limits->messages)
        return fail_limit(w, "messages", w->scan->messages, w->limits->messages);
    return true;
}

static void close_message(Walk *w)
{
    const Frame *f = top(w);
    if (f->len) put_varint(f->len, (uint64_t)(w->out - (f->len + f->width)), f->width);
    w->depth--;
}

static bool step(Walk *w)
{
    Item item;
    if (!read_item(w, &item)) return false;
    if (!item.f) return true;
    if (w->out)
        copy_item(w, &item);
    else if (!count_item(w, &item))
        return false;
    if (item.f->kind != WIRE_message) return true;
    w->p = item.at;
    return open_message(w, &w->schema[item.f->sub], item.at + item.n, (size_t)(item.at - item.len));
}

static bool walk(Walk *w, size_t n)
{
    w->p = w->start;
    bool ok = open_message(w, &w->schema[0], w->start + n, 0);
    while (ok && w->depth) {
        if (w->p == top(w)->end)
            close_message(w);
        else
            ok = step(w);
    }
    return ok;
}

bool wire_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
    *v = 0;
    for (unsigned shift = 0; shift < 64 && *p < end; shift += 7) {
        const uint8_t b = *(*p)++;
        if (shift == 63 && b > 1) return false;
        *v |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80) return true;
    }
    return false;
}

const uint8_t *wire_view(const uint8_t *file, const uint8_t *payload, size_t *n)
{
    if (*n != WIRE_REF) return payload;
    uint64_t ref[2];
    memcpy(ref, payload + 1, sizeof ref);
    *n = (size_t)ref[1];
    return file + ref[0];
}

bool wire_scan(Arena *a, const WireMessage *schema, const uint8_t *p, size_t n, const WireLimits *limits,
               WireScan *scan)
{
    *scan = (WireScan){0};
    Walk *w = NEW(a, Walk);
    p = p ? p : (const uint8_t *)""; /* an empty file is not mapped */
    *w = (Walk){.a = a, .schema = schema, .start = p, .limits = limits, .scan = scan};
    const bool ok = walk(w, n);
    scan->memory += scan->compact;
    return ok && (scan->memory <= limits->memory ||
                  fail_limit(w, "bytes of memory for unpacking", scan->memory, limits->memory));
}

void wire_compact(const WireMessage *schema, const uint8_t *p, size_t n, uint8_t *out)
{
    WireScan unused = {0};
    Walk w = {.schema = schema, .start = p ? p : (const uint8_t *)"", .scan = &unused, .out = out};
    walk(&w, n);
}
