// The stream of changes: whatever interrupts it, it goes on after the last change that was read. It is read by fetch(), since
// an EventSource does not say that the session has ended.
import { Failure, failureOf, get } from './api.js';

const QUIET_MS = 20000; // nothing was heard for so long: there is no connection
const DEAD_MS = 25000; // a connection on which nothing comes is replaced
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export const connection = {
    state: 'starting', // "starting", "live", "lost", "ended" (sign in again) or "denied" (no longer registered)
    heardAt: Date.now(), // when anything was heard last
};

let last = null; // change_id of the last change that was read
let aborter = null;
let skipWait = null;
let handlers;

function enter(state) {
    if (connection.state !== state) {
        connection.state = state;
        handlers.onState(state);
    }
}

function heard() {
    connection.heardAt = Date.now();
    enter('live');
}

function onBlock(block) {
    const fields = {};
    for (const line of block.split('\n')) {
        const colon = line.indexOf(':');
        if (colon > 0) {
            fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
        }
    }
    if (!fields.event) {
        return;
    }
    heard();
    if (fields.event === 'change') {
        last = Number(fields.id);
        handlers.onChange(JSON.parse(fields.data));
    } else if (fields.event === 'reset') {
        last = JSON.parse(fields.data).change_id;
        handlers.onReset();
    }
}

async function readStream(response) {
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = '';
    for (;;) {
        const { value, done } = await reader.read();
        if (done) {
            return;
        }
        const blocks = (text + value).split('\n\n');
        text = blocks.pop();
        blocks.forEach(onBlock);
    }
}

/** Follows until the connection ends. Returns how that was: null (try again) or a state. */
async function followOnce() {
    aborter = new AbortController();
    try {
        const response = await fetch(`/api/changes?after=${last}`, {
            redirect: 'manual', cache: 'no-store', signal: aborter.signal, headers: { Accept: 'text/event-stream' },
        });
        const failure = failureOf(response, 'text/event-stream');
        if (failure) {
            return failure === 'ended' || failure === 'denied' ? failure : null;
        }
        await readStream(response);
        await get('/api/me'); // the board ends the stream of a person who was removed
    } catch (error) {
        if (error.kind === 'ended' || error.kind === 'denied') {
            return error.kind;
        }
        if (!(error instanceof TypeError || error instanceof Failure) && error.name !== 'AbortError') {
            throw error;
        }
    }
    return null;
}

function wait(ms) {
    return new Promise(resolve => {
        const timer = setTimeout(resolve, ms);
        skipWait = () => {
            clearTimeout(timer);
            resolve();
        };
    });
}

async function followForever() {
    for (let attempt = 0; ; attempt++) {
        const before = connection.heardAt;
        const end = await followOnce();
        if (end) {
            enter(end);
        }
        if (connection.heardAt !== before) {
            attempt = 0;
        }
        const delay = end ? 15000 : RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
        await wait(delay * (0.5 + Math.random()));
    }
}

function checkQuiet() {
    const quiet = Date.now() - connection.heardAt;
    if (quiet > QUIET_MS && (connection.state === 'live' || connection.state === 'starting')) {
        enter('lost');
    }
    if (quiet > DEAD_MS && quiet % DEAD_MS < 1000) {
        aborter?.abort();
    }
}

/** Somebody who comes back to the page does not wait for the next attempt. */
function hurry() {
    if (document.visibilityState === 'visible' && connection.state !== 'live') {
        skipWait?.();
    }
}

/** A request was answered 401: it is the session that ended, not the connection. */
export function sessionEnded() {
    enter('ended');
    aborter?.abort();
}

/** handlers: onChange(row of patrol.changes), onReset() (read everything again), onState(state). */
export function follow(after, given) {
    handlers = given;
    last = after;
    setInterval(checkQuiet, 1000);
    addEventListener('online', hurry);
    // A browser keeps pages that were left, with their streams, and has few connections for each site.
    addEventListener('pagehide', () => aborter?.abort());
    document.addEventListener('visibilitychange', hurry);
    followForever();
}
