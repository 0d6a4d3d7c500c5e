/* SPDX-License-Identifier: Apache-2.0
 *
 * Files that hold one tensor: NumPy's .npy, ONNX's TensorProto (.pb), and raw little-endian numbers.
 */
#ifndef MLCC_NPY_H
#define MLCC_NPY_H

#include "onnx.h"

typedef struct TensorValue {
    DType dt;
    uint8_t rank;
    int64_t dim[MAX_RANK];
    const Blob *blob;
} TensorValue;

/* Reads the file at path, by its suffix .npy or .pb; any other is raw. expect: type and shape that the tensor should
 * have (dim -1: any), NULL when nothing is known; raw files need it, with at most one -1. .npy files of the types that
 * NumPy lacks hold their bits in an unsigned or void type of the same size. Data may be a view of the mapped file, so
 * it lives as long as maps. False: diagnostic; *io_error says that the file could not be read. */
bool value_read(Ctx *cx, Maps *maps, const char *path, const TensorValue *expect, TensorValue *v, bool *io_error);
Maps *maps_new(Arena *a);

/* Appends the bytes of a .npy or .pb file. NumPy gets types it lacks as unsigned integers of the same size. */
void npy_write(Text *out, const TensorValue *v);
void pb_write(Text *out, const char *name, const TensorValue *v);

#endif
