// How the page behaves: steps, hover, trace, search, folding, links between picture and texts.
//
// The page holds the painted picture and, as data, what is in it. Whatever comes from a model is
// put on the page as text, never as markup. The state below is all that changes; after a change
// the functions named `show…` bring the page up to it.
(() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const picture = document.getElementById("picture");
  const svg = picture.querySelector("svg");
  const graph = svg.querySelector(".graph");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const story = tellStory();

  const state = {
    step: 0,
    playing: 0, // the timer of a story that plays by itself
    hover: null, // the thing that is pointed at, or has the keyboard
    pin: null, // the thing whose trace stays
    place: 0, // the model's line whose boxes and lines are marked
    words: "", // what is searched for
    found: [], // things that match, in order
    at: -1, // which of them was gone to last
  };

  /** The moments, each with all that is known by then: the data have what each of them adds. */
  function tellStory() {
    const known = { values: [], gradients: [], arrows: [] };
    return data.moments.map((moment) => {
      const sets = { active: new Set(moment.active) };
      for (const [what, keys] of Object.entries(known)) {
        keys.push(...moment[what]);
        sets[what] = new Set(keys);
      }
      return { ...moment, ...sets };
    });
  }

  // ------------------------------------------------------------------------- elements

  /** An HTML element with properties, attributes and children. */
  function make(tag, properties = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name in element) element[name] = value;
      else element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** An SVG element with attributes and children. */
  function draw(tag, attributes = {}, ...children) {
    const element = document.createElementNS(svg.namespaceURI, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children);
    return element;
  }

  function button(label, hint, action) {
    const made = make("button", { type: "button", title: hint, onclick: action }, label);
    made.setAttribute("aria-label", hint);
    return made;
  }

  function toggleClasses(element, classes) {
    for (const [name, on] of Object.entries(classes)) element.classList.toggle(name, Boolean(on));
  }

  /** A rectangle of the picture, by its centre. */
  function areaOf(rect) {
    const [x, y, width, height] = ["x", "y", "width", "height"].map((name) =>
      Number(rect.getAttribute(name)),
    );
    return { x: x + width / 2, y: y + height / 2, width, height };
  }

  function outline(area, room, name) {
    return draw("rect", {
      class: name,
      x: area.x - area.width / 2 - room,
      y: area.y - area.height / 2 - room,
      width: area.width + 2 * room,
      height: area.height + 2 * room,
      rx: 7,
    });
  }

  /** Takes the browser's own tooltips away, which are for readers without script. */
  function takeTitle(element) {
    const title = element.querySelector(":scope > title");
    const text = title ? title.textContent : "";
    title?.remove();
    return text;
  }

  // ---------------------------------------------------------- things: boxes and frames

  // A thing is what stands in the picture for one box, or for all boxes of a folded frame.
  const things = new Map();
  const boxes = new Map();
  const frames = new Map();
  const arrows = new Map();
  const shownAs = new Map(); // for each box the thing that stands for it
  const proxies = draw("g"); // arrows in the place of those that a fold hides
  const halos = draw("g"); // below all arrows, whose heads would be hidden else

  const frameId = (key) => `frame ${key}`;

  function readBoxes() {
    for (const [key, told] of Object.entries(data.boxes)) {
      const element = document.getElementById(`box-${key}`);
      const area = areaOf(element.querySelector(".shape"));
      takeTitle(element);
      element.append(outline(area, 3, "ring"));
      boxes.set(key, { ...told, key, element, area });
      addThing({ id: key, element, area, members: [key], box: boxes.get(key) });
    }
  }

  function addThing(thing) {
    thing.element.dataset.thing = thing.id;
    thing.element.setAttribute("role", "button");
    thing.element.tabIndex = -1;
    thing.halo = outline(thing.area, 6, "halo");
    halos.append(thing.halo);
    things.set(thing.id, thing);
  }

  function readArrows() {
    // What was removed from a network leads nowhere.
    for (const element of graph.querySelectorAll(".arrow:not(.removed)")) {
      const { tail, head } = element.dataset;
      const forward = element.classList.contains("forward");
      const again = element.classList.contains("again");
      const tip = takeTitle(element).split("\n").filter(Boolean);
      const role = element.classList.contains("weight") ? "value" : "gradient";
      const lines = tip.map((line) => [role, line]);
      if (lines.length) element.prepend(...hitPaths(element));
      arrows.set(element.id, { key: element.id, element, tail, head, forward, again, lines });
    }
  }

  /** Thin lines are hard to point at: wide ones that are not seen lie below them. */
  function hitPaths(element) {
    const lines = [...element.querySelectorAll("path:not(.tip)")];
    return lines.map((line) => draw("path", { class: "hit", d: line.getAttribute("d") }));
  }

  function readFrames() {
    for (const element of graph.querySelectorAll(".frame")) {
      const key = element.dataset.frame;
      const told = Object.hasOwn(data.frames, key) ? data.frames[key] : null;
      if (told) frames.set(key, { ...told, key, element, folded: false });
    }
    for (const frame of frames.values()) {
      frame.members = [...boxes.values()].filter((box) => framesOf(box).includes(frame));
      addHandle(frame);
      addCompact(frame);
    }
  }

  /** The frames around a box, from the inside out. */
  function framesOf(box) {
    const around = [];
    for (let frame = frames.get(box.frame); frame; frame = frames.get(frame.parent)) {
      around.push(frame);
    }
    return around;
  }

  /** A frame's title, with a mark, becomes what folds it. */
  function addHandle(frame) {
    const titles = [...graph.querySelectorAll(".frame-title")];
    frame.handle = titles.find((element) => element.dataset.frame === frame.key);
    const [ground, title] = ["rect", "text"].map((name) => frame.handle.querySelector(name));
    const [x, y] = [Number(title.getAttribute("x")), Number(title.getAttribute("y"))];
    title.setAttribute("x", x + 9);
    ground.setAttribute("width", Number(ground.getAttribute("width")) + 9);
    title.before(draw("path", { class: "mark", d: `M${x - 1} ${y - 7}h8l-4 6z` }));
    frame.handle.classList.add("handle");
    frame.handle.tabIndex = -1;
    frame.handle.setAttribute("role", "button");
    frame.handle.setAttribute("aria-expanded", "true");
    frame.handle.setAttribute("aria-label", `${frame.title}: fold ${counted(frame)}`);
    frame.handle.addEventListener("click", () => fold(frame, true));
    onEnter(frame.handle, () => fold(frame, true));
  }

  function counted(frame) {
    const count = frame.members.filter((box) => box.kind !== "sum").length;
    return count === 1 ? "1 value" : `${count} values`;
  }

  /** The box that stands for a folded frame, in the middle of its area. */
  function addCompact(frame) {
    const middle = areaOf(frame.element.querySelector("rect"));
    const text = { x: middle.x, "text-anchor": "middle", direction: "ltr" };
    const title = draw("text", { ...text, y: middle.y - 2, class: "name" }, `▸ ${frame.title}`);
    const note = draw("text", { ...text, y: middle.y + 13, class: "note" }, counted(frame));
    const element = draw("g", { class: "compact", "aria-expanded": "false" }, title, note);
    graph.append(element);
    const width = Math.max(title.getComputedTextLength(), note.getComputedTextLength()) + 24;
    const area = { x: middle.x, y: middle.y, width, height: 42 };
    const behind = { ...area, x: area.x + 3, y: area.y + 3 };
    element.prepend(outline(behind, 0, "shape"), outline(area, 0, "shape"));
    element.append(outline(area, 3, "ring"));
    element.setAttribute("aria-label", `${frame.title}, folded: ${counted(frame)}`);
    const members = frame.members.map((box) => box.key);
    frame.compact = { id: frameId(frame.key), element, area, members, frame };
    addThing(frame.compact);
  }

  // -------------------------------------------------------------------------- folding

  function fold(frame, folded) {
    frame.folded = folded;
    leave();
    showFolds();
    (folded ? frame.compact.element : frame.handle).focus({ preventScroll: true });
  }

  function foldAll() {
    const folded = [...frames.values()].some((frame) => !frame.folded);
    for (const frame of frames.values()) frame.folded = folded;
    leave();
    showFolds();
  }

  function showFolds() {
    for (const box of boxes.values()) {
      const outermost = framesOf(box).findLast((frame) => frame.folded);
      shownAs.set(box.key, outermost ? outermost.compact.id : box.key);
      toggleClasses(box.element, { gone: outermost });
    }
    for (const frame of frames.values()) {
      const inside = isInside(frame);
      toggleClasses(frame.element, { gone: frame.folded || inside });
      toggleClasses(frame.handle, { gone: frame.folded || inside });
      toggleClasses(frame.compact.element, { gone: !frame.folded || inside });
    }
    for (const arrow of arrows.values()) {
      const whole = [arrow.tail, arrow.head].every((key) => shownAs.get(key) === key);
      toggleClasses(arrow.element, { gone: !whole });
    }
    redraw();
    settlePicture();
    if (state.words) search(state.words);
    showStep();
  }

  /** Whether a frame lies in one that is folded. */
  function isInside(frame) {
    for (let outer = frames.get(frame.parent); outer; outer = frames.get(outer.parent)) {
      if (outer.folded) return true;
    }
    return false;
  }

  /** Draws the arrows that lead into or out of folded frames, one for all between two things. */
  function redraw() {
    const kept = new Map();
    for (const arrow of arrows.values()) {
      const [tail, head] = [shownAs.get(arrow.tail), shownAs.get(arrow.head)];
      if (tail === head || (tail === arrow.tail && head === arrow.head)) continue;
      const key = JSON.stringify([arrow.forward, arrow.again, tail, head]);
      if (!kept.has(key)) kept.set(key, { ...arrow, tail, head, keys: [] });
      kept.get(key).keys.push(arrow.key);
    }
    proxies.replaceChildren(...[...kept.values()].map(straight));
  }

  /** A straight arrow between two things, a little to the left of the line between their middles:
   * so that a gradient lies beside the arrow that it flows against. */
  function straight({ tail, head, keys, forward, again }) {
    const [from, to] = [things.get(tail).area, things.get(head).area];
    const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
    const [dx, dy] = [(to.x - from.x) / length, (to.y - from.y) / length];
    const start = border(from, dx, dy, 0);
    const tip = border(to, -dx, -dy, 1);
    const [x, y] = [tip.x - 8 * dx, tip.y - 8 * dy];
    const corners = `L${x - 3.4 * dy} ${y + 3.4 * dx}L${x + 3.4 * dy} ${y - 3.4 * dx}`;
    const group = draw(
      "g",
      { class: `proxy ${forward ? "forward" : "gradient"}${again ? " again" : ""}` },
      draw("path", { class: "line", d: `M${start.x} ${start.y}L${x} ${y}` }),
      draw("path", { class: "tip", d: `M${tip.x} ${tip.y}${corners}Z` }),
    );
    Object.assign(group.dataset, { tail, head, keys: keys.join(" ") });
    return group;
  }

  /** Where a line in a direction from the middle of an area, moved to its left, leaves the area. */
  function border(area, dx, dy, turn) {
    const side = turn ? -5 : 5;
    const [x, y] = [area.x + dy * side, area.y - dx * side];
    const reach = (room, step) => (step ? room / Math.abs(step) : Infinity);
    const across = reach(area.width / 2 - Math.sign(dx) * (x - area.x), dx);
    const along = reach(area.height / 2 - Math.sign(dy) * (y - area.y), dy);
    const far = Math.max(0, Math.min(across, along));
    return { x: x + dx * far, y: y + dy * far };
  }

  // ------------------------------------------------------------------------------ view

  const whole = { width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height };
  const shift = graph.transform.baseVal.consolidate()?.matrix ?? { e: 0, f: 0 };
  const view = { x: 0, y: 0, scale: 1, fitted: true, flight: 0 };

  function room() {
    return { width: picture.clientWidth || 1, height: picture.clientHeight || 1 };
  }

  function showView() {
    const { width, height } = room();
    const sizes = [view.x, view.y, width / view.scale, height / view.scale];
    svg.setAttribute("viewBox", sizes.map((size) => size.toFixed(2)).join(" "));
    hideTip();
  }

  /** The whole picture in its room. With `readable`, one too large for that from its top on. */
  function fit(readable = false) {
    const { width, height } = room();
    const across = width / whole.width;
    const all = Math.min(across, height / whole.height, 1.5);
    const least = story.length ? 0.75 : Math.min(across, 0.75); // a story shows where to look
    view.scale = readable && all < 0.5 ? Math.max(all, least) : all;
    view.x = (whole.width - width / view.scale) / 2;
    view.y = view.scale > all ? 0 : (whole.height - height / view.scale) / 2;
    view.fitted = true;
    land();
    showView();
  }

  /** Larger or smaller around a point of the window, without one around the middle. */
  function zoom(factor, point) {
    const frame = picture.getBoundingClientRect();
    const x = point ? point.x - frame.left : frame.width / 2;
    const y = point ? point.y - frame.top : frame.height / 2;
    const scale = Math.min(8, Math.max(0.05, view.scale * factor));
    view.x += x / view.scale - x / scale;
    view.y += y / view.scale - y / scale;
    view.scale = scale;
    view.fitted = false;
    land();
    showView();
  }

  function pan(dx, dy) {
    view.x -= dx / view.scale;
    view.y -= dy / view.scale;
    view.fitted = false;
    land();
    showView();
  }

  /** Pans, no further than needed, until the things can be seen: all, or at least the first. */
  function reveal(ids) {
    const areas = [...new Set(ids)].map((id) => things.get(id)?.area).filter(Boolean);
    if (!areas.length) return;
    const size = { width: room().width / view.scale, height: room().height / view.scale };
    const all = around(areas);
    const fits = all.right - all.left <= size.width && all.bottom - all.top <= size.height;
    const { left, right, top, bottom } = fits ? all : around(areas.slice(0, 1));
    glide(nearest(view.x, size.width, left, right), nearest(view.y, size.height, top, bottom));
  }

  /** What holds all areas, with a margin, in the picture's own lengths. */
  function around(areas) {
    const side = (offset, middle, size, sign) =>
      sign * Math.max(...areas.map((a) => sign * a[middle] + a[size] / 2 + 28)) + offset;
    return {
      left: side(shift.e, "x", "width", -1),
      right: side(shift.e, "x", "width", 1),
      top: side(shift.f, "y", "height", -1),
      bottom: side(shift.f, "y", "height", 1),
    };
  }

  /** The start nearest to `start` from which `size` holds low to high, or else their middle. */
  function nearest(start, size, low, high) {
    if (high - low > size) return (low + high - size) / 2;
    return Math.max(high - size, Math.min(low, start));
  }

  function glide(x, y) {
    land();
    const from = { x: view.x, y: view.y };
    if (Math.hypot(x - from.x, y - from.y) < 0.5) return;
    const begin = performance.now();
    const time = calm.matches ? 0 : 220;
    const move = (now) => {
      const part = time ? Math.min(1, Math.max(0, (now - begin) / time)) : 1;
      const eased = 1 - (1 - part) ** 3;
      view.x = from.x + (x - from.x) * eased;
      view.y = from.y + (y - from.y) * eased;
      view.flight = part < 1 ? requestAnimationFrame(move) : 0;
      showView();
    };
    move(begin);
  }

  function land() {
    cancelAnimationFrame(view.flight);
    view.flight = 0;
  }

  const fingers = new Map();
  let dragged = false;

  function listenToPointers() {
    svg.addEventListener("wheel", onWheel, { passive: false });
    svg.addEventListener("pointerdown", onDown);
    svg.addEventListener("pointermove", onMove);
    for (const end of ["pointerup", "pointercancel"]) {
      svg.addEventListener(end, (event) => {
        fingers.delete(event.pointerId);
        svg.classList.toggle("dragging", false);
      });
    }
    svg.addEventListener("click", onClick);
    svg.addEventListener("pointerover", (event) => point(event.target));
    svg.addEventListener("pointerleave", leave);
  }

  function onWheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    const amount = Math.max(-240, Math.min(240, event.deltaY * lines));
    zoom(Math.exp(-amount * (event.ctrlKey ? 0.008 : 0.0018)), { x: event.clientX, y: event.clientY });
  }

  function onDown(event) {
    if (event.button) return;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 1) dragged = false;
  }

  function onMove(event) {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const now = { x: event.clientX, y: event.clientY };
    const moved = Math.hypot(now.x - last.x, now.y - last.y);
    if (!dragged && moved < 4) return;
    if (!dragged) startDrag(event.pointerId);
    const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(other, last, now);
    else pan(now.x - last.x, now.y - last.y);
    fingers.set(event.pointerId, now);
  }

  function startDrag(pointer) {
    dragged = true;
    leave();
    svg.classList.add("dragging");
    svg.setPointerCapture(pointer);
  }

  function pinch(still, last, now) {
    const apart = (point) => Math.hypot(point.x - still.x, point.y - still.y) || 1;
    zoom(apart(now) / apart(last), { x: (still.x + now.x) / 2, y: (still.y + now.y) / 2 });
  }

  // --------------------------------------------------------------- hover and the tooltip

  const tip = make("div", { id: "tip", role: "tooltip", hidden: true });

  function point(target) {
    if (dragged && fingers.size) return;
    const element = target.closest("[data-thing], .arrow");
    if (!element) leave();
    else if (element.dataset.thing !== undefined) enter(things.get(element.dataset.thing));
    else {
      leave();
      showTip(arrows.get(element.id).lines, element);
    }
  }

  function enter(thing) {
    state.hover = thing.id;
    showMarks();
    showTip(linesOf(thing), thing.element.querySelector(".ring"));
  }

  function leave() {
    hideTip();
    if (state.hover === null) return;
    state.hover = null;
    showMarks();
  }

  /** What is known of a thing, as [role, text]. */
  function linesOf(thing) {
    if (thing.box) return [...knownLines(thing.box, true), ...sourceOf(thing.box)];
    const names = thing.frame.members.filter((box) => box.kind !== "sum").map((box) => box.name);
    const more = names.length > 12 ? [["note", `… and ${names.length - 12} more`]] : [];
    const listed = names.slice(0, 12).map((name) => ["formula", name]);
    return [["name", thing.frame.title], ...listed, ...more, ["note", "click or Enter unfolds"]];
  }

  function knownLines(box, exact) {
    const lines = exact ? [...box.lines, ...box.tip] : box.lines;
    const moment = story[state.step];
    if (!moment) return lines;
    const known = { value: moment.values, gradient: moment.gradients };
    return lines.filter(([role]) => !known[role] || known[role].has(box.key));
  }

  function sourceOf(box) {
    const text = data.model.lines[box.place - data.model.first];
    if (!box.place || text === undefined) return [];
    return [["source", `${box.place}  ${text.trim().replace(/\s+/gu, " ")}`]];
  }

  function showTip(lines, anchor) {
    if (!lines.length) return;
    tip.replaceChildren(...lines.map(([role, text]) => make("p", { className: role }, text)));
    tip.hidden = false;
    const [at, own] = [anchor.getBoundingClientRect(), tip.getBoundingClientRect()];
    const right = at.right + 10;
    const fits = right + own.width < innerWidth - 8;
    const left = fits ? right : at.left - own.width - 10;
    const beside = left >= 8;
    const top = beside ? at.top : at.bottom + 10;
    tip.style.left = `${beside ? left : Math.max(8, Math.min(at.left, innerWidth - own.width - 8))}px`;
    tip.style.top = `${Math.max(8, Math.min(top, innerHeight - own.height - 8))}px`;
  }

  function hideTip() {
    tip.hidden = true;
  }

  // ----------------------------------------------------- marks: trace, search and links

  /** What a set of boxes is computed from, what is computed from it, and the arrows of both. */
  function trace(starts) {
    const touched = [...arrows.values()].filter((a) => starts.has(a.tail) || starts.has(a.head));
    const forward = touched.some((arrow) => arrow.forward);
    const used = [...arrows.values()].filter((arrow) => arrow.forward === forward);
    const above = reach(starts, used, "head", "tail");
    const below = reach(starts, used, "tail", "head");
    const passed = new Set([...above.arrows, ...below.arrows]);
    return { above: above.boxes, below: below.boxes, arrows: passed };
  }

  /** Everything that arrows lead to, taken from their end `near` to their end `far`. */
  function reach(starts, used, near, far) {
    const byEnd = new Map(used.map((arrow) => [arrow[near], []]));
    for (const arrow of used) byEnd.get(arrow[near]).push(arrow);
    const found = { boxes: new Set(), arrows: new Set() };
    const open = [...starts];
    while (open.length) {
      for (const arrow of byEnd.get(open.pop()) ?? []) {
        found.arrows.add(arrow.key);
        if (found.boxes.has(arrow[far]) || starts.has(arrow[far])) continue;
        found.boxes.add(arrow[far]);
        open.push(arrow[far]);
      }
    }
    return found;
  }

  function showMarks() {
    const subject = things.get(state.pin ?? state.hover);
    const traced = subject && trace(new Set(subject.members));
    const found = new Set(state.found);
    for (const thing of things.values()) {
      const some = (keys) => Boolean(keys) && thing.members.some((key) => keys.has(key));
      const chosen = thing === subject;
      const above = !chosen && some(traced?.above);
      const below = !chosen && some(traced?.below);
      const linked = state.place && thing.members.some((key) => boxes.get(key).place === state.place);
      const match = found.has(thing.id);
      const kept = traced ? chosen || above || below || linked : match;
      toggleClasses(thing.element, { chosen, above, below, linked, found: match, kept });
      thing.element.setAttribute("aria-pressed", String(state.pin === thing.id));
    }
    for (const element of graph.querySelectorAll(".arrow, .proxy")) {
      toggleClasses(element, { kept: keysOf(element).some((key) => traced?.arrows.has(key)) });
    }
    toggleClasses(svg, { dimmed: traced || state.words });
    showLinks();
    showStatus(subject, traced);
  }

  /** The arrows that an arrow of the picture stands for. */
  function keysOf(element) {
    return element.id ? [element.id] : element.dataset.keys.split(" ");
  }

  function nameOf(thing) {
    return thing.box ? thing.box.name : thing.frame.title;
  }

  const status = make("p", { id: "status", role: "status" });

  function showStatus(subject, traced) {
    status.textContent = traced
      ? `${nameOf(subject)}: ${traced.above.size} before (solid), ${traced.below.size} after (dashed)`
      : "";
  }

  /** Pins the trace of a thing and marks its lines; once more takes both back. */
  function choose(thing) {
    if (thing.frame) return fold(thing.frame, false);
    const again = state.pin === thing.id;
    state.pin = again ? null : thing.id;
    state.place = again ? 0 : thing.box.place;
    showMarks();
    for (const listing of listings) scrollToFirst(listing, "linked");
  }

  function onClick(event) {
    if (dragged) return;
    const element = event.target.closest("[data-thing]");
    if (element) choose(things.get(element.dataset.thing));
    else if (!event.target.closest(".handle")) forget();
  }

  function forget() {
    state.pin = null;
    state.place = 0;
    showMarks();
  }

  // ----------------------------------------------------------------------------- search

  const count = make("output", { id: "count" });
  const field = make("input", {
    id: "search", type: "search", placeholder: "search  /", autocomplete: "off", spellcheck: false,
    oninput: () => search(field.value), onkeydown: onSearchKey,
  });
  field.setAttribute("aria-label", "search boxes");

  /** What is typed on a keyboard also finds the signs of formulas. */
  function plain(text) {
    return text.toLowerCase().replaceAll("−", "-").replaceAll("·", "*");
  }

  function search(words) {
    state.words = words.trim() ? words : "";
    state.at = -1;
    const needle = plain(words.trim());
    const matches = [...boxes.values()].filter((box) => state.words && has(box, needle));
    state.found = [...new Set(matches.map((box) => shownAs.get(box.key)))];
    for (const frame of frames.values()) {
      const shown = frame.folded && !isInside(frame) && !state.found.includes(frame.compact.id);
      if (shown && state.words && plain(frame.title).includes(needle)) {
        state.found.push(frame.compact.id);
      }
    }
    showCount();
    showMarks();
  }

  function has(box, needle) {
    const lines = knownLines(box, true).map(([, text]) => text);
    return [box.name, ...lines].some((line) => plain(line).includes(needle));
  }

  function showCount() {
    const total = state.found.length;
    const place = state.at >= 0 ? `${state.at + 1} of ${total}` : `${total} found`;
    count.textContent = !state.words ? "" : total ? place : "none found";
  }

  function onSearchKey(event) {
    if (event.key !== "Enter" || !state.found.length) return;
    const step = event.shiftKey ? state.found.length - Math.sign(state.at + 1) : 1;
    state.at = (state.at + step) % state.found.length;
    for (const thing of things.values()) thing.element.classList.remove("here");
    things.get(state.found[state.at]).element.classList.add("here");
    reveal([state.found[state.at]]);
    showCount();
  }

  function endSearch() {
    field.value = "";
    for (const thing of things.values()) thing.element.classList.remove("here");
    search("");
  }

  // ------------------------------------------------------------------------------ texts

  const listings = [];

  /** A text with numbered lines. `places` has for each the model's line that it belongs to. */
  function addListing(name, text, places) {
    const body = make("div", { className: "lines", role: "listbox" });
    const rows = text.lines.map((line, index) => {
      const [code, comment] = splitComment(line);
      const number = make("span", { className: "number" }, String(text.first + index));
      const row = make("div", { role: "option", tabIndex: -1 }, number, make("span", {}, code));
      if (comment) row.append(make("span", { className: "comment" }, comment));
      const item = { row, place: places[index] ?? 0 };
      row.addEventListener("click", () => follow(item, name));
      onEnter(row, () => follow(item, name));
      return item;
    });
    body.append(...rows.map((item) => item.row));
    body.setAttribute("aria-label", name === "model" ? "the model's text" : "the generated function");
    const heading = make("h2", {}, text.title, make("small", {}, name));
    listings.push({ name, body, rows });
    rove(body, () => rows.map((item) => item.row))();
    return make("section", { id: name, className: "listing" }, heading, body);
  }

  /** A line in two: its comment is only painted lighter, so a rough cut is good enough. */
  function splitComment(line) {
    const found = /^(.*?)(\s{2,}#.*|^\s*#.*)$/u.exec(line);
    return found ? [found[1], found[2]] : [line, ""];
  }

  /** Marks what belongs to a line of a text; once more takes it back. */
  function follow(item, name) {
    if (String(getSelection())) return;
    state.pin = null;
    state.place = item.place === state.place ? 0 : item.place;
    showMarks();
    for (const listing of listings) {
      if (listing.name !== name) scrollToFirst(listing, "linked");
    }
    const linked = [...things.values()].filter((thing) => thing.element.matches(".linked:not(.gone)"));
    reveal(linked.map((thing) => thing.id));
  }

  function showLinks() {
    for (const { rows } of listings) {
      for (const { row, place } of rows) {
        const linked = state.place > 0 && place === state.place;
        row.classList.toggle("linked", linked);
        row.setAttribute("aria-selected", String(linked));
      }
    }
  }

  /** Scrolls a text alone, not the page, to the first of its lines with a mark, or to the last. */
  function scrollToFirst({ body, rows }, mark, last = false) {
    const marked = rows.filter(({ row }) => row.classList.contains(mark));
    const found = marked.at(last ? -1 : 0)?.row;
    if (!found) return;
    const [top, height] = [found.offsetTop, found.offsetHeight];
    const seen = body.scrollTop + body.clientHeight;
    if (top >= body.scrollTop && top + 2 * height <= seen) return;
    body.scrollTop = top - body.clientHeight / 3;
  }

  // ------------------------------------------------------------------------------ steps

  const slider = make("input", {
    id: "step", type: "range", min: 1, max: Math.max(1, story.length), value: 1, step: 1,
    oninput: () => go(Number(slider.value) - 1),
  });
  const caption = make("div", { id: "caption" });
  const player = button("▶", "play (space)", () => play(!state.playing));
  player.id = "play";
  let hashTimer = 0;

  /** To a step, by the hand of a person: a story that plays by itself stops. */
  function go(step) {
    play(false);
    turnTo(step);
  }

  function turnTo(step) {
    state.step = Math.max(0, Math.min(story.length - 1, step));
    leave();
    showStep();
    revealStep();
    // Browsers refuse an address that changes too often, as while the slider is drawn along.
    clearTimeout(hashTimer);
    hashTimer = setTimeout(showHash, 120);
  }

  function revealStep() {
    const active = story.length ? [...story[state.step].active] : [];
    reveal(active.map((key) => shownAs.get(key)).filter(Boolean));
  }

  function showHash() {
    const hash = `#step=${state.step + 1}`;
    if (location.hash === hash) return;
    try {
      history.replaceState(null, "", hash);
    } catch {
      // A page inside another page may have no address of its own.
    }
  }

  /** The step that the address names, from 0, or null. */
  function stepOfHash() {
    const found = /^#step=(\d{1,9})$/.exec(location.hash);
    return found ? Number(found[1]) - 1 : null;
  }

  function showStep() {
    const moment = story[state.step];
    for (const box of boxes.values()) showKnown(box, moment);
    if (moment) {
      for (const element of graph.querySelectorAll(".arrow, .proxy")) showArrow(element, moment);
      for (const thing of things.values()) {
        const active = thing.members.some((key) => moment.active.has(key));
        toggleClasses(thing.element, { active });
        toggleClasses(thing.halo, { active: active && !thing.element.matches(".gone") });
      }
      showCaption(moment);
      showNow(moment);
    }
    if (state.words) search(state.words);
    else showMarks();
  }

  function showKnown(box, moment) {
    const texts = knownLines(box, false).map(([, text]) => text);
    box.element.setAttribute("aria-label", [box.name, ...texts].join(", "));
    if (!moment) return;
    for (const text of box.element.querySelectorAll("text.value")) {
      toggleClasses(text, { unknown: !moment.values.has(box.key) });
    }
    for (const text of box.element.querySelectorAll("text.gradient")) {
      toggleClasses(text, { unknown: !moment.gradients.has(box.key) });
    }
  }

  function showArrow(element, moment) {
    const keys = keysOf(element);
    const forward = element.classList.contains("forward");
    toggleClasses(element, {
      unknown: !forward && !keys.some((key) => moment.arrows.has(key)),
      active: keys.some((key) => moment.active.has(key)),
    });
  }

  function showCaption(moment) {
    const label = `step ${state.step + 1} of ${story.length}`;
    const lines = moment.caption.map((line) => make("p", {}, ...labelled(line)));
    caption.replaceChildren(
      make("p", { className: "count" }, label), make("h1", {}, moment.title), ...lines,
    );
    slider.value = state.step + 1;
    slider.setAttribute("aria-valuetext", `${label}: ${moment.title}`);
  }

  /** `upstream: ȳ = 2` with a lighter label. */
  function labelled(line) {
    const found = /^([a-z]+:) (.*)$/su.exec(line);
    return found ? [make("span", { className: "label" }, `${found[1]} `), found[2]] : [line];
  }

  /** Marks the lines of what is spoken of. Of a generated function, gradients are in its end. */
  function showNow(moment) {
    const active = [...moment.active].map((key) => boxes.get(key)?.place).filter(Boolean);
    const places = new Set(active);
    const backward = moment.gradients.size > 0;
    for (const listing of listings) {
      for (const { row, place } of listing.rows) row.classList.toggle("now", places.has(place));
      scrollToFirst(listing, "now", backward && listing.name === "generated");
    }
  }

  function play(on) {
    clearTimeout(state.playing);
    state.playing = 0;
    if (on && story.length) {
      if (state.step === story.length - 1) turnTo(0);
      wait();
    }
    const running = Boolean(state.playing);
    player.textContent = running ? "❚❚" : "▶";
    player.setAttribute("aria-label", running ? "pause (space)" : "play (space)");
    player.title = player.getAttribute("aria-label");
    // A caption that changes by itself would be read out on top of itself.
    caption.setAttribute("aria-live", running ? "off" : "polite");
  }

  /** A step stays as long as it takes to read it. */
  function wait() {
    const time = 1500 + 800 * story[state.step].caption.length;
    state.playing = setTimeout(() => {
      turnTo(state.step + 1);
      if (state.step < story.length - 1) wait();
      else play(false);
    }, time);
  }

  // --------------------------------------------------------------------------- keyboard

  /** One stop of the Tab key for many elements; ↑ and ↓ go from one to the next. Returns what to
   * call when other elements are shown. */
  function rove(container, shown) {
    let stop = null;
    const settle = (element) => {
      if (stop) stop.tabIndex = -1;
      stop = element ?? null;
      if (stop) stop.tabIndex = 0;
    };
    container.addEventListener("focusin", (event) => {
      const item = event.target.closest("[tabindex]");
      if (shown().includes(item)) settle(item);
    });
    container.addEventListener("keydown", (event) => {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!move || event.shiftKey || isModified(event)) return;
      event.preventDefault();
      const items = shown();
      items[items.indexOf(stop) + move]?.focus();
    });
    return () => {
      const items = shown();
      if (!items.includes(stop)) settle(items[0]);
    };
  }

  const settlePicture = rove(svg, () =>
    [...graph.querySelectorAll(".box, .handle, .compact")].filter((e) => !e.closest(".gone")),
  );

  function listenToFocus() {
    svg.addEventListener("focusin", (event) => {
      const thing = things.get(event.target.closest("[data-thing]")?.dataset.thing);
      if (!thing || !event.target.matches(":focus-visible")) return;
      reveal([thing.id]);
      enter(thing);
    });
    svg.addEventListener("focusout", leave);
    for (const thing of things.values()) onEnter(thing.element, () => choose(thing));
  }

  function onEnter(element, action) {
    element.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      action();
    });
  }

  function isModified(event) {
    return event.ctrlKey || event.metaKey || event.altKey;
  }

  const ofSteps = {
    ArrowLeft: () => go(state.step - 1),
    ArrowRight: () => go(state.step + 1),
    PageUp: () => go(state.step - 1),
    PageDown: () => go(state.step + 1),
    Home: () => go(0),
    End: () => go(story.length - 1),
    " ": () => play(!state.playing),
  };
  const ofAll = {
    "+": () => zoom(1.25),
    "=": () => zoom(1.25),
    "-": () => zoom(0.8),
    0: () => fit(),
    f: foldAll,
    "/": () => field.focus(),
    "?": () => help.showModal(),
    Escape: () => {
      leave();
      forget();
      endSearch();
    },
  };
  const ofShift = {
    ArrowLeft: () => pan(60, 0),
    ArrowRight: () => pan(-60, 0),
    ArrowUp: () => pan(0, 60),
    ArrowDown: () => pan(0, -60),
  };

  function onKey(event) {
    if (help.open) return;
    if (isModified(event) || (event.target === field && event.key !== "Escape")) return;
    if (event.key === " " && event.target.matches("button, summary")) return;
    const action = event.shiftKey && event.key in ofShift ? ofShift[event.key] : actionOf(event.key);
    if (!action) return;
    event.preventDefault();
    action();
    if (event.key === "Escape") field.blur();
  }

  function actionOf(key) {
    if (story.length && Object.hasOwn(ofSteps, key)) return ofSteps[key];
    return Object.hasOwn(ofAll, key) ? ofAll[key] : null;
  }

  const KEYS = [
    ...(story.length
      ? [
          ["← →", "previous and next step; also Page Up, Page Down"],
          ["Home End", "first and last step"],
          ["space", "play and pause"],
        ]
      : []),
    ["Tab", "to the tools, the picture and the texts"],
    ["↑ ↓", "from box to box, from line to line"],
    ["Enter", "pin a box with its trace and lines; follow a line; fold and unfold"],
    ["/", "search; Enter goes to the next match"],
    ["f", "fold and unfold everything"],
    ["+ − 0", "zoom in, zoom out, the whole picture"],
    ["shift ← → ↑ ↓", "move the picture"],
    ["Esc", "take marks and search back"],
    ["?", "this help"],
  ];
  const SIGNS = [
    "green, above the name: the value; red, below it: the derivative of the objective by it",
    "solid arrows: what a value is computed from; dashed: what flows back, upstream · local",
    "Σ: contributions of several uses are added",
    "a trace: solid outline for what comes before, dashed for what follows",
  ];

  function makeHelp() {
    const rows = KEYS.map(([key, what]) =>
      make("tr", {}, make("th", { scope: "row" }, key), make("td", {}, what)),
    );
    const close = button("close", "close (Esc)", () => help.close());
    const signs = make("ul", {}, ...SIGNS.map((sign) => make("li", {}, sign)));
    const made = make(
      "dialog", { id: "help" },
      make("h2", {}, "Keys"), make("table", {}, ...rows), make("h2", {}, "Signs"), signs, close,
    );
    made.setAttribute("aria-label", "help");
    return made;
  }

  const help = makeHelp();

  // --------------------------------------------------------------------------- the page

  function makeTools() {
    const folding = frames.size ? [button("fold", "fold or unfold everything (f)", foldAll)] : [];
    return make(
      "header", { id: "tools" },
      make("div", { className: "search" }, field, count),
      status,
      make(
        "div", { className: "buttons" },
        ...folding,
        button("−", "zoom out (-)", () => zoom(0.8)),
        button("+", "zoom in (+)", () => zoom(1.25)),
        button("fit", "the whole picture (0)", () => fit()),
        button("?", "help (?)", () => help.showModal()),
      ),
    );
  }

  function makeSteps() {
    slider.setAttribute("aria-label", "step");
    const most = Math.max(...story.map((moment) => moment.caption.length));
    caption.style.minHeight = `${Math.min(most, 9) * 1.6 + 5.2}em`;
    const controls = make(
      "div", { className: "controls" },
      button("⇤", "first step (Home)", () => go(0)),
      button("←", "previous step (←)", () => go(state.step - 1)),
      player,
      button("→", "next step (→)", () => go(state.step + 1)),
      button("⇥", "last step (End)", () => go(story.length - 1)),
      slider,
    );
    return make("section", { id: "steps" }, controls, caption);
  }

  function makePanel() {
    const model = data.model;
    const own = model.lines.map((_, index) => model.first + index);
    const parts = story.length ? [makeSteps()] : [];
    parts.push(addListing("model", model, own));
    if (data.generated) parts.push(addListing("generated", data.generated, data.generated.places));
    const panel = make("aside", { id: "panel" }, ...parts);
    panel.setAttribute("aria-label", "steps and texts");
    return panel;
  }

  /** A picture that nobody has moved yet stays fitted. Called once at the start, too. */
  function onResize() {
    if (!view.fitted) return showView();
    fit(true);
    revealStep();
  }

  function start() {
    takeTitle(svg);
    svg.setAttribute("role", "group");
    svg.setAttribute("aria-label", data.title);
    graph.insertBefore(halos, graph.querySelector(".arrow, .box"));
    graph.insertBefore(proxies, graph.querySelector(".box"));
    readBoxes();
    readArrows();
    readFrames();
    picture.before(makeTools());
    picture.after(makePanel(), tip, help);
    document.documentElement.classList.add("live");
    listenToPointers();
    listenToFocus();
    addEventListener("keydown", onKey);
    addEventListener("hashchange", () => story.length && go(stepOfHash() ?? state.step));
    addEventListener("beforeprint", () => fit());
    play(false);
    showFolds();
    if (story.length && stepOfHash() !== null) turnTo(stepOfHash());
    new ResizeObserver(onResize).observe(picture);
  }

  start();
})();
