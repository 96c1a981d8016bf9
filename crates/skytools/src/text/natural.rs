//! The order in which people sort names with numbers: `a9` before `a10`.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::CharIndices;

/// How numbers and what is between them are compared. What is no number is compared character by character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Natural {
    /// Numbers by their value.
    Numbers,
    /// As versions: numbers with a leading zero as fractions (`007` before `07` before `7`), and `~` before everything,
    /// also before the end (`2~rc1` before `2`).
    Versions,
}

impl Natural {
    /// Which of two texts comes first.
    #[must_use]
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        let (mut left, mut right) = (pieces(left), pieces(right));
        loop {
            let order = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (Some(Piece::Number(left)), Some(Piece::Number(right))) => self.compare_numbers(left, right),
                (left, right) => self.rank(left).cmp(&self.rank(right)),
            };
            if order.is_ne() {
                return order;
            }
        }
    }

    /// The same, whatever the case of letters.
    #[must_use]
    pub fn compare_ignoring_case(self, left: &str, right: &str) -> Ordering {
        self.compare(&left.to_lowercase(), &right.to_lowercase())
    }

    fn compare_numbers(self, left: &str, right: &str) -> Ordering {
        if self == Self::Versions && (left.starts_with('0') || right.starts_with('0')) {
            return left.cmp(right);
        }
        let (left, right) = (left.trim_start_matches('0'), right.trim_start_matches('0'));
        left.len().cmp(&right.len()).then_with(|| left.cmp(right))
    }

    /// Where a piece stands among others, if not both are numbers.
    fn rank(self, piece: Option<Piece>) -> (u8, char) {
        match piece {
            Some(Piece::Other('~')) if self == Self::Versions => (0, '~'),
            None => (1, '\0'),
            Some(Piece::Number(digits)) => (2, digits.chars().next().unwrap_or('0')),
            Some(Piece::Other(character)) => (2, character),
        }
    }
}

enum Piece<'a> {
    /// Its digits.
    Number(&'a str),
    Other(char),
}

fn pieces(text: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut characters: Peekable<CharIndices> = text.char_indices().peekable();
    std::iter::from_fn(move || {
        let (start, first) = characters.next()?;
        if !first.is_ascii_digit() {
            return Some(Piece::Other(first));
        }
        let mut end = start + 1;
        while characters.next_if(|(_, next)| next.is_ascii_digit()).is_some() {
            end += 1;
        }
        Some(Piece::Number(&text[start..end]))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Natural::{Numbers, Versions};
    use super::*;

    #[test]
    fn numbers_count() {
        for order in [Numbers, Versions] {
            for (less, more) in [
                ("1.9", "1.10"),
                ("a9b", "a10a"),
                ("a", "a1"),
                ("", "a"),
                ("-1", "1"),
                ("1", "a"),
                ("99999999999999999999998", "99999999999999999999999"),
                ("x1y2", "x1y10"),
                ("B", "a"),
            ] {
                assert_eq!(order.compare(less, more), Ordering::Less, "{less} {more}");
                assert_eq!(order.compare(more, less), Ordering::Greater, "{less} {more}");
            }
        }
        assert_eq!(Numbers.compare("007", "7"), Ordering::Equal);
        assert_eq!(Numbers.compare("v2", "v2~rc1"), Ordering::Less);
    }

    #[test]
    fn versions_have_release_candidates_and_fractions() {
        let sorted = ["", "v2~~", "v2~rc1", "v2", "v2.0", "v2.00", "v2.007", "v2.07", "v2.7", "v2.10", "v2a"];
        for (less, more) in sorted.iter().zip(&sorted[1..]) {
            assert_eq!(Versions.compare(less, more), Ordering::Less, "{less} {more}");
        }
        for (less, more) in [("007", "07"), ("07", "7"), ("1.9", "1.10"), ("v2~rc1", "v2")] {
            assert_eq!(Versions.compare(less, more), Ordering::Less, "{less} {more}");
        }
    }

    #[test]
    fn case_counts_only_where_it_should() {
        assert_eq!(Numbers.compare_ignoring_case("ÕA9", "õa10"), Ordering::Less);
        assert_eq!(Numbers.compare_ignoring_case("aB", "Ab"), Ordering::Equal);
        assert_eq!(Numbers.compare("aB", "Ab"), Ordering::Greater);
    }

    proptest! {
        #[test]
        fn it_is_an_order(texts in proptest::collection::vec("[~.a0-29\u{1}]{0,5}", 3)) {
            for order in [Numbers, Versions] {
                let [a, b, c] = [&texts[0], &texts[1], &texts[2]];
                prop_assert_eq!(order.compare(a, b), order.compare(b, a).reverse());
                if order.compare(a, b).is_le() && order.compare(b, c).is_le() {
                    prop_assert!(order.compare(a, c).is_le(), "{} {} {}", a, b, c);
                }
            }
            prop_assert_eq!(Versions.compare(&texts[0], &texts[1]).is_eq(), texts[0] == texts[1]);
        }
    }
}
