/* SPDX-License-Identifier: Apache-2.0
 *
 * Weights as a relocatable ELF object: one read-only section and one symbol. Source: System V ABI, chapter 4, and the
 * processor supplements for the machine numbers.
 */
#include <elf.h>

#include "emit.h"

enum { SEC_NULL, SEC_DATA, SEC_SYMTAB, SEC_STRTAB, SEC_SHSTRTAB, SEC_NOTE, SEC_COUNT };

/* Text of the file from offset `from` on. */
typedef struct Piece { Text text; size_t from; } Piece;

/* Adds n bytes at the next multiple of align; returns their offset in the file. */
static size_t put(Piece *t, const void *p, size_t n, size_t align)
{
    static const char zero[64];
    text_put(&t->text, zero, -(t->from + t->text.n) & (align - 1));
    const size_t at = t->from + t->text.n;
    text_put(&t->text, p, n);
    return at;
}

static Elf64_Shdr section(Elf64_Word name, Elf64_Word type, Elf64_Xword flags, size_t at, size_t n, Elf64_Xword align)
{
    return (Elf64_Shdr){
        .sh_name = name, .sh_type = type, .sh_flags = flags, .sh_offset = at, .sh_size = n, .sh_addralign = align};
}

static Elf64_Half machine_of(Isa isa)
{
#if defined(__aarch64__)
    const Isa host = ISA_aarch64;
#else
    const Isa host = ISA_x86_64;
#endif
    return (isa == ISA_host ? host : isa) == ISA_aarch64 ? EM_AARCH64 : EM_X86_64;
}

/* Adds <prefix>_weights.o for the target: head, the image, the other sections. */
void weights_object(const Unit *u, const EmitOptions *opt, EmitFiles *files)
{
    static const char names[] = "\0.rodata\0.symtab\0.strtab\0.shstrtab\0.note.GNU-stack";
    const char *symbol = str_fmt(files->arena, "%s_weights", opt->prefix);
    const size_t size = (size_t)u->weight_bytes;
    Piece first = {.text = {.arena = files->arena}}, t = first;
    Elf64_Ehdr head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                       .e_type = ET_REL,
                       .e_machine = machine_of(opt->isa),
                       .e_version = EV_CURRENT,
                       .e_ehsize = sizeof head,
                       .e_shentsize = sizeof(Elf64_Shdr),
                       .e_shnum = SEC_COUNT,
                       .e_shstrndx = SEC_SHSTRTAB};
    (void)put(&first, &head, sizeof head, 1);
    Elf64_Shdr s[SEC_COUNT] = {0};
    s[SEC_DATA] = section(1, SHT_PROGBITS, SHF_ALLOC, put(&first, "", 0, 64), size, (Elf64_Xword)weights_align(u));
    t.from = first.text.n + size;
    const Elf64_Sym sym[2] = {{0},
                              {.st_name = 1,
                               .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT),
                               .st_other = STV_HIDDEN,
                               .st_shndx = SEC_DATA,
                               .st_size = size}};
    s[SEC_SYMTAB] = section(9, SHT_SYMTAB, 0, put(&t, sym, sizeof sym, 8), sizeof sym, 8);
    s[SEC_SYMTAB].sh_link = SEC_STRTAB;
    s[SEC_SYMTAB].sh_info = 1;
    s[SEC_SYMTAB].sh_entsize = sizeof sym[0];
    const size_t at = put(&t, "", 1, 1);
    text_put(&t.text, symbol, strlen(symbol) + 1);
    s[SEC_STRTAB] = section(17, SHT_STRTAB, 0, at, strlen(symbol) + 2, 1);
    s[SEC_SHSTRTAB] = section(25, SHT_STRTAB, 0, put(&t, names, sizeof names, 1), sizeof names, 1);
    s[SEC_NOTE] = section(35, SHT_PROGBITS, 0, put(&t, "", 0, 1), 0, 1);
    head.e_shoff = put(&t, s, sizeof s, 8);
    memcpy(first.text.at, &head, sizeof head);
    EmitFile f = {.suffix = "_weights.o"};
    PUSH(files->arena, &f.part, ((EmitPart){first.text.at, first.text.n, weights_put, u}));
    PUSH(files->arena, &f.part, ((EmitPart){.data = t.text.at, .n = t.text.n}));
    PUSH(files->arena, &files->file, f);
}
