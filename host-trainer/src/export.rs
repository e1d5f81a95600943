//! From a fitted flow to a model: architecture, image and calibration, quantized or not.

use flowlet::model_file::MOST_FEATURES;
use nalgebra::DMatrix;

use crate::calibrate::{Calibrated, KNOTS};
use crate::data::Matrix;
use crate::image::Image;
use crate::layers::{Layer, Rows, Standardize, View, compose, fold};
use crate::model::architecture::{Architecture, Calibration, NumberFormat, Numerics};
use crate::model::{Body, Metadata, Model, ModelError};
use crate::train::Flow;

/// The most readings that a quantization looks at: more change nothing but the time it takes.
const MOST_ROWS: usize = 4096;

/// The layers and the base of a flow as a device has them, without a calibration.
#[derive(Clone, Debug)]
pub struct Written {
    layers: Layer,
    image: Image,
    numerics: Numerics,
}

impl Written {
    /// With f32 weights.
    ///
    /// # Panics
    /// If the flow has more features than a model can have.
    #[must_use]
    pub fn float(flow: &Flow) -> Self {
        Self::new(flow, None)
    }

    /// With nets quantized to int8 by readings in raw units, each followed by its context.
    ///
    /// Layers are quantized in the order in which a reading meets them, each on what the quantized ones before it give,
    /// so that later layers make up for the errors of earlier ones.
    ///
    /// # Panics
    /// If there is no reading, or the flow has more features than a model can have.
    #[must_use]
    pub fn int8(flow: &Flow, readings: &Matrix) -> Self {
        assert!(readings.rows() > 0, "a quantization looks at readings");
        // Every k-th, so that all parts of an ordered table are seen.
        let step = readings.rows().div_ceil(MOST_ROWS);
        let rows: Vec<usize> = (0..readings.rows()).step_by(step).collect();
        let (standardized, _) = flow.prepared(&readings.select(&rows));
        let all = DMatrix::from_row_iterator(
            standardized.rows(),
            standardized.columns(),
            standardized.values().iter().map(|value| f64::from(*value)),
        );
        let features = flow.features();
        let (values, context) = (all.columns(0, features), all.columns(features, all.ncols() - features));
        Self::new(flow, Some(Rows { values: values.into_owned(), context: context.into_owned() }))
    }

    fn new(flow: &Flow, mut rows: Option<Rows>) -> Self {
        let (features, context) = (flow.features(), flow.context());
        assert!(features <= MOST_FEATURES, "a flow has at most {MOST_FEATURES} features");
        let format = if rows.is_some() { NumberFormat::Int8 } else { NumberFormat::Float };
        let written = |write: &dyn Fn(&mut Image)| {
            let mut image = Image::default();
            write(&mut image);
            image.0
        };
        let (mean, inverse_scale) = (&flow.mean, &flow.inverse_scale);
        let first = written(&|image| Standardize::write(&mean[..features], &inverse_scale[..features], image));
        let mut pieces = vec![(Layer::from(Standardize { features }), first)];
        for (trained, parameters) in flow.sequence.with_parameters(&flow.parameters) {
            let layer = trained.layer(format);
            let values = written(&|image| trained.write(parameters, rows.as_ref(), image));
            if let Some(rows) = &mut rows {
                let body = Body::new(&values);
                pass(rows, &*layer.view(&mut body.as_bytes()).expect("a layer writes what it is"));
            }
            pieces.push((layer, values));
        }
        let before = flow.supports.with_parameters::<f32>(&[]);
        let before: Vec<_> = before
            .map(|(trained, _)| (trained.layer(format), written(&|image| trained.write(&[], None, image))))
            .collect();
        let mut pieces = fold(pieces).into_iter();
        let (first, values) = pieces.next().expect("the standardization");
        let mut image = Image(values);
        if context > 0 {
            image.f32s(&mean[features..]);
            image.f32s(&inverse_scale[features..]);
        }
        let mut layers = Vec::new();
        for (layer, values) in pieces {
            layers.push(layer);
            image.0.extend(values);
        }
        if layers.is_empty() {
            // Nothing is behind the standardization that would see a context.
            image.0.truncate(first.schema().size());
        }
        let (base, parameters) = flow.base_with_parameters();
        base.write(parameters, &mut image);
        let mut layers = match (layers.is_empty(), context) {
            (true, _) => first,
            (false, 0) => first.then(compose(layers)),
            (false, context) => first.then(Layer::StandardizeContext { context, layers: Box::new(compose(layers)) }),
        };
        let mut all = Image::default();
        for (_, values) in &before {
            all.0.extend(values);
        }
        all.0.extend(image.0);
        for (layer, _) in before.into_iter().rev() {
            layers = layer.then(layers);
        }
        let image = all;
        Self { layers, image, numerics: Numerics::default() }
    }

    /// The same with other numbers outside of the nets.
    #[must_use]
    pub fn computed_with(mut self, numerics: Numerics) -> Self {
        self.layers.compute_with(numerics.elementary);
        self.numerics = numerics;
        self
    }

    /// The model, with its calibration. Without one it scores but raises no alarm: for the scores that a calibration is
    /// made from.
    ///
    /// # Errors
    /// [`ModelError`] when a fitted value is not one that the device accepts.
    pub fn model(&self, flow: &Flow, calibrated: Option<&Calibrated>, metadata: Metadata) -> Result<Model, ModelError> {
        let mut base = flow.base_with_parameters().0.base();
        base.compute_with(self.numerics.elementary);
        let architecture = Architecture {
            features: flow.features(),
            context: flow.context(),
            layers: self.layers.clone(),
            base,
            calibration: Calibration { knots: KNOTS },
            arithmetic: self.numerics.arithmetic,
        };
        let mut image = self.image.clone();
        write_calibration(calibrated, &mut image);
        Model::new(architecture, &image.0, metadata)
    }

    /// Base coordinates and log-density of a reading and its context, in double precision by the core's mathematics.
    ///
    /// # Panics
    /// If there are fewer values than features.
    #[must_use]
    pub fn log_prob_f64(&self, flow: &Flow, reading: &[f64]) -> f64 {
        let body = Body::new(&self.image.0);
        let mut bytes = body.as_bytes();
        let layers = self.layers.view(&mut bytes).expect("layers write what they are");
        let base = flow.base_with_parameters().0.base();
        let base = base.kind().view(&mut bytes).expect("a base writes what it is");
        let (x, context) = reading.split_at(flow.features());
        let mut z = x.to_vec();
        let log_det = layers.inverse_f64(&mut z, context);
        base.log_prob_f64(&z) + log_det
    }
}

/// Maps the readings through a layer.
fn pass(rows: &mut Rows, layer: &dyn View) {
    for row in 0..rows.values.nrows() {
        let mut x: Vec<f64> = rows.values.row(row).iter().copied().collect();
        let context: Vec<f64> = rows.context.row(row).iter().copied().collect();
        layer.inverse_f64(&mut x, &context);
        for (feature, value) in x.into_iter().enumerate() {
            rows.values[(row, feature)] = value;
        }
    }
}

/// Appends a calibration; without one there is no alarm.
pub(crate) fn write_calibration(calibrated: Option<&Calibrated>, image: &mut Image) {
    let knots = calibrated.map_or(&[][..], |calibrated| &calibrated.knots);
    assert!(knots.len() <= KNOTS, "a calibration has at most {KNOTS} knots");
    for index in 0..KNOTS {
        image.f32(knots.get(index).map_or(f32::MAX, |(score, _)| *score));
    }
    for index in 0..KNOTS {
        image.u32(knots.get(index).map_or(0, |(_, above)| *above));
    }
    image.u32(calibrated.map_or(0, |calibrated| calibrated.rows));
    image.f32(calibrated.map_or(f32::MAX, |calibrated| calibrated.threshold));
    image.f32(calibrated.map_or(1.0, |calibrated| calibrated.false_alarm_rate));
}
