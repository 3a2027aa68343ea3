/* Loading a shared library of cells. It stays loaded: networks point to its cells. */
#include "cell_library.h"

#include "apps/cli/failure.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char symbol[] = "cerebra_cells";

const char *cell_library_in(const char *which) {
    for (const char *at = strstr(which, ".so"); at != NULL; at = strstr(at + 1, ".so"))
        if (at[3] == '\0' || (at[3] == ':' && strchr(at + 4, '/') == NULL))
            return at + 3;
    return NULL;
}

/* Paths of libraries; they last as long as the process. */
static const char *kept(char *path) {
    static char *paths[64];
    for (int i = 0; i < 64; i++) {
        if (paths[i] != NULL && strcmp(paths[i], path) == 0) {
            free(path);
            return paths[i];
        }
        if (paths[i] == NULL)
            return paths[i] = path;
    }
    free(path);
    return NULL;
}

/* Whether the table can be used by this version of the library. */
static bool check_table(const cb_cell_library *table, const char *path, char *error) {
    if (table == NULL) {
        return failure(error, FAILURE_SIZE,
                       "%s has no cells: it exports no %s; write CB_CELL_LIBRARY(&my_cell) in it",
                       path, symbol);
    }
    if (table->version != CB_CELL_LIBRARY_VERSION || table->cell_size != sizeof(cb_cell)) {
        return failure(error, FAILURE_SIZE,
                       "%s was built for another version of cerebra (%d, %zu bytes a cell; this is "
                       "%d, %zu): build it again",
                       path, table->version, table->cell_size, CB_CELL_LIBRARY_VERSION,
                       sizeof(cb_cell));
    }
    if (table->cells == NULL || table->cells[0] == NULL)
        return failure(error, FAILURE_SIZE, "%s has an empty table of cells", path);
    return true;
}

static const cb_cell *pick(const cb_cell_library *table, const char *name, const char *path,
                           char *error) {
    char list[400] = "";
    for (const cb_cell *const *c = table->cells; *c != NULL; c++) {
        const char *its = (*c)->name == NULL ? "(no name)" : (*c)->name;
        size_t length = strlen(list);
        if (name[0] == '\0' ? table->cells[1] == NULL : strcmp(its, name) == 0)
            return *c;
        snprintf(list + length, sizeof list - length, "%s%s", length > 0 ? ", " : "", its);
    }
    if (name[0] == '\0') {
        failure(error, FAILURE_SIZE, "%s has several cells; name one: %s:NAME, of %s", path, path,
                list);
    } else {
        failure(error, FAILURE_SIZE, "%s has no cell \"%s\"; it has %s", path, name, list);
    }
    return NULL;
}

const cb_cell *cell_library_open(const char *which, const char **library, bool *bad_file,
                                 char *error) {
    const char *end = cell_library_in(which), *name = *end == ':' ? end + 1 : end;
    size_t length = (size_t)(end - which);
    char *path = malloc(length + 3);
    if (path == NULL) {
        failure(error, FAILURE_SIZE, "out of memory");
        return NULL;
    }
    /* Without a "/", dlopen looks among the system's libraries. */
    snprintf(path, length + 3, "%s%.*s", memchr(which, '/', length) != NULL ? "" : "./",
             (int)length, which);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *bad_file = handle == NULL;
    if (handle == NULL) {
        failure(error, FAILURE_SIZE, "cannot load %s: %s", path, dlerror());
        free(path);
        return NULL;
    }
    const cb_cell_library *table = (const cb_cell_library *)dlsym(handle, symbol);
    *bad_file = !check_table(table, path, error);
    const cb_cell *cell = *bad_file ? NULL : pick(table, name, path, error);
    if (cell == NULL) {
        dlclose(handle);
        free(path);
        return NULL;
    }
    *library = kept(path);
    return cell;
}
