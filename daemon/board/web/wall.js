// The page /wall: the queue on a screen on the wall, to be read from across the room; nothing can be done there.
import { el } from './dom.js';
import { clock } from './format.js';
import { incidentRow } from './rows.js';
import { incidents, isUnseen, nextFree, state } from './state.js';
import { now } from './now.js';
import { t } from './texts.js';

export const wallView = {
    name: 'wall',
    title: () => t('wall'),
    render,
};

function render() {
    const all = incidents();
    const next = nextFree();
    const counts = [1, 2, 3, 4, 5].map(p => [p, all.filter(i => i.priority === p).length]).filter(([, n]) => n > 0);
    const density = all.length > 24 ? 'dense' : all.length > 10 ? 'medium' : 'large';
    return el('div', { class: `page wall-page ${density}` },
        el('div', { class: 'page-head' },
            el('h1', { tabindex: -1 }, state.me.team_name || t('queue')),
            state.queue && el('p', { class: 'summary' }, el('span', null, t('open_count', { n: all.length })),
                el('strong', null, t('new_count', { n: all.filter(isUnseen).length })),
                counts.map(([p, n]) => el('span', { class: 'count' }, `P${p}: ${n}`))),
            el('p', { class: 'clock' }, clock(now()))),
        el('ol', { id: 'queue', class: 'rows', 'aria-label': t('queue') },
            all.map(incident => incidentRow(incident, { named: true, actions: false, link: false, next: incident === next }))),
        !state.queue && el('p', { class: 'hint' }, t('loading')),
        state.queue && all.length === 0 && el('div', { class: 'empty' }, el('strong', null, t('empty_queue'))));
}
