const clips = [...document.querySelectorAll(".clip")];
const texts = clips.map((clip) => clip.textContent.toLowerCase());
const search = document.querySelector(".find input");
const buttons = [...document.querySelectorAll(".find button")];
const shown = document.querySelector(".find output");

function filter() {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const wanted = buttons.filter((button) => button.ariaPressed === "true").map((button) => button.value);
  clips.forEach((clip, index) => {
    const tags = clip.dataset.tags.split(" ");
    clip.hidden = !(
      words.every((word) => texts[index].includes(word)) &&
      (wanted.length === 0 || wanted.some((tag) => tags.includes(tag)))
    );
  });
  const left = clips.filter((clip) => !clip.hidden).length;
  shown.textContent = left === clips.length ? `${left} clips` : `${left} of ${clips.length} clips`;
}

search.addEventListener("input", filter);
for (const button of buttons) {
  button.addEventListener("click", () => {
    button.ariaPressed = String(button.ariaPressed !== "true");
    filter();
  });
}
filter();
