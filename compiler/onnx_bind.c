/* SPDX-License-Identifier: Apache-2.0
 *
 * --bind: an input of the model becomes a constant with the value in a file. The file must have the input's type, and
 * its shape where the model fixes it; an open dimension takes the file's.
 */
#include "import.h"

static bool bind_error(Import *im, const char *name)
{
    return diag_error(im->cx->diags, "bind-option", "the model has no input called '%s'", name);
}

/* Position among the inputs; input.n when there is none of that name. */
static uint32_t find_input(const Graph *g, const char *name)
{
    uint32_t k = 0;
    while (k < g->input.n && strcmp(tensor(g, g->input.at[k])->name, name) != 0) k++;
    return k;
}

static bool bind_input(Import *im, Graph *g, const OnnxBind *b)
{
    const uint32_t k = find_input(g, b->name);
    if (k == g->input.n) return bind_error(im, b->name);
    const Tensor *t = tensor(g, g->input.at[k]);
    TensorValue want = {.dt = t->dt, .rank = t->rank}, v;
    for (uint8_t d = 0; d < t->rank; d++) want.dim[d] = ex_is_const(t->dim[d]) ? t->dim[d]->v.i : -1;
    if (!value_read(im->cx, im->maps, b->file, t->ranked ? &want : NULL, &v, im->io_error)) return false;
    if (v.dt != t->dt && t->dt != DT_none)
        return diag_error(im->cx->diags, "value-type", "'%s': elements are %s, input '%s' has %s", b->file,
                          dtype_info(v.dt)->name, t->name, dtype_info(t->dt)->name);
    tensor_set(g, g->input.at[k], &v);
    g->input.n--;
    memmove(g->input.at + k, g->input.at + k + 1, (g->input.n - k) * sizeof *g->input.at);
    return true;
}

bool bind_inputs(Import *im, Graph *g)
{
    bool ok = true;
    for (uint32_t i = 0; i < im->opt->bind.n; i++) ok &= bind_input(im, g, &im->opt->bind.at[i]);
    return ok;
}
