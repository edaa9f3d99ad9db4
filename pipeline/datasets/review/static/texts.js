// What the page says, in English and Japanese.

const TEXTS = {
  en: {
    title: (name) => `Review of ${name}`,
    progress: (all, kept, dropped) => `${all} in all · ${kept} kept · ${dropped} dropped`,
    progress_recolored: (count) => ` · ${count} recoloured`,
    language: "日本語",
    keys: "Keys",
    done: "Done",
    close: "Close",

    filters: "What is shown",
    color: "Hair colour",
    state: "Show",
    source: "Source",
    order: "Order",
    every: "all",
    items: "Items of the dataset",
    selected: "Selected item",
    empty: "Nothing to show here.",

    all: "all",
    undecided: "not looked at",
    kept: "kept",
    dropped: "dropped",
    recolored: "recoloured",

    manifest: "as in the manifest",
    hair_color: "hair colour, doubtful first",
    score_up: "lowest score first",
    score_down: "highest score first",
    tilt: "most tilted first",

    correct: "Correction",
    keep: "Keep",
    drop: "Drop",
    undo: "Undo",
    other_color: "Other hair colour",
    colored: (color) => `hair colour ${color}`,
    enlarge: "Enlarge the original",
    original: "Original",
    no_original: "The original is not here.",
    position: (at, all) => `${at} of ${all}`,
    several: (count) => `${count} selected`,

    saved: (what) => `Saved: ${what}.`,
    saved_several: (what, count) => `Saved: ${what}, ${count} items.`,
    undone: "Undone.",
    nothing_to_undo: "There is nothing to undo.",
    not_saved: (why) => `Not saved: ${why}`,
    gone: "the program does not answer. Start ReviewDataset again and open the address that it prints.",
    over: (file) =>
      `The review is over. Corrections are in ${file}; the next build applies them. You can close this page.`,

    about: {
      score: "score", tilt: "tilt, degrees", split: "split", source: "source", source_id: "id there", video: "video",
      start: "starts at, s", title: "title", artist: "artist", page_url: "page", tags: "tags",
    },
    colors: {
      blonde: "blonde", brown: "brown", black: "black", blue: "blue", pink: "pink", purple: "purple", green: "green",
      red: "red", silver: "silver", none: "none",
    },
    help: [
      ["← → ↑ ↓", "move"],
      ["Shift + ← → ↑ ↓", "select several"],
      ["K", "keep"],
      ["D", "drop"],
      ["1 … 9, 0", "other hair colour, in the order shown"],
      ["U, Ctrl + Z", "undo"],
      ["Enter", "enlarge the original"],
      ["Esc", "close"],
      ["?", "these keys"],
    ],
  },

  ja: {
    title: (name) => `${name} の確認`,
    progress: (all, kept, dropped) => `全 ${all} 件・採用 ${kept}・除外 ${dropped}`,
    progress_recolored: (count) => `・髪色変更 ${count}`,
    language: "English",
    keys: "キー操作",
    done: "完了",
    close: "閉じる",

    filters: "表示するもの",
    color: "髪の色",
    state: "表示",
    source: "入手元",
    order: "並び順",
    every: "すべて",
    items: "データセットの項目",
    selected: "選択中の項目",
    empty: "表示するものがありません。",

    all: "すべて",
    undecided: "未確認",
    kept: "採用",
    dropped: "除外",
    recolored: "髪色変更",

    manifest: "マニフェスト順",
    hair_color: "髪の色（不確かなものから）",
    score_up: "スコアの低い順",
    score_down: "スコアの高い順",
    tilt: "傾きの大きい順",

    correct: "修正",
    keep: "採用",
    drop: "除外",
    undo: "元に戻す",
    other_color: "髪の色を変える",
    colored: (color) => `髪の色は${color}`,
    enlarge: "元の画像を拡大",
    original: "元の画像",
    no_original: "元の画像がありません。",
    position: (at, all) => `${all} 件中 ${at}`,
    several: (count) => `${count} 件を選択`,

    saved: (what) => `保存：${what}`,
    saved_several: (what, count) => `保存：${what}（${count} 件）`,
    undone: "元に戻しました。",
    nothing_to_undo: "元に戻すものがありません。",
    not_saved: (why) => `保存できません：${why}`,
    gone: "プログラムが応答しません。ReviewDataset を再び起動し、表示されたアドレスを開いてください。",
    over: (file) => `確認を終えました。修正は ${file} にあり、次の構築で反映されます。このページは閉じてかまいません。`,

    about: {
      score: "スコア", tilt: "傾き（度）", split: "分割", source: "入手元", source_id: "入手元での ID", video: "動画",
      start: "開始（秒）", title: "題名", artist: "作者", page_url: "ページ", tags: "タグ",
    },
    colors: {
      blonde: "金", brown: "茶", black: "黒", blue: "青", pink: "ピンク", purple: "紫", green: "緑", red: "赤", silver: "銀",
      none: "なし",
    },
    help: [
      ["← → ↑ ↓", "移動"],
      ["Shift + ← → ↑ ↓", "複数選択"],
      ["K", "採用"],
      ["D", "除外"],
      ["1 … 9, 0", "髪の色（表示順）"],
      ["U, Ctrl + Z", "元に戻す"],
      ["Enter", "元の画像を拡大"],
      ["Esc", "閉じる"],
      ["?", "このキー一覧"],
    ],
  },
};

let language = navigator.language.startsWith("ja") ? "ja" : "en";
export let text = TEXTS[language];

// Fill the elements that have data-text or data-label.
export function translate() {
  document.documentElement.lang = language;
  for (const each of document.querySelectorAll("[data-text]")) each.textContent = text[each.dataset.text];
  for (const each of document.querySelectorAll("[data-label]")) each.ariaLabel = text[each.dataset.label];
}

export function switchLanguage() {
  language = language === "en" ? "ja" : "en";
  text = TEXTS[language];
}
