// Amounts of money: texts with two decimals on the wire, BigInt hundredths for sums, the currency
// of the server's settings on the screen.

import { currency } from "./settings.js";

// A currency without hundredths shows two decimals only where they are not zero.
const format = new Intl.NumberFormat(undefined, {
  style: "currency",
  currency,
  maximumFractionDigits: 2,
});

/** "12.5" → 1250n */
export function hundredths(text) {
  const [whole, part = ""] = text.split(".");
  return BigInt(whole + part.padEnd(2, "0"));
}

/** 1250n → "12.50" */
export const asText = (amount) => `${amount / 100n}.${String(amount % 100n).padStart(2, "0")}`;

/** "12.50" → "€12.50". Takes the text, not a number: a float would round large amounts. */
export const inCurrency = (text) => format.format(text);
