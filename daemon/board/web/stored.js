// What the database says in English, in the language of the person: why it refuses something, and its own notes.
import { statusOf } from './format.js';
import { state } from './state.js';
import { t } from './texts.js';

const REFUSALS = [ // of SQLSTATE 55000
    [/: cannot be muted/, 'stays_never'],
    [/: no condition is active/, 'mute_inactive'],
    [/ was muted before .* was (reopened|released)/, 'mute_before'],
    [/: its device does not stand/, 'mute_moved'],
    [/: another device joined it/, 'stays_other_device'],
];

const OTHERS = [ // of any
    [/^mute .* does not exist or is over$/, 'mute_over'],
    [/^device ".*" does not exist$/, 'no_device'],
    [/ does not belong to your team$/, 'not_your_team'],
    [/^mute: end .* is not valid$/, 'until_invalid'],
    [/^the team: is missing/, 'team_missing'],
];

const RIGHTS = { 28000: 'denied', 42501: 'no_right' }; // SQLSTATE

/** {text, hint}: why what a person wanted to do with an incident (null: with something else) was refused. */
export function refusalOf(incident, body) {
    const other = OTHERS.find(([pattern]) => pattern.test(body.message));
    if (other || RIGHTS[body.code]) {
        return { text: t(other ? other[1] : RIGHTS[body.code]) };
    }
    if (body.code !== '55000' || !incident) {
        return { text: body.message, hint: body.hint };
    }
    const known = REFUSALS.find(([pattern]) => pattern.test(body.message));
    const now = { ...incident, status: body.status || incident.status, assigned_to: body.status ? body.assigned_to : incident.assigned_to };
    return { text: t(known && now.status !== 'closed' ? known[1] : 'not_possible', { ref: incident.reference, status: statusOf(now, state.me) }) };
}

/** Whether what does not exist for the person is the device: it went to a home of which they must not know. */
export function isOfDevice(body) {
    return /^device /.test(body?.message);
}

const NOTES = [ // [action, what the database writes, the text]
    ['mute', /^muted(?:: (?<reason>[^]*))?$/, 'note_muted'],
    ['mute', /^unmuted$/, 'note_unmuted'],
    ['mute', /^mute ended$/, 'note_mute_ended'],
    ['status', /^person removed$/, 'note_person_removed'],
    ['status', /^device (?<name>.*) is silent$/, 'note_device_silent'],
    ['status', /^endpoint (?<name>.*) is silent$/, 'note_endpoint_silent'],
];

/** The note of an entry of the history: of a person as it was written. */
export function noteOf({ action, note }) {
    for (const [of, pattern, text] of NOTES) {
        const found = of === action && pattern.exec(note);
        if (found) {
            return [t(text, found.groups), found.groups?.reason].filter(Boolean).join(': ');
        }
    }
    return note;
}
