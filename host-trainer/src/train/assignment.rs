//! Assignment problems: who goes with whom at the least total cost.

/// A column for every row, all different, of the least sum of `cost[row * n + column]`, by shortest augmenting paths
/// (Crouse, "On implementing 2D rectangular assignment algorithms", 2016): O(n³), and the same for the same costs.
///
/// # Panics
/// If there are not n² costs.
pub(super) fn assign(n: usize, cost: &[f32]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    assert_eq!(cost.len(), n * n, "a cost for every pair");
    // Prices: no pair costs less than those of its row and its column, and the assigned ones just as much.
    let (mut row_price, mut column_price) = (vec![0.0_f64; n], vec![0.0_f64; n]);
    let (mut column_of, mut row_of) = (vec![NONE; n], vec![NONE; n]);
    let (mut length, mut came_from, mut done) = (vec![0.0_f64; n], vec![NONE; n], vec![false; n]);
    for start in 0..n {
        // The shortest path from the row to a column that is free, by way of rows that would change theirs.
        length.fill(f64::INFINITY);
        done.fill(false);
        let (mut row, mut so_far) = (start, 0.0);
        let end = loop {
            let mut nearest = NONE;
            for column in (0..n).filter(|column| !done[*column]) {
                let next = so_far + f64::from(cost[row * n + column]) - row_price[row] - column_price[column];
                if next < length[column] {
                    (length[column], came_from[column]) = (next, row);
                }
                if nearest == NONE || length[column] < length[nearest] {
                    nearest = column;
                }
            }
            done[nearest] = true;
            so_far = length[nearest];
            if row_of[nearest] == NONE {
                break nearest;
            }
            row = row_of[nearest];
        };
        row_price[start] += so_far;
        for column in (0..n).filter(|column| done[*column] && *column != end) {
            column_price[column] -= so_far - length[column];
            row_price[row_of[column]] += so_far - length[column];
        }
        let mut column = end;
        loop {
            let row = came_from[column];
            row_of[column] = row;
            std::mem::swap(&mut column_of[row], &mut column);
            if row == start {
                break;
            }
        }
    }
    column_of
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::assign;

    fn total(n: usize, cost: &[f32], columns: &[usize]) -> f32 {
        columns.iter().enumerate().map(|(row, column)| cost[row * n + column]).sum()
    }

    /// The least total over all permutations of the columns from `fixed` on.
    fn least(n: usize, cost: &[f32], columns: &mut Vec<usize>, fixed: usize) -> f32 {
        if fixed == n {
            return total(n, cost, columns);
        }
        (fixed..n).fold(f32::INFINITY, |so_far, other| {
            columns.swap(fixed, other);
            let total = least(n, cost, columns, fixed + 1);
            columns.swap(fixed, other);
            so_far.min(total)
        })
    }

    #[test]
    fn no_permutation_costs_less() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for n in 0..7 {
            for ties in [false, true] {
                for _ in 0..50 {
                    // Small integers, so that many assignments cost the same.
                    let mut cost = || if ties { rng.random_range(0..3) as f32 } else { rng.random_range(-1.0..9.0) };
                    let cost: Vec<f32> = (0..n * n).map(|_| cost()).collect();
                    let columns = assign(n, &cost);
                    let mut sorted = columns.clone();
                    sorted.sort_unstable();
                    assert!(sorted.into_iter().eq(0..n), "{columns:?}");
                    let least = least(n, &cost, &mut (0..n).collect(), 0);
                    assert!((total(n, &cost, &columns) - least).abs() < 1e-4, "{n}: {cost:?}");
                }
            }
        }
    }
}
