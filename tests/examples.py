#!/usr/bin/env python3
"""Runs an example and compares what it prints with what its source says: examples.py PROGRAM SOURCE FOLDER.

The last comment of SOURCE is a dialogue, `/* $ ./NAME ARGUMENTS`, then the lines that the program prints, indented by
three blanks; further commands may follow. The commands run one after the other in one temporary folder, in which the
folders of FOLDER are found by their names; what a folder's make.py makes is made anew. Exit status: 0, or 1 with the first difference."""
import difflib
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile


def dialogue(source):
    """The commands of the last comment, each with the text that it is to print."""
    text = source.read_text()
    found = re.search(r'\n/\* (\$ [^*]*?)(?: )?\*/\n$', text)
    if found is None:
        sys.exit(f'{source}: does not end with a comment /* $ ./NAME ... */ that says what it prints')
    lines = [line[3:] if i > 0 else line for i, line in enumerate(found[1].rstrip('\n').split('\n'))]
    steps = []
    for line in lines:
        if line.startswith('$ '):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def main():
    program, source, folder = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
    with tempfile.TemporaryDirectory() as work:
        for data in folder.iterdir():
            place = pathlib.Path(work) / data.name
            if (data / 'make.py').exists():
                place.mkdir()
                subprocess.run([sys.executable, data / 'make.py', place], check=True)
            elif data.is_dir():
                place.symlink_to(data)
        for command, expected in dialogue(source):
            name, *arguments = shlex.split(command)
            if name != f'./{source.stem}':
                sys.exit(f'{source}: the command is {name}, not ./{source.stem}')
            ran = subprocess.run([program, *arguments], cwd=work, capture_output=True, text=True, timeout=240)
            printed = ran.stdout.rstrip('\n').split('\n')
            if ran.returncode != 0 or printed != expected:
                print(f'{source.name}: $ {command}: exit status {ran.returncode}', ran.stderr, sep='\n')
                print(*difflib.unified_diff(expected, printed, 'said', 'printed', lineterm=''), sep='\n')
                sys.exit(1)


main()
