/* SPDX-License-Identifier: Apache-2.0
 *
 * Files, mapped once each: the model, files the user names, and files the model names.
 *
 * What a model names is hostile. Its path is walked from the model's folder one component at a time, each opened
 * relative to the one before without following links, so nothing outside the folder can be reached whatever the path
 * says and however the folder changes meanwhile. (openat2 could promise as much, but only on newer kernels, and then
 * two ways would have to agree.) Hard links are refused too: they can lead to any file of the same volume.
 */
#include "import.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

static bool known_file(Maps *m, const char *path, Bytes *b)
{
    const uint64_t *k = map_str(&m->by_path, path, false);
    if (k) *b = m->file.at[*k].data;
    return k != NULL;
}

/* For who must know even when this process does not live to say it; one write, so that names do not mix. */
static void tell(const Maps *m, const char *path)
{
    if (m->reads && write(m->reads, path, strlen(path) + 1) < 0)
        return; /* nobody listens any more */
}

/* Maps the open regular file fd of n bytes, and remembers it. Empty files cannot be mapped and need not be. */
static bool map_fd(Maps *m, int fd, size_t n, const char *path, Bytes *b)
{
    void *p = n ? mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
    if (p == MAP_FAILED) return false;
    tell(m, path);
    *b = (Bytes){p, n};
    path = str_dup(m->arena, path);
    *map_str(&m->by_path, path, true) = m->file.n;
    PUSH(m->arena, &m->file, ((MappedFile){path, *b}));
    m->bytes += n;
    return true;
}

/* Maps fd when it is a regular file; returns what is wrong otherwise. */
static const char *map_checked(Maps *m, int fd, nlink_t max_links, const char *path, Bytes *b)
{
    struct stat st;
    if (fstat(fd, &st) != 0) return strerror(errno);
    if (!S_ISREG(st.st_mode)) return "it is not a regular file";
    if (st.st_nlink > max_links) return "it is a hard link";
    return map_fd(m, fd, (size_t)st.st_size, path, b) ? NULL : strerror(errno);
}

/* Folder of a path, "." when it has none; length through n. */
static const char *folder_of(const char *path, size_t *n)
{
    const char *slash = strrchr(path, '/');
    *n = slash ? (size_t)(slash - path) + 1 : 1;
    return slash ? path : ".";
}

/* Opens the component [at, at + n) in folder `dir`; -1 and errno when it is not a plain name or cannot be opened. */
static int open_component(Arena *a, int dir, const char *at, size_t n, bool last)
{
    if (n == 2 && memcmp(at, "..", 2) == 0) {
        errno = EXDEV;
        return -1;
    }
    return openat(dir, str_ndup(a, at, n), OPEN_FLAGS | O_NOFOLLOW | (last ? 0 : O_DIRECTORY));
}

static int open_beneath(Arena *a, int dir, const char *at)
{
    while (dir >= 0) {
        const size_t n = strcspn(at, "/");
        const bool last = !at[n];
        const int next = n ? open_component(a, dir, at, n, last) : (errno = EXDEV, -1);
        const int saved = errno;
        close(dir);
        errno = saved;
        dir = next;
        if (last) break;
        at += n + 1;
    }
    return dir;
}

static const char *open_reason(void)
{
    if (errno == ELOOP || errno == ENOTDIR) return "its path goes through a link or something that is not a folder";
    return errno == EXDEV ? "its path has an empty or '..' component" : strerror(errno);
}

/* The registry of a compile's mapped files, in arena a; empty. */
Maps *maps_new(Arena *a)
{
    Maps *m = NEW(a, Maps);
    m->arena = m->by_path.arena = a;
    return m;
}

/* Mapped read-only: what is dropped comes from the file again. */
void onnx_release(const Maps *m)
{
    for (uint32_t i = 0; m && i < m->file.n; i++) {
        const Bytes b = m->file.at[i].data;
        if (b.n) (void)madvise((void *)(uintptr_t)b.p, b.n, MADV_DONTNEED);
    }
}

void onnx_unmap(Maps *m)
{
    for (uint32_t i = 0; m && i < m->file.n; i++) {
        if (m->file.at[i].data.n) munmap((void *)(uintptr_t)m->file.at[i].data.p, m->file.at[i].data.n);
    }
    if (m) *m = (Maps){.arena = m->arena, .by_path.arena = m->arena};
}

bool maps_open(Maps *m, Diags *d, const char *path, Bytes *b, bool *io_error)
{
    if (known_file(m, path, b)) return true;
    const int fd = open(path, OPEN_FLAGS);
    const char *why = fd < 0 ? strerror(errno) : map_checked(m, fd, (nlink_t)-1, path, b);
    if (fd >= 0) close(fd);
    *io_error |= why != NULL;
    return !why || diag_error(d, "file", "could not read '%s': %s", path, why);
}

bool maps_beneath(Maps *m, Diags *d, const char *model, const char *location, const char *tensor, Bytes *b)
{
    size_t n;
    const char *folder = folder_of(model, &n);
    folder = str_ndup(m->arena, folder, n);
    const char *path = str_fmt(m->arena, "%s%s%s", folder, folder[n - 1] == '/' ? "" : "/", location);
    if (known_file(m, path, b)) return true;
    const int fd = open_beneath(m->arena, open(folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY), location);
    const char *why = fd < 0 ? open_reason() : map_checked(m, fd, 1, path, b);
    if (fd >= 0) close(fd);
    return !why || diag_error(d, "external-data", "tensor '%s': could not use file '%s' in the model's folder: %s",
                              tensor, location, why);
}
