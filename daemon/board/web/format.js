// Times, distances and what an incident is called.
import { el } from './dom.js';
import { now } from './now.js';
import { languageCode, t, word } from './texts.js';

const locale = () => (languageCode() === 'nl' ? 'nl-NL' : 'en-GB');

const isToday = date => date.toDateString() === new Date(now()).toDateString();

/** 03:12, with the date where it is not today. */
export function clock(time) {
    const date = new Date(time);
    const hours = date.toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
    return isToday(date) ? hours : `${date.toLocaleDateString(locale(), { day: 'numeric', month: 'short' })} ${hours}`;
}

export function clockSeconds(time) {
    return new Date(time).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

export function full(time) {
    return new Date(time).toLocaleString(locale(), { dateStyle: 'full', timeStyle: 'medium' });
}

/** 40 s, 12 min, 2 h 05, 3 d: how long ago. */
export function ago(time) {
    const seconds = Math.max(0, Math.round((now() - new Date(time)) / 1000));
    const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
    const h = languageCode() === 'nl' ? 'u' : 'h';
    if (seconds < 60) {
        return `${seconds} s`;
    }
    if (minutes < 60) {
        return `${minutes} min`;
    }
    return hours < 48 ? `${hours} ${h} ${String(minutes % 60).padStart(2, '0')}` : `${Math.floor(hours / 24)} d`;
}

/** <time> with the clock; with its age, which keeps up by refreshAges(), before or after it. */
export function timeAt(time) {
    return time && el('time', { datetime: time, title: full(time) }, clock(time));
}

export function timeAgo(time) {
    return time && el('time', { datetime: time, title: full(time), 'data-ago': true }, ago(time));
}

export function refreshAges() {
    for (const node of document.querySelectorAll('time[data-ago]')) {
        const text = ago(node.dateTime);
        if (node.textContent !== text) {
            node.textContent = text;
        }
    }
}

/** Metres between two points [longitude, latitude]. */
export function metresBetween(a, b) {
    const rad = Math.PI / 180;
    const x = (b[0] - a[0]) * rad * Math.cos((a[1] + b[1]) / 2 * rad), y = (b[1] - a[1]) * rad;
    return Math.hypot(x, y) * 6371000;
}

export function metres(n) {
    return n < 950 ? `${Math.round(n / 10) * 10} m` : `${(n / 1000).toLocaleString(locale(), { maximumFractionDigits: 1 })} km`;
}

export const kind = incident => word('kind', incident.kind);

function inWords(camera, nameLabel) {
    const score = typeof camera?.score === 'number' ? `${Math.round(camera.score * 100)} %` : null;
    const what = [camera?.label && nameLabel(camera.label), score].filter(Boolean).join(' ');
    return [what, camera?.camera_zone].filter(Boolean).join(', ');
}

/** What the camera recognised: "persoon 87 %, oprit"; empty if it said nothing that the reader may see. */
export const recognised = incident => inWords(incident.camera, label => word('label', label));

/** The text of the latest alert, unless it is what the camera recognised, in its own words (patrol.incidents.text). */
export function said({ text, camera }) {
    const withoutScore = words => words.replace(/\d+ %/, '');
    return text && withoutScore(text) !== withoutScore(inWords(camera, label => label)) ? `“${text}”` : null;
}

/** The place of an incident; of the silence of an endpoint, which has none, what is silent. */
export function where(incident) {
    if (incident.endpoint) {
        return t('endpoint_silent', { name: incident.endpoint });
    }
    return incident.coarse ? t('secret_place') : incident.address || t('no_address');
}

/** byName: on a screen that many people look at, nobody is "you". */
export function statusOf(incident, me, byName = false) {
    const status = word('status', incident.status);
    const mine = !byName && incident.assigned_to && incident.assigned_to === me.login;
    const who = incident.assigned_to_patrol ? t('patrol', { who: incident.assigned_to }) : nameOf(incident.assigned_to, me);
    return incident.assigned_to && incident.status !== 'closed' ? `${status}: ${mine ? t('you') : who}` : status;
}

/** The name of an officer, where the reader may know it; else the login. */
export function nameOf(login, me) {
    return me.officers.find(officer => officer.login === login)?.name || login;
}

/** Priority as number and shape. */
export function badge(priority) {
    return el('span', { class: `priority p${priority}`, role: 'img', 'aria-label': t('priority', { n: priority }) },
        el('span', { 'aria-hidden': 'true' }, priority));
}
