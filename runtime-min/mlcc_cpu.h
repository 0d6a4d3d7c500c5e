/* SPDX-License-Identifier: 0BSD
 *
 * What the processor has that this program runs on:
 *
 *   MLCC_CPU_HAS(feature)   not 0 when it has it; a name of gcc's: avx2, dotprod
 *
 * x86: what the compiler's runtime has found out when the program started. AArch64: what Linux, Android or macOS say.
 * Where there is nobody to ask, as on a core without a system, it is 0 for every feature.
 */
#ifndef MLCC_CPU_H
#define MLCC_CPU_H

#include <stddef.h>

/* Linux numbers features in arch/arm64/include/uapi/asm/hwcap.h; headers of a libc may be older than some. */
#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define MLCC_CPU_HAS(feature) __builtin_cpu_supports(#feature)
/* avxvnni, of which clang before 19 knows no such name: CPUID leaf 7, subleaf 1. Where avx2 may be used, it may. */
static inline __attribute__((unused)) int mlcc_cpu_avxvnni(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#define MLCC_CPU_HAS(feature) MLCC_CPU_##feature
#define MLCC_CPU_dotprod (getauxval(AT_HWCAP) >> 20 & 1)
#define MLCC_CPU_i8mm (getauxval(AT_HWCAP2) >> 13 & 1)
#define MLCC_CPU_bf16 (getauxval(AT_HWCAP2) >> 14 & 1)
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#define MLCC_CPU_HAS(feature) MLCC_CPU_##feature
#define MLCC_CPU_dotprod mlcc_cpu_says("hw.optional.arm.FEAT_DotProd")
#define MLCC_CPU_i8mm mlcc_cpu_says("hw.optional.arm.FEAT_I8MM")
#define MLCC_CPU_bf16 mlcc_cpu_says("hw.optional.arm.FEAT_BF16")
static inline int mlcc_cpu_says(const char *name)
{
    int yes = 0;
    size_t n = sizeof yes;
    return sysctlbyname(name, &yes, &n, NULL, 0) == 0 && yes != 0;
}
#else
#define MLCC_CPU_HAS(feature) 0
#endif

#endif
