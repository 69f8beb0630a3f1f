"""One call a question, on a tiny model: shapes, probabilities, and what is refused."""

import pytest
import torch

import bertedu
from bertedu import Bert, BertForPreTraining, CheckpointError, Guess, InputError
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


@pytest.mark.parametrize("text", ["", "   ", "\x00", "🤗", "مرحبا", "<script>"])
def test_odd_text_is_answered(bert, text) -> None:
    assert bert.hidden_states(text).shape[1] == len(bert.encode(text))
    assert 0 <= bert.next_sentence(text, text) <= 1
    with pytest.raises(InputError, match=r"the text has no \[MASK\]: write \[MASK\] where"):
        bert.fill_mask(text)


def test_text_longer_than_the_model_is_cut_only_when_asked(bert) -> None:
    text = "dog " * 25_000  # 100,000 characters
    for call in (bert.encode, bert.hidden_states, bert.attention, bert.fill_mask):
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
    for call in (bert.encode, bert.fill_mask, bert.hidden_states, bert.attention):
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
