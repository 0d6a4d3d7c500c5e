/* SPDX-License-Identifier: Apache-2.0
 *
 * Build tool: turns the headers of runtime-min into C string constants, so that mlcc can print and paste from them.
 * usage: embed OUT.c OUT.h N FILE...    makes runtime_NAME_h from each of the first N files NAME.h, and the table
 *                                       runtime_header from the rest
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static int public_header(FILE *c, FILE *h, const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const int stem = (int)strcspn(base, ".");
    fprintf(h, "extern const char runtime_%.*s_h[];\n", stem, base);
    fprintf(c, "const char runtime_%.*s_h[] = {\n", stem, base);
    return bytes_of(c, path);
}

int main(int argc, char **argv)
{
    FILE *c = argc > 4 ? fopen(argv[1], "w") : NULL, *h = c ? fopen(argv[2], "w") : NULL;
    if (!h)
        return EXIT_FAILURE;
    const int pasted = 4 + atoi(argv[3]);
    int bad = 0;
    fprintf(
        h,
        "#ifndef RUNTIME_TEXT_H\n#define RUNTIME_TEXT_H\nextern const char *const runtime_header[];\nenum { RUNTIME_HEADERS = %d };\n",
        argc - pasted);
    fprintf(c, "#include \"runtime_text.h\"\n");
    for (int k = 4; k < pasted && k < argc; k++)
        bad |= public_header(c, h, argv[k]);
    fprintf(h, "#endif\n");
    for (int k = pasted; k < argc; k++) {
        fprintf(c, "static const char text%d[] = {\n", k);
        bad |= bytes_of(c, argv[k]);
    }
    fprintf(c, "const char *const runtime_header[] = {");
    for (int k = pasted; k < argc; k++)
        fprintf(c, "text%d, ", k);
    fprintf(c, "};\n");
    bad |= fclose(c) | fclose(h);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}
