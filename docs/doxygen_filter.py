#!/usr/bin/env python3
"""A public header as Doxygen reads it: `doxygen_filter.py HEADER` (INPUT_FILTER of Doxyfile.in).

Headers are written for readers: plain comments stand before what they are about, or behind it on its line. Here they
become Doxygen's, with these rules:
- a comment before several declarations that follow without an empty line is about each of them;
- what is indented further than the comment's text is shown as it is;
- `---- Title ----` begins a group of declarations;
- the rows of tables of macros (elementwise.h, the status codes) become the declarations that they stand for."""
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


def split_arguments(row):
    """The arguments of a row of a table: at commas outside of parentheses and quotes."""
    parts, depth, quoted = [''], 0, False
    for c in row:
        quoted ^= c == '"'
        depth += (c in '([') - (c in ')]')
        if c == ',' and depth == 0 and not quoted:
            parts.append('')
        else:
            parts[-1] += c
    return [' '.join(part.split()) for part in parts]


def formula(value):
    """The value of a row as one would write it: no casts, functions in lower case."""
    value = re.sub(r'\b[A-Z][A-Z0-9]+\b', lambda name: name.group().lower(), value.replace('(real)', ''))
    return re.sub(r'(\w) \*(\w)', r'\1 * \2', value)


def elementwise(text):
    """The functions of elementwise.h with their formulas, from its rows."""
    rows = re.compile(r'(?:^/\*((?:[^*]|\*(?!/))*)\*/\n)?^CB_(FLAT_)?(\w+)\((cb_.*?)\)\n(?=CB_|/\*|#)', re.S | re.M)
    inputs = {'UNARY': ['x'], 'BINARY': ['a', 'b'], 'TERNARY': ['c', 'a', 'b']}
    out = ''
    for remark, flat, arity, row in rows.findall(text):
        function, _, kind, *rest = split_arguments(row)
        parameters = re.findall(r'(\w+), [-\d.]+', rest.pop(0)) if arity == 'UNARY' else []
        operands = inputs[arity]
        slopes = zip([name for name in operands if name != 'c'], rest[1:])
        gradients = [f'Gradient of {name}: {slope}.' for name, slope in slopes if 'cbi_' not in slope]
        about = [f'y = {formula(rest[0])}. ' + ('Any dtype.' if kind == 'ANY' else 'f32 or f64.'),
                 ' '.join(remark.replace('\n *', ' ').split()),
                 'No gradient flows through it.' if flat else ' '.join(gradients)]
        arguments = [f'cb_tensor *{name}' for name in operands] + [f'double {name}' for name in parameters]
        out += '/** ' + '\n\n'.join(escaped(part) for part in about if part) + '\n*/\n'
        out += f'cb_tensor *{function}({", ".join(arguments)});\n'
    return out


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
    rows = ''
    if path.name == 'ops.h':
        start = text.rindex('/*', 0, text.index('#define P0()'))
        end = text.index('#undef P2\n') + len('#undef P2\n')
        rows = elementwise(path.with_name('elementwise.h').read_text(encoding='utf-8'))
        text = text[:start] + '/* ---- Elementwise functions ---- */\n\nELEMENTWISE\n' + text[end:]
    elif path.name == 'status.h':
        text = status_codes(text)
    out = documented(one_each(text))
    if path.name == 'cerebra.h':
        out += contents(path, text)
    sys.stdout.write(out.replace('ELEMENTWISE\n', '\n' + rows))


main()
