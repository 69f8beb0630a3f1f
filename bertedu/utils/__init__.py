"""Small helpers that know no model.

`files` writes a file whole or not at all; `lines` decodes the text files that people have; `hub`
downloads a checkpoint and verifies it; `published_tokenizer` reads what a folder's files say of
its tokenizer; `validation` says in one sentence what is wrong with an input; `chinese` knows which
characters are Chinese; `cores` keeps threads to the share of the machine that this process has.
"""
