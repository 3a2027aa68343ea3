" Vim syntax file
" Language: cells of cerebra, as equations (docs/cells.md)

if exists("b:current_syntax")
  finish
endif

syntax match cerebraNumber    /\<\d\+\(\.\d*\)\?\([eE][-+]\?\d\+\)\?\>\|\.\d\+\([eE][-+]\?\d\+\)\?\>/
syntax match cerebraOperator  /[-=+*\/^⊙∘·⋅×∗−]/
syntax match cerebraDelimiter /[][(),]/
" A function: a name before its bracket.
syntax match cerebraFunction  /\<\k\+\ze\s*(/
" A matrix: a capital before what it multiplies.
syntax match cerebraMatrix    /\<[A-ZΑ-Ω]\k*\>\ze\(\s*\(\^T\|[ᵀ⊤]\)\)\?\s*[·⋅]\?\s*[[:alnum:]_(\[Α-ω]/
syntax match cerebraTransposed /\^T\>\|[ᵀ⊤]/
" A state after the step, and what the text does not declare.
syntax match cerebraState     /\<\k\+['′’]/
syntax match cerebraGiven     /\<\(x\|hidden\|input\)\>/
" Declarations: a word at the start of a line, with a name or a number behind it.
syntax match cerebraDeclaration /^\s*\zs\(let\|size\|state\|input\|init\|heads\|output\|observe\)\ze\s\+\k/
syntax match cerebraRule      /\<\(zeros\|uniform\|normal\|glorot_uniform\|glorot_normal\|kaiming_uniform\|kaiming_normal\|orthogonal\)\>/
syntax match cerebraComment   /#.*$/ contains=cerebraTodo,@Spell
syntax keyword cerebraTodo    TODO FIXME contained

highlight default link cerebraNumber      Number
highlight default link cerebraOperator    Operator
highlight default link cerebraDelimiter   Delimiter
highlight default link cerebraFunction    Function
highlight default link cerebraMatrix      Type
highlight default link cerebraTransposed  Operator
highlight default link cerebraState       Identifier
highlight default link cerebraGiven       Constant
highlight default link cerebraDeclaration Statement
highlight default link cerebraRule        PreProc
highlight default link cerebraComment     Comment
highlight default link cerebraTodo        Todo

let b:current_syntax = "cerebra"
