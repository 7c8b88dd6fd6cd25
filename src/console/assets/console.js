// Progressive only: every page works without it. Local times, and re-reading the page when a request changes.

function localTimes(root) {
  for (const time of root.querySelectorAll('time[datetime]:not([data-until])')) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const sameDay = at.toDateString() === new Date().toDateString();
    const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
    const day = sameDay ? {} : { year: 'numeric', month: 'short', day: 'numeric' };
    time.title = time.dateTime;
    time.textContent = at.toLocaleString(undefined, { ...day, ...clock });
  }
}

function busy() {
  const focused = document.activeElement;
  if (focused?.matches('.decide *') || document.querySelector('details.menu[open]')) return true;
  return [...document.querySelectorAll('.decide input[type="text"]')].some((input) => input.value !== '');
}

/** Whoever is about to tap must not have the page move under the finger: it waits until they are done. */
let due = false;
let reading = false;
async function refresh() {
  due = true;
  if (reading || busy()) return;
  due = false;
  reading = true;
  try {
    const answer = await fetch(location.href, { headers: { 'x-holdpoint-live': '1' } });
    if (answer.status === 401) return location.reload();
    if (!answer.ok || busy()) {
      due = true;
      return;
    }
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const main = page.querySelector('main');
    if (main === null) return;
    const before = new Set([...document.querySelectorAll('.card')].map((card) => card.id));
    localTimes(main);
    copyButtons(main);
    const flash = document.querySelector('.flash');
    if (flash !== null) main.prepend(flash);
    document.querySelector('main').replaceWith(document.adoptNode(main));
    for (const card of document.querySelectorAll('.card'))
      if (!before.has(card.id)) card.classList.add('new');
    const waiting = document.querySelectorAll('.card').length;
    document.title = (waiting > 0 ? `(${waiting}) ` : '') + page.title;
  } catch {
    due = true;
  } finally {
    reading = false;
  }
}

/** `12 s`, `4 min`, `3 h`, `2 d`, as the server writes it. */
function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.round(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.round(hours / 24)} d`;
}
function countdown() {
  for (const time of document.querySelectorAll('time[data-until]'))
    time.textContent = span(Number(time.dataset.until) - Date.now());
}
setInterval(countdown, 1_000);

/** The buttons do nothing without the script, so the page hides them. */
function copyButtons(root) {
  for (const button of root.querySelectorAll('[data-copy]')) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
  }
}
document.addEventListener('click', async (event) => {
  const button = event.target.closest?.('[data-copy]');
  if (button) {
    const code = (button.closest('.block') ?? document).querySelector('pre code');
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = 'Copied';
    } catch {
      button.textContent = 'Not copied';
    }
    setTimeout(() => {
      button.textContent = 'Copy';
    }, 1_500);
  }
  // One menu at a time; a click beside it closes it.
  for (const menu of document.querySelectorAll('details.menu[open]'))
    if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape') return;
  for (const menu of document.querySelectorAll('details.menu[open]')) {
    menu.open = false;
    menu.querySelector('summary').focus();
  }
});

localTimes(document);
copyButtons(document);
if (document.body.dataset.live === '1') {
  const pulse = document.getElementById('pulse');
  const changes = new EventSource('/api/events');
  let opened = false;
  const mark = (live) => {
    pulse.hidden = false;
    pulse.classList.toggle('off', !live);
    pulse.textContent = live ? 'live' : 'reconnecting';
  };
  changes.addEventListener('ready', () => {
    mark(true);
    // Whatever changed while the stream was down.
    if (opened) void refresh();
    opened = true;
  });
  changes.addEventListener('request', refresh);
  changes.addEventListener('error', () => mark(false));
  document.addEventListener('focusout', () => setTimeout(() => void (due && refresh()), 50));
  // Words such as "expires in 4 min" grow old.
  setInterval(refresh, 30_000);
}
// Come back to by the Back button, with what was sent from it still marked as sent.
addEventListener('pageshow', (event) => {
  if (event.persisted) location.reload();
});
document.addEventListener('submit', (event) => {
  // A double tap sends one decision.
  if (event.target.dataset.sent === '1') event.preventDefault();
  event.target.dataset.sent = '1';
});
