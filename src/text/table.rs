//! Tables of aligned columns without borders.

use comfy_table::{CellAlignment, Table, presets};

/// Spaces between two columns.
pub const GAP: u16 = 2;

/// The lines of a table. Columns whose place in `right` is true are aligned to the right, all others to the left.
pub fn aligned<R: IntoIterator<Item = String>>(rows: impl IntoIterator<Item = R>, right: &[bool]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.add_rows(rows.into_iter().map(|row| row.into_iter().collect::<Vec<_>>()));
    for (at, column) in table.column_iter_mut().enumerate() {
        let right = right.get(at).is_some_and(|right| *right);
        column.set_padding((0, GAP));
        column.set_cell_alignment(if right { CellAlignment::Right } else { CellAlignment::Left });
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["model", "ttft"], ["鳥 é", "12.25"], ["", "9"]].map(|row| row.map(str::to_owned));
        assert_eq!(aligned(rows, &[false, true]), "model   ttft\n鳥 é   12.25\n           9");
    }
}
