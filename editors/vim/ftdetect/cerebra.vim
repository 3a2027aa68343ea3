autocmd BufNewFile,BufRead *.cell setfiletype cerebra
