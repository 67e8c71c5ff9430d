const PER_PAGE = 24;
const list = document.querySelector(".clips");
const clips = [...document.querySelectorAll(".clip")];
const texts = new Map(clips.map((clip) => [clip, clip.textContent.toLowerCase()]));
const search = document.querySelector(".find input");
const order = document.querySelector(".find select");
const buttons = [...document.querySelectorAll(".find button")];
const shown = document.querySelector(".find output");
const pages = document.querySelector(".pages");
const place = pages.querySelector("output");
let page = 0;

const orders = {
  name: (a, b) => a.dataset.name.localeCompare(b.dataset.name, undefined, { numeric: true }),
  words: (a, b) => b.dataset.words - a.dataset.words,
  few: (a, b) => a.dataset.words - b.dataset.words,
  duration: (a, b) => b.dataset.duration - a.dataset.duration,
};

function matching() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = buttons.filter((button) => button.ariaPressed === "true").map((button) => button.value);
  const found = clips.filter((clip) => {
    const tags = clip.dataset.tags.split(" ");
    return words.every((word) => texts.get(clip).includes(word)) &&
      (wanted.length === 0 || wanted.some((tag) => tags.includes(tag)));
  });
  return orders[order.value] ? found.sort(orders[order.value]) : found;
}

function show() {
  const found = matching();
  const last = Math.max(0, Math.ceil(found.length / PER_PAGE) - 1);
  page = Math.min(Math.max(page, 0), last);
  list.replaceChildren(...found.slice(page * PER_PAGE, (page + 1) * PER_PAGE));
  shown.textContent = found.length === clips.length ? `${clips.length} clips` : `${found.length} of ${clips.length} clips`;
  pages.hidden = last === 0;
  place.textContent = `page ${page + 1} of ${last + 1}`;
  pages.querySelector("[value='-1']").disabled = page === 0;
  pages.querySelector("[value='1']").disabled = page === last;
}

function again() {
  page = 0;
  show();
}

search.addEventListener("input", again);
order.addEventListener("change", again);
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
    again();
  });
}
for (const button of pages.querySelectorAll("button")) {
  button.addEventListener("click", () => {
    page += Number(button.value);
    show();
    document.querySelector(".find").scrollIntoView();
  });
}
show();
