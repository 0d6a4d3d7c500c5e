/* SPDX-License-Identifier: Apache-2.0
 * A program with emitted models in it, for processors other than this one; see cross.py. Without arguments it says what
 * shim.c's functions say: for each model a line of facts, then a line for each input and output. Otherwise
 *
 *     FD BYTES AT MODEL IN OUT ARENA USED      numbers; addresses as the program is to see them
 *
 * maps the file of that descriptor at address AT, calls the model with what lies there, and prints the status. Text that the
 * model returns is copied behind the first USED bytes, since nobody outside can see it elsewhere. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "models.h"

#define MODEL(prefix) &prefix##_info,
static const mlcc_model_info *const model[] = {MODELS};

enum { FD = 1, BYTES, AT, WHICH, IN, OUT, ARENA, USED, COUNT, TEXT = 8 /* TensorProto.STRING */, SECONDS = 300 };

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

static void *pointer(const char *text) { return (void *)(uintptr_t)strtoull(text, NULL, 10); }

static int call(char **word)
{
    Image image = {.at = pointer(word[AT]), .used = strtoull(word[USED], NULL, 10), .bytes = strtoull(word[BYTES], NULL, 10)};
    if (mmap(image.at, image.bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, atoi(word[FD]), 0) != image.at)
        return perror("mmap"), 1;
    const mlcc_model_info *m = model[atoi(word[WHICH])];
    mlcc_tensor *out = pointer(word[OUT]);
    const int status = m->call(pointer(word[IN]), out, pointer(word[ARENA]));
    for (uint32_t k = 0; status == 0 && k < m->nout; k++)
        if (out[k].dtype == TEXT)
            take_texts(&image, &out[k]);
    return printf("%d\n", status) < 0;
}

int main(int argc, char **argv)
{
    alarm(SECONDS); /* also when nobody waits any more */
    if (argc == COUNT)
        return call(argv);
    for (size_t m = 0; m < sizeof model / sizeof *model; m++)
        show(model[m]);
    return 0;
}
