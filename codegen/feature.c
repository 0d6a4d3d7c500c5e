/* SPDX-License-Identifier: Apache-2.0
 *
 * Processor features that a level takes for granted: what the C compiler of its file is told of them, and the
 * condition under which the file that chooses among levels calls it.
 */
#include "writer.h"

/* How gcc's target pragma lists them. What arm_neon.h of gcc 12 has for a feature, it inlines only in code for Armv8.2
 * and later. */
static const struct { const char *before, *between; } listed[] = {
    [ISA_host] = {"", ","}, [ISA_x86_64] = {"", ","}, [ISA_aarch64] = {"arch=armv8.2-a+", "+"}};

/* Macros that say that a compiler may use a feature, where they are not named like it. */
static const struct { const char *feature, *macro; } named[] = {
    {"dotprod", "__ARM_FEATURE_DOTPROD"},
    {"i8mm", "__ARM_FEATURE_MATMUL_INT8"},
    {"bf16", "__ARM_FEATURE_BF16_VECTOR_ARITHMETIC"}};

/* Features that not every compiler has a name for: what mlcc_cpu.h offers instead. */
static const struct { const char *feature, *asked; } unnamed[] = {{"avxvnni", "mlcc_cpu_avxvnni()"}};

typedef struct Features { const char **at; uint32_t n, cap; } Features;

static Features split(Arena *a, const char *cpu)
{
    Features feature = {0};
    for (size_t n; (n = strcspn(cpu, " ")) > 0; cpu += n + (cpu[n] == ' '))
        PUSH(a, &feature, str_ndup(a, cpu, n));
    return feature;
}

/* "amx-tile" -> __AMX_TILE__, with no `dash` __AMXTILE__ as clang 14 has it. */
static const char *macro_of(Arena *a, const char *feature, const char *dash)
{
    for (size_t k = 0; k < COUNT(named); k++)
        if (strcmp(named[k].feature, feature) == 0)
            return named[k].macro;
    Text t = {.arena = a};
    for (const char *s = uppercase(a, feature); *s; s++)
        text_add(&t, "%s", *s == '.' ? "_" : *s == '-' ? dash : str_fmt(a, "%c", *s));
    return str_fmt(a, "__%s__", text_str(&t));
}

/* True for the preprocessor where the compiler may not use the feature. */
static const char *lacks(Arena *a, const char *feature)
{
    const char *macro = macro_of(a, feature, "_"), *other = macro_of(a, feature, "");
    return strcmp(macro, other) == 0 ? str_fmt(a, "!defined(%s)", macro)
                                     : str_fmt(a, "!(defined(%s) || defined(%s))", macro, other);
}

void feature_target(const EmitOptions *opt, Arena *a, Out *o)
{
    if (!opt->cpu)
        return;
    const Features feature = split(a, opt->cpu);
    Text list = {.arena = a}, lack = {.arena = a};
    for (uint32_t k = 0; k < feature.n; k++) {
        text_add(&list, "%s%s", k ? listed[opt->isa].between : listed[opt->isa].before, feature.at[k]);
        text_add(&lack, "%s%s", k ? " || " : "", lacks(a, feature.at[k]));
    }
    ln(o, "#if defined(__GNUC__) && !defined(__clang__)");
    ln(o, "#pragma GCC target(\"%s\")", text_str(&list));
    ln(o, "#elif %s", text_str(&lack));
    ln(o, "#error \"compile this file for a processor with %s\"", opt->cpu);
    ln(o, "#endif");
    blank(o);
}

/* amx-tile and the like need the system's leave, too. */
static bool needs_leave(const char *feature) { return strchr(feature, '-') != NULL; }

bool feature_needs_leave(const EmitOptions *opt) { return opt->cpu && needs_leave(opt->cpu); }

static const char *question(Arena *a, const char *feature)
{
    for (size_t k = 0; k < COUNT(unnamed); k++)
        if (strcmp(unnamed[k].feature, feature) == 0)
            return unnamed[k].asked;
    return str_fmt(a, "MLCC_CPU_HAS(%s)", feature);
}

const char *feature_condition(const EmitOptions *opt, Arena *a)
{
    if (!opt->cpu)
        return NULL;
    const Features feature = split(a, opt->cpu);
    Text t = {.arena = a};
    for (uint32_t k = 0; k < feature.n; k++)
        if (!needs_leave(feature.at[k]))
            text_add(&t, "%s%s", t.n ? " && " : "", question(a, feature.at[k]));
    return text_str(&t);
}
