/* Finding cells. What was found is kept in one list, which owns it until the process ends: models
   and checkpoints point into it. */
#include "chosen_cell.h"

#include "apps/cli/failure.h"
#include "apps/cli/options.h"
#include "cell_folder.h"
#include "cell_library.h"
#include "published_cells.h"
#include "tensor/nearest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MOST_SETTINGS = CB_CELL_MAX_SETTINGS };

typedef struct entry {
    chosen_cell chosen; /* what it points to belongs to the entry or to the program */
    struct entry *next;
    cb_cell *own;      /* a cell from text */
    char *set, *names; /* the names of settings are in there */
    cb_setting settings[MOST_SETTINGS + 1];
} entry;

static entry *entries;
static bool bad_file; /* the last choice failed because of a file */

bool cell_file_is_wrong(void) {
    return bad_file;
}

static void free_entry(entry *e) {
    if (e == NULL)
        return;
    cb_cell_free(e->own);
    free(e->set);
    free(e->names);
    free(e);
}

/* ---- Hyperparameters ------------------------------------------------------------------------- */

/* "name=value" into the next setting of an entry. */
static bool parse_setting(char *one, entry *to, int *count, char *error) {
    char *equals = strchr(one, '=');
    cb_setting *setting = &to->settings[*count];
    if (equals == NULL || equals == one || !options_parse_number(equals + 1, &setting->value))
        return failure(error, FAILURE_SIZE, "--set takes NAME=NUMBER, not \"%s\"", one);
    *equals = '\0';
    setting->name = one;
    for (int i = 0; i < *count; i++)
        if (strcmp(to->settings[i].name, one) == 0)
            return failure(error, FAILURE_SIZE, "--set names \"%s\" twice", one);
    return ++*count < MOST_SETTINGS ||
           failure(error, FAILURE_SIZE, "--set names more than %d hyperparameters",
                   MOST_SETTINGS - 1);
}

/* "name=value,..." into an entry's settings; NULL: none. */
static bool parse_settings(const char *set, entry *to, char *error) {
    int count = 0;
    to->set = strdup(set == NULL ? "" : set);
    to->names = strdup(to->set == NULL ? "" : to->set);
    if (to->set == NULL || to->names == NULL)
        return failure(error, FAILURE_SIZE, "out of memory");
    for (char *rest = set == NULL ? NULL : to->names; rest != NULL;) {
        char *one = rest, *comma = strchr(rest, ',');
        rest = comma == NULL ? NULL : comma + 1;
        one[comma == NULL ? strlen(one) : (size_t)(comma - one)] = '\0';
        if (*one == '\0') {
            return failure(error, FAILURE_SIZE,
                           *set == '\0'
                               ? "--set takes NAME=NUMBER,..., not nothing%s"
                               : "--set takes NAME=NUMBER,...; \"%s\" has a comma too many",
                           set);
        }
        if (!parse_setting(one, to, &count, error))
            return false;
    }
    return true;
}

/* Whether they can be read at all, whatever the cell. */
static bool check_set(const char *set, char *error) {
    entry *e = calloc(1, sizeof *e);
    bool good =
        e != NULL ? parse_settings(set, e, error) : failure(error, FAILURE_SIZE, "out of memory");
    free_entry(e);
    return good;
}

/* Whether a cell in C has the hyperparameters that are given. */
static bool check_settings(const cb_cell *cell, const cb_setting *settings, char *error) {
    for (const cb_setting *s = settings; s->name != NULL; s++) {
        bool found = false;
        for (int i = 0; i < cell->setting_count; i++)
            found = found || strcmp(cell->settings[i].name, s->name) == 0;
        if (!found) {
            return failure(error, FAILURE_SIZE, "the cell %s has no hyperparameter \"%s\"",
                           cell->name, s->name);
        }
    }
    return true;
}

/* ---- Kinds of cells -------------------------------------------------------------------------- */

static const cb_cell *cell_in_c(const char *name) {
    return strcmp(name, published_lstm_state_bias.name) == 0 ? &published_lstm_state_bias
                                                             : cb_cell_find(name);
}

static bool use_cell(entry *to, const cb_cell *cell, char *error) {
    to->chosen.cell = cell;
    to->chosen.settings = to->settings;
    return check_settings(cell, to->settings, error);
}

static bool use_text(entry *to, cb_cell *cell, const cb_error *reason, char *error) {
    to->own = cell;
    to->chosen.cell = cell;
    to->chosen.settings = to->settings + MOST_SETTINGS; /* they are in the cell already */
    if (cell == NULL) {
        bad_file = reason->status != CB_ERROR_VALUE; /* which is about settings */
        return failure(error, FAILURE_SIZE, "%s", reason->message);
    }
    to->chosen.text = cell->equations;
    return true;
}

static bool use_file(entry *to, const char *path, char *error) {
    cb_error reason = {0};
    const cb_cell_text_options options = {.settings = to->settings};
    return use_text(to, cb_cell_load(path, &options, &reason), &reason, error);
}

/* Says that there is no such cell, with the nearest name. */
static bool unknown(const char *name, char *error) {
    const char **names = cell_names();
    const char *nearest = names == NULL ? NULL : cbi_nearest_name(name, names);
    struct stat status;
    char path[512];
    snprintf(path, sizeof path, "%.500s.cell", name);
    if (nearest != NULL) {
        failure(error, FAILURE_SIZE, "--cell: there is no \"%s\" (did you mean %s?)", name,
                nearest);
    } else if (stat(path, &status) == 0) {
        failure(error, FAILURE_SIZE, "--cell: there is no \"%s\" (did you mean the file %s?)", name,
                path);
    } else {
        failure(error, FAILURE_SIZE, "--cell: there is no \"%s\"; see cerebra cells", name);
    }
    free(names);
    return false;
}

static bool find(entry *to, const char *which, char *error) {
    char path[CELL_FOLDER_PATH];
    const char *library = cell_library_in(which);
    if (library != NULL) {
        const cb_cell *cell = cell_library_open(which, &to->chosen.library, &bad_file, error);
        return cell != NULL && use_cell(to, cell, error);
    }
    size_t length = strlen(which);
    if (strchr(which, '/') != NULL || (length > 5 && strcmp(which + length - 5, ".cell") == 0))
        return use_file(to, which, error);
    const cb_cell *cell = cell_in_c(which);
    if (cell != NULL)
        return use_cell(to, cell, error);
    return cell_folder_find(which, path) ? use_file(to, path, error) : unknown(which, error);
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* Keeps an entry that is good. */
static const chosen_cell *keep(entry *e, bool good) {
    if (!good) {
        free_entry(e);
        return NULL;
    }
    e->chosen.name = e->chosen.cell->name;
    e->chosen.set = e->set;
    e->next = entries;
    entries = e;
    return &e->chosen;
}

const chosen_cell *cell_choose(const char *which, const char *set, char *error) {
    entry *e = calloc(1, sizeof *e);
    bad_file = false;
    if (e == NULL) {
        failure(error, FAILURE_SIZE, "out of memory");
        return NULL;
    }
    return keep(e, parse_settings(set, e, error) && find(e, which, error));
}

/* A cell of a library that was chosen before. */
static bool find_chosen(entry *to, const char *name, const char *library, char *error) {
    const chosen_cell *other = NULL;
    for (const entry *e = entries; e != NULL; e = e->next) {
        if (e->chosen.library != NULL && strcmp(e->chosen.name, name) == 0) {
            to->chosen.library = e->chosen.library;
            return use_cell(to, e->chosen.cell, error);
        }
        other = e->chosen.library != NULL ? &e->chosen : other;
    }
    if (other != NULL) {
        return failure(error, FAILURE_SIZE,
                       "its cell is \"%s\", from a shared library, not \"%s\" of %s", name,
                       other->name, other->library);
    }
    return failure(error, FAILURE_SIZE,
                   "its cell \"%s\" is from a shared library, %s: name it with --cell FILE.so:%s",
                   name, library, name);
}

const chosen_cell *cell_choose_kept(const char *name, const char *text, const char *library,
                                    const char *set, char *error) {
    entry *e = calloc(1, sizeof *e);
    cb_error reason = {0};
    set = set != NULL && *set == '\0' ? NULL : set;
    bool good =
        e != NULL ? parse_settings(set, e, error) : failure(error, FAILURE_SIZE, "out of memory");
    if (good && library != NULL) {
        good = find_chosen(e, name, library, error);
    } else if (good && text != NULL) {
        const cb_cell_text_options options = {
            .name = name, .file = "its cell", .settings = e->settings};
        good = use_text(e, cb_cell_parse(text, &options, &reason), &reason, error);
    } else if (good) {
        const cb_cell *cell = cell_in_c(name);
        good = cell != NULL ? use_cell(e, cell, error)
                            : failure(error, FAILURE_SIZE,
                                      "its cell \"%s\" is unknown to this version", name);
    }
    return e == NULL ? NULL : keep(e, good);
}

/* Those of the hyperparameters "a=1,b=2" that a cell has, as text of its own; notes in `used` which
   they are, bit by bit. NULL without memory. */
static char *fitting(const char *which, const char *set, uint64_t *used) {
    char error[FAILURE_SIZE], *text = calloc(1, strlen(set) + 1), *copy = strdup(set), *rest = copy;
    for (int i = 0; text != NULL && rest != NULL && i < MOST_SETTINGS; i++) {
        char *one = rest, *comma = strchr(rest, ',');
        rest = comma == NULL ? NULL : comma + 1;
        one[comma == NULL ? strlen(one) : (size_t)(comma - one)] = '\0';
        if (cell_choose(which, one, error) != NULL) {
            *used |= (uint64_t)1 << i;
            strcat(strcat(text, text[0] == '\0' ? "" : ","), one);
        }
    }
    if (copy == NULL) {
        free(text);
        text = NULL;
    }
    free(copy);
    return text;
}

/* Says which of the hyperparameters no cell has; true when there is none. */
static bool all_used(const char *set, uint64_t used, char *error) {
    for (int i = 0; set != NULL && *set != '\0'; i++) {
        int length = (int)strcspn(set, ",");
        if ((used >> i & 1) == 0) {
            return failure(error, FAILURE_SIZE, "--set: \"%.*s\" fits none of the cells", length,
                           set);
        }
        set += length + (set[length] == ',');
    }
    return true;
}

/* One cell of a list. */
static const chosen_cell *choose_fitting(const char *which, const char *set, uint64_t *used,
                                         char *error) {
    const chosen_cell *plain = set == NULL ? NULL : cell_choose(which, NULL, error);
    char *own = plain == NULL ? NULL : fitting(which, set, used);
    if (set == NULL)
        return cell_choose(which, NULL, error);
    if (plain != NULL && own == NULL)
        failure(error, FAILURE_SIZE, "out of memory");
    const char *fits = own == NULL || *own == '\0' ? NULL : own;
    const chosen_cell *chosen = own == NULL ? NULL : cell_choose(which, fits, error);
    free(own);
    return chosen;
}

int cell_choose_list(const char *list, const char *set, const chosen_cell **chosen, int most,
                     char *error) {
    char *copy = strdup(list), *rest = copy;
    int count = 0;
    uint64_t used = 0;
    bool alone = strchr(list, ',') == NULL;
    bad_file = false;
    bool good = copy != NULL || failure(error, FAILURE_SIZE, "out of memory");
    good = good && check_set(set, error);
    while (good && rest != NULL) {
        char *which = rest, *comma = strchr(rest, ',');
        rest = comma == NULL ? NULL : comma + 1;
        which[comma == NULL ? strlen(which) : (size_t)(comma - which)] = '\0';
        if (count == most) {
            good = failure(error, FAILURE_SIZE, "--cell names more than %d cells", most);
        } else {
            chosen[count] =
                alone ? cell_choose(which, set, error) : choose_fitting(which, set, &used, error);
            good = chosen[count++] != NULL;
        }
    }
    free(copy);
    good = good && (alone || all_used(set, used, error));
    return good ? count : -1;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* A text of equations as it was read, with all numbers that were set; NULL without memory, or for a
   cell in C. */
static char *as_read(const chosen_cell *chosen) {
    size_t length = cb_cell_equations(chosen->cell, NULL, 0);
    char *text = length > 0 ? malloc(length + 1) : NULL;
    if (text != NULL)
        cb_cell_equations(chosen->cell, text, length + 1);
    return text;
}

bool cell_says_the_same(const chosen_cell *named, const chosen_cell *kept) {
    if (named->text == NULL || kept->text == NULL) {
        return named->text == kept->text && (named->library == NULL) == (kept->library == NULL) &&
               strcmp(named->name, kept->name) == 0;
    }
    if (strcmp(named->text, kept->text) == 0)
        return true;
    /* Comments and spaces say nothing. Both are read with the same hyperparameters. */
    char error[FAILURE_SIZE], *now = NULL, *before = as_read(kept);
    const chosen_cell *again = cell_choose_kept(named->name, named->text, NULL, kept->set, error);
    now = again == NULL ? NULL : as_read(again);
    bool same = now != NULL && before != NULL && strcmp(now, before) == 0;
    free(now);
    free(before);
    return same;
}

/* What a hyperparameter, or a size, of the cell is. */
static bool value_of(const chosen_cell *chosen, const char *name, double *value) {
    const cb_cell *cell = chosen->cell;
    bool found = false;
    for (int i = 0; i < cell->setting_count; i++) {
        if (strcmp(cell->settings[i].name, name) == 0) {
            *value = cell->settings[i].value;
            found = true;
        }
    }
    for (const cb_setting *s = chosen->settings; s->name != NULL; s++)
        *value = strcmp(s->name, name) == 0 ? s->value : *value;
    /* Sizes are in the text alone, as "size NAME = NUMBER". */
    char *text = found ? NULL : as_read(chosen);
    size_t length = strlen(name);
    for (const char *line = text; line != NULL && !found; line = strchr(line, '\n')) {
        line += *line == '\n';
        found = strncmp(line, "size ", 5) == 0 && strncmp(line + 5, name, length) == 0 &&
                sscanf(line + 5 + length, " = %lf", value) == 1;
    }
    free(text);
    return found;
}

/* Says that a hyperparameter is another, when it is. */
static bool check_value(const chosen_cell *kept, const chosen_cell *now, const char *name,
                        bool typed, const char *path, char *error) {
    double is = 0, was = 0;
    if (!value_of(kept, name, &was) || !value_of(now, name, &is) || is == was)
        return true;
    return failure(error, FAILURE_SIZE,
                   typed ? "%s was made with --set %s=%.15g, not %s=%.15g"
                         : "%s was made with --set %s=%.15g; without it, %s is %.15g",
                   path, name, was, name, is);
}

bool cell_check_set(const chosen_cell *kept, const char *set, const char *path, char *error) {
    char message[FAILURE_SIZE] = "";
    if (!check_set(set, error))
        return false;
    const chosen_cell *now = cell_choose_kept(kept->name, kept->text, kept->library, set, message);
    if (now == NULL)
        return failure(error, FAILURE_SIZE, "%s: %.900s", path, message);
    /* A chosen cell is the first part of its entry, which has all that was set. */
    const entry *both[2] = {(const entry *)now, (const entry *)kept};
    for (int k = 0; k < 2; k++) {
        for (const cb_setting *s = both[k]->settings; s->name != NULL; s++)
            if (!check_value(kept, now, s->name, k == 0, path, error))
                return false;
    }
    return true;
}

const char **cell_names(void) {
    const char *const *files = cell_folder_names();
    size_t count = 2;
    for (const cb_cell *const *c = cb_cells(); *c != NULL; c++)
        count++;
    for (size_t i = 0; files[i] != NULL; i++)
        count++;
    const char **names = calloc(count, sizeof *names);
    size_t at = 0;
    for (const cb_cell *const *c = cb_cells(); names != NULL && *c != NULL; c++)
        names[at++] = (*c)->name;
    if (names != NULL)
        names[at++] = published_lstm_state_bias.name;
    for (size_t i = 0; names != NULL && files[i] != NULL; i++)
        names[at++] = files[i];
    return names;
}
