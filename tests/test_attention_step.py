"""The attention step is the model's own: its shares, its output, in Python and in the browser."""

import json
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import torch

from bertedu import Bert, BertConfig, BertForPreTraining, InputError, load, load_tokenizer
from bertedu.attention import attend
from bertedu.widgets import AttentionStep
from bertedu.widgets.attention_step import COLDEST, HOTTEST, LONGEST
from bertedu.widgets.palette import STATIC
from tests.finetuned_models import HOSTILE, unpacked

TEXT = "my dog is cute and he likes playing"
MODEL = {"temperature": 1, "scaled": True}
STANDS = [MODEL, {"temperature": 2, "scaled": True}, {"temperature": 0.25, "scaled": False}]
STEPS = """
  console.log(JSON.stringify(cases.settings.map((settings) => {
    const { shares, output, divided } = widget.step(data, settings);
    return { shares, output, divided, rounding: widget.rounding(data, settings) };
  })));
"""


@pytest.fixture(scope="module")
def bert() -> Bert:
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=24, num_hidden_layers=2, num_attention_heads=3, initializer_range=0.4
    )
    return Bert(BertForPreTraining(config), load_tokenizer())


@pytest.fixture(scope="module")
def widget(bert: Bert) -> AttentionStep:
    return AttentionStep("my dog is cute", bert)


@torch.inference_mode()
def heads_output(model: Bert, text: str, layer: int, head: int) -> torch.Tensor:
    """What the model's own layer, counted from 1, gives through one head: [S, D]."""
    states = model.hidden_states(text)[layer - 1 : layer]
    contexts, _ = model.model.bert.encoder.layer[layer - 1].attention.self(states, None, False)
    size = contexts.shape[-1] // model.config.num_attention_heads
    return contexts[0, :, (head - 1) * size : head * size]


def every_place(widget: AttentionStep, **more: object) -> list[dict[str, object]]:
    """The settings for each layer, head and token that asks."""
    config, count = widget.bert.config, len(widget.trace.encoding)
    layers, heads = config.num_hidden_layers, config.num_attention_heads
    return [
        widget.settings | {"layer": layer + 1, "head": head + 1, "token": token} | more
        for layer, head, token in product(range(layers), range(heads), range(count))
    ]


def node(widget: AttentionStep, settings: list[dict[str, object]], folder: Path) -> list[dict]:
    """What the browser computes from the widget's bytes, for each of the settings."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    (folder / "data.bin").write_bytes(widget.data)
    (folder / "cases.json").write_text(json.dumps({"settings": settings}))
    code = f"""
      import {{ readFileSync }} from "node:fs";
      import * as widget from {json.dumps((STATIC / "attention_step.js").as_uri())};
      import {{ unpack }} from {json.dumps((STATIC / "shared.js").as_uri())};
      const cases = JSON.parse(readFileSync({json.dumps(str(folder / "cases.json"))}));
      const data = unpack(new Uint8Array(readFileSync({json.dumps(str(folder / "data.bin"))})));
      {STEPS}
    """
    command = ["node", "--no-warnings", "--input-type=module", "--eval", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_as_the_model_the_shares_and_the_output_are_the_models(bert, widget) -> None:
    for settings in every_place(widget, **MODEL):
        widget.settings = settings
        layer, head, token = (settings[name] for name in ("layer", "head", "token"))
        probs = bert.attention("my dog is cute")[layer - 1, head - 1, token]
        torch.testing.assert_close(widget.shares, probs.double(), atol=1e-6, rtol=0)
        output = heads_output(bert, "my dog is cute", layer, head)[token]
        torch.testing.assert_close(widget.output, output.double(), atol=1e-5, rtol=0)


def test_of_the_embedded_checkpoint_too_in_the_browser(tmp_path: Path) -> None:
    model = load()
    widget = AttentionStep(TEXT, model)
    places = every_place(widget)
    told = node(widget, places, tmp_path)
    attention = model.attention(TEXT)
    outputs = {
        (layer, head): heads_output(model, TEXT, layer, head)
        for layer, head in product(range(1, 7), range(1, 13))
    }
    for settings, each in zip(places, told, strict=True):
        layer, head, token = (settings[name] for name in ("layer", "head", "token"))
        probs = attention[layer - 1, head - 1, token].tolist()
        assert each["shares"] == pytest.approx(probs, abs=1e-6)
        assert each["rounding"] < 1e-6
        output = outputs[layer, head][token].tolist()
        assert each["output"] == pytest.approx(output, abs=1e-5)


@pytest.mark.parametrize("stand", STANDS)
def test_the_browser_follows_temperature_and_division_exactly(widget, stand, tmp_path) -> None:
    places = every_place(widget, **stand)
    for settings, each in zip(places, node(widget, places, tmp_path), strict=True):
        widget.settings = settings
        divisor = stand["temperature"] * (8**0.5 if stand["scaled"] else 1)  # D = 24 / 3
        divided = widget.scores / divisor
        assert each["divided"] == pytest.approx(divided.tolist(), abs=1e-12)
        assert each["shares"] == pytest.approx(divided.softmax(0).tolist(), abs=1e-12)
        assert each["shares"] == pytest.approx(widget.shares.tolist(), abs=1e-12)
        assert each["output"] == pytest.approx(widget.output.tolist(), abs=1e-12)
        assert sum(each["shares"]) == pytest.approx(1, abs=1e-12)


def test_what_is_sent_is_the_trace_of_all_heads(bert, widget) -> None:
    sent, trace = unpacked(widget.data), bert.trace("my dog is cute")
    assert sent["tokens"] == trace.encoding.tokens
    for name, part in (("query", trace.query), ("key", trace.key), ("value", trace.value)):
        assert sent[name].tolist() == part.tolist()
    assert sent["probs"].tolist() == trace.attention_probs.tolist()
    _, probs = attend(*(torch.tensor(sent[name]) for name in ("query", "key", "value")))
    torch.testing.assert_close(probs, trace.attention_probs)


def test_repr_is_one_stable_line_and_says_what_was_changed(bert: Bert) -> None:
    step = AttentionStep("my dog is cute", bert, layer=2, head=3, token=2)
    best = int(step.shares.argmax())
    most = f"“{step.trace.encoding.tokens[best]}”, {100 * float(step.shares[best]):.1f} %"
    told = f"6 tokens, layer 2 head 3 of 2 x 3: “dog” gives most to {most}"
    assert repr(step) == f"AttentionStep({told})"
    step.settings = step.settings | {"temperature": 2.5, "scaled": False}
    assert repr(step).endswith(" %; not divided by √D; temperature 2.5)")


def test_a_new_text_lets_the_tokens_go_and_keeps_the_head(bert: Bert) -> None:
    step = AttentionStep(TEXT, bert, head=2, token=8)
    step.settings = step.settings | {"target": 3, "temperature": 2}
    step.text = ""
    assert step.problem == ""
    kept = {"head": 2, "token": 1, "target": None, "temperature": 2}
    assert {name: step.settings[name] for name in kept} == kept
    assert step.shares.shape == (2,)
    step.text = HOSTILE[:60]
    assert float(step.shares.sum()) == pytest.approx(1)


def test_what_is_not_there_is_refused_and_the_picture_stays(bert: Bert) -> None:
    step = AttentionStep("my dog", bert)
    before = repr(step)
    for name, value in (
        ("layer", 3), ("layer", 0), ("head", 4), ("token", 4), ("token", None), ("target", 4),
        ("stage", 7),
    ):  # fmt: skip
        with pytest.raises(InputError, match=f"There is no {name} {value}: choose from"):
            step.settings = step.settings | {name: value}
    for temperature in (COLDEST - 0.01, HOTTEST + 0.01):
        with pytest.raises(InputError, match="choose from 0.25 to 4"):
            step.settings = step.settings | {"temperature": temperature}
    step.text = "a " * (LONGEST - 1)
    assert step.problem == ("The text has 25 tokens and this picture shows at most 24: shorten it.")
    assert repr(step) == before
    with pytest.raises(InputError, match="There is no token 9"):
        AttentionStep("my dog", bert, token=9)
