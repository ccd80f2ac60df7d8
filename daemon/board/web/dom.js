// The DOM: elements are created by el(), and a view is a tree of them, which morph() brings the page up to. Nodes that stay
// are kept, with their focus, selection and scroll position; text is only ever text.

/** An element with attributes (a value of null or false: not set, true: empty) and children (nodes, texts, lists, null). */
export function el(tag, attributes, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) {
            continue;
        }
        if (typeof value === 'function') {
            made.addEventListener(name, value);
        } else {
            made.setAttribute(name, value === true ? '' : String(value));
        }
    }
    append(made, children);
    return made;
}

/** Empties the search field: what a person typed is not an attribute, so morph() keeps it. */
export function clearSearch() {
    const field = document.getElementById('search');
    if (field) {
        field.value = '';
    }
}

/** A drawing of one path, in the colour of the text around it. */
export function icon(path) {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const line = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    for (const [name, value] of [['viewBox', '0 0 24 24'], ['class', 'icon'], ['aria-hidden', 'true']]) {
        svg.setAttribute(name, value);
    }
    line.setAttribute('d', path);
    svg.append(line);
    return svg;
}

function append(parent, children) {
    for (const child of children) {
        if (Array.isArray(child)) {
            append(parent, child);
        } else if (child !== null && child !== undefined && child !== false) {
            parent.append(child);
        }
    }
}

const keyOf = node => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute('data-key') || node.id || '' : '');

function isSame(old, fresh) {
    return old.nodeType === fresh.nodeType && old.nodeName === fresh.nodeName && keyOf(old) === keyOf(fresh);
}

function morphNode(old, fresh) {
    if (old.nodeType === Node.TEXT_NODE) {
        if (old.data !== fresh.data) {
            old.data = fresh.data;
        }
        return;
    }
    if (old.hasAttribute('data-keep')) { // belongs to somebody else: the map
        return;
    }
    for (const { name, value } of fresh.attributes) {
        if (old.getAttribute(name) !== value) {
            old.setAttribute(name, value);
        }
    }
    for (const { name } of [...old.attributes]) {
        if (!fresh.hasAttribute(name) && !(name === 'open' && old.nodeName === 'DETAILS')) {
            old.removeAttribute(name);
        }
    }
    morphChildren(old, fresh);
}

/** Of the nodes from at on, the first without a key that want may become; null: none. */
function unkeyedFor(want, at) {
    while (at && !isSame(at, want)) {
        at = at.nextSibling;
    }
    return at;
}

function morphChildren(old, fresh) {
    const wanted = new Set([...fresh.children].map(keyOf));
    const keyed = new Map();
    for (const child of [...old.children]) {
        const key = keyOf(child);
        if (key && !wanted.has(key)) {
            child.remove();
        } else if (key) {
            keyed.set(key, child);
        }
    }
    let at = old.firstChild;
    for (const want of [...fresh.childNodes]) {
        const key = keyOf(want);
        const have = key ? keyed.get(key) : unkeyedFor(want, at);
        if (!have || !isSame(have, want)) {
            old.insertBefore(want, at);
            continue;
        }
        while (!key && at !== have) { // what is no longer wanted
            const next = at.nextSibling;
            if (keyOf(at)) {
                break;
            }
            at.remove();
            at = next;
        }
        if (have === at) {
            at = at.nextSibling;
        } else {
            old.insertBefore(have, at);
        }
        morphNode(have, want);
    }
    while (at) {
        const next = at.nextSibling;
        at.remove();
        at = next;
    }
}

/**
 * Makes the children of parent what nodes are. The focus stays on its element; where that is gone, it goes to the
 * [data-key] around it that is still there, and else to the row that took its place.
 */
export function morph(parent, ...nodes) {
    const fresh = document.createElement(parent.nodeName);
    append(fresh, nodes);
    const active = parent.contains(document.activeElement) ? document.activeElement : null;
    const row = active?.closest('[data-key]');
    const key = row?.dataset.key;
    const place = row ? [...row.parentNode.children].indexOf(row) : 0;
    const list = row?.parentNode;
    morphChildren(parent, fresh);
    if (!active || document.activeElement === active) {
        return;
    }
    if (active.isConnected) {
        active.focus({ preventScroll: true });
        return;
    }
    const around = key && parent.querySelector(`[data-key="${CSS.escape(key)}"]`);
    const instead = around || list?.isConnected && (list.children[place] || list.lastElementChild) || null;
    (instead?.querySelector('a') || instead || document.getElementById('main')).focus({ preventScroll: true });
}
