// What is around every page: the header, the state of the connection, settings and help.
import { el, icon, morph } from './dom.js';
import { showSheet } from './dialogs.js';
import { clockSeconds } from './format.js';
import { connection } from './live.js';
import { clockError } from './now.js';
import { choose, setting } from './settings.js';
import { soundState } from './sound.js';
import { incidents, mayLook, state } from './state.js';
import { t } from './texts.js';

const SPEAKER = 'M4 9h4l5-4v14l-5-4H4z';
const WAVES = 'M16 9a4 4 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11';
const CROSS = 'M17 9l5 6M22 9l-5 6';
const SLIDERS = 'M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M6 14.5v5';

const pages = [['queue', '/', mayLook], ['equipment', '/equipment', () => true], ['closed', '/closed', mayLook], ['wall', '/wall', mayLook]];

function soundButton() {
    const now = soundState();
    const name = { on: 'sound_on', off: 'sound_off', blocked: 'sound_allow' }[now];
    return el('button', { type: 'button', class: `button plain sound ${now}`, id: 'sound', 'data-do': 'sound', 'data-sound': now, title: t(name) },
        icon(SPEAKER + (now === 'on' ? WAVES : CROSS)), el('span', { class: 'label' }, t(name)));
}

export function renderTop(current) {
    document.getElementById('skip').textContent = t(current === 'queue' ? 'skip_queue' : 'skip');
    if (!state.me) {
        return;
    }
    morph(document.getElementById('top'),
        el('span', { class: 'brand', 'aria-hidden': 'true' }, 'mobeye'),
        el('nav', { 'aria-label': t('pages') }, pages.filter(([, , may]) => may()).map(([name, path]) =>
            el('a', { href: path, 'aria-current': name === current ? 'page' : null, 'data-key': name }, t(name),
                name === 'queue' && incidents().length > 0 && el('span', { class: 'number' }, incidents().length)))),
        el('div', { class: 'tools' },
            soundButton(),
            el('button', { type: 'button', class: 'button plain', id: 'settings', 'data-do': 'settings', title: t('settings') },
                icon(SLIDERS), el('span', { class: 'label' }, t('settings')))));
}

/** #connection: a light in the corner while all is well, a banner when it is not. */
export function renderConnection() {
    const box = document.getElementById('connection');
    const { state: now, heardAt } = connection;
    const minutes = clockError();
    const live = state.outdated ? 'outdated' : minutes > 0 ? 'clock_ahead' : minutes < 0 ? 'clock_behind' : 'live';
    const text = { live: t(live, { n: Math.abs(minutes) }), starting: t('connecting'), ended: t('ended'), denied: t('denied'), lost: t('lost', { time: clockSeconds(heardAt) }) }[now];
    if (box.dataset.state !== now) {
        box.dataset.state = now;
    }
    box.classList.toggle('outdated', live !== 'live');
    document.documentElement.classList.toggle('stale', now !== 'live' && now !== 'starting');
    morph(box, el('span', { class: 'light', 'aria-hidden': 'true' }), el('span', { class: 'connection-text' }, text),
        now === 'ended' && el('button', { type: 'button', class: 'button primary', 'data-do': 'reload', id: 'sign-in' }, t('sign_in')),
        now === 'live' && state.outdated && el('button', { type: 'button', class: 'button primary', 'data-do': 'reload', id: 'reload' }, t('reload')));
}

function choiceField(name, label, values, names) {
    return el('fieldset', { class: 'choice' }, el('legend', null, label), values.map((value, n) => el('label', { class: 'tile' },
        el('input', { type: 'radio', name, value, checked: value === setting(name) || (name === 'language' && value === document.documentElement.lang), 'data-setting': name }),
        el('span', null, names[n]))));
}

const switchField = (name, label) => choiceField(name, label, ['on', 'off'], [t('on'), t('off')]);

const shortcuts = [['j', 'k'], ['Enter'], ['c'], ['a'], ['o'], ['r'], ['x'], ['v'], ['t'], ['n'], ['u'], ['/'], ['?']];
const meanings = ['key_move', 'key_open', 'claim', 'acknowledge', 'on_scene', 'release', 'close', 'verify', 'note', 'take_next', 'undo', 'search', 'key_help'];

/** changed: called with the name of a setting that was changed. */
export function showSettings(changed) {
    const dialog = showSheet(t('settings'), 'settings',
        el('p', { class: 'hint' }, t('signed_in', { who: state.me.name }), state.me.team_name ? ` · ${state.me.team_name}` : ''),
        choiceField('language', t('language'), ['nl', 'en'], [t('language_nl'), t('language_en')]),
        choiceField('theme', t('theme'), ['auto', 'light', 'dark'], [t('theme_auto'), t('theme_light'), t('theme_dark')]),
        switchField('sound', t('sound')),
        switchField('notify', t('notify')),
        switchField('distance', t('distance_setting')),
        switchField('keys', t('keys')),
        el('dl', { class: 'keys' }, shortcuts.map((keys, n) => el('div', null,
            el('dt', null, keys.map(key => el('kbd', null, key))), el('dd', null, t(meanings[n]))))));
    dialog.addEventListener('change', event => {
        choose(event.target.dataset.setting, event.target.value);
        changed(event.target.dataset.setting);
    });
}
