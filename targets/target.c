/* SPDX-License-Identifier: Apache-2.0
 * See target.h. */
#include "target.h"

static const Machine table[] = {
#define MACHINE(name, lanes, vregs, l1_kb, l2_kb, what) {#name, lanes, vregs, (l1_kb) * 1024, (l2_kb) * 1024},
#include "target.def"
#undef MACHINE
};

static const char *native_name(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return "x86_64_v4";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return "x86_64_v3";
    return "x86_64_v2";
#elif defined(__aarch64__)
    return "neon";
#else
    return "generic";
#endif
}

static bool same(const char *row, const char *want)
{
    for (; *row && (*row == *want || (*row == '_' && *want == '-')); row++, want++)
        continue;
    return *row == 0 && *want == 0;
}

bool machine_for(Diags *d, const char *target, const char *march, Machine *m)
{
    const char *want = strcmp(target, "scalar") == 0 ? "scalar" : strcmp(march, "native") == 0 ? native_name() : march;
    for (size_t k = 0; k < COUNT(table); k++)
        if (same(table[k].name, want)) {
            *m = table[k];
            return true;
        }
    return diag_error(d, "march", "there is no machine '%s'", want);
}
