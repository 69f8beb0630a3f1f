"""What a published folder says of its tokenizer, read as transformers reads it.

Up to five files speak: vocab.txt, tokenizer.json, tokenizer_config.json and, of old,
added_tokens.json and special_tokens_map.json. Where they contradict each other, or where
transformers' versions disagree about which one counts, the folder is refused.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from bertedu.errors import InputError
from bertedu.utils.files import read_json, read_text

BERT = ("BertTokenizer", "BertTokenizerFast")
ANY = ("PreTrainedTokenizerFast", "TokenizersBackend")
"""transformers' classes: BERT's own, set by tokenizer_config.json, and the one that is whatever
tokenizer.json says."""
ROLES = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
"""BERT's special tokens, by transformers' names of them."""
SWITCHES = {
    "do_lower_case": ("lowercase", "lowercase", True),
    "strip_accents": ("strip_accents", "strip_accents", None),
    "tokenize_chinese_chars": ("tokenize_chinese_chars", "handle_chinese_chars", True),
}
"""tokenizer_config.json's names; ours, tokenizer.json's, and what holds where nothing is said."""
NORMALIZERS = ("BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Strip")
SPLITTERS = ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Digits")
"""What may stand in a tokenizer.json; other kinds run patterns and tables of the file's own."""


@dataclass(frozen=True)
class Published:
    """A folder's tokenizer.

    Attributes:
        tokens: the vocabulary in the order of its ids, without added tokens.
        switches: keyword arguments of `BertTokenizer`.
        splitter: what tokenizer.json describes, where it is to be taken as it is.
        added: tokens that are found in a text before it is split.
        ids: of the added tokens, where a file says them.
    """

    tokens: list[str]
    switches: dict[str, bool | None]
    splitter: Tokenizer | None = None
    added: list[AddedToken] = field(default_factory=list)
    ids: dict[str, int] = field(default_factory=dict)


def read(folder: Path, longest: int) -> Published:
    """Returns what a folder's files say together.

    Args:
        folder: of a checkpoint.
        longest: characters of a word that BERT's own class does not take for [UNK].

    Raises:
        CheckpointError: a file that cannot be read.
        InputError: there is no tokenizer, it is not BERT's WordPiece, or its files disagree.
    """
    settings, fast = (_json(folder / f"{name}.json") for name in ("tokenizer_config", "tokenizer"))
    kind = settings.get("tokenizer_class") or _json(folder / "config.json").get("tokenizer_class")
    if kind not in (None, *BERT, *ANY) or "auto_map" in settings:
        raise InputError(
            f"its class is {kind or 'its own'!r:.60}, and bertedu reads only BertTokenizer: choose "
            "a model with that one"
        )
    old = {} if "added_tokens_decoder" in settings else _json(folder / "special_tokens_map.json")
    for role, usual in ROLES.items():
        if (own := _token((settings | old).get(role) or usual).content) != usual:
            raise InputError(f"its {role} is {own!r:.60}, and bertedu reads only {usual}")
    tokens = _vocabulary(folder, fast)
    added, ids = _added(settings, old, fast, _json(folder / "added_tokens.json"))
    if kind in ANY:
        if not fast:
            raise InputError(f"its class is {kind}, which is nothing without its tokenizer.json")
        splitter = _splitter(folder / "tokenizer.json", tokens)
        return Published(tokens, _switches_of(fast), splitter, added, ids)
    return Published(tokens, _switches(settings, fast, longest), None, added, ids)


def _json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.is_file() else {}


def _vocabulary(folder: Path, fast: Mapping[str, Any]) -> list[str]:
    """Returns the tokens of vocab.txt, of tokenizer.json, or of both where they are the same."""
    model = fast.get("model") or {}
    lists: list[list[str]] = []
    if (folder / "vocab.txt").is_file():
        lists.append(read_text(folder / "vocab.txt").removesuffix("\n").split("\n"))
    untold = "WordPiece" if "continuing_subword_prefix" in model else None  # in files of 2020
    if is_read := model.get("type", untold) == "WordPiece":
        vocab = model["vocab"]
        tokens = sorted(vocab, key=vocab.get)
        if [vocab[token] for token in tokens] != [*range(len(tokens))]:
            raise InputError("the vocabulary's ids must run from 0 without a gap")
        lists.append(tokens)
    if not lists:
        raise InputError(
            "it has neither vocab.txt nor a WordPiece tokenizer.json: copy the vocabulary that "
            "belongs to the model there"
        )
    if lists[0] != lists[-1] or (fast and not is_read):
        raise InputError("vocab.txt and tokenizer.json differ: delete the one that is not right")
    return lists[0]


def _switches(
    settings: Mapping[str, Any], fast: Mapping[str, Any], longest: int
) -> dict[str, bool | None]:
    """Returns what BERT's own class is set to: by tokenizer_config.json, else by default.

    A tokenizer.json that would split otherwise is refused, unless it is overruled in so many words:
    transformers 4 follows it in part, transformers 5 does not.
    """
    normalizer = fast.get("normalizer") or {}
    values: dict[str, bool | None] = {}
    different = [] if normalizer.get("clean_text", not fast) else ["clean_text"]
    for name, (ours, theirs, default) in SWITCHES.items():
        value = values[ours] = settings.get(name, default)
        if not (isinstance(value, bool) or value is default):
            raise InputError(f"{name} is {value!r:.40}; it must be true or false")
        if fast and name not in settings and normalizer.get(theirs, "other") is not default:
            different.append(name)
    model = fast.get("model") or {}
    if model.get("max_input_chars_per_word", longest) != longest:
        different.append("max_input_chars_per_word")
    if fast and (fast.get("pre_tokenizer") or {}).get("type") != "BertPreTokenizer":
        different.append("pre_tokenizer")
    if different:
        raise InputError(
            f"tokenizer.json splits otherwise than tokenizer_config.json says "
            f'({", ".join(different)}): if the first is right, write "tokenizer_class": '
            f'"{ANY[0]}" into the second, else delete it or state these in the second'
        )
    return values


def _switches_of(fast: Mapping[str, Any]) -> dict[str, bool | None]:
    """Returns what a tokenizer.json amounts to, as far as our three switches can say it."""
    parts = {part["type"]: part for part in _parts(fast.get("normalizer"))}
    own = parts.get("BertNormalizer", {})
    return {
        "lowercase": own.get("lowercase", "Lowercase" in parts),
        "strip_accents": own.get("strip_accents", "StripAccents" in parts),
        "tokenize_chinese_chars": own.get("handle_chinese_chars", False),
    }


def _parts(described: Any) -> Iterator[dict[str, Any]]:
    """Yields the parts of a normalizer or a pre-tokenizer, those of a sequence one by one."""
    if described is not None and described["type"] == "Sequence":
        for part in described.get("normalizers") or described.get("pretokenizers") or ():
            yield from _parts(part)
    elif described is not None:
        yield described


def _splitter(path: Path, tokens: list[str]) -> Tokenizer:
    """Returns what a tokenizer.json describes: WordPiece, between [CLS] and [SEP] as BERT's."""
    fast = _json(path)
    kinds = [
        part["type"] for name in ("normalizer", "pre_tokenizer") for part in _parts(fast.get(name))
    ]
    if strange := [kind for kind in kinds if kind not in (*NORMALIZERS, *SPLITTERS)]:
        raise InputError(f"tokenizer.json has a {strange[0]!r:.40}, which bertedu does not read")
    splitter = Tokenizer.from_str(read_text(path))
    splitter.no_padding()
    splitter.no_truncation()
    model = fast["model"]
    around = splitter.encode("", "")
    cls, sep = (tokens.index(token) for token in ("[CLS]", "[SEP]"))
    if (model["unk_token"], model["continuing_subword_prefix"]) != ("[UNK]", "##") or (
        around.ids, around.type_ids
    ) != ([cls, sep, sep], [0, 0, 1]):  # fmt: skip
        raise InputError(
            "tokenizer.json has marks of its own, and bertedu reads only BERT's: [UNK], ##, and "
            "[CLS] A [SEP] B [SEP]"
        )
    return splitter


def _added(
    settings: Mapping[str, Any],
    old: Mapping[str, Any],
    fast: Mapping[str, Any],
    oldest: Mapping[str, int],
) -> tuple[list[AddedToken], dict[str, int]]:
    """Returns the added tokens in the order of their ids, and the ids that files give them."""
    special = _named({**settings, **old})
    names, exact = ({token.content for token in of} for of in (special, _named(settings)))
    listed = {
        index: AddedToken(text, special=text in names, normalized=text not in exact)
        for text, index in oldest.items()
    }
    listed |= {token["id"]: _token(token, False) for token in fast.get("added_tokens") or ()}
    ids = {token.content: index for index, token in listed.items()}
    if (decoder := settings.get("added_tokens_decoder")) is not None:
        listed = {int(index): _token(token, False) for index, token in decoder.items()}
        told = {token.content: index for index, token in listed.items()}
        if different := sorted(text for text in ids if told.get(text) != ids[text]):
            raise InputError(
                f"tokenizer_config.json does not have the added token {different[0]!r:.40} where "
                "another file has it: copy the files of one model"
            )
        ids = told
    have = {token.content for token in listed.values()}
    new = [token for token in special if token.content not in have]
    return [*(listed[index] for index in sorted(listed)), *new], ids


def _named(settings: Mapping[str, Any]) -> list[AddedToken]:
    """Returns the special tokens that settings name beside the usual five."""
    extra = settings.get("extra_special_tokens") or settings.get("additional_special_tokens") or []
    own = [
        value
        for role, value in sorted(settings.items())  # bos_token, eos_token, those of the file
        if role.endswith("_token") and role not in ROLES and isinstance(value, str | dict)
    ]
    return [
        _token(said) for said in [*own, *(extra.values() if isinstance(extra, Mapping) else extra)]
    ]


def _token(said: Any, special: bool = True) -> AddedToken:
    """Returns the added token that a file names, or describes."""
    if isinstance(said, str):
        return AddedToken(said, special=special)
    flags = {name: value for name, value in said.items() if name not in ("id", "__type")}
    return AddedToken(**{"special": special} | flags)
