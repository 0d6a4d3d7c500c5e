/* SPDX-License-Identifier: Apache-2.0
 *
 * Emitted files: texts, and weights between them that exist only while they are written.
 */
#include "emit.h"

EmitParts emit_part(Arena *a, Text *t)
{
    EmitParts p = {0};
    PUSH(a, &p, ((EmitPart){.data = text_str(t), .n = t->n}));
    return p;
}

void emit_text(EmitFiles *files, const char *suffix, Text *t)
{
    PUSH(files->arena, &files->file, ((EmitFile){suffix, emit_part(files->arena, t)}));
}

void emit_put(const EmitParts *parts, Arena *a, const Sink *to)
{
    for (uint32_t k = 0; k < parts->n; k++) {
        const EmitPart *p = &parts->at[k];
        sink_put(to, p->data, p->n);
        if (p->make)
            p->make(p->ctx, a, to);
    }
}
