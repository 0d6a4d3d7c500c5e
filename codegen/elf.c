/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights as a relocatable ELF object: one read-only section and one symbol. Source: System V ABI, chapter 4, and the
 * processor supplements for the machine numbers.
 */
#include <elf.h>

#include "emit.h"

enum { SEC_NULL, SEC_DATA, SEC_SYMTAB, SEC_STRTAB, SEC_SHSTRTAB, SEC_NOTE, SEC_COUNT };

static size_t put(Text *t, const void *p, size_t n, size_t align)
{
    static const char zero[64];
    const size_t gap = (align - t->n % align) % align;
    text_put(t, zero, gap);
    const size_t at = t->n;
    text_put(t, p, n);
    return at;
}

static Elf64_Shdr section(Elf64_Word name, Elf64_Word type, Elf64_Xword flags, size_t at, size_t n, Elf64_Xword align)
{
    return (Elf64_Shdr){.sh_name = name, .sh_type = type, .sh_flags = flags, .sh_offset = at, .sh_size = n, .sh_addralign = align};
}

/* bytes: the weights' image. Adds <prefix>_weights.o for the host's machine. */
void weights_object(const Unit *u, const EmitOptions *opt, const char *bytes, EmitFiles *files)
{
#if defined(__aarch64__)
    const Elf64_Half machine = EM_AARCH64;
#else
    const Elf64_Half machine = EM_X86_64;
#endif
    static const char names[] = "\0.rodata\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
    const char *symbol = str_fmt(files->arena, "%s_weights", opt->prefix);
    const size_t size = (size_t)u->weight_bytes;
    Text t = {.arena = files->arena};
    Elf64_Ehdr head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT}, .e_type = ET_REL,
                       .e_machine = machine, .e_version = EV_CURRENT, .e_ehsize = sizeof head, .e_shentsize = sizeof(Elf64_Shdr),
                       .e_shnum = SEC_COUNT, .e_shstrndx = SEC_SHSTRTAB};
    text_put(&t, (const char *)&head, sizeof head);
    Elf64_Shdr s[SEC_COUNT] = {0};
    s[SEC_DATA] = section(1, SHT_PROGBITS, SHF_ALLOC, put(&t, bytes, size, 64), size, 64);
    const Elf64_Sym sym[2] = {{0}, {.st_name = 1, .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT), .st_other = STV_HIDDEN, .st_shndx = SEC_DATA, .st_size = size}};
    s[SEC_SYMTAB] = section(9, SHT_SYMTAB, 0, put(&t, sym, sizeof sym, 8), sizeof sym, 8);
    s[SEC_SYMTAB].sh_link = SEC_STRTAB;
    s[SEC_SYMTAB].sh_info = 1;
    s[SEC_SYMTAB].sh_entsize = sizeof sym[0];
    const size_t at = put(&t, "", 1, 1);
    text_put(&t, symbol, strlen(symbol) + 1);
    s[SEC_STRTAB] = section(17, SHT_STRTAB, 0, at, strlen(symbol) + 2, 1);
    s[SEC_SHSTRTAB] = section(25, SHT_STRTAB, 0, put(&t, names, sizeof names, 1), sizeof names, 1);
    s[SEC_NOTE] = section(35, SHT_PROGBITS, 0, t.n, 0, 1);
    head.e_shoff = put(&t, s, sizeof s, 8);
    memcpy(t.at, &head, sizeof head);
    PUSH(files->arena, &files->file, ((EmitFile){"_weights.o", t.at, t.n}));
}
