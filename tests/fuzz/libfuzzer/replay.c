/* A main function for builds without libFuzzer: runs a target on every file of a folder, and on
   random edits of each.

       fuzz_NAME FOLDER [EDITS [SEED]]

   EDITS is how many edits of each file are tried (100); the first line printed names the seed. An
   input that ends the process is left in the working directory as replayed-input. */
#include "target.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LARGEST = 1 << 20, MOST_EDITS = 8, ROOM = 2 * LARGEST };

static uint64_t state;

/* A random number below limit (splitmix64). */
static size_t below(size_t limit) {
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return limit == 0 ? 0 : (size_t)((z ^ (z >> 31)) % limit);
}

/* One edit of the bytes, which stay within twice the largest file; returns the new size. */
static size_t edit(uint8_t *bytes, size_t size) {
    size_t at = below(size), length = below(16) + 1;
    length = length > size - at ? size - at : length;
    switch (below(5)) {
    case 0: /* cut off */
        return at;
    case 1: /* take out */
        memmove(bytes + at, bytes + at + length, size - at - length);
        return size - length;
    case 2: /* say twice */
        if (size + length > ROOM)
            return size;
        memmove(bytes + at + length, bytes + at, size - at);
        return size + length;
    case 3: /* an extreme */
        for (size_t i = 0; i < length; i++)
            bytes[at + i] = below(2) == 0 ? 0xff : 0;
        return size;
    default:
        for (size_t i = 0; i < length; i++)
            bytes[at + i] = (uint8_t)below(256);
        return size;
    }
}

/* Leaves the input where it can be found when the process ends in it. */
static void run(const uint8_t *bytes, size_t size) {
    FILE *file = fopen("replayed-input", "wb");
    if (file != NULL) {
        fwrite(bytes, 1, size, file);
        fclose(file);
    }
    LLVMFuzzerTestOneInput(bytes, size);
}

static void run_file(const char *path, long edits) {
    static uint8_t original[LARGEST], bytes[ROOM];
    FILE *file = fopen(path, "rb");
    fuzz_expect(file != NULL, path);
    size_t size = fread(original, 1, LARGEST, file);
    fclose(file);
    run(original, size);
    for (long i = 0; i < edits; i++) {
        size_t edited = size;
        memcpy(bytes, original, size);
        for (size_t k = below(MOST_EDITS) + 1; k > 0; k--)
            edited = edit(bytes, edited);
        run(bytes, edited);
    }
}

int main(int argc, char **argv) {
    DIR *folder = argc > 1 ? opendir(argv[1]) : NULL;
    long edits = argc > 2 ? atol(argv[2]) : 100;
    int files = 0;
    state = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    printf("seed %llu, %ld edits of each file\n", (unsigned long long)state, edits);
    fflush(stdout);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
        run_file(path, edits);
        files++;
    }
    if (folder != NULL)
        closedir(folder);
    remove("replayed-input");
    printf("%d files\n", files);
    return files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
