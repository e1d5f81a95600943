//! Tables that are too large to be in memory as a whole.

use super::super::{Bounds, Gathered, Order, Place, Readings, Roles, Split, SplitOptions, Store};
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
