//! Columns that line up, whatever is in them.

use super::text::Safe;

/// Rows of cells under headings.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
    /// Which columns begin at their left side; numbers end at their right one.
    left: Vec<bool>,
}

impl Table {
    /// With these headings; those that begin with `<` belong to texts.
    pub(super) fn new(headings: &[&str]) -> Self {
        let left = headings.iter().map(|name| name.starts_with('<')).collect();
        let names = headings
            .iter()
            .map(|name| name.trim_start_matches('<').to_owned());
        Self {
            rows: vec![names.collect()],
            left,
        }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| Safe(&cell).to_string());
        self.rows.push(cells.collect());
    }

    /// The lines, the headings first.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let widths: Vec<usize> = (0..self.left.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        self.rows.iter().map(move |row| {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let width = widths.get(column).copied().unwrap_or(0);
                if column > 0 {
                    line.push_str("  ");
                }
                if self.left.get(column).copied().unwrap_or(true) {
                    line.extend([format!("{cell:<width$}")]);
                } else {
                    line.extend([format!("{cell:>width$}")]);
                }
            }
            line.truncate(line.trim_end().len());
            line
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_stay_on_their_line() {
        let mut table = Table::new(&["<kind", "hits", "<state"]);
        table.row(["a\nb".to_owned(), "7".to_owned(), "ok".to_owned()]);
        table.row(["üü".to_owned(), "12345".to_owned(), String::new()]);
        let lines: Vec<String> = table.lines().collect();
        assert_eq!(
            lines,
            ["kind   hits  state", "a\\nb      7  ok", "üü    12345"]
        );
    }
}
