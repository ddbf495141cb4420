// What both client programs need: the port, the harness that may end the server (served.py), and parts that are named when they fail.
import assert from "node:assert/strict";
import readline from "node:readline";

export const port = Number(process.argv.at(-1));

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/// Asks the harness to "kill" or to "restart" the server; resolves when that is done.
export async function harness(request) {
  process.stdout.write(`${request}\n`);
  assert.equal((await answers.next()).value, "done");
}

/// The message of the error that the promise must fail with.
export async function refusal(promise) {
  try {
    await promise;
  } catch (error) {
    return error.message;
  }
  return assert.fail("it was not refused");
}

/// A promise and what settles it, for events.
export function awaited() {
  let resolve;
  const promise = new Promise((done) => (resolve = done));
  return { promise, resolve };
}

/// Runs the parts in their order; the process ends with exit code 1 when one fails or does not end.
export async function run(parts) {
  const bound = setTimeout(() => {
    console.log(`${running} does not end`);
    process.exit(1);
  }, 300_000);
  let running = "";
  for (const part of parts) {
    running = part.name;
    const begun = Date.now();
    try {
      await part();
    } catch (error) {
      console.log(`${running} failed: ${error.stack}`);
      process.exit(1);
    }
    console.log(`${running}: ${Date.now() - begun} ms`);
  }
  clearTimeout(bound);
  process.exit(0);
}
