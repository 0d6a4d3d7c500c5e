/* SPDX-License-Identifier: 0BSD
 *
 * Memory in huge pages for a model on Linux, 2 MB each where others have 4 KB; elsewhere plain memory. The application includes
 * this before the system's headers, or is compiled with -D_GNU_SOURCE:
 *
 *   void *arena = mlcc_pages_new(NAME_ARENA_BYTES);
 *   size_t n;
 *   const void *image = NAME_info.weights(&n);         where NAME_info.weights is not NULL
 *   mlcc_pages_ready(image, n);                        once, before the first run, which is faster by it
 *   NAME_run(&io, arena);                              as often as wanted
 *   mlcc_pages_move(image, n);                         once; before or behind the first run, or while others run the model
 *   mlcc_pages_delete(arena, NAME_ARENA_BYTES);
 *
 * A run walks all weights, so with small pages the processor looks up where each lies, over and over, and pages that lie
 * wherever there was room compete for the same places of its caches. What the system has of huge pages it gives only to
 * memory of no file, and only to who asks for them (madvise).
 */
#ifndef MLCC_PAGES_H
#define MLCC_PAGES_H

#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__)

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* since Linux 5.14 */
#endif

#if !defined(MREMAP_FIXED) || !defined(MADV_HUGEPAGE)
#error "include mlcc_pages.h before the headers of the system, or compile with -D_GNU_SOURCE"
#endif

enum { MLCC_PAGES_TEXT = 64 }; /* bytes of a file in which the system says something about pages, at most */

/* What the system says: one line of /sys/kernel/mm/transparent_hugepage; empty where it has no such file. */
static inline void mlcc_pages_said(const char *file, char text[MLCC_PAGES_TEXT])
{
    const int f = open(file, O_RDONLY | O_CLOEXEC);
    const ssize_t n = f < 0 ? 0 : read(f, text, MLCC_PAGES_TEXT - 1);
    text[n < 0 ? 0 : n] = 0;
    if (f >= 0)
        (void)close(f);
}

/* Bytes of a huge page; 0: there are none. */
static inline size_t mlcc_pages_size(void)
{
    char size[MLCC_PAGES_TEXT];
    mlcc_pages_said("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", size);
    return (size_t)strtoull(size, NULL, 10);
}

/* Whether who asks gets any: "always [madvise] never". */
static inline int mlcc_pages_given(void)
{
    char mode[MLCC_PAGES_TEXT];
    mlcc_pages_said("/sys/kernel/mm/transparent_hugepage/enabled", mode);
    return mode[0] != 0 && !strstr(mode, "[never]");
}

static inline uintptr_t mlcc_pages_up(uintptr_t n, size_t page) { return (n + page - 1) / page * page; }

/* What memory of so many bytes takes, whether or not the system gives huge pages just then: the last of them is a whole one when
 * at least half of it is used. */
static inline size_t mlcc_pages_room(size_t bytes, size_t huge)
{
    return mlcc_pages_up(bytes, huge > 0 && bytes % huge >= huge / 2 ? huge : (size_t)sysconf(_SC_PAGESIZE));
}

/* Memory of `bytes` zeros that begins where a page does, for mlcc_pages_delete. NULL: bytes is 0, or there is no memory. */
static inline void *mlcc_pages_new(size_t bytes)
{
    const size_t huge = mlcc_pages_size(), slack = huge ? huge : 1;
    if (bytes == 0 || bytes > SIZE_MAX / 2)
        return NULL;
    const size_t n = mlcc_pages_room(bytes, huge);
    char *from = (char *)mmap(NULL, n + slack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (from == (char *)MAP_FAILED)
        return NULL;
    char *at = from + (mlcc_pages_up((uintptr_t)from, slack) - (uintptr_t)from);
    if (at > from)
        (void)munmap(from, (size_t)(at - from));
    (void)munmap(at + n, slack - (size_t)(at - from));
    if (huge)
        (void)madvise(at, n, MADV_HUGEPAGE); /* without it the pages are small, and all else holds */
    return at;
}

static inline void mlcc_pages_delete(void *at, size_t bytes)
{
    if (at)
        (void)munmap(at, mlcc_pages_room(bytes, mlcc_pages_size()));
}

/* Gives the process all pages of `bytes` bytes of constants, which it would else ask for one after the other when a run comes to
 * them. 0, or an errno value; ENOTSUP: the system is too old for it, and all else holds. */
static inline int mlcc_pages_ready(const void *image, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)image / page * page;
    if (!image || bytes == 0 || madvise((void *)first, (uintptr_t)image - first + bytes, MADV_POPULATE_READ) == 0)
        return 0;
    return errno == EINVAL ? ENOTSUP : errno;
}

/* Copies `n` bytes of constants at `to`, whole huge pages, into memory of no file at `from`, and puts this in their place: who
 * reads them meanwhile waits, and reads the same. Returns how many bytes are so. */
static inline size_t mlcc_pages_replace(char *to, char *from, size_t n, size_t huge)
{
    for (size_t k = 0; k < n; k += huge) {
        memcpy(from + k, to + k, huge);
        if (mprotect(from + k, huge, PROT_READ) != 0 || mremap(from + k, huge, huge, MREMAP_MAYMOVE | MREMAP_FIXED, to + k) == MAP_FAILED)
            return k;
    }
    return n;
}

/* Moves `bytes` bytes of constants to huge pages, as far as they have any whole: addresses and contents stay, the memory is the
 * process's own from then on. Costs a copy, and of memory one huge page meanwhile. 0, or an errno value; ENOTSUP: the system
 * gives no huge pages. What could not be moved stays where it is. */
static inline int mlcc_pages_move(const void *image, size_t bytes)
{
    const size_t huge = mlcc_pages_size();
    if (huge == 0 || !mlcc_pages_given())
        return ENOTSUP;
    const uintptr_t first = mlcc_pages_up((uintptr_t)image, huge), end = ((uintptr_t)image + bytes) / huge * huge;
    if (!image || first >= end)
        return 0;
    const size_t n = end - first;
    char *from = (char *)mmap(NULL, n + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (from == (char *)MAP_FAILED)
        return errno;
    char *at = from + (mlcc_pages_up((uintptr_t)from, huge) - (uintptr_t)from);
    (void)madvise(at, n, MADV_HUGEPAGE);
    const size_t moved = mlcc_pages_replace((char *)first, at, n, huge);
    const int error = moved < n ? errno : 0;
    if (at > from) /* what was moved is no longer there: others may have it */
        (void)munmap(from, (size_t)(at - from));
    (void)munmap(at + moved, n + huge - (size_t)(at - from) - moved);
    return error;
}

#else

/* Memory of `bytes` bytes, aligned as every arena is, for mlcc_pages_delete. NULL: bytes is 0, or there is no memory. */
static inline void *mlcc_pages_new(size_t bytes)
{
    enum { LINE = 64 };
    return bytes == 0 || bytes > SIZE_MAX - LINE ? NULL : aligned_alloc(LINE, (bytes + LINE - 1) / LINE * LINE);
}

static inline void mlcc_pages_delete(void *at, size_t bytes)
{
    (void)bytes;
    free(at);
}

/* ENOTSUP: only Linux has either. */
static inline int mlcc_pages_ready(const void *image, size_t bytes)
{
    (void)image, (void)bytes;
    return ENOTSUP;
}

static inline int mlcc_pages_move(const void *image, size_t bytes)
{
    (void)image, (void)bytes;
    return ENOTSUP;
}

#endif

#endif
