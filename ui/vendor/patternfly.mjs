// Takes PatternFly's style sheet and fonts from npm into ui/static, only what the panel
// uses. Run by hand when PatternFly or the set of components changes; its output is
// committed, so that building the panel needs no npm:
//
//     cd "$(mktemp -d)" && npm install @patternfly/patternfly@6.6.1 purgecss@8 clean-css@5
//     NODE_PATH=$PWD/node_modules node /path/to/checkout/ui/vendor/patternfly.mjs
//
// Kept are the rules whose classes occur in ui/src, in ui/index.html or in those files of
// patternfly-yew that the panel uses, and the variables that these rules use. If a
// component looks unstyled, its class is missing from `content` below.
import { createRequire } from 'node:module';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const need = createRequire(path.join(process.cwd(), 'package.json'));
const { PurgeCSS } = need('purgecss');
const CleanCSS = need('clean-css');

const ui = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const npm = path.join(process.cwd(), 'node_modules/@patternfly/patternfly');
const metadata = JSON.parse(
  execFileSync('cargo', ['metadata', '--format-version=1'], { cwd: ui, maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'ignore'] }),
);
const yew = path.dirname(metadata.packages.find((p) => p.name === 'patternfly-yew').manifest_path);

const words = (text) => text.match(/[A-Za-z0-9_-]+/g) ?? [];
const used = new Set();
const read = (file) => words(fs.readFileSync(file, 'utf8')).forEach((w) => used.add(w));
const walk = (dir) => {
  for (const entry of fs.readdirSync(dir, { withFileTypes: true })) {
    const file = path.join(dir, entry.name);
    if (entry.isDirectory()) walk(file);
    else if (file.endsWith('.rs')) read(file);
  }
};
walk(path.join(ui, 'src'));
read(path.join(ui, 'index.html'));
for (const file of ['components/label.rs', 'components/empty.rs', 'components/spinner.rs', 'components/title.rs', 'core/size.rs']) {
  read(path.join(yew, 'src', file));
}
// Icons by name: `Icon::Trash` is the class of the same line in patternfly-yew's table.
const icons = fs.readFileSync(path.join(yew, 'src/icon/generated.rs'), 'utf8');
for (const [, name, css] of icons.matchAll(/Self::(\w+) => classes\.extend\(super::\w+\("([^"]+)"\)/g)) {
  if (used.has(name)) used.add(css);
}
['fas', 'pf-v6-pficon', 'pf-v6-theme-dark'].forEach((w) => used.add(w));

const sheet = fs
  .readFileSync(path.join(npm, 'patternfly.css'), 'utf8')
  // Every font beside the style sheet, and none that is not shipped.
  .replace(/url\("\.\/assets\/[^")]*\/([^"/)]+\.woff2)"\)/g, 'url("fonts/$1")');
const [purged] = await new PurgeCSS().purge({
  content: [{ raw: [...used].join(' '), extension: 'html' }],
  css: [{ raw: sheet }],
  defaultExtractor: words,
  keyframes: true,
  // Families are named through variables, which PurgeCSS does not follow; sorted out below.
  fontFace: false,
  // Variables of light and dark themes refer to each other; the sheet of our own too.
  variables: true,
  safelist: {
    standard: [/^pf-v6-theme/, 'html', 'body', ':root'],
    variables: words(fs.readFileSync(path.join(ui, 'static/app.css'), 'utf8')).filter((w) => w.startsWith('--pf')),
  },
});
const kept = purged.css.replace(/@font-face\s*\{[^}]*\}/g, (face) =>
  /Italic|fonts\/undefined/.test(face) || !/url\("fonts\//.test(face) ? '' : face,
);
const small = new CleanCSS({ level: 1 }).minify(kept);
if (small.errors.length > 0) throw new Error(small.errors.join('\n'));
const version = JSON.parse(fs.readFileSync(path.join(npm, 'package.json'), 'utf8')).version;
const head = `/*! PatternFly ${version}, MIT licence, (c) Red Hat. Reduced by ui/vendor/patternfly.mjs. */\n`;
fs.writeFileSync(path.join(ui, 'static/patternfly.css'), head + small.styles + '\n');
for (const font of new Set(small.styles.match(/fonts\/[^")]+\.woff2/g) ?? [])) {
  const name = path.basename(font);
  const found = execFileSync('find', [path.join(npm, 'assets'), '-name', name], { encoding: 'utf8' }).split('\n')[0];
  fs.copyFileSync(found, path.join(ui, 'static/fonts', name));
}
console.log(`static/patternfly.css: ${small.styles.length} bytes`);
