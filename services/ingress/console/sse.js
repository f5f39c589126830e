// @ts-check
/** Reading `text/event-stream` from a fetched answer. Knows nothing of keys or of trying again. */

/** @typedef {{id: string, event: string, data: string}} Message */

/** The messages of an answer, as they come. @param {Response} answer @returns {AsyncGenerator<Message>} */
export async function* messages(answer) {
  if (!answer.body) return;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  const parse = parser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parse(value);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

/**
 * Takes text in pieces, cut anywhere, and gives the messages that are complete. An id stays until another comes, as the standard
 * has it; comments are passed over.
 * @returns {(piece: string) => Message[]}
 */
export function parser() {
  let rest = "";
  let id = "";
  let event = "";
  /** @type {string[]} */
  let data = [];
  return (piece) => {
    const found = [];
    const text = rest + piece;
    const held = text.endsWith("\r") ? text.length - 1 : text.length; // its \n may still come
    const lines = text.slice(0, held).split(/\r\n|\n|\r/);
    rest = (lines.pop() ?? "") + text.slice(held);
    for (const line of lines) {
      if (line === "") {
        if (data.length) found.push({ id, event: event || "message", data: data.join("\n") });
        event = "";
        data = [];
        continue;
      }
      const at = line.indexOf(":");
      const name = at < 0 ? line : line.slice(0, at);
      const value = at < 0 ? "" : line.slice(at + 1).replace(/^ /, "");
      if (name === "data") data.push(value);
      else if (name === "event") event = value;
      else if (name === "id") id = value;
    }
    return found;
  };
}
