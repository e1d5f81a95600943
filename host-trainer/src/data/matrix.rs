/// A dense table of readings: one row a reading, one column a feature, stored row after row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A matrix over `values`, given row after row.
    ///
    /// # Panics
    /// If there are not `rows * columns` values.
    pub fn new(rows: usize, columns: usize, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix needs as many values");
        Self { rows, columns, values }
    }

    /// Number of readings.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of features.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row: `rows * columns` of them.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, for change in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// One reading, in the order of the features.
    ///
    /// # Panics
    /// If there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    /// The readings one after the other.
    pub fn iter_rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        (0..self.rows).map(|row| self.row(row))
    }

    /// The values of one feature over all readings.
    pub fn column(&self, column: usize) -> impl Iterator<Item = f32> {
        self.iter_rows().map(move |row| row[column])
    }

    /// The given rows, in the given order.
    ///
    /// # Panics
    /// If one of them does not exist.
    pub fn select(&self, rows: &[usize]) -> Self {
        let values = rows.iter().flat_map(|&row| self.row(row)).copied().collect();
        Self::new(rows.len(), self.columns, values)
    }

    /// These rows, and behind them those of another matrix of as many columns.
    ///
    /// # Panics
    /// If it has more or fewer columns.
    #[must_use]
    pub fn followed_by(mut self, other: &Self) -> Self {
        assert_eq!(self.columns, other.columns, "rows of one matrix are of one length");
        self.values.extend_from_slice(&other.values);
        self.rows += other.rows;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_addressed_alike() {
        let matrix = Matrix::new(3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(matrix.row(1), [3.0, 4.0]);
        assert_eq!(matrix.column(1).collect::<Vec<_>>(), [2.0, 4.0, 6.0]);
        assert_eq!(matrix.iter_rows().len(), 3);
    }

    #[test]
    fn selection_keeps_the_given_order_and_repeats() {
        let matrix = Matrix::new(3, 1, vec![1.0, 2.0, 3.0]);
        assert_eq!(matrix.select(&[2, 0, 2]).values(), [3.0, 1.0, 3.0]);
        assert_eq!(matrix.select(&[]).rows(), 0);
    }
}
