/* SPDX-License-Identifier: Apache-2.0
 * A model whose arena and weights move to huge pages: results and weights stay what they were, also for who runs it meanwhile. Prints
 * what does not hold, or else how many kB of the weights the system says to have in huge pages; status 77: it gives none. */
#include "net_pages.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "net.h"

enum { BYTES = 7 << 20, FLOATS_IN = 4 * 1024, FLOATS_OUT = 4 * 2100, NO_PAGES = 77 };

static float input[FLOATS_IN], wanted[FLOATS_OUT];
static atomic_int moved, runs, wrong;

static int fault(const char *what)
{
    printf("%s\n", what);
    return 1;
}

static void run(void *arena, float *output)
{
    const struct net_io io = {input, output};
    if (net_run(&io, arena) != MLCC_OK)
        (void)atomic_fetch_add(&wrong, 1);
}

/* Runs until the weights have been moved, and once more. */
static void *meanwhile(void *unused)
{
    static float output[FLOATS_OUT];
    void *arena = mlcc_pages_new(NET_ARENA_BYTES + 1);
    for (int last = 0; !last;) {
        last = atomic_load(&moved);
        run(arena, output);
        if (memcmp(output, wanted, sizeof wanted) != 0)
            (void)atomic_fetch_add(&wrong, 1);
        (void)atomic_fetch_add(&runs, 1);
    }
    mlcc_pages_delete(arena, NET_ARENA_BYTES + 1);
    return unused;
}

/* Sum of a field of /proc/self/smaps, in kB, of areas that begin in [from, to). */
static long field(const char *name, uintptr_t from, uintptr_t to)
{
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[1024];
    int in = 0;
    long sum = 0, n;
    unsigned long first, end;
    while (f && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &first, &end) == 2)
            in = first >= from && first < to;
        else if (in && strncmp(line, name, strlen(name)) == 0 && sscanf(line + strlen(name), ": %ld", &n) == 1)
            sum += n;
    }
    if (f)
        (void)fclose(f);
    return sum;
}

/* Whole and half pages, of which the last may have a rest; zeros, room for all bytes, and none of it left behind. */
static int check_arena(void)
{
    const size_t sizes[] = {1, 4096, (1 << 20) - 1, 1 << 20, (3 << 20) - 1, (3 << 20) + 1, BYTES};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        unsigned char *p = (unsigned char *)mlcc_pages_new(sizes[k]);
        if (!p || !mlcc_aligned(p, 4096) || (sizes[k] >= 1 << 20 && !mlcc_aligned(p, mlcc_pages_size())))
            return fault("memory is not aligned to a page");
        for (size_t b = 0; b < sizes[k]; b++)
            if (p[b] != 0)
                return fault("memory is not zero");
        memset(p, 0xa5, sizes[k]);
        mlcc_pages_delete(p, sizes[k]);
        if (field("Rss", (uintptr_t)p, (uintptr_t)p + sizes[k]) != 0)
            return fault("memory stays");
    }
    return mlcc_pages_new(0) || mlcc_pages_new(SIZE_MAX) || mlcc_pages_new(SIZE_MAX / 4) ? fault("there is memory of no or of too many bytes") : 0;
}

/* Of a file that is mapped, none of whose pages the process has yet. */
static int check_ready(void)
{
    const int f = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    const off_t n = f < 0 ? 0 : lseek(f, 0, SEEK_END);
    char *p = (char *)mmap(NULL, (size_t)n, PROT_READ, MAP_PRIVATE, f, 0);
    (void)close(f);
    if (n < BYTES / 2 || p == (char *)MAP_FAILED)
        return fault("no file to map");
    const uintptr_t from = (uintptr_t)p, to = from + (size_t)n;
    const long before = field("Rss", from, to), error = mlcc_pages_ready(p + 1, (size_t)n - 1), after = field("Rss", from, to);
    (void)munmap(p, (size_t)n);
    if (error == ENOTSUP)
        return 0;
    if (before != 0 || error != 0 || after < (long)n / 1024)
        return fault("a page of the file is not there");
    return mlcc_pages_ready(NULL, 0) != 0 || mlcc_pages_ready(p, (size_t)n) != ENOMEM ? fault("memory of nobody is given") : 0;
}

/* image, which is in its place afterwards too; nothing changes where not even one page is whole. */
static int check_move(const void *image, size_t bytes)
{
    pthread_t thread;
    void *before = malloc(bytes);
    if (!before || pthread_create(&thread, NULL, meanwhile, NULL) != 0)
        return fault("no memory or no thread");
    memcpy(before, image, bytes);
    while (atomic_load(&runs) == 0)
        continue;
    const int less = mlcc_pages_move(image, mlcc_pages_size() / 2), error = mlcc_pages_move(image, bytes), again = mlcc_pages_move(image, bytes);
    atomic_store(&moved, 1);
    (void)pthread_join(thread, NULL);
    const int same = memcmp(before, image, bytes) == 0;
    free(before);
    if (less != 0 || error != 0 || again != 0)
        return fault(strerror(less ? less : error ? error : again));
    return !same ? fault("the weights have changed") : atomic_load(&wrong) ? fault("a run gave another result") : 0;
}

/* Whether memory is so scattered that nobody gets a huge page just now. */
static int none_left(void)
{
    void *p = mlcc_pages_new(BYTES);
    memset(p, 1, BYTES);
    const long huge = field("AnonHugePages", (uintptr_t)p, (uintptr_t)p + BYTES);
    mlcc_pages_delete(p, BYTES);
    return huge == 0;
}

int main(void)
{
    size_t bytes = 0;
    const void *image = net_info.weights ? net_info.weights(&bytes) : NULL;
    void *arena = mlcc_pages_new(NET_ARENA_BYTES + 1);
    for (int k = 0; k < FLOATS_IN; k++)
        input[k] = (float)(k % 17 - 8);
    run(arena, wanted);
    mlcc_pages_delete(arena, NET_ARENA_BYTES + 1);
    if (!image || bytes < 4 << 20)
        return fault("there is no image of the weights");
    if (check_arena() != 0 || check_ready() != 0)
        return 1;
    if (!mlcc_pages_given())
        return mlcc_pages_move(image, bytes) == ENOTSUP ? NO_PAGES : fault("weights move although there are no huge pages");
    if (check_move(image, bytes) != 0)
        return 1;
    const long huge = field("AnonHugePages", (uintptr_t)image, (uintptr_t)image + bytes);
    printf("%ld\n", huge);
    return huge == 0 && none_left() ? NO_PAGES : 0;
}
