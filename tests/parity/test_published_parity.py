"""Folders as they are found: our numbers are transformers' own, or there is a sentence."""

import json
from dataclasses import replace

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing

import bertedu
from bertedu.finetuning import load
from bertedu.tokenizer import SPECIAL_TOKENS, BertTokenizer
from tests.fuzz_checkpoints import fuzz
from tests.parity.reference import CONFIGS, assert_close, twins

WORDS = [*SPECIAL_TOKENS, "my", "dog", "##s", "My", "cafe", "café", "Café", "##e", "博", "推", "[",
         "]", "<", ">", "e", "##1", "x1", "mask", "!", "cute", "##\u0301", "博推"]  # fmt: skip
TEXTS = ["", "My dogs, my café! 博推", "Cafe\u0301 <x1> <X1> x1 <e1>dog</e1> <unk> [unused]",
         "  <x1>my<X2>dog [MASK] my[MASK]dog", "con\x00trol \u200b zero\t博",
         "[mask] [ MASK ] [CLS]", "e" * 101 + " dog" * 30]  # fmt: skip
BERT_NORMALIZER = {
    lower: normalizers.BertNormalizer(clean_text=True, lowercase=lower) for lower in (True, False)
}
ANY = {"tokenizer_class": "PreTrainedTokenizerFast",
       **dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"),
                  SPECIAL_TOKENS, strict=True))}  # fmt: skip
SPLITTERS = {
    "no normalizer": (None, "BertPreTokenizer"),
    "NFC": (normalizers.NFC(), "BertPreTokenizer"),
    "a sequence": (
        normalizers.Sequence(
            [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
        ),
        "BertPreTokenizer",
    ),
    "lower case only": (normalizers.Lowercase(), "BertPreTokenizer"),
    "cased": (BERT_NORMALIZER[False], "BertPreTokenizer"),
    "uncased": (BERT_NORMALIZER[True], "BertPreTokenizer"),
    "another split": (normalizers.NFKC(), "Whitespace"),
}


def fast(normalizer=BERT_NORMALIZER[True], split: str = "BertPreTokenizer", added=(), **model):
    """Return what `tokenizers` writes."""
    vocab = {token: index for index, token in enumerate(WORDS)}
    tokenizer = Tokenizer(WordPiece(vocab, unk_token="[UNK]", **model))
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = getattr(pre_tokenizers, split)()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )  # fmt: skip
    tokenizer.add_special_tokens([AddedToken(t, special=True) for t in SPECIAL_TOKENS])
    tokenizer.add_tokens(list(added))
    return json.loads(tokenizer.to_str())


def described(*tokens: AddedToken) -> dict[str, dict[str, object]]:
    """Return what tokenizer_config.json says of added tokens."""
    all_tokens = [*(AddedToken(t, special=True) for t in SPECIAL_TOKENS), *tokens]
    ids = [*range(5), *range(len(WORDS), len(WORDS) + len(tokens))]
    names = ("content", "lstrip", "normalized", "rstrip", "single_word", "special")
    return {
        str(index): {name: getattr(token, name) for name in names}
        for index, token in zip(ids, all_tokens, strict=True)
    }


X1, X2 = AddedToken("<x1>"), AddedToken("<X2>", special=True)
LOOSE = AddedToken("<e1>", lstrip=True, rstrip=True, single_word=True, normalized=False)
BERT = {"tokenizer_class": "BertTokenizer"}
FOLDERS = {
    **{f"as it is: {name}": {"tokenizer": fast(*parts), "tokenizer_config": ANY}
       for name, parts in SPLITTERS.items()},
    "as it is, and vocab.txt": {"tokenizer": fast(None), "tokenizer_config": ANY, "vocab": WORDS},
    "as it is, added": {"tokenizer": fast(added=[X1, X2]), "tokenizer_config": ANY},
    "as it is, short words": {"tokenizer": fast(max_input_chars_per_word=4),
                              "tokenizer_config": ANY},
    "as it is, more added": {"tokenizer": fast(None, added=[X1]), "tokenizer_config": ANY | {
        "additional_special_tokens": ["<X2>"], "added_tokens_decoder": described(X1)}},
    "fast": {"tokenizer": fast(), "tokenizer_config": BERT},
    "fast, cased": {"tokenizer": fast(BERT_NORMALIZER[False]),
                    "tokenizer_config": BERT | {"do_lower_case": False}},
    "fast, overruled": {"tokenizer": fast(BERT_NORMALIZER[False]),
                        "tokenizer_config": BERT | {"do_lower_case": True}},
    "fast, of 2020": {"tokenizer": fast() | {"model": {
        name: value for name, value in fast()["model"].items() if name != "type"}}},
    "fast, added": {"tokenizer": fast(added=[X1, X2]), "tokenizer_config": BERT},
    "fast, added loosely": {"tokenizer": fast(added=[LOOSE]), "tokenizer_config": BERT},
    "vocab.txt and fast": {"vocab": WORDS, "tokenizer": fast()},
    "added_tokens.json": {"vocab": WORDS,
                          "added_tokens": {"<X2>": len(WORDS) + 1, "<x1>": len(WORDS)}},
    "added_tokens.json, special": {
        "vocab": WORDS, "added_tokens": {"<x1>": len(WORDS), "<X2>": len(WORDS) + 1},
        "special_tokens_map": {"additional_special_tokens": ["<X2>"], "cls_token": "[CLS]"}},
    "a decoder": {"vocab": WORDS, "tokenizer_config": BERT | {
        "added_tokens_decoder": described(X1, X2), "additional_special_tokens": ["<X2>"]}},
    "a decoder and fast": {"tokenizer": fast(added=[X1]), "tokenizer_config": BERT | {
        "added_tokens_decoder": described(X1)}},
    "a loose mask": {"vocab": WORDS, "tokenizer_config": BERT | {"added_tokens_decoder":
        described() | {"4": {"content": "[MASK]", "lstrip": True, "special": True}}}},
    "special tokens of the vocabulary": {"vocab": WORDS, "tokenizer_config": BERT | {
        "additional_special_tokens": ["x1", "博推"]}},
    "more special tokens": {"vocab": WORDS, "tokenizer_config": BERT | {
        "additional_special_tokens": ["<x1>"], "bos_token": "[CLS]", "eos_token": "<X2>"}},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    return tmp_path


def write(folder, vocab=None, **files) -> None:
    if vocab is not None:
        (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
    for name, values in files.items():
        (folder / f"{name}.json").write_text(json.dumps(values))


def assert_same(ours: BertTokenizer, theirs) -> None:
    assert len(ours) == len(theirs)
    for text in TEXTS:
        for pair in (None, "my <x1>dog"):
            mine = ours.encode(text, pair)
            pairs = None if pair is None else [pair]
            other = theirs([text], pairs, return_offsets_mapping=True)
            assert mine.input_ids.tolist() == other["input_ids"][0]
            assert theirs.convert_tokens_to_ids(mine.tokens) == other["input_ids"][0]
            assert mine.offsets == other["offset_mapping"][0]


@pytest.mark.parametrize("files", FOLDERS.values(), ids=FOLDERS)
def test_a_tokenizer_as_it_is_found_and_saved_again(files, folder, tmp_path_factory) -> None:
    write(folder, **files)
    theirs = transformers.AutoTokenizer.from_pretrained(folder)
    ours = BertTokenizer.from_folder(folder)
    assert_same(ours, theirs)
    saved = tmp_path_factory.mktemp("saved")
    write(saved, config={"model_type": "bert"})
    ours.save(saved)
    assert_same(BertTokenizer.from_folder(saved), theirs)
    again = transformers.AutoTokenizer.from_pretrained(saved)
    assert_same(ours, again)
    assert ours.decode(ours.ids("my dogs")) == "my dogs"


@pytest.mark.parametrize("normalizer", [None, normalizers.NFC(), BERT_NORMALIZER[False]], ids=str)
@pytest.mark.parametrize("config", [{}, BERT, {"tokenizer_class": "BertTokenizerFast"}], ids=str)
def test_where_transformers_versions_disagree_nothing_is_guessed(
    normalizer, config, folder
) -> None:
    """The fourth followed tokenizer.json in part; the fifth lower-cases all the same."""
    write(folder, tokenizer=fast(normalizer), tokenizer_config=config)
    assert transformers.AutoTokenizer.from_pretrained(folder).tokenize("MY") == ["my"]
    with pytest.raises(bertedu.CheckpointError, match="splits otherwise than tokenizer_config.jso"):
        BertTokenizer.from_folder(folder)


def published(folder, name: str, labels: tuple[str, ...], **values):
    """Write a folder as transformers does, and return its model."""
    config = replace(CONFIGS["small"], labels=labels, vocab_size=len(WORDS))
    _, theirs = twins(getattr(bertedu, name), name, config)
    theirs.config.update(values)
    theirs.save_pretrained(folder)
    BertTokenizer(WORDS).save(folder)
    return theirs.eval(), transformers.AutoTokenizer.from_pretrained(folder)


def logits(theirs, tokenizer, *texts: str) -> torch.Tensor:
    with torch.inference_mode():
        inputs = tokenizer(*texts, return_tensors="pt", truncation=True, max_length=40)
        return theirs(**inputs).logits[0]


@pytest.mark.parametrize(
    ("labels", "given"),
    [
        (("entailment", "neutral", "contradiction"), ("my dogs", "my cute dog")),
        (("POSITIVE", "NEGATIVE"), ("my dogs",)),
        (("POSITIVE", "NEGATIVE"), ("my cute dog " * 60,)),  # cut at 40, its own length
    ],
)
def test_a_classifier_gives_transformers_probabilities(labels, given, folder) -> None:
    theirs, tokenizer = published(folder, "BertForSequenceClassification", labels)
    right = logits(theirs, tokenizer, *given).softmax(-1)
    tuned = load(folder)
    if len(given[0]) > 100:
        with pytest.warns(UserWarning, match="cut to 40 tokens"):
            found = tuned.predict(given[0])
    else:
        found = tuned.predict(given if len(given) > 1 else given[0])
    assert list(found.probabilities) == list(labels)
    assert_close(torch.tensor([*found.probabilities.values()]), right)


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        (("toxic", "insult", "threat"), "multi_label_classification"),
        (("LABEL_0",), None),
        (("LABEL_0",), "regression"),
    ],
)
def test_other_classifiers_are_refused_and_their_logits_are_right(labels, problem, folder) -> None:
    theirs, tokenizer = published(
        folder, "BertForSequenceClassification", labels, problem_type=problem
    )
    with pytest.raises(bertedu.CheckpointError, match="does not choose one of several labels"):
        load(folder)
    ours = bertedu.from_pretrained(folder, bertedu.BertForSequenceClassification)
    batch = bertedu.collate([bertedu.load_tokenizer(folder).encode("my cute dog")])
    right = logits(theirs, tokenizer, "my cute dog")
    assert_close(ours(**batch).logits[0].sigmoid(), right.sigmoid())


def test_tags_of_another_scheme_are_the_same_and_told_in_bio(folder) -> None:
    labels = ("O", "B-x", "I-x", "E-x", "S-x")
    theirs, tokenizer = published(folder, "BertForTokenClassification", labels)
    words = ("my", "cute", "dog", "my", "cafe", "e", "!")
    right = logits(theirs, tokenizer, " ".join(words))[1:-1]
    found = load(folder).predict(words)
    assert_close(found.probabilities, right.softmax(-1))
    tags = [labels[k] for k in right.argmax(-1).tolist()]
    assert len({*tags} & {"E-x", "S-x"}) > 0
    for tag, told in zip(tags, found.tags, strict=True):
        assert (tag == "O") == (told == "O")
        assert told == "B-x" or tag not in ("B-x", "S-x")


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_a_wrapped_model_is_the_model(prefix, folder) -> None:
    theirs, tokenizer = published(folder, "BertForSequenceClassification", ("a", "b"))
    weights = load_file(folder / "model.safetensors")
    save_file({prefix + name: w for name, w in weights.items()}, folder / "model.safetensors")
    right = logits(theirs, tokenizer, "my cute dog").softmax(-1)
    found = load(folder).predict("my cute dog").probabilities
    assert_close(torch.tensor([*found.values()]), right)


def test_a_few_damaged_folders_end_in_a_sentence_or_in_transformers_numbers(recwarn) -> None:
    """`make fuzz` opens 200."""
    told: list[str] = []
    ends = fuzz(12, seed=5, report=told.append)
    assert told == []
    assert ends["refused"]
    assert ends["equal"]
