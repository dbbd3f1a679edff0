//! Tables and code in Markdown.

/// A table with a line per row. Cells may hold any text but a line break.
pub(super) fn table(heads: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let heads: Vec<String> = heads.iter().map(ToString::to_string).collect();
    let rule = vec!["---".to_owned(); heads.len()];
    [heads, rule].into_iter().chain(rows).map(|row| line(&row)).collect()
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| escaped(cell)).collect();
    format!("| {} |\n", cells.join(" | "))
}

/// A bar ends a cell, even within code.
fn escaped(cell: &str) -> String {
    cell.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

pub(super) fn code(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// The text as a sentence: with a capital and a full stop. An empty text stays empty.
pub(super) fn sentence(text: &str) -> String {
    let mut text = text.trim().to_owned();
    if !text.is_empty() && !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_line_a_row_and_no_bar_within_a_cell() {
        let rows = [vec!["`a|b`".to_owned(), "two\n lines".to_owned()]];
        assert_eq!(table(&["x", "y"], rows), "| x | y |\n| --- | --- |\n| `a\\|b` | two lines |\n");
    }
}
