//! Texts that are indented as the code around them.

/// Takes away the indentation of the first line that has one, from each line that begins with it. Empty lines at the
/// beginning go, lines of blanks become empty.
#[must_use]
pub fn dedent(text: &str) -> String {
    let lines = || text.lines().skip_while(|line| line.trim().is_empty());
    let indents = lines().filter(|line| !line.trim().is_empty()).map(indent);
    let indent = indents.into_iter().find(|indent| !indent.is_empty()).unwrap_or_default();
    let lines: Vec<&str> = lines()
        .map(|line| if line.trim().is_empty() { "" } else { line.strip_prefix(indent).unwrap_or(line) })
        .collect();
    let mut dedented = lines.join("\n");
    if text.ends_with('\n') && !lines.is_empty() {
        dedented.push('\n');
    }
    dedented
}

fn indent(line: &str) -> &str {
    &line[..line.len() - line.trim_start().len()]
}

#[cfg(test)]
mod tests {
    use super::dedent;

    #[test]
    fn the_indentation_of_the_first_indented_line_goes() {
        assert_eq!(dedent("  a\n    b\n  c\n"), "a\n  b\nc\n");
        assert_eq!(dedent("a\n  b\n    c"), "a\nb\n  c");
        assert_eq!(dedent("\ta\n  b\n"), "a\n  b\n");
    }

    #[test]
    fn empty_lines_count_for_nothing() {
        assert_eq!(dedent("\n   \n  a\n \n      \n  b\n"), "a\n\n\nb\n");
        assert_eq!(dedent("\n \n"), "");
        assert_eq!(dedent(""), "");
    }
}
