//! The list of all endpoints: the router serves them, and `/openapi.json` describes them.

use super::endpoint::Endpoint;
use super::{
    accounts, conversations, emit, health, invitations, metrics, notifications, orders, payments,
    presence, products, projects, reviews, waitlist,
};

/// Every endpoint, domain by domain.
pub(super) fn all() -> Vec<Endpoint> {
    [
        accounts::endpoints(),
        products::endpoints(),
        reviews::endpoints(),
        waitlist::endpoints(),
        orders::endpoints(),
        payments::endpoints(),
        notifications::endpoints(),
        projects::endpoints(),
        conversations::endpoints(),
        invitations::endpoints(),
        presence::endpoints(),
        emit::endpoints(),
        health::endpoints(),
        vec![metrics::endpoint()],
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_needs_a_caller_is_not_open() {
        for endpoint in all() {
            let needs_caller = endpoint.signature.has_caller || endpoint.signature.has_key;
            assert!(!(endpoint.is_open && needs_caller), "{} {}", endpoint.method, endpoint.path);
        }
    }

    #[test]
    fn a_handler_takes_the_ids_of_its_path_in_their_order() {
        for endpoint in all() {
            let in_braces = |part: &'static str| part.strip_prefix('{')?.strip_suffix('}');
            let in_path: Vec<&str> = endpoint.path.split('/').filter_map(in_braces).collect();
            assert_eq!(endpoint.signature.path, in_path, "{} {}", endpoint.method, endpoint.path);
        }
    }
}
