//! E-mail addresses: the check that a text could be one. Only a sent mail proves an address.

/// RFC 5321, 4.5.3.1: a path has at most 256 octets with its angle brackets.
const MAX_CHARS: usize = 254;

/// Returns true for a local part, an `@`, and a domain of at least two labels.
pub(super) fn is_plausible(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let odd = |c: char| c.is_whitespace() || c.is_control() || "@,;:<>()[]\\\"".contains(c);
    let local_ok = !local.is_empty()
        && !local.contains(odd)
        && !local.starts_with('.')
        && !local.ends_with('.')
        && !local.contains("..");
    let label = |label: &str| {
        let inner = label.chars().all(|c| c.is_alphanumeric() || c == '-');
        !label.is_empty() && inner && !label.starts_with('-') && !label.ends_with('-')
    };
    let top = domain.rsplit('.').next().is_some_and(|top| top.chars().count() >= 2);
    text.chars().count() <= MAX_CHARS
        && local_ok
        && top
        && domain.contains('.')
        && domain.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_local_part_and_a_domain() {
        for valid in ["a@b.test", "A.b+c@sub.example.com", "jörg@müller.example"] {
            assert!(is_plausible(valid), "{valid}");
        }
        for bad in [
            "",
            "a",
            "a@",
            "@b.test",
            "a@b",
            "a b@c.test",
            "a@b..test",
            "a@-b.test",
            "a@b.t",
            "a@b@c.test",
            ".a@b.test",
            "a@b.test\n",
        ] {
            assert!(!is_plausible(bad), "{bad}");
        }
    }
}
