/* SPDX-License-Identifier: Apache-2.0
 *
 * Regions of memory: a list of blocks, allocation by moving a pointer, release of everything at once.
 *
 * A block comes from calloc, so what is handed out is zero without touching large pages. Requests too large for the
 * current block get a block of their own and leave the current one in use. Bytes handed out are counted in the arena
 * and in all its ancestors; the budget is that of the root. Built with MLCC_ARENA_DEBUG every request is a block of its
 * own, so that an address sanitizer sees each overrun.
 */
#include "base.h"

#include <stdlib.h>

#ifdef MLCC_ARENA_DEBUG
enum { BLOCK_MIN = 1, BLOCK_MAX = 1 };
#else
enum { BLOCK_MIN = 4096, BLOCK_MAX = 1 << 20 };
#endif

typedef struct Block {
    struct Block *next;
    max_align_t data[];
} Block;

struct Arena {
    Arena *parent, *child, *prev, *next; /* child: first of a list linked by prev and next */
    Block *block;
    char *at;
    size_t room;   /* bytes left at `at` */
    size_t used;   /* bytes handed out, children included */
    size_t budget; /* 0: none; of the root */
    jmp_buf *oom;
};

NORETURN static void out_of_memory(const Arena *a)
{
    if (!a->oom)
        ICE("out of memory in an arena without an oom point");
    longjmp(*a->oom, 1);
}

/* Counts n more bytes in a and its ancestors, or jumps when the root's budget does not allow them. */
static void charge(Arena *a, size_t n)
{
    const Arena *root = a;
    while (root->parent)
        root = root->parent;
    const size_t limit = root->budget ? root->budget : SIZE_MAX;
    if (n > limit - root->used)
        out_of_memory(a);
    for (; a; a = a->parent)
        a->used += n;
}

static char *add_block(Arena *a, size_t n)
{
    if (n > SIZE_MAX - sizeof(Block))
        out_of_memory(a);
    Block *b = calloc(1, sizeof(Block) + n);
    if (!b)
        out_of_memory(a);
    b->next = a->block;
    a->block = b;
    return (char *)b->data;
}

/* Blocks grow with the arena, so that a small one costs little and a large one has few. */
static size_t block_size(const Arena *a)
{
    if (a->used < BLOCK_MIN)
        return BLOCK_MIN;
    return a->used < BLOCK_MAX ? a->used : BLOCK_MAX;
}

static size_t padding(const char *p, size_t align)
{
    return -(uintptr_t)p & (align - 1);
}

static void unlink_child(Arena *a)
{
    *(a->prev ? &a->prev->next : &a->parent->child) = a->next;
    if (a->next)
        a->next->prev = a->prev;
    for (Arena *p = a->parent; p; p = p->parent)
        p->used -= a->used;
}

/* A root arena. budget: most bytes that may be handed out, 0 for no limit. oom: where to go when there is no more; NULL
 * means that running out is a bug. Returns NULL when malloc fails. */
Arena *arena_new(size_t budget, jmp_buf *oom)
{
    Arena *a = calloc(1, sizeof *a);
    if (a) {
        a->budget = budget;
        a->oom = oom;
    }
    return a;
}

/* An arena that draws on its parent's budget and can be freed before it. */
Arena *arena_child(Arena *parent)
{
    Arena *a = arena_new(0, parent->oom);
    if (!a)
        out_of_memory(parent);
    a->parent = parent;
    a->next = parent->child;
    if (a->next)
        a->next->prev = a;
    parent->child = a;
    return a;
}

/* Frees the arena, its children and all that they handed out; the bytes go back to the parent's budget. */
void arena_free(Arena *a)
{
    if (!a)
        return;
    while (a->child)
        arena_free(a->child);
    if (a->parent)
        unlink_child(a);
    for (Block *b = a->block, *next; b; b = next) {
        next = b->next;
        free(b);
    }
    free(a);
}

/* n zero bytes at a multiple of align (a power of two); never NULL, also for n = 0. */
void *arena_alloc(Arena *a, size_t n, size_t align)
{
    size_t pad = padding(a->at, align);
    if (a->at && pad <= a->room && n <= a->room - pad) {
        charge(a, pad + n);
    } else {
        const size_t slack = align > _Alignof(max_align_t) ? align : 0;
        charge(a, n);
        if (n > SIZE_MAX - slack)
            out_of_memory(a);
        if (n + slack >= block_size(a) / 4) {
            char *p = add_block(a, n + slack);
            return p + padding(p, align);
        }
        a->room = block_size(a);
        a->at = add_block(a, a->room);
        pad = padding(a->at, align);
    }
    char *p = a->at + pad;
    a->at = p + n;
    a->room -= pad + n;
    return p;
}

void *arena_copy(Arena *a, const void *p, size_t n)
{
    void *copy = arena_alloc(a, n, 16);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

size_t arena_used(const Arena *a)
{
    return a->used;
}

size_t mul_size_or_oom(Arena *a, size_t x, size_t y)
{
    size_t r;
    if (!mul_size(x, y, &r))
        out_of_memory(a);
    return r;
}

/* Makes room for element n of an array whose elements have `size` bytes; doubles, so that n additions copy O(n). */
void vec_reserve(Arena *a, void **at, uint32_t *cap, uint32_t n, size_t size)
{
    if (n < *cap)
        return;
    if (n > UINT32_MAX / 2)
        out_of_memory(a);
    const uint32_t more = n < 4 ? 8 : 2 * n;
    void *grown = arena_alloc(a, mul_size_or_oom(a, more, size), 16);
    if (n)
        memcpy(grown, *at, n * size);
    *at = grown;
    *cap = more;
}
