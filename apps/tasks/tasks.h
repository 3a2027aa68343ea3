/* The rows of the table of tasks. */
#ifndef CEREBRA_APPS_TASKS_TASKS_H
#define CEREBRA_APPS_TASKS_TASKS_H

#include "task.h"

extern const task task_adding, task_copy, task_parity, task_reber, task_embedded_reber,
    task_brackets, task_sines, task_mackey_glass;

#endif
