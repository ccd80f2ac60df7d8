// What a person does with an incident: which actions there are, sending one once, and what comes of it.
import { Failure, get, post } from './api.js';
import { askAssign, askClose, askMute, askNote, askReopen, forgetDraft, muteSubject } from './dialogs.js';
import { clock, nameOf, statusOf } from './format.js';
import { sessionEnded } from './live.js';
import { isShown, notify } from './notice.js';
import { incidentInQueue, putIncident, readQueue, state, updated } from './state.js';
import { isOfDevice, refusalOf } from './stored.js';
import { t, word } from './texts.js';

/** {first: the likeliest action, main: names of those shown at once, more: of those behind "more"}. */
export function actionsOf(incident, me) {
    if (!me.officer) {
        return { first: null, main: [], more: [] };
    }
    const mine = incident.assigned_to === me.login;
    const verify = incident.verified_by ? [] : ['verify'];
    const mute = incident.device_id && !incident.urgent && !incident.verified_by && !incident.muted_until ? ['mute'] : [];
    switch (incident.status) {
    case 'new':
    case 'reopened':
        return { first: 'claim', main: ['claim', 'on_scene', 'close', 'acknowledge'], more: [...verify, 'note', 'assign', ...mute] };
    case 'acknowledged':
        return { first: 'claim', main: ['claim', 'on_scene', 'close'], more: [...verify, 'note', 'assign', ...mute] };
    case 'assigned':
        return mine ? { first: 'on_scene', main: ['release', 'on_scene', 'close'], more: [...verify, 'note', 'assign'] }
            : { first: null, main: ['on_scene', 'close'], more: [...verify, 'note', 'assign', 'release'] };
    case 'on_scene':
        return { first: 'close', main: ['close'], more: [...verify, 'note', 'assign'] };
    default:
        return { first: 'reopen', main: ['reopen'], more: ['note'] };
    }
}

/** What an action asks first, beyond what the screen shows; null: cancelled. */
function askFirst(action, incident) {
    switch (action) {
    case 'close': return askClose(incident);
    case 'note': return askNote(incident);
    case 'reopen': return askReopen(incident);
    case 'assign': return askAssign(incident, state.me);
    case 'release': return Promise.resolve({ officer: incident.assigned_to });
    default: return Promise.resolve({});
    }
}

/** The opposite of an action, as contract §9 has it; null: it cannot be undone. before: the incident as it was. */
function oppositeOf(action, before) {
    switch (action) {
    case 'claim': return ['release', { officer: state.me.login }];
    case 'on_scene': return ['assign', { officer: before.assigned_to || state.me.login }];
    case 'close': return ['reopen', { note: t('undone_note') }];
    default: return null;
    }
}

function describeConflict(incident, body) {
    const status = statusOf({ ...incident, status: body.status, assigned_to: body.assigned_to }, state.me);
    const values = { ref: incident.reference, time: clock(body.at), status };
    const byOther = body.by && body.by !== 'mobeyed' && body.by !== state.me.login && body.status !== incident.status;
    const name = body.by && nameOf(body.by, state.me);
    const who = name === body.by ? name : `${name} (${body.by})`;
    return byOther ? t('conflict', { ...values, who }) : t('conflict_alert', values);
}

/** After a POST without a response: what the board says once it responds again. */
async function tellWhatCameOfIt(incident) {
    for (let delay = 1000; ; delay = Math.min(delay * 2, 8000)) {
        try {
            const { incident: now } = await get(`/api/incident/${incident.incident_id}`);
            await readQueue();
            notify('unknown', t('known_again', { ref: incident.reference, status: statusOf(now, state.me) }));
            return;
        } catch (error) {
            if (!(error instanceof Failure)) {
                throw error;
            }
            if (error.kind !== 'down') {
                onFailure(error, incident);
                return;
            }
        }
        await new Promise(resolve => setTimeout(resolve, delay * (0.5 + Math.random())));
    }
}

function onFailure(error, incident) {
    switch (error.kind) {
    case 'ended':
        notify('failed', t('ended_before'));
        sessionEnded();
        return;
    case 'conflict':
        if (error.body.code === 'MB001' && error.body.status) {
            notify('conflict', describeConflict(incident, error.body));
        } else {
            const { text, hint } = refusalOf(incident, error.body);
            notify('conflict', t('failed', { message: text }), { hint });
        }
        break;
    case 'missing':
        notify('conflict', incident ? t(isOfDevice(error.body) ? 'mute_moved' : 'gone', { ref: incident.reference })
            : t('failed', { message: refusalOf(null, error.body).text || error.message }));
        break;
    case 'unknown':
        notify('unknown', t('unknown_result'));
        if (incident) {
            tellWhatCameOfIt(incident);
            return;
        }
        break;
    case 'down':
        notify('failed', t('down'));
        return;
    default: {
        const { text, hint } = refusalOf(null, error.body);
        notify('failed', t('failed', { message: text || t('no_right') }), { hint });
    }
    }
    if (error.kind === 'missing' || error.kind === 'denied') { // the person may have left the team, or lost the right
        readFailedListener?.();
    }
    readQueue().catch(ignoreFailure);
    changedListener?.(incident?.incident_id);
}

let readFailedListener = null;

/** Called when a reading had no response, or was refused: without another one, the page would go on showing what it read before. */
export function onReadFailed(listener) {
    readFailedListener = listener;
}

/** For readings that follow something else: the connection banner says it already. */
export function ignoreFailure(error) {
    if (!(error instanceof Failure)) {
        throw error;
    }
    if (error.kind === 'ended') {
        sessionEnded();
    } else if (error.kind === 'down' || error.kind === 'denied') {
        readFailedListener?.();
    }
}

let changedListener = null;

/** Called with the incident that an action has changed, or that turned out to be different, and its detail if known. */
export function onIncidentChanged(listener) {
    changedListener = listener;
}

/**
 * Sends one request, for the incident if there is one: while it is under way, no other is sent for it. onDone gets the response
 * before the caller that waits for its end goes on.
 */
export async function sendOnce(incident, action, path, body, onDone) {
    const key = incident ? incident.incident_id : path;
    if (state.busy.has(key)) {
        return;
    }
    let finish;
    state.busy.set(key, { action, done: new Promise(resolve => {
        finish = resolve;
    }) });
    updated();
    try {
        onDone(await post(path, body));
    } catch (error) {
        if (!(error instanceof Failure)) {
            throw error;
        }
        onFailure(error, incident);
    } finally {
        state.busy.delete(key);
        finish();
        updated();
    }
}

function send(incident, change, action, more, isUndo) {
    const body = { expected_status: incident.status, expected_change: change, ...more };
    return sendOnce(incident, action, `/api/incident/${incident.incident_id}/${action}`, body, detail => {
        const now = detail.incident;
        forgetDraft(action, incident.incident_id);
        putIncident(incident.incident_id, now);
        changedListener?.(incident.incident_id, detail);
        const opposite = isUndo || !now ? null : oppositeOf(action, incident);
        notify('done', isUndo ? t('done_undo') : t(`done_${action}`, { ref: incident.reference, who: nameOf(more.officer || '', state.me) }), {
            undo: opposite && (() => send(now, detail.change_id, opposite[0], opposite[1], true)),
        });
        readQueue().catch(ignoreFailure);
    });
}

/**
 * Does something with an incident. find: returns {incident, change} as the screen shows it, change being the change_id up to
 * which that is current; or null. What comes while something else is under way waits for it, and is done if it still can be.
 */
export async function act(find, id, action) {
    const running = state.busy.get(id);
    if (running?.action === action) {
        return;
    }
    await running?.done;
    const found = find();
    const possible = found && actionsOf(found.incident, state.me);
    if (!possible || !(possible.main.includes(action) || possible.more.includes(action))) {
        return;
    }
    const { incident, change } = found;
    if (action === 'mute') {
        const wanted = { device: incident.device_id, incident_id: incident.incident_id, restorable: !incident.restored_at };
        await mute(`${word('kind', incident.kind)} ${incident.device_id}`, wanted, incident);
        return;
    }
    const more = await askFirst(action, incident);
    if (more) {
        await send(incident, change, action, more, false);
    }
}

export async function mute(what, wanted, incident = null) {
    const subject = muteSubject(wanted, incident);
    const asked = await askMute(what, wanted, subject);
    if (!asked) {
        return;
    }
    const { shown, ...body } = asked;
    await sendOnce(incident, 'mute', '/api/mute', body, done => {
        forgetDraft('mute', subject);
        const text = t(body.incident_id && !body.device ? 'done_mute_restored' : 'done_mute', { what, time: shown });
        const undo = () => unmute(done.mute_id);
        notify('done', text, { undo });
        afterMute().then(() => {
            const hint = whyItStays(incident && incidentInQueue(incident.incident_id));
            if (hint && isShown(text)) {
                notify('done', text, { hint, undo });
            }
        });
    });
}

/** Why an incident is in the queue though its device has been muted; null: it is not there. */
function whyItStays(incident) {
    if (!incident) {
        return null;
    }
    const never = incident.urgent || incident.verified_by || incident.assigned_to;
    return t(never ? 'stays_never' : 'stays_other_device', { ref: incident.reference });
}

export function unmute(id) {
    return sendOnce(null, 'unmute', '/api/unmute', { mute_id: id }, () => {
        notify('done', t('done_unmute'));
        afterMute();
    });
}

/** Resolves when the queue has been read again. */
function afterMute() {
    changedListener?.(null);
    return readQueue().catch(ignoreFailure);
}

function onTaken(detail) {
    const { incident } = detail;
    if (!incident) {
        notify('done', t('none_free'));
        return;
    }
    putIncident(incident.incident_id, incident);
    notify('done', t('done_claim', { ref: incident.reference }), {
        undo: () => send(incident, detail.change_id, 'release', { officer: state.me.login }, true),
    });
    state.selected = incident.incident_id;
    readQueue().catch(ignoreFailure);
    document.querySelector(`#queue [data-incident="${incident.incident_id}"] a`)?.focus();
}

export function takeNext() {
    return sendOnce(null, 'next', '/api/next', {}, onTaken);
}
