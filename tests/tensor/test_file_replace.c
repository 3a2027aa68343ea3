/* Replacing a file: the old contents stay until the new ones are complete. What writers do with it
   is in test_safetensors.c and test_npy.c. */
#include "tensor/io/file_replace.h"

#include "tensor/memory.h"
#include "tests/support.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[CBT_PATH_SIZE];
static char path[CBT_PATH_SIZE];

static void setup(void) {
    cbt_directory_make(directory);
    cbt_join(path, directory, "file");
}

static void teardown(void) {
    cbt_directory_remove(directory);
}

TestSuite(file_replace, .init = setup, .fini = teardown);

/* That the file holds this text and is alone in its directory. */
static void holds(const char *text) {
    size_t size;
    unsigned char *bytes = cbt_read_file(path, &size);
    cr_assert_eq(size, strlen(text));
    cr_assert_eq(memcmp(bytes, text, size), 0);
    free(bytes);
    cr_assert_eq(cbt_directory_count(directory), 1);
}

static void start(cbi_replacement *file, const char *text) {
    cb_error error;
    cr_assert_eq(cbi_replacement_open(file, path, &error), CB_OK, "%s", error.message);
    cr_assert_geq(fputs(text, file->stream), 0);
}

Test(file_replace, old_contents_until_commit) {
    cbi_replacement file;
    cbt_write_file(path, "old", 3);
    start(&file, "new and longer");
    cr_assert_eq(fflush(file.stream), 0);
    size_t size;
    unsigned char *bytes = cbt_read_file(path, &size);
    cr_assert(size == 3 && memcmp(bytes, "old", 3) == 0);
    free(bytes);
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    holds("new and longer");
}

Test(file_replace, abandoned) {
    cbi_replacement file;
    cbt_write_file(path, "old", 3);
    start(&file, "new");
    cbi_replacement_abandon(&file);
    holds("old");
}

Test(file_replace, abandoned_without_a_target) {
    cbi_replacement file;
    start(&file, "new");
    cbi_replacement_abandon(&file);
    cr_assert_eq(cbt_directory_count(directory), 0);
}

Test(file_replace, two_at_once) {
    cbi_replacement first, second;
    start(&first, "first");
    start(&second, "second");
    cr_assert_eq(cbi_replacement_commit(&second, NULL), CB_OK);
    cr_assert_eq(cbi_replacement_commit(&first, NULL), CB_OK);
    holds("first");
}

Test(file_replace, new_file_has_the_permissions_of_the_umask) {
    cbi_replacement file;
    struct stat status;
    umask(027);
    start(&file, "x");
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    cr_assert(stat(path, &status) == 0 && (status.st_mode & 0777) == 0640);
}

/* A directory takes the name meanwhile: the rename fails and says so. */
Test(file_replace, rename_that_fails) {
    cbi_replacement file;
    cb_error error;
    start(&file, "new");
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_eq(cbi_replacement_commit(&file, &error), CB_ERROR_FILE);
    cr_assert_eq(error.status, CB_ERROR_FILE);
    cr_assert_not_null(strstr(error.message, path));
    cr_assert_eq(rmdir(path), 0);
    cr_assert_eq(cbt_directory_count(directory), 0);
}

Test(file_replace, long_name_and_current_directory) {
    char name[256];
    cbi_replacement file;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_assert_eq(chdir(directory), 0);
    cr_assert_eq(cbi_replacement_open(&file, name, NULL), CB_OK);
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    cr_assert_eq(access(name, F_OK), 0);
    cr_assert_eq(chdir("/"), 0);
}

Test(file_replace, devices_and_standard_output) {
    cbi_replacement file;
    cb_error error;
    cr_assert_eq(cbi_replacement_open(&file, "/dev/null", NULL), CB_OK);
    cr_assert_eq(fputs("x", file.stream) < 0, false);
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    cr_assert_eq(cbi_replacement_open(&file, "/dev/full", NULL), CB_OK);
    fputs("x", file.stream);
    cr_assert_eq(cbi_replacement_commit(&file, &error), CB_ERROR_FILE);
    cr_assert_str_eq(error.message, "cannot write /dev/full: No space left on device");
    cr_assert_eq(cbi_replacement_open_output(&file, "-", NULL), CB_OK);
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    cr_assert_eq(access("/dev/full", F_OK), 0);
}

/* A file with the name of a temporary one of `path`, as a writer leaves it that was killed. */
static char *left_over(void) {
    char *name = cbi_replacement_side_name(path, "0.tmp");
    cr_assert_not_null(name);
    cbt_write_file(name, "half", 4);
    return name;
}

Test(file_replace, what_a_killed_writer_left_is_removed) {
    cbi_replacement file;
    char *name = left_over();
    start(&file, "new");
    cr_assert_str_eq(file.temporary, name);
    cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
    holds("new");
    cbi_free(name);
    name = left_over();
    cbi_replacement_clean(path);
    holds("new");
    cbi_free(name);
}

Test(file_replace, what_another_writes_is_left_alone) {
    cbi_replacement first, second;
    start(&first, "first");
    start(&second, "second");
    cr_assert_str_neq(first.temporary, second.temporary);
    cbi_replacement_clean(path);
    cr_assert_eq(cbt_directory_count(directory), 2);
    cr_assert_eq(cbi_replacement_commit(&second, NULL), CB_OK);
    cr_assert_eq(cbi_replacement_commit(&first, NULL), CB_OK);
    holds("first");
}

/* Links are followed to where they lead, also when nothing is there yet. */
Test(file_replace, links_are_followed) {
    char link[CBT_PATH_SIZE], other[CBT_PATH_SIZE], loop[CBT_PATH_SIZE];
    cbi_replacement file;
    cb_error error;
    cbt_join(link, directory, "link");
    cbt_join(other, directory, "second link");
    cbt_join(loop, directory, "loop");
    cr_assert_eq(symlink("second link", link), 0);
    cr_assert_eq(symlink(path, other), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(cbi_replacement_open(&file, link, &error), CB_OK, "%s", error.message);
        cr_assert_geq(fputs(i == 0 ? "made" : "replaced", file.stream), 0);
        cr_assert_eq(cbi_replacement_commit(&file, NULL), CB_OK);
        struct stat status;
        cr_assert(lstat(link, &status) == 0 && S_ISLNK(status.st_mode));
        cr_assert(lstat(path, &status) == 0 && S_ISREG(status.st_mode));
    }
    cr_assert_eq(unlink(link), 0);
    cr_assert_eq(unlink(other), 0);
    holds("replaced");
    cr_assert_eq(symlink("loop", loop), 0);
    cr_assert_eq(cbi_replacement_open(&file, loop, &error), CB_ERROR_FILE);
    cr_assert_not_null(strstr(error.message, "symbolic links"), "%s", error.message);
}

/* A write that fails long before the end: the reason is still that of the system. */
Test(file_replace, a_full_disk_is_named, .signal = 0) {
    struct rlimit before, small = {100000, 100000};
    cbi_replacement file;
    cb_error error;
    char bytes[4096] = {0};
    cbt_write_file(path, "old", 3);
    getrlimit(RLIMIT_FSIZE, &before);
    small.rlim_max = before.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(cbi_replacement_open(&file, path, &error), CB_OK);
    setrlimit(RLIMIT_FSIZE, &small);
    for (int i = 0; i < 100; i++)
        fwrite(bytes, 1, sizeof bytes, file.stream);
    cr_assert_eq(cbi_replacement_commit(&file, &error), CB_ERROR_FILE);
    setrlimit(RLIMIT_FSIZE, &before);
    cr_assert_not_null(strstr(error.message, strerror(EFBIG)), "%s", error.message);
    holds("old");
}
