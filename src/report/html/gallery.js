// The gallery: thumbnails, the viewer with one answer or two side by side, and pictures on hover.
//
// A still page is a frame in which nothing runs and nothing loads: its sandbox forbids scripts, and the policy of this page,
// which forbids every request, holds in it too. That policy forbids its style as well, so this script sets the style.
// A live page is its file, in a sandbox without an origin.

// A scope of its own: its names are nobody else's.
const { initGallery } = (() => {
const answers = $$(".answer").map((card, at) => ({
  at, card, model: card.dataset.model, sub: card.dataset.sub, prompt: card.dataset.prompt, page: card.dataset.page !== undefined,
  packed: card.dataset.page, href: card.dataset.href, size: card.dataset.size, prose: $(".prose", card), shot: $("img.shot", card),
}));
const WIDE = 1280;
const HIGH = 800;

async function unpacked(packed) {
  const bytes = Uint8Array.from(atob(packed), (c) => c.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).text();
}

// The frame of a page as it stands. The parsed page is moved into it, not parsed again.
async function stillFrame(answer) {
  const page = new DOMParser().parseFromString(await unpacked(answer.packed), "text/html");
  // The policy blocks requests, but a browser may connect for a link's hint, and for a frame before it is blocked.
  for (const node of $$("link, iframe, frame", page)) node.remove();
  const policy = "default-src 'none'; img-src data:; form-action 'none'; base-uri 'none'";
  const frame = el("iframe", { sandbox: "allow-same-origin", referrerpolicy: "no-referrer", title: `Page by ${answer.model}, as it stands` });
  frame.addEventListener("load", () => {
    const inside = frame.contentDocument;
    inside.documentElement.replaceWith(page.documentElement);
    const sheet = new frame.contentWindow.CSSStyleSheet();
    sheet.replaceSync($$("style", inside).map((style) => style.textContent).join("\n"));
    inside.adoptedStyleSheets = [sheet];
    for (const node of $$("[style]", inside)) node.style.cssText = node.getAttribute("style");
    frame.dataset.ready = "";
  }, { once: true });
  frame.srcdoc = `<!doctype html><meta http-equiv="Content-Security-Policy" content="${policy}"><meta http-equiv="x-dns-prefetch-control" content="off">`;
  return frame;
}

// A frame as wide as a screen, made as small as the room for it.
function scaled(box, frame) {
  Object.assign(frame.style, { width: `${WIDE}px`, height: `${HIGH}px`, transformOrigin: "0 0", position: "absolute", inset: "0 auto auto 0" });
  const fit = () => { if (box.clientWidth) frame.style.transform = `scale(${box.clientWidth / WIDE})`; };
  new ResizeObserver(fit).observe(box);
  box.prepend(frame);
  fit();
}

function thumbnails() {
  const near = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      const answer = answers[Number(target.dataset.at)];
      stillFrame(answer).then((frame) => {
        // Only to be seen: no focus, no click, no voice; the button over it is all these.
        frame.inert = true;
        frame.tabIndex = -1;
        frame.setAttribute("aria-hidden", "true");
        scaled(target, frame);
      }).catch(() => target.prepend(el("p", { class: "none" }, "This browser cannot unpack the page.")));
    }
  }, { rootMargin: "300px" });
  for (const answer of answers) {
    const box = $(".thumb", answer.card);
    const buttons = el("p", { class: "asks" }, el("button", { type: "button", class: "look", onclick: () => view([answer.at]) }, "Look"));
    if (answers.length > 1) buttons.append(el("button", { type: "button", class: "beside", onclick: () => view([answer.at, partner(answer)]) }, "Side by side"));
    if (answer.page && answer.href) buttons.append(el("button", { type: "button", class: "live", onclick: () => view([answer.at], "alive") }, "Run"));
    $(".sub", answer.card).after(buttons);
    buttons.querySelectorAll("button").forEach((button) => button.setAttribute("aria-label", `${button.textContent}: ${answer.model}, ${answer.sub}`));
    if (!box) continue;
    box.dataset.at = answer.at;
    box.addEventListener("click", () => view([answer.at]));
    if (answer.shot) continue;
    if (answer.packed && "DecompressionStream" in window) near.observe(box);
    else box.prepend(el("p", { class: "none" }, `The page has ${answer.size}: too much to be held in this report.`));
  }
}

// Who stands beside an answer at first: the next that had the same prompt, else the next.
function partner(answer) {
  const others = [...answers.slice(answer.at + 1), ...answers.slice(0, answer.at)];
  const like = others.filter((one) => one.prompt === answer.prompt);
  return (like.find((one) => one.model !== answer.model) ?? like[0] ?? others[0]).at;
}

let viewer = null;

function view(list, mode) {
  if (!viewer) {
    viewer = el("dialog", { id: "viewer", "aria-label": "Answers" });
    viewer.addEventListener("close", () => { viewer.replaceChildren(); keep({ look: "" }); });
    document.body.append(viewer);
  }
  const panes = list.filter((at) => answers[at]).slice(0, 2);
  if (!panes.length) return;
  keep({ look: panes.join(",") });
  const again = (place, at) => view(panes.map((old, i) => (i === place ? at : old)));
  viewer.replaceChildren(
    el("p", { class: "over" },
      panes.length === 1 && answers.length > 1 ? el("button", { type: "button", class: "beside", onclick: () => view([panes[0], partner(answers[panes[0]])]) }, "Side by side") : null,
      panes.length === 2 ? el("button", { type: "button", class: "alone", onclick: () => view([panes[0]]) }, "One alone") : null,
      el("button", { type: "button", class: "close", onclick: () => viewer.close() }, "Close")),
    el("div", { class: `panes n${panes.length}` }, panes.map((at, place) => pane(answers[at], panes.length === 2 ? answers[panes[1 - place]] : null, (to) => again(place, to), mode))));
  if (!viewer.open) viewer.showModal();
}

function pane(answer, other, go, mode) {
  const body = el("div", { class: "body" });
  const modes = [
    answer.packed ? ["still", "As it stands"] : null, answer.shot ? ["shot", "Screenshot"] : null,
    answer.prose ? ["text", "Text"] : null, answer.page && answer.href ? ["alive", "Run"] : null,
  ].filter(Boolean);
  const buttons = modes.map(([name, label]) => el("button", { type: "button", "data-mode": name, onclick: () => show(name) }, label));
  const show = (name) => {
    buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.mode === name)));
    body.className = `body ${name}`;
    if (name === "text") body.replaceChildren(answer.prose.cloneNode(true));
    else if (name === "shot") body.replaceChildren(el("img", { src: answer.shot.src, alt: answer.shot.alt }));
    else if (name === "alive") body.replaceChildren(el("iframe", { src: answer.href, sandbox: "allow-scripts", referrerpolicy: "no-referrer", title: `Page by ${answer.model}, running` }));
    else if (name === "still") {
      body.replaceChildren(el("p", { class: "none" }, "…"));
      stillFrame(answer).then((frame) => { if (body.className === "body still") body.replaceChildren(frame); })
        .catch(() => body.replaceChildren(el("p", { class: "none" }, "This browser cannot unpack the page.")));
    } else body.replaceChildren(el("p", { class: "none" }, "There is nothing to show here; the links of its card lead to its files."));
  };
  const option = (one) => el("option", { value: one.at, selected: one.at === answer.at }, `${one.model} · ${one.sub}`);
  const same = answers.filter((one) => one.prompt === (other ?? answer).prompt);
  const rest = answers.filter((one) => one.prompt !== (other ?? answer).prompt);
  const pick = el("select", { "aria-label": "Which answer" },
    el("optgroup", { label: "the same prompt" }, same.map(option)),
    rest.length ? el("optgroup", { label: "other prompts" }, rest.map(option)) : null);
  pick.addEventListener("change", () => go(Number(pick.value)));
  const step = (by) => go((answer.at + by + answers.length) % answers.length);
  const head = el("p", { class: "who" },
    el("button", { type: "button", class: "before", "aria-label": "The answer before", onclick: () => step(-1) }, "‹"), pick,
    el("button", { type: "button", class: "next", "aria-label": "The next answer", onclick: () => step(1) }, "›"), el("span", { class: "modes" }, buttons));
  show(modes.some(([name]) => name === mode) ? mode : modes[0]?.[0]);
  return el("section", { class: "pane", "aria-label": `${answer.model}, ${answer.sub}` }, head, body);
}

// A picture beside whatever leads to its page, while it has the pointer or the focus.
function initShots() {
  const shots = new Map(answers.filter((one) => one.shot && one.href).map((one) => [one.href, one.shot]));
  if (!shots.size) return;
  const large = el("div", { id: "shot", "aria-hidden": "true", hidden: true }, el("img", { alt: "" }));
  document.body.append(large);
  const hide = () => { large.hidden = true; };
  const show = (event) => {
    const at = event.target.closest?.("a[href], .thumb");
    const shot = at && (at.matches(".thumb") ? $("img.shot", at) : shots.get(at.getAttribute("href")));
    if (!shot) return hide();
    large.firstChild.src = shot.src;
    large.hidden = false;
    const [place, own] = [at.getBoundingClientRect(), large.getBoundingClientRect()];
    const left = place.right + 12 + own.width < innerWidth ? place.right + 12 : Math.max(8, Math.min(place.left, innerWidth - own.width - 8));
    const below = place.right + 12 + own.width < innerWidth ? place.top : place.bottom + 8;
    large.style.left = `${left}px`;
    large.style.top = `${Math.max(8, Math.min(below, innerHeight - own.height - 8))}px`;
  };
  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("focusout", hide);
  document.addEventListener("scroll", hide, { passive: true, capture: true });
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
}

// Of hundreds of cards, the first: the others are behind a button that says how many there are.
const FIRST = 24;
function fold() {
  const others = answers.slice(FIRST).map(({ card }) => card);
  if (!others.length) return;
  const grid = others[0].parentElement;
  const unfold = (all) => {
    grid.classList.toggle("folded", !all);
    others.forEach((card) => { card.hidden = !all; });
    button.textContent = all ? `Show the first ${FIRST} only` : `Show all ${answers.length} answers`;
    button.setAttribute("aria-expanded", String(all));
  };
  const button = el("button", { type: "button", id: "all-answers", onclick: () => { const all = others[0].hidden; keep({ answers: all ? "all" : "" }); unfold(all); } });
  grid.after(el("p", { class: "note" }, button));
  unfold(state.answers === "all");
}

function initGallery() {
  if (!answers.length) return;
  fold();
  thumbnails();
  initShots();
  // What the hash says of it.
  const looked = (state.look ?? "").split(",").filter(Boolean).map(Number);
  if (looked.length) view(looked);
}

return { initGallery };
})();
