// The time by the clock of the board: that of this device may be wrong.
const NOTICEABLE_MS = 5000; // a Date header has whole seconds, and was on its way for a while
const WRONG_MS = 60000;

let ahead = 0; // of this device, in ms

export const now = () => Date.now() - ahead;

/** Reads the clock of the board, or of the proxy before it. To be called as soon as a response arrives. */
export function readClock(response) {
    const date = Date.parse(response.headers.get('Date'));
    if (date) {
        const by = Date.now() - date - 500;
        ahead = Math.abs(by) < NOTICEABLE_MS ? 0 : by;
    }
}

/** By how many minutes the clock of this device is ahead (less than 0: behind); 0: by less than one. */
export const clockError = () => (Math.abs(ahead) < WRONG_MS ? 0 : Math.round(ahead / 60000));
