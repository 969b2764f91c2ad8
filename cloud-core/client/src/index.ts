// The interface of the cloud core, typed. `schema.d.ts` is generated from the description of the
// interface and never edited; here is only what every caller needs beside it: problems as errors,
// pages as one stream, keys for requests that must act once.

import createFetch, { type Client, type ClientOptions } from "openapi-fetch";
import type { components, paths } from "./schema.js";

export type { components, paths } from "./schema.js";
export type Problem = components["schemas"]["Problem"];
export type Core = Client<paths>;

/** What the core answered when it did not do what was asked. */
export class ProblemError extends Error {
  override readonly name = "ProblemError";

  constructor(
    readonly problem: Problem,
    /** Seconds to wait before another try, where the core says so. */
    readonly retryAfter: number | undefined,
  ) {
    super(`${problem.title}: ${problem.detail}`);
  }

  /** For programs and for translation; never changes. */
  get code(): string {
    return this.problem.code;
  }
}

export interface Options extends Pick<ClientOptions, "baseUrl" | "fetch"> {
  /** A token for each request. Left out, the cookie of the page's session is used. */
  token?: () => string | Promise<string>;
}

/** Talks to a core. */
export function core(options: Options): Core {
  const { token, ...rest } = options;
  const client = createFetch<paths>({ ...rest, credentials: token ? "omit" : "same-origin" });
  if (token) {
    client.use({
      async onRequest({ request }) {
        request.headers.set("authorization", `Bearer ${await token()}`);
        return request;
      },
    });
  }
  return client;
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The content of an answer; throws a `ProblemError` when there is none. */
export async function ok<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const wait = Number(response.headers.get("retry-after") ?? Number.NaN);
  throw new ProblemError(problem(error, response), Number.isFinite(wait) ? wait : undefined);
}

// A proxy on the way may answer in words of its own.
function problem(error: unknown, { status, statusText }: Response): Problem {
  if (typeof error === "object" && error !== null && "code" in error) return error as Problem;
  return {
    type: "about:blank",
    title: statusText || "No answer of the core",
    status,
    detail: `Something between here and the core answered with ${status}.`,
    code: "unknown",
  };
}

interface Page<T> {
  items: T[];
  next_cursor?: string | null;
}

/** All items of a list, page after page, as far as they are asked for. */
export async function* all<T>(page: (cursor: string | undefined) => Promise<Page<T>>): AsyncGenerator<T> {
  let cursor: string | undefined;
  do {
    const { items, next_cursor } = await page(cursor);
    yield* items;
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined);
}

/** The header of a request that must act once: keep it, and send it again with each try. */
export function once(): { "idempotency-key": string } {
  return { "idempotency-key": crypto.randomUUID() };
}

/** The version of a thing that was read, for `if-match` when it is changed. */
export function version(response: Response): string {
  const tag = response.headers.get("etag");
  if (tag === null) throw new Error("this answer is no single thing: it has no version");
  return tag;
}
