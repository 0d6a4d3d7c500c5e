/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the importer share. onnx.c walks the model; the others know one thing each: mapped files
 * (external.c), ways to store a tensor (tensor_proto.c), old opsets (upgrade.c), --bind (onnx_bind.c).
 */
#ifndef MLCC_IMPORT_H
#define MLCC_IMPORT_H

#include "../ir/op.h"
#include "npy.h"
#include "onnx.h"

enum { ONNX_OPSET = 27, ONNX_IR_VERSION = 13 }; /* the newest known */

typedef struct Bytes {
    const uint8_t *p;
    size_t n;
} Bytes;
typedef struct BytesList {
    const Bytes *at;
    size_t n;
} BytesList;

typedef struct Import {
    Ctx *cx;
    Arena *scratch; /* freed when the import ends */
    Maps *maps;
    const OnnxOptions *opt;
    bool *io_error;
    uint32_t nnodes;   /* created so far, function bodies and subgraphs included */
    uint64_t external; /* bytes of external data in use so far */
    Map pinned;        /* name of a dimension -> index into opt->pin, plus 1 << 32 when used */
} Import;

/* external.c */
typedef struct MappedFile {
    const char *path;
    Bytes data;
} MappedFile;
struct Maps {
    Arena *arena;
    VEC(MappedFile) file; /* in the order of opening */
    Map by_path;          /* path -> index in file */
    uint64_t bytes;       /* of all */
    int reads;            /* as in OnnxOptions */
};
/* Maps a file that the user named. False: diagnostic, and *io_error is set. */
bool maps_open(Maps *m, Diags *d, const char *path, Bytes *b, bool *io_error);
/* Maps a file that a model names: a relative path beneath the folder of the file `model`, without "..", links of any
 * kind or special files. False: diagnostic "external-data" about the tensor. */
bool maps_beneath(Maps *m, Diags *d, const char *model, const char *location, const char *tensor, Bytes *b);

/* tensor_proto.c. A TensorProto without protobuf; payloads are views of the file. */
enum { TYPED_float, TYPED_int32, TYPED_int64, TYPED_double, TYPED_uint64, TYPED_count };
typedef struct RawTensor {
    const char *name;
    int64_t type; /* TensorProto.DataType */
    size_t rank;
    const int64_t *dim;
    bool has_raw, external;
    Bytes raw;
    BytesList typed[TYPED_count]; /* chunks as they are in the file: little-endian numbers or varints */
    BytesList string;
    size_t nkeys;
    const char *const *key, *const *val; /* of external data */
} RawTensor;
/* The tensor's type, shape and data, whichever way they are stored; data is a view of a mapped file where it can be.
 * False: diagnostic. */
bool tensor_read(Import *im, const RawTensor *t, TensorValue *v);
/* The dense form of a sparse tensor. */
bool tensor_read_sparse(Import *im, const RawTensor *values, const RawTensor *indices, size_t rank, const int64_t *dim,
                        TensorValue *v);
/* Makes t a constant of graph g. */
void tensor_set(Graph *g, TensorId t, const TensorValue *v);

/* onnx.c: a file that holds one TensorProto. */
bool tensor_file(Import *im, const char *path, TensorValue *v);

/* upgrade.c. A node that is being brought to the newest opset; fields may change, nodes may be added to g before it. */
typedef struct OldNode {
    Import *im;
    Graph *g;
    const char *op, *domain, *name;
    const char *result; /* name of its first output in the file */
    uint32_t src;
    int32_t opset;
    VEC(Attr) attr;
    VEC(TensorId) in, out;
} OldNode;
/* False: diagnostic. */
bool upgrade_node(OldNode *n);
bool upgrade_knows(const char *domain, const char *op); /* the table has a row for it */
const char *old_node_subject(const OldNode *n);         /* what a diagnostic calls it */
bool old_node_error(const OldNode *n, const char *slug, const char *fmt, ...) PRINTF(3, 4); /* always false */

/* onnx_bind.c: applies --bind to the inputs of the graph. */
bool bind_inputs(Import *im, Graph *g);

#endif
