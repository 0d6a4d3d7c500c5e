/* SPDX-License-Identifier: Apache-2.0
 *
 * Files beside the model: those that options name, and what a command leaves in the folder for temporary ones.
 */
#ifndef MLCC_FILES_H
#define MLCC_FILES_H

#include "../ir/base.h"

enum { FILE_MOST = 64 << 20 };                 /* bytes; a device may have no end */
bool file_read(const char *path, Text *t);     /* adds all of the file; false: not all of it could be read, errno says why */
const char *file_base(const char *path);       /* behind the last slash */
const char *folder_temporary(Arena *a);        /* makes one, below $TMPDIR or /tmp; NULL: it cannot, errno says why */

#endif
