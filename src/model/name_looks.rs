//! Which names look like another, or like a name of the staff.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_security::skeleton;

/// Words that customers would take for the staff.
const OF_STAFF: [&str; 5] = ["admin", "administrator", "support", "moderator", "system"];
/// A name is looked for within longer ones if it has two words and so many letters.
const MIN_WITHIN: usize = 8;
/// One letter in so many may be of an unknown look.
const LETTERS_A_GUESS: usize = 4;
/// Small capitals, which UTS 39 takes for letters of their own.
const SMALL_CAPITALS: &str = "ᴀaʙbᴄcᴅdᴇeꜰfɢgʜhɪiᴊjᴋkʟlᴍmɴnᴏoᴘpꞯqʀrꜱsᴛtᴜuᴠvᴡwʏyᴢz";

/// How a name looks: without regard to case, marks, blanks and punctuation, and with the letters of
/// all scripts that look the same made one (UTS 39, 4).
#[derive(Debug, PartialEq, Eq)]
pub struct Looks {
    letters: Vec<char>,
    /// Where words begin, and where the last one ends.
    bounds: Vec<usize>,
}

impl Looks {
    #[must_use]
    pub fn of(name: &str) -> Self {
        let plain: String = name.chars().map(plain).nfkc().collect();
        let lower = skeleton(&with_letters(&plain)).collect::<String>().to_lowercase();
        // A capital i looks like a small L, and its small letter does not.
        let one_i: String = lower.chars().map(|c| if c == 'i' { 'l' } else { c }).collect();
        let is_mark = |c: &char| is_combining_mark(*c) || matches!(c, '\u{200c}' | '\u{200d}');
        let all: String = skeleton(&one_i).filter(|c| !is_mark(c)).collect();
        let mut looks = Self { letters: Vec::new(), bounds: vec![0] };
        for word in all.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            looks.letters.extend(word.chars());
            looks.bounds.push(looks.letters.len());
        }
        if looks.letters.is_empty() {
            looks.letters = all.chars().collect();
            looks.bounds.push(looks.letters.len());
        }
        looks
    }

    /// Whether this name looks like the other, or has it within.
    fn has(&self, other: &Self) -> bool {
        let most = other.letters.len();
        let counts_within = other.bounds.len() > 2 && most >= MIN_WITHIN;
        self.bounds.iter().any(|start| {
            let end = start + most;
            let is_whole = *start == 0 && end == self.letters.len();
            (is_whole || (counts_within && self.bounds.contains(&end)))
                && self.letters.get(*start..end).is_some_and(|run| is_alike(run, &other.letters))
        })
    }

    fn has_word(&self, word: &Self) -> bool {
        let words = self.bounds.windows(2).filter_map(|ends| self.letters.get(ends[0]..ends[1]));
        words.chain([self.letters.as_slice()]).any(|run| is_alike(run, &word.letters))
    }
}

/// A name that somebody asks for.
pub struct Asked([Looks; 2]);

impl Asked {
    #[must_use]
    pub fn new(name: &str) -> Self {
        // Numbers after a word, and before it, make no other name.
        let words = name.split_whitespace().map(|word| word.trim_matches(|c| !is_letter(c)));
        let without_numbers = words.collect::<Vec<_>>().join(" ");
        Self([Looks::of(name), Looks::of(&without_numbers)])
    }

    /// Whether it can be taken for that name.
    #[must_use]
    pub fn looks_like(&self, other: &Looks) -> bool {
        self.0.iter().any(|looks| !other.letters.is_empty() && looks.has(other))
    }

    /// Whether it, or a word of it, can be taken for the staff's.
    #[must_use]
    pub fn looks_like_staff(&self) -> bool {
        OF_STAFF.map(Looks::of).iter().any(|word| self.0.iter().any(|looks| looks.has_word(word)))
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphabetic() || is_combining_mark(c)
}

/// Whether the letters look the same. A few that no table knows may be any letter.
fn is_alike(given: &[char], other: &[char]) -> bool {
    let mut unknown = 0;
    given.len() == other.len()
        && given.iter().zip(other).all(|(c, of)| {
            let is_unknown = c != of && !c.is_ascii();
            unknown += usize::from(is_unknown);
            c == of || is_unknown
        })
        && unknown * LETTERS_A_GUESS <= given.len()
}

/// The plain letter for one in a circle, in a square or of a flag, and for a small capital.
fn plain(c: char) -> char {
    let of = |first: u32| {
        let place = u32::from(c).checked_sub(first).filter(|place| *place < 26)?;
        char::from_u32(u32::from('A') + place)
    };
    let in_frame = [0x1f130, 0x1f150, 0x1f170, 0x1f1e6].into_iter().find_map(of);
    let mut small = SMALL_CAPITALS.chars();
    let small = small.by_ref().position(|small| small == c).filter(|at| at % 2 == 0);
    let small = small.and_then(|at| SMALL_CAPITALS.chars().nth(at + 1));
    in_frame.or(small).unwrap_or(c)
}

/// Makes letters of signs that stand for one: `!` within a word, `@` before one, `$` beside one.
fn with_letters(text: &str) -> String {
    let mut before = None;
    let mut rest = text.chars();
    let mut out = String::new();
    while let Some(c) = rest.next() {
        let after = rest.clone().next();
        let [has_before, has_after] =
            [before, after].map(|c: Option<char>| c.is_some_and(char::is_alphanumeric));
        out.push(match c {
            '!' if has_before && has_after => 'l',
            '@' if !has_before && has_after => 'a',
            '$' if has_before || has_after => 's',
            _ => c,
        });
        before = Some(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_like(name: &str, other: &str) -> bool {
        Asked::new(name).looks_like(&Looks::of(other))
    }

    #[test]
    fn names_that_look_alike_are_found() {
        for alike in [
            "ada admin",
            "ADA ADMIN",
            "AdaAdmin",
            "Ada-Admin.",
            "Аda Admin",
            "Ada Adm\u{131}n",
            "Ada Adm1n",
            "Ada AdmIn",
            "Ádà Admın",
            "Ａｄａ Ａｄｍｉｎ",
            "Ada Adrnin",
            "𝐀𝐝𝐚 Admin",
            "Ada Admіn",
            "Ada Admi\u{a791}",
            "ᗩda Admin",
            "Ꮧda Admin",
            "ᴀda ᴀdmin",
            "ᴀᴅᴀ ᴀᴅᴍɪɴ",
            "Ada Adm!n",
            "@da Admin",
            "🅰da 🅰dmin",
            "🇦🇩🇦 Admin",
            "Ada Admin I",
            "Ada Admin 1",
            "Ada Admin2",
            "AdaAdmin007",
            "Ada Admin (Admin)",
            "The real A d a Admin",
        ] {
            assert!(is_like(alike, "Ada Admin"), "{alike}");
        }
        for other in ["Ada", "Ida Admin", "Adam Din", "Ada Adminson", "Nada Admin", "☕", "", "7"]
        {
            assert!(!is_like(other, "Ada Admin"), "{other}");
        }
        assert!(
            is_like("☕", "☕") && !is_like("☕", "🍵") && !is_like("", "") && !is_like("7", "")
        );
        assert!(is_like("PauI", "Paul") && is_like("Нelen", "Helen") && is_like("Paul 2", "Paul"));
    }

    #[test]
    fn a_short_name_within_another_is_no_likeness() {
        for (name, of) in [
            ("Joanna", "Ann"),
            ("Ann Lee", "Ann"),
            ("Maria Silvana Costa", "Maria Silva"),
            ("Li Wei Chen", "Li Wei"),
            ("Peter Petersen", "Peter"),
            ("Þór", "Tor"),
            ("Иван Петров", "Ivan Petrov"),
            ("王小明", "李小明"),
        ] {
            assert!(!is_like(name, of), "{name} {of}");
        }
    }

    #[test]
    fn names_of_the_staff_are_whole_words() {
        let is_of_staff = |name: &str| Asked::new(name).looks_like_staff();
        for name in [
            "Admin",
            "ADMINISTRATOR",
            "Shop Support",
            "Ann (Moderator)",
            "Sуstem",
            "Adm1n",
            "Admin42",
            "A.d.m.i.n",
            "@dmin",
            "$upport",
            "5 Admin",
        ] {
            assert!(is_of_staff(name), "{name}");
        }
        for name in [
            "Badminton",
            "Adminah",
            "Supporter",
            "Systema",
            "Иван Петров",
            "Γιώργος Παπαδόπουλος",
            "محمد أحمد",
            "王 Lee",
            "山田太郎",
            "김철수",
            "Jörg Müller",
            "Đặng Thị Minh",
            "Ann 🇩🇪",
            "",
        ] {
            assert!(!is_of_staff(name), "{name}");
        }
    }
}
