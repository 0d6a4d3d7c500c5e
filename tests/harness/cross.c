/* SPDX-License-Identifier: Apache-2.0
 * A program with emitted models in it, for processors other than this one; see cross.py. Its arguments are numbers,
 *
 *     FD BYTES AT
 *
 * and it maps the file of that descriptor at that address. It says for each model a line of facts and a line for each input
 * and output, then an empty one. After that it answers each line
 *
 *     MODEL IN OUT ARENA USED
 *
 * by the status of a call with those addresses. Text that the model returns is copied behind the first USED bytes of the file,
 * since nobody outside can see it elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models.h"

#define MODEL(prefix) &prefix##_info,
static const mlcc_model_info *const model[] = {MODELS};

enum { TEXT = 8 /* TensorProto.STRING */, SECONDS = 300 };

typedef struct Image { char *at; size_t used, bytes; } Image;

static void show_tensor(const mlcc_tensor_info *t)
{
    printf("%" PRId32, t->dtype);
    for (int d = 0; d < t->rank; d++)
        printf(" %" PRId64, t->dim[d]);
    puts("");
}

static void show(const mlcc_model_info *m)
{
    printf("%" PRIu64 " %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu32 " %" PRIu32 "\n", m->arena_bytes, m->arena_align, m->stack_bytes,
           m->weight_bytes, m->nin, m->nout);
    for (uint32_t k = 0; k < m->nin; k++)
        show_tensor(&m->in[k]);
    for (uint32_t k = 0; k < m->nout; k++)
        show_tensor(&m->out[k]);
}

static const char *take_text(Image *image, const char *text)
{
    const size_t n = strlen(text) + 1;
    if (n > image->bytes - image->used)
        return NULL;
    char *copy = image->at + image->used;
    image->used += n;
    return memcpy(copy, text, n);
}

static void take_texts(Image *image, mlcc_tensor *t)
{
    const char **text = t->data;
    int64_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= t->dim[d];
    for (int64_t k = 0; k < n; k++)
        text[k] = text[k] ? take_text(image, text[k]) : NULL;
}

static int call(const mlcc_model_info *m, const mlcc_tensor *in, mlcc_tensor *out, void *arena, Image image)
{
    alarm(SECONDS); /* also when nobody waits any more */
    const int status = m->call(in, out, arena);
    alarm(0);
    for (uint32_t k = 0; status == 0 && k < m->nout; k++)
        if (out[k].dtype == TEXT)
            take_texts(&image, &out[k]);
    return status;
}

static void *pointer(uint64_t address) { return (void *)(uintptr_t)address; }

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    Image image = {.at = pointer(strtoull(argv[3], NULL, 10)), .bytes = strtoull(argv[2], NULL, 10)};
    if (mmap(image.at, image.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, atoi(argv[1]), 0) != image.at)
        return 1;
    for (size_t m = 0; m < sizeof model / sizeof *model; m++)
        show(model[m]);
    puts("");
    fflush(stdout);
    unsigned m;
    uint64_t in, out, arena;
    while (scanf("%u %" SCNu64 " %" SCNu64 " %" SCNu64 " %zu", &m, &in, &out, &arena, &image.used) == 5) {
        printf("%d\n", call(model[m], pointer(in), pointer(out), pointer(arena), image));
        fflush(stdout);
    }
    return 0;
}
