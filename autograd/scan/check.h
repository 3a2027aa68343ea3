/* A recurrence run compiled and op by op on the same small problem, and compared. */
#ifndef CEREBRA_AUTOGRAD_SCAN_CHECK_H
#define CEREBRA_AUTOGRAD_SCAN_CHECK_H

#include "autograd/scan/scan_internal.h"

/* What to run, as far as plans and their runs differ with it. */
typedef struct cbi_check_form {
    int64_t time, batch;
    bool looked_up, reverse, lengths;
    bool evaluating;                 /* see cb_tape_evaluate */
    bool gradients, of_x, of_states; /* which gradients are wanted, besides those of: */
    bool own;                        /* variables that the step puts on the tape itself; */
    const bool *of_weights;          /* each weight; NULL: all */
    const char *const *weight_names, *const *state_names; /* NULL: numbers */
    cb_tensor *const *weights; /* whose values are used, on any tape or none; NULL: random */
    /* A run, from which x and the states are taken where the step fails on random ones: x [time,
       batch, input], or the table and the rows; NULL: there is none. */
    const cbi_scan_run *run;
} cbi_check_form;

/* Runs a form on one draw of inputs, or several where one of them fails: a kink, or a chaotic step,
   may make one differ. CB_OK when compiled and op by op agree, or when the step cannot be compared:
   it runs op by op anyway, or fails so: then nothing is added to what was compared, and the message
   says how. CB_ERROR_VALUE when they differ, CB_ERROR_MEMORY. The report is added to. */
cb_status cbi_check_scan(cb_scan *scan, const cbi_check_form *form, uint64_t seed, double tolerance,
                         cb_scan_check_report *report);

#endif
