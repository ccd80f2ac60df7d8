// Everything by the keyboard. Single letters can be switched off in the settings; with Ctrl, Alt or Meta they are the browser's.
import { setting } from './settings.js';

const actions = { c: 'claim', a: 'acknowledge', o: 'on_scene', r: 'release', x: 'close', v: 'verify', t: 'note' };

function moveFocus(step) {
    const rows = [...document.querySelectorAll('#main .rows > li')];
    if (rows.length === 0) {
        return;
    }
    const now = rows.indexOf(document.activeElement?.closest('.rows > li'));
    const row = rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
    (row.querySelector('a') || row.querySelector('button'))?.focus();
    row.scrollIntoView({ block: 'nearest' });
}

/** The button of an action: of the row that has the focus, or of the incident that is open. */
function pressAction(name) {
    const row = document.activeElement?.closest('[data-incident], .rows > li') || document.querySelector('[data-incident-page]');
    const button = row?.querySelector(`[data-action="${name}"]`);
    if (!button) {
        return false;
    }
    button.click();
    return true;
}

function focusSearch() {
    const field = document.getElementById('search');
    field?.focus();
    return Boolean(field);
}

function pressCommand(commands, key) {
    const command = { n: commands.next, u: commands.undo, '?': commands.help }[key];
    command?.();
    return Boolean(command);
}

/** commands: what "n", "u", "?" and Escape do. */
export function listenToKeys(commands) {
    document.addEventListener('keydown', event => {
        const { key, target } = event;
        if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented || document.querySelector('dialog[open]')) {
            return;
        }
        if (key === 'Escape') {
            commands.escape();
            return;
        }
        if (setting('keys') === 'off' || event.repeat && key !== 'j' && key !== 'k' || /^(INPUT|TEXTAREA|SELECT)$/.test(target.nodeName)) {
            return;
        }
        const done = key === 'j' || key === 'k' ? (moveFocus(key === 'j' ? 1 : -1), true)
            : key === '/' ? focusSearch()
                : actions[key] ? pressAction(actions[key]) : pressCommand(commands, key);
        if (done) {
            event.preventDefault();
        }
    });
}
