//! Money: exact, in minor units, never through a float.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::BigInt;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The most digits before the point: with two behind it, sums of amounts still fit an `i64`.
const MAX_DIGITS: usize = 14;
/// The largest amount with so many digits, in hundredths.
const MOST: i64 = 9_999_999_999_999_999;

/// An amount in hundredths. In JSON a string with two decimal places (`"12.50"`); BigInt in both
/// databases.
///
/// Requests have a JSON number or a string. [`FromStr`] reads the text of both, because a float
/// loses cents at 14 digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = BigInt)]
pub struct Money(i64);

/// The reason why a text is no amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyFault {
    /// The text is not a JSON number without an exponent.
    NotDecimal,
    /// The number has more than two decimal places.
    TooManyPlaces,
    /// The number has more than 14 digits before the point.
    TooLarge,
}

impl fmt::Display for MoneyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDecimal => "not a decimal number",
            Self::TooManyPlaces => "more than two decimal places",
            Self::TooLarge => "more than 14 digits before the point",
        })
    }
}

impl std::error::Error for MoneyFault {}

impl Money {
    /// Zero.
    pub const ZERO: Self = Self(0);

    /// Makes an amount from hundredths.
    #[must_use]
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// Returns the amount in hundredths.
    #[must_use]
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Multiplies. Returns `None` if the product is too large for an amount.
    #[must_use]
    pub fn times(self, count: i64) -> Option<Self> {
        self.0.checked_mul(count).filter(|minor| minor.abs() <= MOST).map(Self)
    }

    /// Adds. Returns `None` if the sum is too large for an amount.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).filter(|minor| minor.abs() <= MOST).map(Self)
    }

    /// Returns true below zero. Such amounts can be parsed; the rules of a field refuse them.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }
}

impl JsonSchema for Money {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": r"^-?\d+\.\d\d$", "examples": ["12.50"]})
    }
}

impl FromStr for Money {
    type Err = MoneyFault;

    fn from_str(text: &str) -> Result<Self, MoneyFault> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, places) = match digits.split_once('.') {
            Some((whole, places)) if !places.is_empty() => (whole, places),
            Some(_) => return Err(MoneyFault::NotDecimal),
            None => (digits, ""),
        };
        let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !is_digits(whole) || !is_digits(places) {
            return Err(MoneyFault::NotDecimal);
        }
        if places.len() > 2 {
            return Err(MoneyFault::TooManyPlaces);
        }
        if whole.len() > MAX_DIGITS {
            return Err(MoneyFault::TooLarge);
        }
        // Cannot overflow: at most 16 digits.
        let padded = places.bytes().chain(std::iter::repeat(b'0')).take(2);
        let minor = whole
            .bytes()
            .chain(padded)
            .fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        Ok(Self(if negative { -minor } else { minor }))
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let minor = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", minor / 100, minor % 100)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Reads only the form that [`Serialize`] writes; [`FromStr`] reads the numbers of requests.
impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl<DB> ToSql<BigInt, DB> for Money
where
    DB: Backend,
    i64: ToSql<BigInt, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

impl<DB> FromSql<BigInt, DB> for Money
where
    DB: Backend,
    i64: FromSql<BigInt, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        i64::from_sql(bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly() {
        for (text, minor) in [
            ("0", 0),
            ("-0", 0),
            ("0.1", 10),
            ("0.10", 10),
            ("0.01", 1),
            ("12", 1200),
            ("12.5", 1250),
            ("1.10", 110),
            ("-3.07", -307),
            ("99999999999999.99", 9_999_999_999_999_999),
            ("90071992547409.93", 9_007_199_254_740_993),
        ] {
            assert_eq!(text.parse(), Ok(Money(minor)), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_with_the_reason() {
        for text in [
            "", "-", ".", ".5", "5.", "1e2", "1E2", "+1", "01", "1,5", " 1", "1 ", "--1", "1.2.3",
            "NaN", "٥", "0x1",
        ] {
            assert_eq!(text.parse::<Money>(), Err(MoneyFault::NotDecimal), "{text:?}");
        }
        for text in ["0.100", "1.999", "0.000"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyFault::TooManyPlaces), "{text}");
        }
        for text in ["100000000000000", "-100000000000000.00"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyFault::TooLarge), "{text}");
        }
    }

    #[test]
    fn amounts_are_added_and_multiplied_exactly_or_not_at_all() {
        let (cent, most) = (Money(1), Money(MOST));
        assert_eq!(
            (Money(1999).times(3), most.times(1), cent.times(MOST)),
            (Some(Money(5997)), Some(most), Some(most))
        );
        assert_eq!((most.times(2), most.times(i64::MAX), most.plus(cent)), (None, None, None));
        assert_eq!(Money(10).plus(Money(5)), Some(Money(15)));
        assert_eq!("99999999999999.99".parse(), Ok(most));
    }

    #[test]
    fn an_amount_is_written_with_two_decimal_places() {
        for (minor, text) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (1250, "12.50"),
            (-307, "-3.07"),
            (9_999_999_999_999_999, "99999999999999.99"),
        ] {
            assert_eq!(Money(minor).to_string(), text);
            assert_eq!(serde_json::to_string(&Money(minor)).ok(), Some(format!("\"{text}\"")));
            assert_eq!(
                serde_json::from_str::<Money>(&format!("\"{text}\"")).ok(),
                Some(Money(minor))
            );
        }
    }
}
