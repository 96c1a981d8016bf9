//! Any text is cut into statements or refused, each of which is one statement.

#![no_main]

use libfuzzer_sys::fuzz_target;
use skytools::db::tokens::{Dialect, tokens};
use skytools::db::{Template, statements};

fuzz_target!(|sql: &str| {
    for backslashes in [false, true] {
        let texts = tokens(sql, Dialect { backslashes, qualified: true }).map(|token| token.text);
        assert_eq!(texts.collect::<String>(), sql);
        let mut rest = sql;
        for statement in statements(sql, backslashes).unwrap_or_default() {
            let at = rest.find(statement).expect("statements are there in their order");
            rest = &rest[at + statement.len()..];
            assert_eq!(statements(statement, backslashes).expect("what was cut fits"), [statement]);
        }
    }
    if let Ok(template) = Template::parse(sql) {
        let value = |name: &str| Ok(Some(name.to_owned()));
        template.bind(value).expect("every value is given");
        template.fill(value).expect("every value is given");
    }
});
