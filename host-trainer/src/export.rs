//! From a fitted flow to a model: architecture, image and calibration, quantized or not.

use flowlet::model_file::MOST_FEATURES;
use flowlet::monitor::SettingsView;

use crate::base::{Base, Ensemble};
use crate::calibrate::{Calibrated, KNOTS};
use crate::image::Image;
use crate::layers::{Layer, Piece, Sequence, Standardize, compose, fold};
use crate::model::architecture::{Architecture, Calibration, Elementary, NumberFormat, Numerics};
use crate::model::{Body, Metadata, Model, ModelError};
use crate::train::{Flow, Options};

/// The layers and the base of a flow as a device has them, without a calibration.
#[derive(Clone, Debug)]
pub struct Written {
    layers: Layer,
    base: Base,
    image: Image,
    numerics: Numerics,
    /// The layers behind the standardization, one by one.
    pieces: Vec<Piece>,
}

impl Written {
    /// With f32 weights.
    ///
    /// # Panics
    /// If the flow has more features than a model can have.
    #[must_use]
    pub fn float(flow: &Flow) -> Self {
        Self::new(flow, float_pieces(&flow.sequence, &flow.parameters).collect())
    }

    /// Of the pieces that the flow's layers were written as, one for each.
    ///
    /// # Panics
    /// If the flow has more features than a model can have.
    #[must_use]
    pub fn new(flow: &Flow, written: Vec<Piece>) -> Self {
        let (features, context) = (flow.features(), flow.context());
        assert!(features <= MOST_FEATURES, "a flow has at most {MOST_FEATURES} features");
        let (mean, inverse_scale) = (&flow.mean, &flow.inverse_scale);
        let mut first = Image::default();
        Standardize::write(&mean[..features], &inverse_scale[..features], &mut first);
        let mut pieces = vec![(Layer::from(Standardize { features }), first.0)];
        pieces.extend(written.iter().cloned());
        let before: Vec<_> = float_pieces(&flow.supports, &[]).collect();
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
        Self { layers, base: base.base(), image: all, numerics: Numerics::default(), pieces: written }
    }

    /// A mixture of flows of one type with equal weights, behind the standardization that they share. Members that were
    /// written as another type than the first, as rounding may fold layers in one and not in another, are written unfolded, all of them.
    ///
    /// # Panics
    /// If there is no member, or one sees a context.
    #[must_use]
    pub fn ensemble(members: &[(&Flow, &Self)]) -> Self {
        let (flow, first) = members.first().expect("an ensemble has a member");
        assert_eq!(flow.context(), 0, "members of an ensemble see no context");
        let as_pieces = |fold: fn(Vec<Piece>) -> Vec<Piece>| -> Vec<(Layer, Image)> {
            let member = |(flow, written): &(&Flow, &Self)| {
                let (layers, images): (Vec<_>, Vec<_>) = fold(written.pieces.clone()).into_iter().unzip();
                let mut image = Image(images.concat());
                let (base, parameters) = flow.base_with_parameters();
                base.write(parameters, &mut image);
                (compose(layers), image)
            };
            members.iter().map(member).collect()
        };
        let mut written = as_pieces(fold);
        if written.iter().any(|(layers, _)| *layers != written[0].0) {
            written = as_pieces(|pieces| pieces);
        }
        let (layers, images): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        let Self { layers: outer, mut image, .. } = Self::new(&flow.gaussian(), Vec::new());
        Ensemble::write(&images, &mut image);
        let base = Ensemble {
            features: flow.features(),
            members: members.len(),
            layers: Box::new(layers[0].clone()),
            base: Box::new(first.base.clone()),
            elementary: Elementary::Libm,
        };
        Self { layers: outer, base: base.into(), image, numerics: Numerics::default(), pieces: Vec::new() }
    }

    /// The same with other numbers outside of the nets.
    #[must_use]
    pub fn computed_with(mut self, numerics: Numerics) -> Self {
        self.layers.compute_with(numerics.elementary);
        self.base.compute_with(numerics.elementary);
        self.numerics = numerics;
        self
    }

    /// The model, without a calibration: it scores but raises no alarm, until [`recalibrate`](crate::recalibrate::recalibrate)
    /// has made one from its scores.
    ///
    /// # Errors
    /// [`ModelError`] when a fitted value is not one that the device accepts.
    pub fn model(&self, flow: &Flow, metadata: Metadata) -> Result<Model, ModelError> {
        let mut image = self.image.clone();
        write_calibration(None, &mut image);
        Model::new(self.architecture(flow), &image.0, metadata)
    }

    /// The type of the model.
    fn architecture(&self, flow: &Flow) -> Architecture {
        Architecture {
            features: flow.features(),
            context: flow.context(),
            layers: self.layers.clone(),
            base: self.base.clone(),
            calibration: Calibration { knots: KNOTS },
            monitor: None,
            arithmetic: self.numerics.arithmetic,
        }
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
        let base = self.base.kind().view(&mut bytes).expect("a base writes what it is");
        let (x, context) = reading.split_at(flow.features());
        let mut z = x.to_vec();
        let log_det = layers.inverse_f64(&mut z, context);
        base.log_prob_f64(&z) + log_det
    }
}

/// The type of the model that a fit with these options gives, its nets in int8, before there is a fit.
///
/// # Panics
/// If there are more features than a model can have.
#[must_use]
pub fn planned(features: usize, context: usize, options: &Options) -> Architecture {
    let flow = Flow::unfitted(features, context, options);
    // Images of nets are those of f32 ones: what is folded into what depends on no net.
    let int8 = flow.sequence.layers(NumberFormat::Int8);
    let pieces = int8.zip(float_pieces(&flow.sequence, &flow.parameters)).map(|(layer, (_, image))| (layer, image));
    let single = Written::new(&flow, pieces.collect());
    let written = match options.architecture.members {
        0 | 1 => single,
        members => Written::ensemble(&vec![(&flow, &single); members]),
    };
    written.computed_with(options.numerics).architecture(&flow)
}

/// Layers with f32 weights.
fn float_pieces<'a>(sequence: &'a Sequence, parameters: &'a [f32]) -> impl Iterator<Item = Piece> + 'a {
    sequence.with_parameters(parameters).map(|(trained, parameters)| {
        let mut image = Image::default();
        trained.write(parameters, &mut image);
        (trained.layer(NumberFormat::Float), image.0)
    })
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

/// Appends the settings of a monitor, in the order of [`flowlet::monitor::Settings`].
pub(crate) fn write_settings(settings: &SettingsView<'_>, image: &mut Image) {
    let u32s = |values: &[u32], image: &mut Image| values.iter().for_each(|value| image.u32(*value));
    image.f32s(settings.low);
    image.f32s(settings.high);
    u32s(settings.longest_run, image);
    image.f32s(settings.mean);
    image.f32s(settings.deviation);
    image.f32s(settings.regression);
    image.f32s(settings.residual);
    image.f32s(settings.tail_scores);
    image.f32s(settings.tail_p_values);
    image.f32s(&[settings.drift_rate, settings.drift_bound, settings.threshold]);
    u32s(&[settings.needed, settings.of, settings.release, settings.faults], image);
    image.f32s(&[settings.cusum_reference, settings.cusum_cap, settings.cusum_limit]);
    image.f32s(settings.golden);
    image.f32(settings.golden_log_prob);
}
