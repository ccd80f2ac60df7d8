// What the person chose on this device. Nothing else is ever stored here.
const choices = {
    language: ['', 'nl', 'en'],
    theme: ['auto', 'light', 'dark'],
    sound: ['on', 'off'],
    keys: ['on', 'off'],
    notify: ['off', 'on'],
    distance: ['off', 'on'],
};

const unstored = {}; // where the browser forbids to store anything: until the page is left

function stored(name) {
    try {
        return localStorage.getItem(name);
    } catch {
        return unstored[name];
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
    } catch {
        unstored[name] = value;
    }
    if (name === 'theme') {
        document.documentElement.dataset.theme = value;
    }
}
