// What is asked before an action: each function resolves to the members of the request, or to null if it is cancelled.
import { el } from './dom.js';
import { clock } from './format.js';
import { now } from './now.js';
import { t } from './texts.js';

const OUTCOMES = ['no_trace', 'false_alarm', 'confirmed', 'technical', 'drill'];
const HOUR_MS = 3600000;

const drafts = new Map(); // draftKey() -> text of each field: what was submitted, offered again where it was refused

const draftKey = (name, subject) => `${name} ${subject}`;

/** subject: what the form is about: an incident_id, or what muteSubject() returns. */
export function forgetDraft(name, subject) {
    drafts.delete(draftKey(name, subject));
}

/** A mute is of the incident it was asked for, or else of a device or an area. */
export function muteSubject(wanted, incident) {
    return incident?.incident_id ?? wanted.device ?? `${wanted.layer}:${wanted.code}`;
}

const textsOf = form => [...form.querySelectorAll('textarea')];

/**
 * A form in a dialog; read(form, complain) returns what was entered, or null where something is missing. What was submitted is
 * offered again, until it is cancelled or forgetDraft() is called: name and subject say for which form.
 */
function askForm(title, fields, submit, read, name, subject) {
    return new Promise(resolve => {
        let answer = null;
        const error = el('p', { class: 'form-error', role: 'alert' });
        const complain = (field, text) => {
            error.textContent = text;
            field?.focus();
            return null;
        };
        const form = el('form', {
            method: 'dialog', autocomplete: 'off', novalidate: true,
            submit: event => {
                event.preventDefault();
                answer = read(form, complain);
                if (answer) {
                    drafts.set(draftKey(name, subject), textsOf(form).map(field => field.value));
                    dialog.close();
                }
            },
        },
            el('h2', { id: 'dialog-title' }, title), fields, error,
            el('div', { class: 'form-buttons' },
                el('button', { type: 'button', class: 'button', click: () => dialog.close() }, t('cancel')),
                el('button', { type: 'submit', class: 'button primary', 'data-confirm': name }, submit)));
        const dialog = el('dialog', {
            'aria-labelledby': 'dialog-title', class: 'sheet', 'data-dialog': name,
            close: () => {
                dialog.remove();
                if (!answer) {
                    forgetDraft(name, subject);
                }
                resolve(answer);
            },
        }, form);
        const texts = drafts.get(draftKey(name, subject)) || [];
        textsOf(form).forEach((field, n) => {
            field.value = texts[n] || '';
        });
        document.body.append(dialog);
        dialog.showModal();
        (dialog.querySelector('[data-first]') || dialog.querySelector('input, textarea, select'))?.focus();
    });
}

function textField(name, label, attributes = {}) {
    return el('label', { class: 'field' }, el('span', null, label),
        el('textarea', { name, rows: 3, maxlength: 4000, ...attributes }));
}

/** Where what was found must be told: something was there, or what was thought real was not. */
export function closeNeedsNote(incident, outcome) {
    return outcome === 'confirmed' || (outcome !== 'drill' && (incident.urgent || Boolean(incident.verified_by)));
}

export function askClose(incident) {
    const label = el('span', null, t('note_optional'));
    const note = el('textarea', { name: 'note', rows: 3, maxlength: 4000, placeholder: t('note_hint') });
    const tiles = OUTCOMES.map(outcome => el('label', { class: 'tile' },
        el('input', {
            type: 'radio', name: 'outcome', value: outcome, 'data-outcome': outcome,
            checked: incident.drill && outcome === 'drill',
            change: () => {
                const needed = closeNeedsNote(incident, outcome);
                label.textContent = t(needed ? 'note_required' : 'note_optional');
                note.required = needed;
            },
        }),
        el('span', null, t(`outcome_${outcome}`))));
    return askForm(t('close_title', { ref: incident.reference }),
        [el('fieldset', { class: 'tiles' }, el('legend', null, t('outcome')), tiles),
            el('label', { class: 'field' }, label, note)],
        t('close'),
        (form, complain) => {
            const outcome = form.elements.outcome.value, text = note.value.trim();
            if (!outcome) {
                return complain(form.elements.outcome[0], t('choose_one'));
            }
            if (!text && closeNeedsNote(incident, outcome)) {
                return complain(note, `${t('note_required')}: ${t('required')}`);
            }
            return text ? { outcome, note: text } : { outcome };
        }, 'close', incident.incident_id);
}

function askText(title, label, submit, dialogName, incident) {
    return askForm(title, [textField('note', label, { required: true })], submit, (form, complain) => {
        const field = form.elements.note, text = field.value.trim();
        return text ? { note: text } : complain(field, t('required'));
    }, dialogName, incident.incident_id);
}

export const askNote = incident => askText(t('note_title', { ref: incident.reference }), t('note_required'), t('ok'), 'note', incident);

export const askReopen = incident => askText(t('reopen_title', { ref: incident.reference }), t('reopen_note'), t('reopen'), 'reopen', incident);

export function askAssign(incident, me) {
    const given = incident.status === 'assigned' ? incident.assigned_to : null; // it is given to another, if there is one
    const others = me.officers.filter(officer => officer.login !== given);
    const likeliest = given ? me.login : incident.assigned_to || me.login;
    const select = el('select', { name: 'officer' }, (others.length > 0 ? others : me.officers).map(officer => el('option', {
        value: officer.login, selected: officer.login === likeliest,
    }, officer.name)));
    return askForm(t('assign_title', { ref: incident.reference }),
        [el('label', { class: 'field' }, el('span', null, t('officer')), select)], t('assign'),
        () => ({ officer: select.value }), 'assign', incident.incident_id);
}

/** areas: features of /api/areas. Resolves to the properties of one. */
export function askArea(areas) {
    const select = el('select', { name: 'area' }, areas.map((area, n) => el('option', { value: n },
        `${area.properties.layer}: ${area.properties.name || ''} (${area.properties.code})`)));
    return askForm(t('mute_area'), [el('label', { class: 'field' }, el('span', null, t('which_area')), select)], t('mute'),
        () => areas[Number(select.value)].properties, 'area');
}

function tomorrowMorning() {
    const date = new Date(now());
    date.setDate(date.getDate() + (date.getHours() < 8 ? 0 : 1));
    date.setHours(8, 0, 0, 0);
    return date;
}

/** 2026-11-29T08:00 of the local time, as <input type="datetime-local"> has it. */
function localInput(date) {
    return new Date(date - date.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
}

/**
 * what: the name shown; wanted: {device}, {layer, code} or {device, incident_id, restorable}: where that incident is, and if
 * restorable perhaps until it is restored; subject: of muteSubject().
 */
export function askMute(what, wanted, subject) {
    const inHours = n => new Date(now() + n * HOUR_MS); // from when it is submitted
    const choices = [
        ...(wanted.restorable ? [['restored', t('until_restored'), () => inHours(7 * 24)]] : []),
        ['1', t('until_hours', { n: 1 }), () => inHours(1)],
        ['8', t('until_hours', { n: 8 }), () => inHours(8)],
        ['morning', t('until_morning'), tomorrowMorning],
        ['week', t('until_week'), () => inHours(7 * 24)],
    ];
    const other = el('input', { type: 'datetime-local', name: 'other', 'aria-label': t('until'), value: localInput(inHours(24)) });
    const tile = ([value, label], n) => el('label', { class: 'tile' },
        el('input', { type: 'radio', name: 'until', value, checked: n === 0 }), el('span', null, label));
    return askForm(t('mute_title', { what }),
        [el('p', { class: 'hint' }, t('mute_hint')),
            el('fieldset', { class: 'tiles' }, el('legend', null, t('until')), choices.map(tile),
                el('div', { class: 'tile-other' }, tile(['other', t('until_other')]), other)),
            textField('reason', t('reason'), { required: true })],
        t('mute'),
        (form, complain) => {
            const reason = form.elements.reason.value.trim(), chosen = form.elements.until.value;
            const until = chosen === 'other' ? new Date(other.value) : choices.find(([value]) => value === chosen)[2]();
            if (!(until > now() && until <= inHours(366 * 24))) { // nor if nothing is entered
                return complain(other, t('until_invalid'));
            }
            if (!reason) {
                return complain(form.elements.reason, `${t('reason')}: ${t('required')}`);
            }
            const target = chosen === 'restored' ? { incident_id: wanted.incident_id }
                : wanted.device ? { device: wanted.device, incident_id: wanted.incident_id } : { layer: wanted.layer, code: wanted.code };
            return { ...target, until: until.toISOString(), reason, shown: clock(until) };
        }, 'mute', subject);
}

/** A dialog that only shows something; it is closed by its button or Escape. */
export function showSheet(title, name, ...content) {
    document.querySelector(`dialog[data-dialog="${name}"]`)?.remove();
    const dialog = el('dialog', { class: 'sheet', 'aria-labelledby': 'sheet-title', 'data-dialog': name, close: () => dialog.remove() },
        el('div', { class: 'sheet-head' }, el('h2', { id: 'sheet-title' }, title),
            el('button', { type: 'button', class: 'button plain', 'aria-label': t('dismiss'), click: () => dialog.close() }, '✕')),
        content);
    document.body.append(dialog);
    dialog.showModal();
    return dialog;
}
