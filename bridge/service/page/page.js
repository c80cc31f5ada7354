"use strict";
// Asks for the page again and puts what has changed in its place: who reads on, or hears it read, stays where
// he is. Where nobody answers, what was seen last stays, and says of when it is.
(() => {
  const wait = 1000 * Number(document.body.dataset.refresh);
  const pause = document.getElementById("pause");
  const lost = document.getElementById("lost");
  let paused = false;

  const keep = (fresh) => {
    for (const one of document.querySelectorAll("details[open]")) {
      const same = fresh.getElementById(one.id);
      if (same) same.open = true;
    }
  };

  const put = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    const held = old.contains(document.activeElement) ? document.activeElement : null;
    const at = held ? [...old.querySelectorAll("a, summary")].indexOf(held) : -1;
    old.replaceWith(fresh);
    if (at >= 0) fresh.querySelectorAll("a, summary")[at]?.focus({ preventScroll: true });
  };

  const show = (fresh) => {
    keep(fresh);
    document.title = fresh.title;
    for (const selector of ["link[rel=icon]", "#as-of"]) {
      put(document.querySelector(selector), fresh.querySelector(selector));
    }
    const verdict = document.getElementById("verdict");
    const said = fresh.getElementById("verdict");
    if (!verdict.isEqualNode(said)) {
      verdict.className = said.className;
      verdict.replaceChildren(...said.childNodes);
    }
    const main = document.querySelector("main");
    const sections = [...fresh.querySelectorAll("main > section")];
    for (const old of [...main.children]) {
      if (!sections.some((one) => one.id === old.id)) old.remove();
    }
    sections.forEach((one, place) => {
      const old = document.getElementById(one.id);
      if (old) put(old, one);
      else main.insertBefore(one, main.children[place] ?? null);
    });
  };

  const ask = async () => {
    if (paused || document.hidden) return;
    try {
      const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(wait) });
      if (!answer.ok) throw new Error(`it answered ${answer.status}`);
      show(new DOMParser().parseFromString(await answer.text(), "text/html"));
      lost.hidden = true;
    } catch {
      if (lost.hidden) {
        lost.textContent = "The bridge does not answer. What you see is what it said last; this page goes on asking.";
        lost.hidden = false;
        document.title = `No answer · ${document.title}`;
      }
    }
  };

  const again = async () => {
    await ask();
    setTimeout(again, wait);
  };

  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    ask();
  });
  document.addEventListener("visibilitychange", ask);
  setTimeout(again, wait);
})();
