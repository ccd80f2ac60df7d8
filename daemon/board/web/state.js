// What the board has read, and who wants to know of it.
import { get } from './api.js';

export const state = {
    me: null, // GET /api/me
    queue: null, // GET /api/queue: {change_id, incidents}; null: not read yet, or not the person's to see
    outdated: false, // the board or the schema has another version than this page
    position: null, // [longitude, latitude] of this device; null: unknown, or not wanted
    selected: null, // incident_id chosen on the map
    busy: new Map(), // what is under way: incident_id or path -> {action, done: a promise}
};

const listeners = new Set();
let scheduled = false;

/** Calls the listener, soon and once, after whatever changed. */
export function onUpdate(listener) {
    listeners.add(listener);
}

export function updated() {
    if (scheduled) {
        return;
    }
    scheduled = true;
    queueMicrotask(() => {
        scheduled = false;
        listeners.forEach(listener => listener());
    });
}

export const mayLook = () => state.me.officer || state.me.auditor;

/** A person of no team sees no alarms, however many are open. */
export const isTeamless = () => mayLook() && !state.me.team && !state.me.all_teams;

export const incidents = () => state.queue?.incidents || [];

export const incidentInQueue = id => incidents().find(incident => incident.incident_id === id) || null;

/** The most urgent incident that nobody has taken; undefined: there is none. */
export const nextFree = () => incidents().find(incident => !incident.assigned_to && incident.status !== 'on_scene');

/** Has anybody seen it? */
export const isUnseen = incident => incident.status === 'new' || incident.status === 'reopened';

let reading = null;
let again = false;
let generation = 0; // of the responses to actions: what was requested before them is too old to be shown

async function readOnce() {
    do {
        again = false;
        const asked = generation;
        const answer = await get('/api/queue');
        if (asked !== generation) {
            again = true;
            continue;
        }
        state.queue = answer;
        updated();
    } while (again);
}

/** Reads the queue; a caller that asks while it is being read gets one that was read after it asked. */
export function readQueue() {
    if (!mayLook()) {
        state.queue = null;
        return Promise.resolve();
    }
    if (reading) {
        again = true;
    } else {
        reading = readOnce().finally(() => {
            reading = null;
        });
    }
    return reading;
}

/** The response to the last action, until the queue is read again. */
export function putIncident(id, incident) {
    generation++;
    if (!state.queue) {
        return;
    }
    const stays = incident && incident.category === 'alarm' && incident.status !== 'closed' && !incident.muted_until;
    state.queue.incidents = state.queue.incidents
        .filter(old => old.incident_id !== id || stays)
        .map(old => (old.incident_id === id ? { ...old, ...incident } : old));
    updated();
}
