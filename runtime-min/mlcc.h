/* SPDX-License-Identifier: 0BSD
 *
 * What the caller of an emitted model sees: tensors, facts about a model, status codes. A model NAME offers
 *
 *   mlcc_status NAME_run(const struct NAME_io *io, void *arena);                typed, see NAME.h
 *   int NAME_call(const mlcc_tensor *in, mlcc_tensor *out, void *arena);        the same for code that knows no names
 *   extern const mlcc_model_info NAME_info;
 *
 * The caller owns all memory: inputs, outputs, and one arena of NAME_ARENA_BYTES aligned to NAME_ARENA_ALIGN. A model
 * keeps no state outside the arena, so calls with different arenas may run at the same time.
 */
#ifndef MLCC_H
#define MLCC_H

#include <stddef.h>
#include <stdint.h>

#define MLCC_ABI 1 /* of the types below; models carry the number they were made for */

enum { MLCC_MAX_RANK = 8 }; /* of a tensor that crosses the interface */

typedef enum mlcc_status {
    MLCC_OK = 0,
    MLCC_BAD_ARENA = 1, /* NULL or not aligned */
    MLCC_BAD_SHAPE = 2, /* an extent of an input outside its bounds or no multiple of what it must be, extents that contradict
                           each other, or data that make more elements than memory was planned for */
    MLCC_BAD_CPU = 3,   /* the processor lacks an instruction set that the model was made for, or the system refuses it */
    MLCC_BAD_INPUT = 4  /* a pointer that must not be NULL is, or is not aligned */
} mlcc_status;

/* Complex elements. */
typedef struct mlcc_c64 { float re, im; } mlcc_c64;
typedef struct mlcc_c128 { double re, im; } mlcc_c128;

/* data is row-major without gaps; text is const char *; types below 8 bits have one element per byte. dtype is ONNX's
 * TensorProto.DataType number. Of outputs, rank and dim are filled by the model, at most the declared bound. */
typedef struct mlcc_tensor {
    void *data;
    int32_t dtype, rank;
    int64_t dim[MLCC_MAX_RANK];
} mlcc_tensor;

/* dim: the greatest extent that each dimension can have; bit d of open_dims is set when extent d is not fixed. */
typedef struct mlcc_tensor_info {
    const char *name;
    int32_t dtype, rank;
    int64_t dim[MLCC_MAX_RANK];
    uint32_t open_dims;
} mlcc_tensor_info;

/* `size` is sizeof(mlcc_model_info) where the model was compiled: a reader takes no field beyond it. With
 * --weights=file the weights are one more input, the last: u8[weight_bytes]. */
typedef struct mlcc_model_info {
    uint32_t size, abi;
    const char *name, *tool, *model_sha256;
    uint64_t arena_bytes, stack_bytes, weight_bytes, macs;
    uint32_t arena_align, nin, nout;
    const mlcc_tensor_info *in, *out;
    int (*call)(const mlcc_tensor *in, mlcc_tensor *out, void *arena);
    /* The constants that a call on this processor reads, *bytes of them, or NULL and 0. NULL: they are not in one piece, or the
     * caller's own. */
    const void *(*weights)(size_t *bytes);
} mlcc_model_info;

#if defined(__GNUC__)
#define MLCC_ALIGN(n) __attribute__((aligned(n)))
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define MLCC_ALIGN(n) _Alignas(n)
#else
#define MLCC_ALIGN(n)
#endif

/* A function of its own: the registers of one stage of a model do not mix with another's, nor do their stacks add up. */
#if defined(__GNUC__)
#define MLCC_APART __attribute__((noinline))
#else
#define MLCC_APART
#endif

/* Hook around each node; compiled in only on request. */
#if defined(MLCC_PROFILE)
#define MLCC_NODE(name) mlcc_profile_node(name);
extern void mlcc_profile_node(const char *name); /* the application's: called before each function of the model */
#else
#define MLCC_NODE(name)
#endif

/* Whether p is a multiple of a (a power of two) and not NULL. */
static inline int mlcc_aligned(const void *p, size_t a)
{
    return p != NULL && ((uintptr_t)p & (a - 1)) == 0;
}

#endif
