/* SPDX-License-Identifier: Apache-2.0
 * Whether a test is built with the address sanitizer: everything takes ten times as long then, and each operation is looked at, not each
 * value. */
#ifndef MLCC_SANITIZED_H
#define MLCC_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

#endif
