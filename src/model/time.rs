//! Time: UTC, cut to milliseconds, so that an answer equals what either database returns later.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, SubsecRound, TimeDelta, Utc};
use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in UTC with milliseconds. On the wire RFC 3339 with `Z`: `2026-01-02T03:04:05.678Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, AsExpression, FromSqlRow)]
#[diesel(sql_type = sql_types::Timestamp)]
pub struct Timestamp(NaiveDateTime);

impl Timestamp {
    /// The current time.
    #[must_use]
    pub fn now() -> Self {
        Self::from(Utc::now())
    }

    /// Makes a moment from seconds since 1970, as in a token's claims. Returns `None` outside the
    /// calendar.
    #[must_use]
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        DateTime::from_timestamp(seconds, 0).map(Self::from)
    }

    /// Whole seconds since 1970.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.and_utc().timestamp()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.and_utc().timestamp_millis()
    }

    /// Adds a span, up to the end of the calendar.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        let sum = TimeDelta::from_std(span).ok().and_then(|delta| self.0.checked_add_signed(delta));
        Self(sum.unwrap_or(NaiveDateTime::MAX).trunc_subsecs(3))
    }

    /// Subtracts a span, down to the start of the calendar.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        let difference =
            TimeDelta::from_std(span).ok().and_then(|delta| self.0.checked_sub_signed(delta));
        Self(difference.unwrap_or(NaiveDateTime::MIN).trunc_subsecs(3))
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let example = "2026-01-02T03:04:05.678Z";
        json_schema!({"type": "string", "format": "date-time", "examples": [example]})
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time.naive_utc().trunc_subsecs(3))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.and_utc().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl FromStr for Timestamp {
    type Err = chrono::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        DateTime::parse_from_rfc3339(text).map(|time| Self::from(time.to_utc()))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        DateTime::<Utc>::deserialize(deserializer).map(Self::from)
    }
}

impl<DB> ToSql<sql_types::Timestamp, DB> for Timestamp
where
    DB: Backend,
    NaiveDateTime: ToSql<sql_types::Timestamp, DB>,
{
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, DB>) -> serialize::Result {
        self.0.to_sql(out)
    }
}

impl<DB> FromSql<sql_types::Timestamp, DB> for Timestamp
where
    DB: Backend,
    NaiveDateTime: FromSql<sql_types::Timestamp, DB>,
{
    fn from_sql(bytes: DB::RawValue<'_>) -> deserialize::Result<Self> {
        NaiveDateTime::from_sql(bytes).map(|time| Self(time.trunc_subsecs(3)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_cut_to_milliseconds_and_written_with_z() {
        let time: Timestamp = "2026-01-02T03:04:05.678912+01:00".parse().expect("a valid time");
        assert_eq!(time.to_string(), "2026-01-02T02:04:05.678Z");
        let json = serde_json::to_string(&time).expect("text always serialises");
        assert_eq!(json, "\"2026-01-02T02:04:05.678Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&json).ok(), Some(time));
    }

    #[test]
    fn whole_seconds_have_three_decimal_places() {
        assert_eq!(
            Timestamp::from_unix_seconds(0).map(|t| t.to_string()).as_deref(),
            Some("1970-01-01T00:00:00.000Z")
        );
    }

    #[test]
    fn sums_stop_at_the_end_of_the_calendar() {
        let time = Timestamp::now();
        assert_eq!(time.after(Duration::from_secs(60)).unix_seconds(), time.unix_seconds() + 60);
        assert_eq!(time.after(Duration::from_secs(60)).before(Duration::from_secs(60)), time);
        assert!(time.after(Duration::MAX) > time);
        assert!(time.before(Duration::MAX) < time);
    }
}
