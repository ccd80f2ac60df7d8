// The page /equipment: service incidents, devices that need attention, and what is muted.
import { ignoreFailure, mute, unmute } from './actions.js';
import { get } from './api.js';
import { askArea } from './dialogs.js';
import { clearSearch, el } from './dom.js';
import { clock, nameOf, timeAgo, timeAt } from './format.js';
import { incidentRow } from './rows.js';
import { notify } from './notice.js';
import { mayLook, state, updated } from './state.js';
import { t } from './texts.js';

let q = '';
let shown = null; // GET /api/equipment
let serial = 0;

export const equipmentView = {
    name: 'equipment',
    title: () => t('equipment'),
    open: () => {
        q = '';
        clearSearch();
        shown = null;
        return read();
    },
    read,
    changed: change => (change.category === 'service' || change.op === 'mute' || change.status === 'closed') && read(),
    heartbeat: read, // a mute of what has no open incident is not a change, nor is its end
    render,
    find: id => shown?.incidents.find(i => i.incident_id === id),
    change: () => shown.change_id,
    search: text => {
        q = text.trim();
        return read();
    },
    commands: {
        'mute-device': button => mute(button.dataset.device, { device: button.dataset.device }),
        'mute-area': muteArea,
        unmute: button => unmute(Number(button.dataset.mute)),
    },
};

async function read() {
    const mine = ++serial;
    try {
        const answer = await get(`/api/equipment${q ? `?q=${encodeURIComponent(q)}` : ''}`);
        if (mine === serial) {
            shown = answer;
            updated();
        }
    } catch (error) {
        ignoreFailure(error);
    }
}

async function muteArea() {
    let areas;
    try {
        areas = (await get('/api/areas?west=-180&south=-85&east=180&north=85')).features;
    } catch (error) {
        ignoreFailure(error);
        return;
    }
    if (areas.length === 0) {
        notify('failed', t('no_areas'));
        return;
    }
    const own = areas.filter(area => area.properties.may_mute);
    if (own.length === 0) {
        notify('failed', t('no_own_areas'));
        return;
    }
    const area = await askArea(own);
    if (area) {
        await mute(area.name || area.code, { layer: area.layer, code: area.code });
    }
}

function counts() {
    return el('dl', { class: 'tally' }, ['devices', 'placed', 'silent', 'muted', 'battery_low'].map(name =>
        el('div', { class: ['silent', 'battery_low'].includes(name) && shown.counts[name] > 0 ? 'bad' : null },
            el('dt', null, t(`count_${name}`)), el('dd', null, shown.counts[name]))));
}

function battery(device) {
    const pct = device.battery_pct;
    return pct === null ? '–' : el('span', { class: pct <= 20 ? 'battery low' : 'battery' },
        el('meter', { min: 0, max: 100, low: 21, optimum: 100, value: pct, 'aria-hidden': 'true' }), `${pct} %`);
}

function muteButton(device) {
    if (!state.me.officer) {
        return null;
    }
    const active = shown.mutes.find(m => m.device_id === device.device_id);
    return active
        ? el('button', { type: 'button', class: 'button', 'data-action': 'unmute', 'data-do': 'unmute', 'data-mute': active.mute_id, 'aria-label': `${t('unmute')}: ${device.device_id}` }, t('unmute'))
        : el('button', { type: 'button', class: 'button', 'data-action': 'mute', 'data-do': 'mute-device', 'data-device': device.device_id, 'aria-label': `${t('mute')}: ${device.device_id}` }, t('mute'));
}

/** The mute by which it is muted until then may end before: when its incident is restored. */
function muteChip(device) {
    const last = shown.mutes.find(m => m.device_id === device.device_id && m.until === device.muted_until);
    return el('span', { class: 'chip quiet' }, t(last?.incident_id ? 'muted_restored' : 'muted', { time: clock(device.muted_until) }));
}

function deviceCard(device) {
    return el('li', { class: 'device', 'data-key': `d${device.device_id}`, 'data-device-id': device.device_id },
        el('div', { class: 'what' },
            el('div', { class: 'title' }, el('span', { class: 'place' }, device.device_id), el('span', { class: 'kind' }, device.model)),
            el('div', { class: 'line' }, el('span', null, [device.address, device.team].filter(Boolean).join(' · '))),
            el('div', { class: 'chips' },
                device.silent_since && el('span', { class: 'chip overdue' }, t('silent_since', { time: clock(device.silent_since) })),
                device.muted_until && muteChip(device),
                device.card && el('span', { class: `chip ${device.card === 'red' ? 'overdue' : 'late'}` },
                    t(`card_${device.card}`, { time: clock(device.card_until) })))),
        el('dl', { class: 'facts' },
            el('div', null, el('dt', null, t('battery')), el('dd', null, battery(device))),
            el('div', null, el('dt', null, t('signal')), el('dd', null, device.signal_dbm === null ? '–' : `${device.signal_dbm} dBm`)),
            el('div', null, el('dt', null, t('last_heard')), el('dd', null, device.last_received_at ? timeAgo(device.last_received_at) : t('never')))),
        el('div', { class: 'actions' }, muteButton(device)));
}

function muteCard(active) {
    const what = active.device_id || (active.layer ? t('area', active) : t('hidden_device'));
    return el('li', { class: 'device', 'data-key': `m${active.mute_id}` },
        el('div', { class: 'what' },
            el('div', { class: 'title' }, el('span', { class: 'place' }, what)),
            el('div', { class: 'line' }, [active.reason, t('by_who', { who: nameOf(active.muted_by, state.me) })].filter(Boolean).join(' · ')),
            active.incident_id && el('div', { class: 'chips' }, el('span', { class: 'chip quiet' }, t('until_restored')))),
        el('div', { class: 'when' }, el('span', null, t(active.incident_id ? 'at_the_latest' : 'until'), ' '), timeAt(active.until)),
        el('div', { class: 'actions' }, state.me.officer && el('button', {
            type: 'button', class: 'button', 'data-action': 'unmute', 'data-do': 'unmute', 'data-mute': active.mute_id, 'aria-label': `${t('unmute')}: ${what}`,
        }, t('unmute'))));
}

function section(id, title, hint, empty, items) {
    return el('section', { 'aria-labelledby': `${id}-title` }, el('h2', { id: `${id}-title` }, title),
        hint && el('p', { class: 'hint' }, hint),
        items.length > 0 ? el('ul', { class: 'rows', id }, items) : el('p', { class: 'empty-line' }, `✓ ${empty}`));
}

function render() {
    return el('div', { class: 'page' },
        el('div', { class: 'page-head' }, el('h1', { tabindex: -1 }, t('equipment'))),
        !shown && el('p', { class: 'hint' }, t('loading')),
        shown && [counts(),
            section('service', t('service'), null, t('no_service'),
                shown.incidents.map(i => incidentRow(i, { link: mayLook() }))),
            el('form', { class: 'search', 'data-search': true, role: 'search', autocomplete: 'off' },
                el('input', { type: 'search', name: 'q', id: 'search', 'aria-label': t('search_devices'), placeholder: t('search_devices'), autocomplete: 'off' }),
                el('button', { class: 'button', type: 'submit' }, t('search'))),
            section('devices', t('devices'), q ? null : t('devices_shown'), q ? t('no_devices_found', { q }) : t('no_devices'), shown.devices.map(deviceCard)),
            section('mutes', t('mutes'), null, t('no_mutes'), shown.mutes.map(muteCard)),
            state.me.officer && el('p', { class: 'after' }, el('button', { type: 'button', class: 'button', 'data-do': 'mute-area' }, t('mute_area')))]);
}
