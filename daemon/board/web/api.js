// Requests to the board, and why one failed.
import { readClock } from './now.js';

const GET_MS = 20000;
const POST_MS = 20000;

/**
 * kind: "ended" (sign in again), "denied" (no right), "missing" (404), "conflict" (409: somebody else was first), "invalid"
 * (422 and other refusals), "down" (no response, nothing was done), "unknown" (no response to a POST: it may have been done).
 * body: {"message", "hint", ...} of the board.
 */
export class Failure extends Error {
    constructor(kind, body = {}) {
        super(body.message || kind);
        this.kind = kind;
        this.body = body;
    }
}

const kinds = { 401: 'ended', 403: 'denied', 404: 'missing', 409: 'conflict', 503: 'down' };

const isOfType = (response, type) => (response.headers.get('Content-Type') || '').startsWith(type);

/**
 * What a response other than the board's own means. A proxy that wants a new sign-in redirects, or shows its own page, perhaps
 * with status 403, or 400 where a client certificate is missing or has expired (nginx): the board refuses in JSON or plain text.
 */
export function failureOf(response, type) {
    if (response.type === 'opaqueredirect' || response.status === 401 || response.status === 403 && !isOfType(response, 'application/json')
        || response.status === 400 && isOfType(response, 'text/html')) {
        return 'ended';
    }
    if (response.ok) {
        return isOfType(response, type) ? null : 'ended';
    }
    return kinds[response.status] || (response.status >= 500 ? 'down' : 'invalid');
}

async function exchange(path, options, lost) {
    let response, body;
    try {
        response = await fetch(path, { redirect: 'manual', cache: 'no-store', ...options });
        if (response.type === 'opaqueredirect') {
            throw new Failure('ended');
        }
        readClock(response);
        body = isOfType(response, 'application/json') ? await response.json() : {};
    } catch (error) {
        throw error instanceof Failure ? error : new Failure(lost);
    }
    const kind = failureOf(response, 'application/json');
    if (kind) {
        throw new Failure(kind === 'down' ? lost : kind, body);
    }
    return body;
}

export function get(path) {
    return exchange(path, { signal: AbortSignal.timeout(GET_MS) }, 'down');
}

export function post(path, body) {
    return exchange(path, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(POST_MS),
    }, 'unknown');
}
