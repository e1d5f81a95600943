//! Scoring on the host: the tree of a model's layers, each the core's own view with shapes at run time.
//!
//! The tree has the shape of the model's type, since log-determinants are summed as the chains nest. Every operation on a
//! number is the core's, so the results have the device's bits.

use flowlet::calibration::CalibrationView;
use flowlet::flow::{check_finite, check_support};
use flowlet::model_file::MOST_FEATURES;
use flowlet::monitor::SettingsView;
use flowlet::real::Scalar;
use flowlet::terms::{Order, check_slopes};
use flowlet::{Assessment, Fixed, ReadingError, Real, Term};
use rand::Rng;

use super::architecture::{Architecture, Arithmetic, Monitor};
use crate::base::BaseView;
use crate::layers::View;
use crate::layers::{scalar, slice};
use crate::net::rows::ROWS;

/// A model's layers and calibration, ready to score.
#[derive(Debug)]
pub struct Scorer<'a> {
    features: usize,
    context: usize,
    layers: Box<dyn View + 'a>,
    base: Box<dyn BaseView + 'a>,
    arithmetic: Arithmetic,
    samples: bool,
    calibration: CalibrationView<'a>,
    monitor: Option<SettingsView<'a>>,
}

impl<'a> Scorer<'a> {
    /// The model of `architecture` whose image is `body`, 4-aligned; `None` when the lengths differ.
    #[must_use]
    pub fn new(architecture: &Architecture, body: &'a [u8]) -> Option<Self> {
        let mut bytes = body;
        let layers = architecture.layers.view(&mut bytes)?;
        let base = architecture.base.kind().view(&mut bytes)?;
        let samples = architecture.samples();
        let knots = architecture.calibration.knots;
        let calibration = CalibrationView {
            scores: slice(&mut bytes, knots)?,
            above: slice(&mut bytes, knots)?,
            rows: scalar(&mut bytes)?,
            threshold: scalar(&mut bytes)?,
            false_alarm_rate: scalar(&mut bytes)?,
        };
        let monitor = match &architecture.monitor {
            Some(monitor) => Some(settings(monitor, &mut bytes)?),
            None => None,
        };
        let (features, context) = (architecture.features, architecture.context);
        let arithmetic = architecture.arithmetic;
        bytes.is_empty().then_some(Self { features, context, layers, base, arithmetic, samples, calibration, monitor })
    }

    /// The base coordinates of a reading, and its log-density, in a scalar and with the layers' and the base's mathematics in
    /// it.
    fn density<T: Scalar>(
        &self,
        (reading, context): (&[f32], &[f32]),
        inverse: impl Fn(&mut [T], &[T]) -> T,
        base: impl Fn(&[T]) -> T,
    ) -> Result<(Vec<f32>, Result<f32, ReadingError>), ReadingError> {
        let (mut z, context) = self.read::<T>(reading, context)?;
        let log_det = inverse(&mut z, &context);
        check_support(log_det)?;
        let log_prob = log_prob(base(&z), log_det);
        Ok((z.into_iter().map(T::to_f32).collect(), log_prob))
    }

    /// A reading and its context in a scalar: as many values as the model has, and all of them finite.
    fn read<T: Scalar>(&self, reading: &[f32], context: &[f32]) -> Result<(Vec<T>, Vec<T>), ReadingError> {
        for (expected, found) in [(self.features, reading.len()), (self.context, context.len())] {
            if expected != found {
                return Err(ReadingError::WrongLength { expected, found });
            }
        }
        let read = |values: &[f32]| -> Vec<T> { values.iter().map(|value| T::from_f32(*value)).collect() };
        let (reading, context) = (read(reading), read(context));
        check_finite(&reading, &context)?;
        Ok((reading, context))
    }

    /// The conditional terms of a reading's log-density, in their order, which is that of [`super::Model::order`]; as
    /// [`flowlet::Flow::conditional_terms`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    ///
    /// # Panics
    /// If the model has no order.
    pub fn conditional_terms(
        &self,
        order: &Order<MOST_FEATURES>,
        reading: &[f32],
        context: &[f32],
    ) -> Result<Vec<Term>, ReadingError> {
        let (given, layers, base) = ((reading, context), &self.layers, &self.base);
        match self.arithmetic {
            Arithmetic::F32SeparateMultiplyAdd => self.terms(
                order,
                given,
                |x, log_slopes, context| layers.inverse_slopes(x, log_slopes, context),
                |z, log_probs| base.terms(z, log_probs),
            ),
            Arithmetic::Fixed16Saturating => self.terms(
                order,
                given,
                |x, log_slopes, context| layers.inverse_slopes_fixed(x, log_slopes, context),
                |z, log_probs| base.terms_fixed(z, log_probs),
            ),
        }
    }

    /// The terms in a scalar, with the layers' and the base's mathematics in it.
    fn terms<T: Scalar>(
        &self,
        order: &Order<MOST_FEATURES>,
        (reading, context): (&[f32], &[f32]),
        inverse: impl Fn(&mut [T], &mut [T], &[T]),
        base: impl Fn(&mut [T], &mut [T]),
    ) -> Result<Vec<Term>, ReadingError> {
        let (mut z, context) = self.read::<T>(reading, context)?;
        let mut log_probs = vec![T::ZERO; z.len()];
        inverse(&mut z, &mut log_probs, &context);
        check_slopes(&log_probs)?;
        base(&mut z, &mut log_probs);
        Ok((0..z.len()).map(|n| order.term(n, &z, &log_probs)).collect())
    }

    fn both(&self, reading: &[f32], context: &[f32]) -> Result<(Vec<f32>, Result<f32, ReadingError>), ReadingError> {
        let (layers, base) = (&self.layers, &self.base);
        match self.arithmetic {
            Arithmetic::F32SeparateMultiplyAdd => {
                self.density((reading, context), |x, context| layers.inverse(x, context), |z| base.log_prob(z))
            }
            Arithmetic::Fixed16Saturating => self.density(
                (reading, context),
                |x, context| layers.inverse_fixed(x, context),
                |z| base.log_prob_fixed(z),
            ),
        }
    }

    /// The log-density, as [`flowlet::Flow::log_prob`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn log_prob(&self, reading: &[f32], context: &[f32]) -> Result<f32, ReadingError> {
        self.both(reading, context)?.1
    }

    /// The base coordinates, as [`flowlet::Flow::latent`], to the bit (rounded to f32 where they are in fixed point).
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn latent(&self, reading: &[f32], context: &[f32]) -> Result<Vec<f32>, ReadingError> {
        self.both(reading, context).map(|(z, _)| z)
    }

    /// Score, p-value and alarm, as [`flowlet::Detector::assess`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn assess(&self, reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError> {
        Ok(self.assessment(self.log_prob(reading, context)?))
    }

    fn assessment(&self, log_prob: f32) -> Assessment {
        let p_value = match self.arithmetic {
            Arithmetic::F32SeparateMultiplyAdd => self.calibration.p_value::<f32>(-log_prob),
            Arithmetic::Fixed16Saturating => self.calibration.p_value::<Fixed>(-log_prob),
        };
        Assessment { log_prob, p_value, alarm: self.calibration.alarm(-log_prob) }
    }

    /// Gives the log-densities of up to [`ROWS`] readings, each with its context behind it, in order: as [`Self::log_prob`] of each.
    fn log_probs<'r>(
        &self,
        readings: impl ExactSizeIterator<Item = &'r [f32]>,
        mut give: impl FnMut(Result<f32, ReadingError>),
    ) {
        let (features, context) = (self.features, self.context);
        let expected = features + context;
        let check = |reading: &'r [f32]| {
            let found = reading.len();
            let (reading, context) = reading
                .split_at_checked(features)
                .filter(|_| found == expected)
                .ok_or(ReadingError::WrongLength { expected, found })?;
            check_finite(reading, context).map(|()| (reading, context))
        };
        if self.arithmetic != Arithmetic::F32SeparateMultiplyAdd || readings.len() > ROWS {
            let one = |reading| check(reading).and_then(|(reading, context)| self.log_prob(reading, context));
            return readings.map(one).for_each(give);
        }
        let rows = readings.len();
        let mut lanes = vec![[0.0; ROWS]; expected];
        let mut checked = [Ok(()); ROWS];
        for (row, (reading, checked)) in readings.zip(&mut checked).enumerate() {
            *checked = check(reading).map(|_| ());
            // The others stay zeros: what comes of them is not looked at.
            if checked.is_ok() {
                lanes.iter_mut().zip(reading).for_each(|(lanes, value)| lanes[row] = *value);
            }
        }
        let (x, context) = lanes.split_at_mut(features);
        let log_dets = self.layers.inverse_rows(x, context);
        let of_base = self.base.log_prob_rows(x);
        for ((checked, log_det), of_base) in checked.into_iter().zip(log_dets).zip(of_base).take(rows) {
            give(checked.and_then(|()| check_support(log_det)).and_then(|()| log_prob(of_base, log_det)));
        }
    }

    /// Gives what [`Self::assess`] says of up to [`ROWS`] readings, each with its context behind it, in order.
    pub fn assess_rows<'r>(
        &self,
        readings: impl ExactSizeIterator<Item = &'r [f32]>,
        mut give: impl FnMut(Result<Assessment, ReadingError>),
    ) {
        self.log_probs(readings, |log_prob| give(log_prob.map(|log_prob| self.assessment(log_prob))));
    }

    /// Base coordinates and log-density in double precision, on the same stored values: what single precision is
    /// measured against.
    #[must_use]
    pub fn log_prob_f64(&self, reading: &[f64], context: &[f64]) -> (Vec<f64>, f64) {
        let mut z = reading.to_vec();
        let log_det = self.layers.inverse_f64(&mut z, context);
        let log_prob = self.base.log_prob_f64(&z) + log_det;
        (z, log_prob)
    }

    /// Whether readings can be drawn: the layers have the direction base -> data.
    #[must_use]
    pub fn samples(&self) -> bool {
        self.samples
    }

    /// A reading drawn from the density, as [`flowlet::Flow::sample`], to the bit.
    ///
    /// # Panics
    /// If [`Scorer::samples`] says that none can be drawn.
    pub fn sample(&self, rng: &mut impl Rng, context: &[f32]) -> Vec<f32> {
        assert!(self.samples, "the layers have no direction base -> data");
        let mut x = self.base.sample(rng);
        match self.arithmetic {
            Arithmetic::F32SeparateMultiplyAdd => {
                self.layers.forward(&mut x, context);
                x
            }
            Arithmetic::Fixed16Saturating => {
                let read =
                    |values: &[f32]| -> Vec<Fixed> { values.iter().map(|value| Fixed::from_f32(*value)).collect() };
                let (mut x, context) = (read(&x), read(context));
                self.layers.forward_fixed(&mut x, &context);
                x.into_iter().map(Fixed::to_f32).collect()
            }
        }
    }

    /// From scores to p-values and alarms.
    #[must_use]
    pub fn calibration(&self) -> &CalibrationView<'a> {
        &self.calibration
    }

    /// What a monitor needs, if the model has it.
    #[must_use]
    pub fn monitor(&self) -> Option<&SettingsView<'a>> {
        self.monitor.as_ref()
    }
}

/// The settings of a monitor at the start of `bytes`, which moves behind them; `None` when they are too few.
fn settings<'a>(monitor: &Monitor, bytes: &mut &'a [u8]) -> Option<SettingsView<'a>> {
    let (features, tail) = (monitor.features, monitor.tail);
    Some(SettingsView {
        low: slice(bytes, features)?,
        high: slice(bytes, features)?,
        longest_run: slice(bytes, features)?,
        mean: slice(bytes, features)?,
        deviation: slice(bytes, features)?,
        regression: slice(bytes, features * features)?,
        residual: slice(bytes, features)?,
        tail_scores: slice(bytes, tail)?,
        tail_p_values: slice(bytes, tail)?,
        drift_rate: scalar(bytes)?,
        drift_bound: scalar(bytes)?,
        threshold: scalar(bytes)?,
        needed: scalar(bytes)?,
        of: scalar(bytes)?,
        release: scalar(bytes)?,
        faults: scalar(bytes)?,
        cusum_reference: scalar(bytes)?,
        cusum_cap: scalar(bytes)?,
        cusum_limit: scalar(bytes)?,
        golden: slice(bytes, features)?,
        golden_log_prob: scalar(bytes)?,
    })
}

/// The log-density of a reading, given that of the base and the log-determinant of the way there.
fn log_prob<T: Scalar>(of_base: T, log_det: T) -> Result<f32, ReadingError> {
    let infinite = T::from_f32(f32::INFINITY);
    if log_det == infinite {
        return Err(ReadingError::Singular);
    }
    let (log_prob, least) = (of_base + log_det, T::from_f32(f32::MIN));
    Ok(if log_prob > least && log_prob != infinite { log_prob } else { least }.to_f32())
}
