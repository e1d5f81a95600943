//! Cross-conformal calibration: every normal group is scored by a model that was fitted without it.
//!
//! With a fifth of few groups held back, the lowest rate that can be promised is high. With K folds all groups are held back, a
//! K-th part at a time, and all count (Vovk, "Cross-conformal predictors", Annals of Mathematics and Artificial Intelligence 74,
//! 2015). The price is K fits.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::data::{Groups, Incomplete, Matrix, Readings};

/// One part of the groups held back, and the readings of all others.
#[derive(Clone, Debug)]
pub struct Fold {
    /// What is fitted and selected on: groups numbered anew.
    pub rest: Readings,
    /// The rows that are held back, of the readings.
    pub rows: Vec<usize>,
    /// For each of them the number of its group among the readings.
    pub of_rows: Vec<usize>,
    /// Their values, in raw units.
    pub held_back: Matrix,
}

/// The readings' groups in `count` folds of nearly as many groups each, drawn by the seed; `None` without groups, or with fewer
/// than folds.
#[must_use]
pub fn folds(readings: &Readings, count: usize, seed: u64) -> Option<Vec<Fold>> {
    let groups = readings.groups.as_ref().filter(|groups| count >= 2 && groups.count >= count)?;
    let mut order: Vec<usize> = (0..groups.count).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut fold_of = vec![0; groups.count];
    order.iter().enumerate().for_each(|(place, group)| fold_of[*group] = place % count);
    let fold = |number: usize| {
        let (rows, rest): (Vec<usize>, Vec<usize>) =
            (0..readings.values.rows()).partition(|row| fold_of[groups.of_rows[*row]] == number);
        Fold {
            rest: part(readings, groups, &rest),
            of_rows: rows.iter().map(|row| groups.of_rows[*row]).collect(),
            held_back: readings.values.select(&rows),
            rows,
        }
    };
    Some((0..count).map(fold).collect())
}

/// The readings of some rows alone, without incomplete ones.
fn part(readings: &Readings, groups: &Groups, rows: &[usize]) -> Readings {
    let mut numbers = vec![None; groups.count];
    let mut count = 0;
    let of_rows = rows
        .iter()
        .map(|row| {
            *numbers[groups.of_rows[*row]].get_or_insert_with(|| {
                count += 1;
                count - 1
            })
        })
        .collect();
    Readings {
        values: readings.values.select(rows),
        places: readings.places.select(rows),
        groups: Some(Groups { column: groups.column.clone(), of_rows, count }),
        incomplete: Incomplete::default(),
        ..readings.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Roles, Table};

    #[test]
    fn every_group_is_held_back_once_and_whole() {
        let row = |row: usize| format!("{},{}\n", row % 7, row * row % 31);
        let text = "g,x\n".to_owned() + &(0..100).map(row).collect::<String>();
        let roles = Roles { group: Some("g".to_owned()), ..Roles::default() };
        let readings = Readings::for_fitting(&Table::parse("t.csv", text.as_bytes()).unwrap(), &roles).unwrap();
        let folds = folds(&readings, 3, 0).unwrap();
        let mut rows: Vec<usize> = folds.iter().flat_map(|fold| fold.rows.clone()).collect();
        rows.sort_unstable();
        assert_eq!(rows, (0..100).collect::<Vec<_>>());
        for fold in &folds {
            let groups = fold.rest.groups.as_ref().unwrap();
            assert_eq!(fold.rest.values.rows() + fold.rows.len(), 100);
            assert!(groups.of_rows.iter().all(|group| *group < groups.count));
            let held_back: Vec<usize> = fold.of_rows.clone();
            assert!((0..100).all(|row| held_back.contains(&(row % 7)) == fold.rows.contains(&row)));
            let mut distinct = held_back;
            distinct.sort_unstable();
            distinct.dedup();
            assert_eq!(distinct.len() + groups.count, 7);
        }
        assert!(super::folds(&readings, 8, 0).is_none());
    }
}
