"""The command line: `bertedu COMMAND`, a module for each command."""
