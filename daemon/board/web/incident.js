// The page /incident/ID: everything about one incident.
import { ignoreFailure, sendOnce } from './actions.js';
import { get } from './api.js';
import { el } from './dom.js';
import { badge, clock, full, kind, nameOf, recognised, said, statusOf, timeAgo, timeAt, where } from './format.js';
import { actionBar, alertCount, chipsOf } from './rows.js';
import { state, updated } from './state.js';
import { noteOf } from './stored.js';
import { t, word } from './texts.js';

let id = null;
let detail = null; // GET /api/incident/ID
let failure = null; // the kind of failure, where it cannot be read
let reason = null; // that an auditor gave
let stale = false; // it has changed since an auditor opened it
let images = new Set(); // image_ids that the person wants to see
let failedImages = new Set();
let serial = 0;

export const incidentView = {
    name: 'incident',
    title: () => detail?.incident?.reference || t('incident'),
    shownId: () => id,
    open: number => {
        id = number;
        detail = failure = reason = null;
        stale = false;
        images = new Set();
        failedImages = new Set();
        return read();
    },
    read,
    changed: change => change.incident_id === id && (markStale() || read()),
    missed: markStale,
    put: (number, given) => {
        if (number === id) {
            detail = given;
            serial++; // what was asked for before is too old to be shown
        }
    },
    render,
    find: number => (detail?.incident?.incident_id === number ? detail.incident : null),
    change: () => detail.change_id,
    commands: {
        image: button => {
            images.add(button.dataset.image);
        },
    },
    submitReason,
    imageFailed: image => {
        failedImages.add(image);
        updated();
    },
};

/** Says that it has changed where reading it again would need a reason again. Returns whether that is so. */
function markStale() {
    if (reason === null) {
        return false;
    }
    serial++;
    stale = true;
    updated();
    return true;
}

async function read() {
    if (reason !== null) {
        return;
    }
    const mine = ++serial;
    try {
        const answer = await get(`/api/incident/${id}`);
        if (mine === serial) {
            detail = answer;
            failure = null;
            if (state.me.officer && answer.incident.image_id) {
                images.add(answer.incident.image_id);
            }
        }
    } catch (error) {
        ignoreFailure(error);
        if (mine === serial && (error.kind === 'missing' || error.kind === 'denied' || !detail)) {
            detail = null;
            failure = error.kind;
        }
    }
    updated();
}

/** An auditor's look. The response is for the incident that was shown then, and newer than what was requested before. */
function submitReason(text) {
    const asked = id, askedAt = serial;
    return sendOnce(detail.incident, 'open', `/api/incident/${id}/open`, { reason: text }, answer => {
        if (asked === id) {
            detail = answer;
            reason = text;
            stale = serial !== askedAt;
            serial++;
        }
    });
}

function fact(label, ...value) {
    return value.some(Boolean) && el('div', null, el('dt', null, label), el('dd', null, value));
}

function placeFacts(i) {
    const point = i.geom?.coordinates;
    const how = i.location_source && t(`source_${i.location_source}`);
    const accuracy = i.accuracy_m ? t('accuracy', { n: Math.round(i.accuracy_m) }) : null;
    return el('dl', { class: 'facts wide' },
        fact(t('place'), point && [`${point[1].toFixed(5)}, ${point[0].toFixed(5)}`, accuracy, how].filter(Boolean).join(' · ')),
        fact('', i.rd_x && t('pos_rd', { x: Math.round(i.rd_x), y: Math.round(i.rd_y) })),
        fact(t('device'), i.device_id),
        fact(t('team'), i.team),
        fact(t('rule'), i.rule),
        fact(t('external'), [i.external_system, i.external_ref].filter(Boolean).join(' ')),
        fact(t('previous'), i.previous_id && el('a', { href: `/incident/${i.previous_id}` }, `#${i.previous_id}`)));
}

function timeline(i) {
    const steps = [['first', i.first_seen], ['last', i.alert_count > 1 ? i.last_seen : null], ['ack', i.acknowledged_at],
        ['scene', i.on_scene_at], ['closed', i.closed_at]];
    return el('section', { class: 'card' }, el('h2', null, t('timeline')),
        el('ol', { class: 'steps' }, steps.filter(([name, at]) => at || name !== 'last').map(([name, at]) =>
            el('li', { class: at ? 'done' : 'open' }, el('span', { class: 'step' }, t(`step_${name}`)),
                at ? el('span', null, timeAt(at), ' ', el('span', { class: 'age' }, timeAgo(at))) : el('span', { class: 'hint' }, t('not_yet'))))));
}

function imageBox(image) {
    const time = clock(image.occurred_at);
    const path = `/api/image/${image.image_id}${reason === null ? '' : `?reason=${encodeURIComponent(reason)}`}`;
    const what = failedImages.has(image.image_id) ? el('p', { class: 'hint' }, t('image_failed'))
        : images.has(image.image_id)
            ? el('img', { src: path, alt: t('image_alt', { time }), 'data-image': image.image_id, width: image.width, height: image.height })
            : el('button', { type: 'button', class: 'button', 'data-do': 'image', 'data-image': image.image_id }, t('show_image', { time }));
    const score = image.score ? `${Math.round(image.score * 100)} %` : null;
    return el('figure', { 'data-key': image.image_id }, what, el('figcaption', null, [time, image.device_id, score].filter(Boolean).join(' · ')));
}

function imageSection() {
    const shown = [...detail.images].reverse();
    return el('section', { class: 'card' }, el('h2', null, t('images')),
        shown.length > 0 ? [el('p', { class: 'hint' }, t('image_logged')), el('div', { class: 'images' }, shown.map(imageBox))]
            : el('p', { class: 'hint' }, t('no_images')));
}

/** A DC-09 message may have its text in a field of its own. */
const extendedText = ({ extended }) => Array.isArray(extended) && extended.find(field => field?.id === 'I')?.value;

const textOf = ({ payload }) => payload?.data?.text || payload?.event?.text || payload && extendedText(payload)
    || recognised({ camera: payload?.data?.camera });

function table(name, heads, rows) {
    return el('div', { class: 'table', role: 'region', tabindex: 0, 'aria-label': name },
        el('table', null, el('thead', null, el('tr', null, heads.map(head => el('th', { scope: 'col' }, head)))),
            el('tbody', null, rows.map(cells => el('tr', null, cells.map(cell => el('td', null, cell)))))));
}

function alertSection() {
    const rows = [...detail.alerts].reverse().map(a => [
        timeAt(a.occurred_at), word('kind', a.kind), word('phase', a.phase), a.input === null ? '' : String(a.input),
        a.device_id || '', [textOf(a), ...(a.flags || [])].filter(Boolean).join(' · ')]);
    return el('section', { class: 'card' }, el('h2', null, `${t('alerts')} (${detail.alerts.length})`),
        rows.length > 0 ? table(t('alerts'), ['time', 'kind', 'phase', 'input', 'device', 'flags'].map(name => t(name)), rows)
            : el('p', { class: 'hint' }, t('no_alerts')));
}

function historyText(entry) {
    const what = entry.action === 'status'
        ? t('act_status', { from: word('status', entry.from_status), to: word('status', entry.to_status) }) : word('act', entry.action);
    return [what, entry.outcome && word('outcome', entry.outcome), entry.assigned_to && nameOf(entry.assigned_to, state.me)]
        .filter(Boolean).join(' · ');
}

function historySection() {
    return el('section', { class: 'card' }, el('h2', null, t('history')),
        el('ol', { class: 'history' }, [...detail.history].reverse().map(entry =>
            el('li', { class: `h-${entry.action}`, 'data-key': `h${entry.entry}` },
                timeAt(entry.at), el('span', { class: 'who' }, entry.actor === 'mobeyed' ? t('system') : nameOf(entry.actor, state.me)),
                el('span', { class: 'did' }, historyText(entry)),
                entry.note && !(entry.action === 'look' && entry.note === 'board') && el('span', { class: 'note' }, entry.action === 'verified' ? word('verified', entry.note) : noteOf(entry))))));
}

function beforeSection() {
    return el('section', { class: 'card' }, el('h2', null, t('before')),
        detail.before.length === 0 ? el('p', { class: 'hint' }, t('no_before'))
            : el('ul', { class: 'before' }, detail.before.map(b => el('li', { 'data-key': `b${b.incident_id}` },
                badge(b.priority), el('a', { href: `/incident/${b.incident_id}` }, b.reference),
                el('span', null, [kind(b), full(b.first_seen), `${b.distance_m} m`, b.outcome ? word('outcome', b.outcome) : word('status', b.status)].join(' · '))))));
}

function reasonForm() {
    return el('form', { class: 'card reason', 'data-reason': true, autocomplete: 'off' },
        el('h2', null, t('reason_title')), el('p', { class: 'hint' }, t('reason_hint')),
        el('label', { class: 'field' }, el('span', null, t('reason')), el('textarea', { name: 'reason', rows: 2, required: true, maxlength: 4000, id: 'reason' })),
        el('button', { class: 'button primary', type: 'submit', 'data-action': 'open', 'aria-disabled': state.busy.has(id) ? 'true' : null }, t('open')));
}

function headOf(i) {
    return el('div', { class: `incident-head pr${i.priority}` },
        badge(i.priority),
        el('div', { class: 'what' },
            el('h1', { tabindex: -1 }, where(i)),
            el('p', { class: 'line' }, el('strong', null, [kind(i), recognised(i)].filter(Boolean).join(': ')), el('span', { class: 'reference' }, i.reference),
                el('span', null, [i.wijk_name, alertCount(i), i.input_label].filter(Boolean).join(' · '))),
            said(i) && el('p', { class: 'said' }, said(i)),
            el('div', { class: 'chips' }, chipsOf(i))),
        el('div', { class: 'when' }, el('span', { class: 'age' }, timeAgo(i.first_seen)), timeAt(i.first_seen)),
        el('div', { class: `status st-${i.status}` }, i.status === 'closed' ? `${t('status_closed')}: ${word('outcome', i.outcome)}` : statusOf(i, state.me)));
}

function render() {
    if (!detail?.incident) {
        const text = detail || failure === 'missing' ? t('missing_incident')
            : failure === 'denied' ? t('no_right') : failure ? t('down') : t('loading');
        return el('div', { class: 'page' }, el('h1', { tabindex: -1 }, t('incident')),
            el('p', { class: 'empty' }, text), el('a', { href: '/', class: 'button' }, t('to_queue')));
    }
    const i = detail.incident;
    return el('div', { class: 'page incident-page', 'data-incident-page': i.incident_id },
        headOf(i),
        el('div', { class: 'bottom-bar' }, actionBar(i, 'primary')),
        stale && el('p', { class: 'form-error', role: 'status' }, t('changed_since')),
        (detail.reason_required || stale) && reasonForm(),
        el('div', { class: 'columns' },
            el('div', null,
                i.instructions && el('section', { class: 'card instructions' }, el('h2', null, t('instructions')), el('p', null, i.instructions)),
                timeline(i),
                historySection(),
                alertSection()),
            el('div', null,
                imageSection(),
                el('section', { class: 'card' }, el('h2', null, t('place')), placeFacts(i)),
                beforeSection())));
}
