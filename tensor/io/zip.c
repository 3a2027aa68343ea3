/* The list of members stands at an archive's end, behind it a record that says where it is. Every
   offset is compared with the file's size before it is followed. */
#include "tensor/io/zip.h"

#include "tensor/io/file_data.h"
#include "tensor/memory.h"

#include <string.h>

enum {
    END_SIZE = 22,
    LOCATOR_SIZE = 20,
    END_64_SIZE = 56,
    MEMBER_SIZE = 46,
    LONGEST_COMMENT = 65535,
    EXTRA_64 = 1, /* the kind of extra field that has sizes of 64 bits */
    MOST_MEMBERS = 1 << 20
};

static uint64_t number_at(const unsigned char *bytes, int size) {
    uint64_t number = 0;
    for (int i = size; i > 0; i--)
        number = number << 8 | bytes[i - 1];
    return number;
}

static bool begins_with(const unsigned char *bytes, const char *signature) {
    return memcmp(bytes, signature, 4) == 0;
}

static cb_status damaged(const cbi_file *file, const char *what, cb_error *error) {
    return cbi_file_error(error, CB_ERROR_FORMAT, file->path, "ZIP archive: %s", what);
}

/* Where the list of members is, and how many there are. */
typedef struct place {
    uint64_t offset, size, count;
} place;

/* The record of an archive with numbers of 64 bits, which is where the locator before the end says.
 */
static cb_status read_end_64(const cbi_file *file, const unsigned char *locator, place *list,
                             cb_error *error) {
    unsigned char end[END_64_SIZE];
    uint64_t offset = number_at(locator + 8, 8);
    if (!begins_with(locator, "PK\6\7") || file->size < END_64_SIZE ||
        offset > file->size - END_64_SIZE)
        return damaged(file, "its end is damaged", error);
    cb_status status = cbi_file_read_at(file, offset, end, sizeof end, error);
    if (status != CB_OK)
        return status;
    if (!begins_with(end, "PK\6\6"))
        return damaged(file, "its end is damaged", error);
    *list = (place){.count = number_at(end + 32, 8),
                    .size = number_at(end + 40, 8),
                    .offset = number_at(end + 48, 8)};
    return CB_OK;
}

/* Finds the end record in the last bytes of a file, behind which there may be a comment. */
static cb_status find_list(const cbi_file *file, const unsigned char *tail, size_t size,
                           place *list, cb_error *error) {
    for (size_t at = size; at-- > 0;) {
        const unsigned char *end = tail + at;
        if (size - at < END_SIZE || !begins_with(end, "PK\5\6") ||
            number_at(end + 20, 2) != size - at - END_SIZE)
            continue;
        *list = (place){.count = number_at(end + 10, 2),
                        .size = number_at(end + 12, 4),
                        .offset = number_at(end + 16, 4)};
        bool wide =
            list->count == UINT16_MAX || list->size == UINT32_MAX || list->offset == UINT32_MAX;
        if (wide && at >= LOCATOR_SIZE)
            return read_end_64(file, end - LOCATOR_SIZE, list, error);
        return CB_OK;
    }
    return damaged(file, "there is no end of one", error);
}

static cb_status locate_list(const cbi_file *file, place *list, cb_error *error) {
    uint64_t most = END_SIZE + LONGEST_COMMENT + LOCATOR_SIZE;
    size_t size = (size_t)(file->size < most ? file->size : most);
    unsigned char *tail = cbi_allocate_unset(size + 1);
    if (tail == NULL)
        return cbi_file_error(error, CB_ERROR_MEMORY, file->path, "no memory");
    cb_status status = cbi_file_read_at(file, file->size - size, tail, size, error);
    if (status == CB_OK)
        status = find_list(file, tail, size, list, error);
    cbi_free(tail);
    if (status == CB_OK && (list->offset > file->size || list->size > file->size - list->offset ||
                            list->count > list->size / MEMBER_SIZE || list->count > MOST_MEMBERS))
        status = damaged(file, "its list of members lies beyond the file", error);
    return status;
}

/* Numbers that do not fit in 32 bits are in an extra field, those that do not and in this order. */
static bool read_extra_64(const unsigned char *extra, size_t size, cbi_zip_member *member) {
    uint64_t *wide[3] = {&member->size, &member->compressed, &member->header};
    for (size_t at = 0; size - at >= 4;) {
        size_t length = (size_t)number_at(extra + at + 2, 2), used = at + 4;
        if (length > size - used)
            return false;
        for (int i = 0; number_at(extra + at, 2) == EXTRA_64 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (used + 8 > at + 4 + length)
                return false;
            *wide[i] = number_at(extra + used, 8);
            used += 8;
        }
        at += 4 + length;
    }
    return true;
}

/* Reads a member of the list, of which `left` bytes are there; returns how many it takes, or 0. */
static size_t read_member(const unsigned char *bytes, size_t left, cbi_zip_member *member,
                          char *name) {
    if (left < MEMBER_SIZE || !begins_with(bytes, "PK\1\2"))
        return 0;
    size_t name_size = (size_t)number_at(bytes + 28, 2), extra = (size_t)number_at(bytes + 30, 2);
    size_t whole = MEMBER_SIZE + name_size + extra + (size_t)number_at(bytes + 32, 2);
    if (whole > left)
        return 0;
    *member = (cbi_zip_member){.name = name,
                               .encrypted = (number_at(bytes + 8, 2) & 1) != 0,
                               .method = (int)number_at(bytes + 10, 2),
                               .checksum = (uint32_t)number_at(bytes + 16, 4),
                               .compressed = number_at(bytes + 20, 4),
                               .size = number_at(bytes + 24, 4),
                               .header = number_at(bytes + 42, 4)};
    memcpy(name, bytes + MEMBER_SIZE, name_size);
    name[name_size] = '\0';
    return read_extra_64(bytes + MEMBER_SIZE + name_size, extra, member) ? whole : 0;
}

static cb_status read_members(cbi_zip *zip, const unsigned char *bytes, const place *list,
                              cb_error *error) {
    char *name = zip->names;
    size_t at = 0;
    for (; zip->count < (int)list->count; zip->count++) {
        size_t used =
            read_member(bytes + at, (size_t)list->size - at, &zip->members[zip->count], name);
        if (used == 0)
            return damaged(zip->file, "its list of members is damaged", error);
        at += used;
        name += strlen(name) + 1;
    }
    return CB_OK;
}

cb_status cbi_zip_open(cbi_zip *zip, const cbi_file *file, cb_error *error) {
    place list = {0};
    *zip = (cbi_zip){.file = file};
    cb_status status = locate_list(file, &list, error);
    if (status != CB_OK)
        return status;
    unsigned char *bytes = cbi_allocate_unset((size_t)list.size + 1);
    zip->members = cbi_allocate(cbi_multiply((size_t)list.count, sizeof *zip->members));
    zip->names = cbi_allocate_unset((size_t)(list.size + list.count) + 1);
    if (bytes == NULL || zip->members == NULL || zip->names == NULL)
        status = cbi_file_error(error, CB_ERROR_MEMORY, file->path, "no memory for %llu members",
                                (unsigned long long)list.count);
    else
        status = cbi_file_read_at(file, list.offset, bytes, (size_t)list.size, error);
    if (status == CB_OK)
        status = read_members(zip, bytes, &list, error);
    cbi_free(bytes);
    if (status != CB_OK)
        cbi_zip_close(zip);
    return status;
}

void cbi_zip_close(cbi_zip *zip) {
    cbi_free(zip->members);
    cbi_free(zip->names);
    *zip = (cbi_zip){.file = zip->file};
}
