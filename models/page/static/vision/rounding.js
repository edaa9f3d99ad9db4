// Numbers rounded as Python and OpenCV do.

/** Return the nearest whole number, of two equally near ones the even one. */
export function roundHalfEven(x) {
  const whole = Math.round(x);
  return whole - x === 0.5 && whole % 2 ? whole - 1 : whole;
}

/** Return a number with so many decimals. */
export function rounded(value, decimals) {
  return Math.round(value * 10 ** decimals) / 10 ** decimals;
}
