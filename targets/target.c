/* SPDX-License-Identifier: Apache-2.0
 * See target.h. */
#include "target.h"

#if defined(__GNUC__) && defined(__x86_64__) && defined(__linux__)
#define MLCC_AMX 1 /* asks this processor, whatever this file is compiled for */
#endif
#include "../runtime-min/mlcc_amx.h"
#include "../runtime-min/mlcc_cpu.h"

static const Machine table[] = {
#define MACHINE(name, isa, lanes, vregs, l1_kb, l2_kb, l3_kb, us8, ss8, bf16, i16, clip, amx, fma, per, spread, apart, l2, l3, ram, pull, ahead, tail, hint, cpu, flags, what) \
    {#name, ISA_##isa, lanes, vregs, (l1_kb) * 1024, (l2_kb) * 1024, (l3_kb) * 1024, us8, ss8, bf16, i16, clip, (amx) > 0, amx, fma, per, spread, apart, l2, l3, ram, pull, ahead, tail, hint, cpu, flags},
#include "target.def"
#undef MACHINE
};

static const char *native_name(void)
{
#if defined(__x86_64__)
    const bool vnni = MLCC_CPU_HAS(avx512vnni) != 0;
    if (MLCC_AMX && vnni && MLCC_CPU_HAS(avx512bf16) && mlcc_amx_usable())
        return "sapphirerapids";
    if (MLCC_CPU_HAS(avx512f) && MLCC_CPU_HAS(avx512vl) && MLCC_CPU_HAS(avx512dq))
        return vnni && __builtin_cpu_is("amd") ? "znver4" : vnni ? "x86_64_v4_vnni" : "x86_64_v4";
    if (MLCC_CPU_HAS(avx2) && MLCC_CPU_HAS(fma))
        return mlcc_cpu_avxvnni() ? "x86_64_v3_vnni" : MLCC_CPU_HAS(sse4a) ? "znver3" : "x86_64_v3";
    return "x86_64_v2";
#elif defined(__aarch64__)
    if (MLCC_CPU_HAS(dotprod) && MLCC_CPU_HAS(i8mm) && MLCC_CPU_HAS(bf16))
        return "neon_i8mm";
    return MLCC_CPU_HAS(dotprod) ? "neon_dotprod" : "neon";
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

/* Names of the rows as the option spells them. */
static const char *names(Arena *a)
{
    Text t = {.arena = a};
    text_add(&t, "native");
    for (size_t k = 0; k < COUNT(table); k++) {
        text_add(&t, " ");
        for (const char *s = table[k].name; *s; s++)
            text_add(&t, "%c", *s == '_' ? '-' : *s);
    }
    return text_str(&t);
}

/* x86-64-v3 is written with '-' alone: '_' in a row stands for it where C has no '-'. */
bool machine_for(Diags *d, const char *target, const char *march, Machine *m)
{
    const char *want = strcmp(target, "scalar") == 0 ? "scalar" : strcmp(march, "native") == 0 ? native_name() : march;
    for (size_t k = 0; k < COUNT(table); k++)
        if (same(table[k].name, want)) {
            *m = table[k];
            return true;
        }
    return diag_error(d, "march", "there is no machine '%s'; expected one of: %s", want, names(d->arena));
}

static ptrdiff_t row_of(const Machine *m)
{
    for (size_t k = 0; k < COUNT(table); k++)
        if (strcmp(table[k].name, m->name) == 0)
            return (ptrdiff_t)k;
    return -1;
}

/* Puts m in its place among n levels, later rows first. */
static bool insert(Diags *d, Machine *level, uint32_t n, const Machine *m)
{
    uint32_t at = n;
    for (; at > 0 && row_of(&level[at - 1]) <= row_of(m); at--) {
        if (row_of(&level[at - 1]) == row_of(m))
            return diag_error(d, "march", "the machine '%s' is named twice", m->name);
        level[at] = level[at - 1];
    }
    level[at] = *m;
    return true;
}

bool machines_for(Diags *d, const char *target, const char *march, Machine *level, uint32_t *n)
{
    for (*n = 0; *march; march += strcspn(march, ","), march += *march == ',') {
        Machine m;
        if (*n == MAX_LEVELS)
            return diag_error(d, "march", "more than %d machines are named", MAX_LEVELS);
        if (!machine_for(d, target, str_ndup(d->arena, march, strcspn(march, ",")), &m) || !insert(d, level, *n, &m))
            return false;
        ++*n;
    }
    return *n > 0 || diag_error(d, "march", "no machine is named; expected one of: %s", names(d->arena));
}
