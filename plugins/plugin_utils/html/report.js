/* Copyright (c) 2026 the kubenode.doctor authors
 * GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 * What the page can do beyond being read: filter, sort, copy, show one host. All text enters the page through textContent. */
(() => {
  "use strict";

  const data = JSON.parse(document.getElementById("data").textContent);
  const WORDS = {critical: "critical", warning: "warning", info: "note", unknown: "unknown", waived: "waived", pass: "pass", not_applicable: "not applicable"};
  const ANSWERS = {p: "pass", f: "fail", u: "unknown", n: "not_applicable"};
  const RANK = ["critical", "warning", "unknown", "info", "waived", "pass", "not_applicable"];
  const STEP = 500;  // rows that are added at a time
  const byId = (id) => document.getElementById(id);
  const text = (number) => (number === null ? "not seen" : data.texts[number]);
  const plural = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;

  /* An element with attributes and children; strings become text. */
  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return element;
  }

  function say(words) {
    byId("said").textContent = "";
    window.setTimeout(() => { byId("said").textContent = words; }, 50);
  }

  const badge = (kind) => h("span", {class: `badge k-${kind}`}, WORDS[kind]);
  const link = (place) => h("a", {class: "host", href: `#node-${place}`}, data.names[place]);
  const cellsOf = (place) => data.cells[data.places[place].cells];
  const isQuiet = (place) => cellsOf(place).every(([kind]) => kind === "pass" || kind === "not_applicable");
  const placesOf = data.faults.map(() => []);  // of each fault
  data.places.forEach((place, number) => place.faults.forEach(([fault]) => placesOf[fault].push(number)));

  /* -- light and dark -- */

  const theme = byId("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = {  // a file's storage may be switched off
    read() { try { return window.localStorage.getItem("kubenode-doctor-theme"); } catch { return null; } },
    write(value) { try { window.localStorage.setItem("kubenode-doctor-theme", value); } catch { /* it holds for this page only */ } },
  };
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  function showTheme() {
    theme.textContent = isDark() ? "Light" : "Dark";
    theme.setAttribute("aria-label", `Change to ${isDark() ? "light" : "dark"} colours`);
  }
  if (["light", "dark"].includes(kept.read())) document.documentElement.dataset.theme = kept.read();
  theme.addEventListener("click", () => {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    kept.write(document.documentElement.dataset.theme);
    showTheme();
  });
  dark.addEventListener("change", showTheme);
  theme.hidden = false;
  showTheme();

  /* -- copying -- */

  async function copied(words) {
    try {
      await navigator.clipboard.writeText(words);
      return true;
    } catch {
      return false;
    }
  }

  function withCopy(pre) {
    const button = h("button", {type: "button", "aria-label": "Copy this command"}, "Copy");
    button.addEventListener("click", async () => {
      if (await copied(pre.textContent)) {
        button.textContent = "Copied";
        say("Copied");
        window.setTimeout(() => { button.textContent = "Copy"; }, 2000);
      } else {
        window.getSelection().selectAllChildren(pre);
        say("The command is selected: copy it with the keyboard");
      }
    });
    pre.after(button);
  }
  document.querySelectorAll("pre[data-copy]").forEach(withCopy);

  /* -- tables that hold more rows than the page -- */

  function cell([kind, number, unknown]) {
    const quiet = {pass: "pass", not_applicable: "n/a"}[kind];
    const ending = number > 1 && (kind === "warning" || kind === "info") ? "s" : "";
    return h("td", {class: `cell k-${kind}`}, quiet || `${number} ${WORDS[kind]}${ending}`, unknown ? h("small", {}, ` + ${unknown} unknown`) : null);
  }

  function heatRow(place) {
    return h("tr", {}, h("th", {scope: "row"}, link(place)), cellsOf(place).map(cell));
  }

  const mostOf = data.states.map((_name, state) => data.places.reduce((most, place) => Math.max(most, place.states ? place.states[state] : 0), 0));
  const bar = (number, most) => (number > 0 ? Math.max(1, Math.min(100, Math.round(100 * number / most))) : 0);
  const shownStates = Array.from(document.querySelectorAll("#states th[data-state]"), (head) => Number(head.dataset.state));

  function statesRow(place) {
    const states = data.places[place].states;
    const cells = shownStates.map((state) => h("td", {class: `num b${bar(states[state], mostOf[state])}`}, String(states[state])));
    return h("tr", {}, h("th", {scope: "row"}, link(place)), cells);
  }

  /* Rows of places in an order, cut where the page would become slow; what is cut is told, and can be had. */
  function grid(id, all, makeRow, keys) {
    const table = byId(id);
    if (!table) return {show() {}};
    const body = table.tBodies[0];
    const more = byId(`${id}-more`);
    let order = all, wanted = all, limit = Math.max(body.rows.length, STEP), touched = false;

    function draw() {
      body.replaceChildren(...wanted.slice(0, limit).map(makeRow));
      tell();
    }
    function tell() {
      const left = wanted.length - Math.min(limit, wanted.length);
      const button = h("button", {type: "button"}, `Show ${Math.min(left, STEP)} more`);
      button.addEventListener("click", () => {
        const first = body.rows.length;
        limit += STEP;
        body.append(...wanted.slice(first, limit).map(makeRow));
        tell();
        body.rows[first].querySelector("a").focus();
      });
      more.replaceChildren(...(left ? [`${wanted.length - left} of ${plural(wanted.length, "row")} are shown. `, button] : []));
    }
    function show(isWanted) {
      if (!isWanted && !touched) return;
      touched = true;
      wanted = isWanted ? order.filter(isWanted) : order;
      draw();
    }
    let last = null;
    Array.from(table.tHead.rows[0].cells).forEach((head, column) => {
      const button = h("button", {type: "button", class: "sort"}, head.textContent);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "descending" || (column === 0 && head.getAttribute("aria-sort") !== "ascending");
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "ascending" : "descending");
        const key = keys(column);
        order = [...all].sort((one, other) => (down ? 1 : -1) * (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0));
        touched = true;
        wanted = last ? order.filter(last) : order;
        draw();
      });
      head.replaceChildren(button);
    });
    if (body.rows.length < all.length) draw();
    return {show(isWanted) { last = isWanted; show(isWanted); }, count: () => wanted.length, all: all.length};
  }

  const heatKey = (column) => {
    if (column === 0) return (place) => data.names[place];
    return (place) => { const [kind, number] = cellsOf(place)[column - 1]; return (RANK.length - RANK.indexOf(kind)) * 1e6 + number; };
  };
  const loud = data.order.filter((place) => !isQuiet(place));
  const heat = grid("heat", loud, heatRow, heatKey);
  const stuck = [data.states.indexOf("syn_sent"), data.states.indexOf("close_wait")];
  const waiting = (place) => stuck.reduce((sum, state) => sum + data.places[place].states[state], 0);
  const counted = data.places.map((_place, number) => number).filter((place) => data.places[place].states)
    .sort((one, other) => waiting(other) - waiting(one) || (data.names[one] < data.names[other] ? -1 : 1));
  const stateKey = (column) => (column === 0 ? (place) => data.names[place] : (place) => data.places[place].states[shownStates[column - 1]]);
  const states = grid("states", counted, statesRow, stateKey);

  const quiet = byId("quiet-more");
  if (quiet) {
    const button = h("button", {type: "button"}, "Show all names");
    button.addEventListener("click", () => {
      byId("quiet").querySelector(".names").replaceChildren(...data.places.map((_place, number) => number).filter(isQuiet).map((place) => h("span", {}, link(place))));
    });
    quiet.replaceChildren(button);
  }

  /* -- all hosts of a finding, or of what is unknown -- */

  const openFor = (why) => data.places.flatMap((place, number) => (data.unknowns[place.unknown].some(([, reason]) => reason === why) ? [number] : []));
  document.querySelectorAll("[data-more]").forEach((line) => {
    const all = line.dataset.why ? openFor(Number(line.dataset.why)) : placesOf[Number(line.dataset.fault)];
    const button = h("button", {type: "button"}, `Name all ${all.length}`);
    button.addEventListener("click", () => {
      const names = [...all].sort((one, other) => one - other).flatMap((place, index) => (index ? [", ", link(place)] : [link(place)]));
      line.replaceChildren(h("b", {}, "On"), " ", ...names);
    });
    line.append(" ", button);
  });

  /* -- filter -- */

  const filter = byId("filter");
  const articles = Array.from(document.querySelectorAll(".finding"));
  const lower = data.names.map((name) => name.toLowerCase());
  const words = articles.map(() => null);  // made when first searched: what a finding says, without headings, buttons and names of hosts
  const SAYS = "h3, .rule, .body > p:not(.on, .dim), .evidence li, .cures li > p:not(.dim), pre";
  const wordsOf = (index) => { words[index] ??= Array.from(articles[index].querySelectorAll(SAYS), (part) => part.textContent).join("\n").toLowerCase(); return words[index]; };
  const facts_ = data.evidence.map(() => null);
  const factsOf = (evidence) => { facts_[evidence] ??= data.evidence[evidence].map(text).join("\n").toLowerCase(); return facts_[evidence]; };

  function wanted() {
    const form = new FormData(filter);
    return {
      text: form.get("text").trim().toLowerCase(),
      host: form.get("host").trim().toLowerCase(),
      group: form.get("group"),
      change: form.get("change"),
      waived: form.get("waived"),
      severities: new Set(form.getAll("severity")),
    };
  }

  function apply() {
    const want = wanted();
    const isHost = want.host ? (place) => lower[place].includes(want.host) : () => true;
    const own = data.faults.map(() => new Map());
    data.places.forEach((place, number) => place.faults.forEach((found) => own[found[0]].set(number, found)));
    const changeOf = (fault, place) => own[fault].get(place)[4] || "none";
    const isNamed = (place) => want.text && lower[place].includes(want.text);
    const says = (fault, place) => wordsOf(fault).includes(want.text) || factsOf(own[fault].get(place)[1]).includes(want.text)
      || text(own[fault].get(place)[2]).toLowerCase().includes(want.text);
    const among = want.group || want.change || want.waived === "only" || want.severities.size < 3;
    const showing = new Set();
    let shown = 0;
    articles.forEach((article, index) => {
      const {severity, group, waived} = article.dataset;
      const fits = want.severities.has(severity) && (!want.group || want.group === group)
        && (!want.waived || (want.waived === "only") === (waived === "yes"));
      const here = fits ? placesOf[index].filter((place) => isHost(place) && (!want.change || changeOf(index, place) === want.change)) : [];
      const named = here.filter(isNamed);
      const there = !want.text ? here : named.length ? named : here.filter((place) => says(index, place));
      article.hidden = !there.length;
      shown += there.length ? 1 : 0;
      there.forEach((place) => showing.add(place));
    });
    // A name that is searched for is shown with or without a finding, unless other fields ask for findings.
    const isThere = (place) => showing.has(place) || (!among && isNamed(place));
    const isShown = among || want.text ? (place) => isHost(place) && isThere(place) : want.host ? isHost : null;
    heat.show(isShown);
    states.show(want.host ? isHost : null);
    const hosts = isShown ? data.places.filter((_place, number) => isShown(number)).length : data.places.length;
    const told = `${shown} of ${plural(articles.length, "finding")} and ${hosts} of ${plural(data.places.length, "row")} of the fleet are shown.`;
    byId("told").textContent = told;
    return told;
  }

  let timer = 0;
  filter.addEventListener("input", () => {
    window.clearTimeout(timer);
    timer = window.setTimeout(() => say(apply()), 120);
  });
  filter.addEventListener("reset", () => window.setTimeout(() => say(apply()), 0));
  filter.addEventListener("submit", (event) => event.preventDefault());
  filter.hidden = false;

  /* -- the page of one host -- */

  function command([words_, exact]) {
    const pre = h("pre", {tabindex: "0", role: "group", "aria-label": "Command", "data-copy": exact}, h("code", {}, words_));
    const box = h("div", {class: "cmd"}, pre);
    if (exact) withCopy(pre);
    else box.append(h("p", {class: "dim"}, "Not to be copied: it cannot be shown as it is. findings.json has it."));
    return box;
  }

  function cure(remedy) {
    const own = remedy.fix ? command([`ansible-playbook kubenode.doctor.fix -e fix=${remedy.fix} --check --diff`, true]) : null;
    return h("li", {},
      h("p", {}, remedy.summary, remedy.risk ? h("span", {class: "risk"}, ` Risk: ${remedy.risk}`) : null),
      remedy.commands.map(command),
      own ? [h("p", {class: "dim"}, "Or have it done, after a look at the plan:"), own] : null,
      !own && remedy.by_hand ? h("p", {class: "dim"}, `By hand only: ${remedy.by_hand}`) : null);
  }

  function found([number, evidence, explanation, remedies, change, since]) {
    const fault = data.faults[number];
    const cures = data.remedies[remedies];
    return h("article", {class: `finding card k2-${fault.waived ? "waived" : fault.severity}`},
      h("details", {open: fault.severity === "critical" && !fault.waived},
        h("summary", {},
          h("span", {class: "chips"}, badge(fault.severity), fault.waived ? badge("waived") : null,
            change ? h("span", {class: `chip ch-${change}`}, change === "new" ? "new" : `since ${since}`) : null),
          h("h3", {}, text(fault.title)),
          h("span", {class: "where"}, h("span", {class: "rule"}, data.rules[fault.rule][0]))),
        h("div", {class: "body"},
          fault.waived ? h("p", {class: "waived"}, fault.waived) : null,
          h("p", {}, text(explanation)),
          h("h4", {}, "Seen"),
          h("ul", {class: "evidence"}, data.evidence[evidence].map((fact) => h("li", {}, text(fact)))),
          cures.length ? h("h4", {}, cures.length > 1 ? "Cures" : "Cure") : null,
          cures.length ? h("ol", {class: "cures"}, cures.map(cure)) : null,
          h("p", {class: "dim"}, h("a", {href: `#finding-${number + 1}`}, `Finding ${number + 1} of the fleet`), `, on ${plural(placesOf[number].length, "host")}`))));
  }

  function facts(place) {
    if (place.why !== null) return h("p", {class: "card"}, h("b", {}, "No answer: "), text(place.why));
    if (!place.picture) return null;
    const [kernel, root, programs, proxy, listeners, random] = place.picture;
    const number = (value) => (value === null ? "not seen" : String(value));
    const told = [["Kernel", text(kernel)], ["Asked as root", root === null ? "not seen" : root ? "yes" : "no"], ["Runs", text(programs)],
      ["Service proxy mode", text(proxy)], ["Listeners", number(listeners)], ["Of them on random ports", number(random)]];
    return h("dl", {class: "facts"}, told.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  }

  function chart(place) {
    if (!place.states) return place.why === null && place.picture ? h("p", {class: "card"}, "TCP states were not seen.") : null;
    const most = Math.max(...place.states, 1);
    const rows = data.states.map((name, state) => h("tr", {}, h("th", {scope: "row"}, name.replace(/_/g, "-").toUpperCase()),
      h("td", {class: `num wide b${bar(place.states[state], most)}`}, String(place.states[state])),
      h("td", {class: "num"}, String(mostOf[state]))));
    return h("section", {class: "card"}, h("h2", {}, "TCP states"), h("table", {class: "chart"}, h("caption", {}, h("span", {}, "Sockets by state, and the most of any host")),
      h("thead", {}, h("tr", {}, ["State", "Sockets", "Most of any host"].map((name, index) => h("th", {scope: "col", class: index ? "num" : null}, name)))), h("tbody", {}, rows)));
  }

  function past(place) {
    if (!place.past.length) return null;
    return h("section", {class: "card"}, h("h2", {}, "Found earlier"), h("ul", {class: "lines"}, place.past.map(([gone, severity, title, since, why]) =>
      h("li", {}, badge(severity), " ", text(title), h("br"),
        h("span", {class: "dim"}, gone ? "Gone: looked for again, and not found" : `Not known this time: ${text(why)}`, since ? `; there since ${since}` : "")))));
  }

  function answers(place) {
    const reasons = new Map();
    data.unknowns[place.unknown].forEach(([rule, why]) => reasons.set(rule, [...(reasons.get(rule) || []), text(why)]));
    const told = data.answers[place.answers];
    const rows = data.rules.map(([id, group, claim], index) => {
      const answer = ANSWERS[told[index]];
      if (!answer) return null;
      const faults = place.faults.map(([number]) => data.faults[number]).filter((fault) => fault.rule === index);
      const live = faults.filter((fault) => !fault.waived).map((fault) => fault.severity);
      const kind = answer !== "fail" ? answer : RANK.find((one) => live.includes(one)) || "waived";
      return [kind, h("tr", {}, h("td", {}, badge(kind)), h("th", {scope: "row"}, text(claim), " ", h("span", {class: "rule"}, id),
        (reasons.get(index) || []).map((why) => h("p", {class: "dim"}, why))), h("td", {}, group))];
    }).filter(Boolean).sort(([one], [other]) => RANK.indexOf(one) - RANK.indexOf(other)).map(([_kind, row]) => row);
    return h("section", {class: "card"}, h("h2", {}, "All answers"), h("div", {class: "scroll", role: "region", "aria-label": "Table: all answers", tabindex: "0"},
      h("table", {}, h("caption", {}, h("span", {}, "What each check says here")),
        h("thead", {}, h("tr", {}, ["Answer", "Check", "Group"].map((name) => h("th", {scope: "col"}, name)))), h("tbody", {}, rows))));
  }

  const page = byId("page"), overview = byId("overview"), title = document.title;
  let kept_scroll = 0;

  function showPlace(number) {
    const place = data.places[number];
    const at = data.order.indexOf(number);
    const near = (step, words_) => { const other = data.order[at + step]; return other === undefined ? null : h("a", {href: `#node-${other}`}, `${words_}: ${data.names[other]}`); };
    const head = h("h1", {id: "page-title", tabindex: "-1"}, data.names[number]);
    page.replaceChildren(
      h("nav", {class: "crumbs", "aria-label": "Hosts"}, h("a", {href: "#fleet"}, "Back to the fleet"), near(-1, "Worse"), near(1, "Next")), head,
      facts(place) || "",
      h("h2", {}, place.faults.length ? plural(place.faults.length, "finding") : place.why === null ? "No finding here" : "Nothing was looked at here"),
      ...place.faults.map(found), past(place) || "", chart(place) || "", answers(place));
    if (!overview.hidden) kept_scroll = window.scrollY;
    overview.hidden = true;
    page.hidden = false;
    document.title = `${data.names[number]} - ${title}`;
    window.scrollTo(0, 0);
    head.focus({preventScroll: true});
  }

  function go() {
    const at = /^#node-(\d+)$/.exec(window.location.hash);
    if (at && data.places[Number(at[1])]) return showPlace(Number(at[1]));
    const was = !page.hidden;
    page.hidden = true;
    page.replaceChildren();
    overview.hidden = false;
    document.title = title;
    const target = window.location.hash.length > 1 ? byId(window.location.hash.slice(1)) : null;
    if (target) {
      const details = target.querySelector("details");
      if (target.classList.contains("finding")) {
        if (target.hidden) { filter.reset(); apply(); }  // whoever follows a link to it wants to see it
        details.open = true;
      }
      if (was && target.id === "fleet") window.scrollTo(0, kept_scroll);
      else target.scrollIntoView();
    } else if (was) window.scrollTo(0, kept_scroll);
  }
  window.addEventListener("hashchange", go);

  window.addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => {
    details.dataset.was = details.open;
    details.open = true;
  }));
  window.addEventListener("afterprint", () => document.querySelectorAll("details[data-was]").forEach((details) => { details.open = details.dataset.was === "true"; }));

  apply();
  go();
})();
