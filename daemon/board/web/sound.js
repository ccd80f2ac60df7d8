// What calls for attention: a sound by priority until somebody has acknowledged, the number in the title, notifications.
import { kind } from './format.js';
import { setting } from './settings.js';
import { incidents, isUnseen, state, updated } from './state.js';
import { t } from './texts.js';

// Of each priority: tones [Hz, seconds], and after how many seconds they come again.
const patterns = {
    1: { tones: [[988, 0.14], [1319, 0.14], [988, 0.14], [1319, 0.22]], every: 4 },
    2: { tones: [[784, 0.18], [988, 0.26]], every: 8 },
    3: { tones: [[659, 0.24]], every: 20 },
    4: { tones: [[523, 0.2]], every: 60 },
    5: { tones: [[440, 0.2]], every: 60 },
};
const VOLUME = 0.25;

let audio = null;
let timer = null;
let sounding = null; // the priority that sounds now
let announced = null; // incident_ids that were notified of; null: none were read yet

/** "off", "blocked" (the browser wants a click first) or "on". */
export function soundState() {
    if (setting('sound') === 'off') {
        return 'off';
    }
    return audio?.state === 'running' ? 'on' : 'blocked';
}

/** In a click or a key press: browsers allow sound only then. */
export async function allowSound() {
    if (!audio) {
        audio = new AudioContext();
        audio.onstatechange = updated;
    }
    if (audio.state !== 'running') {
        await audio.resume();
    }
    return audio.state === 'running';
}

function playTone(at, [frequency, seconds]) {
    const tone = audio.createOscillator(), gain = audio.createGain();
    tone.type = 'triangle';
    tone.frequency.value = frequency;
    gain.gain.setValueAtTime(0, at);
    gain.gain.linearRampToValueAtTime(VOLUME, at + 0.01);
    gain.gain.setValueAtTime(VOLUME, at + seconds - 0.03);
    gain.gain.linearRampToValueAtTime(0, at + seconds);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + seconds);
}

function playPattern(priority) {
    let at = audio.currentTime + 0.02;
    for (const tone of patterns[priority].tones) {
        playTone(at, tone);
        at += tone[1] + 0.05;
    }
}

function playAgain() {
    clearTimeout(timer);
    timer = null;
    if (sounding === null) {
        return;
    }
    if (audio.state === 'running') { // what is played while it is suspended would all sound at once afterwards
        playPattern(sounding);
    }
    timer = setTimeout(playAgain, patterns[sounding].every * 1000);
}

function updateSound(unseen) {
    const wanted = soundState() === 'on' && unseen.length > 0 ? Math.min(5, ...unseen.map(i => i.priority)) : null;
    if (wanted !== sounding) {
        sounding = wanted;
        playAgain();
    }
    // For tests, and to look up what sounds.
    document.documentElement.dataset.sounding = sounding ?? 'none';
}

function updateNotifications(unseen) {
    const fresh = announced ? unseen.filter(i => !announced.has(i.incident_id)) : [];
    announced = new Set(unseen.map(i => i.incident_id));
    if (setting('notify') === 'off' || fresh.length === 0 || document.visibilityState === 'visible'
        || !('Notification' in window) || Notification.permission !== 'granted') {
        return;
    }
    const first = fresh.reduce((a, b) => (b.priority < a.priority ? b : a));
    try {
        new Notification(t('notification_title', { n: first.priority }), { body: `${kind(first)} ${first.reference}`, tag: 'mobeye', renotify: true });
    } catch (error) {
        if (!(error instanceof TypeError)) { // some phones allow it to service workers only
            throw error;
        }
    }
}

/** Brings sound, title and notifications up to the queue. title: of the page. */
export function updateAttention(title) {
    const unseen = incidents().filter(isUnseen);
    document.title = `${unseen.length ? `(${unseen.length}) ` : ''}${title} · mobeye`;
    updateSound(unseen);
    if (state.queue) {
        updateNotifications(unseen);
    }
}
