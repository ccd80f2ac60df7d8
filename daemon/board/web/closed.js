// The page /closed: what was closed in the last 24 hours, and a search further back.
import { ignoreFailure } from './actions.js';
import { get } from './api.js';
import { clearSearch, el } from './dom.js';
import { incidentRow } from './rows.js';
import { updated } from './state.js';
import { t, wordsWith } from './texts.js';

const MOST = 200; // that the board sends

let q = '';
let found = null; // GET /api/closed of q
let serial = 0;

export const closedView = {
    name: 'closed',
    title: () => t('closed'),
    open: () => {
        q = '';
        clearSearch();
        found = null;
        return read();
    },
    read,
    changed: change => change.op === 'status' && read(),
    render,
    find: id => found?.incidents.find(i => i.incident_id === id),
    change: () => found.change_id,
    search: text => {
        q = text.trim();
        return read();
    },
};

async function read() {
    const mine = ++serial;
    try {
        const words = q && wordsWith(q, 'kind', 'outcome').join(); // the database knows them as codes
        const answer = await get(`/api/closed${q ? `?q=${encodeURIComponent(q)}&words=${words}` : ''}`);
        if (mine === serial) {
            found = answer;
            updated();
        }
    } catch (error) {
        ignoreFailure(error);
    }
}

function head() {
    if (!found) {
        return t('loading');
    }
    const all = found.incidents.length < MOST;
    return q ? t(all ? 'closed_found' : 'closed_found_last', { n: found.incidents.length })
        : t(all ? 'closed_day' : 'closed_day_last', { n: found.incidents.length });
}

function render() {
    return el('div', { class: 'page' },
        el('div', { class: 'page-head' }, el('h1', { tabindex: -1 }, t('closed'))),
        el('form', { class: 'search', 'data-search': true, role: 'search', autocomplete: 'off' },
            el('input', { type: 'search', name: 'q', id: 'search', 'aria-label': t('search_closed'), placeholder: t('search_closed'), autocomplete: 'off' }),
            el('button', { class: 'button', type: 'submit' }, t('search'))),
        el('p', { class: 'hint', role: 'status' }, head()),
        el('ol', { id: 'closed', class: 'rows' }, found && found.incidents.map(incident => incidentRow(incident))),
        found && found.incidents.length === 0 && el('div', { class: 'empty' },
            el('strong', null, q ? t('no_closed_found', { q }) : t('no_closed'))));
}
