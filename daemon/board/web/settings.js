// What the person chose on this device. Nothing else is ever stored here.
const choices = {
    language: ['', 'nl', 'en'],
    theme: ['auto', 'light', 'dark'],
    sound: ['on', 'off'],
    keys: ['on', 'off'],
    notify: ['off', 'on'],
    distance: ['off', 'on'],
};

const unstored = {}; // what the browser could not store: until the page is left

function stored(name) {
    try {
        return unstored[name] ?? localStorage.getItem(name);
    } catch {
        return null;
    }
}

/** The choice; the first of its values where there is none. */
export function setting(name) {
    const value = stored(name);
    return choices[name].includes(value) ? value : choices[name][0];
}

export function choose(name, value) {
    try {
        localStorage.setItem(name, value);
        delete unstored[name];
    } catch {
        unstored[name] = value;
    }
    if (name === 'theme') {
        document.documentElement.dataset.theme = value;
    }
}
