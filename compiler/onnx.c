/* SPDX-License-Identifier: Apache-2.0
 *
 * ONNX file to Graph; the only file that sees protobuf.
 *
 * Bytes are scanned and compacted (wire.h), unpacked by protobuf-c into a scratch arena, and walked once. A graph is
 * read in three steps, so that the order of its nodes does not matter: names are declared, Constant nodes become
 * constants, the other nodes are brought to the newest opset and added. A call of a model's function is replaced by the
 * function's body in a scope of its own; a name means what the nearest scope says.
 */
#include "onnx.h"

#include "onnx.pb-c.h"

#include "import.h"
#include "sha256.h"
#include "wire.h"

enum {
    MAX_TYPES = 32,         /* messages of onnx.proto */
    MAX_NODES = 1000000,    /* without a limit of the user */
    MESSAGES_PER_NODE = 16, /* with its share of attributes, shapes and tensors */
    MAX_CALLS = 64,         /* functions inside functions */
    MAX_OPERANDS = UINT16_MAX,
    MAX_ATTRS = 128,  /* of a node, or a function's defaults: they are searched one by one */
    MAX_DOMAINS = 256 /* whose opsets are imported, likewise */
};
#define MAX_MEMORY (UINT64_C(4) << 30)

/* AttributeProto.AttributeType */
enum { PB_UNDEFINED, PB_FLOAT, PB_INT, PB_STRING, PB_TENSOR, PB_GRAPH, PB_FLOATS, PB_INTS, PB_STRINGS, PB_SPARSE = 11 };

typedef struct Model {
    Import im;
    const uint8_t *file;
    Map function;              /* key of a function -> const Onnx__FunctionProto * */
    uint32_t ncalls, nrenamed; /* functions put in place and names changed so far: they number the new names */
} Model;

typedef struct Opsets {
    size_t n;
    Onnx__OperatorSetIdProto *const *at;
} Opsets;

typedef struct Scope Scope;

/* An attribute that a node in a function's body may refer to; a graph inside it means names of `scope`. */
typedef struct Bound {
    const char *name;
    const Onnx__AttributeProto *p;
    Scope *scope;
} Bound;

typedef struct Call {
    const struct Call *outer;
    const Onnx__FunctionProto *fn;
    uint32_t depth;
    VEC(Bound) attr;
} Call;

/* Where names mean something: a graph of the file, or the body of a function being put into a graph. */
struct Scope {
    Model *m;
    Scope *outer;     /* of a subgraph: what is around it */
    const Call *call; /* the innermost function this is in, or NULL */
    Graph *g;
    const char *prefix; /* in front of names inside a function; NULL: names are kept */
    Opsets opset;
    Map names; /* name in the file -> id in g; PROMISED: a function's result that no node has declared yet */
};
#define PROMISED (UINT64_C(1) << 32)

/* ---- protobuf ---- */

typedef struct Schema {
    WireMessage type[MAX_TYPES];
    const ProtobufCMessageDescriptor *from[MAX_TYPES];
    uint32_t n;
} Schema;

static WireKind wire_kind(const ProtobufCMessageDescriptor *m, const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT: return WIRE_fix32;
    case PROTOBUF_C_TYPE_STRING: return WIRE_text;
    case PROTOBUF_C_TYPE_MESSAGE: return WIRE_message;
    case PROTOBUF_C_TYPE_BYTES: /* payloads of tensors are views, but for the strings */
        return m == &onnx__tensor_proto__descriptor && strcmp(f->name, "string_data") != 0 ? WIRE_view : WIRE_bytes;
    default: return WIRE_int; /* int32 and int64 are the only others of onnx.proto */
    }
}

static uint8_t element_size(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_FLOAT: return sizeof(float);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return sizeof(int64_t);
    }
}

/* Index of message type d in the schema, added with all the types it refers to. */
static uint16_t add_type(Schema *s, const ProtobufCMessageDescriptor *d)
{
    uint32_t k = 0;
    while (k < s->n && s->from[k] != d) k++;
    if (k < s->n) return (uint16_t)k;
    if (k == MAX_TYPES || d->n_fields > WIRE_MAX_FIELDS) ICE("message %s does not fit the schema", d->name);
    s->from[s->n++] = d;
    WireMessage *m = &s->type[k];
    *m = (WireMessage){.name = d->short_name, .size = (uint32_t)d->sizeof_message, .n = d->n_fields};
    for (uint32_t i = 0; i < d->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &d->fields[i];
        m->field[i] = (WireField){.name = f->name, .id = f->id, .repeated = f->label == PROTOBUF_C_LABEL_REPEATED};
        m->field[i].kind = (uint8_t)wire_kind(d, f);
        m->field[i].size = element_size(f);
        if (f->type == PROTOBUF_C_TYPE_MESSAGE) m->field[i].sub = add_type(s, f->descriptor);
    }
    return (uint16_t)k;
}

typedef struct Budget {
    Arena *arena;
    uint64_t left;
} Budget;

static void *budget_alloc(void *ctx, size_t n)
{
    Budget *b = ctx;
    if (n > b->left) return NULL;
    b->left -= n;
    return arena_alloc(b->arena, n, 16);
}

static void budget_free(void *ctx, void *p)
{
    (void)ctx, (void)p; /* the arena goes as a whole */
}

static uint32_t max_nodes(const Import *im)
{
    return im->opt && im->opt->max_nodes ? im->opt->max_nodes : MAX_NODES;
}

static bool scan_error(Import *im, const char *path, const WireScan *scan, size_t n)
{
    if (scan->limit) return diag_error(im->cx->diags, "limit", "'%s' is too large: %s", path, scan->error);
    return diag_error(im->cx->diags, "onnx-format", "'%s' is not an ONNX protobuf: %s, at byte %zu of %zu", path,
                      scan->error, scan->at, n);
}

/* The message of type d that is file b, in the scratch arena. NULL: diagnostic. */
static ProtobufCMessage *unpack(Import *im, const char *path, const ProtobufCMessageDescriptor *d, Bytes b)
{
    Schema *schema = NEW(im->scratch, Schema);
    add_type(schema, d);
    const uint64_t memory = im->opt && im->opt->max_bytes ? im->opt->max_bytes : MAX_MEMORY;
    const WireLimits limits = {(uint64_t)max_nodes(im) * MESSAGES_PER_NODE, max_nodes(im), memory};
    WireScan scan;
    if (!wire_scan(im->scratch, schema->type, b.p, b.n, &limits, &scan)) {
        scan_error(im, path, &scan, b.n);
        return NULL;
    }
    Arena *copy = arena_child(im->scratch);
    uint8_t *compact = NEWN(copy, uint8_t, scan.compact);
    wire_compact(schema->type, b.p, b.n, compact);
    Budget budget = {im->scratch, memory};
    ProtobufCAllocator allocator = {budget_alloc, budget_free, &budget};
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &allocator, scan.compact, compact);
    arena_free(copy);
    if (!m) diag_error(im->cx->diags, "onnx-format", "'%s' is not an ONNX protobuf: it could not be unpacked", path);
    return m;
}

/* ---- tensors ---- */

static const char *text_of(const char *s)
{
    return s ? s : "";
}

/* protobuf-c has no address for an empty payload. */
static Bytes view(const uint8_t *file, ProtobufCBinaryData b)
{
    size_t n = b.len;
    const uint8_t *p = n ? wire_view(file, b.data, &n) : (const uint8_t *)"";
    return (Bytes){p, n};
}

static BytesList views(Arena *a, const uint8_t *file, size_t n, const ProtobufCBinaryData *b)
{
    Bytes *at = NEWN(a, Bytes, n);
    for (size_t i = 0; i < n; i++) at[i] = file ? view(file, b[i]) : (Bytes){b[i].data, b[i].len};
    return (BytesList){at, n};
}

static RawTensor raw_tensor(Arena *a, const uint8_t *file, const Onnx__TensorProto *p)
{
    RawTensor t = {.name = text_of(p->name), .type = p->data_type, .rank = p->n_dims, .dim = p->dims};
    t.has_raw = p->has_raw_data;
    t.external = p->data_location == 1;
    if (p->has_raw_data) t.raw = view(file, p->raw_data);
    t.typed[TYPED_float] = views(a, file, p->n_float_data, p->float_data);
    t.typed[TYPED_int32] = views(a, file, p->n_int32_data, p->int32_data);
    t.typed[TYPED_int64] = views(a, file, p->n_int64_data, p->int64_data);
    t.typed[TYPED_double] = views(a, file, p->n_double_data, p->double_data);
    t.typed[TYPED_uint64] = views(a, file, p->n_uint64_data, p->uint64_data);
    t.string = views(a, NULL, p->n_string_data, p->string_data);
    const char **text = NEWN(a, const char *, 2 * p->n_external_data);
    t.nkeys = p->n_external_data;
    for (size_t i = 0; i < t.nkeys; i++) {
        text[i] = text_of(p->external_data[i]->key);
        text[t.nkeys + i] = text_of(p->external_data[i]->value);
    }
    t.key = text;
    t.val = text + t.nkeys;
    return t;
}

static bool read_dense(Model *m, const Onnx__TensorProto *p, TensorValue *v)
{
    const RawTensor t = raw_tensor(m->im.scratch, m->file, p);
    return tensor_read(&m->im, &t, v);
}

static bool read_sparse(Model *m, const Onnx__SparseTensorProto *p, TensorValue *v)
{
    if (!p->values || !p->indices)
        return diag_error(m->im.cx->diags, "tensor-size", "a sparse tensor lacks its values or indices");
    const RawTensor values = raw_tensor(m->im.scratch, m->file, p->values);
    const RawTensor indices = raw_tensor(m->im.scratch, m->file, p->indices);
    return tensor_read_sparse(&m->im, &values, &indices, p->n_dims, p->dims, v);
}

/* ---- names ---- */

static bool in_ancestors(const Graph *g, const char *name)
{
    for (; g; g = g->parent) {
        if (!is_none(graph_find(g, name))) return true;
    }
    return false;
}

/* A tensor of the scope's graph for a name of the file. Names inside functions get a prefix, and a name that hides one
 * of a graph outside gets a number, so that every name of the result means one tensor. */
static TensorId new_tensor(Scope *s, const char *name)
{
    Arena *a = s->m->im.cx->arena;
    const char *base = s->prefix ? str_fmt(a, "%s%s", s->prefix, name) : name, *unique = base;
    while (in_ancestors(s->g, unique)) unique = str_fmt(a, "%s.%u", base, ++s->m->nrenamed);
    return graph_tensor(s->g, unique);
}

/* Declares a name in the scope; an empty one is no tensor. False: it was declared before. */
static bool declare(Scope *s, const char *name, TensorId *id)
{
    *id = (TensorId){0};
    if (!name[0]) return true;
    const uint64_t *known = map_str(&s->names, name, false);
    if (known && !(*known & PROMISED)) {
        *id = (TensorId){(uint32_t)*known};
        return diag_error(s->m->im.cx->diags, "duplicate-name", "two tensors of graph '%s' are called '%s'", s->g->name,
                          name);
    }
    *id = known ? (TensorId){(uint32_t)*known} : new_tensor(s, name);
    *map_str(&s->names, name, true) = id->i;
    return true;
}

/* What a name means; *id may be none inside a function that was called without this input. False: nothing. */
static bool resolve(Scope *s, const char *name, TensorId *id)
{
    *id = (TensorId){0};
    if (!name[0]) return true;
    for (Scope *at = s; at; at = at->outer) {
        const uint64_t *known = map_str(&at->names, name, false);
        if (!known) continue;
        *id = (TensorId){(uint32_t)*known};
        if (at->g != s->g && !is_none(*id)) *id = graph_tensor(s->g, tensor(at->g, *id)->name);
        return true;
    }
    return false;
}

/* ---- types ---- */

static const OnnxPin *find_pin(Import *im, const char *name)
{
    uint64_t *known = map_str(&im->pinned, name, false);
    if (!known) return NULL;
    *known |= UINT64_C(1) << 32;
    return &im->opt->pin.at[(uint32_t)*known];
}

/* A dimension that the model leaves open, as the options have it or free. */
static const Expr *open_dim(Import *im, const char *name)
{
    const OnnxPin *pin = find_pin(im, name);
    return pin ? pinned_dim(im->cx, pin) : graph_symbol(im->cx, name, 1, 0);
}

static bool is_known_dim(const Onnx__TensorShapeProto__Dimension *d)
{
    return d->has_dim_value && d->dim_value >= 0;
}

/* Dimension of a graph input: what is not known is a symbol, called as in the model or after the input and the axis. */
static const Expr *input_dim(Import *im, const char *input, size_t axis, const Onnx__TensorShapeProto__Dimension *d)
{
    if (is_known_dim(d)) return ex_int(im->cx->x, d->dim_value);
    const bool named = d->dim_param && d->dim_param[0];
    const char *name = named ? str_dup(im->cx->arena, d->dim_param) : str_fmt(im->cx->arena, "%s.%zu", input, axis);
    return open_dim(im, name);
}

/* Dimension of another tensor, NULL when it is not known: a name that no input has says nothing. */
static const Expr *hint_dim(Import *im, const Onnx__TensorShapeProto__Dimension *d)
{
    if (is_known_dim(d)) return ex_int(im->cx->x, d->dim_value);
    if (!d->dim_param || !d->dim_param[0]) return NULL;
    const OnnxPin *pin = find_pin(im, d->dim_param);
    if (pin) return pinned_dim(im->cx, pin);
    const uint64_t *symbol = map_str(&im->cx->symbol, d->dim_param, false);
    return symbol ? (const Expr *)(uintptr_t)*symbol : NULL;
}

static const char *kind_of_type(const Onnx__TypeProto *p)
{
    if (!p || p->tensor_type) return p ? NULL : "a value without a type";
    return p->sequence_type        ? "a sequence"
           : p->map_type           ? "a map"
           : p->optional_type      ? "an optional"
           : p->sparse_tensor_type ? "a sparse tensor"
                                   : "a value without a type";
}

/* Type and shape that the file declares for t. is_input: open dimensions become symbols. */
static bool declare_type(Import *im, Tensor *t, const Onnx__TypeProto *p, bool is_input)
{
    const Onnx__TypeProto__Tensor *type = p ? p->tensor_type : NULL;
    if (!type || t->kind == TK_CONST) return true;
    t->dt = type->elem_type > 0 ? dtype_by_onnx(type->elem_type) : DT_none;
    if (type->elem_type && t->dt == DT_none)
        return diag_error(im->cx->diags, "unsupported-type", "tensor '%s': element type %d is not known", t->name,
                          type->elem_type);
    if (!type->shape) return true;
    if (type->shape->n_dim > MAX_RANK)
        return diag_error(im->cx->diags, "rank", "tensor '%s': rank %zu, at most %d is supported", t->name,
                          type->shape->n_dim, MAX_RANK);
    t->ranked = true;
    t->rank = (uint8_t)type->shape->n_dim;
    for (size_t d = 0; d < t->rank; d++)
        t->dim[d] = is_input ? input_dim(im, t->name, d, type->shape->dim[d]) : hint_dim(im, type->shape->dim[d]);
    return true;
}

static const OnnxShape *find_shape(const OnnxOptions *opt, const char *name)
{
    for (uint32_t i = 0; i < opt->shape.n; i++) {
        if (strcmp(opt->shape.at[i].name, name) == 0) return &opt->shape.at[i];
    }
    return NULL;
}

/* Applies --shape to a graph input. */
static bool pin_shape(Import *im, Tensor *t)
{
    const OnnxShape *shape = find_shape(im->opt, t->name);
    if (!shape) return true;
    if (t->ranked && t->rank != shape->rank)
        return diag_error(im->cx->diags, "shape-option", "--shape gives '%s' rank %u, the model has %u", t->name,
                          shape->rank, t->rank);
    for (uint8_t d = 0; d < shape->rank; d++) {
        if (shape->dim[d] >= 0)
            t->dim[d] = ex_int(im->cx->x, shape->dim[d]);
        else if (!t->ranked)
            t->dim[d] = open_dim(im, str_fmt(im->cx->arena, "%s.%u", t->name, d));
    }
    t->ranked = true;
    t->rank = shape->rank;
    return true;
}

/* ---- attributes ---- */

static bool import_graph(Scope *s, const Onnx__GraphProto *p);

static int attr_type(const Onnx__AttributeProto *p)
{
    if (p->type != PB_UNDEFINED) return p->type;
    /* files of the first IR version do not say */
    return p->has_f       ? PB_FLOAT
           : p->has_i     ? PB_INT
           : p->has_s     ? PB_STRING
           : p->t         ? PB_TENSOR
           : p->g         ? PB_GRAPH
           : p->n_floats  ? PB_FLOATS
           : p->n_ints    ? PB_INTS
           : p->n_strings ? PB_STRINGS
                          : PB_UNDEFINED;
}

/* Text of bytes that a protobuf field holds; NULL and a diagnostic when there is a NUL inside. */
static const char *attr_text(const OldNode *n, const char *name, ProtobufCBinaryData b)
{
    if (b.len && memchr(b.data, 0, b.len)) {
        old_node_error(n, "text", "attribute '%s' holds a NUL byte", name);
        return NULL;
    }
    return str_ndup(n->im->cx->arena, (const char *)b.data, b.len);
}

static bool read_floats(const Onnx__AttributeProto *p, Arena *a, Attr *out)
{
    double *v = NEWN(a, double, p->n_floats);
    for (size_t i = 0; i < p->n_floats; i++) v[i] = (double)p->floats[i];
    *out = (Attr){.type = AT_fs, .n = (uint32_t)p->n_floats, .v.fs = v};
    return true;
}

static bool read_ints(const Onnx__AttributeProto *p, Arena *a, Attr *out)
{
    int64_t *v = NEWN(a, int64_t, p->n_ints);
    if (p->n_ints) memcpy(v, p->ints, p->n_ints * sizeof *v);
    *out = (Attr){.type = AT_is, .n = (uint32_t)p->n_ints, .v.is = v};
    return true;
}

static bool read_strings(const OldNode *n, const Onnx__AttributeProto *p, Attr *out)
{
    const char **v = NEWN(n->im->cx->arena, const char *, p->n_strings);
    for (size_t i = 0; i < p->n_strings; i++) {
        v[i] = attr_text(n, text_of(p->name), p->strings[i]);
        if (!v[i]) return false;
    }
    *out = (Attr){.type = AT_ss, .n = (uint32_t)p->n_strings, .v.ss = v};
    return true;
}

static bool read_tensor(Model *m, const Onnx__AttributeProto *p, bool sparse, Attr *out)
{
    TensorValue v = {0};
    const Onnx__TensorProto empty = ONNX__TENSOR_PROTO__INIT;
    const Onnx__SparseTensorProto none = ONNX__SPARSE_TENSOR_PROTO__INIT;
    if (!(sparse ? read_sparse(m, p->sparse_tensor ? p->sparse_tensor : &none, &v)
                 : read_dense(m, p->t ? p->t : &empty, &v)))
        return false;
    int64_t *dim = NEWN(m->im.cx->arena, int64_t, v.rank);
    if (v.rank) memcpy(dim, v.dim, v.rank * sizeof *dim);
    *out = (Attr){.type = AT_t, .v.t = {v.blob, v.rank, dim}};
    return true;
}

/* A subgraph of a node in scope s, whose names mean what they mean in scope `names`. */
static bool read_graph(Scope *s, Scope *names, const Onnx__GraphProto *p, Attr *out)
{
    const Onnx__GraphProto empty = ONNX__GRAPH_PROTO__INIT;
    p = p ? p : &empty;
    Scope sub = {.m = s->m, .outer = names, .call = names->call, .prefix = names->prefix, .opset = names->opset};
    sub.names.arena = s->m->im.scratch;
    sub.g = graph_new(s->m->im.cx, text_of(p->name), s->g);
    *out = (Attr){.type = AT_g, .v.g = sub.g};
    return import_graph(&sub, p);
}

static bool read_attr(Scope *s, OldNode *n, const Bound *b, Attr *out)
{
    const Onnx__AttributeProto *p = b->p;
    Arena *a = n->im->cx->arena;
    const int type = attr_type(p);
    bool ok = true;
    switch (type) {
    case PB_FLOAT: *out = (Attr){.type = AT_f, .v.f = (double)p->f}; break;
    case PB_INT: *out = (Attr){.type = AT_i, .v.i = p->i}; break;
    case PB_STRING: {
        const char *text = attr_text(n, b->name, p->s);
        *out = (Attr){.type = AT_s, .n = (uint32_t)p->s.len, .v.s = text};
        ok = text != NULL;
        break;
    }
    case PB_TENSOR: ok = read_tensor(s->m, p, false, out); break;
    case PB_SPARSE: ok = read_tensor(s->m, p, true, out); break;
    case PB_GRAPH: ok = read_graph(s, b->scope, p->g, out); break;
    case PB_FLOATS: ok = read_floats(p, a, out); break;
    case PB_INTS: ok = read_ints(p, a, out); break;
    case PB_STRINGS: ok = read_strings(n, p, out); break;
    default:
        return old_node_error(n, "unsupported-attribute", "attribute '%s' has type %d, which is not supported", b->name,
                              type);
    }
    out->name = str_dup(a, b->name);
    return ok;
}

static const Bound *find_bound(const Call *call, const char *name)
{
    for (uint32_t i = 0; i < call->attr.n; i++) {
        if (strcmp(call->attr.at[i].name, name) == 0) return &call->attr.at[i];
    }
    return NULL;
}

/* Follows a reference to an attribute of the function around. False: nobody gave that attribute a value. */
static bool bind_attr(Scope *s, const Onnx__AttributeProto *p, Bound *b)
{
    *b = (Bound){text_of(p->name), p, s};
    if (!p->ref_attr_name || !p->ref_attr_name[0]) return true;
    const Bound *to = s->call ? find_bound(s->call, p->ref_attr_name) : NULL;
    if (to) *b = (Bound){b->name, to->p, to->scope};
    return to != NULL;
}

static bool read_attrs(Scope *s, OldNode *n, const Onnx__NodeProto *p)
{
    bool ok = true;
    if (p->n_attribute > MAX_ATTRS)
        return old_node_error(n, "limit", "%zu attributes, limit %d", p->n_attribute, MAX_ATTRS);
    for (size_t i = 0; i < p->n_attribute; i++) {
        Bound b;
        Attr a;
        if (!bind_attr(s, p->attribute[i], &b)) continue;
        if (read_attr(s, n, &b, &a))
            PUSH(n->im->cx->arena, &n->attr, a);
        else
            ok = false;
    }
    return ok;
}

/* ---- nodes ---- */

static const char *core_domain(const char *domain)
{
    return domain && strcmp(domain, "ai.onnx") != 0 ? domain : "";
}

/* -1: the scope does not import the domain. */
static int64_t opset_of(const Scope *s, const char *domain)
{
    for (size_t i = 0; i < s->opset.n; i++) {
        if (strcmp(core_domain(s->opset.at[i]->domain), domain) == 0) return s->opset.at[i]->version;
    }
    return -1;
}

static const char *function_key(Arena *a, const char *domain, const char *name, const char *overload)
{
    return str_fmt(a, "%zu:%s%zu:%s:%s", strlen(domain), domain, strlen(name), name, overload);
}

static const Onnx__FunctionProto *find_function(const Scope *s, const Onnx__NodeProto *p)
{
    Map *map = &s->m->function;
    if (!map->slot.n) return NULL;
    const char *key = function_key(s->m->im.scratch, core_domain(p->domain), text_of(p->op_type), text_of(p->overload));
    const uint64_t *fn = map_str(map, key, false);
    return fn ? (const Onnx__FunctionProto *)(uintptr_t)*fn : NULL;
}

static OldNode old_node(Scope *s, const Onnx__NodeProto *p, size_t pos)
{
    Arena *a = s->m->im.cx->arena;
    const int64_t opset = opset_of(s, core_domain(p->domain));
    return (OldNode){.im = &s->m->im,
                     .g = s->g,
                     .op = str_dup(a, text_of(p->op_type)),
                     .name = str_dup(a, text_of(p->name)),
                     .result = str_dup(a, p->n_output ? p->output[0] : ""),
                     .domain = str_dup(a, core_domain(p->domain)),
                     .src = (uint32_t)pos,
                     .opset = (int32_t)(opset > INT32_MAX ? INT32_MAX : opset)};
}

static bool is_constant(const Scope *s, const Onnx__NodeProto *p)
{
    return strcmp(text_of(p->op_type), "Constant") == 0 && !core_domain(p->domain)[0] && !find_function(s, p);
}

static bool read_operands(Scope *s, OldNode *n, const Onnx__NodeProto *p)
{
    bool ok = true;
    TensorId id;
    if (p->n_input > MAX_OPERANDS || p->n_output > MAX_OPERANDS)
        return old_node_error(n, "limit", "%zu inputs and %zu outputs, limit %d", p->n_input, p->n_output,
                              MAX_OPERANDS);
    if (!p->n_output) return old_node_error(n, "operands", "the node has no output");
    for (size_t i = 0; i < p->n_input; i++) {
        if (!resolve(s, p->input[i], &id))
            ok = old_node_error(n, "missing-input", "input %zu, '%s', is not defined", i, p->input[i]);
        PUSH(n->im->cx->arena, &n->in, id);
    }
    while (n->in.n && is_none(n->in.at[n->in.n - 1])) n->in.n--;
    for (size_t i = 0; i < p->n_output; i++) {
        resolve(s, p->output[i], &id); /* declared before */
        PUSH(n->im->cx->arena, &n->out, id);
    }
    return ok;
}

/* A name given twice was reported where it was declared; only the first node gets the tensor. */
static bool defines_anew(const OldNode *n)
{
    for (uint32_t i = 0; i < n->out.n; i++) {
        const Tensor *t = is_none(n->out.at[i]) ? NULL : tensor(n->g, n->out.at[i]);
        if (t && (t->producer.i || t->kind != TK_ACT)) return false;
    }
    return true;
}

static const char *domain_name(const OldNode *n)
{
    return n->domain[0] ? n->domain : "ai.onnx";
}

static bool import_op(Scope *s, OldNode *n, const Onnx__NodeProto *p)
{
    if (!op_find(n->domain, n->op) && !upgrade_knows(n->domain, n->op))
        return old_node_error(n, "unsupported-op", "operator %s of domain '%s'%s is not supported", n->op,
                              domain_name(n), n->opset > 0 ? str_fmt(n->im->scratch, ", opset %d,", n->opset) : "");
    if (n->opset < 0) return old_node_error(n, "opset", "the model imports no opset of domain '%s'", domain_name(n));
    const bool operands = read_operands(s, n, p), attrs = read_attrs(s, n, p);
    if (!operands || !attrs || !defines_anew(n) || !upgrade_node(n)) return false;
    const OpInfo *op = op_find(n->domain, n->op);
    if (!op) return old_node_error(n, "unsupported-op", "operator %s, opset %d, is not supported", n->op, n->opset);
    const NodeId id = graph_node(n->g, op, n->name, (uint16_t)n->in.n, n->in.at, (uint16_t)n->out.n, n->out.at,
                                 (uint16_t)n->attr.n, n->attr.at);
    node(n->g, id)->src = n->src;
    node(n->g, id)->opset = n->opset;
    return true;
}

/* Sets *t to what one attribute of a Constant says. */
static bool constant_value(Import *im, const Attr *a, TensorValue *v)
{
    Arena *arena = im->cx->arena;
    *v = (TensorValue){.rank = a->type >= AT_is, .dim = {a->n}};
    switch (a->type) {
    case AT_i: v->blob = blob_make(arena, v->dt = DT_i64, 1, &a->v.i); return true;
    case AT_is: v->blob = blob_make(arena, v->dt = DT_i64, a->n, a->v.is); return true;
    case AT_f: v->blob = blob_make(arena, v->dt = DT_f32, 1, &(float){(float)a->v.f}); return true;
    case AT_s: v->blob = blob_make(arena, v->dt = DT_str, 1, &a->v.s); return true;
    case AT_ss: v->blob = blob_make(arena, v->dt = DT_str, a->n, a->v.ss); return true;
    case AT_fs: {
        float *f = NEWN(arena, float, a->n);
        for (uint32_t i = 0; i < a->n; i++) f[i] = (float)a->v.fs[i];
        v->blob = blob_make(arena, v->dt = DT_f32, a->n, f);
        return true;
    }
    case AT_t:
        *v = (TensorValue){.dt = a->v.t.blob->dt, .rank = a->v.t.rank, .blob = a->v.t.blob};
        if (v->rank) memcpy(v->dim, a->v.t.dim, v->rank * sizeof *v->dim);
        return true;
    default: return false;
    }
}

/* A Constant node in any of its forms makes a constant; no such node remains. */
static bool import_constant(Scope *s, const Onnx__NodeProto *p, size_t pos)
{
    OldNode n = old_node(s, p, pos);
    TensorValue v;
    if (!read_operands(s, &n, p) || !read_attrs(s, &n, p)) return false;
    if (n.in.n || n.out.n != 1 || is_none(n.out.at[0]) || n.attr.n != 1 || !constant_value(n.im, &n.attr.at[0], &v))
        return old_node_error(&n, "constant", "a Constant has no input, one output and one value");
    if (defines_anew(&n)) tensor_set(s->g, n.out.at[0], &v);
    return true;
}

/* ---- functions ---- */

static bool import_nodes(Scope *s, size_t n, Onnx__NodeProto *const *p);

static bool declare_nodes(Scope *s, size_t n, Onnx__NodeProto *const *p)
{
    bool ok = true;
    TensorId id;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < p[i]->n_output; k++) ok &= declare(s, p[i]->output[k], &id);
    }
    return ok;
}

static void identity(Scope *s, TensorId in, TensorId out)
{
    const OpInfo *op = op_find("", "Identity");
    if (!op) ICE("inlining functions needs Identity");
    graph_node(s->g, op, "", 1, &in, 1, &out, 0, NULL);
}

static bool is_recursive(const Call *call, const Onnx__FunctionProto *fn)
{
    for (; call; call = call->outer) {
        if (call->fn == fn) return true;
    }
    return false;
}

/* Attributes of the call, and the function's defaults for those it lacks. */
static bool bind_attrs(Scope *s, Scope *body, Call *call, const OldNode *n, const Onnx__NodeProto *p)
{
    Arena *a = s->m->im.scratch;
    Bound b;
    if (p->n_attribute > MAX_ATTRS || call->fn->n_attribute_proto > MAX_ATTRS)
        return old_node_error(n, "limit", "%zu attributes and %zu defaults, limit %d", p->n_attribute,
                              call->fn->n_attribute_proto, MAX_ATTRS);
    for (size_t i = 0; i < p->n_attribute; i++) {
        if (bind_attr(s, p->attribute[i], &b)) PUSH(a, &call->attr, b);
    }
    for (size_t i = 0; i < call->fn->n_attribute_proto; i++) {
        b = (Bound){text_of(call->fn->attribute_proto[i]->name), call->fn->attribute_proto[i], body};
        if (!find_bound(call, b.name)) PUSH(a, &call->attr, b);
    }
    return true;
}

/* Formal inputs and outputs get the tensors of the call. An output that is an input too is passed on in the end. */
static bool bind_operands(Scope *body, const OldNode *n, const Onnx__FunctionProto *fn)
{
    if (n->in.n > fn->n_input || n->out.n > fn->n_output)
        return old_node_error(n, "operands", "%u inputs and %u outputs, the function has %zu and %zu", n->in.n,
                              n->out.n, fn->n_input, fn->n_output);
    for (size_t i = 0; i < fn->n_input; i++)
        *map_str(&body->names, fn->input[i], true) = i < n->in.n ? n->in.at[i].i : 0;
    for (size_t i = 0; i < n->out.n; i++) {
        if (!is_none(n->out.at[i]) && !map_str(&body->names, fn->output[i], false))
            *map_str(&body->names, fn->output[i], true) = n->out.at[i].i | PROMISED;
    }
    return true;
}

/* Results that the body does not define under the caller's tensor: inputs, or an output listed twice. */
static bool bind_results(Scope *body, const OldNode *n, const Onnx__FunctionProto *fn)
{
    for (size_t i = 0; i < n->out.n; i++) {
        const uint64_t *id = map_str(&body->names, fn->output[i], false);
        if (is_none(n->out.at[i])) continue;
        if (!id || *id & PROMISED || !*id)
            return old_node_error(n, "function", "output '%s' of the function is not defined", fn->output[i]);
        if (*id != n->out.at[i].i) identity(body, (TensorId){(uint32_t)*id}, n->out.at[i]);
    }
    return true;
}

/* Puts the function's body in place of the call. */
static bool import_call(Scope *s, OldNode *n, const Onnx__NodeProto *p, const Onnx__FunctionProto *fn)
{
    Import *im = n->im;
    Call call = {.outer = s->call, .fn = fn, .depth = s->call ? s->call->depth + 1 : 1};
    if (is_recursive(s->call, fn)) return old_node_error(n, "function", "function '%s' calls itself", n->op);
    if (call.depth > MAX_CALLS)
        return old_node_error(n, "limit", "calls of functions are nested deeper than %d", MAX_CALLS);
    Scope body = {.m = s->m, .call = &call, .g = s->g, .opset = {fn->n_opset_import, fn->opset_import}};
    body.names.arena = im->scratch;
    body.prefix = str_fmt(im->scratch, "%s#%u/", n->op, ++s->m->ncalls);
    return bind_attrs(s, &body, &call, n, p) && read_operands(s, n, p) && defines_anew(n) &&
           bind_operands(&body, n, fn) && declare_nodes(&body, fn->n_node, fn->node) &&
           import_nodes(&body, fn->n_node, fn->node) && bind_results(&body, n, fn);
}

static bool add_function(Model *m, const Onnx__FunctionProto *fn)
{
    const char *key = function_key(m->im.scratch, core_domain(fn->domain), text_of(fn->name), text_of(fn->overload));
    uint64_t *place = map_str(&m->function, key, true);
    if (*place) return diag_error(m->im.cx->diags, "function", "function '%s' is given twice", text_of(fn->name));
    *place = (uint64_t)(uintptr_t)fn;
    return true;
}

/* ---- graphs ---- */

static bool import_node(Scope *s, const Onnx__NodeProto *p, size_t pos)
{
    OldNode n = old_node(s, p, pos);
    if (++n.im->nnodes > max_nodes(n.im)) return false;
    const Onnx__FunctionProto *fn = find_function(s, p);
    return fn ? import_call(s, &n, p, fn) : import_op(s, &n, p);
}

/* Reads declared nodes; problems of all of them are reported, but the limit on nodes ends it. */
static bool import_nodes(Scope *s, size_t n, Onnx__NodeProto *const *p)
{
    Import *im = &s->m->im;
    bool ok = true;
    for (size_t i = 0; i < n; i++) ok &= !is_constant(s, p[i]) || import_constant(s, p[i], i);
    for (size_t i = 0; i < n && im->nnodes <= max_nodes(im); i++) ok &= is_constant(s, p[i]) || import_node(s, p[i], i);
    return ok;
}

/* v: NULL when the tensor could not be read; its name is declared all the same. */
static bool import_initializer(Scope *s, const char *name, const TensorValue *v)
{
    TensorId id;
    if (!name || !name[0])
        return diag_error(s->m->im.cx->diags, "initializer", "an initializer of graph '%s' has no name", s->g->name);
    if (!declare(s, name, &id)) return false;
    if (v) tensor_set(s->g, id, v);
    return v != NULL;
}

static bool import_initializers(Scope *s, const Onnx__GraphProto *p)
{
    bool ok = true;
    TensorValue v;
    for (size_t i = 0; i < p->n_initializer; i++) {
        const Onnx__TensorProto *t = p->initializer[i];
        ok &= import_initializer(s, t->name, read_dense(s->m, t, &v) ? &v : NULL);
    }
    for (size_t i = 0; i < p->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *t = p->sparse_initializer[i];
        const bool read = read_sparse(s->m, t, &v);
        ok &= import_initializer(s, t->values ? t->values->name : NULL, read ? &v : NULL);
    }
    return ok;
}

static bool check_type(Import *im, const char *what, const char *name, const Onnx__TypeProto *type)
{
    const char *kind = kind_of_type(type);
    return !kind ||
           diag_error(im->cx->diags, "unsupported-type", "%s '%s' is %s, only tensors are supported", what, name, kind);
}

/* An input that an initializer gives a value is a constant. */
static bool import_input(Scope *s, const Onnx__ValueInfoProto *p)
{
    Import *im = &s->m->im;
    const char *name = text_of(p->name);
    const uint64_t *known = map_str(&s->names, name, false);
    const bool is_main = !s->g->parent;
    TensorId id;
    if (known && is_main && tensor(s->g, (TensorId){(uint32_t)*known})->kind != TK_INPUT) return true;
    if (!name[0]) return diag_error(im->cx->diags, "input", "an input of graph '%s' has no name", s->g->name);
    if (!declare(s, name, &id)) return false;
    tensor(s->g, id)->kind = TK_INPUT;
    PUSH(im->cx->arena, &s->g->input, id);
    if (is_main && !check_type(im, "input", name, p->type)) return false;
    return declare_type(im, tensor(s->g, id), p->type, is_main) && (!is_main || pin_shape(im, tensor(s->g, id)));
}

static bool import_output(Scope *s, const Onnx__ValueInfoProto *p)
{
    Import *im = &s->m->im;
    const char *name = text_of(p->name);
    TensorId id;
    if (!resolve(s, name, &id) || is_none(id))
        return diag_error(im->cx->diags, "missing-output", "output '%s' of graph '%s' is not defined", name,
                          s->g->name);
    PUSH(im->cx->arena, &s->g->output, id);
    if (!s->g->parent && p->type && !check_type(im, "output", name, p->type)) return false;
    return tensor(s->g, id)->kind != TK_ACT || declare_type(im, tensor(s->g, id), p->type, false);
}

static bool import_hint(Scope *s, const Onnx__ValueInfoProto *p)
{
    const uint64_t *known = map_str(&s->names, text_of(p->name), false);
    if (!known || !*known || tensor(s->g, (TensorId){(uint32_t)*known})->kind != TK_ACT) return true;
    return declare_type(&s->m->im, tensor(s->g, (TensorId){(uint32_t)*known}), p->type, false);
}

/* Declared types are known before the nodes are read, as they help to upgrade them. */
static bool import_graph(Scope *s, const Onnx__GraphProto *p)
{
    bool ok = import_initializers(s, p);
    for (size_t i = 0; i < p->n_input; i++) ok &= import_input(s, p->input[i]);
    ok &= declare_nodes(s, p->n_node, p->node);
    for (size_t i = 0; i < p->n_value_info; i++) ok &= import_hint(s, p->value_info[i]);
    for (size_t i = 0; i < p->n_output; i++) ok &= import_output(s, p->output[i]);
    return import_nodes(s, p->n_node, p->node) && ok && graph_sort(s->g);
}

/* ---- models ---- */

static bool check_opset(Import *im, const Onnx__OperatorSetIdProto *p)
{
    static const struct {
        const char *domain;
        int64_t newest;
    } known[] = {{"", ONNX_OPSET}, {"ai.onnx.ml", 5}, {"ai.onnx.preview", 1}, {"ai.onnx.preview.training", 1}};
    const char *domain = core_domain(p->domain);
    for (size_t i = 0; i < COUNT(known); i++) {
        if (strcmp(known[i].domain, domain) == 0 && (p->version < 1 || p->version > known[i].newest))
            return diag_error(im->cx->diags, "opset", "opset %lld of domain '%s', known are 1 to %lld",
                              (long long)p->version, domain[0] ? domain : "ai.onnx", (long long)known[i].newest);
    }
    return true;
}

static bool check_opsets(Import *im, size_t n, Onnx__OperatorSetIdProto *const *p)
{
    bool ok = true;
    if (n > MAX_DOMAINS) return diag_error(im->cx->diags, "limit", "%zu opsets are imported, limit %d", n, MAX_DOMAINS);
    for (size_t i = 0; i < n; i++) ok &= check_opset(im, p[i]);
    return ok;
}

static bool check_model(Model *m, const Onnx__ModelProto *p)
{
    Diags *d = m->im.cx->diags;
    if (p->ir_version < 1 || p->ir_version > ONNX_IR_VERSION)
        return diag_error(d, "ir-version", "IR version %lld, known are 1 to %d", (long long)p->ir_version,
                          ONNX_IR_VERSION);
    if (!p->graph || !p->graph->n_output)
        return diag_error(d, "empty-graph", "the model has no %s", p->graph ? "output" : "graph");
    bool ok = check_opsets(&m->im, p->n_opset_import, p->opset_import);
    for (size_t i = 0; i < p->n_functions; i++) {
        ok &= add_function(m, p->functions[i]);
        ok &= check_opsets(&m->im, p->functions[i]->n_opset_import, p->functions[i]->opset_import);
    }
    return ok;
}

/* Every name that the user gave must be one of the model. */
static bool check_options(Import *im, const Graph *g)
{
    bool ok = true;
    for (uint32_t i = 0; i < im->pinned.slot.n; i++) {
        if (!(im->pinned.slot.at[i].val >> 32))
            ok = diag_error(im->cx->diags, "symbol-option", "the model has no dimension called '%s'; %s",
                            im->pinned.slot.at[i].str, dimension_names(im->cx, im->scratch));
    }
    for (uint32_t i = 0; i < im->opt->shape.n; i++) {
        const char *name = im->opt->shape.at[i].name;
        const TensorId t = graph_find(g, name);
        if (is_none(t) || tensor(g, t)->kind != TK_INPUT)
            ok = diag_error(im->cx->diags, "shape-option", "the model has no input called '%s'", name);
    }
    return ok;
}

static Graph *import_model(Model *m, const Onnx__ModelProto *p, OnnxFile *info)
{
    Import *im = &m->im;
    Onnx__OperatorSetIdProto first = ONNX__OPERATOR_SET_ID_PROTO__INIT, *const one = &first;
    first.version = 1;
    Scope s = {.m = m, .opset = {p->n_opset_import, p->opset_import}};
    if (p->ir_version < 3 && !p->n_opset_import) s.opset = (Opsets){1, &one}; /* opsets came with IR version 3 */
    s.names.arena = im->scratch;
    info->ir_version = p->ir_version;
    if (!check_model(m, p)) return NULL;
    info->opset = opset_of(&s, "");
    s.g = graph_new(im->cx, text_of(p->graph->name), NULL);
    bool ok = import_graph(&s, p->graph);
    if (im->nnodes > max_nodes(im))
        ok = diag_error(im->cx->diags, "limit", "the model has more than %u nodes, with functions expanded",
                        max_nodes(im));
    return ok && check_options(im, s.g) && bind_inputs(im, s.g) ? s.g : NULL;
}

static void pin_names(Import *im)
{
    for (uint32_t i = 0; i < im->opt->pin.n; i++) *map_str(&im->pinned, im->opt->pin.at[i].name, true) = i;
}

static void release(const void *maps)
{
    onnx_release(maps);
}

static Graph *load(Model *m, const char *path, OnnxFile *info)
{
    Bytes b;
    if (!maps_open(m->im.maps, m->im.cx->diags, path, &b, m->im.io_error)) return NULL;
    sha256_hex(b.p, b.n, release, m->im.maps, info->sha256);
    m->file = b.p;
    Onnx__ModelProto *p = (Onnx__ModelProto *)unpack(&m->im, path, &onnx__model_proto__descriptor, b);
    return p ? import_model(m, p, info) : NULL;
}

/* The tensor that a TensorProto file holds; files beside it are not read. */
bool tensor_file(Import *im, const char *path, TensorValue *v)
{
    Bytes b;
    if (!maps_open(im->maps, im->cx->diags, path, &b, im->io_error)) return false;
    const Onnx__TensorProto *p = (const Onnx__TensorProto *)unpack(im, path, &onnx__tensor_proto__descriptor, b);
    if (!p) return false;
    const RawTensor t = raw_tensor(im->scratch, b.p, p);
    if (t.external) return diag_error(im->cx->diags, "external-data", "'%s' refers to another file", path);
    return tensor_read(im, &t, v);
}

Graph *onnx_load(Ctx *cx, const char *path, const OnnxOptions *opt, OnnxFile *info, Maps **maps, bool *io_error)
{
    *maps = maps_new(cx->arena);
    (*maps)->reads = opt->reads;
    *io_error = false;
    *info = (OnnxFile){.opset = -1};
    Arena *scratch = arena_child(cx->arena);
    Model m = {.im = {.cx = cx, .scratch = scratch, .maps = *maps, .opt = opt, .io_error = io_error}};
    m.function.arena = m.im.pinned.arena = scratch;
    pin_names(&m.im);
    Graph *g = load(&m, path, info);
    for (uint32_t i = 0; i < (*maps)->file.n; i++) PUSH(cx->arena, &info->files, (*maps)->file.at[i].path);
    arena_free(scratch);
    return g;
}
