// Runs before the first paint, so that a dark page does not flash white.
// The panel (src/app/prefs.rs) takes over from here.
(() => {
  let stored = null;
  let lang = null;
  try {
    stored = localStorage.getItem('gb-theme');
    lang = localStorage.getItem('gb-lang');
  } catch {
    // Storage is forbidden: go by the system.
  }
  const dark = stored === 'dark' || (stored !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.classList.toggle('pf-v6-theme-dark', dark);
  document.documentElement.lang = lang || (navigator.language.startsWith('zh') ? 'zh-CN' : 'en');
})();
