// What the person chose on this device. Nothing else is ever stored here.
const choices = {
    language: ['', 'nl', 'en'],
    theme: ['auto', 'light', 'dark'],
    sound: ['on', 'off'],
    keys: ['on', 'off'],
    notify: ['off', 'on'],
    distance: ['off', 'on'],
};

/** The choice; the first of its values where there is none. */
export function setting(name) {
    const value = localStorage.getItem(name);
    return choices[name].includes(value) ? value : choices[name][0];
}

export function choose(name, value) {
    localStorage.setItem(name, value);
    if (name === 'theme') {
        document.documentElement.dataset.theme = value;
    }
}
