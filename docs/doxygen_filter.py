#!/usr/bin/env python3
"""A public header as Doxygen reads it: `doxygen_filter.py HEADER` (INPUT_FILTER of Doxyfile.in).

Headers are written for readers: plain comments stand before what they are about, or behind it on its line. Here they
become Doxygen's, with these rules:
- a comment before several declarations that follow without an empty line is about each of them;
- what is indented further than the comment's text is shown as it is;
- `---- Title ----` begins a group of declarations;
- the rows of the table of status codes become enumerators."""
import pathlib
import re
import sys

COMMENT = re.compile(r'/\*.*?\*/', re.S)
SECTION = re.compile(r'/\* ---- (.*?) -{3,}(?: \*/|\n)')


def escaped(text):
    return re.sub(r'([\\@<>&#%$])', r'\\\1', text)


def doc_text(comment, column):
    """The lines of a plain comment as Doxygen's text. column: where the comment begins."""
    lines = comment[2:-2].strip('\n').rstrip().split('\n')
    out, verbatim, in_list = [], False, False
    for number, line in enumerate(lines):
        text = re.sub(r'^ \* ', '   ', line).rstrip()
        indent = len(text) - len(text.lstrip()) if number else column + 3
        in_list = text.lstrip().startswith('- ') or in_list and indent > column + 3
        further = bool(text) and indent >= column + 5 and not in_list
        if further != verbatim and text:
            out.append('@verbatim' if further else '@endverbatim')
            verbatim = further
        out.append(text if verbatim else escaped(text[min(indent, column):] if number else text))
    return '\n'.join(out + ['@endverbatim'] * verbatim)


def doc(comment, column, start='/**'):
    return f'{start} {doc_text(comment, column).strip()}\n*/'


def status_codes(text):
    """The enumerators of the table of status codes."""
    table = re.compile(r'#define CB_STATUS_TABLE\(X\)(?:[^\n]*\\\n)*[^\n]*\n')
    rows = re.findall(r'X\((\w+), "(.*?)"\)', table.search(text).group())
    text = re.sub(r'#define CB_STATUS_ENUM.*?#undef CB_STATUS_ENUMERATOR\n',
                  ''.join(f'    {name}, /* {meaning} */\n' for name, meaning in rows), text, flags=re.S)
    return text


def one_each(text):
    """Members that are declared together, and so have one comment, declared one by one."""
    def split(match):
        indent, kind, names, remark = match.groups()
        return ''.join(f'{indent}{kind} {name.strip()};{remark}\n' for name in names.split(','))
    together = re.compile(r'^( {4})((?:const )?\w+) (\*?\w+(?:, \*?\w+)+);((?: +/\*(?:[^*]|\*(?!/))*\*/)?)\n', re.M)
    return together.sub(split, text)


def without_private(text):
    """Macros that the headers use among themselves, with the comments before them."""
    return re.sub(r'(/\*(?:[^*]|\*(?!/))*\*/\n)?#define CBI_(?:[^\n]*\\\n)*[^\n]*\n', '', text)


def declarations(code):
    """Code cut behind each declaration, each macro, and where braces are open behind each line that ends one."""
    return re.findall(r'\s*#(?:[^\n]*\\\n)*[^\n]*\n|(?:(?!\n\s*#).)*?;\n|.+', code, re.S)


def repeated(code, comment, last_has_own):
    """The code behind a comment, with the comment before each further declaration up to an empty line."""
    end = re.search(r'^[ \t]*$|^(?:#(?!define)|})', code[1:] + '\n', re.M).start() + 1
    pieces = declarations(code[:end].lstrip('\n'))
    depth, out = 0, '\n'
    for number, piece in enumerate(pieces):
        own = not piece.strip() or last_has_own and number == len(pieces) - 1 and end == len(code)
        out += (comment + '\n' if number and depth == 0 and not own else '') + piece
        depth += piece.count('{') - piece.count('}')
    return out + code[end:]


def group(comment, in_group):
    """The beginning of a group from the comment that is its title and may say more."""
    title, more = SECTION.match(comment), ''
    if '\n' in comment:
        more = doc_text('/* ' + comment[title.end():], 0).strip()
    end = '/** @} */\n' if in_group else ''
    return f'{end}/** @name {escaped(title.group(1))}\n{more}\n@{{ */'


def documented(text):
    """The header with Doxygen's comments in place of plain ones."""
    comments = list(COMMENT.finditer(text))
    out, in_group = '', False
    for match, following in zip(comments, comments[1:] + [None]):
        line = text.rfind('\n', 0, match.start()) + 1
        before = text[line:match.start()]
        column = len(before)
        code = text[match.end():following.start() if following else len(text)]
        if match.start() == 0:
            out += doc(match.group(), 0, '/** @file\n') + code
        elif SECTION.match(match.group()):
            out += group(match.group(), in_group) + code if column == 0 else code
            in_group = in_group or column == 0
        elif before.strip():
            out += doc(match.group(), column, '/**<') + code
        else:
            trailing = following is not None and '\n' in code and code.rpartition('\n')[2].strip() != ''
            comment = doc(match.group(), column)
            out += comment + repeated(code, comment, trailing)
    guard = out.rfind('#endif')
    return out[:guard] + ('/** @} */\n' if in_group else '') + out[guard:]


def contents(path, text):
    """The first page: the headers, and what each is about."""
    page = '/** @mainpage cerebra\n'
    for name in re.findall(r'#include <cerebra/(\w+\.h)>', text):
        header = path.with_name(name)
        if header.exists():
            about = re.match(r'/\* (.*?)[.:](?:\s|$)', header.read_text(encoding='utf-8'), re.S).group(1)
            page += f'- @ref {name} "{name}": {escaped(" ".join(about.split()))}\n'
    return page + '*/\n'


def main():
    path = pathlib.Path(sys.argv[1])
    text = without_private(path.read_text(encoding='utf-8'))
    if path.name == 'status.h':
        text = status_codes(text)
    out = documented(one_each(text))
    if path.name == 'cerebra.h':
        out += contents(path, text)
    sys.stdout.write(out)


main()
