"""The two things that can go wrong: what the reader gave, and what lies on disk."""


class InputError(ValueError):
    """A text, tensor or setting that cannot be used; the message says what to do.

    Example:
        >>> raise InputError("max_length is 1; an input needs at least 2 tokens")
        Traceback (most recent call last):
        bertedu.errors.InputError: max_length is 1; an input needs at least 2 tokens
    """


class CheckpointError(RuntimeError):
    """A checkpoint that is missing, broken or not a BERT; the message says what to do.

    Example:
        >>> raise CheckpointError("no folder 'x'")
        Traceback (most recent call last):
        bertedu.errors.CheckpointError: no folder 'x'
    """
