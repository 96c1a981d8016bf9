//! Texts as JSON.

/// The text as a JSON string, in which a slash is escaped, too: such a string may stand in a `<script>`.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('/', "\\/")
}

#[cfg(test)]
mod tests {
    use super::quote;

    #[test]
    fn what_must_be_escaped_is() {
        assert_eq!(quote("a\"b\\c/d\n\x01õ"), r#""a\"b\\c\/d\n\u0001õ""#);
        assert_eq!(quote(""), "\"\"");
    }
}
