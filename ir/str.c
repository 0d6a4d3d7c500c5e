/* SPDX-License-Identifier: Apache-2.0
 *
 * Strings in arenas, a text builder, and the one hash map of the compiler.
 *
 * The map keeps its entries in an array in the order in which they were added; a table of entry numbers, probed
 * linearly, finds them. Iterating over the array is therefore deterministic whatever the keys are.
 */
#include "base.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return h ^ h >> 32;
}

/* Little-endian, so that a hash is the same on every host. */
static uint64_t load_le(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void text_grow(Text *t, size_t more)
{
    mul_size_or_oom(t->arena, more, 4); /* no memory holds a quarter of all addresses: the sums below are safe */
    const size_t need = t->n + more + 1, cap = need > 2 * t->cap ? need : 2 * t->cap;
    char *at = arena_alloc(t->arena, cap < 64 ? 64 : cap, 1);
    if (t->n)
        memcpy(at, t->at, t->n);
    t->at = at;
    t->cap = cap < 64 ? 64 : cap;
}

void text_vadd(Text *t, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    const size_t room = t->cap - t->n;
    const int n = vsnprintf(t->at ? t->at + t->n : NULL, room, fmt, ap);
    if (n < 0)
        ICE("a text could not be formatted");
    if ((size_t)n >= room) {
        text_grow(t, (size_t)n);
        vsnprintf(t->at + t->n, t->cap - t->n, fmt, again);
    }
    va_end(again);
    t->n += (size_t)n;
}

static bool same_key(const MapSlot *s, const char *str, uint64_t key)
{
    if (s->key != key || !s->str != !str)
        return false;
    return !str || strcmp(s->str, str) == 0;
}

static void put_text(void *text, const void *p, size_t n)
{
    text_put(text, p, n);
}

Sink text_sink(Text *t)
{
    return (Sink){put_text, t};
}

/* Place in m->index of the entry with this key, or of the gap where it belongs. Requires an index. */
static uint32_t map_place(const Map *m, const char *str, uint64_t key)
{
    uint32_t i = (uint32_t)mix(key) & m->mask;
    while (m->index[i] && !same_key(&m->slot.at[m->index[i] - 1], str, key))
        i = (i + 1) & m->mask;
    return i;
}

static void map_grow(Map *m)
{
    const size_t size = m->index ? 2 * ((size_t)m->mask + 1) : 16;
    m->index = NEWN(m->arena, uint32_t, size);
    m->mask = (uint32_t)(size - 1);
    for (uint32_t i = 0; i < m->slot.n; i++)
        m->index[map_place(m, m->slot.at[i].str, m->slot.at[i].key)] = i + 1;
}

static uint64_t *map_find(Map *m, const char *str, uint64_t key, bool add)
{
    if (m->index) {
        const uint32_t at = m->index[map_place(m, str, key)];
        if (at)
            return &m->slot.at[at - 1].val;
    }
    if (!add)
        return NULL;
    if (!m->index || m->slot.n >= m->mask / 4 * 3)
        map_grow(m);
    PUSH(m->arena, &m->slot, ((MapSlot){str, key, 0}));
    m->index[map_place(m, str, key)] = m->slot.n;
    return &m->slot.at[m->slot.n - 1].val;
}

const char *str_dup(Arena *a, const char *s)
{
    return str_ndup(a, s, strlen(s));
}

/* The first n bytes of s, or fewer when a NUL comes before; s need not be terminated. */
const char *str_ndup(Arena *a, const char *s, size_t n)
{
    const char *end = n ? memchr(s, 0, n) : NULL;
    const size_t len = end ? (size_t)(end - s) : n;
    char *copy = arena_alloc(a, len + 1, 1);
    if (len)
        memcpy(copy, s, len);
    return copy;
}

const char *str_vfmt(Arena *a, const char *fmt, va_list ap)
{
    Text t = {.arena = a};
    text_vadd(&t, fmt, ap);
    return text_str(&t);
}

const char *str_fmt(Arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const char *s = str_vfmt(a, fmt, ap);
    va_end(ap);
    return s;
}

/* The same value on every host and in every release: text files may hold it. Not for hostile keys' security. */
uint64_t hash_bytes(uint64_t seed, const void *p, size_t n)
{
    const unsigned char *at = p;
    uint64_t h = mix(seed ^ n);
    for (; n >= 8; n -= 8, at += 8)
        h = mix(h ^ load_le(at, 8));
    return n ? mix(h ^ load_le(at, n)) : h;
}

void text_add(Text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    text_vadd(t, fmt, ap);
    va_end(ap);
}

void text_put(Text *t, const char *s, size_t n)
{
    if (n >= t->cap - t->n)
        text_grow(t, n);
    if (n)
        memcpy(t->at + t->n, s, n);
    t->n += n;
}

const char *text_str(Text *t)
{
    if (t->n >= t->cap)
        text_grow(t, 0);
    t->at[t->n] = 0;
    return t->at;
}

/* Places are valid until the next addition to the map. Keys are compared as text; an entry's `key` is its hash. */
uint64_t *map_str(Map *m, const char *key, bool add)
{
    return map_find(m, key, hash_bytes(0, key, strlen(key)), add);
}

uint64_t *map_u64(Map *m, uint64_t key, bool add)
{
    return map_find(m, NULL, key, add);
}

void real_digits(char s[REAL_DIGITS], double v, bool as_float)
{
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(s, REAL_DIGITS, "%.*g", digits, v);
        const double back = strtod(s, NULL);
        if (back == v || (as_float && (float)back == (float)v))
            break;
    }
}

void text_add_real(Text *t, double v, bool as_float)
{
    char s[REAL_DIGITS];
    if (isnan(v) || isinf(v)) {
        text_add(t, "%s", isnan(v) ? "nan" : v < 0 ? "-inf" : "inf");
        return;
    }
    real_digits(s, v, as_float);
    text_add(t, "%s%s", s, strpbrk(s, ".e") ? "" : ".0");
}

int64_t gcd_i64(int64_t a, int64_t b)
{
    uint64_t p = a < 0 ? 0 - (uint64_t)a : (uint64_t)a, q = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
    while (q) {
        const uint64_t t = p % q;
        p = q;
        q = t;
    }
    return p > INT64_MAX ? 1 : (int64_t)p;
}
