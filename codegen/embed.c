/* SPDX-License-Identifier: Apache-2.0
 *
 * Build tool: turns the headers of runtime-min into C string constants, so that mlcc can paste from them.
 * usage: embed OUT.c OUT.h PUBLIC FILE...    makes runtime_mlcc_h from PUBLIC and the table runtime_header from the rest
 */
#include <stdio.h>
#include <stdlib.h>

static int bytes_of(FILE *c, const char *path)
{
    FILE *in = fopen(path, "rb");
    if (!in)
        return 1;
    int n = 0;
    for (int ch; (ch = getc(in)) != EOF; n++)
        fprintf(c, "%d,%s", ch, n % 24 == 23 ? "\n" : "");
    fprintf(c, "0};\n");
    return fclose(in);
}

int main(int argc, char **argv)
{
    FILE *c = argc > 3 ? fopen(argv[1], "w") : NULL, *h = c ? fopen(argv[2], "w") : NULL;
    if (!h)
        return EXIT_FAILURE;
    fprintf(h, "#ifndef RUNTIME_TEXT_H\n#define RUNTIME_TEXT_H\n"
               "extern const char runtime_mlcc_h[];\n"
               "extern const char *const runtime_header[];\n"
               "enum { RUNTIME_HEADERS = %d };\n#endif\n", argc - 4);
    fprintf(c, "#include \"runtime_text.h\"\nconst char runtime_mlcc_h[] = {\n");
    int bad = bytes_of(c, argv[3]);
    for (int k = 4; k < argc; k++) {
        fprintf(c, "static const char text%d[] = {\n", k);
        bad |= bytes_of(c, argv[k]);
    }
    fprintf(c, "const char *const runtime_header[] = {");
    for (int k = 4; k < argc; k++)
        fprintf(c, "text%d, ", k);
    fprintf(c, "};\n");
    bad |= fclose(c) | fclose(h);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
