//! A fitted flow: layers, a base, and their parameters.

use std::sync::Arc;

use super::objective::{Worker, log_probs};
use super::options::Options;
use super::random::{Stream, stream};
use super::tape::Tape;
use crate::base::{TrainableBase, TrainedBase, TrainedStandardNormal};
use crate::data::Matrix;
use crate::export::Written;
use crate::layers::{Sequence, Support, Trainable};

/// ln(2 pi).
pub const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// A fitted flow. A row is a reading, followed by its context: D features and C context values, in their own units.
#[derive(Clone, Debug)]
pub struct Flow {
    /// What maps the features' supports onto all numbers, before all else: layers without parameters.
    pub supports: Sequence,
    /// Per column, behind the supports' layers.
    pub mean: Vec<f32>,
    /// Per column, in 1 / the same units: `z = (x - mean) * inverse_scale`.
    pub inverse_scale: Vec<f32>,
    /// Behind the standardization, in the order in which a reading meets them.
    pub sequence: Sequence,
    /// What the layers map the data to.
    pub base: Arc<dyn TrainedBase>,
    /// The layers' parameters, then the base's.
    pub parameters: Vec<f32>,
    features: usize,
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        (&self.mean, &self.inverse_scale, &self.parameters) == (&other.mean, &other.inverse_scale, &other.parameters)
    }
}

impl Flow {
    /// A flow of this shape on `features` columns, the others being context, all parameters zero.
    pub(super) fn zeroed(mean: Vec<f32>, inverse_scale: Vec<f32>, features: usize, options: &Options) -> Self {
        let context = mean.len() - features;
        let sequence = options.architecture.sequence(features, context, options.seed);
        let supports = Sequence::of(Support::layers(&options.architecture.supports));
        let mut flow = Self {
            supports,
            mean,
            inverse_scale,
            sequence,
            base: options.architecture.base(features),
            parameters: Vec::new(),
            features,
        };
        flow.parameters = vec![0.0; flow.layer_parameters() + TrainableBase::<f32>::parameters(&*flow.base)];
        flow
    }

    /// The flow that a fit of this shape starts from, on columns that need no standardization, before any row is seen.
    pub(crate) fn unfitted(features: usize, context: usize, options: &Options) -> Self {
        let columns = features + context;
        let mut flow = Self::zeroed(vec![0.0; columns], vec![1.0; columns], features, options);
        let mut rng = stream(options.seed, Stream::Initialization);
        let of_layers = flow.layer_parameters();
        let (layers, base) = flow.parameters.split_at_mut(of_layers);
        flow.sequence.initialize(layers, &mut rng);
        TrainableBase::<f32>::initialize(&*flow.base, base, &mut rng);
        flow
    }

    /// The number of features.
    pub fn features(&self) -> usize {
        self.features
    }

    /// The number of context values.
    pub fn context(&self) -> usize {
        self.mean.len() - self.features
    }

    /// The normal distribution that a fit begins with: the standardization alone.
    #[must_use]
    pub fn gaussian(&self) -> Self {
        let (features, mean, inverse_scale) = (self.features, self.mean.clone(), self.inverse_scale.clone());
        let (sequence, base) = (Sequence::new(), Arc::new(TrainedStandardNormal { features }));
        Self { supports: self.supports.clone(), mean, inverse_scale, sequence, base, parameters: Vec::new(), features }
    }

    fn layer_parameters(&self) -> usize {
        Trainable::<f32>::parameters(&self.sequence)
    }

    /// The base with its parameters.
    pub fn base_with_parameters(&self) -> (&dyn TrainedBase, &[f32]) {
        (&*self.base, &self.parameters[self.layer_parameters()..])
    }

    /// Log-density of one row, in nats, in raw units, in f64 by the core's mathematics: for checking faster code against.
    ///
    /// # Panics
    /// If `row` has another number of columns than the flow.
    pub fn log_prob(&self, row: &[f32]) -> f64 {
        assert_eq!(row.len(), self.mean.len(), "a row has one number per column");
        let row: Vec<f64> = row.iter().map(|value| f64::from(*value)).collect();
        Written::float(self).log_prob_f64(self, &row)
    }

    /// The rows with the features' supports mapped onto all numbers, and each row's log-determinant of that: -∞ for a row
    /// outside.
    fn mapped(&self, rows: &Matrix) -> (Matrix, Vec<f32>) {
        let mut log_det = vec![0.0; rows.rows()];
        let mut mapped = rows.clone();
        if !self.supports.is_empty() {
            let mut worker = Worker::default();
            worker.gather(rows.iter_rows(), self.features, self.context());
            Trainable::<f32>::inverse(&self.supports, &[], &mut worker.batch, &[], &mut log_det, &mut Tape::default());
            for (index, row) in mapped.values_mut().chunks_exact_mut(rows.columns()).enumerate() {
                for (feature, value) in row.iter_mut().take(self.features).enumerate() {
                    *value = worker.batch.feature(feature)[index];
                }
            }
        }
        (mapped, log_det)
    }

    /// Log-densities of many rows, in nats, in raw units, in f32 by the trainer's batched arithmetic.
    ///
    /// # Panics
    /// If the rows have another number of columns than the flow.
    pub fn log_probs(&self, rows: &Matrix) -> Vec<f32> {
        let offset = self.log_scale() as f32;
        let (mapped, log_det) = self.mapped(rows);
        let mut result =
            log_probs(&self.sequence, &*self.base, &self.parameters, &self.standardized(&mapped), self.features);
        result.iter_mut().zip(&log_det).for_each(|(value, log_det)| *value += offset + log_det);
        result
    }

    /// What the layers from the given one on, counted from 0, and the base make of rows that reach it: their part of the
    /// log-densities, in nats.
    pub(crate) fn log_probs_from(&self, layer: usize, rows: &Matrix) -> Vec<f32> {
        let sequence = self.sequence.from(layer);
        let before = self.layer_parameters() - Trainable::<f32>::parameters(&sequence);
        log_probs(&sequence, &*self.base, &self.parameters[before..], rows, self.features)
    }

    /// The flow with the weights of its nets rounded, each to the nearest that int8 can hold.
    #[must_use]
    pub fn fake_quantized(&self) -> Self {
        let mut rounded = self.clone();
        rounded.sequence.fake_quantize(&mut rounded.parameters[..self.layer_parameters()]);
        rounded
    }

    /// The log-determinant of the standardization, in nats.
    pub fn log_scale(&self) -> f64 {
        self.inverse_scale[..self.features].iter().map(|scale| f64::from(*scale).ln()).sum()
    }

    /// The rows behind the layers of the supports and the standardization, and the mean log-determinant of the former.
    ///
    /// # Panics
    /// If the rows have another number of columns than the flow.
    pub fn prepared(&self, rows: &Matrix) -> (Matrix, f64) {
        let (mapped, log_det) = self.mapped(rows);
        let mean = log_det.iter().map(|value| f64::from(*value)).sum::<f64>() / log_det.len().max(1) as f64;
        (self.standardized(&mapped), mean)
    }

    /// Rows after the standardization, computed as the device does.
    ///
    /// # Panics
    /// If the rows have another number of columns than the flow.
    fn standardized(&self, rows: &Matrix) -> Matrix {
        assert_eq!(rows.columns(), self.mean.len(), "a row has one number per column");
        let mut result = rows.clone();
        for row in result.values_mut().chunks_exact_mut(self.mean.len()) {
            for ((value, mean), inverse_scale) in row.iter_mut().zip(&self.mean).zip(&self.inverse_scale) {
                *value = (*value - mean) * inverse_scale;
            }
        }
        result
    }
}
