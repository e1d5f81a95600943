use super::Matrix;

/// How far from the rest a value may lie, in ranges of the usual values, before it counts as extreme.
const FAR: f64 = 50.0;

/// Where nearly all values of a column lie that has a few extreme ones.
///
/// One reading of 1e9 among thousands near 10, such as a sensor gives that is being plugged in, is nearly all of the
/// column's mean and standard deviation: every other reading becomes the same number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    /// The first hundredth of the values.
    low: f64,
    /// The last.
    high: f64,
}

impl Usual {
    /// `None` for a column without extreme values: its standard deviation is no more than ten times the range between
    /// its first and last hundredth, or that range is nothing, as with a flag that is seldom set.
    ///
    /// Missing values, NaN, do not count.
    pub(super) fn of(mut values: Vec<f32>) -> Option<Self> {
        values.retain(|value| !value.is_nan());
        let count = values.len() as f64;
        let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
        let variance = values.iter().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / count;
        Self::among(values, variance.sqrt())
    }

    /// The same by a sample of the column and the standard deviation of all of it.
    pub(super) fn among(mut sample: Vec<f32>, deviation: f64) -> Option<Self> {
        sample.sort_unstable_by(f32::total_cmp);
        let last = sample.len().checked_sub(1)?;
        let outside = last.div_ceil(100);
        let usual = Self { low: f64::from(sample[outside]), high: f64::from(sample[last - outside]) };
        (usual.range() > 0.0 && 10.0 * usual.range() < deviation).then_some(usual)
    }

    fn range(self) -> f64 {
        self.high - self.low
    }

    /// How far a value lies outside, in ranges; 0 inside.
    pub(super) fn ranges_away(self, value: f32) -> f64 {
        let value = f64::from(value);
        (self.low - value).max(value - self.high).max(0.0) / self.range()
    }

    /// Whether a value is extreme; a missing one, NaN, is not.
    pub(super) fn is_extreme(self, value: f32) -> bool {
        self.ranges_away(value) > FAR
    }
}

/// For each of the given rows whether one of its values is extreme among those rows; none where so many would be that
/// they are no exceptions.
pub(super) fn extreme_rows(values: &Matrix, rows: &[usize]) -> Vec<bool> {
    let usual: Vec<Option<Usual>> = (0..values.columns())
        .map(|column| Usual::of(rows.iter().map(|&row| values.row(row)[column]).collect()))
        .collect();
    let is_extreme = |row: &usize| {
        let mut cells = values.row(*row).iter().zip(&usual);
        cells.any(|(value, usual)| usual.is_some_and(|usual| usual.is_extreme(*value)))
    };
    let extreme: Vec<bool> = rows.iter().map(is_extreme).collect();
    let found = extreme.iter().filter(|is| **is).count();
    if found * 20 > rows.len() { vec![false; rows.len()] } else { extreme }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values between 0 and 1, then the given ones.
    fn with(others: &[f32]) -> Vec<f32> {
        (0..2000).map(|i| ((i * 37) % 1009) as f32 / 1009.0).chain(others.iter().copied()).collect()
    }

    #[test]
    fn only_what_hides_the_rest_is_extreme() {
        assert_eq!(Usual::of(with(&[])), None);
        assert_eq!(Usual::of(with(&[5.0, -20.0])), None);
        assert_eq!(Usual::of((0..2000).map(|i| f32::from(u8::from(i == 7))).collect()), None, "a flag seldom set");
        assert_eq!(Usual::of(Vec::new()), None);
        for wild in [1e4, -1e9, f32::MAX] {
            let usual = Usual::of(with(&[wild])).expect("an extreme value");
            assert!(usual.is_extreme(wild) && !usual.is_extreme(1.2) && !usual.is_extreme(-3.0));
        }
    }

    #[test]
    fn rows_with_an_extreme_cell_are_found_unless_they_are_many() {
        let cells = |wild: usize| with(&[]).into_iter().enumerate().map(move |(i, x)| if i < wild { 1e9 } else { x });
        let matrix = |wild: usize| Matrix::new(1000, 2, cells(wild).collect());
        let rows: Vec<usize> = (0..1000).rev().collect();
        let found = extreme_rows(&matrix(3), &rows);
        assert_eq!((0..1000).filter(|&i| found[i]).collect::<Vec<_>>(), [998, 999]);

        let each = |row: usize, column: usize| if row == column { 1e9 } else { ((row * 37) % 101) as f32 };
        let diagonal = |columns: usize| {
            let cells = (0..100).flat_map(|row| (0..columns).map(move |column| each(row, column))).collect();
            extreme_rows(&Matrix::new(100, columns, cells), &(0..100).collect::<Vec<_>>())
        };
        assert_eq!(diagonal(5).iter().filter(|is| **is).count(), 5);
        assert_eq!(diagonal(6), [false; 100], "a habit");
    }
}
