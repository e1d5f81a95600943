use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::extremes::extreme_rows;
use super::{DataError, Matrix, Missing, Readings, impute};
use crate::calibrate::{attainable_rate, rows_needed};

/// Which readings calibration holds back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Any, drawn by the seed.
    #[default]
    Shuffled,
    /// The last, for readings in the order of time whose neighbours are alike.
    Ordered,
}

/// How readings are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitOptions {
    /// Which readings calibration holds back.
    pub order: Order,
    /// The share of normal readings that may raise an alarm: calibration needs the more readings the lower it is.
    pub false_alarm_rate: f32,
    /// The part of the readings that early stopping selects on.
    pub selection: f64,
    /// The part of the readings that calibration holds back, if the false-alarm rate does not need more.
    pub calibration: f64,
    /// Decides which.
    pub seed: u64,
}

impl Default for SplitOptions {
    fn default() -> Self {
        Self { order: Order::Shuffled, false_alarm_rate: 0.01, selection: 0.1, calibration: 0.2, seed: 0 }
    }
}

/// Row numbers of the readings, divided: every row is in one part only.
///
/// Early stopping selects on shuffled rows: on whole groups it stops too early. Calibration takes rows that nothing
/// else has seen, and whole groups where there are any: rows of a group that was trained on score too well, and the
/// threshold would be too low for the next group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// Rows that are trained on, shuffled.
    pub train: Vec<usize>,
    /// Rows that early stopping selects on, shuffled.
    pub selection: Vec<usize>,
    /// Rows that calibration holds back, in the order of the file; none where they come from another file.
    pub calibration: Vec<usize>,
    /// Rows with a value so far off that it would hide all others, in the order of the file: neither trained nor selected
    /// on. Calibration keeps its own, as it promises a rate for readings as they come.
    pub extreme: Vec<usize>,
    /// Of the readings' incomplete rows those that are trained on, filled in. Nothing selects or calibrates on them: a
    /// device refuses a reading with a missing value, so the rate is promised for complete ones.
    pub imputed: Vec<usize>,
}

impl Split {
    /// Three parts of the readings.
    ///
    /// # Errors
    /// If there are too few readings or groups, or too few to hold back for the false-alarm rate.
    pub fn new(readings: &Readings, options: &SplitOptions) -> Result<Self, DataError> {
        let rows = readings.values.rows();
        let needed = rows_needed(options.false_alarm_rate);
        let fewest = fewest_to_fit(readings);
        if rows <= fewest {
            return Err(too_few(readings, fewest + needed, needed));
        }
        let most = (rows / 2).min(rows - fewest);
        let target = needed.max((rows as f64 * options.calibration).ceil() as usize);
        if needed > most {
            return Err(DataError::RateTooLow {
                file: readings.file.clone(),
                rate: options.false_alarm_rate,
                needed,
                found: most,
                attainable: attainable_rate(most),
            });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let held_back = match &readings.groups {
            None => hold_back(rows, options.order, &mut rng, target.min(most), most, |_| 1),
            Some(groups) if groups.count < 2 => {
                let (file, column) = (readings.file.clone(), groups.column.clone());
                return Err(DataError::TooFewGroups { file, column, found: groups.count });
            }
            Some(groups) => {
                let mut members = vec![Vec::new(); groups.count];
                for (row, &group) in groups.of_rows.iter().enumerate() {
                    members[group].push(row);
                }
                let size = |group: usize| members[group].len();
                let held_back = hold_back(groups.count, options.order, &mut rng, target.min(most), most, size);
                held_back.into_iter().flat_map(|group| members[group].iter().copied()).collect()
            }
        };
        if held_back.len() < needed {
            return Err(DataError::RateTooLow {
                file: readings.file.clone(),
                rate: options.false_alarm_rate,
                needed,
                found: held_back.len(),
                attainable: attainable_rate(held_back.len()),
            });
        }
        let mut is_held_back = vec![false; rows];
        held_back.iter().for_each(|&row| is_held_back[row] = true);
        let calibration = (0..rows).filter(|&row| is_held_back[row]).collect();
        let rest = (0..rows).filter(|&row| !is_held_back[row]).collect();
        Ok(Self::train_and_select(readings, rest, calibration, options, &mut rng))
    }

    /// Two parts of the readings, as `validation` are those that calibration takes.
    ///
    /// # Errors
    /// If there are too few readings of either.
    pub fn with_validation(
        readings: &Readings,
        validation: &Readings,
        options: &SplitOptions,
    ) -> Result<Self, DataError> {
        let rows = readings.values.rows();
        let fewest = fewest_to_fit(readings);
        if rows < fewest {
            return Err(too_few(readings, fewest, 0));
        }
        let (needed, found) = (rows_needed(options.false_alarm_rate), validation.values.rows());
        if found < needed {
            let (file, rate) = (validation.file.clone(), options.false_alarm_rate);
            return Err(DataError::RateTooLow { file, rate, needed, found, attainable: attainable_rate(found) });
        }
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        Ok(Self::train_and_select(readings, (0..rows).collect(), Vec::new(), options, &mut rng))
    }

    /// The division for the k-th of several flows, the first of which has this one: each selects on other rows, as in a
    /// cross-validation, so that together they are trained on all that calibration does not hold back.
    #[must_use]
    pub fn of_member(&self, member: usize) -> Self {
        let Self { train, selection, .. } = self;
        let mut rows = [&selection[..], train].concat();
        let all = rows.len().max(1);
        rows.rotate_left(member * selection.len() % all);
        let train = rows.split_off(selection.len());
        Self { train, selection: rows, ..self.clone() }
    }

    /// The rows that are trained on, in raw units: the complete ones, and behind them those that are filled in, by the
    /// complete ones and the seed.
    ///
    /// # Panics
    /// If the readings are not the ones that were divided.
    pub fn training(&self, readings: &Readings, seed: u64) -> Matrix {
        let complete = readings.values.select(&self.train);
        if self.imputed.is_empty() {
            return complete;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let filled = impute(&complete, &readings.incomplete.values.select(&self.imputed), &mut rng);
        complete.followed_by(&filled)
    }

    /// The incomplete rows that have a cell to go by, and that share nothing with those of calibration: no group, and no
    /// time where that counts.
    fn to_impute(readings: &Readings, calibration: &[usize], order: Order) -> Vec<usize> {
        let incomplete = &readings.incomplete;
        if readings.missing != Missing::Impute {
            return Vec::new();
        }
        let mut held_back = vec![false; readings.groups.as_ref().map_or(0, |groups| groups.count)];
        for (groups, &row) in readings.groups.iter().flat_map(|groups| calibration.iter().map(move |row| (groups, row)))
        {
            held_back[groups.of_rows[row]] = true;
        }
        let end = match (order, calibration.first()) {
            (Order::Ordered, Some(&first)) => Some(readings.places.of(first)),
            _ => None,
        };
        let is_apart = |row: &usize| {
            let in_group = incomplete.groups.get(*row).and_then(|group| held_back.get(*group)).copied();
            end.is_none_or(|end| incomplete.places.of(*row) < end) && !in_group.unwrap_or(false)
        };
        let has_cell = |row: &usize| incomplete.values.row(*row).iter().any(|value| !value.is_nan());
        (0..incomplete.values.rows()).filter(has_cell).filter(is_apart).collect()
    }

    fn train_and_select(
        readings: &Readings,
        rest: Vec<usize>,
        calibration: Vec<usize>,
        options: &SplitOptions,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let complete = readings.values.rows();
        let imputed = Self::to_impute(readings, &calibration, options.order);
        let candidates: Vec<usize> = rest.into_iter().chain(imputed.iter().map(|row| complete + row)).collect();
        let is_extreme = match imputed.is_empty() {
            true => extreme_rows(&readings.values, &candidates),
            false => extreme_rows(&readings.values.clone().followed_by(&readings.incomplete.values), &candidates),
        };
        let part = |extreme: bool| candidates.iter().zip(&is_extreme).filter(move |(_, is)| **is == extreme);
        let part = |extreme: bool| part(extreme).map(|(row, _)| *row).partition(|row| *row < complete);
        let (extreme, _): (Vec<usize>, Vec<usize>) = part(true);
        let (mut rest, imputed): (Vec<usize>, Vec<usize>) = part(false);
        let imputed = imputed.into_iter().map(|row| row - complete).collect();
        rest.shuffle(rng);
        let selected = ((readings.values.rows() as f64 * options.selection).ceil() as usize)
            .clamp(FEWEST_TO_SELECT, rest.len() / 2);
        let selection = rest.split_off(rest.len() - selected);
        Self { train: rest, selection, calibration, extreme, imputed }
    }
}

/// Units (rows or groups) until they have `target` rows; a unit that would make them more than `most` is passed over.
pub(super) fn hold_back(
    units: usize,
    order: Order,
    rng: &mut ChaCha8Rng,
    target: usize,
    most: usize,
    size: impl Fn(usize) -> usize,
) -> Vec<usize> {
    let mut queue: Vec<usize> = (0..units).rev().collect();
    if order == Order::Shuffled {
        queue.shuffle(rng);
    }
    let (mut held_back, mut rows) = (Vec::new(), 0);
    for unit in queue {
        if rows >= target {
            break;
        }
        if rows + size(unit) <= most {
            held_back.push(unit);
            rows += size(unit);
        }
    }
    held_back
}

const FEWEST_TO_SELECT: usize = 8;

/// Fewer rows than this to train and to select on are no basis for a density.
fn fewest_to_fit(readings: &Readings) -> usize {
    FEWEST_TO_SELECT + (4 * readings.features.len()).max(32)
}

fn too_few(readings: &Readings, needed: usize, calibration: usize) -> DataError {
    let (file, found) = (readings.file.clone(), readings.values.rows());
    DataError::TooFewRows { file, found, needed, features: readings.features.len(), calibration }
}
