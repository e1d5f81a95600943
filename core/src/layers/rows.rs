//! The rows of a matrix that lies row after row in a slice.

/// From the first row to the last, or back: a `chunks_exact` that leaves no panic path with a width known at run time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    rest: &'a [f32],
    width: usize,
}

/// The rows of `width` elements, without what is left over; none of width 0.
#[inline]
pub(crate) fn rows(matrix: &[f32], width: usize) -> Rows<'_> {
    Rows { rest: if width == 0 { &[] } else { matrix }, width }
}

impl<'a> Iterator for Rows<'a> {
    type Item = &'a [f32];

    #[inline]
    fn next(&mut self) -> Option<&'a [f32]> {
        let (row, rest) = self.rest.split_at_checked(self.width)?;
        if row.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(row)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let rows = self.rest.len().checked_div(self.width).unwrap_or(0);
        (rows, Some(rows))
    }
}

impl DoubleEndedIterator for Rows<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        let (rest, row) = self.rest.split_at_checked(self.rest.len().checked_sub(self.width)?)?;
        if row.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(row)
    }
}

impl ExactSizeIterator for Rows<'_> {}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn rows_come_in_order_from_both_ends() {
        let matrix = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        assert!(rows(&matrix, 2).eq([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        assert!(rows(&matrix, 2).rev().eq([[5.0, 6.0], [3.0, 4.0], [1.0, 2.0]]));
        assert_eq!((rows(&matrix, 2).len(), rows(&matrix, 0).len(), rows(&[], 2).len()), (3, 0, 0));
        assert_eq!(
            (rows(&matrix, 0).next(), rows(&matrix, 0).next_back(), rows(&matrix, 7).next()),
            (None, None, None)
        );
    }
}
