// What lies under transparent pixels.

const NEAR = [
  // (x, y, distance) of the neighbours that come before a pixel: the chamfer metric 5 × 5 of Borgefors 1986
  [-1, -2, 2.1969],
  [1, -2, 2.1969],
  [-2, -1, 2.1969],
  [-1, -1, 1.4],
  [0, -1, 1],
  [1, -1, 1.4],
  [2, -1, 2.1969],
  [-1, 0, 1],
];

/**
 * Return an RGB picture with the colour of the nearest pixel that is seen where `alpha` (one number per pixel) is 0;
 * black if none is seen.
 */
export function fillTransparent({ width, height, data }, alpha) {
  const length = width * height;
  const nearest = new Int32Array(length).fill(-1); // a pixel that is seen
  const distances = new Float32Array(length).fill(Infinity);
  for (let at = 0; at < length; at++) if (alpha[at]) ((nearest[at] = at), (distances[at] = 0));
  const visit = (x, y, sign) => {
    const at = y * width + x;
    for (const [right, down, distance] of NEAR) {
      const [nextX, nextY] = [x + sign * right, y + sign * down];
      if (nextX < 0 || nextX >= width || nextY < 0 || nextY >= height) continue;
      const next = nextY * width + nextX;
      if (distances[next] + distance >= distances[at]) continue;
      distances[at] = distances[next] + distance;
      nearest[at] = nearest[next];
    }
  };
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) visit(x, y, 1);
  for (let y = height - 1; y >= 0; y--) for (let x = width - 1; x >= 0; x--) visit(x, y, -1);
  const filled = data.map((_, i) => {
    const from = nearest[Math.floor(i / 3)];
    return from < 0 ? 0 : data[from * 3 + (i % 3)];
  });
  return { width, height, data: filled };
}
