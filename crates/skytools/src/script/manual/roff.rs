//! Pages for man(1).

use jiff::Timestamp;
use jiff::tz::TimeZone;
use roff::{Roff, bold, italic, roman};

use super::page::{Block, Page};
use crate::script::Program;

/// The day of the page; builds that must come out the same each time set SOURCE_DATE_EPOCH.
fn today() -> String {
    let set = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|second| second.parse().ok());
    let moment = set.and_then(|second| Timestamp::from_second(second).ok()).unwrap_or_else(Timestamp::now);
    moment.to_zoned(TimeZone::UTC).date().to_string()
}

/// The page, in this section of the manual.
pub fn render(program: &Program, section: &str, page: &Page) -> String {
    let version = format!("Skytools {}", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    roff.control("TH", [page.name.to_uppercase().as_str(), section, &today(), &version, program.name]);
    roff.control("SH", ["NAME"]).text([roman(format!("{} - {}", page.name, page.about))]);
    let mut after_heading = false;
    for block in &page.blocks {
        if matches!(block, Block::Text(_) | Block::Code(_)) && !after_heading {
            roff.control("PP", []);
        }
        after_heading = matches!(block, Block::Heading(_));
        match block {
            Block::Heading(title) => roff.control("SH", [title.as_str()]),
            Block::Text(text) => roff.text([roman(text)]),
            Block::Item(term, made_of, meaning) => {
                let mut head = vec![bold(term)];
                if !made_of.is_empty() {
                    head.extend([roman(" "), italic(made_of)]);
                }
                roff.control("TP", []).text(head).text([roman(meaning)])
            }
            Block::Code(lines) => {
                roff.control("RS", ["4"]).control("nf", []);
                for line in lines.trim_end().lines() {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []).control("RE", [])
            }
        };
    }
    roff.render()
}
