// An original with the boxes of its faces.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// Return an SVG of the picture of an item, with the item's own box marked. Rejects if the picture cannot be had.
export async function drawPicture(item, detail, label) {
  const image = new Image();
  image.src = `pictures/${item.id}`;
  await image.decode();
  const [width, height] = detail.size ?? [image.naturalWidth, image.naturalHeight];
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  svg.append(element("image", { href: image.src, width, height }));
  for (const { id, box: [x0, y0, x1, y1], tilt } of detail.faces ?? []) {
    const turn = `rotate(${tilt} ${(x0 + x1) / 2} ${(y0 + y1) / 2})`;
    const place = { x: x0, y: y0, width: x1 - x0, height: y1 - y0, transform: turn };
    svg.append(element("rect", { ...place, class: "halo" }));
    svg.append(element("rect", { ...place, class: id === item.id ? "own box" : "box" }));
  }
  return svg;
}
