/* SPDX-License-Identifier: Apache-2.0
 * Warnings: which there are (warning.def), which of them -W asks for, and those that the importer alone cannot give. */
#ifndef MLCC_WARNING_H
#define MLCC_WARNING_H

#include "option.h"

/* Slug and text of warning k; false behind the last. *on: it is given without being asked for. */
bool warning_at(uint32_t k, const char **slug, const char **what, bool *on);
/* Whether every value of -W and -Werror= is known; diagnostics otherwise. */
bool warnings_parse(Diags *d, const Options *o);
/* Drops the warnings that are off; true when one that is left counts as an error, with a diagnostic that says so. */
bool warnings_apply(Diags *d, const Options *o);

void warn_options(Diags *d, const Options *o);
void warn_inputs(const Graph *g); /* as the file has it, before any pass */
void warn_lengths(const Graph *g); /* of what data decides; shapes are known */

#endif
