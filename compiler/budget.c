/* SPDX-License-Identifier: Apache-2.0
 *
 * --max-ram, --max-flash and --max-stack: whether the compiled model stays within them, and what it needs when not.
 */
#include "verb.h"

static bool over(Diags *d, const char *option, const char *what, int64_t need, int64_t limit)
{
    if (limit < 0 || need <= limit)
        return false;
    Diag *g = diag_add(d, SEV_ERROR, "budget", NULL, "%s needs %lld bytes, %s allows %lld", what, (long long)need, option, (long long)limit);
    diag_help(d, g, "raise %s to %lld or make the model smaller", option, (long long)need);
    return true;
}

/* With what each further part of the greatest count takes. */
static int64_t all_parts(const Unit *u, int64_t one, int64_t further)
{
    return one + (u->threads.n ? u->threads.at[u->threads.n - 1] - 1 : 0) * further;
}

bool within_budget(Diags *d, const Options *o, const Unit *u)
{
    bool bad = over(d, "--max-ram", "arena and stack", all_parts(u, u->arena_bytes, u->part_bytes) + all_parts(u, u->stack_bytes, u->stack_bytes), o->max_ram);
    bad = over(d, "--max-flash", "the weights", u->weight_bytes, o->max_flash) || bad;
    return !(over(d, "--max-stack", "the stack", u->stack_bytes, o->max_stack) || bad);
}
