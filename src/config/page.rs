//! The settings of the test page at `/`.

use std::fmt;
use std::str::FromStr;

use clap::{ArgAction, Args};

use super::{Environment, parse};

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Test page")]
pub struct PageSettings {
    /// Whether the test page is served at `/`, on or off
    /// [default: on, or off with HUBCAST_ENV=production]
    #[arg(long = "test-client", env = "TEST_CLIENT", value_parser = parse::flag,
          action = ArgAction::Set)]
    pub test_client: Option<bool>,
    /// Currency in which the test page shows prices, as an ISO 4217 code
    #[arg(long, env = "CURRENCY", default_value = "EUR")]
    pub currency: Currency,
}

impl PageSettings {
    /// Returns true if the page is served: as set, otherwise everywhere but in production.
    #[must_use]
    pub fn is_on(&self, environment: Option<Environment>) -> bool {
        self.test_client.unwrap_or(environment != Some(Environment::Production))
    }
}

/// An ISO 4217 code: three upper-case letters. Whether the currency exists is not checked, because
/// amounts are only shown with the code, never converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Currency(String);

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Currency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            Ok(Self(text.to_ascii_uppercase()))
        } else {
            Err(format!("{text:?} is not a currency; write its three letters, such as EUR or USD"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_off_in_production_unless_it_is_turned_on() {
        let is_on = |test_client, environment| {
            let currency = Currency("EUR".into());
            PageSettings { test_client, currency }.is_on(environment)
        };
        for environment in [None, Some(Environment::Development), Some(Environment::Test)] {
            assert!(is_on(None, environment), "{environment:?}");
        }
        assert!(!is_on(None, Some(Environment::Production)));
        assert!(is_on(Some(true), Some(Environment::Production)));
        assert!(!is_on(Some(false), None));
    }

    #[test]
    fn a_currency_is_three_letters() {
        assert_eq!("usd".parse(), Ok(Currency("USD".into())));
        for text in ["", "EU", "EURO", "€", "\"EU", "E1R"] {
            assert!(text.parse::<Currency>().is_err(), "{text}");
        }
    }
}
