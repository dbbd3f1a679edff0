//! External users: users whose tokens another program signs.

/// The most characters in an issuer, a subject or a name: OpenID Connect, 2, bounds a subject so.
const MOST: usize = 255;

/// The name of a user at the signer of its tokens: `iss` (empty if the token has none) and `sub`.
/// It is never one of hubcast's own ids, even if it is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalIdentity {
    issuer: String,
    subject: String,
}

impl ExternalIdentity {
    /// Returns `None` if one of them is longer than 255 characters or has control characters, or if
    /// the subject is empty.
    #[must_use]
    pub fn new(issuer: String, subject: String) -> Option<Self> {
        let is_fit = |text: &str| text.chars().count() <= MOST && !text.contains(char::is_control);
        (is_fit(&issuer) && is_fit(&subject) && !subject.is_empty())
            .then_some(Self { issuer, subject })
    }

    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// An external user, with the claims that its account is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUser {
    pub id: ExternalIdentity,
    /// At most 255 characters.
    pub name: String,
    /// Plausible, and not marked as unverified. An account may have it already.
    pub email: Option<String>,
}

impl ExternalUser {
    /// Makes a user with the name and the e-mail of the token. Without a usable name the subject is
    /// the name.
    #[must_use]
    pub fn new(id: ExternalIdentity, name: Option<&str>, email: Option<&str>) -> Self {
        let name =
            name.map(str::trim).filter(|name| !name.is_empty() && !name.contains(char::is_control));
        let name = name.unwrap_or(&id.subject).chars().take(MOST).collect();
        let email = email.filter(|email| super::email::is_plausible(email)).map(str::to_owned);
        Self { id, name, email }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(issuer: &str, subject: &str) -> Option<ExternalIdentity> {
        ExternalIdentity::new(issuer.into(), subject.into())
    }

    #[test]
    fn a_subject_is_some_text_of_a_bounded_length() {
        let long = "ä".repeat(255);
        assert!(id("", "1").is_some() && id(&long, &long).is_some());
        for (issuer, subject) in [
            ("", ""),
            ("", "a\0"),
            ("a\n", "a"),
            ("", &*(long.clone() + "a")),
            (&*(long + "a"), "a"),
        ] {
            assert_eq!(id(issuer, subject), None);
        }
    }

    #[test]
    fn a_name_is_bounded_and_an_email_plausible() {
        let of = |name: Option<&str>, email: Option<&str>| {
            let user = ExternalUser::new(id("", "sub").expect("fits"), name, email);
            (user.name, user.email)
        };
        assert_eq!(
            of(Some(" Eve "), Some("eve@shop.test")),
            ("Eve".into(), Some("eve@shop.test".into()))
        );
        assert_eq!(of(Some(&"n".repeat(300)), None), ("n".repeat(255), None));
        for (name, email) in
            [(None, None), (Some(" "), Some("eve")), (Some("E\0ve"), Some("eve@shop.test\0"))]
        {
            assert_eq!(of(name, email), ("sub".into(), None));
        }
    }
}
