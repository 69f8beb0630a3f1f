"""Checks of the predictions in the lessons on BERT's inside: 04 to 06."""

from bertedu.classroom.checks.framework import check

# Lesson 04


@check("04", value=True)
def numbers_in_tables() -> list[int]:
    """How many numbers are in BERT-base's position table and in its segment table."""
    H = 768
    return [512 * H, 2 * H]


numbers_in_tables.wrong(
    "this model's width",
    [196_608, 768],
    "that is for H = 384, the course's own model; BERT-base has H = 768",
)
numbers_in_tables.wrong("rows", [512, 2], "that is how many rows there are; each has H numbers")
numbers_in_tables.wrong(
    "one segment",
    [393_216, 768],
    "the position table is right; the segment table has two rows, one for A and one for B",
)
numbers_in_tables.wrong(
    "three segments",
    [393_216, 2_304],
    "the position table is right; the segment ids are 0 and 1, so that there are two rows",
)


@check("04", value=True)
def two_dogs() -> list[bool]:
    """Are the input vectors of two equal words equal: in BERT, and without positions?"""
    return [False, True]


two_dogs.wrong(
    "equal in both",
    [True, True],
    "the token's row is the same, but what is added to it: what differs between the two places?",
)
two_dogs.wrong(
    "different in both",
    [False, False],
    "if the position table were all zeros, what could still differ? Token and segment are the same",
)
two_dogs.wrong(
    "turned round",
    [True, False],
    "it is the other way round: in BERT the two positions add two different rows",
)


@check("04", value=True)
def rows_read() -> list[int]:
    """How many different rows are read for 20 tokens without a B, at least and at most."""
    positions, segments = 20, 1
    return [len({"[CLS]", "[SEP]", "a word"}) + positions + segments, 20 + positions + segments]


rows_read.wrong(
    "two segments",
    [25, 42],
    "there is no B, so that only one row of the segment table is read",
)
rows_read.wrong(
    "one word only",
    [22, 41],
    "the most is right; for the least, [CLS] and [SEP] have rows of their own beside the one word",
)
rows_read.wrong(
    "no segment",
    [23, 40],
    "the segment table is read, too, though always the same row: one more",
)
rows_read.wrong(
    "each read",
    [60, 60],
    "so many times a row is read; but one row may be read many times: count the different ones",
)
rows_read.wrong(
    "always all",
    [41, 41],
    "the most is right; for the least, let all eighteen words be the same",
)

# Lesson 05


@check("05", value=True)
def is_attends_to() -> set[str]:
    """To which tokens "is" attends most, when its query is (0, 2)."""
    keys = {"dog": (1, 0), "is": (0, 1), "cute": (1, 1)}
    scores = {token: 0 * key[0] + 2 * key[1] for token, key in keys.items()}
    return {token for token, score in scores.items() if score == max(scores.values())}


is_attends_to.wrong(
    "itself",
    {"is"},
    "is any other key's second number as large? A token does not come first with itself by right",
)
is_attends_to.wrong(
    "cute", {"cute"}, "a first number in the key counts nothing here: the query has 0 there"
)
is_attends_to.wrong(
    "as before",
    {"dog", "cute"},
    "those two have the same *first* number; the query (0, 2) looks at the second one",
)
is_attends_to.wrong(
    "all",
    {"dog", "is", "cute"},
    "only a query of zeros looks at all alike; here dog's score is 0 and the others' is not",
)


@check("05", value=True)
def shares_after() -> list[str]:
    """What becomes of a row's shares when its scores grow by 100, and when they grow 100 times."""
    return ["nothing", "less even"]


shares_after.wrong(
    "adding evens out",
    ["more even", "less even"],
    "e^(s + 100) = e^s · e^100: what becomes of a factor that all of a row have?",
)
shares_after.wrong(
    "adding sharpens",
    ["less even", "less even"],
    "the second is right; of a sum that all scores share nothing is left: e^100 cancels",
)
shares_after.wrong(
    "nothing at all",
    ["nothing", "nothing"],
    "the first is right; times 100, the *differences* between the scores grow as well",
)
shares_after.wrong(
    "multiplying evens out",
    ["nothing", "more even"],
    "the first is right; larger differences give the largest score more, not less",
)


@check("05", value=True)
def how_many_shares() -> list[int]:
    """How many attention probabilities BERT-base computes for 128 and for 512 tokens."""
    return [12 * 12 * 128 * 128, 12 * 12 * 512 * 512]


how_many_shares.wrong(
    "one layer",
    [196_608, 3_145_728],
    "that is one layer with its 12 heads; there are 12 layers",
)
how_many_shares.wrong(
    "one head each", [16_384, 262_144], "that is a single head; there are 12 in each of 12 layers"
)
how_many_shares.wrong(
    "not squared",
    [18_432, 73_728],
    "every token looks at every token: S × S shares in each head, not S",
)
how_many_shares.wrong(
    "four times",
    [2_359_296, 9_437_184],
    "the first is right; four times as long is four times as many rows *and* columns",
)
how_many_shares.wrong(
    "times D",
    [12 * 12 * 128 * 128 * 64, 12 * 12 * 512 * 512 * 64],
    "one number for each pair of tokens: D is used up by the dot product",
)

# Lesson 06


@check("06", value=True)
def more_for_heads() -> int:
    """How many parameters more BERT-base has with 24 heads instead of 12."""
    return 0


more_for_heads.wrong(
    "twice the attention",
    12 * 4 * (768 * 768 + 768),
    "heads cut the width, they do not add to it: 24 heads are half as wide",
)
more_for_heads.wrong(
    "queries, keys, values",
    12 * 3 * (768 * 768 + 768),
    "queries, keys and values have H numbers in all, however they are cut",
)
more_for_heads.wrong(
    "fewer",
    -12 * 2 * 768 * 768,
    "narrower heads have smaller matrices each, but there are twice as many: the sum stays",
)


@check("06", value=True)
def more_for_length() -> int:
    """How many parameters more BERT-base has when it reads 1,024 tokens."""
    return (1024 - 512) * 768


more_for_length.wrong(
    "nothing", 0, "one of the three tables has a row for each place of the text: which?"
)
more_for_length.wrong(
    "all rows", 1024 * 768, "that is the whole new table; 512 of its rows were there before"
)
more_for_length.wrong("rows only", 512, "that is how many rows there are more; each has H numbers")
more_for_length.wrong(
    "rows in each layer",
    12 * 512 * 768,
    "positions are looked up once, before the first layer; the layers have no rows of their own",
)
