// Money: exact, as the server has it. A text with two places outside, a whole number of hundredths in here.

/** "12.5" → 1250n */
export function hundredths(text) {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(2, "0"));
}

/** 1250n → "12.50" */
export const asText = (amount) => `${amount / 100n}.${String(amount % 100n).padStart(2, "0")}`;
