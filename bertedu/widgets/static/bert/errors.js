/** What a reader did, or a file is; its message is one sentence for them. */
export class InputError extends Error {
  name = "InputError";
}
