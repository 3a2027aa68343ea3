/* The folder of cells is looked for where it is installed (CB_DATA_DIR) and then in the source tree
   (CB_SOURCE_CELLS_DIR), so that an uninstalled build works too. */
#include "cell_folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef CB_DATA_DIR
#define CB_DATA_DIR ""
#endif
#ifndef CB_SOURCE_CELLS_DIR
#define CB_SOURCE_CELLS_DIR ""
#endif

enum { MOST_CELLS = 256 };

static const char *const places[] = {CB_DATA_DIR "/cells", CB_SOURCE_CELLS_DIR};

bool cell_folder_find(const char *name, char path[CELL_FOLDER_PATH]) {
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        int length = snprintf(path, CELL_FOLDER_PATH, "%s/%s.cell", places[i], name);
        FILE *file = length < CELL_FOLDER_PATH ? fopen(path, "r") : NULL;
        if (file != NULL) {
            fclose(file);
            return true;
        }
    }
    return false;
}

static int in_order(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Adds the cells of a folder that are not in the list yet. */
static int add_names(const char *place, const char **names, int count) {
    DIR *folder = opendir(place);
    for (struct dirent *file; folder != NULL && (file = readdir(folder)) != NULL;) {
        size_t length = strlen(file->d_name);
        bool known = false;
        if (length <= 5 || strcmp(file->d_name + length - 5, ".cell") != 0 || count == MOST_CELLS)
            continue;
        file->d_name[length - 5] = '\0';
        for (int i = 0; i < count; i++)
            known = known || strcmp(names[i], file->d_name) == 0;
        names[count] = known ? NULL : strdup(file->d_name);
        count += names[count] != NULL;
    }
    if (folder != NULL)
        closedir(folder);
    return count;
}

const char *const *cell_folder_names(void) {
    static const char *names[MOST_CELLS + 1];
    static int count = -1;
    if (count < 0) {
        count = add_names(places[0], names, 0);
        count = add_names(places[1], names, count);
        names[count] = NULL;
        qsort(names, (size_t)count, sizeof names[0], in_order);
    }
    return names;
}
