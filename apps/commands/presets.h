/* Options by the name of what they are good for. */
#ifndef CEREBRA_APPS_COMMANDS_PRESETS_H
#define CEREBRA_APPS_COMMANDS_PRESETS_H

#include "train.h"

/* Sets what the preset of that name says, over the request's rows. Fails, with one line in error,
   when they do not fit; the name is one of preset_names. */
bool preset_apply(const char *name, option_row *rows, char *error);

/* The names, ended by NULL. */
const char *const *preset_names(void);

/* For --help: each preset, what it is for, and the options it stands for. */
const char *preset_help(void);

#endif
