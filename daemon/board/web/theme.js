// Before the first paint: the theme that the person chose, so that a dark screen never flashes white.
document.documentElement.dataset.theme = 'auto';
try {
    document.documentElement.dataset.theme = localStorage.getItem('theme') || 'auto';
} catch {
    // The browser stores nothing.
}
