/* SPDX-License-Identifier: Apache-2.0
 * The model of tiles in plain C against the plain definition. */
#define MLCC_AMX_SOFT
#include "test_amx.c"
