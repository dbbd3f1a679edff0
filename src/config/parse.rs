//! The notations of values: sizes, durations, rates, addresses. An error says what to write
//! instead, and never repeats a value that can be a secret.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::str::FromStr;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// A text that `Debug` does not print. Only [`Secret::expose`] returns the text.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A token bucket of size `burst` that regains one token every [`Rate::period`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    per_window: NonZeroU32,
    window: Duration,
    /// The most tokens at once.
    pub burst: NonZeroU32,
}

impl Rate {
    /// Returns a rate that many times as high.
    #[must_use]
    pub fn times(self, factor: u32) -> Self {
        let factor = NonZeroU32::new(factor).unwrap_or(NonZeroU32::MIN);
        let times = |count: NonZeroU32| count.saturating_mul(factor);
        Self { per_window: times(self.per_window), burst: times(self.burst), ..self }
    }

    /// One token comes back each `period`, and there are at most `burst` at once.
    #[must_use]
    pub fn one_each(period: Duration, burst: u32) -> Self {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        Self { per_window: NonZeroU32::MIN, window: period, burst }
    }

    /// Time in which one token comes back; at least 1 ns.
    #[must_use]
    pub fn period(&self) -> Duration {
        (self.window / self.per_window.get()).max(Duration::from_nanos(1))
    }

    /// The same rate, with so many times the burst.
    #[must_use]
    pub fn with_burst_times(self, times: u32) -> Self {
        let burst = self.burst.saturating_mul(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN));
        Self { burst, ..self }
    }
}

impl Rate {
    /// Reads a rate whose counts are written as `count` reads them.
    fn read(text: &str, count: impl Fn(&str) -> Option<NonZeroU32>) -> Option<Self> {
        let (rate, burst) =
            text.split_once(',').map_or((text, None), |(rate, burst)| (rate, Some(burst)));
        let (per_window, unit) = rate.split_once('/')?;
        let window = match unit.trim() {
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            _ => return None,
        };
        let per_window = count(per_window.trim())?;
        let burst = burst.map_or(Some(per_window), |burst| count(burst.trim()))?;
        Some(Self { per_window, window, burst })
    }
}

/// A [`Rate`] of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate(pub Rate);

impl FromStr for ByteRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = |text: &str| NonZeroU32::new(size(text).ok()?.try_into().ok()?);
        Rate::read(text, bytes).map(Self).ok_or_else(|| {
            format!(
                "{text:?} is not a rate of bytes; write SIZE/s or SIZE/m, optionally with ,BURST, \
                 such as 64KiB/s,4MiB"
            )
        })
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, |count| NonZeroU32::new(digits(count)?)).ok_or_else(|| {
            format!(
                "{text:?} is not a rate; write N/s or N/m, optionally with ,BURST, such as \
                 100/s,200"
            )
        })
    }
}

/// The entries of a comma list, without empty ones.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// Takes digits only, unlike `str::parse`, which also takes a sign.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

pub(super) fn host(text: &str) -> Result<String, String> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '/') {
        return Err(format!(
            "{text:?} is not an address or host name; write 127.0.0.1, 0.0.0.0 or ::"
        ));
    }
    Ok(text.to_owned())
}

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("{text:?} is not an address with a port; write it as 127.0.0.1:9100 or [::1]:9100")
    })
}

pub(super) fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("{text:?} is neither; write true or false, on or off")),
    }
}

pub(super) fn port(text: &str) -> Result<u16, String> {
    digits(text).ok_or_else(|| format!("{text:?} is not a port; write a number from 0 to 65535"))
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    digits(text).ok_or_else(|| format!("{text:?} is not a number; write a whole one, 0 or more"))
}

pub(super) fn positive(text: &str) -> Result<usize, String> {
    let number = digits(text).filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is not a number; write a whole one, 1 or more"))
}

pub(super) fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let workers = digits(text).and_then(NonZeroUsize::new).filter(|workers| workers.get() <= 1024);
    workers.ok_or_else(|| format!("{text:?} is not a number of threads; write 1 to 1024"))
}

pub(super) fn claim(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("is empty; give it a value or leave it out".into())
    } else {
        Ok(text.to_owned())
    }
}

/// Texts in a comma list, at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words(Vec<String>);

impl Words {
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl FromStr for Words {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<String> = list(text).map(str::to_owned).collect();
        if words.is_empty() {
            return Err("is empty; give it a value or leave it out".into());
        }
        Ok(Self(words))
    }
}

/// The words that mean admin. Our own tokens say `customer` of all others.
pub(super) fn admin_words(text: &str) -> Result<Words, String> {
    let words: Words = text.parse()?;
    if words.0.iter().any(|word| word == "customer") {
        return Err("has the word customer, which customers' tokens have; leave it out".into());
    }
    Ok(words)
}

/// A [`duration`] of at most ten minutes, or none (`0s`).
pub(super) fn leeway(text: &str) -> Result<Duration, String> {
    const MOST: Duration = Duration::from_secs(10 * 60);
    match text.trim() {
        "0" | "0s" => Ok(Duration::ZERO),
        text => duration(text)
            .ok()
            .filter(|leeway| *leeway <= MOST)
            .ok_or_else(|| format!("{text:?} is not a time from 0s to 10m")),
    }
}

/// A path like `/socket.io` or `/api/live`; a slash at its end is dropped. Which paths are taken by
/// others is not known here, but that of the plain WebSocket is.
pub(super) fn socketio_path(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let is_segment = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(is_plain);
    let is_good = path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
    if !is_good {
        return Err(format!(
            "{text:?} is not a path; write it as /socket.io or /api/live, of letters, digits and \
             -._~"
        ));
    }
    if path == "/ws" {
        return Err(format!("{text:?} is the path of the plain WebSocket; choose another one"));
    }
    Ok(path.to_owned())
}

/// A size in bytes, `KiB` or `MiB`; from 1 byte to 1 GiB.
pub(super) fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = match text {
        _ if text.ends_with("KiB") => (text.trim_end_matches("KiB"), 1 << 10),
        _ if text.ends_with("MiB") => (text.trim_end_matches("MiB"), 1 << 20),
        _ => (text, 1),
    };
    let bytes = digits(number.trim_end()).and_then(|number: usize| number.checked_mul(unit));
    let bytes = bytes.filter(|bytes| (1..=1 << 30).contains(bytes));
    bytes.ok_or_else(|| {
        format!(
            "{text:?} is not a size; write bytes, KiB or MiB, such as 1000000 or 64KiB, up to \
             1024MiB"
        )
    })
}

/// A whole number with `ms`, `s`, `m` or `h`; from 1 ms to a year. The error says what to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let unit = match unit.trim_start() {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        _ => None,
    };
    let duration = unit
        .zip(digits::<u64>(number))
        .and_then(|(unit, number)| number.checked_mul(unit))
        .and_then(within_a_year);
    duration.ok_or_else(|| {
        format!(
            "{text:?} is not a duration; write a whole number with ms, s, m or h, such as 10s, up \
             to a year"
        )
    })
}

/// A bare number of milliseconds, as in Socket.IO, or a [`duration`].
pub(super) fn millis(text: &str) -> Result<Duration, String> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return duration(text);
    }
    let millis = digits(text).and_then(within_a_year);
    millis.ok_or_else(|| format!("{text:?} is not a number of milliseconds from 1 to 31622400000"))
}

fn within_a_year(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis)).filter(|duration| !duration.is_zero() && *duration <= YEAR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let good = [
            ("1", 1),
            ("1000000", 1_000_000),
            ("64KiB", 65_536),
            ("1MiB", 1_048_576),
            ("2 MiB", 2_097_152),
        ];
        for (text, bytes) in good {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "0", "-1", "+1", "1.5MiB", "1KB", "KiB", "2000MiB", "99999999999999999999"]
        {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn socketio_paths() {
        for (text, path) in [
            ("/socket.io", "/socket.io"),
            ("/socket.io/", "/socket.io"),
            ("/api/v1/live-1/", "/api/v1/live-1"),
        ] {
            assert_eq!(socketio_path(text), Ok(path.to_owned()), "{text}");
        }
        for text in
            ["", "/", "//", "socket.io", "/a//b", "/a b", "/a?b", "/{id}", "/..", "/a/./b", "/ws/"]
        {
            assert!(socketio_path(text).is_err(), "{text}");
        }
    }

    #[test]
    fn durations() {
        let good = [("250ms", 250), ("10s", 10_000), ("2m", 120_000), ("24h", 86_400_000)];
        for (text, ms) in good {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "10", "0s", "-1s", "1.5s", "9000h", "10 sec", "s"] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(millis("25000"), Ok(Duration::from_secs(25)));
        assert_eq!(millis("25s"), Ok(Duration::from_secs(25)));
        assert!(millis("").is_err() && millis("0").is_err());
    }

    #[test]
    fn rates() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| (rate.period(), rate.burst.get()));
        assert_eq!(rate("100/s,200"), Ok((Duration::from_millis(10), 200)));
        assert_eq!(rate("30/m"), Ok((Duration::from_secs(2), 30)));
        for text in ["", "10", "0/s", "10/h", "10/s,0", "10/s,", "-1/s", "1/s,2,3"] {
            assert!(rate(text).is_err(), "{text}");
        }
        let times_ten = "1/s,2".parse::<Rate>().map(|rate| rate.times(10));
        assert_eq!(times_ten, "10/s,20".parse());
        let bytes = |text: &str| text.parse::<ByteRate>().map(|rate| rate.0);
        assert_eq!(bytes("64KiB/s,4MiB"), "65536/s,4194304".parse());
        for text in ["64KiB", "0/s", "1KB/s", "8GiB/s", "1/s,"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
