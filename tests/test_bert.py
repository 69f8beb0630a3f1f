"""One call a question, on a tiny model: shapes, probabilities, and what is refused."""

import pytest
import torch

import bertedu
from bertedu import Bert, BertForPreTraining, CheckpointError, Guess, InputError
from bertedu.attention import attend
from tests.tiny import CONFIG, TOKENIZER, build


@pytest.fixture(scope="module")
def bert() -> Bert:
    return Bert(build(BertForPreTraining), TOKENIZER)


def test_fill_mask_gives_the_likeliest_tokens_first(bert) -> None:
    answers = bert.fill_mask("my [MASK] is [MASK]", top_k=3)
    assert [len(answer) for answer in answers] == [3, 3]
    for answer in answers:
        assert all(isinstance(guess, Guess) for guess in answer)
        probabilities = [guess.probability for guess in answer]
        assert probabilities == sorted(probabilities, reverse=True)
    everything = bert.fill_mask("[MASK]", top_k=len(TOKENIZER))[0]
    assert sum(p for _, p in everything) == pytest.approx(1)
    assert {token for token, _ in everything} == set(TOKENIZER.tokens)


def test_fill_mask_equals_the_head_at_that_position(bert) -> None:
    encoding = bert.encode("my [MASK] is", "he likes")
    logits = bert.model(encoding.input_ids[None], encoding.token_type_ids[None]).prediction_logits
    expected = logits[0, 2].detach().softmax(-1)
    for token, probability in bert.fill_mask("my [MASK] is", "he likes")[0]:
        assert probability == pytest.approx(float(expected[TOKENIZER.vocab[token]]), rel=1e-4)


def test_a_mask_in_the_pair_counts(bert) -> None:
    assert len(bert.fill_mask("my dog", "is [MASK]")) == 1


def test_next_sentence_is_the_probability_that_it_follows(bert) -> None:
    encoding = bert.encode("my dog is cute", "he likes playing")
    logits = bert.model(
        encoding.input_ids[None], encoding.token_type_ids[None]
    ).seq_relationship_logits.detach()
    follows = bert.next_sentence("my dog is cute", "he likes playing")
    assert follows == pytest.approx(float(logits.softmax(-1)[0, 0]), rel=1e-5)


def test_hidden_states_and_attention(bert) -> None:
    tokens = len(bert.encode("my dog", "is cute"))
    assert bert.hidden_states("my dog", "is cute").shape == (3, tokens, 16)
    attention = bert.attention("my dog", "is cute")
    assert attention.shape == (2, 4, tokens, tokens)
    torch.testing.assert_close(attention.sum(-1), torch.ones(2, 4, tokens))


TRACED = [
    ("my dog is cute", None), ("my dog", "he likes playing"), ("my [MASK] [PAD]", None),
    ("", ""), ("🤗 \x00 مرحبا", "<script>"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "pair"), TRACED)
def test_a_trace_holds_what_each_call_answers(bert, text, pair) -> None:
    trace = bert.trace(text, pair)
    assert trace.encoding.tokens == bert.encode(text, pair).tokens
    torch.testing.assert_close(trace.hidden_states, bert.hidden_states(text, pair))
    assert torch.equal(trace.attention_probs, bert.attention(text, pair))
    context, probs = attend(trace.query, trace.key, trace.value)
    torch.testing.assert_close(probs, trace.attention_probs)
    layer = bert.model.bert.encoder.layer[-1].attention.self
    mixed, _ = layer(trace.hidden_states[-2][None], None, True)
    torch.testing.assert_close(context[-1].transpose(0, 1).flatten(1), mixed[0])
    follows = bert.next_sentence(text, pair or "")
    if pair is not None:
        assert trace.seq_relationship_logits.softmax(-1)[0] == pytest.approx(follows, abs=1e-6)
    assert trace.prediction_logits is trace.prediction_logits  # computed once
    assert trace.prediction_logits.shape == (len(trace.encoding), 13)
    if "[MASK]" in text:
        place = trace.encoding.tokens.index("[MASK]")
        best = trace.prediction_logits[place].softmax(-1).topk(3)
        [guesses] = bert.fill_mask(text, pair, top_k=3)
        assert [TOKENIZER.tokens[i] for i in best.indices] == [guess.token for guess in guesses]
        assert best.values.tolist() == pytest.approx([guess.probability for guess in guesses])


def test_a_trace_is_one_encoding_and_one_pass(bert, monkeypatch) -> None:
    passes, encode, encoded = [], bert.tokenizer.encode, []
    hook = bert.model.bert.register_forward_hook(lambda *given: passes.append(given))
    layer = bert.model.bert.encoder.layer[0].attention.self.query
    asked = layer.register_forward_hook(lambda *given: passes.append(given))
    monkeypatch.setattr(
        bert.tokenizer,
        "encode",
        lambda *texts, **how: encoded.append(texts) or encode(*texts, **how),
    )
    trace = bert.trace("my dog", "is cute")
    assert trace.prediction_logits is not None
    hook.remove()
    asked.remove()
    assert (len(encoded), len(passes)) == (1, 2)  # the encoder, and its first layer's queries
    assert bert.trace(trace.encoding).encoding is trace.encoding
    assert len(encoded) == 1
    assert not layer._forward_hooks


@pytest.mark.parametrize("prefix", ["cls.predictions", "cls.seq_relationship", "bert.pooler"])
def test_a_trace_makes_nothing_up_where_a_head_is_missing(prefix) -> None:
    bare = Bert(build(BertForPreTraining), TOKENIZER, (f"{prefix}.weight",))
    trace = bare.trace("my dog")
    assert (trace.prediction_logits is None) == (prefix == "cls.predictions")
    assert (trace.seq_relationship_logits is None) == (prefix != "cls.predictions")


@pytest.mark.parametrize("text", ["", "   ", "\x00", "🤗", "مرحبا", "<script>"])
def test_odd_text_is_answered(bert, text) -> None:
    assert bert.hidden_states(text).shape[1] == len(bert.encode(text))
    assert 0 <= bert.next_sentence(text, text) <= 1
    with pytest.raises(InputError, match=r"the text has no \[MASK\]: write \[MASK\] where"):
        bert.fill_mask(text)


def test_text_longer_than_the_model_is_cut_only_when_asked(bert) -> None:
    text = "dog " * 25_000  # 100,000 characters
    for call in (bert.encode, bert.hidden_states, bert.attention, bert.trace, bert.fill_mask):
        with pytest.raises(InputError, match="25,002 tokens and max_length is 12: shorten it"):
            call(text)
    with pytest.warns(UserWarning, match="the last 24,990 tokens were left out: the model reads"):
        encoding = bert.encode(text, truncate=True)
    assert len(encoding) == 12
    assert encoding.truncated == len(bert.tokenizer.encode(text)) - 12
    assert bert.encode("dog", truncate=True).truncated == 0


@pytest.mark.parametrize("top_k", [0, -1, 14])
def test_top_k_must_be_possible(bert, top_k) -> None:
    with pytest.raises(InputError, match=f"top_k is {top_k}; it must be from 1 to 13"):
        bert.fill_mask("[MASK]", top_k=top_k)


@pytest.mark.parametrize("text", ["\ud800", None, 7], ids=ascii)
def test_what_is_not_text_is_refused(bert, text) -> None:
    for call in (bert.encode, bert.fill_mask, bert.hidden_states, bert.attention, bert.trace):
        with pytest.raises(InputError, match="surrogate|not a string"):
            call(text)


def saved_without(folder, prefix: str):
    """Save the tiny model without the parameters under `prefix`; return the folder."""
    from safetensors.torch import load_file, save_file

    bertedu.save_pretrained(build(BertForPreTraining), folder, TOKENIZER)
    path = folder / "model.safetensors"
    kept = {n: t for n, t in load_file(path).items() if not n.startswith(prefix)}
    save_file(kept, path)
    return folder


def test_without_a_masked_lm_head_no_guess_is_made_up(tmp_path) -> None:
    bert = bertedu.load(saved_without(tmp_path, "cls.predictions"))
    with pytest.raises(CheckpointError, match=r"no cls.predictions, so it cannot fill a \[MASK\]"):
        bert.fill_mask("my [MASK]")
    assert 0 <= bert.next_sentence("my dog", "is cute") <= 1


@pytest.mark.parametrize("prefix", ["cls.seq_relationship", "bert.pooler"])
def test_without_a_next_sentence_head_no_verdict_is_made_up(prefix, tmp_path) -> None:
    bert = bertedu.load(saved_without(tmp_path, prefix))
    with pytest.raises(CheckpointError, match=f"no {prefix}, so it cannot judge a next sentence"):
        bert.next_sentence("my dog", "is cute")
    assert bert.fill_mask("my [MASK]")


def test_a_bare_encoder_still_shows_its_states(tmp_path) -> None:
    bert = bertedu.load(saved_without(tmp_path, "cls."))
    assert bert.hidden_states("my dog").shape == (3, 4, 16)


def test_a_tokenizer_of_another_model_is_refused() -> None:
    with pytest.raises(InputError, match=r"the tokenizer has 30,522 tokens and the model 13"):
        Bert(build(BertForPreTraining), bertedu.load_tokenizer())


def test_its_repr_tells_the_sizes(bert) -> None:
    count = sum(p.numel() for p in bert.model.parameters())
    assert repr(bert) == f"Bert(2 layers x 16, 4 heads, 13 tokens, {count:,} parameters)"
    assert bert.config == CONFIG
