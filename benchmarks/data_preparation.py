"""What a batch costs before the model sees it: pairs, padding and masks, beside a training step.

The pairs come from a plain loop, once an epoch; a batch's share of it is counted. The step is
that of the embedded checkpoint, 2,048 positions. Processor time of one thread.
"""

import itertools
import time
from statistics import median

import torch
from bench import arguments, open_corpus, report

import bertedu
from bertedu import BertForPreTraining
from bertedu.pretraining import PretrainingData, Recipe, pretrain


def main() -> None:
    """Measures, and prints the table."""
    args = arguments(__doc__, corpus={"help": "folder of Corpus.build; by default the course's"})
    torch.set_num_threads(1)
    tokenizer = bertedu.load_tokenizer()
    corpus = open_corpus(args.corpus)
    rounds = 3 if args.quick else args.rounds or 15
    recipe = Recipe(steps=rounds + 1)
    data = PretrainingData(corpus, tokenizer, recipe)

    seconds_a_pair = []
    for epoch in range(3):
        began = time.process_time()
        examples = data.sampler.epoch(epoch).examples
        seconds_a_pair.append((time.process_time() - began) / len(examples))

    batches = data.batches()
    next(batches)  # with it the epoch's pairs are made
    made, pairs = [], 0
    for _ in range(rounds):
        began = time.process_time()
        pairs += len(next(batches)["input_ids"])
        made.append(time.process_time() - began)

    model = bertedu.from_pretrained("bertedu", BertForPreTraining)
    ends = [time.process_time() for _ in pretrain(model, data, recipe)]
    step = median(end - began for began, end in itertools.pairwise(ends))
    a_pair, batch = median(seconds_a_pair), median(made)
    in_batch = a_pair * pairs / rounds
    row = {
        "pairs made a second": f"{1 / a_pair:,.0f}",
        "pairs trained a second": f"{pairs / rounds / step:.0f}",
        "pairs of a batch, ms": f"{1000 * in_batch:.2f}",
        "padding and masks, ms": f"{1000 * batch:.2f}",
        "training step, ms": f"{1000 * step:.0f}",
        "preparation, share of the step": f"{(in_batch + batch) / step:.2%}",
    }
    report(__file__, [row], f"Text: {corpus}.", save=args.save)


if __name__ == "__main__":
    main()
