// The page /: the queue as a list, and the same incidents on the map.
import { el } from './dom.js';
import { updateMap } from './map.js';
import { incidentRow } from './rows.js';
import { incidents, isUnseen, nextFree, state } from './state.js';
import { t } from './texts.js';

let onMap = false; // on a narrow screen: the map instead of the list

export const queueView = {
    name: 'queue',
    title: () => t('queue'),
    render,
    shown: () => updateMap(document.getElementById('map')),
    commands: {
        list: () => {
            onMap = false;
        },
        map: () => {
            onMap = true;
        },
    },
};

function summary(all) {
    const unseen = all.filter(isUnseen).length;
    const counts = [1, 2, 3, 4, 5].map(p => [p, all.filter(i => i.priority === p).length]).filter(([, n]) => n > 0);
    return el('p', { class: 'summary' },
        el('span', null, t('open_count', { n: all.length })),
        unseen > 0 && el('strong', null, t('new_count', { n: unseen })),
        counts.map(([p, n]) => el('span', { class: 'count' }, `P${p}: ${n}`)));
}

function toggle() {
    const button = (name, on) => el('button', { type: 'button', class: 'button', 'data-do': name, 'aria-pressed': String(on) }, t(name));
    return el('div', { class: 'toggle', role: 'group', 'aria-label': t('view') }, button('list', !onMap), button('map', onMap));
}

function list(all) {
    const next = nextFree();
    return all.map(incident => incidentRow(incident, { named: true, next: incident === next }));
}

function render() {
    const all = incidents();
    const noneToTake = state.queue && !nextFree();
    return el('div', { class: `page queue-page ${onMap ? 'show-map' : 'show-list'}` },
        el('div', { class: 'page-head' },
            el('h1', { tabindex: -1 }, t('queue')),
            state.queue && summary(all),
            toggle(),
            state.me.officer && el('button', { type: 'button', class: `button take-next ${noneToTake ? 'idle' : 'primary'}`, 'data-do': 'next',
                'aria-disabled': noneToTake || state.busy.has('/api/next') ? 'true' : null },
                t('take_next'), el('kbd', { 'aria-hidden': 'true' }, 'n'))),
        el('div', { class: 'split' },
            el('div', { class: 'list-side' },
                el('ol', { id: 'queue', class: 'rows', 'aria-label': t('queue') }, list(all)),
                state.queue && all.length === 0 && el('div', { class: 'empty' },
                    el('strong', null, t('empty_queue')), el('p', null, t('empty_queue_hint'))),
                !state.queue && el('p', { class: 'hint' }, t('loading'))),
            el('div', { class: 'map-side' },
                el('div', { id: 'map', 'data-keep': true, role: 'region', 'aria-label': t('map_label') }))));
}
