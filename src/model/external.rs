//! External users: users whose tokens another program signs.

use super::name;

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

/// The names that a token has for its user. None of them has to be usable.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    pub name: Option<&'a str>,
    pub preferred_username: Option<&'a str>,
    /// `user_metadata.full_name`, of Supabase.
    pub full_name: Option<&'a str>,
    pub given_name: Option<&'a str>,
    pub family_name: Option<&'a str>,
}

impl Names<'_> {
    /// The first usable name, and whether it is what people call the user: no name to sign in with.
    fn best(&self) -> Option<(String, bool)> {
        let both = [self.given_name, self.family_name].map(|name| name.and_then(usable));
        let both = both.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let all = [
            (self.name, true),
            (self.preferred_username, false),
            (self.full_name, true),
            (Some(both.as_str()), true),
        ];
        all.into_iter().find_map(|(name, is_full)| Some((usable(name?)?, is_full)))
    }
}

/// The name in its one spelling, cut to the length of a name.
fn usable(name: &str) -> Option<String> {
    // The spelling may be longer or shorter than the text: cut before, for the work, and after.
    let text: String = name.chars().take(MOST).collect();
    let name: String = name::of_person(&text).ok()?.chars().take(MOST).collect();
    name::of_person(&name).ok()
}

/// An external user, with the claims that its account is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUser {
    pub id: ExternalIdentity,
    /// At most 255 characters, and whether it is the full name.
    name: Option<(String, bool)>,
    /// Plausible, and not marked as unverified. An account may have it already.
    pub email: Option<String>,
}

impl ExternalUser {
    /// Makes a user with the first usable name of a token.
    #[must_use]
    pub fn new(id: ExternalIdentity, names: Names<'_>, email: Option<&str>) -> Self {
        let email = email.filter(|email| super::email::is_plausible(email));
        Self { id, name: names.best(), email: email.map(str::to_owned) }
    }

    /// The names for a new account, best first: that of the token, the first part of the e-mail,
    /// the subject. There may be none.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let local = self.email.as_deref().and_then(|email| email.split('@').next());
        let rest = [local, Some(self.id.subject())].into_iter().flatten().filter_map(usable);
        self.name.iter().map(|(name, _)| name.clone()).chain(rest)
    }

    /// The name that replaces another one, which an earlier token gave. A name to sign in with
    /// never does: two kinds of tokens would otherwise change the name in turns.
    #[must_use]
    pub fn better_name(&self) -> Option<&str> {
        self.name.as_ref().filter(|(_, is_full)| *is_full).map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(issuer: &str, subject: &str) -> Option<ExternalIdentity> {
        ExternalIdentity::new(issuer.into(), subject.into())
    }

    fn user(names: Names<'_>, email: Option<&str>) -> ExternalUser {
        ExternalUser::new(id("", "sub").expect("fits"), names, email)
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
            let user = user(Names { name, ..Names::default() }, email);
            let name = user.names().next().unwrap_or_default();
            (name, user.email)
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

    #[test]
    fn the_first_usable_name_counts_and_then_the_first_part_of_the_email() {
        let mut names = Names {
            name: Some("Kim Key"),
            preferred_username: Some("kim"),
            full_name: Some("Kim K. Key"),
            given_name: Some("Kim"),
            family_name: Some("Bee"),
        };
        let all = |names: Names<'_>| user(names, Some("kk@shop.test")).names().collect::<Vec<_>>();
        let name = |names: Names<'_>| all(names).swap_remove(0);
        assert_eq!(name(names), "Kim Key");
        names.name = Some(" ");
        assert_eq!(name(names), "kim");
        names.preferred_username = None;
        assert_eq!(name(names), "Kim K. Key");
        names.full_name = None;
        assert_eq!(name(names), "Kim Bee");
        names.given_name = Some("");
        assert_eq!(name(names), "Bee");
        names.family_name = None;
        assert_eq!(all(names), ["kk", "sub"]);
    }

    #[test]
    fn only_a_full_name_replaces_another() {
        let full = user(Names { name: Some("Kim"), ..Names::default() }, None);
        let short = user(Names { preferred_username: Some("kim"), ..Names::default() }, None);
        assert_eq!(full.better_name(), Some("Kim"));
        assert_eq!((short.better_name(), user(Names::default(), None).better_name()), (None, None));
    }
}
