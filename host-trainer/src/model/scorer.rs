//! Scoring on the host: the tree of a model's layers, each the core's own view with shapes at run time.
//!
//! The tree has the shape of the model's type, since log-determinants are summed as the chains nest. Every operation on a
//! number is the core's, so the results have the device's bits.

use flowlet::base::{standard_normal_deviate, standard_normal_log_prob};
use flowlet::calibration::CalibrationView;
use flowlet::conditioner::Evaluate;
use flowlet::conditioner::float::FloatView;
use flowlet::conditioner::int8::Int8View;
use flowlet::flow::{check_finite, check_support};
use flowlet::layers::affine_coupling::AffineCouplingView;
use flowlet::layers::cube;
use flowlet::layers::permute::{gather, scatter};
use flowlet::layers::standardize::StandardizeView;
use flowlet::{Assessment, Libm, Micromath, ReadingError, Real};
use rand::Rng;
use zerocopy::FromBytes;

use super::architecture::{Architecture, Base, Elementary, Layer, Net};

/// A model's layers and calibration, ready to score.
#[derive(Clone, Debug)]
pub struct Scorer<'a> {
    features: usize,
    context: usize,
    layers: Node<'a>,
    base: Base,
    calibration: CalibrationView<'a>,
}

#[derive(Clone, Debug)]
enum Node<'a> {
    Chain(Box<[Node<'a>; 2]>),
    Repeat(Vec<Node<'a>>),
    Turned(Box<Node<'a>>),
    Standardize(StandardizeView<'a>),
    Permute(&'a [u32]),
    Reverse,
    Cube,
    AffineCoupling(AffineCouplingView<NetView<'a>>, Elementary),
}

#[derive(Clone, Copy, Debug)]
enum NetView<'a> {
    Int8(Int8View<'a>),
    Float(FloatView<'a>),
}

impl<T: Real> Evaluate<T> for NetView<'_> {
    fn evaluate(&self, input: &[T], context: &[T], output: impl FnMut([T; 4])) {
        match self {
            Self::Int8(net) => net.evaluate(input, context, output),
            Self::Float(net) => net.evaluate(input, context, output),
        }
    }
}

fn slice<'a, T: FromBytes + zerocopy::Immutable + zerocopy::KnownLayout>(
    bytes: &mut &'a [u8],
    count: usize,
) -> Option<&'a [T]> {
    let (slice, rest) = <[T]>::ref_from_prefix_with_elems(bytes, count).ok()?;
    *bytes = rest;
    Some(slice)
}

fn scalar<T: FromBytes>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = T::read_from_prefix(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

impl<'a> Node<'a> {
    fn new(layer: &Layer, bytes: &mut &'a [u8]) -> Option<Self> {
        Some(match layer {
            Layer::Chain(first, second) => {
                let first = Self::new(first, bytes)?;
                Self::Chain(Box::new([first, Self::new(second, bytes)?]))
            }
            Layer::Repeat(times, layer) => {
                Self::Repeat((0..*times).map(|_| Self::new(layer, bytes)).collect::<Option<_>>()?)
            }
            Layer::Turned(layer) => Self::Turned(Box::new(Self::new(layer, bytes)?)),
            Layer::Standardize { features } => Self::Standardize(StandardizeView {
                mean: slice(bytes, *features)?,
                inverse_scale: slice(bytes, *features)?,
                log_det: scalar(bytes)?,
            }),
            Layer::Permute { features } => Self::Permute(slice(bytes, *features)?),
            Layer::Reverse {} => Self::Reverse,
            Layer::Cube { .. } => Self::Cube,
            Layer::AffineCoupling { kept, net, elementary, .. } => {
                let inverse_bound = scalar(bytes)?;
                let (conditioner, rest) = match net {
                    Net::Int8 { .. } => {
                        let (net, rest) = Int8View::from_prefix(bytes, net.shape())?;
                        (NetView::Int8(net), rest)
                    }
                    Net::Float { .. } => {
                        let (net, rest) = FloatView::from_prefix(bytes, net.shape())?;
                        (NetView::Float(net), rest)
                    }
                };
                *bytes = rest;
                Self::AffineCoupling(AffineCouplingView { kept: *kept, inverse_bound, conditioner }, *elementary)
            }
        })
    }

    fn inverse(&self, x: &mut [f32], context: &[f32]) -> f32 {
        match self {
            Self::Chain(layers) => {
                let first = layers[0].inverse(x, context);
                first + layers[1].inverse(x, context)
            }
            Self::Repeat(layers) => {
                let mut log_det = 0.0;
                for layer in layers {
                    log_det += layer.inverse(x, context);
                }
                log_det
            }
            Self::Turned(layer) => layer.forward(x, context),
            Self::Standardize(view) => view.inverse(x),
            Self::Permute(source) => {
                let from = x.to_vec();
                gather(source, &from, x);
                0.0
            }
            Self::Reverse => {
                x.reverse();
                0.0
            }
            Self::Cube => cube::inverse::<f32, Libm>(x),
            Self::AffineCoupling(view, Elementary::Libm) => view.inverse::<f32, Libm>(x, context),
            Self::AffineCoupling(view, Elementary::Micromath) => view.inverse::<f32, Micromath>(x, context),
        }
    }

    fn forward(&self, z: &mut [f32], context: &[f32]) -> f32 {
        match self {
            Self::Chain(layers) => {
                let first = layers[1].forward(z, context);
                first + layers[0].forward(z, context)
            }
            Self::Repeat(layers) => {
                let mut log_det = 0.0;
                for layer in layers.iter().rev() {
                    log_det += layer.forward(z, context);
                }
                log_det
            }
            Self::Turned(layer) => layer.inverse(z, context),
            Self::Standardize(view) => view.forward(z),
            Self::Permute(source) => {
                let from = z.to_vec();
                scatter(source, &from, z);
                0.0
            }
            Self::Reverse => {
                z.reverse();
                0.0
            }
            Self::Cube => cube::forward::<f32, Libm>(z),
            Self::AffineCoupling(view, Elementary::Libm) => view.forward::<f32, Libm>(z, context),
            Self::AffineCoupling(view, Elementary::Micromath) => view.forward::<f32, Micromath>(z, context),
        }
    }
}

impl<'a> Scorer<'a> {
    /// The model of `architecture` whose image is `body`, 4-aligned; `None` when the lengths differ.
    #[must_use]
    pub fn new(architecture: &Architecture, body: &'a [u8]) -> Option<Self> {
        let mut bytes = body;
        let layers = Node::new(&architecture.layers, &mut bytes)?;
        let knots = architecture.calibration.knots;
        let calibration = CalibrationView {
            scores: slice(&mut bytes, knots)?,
            above: slice(&mut bytes, knots)?,
            rows: scalar(&mut bytes)?,
            threshold: scalar(&mut bytes)?,
            false_alarm_rate: scalar(&mut bytes)?,
        };
        let base = architecture.base;
        let (features, context) = (architecture.features, architecture.context);
        bytes.is_empty().then_some(Self { features, context, layers, base, calibration })
    }

    /// The base coordinates of a reading, and the log-determinant.
    fn to_base(&self, reading: &[f32], context: &[f32]) -> Result<(Vec<f32>, f32), ReadingError> {
        for (expected, found) in [(self.features, reading.len()), (self.context, context.len())] {
            if expected != found {
                return Err(ReadingError::WrongLength { expected, found });
            }
        }
        check_finite(reading, context)?;
        let mut z = reading.to_vec();
        let log_det = self.layers.inverse(&mut z, context);
        check_support(log_det)?;
        Ok((z, log_det))
    }

    /// The log-density, as [`flowlet::Flow::log_prob`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn log_prob(&self, reading: &[f32], context: &[f32]) -> Result<f32, ReadingError> {
        let (z, log_det) = self.to_base(reading, context)?;
        if log_det == f32::INFINITY {
            return Err(ReadingError::Singular);
        }
        let Base::StandardNormal { .. } = self.base;
        let log_prob = standard_normal_log_prob(&z) + log_det;
        Ok(if log_prob > f32::MIN { log_prob } else { f32::MIN })
    }

    /// The base coordinates, as [`flowlet::Flow::latent`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn latent(&self, reading: &[f32], context: &[f32]) -> Result<Vec<f32>, ReadingError> {
        self.to_base(reading, context).map(|(z, _)| z)
    }

    /// Score, p-value and alarm, as [`flowlet::Detector::assess`], to the bit.
    ///
    /// # Errors
    /// [`ReadingError`], as on the device, and for another number of values.
    pub fn assess(&self, reading: &[f32], context: &[f32]) -> Result<Assessment, ReadingError> {
        let log_prob = self.log_prob(reading, context)?;
        let (p_value, alarm) = (self.calibration.p_value(-log_prob), self.calibration.alarm(-log_prob));
        Ok(Assessment { log_prob, p_value, alarm })
    }

    /// A reading drawn from the density, as [`flowlet::Flow::sample`], to the bit.
    pub fn sample(&self, rng: &mut impl Rng, context: &[f32]) -> Vec<f32> {
        let Base::StandardNormal { elementary, .. } = self.base;
        let deviate = match elementary {
            Elementary::Libm => standard_normal_deviate::<f32, Libm>,
            Elementary::Micromath => standard_normal_deviate::<f32, Micromath>,
        };
        let mut x: Vec<f32> = (0..self.features).map(|_| deviate(rng.next_u32())).collect();
        self.layers.forward(&mut x, context);
        x
    }

    /// From scores to p-values and alarms.
    #[must_use]
    pub fn calibration(&self) -> &CalibrationView<'a> {
        &self.calibration
    }
}
