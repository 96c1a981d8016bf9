//! Pages for a browser.

use super::page::{Block, Page};
use crate::script::Program;

const STYLE: &str = "body{max-width:46rem;margin:2rem auto;padding:0 1rem;font:1rem/1.5 sans-serif}\
    h2{margin-top:2rem;font-size:1.1rem}dt{margin-top:.7rem}pre{padding:.7rem;background:#f4f4f4;overflow:auto}";

/// All pages as one document.
pub fn render(program: &Program, pages: &[Page]) -> String {
    let name = escape(program.name);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{name}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n"
    );
    for page in pages {
        html.push_str(&format!("<h1>{}</h1>\n<p>{}</p>\n", escape(&page.name), escape(&page.about)));
        let mut in_list = false;
        for block in &page.blocks {
            let is_item = matches!(block, Block::Item(..));
            if is_item != in_list {
                html.push_str(if is_item { "<dl>\n" } else { "</dl>\n" });
                in_list = is_item;
            }
            html.push_str(&match block {
                Block::Heading(title) => format!("<h2>{}</h2>\n", escape(title)),
                Block::Text(text) => format!("<p>{}</p>\n", escape(text)),
                Block::Item(term, made_of, meaning) => format!(
                    "<dt><code>{}</code> {}</dt>\n<dd>{}</dd>\n",
                    escape(term),
                    escape(made_of),
                    escape(meaning)
                ),
                Block::Code(lines) => format!("<pre>{}</pre>\n", escape(lines.trim_end())),
            });
        }
        html.push_str(if in_list { "</dl>\n" } else { "" });
    }
    html.push_str("</body>\n</html>\n");
    html
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
