/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX file to Graph. The file is hostile: a bounded scan of the wire format comes first, protobuf-c after it with an
 * allocation budget, and every size goes through checked arithmetic. Opsets and model-local functions end here.
 */
#ifndef MLCC_ONNX_H
#define MLCC_ONNX_H

#include "../ir/graph.h"

typedef struct OnnxPin { const char *name; int64_t fixed, max, times; } OnnxPin;               /* -D, --max, --multiple; 0: not given */
typedef struct OnnxShape { const char *name; uint8_t rank; int64_t dim[MAX_RANK]; } OnnxShape; /* --shape; -1 keeps a dimension */
typedef struct OnnxBind { const char *name, *file; } OnnxBind;                                 /* --bind: input becomes a constant */

/* A dimension of the model as the options have it: a number, a symbol, a multiple of one. */
const Expr *pinned_dim(Ctx *cx, const OnnxPin *p);

typedef struct OnnxOptions {
    VEC(OnnxPin) pin;
    VEC(OnnxShape) shape;
    VEC(OnnxBind) bind;
    uint64_t max_bytes;      /* of memory for unpacking; 0: 4 GiB */
    uint32_t max_nodes;      /* 0: 1,000,000 */
    int reads;               /* file descriptor that is told each file's name, a zero byte behind it; 0: none */
} OnnxOptions;

/* Facts for reports. */
typedef struct OnnxFile {
    char sha256[65];
    int64_t ir_version, opset;
    VEC(const char *) files; /* every file read: the model first, then external data and bindings (for -MD) */
} OnnxFile;

/* Reads, upgrades to the newest opset, inlines functions and infers nothing. Weights stay views of mapped files, which
 * live as long as cx->arena's owner keeps `maps` (onnx_unmap). NULL: diagnostics; *io_error says a file could not be read. */
typedef struct Maps Maps;
Graph *onnx_load(Ctx *cx, const char *path, const OnnxOptions *opt, OnnxFile *info, Maps **maps, bool *io_error);
void onnx_release(const Maps *m); /* their pages leave memory until they are read again; NULL: nothing */
void onnx_unmap(Maps *m);

#endif
