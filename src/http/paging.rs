//! Paging of lists: `?limit=&before=`, and flags beside them.

use std::str::FromStr;

use serde::Serialize;
use serde_json::json;

use super::answers::ListPage;
use super::endpoint::{Parameter, Signature};
use super::extract::{Extract, Request};
use crate::error::Error;
use crate::service::Page;

const DEFAULT_LIMIT: u16 = 50;
const MAX_LIMIT: u16 = 200;

/// The page that a request wants of a list. `F` is a filter, if the list has one.
pub(super) struct Paging<T, F = ()> {
    pub(super) limit: u16,
    pub(super) before: Option<T>,
    pub(super) filter: F,
}

/// A yes-or-no parameter of a list.
pub(super) trait Filter: Default {
    const NAME: &'static str;
    const DESCRIPTION: &'static str;

    fn set(&mut self, value: bool);
}

/// No filter.
impl Filter for () {
    const NAME: &'static str = "";
    const DESCRIPTION: &'static str = "";

    fn set(&mut self, _: bool) {}
}

impl<T: FromStr, F: Filter> Paging<T, F> {
    fn parse(query: &str) -> Result<Self, Error> {
        let (mut limit, mut before, mut filter) = (DEFAULT_LIMIT, None, F::default());
        let mut faults = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "limit" => match value.parse() {
                    Ok(number) if (1..=MAX_LIMIT).contains(&number) => limit = number,
                    _ => faults
                        .push(format!("limit must be an integer number from 1 to {MAX_LIMIT}")),
                },
                "before" => match value.parse() {
                    Ok(id) => before = Some(id),
                    Err(_) => faults.push("before must be a positive integer number".into()),
                },
                name if !F::NAME.is_empty() && name == F::NAME => match &*value {
                    // A flag without a value is true.
                    "true" | "1" | "" => filter.set(true),
                    "false" | "0" => filter.set(false),
                    _ => faults.push(format!("{name} must be a boolean string")),
                },
                _ => {}
            }
        }
        if faults.is_empty() {
            Ok(Self { limit, before, filter })
        } else {
            Err(Error::faults(faults))
        }
    }
}

impl<T, F> Paging<T, F> {
    /// The answer to this request for a page. `id` returns the id by which the list is ordered.
    #[expect(clippy::needless_pass_by_value, reason = "the page ends here")]
    pub(super) fn answer<R: Serialize>(&self, page: Page<R>, id: impl Fn(&R) -> T) -> ListPage<R>
    where
        T: ToString,
    {
        ListPage::new(&page.items, page.more, self.limit, |item| id(item).to_string())
    }
}

impl<T: FromStr, F: Filter> Extract for Paging<T, F> {
    fn describe(signature: &mut Signature) {
        let mut parameter = |name, schema, description| {
            let is_required = false;
            signature.query.push(Parameter { name, is_required, schema, description });
        };
        let limit = json!({
            "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT,
        });
        parameter("limit", limit, "The length of the page at most");
        let before = json!({"type": "integer", "minimum": 1, "maximum": i64::MAX});
        parameter("before", before, "Lower ids only: the last id of the page before");
        if !F::NAME.is_empty() {
            let flag = json!({"type": "boolean", "default": false});
            parameter(F::NAME, flag, F::DESCRIPTION);
        }
    }

    fn extract(request: &Request) -> Result<Self, Error> {
        Self::parse(request.http.query_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrderId;

    fn paging(query: &str) -> Result<(u16, Option<OrderId>), Vec<String>> {
        Paging::<OrderId>::parse(query)
            .map(|paging| (paging.limit, paging.before))
            .map_err(|error| error.messages())
    }

    #[test]
    fn pages_have_a_limit() {
        assert_eq!(paging(""), Ok((50, None)));
        assert_eq!(paging("limit=200&before=7&x=y"), Ok((200, Some(OrderId(7)))));
        let faults = vec![
            "limit must be an integer number from 1 to 200".into(),
            "before must be a positive integer number".into(),
        ];
        assert_eq!(paging("limit=0&before=x"), Err(faults));
        assert!(
            paging("limit=201").is_err()
                && paging("limit=-1").is_err()
                && paging("limit=").is_err()
        );
    }
}
