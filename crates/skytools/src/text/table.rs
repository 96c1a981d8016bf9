//! Tables as text: cells between tabs, and the names of the columns in the first line.

use indexmap::IndexMap;

use crate::{Error, Result};

/// The rows of a table, each with its cells by the names of their columns, in their order. Empty lines count for
/// nothing. It is an error if a row has more or less cells than there are columns.
pub fn read(text: &str) -> Result<Vec<IndexMap<String, String>>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, header)) = lines.next() else { return Ok(Vec::new()) };
    let columns: Vec<&str> = header.split('\t').collect();
    let row = |(number, line): (usize, &str)| {
        let cells: Vec<&str> = line.split('\t').collect();
        if cells.len() != columns.len() {
            let (have, want) = (cells.len(), columns.len());
            return Err(Error::bad(format!("line {}: {have} cells for {want} columns", number + 1)));
        }
        Ok(columns.iter().zip(cells).map(|(name, cell)| ((*name).to_owned(), cell.to_owned())).collect())
    };
    lines.map(row).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn cells_have_the_names_of_their_columns() {
        let rows = read("a\tb c\n1\t2\n\n\tx y\n").unwrap();
        let row = |a: &str, b: &str| {
            IndexMap::from([("a", a), ("b c", b)].map(|(n, c)| (n.to_owned(), c.to_owned())))
        };
        assert_eq!(rows, [row("1", "2"), row("", "x y")]);
        assert!(read("").unwrap().is_empty());
        assert!(read("a\tb\n").unwrap().is_empty());
    }

    #[test]
    fn a_row_that_does_not_fit_is_told() {
        assert_eq!(read("a\tb\n1\t2\n3\n").unwrap_err().to_string(), "line 3: 1 cells for 2 columns");
    }
}
