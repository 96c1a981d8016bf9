//! Entries of access control lists, as the catalog shows them.

use super::unquote::until_quote;

/// Who may do what, and who said so: `joe=ar*/admin`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclItem {
    /// Who is allowed; `None` is everybody (`PUBLIC`).
    pub grantee: Option<String>,
    /// The letters of what is allowed. A `*` says that the one before it may be handed on.
    pub privileges: String,
    /// Who allowed it, if it is told.
    pub grantor: Option<String>,
}

impl AclItem {
    /// Reads an entry; `None` if it is none. Before a grantee may stand `group` or `user`, as old servers had it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = ["group ", "user "].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text);
        let (grantee, rest) = role(text)?;
        let rest = rest.strip_prefix('=')?;
        let (privileges, grantor) = match rest.split_once('/') {
            Some((privileges, grantor)) => {
                let (grantor, rest) = role(grantor)?;
                (privileges, if rest.is_empty() { Some(grantor?) } else { return None })
            }
            None => (rest, None),
        };
        let is_privilege = |byte: u8| byte.is_ascii_alphabetic() || byte == b'*';
        privileges.bytes().all(is_privilege).then(|| Self {
            grantee,
            privileges: privileges.to_owned(),
            grantor,
        })
    }
}

/// The role that is here, none for an empty name, and what is behind it.
fn role(text: &str) -> Option<(Option<String>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| matches!(c, '=' | '/' | '"') || c.is_ascii_whitespace());
        let (name, rest) = text.split_at(end.unwrap_or(text.len()));
        return Some(((!name.is_empty()).then(|| name.to_owned()), rest));
    };
    let (name, rest) = until_quote(quoted, '"')?;
    Some((Some(name.replace("\"\"", "\"")), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(grantee: Option<&str>, privileges: &str, grantor: Option<&str>) -> Option<AclItem> {
        let owned = |name: Option<&str>| name.map(str::to_owned);
        Some(AclItem { grantee: owned(grantee), privileges: privileges.to_owned(), grantor: owned(grantor) })
    }

    #[test]
    fn entries_are_read() {
        let rows = [
            ("joe=ar*wdDxt/admin", item(Some("joe"), "ar*wdDxt", Some("admin"))),
            ("=r/admin", item(None, "r", Some("admin"))),
            ("joe=r", item(Some("joe"), "r", None)),
            ("\"a \"\"=/ b\"=m*/\"c\"\"\"", item(Some("a \"=/ b"), "m*", Some("c\""))),
            ("group staff=r/joe", item(Some("staff"), "r", Some("joe"))),
            ("user joe=r/joe", item(Some("joe"), "r", Some("joe"))),
            ("group=r/user", item(Some("group"), "r", Some("user"))),
            ("joe=/admin", item(Some("joe"), "", Some("admin"))),
        ];
        for (text, item) in rows {
            assert_eq!(AclItem::parse(text), item, "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_entries() {
        for text in
            ["", "joe", "joe=r/", "joe=r1/x", "joe=r/x y", "\"joe=r/x", "jo e=r/x", "=r/x=", "a\"b\"=r/x"]
        {
            assert_eq!(AclItem::parse(text), None, "{text}");
        }
    }
}
