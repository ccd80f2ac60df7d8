// One line at the foot of the screen: what was done and how to undo it, what somebody else did first, what failed.
import { el, morph } from './dom.js';
import { t } from './texts.js';

let shown = null;

function render() {
    const target = document.getElementById('notice');
    if (!shown) {
        morph(target);
        return;
    }
    target.setAttribute('role', shown.kind === 'done' ? 'status' : 'alert');
    morph(target, el('div', { class: `notice ${shown.kind}`, 'data-kind': shown.kind },
        el('p', null, shown.text, shown.hint && el('small', null, ` ${shown.hint}`)),
        shown.undo && el('button', { class: 'button', 'data-do': 'undo' }, t('undo'), el('kbd', { 'aria-hidden': 'true' }, 'u')),
        el('button', { class: 'button plain', 'data-do': 'dismiss', 'aria-label': t('dismiss') }, '✕')));
}

/** kind: "done", "conflict", "failed" or "unknown"; undo: called once, if the person takes it back. */
export function notify(kind, text, { hint, undo } = {}) {
    shown = { kind, text, hint, undo };
    render();
}

/** Whether this is still what the line says. */
export const isShown = text => shown?.text === text;

export function dismiss() {
    shown = null;
    render();
}

export function undoLast() {
    const undo = shown?.undo;
    if (undo) {
        dismiss();
        undo();
    }
}
