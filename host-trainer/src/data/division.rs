//! Gathered readings, divided into those that train, those that select and those that calibrate.

use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::extremes::Usual;
use super::imputation::Imputer;
use super::split::hold_back;
use super::{DataError, Gathered, Large, Matrix, Missing, Order, Place, Places, Readings, Split, SplitOptions, Store};
use crate::calibrate::{attainable_rate, rows_needed};

/// What of a table is in memory beside the rows that are trained on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Values of a table that is there as a whole; those below bound what there is of a larger one.
    pub values: usize,
    /// Values of the sample that standardization and quantization go by.
    pub sampled_values: usize,
    /// Rows of that sample, at least.
    pub sampled: usize,
    /// Rows that calibrate, unless the false-alarm rate needs more.
    pub calibrated: usize,
    /// Rows that early stopping selects on.
    pub selected: usize,
}

impl Bounds {
    /// 32 MiB of values, or a million rows of eight features. Of a larger table, a thousand calibration rows lie above a rate
    /// of 1 %, and a validation costs a quarter of a pass.
    pub const DEFAULT: Self =
        Self { values: 1 << 23, sampled_values: 1 << 22, sampled: 1 << 16, calibrated: 100_000, selected: 1 << 15 };
}

impl Gathered {
    /// Readings and how they are divided, as [`Split::new`] does; of a large table, by a bounded number of rows.
    ///
    /// # Errors
    /// As [`Split::new`], and if the temporary file cannot be used.
    pub fn divide(self, options: &SplitOptions) -> Result<(Readings, Split), DataError> {
        self.divide_within(options, &Bounds::DEFAULT)
    }

    /// The same with other bounds.
    pub(crate) fn divide_within(self, options: &SplitOptions, bounds: &Bounds) -> Result<(Readings, Split), DataError> {
        if !self.is_large(bounds) {
            let readings = self.into_readings()?;
            let split = Split::new(&readings, options)?;
            return Ok((readings, split));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
        let held_back = self.hold_back(options, bounds, &mut rng)?;
        self.divide_large(held_back, options, bounds, &mut rng)
    }

    /// The same where `validation` are the readings that calibration takes, as [`Split::with_validation`] does.
    ///
    /// # Errors
    /// As [`Split::with_validation`], and if the temporary file cannot be used.
    pub fn divide_beside(self, validation: &Readings, options: &SplitOptions) -> Result<(Readings, Split), DataError> {
        if !self.is_large(&Bounds::DEFAULT) {
            let readings = self.into_readings()?;
            let split = Split::with_validation(&readings, validation, options)?;
            return Ok((readings, split));
        }
        let (needed, found) = (rows_needed(options.false_alarm_rate), validation.values.rows());
        if found < needed {
            return Err(too_low(&validation.file, options, needed, found));
        }
        self.divide_large(HeldBack::Nothing, options, &Bounds::DEFAULT, &mut ChaCha8Rng::seed_from_u64(options.seed))
    }

    /// All readings, or of a large table as many as calibrate.
    ///
    /// # Errors
    /// If the temporary file cannot be used.
    pub fn into_validation(mut self, options: &SplitOptions) -> Result<Readings, DataError> {
        if self.is_large(&Bounds::DEFAULT) {
            let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
            let wanted = rows_needed(options.false_alarm_rate).max(Bounds::DEFAULT.calibrated);
            let mut draw = Draw { wanted, left: self.complete.store.rows() };
            let (mut places, mut row) = (Places::default(), 0..);
            let all = std::mem::take(&mut self.complete.places);
            let columns = self.complete.store.columns();
            self = self.transformed(columns, |reading, kept| {
                let place = row.next().map(|row| all.of(row));
                if draw.takes(&mut rng) {
                    kept.extend_from_slice(reading);
                    place.into_iter().for_each(|place| places.push(place));
                }
            })?;
            self.complete.places = places;
        }
        self.into_readings()
    }

    /// Whether there are too many for memory, and enough complete ones to sample.
    fn is_large(&self, bounds: &Bounds) -> bool {
        let rows = self.complete.store.rows() + self.incomplete.store.rows();
        self.complete.store.rows() >= bounds.sampled && rows * self.width() > bounds.values
    }

    /// Which readings of a large table calibrate.
    fn hold_back(&self, options: &SplitOptions, bounds: &Bounds, rng: &mut ChaCha8Rng) -> Result<HeldBack, DataError> {
        let rows = self.complete.store.rows();
        let (needed, most) = (rows_needed(options.false_alarm_rate), rows / 2);
        if needed > most {
            return Err(too_low(self.file(), options, needed, most));
        }
        let share = (rows as f64 * options.calibration).ceil() as usize;
        let target = needed.max(share.min(bounds.calibrated)).min(most);
        if !self.has_groups() {
            return Ok(match options.order {
                Order::Shuffled => HeldBack::Drawn(Draw { wanted: target, left: rows }),
                Order::Ordered => HeldBack::Last { first: rows - target, rows: target },
            });
        }
        let mut sizes = vec![0; self.groups_found()];
        if sizes.len() < 2 {
            return Err(self.too_few_groups());
        }
        self.for_each(|reading| sizes[group(reading)] += 1)?;
        let held = hold_back(sizes.len(), options.order, rng, target, most, |group| sizes[group]);
        let rows: usize = held.iter().map(|group| sizes[*group]).sum();
        if rows < needed {
            return Err(too_low(self.file(), options, needed, rows));
        }
        let mut groups = vec![false; sizes.len()];
        held.into_iter().for_each(|group| groups[group] = true);
        Ok(HeldBack::Groups { groups, rows, draw: Draw { wanted: target.min(rows), left: rows } })
    }

    fn divide_large(
        mut self,
        mut held_back: HeldBack,
        options: &SplitOptions,
        bounds: &Bounds,
        rng: &mut ChaCha8Rng,
    ) -> Result<(Readings, Split), DataError> {
        let (rows, width, has_groups) = (self.complete.store.rows(), self.width(), self.has_groups());
        let rest = rows - held_back.rows();
        let selected = ((rows as f64 * options.selection).ceil() as usize).min(bounds.selected);
        let mut select = Draw { wanted: selected, left: rest };
        let mut sample = Draw { wanted: (bounds.sampled_values / width).max(bounds.sampled), left: rest - selected };
        let [mut sampled, mut selection, mut calibration] = [const { Part::new() }; 3];
        let mut moments = vec![Moments::default(); width];
        let all = std::mem::take(&mut self.complete.places);
        let (mut row, mut first_held) = (0, None);
        self = self.transformed(width, |reading, training| {
            let (values, group) = (&reading[..width], has_groups.then(|| group(reading)));
            let held = held_back.holds(row, group, rng);
            let part = match held {
                Some(calibrates) => calibrates.then_some(&mut calibration),
                None if select.takes(rng) => Some(&mut selection),
                None => {
                    training.extend_from_slice(values);
                    moments.iter_mut().zip(values).for_each(|(moments, value)| moments.add(*value));
                    sample.takes(rng).then_some(&mut sampled)
                }
            };
            if let Some(part) = part {
                part.values.extend_from_slice(values);
                part.places.push(all.of(row));
                part.groups.extend(group);
            }
            if held.is_some() && first_held.is_none() {
                first_held = Some(all.of(row));
            }
            row += 1;
        })?;

        if self.columns.missing == Missing::Impute {
            // One of them with an extreme cell is not trained on either.
            self.incomplete.for_each(&self.columns, |reading| {
                let cells = moments.iter_mut().zip(reading).filter(|(_, value)| !value.is_nan());
                cells.for_each(|(moments, value)| moments.add(*value));
            })?;
        }
        let (wild, extreme) = self.wild(&sampled, &moments)?;
        if extreme > 0 {
            self = self.transformed(width, |reading, kept| {
                if !wild.is_extreme(reading) {
                    kept.extend_from_slice(reading);
                }
            })?;
        }

        let mut split = Split::default();
        let mut together = Part::new();
        for (part, rows) in
            [(sampled, &mut split.train), (selection, &mut split.selection), (calibration, &mut split.calibration)]
        {
            rows.extend(together.places.len()..together.places.len() + part.places.len());
            together.values.extend(part.values);
            together.places.extend(part.places);
            together.groups.extend(part.groups);
        }
        let values = Matrix::new(together.places.len(), width, together.values);
        // Those of the sample were counted where they are trained on.
        split.train.retain(|row| !wild.is_extreme(values.row(*row)));
        split.extreme = split.selection.extract_if(.., |row| wild.is_extreme(values.row(*row))).collect();
        let incomplete = self.incomplete.store.rows();
        let imputed = match self.columns.missing {
            Missing::Impute => {
                let end = first_held.filter(|_| options.order == Order::Ordered);
                self.impute(&values.select(&split.train), &wild, &held_back, end, options.seed)?
            }
            Missing::Error | Missing::Drop => 0,
        };
        let training = Arc::new(std::mem::replace(&mut self.complete.store, Store::new(0, 0)));
        let mut places = Places::default();
        together.places.iter().for_each(|place| places.push(*place));
        let large = Large { training, rows, extreme, incomplete, imputed };
        let readings = self.with(values, places, together.groups);
        Ok((Readings { large: Some(large), ..readings }, split))
    }

    /// Fills in the incomplete rows of a large table by a sample of the complete ones, puts them behind those that are trained
    /// on, and returns how many there are. As in [`Split::new`] these have a cell to go by and no extreme one, are of no group
    /// that is held back, and lie before the `end`, the time that is.
    fn impute(
        &mut self,
        sample: &Matrix,
        wild: &Wild,
        held_back: &HeldBack,
        end: Option<Place>,
        seed: u64,
    ) -> Result<usize, DataError> {
        if sample.rows() == 0 {
            return Ok(0);
        }
        let (width, has_groups, groups) = (self.width(), self.has_groups(), self.groups_of_incomplete());
        let mut imputer = Imputer::of(sample);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Self { columns, complete, incomplete, .. } = self;
        let (mut rows, mut imputed, mut outcome) = (0.., 0, Ok(()));
        let mut filled = Vec::with_capacity(width);
        incomplete.for_each(columns, |reading| {
            let values = &reading[..width];
            let is_late = rows.next().zip(end).is_some_and(|(row, end)| incomplete.places.of(row) >= end);
            let is_held = has_groups && held_back.holds_group(groups[group(reading)]);
            let has_cell = values.iter().any(|value| !value.is_nan());
            if outcome.is_err() || is_late || is_held || !has_cell || wild.is_extreme(values) {
                return;
            }
            filled.clear();
            filled.extend_from_slice(values);
            imputer.fill(&mut filled, &mut rng);
            outcome = complete.store.push(&filled);
            imputed += 1;
        })?;
        outcome.map_err(|error| columns.no_room(error))?;
        Ok(imputed)
    }

    /// What is extreme among readings to train on, by a sample of them and the spread of all, and how many are; nothing is
    /// where so many would be that they are no exceptions.
    fn wild(&self, sampled: &Part, moments: &[Moments]) -> Result<(Wild, usize), DataError> {
        let usual = |(column, spread): (usize, &Moments)| {
            let values = sampled.values.iter().skip(column).step_by(moments.len()).copied().collect();
            Usual::among(values, spread.deviation())
        };
        let wild = Wild { usual: moments.iter().enumerate().map(usual).collect() };
        let mut extreme = 0;
        if wild.usual.iter().any(Option::is_some) {
            self.for_each(|reading| extreme += usize::from(wild.is_extreme(reading)))?;
        }
        let many = extreme * 20 > self.complete.store.rows();
        Ok(if many { (Wild { usual: Vec::new() }, 0) } else { (wild, extreme) })
    }
}

/// What makes a reading of a large table extreme.
struct Wild {
    /// By column; nothing where no value is.
    usual: Vec<Option<Usual>>,
}

impl Wild {
    fn is_extreme(&self, reading: &[f32]) -> bool {
        reading.iter().zip(&self.usual).any(|(value, usual)| usual.is_some_and(|usual| usual.is_extreme(*value)))
    }
}

/// Readings that calibration takes from a large table.
enum HeldBack {
    /// None: they come from another file.
    Nothing,
    /// Any.
    Drawn(Draw),
    /// The last.
    Last { first: usize, rows: usize },
    /// Those of some groups. Of large ones a part is enough; their other rows are not trained on either.
    Groups { groups: Vec<bool>, rows: usize, draw: Draw },
}

impl HeldBack {
    /// How many are not trained on.
    fn rows(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Drawn(draw) => draw.wanted,
            Self::Last { rows, .. } | Self::Groups { rows, .. } => *rows,
        }
    }

    /// Whether a reading is held back, and if so whether it calibrates.
    fn holds(&mut self, row: usize, group: Option<usize>, rng: &mut ChaCha8Rng) -> Option<bool> {
        match self {
            Self::Nothing => None,
            Self::Drawn(draw) => draw.takes(rng).then_some(true),
            Self::Last { first, .. } => (row >= *first).then_some(true),
            Self::Groups { groups, draw, .. } => group.is_some_and(|group| groups[group]).then(|| draw.takes(rng)),
        }
    }

    /// Whether a group is held back, which may be one without complete readings.
    fn holds_group(&self, group: usize) -> bool {
        matches!(self, Self::Groups { groups, .. } if groups.get(group) == Some(&true))
    }
}

/// Chooses so many of the rows to come, any of them with the same probability, in one pass (selection sampling; Knuth,
/// "The Art of Computer Programming", volume 2, section 3.4.2, algorithm S).
#[derive(Debug)]
struct Draw {
    wanted: usize,
    left: usize,
}

impl Draw {
    fn takes(&mut self, rng: &mut ChaCha8Rng) -> bool {
        if self.wanted == 0 {
            return false;
        }
        let takes = rng.random_range(0..self.left) < self.wanted;
        self.left -= 1;
        self.wanted -= usize::from(takes);
        takes
    }
}

/// Readings in memory.
struct Part {
    values: Vec<f32>,
    places: Vec<Place>,
    groups: Vec<usize>,
}

impl Part {
    const fn new() -> Self {
        Self { values: Vec::new(), places: Vec::new(), groups: Vec::new() }
    }
}

/// The spread of values that come one after the other (Welford, "Note on a method for calculating corrected sums of squares
/// and products", 1962).
#[derive(Clone, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f32) {
        let value = f64::from(value);
        self.count += 1.0;
        let off = value - self.mean;
        self.mean += off / self.count;
        self.squares += off * (value - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }
}

/// The group of a stored reading.
fn group(reading: &[f32]) -> usize {
    reading[reading.len() - 1] as usize
}

fn too_low(file: &str, options: &SplitOptions, needed: usize, found: usize) -> DataError {
    let (file, rate) = (file.to_owned(), options.false_alarm_rate);
    DataError::RateTooLow { file, rate, needed, found, attainable: attainable_rate(found) }
}
