#!/usr/bin/env python3
"""Writes a text of a given size by repeating another with variation: large_text.py TEXT BYTES OUT.

Lines of TEXT come in a random order again and again; in every seventh, a random word is another line's, and in every
eleventh a letter has an accent, so that characters take one byte to three. The seed is fixed: a size gives one text."""
import pathlib
import random
import sys


def main():
    lines = pathlib.Path(sys.argv[1]).read_text(encoding='utf-8').splitlines(keepends=True)
    size, written = int(float(sys.argv[2])), 0
    words = [word for line in lines for word in line.split()]
    chance = random.Random(1)
    with open(sys.argv[3], 'wb') as out:
        while written < size:
            chance.shuffle(lines)
            varied = list(lines)
            for i in range(0, len(varied), 7):
                parts = varied[i].split(' ')
                parts[chance.randrange(len(parts))] = chance.choice(words)
                varied[i] = ' '.join(parts).rstrip('\n') + '\n'
            for i in range(3, len(varied), 11):
                varied[i] = varied[i].replace('e', chance.choice('éèêë€'), 1)
            block = ''.join(varied).encode('utf-8')[:size - written].decode('utf-8', 'ignore').encode('utf-8')
            if not block:
                break
            out.write(block)
            written += len(block)


main()
