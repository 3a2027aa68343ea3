/* What programs have in them: forms, and properties that a form alone does not show. */
#ifndef CEREBRA_TESTS_FUZZ_COVERAGE_H
#define CEREBRA_TESTS_FUZZ_COVERAGE_H

#include "program.h"

typedef struct feature {
    const char *group, *text;
    /* One of them: of the whole, or of any value that a state depends on. */
    bool (*of_program)(const program *p);
    bool (*of_value)(const program *p, const value *v);
} feature;

/* Ended by one without text. */
extern const feature all_features[];

enum { MOST_FORMS = 144, MOST_FEATURES = 128 };

/* Sets has_form[i] for all_forms[i], has_feature[i] for all_features[i]. */
void cover(const program *p, bool has_form[MOST_FORMS], bool has_feature[MOST_FEATURES]);

#endif
