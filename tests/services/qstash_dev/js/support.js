// What the judges share: a destination that remembers, and waiting on a condition with a deadline.
import { createServer } from "node:http";

export async function eventually(check, what, within = 8000) {
  const deadline = Date.now() + within;
  for (;;) {
    const value = await check();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`never came about within ${within} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export async function destination(status = 200, headers = {}) {
  const seen = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      seen.push({ method: request.method, path: request.url, headers: request.headers, body });
      const wanted = request.url.match(/\/status\/(\d+)/);
      response.writeHead(wanted ? Number(wanted[1]) : status, { "content-type": "application/json", ...headers });
      response.end(JSON.stringify({ heard: body }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  return { url, seen, close: () => { server.closeAllConnections(); server.close(); } };
}
