//! Text between quotes in which each quote is doubled, as SQL writes names and constants.

/// Reads what follows an opening quote: the text, and how long it is up to behind the closing quote. `None` if there
/// is no closing quote.
pub fn read(text: &[u8], quote: u8) -> Option<(Vec<u8>, usize)> {
    let mut read = Vec::new();
    let mut at = 0;
    loop {
        let run = text[at..].iter().position(|&byte| byte == quote)?;
        read.extend_from_slice(&text[at..at + run]);
        at += run + 1;
        if text.get(at) != Some(&quote) {
            return Some((read, at));
        }
        read.push(quote);
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubled_quotes_are_one() {
        assert_eq!(read(br#"a "" b" c""#, b'"'), Some((br#"a " b"#.to_vec(), 7)));
        assert_eq!(read(b"''''", b'\''), None);
        assert_eq!(read(b"'''", b'\''), Some((b"'".to_vec(), 3)));
        assert_eq!(read(b"'", b'\''), Some((vec![], 1)));
        assert_eq!(read(b"", b'"'), None);
    }
}
