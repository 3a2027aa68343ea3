#!/usr/bin/env python3
"""Holds the tree to its layers: a folder includes its own headers, those of folders below it, and public headers of its
layer and below. Usage: layers.py ROOT. Exit status: 0, or 1 with a line for each include that points the other way."""
import pathlib
import re
import sys

# Public headers, from the lowest layer up.
PUBLIC = [
    'arguments export status version tensor random threads files',
    'tape op ops elementwise scan check',
    'params nn rnn equations',
    'optim',
    'cerebra',
]
LEVEL = {f'cerebra/{name}.h': level for level, names in enumerate(PUBLIC) for name in names.split()}

# Folder: the highest level of public header, and the folders or single headers that it may include.
TENSOR = ['tensor']
AUTOGRAD = TENSOR + ['autograd']
SCAN = AUTOGRAD + ['autograd/compiler', 'autograd/runtime', 'autograd/ops/list.h']
COMMAND = TENSOR + ['tensor/io', 'apps/cli']
FOLDERS = {
    'tensor': (0, []),
    'tensor/gemm': (0, TENSOR),
    'tensor/io': (0, TENSOR),
    'autograd': (1, TENSOR + ['autograd/ops/list.h']),  # the table of the tape's own ops
    'autograd/ops': (1, AUTOGRAD + ['autograd/compiler/lower.h']),  # an op says how it is lowered
    'autograd/compiler': (1, AUTOGRAD + ['autograd/ops/elementwise.h']),
    'autograd/runtime': (1, AUTOGRAD + ['tensor/gemm', 'autograd/compiler']),
    'autograd/scan': (1, SCAN),
    'nn': (2, AUTOGRAD + ['autograd/ops/batch_norm.h', 'autograd/scan/scan_internal.h', 'nn/equations/equations.h']),
    'nn/cells': (2, TENSOR + ['nn', 'autograd/scan/scan_internal.h', 'nn/equations/equations.h']),
    'nn/equations': (2, TENSOR + ['autograd/ops/elementwise_table.h']),
    'optim': (3, TENSOR + ['tensor/io', 'nn/params_internal.h', 'optim/rules/list.h']),
    'optim/rules': (3, TENSOR),
    'apps/cli': (4, COMMAND),
    'apps/chart': (4, COMMAND),
    'apps/model': (4, COMMAND + ['apps/chart/csv.h']),
    'apps/tasks': (4, COMMAND),
    'apps/compare': (4, COMMAND + ['apps/chart', 'apps/model', 'apps/tasks']),
    'apps/commands': (4, COMMAND + ['apps/chart', 'apps/model', 'apps/tasks', 'apps/compare/statistics.h']),
    'apps/bench': (4, COMMAND + ['apps/model']),
    'apps/reproduce': (4, COMMAND + ['apps/chart', 'apps/model']),
    'apps': (4, COMMAND + ['apps/commands']),
}
TOP = ('tensor', 'autograd', 'nn', 'optim', 'apps')


def fault(root, folder, header):
    """Why a file of a folder may not include a header; None when it may."""
    level, allowed = FOLDERS[folder]
    if header.startswith('cerebra/'):
        return None if LEVEL[header] <= level else 'a public header of a layer above'
    own = (root / folder / header).is_file()
    place = folder if own else str(pathlib.PurePosixPath(header).parent)
    if not own and not (root / header).is_file():
        return None  # a system's
    return None if place == folder or place in allowed or header in allowed else 'not a folder below'


def main():
    root = pathlib.Path(sys.argv[1])
    found = 0
    for path in sorted(path for top in TOP for path in (root / top).rglob('*.[ch]')):
        folder = str(path.parent.relative_to(root))
        if folder not in FOLDERS:
            print(f'{folder}: a folder that tests/layers.py does not know')
            return 1
        for header in re.findall(r'^#include ["<]([^">]+)[">]', path.read_text(), re.MULTILINE):
            why = fault(root, folder, header)
            if why is not None:
                print(f'{path.relative_to(root)} includes {header}: {why}')
                found += 1
    return found > 0


sys.exit(main())
