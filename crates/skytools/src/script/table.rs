//! Results for the terminal: columns under their names.

use std::fmt;

/// Rows of text. Each column is as wide as its longest text, and at least 15; two blanks are between them. Without
/// rows, nothing is shown at all.
#[derive(Clone, Debug)]
pub struct Table {
    names: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(names: &[&str]) -> Self {
        Self { names: names.iter().map(|name| (*name).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row: a text for each column.
    pub fn row(&mut self, texts: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(texts.into_iter().map(Into::into).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.is_empty() {
            return Ok(());
        }
        let length =
            |row: &Vec<String>, column: usize| row.get(column).map_or(0, |text| text.chars().count());
        let widths: Vec<usize> = (0..self.names.len())
            .map(|column| {
                self.rows.iter().chain([&self.names]).map(|row| length(row, column)).fold(15, usize::max)
            })
            .collect();
        let dashes: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [&self.names, &dashes].into_iter().chain(&self.rows) {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
            writeln!(f, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_names() {
        let mut table = Table::new(&["queue", "lag"]);
        assert_eq!(table.to_string(), "");
        table.row(["orders", "1s"]);
        table.row(["a_queue_of_a_long_name", ""]);
        assert_eq!(
            table.to_string(),
            "queue                   lag\n\
             ----------------------  ---------------\n\
             orders                  1s\n\
             a_queue_of_a_long_name\n"
        );
    }
}
