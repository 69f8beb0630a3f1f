// Which spans can be an answer, and their probabilities, as in bertedu/finetuning/spans.py;
// tests/test_rules.py holds the two equal. The document's first token is at `begin`, its last one
// is the last but one of all; `most` is the length of the longest answer, in tokens.

export const LEGAL = "legal";
export const REASONS = ["outside the document", "end before start", "too long"];

export function softmax(logits) {
  const highest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Why a start and an end are no answer, one of REASONS, or "legal". */
export function judge({ begin, most, tokens }, start, end) {
  const isInside = (place) => place >= begin && place < tokens.length - 1;
  if (!isInside(start) || !isInside(end)) return REASONS[0];
  if (end < start) return REASONS[1];
  return end - start + 1 > most ? REASONS[2] : LEGAL;
}

/** The log of the sum over all choices: every legal span, and no answer where that is one. */
export function logTotal({ begin, most, tokens, starts, ends, no_answer, null_score }) {
  const scores = no_answer ? [null_score] : [];
  for (let s = begin; s < tokens.length - 1; s++) {
    for (let e = s; e < Math.min(s + most, tokens.length - 1); e++) scores.push(starts.values[s] + ends.values[e]);
  }
  const highest = scores.reduce((best, score) => Math.max(best, score), -Infinity);
  return highest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - highest), 0));
}

/** How much of the product of both softmaxes lies on legal spans, and on what is none, by reason. */
export function masses(data, startShares, endShares) {
  const last = data.tokens.length - 1;
  const sums = Object.fromEntries([LEGAL, ...REASONS].map((reason) => [reason, 0]));
  for (let s = data.begin; s < last; s++) {
    for (let e = data.begin; e < last; e++) sums[judge(data, s, e)] += startShares[s] * endShares[e];
  }
  const inside = sums[LEGAL] + sums[REASONS[1]] + sums[REASONS[2]];
  sums[REASONS[0]] = Math.max(0, 1 - inside);
  return sums;
}
