// Sliders over figures drawn beforehand. An explorer is the figure of its start state, native
// range inputs, and a file with what differs in its other states. Nothing is computed here.
(() => {
  "use strict";

  const ID = "\ue000"; // stands for the explorer's id in what is loaded
  const SETTLE = 300; // milliseconds without a move until it goes into the address
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const VALUES = new Map([...DIGITS].map((digit, value) => [digit, value]));
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // ---- Reading what lib/explorer/codec.py writes ----

  function integers(text) {
    const found = [];
    let number = 0;
    let weight = 1;
    for (const character of text) {
      const digit = VALUES.get(character);
      number += (digit % 32) * weight;
      weight *= 32;
      if (digit < 32) {
        found.push(number % 2 ? (1 - number) / 2 : number / 2);
        number = 0;
        weight = 1;
      }
    }
    return found;
  }

  function sums(text) {
    let sum = 0;
    return integers(text).map((step) => (sum += step));
  }

  // A form with its repeated runs written out, as the texts between which numbers stand.
  function unfold(form, texts) {
    return form.flatMap((part) => {
      if (!Array.isArray(part)) return [texts[part]];
      const run = part.slice(1).map((text) => texts[text]);
      return Array.from({ length: part[0] }, () => run).flat();
    });
  }

  // The values of a slot: the texts of each and the numbers that stand between them.
  function unpack([kinds, differences], forms) {
    const steps = integers(differences);
    let next = 0;
    let before = [];
    return sums(kinds).map((kind) => {
      const numbers = [];
      for (let i = 0; i < forms[kind].length - 1; i++) {
        let guess = i > 1 ? numbers[i - 2] : 0;
        if (i < before.length) guess += before[i] - (i > 1 ? before[i - 2] : 0);
        numbers.push(guess + steps[next++]);
      }
      before = numbers;
      return { texts: forms[kind], numbers };
    });
  }

  function markup({ texts, numbers }) {
    let text = texts[0];
    for (let i = 0; i < numbers.length; i++) text += numbers[i] / 100 + texts[i + 1];
    return text;
  }

  // ---- One explorer ----

  class Explorer {
    constructor(root) {
      this.root = root;
      this.svg = root.querySelector(".explorer-figure > svg");
      this.inputs = [...root.querySelectorAll("input")];
      this.texts = this.inputs.map((input) => JSON.parse(input.dataset.texts));
      this.labels = [...root.querySelectorAll("label")].map((label) => label.textContent);
      this.note = root.querySelector(".explorer-note");
      this.player = root.querySelector(".explorer-play");
      this.start = this.state();
      this.inputs.forEach((input, i) => {
        input.addEventListener("input", () => this.moved());
        input.addEventListener("dblclick", () => this.set(i, input.defaultValue));
      });
      root.querySelector(".explorer-reset").addEventListener("click", () => this.reset());
      if (this.player) this.prepare(this.player);
    }

    // The number of the state: the last slider counts fastest.
    state() {
      return this.inputs.reduce((state, input) => state * (+input.max + 1) + +input.value, 0);
    }

    moved() {
      this.stop();
      this.changed();
    }

    set(i, value) {
      this.inputs[i].value = value;
      this.moved();
    }

    reset() {
      for (const input of this.inputs) input.value = input.defaultValue;
      this.moved();
    }

    changed() {
      this.inputs.forEach((input, i) => {
        const text = this.texts[i][input.value];
        if (text === input.nextElementSibling.textContent) return;
        input.setAttribute("aria-valuetext", `${this.labels[i]} = ${text}`);
        input.nextElementSibling.textContent = text;
      });
      this.load();
      this.due ??= requestAnimationFrame(() => this.show());
      clearTimeout(this.settling);
      this.settling = setTimeout(() => this.settled(), SETTLE);
    }

    show() {
      this.due = undefined;
      if (!this.slots) return;
      const state = this.state();
      for (const slot of this.slots) {
        const value = slot.states[state];
        if (value === slot.shown) continue;
        slot.group.innerHTML = markup(slot.values[value]);
        slot.shown = value;
      }
      if (this.alts) this.svg.setAttribute("aria-label", this.alts[this.alt[state]]);
    }

    settled() {
      if (this.alts) this.note.textContent = this.svg.getAttribute("aria-label");
      writeAddress();
    }

    // ---- Its other states ----

    load() {
      if (this.asked) return;
      this.asked = true;
      const { states, src } = this.root.dataset;
      if (arrived.has(states)) return this.take(arrived.get(states));
      const script = document.createElement("script");
      script.src = src;
      script.onload = () => this.take(arrived.get(states));
      script.onerror = () => this.fail();
      document.head.append(script);
    }

    fail() {
      this.asked = false;
      this.note.classList.add("explorer-trouble");
      this.note.textContent = "The other states of this figure could not be loaded.";
    }

    take(data) {
      const named = (text) => text.replaceAll(ID, this.root.id);
      const texts = data.texts.map(named);
      const forms = data.forms.map((form) => unfold(form, texts));
      const groups = this.svg.querySelectorAll("g[data-slot]");
      this.slots = data.slots.map((slot, i) => {
        const states = sums(slot[2]);
        return { group: groups[i], values: unpack(slot, forms), states, shown: states[this.start] };
      });
      this.svg.querySelector("defs").insertAdjacentHTML("beforeend", named(data.defs));
      if (data.alts) [this.alts, this.alt] = [data.alts, sums(data.alt)];
      this.note.classList.remove("explorer-trouble");
      this.note.textContent = "";
      this.root.dataset.ready = "";
      this.show();
    }

    // ---- Playing along one slider: a step at a time for readers who want no motion ----

    prepare(button) {
      this.along = this.inputs.find((input) => input.dataset.name === button.dataset.slider);
      button.addEventListener("click", () => this.play());
      calm.addEventListener("change", () => this.stop());
      this.stop();
    }

    play() {
      if (this.playing) return this.stop();
      if (calm.matches) return this.step();
      this.player.firstElementChild.textContent = "Pause";
      const pause = Math.min(400, Math.max(60, 6000 / this.along.max));
      this.playing = setInterval(() => {
        this.step();
        if (this.along.value === this.along.max) this.stop();
      }, pause);
    }

    step() {
      this.along.value = this.along.value === this.along.max ? 0 : +this.along.value + 1;
      this.changed();
    }

    stop() {
      clearInterval(this.playing);
      this.playing = undefined;
      if (this.player) this.player.firstElementChild.textContent = calm.matches ? "Step" : "Play";
    }

    // ---- Its part of the address: "explorer-name:eta=0.3,alpha=0.9" ----

    address() {
      const parts = this.inputs.map((input, i) => {
        const text = this.texts[i][input.value].replace("−", "-");
        return `${input.dataset.name}=${encodeURIComponent(text)}`;
      });
      return `${this.root.id}:${parts.join(",")}`;
    }

    goTo(values) {
      this.inputs.forEach((input, i) => {
        const wanted = values.get(input.dataset.name);
        const found = wanted === undefined ? -1 : nearest(this.texts[i], wanted);
        input.value = found < 0 ? input.defaultValue : found;
      });
      this.moved();
    }
  }

  // A figure that is wider than its box must be reached and scrolled by keyboard too.
  const boxes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth;
      if (scrolls) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  });

  // ---- The page ----

  const arrived = new Map();
  window.explorerStates = (name, data) => arrived.set(name, data);

  const explorers = [...document.querySelectorAll(".explorer")].map((root) => new Explorer(root));

  function nearest(texts, wanted) {
    const numbers = texts.map((text) => Math.abs(text.replace("−", "-") - wanted));
    const best = Math.min(...numbers);
    return Number.isNaN(best) ? texts.indexOf(wanted) : numbers.indexOf(best);
  }

  function decoded(text) {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // typed by hand
    }
  }

  // Takes each explorer that the address names to its state there; returns the first of them.
  function readAddress() {
    const named = location.hash.slice(1).split(";").flatMap((part) => {
      const [id, values = ""] = part.split(":");
      const explorer = explorers.find(({ root }) => root.id === id);
      if (!explorer) return [];
      const pairs = values.split(",").map((pair) => pair.split("=").map(decoded));
      explorer.goTo(new Map(pairs));
      return [explorer];
    });
    return named[0];
  }

  function writeAddress() {
    const moved = explorers.filter((explorer) => explorer.state() !== explorer.start);
    const ours = location.hash.startsWith("#explorer-");
    if (!moved.length && !ours) return;
    const hash = moved.map((explorer) => explorer.address()).join(";");
    history.replaceState(history.state, "", location.href.split("#")[0] + (hash && `#${hash}`));
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const { isIntersecting, target } of entries) {
        if (isIntersecting) explorers.find(({ root }) => root === target).load();
      }
    },
    { rootMargin: "100% 0px" }, // a screen above and below what is seen
  );
  for (const { root } of explorers) {
    near.observe(root);
    boxes.observe(root.querySelector(".explorer-figure"));
  }

  const linked = readAddress();
  addEventListener("load", () => linked?.root.scrollIntoView({ block: "center" }));
  addEventListener("hashchange", () => readAddress()?.root.scrollIntoView({ block: "center" }));
  document.addEventListener("visibilitychange", () => explorers.forEach((each) => each.stop()));
})();
