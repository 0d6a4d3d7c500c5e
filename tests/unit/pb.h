/* SPDX-License-Identifier: Apache-2.0
 *
 * Writes protobuf by hand, for tests that need files no library would write. */
#ifndef TESTS_PB_H
#define TESTS_PB_H

#include "ir/base.h"

static inline void pb_varint_to(Text *t, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) text_put(t, &(char){(char)(v | 0x80)}, 1);
    text_put(t, &(char){(char)v}, 1);
}

static inline void pb_int(Text *t, unsigned field, int64_t v)
{
    pb_varint_to(t, field << 3);
    pb_varint_to(t, (uint64_t)v);
}

static inline void pb_data(Text *t, unsigned field, const void *p, size_t n)
{
    pb_varint_to(t, field << 3 | 2);
    pb_varint_to(t, n);
    text_put(t, p, n);
}

static inline void pb_str(Text *t, unsigned field, const char *s)
{
    pb_data(t, field, s, strlen(s));
}

static inline void pb_msg(Text *t, unsigned field, const Text *m)
{
    pb_data(t, field, m->at, m->n);
}

static inline void pb_float(Text *t, unsigned field, float v)
{
    pb_varint_to(t, field << 3 | 5);
    text_put(t, (const char *)&v, sizeof v);
}

/* Field numbers of onnx.proto. */
enum {
    MODEL_ir_version = 1,
    MODEL_graph = 7,
    MODEL_opset_import = 8,
    MODEL_functions = 25,
    OPSET_domain = 1,
    OPSET_version = 2,
    GRAPH_node = 1,
    GRAPH_name = 2,
    GRAPH_initializer = 5,
    GRAPH_input = 11,
    GRAPH_output = 12,
    GRAPH_value_info = 13,
    GRAPH_sparse_initializer = 15,
    NODE_input = 1,
    NODE_output = 2,
    NODE_name = 3,
    NODE_op_type = 4,
    NODE_attribute = 5,
    NODE_domain = 7,
    NODE_overload = 8,
    ATTR_name = 1,
    ATTR_f = 2,
    ATTR_i = 3,
    ATTR_s = 4,
    ATTR_t = 5,
    ATTR_g = 6,
    ATTR_floats = 7,
    ATTR_ints = 8,
    ATTR_strings = 9,
    ATTR_type = 20,
    ATTR_ref = 21,
    ATTR_sparse = 22,
    TENSOR_dims = 1,
    TENSOR_type = 2,
    TENSOR_float = 4,
    TENSOR_int32 = 5,
    TENSOR_string = 6,
    TENSOR_int64 = 7,
    TENSOR_name = 8,
    TENSOR_raw = 9,
    TENSOR_double = 10,
    TENSOR_uint64 = 11,
    TENSOR_external = 13,
    TENSOR_location = 14,
    FUNCTION_name = 1,
    FUNCTION_input = 4,
    FUNCTION_output = 5,
    FUNCTION_node = 7,
    FUNCTION_opset_import = 9,
    FUNCTION_domain = 10,
    FUNCTION_attribute_proto = 11
};

#endif
