// Starts the page, chooses its view by the path, and passes on what is pressed, entered and heard.
import { act, ignoreFailure, onIncidentChanged, onReadFailed, takeNext } from './actions.js';
import { Failure, get } from './api.js';
import { closedView } from './closed.js';
import { el, morph } from './dom.js';
import { equipmentView } from './equipment.js';
import { refreshAges } from './format.js';
import { incidentView } from './incident.js';
import { listenToKeys } from './keys.js';
import { accessDenied, connection, follow } from './live.js';
import { mapCommands } from './map.js';
import { dismiss, undoLast } from './notice.js';
import { queueView } from './queue.js';
import { choose, setting } from './settings.js';
import { renderConnection, renderTop, showSettings } from './shell.js';
import { allowSound, soundState, updateAttention } from './sound.js';
import { incidentInQueue, isTeamless, mayLook, onUpdate, readQueue, state, updated } from './state.js';
import { languageCode, setLanguage, t } from './texts.js';
import { wallView } from './wall.js';

const READ_EVERY_MS = 1000; // at most: changes that come faster are read together
// What no change tells is read at each third heartbeat: an address that was corrected, a home that became secret, what the person
// may see. That way 200 pages ask for seven queues a second, which may have 500 incidents; at each heartbeat it would be twenty.
const READ_AT_BEAT = 3;
const SPREAD_MS = 3000; // pages that came back together do not ask all at once
const RETRY_MS = 3000; // after a reading that had no response; up to twice as long, so that pages do not ask all at once

let view = null;
let shownPath = null;
const main = document.getElementById('main');

// ---- what moves ----

const STEADY_MS = 500; // as long as a person takes to see that something is elsewhere
const movedAt = new WeakMap(); // row -> when it came where it is

const rowTops = () => new Map([...main.querySelectorAll('.rows > li')].map(row => [row, row.getBoundingClientRect().top]));

let steadyTimer = null;

function noteMoves(before) {
    const moved = [...rowTops()].filter(([row, top]) => !(Math.abs(top - before.get(row)) < 1));
    if (moved.length === 0) {
        return;
    }
    moved.forEach(([row]) => movedAt.set(row, performance.now()));
    clearTimeout(steadyTimer);
    document.documentElement.dataset.moving = true; // for tests
    steadyTimer = setTimeout(() => delete document.documentElement.dataset.moving, STEADY_MS);
}

/** Whether a press was meant for what was there before. Not one by the keyboard, which is for a row and not for a place. */
function isTooSoon(event) {
    const row = event.detail > 0 && event.target.closest('.rows > li');
    return row && event.timeStamp - movedAt.get(row) < STEADY_MS;
}

// ---- showing ----

function teamlessPage() {
    return el('div', { class: 'page' }, el('h1', { tabindex: -1 }, view.title()),
        el('div', { class: 'empty', id: 'teamless' }, el('strong', null, t('no_team')), el('p', null, t('no_team_hint'))));
}

function render() {
    if (forgotten) {
        state.queue = null; // it was on its way
    }
    renderTop(view?.name);
    renderConnection();
    if (!state.me || !view) {
        return;
    }
    document.body.dataset.page = view.name;
    if (connection.state === 'denied') {
        morph(main, el('div', { class: 'page' }, el('p', { class: 'empty' }, t('nothing_to_see'))));
        updateAttention(t('queue'));
        return;
    }
    const page = isTeamless() && !(state.me.registrar && (view === equipmentView || view === closedView)) ? teamlessPage() : view.render();
    page.dataset.key = `${location.pathname} ${languageCode()}`; // nothing of one page becomes part of another
    const before = rowTops();
    morph(main, page);
    noteMoves(before);
    view.shown?.();
    updateAttention(view.title());
}

/** Shows the view of the path. moved: from another, so that the focus goes to its head, or to the row of the incident left. */
function showPath(moved) {
    const left = view === incidentView ? incidentView.shownId() : null;
    const [, page, number] = location.pathname.split('/');
    view = { '': queueView, incident: incidentView, equipment: equipmentView, closed: closedView, wall: wallView }[page] || queueView;
    if (view !== equipmentView && !mayLook()) { // a person who keeps the equipment
        history.replaceState(null, '', '/equipment');
        view = equipmentView;
    }
    shownPath = location.pathname;
    view.open?.(Number(number));
    render();
    if (moved) {
        const row = left && main.querySelector(`.rows > [data-key="i${left}"] a`);
        (row || main.querySelector('h1'))?.focus({ preventScroll: true });
    }
}

function go(path) {
    history.pushState(null, '', path);
    dismissMenus();
    scrollTo(0, 0);
    showPath(true);
}

function dismissMenus() {
    for (const more of document.querySelectorAll('details.more[open]')) {
        if (more.contains(document.activeElement)) { // what has the focus is about to be hidden
            more.querySelector('summary').focus({ preventScroll: true });
        }
        more.removeAttribute('open');
    }
}

// ---- what is pressed ----

async function pressSound() {
    if (soundState() === 'off') {
        choose('sound', 'on');
        await allowSound();
    } else if (soundState() === 'blocked') {
        await allowSound();
    } else {
        choose('sound', 'off');
    }
    updated();
}

const commands = {
    ...mapCommands,
    next: takeNext,
    undo: undoLast,
    dismiss,
    sound: pressSound,
    settings: () => showSettings(onSetting),
    reload: () => location.reload(),
};

/** An incident as the page shows it, and the change_id up to which that is current. */
function shownIncident(id) {
    const own = view.find?.(id);
    const queued = own || incidentInQueue(id);
    return queued && { incident: queued, change: own ? view.change() : state.queue.change_id };
}

function pressAction(button) {
    const id = Number(button.dataset.for);
    dismissMenus();
    act(() => shownIncident(id), id, button.dataset.action);
}

async function onClick(event) {
    if (isTooSoon(event)) {
        event.preventDefault();
        return;
    }
    const link = event.target.closest('a[href^="/"]');
    const button = event.target.closest('[data-action][data-for], [data-do]');
    if (!event.target.closest('details.more')) {
        dismissMenus();
    }
    if (link && event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
        event.preventDefault();
        go(link.getAttribute('href'));
    } else if (event.detail > 1) {
        return; // the second of a double click may lie on what replaced the first
    } else if (button?.dataset.do) {
        await (view.commands?.[button.dataset.do] || commands[button.dataset.do])?.(button);
        updated();
    } else if (button) {
        pressAction(button);
    }
    if (soundState() === 'blocked' && event.isTrusted && button?.dataset.do !== 'sound') {
        allowSound().then(updated);
    }
}

/** On a phone a menu may open below what is at the foot of the screen, and what is pressed there is something else. */
function onToggle(event) {
    if (event.target.matches('.more[open]')) {
        event.target.querySelector('.more-list').scrollIntoView({ block: 'nearest' });
    }
}

function onSubmit(event) {
    const form = event.target;
    if (form.dataset.search !== undefined) {
        event.preventDefault();
        view.search(form.elements.q.value);
    } else if (form.dataset.reason !== undefined) {
        event.preventDefault();
        incidentView.submitReason(form.elements.reason.value.trim());
    }
}

async function onSetting(name) {
    if (name === 'language') {
        setLanguage(setting('language'));
        document.querySelector('dialog[open]')?.close();
        commands.settings();
    } else if (name === 'sound' && setting('sound') === 'on') {
        await allowSound();
    } else if (name === 'notify' && setting('notify') === 'on' && 'Notification' in window) {
        await Notification.requestPermission();
    } else if (name === 'distance') {
        followPosition();
    }
    updated();
}

let positionWatch = null;

function followPosition() {
    if (positionWatch !== null) {
        navigator.geolocation.clearWatch(positionWatch);
        positionWatch = null;
        state.position = null;
    }
    if (setting('distance') === 'on' && 'geolocation' in navigator) {
        positionWatch = navigator.geolocation.watchPosition(({ coords }) => {
            state.position = [coords.longitude, coords.latitude];
            updated();
        }, () => {
            state.position = null;
            updated();
        });
    }
}

// ---- what is heard ----

let readTimer = null;
let lastRead = -READ_EVERY_MS;
const pending = [];

/** Reads what the changes have made out of date, soon and for all of them at once. */
function readSoon(change) {
    pending.push(change);
    if (readTimer !== null) {
        return;
    }
    readTimer = setTimeout(() => {
        readTimer = null;
        lastRead = performance.now();
        const heard = pending.splice(0);
        if (heard.some(one => one.category === 'alarm')) {
            readQueue().catch(ignoreFailure);
        }
        for (const one of heard) {
            if (view.changed?.(one)) {
                break;
            }
        }
    }, Math.max(Math.random() * 150, lastRead + READ_EVERY_MS - performance.now()));
}

/** Somebody else may have signed in meanwhile: their page begins from its start. */
async function readAsPerson() {
    try {
        const now = await get('/api/me');
        if (now.login !== state.me.login) {
            location.reload();
            return;
        }
        const { version, api_version } = state.me; // of this page
        state.outdated = now.version !== version || now.api_version !== api_version;
        state.me = { ...now, version, api_version };
        if (!mayLook() && view !== equipmentView) {
            showPath(false);
        }
        updated();
    } catch (error) {
        if (error.kind === 'denied') {
            accessDenied();
        } else {
            ignoreFailure(error);
        }
        return;
    }
    readQueue().catch(ignoreFailure);
    view.read?.();
}

let begun = null;
let retryTimer = null;

function readEverything() {
    begun ??= readAsPerson().finally(() => {
        begun = null;
    });
}

function readAgain() {
    retryTimer ??= setTimeout(() => {
        retryTimer = null;
        readEverything();
    }, RETRY_MS * (1 + Math.random()));
}

let beats = Math.floor(Math.random() * READ_AT_BEAT);

/** A page that is hidden shows nothing: it reads when it is looked at again. One of an incident would go on recording looks. */
function onHeartbeat() {
    beats++;
    if (beats % READ_AT_BEAT === 0 && !document.hidden) {
        setTimeout(readEverything, Math.random() * SPREAD_MS);
    } else {
        view.heartbeat?.();
    }
}

function onVisibility() {
    if (!document.hidden && connection.state === 'live') {
        readEverything();
    }
}

let forgotten = false;

/** Nothing stays on the screen of a person who may not see it any more. */
function forget() {
    forgotten = true;
    state.queue = null;
    document.querySelectorAll('dialog[open]').forEach(dialog => dialog.close());
    dismiss();
}

function onConnection(now) {
    if (now === 'denied') {
        forget();
    } else if (now === 'live') {
        if (forgotten) {
            forgotten = false;
            showPath(false);
        }
        readEverything();
    }
    updated();
}

// ---- the start ----

const pause = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Repeats a reading until it has a response; until then, the page says why. */
async function untilRead(read) {
    for (let delay = 1000; ; delay = Math.min(delay * 2, 10000)) {
        try {
            return await read();
        } catch (error) {
            if (!(error instanceof Failure)) {
                throw error;
            }
            if (error.kind === 'ended' || error.kind === 'denied') {
                connection.state = error.kind;
                renderConnection();
            } else {
                morph(main, el('p', { class: 'empty' }, t('down')));
            }
        }
        await pause(delay * (0.5 + Math.random()));
    }
}

async function start() {
    setLanguage(setting('language') || document.documentElement.lang);
    document.addEventListener('click', onClick);
    document.addEventListener('submit', onSubmit);
    document.addEventListener('toggle', onToggle, true);
    main.addEventListener('error', event => event.target.dataset?.image && incidentView.imageFailed(event.target.dataset.image), true);
    state.me = await untilRead(() => get('/api/me'));
    setLanguage(setting('language') || state.me.language);
    onUpdate(render);
    onIncidentChanged((id, detail) => (detail && view.put ? view.put(id, detail) : view.read?.()));
    onReadFailed(readAgain);
    addEventListener('popstate', () => location.pathname !== shownPath && showPath(true)); // it may be within the page: #main
    listenToKeys({
        next: () => main.querySelector('[data-do="next"]')?.click(),
        undo: undoLast,
        help: commands.settings,
        escape: () => {
            dismissMenus();
            dismiss();
        },
    });
    connection.state = 'starting';
    showPath(false);
    const first = await untilRead(() => (mayLook() ? readQueue().then(() => state.queue) : get('/api/equipment')));
    follow(first.change_id, {
        onChange: readSoon,
        onReset: () => {
            view.missed?.();
            readEverything();
        },
        onHeartbeat,
        onOpen: readEverything,
        onState: onConnection,
    });
    document.addEventListener('visibilitychange', onVisibility);
    followPosition();
    setInterval(() => {
        refreshAges();
        if (view.name === 'wall') {
            updated();
        }
    }, 5000);
}

addEventListener('unhandledrejection', event => console.error(event.reason));
start();
