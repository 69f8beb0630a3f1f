"""The command line: `bertedu COMMAND`, a module for each command.

`cli` finds the command's module. `doctor` checks the installation, `lab` opens the course,
`certify` compares with the reference implementation; `pretrain` and `finetune` train (`training` is
what they share), `average` takes the mean of checkpoints; `predict` asks what came out,
`evaluate` scores it (`data` is how they are told of files), and `export` puts it in a page. What
builds notebooks, the book and assignments is in `bertedu.classroom`.
"""
