use super::super::{Missing, Order, Place, Places, Readings, Roles, Split, SplitOptions};
use super::fit;
use crate::calibrate::rows_needed;

fn readings(rows: usize, rows_of_group: Option<usize>) -> Readings {
    let row = |i: usize| format!("{},{},{}\n", (i * 37) % 1009, (i * i) % 1013, i / rows_of_group.unwrap_or(rows));
    let text = (0..rows).fold("a,b,run\n".to_owned(), |text, i| text + &row(i));
    let roles = match rows_of_group {
        Some(_) => Roles { group: Some("run".to_owned()), ..Roles::default() },
        None => Roles { ignore: vec!["run".to_owned()], ..Roles::default() },
    };
    fit(&text, &roles).unwrap()
}

fn options(false_alarm_rate: f32, order: Order, seed: u64) -> SplitOptions {
    SplitOptions { false_alarm_rate, order, seed, ..SplitOptions::default() }
}

fn all_rows(split: &Split) -> Vec<usize> {
    let mut rows = [&split.train[..], &split.selection, &split.calibration, &split.extreme].concat();
    rows.sort_unstable();
    rows
}

#[test]
fn every_row_is_in_one_part_and_calibration_suffices_for_the_rate() {
    for rows in [139, 198, 250, 1000, 3000] {
        for rate in [0.01, 0.05, 0.5] {
            for order in [Order::Shuffled, Order::Ordered] {
                for group in [None, Some(10), Some(33)] {
                    let readings = readings(rows, group);
                    let Ok(split) = Split::new(&readings, &options(rate, order, 3)) else {
                        assert!(rows / 2 < rows_needed(rate) + group.unwrap_or(0), "{rows} {rate} {group:?}");
                        continue;
                    };
                    assert_eq!(all_rows(&split), (0..rows).collect::<Vec<_>>());
                    assert!(split.calibration.len() >= rows_needed(rate).max(rows / 5));
                    assert!(split.calibration.len() <= rows / 2);
                    assert_eq!(split.selection.len(), rows.div_ceil(10));
                    assert!(split.calibration.is_sorted() && !split.train.is_sorted());
                }
            }
        }
    }
}

#[test]
fn groups_are_held_back_whole_and_selection_is_on_rows_of_any_group() {
    let readings = readings(1000, Some(20));
    let split = Split::new(&readings, &options(0.01, Order::Shuffled, 5)).unwrap();
    let group = |row: &usize| row / 20;
    assert_eq!(split.calibration.len(), 200);
    assert!(
        split
            .train
            .iter()
            .chain(&split.selection)
            .all(|row| { split.calibration.iter().all(|held_back| group(held_back) != group(row)) })
    );
    let trained_groups: Vec<usize> = split.train.iter().map(group).collect();
    assert!(split.selection.iter().all(|row| trained_groups.contains(&group(row))));
}

#[test]
fn a_group_of_more_than_half_the_rows_is_trained_on() {
    let mut readings = readings(1000, Some(20));
    let groups = readings.groups.as_mut().unwrap();
    groups.of_rows = (0..1000).map(|row| usize::from(row >= 300)).collect();
    groups.count = 2;
    for seed in 0..4 {
        let split = Split::new(&readings, &options(0.01, Order::Shuffled, seed)).unwrap();
        assert_eq!(split.calibration, (0..300).collect::<Vec<_>>());
    }
}

#[test]
fn ordered_holds_back_the_last() {
    let split = Split::new(&readings(1000, None), &options(0.01, Order::Ordered, 5)).unwrap();
    assert_eq!(split.calibration, (800..1000).collect::<Vec<_>>());
    let split = Split::new(&readings(1000, Some(30)), &options(0.01, Order::Ordered, 5)).unwrap();
    assert_eq!(split.calibration, (780..1000).collect::<Vec<_>>());
}

#[test]
fn another_file_leaves_all_rows_to_training() {
    let readings = readings(500, None);
    let split = Split::with_validation(&readings, &readings, &SplitOptions::default()).unwrap();
    assert_eq!((split.train.len(), split.selection.len(), split.calibration.len()), (450, 50, 0));
    assert_eq!(all_rows(&split), (0..500).collect::<Vec<_>>());
}

#[test]
fn extreme_rows_are_kept_from_training_and_selection() {
    let mut readings = readings(1000, None);
    for wild in [150, 790, 900] {
        readings.values.values_mut()[2 * wild + 1] = 1e9;
    }
    let split = Split::new(&readings, &options(0.01, Order::Ordered, 5)).unwrap();
    assert_eq!(split.extreme, [150, 790]);
    assert_eq!((split.train.len(), split.selection.len(), split.calibration.len()), (698, 100, 200));
    assert!(split.train.iter().chain(&split.selection).all(|row| ![150, 790].contains(row)));
    assert!(split.calibration.contains(&900), "the rate is promised for readings as they come");
}

#[test]
fn the_seed_decides() {
    let readings = readings(1000, Some(10));
    let split = |seed| Split::new(&readings, &options(0.01, Order::Shuffled, seed)).unwrap();
    assert_eq!(split(1), split(1));
    assert_ne!(split(1).calibration, split(2).calibration);
}

/// As [`readings`], every seventh row without its first cell, and one without any.
fn with_gaps(missing: Missing, rows_of_group: usize, wild: bool) -> Readings {
    let row = |i: usize| match i {
        4 => format!(",,{}\n", i / rows_of_group),
        11 if wild => format!(",1e9,{}\n", i / rows_of_group),
        _ if i % 7 == 4 => format!(",{},{}\n", (i * i) % 1013, i / rows_of_group),
        _ => format!("{},{},{}\n", (i * 37) % 1009, (i * i) % 1013, i / rows_of_group),
    };
    let text = (0..1000).fold("a,b,run\n".to_owned(), |text, i| text + &row(i));
    fit(&text, &Roles { group: Some("run".to_owned()), missing, ..Roles::default() }).unwrap()
}

/// Which row of the table a reading is: the header is line 1.
fn at(places: &Places, reading: usize) -> usize {
    match places.of(reading) {
        Place::Line(line) => line as usize - 2,
        Place::Row { .. } => unreachable!("CSV has lines"),
    }
}

#[test]
fn incomplete_rows_are_trained_on_only_where_they_share_nothing_with_calibration() {
    let readings = with_gaps(Missing::Impute, 20, false);
    assert_eq!((readings.values.rows(), readings.incomplete()), (857, 143));
    for order in [Order::Shuffled, Order::Ordered] {
        let split = Split::new(&readings, &options(0.01, order, 5)).unwrap();
        assert_eq!(all_rows(&split), (0..857).collect::<Vec<_>>(), "the complete ones are divided as ever");
        let held_back: Vec<usize> = split.calibration.iter().map(|&row| at(&readings.places, row) / 20).collect();
        let expected = |&row: &usize| {
            let place = at(&readings.incomplete.places, row);
            let later = order == Order::Ordered && place >= at(&readings.places, split.calibration[0]);
            place != 4 && !held_back.contains(&(place / 20)) && !later
        };
        assert_eq!(split.imputed, (0..143).filter(expected).collect::<Vec<_>>());
        assert!(split.imputed.len() > 80, "{}", split.imputed.len());
        let training = split.training(&readings, 0);
        assert_eq!(training.rows(), split.train.len() + split.imputed.len());
        assert!(training.values().iter().all(|value| value.is_finite()));
        assert_eq!(training, split.training(&readings, 0));
        assert_ne!(training, split.training(&readings, 1));
    }
    let dropped = Split::new(&with_gaps(Missing::Drop, 20, false), &options(0.01, Order::Shuffled, 5)).unwrap();
    assert!(dropped.imputed.is_empty());
}

#[test]
fn incomplete_rows_with_an_extreme_value_are_left_out() {
    let imputed = |wild: bool| {
        let readings = with_gaps(Missing::Impute, 20, wild);
        let split = Split::with_validation(&readings, &readings, &options(0.01, Order::Shuffled, 5)).unwrap();
        assert!(split.extreme.is_empty());
        split.imputed
    };
    let (usual, with_wild) = (imputed(false), imputed(true));
    // The first row that is incomplete has no cell at all, the second the extreme one.
    assert_eq!(usual, (1..143).collect::<Vec<_>>());
    assert_eq!(with_wild, usual[1..]);
}

#[test]
fn flows_of_a_mixture_select_on_rows_of_their_own() {
    let readings = readings(500, None);
    let split = Split::new(&readings, &options(0.05, Order::Shuffled, 2)).unwrap();
    assert_eq!(split.of_member(0), split);
    let parts: Vec<Split> = (0..4).map(|member| split.of_member(member)).collect();
    for part in &parts {
        assert_eq!(all_rows(part), all_rows(&split));
        assert_eq!((&part.calibration, part.selection.len()), (&split.calibration, split.selection.len()));
    }
    let mut selected: Vec<usize> = parts.iter().flat_map(|part| part.selection.clone()).collect();
    selected.sort_unstable();
    selected.dedup();
    assert_eq!(selected.len(), 4 * split.selection.len(), "no row twice");
}
