//! The names of people and things, as others see them: which characters they may have, their one
//! spelling, and which names look the same.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_security::mixed_script::AugmentedScriptSet;

/// The most marks above and below one letter (UTS 39, 5.4).
const MAX_MARKS: usize = 4;

/// Why a text is no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameFault {
    /// It has control characters or invisible ones, or a heap of marks on one letter.
    Unseen,
    /// Nothing of it can be seen.
    Empty,
    /// One of its words has letters of several alphabets that no language writes together.
    Mixed,
}

/// Returns true if a text of one line neither breaks the line nor turns its direction.
#[must_use]
pub fn is_one_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_bidi_control(c) || "\u{2028}\u{2029}".contains(c))
}

/// Whether a character changes the direction of the text around it (UAX 9, 2).
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}')
}

/// Whether a character has no width or no ink, and stands in no name: soft hyphens, fillers, tags
/// and the like. Joiners and variation selectors have a use and are not among them.
fn is_unseen(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Joiners, which Persian, Indian scripts and some pictures need.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// The one spelling of a person's name: in NFC, without blanks at its ends, and with one space
/// where it had several blanks.
///
/// # Errors
/// The fault of a text that cannot be a name.
pub fn of_person(text: &str) -> Result<String, NameFault> {
    if !is_one_line(text) || text.contains(is_unseen) {
        return Err(NameFault::Unseen);
    }
    let name: String = text.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect();
    if !name.chars().any(|c| !is_joiner(c) && !is_combining_mark(c) && !c.is_whitespace()) {
        return Err(NameFault::Empty);
    }
    // A joiner is of use only between two characters of such a script.
    let joins = |c: Option<char>| c.is_some_and(|c| !c.is_ascii() && !is_joiner(c));
    let (mut before, mut marks) = (None, 0);
    let mut rest = name.chars();
    while let Some(c) = rest.next() {
        if is_joiner(c) && !(joins(before) && joins(rest.clone().next())) {
            return Err(NameFault::Unseen);
        }
        marks = if canonical_combining_class(c) == 0 { 0 } else { marks + 1 };
        if marks > MAX_MARKS {
            return Err(NameFault::Unseen);
        }
        before = Some(c);
    }
    let is_in_word = |c: char| c.is_alphanumeric() || is_combining_mark(c) || is_joiner(c);
    if name.split(|c| !is_in_word(c)).any(is_mixed) { Err(NameFault::Mixed) } else { Ok(name) }
}

/// Whether a word mixes scripts that are not written together (UTS 39, 5.2, "highly restrictive"):
/// Chinese, Japanese and Korean do mix theirs, also with Latin letters.
fn is_mixed(word: &str) -> bool {
    if !AugmentedScriptSet::for_str(word).is_empty() {
        return false;
    }
    let latin = AugmentedScriptSet::for_char('a').base;
    let others: String =
        word.chars().filter(|c| AugmentedScriptSet::for_char(*c).base != latin).collect();
    let others = AugmentedScriptSet::for_str(&others);
    !(others.hanb || others.jpan || others.kore)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        for (given, name) in [
            (" Ann  Lee ", "Ann Lee"),
            ("Ann\u{a0}Lee", "Ann Lee"),
            ("Jo\u{308}rg", "Jörg"),
            ("علی\u{200c}رضا", "علی\u{200c}رضا"),
            ("👩\u{200d}💻", "👩\u{200d}💻"),
            ("Nguyễn 阮", "Nguyễn 阮"),
            ("क्षि", "क्षि"),
            ("O'Neill-Smith 3rd", "O'Neill-Smith 3rd"),
        ] {
            assert_eq!(of_person(given).as_deref(), Ok(name), "{given:?}");
        }
    }

    #[test]
    fn nothing_in_a_name_is_unseen() {
        let zalgo = format!("a{}", "\u{301}".repeat(6));
        for bad in [
            "Ann\n",
            "A\tnn",
            "\u{202e}nnA",
            "Ann\u{2069}",
            "A\u{200b}nn",
            "A\u{ad}nn",
            "A\u{feff}",
            "\u{3164}",
            "Ann\u{200d}",
            "A\u{200c}nn",
            "\u{200d}क",
            "क\u{200d}\u{200d}क",
            "\u{85}A",
            "A\u{2028}",
            "A\u{e0041}",
            "\u{2800}",
            &zalgo,
        ] {
            assert_eq!(of_person(bad), Err(NameFault::Unseen), "{bad:?}");
        }
        for empty in ["", "  ", "\u{3000}", "\u{301}", "\u{fe0f}"] {
            assert_eq!(of_person(empty), Err(NameFault::Empty), "{empty:?}");
        }
    }

    #[test]
    fn a_word_is_of_one_alphabet() {
        for good in [
            "Иван (Ivan) Петров",
            "Γιώργος Παπαδόπουλος",
            "محمد أحمد",
            "王Lee",
            "Ann王小明",
            "やまだ太郎Taro",
            "ポケモンー",
            "김철수Kim",
            "金철수",
            "יוסי כהן",
            "สมชาย",
            "Đặng-阮",
            "Bob2",
            "ᓄᓇᕗᑦ",
            "ᏣᎳᎩ",
        ] {
            assert_eq!(of_person(good).as_deref(), Ok(good), "{good}");
        }
        for bad in ["Аda", "ᗩda Admin", "Ꮧda", "Ada Admіn", "Paulο", "Иvan", "ИванΩ"] {
            assert_eq!(of_person(bad), Err(NameFault::Mixed), "{bad}");
        }
    }

    #[test]
    fn a_title_is_one_line_in_one_direction() {
        assert!(is_one_line("Tea & co ☕ שלום") && is_one_line(""));
        for bad in ["a\nb", "a\u{202e}b", "\u{200f}", "a\u{2029}"] {
            assert!(!is_one_line(bad), "{bad:?}");
        }
    }
}
