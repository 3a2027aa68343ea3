#include "equation_mutate.h"

#include <cerebra/cerebra.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Texts to start from --------------------------------------------------------------------- */

static text *corpus_new(corpus *c) {
    c->texts = realloc(c->texts, sizeof(text) * (size_t)(c->count + 1));
    if (c->texts == NULL)
        exit(3);
    c->texts[c->count] = (text){NULL, 0, 0};
    return &c->texts[c->count++];
}

static void read_file(text *to, const char *path) {
    char piece[4096];
    FILE *file = fopen(path, "rb");
    for (size_t count; file != NULL && (count = fread(piece, 1, sizeof(piece), file)) > 0;)
        text_add(to, piece, count);
    if (file != NULL)
        fclose(file);
}

bool corpus_add_folder(corpus *c, const char *folder) {
    char path[1024];
    int before = c->count;
    DIR *listing = opendir(folder);
    for (const struct dirent *file; listing != NULL && (file = readdir(listing)) != NULL;) {
        const char *end = strrchr(file->d_name, '.');
        if (end == NULL || strcmp(end, ".cell") != 0)
            continue;
        snprintf(path, sizeof(path), "%.600s/%.400s", folder, file->d_name);
        read_file(corpus_new(c), path);
    }
    if (listing != NULL)
        closedir(listing);
    return c->count > before;
}

void corpus_add_library(corpus *c) {
    for (const cb_cell *const *cell = cb_cells(); *cell != NULL; cell++)
        text_add(corpus_new(c), (*cell)->equations, strlen((*cell)->equations));
}

void corpus_free(corpus *c) {
    for (int i = 0; i < c->count; i++)
        text_free(&c->texts[i]);
    free(c->texts);
    *c = (corpus){NULL, 0};
}

/* ---- Tokens ---------------------------------------------------------------------------------- */

static const char *const tokens[] = {"x",
                                     "h",
                                     "h'",
                                     "c",
                                     "c'",
                                     "W",
                                     "U",
                                     "W_f",
                                     "b",
                                     "b_f",
                                     "T",
                                     "a",
                                     "g",
                                     "m",
                                     "n",
                                     "gap",
                                     "θ",
                                     "Ω",
                                     "hidden",
                                     "input",
                                     "let",
                                     "size",
                                     "state",
                                     "init",
                                     "heads",
                                     "output",
                                     "observe",
                                     "split",
                                     "uniform",
                                     "normal",
                                     "orthogonal",
                                     "zeros",
                                     "glorot_uniform",
                                     "tanh",
                                     "sigmoid",
                                     "σ",
                                     "relu",
                                     "softmax",
                                     "layernorm",
                                     "sum",
                                     "mean",
                                     "max",
                                     "maximum",
                                     "where",
                                     "leaky_relu",
                                     "clamp",
                                     "exp",
                                     "log",
                                     "ReLU",
                                     "stop_gradient",
                                     "0",
                                     "1",
                                     "2",
                                     "0.5",
                                     "16",
                                     "4",
                                     "1e-3",
                                     "1e300",
                                     ".5",
                                     "3.",
                                     "99999999",
                                     "=",
                                     "+",
                                     "-",
                                     "*",
                                     "/",
                                     "^",
                                     "(",
                                     ")",
                                     "[",
                                     "]",
                                     ",",
                                     "'",
                                     "^T",
                                     "ᵀ",
                                     "⊙",
                                     "·",
                                     "−",
                                     "′",
                                     "\n",
                                     "\n",
                                     "\n",
                                     "\r\n",
                                     "\t",
                                     " ",
                                     "#",
                                     "# note\n",
                                     ";",
                                     "{",
                                     "}",
                                     "\"",
                                     "\\",
                                     "\xFF",
                                     "²",
                                     "∑",
                                     "\xEF\xBB\xBF",
                                     "\xE2\x80\x8B",
                                     "隠",
                                     "\x01",
                                     "h' = ",
                                     "\nh' = W x + U h + b\n",
                                     "state m[",
                                     "init b = ",
                                     "let k = 0.5\n",
                                     "size r = ",
                                     "a, b = split(",
                                     "W x",
                                     "U h",
                                     "+ b",
                                     "observe g\n"};

static void add_token(dice *d, text *to) {
    const char *token = ONE_OF(d, tokens);
    text_add(to, token, strlen(token));
}

void soup(dice *d, text *to) {
    int count = 1 + below(d, one_in(d, 20) ? 2000 : 60);
    for (int i = 0; i < count; i++) {
        add_token(d, to);
        if (!one_in(d, 3))
            text_add(to, " ", 1);
    }
}

/* ---- Edits ----------------------------------------------------------------------------------- */

/* Comments are not what is to be tested. */
static void drop_comments(text *t) {
    for (size_t at = 0; at < t->length;) {
        size_t length = strcspn(t->bytes + at, "\n");
        length += at + length < t->length ? 1 : 0;
        if (t->bytes[at] == '#')
            text_replace(t, at, length, "", 0);
        else
            at += length;
    }
}

/* A part of a text, from where a token begins to where one ends in half of the cases. */
static void any_part(dice *d, const text *t, size_t *from, size_t *count) {
    static const char ends[] = " \t\n=+-*/^()[],'#";
    bool whole = one_in(d, 2);
    *from = (size_t)below(d, (int)t->length + 1);
    *count = (size_t)below(d, one_in(d, 10) ? 400 : 12);
    while (whole && *from > 0 && strchr(ends, t->bytes[*from - 1]) == NULL)
        --*from;
    *count = *count > t->length - *from ? t->length - *from : *count;
    while (whole && *from + *count < t->length && strchr(ends, t->bytes[*from + *count]) == NULL)
        ++*count;
}

/* A part of a text of its own: the text that is edited may move. */
static text copy_of_part(const text *t, size_t from, size_t count) {
    text copy = {NULL, 0, 0};
    text_add(&copy, t->bytes + from, count);
    return copy;
}

static void edit_byte(dice *d, text *t, size_t from) {
    char byte = (char)(1 + below(d, 255));
    if (from < t->length && one_in(d, 2))
        byte = (char)(t->bytes[from] ^ (1 << below(d, 8)));
    text_replace(t, from, from < t->length ? 1 : 0, byte != '\0' ? &byte : "\n", 1);
}

static void repeat_part(dice *d, text *t, size_t from, size_t count) {
    text part = copy_of_part(t, from, count);
    int times = one_in(d, 40) ? 1 + below(d, 3000) : 1 + below(d, 3);
    while (times-- > 0 && t->length + count < 300000)
        text_replace(t, from, 0, part.bytes, part.length);
    text_free(&part);
}

static void splice(dice *d, text *t, size_t from, size_t count, const text *other) {
    size_t at, length;
    any_part(d, other, &at, &length);
    if (one_in(d, 4)) { /* whole lines */
        while (at > 0 && other->bytes[at - 1] != '\n')
            at--;
        length = strcspn(other->bytes + at, "\n") + 1;
        length = length > other->length - at ? other->length - at : length;
    }
    text part = copy_of_part(other, at, length);
    text_replace(t, from, one_in(d, 2) ? count : 0, part.bytes, part.length);
    text_free(&part);
}

static void edit(dice *d, const corpus *c, text *t) {
    size_t from, count;
    text token = {NULL, 0, 0};
    any_part(d, t, &from, &count);
    switch (below(d, 8)) {
    case 0:
        edit_byte(d, t, from);
        break;
    case 1:
        text_replace(t, from, count, "", 0);
        break;
    case 2:
        repeat_part(d, t, from, count);
        break;
    case 3:
    case 4:
        splice(d, t, from, count, &c->texts[below(d, c->count)]);
        break;
    case 5:
        splice(d, t, from, count, t);
        break;
    default:
        add_token(d, &token);
        text_replace(t, from, one_in(d, 2) ? count : 0, token.bytes, token.length);
    }
    text_free(&token);
}

void mutate(dice *d, const corpus *c, const text *own, text *to) {
    const text *seed = one_in(d, 4) ? own : &c->texts[below(d, c->count)];
    text_add(to, seed->bytes, seed->length);
    if (!one_in(d, 10))
        drop_comments(to);
    for (int edits = 1 + below(d, one_in(d, 5) ? 30 : 4); edits > 0; edits--)
        edit(d, c, to);
}
