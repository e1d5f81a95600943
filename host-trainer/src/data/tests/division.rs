//! Tables that are too large to be in memory as a whole.

use super::super::{Bounds, Gathered, Missing, Order, Place, Readings, Roles, Split, SplitOptions, Store};
use super::table;

/// A table of more than one block, whose first column is the row's number.
const ROWS: usize = 6 * Store::BLOCK + 100;

const BOUNDS: Bounds = Bounds { values: 4096, sampled_values: 0, sampled: 500, calibrated: 300, selected: 200 };

fn divided(group: Option<usize>, order: Order, limit: usize, wild: usize) -> (Readings, Split) {
    let row = |row: usize| {
        let value = if (1000..1000 + wild).contains(&row) { 1e9 } else { ((row * 37) % 1009) as f32 };
        format!("{row},{value},{}\n", row / group.unwrap_or(1))
    };
    let text = "a,b,run\n".to_owned() + &(0..ROWS).map(row).collect::<String>();
    let name = Some("run".to_owned());
    let roles = match group {
        Some(_) => Roles { group: name, ..Roles::default() },
        None => Roles { ignore: name.into_iter().collect(), ..Roles::default() },
    };
    let table = table(&text);
    let gathered = Gathered::of_table(&table, &roles, limit).unwrap();
    gathered.divide_within(&SplitOptions { order, seed: 3, ..SplitOptions::default() }, &BOUNDS).unwrap()
}

/// The numbers of the rows that are trained on.
fn training(readings: &Readings) -> Vec<usize> {
    let store = &readings.large.as_ref().expect("a large table").training;
    let mut values = Vec::new();
    (0..store.blocks()).for_each(|block| store.read(block, &mut values).unwrap());
    values.chunks_exact(2).map(|row| row[0] as usize).collect()
}

/// Those of rows in memory.
fn numbers(readings: &Readings, rows: &[usize]) -> Vec<usize> {
    rows.iter().map(|row| readings.values.row(*row)[0] as usize).collect()
}

#[test]
fn held_back_rows_are_bounded_and_never_trained_on() {
    for (group, order) in [(None, Order::Shuffled), (None, Order::Ordered), (Some(50), Order::Shuffled)] {
        let (readings, split) = divided(group, order, usize::MAX, 0);
        let [sample, selection, calibration] =
            [&split.train, &split.selection, &split.calibration].map(|rows| numbers(&readings, rows));
        assert_eq!([&sample, &selection, &calibration].map(Vec::len), [500, 200, 300]);
        let trained = training(&readings);
        assert!(trained.is_sorted() && trained.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!((trained.len(), readings.count()), (ROWS - 500, ROWS));
        let is_trained = |row: &usize| trained.binary_search(row).is_ok();
        assert!(sample.iter().all(is_trained));
        assert!(!selection.iter().chain(&calibration).any(is_trained));
        match (group, order) {
            (_, Order::Ordered) => assert!(calibration.into_iter().eq(ROWS - 300..ROWS)),
            (Some(size), _) => {
                let held: Vec<usize> = calibration.iter().map(|row| row / size).collect();
                assert!(trained.iter().chain(&selection).all(|row| !held.contains(&(row / size))));
            }
            _ => assert!(calibration[0] < ROWS / 10 && calibration[299] > ROWS - ROWS / 10, "from all of the table"),
        }
        // The header is line 1.
        let places = (0..readings.values.rows()).map(|row| readings.places.of(row));
        assert!(places.eq(readings.values.column(0).map(|number| Place::Line(number as u64 + 2))));
    }
}

#[test]
fn where_the_rows_are_kept_does_not_matter() {
    let (memory, its) = divided(Some(50), Order::Shuffled, usize::MAX, 3);
    let (file, ours) = divided(Some(50), Order::Shuffled, 0, 3);
    let in_file = |readings: &Readings| readings.large.as_ref().is_some_and(|large| large.training.is_in_file());
    assert_eq!((in_file(&memory), in_file(&file)), (false, true));
    assert_eq!(its, ours);
    assert_eq!(memory.values, file.values);
    assert_eq!(training(&memory), training(&file));
}

#[test]
fn extreme_rows_are_not_trained_on_unless_they_are_many() {
    let (readings, split) = divided(None, Order::Ordered, usize::MAX, 3);
    assert_eq!(readings.extreme(&split), 3);
    let trained = training(&readings);
    assert!((1000..1003).all(|row| trained.binary_search(&row).is_err()));
    let (readings, split) = divided(None, Order::Ordered, usize::MAX, ROWS / 10);
    assert_eq!(readings.extreme(&split), 0);
}

/// Every seventh row lacks its second cell, one lacks both, and one of those is extreme.
fn with_gaps(missing: Missing, group: Option<usize>, order: Order, limit: usize) -> (Readings, Split) {
    let row = |row: usize| {
        let run = row / group.unwrap_or(1);
        match row {
            4 => format!(",,{run}\n"),
            11 => format!("1e9,,{run}\n"),
            _ if row % 7 == 4 => format!("{row},,{run}\n"),
            // Without noise the first cell would tell the second.
            _ => format!("{row},{},{run}\n", 3 * row + (row * 37) % 1009),
        }
    };
    let text = "a,b,run\n".to_owned() + &(0..ROWS).map(row).collect::<String>();
    let name = Some("run".to_owned());
    let roles = match group {
        Some(_) => Roles { group: name, missing, ..Roles::default() },
        None => Roles { ignore: name.into_iter().collect(), missing, ..Roles::default() },
    };
    let gathered = Gathered::of_table(&table(&text), &roles, limit).unwrap();
    gathered.divide_within(&SplitOptions { order, seed: 3, ..SplitOptions::default() }, &BOUNDS).unwrap()
}

#[test]
fn incomplete_rows_of_a_large_table_are_filled_in_where_they_share_nothing_with_calibration() {
    let (rows, gaps) = (ROWS, (0..ROWS).filter(|row| row % 7 == 4).count());
    for (group, order) in [(None, Order::Shuffled), (None, Order::Ordered), (Some(50), Order::Shuffled)] {
        let (dropped, split) = with_gaps(Missing::Drop, group, order, usize::MAX);
        assert_eq!((dropped.count(), dropped.incomplete(), dropped.imputed(&split)), (rows - gaps, gaps, 0));
        let (filled, split) = with_gaps(Missing::Impute, group, order, usize::MAX);
        assert_eq!((filled.count(), filled.incomplete()), (rows - gaps, gaps));
        let (complete, all) = (training(&dropped), training(&filled));
        assert_eq!(all[..complete.len()], complete, "the complete ones are divided as ever");
        let imputed = &all[complete.len()..];
        assert_eq!((imputed.len(), filled.trained(&split)), (filled.imputed(&split), all.len()));
        let calibration = numbers(&filled, &split.calibration);
        let held = |row: usize| match (group, order) {
            (Some(size), _) => calibration.iter().any(|calibrates| calibrates / size == row / size),
            (None, Order::Ordered) => row >= calibration[0],
            (None, Order::Shuffled) => false,
        };
        let expected = (0..ROWS).filter(|row| row % 7 == 4 && ![4, 11].contains(row) && !held(*row));
        assert!(imputed.iter().copied().eq(expected));
        let store = &filled.large.as_ref().unwrap().training;
        let mut last = Vec::new();
        store.read(store.blocks() - 1, &mut last).unwrap();
        for row in last[last.len() - 2 * 50..].chunks_exact(2) {
            let off = row[1] - 3.0 * row[0];
            assert!((-1000.0..2000.0).contains(&off), "{row:?}: by the other cell");
        }
    }
}

#[test]
fn where_incomplete_rows_are_kept_does_not_matter() {
    let [memory, file] = [usize::MAX, 0].map(|limit| with_gaps(Missing::Impute, Some(50), Order::Shuffled, limit));
    assert_eq!(memory.1, file.1);
    let whole = |readings: &Readings| {
        let store = &readings.large.as_ref().unwrap().training;
        let mut values = Vec::new();
        (0..store.blocks()).for_each(|block| store.read(block, &mut values).unwrap());
        (store.is_in_file(), values)
    };
    let ((_, ours), (in_file, its)) = (whole(&memory.0), whole(&file.0));
    assert!(in_file && ours == its);
}
