/* SPDX-License-Identifier: Apache-2.0
 * See files.h. */
#include "files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool file_read(const char *path, Text *t)
{
    FILE *f = fopen(path, "rb");
    char bytes[4096];
    if (!f)
        return false;
    size_t n;
    while (t->n < FILE_MOST && (n = fread(bytes, 1, sizeof bytes, f)) > 0)
        text_put(t, bytes, n);
    const int error = ferror(f) ? errno : t->n >= FILE_MOST ? EFBIG : 0; /* a folder opens, and fails here */
    fclose(f);
    errno = error;
    return error == 0;
}

const char *file_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

const char *folder_temporary(Arena *a)
{
    const char *temp = getenv("TMPDIR");
    Text place = {.arena = a};
    text_add(&place, "%s/mlcc-XXXXXX", temp && *temp ? temp : "/tmp");
    return mkdtemp(place.at);
}
