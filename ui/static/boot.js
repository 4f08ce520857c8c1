// Starts the panel. An old browser must not leave a person before an empty page.
import init from './ui.js';

init({ module_or_path: new URL('ui_bg.wasm', import.meta.url) }).catch(() => {
  const text = document.getElementById('boot-text');
  if (text) {
    text.textContent =
      'The panel could not be loaded. Please reload the page, or open it in a current browser. ' +
      '页面加载失败，请刷新重试，或换用新版浏览器打开。';
  }
});
