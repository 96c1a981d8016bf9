//! The order in which people sort names with numbers: `a9` before `a10`.

use std::cmp::Ordering;

/// How numbers and the texts between them are compared. A text that ends comes before one that goes on, whatever
/// number follows it: `a9` before `a.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Natural {
    /// Numbers by their value.
    Numbers,
    /// As versions: numbers with leading zeros as fractions (`007` before `07` before `7`), and `~` before everything,
    /// also before the end (`2~rc1` before `2`).
    Versions,
}

impl Natural {
    /// Which of two texts comes first.
    #[must_use]
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        let (mut left, mut right) = (self.pieces(left), self.pieces(right));
        loop {
            let order = match (left.next(), right.next()) {
                (None, None) => return Ordering::Equal,
                (Some(left), Some(right)) => self.compare_pieces(left, right),
                (left, right) => self.first_rank(left).cmp(&self.first_rank(right)),
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

    fn compare_pieces(self, left: Piece, right: Piece) -> Ordering {
        match (left, right) {
            (Piece::Zeros(left), Piece::Zeros(right)) => right.cmp(&left),
            (Piece::Zeros(_), Piece::Number(_)) => Ordering::Less,
            (Piece::Number(_), Piece::Zeros(_)) => Ordering::Greater,
            (Piece::Number(left), Piece::Number(right)) => {
                left.len().cmp(&right.len()).then_with(|| left.cmp(right))
            }
            (Piece::Text(left), Piece::Text(right)) => {
                let ranks = |text: &str| {
                    text.chars().map(Some).chain([None]).map(|c| self.rank(c)).collect::<Vec<_>>()
                };
                ranks(left).cmp(&ranks(right))
            }
            (left, right) => self.first_rank(Some(left)).cmp(&self.first_rank(Some(right))),
        }
    }

    /// Where a character stands among others; `None` is the end.
    fn rank(self, character: Option<char>) -> (u8, Option<char>) {
        match character {
            Some('~') if self == Self::Versions => (0, character),
            None => (1, None),
            Some(_) => (2, character),
        }
    }

    fn first_rank(self, piece: Option<Piece>) -> (u8, Option<char>) {
        self.rank(piece.map(|piece| match piece {
            Piece::Text(text) => text.chars().next().unwrap_or_default(),
            Piece::Zeros(_) | Piece::Number(_) => '0',
        }))
    }

    fn pieces(self, text: &str) -> impl Iterator<Item = Piece<'_>> {
        let mut rest = text;
        let mut is_fraction = false;
        std::iter::from_fn(move || {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let zeros = rest.bytes().take_while(|byte| *byte == b'0').count();
            let (piece, length) = if digits == 0 || is_fraction {
                let other = rest[digits..].find(|c: char| c.is_ascii_digit());
                let length = other.map_or(rest.len(), |other| digits + other);
                (Piece::Text(&rest[..length]), length)
            } else if zeros > 0 && self == Self::Versions {
                (Piece::Zeros(zeros), zeros)
            } else {
                (Piece::Number(&rest[zeros..digits]), digits)
            };
            is_fraction = matches!(piece, Piece::Zeros(_));
            rest = &rest[length..];
            (length > 0).then_some(piece)
        })
    }
}

enum Piece<'a> {
    /// How many are leading in a version's number. What follows, also digits, is text.
    Zeros(usize),
    /// Its digits from the first that is no zero.
    Number(&'a str),
    Text(&'a str),
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
                ("a9", "a."),
                (".", "1"),
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
        // In the order of Skytools 3.8.
        let sorted = [
            "~~", "~", "~9", "~ ", "~a", "", "00", "0010", "002", "009", "00a", "0", "0.5", "01", "02",
            "0209a", "0210", "02a9", "02a10", "0a", "1~", "1", "1.", "1a", "2", "10", "10a", ":", "a~", "a",
            "a0", "a1b", "a b", "a-b", "a.", "v2~~", "v2~rc1", "v2", "v2.00", "v2.007", "v2.0", "v2.07",
            "v2.7", "v2.10", "v2a", "x000", "x00", "x0",
        ];
        for (at, less) in sorted.iter().enumerate() {
            for more in &sorted[at + 1..] {
                assert_eq!(Versions.compare(less, more), Ordering::Less, "{less} {more}");
            }
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
