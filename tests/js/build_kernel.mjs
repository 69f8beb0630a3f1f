// Makes kernel.js, the bytes that a browser runs, of kernel.wat, which is read by people.

import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

import wabt from "wabt";

const folder = new URL("../../bertedu/widgets/static/bert/", import.meta.url);
export const KERNEL_FILE = new URL("kernel.js", folder);

/** What kernel.js is, as kernel.wat stands. */
export async function kernelModule() {
  const text = readFileSync(new URL("kernel.wat", folder), "utf8");
  const { parseWat } = await wabt();
  const { buffer } = parseWat("kernel.wat", text, { simd: true }).toBinary({});
  return "// WebAssembly made of kernel.wat by `node tests/js/build_kernel.mjs`: change that file, not this.\n" +
    `export const KERNEL =\n  "${Buffer.from(buffer).toString("base64")}";\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  writeFileSync(KERNEL_FILE, await kernelModule());
}
