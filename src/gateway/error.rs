//! Translates the product's errors into those of `realtime`, which sends them to sockets.

use crate::error::{AuthFailure, Error};
use crate::realtime;

impl From<AuthFailure> for realtime::AuthFailure {
    fn from(failure: AuthFailure) -> Self {
        match failure {
            AuthFailure::Missing => Self::Missing,
            AuthFailure::Expired => Self::Expired,
            AuthFailure::Invalid => Self::Invalid,
        }
    }
}

impl From<Error> for realtime::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Unauthorized(failure) => Self::Unauthorized(failure.into()),
            Error::TokenExpired => Self::TokenExpired,
            Error::Forbidden | Error::UnknownHost => Self::Forbidden,
            Error::RateLimited(_) => Self::RateLimited,
            Error::Unavailable(text) => Self::Unavailable(text),
            Error::Internal => Self::Internal,
            Error::BadCredentials
            | Error::NotFound(_)
            | Error::Faults(_)
            | Error::BadRequest(_)
            | Error::Conflict(_)
            | Error::TooSlow
            | Error::TooLarge
            | Error::KeyReused
            | Error::NotImplemented(_) => {
                Self::Other { code: error.code().as_str(), message: error.message() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn code_and_message_stay_as_they_are() {
        let errors = [
            Error::Unauthorized(AuthFailure::Expired),
            Error::TokenExpired,
            Error::BadCredentials,
            Error::Forbidden,
            Error::NotFound("no such order".into()),
            Error::Faults(vec!["a".into(), "b".into()]),
            Error::BadRequest("no".into()),
            Error::Conflict("taken".into()),
            Error::TooLarge,
            Error::KeyReused,
            Error::RateLimited(Duration::from_secs(1)),
            Error::Unavailable("later"),
            Error::NotImplemented("not here"),
            Error::Internal,
        ];
        for error in errors {
            let sent = realtime::Error::from(error.clone());
            assert_eq!((sent.code(), sent.message()), (error.code().as_str(), &*error.message()));
        }
    }
}
