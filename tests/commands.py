#!/usr/bin/env python3
"""Runs every command of the pages for users: commands.py CEREBRA SOURCE BUILD [PAGE ...].

A page's blocks of kind sh, and the lines behind "$ " of its console blocks, run in the page's order in one folder, which
has the files that pages name; so do commands within a line that have options. Sizes and epochs are made small on the
way: `cerebra` is this script, which puts small numbers in their places. What cannot be run here is in a table below, with
the script that runs it, or why nothing does. Exit status: 0, or 1 with what failed."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

# Commands that others run: the block's or the line's beginning, the file that runs it, and what proves that.
ELSEWHERE = {
    './scripts/test.sh': ('.ci/run', './scripts/test.sh'),
    './scripts/install-packages.sh\nmeson setup': ('tests/stranger.sh', 'meson" install'),
    'meson setup build -Dtests=false --prefix': ('tests/stranger.sh', '--prefix="$prefix"'),
    'cc -static model.c': ('tests/stranger.sh', '-static $file $(flags --static)'),
    'valgrind --leak-check=full': ('tests/valgrind.sh', '/scripts/valgrind.supp'),
    'ninja -C build doc': ('tests/meson.build', "test('doc'"),
}
# And commands that no test runs.
NOT_RUN = {
    'python3 bench/compare_torch.py': 'needs PyTorch',
    'bench/compare_torch.py': 'needs PyTorch',
    'python3 bench/compare_cells.py': 'needs PyTorch',
    'python3 tests/fuzz/mutations.py': 'builds the library anew for each fault that it puts in',
    'python3 bench/large_text.py': 'makes files of gigabytes',
    '/usr/bin/time': 'needs what bench/large_text.py makes',
}

# The largest numbers that a subcommand is given here; 0 stays.
SMALL = {
    'train': {'hidden': 8, 'embedding': 8, 'seq-len': 10, 'batch': 4, 'steps-per-epoch': 2, 'epochs': 2, 'threads': 1},
    'reproduce': {'hidden': 8, 'seq-len': 10, 'batch': 4, 'steps-per-epoch': 2, 'epochs': 1, 'stacked-epochs': 1,
                  'halves-epochs': 1},
    'bench': {'hidden': 16, 'batch': 4, 'steps': 1, 'warmup': 0},
    'sample': {'length': 20},
}
# What a line is short for.
SHORT = {
    'bench/literature --cell NAME': 'bench/literature --cell indrnn',
    'cerebra inspect FILE': 'cerebra inspect pytorch.safetensors',
    'cerebra cells FILE.cell': 'cerebra cells averaging.cell',
    'cerebra eval --carry': 'cerebra train --data book.txt --checkpoint carried.safetensors && '
                            'cerebra eval --checkpoint carried.safetensors --data book.txt --carry',
}
# Scripts that no page shows in this way, beside those of the README.
MORE = ['./scripts/reproduce.sh --hidden 16 --epochs=3 --out elsewhere && test -f elsewhere/report.md']
# What a placeholder of a line stands for.
PLACEHOLDERS = {'COMMAND': 'train', 'NAME': 'lstm', 'FILE': 'averaging.cell', 'K': '5', 'BUILD': '.'}


def small(arguments):
    """A command line with small numbers."""
    command, rest = (arguments + [''])[0], list(arguments[1:])
    if '--help' in rest:
        return arguments
    wanted = SMALL.get(command, {})
    for name, most in wanted.items():
        at = next((i for i, word in enumerate(rest) if word == f'--{name}' or word.startswith(f'--{name}=')), None)
        if at is None:
            # A run that goes on has its sizes.
            if '--resume' not in rest:
                rest += [f'--{name}', str(most)]
        elif '=' in rest[at]:
            rest[at] = f"--{name}={min(int(rest[at].split('=')[1]), most)}"
        else:
            rest[at + 1] = str(min(int(rest[at + 1]), most))
    return [command] + rest


def scripts_of(text):
    """The scripts of a page, in its order."""
    found = []
    for block in re.finditer(r'^```(\w*)\n(.*?)^```$|`([^`]+)`', text, re.MULTILINE | re.DOTALL):
        kind, body, inline = block.groups()
        if kind == 'sh':
            found.append(body)
        elif kind == 'console':
            found += [command.replace('\\\n', ' ') for command in re.findall(r'^\$ ((?:.*\\\n)*.*)\n', body, re.MULTILINE)]
        elif inline and re.match(r'(cerebra|cc|python3|ninja|bench/\w+) \S', ' '.join(inline.split())):
            line = ' '.join(inline.split())
            if len(line.split()) > 2 or '--' in line:  # else the name of a subcommand
                line = next((whole for start, whole in SHORT.items() if line.startswith(start)), line)
                found.append(re.sub(r'\b[A-Z]+\b', lambda word: PLACEHOLDERS.get(word[0], word[0]), line))
    return found


def make_folder(folder, source):
    """The files that pages name."""
    for path in [*(source / 'examples').glob('*.[ch]'), *(source / 'examples/cookbook').glob('*.cell')]:
        shutil.copy(path, folder)
    shutil.copytree(source / 'examples', folder / 'examples')
    shutil.copytree(source / 'examples/cookbook', folder / 'cookbook')
    shutil.copy(source / 'examples/xor.c', folder / 'model.c')
    shutil.copy(source / 'examples/cookbook/averaging.cell', folder / 'my.cell')
    text = (source / 'apps/data/tideline.txt').read_text(encoding='utf-8')[:20000]
    for name in ['book.txt', 'simpsons.txt', 'data.txt']:
        (folder / name).write_text(text, encoding='utf-8')
    (folder / 'other.txt').write_text(text[:5000], encoding='utf-8')
    # A model that PyTorch made.
    made = source / 'tests/reference/import'
    for name in ['model.safetensors', 'pytorch.safetensors']:
        shutil.copy(made / 'lstm.safetensors', folder / name)
    shutil.copy(made / 'vocabulary.json', folder / 'v.json')
    (folder / 'windows.txt').write_bytes(('\ufeffcafe\u0301\n' + text).replace('\n', '\r\n').encode('utf-8'))
    subprocess.run(['gzip', '-k', 'book.txt'], cwd=folder, check=True)
    for name in ['loss.csv', 'other.csv']:
        rows = ''.join(f'{i},{4 - i / 10},{i},{4.1 - i / 11}\n' for i in range(12))
        (folder / name).write_text('epoch,loss,seconds,held_out_loss\n' + rows)


def make_programs(folder, cerebra):
    """What is first on the path: the command with small numbers, and stand-ins for scripts/reproduce.sh."""
    programs = folder / 'programs'
    programs.mkdir()
    wrapper = programs / 'cerebra'
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} {pathlib.Path(__file__).resolve()} --small {cerebra} "$@"\n')
    wrapper.chmod(0o755)
    (programs / 'meson').write_text('#!/bin/sh\nexit 0\n')
    (programs / 'meson').chmod(0o755)
    return programs


def make_scripts(folder, source, programs):
    """scripts/reproduce.sh as it is, in a tree that is built already."""
    shutil.copytree(source / 'scripts', folder / 'scripts')
    (folder / 'scripts/install-packages.sh').write_text('exit 0\n')
    (folder / 'build/release/apps').mkdir(parents=True)
    (folder / 'build/release/build.ninja').touch()
    (folder / 'build/release/apps/cerebra').symlink_to(programs / 'cerebra')


def beginning(script, table):
    return next((start for start in table if script.startswith(start)), None)


class Pages:
    def __init__(self, cerebra, source, build):
        self.cerebra, self.source, self.build = cerebra, source, build
        self.failures, self.ran, self.used = 0, 0, set()

    def complain(self, message):
        self.failures += 1
        print('FAILED:', message)

    def environment(self, programs):
        paths = {'PATH': programs, 'PKG_CONFIG_PATH': self.build / 'meson-uninstalled', 'LD_LIBRARY_PATH': self.build}
        return dict(os.environ, **{name: f"{path}:{os.environ.get(name, '')}".rstrip(':') for name, path in paths.items()})

    def run_elsewhere(self, script):
        """Whether a script is run by another test, or by none that could."""
        start = beginning(script, ELSEWHERE)
        if start is not None:
            self.used.add(start)
            file, proof = ELSEWHERE[start]
            if proof not in (self.source / file).read_text(encoding='utf-8'):
                self.complain(f'{start} is not run by {file}: it has no {proof}')
        return start is not None or beginning(script, NOT_RUN) is not None

    def run(self, page):
        scripts = scripts_of(page.read_text(encoding='utf-8')) + (MORE if page.name == 'README.md' else [])
        with tempfile.TemporaryDirectory() as work:
            folder = pathlib.Path(work)
            make_folder(folder, self.source)
            programs = make_programs(folder, self.cerebra)
            make_scripts(folder, self.source, programs)
            if (self.build / 'bench').is_dir():
                (folder / 'bench').symlink_to(self.build / 'bench')
            for script in scripts:
                lines = [line for line in script.splitlines(keepends=True) if not self.run_elsewhere(line)]
                if self.run_elsewhere(script) or not lines:
                    continue
                done = subprocess.run(['sh', '-e', '-c', ''.join(lines)], cwd=folder, env=self.environment(programs),
                                      stdin=subprocess.DEVNULL, capture_output=True, text=True, errors='replace', timeout=500)
                self.ran += 1
                if done.returncode != 0:
                    self.complain(f'{page.name}: exit status {done.returncode} of\n{script}\n{done.stderr[-1500:]}')


def main():
    if sys.argv[1] == '--small':
        os.execv(sys.argv[2], [sys.argv[2]] + small(sys.argv[3:]))
    cerebra, source, build = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
    pages = Pages(cerebra, source, build)
    names = sys.argv[4:] or ['README.md', *sorted(f'docs/{path.name}' for path in (source / 'docs').glob('*.md'))]
    for name in names:
        pages.run(source / name)
    print(f'{len(names)} pages, {pages.ran} scripts, {pages.failures} failures')
    if not sys.argv[4:] and (pages.ran < 30 or set(ELSEWHERE) - pages.used):
        pages.complain(f'{pages.ran} commands were found, and none of {set(ELSEWHERE) - pages.used}')
    sys.exit(pages.failures > 0)


main()
