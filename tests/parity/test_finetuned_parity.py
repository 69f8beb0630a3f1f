"""What was fine-tuned here opens in transformers, and the other way round."""

import pytest
import torch
import transformers

from bertedu import collate
from bertedu.finetuning import FineTuned, FinetuningRecipe, finetune, load
from tests.cases import CASES, CONFIG, TOKENIZER
from tests.parity.reference import assert_close

AUTO = {
    "classification": transformers.AutoModelForSequenceClassification,
    "slot_filling": transformers.AutoModelForTokenClassification,
    "inference": transformers.AutoModelForSequenceClassification,
    "question_answering": transformers.AutoModelForQuestionAnswering,
}
each_case = pytest.mark.parametrize("name", CASES)


def tuned_model(name: str) -> FineTuned:
    task, examples = CASES[name]
    recipe = FinetuningRecipe(epochs=1, batch_size=8, learning_rate=1e-2)
    return finetune(task, CONFIG, examples(24), recipe=recipe, tokenizer=TOKENIZER, progress=False)


def logits_of(output) -> torch.Tensor:
    if hasattr(output, "start_logits"):
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    return output.logits


@each_case
def test_transformers_opens_what_was_fine_tuned(name, tmp_path) -> None:
    tuned = tuned_model(name)
    tuned.save(tmp_path)
    theirs, info = AUTO[name].from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"]
    assert not info["mismatched_keys"]
    extra = {key.split(".")[0] for key in info["unexpected_keys"]}
    assert extra <= ({"intent_classifier", "bert"} if name == "slot_filling" else set())
    features = [
        feature
        for example in CASES[name][1](5, seed=1)
        for feature in tuned.task.features(example, TOKENIZER, 40)
    ]
    batch = collate([feature.encoding for feature in features])
    with torch.inference_mode():
        assert_close(tuned.model(**batch).logits, logits_of(theirs.eval()(**batch)))
    labels = getattr(tuned.task, "labels", ("start", "end"))
    assert tuple(theirs.config.id2label.values()) == labels
    assert theirs.config.label2id == {label: i for i, label in enumerate(labels)}
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    example = CASES[name][1](1)[0]
    encoding = tuned.task.features(example, TOKENIZER, 40)[0].encoding
    given = (encoding.text,) if encoding.pair is None else (encoding.text, encoding.pair)
    assert tokenizer(*given)["input_ids"] == encoding.input_ids.tolist()


@pytest.mark.parametrize("name", ["classification", "slot_filling", "question_answering"])
def test_we_open_what_transformers_fine_tuned(name, tmp_path) -> None:
    values = CONFIG.to_dict() | {"id2label": {0: "O", 1: "B-x", 2: "I-x"}}
    if name == "question_answering":
        values["id2label"] = {0: "LABEL_0", 1: "LABEL_1"}
    torch.manual_seed(0)
    theirs = AUTO[name].from_config(transformers.BertConfig(**values)).eval()
    theirs.save_pretrained(tmp_path)
    TOKENIZER.save(tmp_path)
    ours = load(tmp_path)
    assert ours.task.name == name
    if name != "question_answering":
        assert ours.task.labels == ("O", "B-x", "I-x")
    text = ("who", "w1 rome") if name == "question_answering" else "w1 rome"
    assert ours.predict(text)
    batch = collate([TOKENIZER.encode("w1", "rome")])
    with torch.inference_mode():
        assert_close(ours.model(**batch).logits, logits_of(theirs(**batch)))


@pytest.mark.parametrize("pooling", ["mean", "concat"])
def test_another_pooling_is_not_taken_for_the_usual_one(pooling, tmp_path) -> None:
    from bertedu.finetuning import Classification

    examples = CASES["classification"][1]
    tuned = finetune(
        Classification(pooling=pooling), CONFIG, examples(8), tokenizer=TOKENIZER, progress=False
    )
    tuned.save(tmp_path)
    _, info = AUTO["classification"].from_pretrained(tmp_path, output_loading_info=True)
    assert {"classifier.weight", "classifier.bias"} <= set(info["missing_keys"])
    encoder = transformers.AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).eval()
    batch = collate([TOKENIZER.encode("w1 good")])
    with torch.inference_mode():
        states = tuned.model(**batch).encoder.last_hidden_state
        assert_close(states, encoder(**batch).last_hidden_state)
