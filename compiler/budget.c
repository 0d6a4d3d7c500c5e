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

bool within_budget(Diags *d, const Options *o, const Unit *u)
{
    bool bad = over(d, "--max-ram", "arena and stack", u->arena_bytes + u->stack_bytes, o->max_ram);
    bad = over(d, "--max-flash", "the weights", u->weight_bytes, o->max_flash) || bad;
    return !(over(d, "--max-stack", "the stack", u->stack_bytes, o->max_stack) || bad);
}
