"""Chinese text: its characters, sentences, slots and answers, and one small round of everything."""

import json
import re
import warnings
from pathlib import Path

import pytest
import torch
from tokenizers.normalizers import BertNormalizer

import bertedu
from bertedu import BertTokenizer, InputError, load_tokenizer
from bertedu.commands.cli import main
from bertedu.finetuning import cmrc, load, question_answering, slot_filling
from bertedu.finetuning.baselines import overlapping_words
from bertedu.finetuning.question_answering import Answer, squad_scores
from bertedu.finetuning.slot_filling import Example, SlotFilling
from bertedu.finetuning.squad import exact_and_f1, scored
from bertedu.pretraining.corpus import split_sentences
from bertedu.pretraining.masking import NOT_CHOSEN, MaskingRule, mask_tokens
from bertedu.tokenizer import SPECIAL_TOKENS
from bertedu.utils.chinese import CHINESE, words_of
from tests.finetuned_models import finetuned

LINES = """我有一只小狗。它叫豆豆。“豆豆！”我一叫，它就跑过来。
昨天下雨了。我们在家里看书。妈妈做了一碗面。
北京的秋天很美。叶子都黄了。很多人去香山。
他会说中文吗？会的！他在上海学了三年。

爷爷住在山里。山里的空气很好。他每天早上喝茶。
小河里有鱼。弟弟想抓鱼。他掉进水里了！
老师问：“谁来回答？”小明站起来。他答对了。
这本书太贵了。我没有买。明天去图书馆借。""".splitlines()
TEXT = "\n\n".join(line for line in LINES if line) + "\n"
MOODS = [
    (f"{who}{'很' if good else '不'}{word}", "好" if good else "坏")
    for who in ("这家店", "那碗面", "这本书", "他的狗", "这条河", "山里的茶")
    for word in ("好", "美", "干净")
    for good in (True, False)
]


def vocabulary(folder: Path) -> Path:
    """Writes a vocab.txt of all characters that stand here."""
    characters = sorted(set(TEXT + "".join(text for text, _ in MOODS)) - set(" \n"))
    path = folder / "vocab.txt"
    path.write_text("\n".join([*SPECIAL_TOKENS, *characters]) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that the command made of these sentences, and of a vocabulary of its own."""
    home = tmp_path_factory.mktemp("chinese")
    (home / "text.txt").write_text(TEXT, "utf-8")
    assert pretrain(home, home / "run") == 0
    return home / "run" / "best"


def pretrain(home: Path, out: Path, *options: str) -> int:
    words = ["pretrain", home / "text.txt", "--out", out, "--vocab", vocabulary(home)]
    words += ["--layers", 1, "--hidden-size", 16, "--heads", 2, "--steps", 2, "--warmup", 1]
    words += ["--max-length", 32, "--batch-tokens", 64, "--keep", 0, "--evaluation-batches", 1]
    return main([*map(str, words), *options])


def test_chinese_characters_are_those_that_the_tokenizer_sets_apart() -> None:
    normalizer = BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )
    every = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
    theirs = set(re.findall(" (.) ", normalizer.normalize_str(every.replace(" ", "")), re.DOTALL))
    assert set(re.findall(f"[{CHINESE}]", every)) == theirs
    assert len(theirs) > 80_000


@pytest.mark.parametrize(
    ("paragraph", "sentences"),
    [
        ("他来了。她走了！你呢？", ["他来了。", "她走了！", "你呢？"]),
        ("他说：“好。”她说：「不！」『真的？』", ["他说：“好。”", "她说：「不！」", "『真的？』"]),
        ("真的吗？！是的。。。好", ["真的吗？！", "是的。。。", "好"]),
        ("《你好！》是一首歌（很好听。）你听。", ["《你好！》是一首歌（很好听。）你听。"]),
        ("我爱T5。 Dr. Li came. 他3.5岁。", ["我爱T5。", "Dr. Li came.", "他3.5岁。"]),
        ("没有句号", ["没有句号"]),
        ("Dr. Smith came. He sat.", ["Dr. Smith came.", "He sat."]),
    ],
)
def test_sentences_end_at_chinese_marks_and_their_quotes(paragraph: str, sentences: list) -> None:
    assert split_sentences(paragraph) == sentences


def test_each_character_is_a_word_of_a_natural_text() -> None:
    example = Example.from_text("明天去北京，坐G101次", [("到", 3, 5), ("车", 7, 12)])
    assert example.words == [*"明天去北京，坐", "G101", "次"]
    assert [(slot.label, slot.text) for slot in example.slots] == [("到", "北京"), ("车", "G101次")]
    assert Example.from_text("fly to rome").words == ["fly", "to", "rome"]
    assert Example.from_text("T恤 ok").words == ["T", "恤", "ok"]


def test_words_of_a_file_are_cut_into_characters_and_joined_without_blanks(tmp_path: Path) -> None:
    rows = [
        {"words": ["我", "去", "北京", "OK", "了"], "tags": ["O", "O", "B-到", "O", "O"]},
        {"words": "我去北京OK了", "tags": "O O B-到 I-到 O O"},
        {"words": "我 去 北京 OK 了", "tags": "O O B-到 O O"},
        {"text": "我去北京OK了", "tags": ["O", "O", "B-到", "I-到", "O", "O"]},
        {"tokens": ["我", "去", "北京", "OK", "了"], "tags": ["O", "O", "S-到", "O", "O"]},
    ]
    file = tmp_path / "a.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    folder = tmp_path / "parallel"
    folder.mkdir()
    (folder / "seq.in").write_text("我去北京OK了\n我 去 北京 OK 了\n", "utf-8")
    (folder / "seq.out").write_text("O O B-到 I-到 O O\nO O B-到 O O\n", "utf-8")
    (tmp_path / "a.txt").write_text("我 O\n去 O\n北京 B-到\nOK O\n了 O\n", "utf-8")
    right = Example.from_text("我去北京OK了", [("到", 2, 4)])
    for source, count in ((file, 5), (folder, 2), (tmp_path / "a.txt", 1)):
        assert slot_filling.read(source) == [right] * count
    assert right.slots[0].text == "北京"
    (tmp_path / "b.jsonl").write_text('{"words": "我去北京", "tags": ["O", "O"]}', "utf-8")
    with pytest.raises(InputError, match=r"b\.jsonl:1: there are 4 words and 2 labels"):
        slot_filling.read(tmp_path / "b.jsonl")


def test_words_that_are_asked_may_be_a_text(tmp_path: Path) -> None:
    from bertedu.finetuning.tables import Row

    task = SlotFilling(labels=("O", "B-x"))
    assert task.asked(Row("here", {"words": "我去OK"})).words == ["我", "去", "OK"]
    assert task.asked(Row("here", {"words": ["北京", "OK"]})).words == ["北京", "OK"]
    assert task.asked(Row("here", {"words": "in rome"})).words == ["in", "rome"]


def test_a_tag_is_learned_for_every_character() -> None:
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *"我去北京了", "ok"])
    task = SlotFilling(labels=("O", "B-x", "I-x"))
    example = Example.from_text("我去北京OK了", [("x", 2, 4)])
    (feature,) = task.features(example, tokenizer, 20)
    assert feature.labels["labels"].tolist() == [-100, 0, 0, 1, 2, 0, 0, -100]


def test_whole_words_are_single_characters() -> None:
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, *"我去北京了", "ok", "##ay"])
    encoding = tokenizer.encode("我去北京OKAY了")
    counts = torch.zeros(len(encoding), dtype=torch.int64)
    for seed in range(60):
        generator = torch.Generator().manual_seed(seed)
        rule = MaskingRule(rate=0.2, whole_words=True)
        counts += (
            mask_tokens(encoding.input_ids[None], tokenizer, generator, rule).fates[0] != NOT_CHOSEN
        )
    okay = encoding.tokens.index("ok")
    assert counts[okay] == counts[okay + 1] > 0
    assert counts[1:5].min() > 0
    assert len(set(counts[1:5].tolist())) > 1, "neighbours are not chosen together"


@pytest.mark.parametrize(
    ("found", "golds", "scores"),
    [
        ("北京", ["北京"], (1, 1)),
        ("《北京》。", ["北京"], (1, 1)),
        ("在北京市", ["北京"], (0, 2 / 3)),
        ("北京上海", ["北京和上海"], (0, 4 / 9)),  # the longest run: two of four and of five
        ("1985年5月", ["1985年"], (0, 2 / 3)),
        ("Hello Kitty猫", ["hello kitty"], (0, 4 / 5)),
        ("3.14元", ["3.14 元"], (0, 1)),  # blanks count in exact match alone, as in the source
        ("上海", ["北京", "上海滩"], (0, 4 / 5)),
        ("", ["北京"], (0, 0)),
        ("", [], (1, 1)),
        ("北京", [], (0, 0)),
        ("It's 1,000.", ["it's 1,000"], (0, 6 / 7)),  # it 's 1,000 .
    ],
)
def test_answers_are_scored_as_cmrc_does(found: str, golds: list[str], scores: tuple) -> None:
    assert cmrc.exact_and_f1(found, golds) == pytest.approx(scores)


def test_the_document_chooses_the_rule() -> None:
    chinese = question_answering.Example("谁？", "他在北京市住。", (Answer("北京市", 2),))
    english = question_answering.Example("Who?", "He said 北京 to me.", (Answer("to me", 11),))
    assert scored(chinese, "北京") == pytest.approx((0, 0.8))
    assert scored(english, "me") == (0, pytest.approx(2 / 3))
    scores = squad_scores([chinese, english], ["北京", "To me!"])
    assert scores == pytest.approx({"exact_match": 0.5, "f1": 0.9})
    # By SQuAD's rule it would be nothing.
    assert exact_and_f1("北京", ["北京市"]) == (0, 0)


def test_the_words_of_a_chinese_document_are_counted_by_character() -> None:
    tuned = finetuned("question_answering")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of [UNK]
        prediction = tuned.predict(("谁", "他在 OK 市"))
    for span in prediction.spans:
        before = words_of(prediction.document[: span.start])
        assert span.first_word == len(before) + 1
        assert span.last_word == len(words_of(prediction.document[: span.end]))


def test_the_baseline_answers_from_the_likest_sentence() -> None:
    document = "昨天下雨了。小明在上海读书。"
    assert overlapping_words("小明在哪里读书？", document) == "上海"


def test_what_is_not_in_the_vocabulary_is_told_once(pretrained: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.encode("my 豆 dog").unknown == pytest.approx(1 / 3)
    assert tokenizer.encode("").unknown == 0
    rows = [*MOODS[:9], ("龘龘", "好")]
    (tmp_path / "a.tsv").write_text("".join(f"{label}\t{text}\n" for text, label in rows), "utf-8")
    words = [
        "finetune",
        "classification",
        str(tmp_path / "a.tsv"),
        "--dev",
        str(tmp_path / "a.tsv"),
    ]
    with pytest.warns(UserWarning, match=r"\[UNK\]") as told:
        assert main([*words, "--out", str(tmp_path / "a"), "--init", str(pretrained),
                     "--epochs", "1"]) == 0  # fmt: skip
    sentences = [str(w.message) for w in told if "[UNK]" in str(w.message)]
    assert sentences[0].startswith("in 1 of 10 training examples a tenth or more of the tokens")
    tuned = load(tmp_path / "a")
    with pytest.warns(UserWarning, match=r"in 2 of 3 texts a tenth or more") as told:
        tuned.predict(["龘", "这家店很好", "好龘"])
    assert len(told) == 1
    tuned.predict(["龘"])  # a warning would be an error here
    (tmp_path / "text.txt").write_text(
        "\n\n".join("好" * i + "。不好。" for i in range(1, 21)), "utf-8"
    )
    with pytest.warns(UserWarning, match=r"8\d% of the text's tokens are \[UNK\]: .*--vocab FILE"):
        main(["pretrain", str(tmp_path / "text.txt"), "--out", str(tmp_path / "run"),
              "--init", str(unread(tmp_path)), "--steps", "1", "--max-length", "16",
              "--batch-tokens", "32", "--evaluation-batches", "1", "--keep", "0"])  # fmt: skip


def unread(folder: Path) -> Path:
    """Writes a model whose vocabulary has the full stop and one character, and no more."""
    tokenizer = BertTokenizer([*SPECIAL_TOKENS, "。"])
    config = bertedu.BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8
    )
    bertedu.save_pretrained(bertedu.BertForPreTraining(config), folder / "unread", tokenizer)
    return folder / "unread"


def test_a_checkpoint_carries_its_vocabulary(pretrained: Path) -> None:
    bert = bertedu.load(pretrained)
    assert bert.config.vocab_size == len(bert.tokenizer) < 250
    assert bert.tokenizer.encode("我叫豆豆").tokens == ["[CLS]", *"我叫豆豆", "[SEP]"]
    assert bert.fill_mask("我有一只小[MASK]。")


def test_a_vocabulary_says_whether_capitals_count(pretrained: Path, tmp_path: Path) -> None:
    from bertedu.commands.pretrain import starting_tokenizer

    file = tmp_path / "vocab.txt"
    file.write_text("\n".join([*SPECIAL_TOKENS, "[BLANK]", "ok", "Ⅱ"]) + "\n", "utf-8")
    assert starting_tokenizer("scratch", str(file)).encode("OK").tokens[1] == "ok"
    file.write_text("\n".join([*SPECIAL_TOKENS, "ok", "OK"]) + "\n", "utf-8")
    assert starting_tokenizer("scratch", str(file)).encode("OK").tokens[1] == "OK"
    assert len(starting_tokenizer("scratch", None)) == 30_522
    for content, message in (("a\nb\n", "vocab.txt: the vocabulary lacks"), ("a\na\n", "'a' more")):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            starting_tokenizer("scratch", str(file))
    tokens = "\n".join([*SPECIAL_TOKENS, "狗"])
    file.write_text(f"{tokens}\n \n\n", "utf-8")
    assert starting_tokenizer("scratch", str(file)).tokens == tokens.splitlines()
    file.write_bytes(tokens.encode("gbk"))  # the command has no --encoding
    with pytest.raises(InputError, match="not utf-8: convert it to UTF-8$"):
        starting_tokenizer("scratch", str(file))
    with pytest.raises(InputError, match="has a vocabulary of its own"):
        starting_tokenizer(str(pretrained), str(file))
    with pytest.raises(InputError, match="there is no file"):
        starting_tokenizer("scratch", str(tmp_path / "none"))


def test_a_run_is_not_continued_on_other_text(pretrained: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "text.txt").write_text(TEXT, "utf-8")
    assert pretrain(tmp_path, tmp_path / "run") == 0
    assert pretrain(tmp_path, tmp_path / "run") == 0, "the same text goes on"
    corpus = tmp_path / "run" / "corpus"
    corpus.rename(tmp_path / "built")
    (tmp_path / "text.txt").write_text(TEXT.replace("小狗", "小猫"), "utf-8")
    capsys.readouterr()
    assert pretrain(tmp_path, tmp_path / "run") == 2
    said = capsys.readouterr().err
    assert said.splitlines()[-1] == (
        f"bertedu pretrain: {tmp_path / 'run'} holds a run on other text, or with another "
        "vocabulary: choose another folder"
    )
    (tmp_path / "vocab.txt").unlink()
    assert main(["pretrain", str(tmp_path / "built"), "--out", str(tmp_path / "new")]) == 2
    assert "holds a corpus of another vocabulary" in capsys.readouterr().err


def test_a_small_round(pretrained: Path, tmp_path: Path, capsys) -> None:
    """From the commands' own checkpoint: three cases are learned, and asked."""
    files = {
        "classification": "".join(f"{label}\t{text}\n" for text, label in MOODS),
        "inference": "label\tpremise\thypothesis\n" + "".join(
            f"{'否' if '不' in text else '是'}\t{text[:2]}这里说\t{text}\n" for text, _ in MOODS
        ),
        "question_answering": "".join(
            json.dumps({"question": "谁很好？", "document": f"昨天下雨。{who}很好。", "answer": who,
                        "answer_start": 5}) + "\n"
            for who in ("爷爷", "妈妈", "弟弟", "老师", "小明", "豆豆") * 3
        ),
    }  # fmt: skip
    asked = {
        "classification": ["这本书很好"],
        "inference": ["这本这里说", "这本书很好"],
        "question_answering": ["谁很好？", "昨天下雨。小明很好。"],
    }
    for case, content in files.items():
        data = tmp_path / f"{case}.{'jsonl' if case[0] == 'q' else 'tsv'}"
        data.write_text(content, "utf-8")
        out = str(tmp_path / case)
        words = ["finetune", case, str(data), "--dev", str(data), "--out", out, "--init"]
        words += [str(pretrained), "--epochs", "30", "--learning-rate", "1e-2", "--dropout", "0"]
        assert main([*words, "--batch-size", "12"]) == 0
        metrics = json.loads((tmp_path / case / "metrics.json").read_text())["dev"]
        assert metrics[load(out).task.best] > 0.8, (case, metrics)
        capsys.readouterr()
        assert main(["predict", out, *asked[case]]) == 0
        said = capsys.readouterr().out
        assert said.startswith({"c": "好", "i": "是", "q": "小明"}[case[0]]), said


def test_the_documented_command_makes_a_vocabulary(repo_root: Path, tmp_path: Path) -> None:
    """The lines of the benchmarks' page, on the text here."""
    page = (repo_root / "benchmarks" / "README.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(from tokenizers import .*?)```", page, re.DOTALL)
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    here = code.replace("text.txt", str(text)).replace(
        'save_model(".")', f"save_model({str(tmp_path)!r})"
    )
    exec(here)
    tokens = (tmp_path / "vocab.txt").read_text("utf-8").splitlines()
    assert tokens[:5] == list(SPECIAL_TOKENS)
    tokenizer = BertTokenizer(tokens)
    assert tokenizer.encode(TEXT).unknown == 0
    assert all(len(token) == 1 for token in tokens[5:] if set(token) & set(TEXT))


def test_a_fifth_of_chinese_makes_a_document_chinese() -> None:
    assert cmrc.is_chinese("好" * 2 + "a" * 8)
    assert not cmrc.is_chinese("好" * 2 + "a" * 9)
    assert not cmrc.is_chinese("")
