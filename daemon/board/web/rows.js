// An incident as a row: in the queue, on the wall, among the closed and the service incidents.
import { actionsOf } from './actions.js';
import { el } from './dom.js';
import { badge, clock, kind, metres, metresBetween, recognised, said, statusOf, timeAgo, timeAt, where } from './format.js';
import { state } from './state.js';
import { t, word } from './texts.js';

const chip = (name, ...content) => el('span', { class: `chip ${name}` }, content);

/** What is special about an incident. */
export function chipsOf(incident) {
    return [
        incident.drill && chip('drill', t('drill')),
        incident.overdue_since && chip('overdue', t('overdue'), ' ', timeAgo(incident.overdue_since)),
        incident.verified_by && chip('verified', `✓ ${word('verified', incident.verified_by)}`),
        incident.delayed && chip('late', t('delayed')),
        incident.muted_until && chip('quiet', t('muted', { time: clock(incident.muted_until) })),
        incident.cancelled_at && chip('quiet', t('cancelled', { time: clock(incident.cancelled_at) })),
        incident.restored_at && chip('quiet', t('restored', { time: clock(incident.restored_at) })),
        incident.previous_id && chip('quiet', t('repeat')),
    ];
}

export function alertCount(incident) {
    return incident.alert_count === 1 ? t('alert_1') : t('alerts_n', { n: incident.alert_count });
}

function distance(incident) {
    const point = incident.geom?.coordinates;
    return state.position && point ? t('distance', { n: metres(metresBetween(state.position, point)) }) : null;
}

function joined(...parts) {
    return parts.filter(Boolean).join(' · ');
}

/** A button that does something with an incident. */
export function actionButton(incident, name, look = '') {
    const busy = state.busy.get(incident.incident_id)?.action === name;
    return el('button', {
        type: 'button', class: `button do-${name} ${look}`, 'data-action': name, 'data-for': incident.incident_id,
        'data-key': `do-${name}`, 'aria-disabled': busy ? 'true' : null,
        'aria-label': `${t(name)}: ${incident.reference}`,
    }, t(name));
}

/** The actions of an incident; those that are rarer behind "more". Each has its place, so that none moves under a finger. */
export function actionBar(incident, look = '') {
    const { first, main, more } = actionsOf(incident, state.me);
    if (main.length === 0) {
        return null;
    }
    return el('div', { class: 'actions' },
        main.map(name => actionButton(incident, name, name === first ? `first ${look}` : '')),
        more.length > 0 && el('details', { class: 'more', 'data-key': 'more' },
            el('summary', { class: 'button', 'aria-label': t('more', { ref: incident.reference }) }, '⋯'),
            el('div', { class: 'more-list' }, more.map(name => actionButton(incident, name)))));
}

/** A row. named: it has data-incident; actions: with buttons; next: it is the one to take; link: to its page. */
export function incidentRow(incident, { named = false, actions = true, next = false, link = true } = {}) {
    const unseen = incident.status === 'new' || incident.status === 'reopened';
    const mine = incident.assigned_to && incident.assigned_to === state.me.login;
    const place = where(incident);
    const classes = ['row', unseen && 'unseen', mine && 'mine', next && 'next', incident.drill && 'is-drill', `pr${incident.priority}`,
        state.selected === incident.incident_id && 'selected'].filter(Boolean).join(' ');
    const title = [el('span', { class: 'place' }, place),
        el('span', { class: 'kind' }, [kind(incident), recognised(incident)].filter(Boolean).join(': '))];
    return el('li', { class: classes, 'data-key': `i${incident.incident_id}`, 'data-incident': named ? incident.incident_id : null, 'data-status': incident.status, 'data-assigned-to': incident.assigned_to },
        badge(incident.priority),
        el('div', { class: 'what' },
            el('div', { class: 'title' },
                link ? el('a', { href: `/incident/${incident.incident_id}`, class: 'open' }, title) : title),
            el('div', { class: 'line' },
                next && el('strong', { class: 'next-mark' }, t('next')),
                el('span', { class: 'reference' }, incident.reference),
                incident.category === 'service' && incident.device_id && el('span', { class: 'device-name' }, incident.device_id),
                el('span', null, joined(incident.coarse ? null : incident.wijk_name, alertCount(incident), distance(incident), incident.input_label))),
            said(incident) && el('div', { class: 'said' }, said(incident)),
            el('div', { class: 'chips' }, chipsOf(incident))),
        el('div', { class: 'when' },
            el('span', { class: 'age' }, timeAgo(incident.status === 'closed' ? incident.closed_at : incident.first_seen)),
            el('span', { class: 'at' }, timeAt(incident.status === 'closed' ? incident.closed_at : incident.first_seen))),
        el('div', { class: `status st-${incident.status}` },
            incident.status === 'closed' ? word('outcome', incident.outcome) : statusOf(incident, state.me, !link)),
        actions && actionBar(incident));
}
