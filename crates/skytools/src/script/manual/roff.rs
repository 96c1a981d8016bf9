//! Pages for man(1).

use roff::{Roff, bold, italic, roman};

use super::page::{Block, Page};
use crate::script::Program;

/// The page, in this section of the manual.
pub fn render(program: &Program, section: &str, page: &Page) -> String {
    let version = format!("Skytools {}", env!("CARGO_PKG_VERSION"));
    let mut roff = Roff::new();
    roff.control("TH", [page.name.to_uppercase().as_str(), section, "", &version, program.name]);
    roff.control("SH", ["NAME"]).text([roman(format!("{} - {}", page.name, page.about))]);
    for block in &page.blocks {
        match block {
            Block::Heading(title) => roff.control("SH", [title.as_str()]),
            Block::Text(text) => roff.control("PP", []).text([roman(text)]),
            Block::Item(term, made_of, meaning) => {
                let mut head = vec![bold(term)];
                if !made_of.is_empty() {
                    head.extend([roman(" "), italic(made_of)]);
                }
                roff.control("TP", []).text(head).text([roman(meaning)])
            }
            Block::Code(lines) => {
                roff.control("PP", []).control("RS", ["4"]).control("nf", []);
                for line in lines.trim_end().lines() {
                    roff.text([roman(line)]);
                }
                roff.control("fi", []).control("RE", [])
            }
        };
    }
    roff.render()
}
