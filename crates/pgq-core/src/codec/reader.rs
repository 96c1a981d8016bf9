//! A place in a text that is read from left to right. Blanks between tokens mean nothing.

use super::Malformed;

pub struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(text: &'a [u8]) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// What is still to be read, from the next token on.
    pub fn rest(&mut self) -> &'a [u8] {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.unread()
    }

    /// What is still to be read, within a token.
    pub fn unread(&self) -> &'a [u8] {
        &self.text[self.at..]
    }

    /// Goes on behind the next bytes, which the caller has looked at.
    pub fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Goes on behind this text if it comes next.
    pub fn take(&mut self, text: &str) -> bool {
        let comes_next = self.rest().starts_with(text.as_bytes());
        if comes_next {
            self.pass(text.len());
        }
        comes_next
    }

    /// Goes on behind this text, which has to come next.
    pub fn require(&mut self, text: &'static str) -> Result<(), Malformed> {
        if self.take(text) { Ok(()) } else { Err(self.expected(text)) }
    }

    /// Goes on behind this keyword if it comes next, in whichever case.
    pub fn take_keyword(&mut self, keyword: &str) -> bool {
        let word = self.word();
        let comes_next = word.eq_ignore_ascii_case(keyword.as_bytes());
        if comes_next {
            self.pass(word.len());
        }
        comes_next
    }

    /// The letters, digits and underscores that come next.
    pub fn word(&mut self) -> &'a [u8] {
        let rest = self.rest();
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_');
        &rest[..end.unwrap_or(rest.len())]
    }

    /// Reads items that are separated by commas, between `open` and `close`.
    pub fn list<T>(
        &mut self,
        open: &'static str,
        close: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.require(open)?;
        let mut items = Vec::new();
        if self.take(close) {
            return Ok(items);
        }
        loop {
            items.push(item(self)?);
            if !self.take(",") {
                self.require(close)?;
                return Ok(items);
            }
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Malformed> {
        if self.rest().is_empty() { Ok(()) } else { Err(self.expected("end of text")) }
    }

    /// The error that something else should be here.
    pub fn expected(&self, expected: &'static str) -> Malformed {
        Malformed { expected, at: self.at }
    }
}
