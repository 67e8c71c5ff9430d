/** Questions to the server. */

export class ApiError extends Error {
  /** @param {string} message @param {number} status 0 where there was no answer */
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @param {number} [tries] while the server still reads the rows
 * @returns {Promise<any>}
 */
async function ask(path, init, tries = 60) {
  let response;
  try {
    response = await fetch(path, init);
  } catch {
    throw new ApiError("The server does not answer.", 0);
  }
  if (response.status === 401 || response.status === 403) throw new ApiError("This page is no longer let in: open the address that `framescribe review` printed last.", response.status);
  if (response.status === 503 && tries) {
    await new Promise((done) => setTimeout(done, 500));
    return ask(path, init, tries - 1);
  }
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) throw new ApiError(answer.error ?? `The server answered ${response.status}.`, response.status);
  return answer;
}

/** @param {string} path @param {Record<string, any>} [given] lists are repeated */
export function get(path, given = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) for (const each of [value].flat()) query.append(name, String(each));
  return ask(`${path}?${query}`);
}

/** @param {string} path @param {any} given @param {boolean} [keepalive] it goes on when the page is closed */
export function post(path, given, keepalive = false) {
  return ask(path, { method: "POST", keepalive, headers: { "content-type": "application/json" }, body: JSON.stringify(given) });
}
