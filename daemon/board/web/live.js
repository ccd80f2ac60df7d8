// The stream of changes: whatever interrupts it, it goes on after the last change that was read. It is read by fetch(), since
// an EventSource does not say that the session has ended.
import { Failure, failureOf, get } from './api.js';
import { now } from './now.js';

const QUIET_MS = 20000; // nothing was heard for this long: there is no connection
const DEAD_MS = 25000; // a connection on which nothing comes is replaced
const HURRY_MS = 5000; // or, if somebody comes back to the page, after this long
const RETRY_MS = [500, 1000, 2000, 4000, 8000];

export const connection = {
    state: 'starting', // "starting", "live", "lost", "ended" (sign in again) or "denied" (no longer registered)
    heardAt: now(), // when anything was heard last
};

const moment = () => ({ wall: Date.now(), mono: performance.now() });

/** Milliseconds. The wall clock counts while the device sleeps, the other is never set back: the one that says more. */
const since = then => Math.max(Date.now() - then.wall, performance.now() - then.mono);

let last = null; // change_id of the last change that was read
let aborter = null;
let skipWait = null;
let heard = moment(); // when anything was heard last
let begun = moment(); // when the attempt that is under way began
let hurried = false; // the next attempt does not wait
let handlers;

function enter(state) {
    if (connection.state !== state) {
        connection.state = state;
        handlers?.onState(state);
    }
}

function onHeard() {
    heard = moment();
    connection.heardAt = now();
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
    onHeard();
    if (fields.event === 'change') {
        last = Number(fields.id);
        handlers.onChange(JSON.parse(fields.data));
    } else if (fields.event === 'reset') {
        last = JSON.parse(fields.data).change_id;
        handlers.onReset();
    } else if (fields.event === 'heartbeat') { // what the person may not see is included
        last = JSON.parse(fields.data).change_id;
        handlers.onHeartbeat();
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
    begun = moment();
    try {
        const response = await fetch(`/api/changes?after=${last}`, {
            redirect: 'manual', cache: 'no-store', signal: aborter.signal, headers: { Accept: 'text/event-stream' },
        });
        const failure = failureOf(response, 'text/event-stream');
        if (failure) {
            return failure === 'ended' || failure === 'denied' ? failure : null;
        }
        handlers.onOpen();
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
        skipWait = () => {
            clearTimeout(timer);
            skipWait = null;
            resolve();
        };
        const timer = setTimeout(skipWait, ms);
    });
}

async function followForever() {
    for (let attempt = 0; ; attempt++) {
        const before = heard;
        const end = await followOnce();
        if (end) {
            enter(end);
        }
        if (heard !== before) {
            attempt = 0;
        }
        const delay = end ? 15000 : RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
        if (!hurried) {
            await wait(delay * (0.5 + Math.random()));
        }
        hurried = false;
    }
}

/** For how long the attempt that is under way has brought nothing. */
const attemptQuiet = () => Math.min(since(heard), since(begun));

function checkQuiet() {
    if (since(heard) > QUIET_MS && (connection.state === 'live' || connection.state === 'starting')) {
        enter('lost');
    }
    if (!skipWait && attemptQuiet() > DEAD_MS) {
        aborter.abort();
    }
}

/** Somebody who comes back to the page does not wait for the next attempt, nor for one on which nothing comes. */
function hurry() {
    if (document.visibilityState !== 'visible' || connection.state === 'live') {
        return;
    }
    if (skipWait) {
        skipWait();
    } else if (attemptQuiet() > HURRY_MS) {
        hurried = true;
        aborter.abort();
    }
}

/** A request got 401: it is the session that ended, not the connection. */
export function sessionEnded() {
    enter('ended');
    aborter?.abort();
}

/** The person may no longer see anything, though the stream may go on. */
export function accessDenied() {
    enter('denied');
    aborter?.abort();
}

/**
 * handlers: onChange(row of patrol.changes), onReset() (read everything again), onHeartbeat() (every 10 s), onOpen() (a stream
 * has begun; it is of the person who is signed in now), onState(state).
 */
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
