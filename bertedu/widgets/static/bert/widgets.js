// What Python's widgets pack for the browser, computed in the page: for each the twin of its `_look`
// and `_packed`, under its name. `host.js` asks for them where a reader types in a page without Python.

import { AttentionExplorer } from "./widgets/attention_explorer.js";
import { AttentionStep } from "./widgets/attention_step.js";
import { pack } from "./widgets/base.js";
import { EmbeddingSum } from "./widgets/embedding_sum.js";
import { PairExplorer, SpanExplorer, TextClassifier, TokenTagger } from "./widgets/finetuned.js";
import { Journey } from "./widgets/journey.js";
import { MaskExplorer } from "./widgets/mask_explorer.js";
import { Patch } from "./widgets/patch.js";
import { TimeMachine } from "./widgets/time_machine.js";
import { TryIt } from "./widgets/try_it.js";
import { WordPieceExplorer } from "./widgets/wordpiece_explorer.js";

const TWINS = {
  AttentionExplorer, AttentionStep, EmbeddingSum, Journey, MaskExplorer, PairExplorer, Patch, SpanExplorer,
  TextClassifier, TimeMachine, TokenTagger, TryIt, WordPieceExplorer,
};

/**
 * The bytes of a widget's traits for what a reader asked; `first`, the settings to begin with;
 * `beside`, what else an answer depends on; `others`, the fine-tuned models that it needs.
 */
export function widget(bert, name, asked, first, beside = {}, others = []) {
  const { data, ...more } = TWINS[name](bert, { ...asked, ...beside }, others);
  const traits = { data: { asked: Object.values(asked), problem: "", first, ...data }, ...more };
  return Object.fromEntries(Object.entries(traits).map(([trait, values]) => [trait, pack(values)]));
}
