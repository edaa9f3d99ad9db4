// What a model is, who may use it, and its card: one click away, as plain text.
import { button, el } from "./elements.js";

/** Show what is known of an export in a dialog. */
export async function showCard({ folder, described }) {
  const card = el("pre", { tabindex: 0, label: "card" });
  const software = el("p", {}, el("span", { text: "software" }), ": ");
  for (const name of ["onnxruntime-web", "gifenc"]) {
    software.append(el("a", { href: `licenses/${name}.txt`, target: "_blank" }, name), " ");
  }
  const { run } = described;
  const dialog = el(
    "dialog",
    { label: "about", on: { close: () => dialog.remove() } },
    el(
      "div",
      { class: "row spread" },
      el("h2", run ? {} : { text: "shippedNetworks" }, run),
      button("close", () => dialog.close()),
    ),
    el("dl", { class: "facts" }, ...Object.entries(factsOf(described)).flatMap(factRow)),
    el("h3", { text: "card" }),
    card,
    software,
  );
  document.body.append(dialog);
  dialog.showModal();
  try {
    const response = await fetch(`${folder}/README.md`);
    card.textContent = response.ok ? await response.text() : "";
  } catch {
    card.textContent = "";
  }
}

/** Return what is shown of each fact, by the key of its name; nothing of one that is not known. */
function factsOf({ run, model, preset, purpose, steps, datasets, licenses, weights, paper }) {
  const trained = Object.values(datasets ?? {}).map(({ name, digest }) => `${name} (${String(digest).slice(0, 16)})`);
  const chips = (licenses ?? []).map((license) =>
    el("span", { class: "chip", ...(license === null && { text: "notStated" }) }, license),
  );
  const sums = typeof weights === "string" ? { "": weights } : (weights ?? {});
  const link = { href: paper, rel: "noopener noreferrer", target: "_blank" };
  return {
    factModel: run ? [[model, preset].filter(Boolean).join(", ")] : [],
    factPurpose: [purpose],
    factSteps: [steps],
    factDatasets: [trained.join(", ")],
    [run ? "factLicenses" : "factLicense"]: chips,
    factWeights: Object.entries(sums).map(([name, sum]) => el("div", {}, name && `${name}: `, el("code", {}, sum))),
    factPaper: /^https:\/\//.test(paper) ? [el("a", link, paper)] : [],
  };
}

function factRow([key, shown]) {
  const known = shown.filter((each) => each || each === 0);
  return known.length ? [el("dt", { text: key }), el("dd", {}, ...known)] : [];
}
